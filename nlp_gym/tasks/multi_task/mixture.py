"""The tasks of a mixture: their ids, weights, labels and descriptions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.encode import encode_units
from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown
from nlp_gym.tasks.core.tables import Tables, TextIndex
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Encoded, Int64Array, Units


def checked_task_kwargs(kwargs: object, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Arguments by id, for some of `ids`, or `InvalidArgumentError`."""
    if not isinstance(kwargs, Mapping) or not all(isinstance(v, Mapping) for v in kwargs.values()):
        raise InvalidArgumentError(
            f"task_kwargs={shown(kwargs)} must map ids to arguments, such as {{{shown(ids[0])}: "
            "{...}}."
        )
    for env_id in kwargs:
        if env_id not in ids:
            raise UnknownNameError("id in task_kwargs", env_id, ids)
    return {env_id: dict(values) for env_id, values in kwargs.items()}


def checked_ids(tasks: Sequence[str]) -> tuple[str, ...]:
    """Different ids, or `InvalidArgumentError`."""
    ids = tuple(tasks) if isinstance(tasks, (list, tuple)) else ()
    names = {name for name in ids if isinstance(name, str)}
    if not ids or len(names) < len(ids) or "MultiTask-v0" in names:
        raise InvalidArgumentError(
            f"tasks={shown(tasks)} must be a list of different ids, such as "
            "['Question-TREC-v0', 'POS-EWT-v0']."
        )
    return ids


def shares_of(weights: Sequence[float] | None, sizes: Int64Array) -> Int64Array:
    """Rows of each task: as many in all as there are samples, in the proportion of the weights."""
    try:
        given = np.ones(len(sizes)) if weights is None else np.asarray(weights, float)
    except Exception:  # what is no list of numbers raises many kinds
        given = np.zeros(0)
    if given.shape != sizes.shape or not (np.isfinite(given).all() and (given > 0).all()):
        raise InvalidArgumentError(
            f"weights={shown(weights)} must be {len(sizes)} numbers above 0, one for each of the "
            "tasks."
        )
    shares = np.rint(sizes.sum() * given / given.sum()).astype(np.int64)
    return np.asarray(np.maximum(shares, 1))


def checked_shape(shape: object) -> tuple[int, ...]:
    """Three numbers from 1 to 64, or `InvalidArgumentError`."""
    numbers = tuple(shape) if isinstance(shape, (list, tuple)) else ()
    if len(numbers) != 3 or not all(type(n) is int and 1 <= n <= 64 for n in numbers):
        raise InvalidArgumentError(
            f"shape={shown(shape)} must be three numbers from 1 to 64: units of a row, of a slot "
            "and of a candidate, such as (2, 3, 2)."
        )
    return numbers


_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+|[^\W_]+")


def describe(label: str) -> tuple[str, ...]:
    """The words of a label's name: ``"transfer_money"`` and ``"TransferMoney"`` alike."""
    words = tuple(part.lower() for part in _PARTS.findall(label))
    return words or (label,)


