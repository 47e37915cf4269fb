"""``nlp-gym compare``: the difference of two agents, or of two sets of seeds, with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nlp_gym_agents.cli.shared.options import Device, Searches, Split, Trust
from nlp_gym_agents.cli.shared.output import load, say


def compare_command(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders, such as one a seed.")
    ],
    others: Annotated[
        list[Path],
        typer.Option("--with", metavar="RUN...", help="Run folders that they are compared with."),
    ],
    split: Split = "test",
    draws: Annotated[int, typer.Option(min=1, help="Resamples behind the interval.")] = 2000,
    searches: Searches = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the difference as JSON.")
    ] = None,
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Compare runs with others on the same samples, by the paired bootstrap."""
    load("nlp_gym_agents.evaluation.paired")
    from nlp_gym.errors import RunError
    from nlp_gym_agents.evaluation.paired import compare_runs, difference_line
    from nlp_gym_agents.evaluation.test_report import run_information
    from nlp_gym_agents.runs.metrics_log import processor_seconds

    options: dict[str, Any] = {"draws": draws, "device": device, "searches": searches}
    found = compare_runs(runs, others, split, trust=trust or (), progress=True, **options)
    known: dict[str, str] = {}
    for run in dict.fromkeys([*runs, *others]):
        used = processor_seconds(run)
        try:
            known[str(run)] = run_information(run, trust=trust or ())
        except RunError:  # what was pushed to a hub need not have the settings of its training
            known[str(run)] = "not known"
        seconds = "unknown" if used is None else f"{used:,.0f}"
        say(f"{run}: {seconds} processor seconds of training, learned from: {known[str(run)]}")
    say(difference_line(found))
    if json_file is not None:
        import json

        from nlp_gym.files import write_output

        record: dict[str, Any] = {"split": split, "information": known}
        record |= {"runs": [*map(str, runs)], "with": [*map(str, others)]}
        text = json.dumps({**found.as_dict(), **record}, indent=2, ensure_ascii=False)
        write_output("json", json_file, text + "\n")
