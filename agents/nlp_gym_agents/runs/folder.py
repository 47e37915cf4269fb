"""The run folder ``runs/<algo>/<env>_<k>/``: where it is, what is in it, how it is read back.

``config.yml``      the merged settings; ``nlp-gym train --conf-file config.yml`` repeats the run
``command.txt``     the command line; another line where a resume changed the settings
``versions.json``   Python, packages, processor, threads, encoder fingerprint, corpus text hashes
``metrics.jsonl``   one JSON object per evaluation on dev
``tensorboard/``    Stable-Baselines3's scalars and the dev metric
``checkpoints/N/``  the state after N timesteps (`nlp_gym_agents.runs.checkpoints`), the last two
``best/``           the policy with the best dev metric and the settings needed to load it
``tracking.json``   the id of the run in Weights & Biases, where it is tracked
``report.json``     the final test report beside the baselines
``calibration.json`` the temperature of confidences (`nlp_gym_agents.runs.calibration`)
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from nlp_gym.errors import RunError, UnknownNameError, shown
from nlp_gym.files import atomic_path, file_lock, is_leftover, write_json
from nlp_gym_agents.runs.files.plain_files import read_text, read_yaml
from nlp_gym_agents.runs.files.trust import check_trusted, named_modules
from nlp_gym_agents.runs.places import is_inside
from nlp_gym_agents.runs.settings import SETTINGS, SnapshotSettings, read_settings
from nlp_gym_agents.runs.snapshots import (
    FORMAT_VERSION,
    check_version,
    locate,
    newest,
    steps,
    verify,
)
from nlp_gym_agents.runs.versions import versions

LOCK = ".run.lock"  # of `locked`
TRACKING = "tracking.json"  # of a run that is followed elsewhere, see `training.tracking.tracker`
RUNS = "runs"  # where runs go that nobody gives a place
SPACE = "Free some space (or fix the permissions)"
_SETTINGS_FILES = ("config.yml", "command.txt", "versions.json")


def file_name(text: str) -> str:
    """`text` as a folder name: third-party algorithms and ids hold ``:`` and ``/``."""
    return re.sub(r"[^\w.+-]+", "_", text)


def new_run(algo: str, env_id: str, *, root: str | Path = RUNS) -> Path:
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
            begun = (run / "config.yml").exists()
            fix = f"continue with: {resume_command(run)}" if begun else "run the command again."
            raise RunError(
                f"{run} cannot be written to: {error.strerror or error}. {SPACE}, then {fix}"
            ) from error
        yield


def resume_command(run: Path) -> str:
    """The command that goes on with a run, for messages.

    What its settings would not be followed in without being said again is part of it.
    """
    words = ["nlp-gym", "train", "--resume", str(run)]
    with suppress(RunError):
        settings = read_yaml(run / "config.yml")
        log = settings.get("tensorboard_log") if isinstance(settings, dict) else None
        if isinstance(log, str) and not is_inside(log, run):
            words += ["--tensorboard-log", log]
        for module in named_modules(settings):
            words += ["--trust", module]
    if (run / TRACKING).exists():
        words.append("--track")
    return shlex.join(words)


@contextmanager
def writing(run: Path, *, resumable: bool = False) -> Iterator[None]:
    """Turn a failure to write into the run folder into a `RunError` that names the file.

    Args:
        run: The folder.
        resumable: The run can go on where it was once there is space, which the message says.
    """
    try:
        yield
    except OSError as error:
        place = error.filename or run
        fix = f"continue with: {resume_command(run)}" if resumable else "run the command again."
        raise RunError(
            f"Could not write {place}: {error.strerror or error}. {SPACE}, then {fix}"
        ) from error


def claim_run(folder: str | Path) -> Path:
    """Create the exact folder `folder`.

    Two processes may be given the same one: call it again once the folder is `locked`.

    Raises:
        RunError: It is not empty (a run is never overwritten) or cannot be created.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A process that was killed may have left its lock and a file that was half written.
        occupied = any(path.name != LOCK and not is_leftover(path) for path in folder.iterdir())
    except (OSError, ValueError) as error:  # a name with NUL is a ValueError
        problem = getattr(error, "strerror", None) or error
        raise RunError(f"run_dir={shown(folder)} cannot be created: {problem}.") from error
    if occupied:
        raise RunError(
            f"run_dir={shown(folder)} is not empty and would be overwritten. Continue that run "
            f"with --resume {shlex.quote(str(folder))}, or name another folder."
        )
    return folder


