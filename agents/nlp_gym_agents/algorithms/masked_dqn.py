"""DQN that never plays, explores or bootstraps from an illegal action."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch as th
from stable_baselines3 import DQN
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, ReplayBufferSamples
from stable_baselines3.dqn.policies import DQNPolicy
from torch.nn import functional as F

from nlp_gym_agents.networks.policies.dueling import DuelingDQNPolicy, explore, mask_of, masked


class MaskedDQN(DQN):
    """Double (van Hasselt et al. 2016), dueling (Wang et al. 2016) DQN with action masks.

    Masks are read from the observation's `action_mask`, those of the next state too; without that
    key every action is legal. Exploration is drawn for each environment by itself and uniformly
    over its legal actions (stock DQN explores in all environments of a step or in none).

    Args:
        policy: ``"MultiInputPolicy"`` (a `DuelingDQNPolicy`) or a class.
        env: A Stable-Baselines3 `VecEnv`.
        double: The online network chooses the next action, the target network values it; False
            takes the target network's maximum over legal actions.
        **kwargs: As for Stable-Baselines3's `DQN`.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MultiInputPolicy": DuelingDQNPolicy}

    def __init__(
        self,
        policy: str | type[DQNPolicy],
        env: GymEnv | str,
        *,
        double: bool = True,
        **kwargs: Any,
    ) -> None:
        self.double = double
        super().__init__(policy, env, **kwargs)

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Actions (B,) to play, and again to store."""
        warm_up = self.num_timesteps < learning_starts
        assert isinstance(self._last_obs, dict)
        actions = explore(self.policy, self._last_obs, 1.0 if warm_up else self.exploration_rate)
        return actions, actions

    def predict(
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Greedy legal actions; exploration belongs to training and is in `_sample_action`."""
        return self.policy.predict(observation, state, episode_start, deterministic=True)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Do `gradient_steps` updates on batches from the replay buffer."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses = []
        for _ in range(gradient_steps):
            data = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)  # type: ignore[union-attr]
            target = self._target(data)  # (B, 1)
            current = self.q_net(data.observations).gather(1, data.actions.long())  # (B, 1)
            loss = F.smooth_l1_loss(current, target)
            losses.append(loss.detach())
            self.policy.optimizer.zero_grad()
            loss.backward()
            th.nn.utils.clip_grad_norm_(self.q_net.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", th.stack(losses).mean().item())

    @th.no_grad()
    def _target(self, data: ReplayBufferSamples) -> th.Tensor:
        """Targets (B, 1) of a batch from the replay buffer."""
        if self.gamma == 0.0:  # the next state counts for nothing: save two of three passes
            return data.rewards
        after = data.next_observations
        valuer = self.q_net_target(after)
        return td_target(
            data.rewards,
            data.dones,
            chooser=self.q_net(after) if self.double else valuer,
            valuer=valuer,
            mask=mask_of(after, self.q_net),
            gamma=self.gamma,
        )


def td_target(
    rewards: th.Tensor,
    dones: th.Tensor,
    *,
    chooser: th.Tensor,
    valuer: th.Tensor,
    mask: th.Tensor | None,
    gamma: float,
) -> th.Tensor:
    """One-step target r + gamma * Q(s', a'), where a' is the best *legal* action.

    Args:
        rewards: (B, 1).
        dones: (B, 1), 1 where the episode ended.
        chooser: (B, A) values that a' maximises.
        valuer: (B, A) values that a' is worth.
        mask: (B, A) bool legal actions of s', or None. A row without a legal action (some tasks
            leave the mask of a final state empty) gives a finite value, which `dones` discards.
        gamma: Discount.

    Returns:
        (B, 1).
    """
    best = masked(chooser, mask).argmax(dim=1, keepdim=True)  # (B, 1)
    return rewards + (1.0 - dones) * gamma * valuer.gather(1, best)
