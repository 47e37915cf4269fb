"""``nlp-gym benchmark``: flags to a `Plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nlp_gym_agents.cli.shared.options import (
    DataDir,
    Device,
    Ray,
    RayCpus,
    Searches,
    cluster_of,
    env_arguments,
    listed,
    typed,
)
from nlp_gym_agents.cli.shared.output import load, say, say_path


def benchmark_command(
    ids: Annotated[
        str | None,
        typer.Option(
            callback=typed, metavar="ID,ID,...", help="Default: every id with a corpus of its own."
        ),
    ] = None,
    algos: Annotated[
        str,
        typer.Option(
            callback=typed,
            metavar="NAME,...",
            help="Baselines (random, majority, oracle) and algorithms; NAME+bc or NAME+bc:8: "
            "warm started; NAME+bc:run: from the run of bc with its seed.",
        ),
    ] = "random,majority,bc,masked_dqn,maskable_ppo",
    seeds: Annotated[str, typer.Option(metavar="N,N,...", help="Random seeds.")] = "0",
    data_dir: DataDir = None,
    out: Annotated[Path, typer.Option(help="Folder of results and tables.")] = Path("results"),
    budget: Annotated[float, typer.Option(help="Minutes a training run may take.")] = 4.5,
    n_timesteps: Annotated[
        int | None, typer.Option("-n", "--n-timesteps", min=1, help="Decisions of each run.")
    ] = None,
    env_kwargs: Annotated[
        list[str] | None, typer.Option(metavar="KEY:VALUE...", help="Of every environment.")
    ] = None,
    searches: Searches = 2560,
    device: Device = "auto",
    ray: Ray = None,
    ray_cpus: RayCpus = 1,
    controls: Annotated[
        bool,
        typer.Option(
            "--controls",
            help="Then compare the best agent of each id with bc trained for its time, and with "
            "itself under a constant reward, on test.",
        ),
    ] = False,
    encoder_mode: Annotated[
        str, typer.Option(help="frozen, finetune, lora or adapter, in every run.")
    ] = "frozen",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what is to do.")] = False,
) -> None:
    """Measure algorithms on environments, with a report. Goes on where it was stopped."""
    load("nlp_gym_agents.evaluation.benchmark.run")
    from nlp_gym.errors import InvalidArgumentError, shown
    from nlp_gym.progress import progress_wanted
    from nlp_gym_agents.evaluation.benchmark.plan import Plan, default_ids
    from nlp_gym_agents.evaluation.benchmark.run import run_plan

    if not all(seed.isdigit() for seed in listed(seeds)) or not listed(seeds):
        raise InvalidArgumentError(
            f"seeds={shown(seeds)} must be whole numbers from 0, such as 0,1,2."
        )
    plan = Plan(
        listed(ids) or default_ids(),
        listed(algos),
        [int(seed) for seed in listed(seeds)],
        out,
        env_arguments(env_kwargs, data_dir),
        n_timesteps,
        budget,
        searches,
        device,
        controls,
        encoder_mode,
    )
    try:
        with progress_wanted():
            good = run_plan(plan, say, dry_run=dry_run, cluster=cluster_of(ray, ray_cpus))
    except KeyboardInterrupt as error:
        say("interrupted; cells that are done are kept: the same command goes on", err=True)
        _write_report(out)
        raise typer.Exit(128 + getattr(error, "signal_number", 2)) from None
    if not dry_run:
        _write_report(out)
        say_path(out / "table.md")
    if not good:
        raise typer.Exit(1)


def _write_report(out: Path) -> None:
    """Write the report of all results, if there are any, and say where it is."""
    import sys

    from nlp_gym_agents.plots.report import REPORT, write_report

    if not (out / "cells").is_dir():
        return
    missing = write_report(out, ["nlp-gym", *sys.argv[1:]])
    if missing is not None:
        say(f"{REPORT} has tables and no figures: {missing}", err=True)
    say(out / REPORT, err=True)