def unclaim_run(run: Path, *, remove: bool) -> None:
    """Take back what a run wrote into its folder before its settings were found not to work.

    Args:
        run: The folder, which is locked.
        remove: Remove it too, and the folders above it that `new_run` made and that are empty.
    """
    with suppress(OSError):
        for name in _SETTINGS_FILES:
            (run / name).unlink(missing_ok=True)
        if remove:
            (run / LOCK).unlink(missing_ok=True)
            for folder in (run, run.parent, run.parent.parent):
                folder.rmdir()


def is_untouched(run: Path) -> bool:
    """Whether a run was stopped before its first checkpoint, so that it can be started over."""
    progress = (run / "metrics.jsonl", locate(run / "best"), *steps(run / "checkpoints"))
    return not any(path.exists() for path in progress)


def write_config(
    run: Path,
    config: Mapping[str, Any],
    *,
    command: Iterable[str],
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write what reproduces the run: ``config.yml``, ``command.txt``, ``versions.json``.

    Args:
        run: An existing folder.
        config: Fields of `nlp_gym_agents.config.train_config.TrainConfig`, merged.
        command: The command line, as a list.
        facts: Encoder fingerprint and corpus hashes; None: not known yet.

    Raises:
        RunError: The folder cannot be written to.
    """
    with writing(run):
        write_settings(run / "config.yml", config)
        with atomic_path(run / "command.txt") as path:
            path.write_text(shlex.join(command) + "\n", encoding="utf-8")
        write_versions(run, facts or {})


def write_versions(run: Path, facts: Mapping[str, Any]) -> None:
    """Write ``versions.json``.

    Raises:
        OSError: The folder cannot be written to.
    """
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
        # A value that occurs twice is written twice: YAML's aliases are not read.
        text = yaml.safe_dump(json.loads(json.dumps(settings)), sort_keys=False)
        temporary.write_text(text, encoding="utf-8")


def check_run(run: str | Path) -> Path:
    """`run` as a path, if it looks like a run folder.

    Raises:
        RunError: Missing, not a run, or nothing was trained yet.
    """
    run = Path(run)
    if not os.path.isdir(run):  # unlike Path's, False for any name that the system cannot take
        raise RunError(
            f"run={shown(run)} does not exist. `nlp-gym train` prints the folder it used as its "
            "last line; by default it is under runs/. If training was killed before it made the "
            "folder, run the same command again."
        )
    if not (run / "config.yml").is_file() and not locate(run / "best").is_dir():
        raise RunError(
            f"run={shown(run)} is not a run folder: it has neither config.yml nor best/. Give the "
            "folder that `nlp-gym train` printed, not one inside or above it. If training was "
            "killed before it wrote config.yml, run the same command again."
        )
    return run


def read_config(run: str | Path, *, trust: Sequence[str] | str = ()) -> dict[str, Any]:
    """The fields in ``config.yml`` of a run folder; see `read_config_file`."""
    return read_config_file(check_run(run) / "config.yml", trust=trust)


def read_config_file(path: str | Path, *, trust: Sequence[str] | str = ()) -> dict[str, Any]:
    """The fields in a file of settings.

    Args:
        path: The file.
        trust: Modules that it may have imported; see `nlp_gym_agents.runs.files.trust`.

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
        trust: Modules that the settings may have imported; see `nlp_gym_agents.runs.files.trust`.

    Raises:
        RunError: Missing, cut short, damaged or of another version, or its settings ask for a
            module that is neither registered nor trusted.
        UnknownNameError: Another `checkpoint`.
    """
    run = check_run(run)
    if checkpoint not in ("best", "last"):
        raise UnknownNameError("checkpoint", checkpoint, ["best", "last"])
    if checkpoint == "last":
        if is_untouched(run):
            raise RunError(
                f"{run} holds no complete checkpoint: training stopped before the first one. Start "
                f"it over with nlp-gym train --resume {shlex.quote(str(run))}."
            )
        folder, _ = newest(run / "checkpoints")
    else:
        folder = locate(run / "best")
        if not folder.is_dir():
            raise RunError(
                f"{run} has no best/: training stopped before its first evaluation on dev, or it "
                "was deleted. Score the last checkpoint with --checkpoint last, or finish the run "
                f"with `nlp-gym train --resume {shlex.quote(str(run))}`."
            )
        verify(folder)
    return folder, read_settings(folder / SETTINGS, trust=trust)
