"""Run folders of what was learned from use: each beside the one that it came from, which stays."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import RunError, shown
from nlp_gym.files import atomic_path, sha256_file, write_json
from nlp_gym_agents.models.trained import TrainedModel, load_trained
from nlp_gym_agents.prediction.feedback.store import FEEDBACK
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.files.weights import POLICY, save_weights
from nlp_gym_agents.runs.folder import (
    claim_run,
    locked,
    new_run,
    read_config,
    write_config,
    writing,
)
from nlp_gym_agents.runs.settings import SETTINGS
from nlp_gym_agents.runs.snapshots import MANIFEST, Manifest, publish

LEARNED = "learned.json"
_PRINT = 16


class Learned(TypedDict):
    """``learned.json`` of a run that was learned from use.

    Attributes:
        format_version: 1.
        parent: The run folder it came from, as seen from this one.
        parent_policy: Beginning of the sha256 of that run's weights.
        feedback_sha256: Of the ``feedback.jsonl`` that it learned from, whose copy lies beside.
        corrections: Texts with their answers that it learned from.
        ratings: Texts that were rated that it learned from.
        left_out: Records that it could not learn from.
        replayed: Texts of the old training data that it saw between them.
        updates: Steps of the optimizer.
        seconds: Processor seconds of learning, without evaluations.
        metric: Name of the dev metric; None: dev was not at hand.
        before: It, before.
        after: It, after.
        options: How it learned.
    """

    format_version: int
    parent: str
    parent_policy: str
    feedback_sha256: str
    corrections: schema.Count
    ratings: schema.Count
    left_out: schema.Count
    replayed: schema.Count
    updates: schema.Count
    seconds: Annotated[float, schema.Range(0.0, 1e9)]
    metric: str | None
    before: float | None
    after: float | None
    options: dict[str, Any]


def fingerprint(trained: TrainedModel) -> str:
    """The beginning of the sha256 of a policy's weights, which says which policy it is."""
    manifest: Manifest = read_json(trained.folder / MANIFEST)
    return manifest["files"][POLICY][:_PRINT]


def write_stage(
    trained: TrainedModel,
    model: BaseAlgorithm,
    feedback: bytes,
    facts: Mapping[str, Any],
    *,
    run_dir: str | Path | None,
    trust: Any = (),
) -> Path:
    """Write a run folder with the weights of `model`; nothing that exists is changed.

    Args:
        trained: The run that it came from.
        model: The same algorithm with new weights.
        feedback: What it learned from, as ``feedback.jsonl``.
        facts: Fields of `Learned` besides those that follow from `trained`.
        run_dir: Exactly where; None: the next free ``RUN-learned_<k>`` beside the run.
        trust: Modules that the run's settings may have imported.

    Returns:
        The folder. Its snapshot is written last, so that one of a process that was killed is not
        taken for a run.

    Raises:
        RunError: The folder cannot be written, or is not empty.
    """
    parent = trained.run.resolve()
    if run_dir is None:
        base = parent.name.partition("-learned_")[0]
        folder = new_run(".", f"{base}-learned", root=parent.parent)
    else:
        folder = claim_run(run_dir)
    try:
        with locked(folder), writing(folder):
            write_config(folder, _config(trained, trust), command=sys.argv)
            with atomic_path(folder / FEEDBACK) as temporary:
                temporary.write_bytes(feedback)
            found = {
                "format_version": 1,
                "parent": Path(os.path.relpath(parent, folder.resolve())).as_posix(),
                "parent_policy": fingerprint(trained),
                "feedback_sha256": sha256_file(folder / FEEDBACK),
                **facts,
            }
            write_json(folder / LEARNED, found)
            settings: dict[str, Any] = {**trained.settings}
            settings.pop("value", None)
            if facts["after"] is not None:
                settings |= {"metric": facts["metric"], "value": facts["after"]}
            with publish(folder / "best") as snapshot:
                settings["aliases"] = save_weights(snapshot, model)
                write_json(snapshot / SETTINGS, settings)
    except BaseException:
        _empty(folder, remove=run_dir is None)  # it was empty before
        raise
    return folder


def _empty(folder: Path, *, remove: bool) -> None:
    """Take back what was written into a folder."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if remove:
        folder.rmdir()


def _config(trained: TrainedModel, trust: Any) -> dict[str, Any]:
    """Settings that train the run again; where it has none, what its snapshot says."""
    try:
        return read_config(trained.run, trust=trust)
    except RunError:
        named = ("algo", "env", "env_kwargs", "hyperparams")
        return {name: value for name, value in trained.settings.items() if name in named}


def read_learned(run: Path) -> Learned | None:
    """What a run was learned from; None: it was trained.

    Raises:
        RunError: The file is damaged.
    """
    path = run / LEARNED
    if not os.path.lexists(path):
        return None
    found = read_json(path)
    schema.check(found, Learned, path)
    learned: Learned = found
    return learned


def parent_of(run: Path) -> Path:
    """The run folder that a run was learned from.

    Raises:
        RunError: It was not learned from another one, or that one is gone or has other weights.
    """
    learned = read_learned(run)
    if learned is None:
        raise RunError(
            f"{run} was not learned from use: there is nothing before it. `learn` makes a folder "
            f"with {LEARNED}, which names the run it came from."
        )
    parent = run.resolve() / learned["parent"]
    if not parent.is_dir():
        raise RunError(
            f"{run} was learned from {shown(learned['parent'])}, which is no longer there: put "
            "that folder back beside it, or load another run."
        )
    return Path(os.path.normpath(parent))


def checkpoint_of(parent: Path, learned: Learned, trust: Sequence[str] | str = ()) -> str:
    """Which snapshot of a run has the weights that were learned from, ``"best"`` or ``"last"``.

    Raises:
        RunError: Neither.
    """
    problem = ""
    for checkpoint in ("best", "last"):
        try:
            trained = load_trained(parent, checkpoint=checkpoint, trust=trust)
        except RunError as error:
            problem = f" ({error})"
            continue
        if fingerprint(trained) == learned["parent_policy"]:
            return checkpoint
    raise RunError(
        f"{parent} has other weights than those that {LEARNED} names{problem}: it was trained on "
        "since. Load it by its folder if that is what you want."
    )
