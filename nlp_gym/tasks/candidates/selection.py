"""Tasks with right and wrong candidates, and the kinds that pick one of them or several."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nlp_gym.checks import check_int
from nlp_gym.errors import DataError
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.labels.multilabel import multilabel_f1, set_f1
from nlp_gym.metrics.ranking import choice_accuracy
from nlp_gym.tasks.candidates.picking import PickState, PickTask, shuffled
from nlp_gym.tasks.core.kinds import HookedTask, Text, words_of
from nlp_gym.tasks.core.tables import Tables, ragged
from nlp_gym.tasks.core.task import Output, Played
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Sample

if TYPE_CHECKING:
    from nlp_gym.render import Frame, Piece


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
        words = self.words_of(self.sample(row))
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


class PickKind(Selection, HookedTask):
    """What `PickOne` and `PickSeveral` share: the hooks, and one slot per row.

    The context is the text of the row, each candidate a unit of its own.
    """

    hooks = ("context", "candidates", "right")
    most_candidates: int = 16
    """Most candidates C of a row; rows with more are an error."""
    limit_argument: ClassVar[str] = "most_candidates"
    """What sets the most candidates, for messages."""

    def context(self, row: int) -> Text:
        """What is read beside the candidates."""
        return self.sample(row).words

    def candidates(self, row: int) -> Sequence[Text]:
        """The candidates of a row, 2 to `most_candidates`, in any order: they are shuffled."""
        return self.words_of(self.sample(row))

    def right(self, row: int) -> int | Collection[int]:
        """Which candidates are right, as indices of `candidates`."""
        gold: int | Collection[int] = self.sample(row).gold
        return gold

    def hooked_sample(self, row: int) -> Sample:
        """The context, with candidates where the kind looks for them."""
        sample = self.sample(row)
        candidates = tuple(words_of(text) for text in self.candidates(row))
        gold = self.right(row) if sample.annotated else None
        if isinstance(gold, Collection):
            gold = tuple(gold)
        extra = {self.candidates_key: candidates}
        return Sample(words_of(self.context(row)), None, sample.id, extra, gold)

    @cached_property
    def tables(self) -> Tables:
        """One slot per row: its context, and a unit for each candidate."""
        add, n = self._texts.add, len(self.corpus)
        contexts = [[add(sample.words)] for sample in self.corpus.samples]
        shown = [
            [add(self.words_of(sample)[k]) for k in order if k >= 0]
            for sample, order in zip(self.corpus.samples, self._order.tolist(), strict=True)
        ]
        return Tables.build(
            len(self._texts.texts),
            offsets=np.arange(n),
            context=np.zeros((n, 0), int),
            row_units=contexts,
            candidates=ragged(shown, self.n_candidates)[:, :, None],
        )

    def frame(self, state: PickState, i: int) -> Frame:
        """The context and the candidates, a line each."""
        from nlp_gym.render import Frame, Piece

        row, n = int(state.row[i]), int(state.count[i])
        limit = int(self._limits[row])
        pieces = [Piece(" ".join(self.sample(row).words))]
        pieces += self.drawn(state, i, lambda k: "here" if n < limit else "dim")
        return Frame(self.title(row), f"pick {n}/{limit}", pieces)

    def _texts_of(self, row: int) -> list[str]:
        """The candidates in the order of `candidates`."""
        return [" ".join(words) for words in self.words_of(self.sample(row))]


class PickOne(PickKind):
    """A kind of task: one candidate of a row is picked, in one decision.

    A subclass overrides `candidates` and `right`. The score is accuracy over rows.
    """

    metric_name = "accuracy"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.select(argument=self.limit_argument, width=self.most_candidates, limit=1)

    def play(self, state: PickState, actions: Int64Array) -> Played:
        """The pick ends the episode."""
        ended = self.pick(state, actions)
        right = self._right[state.row, actions].astype(np.float64)
        return (right if self.has_gold else None), 0.0, ended

    def potential(self, state: PickState) -> Float64Array:
        """(B,) 1 where a right candidate was picked."""
        right: BoolArray = np.any(self._right[state.row] & state.chosen, axis=1)
        return right.astype(np.float64)

    def outputs(self, state: PickState) -> list[Output]:
        """The index of the pick in the order of `candidates`; -1 before there is one."""
        return [picked[0] if picked else -1 for picked in super().outputs(state)]

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """Accuracy, and that of guessing."""
        right = np.array(self.ranks(rows, [(picked,) for picked in outputs])) == 1
        sizes = self._sizes[list(rows)]
        return choice_accuracy(right, sizes, bootstrap=bootstrap, report=report)

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The text that was picked and its index."""
        texts = self._texts_of(row)
        picked = texts[output] if output >= 0 else None
        return {"picked": picked, "index": output, "candidates": texts}


class PickSeveral(PickKind):
    """A kind of task: candidates of a row are picked one by one, then STOP.

    A subclass overrides `candidates` and `right`; at least one candidate is right. The score is
    the micro-averaged F1 of the picks, the potential the F1 of the row's picks so far.
    """

    metric_name = "multilabel_f1"
    stop = True
    further_actions = ("stop",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        width = self.most_candidates
        self.select(argument=self.limit_argument, width=width, limit=width)

    def oracle(self, state: PickState) -> Int64Array:
        """(B,) the first right candidate not picked yet, else STOP where it is legal."""
        self.require_gold("oracle")
        left = self._right.take(state.row, axis=0) & ~state.chosen
        some, stop = left.any(axis=1), self.n_candidates
        return np.where(some, left.argmax(axis=1), np.where(state.count > 0, stop, 0))

    def play(self, state: PickState, actions: Int64Array) -> Played:
        """A pick, or STOP, which is right where exactly the gold was picked."""
        stopped = actions == self.n_candidates
        right = self._right[state.row, np.minimum(actions, self.n_candidates - 1)]
        ended = self.pick(state, actions, ~stopped) | stopped
        if not self.has_gold:
            return None, 0.0, ended
        exact = (self._right[state.row] == state.chosen).all(axis=1)
        return np.where(stopped, exact, right).astype(np.float64), 0.0, ended

    def potential(self, state: PickState) -> Float64Array:
        """(B,) F1 of what was picked so far; 0 before the first pick."""
        gold = self._right[state.row]
        right = (gold & state.chosen).sum(axis=1)
        counts = np.stack([right, state.chosen.sum(axis=1), gold.sum(axis=1)], axis=1)
        return np.where(state.count > 0, set_f1(counts), 0.0)

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """F1 of the picks; places of candidates are no classes, so it has no table of them."""
        gold = [[str(k) for k in self._order[row][self._right[row]].tolist()] for row in rows]
        picked = [[str(k) for k in output] for output in outputs]
        score = multilabel_f1(gold, picked, bootstrap=bootstrap, report=report)
        kept = {k: v for k, v in score.report.items() if k not in ("macro_f1", "labels")}
        text = "".join(f"{name}: {figure:.4f}\n" for name, figure in kept.items())
        return replace(score, report=kept, text=text)

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The texts that were picked and their indices, in the order of picking."""
        texts = self._texts_of(row)
        picked = [texts[k] for k in output]
        return {"picked": picked, "indices": list(output), "candidates": texts}
