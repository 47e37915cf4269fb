"""Relations between the entities of a sentence, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from nlp_gym.checks import check_bool, check_int
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.labels.relations import RelationF1
from nlp_gym.tasks.core.gold import expert_labels, index_gold
from nlp_gym.tasks.core.kinds import LabelTask
from nlp_gym.tasks.core.tables import Extra, Tables, index_type
from nlp_gym.tasks.core.task import Focus, Output, Played, State
from nlp_gym.tasks.relation.pair_tables import PairTables
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation, Sample, Units

if TYPE_CHECKING:
    from nlp_gym.knowledge import KnowledgeBase
    from nlp_gym.render import Frame


def pair_frame(title: str, sample: Sample, labels: Sequence[str], none: str) -> Frame:
    """The frame of a sentence: the current pair marked in it, decisions below, one line each.

    Right decisions for no relation are left out, but for the last one.

    Args:
        title: As in `Frame`.
        sample: The sentence.
        labels: Decisions so far, one for each of the first pairs.
        none: The label of no relation.
    """
    from nlp_gym.render import Frame, Piece

    pairs, done = sample.extra["pairs"], len(labels)
    marks = {}
    if done < len(pairs):
        a, b, c, d = pairs[done]
        marks = dict.fromkeys(range(c, d), "tail") | dict.fromkeys(range(a, b), "head")
    pieces = [
        Piece(word, "here" if i in marks else "plain", marks.get(i, ""))
        for i, word in enumerate(sample.words)
    ]
    for i, label in enumerate(labels):
        gold = label if sample.labels is None else sample.labels[i]
        if label == gold == none and i < done - 1:
            continue
        a, b, c, d = pairs[i]
        text = f"{' '.join(sample.words[a:b])} -> {' '.join(sample.words[c:d])}"
        wrong = label != gold
        mark = "wrong" if wrong else "chosen"
        pieces.append(Piece(text, mark, label, gold if wrong else "", line=True))
    return Frame(title, f"pair {done}/{len(pairs)}", pieces)


@dataclass
class RelationState(State):
    """State of B sentences.

    Attributes:
        played: (B, P) integers, labels so far; see `index_type`.
        related: (B, E+1) bool entities that have a relation.
        counts: (B, 3) int32 counts of the metric.
    """

    played: npt.NDArray[np.signedinteger[Any]]
    related: BoolArray
    counts: npt.NDArray[np.int32]


class Relation(LabelTask):
    """Relation classification as a decision process.

    ## Description
    The agent goes through the ordered pairs of entities of a sentence, by the head's place and then
    by the tail's, and gives each one relation or the label of none. It sees what it decided on
    earlier pairs (as in SEARN, Daumé III et al. 2009). Entities are input, and so are their types
    in CoNLL04, as in its gold-entity setting (Roth and Yih 2004); they are no part of the gold.

    ## Data
    Sentences with pairs and one label per pair. SemEval-2010 Task 8: one pair per sentence, its
    direction in the label (Hendrickx et al. 2010). CoNLL04: all ordered pairs of gold entities,
    however many. Your JSON Lines: `{"text" or "words", "relations": [{"head": [start, end], "tail":
    [start, end], "label"}], "entities": [[start, end, type]]}`, offsets in characters with `text`,
    in words with `words`, ends exclusive. With `entities` all their ordered pairs are decided,
    `NONE` unless listed; without, the listed pairs are. A sentence without two entities has no
    decision and is left out, which changes no score. Gold labels that the inventory lacks are
    counted as missed.

    ## Observation Space
    `Dict`, with A labels, H = `history_length`, D = width of the encoder, L = `max_tokens`, K
    units: head, tail, the words between them (means of word vectors) and, if `typed`, the names of
    the arguments' types.

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 |
    | features | `context` | (K*D,) | float32 | the units; 0 where there is none, and at the end |
    | features | `history` | (H*(A+1),) | float32 | last labels, one-hot, latest first |
    | features | `seen` | (3,) | float32 | earlier relations: of head, of tail, of tail to head |
    | tokens | `input_ids` | (K, L) | int32 | sub-words of the units |
    | tokens | `attention_mask` | (K, L) | int8 | 1 on ids, 0 on padding |
    | tokens, index | `history` | (H,) | int32 | last labels, latest first; A: none |
    | tokens, index | `seen` | (3,) | int32 | as above |
    | index | `row`, `position` | (1,) | int32 | sample, pair |

    With `history_length=0` there is neither `history` nor `seen`.

    ## Action Space
    `Discrete(A)`: the label of the current pair, numbered as `task.labels`.

    ## Action Mask
    Every label is legal, whatever the types of the arguments.

    ## Rewards
    - `correctness` (default): 1 for the gold label, else 0.
    - `metric`: change of the micro F1 over relations on the pairs decided so far (nothing to find
      and nothing found is 1); 0 before the first pair.
    - `sparse`: that F1, at the sentence's end.

    ## Starting State
    The first pair of a sentence.

    ## Episode End
    After the last pair.

    ## Metric
    Micro F1 over all pairs without the label of none. `directed=True` (SemEval): the official macro
    F1 over the nine relations without `Other`; the wrong direction is wrong.

    ## Information
    `info["score"]` at the end: the sentence's micro F1. For the rest see `Task`.

    ## Arguments
    Those of `Task`, and:

    | name | default | meaning |
    |---|---|---|
    | `none` | NONE | the label of pairs in no relation (SemEval: Other) |
    | `directed` | False | labels end in `(e1,e2)` or `(e2,e1)`; SemEval's metric (SemEval: True) |
    | `typed` | True | types of the arguments are seen (SemEval has none: False) |
    | `history_length` | 1 | number H of earlier labels seen (SemEval: 0) |

    ## Registered Ids
    `Relation-SemEval-v0`, `Relation-CoNLL04-v0`, `Relation-v0`

    ## Version History
    * v0: initial version.
    """

    family = "relation"

    def __init__(
        self,
        *,
        none: str = "NONE",
        directed: bool = False,
        typed: bool = True,
        history_length: int = 1,
        **kwargs: Any,
    ) -> None:
        size = check_int("history_length", history_length, 0, 64)
        if not isinstance(none, str):
            raise InvalidArgumentError(
                f"none={shown(none)} must be the name of a label, such as 'NONE'."
            )
        self.none = none
        super().__init__(**kwargs)
        self.pairs = PairTables(self.corpus.samples, typed=check_bool("typed", typed))
        names, self._gold = index_gold(self.corpus.samples, self.labels)
        self.metric = RelationF1(names, none=none, directed=check_bool("directed", directed))
        self.metric_name = self.metric.name
        self._related = np.array([label != none for label in self.labels])
        if size:
            self.extras = {"history": Extra(size, self.n_actions), "seen": Extra(3, 1)}

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) pairs of each sentence."""
        return self.pairs.lengths

    @property
    @override
    def units(self) -> Units:
        """Spans of words, and the names of types."""
        return self.pairs.units

    @property
    @override
    def tables(self) -> Tables:
        return self.pairs.tables

    @override
    def describe(self, knowledge: KnowledgeBase) -> npt.NDArray[np.int8]:
        """(n_slots, n) 0/1: roles of head and tail, relations from head to tail and back."""
        return self.pairs.describe(knowledge)

    @override
    def initial(self, rows: Int64Array) -> RelationState:
        b = len(rows)
        return RelationState(
            **self.state_fields(rows),
            played=np.zeros((b, int(self.lengths.max())), index_type(self.n_actions)),
            related=np.zeros((b, self.pairs.most_entities + 1), bool),
            counts=np.zeros((b, self.metric.n_counts), np.int32),
        )

    @override
    def mask(self, state: RelationState) -> BoolArray:
        return np.ones((len(state.row), self.n_actions), bool)

    @override
    def repair(self, state: RelationState, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """Nothing is forbidden."""
        return actions, np.zeros(len(actions), bool)

    @override
    def oracle(self, state: RelationState) -> Int64Array:
        """(B,) gold labels; the first label where the gold is not in the inventory."""
        self.require_gold("oracle")
        assert self._gold is not None
        return expert_labels(self._gold.take(state.slot), self.n_actions)

    @override
    def play(self, state: RelationState, actions: Int64Array) -> Played:
        right, b = None, np.arange(len(actions))
        if self._gold is not None:
            gold = self._gold.take(state.slot)
            self.metric.update(state.counts, actions, gold)
            right = (actions == gold).astype(np.float64)
        place = self.position(state)
        state.played[b, place] = actions
        found = self._related.take(actions)
        for entities in (self.pairs.heads, self.pairs.tails):
            state.related[b, entities.take(state.slot)] |= found
        state.slot += 1
        return right, 0.0, place + 1 == self.lengths.take(state.row)

    @override
    def potential(self, state: RelationState) -> Float64Array:
        return self.metric.potential(state.counts)

    @override
    def extra(self, state: RelationState) -> Observation:
        """The last labels, and which relations the current arguments have so far."""
        if not self.extras:
            return {}
        b, pairs = np.arange(len(state.row)), self.pairs
        back = self.position(state)[:, None] - 1 - np.arange(self.extras["history"].size)
        last = state.played[b[:, None], np.maximum(back, 0)]
        reverse = pairs.reverse.take(state.slot)
        turned = self._related.take(state.played[b, np.maximum(reverse, 0)]) & (reverse >= 0)
        heads, tails = pairs.heads.take(state.slot), pairs.tails.take(state.slot)
        seen = np.stack([state.related[b, heads], state.related[b, tails], turned], axis=1)
        history = np.where(back < 0, self.n_actions, last)
        return {"history": history.astype(np.int32), "seen": seen.astype(np.int32)}

    @override
    def outputs(self, state: RelationState) -> list[Output]:
        """Each output is a tuple of labels, one per pair decided so far."""
        return [
            tuple(self.labels[k] for k in labels[:n])
            for labels, n in zip(state.played.tolist(), self.position(state).tolist(), strict=True)
        ]

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        gold = [self.sample(i).labels or () for i in rows]
        return self.metric.score(gold, outputs, bootstrap=bootstrap, report=report)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """Words and the relations found, at word offsets."""
        sample = self.sample(row)
        found = [
            {"head": [a, b], "tail": [c, d], "label": label}
            for (a, b, c, d), label in zip(sample.extra["pairs"], output, strict=False)
            if label != self.none
        ]
        return {"words": list(sample.words), "relations": found}

    @override
    def focus(self, state: RelationState, i: int) -> Focus:
        """The pair, from the first of its words to the last."""
        sample = self.sample(int(state.row[i]))
        a, b, c, d = sample.extra["pairs"][int(self.position(state)[i])]
        text = f"{' '.join(sample.words[a:b])} -> {' '.join(sample.words[c:d])}"
        return Focus((min(a, c), max(b, d)), text)

    @override
    def frame(self, state: RelationState, i: int) -> Frame:
        row, n = int(state.row[i]), int(self.position(state)[i])
        labels = [self.labels[k] for k in state.played[i, :n].tolist()]
        return pair_frame(self.title(row), self.sample(row), labels, self.none)
