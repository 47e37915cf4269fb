"""Sequence tagging, left to right, one label a word: named entities (BIO) and parts of speech."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.labels import Accuracy
from nlp_gym.metrics.spans import EntityF1
from nlp_gym.tasks.base import (
    ILLEGAL_COST,
    Output,
    State,
    Task,
    _check_int,
    check_obs_type,
    warn_unseen_labels,
)
from nlp_gym.tasks.token_windows import TokenWindows
from nlp_gym.types import BoolArray, Observation

SCHEMES = ("BIO", "flat")


@dataclass
class TaggingState(State):
    """State of B sentences that are being tagged.

    Attributes:
        position: (B,) int64 word to tag now; the sentence's length at its end.
        history: (B, H) int32 the last H labels, most recent first; A where there is none.
        played: (B, T) int16 labels given so far.
        counts: (B, K) int32 running counts of the metric.
        value: (B,) float64 metric so far.
        illegal: (B,) int32 illegal actions so far.
    """

    position: npt.NDArray[np.int64]
    history: npt.NDArray[np.int32]
    played: npt.NDArray[np.int16]
    counts: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    illegal: npt.NDArray[np.int32]


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
    episode sum to its `sparse` reward exactly. Without gold, rewards are 0.

    ## Starting State
    The first word of a sentence drawn uniformly, or of sample i with `reset(options={"row": i})`.

    ## Episode End
    `terminated` after the last word. Never `truncated`, unless a step limit is asked for.

    ## Metric
    BIO: micro-averaged entity F1, seqeval strict with IOB2. Flat: accuracy over words.

    ## Information
    `info["action_mask"]` as above; at the end `info["score"]`, the sentence's metric.

    ## Arguments
    Those of `Task`, and:

    | name | default | meaning |
    |---|---|---|
    | `scheme` | by id | `"BIO"` or `"flat"` |
    | `history_length` | 1 | number H of earlier labels seen |

    ## Registered Ids
    `NER-CoNLL-v0`, `NER-WNUT-v0`, `NER-v0`, `POS-EWT-v0`, `POS-v0`

    ## Version History
    * v0: initial version.
    """

    def __init__(self, *, scheme: str = "BIO", history_length: int = 1, **kwargs: Any) -> None:
        if scheme not in SCHEMES:
            raise UnknownNameError("scheme", scheme, SCHEMES)
        self.scheme = scheme
        self.history_length = _check_int("history_length", history_length, 1, 64)
        super().__init__(**kwargs)
        if scheme == "BIO":
            _check_bio(self.labels)
        gold_labels, self._gold = self._index_gold()
        self.metric = (EntityF1 if scheme == "BIO" else Accuracy)(self.labels, gold_labels)
        self.metric_name = self.metric.name
        legal, repair = _transitions(self.labels, bio=scheme == "BIO")
        self._legal, self._repair = legal.astype(np.int8), repair
        self._last = np.zeros(self.n_slots, bool)
        self._last[self.offsets + self.lengths] = True
        self._longest = int(self.lengths.max())

    def _index_gold(self) -> tuple[tuple[str, ...], npt.NDArray[np.int64] | None]:
        """Gold label index at every slot, and the inventory it refers to; None without gold."""
        samples = self.corpus.samples
        if any(s.labels is None for s in samples):
            return self.labels, None
        counted = Counter(label for s in samples for label in (s.labels or ()))
        unseen = {k: v for k, v in counted.items() if k not in set(self.labels)}
        if unseen:
            warn_unseen_labels(unseen)
        names = (*self.labels, *sorted(unseen))
        index = {name: i for i, name in enumerate(names)}
        flat = [index[label] for s in samples for label in (*(s.labels or ()), names[0])]
        return names, np.array(flat, np.int64)

    @cached_property
    def _windows(self) -> TokenWindows:
        return TokenWindows(self.tokens, self.corpus, self.max_tokens)

    def __getstate__(self) -> dict[str, Any]:
        """As `Task.__getstate__`."""
        return {k: v for k, v in super().__getstate__().items() if k != "_windows"}

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
        illegal = self._legal.take(code) == 0
        played = self._repair.take(code)
        reward = np.zeros(len(actions))
        if self._gold is not None:
            gold = self._gold.take(state.slot)
            self.metric.update(state.counts, played, gold)
            if self.reward == "correctness":
                reward = (played == gold).astype(np.float64)
        state.played[np.arange(len(actions)), state.position] = played
        if self.history_length > 1:
            state.history[:, 1:] = state.history[:, :-1]
        state.history[:, 0] = played
        state.position += 1
        state.slot += 1
        state.illegal += illegal
        ended = self._last.take(state.slot)
        if self.reward != "correctness" and self._gold is not None:
            value = self.potential(state)
            if self.reward == "metric":
                reward = value - state.value
            else:
                reward = np.where(ended, value - ILLEGAL_COST * state.illegal, 0.0)
            state.value = value
        if self.reward != "sparse":
            reward -= ILLEGAL_COST * illegal
        return reward, ended

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
        check_obs_type(obs_type)
        a, h = self.n_actions, self.history_length
        keys: dict[str, spaces.Space[Any]] = {"action_mask": spaces.Box(0, 1, (a,), np.int8)}
        if obs_type == "features":
            bound = float(self.encoder.bound)
            keys["context"] = spaces.Box(-bound, bound, (self.context_dim,), np.float32)
            keys["history"] = spaces.Box(0.0, 1.0, (h * (a + 1),), np.float32)
            return spaces.Dict(keys)
        keys["history"] = spaces.Box(0, a, (h,), np.int32)
        if obs_type == "tokens":
            keys.update(self._windows.spaces())
        else:
            keys["row"] = spaces.Box(0, max(len(self.corpus) - 1, 1), (1,), np.int32)
            keys["position"] = spaces.Box(0, self._longest, (1,), np.int32)
        return spaces.Dict(keys)

    def observe(self, state: TaggingState, obs_type: str) -> Observation:
        """See the class's Observation Space."""
        mask = self._legal.take(state.history[:, 0], axis=0)
        if obs_type == "index":
            return {
                "action_mask": mask,
                "history": state.history.copy(),
                "position": state.position.astype(np.int32)[:, None],
                "row": state.row.astype(np.int32)[:, None],
            }
        if obs_type == "features":
            history = self._one_hot.take(state.history, axis=0).reshape(len(mask), -1)
            return {"action_mask": mask, "context": self.context(state.slot), "history": history}
        return {
            "action_mask": mask,
            "history": state.history.copy(),
            **self._windows.observe(state.slot),
        }

    @cached_property
    def _one_hot(self) -> npt.NDArray[np.float32]:
        return np.eye(self.n_actions + 1, dtype=np.float32)

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
        neutral = "O" if self.scheme == "BIO" else None
        return Frame(
            title=f"{self.corpus.name}/{self.corpus.split} {sample.id or int(state.row[i])}",
            words=sample.words,
            labels=[self.labels[k] for k in state.played[i, :n]],
            gold=sample.labels,
            cursor=n,
            neutral=neutral,
        )


