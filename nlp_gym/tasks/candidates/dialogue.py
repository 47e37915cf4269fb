"""Selecting the reply of a dialogue among candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_int, check_name
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.ranking import Ranking, reciprocal_rank
from nlp_gym.tasks.candidates.picking import PickState
from nlp_gym.tasks.candidates.selection import Selection
from nlp_gym.tasks.core.task import Output, Played
from nlp_gym.types import Float64Array, Int64Array, Sample

if TYPE_CHECKING:
    from nlp_gym.render import Piece

NEGATIVES = ("both", "random", "adversarial")


class Dialogue(Selection):
    """Reply selection as a decision process.

    ## Description
    The agent reads a dialogue and picks its next turn among candidate replies (Lowe et al. 2015):
    the best first, then the second, ... so that the policy itself makes the whole ranking. In
    training an episode is the first pick alone: that decides Recall@1, and a policy that scores
    replies ranks the rest by the mask. On dev and test all candidates are ranked, which MRR needs.

    ## Data
    Contexts with candidate replies, at least one of them right: JSON Lines or DailyDialog++ (Sai et
    al. 2020). There each context has one right reply; in dev and test 5 adversarial ones beside it
    (written to share words with the context) and 4 random ones, in training 9 right ones of other
    dialogues: 4 that share words with the context, 5 random ones. All draws and orders follow from
    the texts by hash.

    ## Observation Space
    `Dict`, with C = `max_candidates`, T = `turns`, D = width of the encoder, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (C,) | int8 | 1 where the reply can be picked |
    | features | `context` | ((1+T)*D,) | float32 | all turns as one text; last T turns |
    | features | `candidates` | (C, D) | float32 | the replies |
    | tokens | `input_ids`, `attention_mask` | (1+T, L) | int32, int8 | the context |
    | tokens | `candidate_ids`, `candidate_mask` | (C, L) | int32, int8 | the replies |
    | index | `row`, `position` | (1,) | int32 | sample; 0 |

    ## Action Space
    `Discrete(C)`: the reply, in an order drawn by hash.

    ## Action Mask
    Replies that are there and not picked yet.

    ## Rewards
    - `correctness` (default): 1 for a right reply, or where no right one was left, else 0.
    - `metric` and `sparse`: 1 / rank of the first right reply, when it is picked or at the end.

    ## Starting State
    A context, nothing picked.

    ## Episode End
    After `ranks` picks.

    ## Metric
    Recall@1; the report has MRR, Recall@2 and Recall@5. Right replies beyond `ranks` count 0.

    ## Information
    `info["score"]` at the end: 1 / rank. For the rest see `Task`.

    ## Arguments
    Those of `Task`, and:

    | name | default | meaning |
    |---|---|---|
    | `negatives` | both | or `"random"`, `"adversarial"` alone; rows without keep what they have |
    | `ranks` | None | picks of an episode; None: 1 in training, all on dev and test |
    | `turns` | 2 | single turns T in the context, beside all of them as one text |
    | `max_candidates` | 10 | C; a row with more is an error |
    | `order_seed` | 0 | seed of the order of candidates; None keeps the file's |

    ## Registered Ids
    `Dialogue-DailyDialog-v0`, `Dialogue-v0`

    ## Version History
    * v0: initial version.
    """

    family = "dialogue"
    metric_name = "recall_at_1"
    limit_argument = "max_candidates"

    def __init__(
        self,
        *,
        negatives: str = "both",
        ranks: int | None = None,
        turns: int = 2,
        max_candidates: int = 10,
        **kwargs: Any,
    ) -> None:
        check_name("negatives", negatives, NEGATIVES)
        self.negatives = negatives
        self.turns = check_int("turns", turns, 0, 16)
        self.context_texts = 1 + self.turns
        width = self.most_candidates = check_int("max_candidates", max_candidates, 2, 256)
        super().__init__(**kwargs)
        if ranks is None:
            ranks = 1 if self.split == "train" else width
        self.select(limit=check_int("ranks", ranks, 1, width))
        self.metric = Ranking(self.metric_name, at=(1, 2, 5), word="recall")

    def turns_of(self, sample: Sample) -> Sequence[Sequence[str]]:
        """The words of every turn so far; the sample's own where it has no turns."""
        turns: Sequence[Sequence[str]] = sample.extra.get("context", (sample.words,))
        return turns

    @override
    def read_texts(self, sample: Sample) -> Sequence[Sequence[str]]:
        """All turns as one text, then the last single ones, latest first."""
        return [sample.words, *list(self.turns_of(sample))[::-1][: self.turns]]

    @override
    def candidates_shown(self, sample: Sample) -> Sequence[int]:
        """The candidates of the set asked for; all where there is no such set."""
        sets: Mapping[str, Sequence[int]] = sample.extra.get("sets", {})
        return sets.get(self.negatives) or super().candidates_shown(sample)

    @override
    def play(self, state: PickState, actions: Int64Array) -> Played:
        """A reply is picked, and credited too where no right one was left."""
        if not self.has_gold:
            return None, 0.0, self.pick(state, actions)
        right = self._right[state.row]
        none_left = ~(right & ~state.chosen).any(axis=1)
        credit = right[np.arange(len(actions)), actions] | none_left
        return credit.astype(np.float64), 0.0, self.pick(state, actions)

    @override
    def potential(self, state: PickState) -> Float64Array:
        """(B,) 1 / rank of the first right reply picked; 0 before."""
        places = np.maximum(state.picked, 0).astype(np.int64)
        right = np.take_along_axis(self._right[state.row], places, axis=1) & (state.picked >= 0)
        return reciprocal_rank(np.where(right.any(axis=1), right.argmax(axis=1) + 1, 0))

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        return self.metric.score(self.ranks(rows, outputs), bootstrap=bootstrap, report=report)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The context, the reply, and the ranking as indices of candidates."""
        sample = self.sample(row)
        turns = [" ".join(turn) for turn in self.turns_of(sample)]
        turns = list(sample.extra.get("context_texts", turns))
        replies = sample.extra.get("candidate_texts", self.file_texts(row))
        reply = replies[output[0]] if output else None
        return {"context": turns, "reply": reply, "ranking": list(output)}

    @override
    def context_pieces(self, row: int) -> list[Piece]:
        """Every turn on a line of its own."""
        from nlp_gym.render import Piece

        return [Piece(" ".join(turn), line=True) for turn in self.turns_of(self.sample(row))]
