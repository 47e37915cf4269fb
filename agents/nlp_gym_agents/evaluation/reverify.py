"""Repeat the evaluation of a run from its folder alone, and say whether the number holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlp_gym.errors import NLPGymError, RunError, shown
from nlp_gym.metrics.base import Score
from nlp_gym.tasks.core.make import task_class
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.evaluation.evaluate import with_corpus
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.folder import check_run
from nlp_gym_agents.runs.versions import versions

TOLERANCE = 1e-6
"""Largest difference of two equal scores: sums of floats may be rounded elsewhere."""


@dataclass(frozen=True)
class Verdict:
    """Whether the score of a run is what it was.

    Attributes:
        split: What was scored: test, or dev where the run has no ``report.json``.
        metric: Name of the metric.
        recorded: The score on record.
        repeated: The score now; None: it could not be repeated.
        changes: What differs from then, one sentence each; they may explain a difference.
        problem: Why it could not be repeated.
        wrong: What else is on record and is not so, one sentence each.
    """

    split: str
    metric: str
    recorded: float
    repeated: float | None
    changes: tuple[str, ...] = ()
    problem: str = ""
    wrong: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the scores are equal within `TOLERANCE`, and nothing else on record is wrong."""
        if self.repeated is None or self.wrong:
            return False
        return abs(self.repeated - self.recorded) <= TOLERANCE

    @property
    def line(self) -> str:
        """The verdict in one line, for people."""
        what = f"{self.metric} on {self.split}"
        if self.repeated is None:
            return f"{what}: {self.recorded!r} cannot be repeated: {self.problem}"
        if self.wrong:
            return (
                f"{what}: {self.repeated!r}. What is on record is wrong: {'; '.join(self.wrong)}."
            )
        if self.repeated == self.recorded:
            return f"{what}: {self.recorded!r} holds exactly."
        if self.holds:
            return (
                f"{what}: {self.recorded!r} holds within {TOLERANCE:g}: it is {self.repeated!r} now"
            )
        return f"{what}: {self.recorded!r} is on record, but it is {self.repeated!r} now."

    def record(self) -> dict[str, Any]:
        """The verdict as the JSON object that `nlp-gym evaluate --reverify --json` writes."""
        return {
            "split": self.split,
            "metric": self.metric,
            "recorded": self.recorded,
            "repeated": self.repeated,
            "holds": self.holds,
            "exact": self.repeated == self.recorded,
            "tolerance": TOLERANCE,
            "changes": list(self.changes),
            "problem": self.problem,
            "wrong": list(self.wrong),
        }


def reverify(
    run: str | Path,
    *,
    data_dir: str | Path | None = None,
    device: str = "auto",
    progress: bool = False,
    trust: Sequence[str] | str = (),
) -> Verdict:
    """Repeat the evaluation of a run, of which its folder has all settings.

    Args:
        run: A run folder.
        data_dir: Folder of the corpora, where it is not the one the run was trained from.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        progress: Show bars on stderr.
        trust: Modules that the run's settings may have imported; see `load_trained`.

    Raises:
        RunError: The folder has no score that can be repeated, or is damaged.
    """
    run = check_run(run)
    agent = load_trained(run, device=device, trust=trust)
    report = _report(run)
    changes = list(_changed_versions(run))
    split = "dev" if report is None else "test"
    if report is None and task_class(agent.env_id).ranks_answers:
        raise RunError(
            f"{run} has no report.json, and its dev score is that of a shorter search: score it "
            "with `nlp-gym evaluate`."
        )
    recorded = agent.settings["value"] if report is None else report["value"]
    metric = ""
    overrides = {} if data_dir is None else {"data_dir": str(data_dir), "corpus": "auto"}
    try:
        task = agent.task(split, **overrides)
        metric = task.metric_name
        changes += _changed_corpora(agent.settings, report, task)
        outputs = agent.outputs(task, progress=progress)
        score = with_corpus(task.score(outputs, bootstrap=_draws(report)), task)
    except NLPGymError as error:
        return Verdict(split, metric, recorded, None, tuple(changes), str(error))
    changes += _changed_protocol(report, score)
    wrong = () if report is None else tuple(_wrong(report, agent.env_id, score))
    return Verdict(split, score.metric, recorded, score.value, tuple(changes), wrong=wrong)


def _draws(report: Mapping[str, Any] | None) -> int:
    """Resamples of the interval on record, by the signature."""
    found = re.search(r"\|bs:(\d{1,6})\|", str((report or {}).get("signature", "")))
    return int(found[1]) if found and (report or {}).get("interval") is not None else 0


def _wrong(report: Mapping[str, Any], env_id: str, score: Score) -> Iterator[str]:
    """What is said of the score and is not so."""
    now: dict[str, Any] = {"id": env_id, "split": "test", "metric": score.metric, "n": score.n}
    for name, value in now.items():
        if name in report and report[name] != value:
            yield f"{name} is {shown(report[name])} on record, and it is {shown(value)}"
    before, interval = report.get("interval"), score.interval
    if before is not None and interval is not None:
        same = isinstance(before, list) and len(before) == 2
        if not same or any(
            not isinstance(a, int | float) or abs(a - b) > TOLERANCE
            for a, b in zip(before, interval, strict=True)
        ):
            yield f"interval is {shown(before)} on record, and it is {shown(list(interval))}"


def _report(run: Path) -> dict[str, Any] | None:
    """``report.json`` of a run; None where it has none.

    Raises:
        RunError: It is damaged.
    """
    path = run / "report.json"
    if not path.is_file():
        return None
    report = read_json(path)
    value = report.get("value") if isinstance(report, dict) else None
    if not isinstance(value, int | float) or not isinstance(report.get("metric"), str):
        raise RunError(f"{path} is damaged: it holds no score (`value`, `metric`).")
    found: dict[str, Any] = report
    return found


def _changed_versions(run: Path) -> Iterator[str]:
    path = run / "versions.json"
    if not path.is_file():
        yield "versions.json is missing: what the run was trained with is not known"
        return
    before, now = read_json(path), versions()
    if not isinstance(before, dict):
        raise RunError(f"{path} is damaged: it does not hold a mapping.")
    packages = before.get("packages")
    for name, version in now["packages"].items():
        then = packages.get(name) if isinstance(packages, Mapping) else None
        if then != version:
            yield f"{name} was {shown(then)} and is {shown(version)}"
    for key in ("python", "platform", "cpu", "cuda", "torch_threads"):
        if before.get(key) != now[key]:
            yield f"{key} was {shown(before.get(key))} and is {shown(now[key])}"


def _changed_corpora(
    settings: Mapping[str, Any], report: Mapping[str, Any] | None, task: Task
) -> Iterator[str]:
    """What is scored, by the digest of its texts and its size."""
    corpus = task.corpus
    known = report.get("corpus") if report is not None else None
    if not isinstance(known, Mapping):
        known = settings.get("corpora", {}).get(corpus.split, {})
    before = known.get("text_sha256")
    if isinstance(before, str) and before != corpus.text_hash:
        yield (
            f"the {corpus.split} texts had sha256 {before[:12]} and have {corpus.text_hash[:12]} "
            f"({corpus.source or corpus.name})"
        )


def _changed_protocol(report: Mapping[str, Any] | None, score: Score) -> Iterator[str]:
    """How it is scored, by the signature without the bootstrap."""
    if report is None:
        return
    before, now = (
        "|".join(part for part in str(text).split("|") if not part.startswith(("bs:", "rs:")))
        for text in (report.get("signature", ""), score.signature)
    )
    if before != now:
        yield f"the signature was {shown(before)} and is {shown(now)}"
