"""Texts that need no training: the beginning of the source, and all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

from nlp_gym.data.tokenize import split_words
from nlp_gym.tasks.written import source_text
from nlp_gym.types import Sample


def lead(train_task: Any, samples: Sequence[Sample]) -> list[str]:
    """As many words of the source, from its beginning, as references have in training."""
    golds = [sample.gold[0] for sample in train_task.corpus.samples]
    length = max(round(mean(len(split_words(text)) for text in golds)), 1)
    return [_beginning(source_text(sample), length) for sample in samples]


def copy(train_task: Any, samples: Sequence[Sample]) -> list[str]:
    """The source as it is."""
    return [source_text(sample) for sample in samples]


WRITTEN_BASELINES: dict[str, Callable[[Any, Sequence[Sample]], list[str]]] = {
    "lead": lead,
    "copy": copy,
}
"""By name: from the training task and samples to their texts."""


def _beginning(text: str, length: int) -> str:
    words = split_words(text)
    return text if len(words) <= length else text[: words[length - 1][2]]
