"""The run folder ``runs/<algo>/<env>_<k>/``: where it is, what is in it, how it is read back.

``config.yml``      the merged settings; ``nlp-gym train --conf-file config.yml`` repeats the run
``command.txt``     the command line; another line where a resume changed the settings
``versions.json``   Python, packages, processor, threads, encoder fingerprint, corpus text hashes
``metrics.jsonl``   one JSON object per evaluation on dev
``tensorboard/``    Stable-Baselines3's scalars and the dev metric
``checkpoints/N/``  the state after N timesteps (`nlp_gym_agents.runs.checkpoints`), the last two
``best/``           the policy with the best dev metric and the settings needed to load it
``report.json``     the final test report beside the baselines
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from nlp_gym.errors import RunError, UnknownNameError, shown
from nlp_gym.files import atomic_path, file_lock, write_json
from nlp_gym_agents.runs.plain_files import read_text, read_yaml
from nlp_gym_agents.runs.settings import SETTINGS, SnapshotSettings, read_settings
from nlp_gym_agents.runs.snapshots import FORMAT_VERSION, check_version, locate, newest, verify
from nlp_gym_agents.runs.trust import check_trusted
from nlp_gym_agents.runs.versions import versions

LOCK = ".run.lock"  # of `locked`


def file_name(text: str) -> str:
    """`text` as a folder name: third-party algorithms and ids hold ``:`` and ``/``."""
    return re.sub(r"[^\w.+-]+", "_", text)


def new_run(algo: str, env_id: str, *, root: str | Path = "runs") -> Path:
    """Create the next free ``root/<algo>/<env>_<k>/``; safe with runs that start together.

    Raises:
        RunError: The folder cannot be created.
    """
    parent = Path(root) / file_name(algo)
    stem = file_name(env_id)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        pattern = re.compile(rf"{re.escape(stem)}_(\d+)")
        taken = [int(m[1]) for p in parent.iterdir() if (m := pattern.fullmatch(p.name))]
        number = max(taken, default=0) + 1
        while True:
            try:
                (parent / f"{stem}_{number}").mkdir()
                return parent / f"{stem}_{number}"
            except FileExistsError:
                number += 1
    except OSError as error:
        raise RunError(
            f"Cannot create a run folder under {parent}: {error.strerror}. Give another place with "
            "--run-dir DIR."
        ) from error


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the run folder `run`, which exists, against every other process.

    Raises:
        RunError: Another process holds it, or the folder cannot be written to.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(run / "run", timeout=0))
        except TimeoutError as error:
            raise RunError(f"Another process is training in {run}: stop it first.") from error
        except OSError as error:
            raise RunError(f"{run} cannot be written to: {error.strerror or error}.") from error
        yield


@contextmanager
def writing(run: Path) -> Iterator[None]:
    """Turn a failure to write into the run folder into a `RunError` that names the file."""
    try:
        yield
    except OSError as error:
        place = error.filename or run
        raise RunError(f"Could not write {place}: {error.strerror or error}.") from error


def claim_run(folder: str | Path) -> Path:
    """Create the exact folder `folder`.

    Two processes may be given the same one: call it again once the folder is `locked`.

    Raises:
        RunError: It is not empty (a run is never overwritten) or cannot be created.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(path.name != LOCK for path in folder.iterdir())
    except OSError as error:
        raise RunError(f"run_dir={shown(folder)} cannot be created: {error.strerror}.") from error
    if occupied:
        raise RunError(
            f"run_dir={shown(folder)} is not empty and would be overwritten. Continue that run "
            f"with --resume {shlex.quote(str(folder))}, or name another folder."
        )
    return folder


def write_config(
    run: Path, config: Mapping[str, Any], *, command: Iterable[str], facts: Mapping[str, Any]
) -> None:
    """Write what reproduces the run: ``config.yml``, ``command.txt``, ``versions.json``.

    Args:
        run: An existing folder.
        config: Fields of `nlp_gym_agents.config.train_config.TrainConfig`, merged.
        command: The command line, as a list.
        facts: Encoder fingerprint and corpus hashes.

    Raises:
        RunError: The folder cannot be written to.
    """
    with writing(run):
        write_settings(run / "config.yml", config)
        with atomic_path(run / "command.txt") as path:
            path.write_text(shlex.join(command) + "\n", encoding="utf-8")
        write_json(run / "versions.json", {**versions(), **facts})


