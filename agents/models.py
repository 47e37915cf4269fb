"""A fresh algorithm object on environments of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sb3_contrib import TRPO
from stable_baselines3.common.utils import get_device
from torch import nn

from agents.algorithms import AlgorithmRow
from agents.checks import extractor_class
from agents.config import build_arguments
from agents.devices import check_device
from agents.extractors import FeatureSource
from agents.families import WRITTEN
from agents.heads import pointer_policy
from agents.tuning.attach import attach, buffer_arguments, check_live, transformer_of
from agents.tuning.live import LiveEncoders
from agents.tuning.options import Tuning
from agents.vec import SB3VecEnv
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError, NLPGymError, UnknownNameError
from nlp_gym.tasks.base import Task

OBS_TYPES = ("index", "features")


def encode(task: Task, *, progress: bool = False, cache: bool = True) -> None:
    """Encode a task's units now, with a progress bar, rather than at its first observation.

    Args:
        task: Gets its `encoded`, unless it has it.
        progress: Show a bar where it takes longer and stderr is a terminal.
        cache: False for texts that will not be seen again.
    """
    if "encoded" not in vars(task):
        task.encode(progress=None if progress else False, cache=cache)


def check_obs_type(obs_type: str) -> None:
    """Refuse observations that the agents cannot read.

    Raises:
        InvalidArgumentError: Naming those they can.
    """
    if obs_type == "tokens":
        raise InvalidArgumentError(
            "obs_type='tokens' is for code that brings its own encoder; the agents read "
            f"{' or '.join(OBS_TYPES)} observations."
        )
    if obs_type not in OBS_TYPES:
        raise UnknownNameError("obs_type", obs_type, OBS_TYPES)


def source_of(
    task: Task, obs_type: str, device: Any, *, live: bool = False
) -> FeatureSource | None:
    """Where an extractor gathers vectors from; None where the observation carries them."""
    return FeatureSource(task, device, live=live) if obs_type == "index" else None


def tuning_of(hyperparams: Mapping[str, Any]) -> Tuning | None:
    """How the encoder learns by merged hyperparameters; None: it is frozen."""
    given = hyperparams.get("tuning")
    return None if given is None else Tuning.of(given)


def build_model(
    row: AlgorithmRow,
    task: Task,
    hyperparams: Mapping[str, Any],
    *,
    n_envs: int = 1,
    obs_type: str = "index",
    max_episode_steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    tuning: Tuning | None = None,
) -> Any:
    """A fresh algorithm object on `n_envs` environments of `task`.

    Args:
        row: Which algorithm.
        task: Its corpus should be encoded.
        hyperparams: As in ``hyperparams/<algo>.yml``.
        n_envs: Environments side by side.
        obs_type: ``"index"`` or ``"features"``.
        max_episode_steps: Truncate longer episodes.
        seed: Seeds weights, exploration and environments.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        tuning: How the encoder learns; None: it is frozen.

    Raises:
        InvalidArgumentError: A hyperparameter's value is refused by the algorithm, or the encoder
            cannot learn.
    """
    check_obs_type(obs_type)
    check_device(device)
    learns = None
    if tuning is not None:
        check_live(obs_type)
        if issubclass(row.cls, TRPO):
            raise InvalidArgumentError(
                f"algo={row.name!r} differentiates gradients, which an encoder that learns does "
                "not allow: use ppo, or encoder_mode='frozen'."
            )
        learns = transformer_of(task)
    venv = TaskVectorEnv(task, n_envs, obs_type=obs_type, max_episode_steps=max_episode_steps)
    given = build_arguments(hyperparams)
    if task.tables.candidates is not None or _copies(row, task, given):
        given["policy"] = pointer_policy(row, given.get("policy", "MultiInputPolicy"))
    policy_kwargs = dict(given.pop("policy_kwargs", {}))
    policy_kwargs["features_extractor_class"] = extractor_class(task.family)
    policy_kwargs["features_extractor_kwargs"] = {
        **(policy_kwargs.get("features_extractor_kwargs") or {}),
        "source": source_of(task, obs_type, device, live=tuning is not None),
        "unit_dim": task.encoder.dim,
    }
    if tuning is not None or task.family == WRITTEN:
        given = {**buffer_arguments(row), **given}
    if tuning is not None and learns is not None:
        live = LiveEncoders(learns, tuning, get_device(device))
        policy_kwargs["features_extractor_kwargs"]["live"] = live
    model = _build(row, hyperparams, given, SB3VecEnv(venv), policy_kwargs, seed, device)
    if task.family == WRITTEN:
        _start_equal(model.policy)
    if tuning is not None:
        attach(model, venv, tuning)
    return model


def _copies(row: AlgorithmRow, task: Task, arguments: Mapping[str, Any]) -> bool:
    """Whether words of the source can be copied, which takes heads of its own."""
    options = (arguments.get("policy_kwargs") or {}).get("features_extractor_kwargs") or {}
    if task.family != WRITTEN or not options.get("copy"):
        return False
    if row.family == "q":
        raise InvalidArgumentError(
            f"copy=True: words are copied with some probability, and {row.name} has values. Use "
            "bc, ppo, maskable_ppo or a2c, or features_extractor_kwargs copy: false."
        )
    return True


def _start_equal(policy: nn.Module) -> None:
    """Let all tokens be worth 0 at first: what one of thousands earns is less than random values.

    Args:
        policy: Any; those without values by action are left alone.
    """
    for network in policy.modules():
        for name in ("q_net", "quantile_net"):
            head = getattr(network, name, None)
            if isinstance(head, nn.Sequential) and isinstance(head[-1], nn.Linear):
                nn.init.zeros_(head[-1].weight)
                nn.init.zeros_(head[-1].bias)


def _build(
    row: AlgorithmRow,
    hyperparams: Mapping[str, Any],
    given: Mapping[str, Any],
    env: SB3VecEnv,
    policy_kwargs: dict[str, Any],
    seed: int,
    device: str,
) -> Any:
    try:
        return row.cls(
            env=env,
            policy_kwargs=policy_kwargs,
            seed=seed,
            device=device,
            verbose=0,
            **given,
        )
    except MemoryError as error:
        raise InvalidArgumentError(
            f"algo={row.name!r} does not fit into memory ({error}). Make buffer_size (or n_steps "
            f"times n_envs) smaller: {dict(hyperparams)}."
        ) from error
    except (AssertionError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, NLPGymError):
            raise
        raise InvalidArgumentError(
            f"algo={row.name!r} refuses its hyperparameters {dict(hyperparams)}: {error}"
        ) from error
