"""KL penalty for leaving the policy that training started from, and its adaptive coefficient."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import obs_as_tensor

from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.files import atomic_path, sha256_file
from nlp_gym_agents.algorithms.policy_gradient.all_actions import AllActions
from nlp_gym_agents.config.learning import LARGEST_COEFFICIENT, KLOptions
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.features.swap_source import clear_caches
from nlp_gym_agents.runs.files.weights import read_tensors, save_tensors
from nlp_gym_agents.runs.folder import writing
from nlp_gym_agents.training.callbacks.rollout_parts import (
    BufferObs,
    RolloutCallback,
    StepsAndEnvs,
    by_step,
    rollout_batches,
)

_Floats = npt.NDArray[np.float32]
_GAIN = 0.2  # by how much of itself the coefficient moves a rollout, at most


def frozen_copy(policy: Any, shared: Sequence[object] = ()) -> Any:
    """A copy of a policy that does not learn; it shares the memory of what is frozen in both.

    Args:
        policy: Any policy.
        shared: Objects behind it that it shares with its copy, besides parameters that need no
            gradient, buffers that are not saved, the encoded corpus and the optimizer (which the
            copy does not have).
    """
    fixed = [p for p in policy.parameters() if not p.requires_grad]
    fixed += [m._buffers[name] for m in policy.modules() for name in m._non_persistent_buffers_set]
    corpora = [
        v for m in policy.modules() for v in vars(m).values() if isinstance(v, FeatureSource)
    ]
    # A distribution is filled anew by each evaluation. Left from the last one it holds tensors of
    # a graph, which cannot be copied.
    other = [policy.optimizer, getattr(policy, "action_dist", None)]
    memo = {id(v): v for v in (*fixed, *corpora, *other, *shared) if v is not None}
    start = copy.deepcopy(policy, memo)
    start.optimizer = None
    start.set_training_mode(False)
    return start.requires_grad_(False)


class KLToStart(RolloutCallback):
    """Take ``coef * (log pi(a|s) - log pi_start(a|s))`` off each reward of a rollout.

    In expectation that is the Kullback-Leibler divergence of the policy from the one training
    began with, in the reward (Ziegler et al. 2019, "Fine-Tuning Language Models from Human
    Preferences", section 2.2). Returns and advantages are computed again from the new rewards. The
    rewards that the environments report, and so the means in the log, stay without it. An algorithm
    that learns from every action (`ExpectedPG`) finds what to take off each in ``penalties``.

    With a `target` the coefficient follows it, as in section 2.2 there: after each rollout it is
    multiplied by ``1 + 0.2 * clip(KL / target - 1, -1, 1)``. (The paper's step is smaller, and made
    more often than there are rollouts here.)

    Args:
        coef: The coefficient, from 0, in units of reward a nat.
        target: The divergence to hold, in nats a decision; None leaves `coef` as it is.
        shared: See `frozen_copy`.

    Attributes:
        coef: The coefficient of the next rollout.
        start_sha256: Of the file that keeps the start policy's weights; None: no file does.

    Raises:
        InvalidArgumentError: A value outside what is allowed; when training begins, an algorithm
            that has no rollouts, or whose policy has a memory.
    """

    def __init__(
        self, coef: float = 0.05, *, target: float | None = None, shared: Sequence[object] = ()
    ) -> None:
        super().__init__()
        options = KLOptions(coef, target)  # checks both
        self.coef, self.target, self.shared = float(options.coef), options.target, shared
        self.start_sha256: str | None = None
        self._start: Any = None
        self._names: list[str] = []
        self._weights: Mapping[str, th.Tensor] | None = None

    def state_dict(self) -> dict[str, float]:
        """What the callback continues from, besides `start_weights`."""
        return {"coef": self.coef}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Continue from what `state_dict` gave."""
        self.coef = float(state["coef"])

    def start_weights(self) -> dict[str, th.Tensor]:
        """The start policy's parameters that training moves, by name; once training has begun."""
        assert self._start is not None, "training has not begun"
        parameters = dict(self._start.named_parameters())
        return {name: parameters[name].detach() for name in self._names}

    def load_start(self, weights: Mapping[str, th.Tensor]) -> None:
        """Compare with the policy of an earlier process, not with the one training goes on from.

        Args:
            weights: From `start_weights`; before training begins.
        """
        self._weights = dict(weights)

    def clear_cache(self) -> None:
        """Drop what the start policy caches; see `TrainableEncoder.clear_cache`."""
        clear_caches(self._start)

    def _init_callback(self) -> None:
        self.check(self.model)

    def check(self, model: BaseAlgorithm) -> None:
        """Raise `InvalidArgumentError` where the algorithm cannot be penalised."""
        # Without a rollout buffer there is no reward to change before it is learned from; a memory
        # would have to be replayed by the start policy.
        memory = hasattr(model.policy, "lstm_actor")
        if getattr(model, "rollout_buffer", None) is None or memory:
            raise InvalidArgumentError(
                f"model={type(model).__name__}: a KL penalty in the reward needs an algorithm "
                "that learns from rollouts with a feed-forward policy: ppo, maskable_ppo, a2c, "
                "expected_pg or rloo."
            )

    def _on_training_start(self) -> None:
        if self._start is not None:
            return  # learn() was called again
        parameters = self.model.policy.named_parameters()
        self._names = [name for name, p in parameters if p.requires_grad]
        self._start = frozen_copy(self.model.policy, self.shared)
        if self._weights is not None:
            self._fill(self._weights)
            self._weights = None

    def _fill(self, weights: Mapping[str, th.Tensor]) -> None:
        own = self.start_weights()
        for name in sorted({*own, *weights}):
            shapes = [tuple(w[name].shape) if name in w else "absent" for w in (weights, own)]
            if shapes[0] != shapes[1]:
                raise RunError(
                    f"the weights of the start policy do not fit: {name} is {shapes[0]}, and "
                    f"{shapes[1]} in the policy. Resume with the settings of the run's config.yml."
                )
            own[name].copy_(weights[name])

    def _on_rollout_end(self) -> None:
        model, buffer, seen = self.learner, self.learner.rollout_buffer, self.learner._last_obs
        assert isinstance(seen, np.ndarray | dict)
        taken, every = self._start_log_probs()
        ratios = buffer.log_probs - taken  # (T, E)
        divergence = float(ratios.mean())
        buffer.rewards -= self.coef * ratios
        if isinstance(buffer, AllActions) and every is not None:
            buffer.penalties = self.coef * (buffer.action_log_probs - every)
        with th.no_grad():
            values = model.policy.predict_values(obs_as_tensor(seen, model.device))
        buffer.compute_returns_and_advantage(
            last_values=values, dones=np.asarray(model._last_episode_starts)
        )
        self.logger.record("train/kl_to_start", divergence)
        self.logger.record("train/kl_coef", self.coef)
        if self.target is not None:
            error = float(np.clip(divergence / self.target - 1.0, -1.0, 1.0))
            self.coef = min(self.coef * (1.0 + _GAIN * error), LARGEST_COEFFICIENT)

    @th.no_grad()
    def _start_log_probs(self) -> tuple[_Floats, _Floats | None]:
        """Logarithms of the start policy's probabilities.

        Returns:
            (T, E) of the actions taken; (T, E, A) of all, where the rollout keeps values of them.
        """
        buffer = self.learner.rollout_buffer
        found = [self._evaluate(at, seen) for at, seen in rollout_batches(buffer)]
        taken = by_step(th.cat([one for one, _ in found]).cpu().numpy(), buffer)
        if not isinstance(buffer, AllActions):
            return taken, None
        every = th.cat([own for _, own in found if own is not None]).cpu().numpy()
        return taken, by_step(every, buffer)

    def _evaluate(
        self, at: StepsAndEnvs, observations: BufferObs
    ) -> tuple[th.Tensor, th.Tensor | None]:
        """The start policy's log probabilities at B steps and environments: taken, all or None."""
        model, buffer = self.learner, self.learner.rollout_buffer
        actions = th.as_tensor(buffer.actions[at], device=model.device)  # (B, N)
        if isinstance(model.action_space, spaces.Discrete):
            actions = actions.long().flatten()
        masks = getattr(buffer, "action_masks", None)
        given = {} if masks is None else {"action_masks": masks[at]}
        _, log_probs, _ = self._start.evaluate_actions(
            obs_as_tensor(observations, model.device), actions, **given
        )
        if not isinstance(buffer, AllActions):
            return log_probs, None
        return log_probs, self._start.action_dist.distribution.logits


START = "start.safetensors"
"""In a run folder: what the start policy learned before the run; a resumed run reads it."""


def penalty_of(
    run: Path,
    options: KLOptions | None,
    coef: float | None = None,
    start_sha256: str | None = None,
) -> KLToStart | None:
    """The penalty of a run; None where there is none.

    Args:
        run: The run folder.
        options: The section `kl` of the hyperparameters.
        coef: Of the checkpoint that training goes on from.
        start_sha256: Of that checkpoint; None: it does not say (older ones, or a fresh run).

    Raises:
        RunError: The start policy's weights are missing or damaged.
    """
    if options is None:
        return None
    path = run / START
    if coef is not None and not path.is_file():
        raise RunError(f"{path} is missing: the KL penalty compares with the policy in it.")
    if start_sha256 is not None and sha256_file(path) != start_sha256:
        raise RunError(f"{path} is damaged: its sha256 is not the one in the checkpoint.")
    penalty = SavedKLPenalty(path, options)
    if coef is not None:
        penalty.load_state_dict({"coef": coef})
    return penalty


def check_penalty(model: BaseAlgorithm, options: KLOptions | None) -> None:
    """Raise the errors of training with the penalty now, before anything takes long.

    Raises:
        InvalidArgumentError: An algorithm without rollouts.
    """
    penalty = penalty_of(Path(), options)
    if penalty is not None:
        penalty.check(model)


class SavedKLPenalty(KLToStart):
    """A penalty that writes its start policy into the run folder, or reads it from there.

    Args:
        path: Where its weights are, or will be.
        options: Coefficient and target.
    """

    def __init__(self, path: Path, options: KLOptions) -> None:
        super().__init__(options.coef, target=options.target)
        self.path = path

    def _on_training_start(self) -> None:
        known = self.path.exists()
        if known:
            self.load_start(read_tensors(self.path))
        super()._on_training_start()
        if not known:
            run = self.path.parent
            with writing(run, resumable=True), atomic_path(self.path) as path:
                save_tensors(path, self.start_weights())
        self.start_sha256 = sha256_file(self.path)
