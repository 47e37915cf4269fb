"""Score a trained agent: the whole split, each sample once, by the task's official metric."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlp_gym.checks import check_int, check_mapping, check_name, check_path
from nlp_gym.errors import DataError, InvalidArgumentError, RunError, shown
from nlp_gym.metrics.base import Score
from nlp_gym.progress import shows_progress
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import SPLITS
from nlp_gym_agents.models.play import drawn_rows
from nlp_gym_agents.models.trained import TrainedModel, load_trained

_MOST = 2**31 - 1


@shows_progress
def evaluate(
    run: str | Path,
    split: str = "test",
    *,
    data: str | Path | None = None,
    data_dir: str | Path | None = None,
    perturb: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    checkpoint: str = "best",
    device: str = "auto",
    bootstrap: int = 1000,
    searches: int | None = None,
    progress: bool = False,
    trust: Sequence[str] | str = (),
) -> Score:
    """Evaluate a run.

    Gold labels that the run was not trained on are named in a warning and count as missed.

    Args:
        run: A run folder.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        data: A file, scored whole in place of the run's own `split`, or a folder with the splits.
        data_dir: Folder of the corpora, where it is not the one the run was trained from.
        perturb: Score perturbed texts, such as ``"typos:0.2"``; see `nlp_gym.data.text.perturb`.
        env_kwargs: Arguments of the environment in place of the run's, such as the `tasks` of a
            mixture; what is scored is then not compared with the run's corpus.
        checkpoint: ``"best"`` or ``"last"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        bootstrap: Resamples behind the 95% interval; 0 for none.
        searches: Most samples that are played where a task is played by beam search; the score then
            has fewer samples. None: all.
        progress: Show bars on stderr.
        trust: Modules that the run's settings may have imported; see `load_trained`.

    Returns:
        The score. `Score.text` is for people, `Score.report` for programs; its ``corpus`` says what
        was scored.

    Raises:
        RunError: The run cannot be loaded, or neither `data` nor `data_dir` is given and the corpus
            found is not the one that the run was trained with.
        DataError: The corpus cannot be read.
        InvalidArgumentError: An argument that is not one of the environment's.
    """
    agent = load_trained(run, checkpoint=checkpoint, device=device, trust=trust)
    overrides = check_mapping("env_kwargs", env_kwargs)
    check_name("split", split, SPLITS)
    if "split" in overrides:
        raise InvalidArgumentError("env_kwargs='split': give it as --split (split=) in its place.")
    if data is not None:
        # A single file is the split itself here; for training it would be cut into three.
        file = check_path("data", data)
        overrides["data"] = {split: str(file)} if os.path.isfile(file) else str(file)
    if data_dir is not None:
        # Also where the run was trained on the bundled sample; a wrong folder is an error.
        overrides |= {"data_dir": check_path("data_dir", data_dir, "folder"), "corpus": "auto"}
        overrides["data_dir"] = str(overrides["data_dir"])
    task = agent.task(split, **overrides)
    compared = data is None and not env_kwargs
    if perturb is not None:
        if compared:
            check_corpus(agent, task, explicit=data_dir is not None, overrides=overrides)
        task = agent.task(split, perturb=perturb, **overrides)
    elif compared:
        check_corpus(agent, task, explicit=data_dir is not None, overrides=overrides)
    rows = drawn_rows(task, None if searches is None else check_int("searches", searches, 1, _MOST))
    outputs = agent.outputs(task, progress=progress, rows=rows)
    return with_corpus(task.score(outputs, rows=rows, bootstrap=bootstrap), task)


def with_corpus(score: Score, task: Task) -> Score:
    """`score` with ``corpus`` in its report: what text was scored, and where it came from."""
    corpus = task.corpus
    facts = {
        "name": corpus.name,
        "text_sha256": corpus.text_hash,
        "bundled": corpus.bundled,
        "source": None if corpus.source is None else str(corpus.source),
        "n_skipped": corpus.n_skipped,
    }
    return dataclasses.replace(score, report={**score.report, "corpus": facts})


def check_corpus(
    agent: TrainedModel, task: Task, *, explicit: bool, overrides: Mapping[str, Any]
) -> None:
    """Refuse or warn where the corpus found now is not the one that the run was trained with.

    A run remembers the text of train and dev; the dev split stands for test.
    """
    saved = agent.settings.get("corpora", {})
    split = task.corpus.split if task.corpus.split in saved else "dev"
    if split not in saved:
        return
    try:
        corpus = (task if task.corpus.split == split else agent.task(split, **overrides)).corpus
    except DataError:
        if explicit:  # a folder with nothing but the split that is scored
            return
        raise
    if corpus.text_hash == saved[split]["text_sha256"]:
        return
    kind = "the bundled sample of " if corpus.bundled else ""
    where = "" if corpus.source is None else f" ({corpus.source})"
    message = (
        f"run={shown(str(agent.run))} was trained with another {saved[split]['name']} corpus than "
        f"{kind}{corpus.name}{where}, which is found now: the {split} text has sha256 "
        f"{corpus.text_hash[:12]}, that of the run {saved[split]['text_sha256'][:12]}."
    )
    if not explicit:
        raise RunError(
            f"{message} Name the corpus to score with --data-dir or --data, or get it with: "
            f"nlp-gym data download {corpus.name}"
        )
    warnings.warn(message, UserWarning, stacklevel=4)


def value_and_interval(score: Score) -> dict[str, Any]:
    """Value and interval as JSON has them."""
    return {
        "value": score.value,
        "interval": None if score.interval is None else list(score.interval),
    }


def score_record(score: Score, *, env_id: str, split: str) -> dict[str, Any]:
    """A score as the JSON object that `nlp-gym evaluate --json` writes."""
    return {
        "id": env_id,
        "split": split,
        "metric": score.metric,
        **value_and_interval(score),
        "signature": score.signature,
        "n": score.n,
        **score.report,
    }


def score_line(score: Score) -> str:
    """The score in one line, for people."""
    interval = ""
    if score.interval is not None:
        low, high = score.interval
        interval = f" (95% interval {low:.4f} to {high:.4f})"
    return f"{score.metric} {score.value:.4f}{interval} on {score.n:,} samples"
