"""What the kinds of tasks share: hooks that say what a sample is, labels, and texts as units.

A kind is a complete task but for one or two hooks: `LabelText`, `LabelWords`, `PickOne`,
`PickSeveral`, `PointSpan` and `WriteText`, all in `nlp_gym.tasks`. A hook takes the number of a
row, reads the sample as the file has it with `self.sample(row)`, and says what is read or what is
right. One that is not overridden takes the file's own annotation, so the registered tasks override
none. What a hook gives is checked: a fault names the class, the hook, the row and the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from nlp_gym.data.text.tokenize import split_words
from nlp_gym.errors import DataError, InvalidArgumentError, shown
from nlp_gym.tasks.core.tables import TextIndex
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Corpus, Sample, Units

Text = str | Sequence[str]
"""A text as hooks give it: a string, or its words."""


class HookedTask(Task):
    """A task whose samples are made by hooks, where a subclass overrides any of `hooks`.

    The hook for the gold, `right` or `references`, is called only for samples that are annotated:
    a prediction knows no gold.
    """

    hooks: ClassVar[tuple[str, ...]] = ()
    """Names of the methods that say what a sample is."""
    hooked_family: ClassVar[str]
    """Family of files in whose form hooks make samples, a name of `nlp_gym.data.FAMILIES`."""

    @classmethod
    def is_hooked(cls) -> bool:
        """Whether a subclass of the kind overrides a hook."""
        return any(map(cls.overrides, cls.hooks))

    @classmethod
    def overrides(cls, hook: str) -> bool:
        """Whether a subclass of the kind has this hook of its own."""
        kind = next(base for base in cls.__mro__ if "hooks" in vars(base))
        return getattr(cls, hook) is not getattr(kind, hook)

    @classmethod
    @override
    def sample_family(cls) -> str:
        return cls.hooked_family if cls.is_hooked() else cls.family

    def hooked_sample(self, row: int) -> Sample:
        """The sample that the hooks make of a row, in the form that the kind reads."""
        raise NotImplementedError

    def hooked_labels(self, samples: Sequence[Sample], split: str) -> tuple[str, ...]:
        """Label inventory of what the hooks made; none where actions are no labels."""
        return ()

    @override
    def annotate(self, corpus: Corpus) -> Corpus:
        """The corpus with the samples that the hooks make."""
        if not self.is_hooked():
            return corpus
        own = vars(self).get("corpus")
        self.corpus = corpus  # the hooks read it by row
        try:
            samples = [self.hooked_sample(row) for row in range(len(corpus))]
            labels = self.hooked_labels(samples, corpus.split)
        finally:
            if own is None:
                del self.corpus
            else:
                self.corpus = own
        return replace(corpus, samples=samples, labels=labels)

    def hook_error(self, hook: str, row: int, fault: str) -> DataError:
        """The error of a hook that gave something else than it should.

        Args:
            hook: Name of the hook.
            row: What it was asked for.
            fault: What it gave, and what is allowed.
        """
        name = type(self).__name__
        message = f"{name} on {self.title(row)}: {hook}({row}) {fault}"
        if not self.overrides(hook):
            message += f" It is the file's own, as {name} does not override `{hook}`."
        return DataError(message)

    def hooked_list(self, hook: str, row: int, value: object, allowed: str) -> Sequence[Any]:
        """A list or another sequence that a hook gave.

        Args:
            hook: Name of the hook.
            row: What it was asked for.
            value: What it gave.
            allowed: What should be in it, for the message.

        Raises:
            DataError: It is something else, such as a string.
        """
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self.hook_error(hook, row, f"gave {shown(value)}; allowed: {allowed}.")
        return value

    def hooked_words(self, hook: str, row: int, text: object, place: str = "") -> tuple[str, ...]:
        """The words of a text that a hook gave, which may be cut into words already.

        Args:
            hook: Name of the hook.
            row: What it was asked for.
            text: What it gave.
            place: Which of several texts this is, such as ``" as candidate 2"``.

        Raises:
            DataError: It is no text, or has no word.
        """
        words: tuple[object, ...] = ()
        if isinstance(text, str):
            words = tuple(word for word, _, _ in split_words(text))
        elif isinstance(text, Sequence):
            words = tuple(text)
        texts = tuple(word for word in words if isinstance(word, str) and word)
        if not texts or len(texts) < len(words):
            raise self.hook_error(
                hook,
                row,
                f"gave {shown(text)}{place}; allowed: a string, or a sequence of words, that has "
                "at least one word.",
            )
        return texts


def as_index(value: object, stop: int) -> int | None:
    """An integer from 0 to `stop` - 1, as one of Python's; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        return None
    return int(value) if 0 <= value < stop else None


class LabelTask(Task):
    """A task whose actions are labels: the inventory must not be empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.labels:
            why = "texts without gold need the label inventory"
            if self.has_gold:
                why = "no text of the training split has a label"
            raise InvalidArgumentError(f"labels is empty: {why}, give labels=[...].")

    def hooked_labels(self, samples: Sequence[Sample], split: str) -> tuple[str, ...]:
        """The labels that were given, else those of the training split, sorted."""
        if self._loading["labels"] is not None:
            return tuple(self.corpus.labels)
        if split != "train":
            return tuple(self.load("train").labels)
        return tuple(sorted({label for sample in samples for label in sample.labels or ()}))


class UnitTask(Task):
    """A task whose units are whole texts, each pooled into one vector.

    Subclasses number texts with `self._texts.add(words)` while they build their tables.
    """

    default_layers = "last"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._texts = TextIndex()

    @cached_property
    @override
    def units(self) -> Units:
        """The texts that the tables number."""
        _ = self.tables  # numbers the texts
        if not self._texts.texts:
            raise DataError(f"{self.corpus.name}: no text in it has a word.")
        seconds = np.array(self._texts.seconds, np.int64)
        return Units.whole(self._texts.texts, seconds if seconds.any() else None)
