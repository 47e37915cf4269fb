"""Sequence tagging, left to right, one label a word: named entities (BIO) and parts of speech."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.labels import Accuracy
from nlp_gym.metrics.spans import EntityF1
from nlp_gym.tasks.base import ILLEGAL_COST, Output, Task
from nlp_gym.tasks.bio import check_inventory, free_transitions, transitions
from nlp_gym.tasks.checks import check_int, check_name
from nlp_gym.tasks.gold import index_gold
from nlp_gym.tasks.tagging_views import TaggingState, TaggingViews
from nlp_gym.types import BoolArray, Observation

SCHEMES = ("BIO", "flat")


class SequenceTagging(Task):
    """Sequence tagging as a decision process.

    ## Description
    The agent reads a sentence from left to right and gives every word one label: a BIO tag of a
    named entity (`scheme="BIO"`) or a plain label such as a part of speech (`scheme="flat"`). It
    sees its own earlier labels, so that a decision depends on those before it, as in SEARN and
    DAgger (Daumé III et al. 2009; Ross et al. 2011).

    ## Data
    A corpus whose samples have words and one label a word: CoNLL, CoNLL-U, JSONL or CSV. Gold
    labels that the inventory lacks are counted as missed.

    ## Observation Space
    `Dict`, with A labels, H = `history_length`, D = width of the encoder, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the label is legal now |
    | features | `context` | ((2*window+1)*D,) | float32 | words around, 0 outside the text |
    | features | `history` | (H*(A+1),) | float32 | last labels, one-hot, latest first |
    | tokens | `input_ids` | (L,) | int32 | sub-word ids with the encoder's special tokens |
    | tokens | `attention_mask` | (L,) | int8 | 1 on ids, 0 on padding |
    | tokens | `focus` | (2,) | int32 | [start, end) of the current word in `input_ids` |
    | tokens, index | `history` | (H,) | int32 | last labels, latest first; A: none |
    | index | `row` | (1,) | int32 | sample |
    | index | `position` | (1,) | int32 | word |

    At the end of a text (final observations) `context` and `focus` are zero and `position` is its
    length.

    ## Action Space
    `Discrete(A)`: the label of the current word, numbered as `task.labels`.

    ## Action Mask
    BIO: `I-X` only after `B-X` or `I-X`. Flat: everything is legal. The mask is in the observation,
    in `info["action_mask"]` and in `action_masks()`. A forbidden `I-X` is played as `B-X` (the
    repair the lenient scorers make) and costs 1/8.

    ## Rewards
    - `correctness` (default): 1 for the gold label, else 0.
    - `metric`: change of the sentence's metric over the words tagged so far: strict entity F1 (an
      entity still open counts as it stands; nothing to find and nothing found is 1) or, flat, right
      labels over the sentence's length. The metric is 0 before the first word.
    - `sparse`: the sentence's metric, at its end.

    Illegal actions cost 1/8 each, at once, or with `sparse` at the end. The `metric` rewards of an
    episode sum to its `sparse` reward exactly. Without gold nothing is right or wrong: illegal
    actions cost the same (nothing with `sparse`), all others give 0.

    ## Starting State
    The first word of a sentence drawn uniformly, or of sample i with `reset(options={"row": i})`.

    ## Episode End
    `terminated` after the last word. Never `truncated`, unless a step limit is asked for.

    ## Metric
    BIO: micro-averaged entity F1, seqeval strict with IOB2. Flat: accuracy over words.

    ## Information
    `info["action_mask"]` as above; at the end, with gold, `info["score"]`, the sentence's
    metric.

    ## Arguments
    Those of `Task`, and:

    | name | default | meaning |
    |---|---|---|
    | `scheme` | by id | `"BIO"` or `"flat"` (reads labels as they are, unless `data_scheme` says) |
    | `history_length` | 1 | number H of earlier labels seen |

    ## Registered Ids
    `NER-CoNLL-v0`, `NER-WNUT-v0`, `NER-v0`, `POS-EWT-v0`, `POS-v0`

    ## Version History
    * v0: initial version.
    """

    def __init__(self, *, scheme: str = "BIO", history_length: int = 1, **kwargs: Any) -> None:
        check_name("scheme", scheme, SCHEMES)
        self.scheme, bio = scheme, scheme == "BIO"
        self.history_length = check_int("history_length", history_length, 1, 64)
        if not bio and kwargs.get("data_scheme", "auto") == "auto":
            kwargs["data_scheme"] = "none"  # a plain label is no tag, whatever it looks like
        super().__init__(**kwargs)
        if bio:
            check_inventory(self.labels)
        gold_labels, self._gold = index_gold(self.corpus.samples, self.labels)
        self.metric = (EntityF1 if bio else Accuracy)(self.labels, gold_labels)
        self.metric_name = self.metric.name
        legal, self._repair = transitions(self.labels) if bio else free_transitions(self.n_actions)
        self._legal, self._illegal = legal.astype(np.int8), ~legal
        self._cost = ILLEGAL_COST * self._illegal
        self._last = self._positions.ends()
        self._longest = int(self.lengths.max())
        self._views = TaggingViews(self, self.history_length)

    @property
    def has_gold(self) -> bool:
        """See `Task.has_gold`."""
        return self._gold is not None

    def initial(self, rows: npt.NDArray[np.int64]) -> TaggingState:
        """See `Task.initial`."""
        b = len(rows)
        return TaggingState(
            row=rows,
            slot=self.offsets.take(rows),
            position=np.zeros(b, np.int64),
            history=np.full((b, self.history_length), self.n_actions, np.int32),
            played=np.zeros((b, self._longest), np.int16),
            counts=np.zeros((b, self.metric.n_counts), np.int32),
            value=np.zeros(b),
            illegal=np.zeros(b, np.int32),
        )

    def transition(
        self, state: TaggingState, actions: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], BoolArray]:
        """See `Task.transition`."""
        code = state.history[:, 0] * self.n_actions + actions
        played = self._repair.take(code)
        right = None
        if self._gold is not None:
            gold = self._gold.take(state.slot)
            self.metric.update(state.counts, played, gold)
            right = played == gold
        state.played[np.arange(len(actions)), state.position] = played
        if self.history_length > 1:
            state.history[:, 1:] = state.history[:, :-1]
        state.history[:, 0] = played
        state.position += 1
        state.slot += 1
        state.illegal += self._illegal.take(code)
        ended = self._last.take(state.slot)
        return self._reward(state, code, right, ended), ended

    def _reward(
        self,
        state: TaggingState,
        code: npt.NDArray[np.int64],
        right: BoolArray | None,
        ended: BoolArray,
    ) -> npt.NDArray[np.float64]:
        """(B,) rewards of the step that led to `state`, and its new metric."""
        cost = self._cost.take(code)
        if right is None:
            nothing = np.zeros(len(code))
            return nothing if self.reward == "sparse" else nothing - cost
        if self.reward == "correctness":
            return right - cost
        value = self.potential(state)
        if self.reward == "sparse":
            reward = np.where(ended, value - ILLEGAL_COST * state.illegal, 0.0)
        else:
            reward = value - state.value - cost
        state.value = value
        return reward

    def potential(self, state: TaggingState) -> npt.NDArray[np.float64]:
        """See `Task.potential`."""
        return self.metric.potential(state.counts, self.lengths.take(state.row))

    def mask(self, state: TaggingState) -> BoolArray:
        """See `Task.mask`."""
        return self._legal.take(state.history[:, 0], axis=0).astype(bool)

    def oracle(self, state: TaggingState) -> npt.NDArray[np.int64]:
        """(B,) gold labels; the first label where the gold is not in the inventory."""
        if self._gold is None:
            raise InvalidArgumentError("oracle needs gold labels, and this corpus has none.")
        gold = self._gold.take(state.slot)
        return np.where(gold < self.n_actions, gold, 0)

    def observation_space(self, obs_type: str) -> spaces.Dict:
        """See the class's Observation Space."""
        return self._views.space(obs_type)

    def observe(self, state: TaggingState, obs_type: str) -> Observation:
        """See the class's Observation Space."""
        mask = self._legal.take(state.history[:, 0], axis=0)
        return self._views.observe(state, mask, obs_type)

    def outputs(self, state: TaggingState) -> list[Output]:
        """See `Task.outputs`: B tuples of labels, one a word tagged so far."""
        return [
            tuple(self.labels[k] for k in tags[:n])
            for tags, n in zip(state.played.tolist(), state.position.tolist(), strict=True)
        ]

    def score(
        self,
        outputs: Sequence[Output],
        *,
        rows: Sequence[int] | None = None,
        bootstrap: int = 1000,
        report: bool | None = None,
    ) -> Score:
        """See `Task.score`."""
        chosen = range(len(self.corpus)) if rows is None else rows
        gold = [self._sample(int(i)).labels for i in chosen]
        if any(labels is None for labels in gold):
            raise InvalidArgumentError("score needs gold labels, and this corpus has none.")
        wanted = bootstrap > 0 if report is None else report
        return self.metric.score(
            [labels or () for labels in gold], outputs, bootstrap=bootstrap, report=wanted
        )

    def frame(self, state: TaggingState, i: int) -> Any:
        """See `Task.frame`."""
        from nlp_gym.envs.render import Frame

        sample, n = self._sample(int(state.row[i])), int(state.position[i])
        return Frame(
            title=f"{self.corpus.name}/{self.corpus.split} {sample.id or int(state.row[i])}",
            words=sample.words,
            labels=[self.labels[k] for k in state.played[i, :n]],
            gold=sample.labels,
            cursor=n,
            neutral="O" if self.scheme == "BIO" else None,
        )
