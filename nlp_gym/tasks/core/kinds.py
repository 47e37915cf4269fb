"""Kinds of tasks: those whose actions are labels, and those whose units are whole texts."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from nlp_gym.errors import DataError, InvalidArgumentError
from nlp_gym.tasks.core.tables import TextIndex
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Units


class LabelTask(Task):
    """A task whose actions are labels: the inventory must not be empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.labels:
            why = "texts without gold need the label inventory"
            if self.has_gold:
                why = "no text of the training split has a label"
            raise InvalidArgumentError(f"labels is empty: {why}, give labels=[...].")


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
        """See `Task.units`."""
        _ = self.tables  # numbers the texts
        if not self._texts.texts:
            raise DataError(f"{self.corpus.name}: no text in it has a word.")
        return Units.whole(self._texts.texts)
