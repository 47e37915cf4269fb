"""What the processes of a data-parallel run do together at the boundaries of a training loop.

Rank 0 runs `TrainingLoop`, which scores, saves and decides when to stop. The others run
`Following`: at each boundary they wait for its `Orders`, and give their part of a checkpoint.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from nlp_gym.errors import RunError
from nlp_gym_agents.algorithms.parallel.data_parallel import DataParallel
from nlp_gym_agents.runs.checkpoints import episodes
from nlp_gym_agents.runs.checkpoints.parts import Boundary, boundary


@dataclass(frozen=True)
class Orders:
    """What rank 0 says at a boundary.

    Attributes:
        save: A checkpoint is made of this state.
        stopped: Training ends here.
        signal: The signal that asked for it; None: none did.
    """

    save: bool
    stopped: bool
    signal: int | None = None


def whole_boundary(parallel: DataParallel, model: BaseAlgorithm) -> Boundary:
    """The state of all ranks as that of one process with all environments; call it on each.

    Raises:
        RunError: The weights of the ranks differ.
    """
    if len(set(parallel.ranks.gathered(weights_sha256(model)))) > 1:
        raise RunError(
            "the processes of torchrun have different weights: what they were started with differs "
            "(settings, versions, data, devices). Nothing of it was saved."
        )
    own = boundary(model)
    return replace(own, episodes=episodes.joined(parallel.ranks.gathered(own.episodes)))


def weights_sha256(model: BaseAlgorithm) -> str:
    """Hash of all weights of a model's policy, bit for bit."""
    digest = hashlib.sha256()
    for parameter in model.policy.parameters():
        digest.update(parameter.detach().cpu().reshape(-1).view(th.uint8).numpy().tobytes())
    return digest.hexdigest()


class Following(BaseCallback):
    """The loop of every rank but the first.

    Args:
        parallel: How the model learns.
        any_step: As for `TrainingLoop`.

    Attributes:
        signal: The signal that stopped rank 0; None: none did.
    """

    def __init__(self, parallel: DataParallel, *, any_step: bool) -> None:
        super().__init__()
        self.parallel, self.any_step = parallel, any_step
        self.stopped = False
        self.signal: int | None = None

    def _on_training_start(self) -> None:
        self._follow()

    def _on_rollout_start(self) -> None:
        self._follow()

    def _on_step(self) -> bool:
        if self.any_step and not self.stopped:
            self._follow()
        return not self.stopped

    def _on_training_end(self) -> None:
        if not self.stopped:
            self._follow()

    def _follow(self) -> None:
        orders: Orders = self.parallel.ranks.told()
        self.stopped, self.signal = orders.stopped, orders.signal
        if orders.save:
            whole_boundary(self.parallel, self.model)
