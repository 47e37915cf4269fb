"""Samples of the readers of relations: arguments as spans of words, and the pairs to label."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

from nlp_gym.data.readers.shared.base import Parsed, note_long_text
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.text.tokenize import split_words
from nlp_gym.types import Sample

NONE = "NONE"
"""Label of a pair without a relation, unless the format has its own."""

Span = tuple[int, int]
"""First word and one past the last."""

Pair = tuple[Span, Span]
"""Head and tail."""


def cut_words(text: str, spans: Iterable[Span]) -> tuple[list[str], dict[Span, Span]]:
    """Cut a text into words such that every span of characters is a span of words.

    A word in which a span begins or ends ("pre-[war]") is cut there.

    Args:
        text: Any text without halves of surrogate pairs.
        spans: (start, end) in characters, end exclusive, within the text.

    Returns:
        The words, and the words that each span covers, without white space at its ends; a span
        without a word is left out.
    """
    spans = set(spans)
    edges = sorted({edge for span in spans for edge in span})
    words, starts, ends = list[str](), list[int](), list[int]()
    for _, start, end in split_words(text):
        within = edges[bisect_right(edges, start) : bisect_left(edges, end)]
        cuts = [start, *within, end]
        for first, last in itertools.pairwise(cuts):
            words.append(text[first:last])
            starts.append(first)
            ends.append(last)
    word_spans = {}
    for start, end in spans:
        first, stop = bisect_left(starts, start), bisect_right(ends, end)
        if first < stop:
            word_spans[start, end] = (first, stop)
    return words, word_spans


def ordered_pairs(entities: Iterable[Span]) -> list[Pair]:
    """Every ordered pair of different entities, sorted by head, then by tail."""
    return list(itertools.permutations(sorted(entities), 2))


def pair_sample(
    words: Sequence[str],
    pairs: Sequence[Pair],
    labels: Mapping[Pair, str] | None,
    *,
    name: str,
    line: int,
    parsed: Parsed,
    types: Mapping[Span, str] | None = None,
    none: str = NONE,
    extra: Mapping[str, object] | None = None,
) -> Sample | None:
    """Make the sample of one text; None for a text without pairs, which is left out.

    A text that is left out gives a note with gold, and a warning without: predictions then do not
    line up with the file.

    Args:
        words: The text.
        pairs: The pairs to label, in this order.
        labels: Gold of the pairs that have a relation; None: not annotated.
        name: File name.
        line: Line on which the text begins.
        parsed: Gets the notes and warnings.
        types: Type of every entity, if the file has types.
        none: Label of all other pairs.
        extra: More input of the sample.
    """
    if not pairs:
        message = "fewer than two entities, so no pair to decide: the text is left out"
        if labels is None:
            parsed.warnings.append(Problem(line, f"{message}, and predictions skip it"))
        else:
            parsed.notes.append(Problem(line, message))
        return None
    note_long_text(len(words), line, parsed)
    given: dict[str, object] = {"pairs": tuple((*head, *tail) for head, tail in pairs)}
    if types is not None:
        given["types"] = tuple((types[head], types[tail]) for head, tail in pairs)
    gold = None if labels is None else tuple(labels.get(pair, none) for pair in pairs)
    return Sample(tuple(words), gold, f"{name}:{line}", {**given, **(extra or {})})


def report_if_empty(parsed: Parsed) -> Parsed:
    """Add a problem if all texts of the file were left out; return `parsed`."""
    left_out = [*parsed.warnings, *parsed.notes]
    if not parsed.samples and not parsed.problems and left_out:
        message = "no text of the file has two entities: there is no pair to decide"
        parsed.problems.append(Problem(left_out[0].line, message))
    return parsed
