"""Tasks with right and wrong candidates: their shuffled order, their gold, how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nlp_gym.checks import check_int
from nlp_gym.errors import DataError
from nlp_gym.tasks.candidates.picking import PickState, PickTask, shuffled
from nlp_gym.tasks.core.tables import ragged
from nlp_gym.types import BoolArray, Int64Array, Sample

if TYPE_CHECKING:
    from nlp_gym.render import Piece


class Selection(PickTask):
    """Picks among candidates of which some are right.

    The candidates of a row stand in an order drawn by a hash of its text and theirs, so that the
    place of the right one says nothing.

    Args:
        order_seed: Seed of the order; None keeps that of the file.
        **kwargs: Those of `Task`.
    """

    candidates_key: ClassVar[str] = "candidates"
    """Where a sample's `extra` has them."""

    def __init__(self, *, order_seed: int | None = 0, **kwargs: Any) -> None:
        if order_seed is not None:
            order_seed = check_int("order_seed", order_seed, 0, 2**31 - 1)
        self.order_seed = order_seed
        super().__init__(**kwargs)

    def words_of(self, sample: Sample) -> Sequence[Sequence[str]]:
        """The words of every candidate in the file."""
        candidates: Sequence[Sequence[str]] = sample.extra.get(self.candidates_key, ())
        return candidates

    def shown_of(self, sample: Sample) -> Sequence[int]:
        """Which candidates are shown; all by default."""
        return range(len(self.words_of(sample)))

    def select(self, *, argument: str, width: int, limit: int) -> None:
        """Order the candidates and find the right ones.

        Args:
            argument: Name of the argument that sets `width`, for messages.
            width: Most candidates C.
            limit: Most picks of an episode.

        Raises:
            DataError: A row has fewer than 2 or more than C candidates, or no right one.
        """
        orders = []
        for row, sample in enumerate(self.corpus.samples):
            every, some = self.words_of(sample), self.shown_of(sample)
            if not 2 <= len(some) <= width:
                raise DataError(
                    f"{self.title(row)}: {len(some)} candidates, allowed: 2 to {width}. "
                    f"{argument}= sets the most (the same for all splits)."
                )
            # Perturbed texts keep the order of the plain ones: only what is read differs.
            words = sample.extra.get("order_words", sample.words)
            order = shuffled(words, [every[k] for k in some], self.order_seed)
            orders.append([some[k] for k in order])
        self._order = ragged(orders, width)  # (N, C) index in the file of each place
        self.set_candidates([len(order) for order in orders], width, limit)
        self._right: BoolArray = np.zeros(self._order.shape, bool)  # all wrong without gold
        for row, sample in enumerate(self.corpus.samples if self.has_gold else ()):
            self._right[row] = np.isin(self._order[row], self._checked(row, sample))

    def _checked(self, row: int, sample: Sample) -> list[int]:
        """The gold, with a right candidate among those shown."""
        n = len(self.words_of(sample))
        try:
            gold = [int(k) for k in np.atleast_1d(sample.gold)]
        except (TypeError, ValueError):
            gold = []
        if not any(k in self._order[row] for k in gold) or not all(0 <= k < n for k in gold):
            raise DataError(
                f"{self.title(row)}: gold={sample.gold!r}: no right candidate among those shown; "
                f"allowed: indices from 0 to {n - 1}."
            )
        return gold

    def texts(self, row: int) -> list[str]:
        """The candidates of a row in the order shown."""
        words = self.words_of(self._sample(row))
        return [" ".join(words[k]) for k in self._order[row, : self._sizes[row]]]

    def oracle(self, state: PickState) -> Int64Array:
        """(B,) the first right candidate not picked yet; if there is none, the first legal one."""
        self.require_gold("oracle")
        legal = self.mask(state)
        right = self._right.take(state.row, axis=0) & legal
        best: Int64Array = np.where(right.any(axis=1, keepdims=True), right, legal).argmax(axis=1)
        return best

    def outputs(self, state: PickState) -> list[Any]:
        """See `Task.outputs`: the indices in the file of what was picked, in order."""
        order = self._order[state.row].tolist()
        return [
            tuple(at[k] for k in some) for at, some in zip(order, self.picks(state), strict=True)
        ]

    def ranks(self, rows: Sequence[int], outputs: Sequence[Sequence[int]]) -> list[int]:
        """The rank, from 1, of the first right candidate in each output; 0 where there is none."""
        found = []
        for row, output in zip(rows, outputs, strict=True):
            right = set(self._order[row][self._right[row]].tolist())
            found.append(next((i for i, k in enumerate(output, 1) if k in right), 0))
        return found

    def drawn(self, state: PickState, i: int, waiting: Callable[[int], str]) -> list[Piece]:
        """The candidates of episode `i`, a line each.

        Args:
            state: B episodes.
            i: One of them.
            waiting: The mark of a candidate not picked, from its place.
        """
        from nlp_gym.render import Piece

        row, picked = int(state.row[i]), self.picks(state)[i]
        pieces, texts = [], self.texts(row)
        for k, text in enumerate(texts):
            if k not in picked:
                pieces.append(Piece(text, waiting(k), line=True))
                continue
            wrong = self.has_gold and not self._right[row, k]
            gold = texts[int(self._right[row].argmax())] if wrong else ""
            label = f"pick {picked.index(k) + 1}"
            pieces.append(Piece(text, "wrong" if wrong else "chosen", label, gold, line=True))
        return pieces
