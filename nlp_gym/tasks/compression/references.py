"""References of compressed texts: their words in the source, and a compression as text again."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_gym.data.text.tokenize import split_words
from nlp_gym.errors import DataError, shown
from nlp_gym.types import Sample

ACTIONS = ("DROP", "KEEP")
"""Names of the actions 0 and 1."""


def check_compressions(samples: Sequence[Sample]) -> bool:
    """Return whether annotated samples have references.

    Raises:
        DataError: The gold of a sample is no list of strings, or only some have references.
    """
    for index, sample in enumerate(samples):
        gold = sample.gold
        listed = isinstance(gold, tuple | list) and all(isinstance(text, str) for text in gold)
        if not listed:
            raise DataError(
                f"sample {index} ({sample.id}): gold={shown(gold)}, allowed: reference "
                "compressions as strings, or () for a text without any."
            )
    bare = [index for index, sample in enumerate(samples) if not sample.gold]
    if bare and len(bare) < len(samples):
        raise DataError(
            f"sample {bare[0]} ({samples[bare[0]].id}) has no reference, but others have: give "
            "references for all texts, or references=False to use none."
        )
    return not bare


def kept_words(words: Sequence[str], references: Sequence[str]) -> list[int]:
    """Places of the words of a source that are words of a reference too, in its order.

    They are a longest common subsequence, case aside; of several references the one with the most
    words in common counts, the first of equal ones.
    """
    own = [word.lower() for word in words]
    best: list[int] = []
    for reference in references:
        found = _common(own, [word.lower() for word, _, _ in split_words(reference)])
        if len(found) > len(best):
            best = found
    return best


def _common(left: Sequence[str], right: Sequence[str]) -> list[int]:
    """Places in `left` of a longest common subsequence with `right`."""
    known = set(right)
    places = [i for i, word in enumerate(left) if word in known]
    n, m = len(places), len(right)
    lengths = [[0] * (m + 1) for _ in range(n + 1)]
    for i in range(n - 1, -1, -1):
        word, row, below = left[places[i]], lengths[i], lengths[i + 1]
        for j in range(m - 1, -1, -1):
            same = word == right[j]
            row[j] = below[j + 1] + 1 if same else max(below[j], row[j + 1])
    found: list[int] = []
    i = j = 0
    while i < n and j < m:
        if left[places[i]] == right[j]:
            found.append(places[i])
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def word_spans(sample: Sample) -> tuple[str, list[tuple[int, int]]]:
    """The text of a sample, and the (start, end) of each word in it.

    Where the text is not known, it is the words joined by spaces.
    """
    text, at = sample.extra.get("text"), 0
    spans: list[tuple[int, int]] = []
    if isinstance(text, str):
        for word in sample.words:
            start = text.find(word, at)
            if start < 0:
                break
            spans.append((start, at := start + len(word)))
        if len(spans) == len(sample.words):
            return text, spans
    spans, at = [], 0
    for word in sample.words:
        spans.append((at, at + len(word)))
        at += len(word) + 1
    return " ".join(sample.words), spans


def joined(sample: Sample, kept: Sequence[int]) -> str:
    """The kept words as a text, spaced as in the source.

    A sign stays beside the word before it, and words of a script without spaces are not parted.
    """
    text, spans = word_spans(sample)
    parts: list[str] = []
    before = -1
    for place in kept:
        start, end = spans[place]
        word = text[start:end]
        if parts:
            parts.append(_space(text, spans, before, place))
        parts.append(word)
        before = place
    return "".join(parts)


def _space(text: str, spans: Sequence[tuple[int, int]], before: int, place: int) -> str:
    """What stands between two kept words."""
    start = spans[place][0]
    near = text[spans[place - 1][1] : start]
    if before == place - 1:
        return " " if near else ""
    word = text[start : spans[place][1]]
    if not near and not any(map(str.isalnum, word)):
        return ""
    between = text[spans[before][1] : start]
    latin = text[spans[before][1] - 1].isascii() and word[0].isascii()
    return " " if latin or any(map(str.isspace, between)) else ""
