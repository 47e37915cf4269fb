"""``nlp-gym feedback``, ``learn``, ``select``: what is said of a run, and what it learns of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlp_gym_agents.cli.shared.options import (
    Checkpoint,
    Device,
    Encoding,
    Run,
    RunEnvKwargs,
    TextColumn,
    Trust,
    pairs,
)
from nlp_gym_agents.cli.shared.output import load, say, say_path

if TYPE_CHECKING:
    from nlp_gym_agents.prediction.agent import Agent

FeedbackFile = Annotated[
    Path | None,
    typer.Option(
        "--feedback-file",
        metavar="FILE",
        help="Where it is kept; else feedback.jsonl of RUN.",
    ),
]


def feedback_command(
    run: Run,
    text: Annotated[
        str | None,
        typer.Argument(help="The text; where more than a text is needed, a sample as JSON."),
    ] = None,
    correct: Annotated[
        str | None,
        typer.Option(
            metavar="ANSWER",
            help="The right answer: a label, or JSON (a list of labels or entities, a row, ...).",
        ),
    ] = None,
    reward: Annotated[
        float | None,
        typer.Option(help="What the run's prediction on TEXT is worth, from 0 to 1."),
    ] = None,
    input_file: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="Samples with their answers: corrections."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Write the corrections as JSON Lines, for --data: into a file, or, where PATH has "
            "no ending, into a folder with train, dev and test.",
        ),
    ] = None,
    new_labels: Annotated[
        bool, typer.Option("--new-labels", help="Keep labels that the run does not know, too.")
    ] = False,
    encoding: Encoding = None,
    env_kwargs: RunEnvKwargs = None,
    feedback_file: FeedbackFile = None,
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Keep what a person says of a run's predictions, for `learn`; alone: count what is kept."""
    from nlp_gym.errors import DataNotFoundError, InvalidArgumentError, shown

    if text is None and (correct is not None or reward is not None):
        raise InvalidArgumentError("--correct and --reward are about a TEXT: give it.")
    if text is not None and (correct is None) == (reward is None):
        raise InvalidArgumentError("TEXT: give either --correct ANSWER or --reward NUMBER with it.")
    if text is None and input_file is None and feedback_file and not feedback_file.exists():
        raise DataNotFoundError(f"feedback_file={shown(str(feedback_file))} does not exist.")
    agent = _agent(run, env_kwargs, "best", device, trust, feedback_file)
    if text is not None:
        given = agent.from_line(text)
        if correct is not None:
            agent.observe(given, _answer(correct), new_labels=new_labels)
        else:
            agent.feedback(given, None, reward)
    if input_file is not None:
        from nlp_gym_agents.prediction.own_samples import annotated_samples
        from nlp_gym_agents.prediction.selection.answered import answered_rows

        rows = answered_rows(input_file)
        if rows is not None:
            n = agent.observe_rows(rows, new_labels=new_labels)
        else:
            samples = annotated_samples(agent, input_file, encoding=encoding)
            n = agent.observe_samples(samples, new_labels=new_labels)
        say(f"{n} correction(s) of {input_file} are kept")
    if export is not None:
        files = agent.export_corrections(export)
        say(f"the corrections are written: {', '.join(map(str, files))}")
    kept = agent.count_feedback()
    say(f"{agent.feedback_file}: {kept}")


def learn_command(
    run: Run,
    run_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The new run folder; else RUN-learned_1, ... beside RUN."),
    ] = None,
    passes: Annotated[int, typer.Option(min=1, help="Times that all feedback is seen.")] = 10,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = 1e-3,
    replay: Annotated[
        float, typer.Option(min=0, max=0.99, help="Share of old training texts in an update.")
    ] = 0.5,
    kl: Annotated[
        float, typer.Option(min=0, help="Weight of the divergence from the old policy.")
    ] = 0.1,
    objective: Annotated[
        str, typer.Option(help="How ratings are learned from: likelihood or ips.")
    ] = "likelihood",
    seed: Annotated[int, typer.Option(min=0, help="Decides what is drawn.")] = 0,
    evaluate: Annotated[
        bool, typer.Option(help="Score dev before and after, and fit confidences on it.")
    ] = True,
    env_kwargs: RunEnvKwargs = None,
    feedback_file: FeedbackFile = None,
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Learn from the feedback on a run, into a new run folder; the old one stays as it is."""
    agent = _agent(run, env_kwargs, "best", device, trust, feedback_file)
    options: dict[str, Any] = {"passes": passes, "learning_rate": learning_rate, "replay": replay}
    options |= {"kl": kl, "objective": objective, "seed": seed}
    from nlp_gym.progress import progress_wanted

    with progress_wanted(True):
        report = agent.learn(run_dir, evaluate=evaluate, **options)
        if report.metric is not None:
            from nlp_gym_agents.evaluation.calibration import fit_calibration
            from nlp_gym_agents.runs.calibration import write_calibration

            fitted = fit_calibration(agent.trained, progress=True)
            if fitted is not None:
                write_calibration(report.run, fitted)
    for line in report.lines():
        say(line, err=True)
    say_path(report.run)


def select_command(
    run: Run,
    input_file: Annotated[
        Path,
        typer.Option(
            "--input", metavar="FILE", help="Texts or samples; answers in it are not looked at."
        ),
    ],
    budget: Annotated[int, typer.Option(min=1, help="Most texts to propose.")] = 100,
    strategy: Annotated[
        str,
        typer.Option(help="entropy, margin, least_confidence, disagreement or random."),
    ] = "entropy",
    over: Annotated[
        str, typer.Option(help="What a text has of its decisions' scores: mean, sum or max.")
    ] = "mean",
    ensemble: Annotated[
        list[Path] | None,
        typer.Option(metavar="RUN", help="A further run for disagreement; several times."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random.")] = 0,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here in place of stdout.")
    ] = None,
    encoding: Encoding = None,
    text_column: TextColumn = None,
    env_kwargs: RunEnvKwargs = None,
    checkpoint: Checkpoint = "best",
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Propose which texts of a file to label next, as JSON Lines, the first one first."""
    agent = _agent(run, env_kwargs, checkpoint, device, trust, None)
    from nlp_gym_agents.prediction.records import write_records

    given = agent.gather(None, input_file, encoding=encoding, text_column=text_column)
    chosen = agent.select(
        given,
        budget,
        strategy=strategy,
        over=over,
        ensemble=ensemble or (),
        seed=seed,
        progress=True,
    )
    write_records([one.to_dict() for one in chosen], "json", output=output)


def _agent(
    run: Path,
    env_kwargs: list[str] | None,
    checkpoint: str,
    device: str,
    trust: list[str] | None,
    feedback_file: Path | None,
) -> Agent:
    load("nlp_gym_agents.prediction.agent")
    from nlp_gym_agents.prediction.agent import Agent

    options: dict[str, Any] = {"checkpoint": checkpoint, "device": device, "trust": trust or ()}
    agent = Agent(run, env_kwargs=pairs(env_kwargs), **options)
    if feedback_file is not None:
        agent.feedback_file = feedback_file
    return agent


def _answer(text: str) -> Any:
    """An answer as typed: JSON where it is a list, an object or a number, else the text itself."""
    import json

    if text.lstrip()[:1] not in ("[", "{") and not text.strip().lstrip("-").isdigit():
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
