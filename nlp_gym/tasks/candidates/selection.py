"""Tasks with right and wrong candidates, and the kinds that pick one of them or several."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_int
from nlp_gym.errors import DataError, shown
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.labels.multilabel import multilabel_f1, set_f1
from nlp_gym.metrics.ranking import choice_accuracy
from nlp_gym.tasks.candidates.picking import PickState, PickTask, shuffled
from nlp_gym.tasks.core.kinds import HookedTask, Text, as_index
from nlp_gym.tasks.core.tables import Tables, ragged
from nlp_gym.tasks.core.task import Output, Played
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Sample

if TYPE_CHECKING:
    from nlp_gym.render import Frame, Piece


class Selection(PickTask, HookedTask):
    """Base class of the tasks that pick among candidates of which some are right.

    The candidates of a row stand in an order drawn by a hash of its text and theirs, so that the
    place of the right one says nothing. Each is a unit of its own, and so is the text of the row,
    which is the context. Subclasses call `select` when they are made.

    Args:
        order_seed: Seed of the order; None keeps that of the file.
        **kwargs: Those of `Task`.
    """

    hooks = ("context", "candidates", "right")
    hooked_family = "choice"
    candidates_key: ClassVar[str] = "candidates"
    """Where a sample's `extra` has its candidates."""
    most_candidates: int = 16
    """Most candidates C of a row; rows with more are an error."""
    limit_argument: ClassVar[str] = "most_candidates"
    """What sets `most_candidates`, for messages."""
    context_texts: int = 1
    """Texts that `read_texts` gives at most."""

    def __init__(self, *, order_seed: int | None = 0, **kwargs: Any) -> None:
        if order_seed is not None:
            order_seed = check_int("order_seed", order_seed, 0, 2**31 - 1)
        self.order_seed = order_seed
        super().__init__(**kwargs)

    # The hooks, and what they make of a sample.

    def context(self, row: int) -> Text:
        """What is read beside the candidates; by default the words of the sample."""
        return self.sample(row).words

    def candidates(self, row: int) -> Sequence[Text]:
        """The candidates, 2 to `most_candidates` texts in any order: the task shuffles them."""
        return self.candidate_words(self.sample(row))

    def right(self, row: int) -> int | Collection[int]:
        """The index in `candidates` of the right one; several indices where several are right."""
        gold: int | Collection[int] = self.sample(row).gold
        return gold

    @override
    def hooked_sample(self, row: int) -> Sample:
        sample = self.sample(row)
        candidates = self._hooked_candidates(row)
        gold = self._hooked_gold(row, len(candidates)) if sample.annotated else None
        words = self.hooked_words("context", row, self.context(row))
        return Sample(words, None, sample.id, {self.candidates_key: candidates}, gold)

    def _hooked_candidates(self, row: int) -> tuple[tuple[str, ...], ...]:
        given = self.hooked_list("candidates", row, self.candidates(row), "a list of texts")
        if not 2 <= len(given) <= self.most_candidates:
            raise self.hook_error(
                "candidates",
                row,
                f"gave {len(given)} candidates, {shown(given)}; allowed: 2 to "
                f"{self.most_candidates}. The class attribute most_candidates sets the most.",
            )
        return tuple(
            self.hooked_words("candidates", row, text, f" as candidate {k}")
            for k, text in enumerate(given)
        )

    def _hooked_gold(self, row: int, n: int) -> tuple[int, ...]:
        given = self.right(row)
        several = isinstance(given, Collection) and not isinstance(given, str)
        indices = [as_index(k, n) for k in (given if several else [given])]  # type: ignore[union-attr]
        gold = tuple(k for k in indices if k is not None)
        if not gold or len(gold) < len(indices):
            raise self.hook_error(
                "right",
                row,
                f"gave {shown(given)}; allowed: an index of candidates({row}), an integer from 0 "
                f"to {n - 1}, or several of them.",
            )
        return gold

    # Candidates in the order shown.

    def candidate_words(self, sample: Sample) -> Sequence[Sequence[str]]:
        """The words of every candidate in the file."""
        candidates: Sequence[Sequence[str]] = sample.extra.get(self.candidates_key, ())
        return candidates

    def candidates_shown(self, sample: Sample) -> Sequence[int]:
        """Which candidates are shown; all by default."""
        return range(len(self.candidate_words(sample)))

    def read_texts(self, sample: Sample) -> Sequence[Sequence[str]]:
        """The texts of the context, at most `context_texts`."""
        return [sample.words]

    def select(self, limit: int) -> None:
        """Order the candidates and find the right ones.

        Args:
            limit: Most picks of an episode.

        Raises:
            DataError: A row has fewer than 2 or more than C candidates, or no right one.
        """
        width, orders = self.most_candidates, []
        for row, sample in enumerate(self.corpus.samples):
            every, some = self.candidate_words(sample), self.candidates_shown(sample)
            if not 2 <= len(some) <= width:
                raise DataError(
                    f"{self.title(row)}: {len(some)} candidates, allowed: 2 to {width}. "
                    f"{self.limit_argument}= sets the most (the same for all splits)."
                )
            # Perturbed texts keep the order of the plain ones: only what is read differs.
            words = sample.extra.get("order_words", sample.words)
            order = shuffled(words, [every[k] for k in some], self.order_seed)
            orders.append([some[k] for k in order])
        self._order = ragged(orders, width)  # (N, C) index in the file of each place
        self.set_candidates([len(order) for order in orders], width, limit)
        self._right: BoolArray = np.zeros(self._order.shape, bool)  # all wrong without gold
        for row, sample in enumerate(self.corpus.samples if self.has_gold else ()):
            self._right[row] = np.isin(self._order[row], self._checked_gold(row, sample))

    def _checked_gold(self, row: int, sample: Sample) -> list[int]:
        """The gold, with a right candidate among those shown."""
        n = len(self.candidate_words(sample))
        try:
            gold = [int(k) for k in np.atleast_1d(sample.gold)]
        except Exception:  # what is no number raises many kinds
            gold = []
        if not any(k in self._order[row] for k in gold) or not all(0 <= k < n for k in gold):
            raise DataError(
                f"{self.title(row)}: gold={shown(sample.gold)}: no right candidate among those "
                f"shown; allowed: indices from 0 to {n - 1}."
            )
        return gold

    @cached_property
    @override
    def tables(self) -> Tables:
        """One slot per row: the texts of its context, and a unit for each candidate."""
        add, contexts, candidates = self._texts.add, [], []
        for sample, order in zip(self.corpus.samples, self._order.tolist(), strict=True):
            contexts.append([add(text) for text in self.read_texts(sample)])
            words = self.candidate_words(sample)
            candidates.append([add(words[k]) for k in order if k >= 0])
        n = len(contexts)
        return Tables.build(
            len(self._texts.texts),
            offsets=np.arange(n),
            context=np.zeros((n, 0), int),
            row_units=ragged(contexts, self.context_texts),
            candidates=ragged(candidates, self.n_candidates)[:, :, None],
        )

    # What is right, and what was picked.

    @override
    def oracle(self, state: PickState) -> Int64Array:
        """(B,) the first right candidate not picked yet; if there is none, the first legal one."""
        self.require_gold("oracle")
        legal = self.mask(state)
        right = self._right.take(state.row, axis=0) & legal
        best: Int64Array = np.where(right.any(axis=1, keepdims=True), right, legal).argmax(axis=1)
        return best

    @override
    def outputs(self, state: PickState) -> list[Any]:
        """The indices in the file of what was picked in each episode, in the order of picking."""
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

    def file_texts(self, row: int) -> list[str]:
        """The candidates of a row in the order of the file."""
        return [" ".join(words) for words in self.candidate_words(self.sample(row))]

    def order_shown(self, row: int) -> list[int]:
        """The indices in the file of a row's candidates, in the order shown."""
        order: list[int] = self._order[row, : self._sizes[row]].tolist()
        return order

    @override
    def texts(self, row: int) -> list[str]:
        """The candidates of a row in the order shown."""
        texts = self.file_texts(row)
        return [texts[k] for k in self.order_shown(row)]

    # Drawing.

    @override
    def frame(self, state: PickState, i: int) -> Frame:
        """The context and the candidates, one line each."""
        from nlp_gym.render import Frame

        row, n = int(state.row[i]), int(state.count[i])
        limit = int(self._limits[row])
        pieces = self.context_pieces(row)
        pieces += self.candidate_pieces(state, i, lambda k: "here" if n < limit else "dim")
        return Frame(self.title(row), f"pick {n}/{limit}", pieces)

    def context_pieces(self, row: int) -> list[Piece]:
        """The context of a row for people."""
        from nlp_gym.render import Piece

        return [Piece(" ".join(self.sample(row).words))]

    def candidate_pieces(
        self, state: PickState, i: int, waiting: Callable[[int], str]
    ) -> list[Piece]:
        """The candidates of episode `i` in the order shown, one line each.

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


class PickOne(Selection):
    """A kind of task: one candidate of a row is picked, in one decision.

    A subclass says with `family` which files it reads, and overrides `candidates` and `right`, and
    `context` where what is read beside the candidates is not the sample's words::

        class LongestWord(PickOne):
            family = "tagging"

            def candidates(self, row):
                return list(self.sample(row).words[:3]) + ["another"]

            def right(self, row):
                words = self.candidates(row)
                return words.index(max(words, key=len))

    The score is accuracy over rows.
    """

    metric_name = "accuracy"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.select(limit=1)

    @override
    def play(self, state: PickState, actions: Int64Array) -> Played:
        """The pick ends the episode."""
        ended = self.pick(state, actions)
        right = self._right[state.row, actions].astype(np.float64)
        return (right if self.has_gold else None), 0.0, ended

    @override
    def potential(self, state: PickState) -> Float64Array:
        """(B,) 1 where a right candidate was picked."""
        right: BoolArray = np.any(self._right[state.row] & state.chosen, axis=1)
        return right.astype(np.float64)

    @override
    def outputs(self, state: PickState) -> list[Output]:
        """The index of the pick in the order of `candidates`; -1 before there is one."""
        return [picked[0] if picked else -1 for picked in super().outputs(state)]

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """Accuracy, and that of guessing."""
        right = np.array(self.ranks(rows, [(picked,) for picked in outputs])) == 1
        sizes = self._sizes[list(rows)]
        return choice_accuracy(right, sizes, bootstrap=bootstrap, report=report)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The text that was picked and its index."""
        texts = self.file_texts(row)
        picked = texts[output] if output >= 0 else None
        return {"picked": picked, "index": output, "candidates": texts}


