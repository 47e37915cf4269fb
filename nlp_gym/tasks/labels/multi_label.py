"""Multi-label classification: add labels one by one, then stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_int
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.labels.multilabel import multilabel_f1, set_f1
from nlp_gym.tasks.core.gold import gold_sets
from nlp_gym.tasks.core.kinds import LabelTask, UnitTask
from nlp_gym.tasks.core.tables import Extra, Tables
from nlp_gym.tasks.core.task import Output, Played, State
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation

if TYPE_CHECKING:
    from nlp_gym.render import Frame


@dataclass
class MultiLabelState(State):
    """State of B texts.

    Attributes:
        chosen: (B, A-1) bool labels chosen.
        stopped: (B,) bool whether STOP was said.
        counts: (B, 2) int64 numbers of right and of chosen labels.
    """

    chosen: BoolArray
    stopped: BoolArray
    counts: Int64Array


class MultiLabel(UnitTask, LabelTask):
    """Multi-label classification as a decision process.

    ## Description
    The agent sees a whole text and adds labels one at a time, in any order, then stops: a set is
    built by decisions that see one another, as in classifier chains (Read et al. 2011).

    ## Data
    Texts with a set of labels each, which may be empty: GoEmotions (28 labels), AAPD, your CSV or
    TSV (columns `text`, `labels`: `a;b`) or JSON Lines (`{"text", "labels": [...]}`). Gold labels
    that the inventory lacks are counted as missed.

    ## Observation Space
    `Dict`, with A actions, D = width of the encoder, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the action is legal now |
    | features | `chosen` | (A-1,) | float32 | 1 where a label is chosen |
    | features | `context` | (D,) | float32 | mean vector of the text's words |
    | tokens | `input_ids`, `attention_mask` | (1, L) | int32, int8 | sub-words of the text |
    | tokens, index | `chosen` | (A-1,) | int32 | 1 where a label is chosen |
    | index | `row`, `position` | (1,) | int32 | text; always 0 |

    ## Action Space
    `Discrete(A)`: the labels, numbered as `task.labels`, then STOP.

    ## Action Mask
    A label is legal once; STOP always. A label chosen already is played as STOP.

    ## Rewards
    - `correctness` (default): 1 for a gold label, 1 for STOP on exactly the gold set; else 0.
    - `metric`: change of the F1 of the set, 0 at the start; `sparse`: that F1, at the end. An empty
      set scores at STOP: 1 if the gold set is empty too.

    The expert adds the gold labels in the order of the inventory, then stops.

    ## Starting State
    No label.

    ## Episode End
    STOP, or label number `max_labels`; a warning counts texts that have more.

    ## Metric
    Micro-averaged F1 over labels. The report has macro F1 (over labels in gold or prediction), the
    mean F1 of texts, the share of exact sets, the table of up to 60 labels.

    ## Information
    `info["score"]` at the end: the F1 of the set. For the rest see `Task`.

    ## Arguments
    Those of `Task`; `max_labels` (5): the most labels of a text.

    ## Registered Ids
    `MultiLabel-GoEmotions-v0`, `MultiLabel-v0`

    ## Version History
    * v0: initial version.
    """

    family = "multilabel"
    reads_text = True
    trace_view = "labels"
    metric_name = "multilabel_f1"
    default_layers: ClassVar[Any] = (2, 4, 6)

    def __init__(self, *, max_labels: int = 5, **kwargs: Any) -> None:
        check_int("max_labels", max_labels, 1, 1000)
        super().__init__(**kwargs)
        self.max_labels = min(int(max_labels), len(self.labels))
        self._gold = gold_sets(self.corpus.samples, self.labels, most=max_labels)
        self.extras = {"chosen": Extra(len(self.labels), 1)}

    @property
    @override
    def n_actions(self) -> int:
        """Labels, and STOP."""
        return len(self.labels) + 1

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) most decisions: `max_labels`, as the last label ends the episode."""
        return np.full(len(self.corpus), self.max_labels, np.int64)

    @cached_property
    @override
    def tables(self) -> Tables:
        """One slot per text."""
        numbers = (self._texts.add(sample.words) for sample in self.corpus.samples)
        context = np.fromiter(numbers, np.int32)[:, None]
        self._texts.seal()
        offsets = np.arange(len(context))
        return Tables.build(len(self._texts.texts), offsets=offsets, context=context)

    @override
    def initial(self, rows: Int64Array) -> MultiLabelState:
        b = len(rows)
        return MultiLabelState(
            **self.state_fields(rows),
            chosen=np.zeros((b, len(self.labels)), bool),
            stopped=np.zeros(b, bool),
            counts=np.zeros((b, 2), np.int64),
        )

    @override
    def mask(self, state: MultiLabelState) -> BoolArray:
        """(B, A) labels not chosen yet, and STOP; after the end STOP alone."""
        over = self._over(state)
        legal = ~(state.chosen | over[:, None])
        return np.concatenate([legal, np.ones((len(over), 1), bool)], axis=1)

    def _over(self, state: MultiLabelState) -> BoolArray:
        """(B,) whether no label can be added any more."""
        over: BoolArray = state.stopped | (state.counts[:, 1] >= self.max_labels)
        return over

    @override
    def repair(self, state: MultiLabelState, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """STOP is played for a label that was chosen already."""
        label = np.minimum(actions, len(self.labels) - 1)
        used = state.chosen[np.arange(len(actions)), label] | self._over(state)
        illegal = used & (actions < len(self.labels))
        return np.where(illegal, len(self.labels), actions), illegal

    @override
    def oracle(self, state: MultiLabelState) -> Int64Array:
        """(B,) the first gold label not chosen yet, else STOP."""
        self.require_gold("oracle")
        missing = self._gold.flags(state.row) & ~state.chosen
        return np.where(missing.any(axis=1), missing.argmax(axis=1), len(self.labels))

    @override
    def play(self, state: MultiLabelState, actions: Int64Array) -> Played:
        stop = actions == len(self.labels)
        where = np.flatnonzero(~stop)
        added = actions[where]
        good = np.zeros(len(actions), bool)
        good[where] = self._gold.have(state.row[where], added)
        state.chosen[where, added] = True
        state.counts[:, 0] += good
        state.counts[:, 1] += ~stop
        state.stopped |= stop
        ended = stop | (state.counts[:, 1] >= self.max_labels)
        if not self.has_gold:
            return None, 0.0, ended
        exact = (state.counts == self._gold.sizes.take(state.row)[:, None]).all(axis=1)
        return np.where(stop, exact, good).astype(np.float64), 0.0, ended

    @override
    def potential(self, state: MultiLabelState) -> Float64Array:
        counts = np.concatenate([state.counts, self._gold.sizes.take(state.row)[:, None]], axis=1)
        decided = state.stopped | (state.counts[:, 1] > 0)
        return np.where(decided, set_f1(counts), 0.0)

    @override
    def extra(self, state: MultiLabelState) -> Observation:
        """The labels chosen."""
        return {"chosen": state.chosen.astype(np.int32)}

    @override
    def outputs(self, state: MultiLabelState) -> list[Output]:
        """Each output is a tuple of the labels chosen, in the order of the inventory."""
        return [tuple(self.labels[k] for k in np.flatnonzero(row)) for row in state.chosen]

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        gold = [self.sample(row).labels or () for row in rows]
        return multilabel_f1(gold, outputs, bootstrap=bootstrap, report=report)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        return {"labels": list(output)}

    @override
    def action_text(self, state: MultiLabelState, i: int, action: int) -> str:
        return "STOP" if action == len(self.labels) else self.labels[action]

    @override
    def frame(self, state: MultiLabelState, i: int) -> Frame:
        from nlp_gym.render import Frame, Piece

        row, (chosen,) = int(state.row[i]), self.outputs(state.take(np.array([i])))
        sample = self.sample(row)
        gold = chosen if sample.labels is None else sample.labels
        marks = ["chosen" if label in gold else "wrong" for label in chosen]
        pieces = [Piece(" ".join(sample.words), "plain" if state.stopped[i] else "here")]
        pieces += [Piece("+", *pair, line=True) for pair in zip(marks, chosen, strict=True)]
        if state.stopped[i]:
            pieces.append(Piece("STOP", "chosen", line=True))
        return Frame(self.title(row), f"labels {len(chosen)}/{self.max_labels}", pieces)
