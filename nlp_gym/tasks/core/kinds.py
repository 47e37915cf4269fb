"""What the kinds of tasks share: hooks that say what a sample is, labels, and texts as units.

A kind is a complete task but for one or two hooks: `LabelText`, `LabelWords`, `PickOne`,
`PickSeveral`, `PointSpan` and `WriteText`, all in `nlp_gym.tasks`. A hook takes the number of a
row, reads the sample as the file has it with `self.sample(row)`, and says what is right. One that
is not overridden takes the file's own annotation, so the registered tasks override none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from nlp_gym.data.text.tokenize import split_words
from nlp_gym.errors import DataError, InvalidArgumentError
from nlp_gym.tasks.core.tables import TextIndex
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Corpus, Sample, Units

Text = str | Sequence[str]
"""A text as hooks give it: a string, or its words."""


def words_of(text: Text) -> tuple[str, ...]:
    """The words of a text, which may be cut into words already."""
    if isinstance(text, str):
        return tuple(word for word, _, _ in split_words(text))
    return tuple(text)


class HookedTask(Task):
    """A task whose samples are made by hooks, where a subclass overrides any of `hooks`.

    The hook for the gold, `right` or `references`, is called only for samples that are annotated:
    a prediction knows no gold.
    """

    hooks: ClassVar[tuple[str, ...]] = ()
    """Names of the methods that say what a sample is."""

    @property
    def is_hooked(self) -> bool:
        """Whether a subclass overrides a hook."""
        declared = next(cls for cls in type(self).__mro__ if "hooks" in vars(cls))
        return any(getattr(type(self), name) is not getattr(declared, name) for name in self.hooks)

    def hooked_sample(self, row: int) -> Sample:
        """The sample that the hooks make of a row, in the form that the kind reads."""
        raise NotImplementedError

    def hooked_labels(self, samples: Sequence[Sample], split: str) -> tuple[str, ...]:
        """Label inventory of what the hooks made; none where actions are no labels."""
        return ()

    def annotate(self, corpus: Corpus) -> Corpus:
        """The corpus with the samples that the hooks make."""
        if not self.is_hooked:
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
    def units(self) -> Units:
        """The texts that the tables number."""
        _ = self.tables  # numbers the texts
        if not self._texts.texts:
            raise DataError(f"{self.corpus.name}: no text in it has a word.")
        return Units.whole(self._texts.texts)
