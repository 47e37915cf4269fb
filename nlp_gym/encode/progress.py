"""A progress bar on stderr for work that takes a while."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_DELAY_S = 2.0

Advance = Callable[[int], object]

# Takes the share, from 0 to 1, by which an inner piece of work moves the bar around it.
_outer: ContextVar[Callable[[float], None] | None] = ContextVar("outer", default=None)


@contextmanager
def bar(total: int, unit: str, *, show: bool | None) -> Iterator[Advance]:
    """Show a bar once two seconds have passed; inside `piece`, move the bar around it instead.

    Args:
        total: Units in all.
        unit: Name of one.
        show: True: always; False: never; None: where stderr is a terminal.

    Yields:
        A function that is told how many more units are done.
    """
    outer = _outer.get()
    if outer is not None:
        yield lambda units: outer(units / max(total, 1))
        return
    if show is None:
        show = sys.stderr.isatty()
    if not show:
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, unit_scale=True, delay=_DELAY_S, desc="encoding") as shown:
        yield shown.update


@contextmanager
def piece(advance: Advance, units: int) -> Iterator[None]:
    """Within, a `bar` moves the one that `advance` belongs to, by `units` in all at the end."""
    done, told = 0.0, 0

    def step(share: float) -> None:
        nonlocal done, told
        # Whole units, so that rounding never takes the bar past its end.
        done = min(done + share * units, units)
        advance(int(done) - told)
        told = int(done)

    token = _outer.set(step)
    try:
        yield
    finally:
        _outer.reset(token)
    advance(units - told)
