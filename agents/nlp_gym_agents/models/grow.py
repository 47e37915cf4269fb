"""Weights of a policy in a larger one: new labels get rows and columns, old ones keep theirs.

Labels have numbers, and a task that gets new ones appends them (`config.continual`). So the number
of an old label stays, and what follows labels, such as a stop action or the mark "no label yet",
moves up by as many as are new. Heads get rows and the first layer gets columns for what is new;
all other weights are those of the earlier policy, so that with the old mask it decides as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch as th
from gymnasium import spaces
from sb3_contrib import QRDQN
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import InvalidArgumentError, RunError, shown
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.networks.features.extractor import NLPExtractor
from nlp_gym_agents.networks.features.observation_keys import POSITION_KEYS, Keys
from nlp_gym_agents.runs.files.weights import Tensors


@dataclass(frozen=True)
class Growth:
    """How many labels and actions there were and are.

    Attributes:
        labels: Labels before; the others are new.
        actions: Actions before and now; those that are no label come after all labels.
        columns: Where each column of the first layer's input before is now; None: nothing moved.
    """

    labels: int
    actions: tuple[int, int]
    columns: th.Tensor | None = None

    def moved(self, before: int) -> th.Tensor:
        """(before,) where numbers below `before` are now."""
        numbers = th.arange(before)
        return th.where(numbers < self.labels, numbers, numbers + self.actions[1] - self.actions[0])

    @classmethod
    def of(cls, model: BaseAlgorithm, task: Task, before: Task, obs_type: str) -> Growth:
        """Compare a task with what it was.

        Args:
            model: It was built for `task`.
            task: With the labels of now.
            before: The same task with the labels of then.
            obs_type: Kind of observation that the model reads.
        """
        growth = cls(len(before.labels), (before.n_actions, task.n_actions))
        extractors = [m for m in model.policy.modules() if isinstance(m, NLPExtractor)]
        if not extractors or growth.actions[0] == growth.actions[1]:
            return growth
        own = extractors[0]
        boxes = before.observation_space(obs_type).spaces
        plain = {key: box for key, box in boxes.items() if key not in POSITION_KEYS}
        theirs = Keys.of(spaces.Dict(plain), None)
        columns = [th.arange(own.context_width + sum(own.keys.looked_up.values()))]
        start = len(columns[0])
        for key, width in own.keys.widths.items():
            if key in own.keys.looked_up:
                continue
            columns.append(start + _columns(key, own.keys, theirs, growth))
            start += width
        return cls(growth.labels, growth.actions, th.cat(columns))


def _columns(key: str, own: Keys, theirs: Keys, growth: Growth) -> th.Tensor:
    """Where the columns of a key of the observation are now, counted from its first one."""
    if key in own.floats:
        before, now = theirs.floats[key], own.floats[key]
        return th.arange(before) if before == now else growth.moved(before)
    (size, _, before), (_, _, now) = theirs.classes[key], own.classes[key]
    places = th.arange(before) if before == now else growth.moved(before)
    return (th.arange(size)[:, None] * now + places).flatten()  # one-hot of each number


@th.no_grad()
def grown(weights: Mapping[str, th.Tensor], model: BaseAlgorithm, growth: Growth) -> Tensors:
    """Weights for a model's policy, from those of a policy for fewer labels.

    New rows of a head of logits stay as they are in `model`, which was just built. New rows of a
    head of values are the mean of the old ones: in a dueling network the mean over actions is taken
    off, and so the values of old actions stay what they were.

    Args:
        weights: Of the earlier policy, by name.
        model: It was just built.
        growth: From `Growth.of`.

    Returns:
        A state for ``model.policy``.

    Raises:
        RunError: A weight is missing, or of a shape that new labels do not explain.
    """
    values = isinstance(model, DQN | QRDQN)
    own = model.policy.state_dict()
    lost = sorted(set(weights) ^ set(own))
    if lost:
        where = "the earlier run" if lost[0] in weights else "this run"
        raise RunError(
            f"The weights of the earlier run do not fit: only {where} has {shown(lost[0])}. Use "
            "its algorithm, policy_kwargs and encoder mode."
        )
    return {
        name: _grown(name, weights[name], fresh.clone(), growth, values=values)
        for name, fresh in own.items()
    }


def grown_zeros(
    values: Mapping[str, th.Tensor], now: Mapping[str, th.Tensor], growth: Growth
) -> Tensors:
    """Numbers that belong to weights of the earlier policy, with 0 for weights that are new.

    Args:
        values: By name of a weight.
        now: The weights of now that have such numbers, by name.
        growth: From `Growth.of`.

    Raises:
        RunError: One is missing, or of a shape that new labels do not explain.
    """
    lost = sorted(set(values) ^ set(now))
    if lost:
        raise RunError(f"What the earlier run kept does not fit this one ({shown(lost[0])}).")
    return {
        name: _grown(name, values[name], th.zeros_like(weight), growth, values=False)
        for name, weight in now.items()
    }


def _grown(
    name: str, before: th.Tensor, fresh: th.Tensor, growth: Growth, *, values: bool
) -> th.Tensor:
    if before.shape == fresh.shape:
        return before.to(fresh)
    differs = [d for d in range(before.ndim) if before.shape[d] != fresh.shape[d]]
    if before.ndim != fresh.ndim or len(differs) != 1:
        raise _unexplained(name, before, fresh)
    if differs == [1] and growth.columns is not None and len(growth.columns) == before.shape[1]:
        fresh[:, growth.columns] = before.to(fresh)
        return fresh
    if differs != [0]:
        raise _unexplained(name, before, fresh)
    rows, now = before.shape[0], fresh.shape[0]
    actions, then = growth.actions[1], growth.actions[0]
    if rows % then == 0 and now == rows // then * actions:  # of a quantile network, by quantile
        old = before.reshape(rows // then, then, -1).to(fresh)
        new = fresh.reshape(rows // then, actions, -1)
        if values:
            new[:] = old.mean(dim=1, keepdim=True)
        new[:, growth.moved(then)] = old
        return new.reshape(fresh.shape)
    if rows == growth.labels and now - rows == actions - then:  # labels apart from moves
        fresh[:rows] = before.to(fresh)
        return fresh
    raise _unexplained(name, before, fresh)


def _unexplained(name: str, before: th.Tensor, fresh: th.Tensor) -> RunError:
    return RunError(
        f"The weights of the earlier run do not fit: {shown(name)} has shape "
        f"{tuple(before.shape)} there and {tuple(fresh.shape)} here, which new labels do not "
        "explain. Use the algorithm, policy_kwargs and arguments of that run."
    )


def check_grows(model: BaseAlgorithm, growth: Growth) -> None:
    """Refuse heads that new labels would change the meaning of.

    Raises:
        InvalidArgumentError: Naming the option.
    """
    if growth.actions[0] == growth.actions[1]:
        return
    if any(isinstance(m, NLPExtractor) and m.commits for m in model.policy.modules()):
        raise InvalidArgumentError(
            "commit_head: moves are decided by how sure the agent is among its labels, which new "
            "ones change. Continue with data of the same labels, or train a new run."
        )
