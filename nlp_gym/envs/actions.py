"""The actions of B environments, which can be drawn from the masks that these give."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nlp_gym.checks import as_array
from nlp_gym.errors import InvalidArgumentError, shown


class BatchedActions(spaces.MultiDiscrete):
    """A `MultiDiscrete` of B actions; equal to that of Gymnasium.

    Args:
        num_envs: Number B of environments.
        n_actions: Number A of actions of each.
    """

    def __init__(self, num_envs: int, n_actions: int) -> None:
        super().__init__(np.full(num_envs, n_actions, np.int64))

    def sample(self, mask: Any = None, probability: Any = None) -> npt.NDArray[np.int64]:
        """(B,) actions, drawn uniformly from the legal ones of each environment.

        Args:
            mask: (B, A) of 0 and 1 or of bool, such as ``info["action_mask"]`` and
                ``env.action_masks()``; or, as Gymnasium has it, a tuple of B int8 masks. Where
                nothing is legal action 0 is drawn.
            probability: (B, A) float64 whose rows sum to 1, or a tuple of these rows.

        Raises:
            InvalidArgumentError: `mask` is an array of another shape or of other values.
        """
        if mask is None or isinstance(mask, tuple) or probability is not None:
            rows = tuple(probability) if isinstance(probability, np.ndarray) else probability
            drawn: npt.NDArray[np.int64] = super().sample(mask, rows)
            return drawn
        given, shape = as_array(mask), (len(self.nvec), int(self.nvec[0]))
        legal = given == 1 if given.dtype.kind in "biuf" else np.zeros(0)
        if legal.shape != shape or not (legal | (given == 0)).all():
            raise InvalidArgumentError(
                f"mask={shown(mask)} must be an array of 0 and 1 of shape {shape}: a row per "
                "environment, such as info['action_mask']."
            )
        # The k-th legal action of each, k being drawn below their number.
        order = legal.cumsum(axis=1, dtype=np.int32)
        k = (self.np_random.random(len(legal)) * order[:, -1]).astype(np.int32)
        chosen: npt.NDArray[np.int64] = (order > k[:, None]).argmax(axis=1)
        return chosen
