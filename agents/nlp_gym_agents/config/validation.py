"""Checks of hyperparameters against the signatures of the classes that will take them."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch as th

from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown
from nlp_gym_agents.algorithms.registry import AlgorithmRow
from nlp_gym_agents.config.signatures import arguments
from nlp_gym_agents.networks.decoder.extractor import DecoderExtractor
from nlp_gym_agents.networks.encoder.schedule import schedule_value
from nlp_gym_agents.networks.features.extractor import CorpusExtractor, NLPExtractor
from nlp_gym_agents.networks.features.layers import ACTIVATIONS
from nlp_gym_agents.runs.files.schema import LARGEST

RUN_KEYS: dict[str, type] = {
    "n_envs": int,
    "n_timesteps": int,
    "policy": str,
    "env_kwargs": dict,
    "tuning": dict,
    "kl": dict,
    "start": dict,
    "constant_reward": float,
}
"""Keys that the training command reads, and their types; others are the algorithm's arguments."""

SCHEDULES = frozenset({"learning_rate", "clip_range", "clip_range_vf"})
"""Arguments that may be ``lin_NUMBER``."""

OPTIMIZERS: dict[str, type[th.optim.Optimizer]] = {
    "Adam": th.optim.Adam,
    "AdamW": th.optim.AdamW,
    "NAdam": th.optim.NAdam,
    "RMSprop": th.optim.RMSprop,
    "SGD": th.optim.SGD,
}
"""Optimizers by the name used in hyperparameter files."""

POLICY_CLASSES: dict[str, dict[str, type]] = {
    "optimizer_class": dict(OPTIMIZERS),
    "activation_fn": dict(ACTIVATIONS),
}
"""Keys of `policy_kwargs` that hold a class, given by name."""

_COMMAND_OWNS = {
    "seed": "--seed",
    "device": "--device",
    "tensorboard_log": "--tensorboard-log",
    "verbose": "--progress",
}
_NOT_YAML = {
    "env",
    "_init_setup_model",
    "replay_buffer_class",
    "rollout_buffer_class",
    "action_noise",
    *_COMMAND_OWNS,
}
_OPEN_ABOVE_ZERO = (0.0, math.inf, False)
_FROM_ONE = (1, math.inf, True)
_COUNT = (1, LARGEST, True)
_SHARE = (0.0, 1.0, True)
_BOUNDS: dict[str, tuple[float, float, bool]] = {
    # lowest, highest, whether the lowest itself is allowed
    **dict.fromkeys(
        ("learning_rate", "clip_range", "clip_range_vf", "max_grad_norm"), _OPEN_ABOVE_ZERO
    ),
    **dict.fromkeys(("n_envs", "n_timesteps"), _COUNT),
    **dict.fromkeys(("batch_size", "n_steps"), _FROM_ONE),
    "n_epochs": (1, 10_000, True),
    **dict.fromkeys(("buffer_size", "train_freq", "target_update_interval"), _FROM_ONE),
    **dict.fromkeys(("gamma", "gae_lambda", "exploration_initial_eps"), _SHARE),
    **dict.fromkeys(("exploration_final_eps",), _SHARE),
    **dict.fromkeys(("tau", "exploration_fraction"), (0.0, 1.0, False)),
    **dict.fromkeys(("ent_coef", "vf_coef", "learning_starts"), (0.0, math.inf, True)),
    "label_smoothing": (0.0, 0.999, True),
    "weight_average": (0.0, 1.0 - 1e-9, True),
    "warmup": (0.0, 1.0, True),
    "adversarial_size": (1e-6, 10.0, True),
    "adversarial_steps": (1, 100, True),
    "adversarial_weight": (0.0, 1.0, True),
    **dict.fromkeys(("texts", "samples"), _COUNT),
    "constant_reward": (-1e6, 1e6, True),
    "branches": _COUNT,
    **dict.fromkeys(("demonstrations", "priority_alpha", "priority_beta"), _SHARE),
    **dict.fromkeys(("margin", "margin_coef", "margin_temperature"), (0.0, math.inf, True)),
    "gradient_steps": (-1, 1_000_000, True),
}
_LONG = 10_000
"""Steps of a rollout that is not too long for a short run either."""


def extractor_class(*, writes: bool) -> type[CorpusExtractor]:
    """The features extractor of a task, by whether its actions write a text (`Task.writes`)."""
    return DecoderExtractor if writes else NLPExtractor


def check_params(
    row: AlgorithmRow, params: Mapping[str, Any], *, writes: bool = False
) -> dict[str, Any]:
    """Check names, types and ranges.

    Args:
        row: The algorithm that will take them.
        params: As in a file of hyperparameters.
        writes: Whether the task writes a text, which decides what reads its observations.

    Returns:
        The same, with whole floats as integers where integers are wanted (``1e6`` steps).

    Raises:
        UnknownNameError: The algorithm, its policy, extractor or optimizer has no such argument.
        InvalidArgumentError: A value of the wrong type or outside what is allowed.
    """
    allowed = {**RUN_KEYS, **_arguments(row.cls)}
    checked = {}
    for key, value in params.items():
        if key in _COMMAND_OWNS:
            raise InvalidArgumentError(
                f"hyperparams: {shown(key)} is not set here but with {_COMMAND_OWNS[key]}."
            )
        _check_name("hyperparams", key, allowed)
        checked[key] = _typed(key, value, allowed[key])
        _check_bounds(key, checked[key])
    _check_policy(row, checked, extractor_class(writes=writes))
    return checked


