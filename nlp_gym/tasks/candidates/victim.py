"""Whom an attacker deceives: anything that gives a probability for each label of a text."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import Float64Array, Sample

NAIVE_BAYES = "naive-bayes"
"""Name of the victim that needs no trained agent."""
GROUP = "nlp_gym.victims"
"""Entry points that load a victim by a text, such as a run folder; the first one does."""
_SMOOTHING = 1.0


@runtime_checkable
class Victim(Protocol):
    """What is attacked. Its answers are a function of the words of a text alone.

    Attributes:
        labels: Its L labels.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """Its L labels."""
        ...

    def probabilities(self, samples: Sequence[Sample]) -> Float64Array:
        """(n, L) probability of each label of n texts; gold is not looked at."""
        ...


class NaiveBayes:
    """Multinomial naive Bayes over words in small letters, with add-one smoothing.

    Words that it was not trained on say nothing. See Manning, Raghavan and Schuetze (2008),
    chapter 13.

    Args:
        samples: Training texts with one label each.
        labels: The labels.
    """

    def __init__(self, samples: Sequence[Sample], labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        number = {label: k for k, label in enumerate(self.labels)}
        self._words: dict[str, int] = {}
        places: list[tuple[int, int]] = []
        texts = np.zeros(len(self.labels))
        for sample in samples:
            label = number.get(sample.labels[0]) if sample.labels else None
            if label is None:
                continue
            texts[label] += 1
            places += [
                (self._words.setdefault(w.lower(), len(self._words)), label) for w in sample.words
            ]
        counts = np.full((len(self._words) + 1, len(self.labels)), _SMOOTHING)
        if not places:
            raise InvalidArgumentError(
                "victim='naive-bayes' learns from annotated training texts, and there are none: "
                "give victim_data=FILE, or the folder of a run as victim=."
            )
        at = np.array(places, np.int64).reshape(-1, 2)
        np.add.at(counts, (at[:, 0], at[:, 1]), 1.0)
        self._weights = np.log(counts) - np.log(counts.sum(axis=0))  # (V + 1, L)
        self._weights[-1] = 0.0  # words that are not known
        self._prior = np.log((texts + _SMOOTHING) / (texts + _SMOOTHING).sum())

    def evidence(self, texts: Sequence[Sequence[str]]) -> Float64Array:
        """(n, L) sum of what the words of each text say for each label, as log-probabilities.

        It is additive: other words in a text change it by what these say less what the old ones do.
        """
        unknown, known = len(self._words), self._words
        numbers = [known.get(word.lower(), unknown) for words in texts for word in words]
        owner = np.repeat(np.arange(len(texts)), [len(words) for words in texts])
        found = np.zeros((len(texts), len(self.labels)))
        np.add.at(found, owner, self._weights[np.array(numbers, np.int64)])
        return found

    def normalised(self, evidence: Float64Array) -> Float64Array:
        """(n, L) probabilities from the `evidence` of n texts."""
        scores = evidence + self._prior
        each = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(each / each.sum(axis=1, keepdims=True))

    def probabilities(self, samples: Sequence[Sample]) -> Float64Array:
        """(n, L) probability of each label."""
        return self.normalised(self.evidence([sample.words for sample in samples]))


def load_victim(given: object, train: Callable[[], Sequence[Sample]], labels: Any) -> Victim:
    """The victim that an argument names.

    Args:
        given: ``"naive-bayes"``, the folder of a run, or a `Victim`.
        train: Gives the training texts.
        labels: Those of the task.

    Raises:
        InvalidArgumentError: It is none of these, or has other labels than the task.
    """
    victim: Any
    if isinstance(given, str):
        victim = NaiveBayes(train(), labels) if given == NAIVE_BAYES else _loaded(given)
    else:
        victim = given
    if not isinstance(victim, Victim):
        raise InvalidArgumentError(
            f"victim={shown(given)} must be {NAIVE_BAYES!r}, the folder of a run, or an object "
            "with `labels` and `probabilities(samples)`."
        )
    if sorted(victim.labels) != sorted(labels):
        raise InvalidArgumentError(
            f"victim={shown(given)} knows the labels {shown(list(victim.labels))}, and the corpus "
            f"has {shown(list(labels))}: attack an agent of the same corpus, or give data=."
        )
    return victim


_loaders: list[str] = []
"""What loads a victim by a text, as ``"module:name"``."""


def register_loader(entry: str) -> None:
    """Name what loads victims, for a package that is not installed with entry points."""
    if entry not in _loaders:
        _loaders.append(entry)


def _loaded(given: str) -> Any:
    found = [point.value for point in entry_points(group=GROUP)]
    for entry in [*found, *_loaders]:
        module, _, name = entry.partition(":")
        return getattr(importlib.import_module(module), name)(given)
    raise InvalidArgumentError(
        f"victim={shown(given)}: runs are loaded by the package nlp_gym_agents, which is not "
        f"installed (pip install 'nlp-gym[agents]'); without it, {NAIVE_BAYES!r} is the victim."
    )


def in_order(chances: Float64Array, own: Sequence[str], labels: Sequence[str]) -> Float64Array:
    """(n, L) probabilities in the order of the task's labels."""
    if tuple(own) == tuple(labels):
        return chances
    place = {label: k for k, label in enumerate(own)}
    columns: npt.NDArray[np.int64] = np.array([place[label] for label in labels], np.int64)
    return np.asarray(chances[:, columns])