class Mixture:
    """Units and tables of several tasks over one encoder.

    Args:
        tasks: The tasks.
        descriptions: Words for a label where its name does not say what it means.
        shape: Units of a row, of a slot and of a candidate that there is room for.

    Attributes:
        texts: Descriptions of actions that are not candidates of their task, such as labels.
        shifts: (n+1,) number of units before those of each task; last: of all of them.
        slots: (n+1,) number of slots before those of each task; last: of all of them.
    """

    def __init__(
        self, tasks: Sequence[Task], descriptions: Mapping[str, str], shape: Sequence[int]
    ) -> None:
        self.tasks, self.texts, self.shape = tasks, TextIndex(), tuple(shape)
        for task in tasks:
            _check_fits(task, self.shape)
        _check_descriptions(descriptions)
        self.n_actions = max(task.n_actions for task in tasks)
        self.shifts = np.cumsum([0, *(len(task.units) for task in tasks)])
        self.slots = np.cumsum([0, *(len(task.tables.context) for task in tasks)])
        self._actions = [
            np.array([self._describe(name, descriptions) for name in self._names(task)], np.int64)
            for task in tasks
        ]

    def _names(self, task: Task) -> list[str]:
        """Actions that have a name: labels, and what comes after labels or candidates."""
        first = 0 if task.tables.candidates is None else task.tables.candidates.shape[1]
        return [task.action_name(i) for i in range(first, task.n_actions)]

    def _describe(self, name: str, descriptions: Mapping[str, str]) -> int:
        return self.texts.add(tuple(descriptions.get(name, "").split()) or describe(name))

    def tables(self, which: Int64Array, local: Int64Array) -> Tables:
        """Tables of the mixture's rows: sample `local` (N,) of task `which` (N,)."""
        own, near, units = self.shape
        context = np.full((self.slots[-1], near), -1, np.int32)
        rows = np.full((len(which), own), -1, np.int32)
        by_slot = any(t.tables.candidates is not None and t.tables.by == "slot" for t in self.tasks)
        entries = int(self.slots[-1]) if by_slot else len(which)
        candidates = np.full((entries, self.n_actions, units), -1, np.int32)
        offsets = np.zeros(len(which), np.int64)
        for k, task in enumerate(self.tasks):
            at, tables = np.flatnonzero(which == k), task.tables
            slots = np.arange(self.slots[k], self.slots[k + 1])
            context[slots, : tables.context.shape[1]] = self._moved(k, tables.context)
            offsets[at] = tables.offsets[local[at]] + self.slots[k]
            if tables.row_units is not None:
                rows[at, : tables.row_units.shape[1]] = self._moved(k, tables.row_units[local[at]])
            self._fill(candidates, k, slots if by_slot else at, local[at], by_slot=by_slot)
        return Tables.build(
            int(self.shifts[-1]) + len(self.texts.texts),
            offsets=offsets,
            context=context,
            row_units=rows,
            candidates=candidates,
            by="slot" if by_slot else "row",
        )

    def _fill(
        self,
        candidates: npt.NDArray[np.int32],
        k: int,
        entries: Int64Array,
        local: Int64Array,
        *,
        by_slot: bool,
    ) -> None:
        """Candidates of task k: its own, then the descriptions of its named actions."""
        tables, first = self.tasks[k].tables, 0
        if tables.candidates is not None:
            own = tables.candidates
            if not by_slot:
                own = own[local]
            elif tables.by == "row":  # each slot of a row has the row's
                starts = np.append(tables.offsets, len(tables.context))
                own = np.repeat(own, np.diff(starts), axis=0)
            _, first, width = own.shape
            candidates[entries, :first, :width] = self._moved(k, own)
        named = self.shifts[-1] + self._actions[k]
        candidates[entries, first : first + len(named), 0] = named

    def _moved(self, k: int, units: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Units of task k as numbers of the mixture; its zero unit as -1."""
        return np.where(units == len(self.tasks[k].units), -1, units + self.shifts[k])

    def units(self) -> Units:
        """Texts and spans of all units, in the mixture's order."""
        texts: list[Sequence[str]] = []
        spans = []
        for units in [*(task.units for task in self.tasks), Units.whole(self.texts.texts)]:
            spans.append(_spans(units) + np.array([len(texts), 0, 0]))
            texts += units.texts
        return Units(texts, np.concatenate(spans))

    def encode(self, encoder: Any, **options: Any) -> Encoded:
        """Vectors of all units; each task's through its own cache entry."""
        parts = [task.encode(**options).features[:-1] for task in self.tasks]
        if self.texts.texts:
            named = encode_units(Units.whole(self.texts.texts), encoder, **options)
            parts.append(named.features[:-1])
        features = np.concatenate([*parts, np.zeros((1, encoder.dim), parts[0].dtype)])
        return Encoded(features, np.arange(len(features)))


def _check_fits(task: Task, shape: tuple[int, ...]) -> None:
    """Raise `InvalidArgumentError` where a task cannot be part of a mixture of this shape."""
    if task.masks is not None:
        raise InvalidArgumentError(
            f"tasks: {task.corpus.name} ({type(task).__name__}) writes texts token by token; a "
            "mixture takes tasks that choose among labels or candidates."
        )
    tables = task.tables
    if tables.named is not None:
        raise InvalidArgumentError(
            f"tasks: {task.corpus.name} ({type(task).__name__}) shows words that its states name; "
            "a mixture takes tasks whose units follow from the place in the text."
        )
    if len(tables.offsets) > 1 and not (np.diff(tables.offsets) > 0).all():
        raise InvalidArgumentError(
            f"tasks: {task.corpus.name} ({type(task).__name__}) has places that belong to no "
            "sample, such as the entities of a graph; a mixture takes tasks over texts."
        )
    needed = (
        0 if tables.row_units is None else int(tables.row_units.shape[1]),
        int(tables.context.shape[1]),
        1 if tables.candidates is None else int(tables.candidates.shape[2]),
    )
    if any(n > room for n, room in zip(needed, shape, strict=True)):
        raise InvalidArgumentError(
            f"shape={shape} has no room for {task.corpus.name}, which shows {needed} units (of a "
            "row, of a slot, of a candidate): give a larger shape."
        )


def _spans(units: Units) -> npt.NDArray[np.int64]:
    if units.spans is not None:
        return units.spans
    places = [(t, i, i + 1) for t, text in enumerate(units.texts) for i in range(len(text))]
    return np.array(places, np.int64).reshape(-1, 3)


def _check_descriptions(descriptions: object) -> None:
    if not isinstance(descriptions, Mapping) or not all(
        isinstance(text, str) for pair in descriptions.items() for text in pair
    ):
        raise InvalidArgumentError(
            f"descriptions={shown(descriptions)} must map labels to texts, such as "
            "{'NUM': 'a number or an amount'}."
        )
