"""Reader of CoNLL04: words, entity tags and relations in columns (Roth and Yih 2004)."""

from __future__ import annotations

import re

from nlp_gym.data.readers.relation.pairs import (
    Pair,
    Span,
    ordered_pairs,
    pair_sample,
    report_if_empty,
)
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.types import Sample

_NAMES = re.compile(r"\[('[^'\s]+'(?:, *'[^'\s]+')*)\]")
_PLACES = re.compile(r"\[([0-9]{1,9}(?:, *[0-9]{1,9})*)\]")
_TAG = re.compile(r"O|[BI]-\S+")
_NO_RELATION = "N"

_Row = tuple[int, list[str]]
"""Line number and columns of a row."""


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read sentences that begin with ``#doc``, one word per row of five columns, by tabs.

    The columns are position in the sentence, word, BIO tag of the entity, relations whose head ends
    at this word (``['N']`` for none), and positions of the words at which their tails end. Without
    gold, the first three are enough. The pairs to label are all ordered pairs of entities; those
    without a relation are ``NONE``. Entities are input, and their types are kept. An ``I-`` tag
    that continues nothing begins an entity. Sentences with fewer than two entities are left out.
    """
    parsed = Parsed(n_bad=0)
    starts = [n for n, line in enumerate(lines) if line.startswith("#doc")]
    for n, line in enumerate(lines[: starts[0] if starts else None]):
        if line.strip():
            message = f"{line[:40]!r} stands before the first '#doc' line, which begins a sentence"
            parsed.problems.append(Problem(n + 1, message))
            parsed.n_bad = 1
            break
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=False):  # none: no pair
        rows = [(n + 1, lines[n].split("\t")) for n in range(start + 1, end) if lines[n].strip()]
        n = len(parsed.problems)
        sample = _sentence(rows, start + 1, name, options, parsed)
        if len(parsed.problems) > n:
            parsed.n_bad = (parsed.n_bad or 0) + 1
        elif sample is not None:
            parsed.samples.append(sample)
    return report_if_empty(parsed)


def _sentence(
    rows: list[_Row], line: int, name: str, options: Options, parsed: Parsed
) -> Sample | None:
    """The sample of a sentence; None where it has no pair, or where `parsed` gets problems."""
    width = 5 if options.gold else 3
    problems = [Problem(n, fault) for n, row in rows if (fault := _fault(row, width))]
    if not rows:
        problems = [Problem(line, "the sentence has no words")]
    if problems:
        parsed.problems += problems
        return None
    types = _entities([row[2].strip() for _, row in rows])
    labels = _relations(rows, types, parsed) if options.gold else None
    words = [row[1].strip() for _, row in rows]
    pairs = ordered_pairs(types)
    return pair_sample(words, pairs, labels, name=name, line=line, parsed=parsed, types=types)


def _fault(row: list[str], width: int) -> str | None:
    """What is wrong with a row by itself; None if nothing is."""
    if len(row) < width:
        return f"{len(row)} column(s), separated by tabs, where {width} are needed"
    if not row[1].strip():
        return "the word is empty"
    if not _TAG.fullmatch(row[2].strip()):
        return f"{row[2]!r} is no entity tag: O, B-TYPE or I-TYPE"
    if width > 3 and not _NAMES.fullmatch(row[3].strip()):
        return f"{row[3][:40]!r} is no list of relations, such as ['N'] or ['Work_For', 'Live_In']"
    if width > 3 and not _PLACES.fullmatch(row[4].strip()):
        return f"{row[4][:40]!r} is no list of places, such as [22, 8]"
    return None


def _entities(tags: list[str]) -> dict[Span, str]:
    """Spans of the entities, in order, with their types."""
    found: list[tuple[int, int, str]] = []
    for place, tag in enumerate(tags):
        if tag == "O":
            continue
        if tag[0] == "I" and found and found[-1][1:] == (place, tag[2:]):
            found[-1] = (found[-1][0], place + 1, tag[2:])
        else:
            found.append((place, place + 1, tag[2:]))
    return {(start, end): kind for start, end, kind in found}


def _relations(rows: list[_Row], entities: dict[Span, str], parsed: Parsed) -> dict[Pair, str]:
    """Labels of the pairs that have a relation; faults become problems of `parsed`."""
    ending = {span[1] - 1: span for span in entities}
    labels: dict[Pair, str] = {}
    for place, (number, row) in enumerate(rows):
        names = re.findall(r"'([^']+)'", row[3])
        positions = [int(digits) for digits in re.findall("[0-9]+", row[4])]
        if len(names) != len(positions):
            fault = f"{len(names)} relation(s) but {len(positions)} place(s)"
            parsed.problems.append(Problem(number, fault))
            continue
        for name, tail in zip(names, positions, strict=True):
            if name == _NO_RELATION:
                continue
            fault = ""
            if place not in ending or tail not in ending:
                fault = f"{name!r} goes from word {place} to {tail}, where no entity ends"
            elif place == tail or (ending[place], ending[tail]) in labels:
                fault = f"{name!r} from word {place} to {tail}: an entity with itself, or twice"
            if fault:
                parsed.problems.append(Problem(number, fault))
            else:
                labels[ending[place], ending[tail]] = name
    return labels
