"""Elastic weight consolidation: weights that mattered in earlier stages are held where they were.

Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks": the penalty is
``coef / 2 * sum of F * (w - w_before) ** 2``, where F is the diagonal of the Fisher information of
the earlier policy. Over several stages F is summed up, with the weights of the last one as the
centre (online EWC, Schwarz et al. 2018, "Progress & Compress", with gamma = 1: every stage counts
alike).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch as th
from sb3_contrib import QRDQN
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import obs_as_tensor

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.progress import progress_bar
from nlp_gym.tasks.core.rollout import play
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Int64Array, Observation
from nlp_gym_agents.networks.features.observation_keys import MASK_KEY
from nlp_gym_agents.networks.features.pointer import real
from nlp_gym_agents.networks.features.swap_source import clear_caches, reads_whole_texts
from nlp_gym_agents.networks.policies.dueling import action_scores, has_scores
from nlp_gym_agents.runs.files.weights import Tensors

STATES, FEW_STATES = 1000, 200
"""Decisions that the information is estimated from; fewer where each is a pass of an encoder."""
_TEXTS = 256


def learned(model: BaseAlgorithm) -> dict[str, th.nn.Parameter]:
    """The parameters that an optimizer moves, by name."""
    policy: Any = model.policy
    groups = policy.optimizer.param_groups
    own = {id(p) for group in groups for p in group["params"]}
    named = policy.named_parameters()
    return {name: p for name, p in named if id(p) in own and p.requires_grad}


def check_consolidates(model: BaseAlgorithm) -> None:
    """Refuse a model whose decisions have no probabilities by themselves.

    Raises:
        InvalidArgumentError: It is recurrent, or of a family without scores of its actions.
    """
    if not has_scores(model.policy):
        raise InvalidArgumentError(
            f"ewc: {type(model).__name__} has a memory, or no scores of actions, so that single "
            "decisions have no probabilities: use --replay."
        )


def fisher(
    model: BaseAlgorithm,
    task: Task,
    *,
    obs_type: str,
    known: th.Tensor | None = None,
    rows: int | None = None,
    seed: int = 0,
) -> Tensors:
    """The diagonal of the Fisher information of a policy, on states of the oracle's way.

    It is the mean square of the gradient of ``log pi(a|s)``, with actions drawn from the policy
    itself. For values it is that of Q(s, a), which makes them the mean of a normal distribution,
    with actions drawn evenly.

    Args:
        model: With the policy; it reads `task`.
        task: It has gold.
        obs_type: Kind of observation that the policy reads.
        known: (A,) bool, actions that the policy knew; None: all.
        rows: Samples below this one; None: all.
        seed: Of the choice of states and actions.

    Returns:
        By name of a parameter; the random generators are as they were.

    Raises:
        InvalidArgumentError: See `check_consolidates`.
    """
    check_consolidates(model)
    values = isinstance(model, DQN | QRDQN)
    learns = reads_whole_texts(model.policy)
    seen = _states(task, obs_type, FEW_STATES if learns else STATES, rows, seed)
    n = len(next(iter(seen.values())))
    parameters = learned(model)
    total = {name: th.zeros_like(p) for name, p in parameters.items()}
    draws = th.Generator().manual_seed(seed)
    training = model.policy.training
    model.policy.set_training_mode(False)
    clear_caches(model.policy)
    with th.enable_grad(), progress_bar(n, "Fisher information", unit="states") as advance:
        for i in range(n):
            one: Any = obs_as_tensor({k: v[i : i + 1] for k, v in seen.items()}, model.device)
            scores = action_scores(model.policy, one)
            assert scores is not None
            what = _drawn(scores.float(), one, known, draws, values=values)
            if what is None:
                continue
            found = th.autograd.grad(what, list(parameters.values()), allow_unused=True)
            for name, gradient in zip(parameters, found, strict=True):
                if gradient is not None:
                    total[name] += gradient.detach() ** 2 / n
            if learns:
                clear_caches(model.policy)
            advance(1)
    model.policy.set_training_mode(training)
    return total


def _drawn(
    scores: th.Tensor,
    seen: Mapping[str, th.Tensor],
    known: th.Tensor | None,
    draws: th.Generator,
    *,
    values: bool,
) -> th.Tensor | None:
    """What is differentiated at one state: a drawn action's log probability, or its value."""
    allowed = real(scores)[0]
    if known is not None:
        allowed &= known.to(allowed.device)
    if MASK_KEY in seen:
        allowed &= seen[MASK_KEY][0] > 0
    if not bool(allowed.any()):
        return None
    logs = scores[0].masked_fill(~allowed, -1e9).log_softmax(dim=0)
    chances = allowed.float() if values else logs.detach().exp() * allowed
    action = int(th.multinomial(chances.cpu(), 1, generator=draws))
    return scores[0, action] if values else logs[action]


def _states(task: Task, obs_type: str, most: int, rows: int | None, seed: int) -> Observation:
    """Up to `most` states of the oracle's way through random texts."""
    random = np.random.default_rng(seed)
    n = len(task.corpus) if rows is None else rows
    chosen = np.sort(random.choice(n, min(n, _TEXTS), replace=False))
    seen: list[Observation] = []

    def decide(state: Any, place: Int64Array) -> Int64Array:
        seen.append(task.observe(state, obs_type))
        return task.oracle(state)

    for _ in play(task, chosen, decide):
        pass
    states = {key: np.concatenate([part[key] for part in seen]) for key in seen[0]}
    there = len(next(iter(states.values())))
    # In order: states of a text come one after the other.
    kept = np.sort(random.choice(there, min(there, most), replace=False))
    return {key: array[kept] for key, array in states.items()}


class Consolidation:
    """Adds the penalty's gradient to that of each parameter before the optimizer's step.

    It is added after gradients are clipped: a penalty that grows must not shorten what is learned.

    Args:
        model: What is trained.
        coef: The coefficient.
        centre: The weights that are held, by name.
        information: How much each matters, by name.
    """

    def __init__(
        self, model: BaseAlgorithm, coef: float, centre: Tensors, information: Tensors
    ) -> None:
        self.coef = coef
        parameters = learned(model)
        device = model.device
        self._held = [
            (p, information[name].to(device), centre[name].to(device))
            for name, p in parameters.items()
            if name in information
        ]
        optimizer: Any = model.policy.optimizer
        optimizer.register_step_pre_hook(self._add)

    @th.no_grad()
    def _add(self, optimizer: Any, args: object, kwargs: object) -> None:
        for parameter, information, centre in self._held:
            if parameter.grad is not None:
                parameter.grad += self.coef * information * (parameter - centre)
