"""Play a whole corpus with one policy: evaluation, prediction and baselines are this loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import check_obs_type
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.types import BoolArray, Observation

Act = Callable[[Observation, BoolArray], npt.NDArray[np.int64]]


def rollout(
    task: Task,
    act: Act | Literal["oracle"],
    rows: Sequence[int] | None = None,
    *,
    batch: int | None = None,
    obs_type: str = "index",
    progress: bool = False,
) -> list[Output]:
    """Play each row once and return what was decided. Needs no gold (except for the oracle).

    Args:
        task: The rules and the corpus.
        act: Maps an observation (arrays with B in front) and the (B, A) mask to (B,) actions; or
            ``"oracle"``.
        rows: Samples to play; default: all.
        batch: Episodes played side by side, of similar length so that few stand idle; None: the
            task's `side_by_side`.
        obs_type: Kind of observation `act` wants.
        progress: Show a progress bar on stderr.

    Returns:
        One output a row, in the order of `rows`.
    """
    check_obs_type(obs_type)
    chosen = np.arange(len(task.corpus)) if rows is None else np.asarray(rows, np.int64)
    order = np.argsort(task.lengths[chosen], kind="stable")
    results: list[Output] = [()] * len(chosen)
    size = batch or task.side_by_side
    chunks: Any = [order[i : i + size] for i in range(0, len(order), size)]
    if progress:
        from rich.console import Console
        from rich.progress import track

        chunks = track(chunks, "playing", console=Console(stderr=True), transient=True)
    for chunk in chunks:
        for place, output in zip(chunk, _play(task, act, chosen[chunk], obs_type), strict=True):
            results[place] = output
    return results


def _play(
    task: Task, act: Act | Literal["oracle"], rows: npt.NDArray[np.int64], obs_type: str
) -> list[Output]:
    """Play one batch to its end; episodes that ended are taken out of it."""
    state, left = task.initial(rows), np.arange(len(rows))
    outputs: list[Output] = [()] * len(rows)
    while len(left):
        if isinstance(act, str):
            actions = task.oracle(state)
        else:
            actions = act(task.observe(state, obs_type), task.mask(state))
        _, ended = task.transition(state, np.asarray(actions, np.int64))
        if ended.any():
            for place, output in zip(left[ended], task.outputs(state.take(ended)), strict=True):
                outputs[place] = output
            state, left = state.take(~ended), left[~ended]
    return outputs
