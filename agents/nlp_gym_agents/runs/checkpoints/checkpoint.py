"""Checkpoints: save what a run continues from, and restore it exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import NLPGymError, RunError
from nlp_gym.files import write_json
from nlp_gym_agents.networks.features.swap_source import clear_caches
from nlp_gym_agents.runs.checkpoints import episodes
from nlp_gym_agents.runs.checkpoints.parts import (
    Boundary,
    Optimizers,
    boundary,
    fitted_optimizers,
    load_buffer,
    restore_memory,
    restore_random,
    restore_recent,
    save_buffer,
    split_optimizers,
)
from nlp_gym_agents.runs.checkpoints.state import (
    CheckpointState,
    Numbers,
    check_counters,
    counters_of,
    optimizers_of,
)
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.files.weights import (
    Tensors,
    load_policy,
    read_tensors,
    save_tensors,
    save_weights,
)
from nlp_gym_agents.runs.folder import resume_command
from nlp_gym_agents.runs.settings import SETTINGS
from nlp_gym_agents.runs.snapshots import prune, publish

STATE = "state.json"
KEPT_CHECKPOINTS = 2
_MEMORY = "memory.safetensors"
_DATA = "data.safetensors"


@runtime_checkable
class KeepsData(Protocol):
    """An algorithm that learns from data which its weights of now could not make again."""

    def kept_tensors(self) -> Tensors:
        """What a checkpoint has to hold of it."""

    def restore_tensors(self, tensors: Tensors) -> None:
        """Go on with what `kept_tensors` gave.

        Raises:
            NLPGymError: They are not those of a run with the same settings.
        """


def save_state(
    folder: Path,
    model: BaseAlgorithm,
    extra: Mapping[str, Any],
    *,
    at: Boundary | None = None,
    optimizers: Optimizers | None = None,
) -> dict[str, str]:
    """Write everything a run continues from into the existing folder `folder`.

    Args:
        folder: Usually from `nlp_gym_agents.runs.snapshots.publish`, which makes it all or nothing.
        model: A Stable-Baselines3 algorithm.
        extra: JSON-able state of the training loop (best value, early stopping, ...).
        at: From before the rollout that `model` is in; None: it is in none.
        optimizers: Further ones than the model's own, by name.

    Returns:
        The aliases to load the policy with.
    """
    at = at or boundary(model)
    clear_caches(model.policy)
    aliases = save_weights(folder, model)
    tensors, groups = split_optimizers({**dict(optimizers_of(model)), **(optimizers or {})})
    save_tensors(folder / "optimizer.safetensors", tensors)
    save_tensors(folder / "rng.safetensors", at.random[0])
    if at.episodes is not None:
        save_tensors(folder / "episodes.safetensors", at.episodes[0])
    if at.memory:
        save_tensors(folder / _MEMORY, at.memory)
    if isinstance(model, KeepsData) and (kept := model.kept_tensors()):
        save_tensors(folder / _DATA, kept)
    state = {
        "aliases": aliases,
        "counters": at.counters,
        "optimizers": groups,
        "buffer": save_buffer(folder, model),
        "random": at.random[1],
        "episodes": None if at.episodes is None else at.episodes[1],
        "recent": at.recent,
        "extra": dict(extra),
    }
    (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
    return aliases


def write_checkpoint(
    run: Path,
    model: BaseAlgorithm,
    *,
    settings: Mapping[str, Any],
    extra: Mapping[str, Any],
    at: Boundary | None = None,
    optimizers: Optimizers | None = None,
) -> None:
    """Save the state of a run as ``checkpoints/N`` and delete all but the newest ones.

    Args:
        run: The run folder.
        model: A Stable-Baselines3 algorithm.
        settings: JSON-able settings that the policy is loaded with.
        extra: As for `save_state`.
        at: As for `save_state`.
        optimizers: As for `save_state`.

    Raises:
        RunError: It could not be written; earlier checkpoints are untouched.
    """
    steps = model.num_timesteps if at is None else at.counters["num_timesteps"]
    checkpoints = run / "checkpoints"
    with publish(
        checkpoints / str(steps), fix=lambda: f"continue with: {resume_command(run)}"
    ) as folder:
        aliases = save_state(folder, model, extra, at=at, optimizers=optimizers)
        chosen = {"aliases": aliases, "timesteps": steps}
        write_json(folder / SETTINGS, {**settings, **chosen})
    prune(checkpoints, keep=KEPT_CHECKPOINTS)


def saved_environments(folder: Path) -> int | None:
    """How many environments a checkpoint was made with; None: it does not say.

    Raises:
        RunError: Its state is missing or damaged.
    """
    state = _read_state(folder)
    return None if state["episodes"] is None else len(state["episodes"]["generators"])


def read_extra(folder: Path) -> Numbers:
    """The `extra` of a checkpoint.

    Raises:
        RunError: Its state is missing or damaged.
    """
    return dict(_read_state(folder)["extra"])


def _read_state(folder: Path) -> CheckpointState:
    state: CheckpointState = read_json(folder / STATE)
    schema.check(state, CheckpointState, folder / STATE)
    return state


def load_state(
    folder: Path,
    model: BaseAlgorithm,
    *,
    timesteps: int | None = None,
    optimizers: Optimizers | None = None,
    share: slice | None = None,
) -> None:
    """Restore what `save_state` wrote into a model built from the same settings.

    Args:
        folder: A checkpoint.
        model: A Stable-Baselines3 algorithm.
        timesteps: When the checkpoint was made, by its settings; None: they do not say.
        optimizers: Those that `save_state` was given.
        share: Which of the environments the model plays; None: all.

    Raises:
        RunError: A file is missing, damaged or of another architecture.
    """
    state = _read_state(folder)
    load_policy(folder, model, state["aliases"])
    tensors = read_tensors(folder / "optimizer.safetensors")
    own = {**dict(optimizers_of(model)), **(optimizers or {})}
    try:
        check_counters(model, state["counters"], timesteps)
        for optimizer, saved in fitted_optimizers(own, tensors, state["optimizers"]):
            optimizer.load_state_dict(saved)
        load_buffer(folder, model, state["buffer"])
        counters = counters_of(model)
        for name, value in state["counters"].items():
            if name in counters:
                setattr(model, name, value)
        if state["episodes"] is not None:
            tensors = read_tensors(folder / "episodes.safetensors")
            episodes.restore(model, tensors, state["episodes"], share=share)
        if (folder / _MEMORY).exists():
            restore_memory(model, read_tensors(folder / _MEMORY))
        if isinstance(model, KeepsData) and (folder / _DATA).exists():
            model.restore_tensors(read_tensors(folder / _DATA))
        if "recent" in state:  # older checkpoints have none
            restore_recent(model, state["recent"])
        # Last: restoring the episodes resets environments, which draws random numbers.
        alone = share is None
        restore_random(model, read_tensors(folder / "rng.safetensors"), state["random"], alone)
    except _UNFIT as error:
        problem = str(error) if isinstance(error, NLPGymError) else repr(error)
        raise RunError(
            f"{folder / STATE} does not fit the model that the run's settings describe: {problem}"
        ) from error


_UNFIT = (NLPGymError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError)
