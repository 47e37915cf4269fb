"""Play samples to their ends: every evaluation, baseline, search and demonstration is this loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from nlp_gym.checks import as_array, check_int, check_obs_type, check_rows
from nlp_gym.errors import InvalidActionError, shown
from nlp_gym.layout import Layout, check_layout
from nlp_gym.progress import progress_bar
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.types import BoolArray, Float64Array, Int64Array

Act = Callable[[Any, BoolArray], Int64Array]
"""From an observation (arrays with B in front) and the (B, A) mask to (B,) actions."""


class Branches(NamedTuple):
    """What a search goes on with: an episode may be continued in several ways, or not at all.

    Attributes:
        parents: (m,) which of the running episodes each one continues.
        actions: (m,) the decision that it continues it with.
    """

    parents: Int64Array
    actions: Int64Array


Decide = Callable[[Any, Int64Array], Int64Array | Branches]
"""From the state of the running episodes and `Step.place` of each to what is played next."""


@dataclass
class Step:
    """One decision of every running episode.

    Attributes:
        state: The episodes after the decision, those that ended included. The next decision
            changes it in place.
        place: (B,) which sample each episode plays, as a place in the `rows` of `play`.
        actions: (B,) what was decided.
        rewards: (B,) what that earned.
        ended: (B,) which episodes ended. A caller that gives episodes up sets this to an array in
            which they are True as well.
    """

    state: Any
    place: Int64Array
    actions: Int64Array
    rewards: Float64Array
    ended: BoolArray


def play(
    task: Task, rows: Int64Array, decide: Decide, *, dial: Int64Array | None = None
) -> Iterator[Step]:
    """Play samples side by side, each to its end; episodes that ended are taken out.

    Args:
        task: The rules and the corpus.
        rows: (n,) samples that are begun together.
        decide: Called before each step.
        dial: (n,) setting of the task's dial in each; None: the task decides.

    Yields:
        Each step, until no episode is left.
    """
    state = task.initial(rows) if dial is None else task.initial_at(rows, dial)
    place = np.arange(len(rows))
    while len(place):
        decided = decide(state, place)
        if isinstance(decided, Branches):
            parents, actions = decided
            state, place = state.take(parents), place[parents]
        else:
            actions = np.asarray(decided, np.int64)
        rewards, ended = task.transition(state, actions)
        step = Step(state, place, actions, rewards, ended)
        yield step
        if step.ended.any():
            state, place = state.take(~step.ended), place[~step.ended]


def chosen_rows(task: Task, rows: Sequence[int] | Int64Array | None) -> Int64Array:
    """Samples as an array; None: all of the corpus."""
    return np.array(check_rows(rows, len(task.corpus)), np.int64)


def side_by_side(lengths: Int64Array, size: int) -> list[Int64Array]:
    """Places in `lengths`, `size` at a time, of similar length so that few episodes stand idle."""
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def rollout(
    task: Task,
    act: Act | Literal["oracle"],
    rows: Sequence[int] | None = None,
    *,
    batch: int | None = None,
    obs_type: str | None = None,
    layout: str | None = None,
    progress: bool = False,
) -> list[Output]:
    """Play each row once and return what was decided. Needs no gold (except for the oracle).

    Args:
        task: The rules and the corpus.
        act: Decides; or ``"oracle"``.
        rows: Samples to play; default: all.
        batch: Episodes played side by side; None: the task's `side_by_side`.
        obs_type: Kind of observation `act` wants; None: ``"features"`` where a layout is given,
            else ``"index"``.
        layout: How the arrays of an observation are laid out for `act`, see `nlp_gym.layout`;
            None: a dict of them.
        progress: Show a progress bar on stderr; False: within `nlp_gym.progress.progress_wanted`.

    Returns:
        One output per row, in the order of `rows`.

    Raises:
        UnknownNameError: No such kind of observation or layout.
        InvalidArgumentError: A layout of observations that are no features.
        InvalidActionError: `act` does not give an action for each episode.
    """
    kind = obs_type if obs_type is not None else ("index" if layout is None else "features")
    check_obs_type(kind)
    check_layout(layout, kind)
    laid_out = None if layout is None else Layout(layout, task.observation_space(kind)).batch
    if batch is not None:
        check_int("batch", batch, 1, 2**31 - 1)

    def decide(state: Any, place: Int64Array) -> Int64Array:
        if isinstance(act, str):
            return task.oracle(state)
        seen, mask = task.views.observe_with_mask(state, kind)
        return _checked(act(seen if laid_out is None else laid_out(seen), mask), mask)

    chosen = chosen_rows(task, rows)
    outputs: list[Output] = [()] * len(chosen)
    with progress_bar(len(chosen), playing(task), unit="samples", show=progress) as advance:
        for places in side_by_side(task.lengths[chosen], batch or task.side_by_side):
            for step in play(task, chosen[places], decide):
                for place, output in finished(task, step):
                    outputs[places[place]] = output
                advance(int(step.ended.sum()))
    return outputs


def playing(task: Task) -> str:
    """What a progress bar says of samples that are played."""
    return f"playing {task.corpus.name} {task.corpus.split}"


def _checked(actions: Any, mask: BoolArray) -> Int64Array:
    """(B,) actions, if `actions` are that."""
    found = as_array(actions)
    fits = found.shape == (len(mask),) and found.dtype.kind in "iu"
    if not fits or found.min() < 0 or found.max() >= mask.shape[1]:
        raise InvalidActionError(
            f"act gave {shown(actions)}: it must give {len(mask)} integers from 0 to "
            f"{mask.shape[1] - 1}, one for each episode."
        )
    return found.astype(np.int64, copy=False)


def finished(task: Task, step: Step) -> Iterator[tuple[int, Output]]:
    """`Step.place` and output of each episode that ended in a step."""
    if step.ended.any():
        outputs = task.outputs(step.state.take(step.ended))
        yield from zip(step.place[step.ended].tolist(), outputs, strict=True)


_BATCH = 4096
"""Episodes of the oracle that are played side by side."""


def oracle_decisions(task: Task) -> tuple[Int64Array, Int64Array]:
    """The M decisions of the oracle on a corpus.

    Returns:
        (M,) order that sorts them by text and step, and (M,) actions.
    """
    texts, steps, actions = [], [], []
    what = f"following the oracle on {task.corpus.name} {task.corpus.split}"
    with progress_bar(len(task.corpus), what, unit="samples") as advance:
        for rows in side_by_side(task.lengths, _BATCH):
            for number, step in enumerate(play(task, rows, lambda state, _: task.oracle(state))):
                texts.append(rows[step.place])
                steps.append(np.full(len(step.place), number))
                actions.append(step.actions)
                advance(int(step.ended.sum()))
    order = np.lexsort((np.concatenate(steps), np.concatenate(texts)))
    return order, np.concatenate(actions)
