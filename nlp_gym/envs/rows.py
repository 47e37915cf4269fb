"""Which sample an environment plays next: a random generator each, drawn from in blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import as_array
from nlp_gym.errors import InvalidArgumentError, shown

if TYPE_CHECKING:
    from nlp_gym.tasks.core.strata import Strata
    from nlp_gym.tasks.core.task import Task

BLOCK = 64


class RowSampler:
    """Draws of sample numbers for B environments, each from its own generator.

    They are uniform, or come from parts of the samples in stated shares (`draw_from`).

    Drawing in blocks keeps Python's loop over environments out of `step`; an environment's sequence
    depends on its own generator alone, so a batch plays what single environments would.

    Args:
        n_envs: Number B of environments.
        n_rows: Number of samples.
    """

    def __init__(self, n_envs: int, n_rows: int) -> None:
        self.n_rows = n_rows
        self._strata: tuple[Strata, int] | None = None
        self._generators: list[np.random.Generator | None] = [None] * n_envs
        self._block = np.zeros((n_envs, BLOCK), np.int64)
        self._used = np.full(n_envs, BLOCK, np.int64)

    def seed(self, env: int, generator: np.random.Generator) -> None:
        """Draw environment `env`'s samples from `generator` from now on."""
        self._generators[env] = generator
        self._used[env] = BLOCK

    def resize(self, n_rows: int) -> None:
        """Draw from `n_rows` samples from now on; what was drawn of others is thrown away."""
        if n_rows != self.n_rows:
            self.n_rows = n_rows
            self._used[:] = BLOCK

    def draw_from(self, task: Task) -> None:
        """Draw fresh episodes of `task` from now on, in the shares of its `strata`."""
        self.resize(n_numbers(task))
        strata = None if task.strata is None else (task.strata.within(task.drawn), task.dials)
        if strata is not None or self._strata is not None:
            self._strata = strata
            self._used[:] = BLOCK

    def _draw(self, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        if self._strata is None:
            return generator.integers(self.n_rows, size=BLOCK)
        strata, dials = self._strata
        return strata.draw(generator.random(BLOCK), dials)

    def generators(self) -> tuple[np.random.Generator | None, ...]:
        """The generator of each environment; None where it is not seeded yet."""
        return tuple(self._generators)

    def next(self, envs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The next sample of each of `envs`."""
        used = self._used.take(envs)
        if used.max() >= BLOCK:
            for env in envs[used >= BLOCK]:
                generator = self._generators[env]
                assert generator is not None, "seed() comes first"
                self._block[env] = self._draw(generator)
                self._used[env] = 0
            used = self._used.take(envs)
        self._used[envs] = used + 1
        return self._block[envs, used]

    def peek(self) -> npt.NDArray[np.int64]:
        """The samples that will be played next, as far as they are drawn."""
        drawn = np.flatnonzero(self._used < BLOCK)
        rows: npt.NDArray[np.int64] = self._block[drawn, self._used[drawn]]
        return rows

    def snapshot(self) -> tuple[dict[str, npt.NDArray[np.int64]], list[dict[str, Any]]]:
        """Drawn samples, and the generators' states (JSON-able); all copies."""
        states = [dict(g.bit_generator.state) for g in self._generators if g is not None]
        return {"block": self._block.copy(), "used": self._used.copy()}, states

    def restore(
        self, arrays: Mapping[str, npt.NDArray[Any]], states: Sequence[Mapping[str, Any]]
    ) -> None:
        """Go on as the sampler that `snapshot` was taken of; every environment is seeded."""
        self._block[...], self._used[...] = arrays["block"], arrays["used"]
        for generator, state in zip(self._generators, states, strict=True):
            assert generator is not None, "seed() comes first"
            generator.bit_generator.state = state


def n_numbers(task: Task) -> int:
    """How many fresh episodes there are to draw from: samples, each with every setting."""
    return len(task.corpus if task.drawn is None else task.drawn) * task.dials


def row_of(task: Task, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The samples that numbers below `n_numbers` stand for."""
    rows = numbers if task.dials == 1 else numbers // task.dials
    return rows if task.drawn is None else task.drawn.take(rows)


def begin(
    task: Task,
    sampler: RowSampler,
    envs: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64] | None = None,
    dial: int | None = None,
) -> Any:
    """State of fresh episodes in the environments `envs`.

    Args:
        task: The rules.
        sampler: Draws a sample and the setting of the task's dial together.
        envs: Which draw.
        rows: (n_envs,) samples that were asked for; None: they are drawn.
        dial: The setting that was asked for; None: it is drawn.
    """
    if task.dials == 1:
        return task.initial(row_of(task, sampler.next(envs)) if rows is None else rows[envs])
    drawn = sampler.next(envs)
    setting = drawn % task.dials if dial is None else np.full(len(envs), dial)
    return task.initial_at(row_of(task, drawn) if rows is None else rows[envs], setting)


def chosen_rows(
    options: object, n_envs: int, n_rows: int, further: Sequence[str] = ()
) -> npt.NDArray[np.int64] | None:
    """Samples asked for by ``reset(options={"row": i})``: one for all, or one for each environment.

    Args:
        options: As `reset` has them.
        n_envs: Number of environments.
        n_rows: Number of samples.
        further: Other options that are allowed, which the task reads.

    Raises:
        InvalidArgumentError: Unknown option, or a number that is no sample.
    """
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise InvalidArgumentError(
            f"options={shown(options)} must be None or a mapping, such as {{'row': 0}}."
        )
    unknown = [key for key in options if key not in ("row", *further)]
    if unknown:
        others = "".join(f", and {name!r}" for name in further)
        raise InvalidArgumentError(
            f"options has {shown(unknown[0])}; allowed is 'row', the number of a sample{others}."
        )
    if "row" not in options:
        return None
    row = options["row"]
    rows = as_array(row if isinstance(row, (list, tuple, np.ndarray)) else [row] * n_envs)
    fits = rows.shape == (n_envs,) and rows.dtype.kind in "iu"
    if not fits or rows.min() < 0 or rows.max() >= n_rows:
        raise InvalidArgumentError(
            f"options['row']={shown(row)} must be an integer from 0 to {n_rows - 1}"
            + (f", or {n_envs} of them." if n_envs > 1 else ".")
        )
    return rows.astype(np.int64)
