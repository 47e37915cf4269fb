"""Defaults that follow the size of a corpus and ``-n``; what a user gives is never changed.

Settings of the files in ``hyperparams/`` suit the corpora and the lengths they were found on. A
shorter run gets shorter rollouts or smaller batches and begins to learn earlier; cloning passes
over a small corpus fewer times.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Container, Mapping
from typing import Any

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from nlp_gym_agents.algorithms.registry import AlgorithmRow

CLONING_PASSES = 20
"""Most passes of cloning over a corpus, where a file of hyperparameters asks for more decisions."""

CLONING_UPDATES = 300
"""Updates that cloning makes at least, however small the corpus; in a run that was asked to be
short, its batches are made smaller for it."""

_LEAST_BATCH = 8
"""Decisions that an update of a short run learns from at least."""

_LATE, _BEGINNING = 2, 10
"""What comes after half of a run (`learning_starts`) comes after a tenth of it instead."""

_PATIENCE, _LEAST_PATIENCE = 2, 10
"""`bc` stops after half of its run, and ten evaluations, without a better one on dev. On SQuAD a
better one came after 7 of 20 evaluations without (.3748 after .3702), on NER after 3, SST-2 2."""

PATIENT_UPDATES = 100
"""Updates without a better evaluation that `bc` has in any case: a tagger of entities gives every
word the label O for the first 45 of them, which scores less than chance."""


def cloning_length(default: int, decisions: int, batch_size: int) -> int:
    """Decisions that cloning learns from where nobody said how many.

    Args:
        default: What the file of hyperparameters says for the environment; never more than this.
        decisions: Those of the oracle on the corpus.
        batch_size: Decisions per update.
    """
    return min(default, max(CLONING_PASSES * decisions, CLONING_UPDATES * batch_size))


def compared_cloning_length(
    default: int, decisions: int, batch_size: int, *, n_timesteps: int
) -> int:
    """Decisions of the cloning that a run is compared with: as few as the run's, if these are few.

    Args:
        default: As for `cloning_length`, as the next two.
        decisions: One pass over the corpus is made at least.
        batch_size: Decisions per update; so many updates as of the smallest corpus are made too.
        n_timesteps: Decisions that the run learned from.
    """
    least = max(n_timesteps, decisions, CLONING_UPDATES * batch_size)
    return min(cloning_length(default, decisions, batch_size), least)


def default_patience(
    row: AlgorithmRow, params: Mapping[str, Any], *, n_timesteps: int, eval_freq: int
) -> int:
    """Evaluations without improvement after which a run stops by default; 0: it never does.

    Cloning on an encoder that stands still stops after half of its run. One that learns warms up
    first and is best at the end, and learning from rewards has scores that fall and rise again:
    these do not stop.

    Args:
        row: The algorithm.
        params: Its hyperparameters, with `tuning` where the encoder learns.
        n_timesteps: Decisions of the run.
        eval_freq: Decisions between two evaluations.
    """
    if row.policy_kind != "supervised" or params.get("tuning"):
        return 0
    size = _value(row.cls, params, "batch_size")
    least = PATIENT_UPDATES * size if isinstance(size, int) else 0
    return max(math.ceil(max(n_timesteps / _PATIENCE, least) / eval_freq), _LEAST_PATIENCE)


def fitted(
    row: AlgorithmRow,
    params: Mapping[str, Any],
    *,
    given: Container[str],
    n_timesteps: int,
    n_envs: int,
    usual: int = 0,
) -> tuple[dict[str, Any], int]:
    """Hyperparameters with those shortened that are too long for a run.

    Rollouts and environments are halved until a rollout (`n_steps` or `train_freq` of all
    environments) is no longer than the run, and batches are no larger than a rollout. Where
    learning would start, or the target network be copied, after half of the run, that happens after
    a tenth of it. Batches of the algorithms that learn from the oracle's decisions, on frozen
    vectors, are halved until a run that is shorter than usual has `CLONING_UPDATES` updates: on the
    bundled texts 40 updates of 512 decisions leave a tagger of entities where it began.

    Args:
        row: The algorithm.
        params: Checked; what they lack is the default of the algorithm's class.
        given: Names that the user gave, ``"n_envs"`` among them; these are not changed, but that a
            batch is no larger than a rollout.
        n_timesteps: Decisions of the run.
        n_envs: Environments side by side.
        usual: Decisions of a run with these hyperparameters where nobody says how many.

    Returns:
        The hyperparameters, and the environments side by side.
    """
    result = dict(params)
    kind = row.cls
    if row.policy_kind == "supervised":
        keeps = "batch_size" in given or n_timesteps >= usual or params.get("tuning")
        size, largest = _value(kind, params, "batch_size"), n_timesteps // CLONING_UPDATES
        while isinstance(size, int) and size > max(largest, _LEAST_BATCH) and not keeps:
            size = result["batch_size"] = max(size // 2, _LEAST_BATCH)
        return result, n_envs
    name = {OnPolicyAlgorithm: "n_steps", OffPolicyAlgorithm: "train_freq"}
    steps_name = next((name[base] for base in name if issubclass(kind, base)), None)
    if steps_name is None:
        return result, n_envs
    steps = _value(kind, params, steps_name)
    if not isinstance(steps, int):
        return result, n_envs  # episodes, whose length nobody knows
    longest, before = max(n_timesteps, 2), steps * n_envs
    while steps * n_envs > longest and steps > 1 and steps_name not in given:
        steps = result[steps_name] = steps // 2
    while steps * n_envs > longest and n_envs > 1 and "n_envs" not in given:
        n_envs //= 2
    if steps_name == "n_steps" and steps * n_envs < before:
        _fit_batches(kind, result, steps * n_envs, fixed="batch_size" in given)
    for late in ("learning_starts", "target_update_interval"):
        value = _value(kind, params, late)
        if isinstance(value, int) and value > n_timesteps // _LATE and late not in given:
            result[late] = min(value, max(n_timesteps // _BEGINNING, n_envs))
    return result, n_envs


def _fit_batches(kind: type, params: dict[str, Any], rollout: int, *, fixed: bool) -> None:
    """Let batches divide a rollout that was shortened; a `fixed` size is only cut to all of it."""
    size = _value(kind, params, "batch_size")
    if isinstance(size, int) and fixed:
        params["batch_size"] = min(size, rollout)
    elif isinstance(size, int) and rollout % size:
        common = math.gcd(rollout, size)
        params["batch_size"] = common if common * 8 >= min(rollout, size) else rollout


def _value(kind: type, params: Mapping[str, Any], name: str) -> Any:
    """A hyperparameter, or the default of the algorithm's class; None where it has none."""
    if name in params:
        return params[name]
    for base in inspect.getmro(kind):
        if "__init__" in vars(base):
            parameter = inspect.signature(vars(base)["__init__"]).parameters.get(name)
            if parameter is not None:
                return parameter.default
    return None


def rollout_length(kind: type, params: Mapping[str, Any], n_envs: int) -> int | None:
    """Decisions of one rollout of an on-policy algorithm; None of others.

    Args:
        kind: Class of the algorithm.
        params: Its hyperparameters.
        n_envs: Environments side by side.
    """
    steps = _value(kind, params, "n_steps") if issubclass(kind, OnPolicyAlgorithm) else None
    return steps * n_envs if isinstance(steps, int) else None
