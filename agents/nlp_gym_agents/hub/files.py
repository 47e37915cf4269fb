"""The folder that stands for a run on the Hub: the best policy and what reproduces it, no more.

``best/``             ``policy.safetensors``, ``settings.json`` and ``manifest.json``
``config.yml``        the settings; ``nlp-gym train --conf-file config.yml`` repeats the run
``versions.json``     Python, packages, processor, corpus hashes
``metrics.jsonl``     the evaluations on dev
``report.json``       the test report beside the baselines
``calibration.json``  the temperature of the confidences
``README.md``         the model card

Nothing else of a run leaves the machine: no checkpoints, no TensorBoard files, no command line, no
corpus. Folders of this machine are cut from the settings, and only a file's own name is left.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from nlp_gym.errors import RunError, shown
from nlp_gym.files import JSON_LIMIT, read_regular, sha256_file, write_json
from nlp_gym.memory import memory_limit, readable_size
from nlp_gym_agents.runs.calibration import CALIBRATION
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.files.weights import POLICY
from nlp_gym_agents.runs.folder import find_snapshot, read_config, write_settings
from nlp_gym_agents.runs.metrics_log import METRICS, METRICS_LIMIT, read_metrics
from nlp_gym_agents.runs.settings import SETTINGS
from nlp_gym_agents.runs.snapshots import MANIFEST

CARD = "README.md"
BEST = "best"
REQUIRED = (
    "config.yml",
    "versions.json",
    *(f"{BEST}/{name}" for name in (MANIFEST, POLICY, SETTINGS)),
)
"""Files without which a repository is no run."""
FILES = (*REQUIRED, METRICS, "report.json", CALIBRATION, CARD)
"""Every file that is uploaded, and downloaded, by its path in the repository."""
REPORTS = ("versions.json", "report.json", CALIBRATION)

_PICKLES = (
    *(".bin", ".ckpt", ".dill", ".joblib", ".npy", ".npz"),
    *(".pickle", ".pk", ".pkl", ".pt", ".pth", ".zip"),
)
"""Endings of files that can hold a pickle."""
_NAMED = ("labels", "learnt", "text")
"""Parts of settings and reports that are the model's own words and no places."""
_NOWHERE = ("data_dir", "tensorboard_log")
"""Settings that say where something was on one machine, and nothing about the model."""


def without_places(tree: Any) -> Any:
    """Settings or a report without folders of this machine: of a path its last name is left.

    A path is what begins as one: with a slash, a drive, ``~``, ``./`` or ``../``. The name of an
    encoder on a hub, ``owner/name``, begins as none. The files of ``data`` are paths in any case.

    Args:
        tree: What JSON or YAML holds. Labels and vocabularies stay as they are.
    """
    if isinstance(tree, Mapping):
        found: dict[str, Any] = {}
        for key, value in tree.items():
            if key in _NOWHERE:
                found[key] = None
            elif key == "data":
                found[key] = _file_names(value)
            else:
                found[key] = value if key in _NAMED else without_places(value)
        return found
    if isinstance(tree, list | tuple):
        return [without_places(item) for item in tree]
    return _last_name(tree) if isinstance(tree, str) else tree


def _file_names(value: Any) -> Any:
    """The last names of files, one or one for each split."""
    if isinstance(value, Mapping):
        return {key: _file_names(item) for key, item in value.items()}
    return PureWindowsPath(value).name if isinstance(value, str) else without_places(value)


def _last_name(text: str) -> str:
    outside = text.startswith(("~", "./", "../"))
    if outside or (text.startswith("/") and len(text) > 1):
        return PurePosixPath(text).name
    if re.match(r"([A-Za-z]:|\.\.?)[\\/]|\\\\", text):
        return PureWindowsPath(text).name
    return text


