"""``nlp-gym benchmark`` and ``nlp-gym export-minari``: flags to plain functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nlp_gym_agents.cli import completion
from nlp_gym_agents.cli.train import pairs

Searches = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Score at most N samples, drawn, where answers are found by beam search.",
    ),
]


def _listed(text: str | None) -> list[str]:
    """Names separated by commas or spaces."""
    return (text or "").replace(",", " ").split()


def benchmark_command(
    ids: Annotated[
        str | None,
        typer.Option(metavar="ID,ID,...", help="Default: every id with a corpus of its own."),
    ] = None,
    algos: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Baselines (random, majority, oracle) and algorithms; NAME+bc or NAME+bc:8: "
            "warm started.",
        ),
    ] = "random,majority,bc,masked_dqn,maskable_ppo",
    seeds: Annotated[str, typer.Option(metavar="N,N,...", help="Random seeds.")] = "0",
    data_dir: Annotated[str | None, typer.Option(help="Folder of the corpora.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of results and tables.")] = Path("results"),
    budget: Annotated[float, typer.Option(help="Minutes a training run may take.")] = 5.0,
    n_timesteps: Annotated[
        int | None, typer.Option("-n", "--n-timesteps", min=1, help="Decisions of each run.")
    ] = None,
    env_kwargs: Annotated[
        list[str] | None, typer.Option(metavar="KEY:VALUE...", help="Of every environment.")
    ] = None,
    searches: Searches = 2560,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what is to do.")] = False,
) -> None:
    """Measure algorithms on environments. Goes on where it was stopped."""
    from nlp_gym.errors import InvalidArgumentError
    from nlp_gym_agents.evaluation.benchmark.plan import Plan, default_ids
    from nlp_gym_agents.evaluation.benchmark.run import run_plan

    if not all(seed.isdigit() for seed in _listed(seeds)) or not _listed(seeds):
        raise InvalidArgumentError(f"seeds={seeds!r} must be whole numbers from 0, such as 0,1,2.")
    kwargs: dict[str, Any] = pairs(env_kwargs)
    if data_dir is not None:
        kwargs["data_dir"] = str(Path(data_dir).expanduser().resolve())
    plan = Plan(
        _listed(ids) or default_ids(),
        _listed(algos),
        [int(seed) for seed in _listed(seeds)],
        out,
        kwargs,
        n_timesteps,
        budget,
        searches,
        device,
    )
    good = run_plan(plan, typer.echo, dry_run=dry_run)
    if not dry_run:
        typer.echo(out / "table.md")
    if not good:
        raise typer.Exit(1)


def export_minari_command(
    env_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="Environment id; default: the run's.",
            autocompletion=completion.environments,
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(help="The same as ID.", autocompletion=completion.environments),
    ] = None,
    policy: Annotated[str, typer.Option(help="Who plays: oracle or random.")] = "oracle",
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A trained agent plays, greedily.")
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Number of episodes.")] = 1000,
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "train",
    obs_type: Annotated[str, typer.Option(help="features or index.")] = "features",
    seed: Annotated[int, typer.Option(min=0, help="Of the order and of random play.")] = 0,
    env_kwargs: Annotated[
        list[str] | None, typer.Option(metavar="KEY:VALUE...", help="window:2 reward:metric")
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder of the corpora.")] = None,
    dataset_id: Annotated[str | None, typer.Option(help="Default: nlp_gym/NAME/POLICY-v0.")] = None,
) -> None:
    """Write episodes as a Minari dataset, for offline reinforcement learning."""
    from nlp_gym.errors import InvalidArgumentError
    from nlp_gym_agents.evaluation.minari import Export, export

    if env_id is not None and env is not None and env_id != env:
        raise InvalidArgumentError(
            f"ID={env_id!r} and --env {env!r} are two environments: give one of them."
        )
    kwargs: dict[str, Any] = pairs(env_kwargs)
    if data_dir is not None:
        kwargs["data_dir"] = data_dir
    wanted = Export(env_id or env, policy, run, episodes, split, obs_type, seed, kwargs, dataset_id)
    dataset = export(wanted)
    spec = dataset.spec
    typer.echo(f"{dataset.total_episodes:,} episodes, {dataset.total_steps:,} steps")
    typer.echo(spec.dataset_id)
