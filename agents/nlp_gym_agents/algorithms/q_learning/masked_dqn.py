"""DQN that never plays, explores or bootstraps from an illegal action."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch as th
from stable_baselines3 import DQN
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, ReplayBufferSamples
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.dqn.policies import DQNPolicy
from torch.nn import functional as F

from nlp_gym.checks import check_int, check_number
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import BoolArray
from nlp_gym_agents.algorithms.buffers import RUN, EpisodeReplayBuffer
from nlp_gym_agents.algorithms.imitation.demonstrations import obs_type_of
from nlp_gym_agents.algorithms.q_learning.full_targets import full_targets, some_of
from nlp_gym_agents.algorithms.q_learning.state_buffer import Decisions, StateReplayBuffer
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
from nlp_gym_agents.networks.features.open_corpora import with_corpus
from nlp_gym_agents.networks.policies.dueling import DuelingDQNPolicy, explore, mask_of, masked

_MOST_STEPS = 1000
_LARGEST = 1e6
STATE_OPTIONS = ("full_targets", "demonstrations", "prioritised")
"""Options for which replay keeps states, where they are on; so does `n_steps` above 1."""


class MaskedDQN(DQN):
    """Double (van Hasselt et al. 2016), dueling (Wang et al. 2016) DQN with action masks.

    Masks are read from the observation's `action_mask`, those of the next state too; without that
    key every action is legal. Exploration is drawn for each environment by itself and uniformly
    over its legal actions (stock DQN explores in all environments of a step or in none).

    What it learns from can be more than the rewards of what it did:

    - With `full_targets` each update has targets of all legal actions, since the task's rules say
      at once what every one of them earns and leads to (*full information*).
    - With `demonstrations` a share of each batch is what the oracle did, which the large-margin
      loss of DQfD (Hester et al. 2018) keeps above all other actions (*bandit + oracle*).

    With these, n-step returns or prioritised replay (Schaul et al. 2016), replay keeps states of
    the task instead of observations, which needs the vector environments of this package.

    Args:
        policy: ``"MultiInputPolicy"`` (a `DuelingDQNPolicy`) or a class.
        env: A Stable-Baselines3 `VecEnv`.
        double: The online network chooses the next action, the target network values it; False
            takes the target network's maximum over legal actions.
        full_targets: Learn the values of all legal actions from each state.
        branches: Most actions of a state that have targets in an update with `full_targets`, where
            there are thousands; None: all.
        demonstrations: Share of the oracle's decisions in each batch, from 0 to 1.
        margin: By how much a demonstrated action should be worth more than any other.
        margin_coef: Weight of the large-margin loss.
        margin_temperature: Makes its maximum a soft one; see `margin_loss`.
        n_steps: Decisions whose rewards are summed before a value stands for the rest.
        prioritised: Draw what the values were furthest from most often.
        priority_alpha: Exponent of priorities.
        priority_beta: Exponent of the importance weights at first; it rises to 1.
        **kwargs: As for Stable-Baselines3's `DQN`.

    Raises:
        InvalidArgumentError: `n_steps` is above 1 with `full_targets`, a number is outside what is
            allowed, or the environments are of another package and an option needs states; when
            training begins, `full_targets` without `branches` where texts are written.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MultiInputPolicy": DuelingDQNPolicy}

    def __init__(
        self,
        policy: str | type[DQNPolicy],
        env: GymEnv | str,
        *,
        double: bool = True,
        full_targets: bool = False,
        branches: int | None = None,
        demonstrations: float = 0.0,
        margin: float = 0.8,
        margin_coef: float = 1.0,
        margin_temperature: float = 0.0,
        n_steps: int = 1,
        prioritised: bool = False,
        priority_alpha: float = 0.6,
        priority_beta: float = 0.4,
        **kwargs: Any,
    ) -> None:
        self.double = double
        self.full_targets, self.branches = full_targets, branches
        self.demonstrations = check_number("demonstrations", demonstrations, 0.0, 1.0)
        self.margin = check_number("margin", margin, 0.0, _LARGEST)
        self.margin_coef = check_number("margin_coef", margin_coef, 0.0, _LARGEST)
        self.margin_temperature = check_number(
            "margin_temperature", margin_temperature, 0.0, _LARGEST
        )
        # Stable-Baselines3 means by `n_steps` a replay buffer of its own.
        self.return_steps = check_int("n_steps", n_steps, 1, _MOST_STEPS)
        self.prioritised = prioritised
        self.priority_alpha = check_number("priority_alpha", priority_alpha, 0.0, 1.0)
        self.priority_beta = check_number("priority_beta", priority_beta, 0.0, 1.0)
        if full_targets and n_steps > 1:
            raise InvalidArgumentError(
                f"n_steps={n_steps}: targets of all actions are those of one step, as only one "
                "action was followed. Set n_steps: 1, or full_targets: false."
            )
        if branches is not None:
            check_int("branches", branches, 1, 2**31 - 1)
        super().__init__(policy, env, **kwargs)

    @property
    def keeps_states(self) -> bool:
        """Whether an option is on for which replay keeps states."""
        return self.return_steps > 1 or any(getattr(self, name) for name in STATE_OPTIONS)

    def _setup_model(self) -> None:
        if self.keeps_states and self.env is not None and self.replay_buffer is None:
            self.set_random_seed(self.seed)
            self.replay_buffer = self._state_buffer()
        super()._setup_model()

    def _state_buffer(self) -> StateReplayBuffer:
        """A replay buffer of states; a class that was given says how many are drawn together."""
        given, options = self.replay_buffer_class, self.replay_buffer_kwargs or {}
        runs = given is not None and issubclass(given, EpisodeReplayBuffer)
        return StateReplayBuffer(
            self.buffer_size,
            self.observation_space,
            self.action_space,
            device=self.device,
            n_envs=self.n_envs,
            task=self._native().task,
            run=options.get("run", RUN) if runs else 1,
            share=self.demonstrations,
            alpha=self.priority_alpha if self.prioritised else None,
        )

    def _native(self) -> TaskVectorEnv:
        """The environments.

        Raises:
            InvalidArgumentError: They are not those of this package.
        """
        venv = self.env.venv.unwrapped if isinstance(self.env, SB3VecEnv) else None
        if not isinstance(venv, TaskVectorEnv):
            raise InvalidArgumentError(
                f"env={shown(self.env)} has no states that could be kept: full_targets, "
                "demonstrations, n_steps and prioritised need the vector environments of this "
                "package (make_sb3_env, or SB3VecEnv on gym.make_vec of one of its ids)."
            )
        return venv

    def _setup_learn(self, *args: Any, **kwargs: Any) -> Any:
        if self.keeps_states:
            if not isinstance(self.replay_buffer, StateReplayBuffer):  # loaded without environments
                self.replay_buffer = self._state_buffer()
            for name in ("full_targets", "demonstrations"):
                if getattr(self, name):
                    self._native().task.require_gold(name)
            if self.full_targets and self.branches is None and self._native().task.writes:
                raise InvalidArgumentError(
                    "full_targets=True: texts are written from thousands of tokens, and the value "
                    "of each takes a pass of the decoder. Set branches, such as 8, or "
                    "full_targets: false."
                )
        return super()._setup_learn(*args, **kwargs)

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Actions (B,) to play, and again to store."""
        warm_up = self.num_timesteps < learning_starts
        assert isinstance(self._last_obs, dict)
        if isinstance(self.replay_buffer, StateReplayBuffer):
            self.replay_buffer.before(self._native().current_state())
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
            loss = self._loss(batch_size)
            losses.append(loss.detach())
            self.policy.optimizer.zero_grad()
            loss.backward()
            th.nn.utils.clip_grad_norm_(self.q_net.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", th.stack(losses).mean().item())

    def _loss(self, batch_size: int) -> th.Tensor:
        """The loss of a batch from the replay buffer."""
        if isinstance(self.replay_buffer, StateReplayBuffer):
            return self._loss_of_states(self.replay_buffer, batch_size)
        assert self.replay_buffer is not None
        data = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
        target = self._target(data)  # (B, 1)
        current = self.q_net(data.observations).gather(1, data.actions.long())  # (B, 1)
        return F.smooth_l1_loss(current, target)

    def _loss_of_states(self, buffer: StateReplayBuffer, batch_size: int) -> th.Tensor:
        """The loss of a batch of states; priorities are set to its errors."""
        # The weights take back more of what priorities favour as training ends.
        beta = 1.0 - (1.0 - self.priority_beta) * self._current_progress_remaining
        drawn = buffer.sample(batch_size, beta=beta)
        obs, legal = self._observed(buffer.task, drawn.state)
        values = self.q_net(obs)  # (B, A)
        actions = th.as_tensor(drawn.actions, device=self.device)
        if self.full_targets:
            losses, errors = self._full_losses(buffer.task, drawn, legal, values)
        else:
            own = values.gather(1, actions[:, None])[:, 0]
            target = self._target_of_taken(buffer, drawn)
            losses = F.smooth_l1_loss(own, target, reduction="none")
            errors = own.detach() - target
        buffer.update(drawn, errors.numpy(force=True))
        if drawn.n_own < len(actions):
            mask = th.as_tensor(legal[drawn.n_own :], device=self.device)
            above = margin_loss(
                values[drawn.n_own :],
                actions[drawn.n_own :],
                mask,
                margin=self.margin,
                temperature=self.margin_temperature,
            )
            losses = th.cat(
                [losses[: drawn.n_own], losses[drawn.n_own :] + self.margin_coef * above]
            )
        return (th.as_tensor(drawn.weights, device=self.device) * losses).mean()

    def _observed(self, task: Task, state: Any) -> tuple[dict[str, th.Tensor], BoolArray]:
        """Observations of a state's episodes, and (B, A) legal actions."""
        keys = self.observation_space.spaces  # type: ignore[attr-defined]
        seen, legal = task.views.observe_with_mask(state, obs_type_of(keys))
        obs = obs_as_tensor(with_corpus(seen, task, keys), self.device)
        assert isinstance(obs, dict)
        return obs, legal

    def _full_losses(
        self, task: Task, drawn: Decisions, legal: BoolArray, values: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor]:
        """(B,) losses summed over the actions of a state, and (B,) their mean errors."""
        wanted = legal
        if self.branches is not None and self.branches < legal.shape[1]:
            wanted = some_of(legal, values.numpy(force=True), drawn.actions, self.branches)
        targets = full_targets(
            task,
            drawn.state,
            wanted,
            gamma=self.gamma,
            worth=lambda after: self._worth(task, after),
        )
        where = th.as_tensor(wanted, device=self.device)
        off = th.where(where, values - th.as_tensor(targets, device=self.device), 0.0)
        losses = F.smooth_l1_loss(off, th.zeros_like(off), reduction="none").sum(dim=1)
        return losses, off.detach().abs().sum(dim=1) / where.sum(dim=1).clamp(min=1)

    def _target_of_taken(self, buffer: StateReplayBuffer, drawn: Decisions) -> th.Tensor:
        """(B,) targets of the actions that were taken, after up to `n_steps` decisions."""
        ahead = buffer.ahead(drawn, n_steps=self.return_steps, gamma=self.gamma)
        target = ahead.rewards
        going = ~ahead.ended
        if self.gamma and going.any():
            worth = self._worth(buffer.task, ahead.state.take(going))
            target[going] += ahead.discounts[going] * worth
        return th.as_tensor(target, device=self.device)

    @th.no_grad()
    def _worth(self, task: Task, state: Any) -> np.ndarray:
        """(n,) value of the best legal action in each of a state's n running episodes."""
        obs, legal = self._observed(task, state)
        mask = th.as_tensor(legal, device=self.device)
        valuer = self.q_net_target(obs)
        chooser = self.q_net(obs) if self.double else valuer
        best = masked(chooser, mask).argmax(dim=1, keepdim=True)
        worth: np.ndarray = valuer.gather(1, best)[:, 0].numpy(force=True)
        return worth

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


