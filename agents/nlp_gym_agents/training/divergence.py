"""Training that arrives at NaN or infinity ends in an error that says what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import DivergenceError, RunError
from nlp_gym_agents.runs.snapshots import newest

_INVALID = ("found invalid values", "contains either `inf`, `nan`", "without overflow")
"""What torch says of parameters of a distribution, and of an update, that are NaN or infinite."""
_LARGEST = 1e15
"""Of a weight: products of two larger ones are soon infinite in float32."""


@th.no_grad()
def check_finite(model: BaseAlgorithm, run: Path) -> None:
    """Refuse weights that are not numbers, before they are evaluated or saved.

    Args:
        model: Any algorithm.
        run: Its run folder, for the message.

    Raises:
        DivergenceError: Some of what was learned is NaN or infinite.
    """
    learned = {n: p for n, p in model.policy.named_parameters() if p.requires_grad}
    # Compared so that NaN is found too.
    bad = [name for name, p in learned.items() if not bool((p.abs() < _LARGEST).all())]
    if bad:
        raise DivergenceError(_message(model, run, f"{len(bad)} of {len(learned)} weights"))


@contextmanager
def told_divergence(model: BaseAlgorithm, run: Path) -> Iterator[None]:
    """Within it, torch's refusal of a policy's outputs that are no numbers is a typed error.

    Raises:
        DivergenceError: The outputs, or the weights, are NaN or infinite.
    """
    try:
        yield
    except (ValueError, RuntimeError, FloatingPointError, OverflowError) as error:
        if any(text in str(error) for text in _INVALID):
            raise DivergenceError(_message(model, run, "the policy's values")) from error
        raise


def _message(model: BaseAlgorithm, run: Path, what: str) -> str:
    try:
        kept = f"The last good state is kept in {newest(run / 'checkpoints')[0]}."
    except RunError:
        kept = "Nothing good was saved yet."
    tried = [
        f"{name} (it is {getattr(model, name):g})"
        for name in ("max_grad_norm", "vf_coef")
        if isinstance(getattr(model, name, None), int | float)
    ]
    rate = model.lr_schedule(model._current_progress_remaining)
    smaller = ", ".join([f"learning_rate (it is {rate:g})", *tried])
    return (
        f"training diverged: after {model.num_timesteps:,} timesteps {what} are NaN or infinite, "
        "or about to be. "
        f"{kept} Going on from it would end here again: train anew with smaller steps, "
        f"nlp-gym train --conf-file {shlex.quote(str(run / 'config.yml'))} --hyperparams KEY:VALUE "
        f"with a smaller {smaller}."
    )
