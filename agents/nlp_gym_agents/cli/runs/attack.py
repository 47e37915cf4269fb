"""``nlp-gym attack``: changes of texts that keep their meaning and deceive a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nlp_gym_agents.cli.shared.options import Checkpoint, DataDir, Device, Run, Split, Trust
from nlp_gym_agents.cli.shared.output import load, say, say_path


def attack_command(
    run: Run,
    split: Split = "test",
    n: Annotated[
        int, typer.Option("-n", "--n", min=0, help="Texts to attack, drawn by --seed; 0: all.")
    ] = 200,
    budget: Annotated[
        int, typer.Option(help="Most texts that the agent is shown for one text.")
    ] = 100,
    changes: Annotated[
        str | None,
        typer.Option(
            metavar="KIND,...",
            help="typos, synonyms, entities, paraphrase; default: those that keep the gold. Or "
            "neighbours: words that the encoder has near.",
        ),
    ] = None,
    most_changed: Annotated[
        float, typer.Option(help="Most changes of a text, as a share of its words.")
    ] = 0.25,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A page (.html) or the report for programs (.json)."),
    ] = None,
    copies: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the changed texts with their gold (.json), for `train --augment "
            "copies:FILE`.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Attack this file whole, with its gold."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the texts and of what is tried.")] = 0,
    data_dir: DataDir = None,
    checkpoint: Checkpoint = "best",
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Attack an agent: find changes of texts that turn right decisions into wrong ones."""
    load("nlp_gym_agents.attack.run")
    from nlp_gym.data.corpora.copies import check_copies_name, write_copies
    from nlp_gym.files import check_output_place
    from nlp_gym_agents.attack.report import check_output, write_report
    from nlp_gym_agents.attack.run import attack_run
    from nlp_gym_agents.attack.search import SearchLimits

    if out is not None:
        check_output(out)
        check_output_place("out", out)
    if copies is not None:
        check_copies_name(copies)
        check_output_place("copies", copies)
    report = attack_run(
        run,
        split,
        n=n or None,
        changes=changes,
        limits=SearchLimits(budget, most_changed),
        seed=seed,
        data_dir=data_dir,
        data=data,
        checkpoint=checkpoint,
        device=device,
        progress=True,
        trust=trust or (),
    )
    say(report.text(), lines=True)
    if copies is not None:
        changed = [case.attacked.changed for case in report.cases if case.attacked.edits]
        write_copies(copies, changed, family=report.family)
        say_path(copies)
    if out is not None:
        write_report(report, out)
        say_path(out)
