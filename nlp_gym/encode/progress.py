"""A progress bar on stderr for work that takes a while."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_DELAY_S = 2.0


@contextmanager
def bar(total: int, unit: str, *, show: bool | None) -> Iterator[Callable[[int], object]]:
    """Show a bar once two seconds have passed.

    Args:
        total: Units in all.
        unit: Name of one.
        show: True: always; False: never; None: where stderr is a terminal.

    Yields:
        A function that is told how many more units are done.
    """
    if show is None:
        show = sys.stderr.isatty()
    if not show:
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, unit_scale=True, delay=_DELAY_S, desc="encoding") as shown:
        yield shown.update