def margin_loss(
    values: th.Tensor,
    actions: th.Tensor,
    mask: th.Tensor | None,
    *,
    margin: float,
    temperature: float = 0.0,
) -> th.Tensor:
    """Max over a of [Q(s, a) + margin * (a is not a_E)] - Q(s, a_E) (Hester et al. 2018, eq. 5).

    With a temperature T the maximum is T * log of the sum of exp(. / T), softmax-margin (Gimpel and
    Smith 2010). The maximum alone moves one wrong action at a time, and where no action is right
    more often than not it makes all alike; the sum orders them by how often each is right.

    Args:
        values: (B, A) Q.
        actions: (B,) what was demonstrated, a_E.
        mask: (B, A) bool legal actions, the others count for nothing; None: all are.
        margin: By how much a_E should be worth more.
        temperature: 0 for the maximum.

    Returns:
        (B,).
    """
    chosen = actions[:, None]
    own = values.gather(1, chosen)[:, 0]
    if mask is not None:  # gold that is not well-formed can ask for what is masked
        mask = mask.scatter(1, chosen, True)
    raised = masked((values + margin).scatter(1, chosen, own[:, None]), mask)
    if temperature:
        return temperature * th.logsumexp(raised / temperature, dim=1) - own
    return raised.amax(dim=1) - own
