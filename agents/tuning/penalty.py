"""The KL penalty of a run, and the start policy's weights in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.tuning.kl import KLToStart
from agents.weights import read_tensors, save_tensors
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.files import atomic_path

START = "start.safetensors"
"""In a run folder: what the start policy learned before the run; a resumed run reads it."""

_OPTIONS = ("coef", "target")


def penalty_of(
    run: Path, hyperparams: Mapping[str, Any], coef: float | None = None
) -> KLToStart | None:
    """The penalty that ``kl: {coef: ..., target: ...}`` among the hyperparameters asks for.

    Args:
        run: The run folder.
        hyperparams: Merged.
        coef: Of the checkpoint that training goes on from.

    Raises:
        UnknownNameError: An option that does not exist.
        InvalidArgumentError: A value outside what is allowed.
        RunError: The start policy's weights are damaged.
    """
    options = hyperparams.get("kl")
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise InvalidArgumentError(f"kl={options!r} must be a mapping of {', '.join(_OPTIONS)}.")
    for name in options:
        if name not in _OPTIONS:
            raise UnknownNameError("kl option", name, _OPTIONS)
    penalty = KeptPenalty(run / START, **options)
    if coef is not None:
        penalty.load_state_dict({"coef": coef})
    return penalty


def check_penalty(model: Any, hyperparams: Mapping[str, Any]) -> None:
    """Raise what training with the penalty would raise, before anything takes long.

    Raises:
        UnknownNameError: An option that does not exist.
        InvalidArgumentError: A value outside what is allowed, or an algorithm without rollouts.
    """
    penalty = penalty_of(Path(), hyperparams)
    if penalty is not None:
        penalty.check(model)


class KeptPenalty(KLToStart):
    """A penalty whose start policy outlives the process.

    Args:
        path: Where its weights are, or will be.
        **options: Of `KLToStart`.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(**options)
        self.path = path

    def _on_training_start(self) -> None:
        known = self.path.exists()
        if known:
            self.load_start(read_tensors(self.path))
        super()._on_training_start()
        if not known:
            with atomic_path(self.path) as path:
                save_tensors(path, self.start_weights())
