"""All-action policy gradient: the expectation over actions is computed, not sampled."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch as th
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import explained_variance, obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch.nn import functional as F
from typing_extensions import override

from nlp_gym.checks import check_int, check_number
from nlp_gym_agents.algorithms.policy_gradient.all_actions import (
    AllActionsRolloutBuffer,
    AllActionsSamples,
)
from nlp_gym_agents.algorithms.policy_gradient.lookahead import (
    LookAhead,
    branching_venv,
    distribution_of,
)

_MOST_BRANCHES = 2**16


class ExpectedPG(MaskablePPO):
    """Policy gradient with all actions in it (Asadi et al. 2017; Ciosek and Whiteson 2018).

    In each state of a rollout every legal action has a value Q(s, a): what the rules say that it
    earns, by branching the state, and the discounted value of where it leads (`LookAhead`). The
    loss is ``- sum_a pi(a|s) Q(s, a) - ent_coef * H(pi(.|s))``. Where `gamma` is 0 Q is exact, and
    no noise comes from sampled actions. Where an episode has no more than two decisions, the Q of
    the `branches` actions whose successors are valued is exact, too. (A baseline would change
    nothing: the gradient of the sum of all probabilities is 0.)

    With a `temperature` the loss is the cross-entropy with ``pi(a|s) exp(Q(s, a) / temperature)``,
    normalised: a step of mirror descent, that is of the natural gradient (Abdolmaleki et al. 2018,
    "Maximum a Posteriori Policy Optimisation"; Tomar et al. 2022, "Mirror Descent Policy
    Optimization"). Its gradient does not vanish where the best action is unlikely, as that of
    the expectation does; the lower the temperature, the closer it is to cloning the best action.

    It learns from the rewards of every action: its results are *full information*.

    Args:
        policy: ``"MultiInputPolicy"`` or a class.
        env: A Stable-Baselines3 `VecEnv` over native environments of this package, with gold.
        learning_rate: Rate, or schedule over the progress remaining.
        n_steps: Steps T of each environment in a rollout.
        batch_size: Decisions an update.
        n_epochs: Passes over a rollout.
        gamma: Discount; 0: only what an action earns at once counts, and nothing is branched.
        gae_lambda: Of the returns that the critic is fitted to, see
            `AllActionsRolloutBuffer.compute_expected_returns`.
        branches: Actions of a state whose successors are valued, where there is a discount; the
            others share a control variate, see `LookAhead.values`.
        temperature: Of the mirror step; None: the expectation's own gradient.
        residual_coef: Weight of the policy gradient of what the actions that were played turned out
            to be worth beyond their Q. 1, with a `gae_lambda` of 1, makes the gradient unbiased
            whatever the critic says (but where a rollout ends within an episode), at the price of
            noise; 0 trusts the critic. Without effect where `gamma` is 0 or an episode has no more
            than two decisions.
        ent_coef: Weight of the entropy.
        vf_coef: Weight of the critic's squared error.
        max_grad_norm: Longest gradient.
        rollout_buffer_class: `AllActionsRolloutBuffer` or a subclass.
        rollout_buffer_kwargs: Of it.
        target_kl: End the passes over a rollout where an update's decisions have moved by more
            than 1.5 times this divergence, in nats; None: never.
        stats_window_size: As in Stable-Baselines3.
        tensorboard_log: Folder of TensorBoard files.
        policy_kwargs: Of the policy.
        verbose: 0, 1 or 2.
        seed: Of weights, sampled actions and batches.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.

    Raises:
        InvalidArgumentError: The environments do not branch, or a value outside what is allowed.
    """

    rollout_buffer: AllActionsRolloutBuffer  # type: ignore[assignment]
    policy_aliases: ClassVar[dict[str, Any]] = MaskablePPO.policy_aliases

    def __init__(
        self,
        policy: str | type[MaskableActorCriticPolicy],
        env: Any,
        learning_rate: Any = 1e-3,
        n_steps: int = 8,
        batch_size: int = 512,
        n_epochs: int = 3,
        gamma: float = 0.0,
        gae_lambda: float = 0.95,
        branches: int = 16,
        temperature: float | None = None,
        residual_coef: float = 0.0,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        rollout_buffer_class: type[RolloutBuffer] | None = None,
        rollout_buffer_kwargs: dict[str, Any] | None = None,
        target_kl: float | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        self.branches = check_int("branches", branches, 1, _MOST_BRANCHES)
        self.temperature = temperature
        if temperature is not None:
            self.temperature = check_number("temperature", temperature, 1e-6, 1e6)
        self.residual_coef = check_number("residual_coef", residual_coef, 0.0, 1.0)
        super().__init__(
            policy,
            env,
            learning_rate,
            n_steps=n_steps,
            batch_size=batch_size,
            n_epochs=n_epochs,
            gamma=gamma,
            gae_lambda=gae_lambda,
            normalize_advantage=False,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            rollout_buffer_class=rollout_buffer_class or AllActionsRolloutBuffer,
            rollout_buffer_kwargs=rollout_buffer_kwargs,
            target_kl=target_kl,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    @override
    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
        use_masking: bool = True,
    ) -> bool:
        """Play a rollout, and keep its states: `train` branches them.

        As in `MaskablePPO`, which has no place to look at a state before its action is played.
        """
        venv, buffer = branching_venv(env), self.rollout_buffer
        self.policy.set_training_mode(False)
        buffer.reset()
        self._states: list[Any] = []
        callback.on_rollout_start()
        for step in range(n_rollout_steps):
            masks = get_action_masks(env)
            with th.no_grad():
                seen = obs_as_tensor(self._last_obs, self.device)  # type: ignore[arg-type]
                actions, values, log_probs = self.policy(seen, action_masks=masks)
            # Of all actions: what the policy's distribution was just filled with.
            logits = distribution_of(self.policy).logits
            self._states.append(venv.current_state())
            played = actions.cpu().numpy()
            new_obs, rewards, dones, infos = env.step(played)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
            rewards = self._with_cut_ends(rewards, infos, dones)
            buffer.add(
                self._last_obs,
                played.reshape(-1, 1),
                rewards,
                self._last_episode_starts,
                values,
                log_probs,
                action_masks=masks,
            )
            buffer.action_log_probs[step] = logits.numpy(force=True)
            self._last_obs, self._last_episode_starts = new_obs, dones  # type: ignore[assignment]
        with th.no_grad():
            last = self.policy.predict_values(obs_as_tensor(self._last_obs, self.device))  # type: ignore[arg-type]
        buffer.compute_returns_and_advantage(
            last_values=last, dones=np.asarray(self._last_episode_starts)
        )
        callback.on_rollout_end()
        return True

    @th.no_grad()
    def _with_cut_ends(
        self, rewards: np.ndarray, infos: list[Any], dones: np.ndarray
    ) -> np.ndarray:
        """(E,) rewards, with the value of where an episode was cut short."""
        for i in dones.nonzero()[0]:
            if infos[i].get("TimeLimit.truncated", False):
                last = self.policy.obs_to_tensor(infos[i]["terminal_observation"])[0]
                rewards[i] += self.gamma * float(self.policy.predict_values(last)[0])
        return rewards

    @th.no_grad()
    def _value_actions(self) -> None:
        """Give the rollout its values of all actions, and the critic its targets."""
        buffer = self.rollout_buffer
        look = LookAhead(
            branching_venv(self.env),
            getattr(self.observation_space, "spaces", {}),
            gamma=self.gamma,
            branches=self.branches,
            temperature=self.temperature or 1.0,
        )
        steps, envs, n = buffer.action_log_probs.shape
        self.policy.set_training_mode(False)
        worth = look.values(
            self.policy,
            type(self._states[0]).joined(self._states),
            buffer.action_masks.reshape(-1, n) > 0,
            buffer.action_log_probs.reshape(-1, n),
            buffer.values.reshape(-1),
            buffer.actions.reshape(-1).astype(np.int64),
        )
        trace = 0.0 if look.exact else self.gae_lambda
        dones = np.asarray(self._last_episode_starts)
        buffer.compute_expected_returns(worth.reshape(steps, envs, n), dones, trace)
        self._states = []

    @override
    def train(self) -> None:
        """Learn from the rollout."""
        self._value_actions()
        buffer = self.rollout_buffer
        fit = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        told: dict[str, list[float]] = {}
        for _ in range(self.n_epochs):
            if not all(self._update(batch, told) for batch in buffer.get(self.batch_size)):
                break
            self._n_updates += 1
        for name, figures in told.items():
            self.logger.record(f"train/{name}", float(np.mean(figures)))
        self.logger.record("train/explained_variance", fit)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def losses(self, batch: AllActionsSamples) -> dict[str, th.Tensor]:
        """What a minibatch says of the policy and of the critic, each a mean over B decisions."""
        actions = batch.actions.long().flatten()
        values, log_prob, entropy = self.policy.evaluate_actions(
            batch.observations,  # type: ignore[arg-type]
            actions,
            action_masks=batch.action_masks,
        )
        distribution = distribution_of(self.policy)
        legal = batch.action_masks > 0
        # Of illegal actions the logarithms are -1e8 and the probabilities 0.
        log_probs = distribution.logits.masked_fill(~legal, 0.0)
        if self.temperature is None:
            policy_loss = -(distribution.probs * batch.action_values).sum(dim=1).mean()
            scale = 1.0
        else:
            scale = 1.0 / self.temperature
            goal = distribution.logits.detach() + scale * batch.action_values
            goal = goal.masked_fill(~legal, -th.inf).softmax(dim=1)
            policy_loss = -(goal * log_probs).sum(dim=1).mean()
        if self.residual_coef:
            ratio = th.exp(log_prob - batch.old_log_prob)
            residual = (ratio * batch.advantages).mean()
            policy_loss = policy_loss - self.residual_coef * scale * residual
        with th.no_grad():
            moved = (log_probs.exp() * (log_probs - batch.action_log_probs) * legal).sum(dim=1)
        assert entropy is not None
        return {
            "policy_gradient_loss": policy_loss,
            "entropy_loss": -entropy.mean(),
            "value_loss": F.mse_loss(values.flatten(), batch.returns),
            "kl": moved.mean(),
        }

    def _update(self, batch: AllActionsSamples, told: dict[str, list[float]]) -> bool:
        """One step of the optimizer; False: the policy has moved too far for this rollout."""
        found = self.losses(batch)
        for name, loss in found.items():
            told.setdefault(name, []).append(float(loss.detach()))
        if self.target_kl is not None and told["kl"][-1] > 1.5 * self.target_kl:
            return False
        loss = found["policy_gradient_loss"]
        if self.ent_coef:
            loss = loss + self.ent_coef * found["entropy_loss"]
        if self.vf_coef:
            loss = loss + self.vf_coef * found["value_loss"]
        self.policy.optimizer.zero_grad()
        loss.backward()
        th.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        return True

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_states"]
