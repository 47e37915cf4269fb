"""Agents whose encoder learns, for `comparison`: trained by `training.train`, timed and scored."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from benchmarks.finetune.supervised import CLOCKS, now
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.labels.entities import span_counts
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.imitation.demonstrations import collect
from nlp_gym_agents.config.hyperparams import load_hyperparams, nested_merge
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.evaluation.evaluate import score_record
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.networks.encoder.trainable import trainable_encoders
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.training.start.setup import Setup
from nlp_gym_agents.training.train import resume, train

WATCHED = "evaluations.jsonl"
"""In a run folder: what each evaluation on dev took, and what was encoded before it."""


@dataclass(frozen=True)
class AgentRow:
    """A row of the table.

    Attributes:
        algo: The algorithm.
        mode: How the encoder learns.
        passes: Train as many passes over the corpus as the supervised row, rather than the steps of
            the hyperparameter file.
        warm: Start from behaviour cloning.
        metric: Earn the metric, where the hyperparameter file names no reward.
        changes: Fields of `TrainConfig`, on top.
    """

    algo: str
    mode: str = "finetune"
    passes: bool = False
    warm: bool = False
    metric: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)

    def hyperparams(self, env: str) -> dict[str, Any]:
        """Those of the files, on an id."""
        return load_hyperparams(self.algo, env, encoder_mode=self.mode, warm=self.warm)


AGENTS = {
    "bc": AgentRow("bc", passes=True),
    "lora": AgentRow("bc", "lora", passes=True),
    "adapter": AgentRow("bc", "adapter", passes=True),
    "ppo": AgentRow("ppo", warm=True, metric=True),
    "maskable_ppo": AgentRow("maskable_ppo", warm=True, metric=True),
    "masked_dqn": AgentRow("masked_dqn", warm=True),
}


QUICK: dict[str, dict[str, Any]] = {
    "ppo": {"n_timesteps": 2048, "n_envs": 64},
    "maskable_ppo": {"n_timesteps": 2048, "n_envs": 64},
    "masked_dqn": {"n_timesteps": 600, "n_envs": 8, "hyperparams": {"learning_starts": 100}},
}
"""Changes of a try, by row."""


def decisions(task: Task) -> int:
    """Decisions of the oracle in one pass over a corpus."""
    if task.family == "classification":  # it may stop early
        return len(collect(task, gamma=0.0))
    return int(task.lengths.sum())


def config_of(
    row: AgentRow, base: TrainConfig, *, per_pass: int, epochs: float, evaluations: int
) -> TrainConfig:
    """The settings of a row.

    Args:
        row: Which.
        base: What all rows share; its `warm_start` is for rows that want one.
        per_pass: See `decisions`.
        epochs: Passes of the supervised row.
        evaluations: On dev.
    """
    config = base.with_changes(algo=row.algo, encoder_mode=row.mode)
    if not row.warm:
        config = config.with_changes(warm_start=None)
    if row.metric and "reward" not in row.hyperparams(base.env).get("env_kwargs", {}):
        config = config.with_changes(env_kwargs={**base.env_kwargs, "reward": "metric"})
    if row.passes:
        config = config.with_changes(n_timesteps=max(round(epochs * per_pass), 1))
    changes = dict(row.changes)
    for name in ("hyperparams", "env_kwargs"):
        changes[name] = nested_merge(getattr(config, name), changes.get(name, {}))
    config = config.with_changes(**changes)
    total = merge(config).n_timesteps or 1
    every = max(total // evaluations, 1)
    # Saving takes seconds, which would be counted: only at the end, or when it is stopped.
    every = config.eval_freq or every
    # All rows have the same budget: none stops early.
    return config.with_changes(eval_freq=every, save_freq=total, early_stopping=0)


def trained(config: TrainConfig, run: Path, clock: str) -> None:
    """Train, or go on with what was stopped; the run's seconds are the clock's."""
    ticking = SimpleNamespace(monotonic=CLOCKS[clock], process_time=time.process_time)
    with (
        watched(run, clock),
        patch("nlp_gym_agents.training.callbacks.loop.time", ticking),
        patch("nlp_gym_agents.training.start.saved_start.time", ticking),
    ):
        if (run / "config.yml").is_file():
            resume(run, progress=False)
            return
        (run.parent / f"{run.name}.{WATCHED}").unlink(missing_ok=True)
        train(config, run_dir=run, progress=False)


@contextmanager
def watched(run: Path, clock: str) -> Iterator[None]:
    """Write down what evaluations take and how many texts are encoded between them."""
    original, before = Setup.score, {"learning": 0, "acting": 0}
    path = run.parent / f"{run.name}.{WATCHED}"
    path.parent.mkdir(parents=True, exist_ok=True)

    def score(self: Setup) -> Score:
        device, live = str(self.model.device), trainable_encoders(self.model.policy)
        found = {k: sum(e.encoded_texts[k] for e in live) for k in before}
        line: dict[str, Any] = {k: found[k] - before[k] for k in before}
        started = now(device, clock)
        result = original(self)
        seconds = now(device, clock) - started
        before.update({k: sum(e.encoded_texts[k] for e in live) for k in before})
        line |= {"timesteps": self.model.num_timesteps, "evaluation_seconds": seconds}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | weights_of(self.model)) + "\n")
        return result

    with patch.object(Setup, "score", score):
        yield


def weights_of(model: Any) -> dict[str, int]:
    """How many weights learn: all of them, and those of the encoder."""
    groups = model.policy.optimizer.param_groups
    live = trainable_encoders(model.policy)
    encoder = [p for p in live[0].parameters() if p.requires_grad] if live else []
    learning = sum(p.numel() for group in groups for p in group["params"])
    return {"trained": learning, "trained_encoder": sum(p.numel() for p in encoder)}


def curve_of(run: Path, before: Mapping[str, float]) -> tuple[list[dict[str, float]], Any]:
    """Evaluations on dev by time, without what they took themselves; and what was written down.

    Args:
        run: The run folder.
        before: `train_seconds` and `evaluation_seconds` of the run that it started from.
    """
    lines = (run.parent / f"{run.name}.{WATCHED}").read_text(encoding="utf-8").splitlines()
    notes = {note["timesteps"]: note for note in map(json.loads, lines)}  # the last one counts
    curve, scoring = [], before["evaluation_seconds"]
    for row in read_metrics(run):
        scoring += notes[row["timesteps"]]["evaluation_seconds"]
        seconds = row["seconds"] + before["train_seconds"] + before["evaluation_seconds"]
        point = {"timesteps": row["timesteps"], "seconds": seconds, "value": row["value"]}
        curve.append({**point, "train_seconds": seconds - scoring})
    return curve, notes


def agent_record(
    config: TrainConfig,
    run: Path,
    before: Mapping[str, float],
    *,
    per_pass: int,
    clock: str = "wall",
) -> dict[str, Any]:
    """Train a row and score it.

    Returns:
        What `supervised.finetune` returns and the scores.
    """
    started = CLOCKS[clock]()
    trained(config, run, clock)
    spent = CLOCKS[clock]() - started
    curve, notes = curve_of(run, before)
    end = curve[-1]
    after = [notes[point["timesteps"]] for point in curve if point["timesteps"] > 0]
    passes = end["timesteps"] / per_pass
    weights = {k: after[-1][k] for k in ("trained", "trained_encoder")}
    encoded = {k: sum(note[k] for note in after) / passes for k in ("learning", "acting")}
    agent = load_trained(run, device=config.device)
    scores = {}
    for split in ("dev", "test"):
        task = agent.task(split)
        scores[split] = scored(task, agent.outputs(task), config.env, split)
    return {
        "curve": curve,
        "train_seconds": end["train_seconds"],
        "evaluation_seconds": end["seconds"] - end["train_seconds"],
        "setup_seconds": max(spent - read_metrics(run)[-1]["seconds"], 0.0),
        "encoded": encoded,
        **weights,
        **scores,
        "run": str(run),
    }


def scored(task: Task, outputs: list[Any], env_id: str, split: str) -> dict[str, Any]:
    """The official score, with the entities of each text where there are any."""
    record = score_record(task.score(outputs), env_id=env_id, split=split)
    if task.metric_name == "entity_f1" and split == "test":
        gold = [sample.labels or () for sample in task.corpus.samples]
        record["counts"] = span_counts(gold, outputs).tolist()
    return record
