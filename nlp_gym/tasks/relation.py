"""Relations between the entities of a sentence, decided pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import Score
from nlp_gym.metrics.relations import RelationF1
from nlp_gym.tasks.base import Output, Played, State
from nlp_gym.tasks.checks import check_int, check_text
from nlp_gym.tasks.gold import index_gold
from nlp_gym.tasks.kinds import LabelTask
from nlp_gym.tasks.pairs import PairTables, pair_frame
from nlp_gym.tasks.tables import Tables, Units
from nlp_gym.tasks.views import Extra
from nlp_gym.types import BoolArray, Int64Array, Observation


@dataclass
class RelationState(State):
    """Labels so far (B, P); entities that have a relation (B, E+1); the metric's counts (B, 3)."""

    played: npt.NDArray[np.int16]
    related: BoolArray
    counts: npt.NDArray[np.int32]


class Relation(LabelTask):
    """Relation classification as a decision process.

    ## Description
    The agent goes through the ordered pairs of entities of a sentence, by the head's place and then
    by the tail's, and gives each one relation or the label of none. It sees what it decided on
    earlier pairs (as in SEARN, Daumé III et al. 2009). Entities are input; so are their types in
    CoNLL04, as in its gold-entity setting (Roth and Yih 2004). They are no part of the gold.

    ## Data
    Sentences with pairs and one label a pair: `Relation-SemEval-v0` has one pair a sentence, its
    direction in the label (Hendrickx et al. 2010); `Relation-CoNLL04-v0` has all ordered pairs of
    gold entities, however many. A sentence with fewer than two entities has no decision and is left
    out of the corpus, which changes no score. `Relation-v0` reads your JSON Lines: `{"text" or
    "words", "relations": [{"head": [start, end], "tail": [start, end], "label"}], "entities":
    [[start, end, type]]}`, with character offsets for `text` and word offsets for `words`, ends
    exclusive. With `entities` all their ordered pairs are decided, `NONE` unless listed; without,
    the listed pairs are. Gold labels that the inventory lacks are counted as missed.

    ## Observation Space
    `Dict`, with A labels, H = `history_length`, D = width of the encoder, K units a pair: the mean
    vectors of its head, its tail, the words between, the halves of these, the nearest words at
    either side of the pair; with `typed` the types of head and tail (their names, encoded).

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1: every label is legal |
    | features | `context` | (K*D,) | float32 | the units; 0 where there is none, and at the end |
    | features | `history` | (H*(A+1),) | float32 | last labels, one-hot, latest first |
    | features | `seen` | (3,) | float32 | earlier relations: of head, of tail, tail to head |
    | tokens | `input_ids`, `attention_mask` | (K, L) | int32, int8 | sub-words of the units |
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
    - `metric`: change of the micro F1 over the relations among the pairs decided so far (nothing to
      find and nothing found is 1); 0 before the first pair.
    - `sparse`: that F1 at the sentence's end.

    The `metric` rewards of an episode sum to its `sparse` reward exactly. Without gold all are 0.

    ## Starting State
    The first pair of a sentence drawn uniformly, or of sample i with `reset(options={"row": i})`.

    ## Episode End
    `terminated` after the last pair. Never `truncated`, unless a step limit is asked for.

    ## Metric
    Micro F1 over all pairs, the label of none left out. `directed=True` (SemEval): the official
    macro F1 over nine relations, in which the wrong direction is wrong and `Other` is left out.

    ## Information
    `info["action_mask"]`; at the end, with gold, `info["score"]`, the sentence's F1.

    ## Arguments
    Those of `Task`, and:

    | name | default | meaning |
    |---|---|---|
    | `none` | NONE | the label of pairs in no relation (SemEval: Other) |
    | `directed` | False | labels end in `(e1,e2)` or `(e2,e1)`; the metric is SemEval's |
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
        none = check_text("none", none)
        directed, typed = check_bool("directed", directed), check_bool("typed", typed)
        size = check_int("history_length", history_length, 0, 64)
        super().__init__(**kwargs)
        self.pairs = PairTables(self.corpus.samples, typed=typed)
        names, self._gold = index_gold(self.corpus.samples, self.labels)
        self.metric = RelationF1(names, none=none, directed=directed)
        self.metric_name = self.metric.name
        self._relation = np.array([label != none for label in self.labels])
        if size:
            self.extras = {"history": Extra(size, self.n_actions), "seen": Extra(3, 1)}

    @property
    def lengths(self) -> Int64Array:
        """(N,) pairs of each sentence."""
        return self.pairs.lengths

    @property
    def units(self) -> Units:
        """Spans of words, and the names of types."""
        return self.pairs.units

    @property
    def tables(self) -> Tables:
        """See `Task.tables`."""
        return self.pairs.tables

    def initial(self, rows: Int64Array) -> RelationState:
        """See `Task.initial`."""
        b = len(rows)
        return RelationState(
            **self.blank(rows),
            played=np.zeros((b, int(self.lengths.max())), np.int16),
            related=np.zeros((b, self.pairs.most_entities + 1), bool),
            counts=np.zeros((b, self.metric.n_counts), np.int32),
        )
