"""The end of a training run: the test report beside the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nlp_gym.errors import NLPGymError
from nlp_gym.files import write_json
from nlp_gym.inert import visible
from nlp_gym.metrics.base import Score
from nlp_gym.progress import progress_bar, progress_label, shows_progress
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.imitation.bc import BC
from nlp_gym_agents.algorithms.registry import information_of_run, resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.lengths import compared_cloning_length
from nlp_gym_agents.evaluation.baselines import run_baselines
from nlp_gym_agents.evaluation.calibration import calibration_line, fit_calibration
from nlp_gym_agents.evaluation.evaluate import score_record, value_and_interval, with_corpus
from nlp_gym_agents.evaluation.forgetting import forgetting_report, print_forgetting
from nlp_gym_agents.models.build import build_model, feature_source
from nlp_gym_agents.models.play import outputs_of
from nlp_gym_agents.models.trained import TrainedModel, load_trained
from nlp_gym_agents.networks.features.swap_source import swapped_source
from nlp_gym_agents.runs.calibration import write_calibration
from nlp_gym_agents.runs.folder import read_config, writing


def cloning_score(
    agent: TrainedModel,
    train_task: Task,
    task: Task,
    *,
    n_timesteps: int | None = None,
    device: str = "auto",
) -> Score:
    """Score of behaviour cloning, which is supervised learning on the same features.

    Args:
        agent: What it is compared with.
        train_task: What it learns from.
        task: What it is scored on.
        n_timesteps: Decisions that the agent was trained on, see
            `nlp_gym_agents.config.lengths.compared_cloning_length`; None: not known.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
    """
    row, params = resolve("bc"), load_hyperparams("bc", agent.env_id)
    total = int(params.pop("n_timesteps"))
    for key in ("n_envs", "env_kwargs"):
        params.pop(key, None)
    model = build_model(row, train_task, params, device=device)
    assert isinstance(model, BC)
    decisions, size = len(model.data), model.batch_size
    total = compared_cloning_length(total, decisions, size, n_timesteps=n_timesteps or total)
    with progress_bar(total, "cloning for comparison", unit="decisions") as advance:

        def go_on(update: dict[str, Any], _: dict[str, Any]) -> bool:
            advance(len(update["index"]))
            return True

        model.learn(total, go_on, log_interval=0)
    source = feature_source(task, "index", model.device)
    assert source is not None
    with swapped_source(model.policy, source):
        return task.score(outputs_of(model, task, masked=row.masked), report=False)


@shows_progress
def final_report(
    run: str | Path,
    *,
    with_bc: bool = False,
    device: str = "auto",
    progress: bool = False,
    trust: Sequence[str] | str = (),
) -> dict[str, Any]:
    """Score ``best/`` and the baselines on test, calibrate on dev, and write ``report.json``.

    Args:
        run: A finished run.
        with_bc: Also train behaviour cloning for the comparison.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        progress: Show bars on stderr.
        trust: Modules that the run's settings may have imported; see `load_trained`.

    Returns:
        What the file holds: the record of `nlp-gym evaluate --json`, ``algo``, ``information``
        (what it learned from), ``timesteps``, ``dev``, ``n_skipped`` (samples with bad rows that
        were left out of the files of train and test), ``baselines``, ``calibration`` (see
        `evaluation.calibration`; it is written to ``calibration.json``, too), ``text`` and,
        of a run that continues others, ``continual`` (see `evaluation.forgetting`).

    Raises:
        RunError: The run cannot be loaded, or its folder cannot be written to.
    """
    agent = load_trained(run, device=device, trust=trust)
    task, train_task = agent.task("test"), agent.task("train")
    score = with_corpus(task.score(agent.outputs(task, progress=progress)), task)
    names = ["random", "majority", *task.baselines, *task.own_baselines, "oracle"]
    scores = run_baselines(train_task, task, names, report=False)
    config = read_config(Path(run), trust=trust)
    if with_bc:
        n = config["n_timesteps"]
        with progress_label("baseline bc"):
            scores["bc"] = cloning_score(agent, train_task, task, n_timesteps=n, device=device)
    calibration = fit_calibration(agent, progress=progress)
    report = {
        **score_record(score, env_id=agent.env_id, split="test"),
        "algo": agent.settings["algo"],
        "information": information_of_run(
            resolve(agent.settings["algo"]),
            agent.settings["hyperparams"],
            start=start_information(config, trust=trust),
        ),
        "timesteps": agent.settings["timesteps"],
        "dev": agent.settings["value"],
        "n_skipped": {t.corpus.split: t.corpus.n_skipped for t in (train_task, task)},
        "baselines": {name: value_and_interval(other) for name, other in scores.items()},
        "calibration": calibration,
        "text": score.text,
    }
    continual = forgetting_report(run, device=device, progress=progress, trust=trust)
    if continual is not None:
        report["continual"] = continual
    with writing(Path(run)):
        if calibration is not None:
            write_calibration(Path(run), calibration)
        write_json(Path(run) / "report.json", report)
    return report


def start_information(config: Mapping[str, Any], *, trust: Sequence[str] | str = ()) -> str | None:
    """What the weights that a run began with had learned from; None: they were fresh.

    Args:
        config: Settings of the run, as `read_config` gives them.
        trust: Modules that the settings of an earlier run may have imported.

    Returns:
        As `information_of_run` says it of the run that it started from or continues, and of those
        before that one. Of a run that is not there any more: ``"oracle"`` where it was a warm
        start, which clones; else ``"not known"``.
    """
    earlier, warm = config.get("continue_from"), config.get("warm_start")
    if earlier is None and (warm is None or str(warm).partition(":")[0] == "bc"):
        return None if warm is None else "oracle"
    try:
        found = run_information(str(earlier or warm), trust=trust)
    except NLPGymError:
        return "oracle" if earlier is None else "not known"
    # Q-learning takes over a trunk at most, and regresses its values on what the oracle does.
    q = earlier is None and resolve(config["algo"]).policy_kind == "q"
    return f"{found} + oracle" if q else found


def run_information(run: str | Path, *, trust: Sequence[str] | str = ()) -> str:
    """What a run learned from, as `information_of_run` says it.

    Args:
        run: Its folder.
        trust: Modules that its settings may have imported.

    Raises:
        RunError: Its settings cannot be read.
    """
    config = read_config(run, trust=trust)
    start = start_information(config, trust=trust)
    return information_of_run(resolve(config["algo"]), config["hyperparams"], start=start)


_BASELINES = {
    "random": "nothing",
    "oracle": "gold",
    "bc": "oracle",
    "keep-all": "nothing",
    "first-words": "nothing",
    "random-words": "nothing",
    "hill-climbing": "rewards",
}


def print_report(report: dict[str, Any], console: Console) -> None:
    """Print a `final_report` for people."""
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    console.print(visible(report["text"], lines=True), **plain, soft_wrap=True)
    title = f"{report['id']} test, {report['metric']}, n = {report['n']:,}"
    table = Table(title=Text(visible(title)))
    for column in ("", "learns from", report["metric"], "95% interval"):
        left = column in ("", "learns from")
        table.add_column(Text(visible(column)), justify="left" if left else "right")
    rows = {report["algo"]: report, **report["baselines"]}
    for name, row in rows.items():
        interval = "{:.4f} to {:.4f}".format(*row["interval"]) if row["interval"] else ""
        known = row.get("information") or _BASELINES.get(name, "gold of train")
        table.add_row(Text(visible(name)), Text(visible(known)), f"{row['value']:.4f}", interval)
    console.print(table)
    console.print(visible(report["signature"]), **plain, soft_wrap=True)
    if report.get("continual") is not None:
        print_forgetting(report["continual"], console)
    if report.get("calibration") is not None:
        console.print(calibration_line(report["calibration"]), **plain, soft_wrap=True)
    if any(report["n_skipped"].values()):
        counts = ", ".join(f"{n} of the {split} file" for split, n in report["n_skipped"].items())
        console.print(
            f"Samples with bad rows that were left out: {counts}.", **plain, soft_wrap=True
        )
