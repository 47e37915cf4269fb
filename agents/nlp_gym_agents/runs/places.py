"""Where a run is written: inside its folder, unless the user says otherwise."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from nlp_gym.errors import RunError
from nlp_gym.inert import shown

TENSORBOARD = "tensorboard"
"""The run's own folder of TensorBoard files."""
TRACKER = "wandb"
"""The run's own folder of Weights & Biases, with a folder per process that was tracked."""


def is_inside(path: str | Path, folder: str | Path) -> bool:
    """Whether a path lies in a folder once all symbolic links are followed."""
    own, place = os.path.realpath(folder), os.path.realpath(path)
    return place == own or place.startswith(own.rstrip(os.sep) + os.sep)


def check_links(run: Path, *, unused: Collection[str] = ()) -> None:
    """Refuse to write into a run folder in which a symbolic link leads out of it.

    Files are read through such links, as the Hub's cache lays them out; writing through them would
    change files that have nothing to do with the run.

    Args:
        run: The run folder; it may be a link itself.
        unused: Names in it that nothing will be written to.

    Raises:
        RunError: Naming the link.
    """
    for parent, folders, names in os.walk(run):
        top = os.path.realpath(parent) == os.path.realpath(run)
        for name in [*folders, *names]:
            path = Path(parent, name)
            if path.is_symlink() and not (top and name in unused) and not is_inside(path, run):
                raise RunError(
                    f"{path} is a symbolic link to {shown(os.readlink(path))}, outside of the run "
                    "folder, and would be written to. Replace it by a copy (cp -rL copies a whole "
                    "folder so), or remove it."
                )
        if os.path.realpath(parent) == os.path.realpath(os.path.join(run, TRACKER)):
            folders.clear()  # of processes that ended: nothing is written there again


def tensorboard_folder(run: Path, recorded: str | None, given: str | Path | None) -> Path:
    """Where the TensorBoard files of a run go that is resumed.

    Args:
        run: The run folder.
        recorded: What its settings say; None: its own folder.
        given: What the user says now.

    Raises:
        RunError: The settings name a folder outside of the run, and the user says nothing.
    """
    if given is not None:
        return Path(given)
    folder = run / TENSORBOARD if recorded is None else Path(recorded)
    if recorded is not None and not is_inside(folder, run):
        raise RunError(
            f"{run / 'config.yml'}: tensorboard_log={shown(recorded)} lies outside of the run "
            "folder, where nothing is written unless you say so now: give --tensorboard-log with "
            f"that folder, or with {run / 'tensorboard'} (in Python: tensorboard_log=)."
        )
    return folder