def _check_bio(labels: Sequence[str]) -> None:
    bad = [name for name in labels if name != "O" and name[:2] not in ("B-", "I-")]
    if bad:
        raise InvalidArgumentError(
            f"label {bad[0]!r} is neither 'O' nor 'B-TYPE' nor 'I-TYPE'. For plain labels, "
            "one a word, use POS-v0 or scheme='flat'."
        )
    missing = [name for name in labels if name[:2] == "I-" and f"B-{name[2:]}" not in labels]
    if "O" not in labels or missing:
        lacking = "O" if "O" not in labels else f"B-{missing[0][2:]}"
        raise InvalidArgumentError(
            f"labels lacks {lacking!r}; a BIO inventory has 'O' and a 'B-X' for every 'I-X'."
        )


def _transitions(labels: Sequence[str], *, bio: bool) -> tuple[BoolArray, npt.NDArray[np.int64]]:
    """(A+1, A) whether a label may follow another (last row: none) and what is played if not."""
    a = len(labels)
    legal = np.ones((a + 1, a), bool)
    repair = np.tile(np.arange(a), (a + 1, 1))
    if bio:
        for j, name in enumerate(labels):
            if name.startswith("I-"):
                legal[:, j] = [p[2:] == name[2:] and p != "O" for p in (*labels, "O")]
                repair[~legal[:, j], j] = labels.index(f"B-{name[2:]}")
    return legal, repair
