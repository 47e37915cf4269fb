"""``nlp-gym evaluate``: score a run, print the score and write it as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nlp_gym_agents.cli.shared.options import (
    Checkpoint,
    DataDir,
    Device,
    Run,
    RunEnvKwargs,
    Searches,
    Split,
    Trust,
    pairs,
)
from nlp_gym_agents.cli.shared.output import load, say


def evaluate_command(
    run: Run,
    split: Split = "test",
    data: Annotated[
        str | None, typer.Option(help="Score this file whole, in place of the run's own data.")
    ] = None,
    data_dir: DataDir = None,
    perturb: Annotated[
        list[str] | None,
        typer.Option(help="Score perturbed texts too: typos, lower:0.5, ..., or all."),
    ] = None,
    challenge: Annotated[
        str | None, typer.Option(help="Score a set of pairs: counterfactual, paraphrase.")
    ] = None,
    env_kwargs: RunEnvKwargs = None,
    searches: Searches = None,
    reverify: Annotated[
        bool,
        typer.Option(
            "--reverify",
            help="Repeat the evaluation on record in the run folder: exit status 1 if the number "
            "does not hold.",
        ),
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the score as JSON.")
    ] = None,
    checkpoint: Checkpoint = "best",
    device: Device = "auto",
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples behind the 95% interval; 0 for none.")
    ] = 1000,
    trust: Trust = None,
) -> None:
    """Score a run on a whole split by the task's official metric."""
    load("nlp_gym_agents.evaluation.robustness")
    given: dict[str, Any]
    if reverify:
        given = {"--data": data, "--perturb": perturb, "--challenge": challenge}
        given |= {"--env-kwargs": env_kwargs, "--searches": searches}
        given |= {"--split": split != "test", "--checkpoint": checkpoint != "best"}
        _reverify(run, given, json_file, data_dir=data_dir, device=device, trust=trust or ())
        return
    from nlp_gym.files import write_output
    from nlp_gym_agents.evaluation import evaluate as scoring
    from nlp_gym_agents.evaluation import robustness
    from nlp_gym_agents.models.trained import load_trained

    options: dict[str, Any] = {"checkpoint": checkpoint, "device": device, "bootstrap": bootstrap}
    options |= {"data_dir": data_dir, "progress": True, "trust": trust or ()}
    own: dict[str, Any] = {"data": data, "env_kwargs": pairs(env_kwargs), "searches": searches}
    if challenge is not None:
        given = {"--perturb": perturb, "--data": data, "--searches": searches}
        given |= {"--env-kwargs": env_kwargs}
        robustness.check_no_other_options(challenge, {**given, "--split": split != "test"})
        scores = {"clean": robustness.evaluate_challenge(run, challenge, **options)}
    elif perturb:
        scores = robustness.evaluate_perturbed(run, perturb, split, **own, **options)
    else:
        scores = {"clean": scoring.evaluate(run, split, **own, **options)}
    score = scores["clean"]
    say(score.text, lines=True)
    say(scoring.score_line(score))
    say(score.signature)
    _say_calibration(run, checkpoint, trust or ())
    if perturb:
        say(robustness.perturbation_table(scores), lines=True)
    if json_file is not None:
        import json

        env_id = load_trained(run, checkpoint=checkpoint, trust=trust or ()).env_id
        record = robustness.scores_record(scores, env_id=env_id, split=split)
        write_output("json", json_file, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def _say_calibration(run: Path, checkpoint: str, trust: list[str] | tuple[()]) -> None:
    """Say how well the confidences of predictions fit dev, where that was measured."""
    from nlp_gym_agents.evaluation.calibration import calibration_line
    from nlp_gym_agents.models.trained import load_trained
    from nlp_gym_agents.runs.calibration import read_calibration

    if checkpoint == "best":
        steps = load_trained(run, trust=trust).settings["timesteps"]
        calibration = read_calibration(run, steps)
        if calibration is not None:
            say(calibration_line(calibration))


def _reverify(run: Path, given: dict[str, Any], json_file: Path | None, **options: Any) -> None:
    """Say whether the score on record holds, and what changed since."""
    from nlp_gym.errors import InvalidArgumentError
    from nlp_gym.files import write_output
    from nlp_gym_agents.evaluation.reverify import reverify

    for flag, value in given.items():
        if value:
            raise InvalidArgumentError(
                f"{flag}: --reverify repeats the evaluation on record, whose settings are in the "
                "run folder. Leave out one of the two."
            )
    verdict = reverify(run, progress=True, **options)
    say(verdict.line)
    for change in verdict.changes:
        say(f"changed: {change}")
    if json_file is not None:
        import json

        write_output(
            "json", json_file, json.dumps(verdict.record(), indent=2, ensure_ascii=False) + "\n"
        )
    if not verdict.holds:
        raise typer.Exit(1)