def make_folder(
    run: str | Path,
    folder: str | Path,
    *,
    card: Callable[[Path], str],
    trust: Sequence[str] | str = (),
) -> Path:
    """Make the folder that is uploaded for a run; it is complete, or as it was before.

    Args:
        run: A run folder with ``best/``.
        folder: Where; one that is there must be empty or an earlier one of these, and is replaced.
        card: Gives the model card of the new folder.
        trust: Modules that the run's settings may have imported; see `runs.files.trust`.

    Returns:
        `folder`.

    Raises:
        RunError: The run cannot be read, `folder` holds something else, or it cannot be written.
    """
    run, folder = Path(run), Path(folder)
    snapshot, _ = find_snapshot(run, BEST, trust=trust)
    _check_replaceable(folder)
    partial = folder.parent / f".{folder.name}-{uuid.uuid4().hex[:8]}"
    try:
        (partial / BEST).mkdir(parents=True)
        _copy_snapshot(snapshot, partial / BEST)
        write_settings(partial / "config.yml", _portable_config(run, trust))
        for name in REPORTS:
            if (run / name).exists():
                write_json(partial / name, without_places(read_json(run / name)))
        if read_metrics(run):  # a damaged one is not passed on
            (partial / METRICS).write_bytes(read_regular(run / METRICS))
        (partial / CARD).write_text(card(partial), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)
    except OSError as error:
        raise RunError(
            f"The folder for the Hub, {folder}, could not be written: {error.strerror or error}. "
            "Free some space (or fix the permissions), or name another folder with --output."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _portable_config(run: Path, trust: Sequence[str] | str) -> dict[str, Any]:
    config: dict[str, Any] = without_places(read_config(run, trust=trust))
    return config


def _copy_snapshot(snapshot: Path, target: Path) -> None:
    """Copy the policy; its settings lose their places, so that the manifest is made anew."""
    shutil.copyfile(snapshot / POLICY, target / POLICY)
    write_json(target / SETTINGS, without_places(read_json(snapshot / SETTINGS)))
    files = {name: sha256_file(target / name) for name in (POLICY, SETTINGS)}
    manifest = read_json(snapshot / MANIFEST)
    write_json(target / MANIFEST, {**manifest, "files": files})


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder that holds anything but what `make_folder` makes."""
    try:
        names = {path.name for path in folder.iterdir()} if os.path.lexists(folder) else set()
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        raise RunError(f"output={shown(folder)} is no folder to write to: {problem}.") from error
    foreign = sorted(names - {name.partition("/")[0] for name in FILES})
    if foreign:
        raise RunError(
            f"output={shown(folder)} holds {shown(foreign[0])}, which is no part of a run for the "
            "Hub: name a new folder with --output."
        )
    if folder.is_symlink():
        raise RunError(f"output={shown(folder)} is a symbolic link: name the folder itself.")


def check_listing(sizes: Mapping[str, int], where: str) -> None:
    """Refuse a repository that is no run, before anything of it is downloaded.

    Args:
        sizes: Bytes of every file, by its path in the repository.
        where: Names the repository, for messages.

    Raises:
        RunError: A file is missing, is too large or can hold a pickle.
    """
    for name in sorted(sizes):
        if name.lower().endswith(_PICKLES):
            raise RunError(
                f"{where} holds {shown(name)}, a kind of file that can run code when it is loaded. "
                "Nothing was downloaded: runs of this project hold safetensors and text only."
            )
    missing = [name for name in REQUIRED if name not in sizes]
    if missing:
        raise RunError(
            f"{where} is not a run that `nlp-gym push-to-hub` uploaded: it has no "
            f"{shown(missing[0])}. Nothing was downloaded."
        )
    for name in FILES:
        limit = METRICS_LIMIT if name == METRICS else JSON_LIMIT
        if name.endswith(POLICY):
            limit = memory_limit() // 2
        if sizes.get(name, 0) > limit:
            raise RunError(
                f"{where}: {name} has {readable_size(sizes[name])}, and at most "
                f"{readable_size(limit)} are downloaded. Nothing was."
            )
