"""The state of a tagger and what it sees: for tasks that decide word by word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nlp_gym.tasks.base import State, Task
from nlp_gym.tasks.checks import check_obs_type
from nlp_gym.tasks.token_windows import TokenWindows
from nlp_gym.types import Observation


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


class TaggingViews:
    """The three kinds of observation; keys and shapes are in `SequenceTagging`'s docstring.

    Args:
        task: The task; its encoder is loaded when an observation needs it.
        history_length: Number H of earlier labels seen.
    """

    def __init__(self, task: Task, history_length: int) -> None:
        self.task, self.history_length = task, history_length
        self._one_hot = np.eye(task.n_actions + 1, dtype=np.float32)

    @cached_property
    def _windows(self) -> TokenWindows:
        return TokenWindows(self.task.tokens, self.task.corpus, self.task.max_tokens)

    def __getstate__(self) -> dict[str, Any]:
        """As `Task.__getstate__`: what the cache has stays out of a pickle."""
        return {k: v for k, v in self.__dict__.items() if k != "_windows"}

    def space(self, obs_type: str) -> spaces.Dict:
        """Boxes of every key."""
        check_obs_type(obs_type)
        task, a, h = self.task, self.task.n_actions, self.history_length
        keys: dict[str, spaces.Space[Any]] = {"action_mask": spaces.Box(0, 1, (a,), np.int8)}
        if obs_type == "features":
            bound = float(task.encoder.bound)
            keys["context"] = spaces.Box(-bound, bound, (task.context_dim,), np.float32)
            keys["history"] = spaces.Box(0.0, 1.0, (h * (a + 1),), np.float32)
            return spaces.Dict(keys)
        keys["history"] = spaces.Box(0, a, (h,), np.int32)
        if obs_type == "tokens":
            keys.update(self._windows.spaces())
        else:
            keys["row"] = spaces.Box(0, max(len(task.corpus) - 1, 1), (1,), np.int32)
            keys["position"] = spaces.Box(0, int(task.lengths.max()), (1,), np.int32)
        return spaces.Dict(keys)

    def observe(
        self, state: TaggingState, mask: npt.NDArray[np.int8], obs_type: str
    ) -> Observation:
        """Arrays of every key with B in front.

        Args:
            state: B running episodes.
            mask: (B, A) legal actions; it goes into the observation as it is.
            obs_type: Kind of observation.
        """
        if obs_type == "index":
            return {
                "action_mask": mask,
                "history": state.history.copy(),
                "position": state.position.astype(np.int32)[:, None],
                "row": state.row.astype(np.int32)[:, None],
            }
        if obs_type == "features":
            history = self._one_hot.take(state.history, axis=0).reshape(len(mask), -1)
            context = self.task.context(state.slot)
            return {"action_mask": mask, "context": context, "history": history}
        windows = self._windows.observe(state.slot)
        return {"action_mask": mask, "history": state.history.copy(), **windows}