def _check_policy(
    row: AlgorithmRow, params: Mapping[str, Any], reads: type[CorpusExtractor]
) -> None:
    aliases = getattr(row.cls, "policy_aliases", {})
    policy = params.get("policy")
    if policy is not None and aliases and not (isinstance(policy, str) and policy in aliases):
        raise UnknownNameError("policy", policy, aliases)
    given = _mapping("policy_kwargs", params.get("policy_kwargs"))
    known = _arguments(aliases[policy]) if policy in aliases else None
    for key, value in given.items():
        if known is not None:
            _check_name("policy_kwargs", key, known)
        if key in POLICY_CLASSES:
            _check_name(key, value, POLICY_CLASSES[key])
        elif known is not None:
            _typed(f"policy_kwargs.{key}", value, known[key])
    nested = "features_extractor_kwargs"
    extractor = set(_arguments(reads)) - {"source", "unit_dim", "encoder_factory"}
    _check_names(nested, _mapping(f"policy_kwargs.{nested}", given.get(nested)), extractor)
    optimizer = inspect.signature(OPTIMIZERS[given.get("optimizer_class", "Adam")]).parameters
    options = _mapping("policy_kwargs.optimizer_kwargs", given.get("optimizer_kwargs"))
    _check_names("optimizer_kwargs", options, set(optimizer) - {"params", "lr"})


def _mapping(argument: str, value: object) -> Mapping[str, Any]:
    """Return a mapping that may be left null."""
    if value is None or isinstance(value, Mapping):
        return value or {}
    raise InvalidArgumentError(
        f"{argument}={shown(value)} is {type(value).__name__}, but a mapping or null is wanted."
    )


def _arguments(cls: type) -> dict[str, object]:
    """Arguments of a class that YAML can give, with their type hints."""
    dropped = {*_NOT_YAML, "observation_space", "action_space", "lr_schedule"}
    return arguments(cls, dropped=dropped)


def _check_names(argument: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    names = sorted(allowed)
    for key in given:
        _check_name(argument, key, names)


def _check_name(argument: str, value: object, allowed: Iterable[str]) -> None:
    names = list(allowed)
    if not isinstance(value, str) or value not in names:
        raise UnknownNameError(argument, value, sorted(names))


def _typed(key: str, value: object, hint: object) -> object:
    """The value, as a type that `hint` allows."""
    if key in SCHEDULES:
        if value is not None:
            schedule_value(key, value)
        return value
    members = _members(hint)
    names = {typing.get_origin(m) or m for m in members}
    if Any in members or not names & {int, float, bool, str, dict, list, tuple}:
        return value
    if isinstance(value, float) and value.is_integer() and float not in names and int in names:
        return int(value)
    fits = (
        (value is None and type(None) in names)
        or (isinstance(value, bool) and bool in names)
        or (isinstance(value, int) and not isinstance(value, bool) and names & {int, float})
        or (isinstance(value, float) and float in names)
        or (isinstance(value, str) and str in names)
        or (isinstance(value, Mapping) and dict in names)
        or (isinstance(value, list) and names & {list, tuple})
    )
    if not fits:
        wanted = " or ".join(sorted(getattr(n, "__name__", str(n)) for n in names))
        raise InvalidArgumentError(
            f"{key}={shown(value)} is {type(value).__name__}, but "
            f"{wanted.replace('NoneType', 'null')} is wanted."
        )
    return value


def _members(hint: object) -> set[object]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return {member for part in typing.get_args(hint) for member in _members(part)}
    return {hint}


def _check_bounds(key: str, value: object) -> None:
    if key == "train_freq" and isinstance(value, list):
        _check_train_freq(value)
    if key not in _BOUNDS or value is None or isinstance(value, list):
        return
    low, high, closed = _BOUNDS[key]
    number = schedule_value(key, value)[0]
    inside = (number >= low if closed else number > low) and number <= high
    if not (inside and math.isfinite(number)):
        words = f"{'from' if closed else 'above'} {low:g}"
        words += f" to {high:g}" if math.isfinite(high) else ""
        raise InvalidArgumentError(f"{key}={shown(value)} must be {words}.")


def check_rollouts(params: Mapping[str, Any], n_timesteps: int) -> None:
    """Refuse rollouts far longer than the run, which would go on after its end.

    Args:
        params: From `check_params`.
        n_timesteps: Decisions of the run.

    Raises:
        InvalidArgumentError: Naming the hyperparameter.
    """
    for name in ("n_steps", "train_freq"):
        value = params.get(name)
        steps = value[0] if isinstance(value, list) else value
        if isinstance(steps, int) and steps > max(n_timesteps, _LONG):
            raise InvalidArgumentError(
                f"{name}={shown(value)} is longer than the run: nothing is learned before a "
                f"rollout has ended, and n_timesteps={n_timesteps}. Give a smaller {name}."
            )


def _check_train_freq(value: Sequence[object]) -> None:
    fits = len(value) == 2 and type(value[0]) is int and value[0] >= 1
    if not (fits and value[1] in ("step", "episode")):
        raise InvalidArgumentError(
            f"train_freq={shown(value)} must be a whole number from 1, or that and its unit: [4, "
            "step] or [1, episode]."
        )