class PickSeveral(Selection):
    """A kind of task: candidates of a row are picked one by one, then STOP.

    A subclass says with `family` which files it reads, and overrides `candidates` and `right`, and
    `context` where what is read beside the candidates is not the sample's words; at least one
    candidate is right::

        class CapitalWords(PickSeveral):
            family = "tagging"

            def candidates(self, row):
                return list(self.sample(row).words[:3]) + ["Another"]

            def right(self, row):
                words = self.candidates(row)
                return [k for k, word in enumerate(words) if word[0].isupper()]

    The score is the micro-averaged F1 of the picks, the potential the F1 of the row's picks so far.
    """

    metric_name = "multilabel_f1"
    stop = True
    further_actions = ("stop",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.select(limit=self.most_candidates)

    @override
    def oracle(self, state: PickState) -> Int64Array:
        """(B,) the first right candidate not picked yet, else STOP where it is legal."""
        self.require_gold("oracle")
        left = self._right.take(state.row, axis=0) & ~state.chosen
        some, stop = left.any(axis=1), self.n_candidates
        return np.where(some, left.argmax(axis=1), np.where(state.count > 0, stop, 0))

    @override
    def play(self, state: PickState, actions: Int64Array) -> Played:
        """A pick, or STOP, which is right where exactly the gold was picked."""
        stopped = actions == self.n_candidates
        right = self._right[state.row, np.minimum(actions, self.n_candidates - 1)]
        ended = self.pick(state, actions, ~stopped) | stopped
        if not self.has_gold:
            return None, 0.0, ended
        exact = (self._right[state.row] == state.chosen).all(axis=1)
        return np.where(stopped, exact, right).astype(np.float64), 0.0, ended

    @override
    def potential(self, state: PickState) -> Float64Array:
        """(B,) F1 of what was picked so far; 0 before the first pick."""
        gold = self._right[state.row]
        right = (gold & state.chosen).sum(axis=1)
        counts = np.stack([right, state.chosen.sum(axis=1), gold.sum(axis=1)], axis=1)
        return np.where(state.count > 0, set_f1(counts), 0.0)

    @override
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

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The texts that were picked and their indices, in the order of picking."""
        texts = self.file_texts(row)
        picked = [texts[k] for k in output]
        return {"picked": picked, "indices": list(output), "candidates": texts}
