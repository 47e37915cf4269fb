"""Samples with a question and a passage: what is checked of them, and the text of an answer."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from nlp_gym.errors import DataError, shown
from nlp_gym.tasks.core.kinds import as_index
from nlp_gym.types import Int64Array, Sample

Span = tuple[int, int]
"""First and last word, both included."""

MAX_ANSWER = {"words": 30, "characters": 100}
"""Most words in an answer, by the tokens of answers. A word is a character in a script without
spaces; 30 English words are about 50 to 60 Chinese characters."""

FEW = 0.01
"""Share of texts that may be longer than can be reached without a warning."""


def answer_of(sample: Sample, words: Span) -> tuple[str, int, int]:
    """Text of an answer and its characters [start, end) in the passage.

    Args:
        sample: The question.
        words: First and last word; -1: none, which gives an empty text.
    """
    if words[0] < 0:
        return "", 0, 0
    spans, text = sample.extra["spans"], sample.extra["text"]
    start, end = spans[words[0]][0], spans[max(words)][1]
    return text[start:end], start, end


def as_span(value: object, n: int) -> Span | None:
    """The first and last word of a span of a text with `n` words; None for anything else."""
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        return None
    first, last = (as_index(end, n) for end in value)
    return None if first is None or last is None or first > last else (first, last)


def _is_answer(value: object, n: int) -> bool:
    """Whether a value is (text, first word, last word) of a passage of `n` words."""
    listed = isinstance(value, tuple | list) and len(value) == 3 and isinstance(value[0], str)
    return listed and as_span(value[1:], n) is not None  # type: ignore[index]


def check_questions(samples: Sequence[Sample]) -> None:
    """Raise `DataError` unless samples have what `PointSpan` reads."""
    for index, sample in enumerate(samples):
        extra, n, where = sample.extra, len(sample.words), f"sample {index} ({sample.id})"
        if lacking := [key for key in ("question", "text", "spans", "qid") if key not in extra]:
            raise DataError(
                f"{where}: extra has no {shown(lacking[0])}; allowed: 'question' (words), 'text' "
                "(the passage), 'spans' (the characters of each of its words) and 'qid' (a "
                "string)."
            )
        if not extra["question"] or len(extra["spans"]) != n:
            raise DataError(
                f"{where}: extra has {len(extra['question'])} words of a question and "
                f"{len(extra['spans'])} spans; allowed: at least 1, and {n}, one per word."
            )
        if sample.annotated and not (
            isinstance(sample.gold, (tuple, list))
            and len(sample.gold) > 0
            and all(_is_answer(answer, n) for answer in sample.gold)
        ):
            raise DataError(
                f"{where}: gold={shown(sample.gold)}, allowed: answers (text, first word, last "
                f"word) with 0 <= first <= last <= {n - 1}."
            )


def reachable_words(samples: Sequence[Sample], most: int) -> Int64Array:
    """(N,) words of each text that can be chosen; a `UserWarning` counts texts with more."""
    words = np.array([len(sample.words) for sample in samples], np.int64)
    cut = int((words > most).sum())
    if cut > FEW * len(words):
        warnings.warn(
            f"{cut} of {len(words)} texts are longer than max_words={most}: what comes after "
            f"cannot be chosen. Give max_words={words.max()} to reach all of it.",
            UserWarning,
            stacklevel=4,
        )
    return np.asarray(np.minimum(words, most))


def warn_longer_answers(samples: Sequence[Sample], most: int, tokens: str) -> None:
    """Say how many gold answers are longer than an answer can be.

    Args:
        samples: The questions.
        most: Most words in an answer.
        tokens: What a word is, for the message: ``"words"`` or ``"characters"``.
    """
    sizes = [[last - first + 1 for _, first, last in sample.gold or ()] for sample in samples]
    longer = sum(size > most for row in sizes for size in row)
    if not longer:
        return
    without = sum(bool(row) and min(row) > most for row in sizes)
    longest = max(size for row in sizes for size in row)
    warnings.warn(
        f"{longer} gold answer(s) have more than max_answer={most} {tokens} and cannot be chosen "
        f"whole; {without} of {len(samples)} questions have no shorter one. Give "
        f"max_answer={longest} to allow all.",
        UserWarning,
        stacklevel=4,
    )
