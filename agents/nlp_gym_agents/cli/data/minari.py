"""``nlp-gym export-minari``: flags to an `Export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nlp_gym_agents.cli.shared import completion
from nlp_gym_agents.cli.shared.options import DataDir, Split, Trust, env_arguments, typed
from nlp_gym_agents.cli.shared.output import load, say


def export_minari_command(
    env_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            callback=typed,
            help="Environment id; default: the run's.",
            autocompletion=completion.environments,
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            callback=typed, help="The same as ID.", autocompletion=completion.environments
        ),
    ] = None,
    policy: Annotated[str, typer.Option(help="Who plays: oracle or random.")] = "oracle",
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A trained agent plays, greedily.")
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Number of episodes.")] = 1000,
    split: Split = "train",
    obs_type: Annotated[str, typer.Option(help="features or index.")] = "features",
    flat: Annotated[
        bool, typer.Option("--flat", help="One vector an observation; masks in the infos.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the order and of random play.")] = 0,
    env_kwargs: Annotated[
        list[str] | None, typer.Option(metavar="KEY:VALUE...", help="window:2 reward:metric")
    ] = None,
    data_dir: DataDir = None,
    dataset_id: Annotated[str | None, typer.Option(help="Default: nlp_gym/NAME/POLICY-v0.")] = None,
    trust: Trust = None,
) -> None:
    """Write episodes as a Minari dataset, for offline reinforcement learning."""
    load("nlp_gym_agents.evaluation.minari")
    from nlp_gym.errors import InvalidArgumentError, shown
    from nlp_gym.progress import progress_wanted
    from nlp_gym_agents.evaluation.minari import Export, export

    if env_id is not None and env is not None and env_id != env:
        raise InvalidArgumentError(
            f"ID={shown(env_id)} and --env {shown(env)} are two environments: give one of them."
        )
    kwargs = env_arguments(env_kwargs, data_dir)
    wanted = Export(
        env_id or env,
        policy,
        run,
        episodes,
        split,
        obs_type,
        seed,
        kwargs,
        dataset_id,
        trust or (),
        flat,
    )
    with progress_wanted():
        dataset = export(wanted)
    spec = dataset.spec
    say(f"{dataset.total_episodes:,} episodes, {dataset.total_steps:,} steps")
    say(spec.dataset_id)
