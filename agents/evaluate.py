"""Score a trained agent: the whole split, each sample once, by the task's official metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.loading import load_agent
from nlp_gym.metrics.base import Score


def evaluate(
    run: str | Path,
    split: str = "test",
    *,
    data: str | Path | None = None,
    data_dir: str | Path | None = None,
    checkpoint: str = "best",
    device: str = "auto",
    bootstrap: int = 1000,
    progress: bool = False,
) -> Score:
    """Evaluate a run.

    Gold labels that the run was not trained on are named in a warning and count as missed.

    Args:
        run: A run folder.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        data: A file, scored whole in place of the run's own `split`, or a folder with the splits.
        data_dir: Folder of the corpora, where it is not the one the run was trained from.
        checkpoint: ``"best"`` or ``"last"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        bootstrap: Resamples behind the 95% interval; 0 for none.
        progress: Show bars on stderr.

    Returns:
        The score. `Score.text` is for people, `Score.report` for programs.

    Raises:
        RunError: The run cannot be loaded.
        DataError: The corpus cannot be read.
    """
    agent = load_agent(run, checkpoint=checkpoint, device=device)
    overrides: dict[str, Any] = {}
    if data is not None:
        # A single file is the split itself here; for training it would be cut into three.
        overrides["data"] = {split: str(data)} if Path(data).is_file() else str(data)
    if data_dir is not None:
        # Also where the run was trained on the bundled sample; a wrong folder is an error.
        overrides |= {"data_dir": str(data_dir), "corpus": "auto"}
    task = agent.task(split, **overrides)
    outputs = agent.outputs(task, progress=progress)
    return task.score(outputs, bootstrap=bootstrap)


def score_record(score: Score, *, env_id: str, split: str) -> dict[str, Any]:
    """A score as the JSON object that `nlp-gym evaluate --json` writes."""
    return {
        "id": env_id,
        "split": split,
        "metric": score.metric,
        "value": score.value,
        "interval": None if score.interval is None else list(score.interval),
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
