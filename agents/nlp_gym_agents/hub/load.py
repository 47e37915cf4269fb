"""A run comes from the Hub: what is downloaded is a stranger's until it is checked."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nlp_gym.errors import HubError, RunError
from nlp_gym.tasks.core.make import task_class
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.hub.client import api, repo_name, told
from nlp_gym_agents.hub.files import BEST, FILES, check_listing
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.files.weights import POLICY, check_tensors_size
from nlp_gym_agents.runs.folder import RUNS, find_snapshot, new_run, read_config
from nlp_gym_agents.runs.metrics_log import read_metrics


def load_from_hub(
    repo: str,
    *,
    revision: str | None = None,
    folder: str | Path = RUNS,
    trust: Sequence[str] | str = (),
) -> Path:
    """Download a run and put it where runs are: ``<folder>/<algo>/<env>_<k>``.

    Only the files of a run are downloaded (`nlp_gym_agents.hub.files`), and none of them is more
    than data. The run appears once all of it is there and was checked.

    Args:
        repo: ``"user/name"``, with or without ``hf://``.
        revision: Branch, tag or commit; None: ``main``.
        folder: Where runs are counted up.
        trust: Modules that the run's settings may have imported; see `runs.files.trust`. Nothing
            that the settings name is imported without, unless an installed package registered it.

    Returns:
        The run folder.

    Raises:
        HubError: The Hub cannot be reached, refuses, or the download did not complete.
        RunError: The repository is no run, holds a pickle, or its files are damaged or too large.
        InvalidArgumentError: A name that no repository can have.
    """
    name = repo_name(repo)
    client = api()
    where = f"{name}{f' ({revision})' if revision else ''}"
    with told(where):
        info = client.model_info(name, revision=revision, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    check_listing(sizes, where)
    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".hub-", dir=root) as partial:
            files = Path(partial) / "run"
            _download(name, info.sha or revision, files, where)
            algo, env_id = _check(files, where, trust)
            return _placed(files, new_run(algo, env_id, root=root))
    except OSError as error:
        if isinstance(error, HubError):
            raise
        raise RunError(
            f"{where} could not be put under {root}: {error.strerror or error}. Free some space "
            "(or fix the permissions), or name another place with --log-folder."
        ) from error


def _download(name: str, revision: str | None, files: Path, where: str) -> None:
    from huggingface_hub import snapshot_download

    with told(where):
        snapshot_download(
            name,
            revision=revision,
            local_dir=files,
            allow_patterns=list(FILES),
            endpoint=api().endpoint,
        )


def _check(files: Path, where: str, trust: Sequence[str] | str) -> tuple[str, str]:
    """Read everything once, as data; gives the algorithm and the id."""
    try:
        config = read_config(files, trust=trust)
        snapshot, settings = find_snapshot(files, BEST, trust=trust)
        check_tensors_size(snapshot / POLICY)
        read_metrics(files)
        for name in ("versions.json", "report.json"):
            if (files / name).exists():
                read_json(files / name)
    except RunError as error:
        # The folder that is named is gone when this is read.
        raise RunError(f"{where}: {str(error).replace(f'{files}/', '')}") from error
    algo, env_id = settings["algo"], settings["env"]
    resolve(algo)
    task_class(env_id)
    if (config.get("algo"), config.get("env")) != (algo, env_id):
        raise RunError(f"{where}: config.yml and best/settings.json are of different runs.")
    return algo, env_id


def _placed(files: Path, run: Path) -> Path:
    """Move what was downloaded into the new run folder."""
    for name in FILES:
        if (files / name).is_file():
            target = run / name
            target.parent.mkdir(exist_ok=True)
            shutil.move(files / name, target)
    return run