def rewrite_config(run: Path, config: Mapping[str, Any], *, command: Iterable[str]) -> None:
    """Put changed settings of a resumed run on record, and the command that changed them.

    Args:
        run: Its folder.
        config: Fields of `nlp_gym_agents.config.train_config.TrainConfig`, merged.
        command: The command line, as a list; becomes the last line of ``command.txt``.

    Raises:
        RunError: The folder cannot be written to.
    """
    with writing(run):
        write_settings(run / "config.yml", config)
        file = run / "command.txt"
        before = read_text(file) if file.exists() else ""
        with atomic_path(file) as path:
            path.write_text(before + shlex.join(command) + "\n", encoding="utf-8")


def write_settings(path: Path, config: Mapping[str, Any]) -> None:
    """Write a file for ``--conf-file``, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    with atomic_path(path) as temporary:
        settings = {"format_version": FORMAT_VERSION, **config}
        text = yaml.dump(settings, Dumper=_PlainDumper, sort_keys=False)
        temporary.write_text(text, encoding="utf-8")


class _PlainDumper(yaml.SafeDumper):
    """Writes no aliases, which are not read either."""

    def ignore_aliases(self, data: Any) -> bool:
        """A value that occurs twice is written twice."""
        return True


def check_run(run: str | Path) -> Path:
    """`run` as a path, if it looks like a run folder.

    Raises:
        RunError: Missing, not a run, or nothing was trained yet.
    """
    run = Path(run)
    if not run.is_dir():
        raise RunError(
            f"run={shown(run)} does not exist. `nlp-gym train` prints the folder it used as its "
            "last line; by default it is under runs/."
        )
    if not (run / "config.yml").is_file() and not locate(run / "best").is_dir():
        raise RunError(
            f"run={shown(run)} is not a run folder: it has neither config.yml nor best/. Give the "
            "folder that `nlp-gym train` printed, not one inside or above it."
        )
    return run


def read_config(run: str | Path, *, trust: Sequence[str] | str = ()) -> dict[str, Any]:
    """The fields in ``config.yml`` of a run folder; see `read_config_file`."""
    return read_config_file(check_run(run) / "config.yml", trust=trust)


def read_config_file(path: str | Path, *, trust: Sequence[str] | str = ()) -> dict[str, Any]:
    """The fields in a file of settings.

    Args:
        path: The file.
        trust: Modules that it may have imported; see `nlp_gym_agents.runs.trust`.

    Raises:
        RunError: It is missing, damaged or of another format version, or asks for a module that is
            neither registered nor trusted.
    """
    path = Path(path)
    config = read_yaml(path)
    if not isinstance(config, dict):
        raise RunError(f"{path} is damaged: it does not hold a mapping of settings.")
    check_version(config.pop("format_version", None), path)
    check_trusted(config, path, trust)
    return config


def find_snapshot(
    run: str | Path, checkpoint: str = "best", *, trust: Sequence[str] | str = ()
) -> tuple[Path, SnapshotSettings]:
    """The verified folder a policy is loaded from, and its settings.

    Args:
        run: A run folder.
        checkpoint: ``"best"`` (by the dev metric) or ``"last"``.
        trust: Modules that the settings may have imported; see `nlp_gym_agents.runs.trust`.

    Raises:
        RunError: Missing, cut short, damaged or of another version, or its settings ask for a
            module that is neither registered nor trusted.
        UnknownNameError: Another `checkpoint`.
    """
    run = check_run(run)
    if checkpoint not in ("best", "last"):
        raise UnknownNameError("checkpoint", checkpoint, ["best", "last"])
    if checkpoint == "last":
        folder, _ = newest(run / "checkpoints")
    else:
        folder = locate(run / "best")
        if not folder.is_dir():
            raise RunError(
                f"{run} has no best/: training stopped before its first evaluation on dev. Finish "
                f"it with `nlp-gym train --resume {shlex.quote(str(run))}`."
            )
        verify(folder)
    return folder, read_settings(folder / SETTINGS, trust=trust)
