"""``nlp-gym train``: flags to a `TrainConfig`, and what is printed at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlp_gym_agents.cli.shared import completion
from nlp_gym_agents.cli.shared.errors import follows
from nlp_gym_agents.cli.shared.options import (
    DataDir,
    Ray,
    RayCpus,
    Trust,
    cluster_of,
    pairs,
    typed,
    typed_modules,
)
from nlp_gym_agents.cli.shared.output import load, say, say_path
from nlp_gym_agents.cli.train import search, zoo_flags

if TYPE_CHECKING:
    from nlp_gym_agents.config.train_config import TrainConfig

_STRONGER = {
    "hyperparams": ("n_timesteps", "n_envs"),
    "env_kwargs": ("encoder", "data", "data_dir"),
}
"""Settings that these flags can give too; typed, they win over those of a config file."""


_FLAGS = {"continue_from": "continue"}
"""Flags whose name is not that of their setting."""


def rate(text: str | None) -> float | str | None:
    """A rate as a number, or a schedule (``"lin_5e-5"``) as it is."""
    from nlp_gym.errors import shown
    from nlp_gym_agents.config.hyperparams import parse_value

    if text is None:
        return None
    value: float | str = parse_value(text, f"--encoder-lr={shown(text)}")
    return value


def config_of(
    flags: dict[str, Any], conf_file: Path | None, trust: Sequence[str] = ()
) -> TrainConfig:
    """Settings by flags (None: not given), else by a config file, else by default."""
    from nlp_gym_agents.config.hyperparams import nested_merge
    from nlp_gym_agents.config.train_config import TrainConfig, config_from_file
    from nlp_gym_agents.config.zoo_file import zoo_section

    config = TrainConfig()
    if conf_file is not None:
        section = zoo_section(conf_file, flags.get("env") or config.env)
        if section is not None:
            config = config.with_changes(hyperparams=section)
        else:
            logs = flags.get("tensorboard_log")
            config = config_from_file(conf_file, tensorboard_log=logs, trust=trust)
    given = {name: value for name, value in flags.items() if value is not None}
    for name, fields in _STRONGER.items():
        typed = pairs(given.get(name), f"--{name.replace('_', '-')}")
        given[name] = nested_merge(getattr(config, name), typed)
        # Without this the file's field would win over what was typed.
        given |= {key: None for key in fields if key in typed and key not in given}
    if given.get("continue_from") is not None:
        from nlp_gym_agents.config.continual import changes_of, continued

        # What was typed is known here, also where it is what a new run would have had.
        asked = {**changes_of(config), **given}
        given |= continued(given["continue_from"], asked, trust=trust)
    return config.with_changes(**given)


def train_command(
    ctx: typer.Context,
    env: Annotated[
        str | None,
        typer.Option(
            callback=typed,
            help="Environment id; see `nlp-gym envs`.",
            autocompletion=completion.environments,
        ),
    ] = None,
    algo: Annotated[
        str | None,
        typer.Option(
            callback=typed,
            help="Algorithm, or package.module:Class of your own.",
            autocompletion=completion.algorithms,
        ),
    ] = None,
    n_timesteps: Annotated[
        int | None, typer.Option("-n", "--n-timesteps", help="Decisions to train on.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    n_envs: Annotated[int | None, typer.Option(help="Environments side by side.")] = None,
    hyperparams: Annotated[
        list[str] | None,
        typer.Option(
            "--hyperparams", "--hyperparameters", metavar="KEY:VALUE...", help="learning_rate:1e-3"
        ),
    ] = None,
    env_kwargs: Annotated[
        list[str] | None, typer.Option(metavar="KEY:VALUE...", help="window:2 reward:metric")
    ] = None,
    eval_freq: Annotated[
        int | None, typer.Option(help="Timesteps between evaluations on dev.")
    ] = None,
    save_freq: Annotated[int | None, typer.Option(help="Timesteps between checkpoints.")] = None,
    tensorboard_log: Annotated[str | None, typer.Option(help="Folder; default: the run's.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, ...")] = None,
    progress: Annotated[bool, typer.Option(help="Show progress on stderr.")] = True,
    encoder: Annotated[
        str | None, typer.Option(help="minilm, hashed, a Hub name or a folder.")
    ] = None,
    encoder_mode: Annotated[
        str | None, typer.Option(help="frozen, finetune, lora or adapter.")
    ] = None,
    encoder_lr: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Of an encoder that learns: 5e-5, or falling: lin_5e-5."),
    ] = None,
    freeze_layers: Annotated[
        int | None,
        typer.Option(metavar="K", help="Hidden states 0 (the embeddings) to K stand still."),
    ] = None,
    data_dir: DataDir = None,
    data: Annotated[str | None, typer.Option(help="Your own file, or folder of splits.")] = None,
    bad_rows: Annotated[
        str | None,
        typer.Option(metavar="error|skip", help="skip: leave out samples of --data with bad rows."),
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(
            help="Train on changed copies of the texts too: typos, lower:0.5, changes:8, ..."
        ),
    ] = None,
    warm_start: Annotated[
        str | None, typer.Option(help="bc, bc:EPOCHS or the folder of a bc run.")
    ] = None,
    adversarial: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="fgm or pgd: move the embeddings of an encoder that learns where the loss rises; "
            "attack:RUN: train on copies changed by an attack on RUN too.",
        ),
    ] = None,
    adversarial_texts: Annotated[
        int | None,
        typer.Option(metavar="N", help="Most texts that are attacked. [default: 2000]"),
    ] = None,
    early_stopping: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Stop after N evaluations without improvement; 0: never. Left out: bc after half "
            "of its run, others never.",
        ),
    ] = None,
    continue_from: Annotated[
        Path | None,
        typer.Option(
            "--continue",
            metavar="RUN",
            help="Begin with the best weights of RUN, on new --data (a file, an id or a corpus).",
        ),
    ] = None,
    replay: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="With --continue: of old samples, such as 0.2."),
    ] = None,
    distill: Annotated[
        float | None,
        typer.Option(
            metavar="COEF", help="With --continue: hold the old policy on the new texts, such as 1."
        ),
    ] = None,
    ewc: Annotated[
        float | None,
        typer.Option(
            metavar="LAMBDA",
            help="Elastic weight consolidation, such as 1000; without --continue: for a later one.",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped.")
    ] = None,
    run_dir: Annotated[Path | None, typer.Option(help="Exactly where to train.")] = None,
    log_folder: Annotated[
        Path | None,
        typer.Option("-f", "--log-folder", help="Where runs are counted up. [default: runs]"),
    ] = None,
    conf_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Settings, such as a run's config.yml, or hyperparameters by id as RL Zoo's.",
        ),
    ] = None,
    report: Annotated[bool, typer.Option(help="Score test and baselines at the end.")] = True,
    with_bc: Annotated[
        bool, typer.Option("--with-bc", help="Behaviour cloning among the baselines.")
    ] = False,
    trust: Trust = None,
    gym_packages: Annotated[
        list[str] | None,
        typer.Option(
            callback=typed_modules,
            metavar="MODULE...",
            help="Modules to import, which register ids.",
        ),
    ] = None,
    track: Annotated[
        bool,
        typer.Option("--track", help="Track the run in Weights & Biases (extra track)."),
    ] = False,
    wandb_project_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --track. [default: nlp-gym]")
    ] = None,
    wandb_entity: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --track: user or team.")
    ] = None,
    wandb_group: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --track: group of runs.")
    ] = None,
    wandb_tags: Annotated[
        list[str] | None, typer.Option(metavar="TAG...", help="With --track.")
    ] = None,
    samples_every: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Evaluations between samples of dev in TensorBoard and with --track; 0: none. "
            "[default: 5]",
        ),
    ] = None,
    optimize: search.Optimize = False,
    n_trials: search.Trials = 10,
    max_total_trials: search.MaxTrials = None,
    n_jobs: search.Jobs = 1,
    sampler: search.Sampler = "tpe",
    pruner: search.Pruner = "median",
    n_startup_trials: search.StartupTrials = 10,
    n_evaluations: search.Evaluations = None,
    storage: search.Storage = None,
    study_name: search.StudyName = None,
    ray: Ray = None,
    ray_cpus: RayCpus = 1,
) -> None:
    """Train an agent. The last line printed is the run folder. RL Zoo's flags are understood."""
    load("nlp_gym_agents.training.train", show=progress and not follows())
    packages = zoo_flags.import_packages(gym_packages)
    if augment:
        env_kwargs = [*(env_kwargs or []), f"augment:{augment!r}"]
    if bad_rows is not None:
        env_kwargs = [*(env_kwargs or []), f"bad_rows:{bad_rows}"]
    flags: dict[str, Any] = {
        "env": env,
        "algo": zoo_flags.ALGORITHMS.get(algo or "", algo),
        "n_timesteps": n_timesteps,
        "seed": seed,
        "n_envs": n_envs,
        "hyperparams": hyperparams,
        "env_kwargs": env_kwargs,
        "eval_freq": eval_freq,
        "save_freq": save_freq,
        "tensorboard_log": tensorboard_log,
        "device": device,
        "encoder": encoder,
        "encoder_mode": encoder_mode,
        "encoder_lr": rate(encoder_lr),
        "freeze_layers": freeze_layers,
        "data_dir": data_dir,
        "data": data,
        "warm_start": warm_start,
        "early_stopping": early_stopping,
        "continue_from": None if continue_from is None else str(continue_from),
        "replay": replay,
        "distill": distill,
        "ewc": ewc,
        "adversarial": adversarial,
        "adversarial_texts": adversarial_texts,
    }
    search.check_wanted(ctx, optimize=optimize)
    names = {
        "project": wandb_project_name,
        "entity": wandb_entity,
        "group": wandb_group,
        "tags": tuple(wandb_tags) if wandb_tags else None,
    }
    watched = _watched(track=track, names=names, samples_every=samples_every, optimize=optimize)
    trusted = (*(trust or ()), *packages)
    if resume is not None:
        others = {"optimize": optimize or None, "run_dir": run_dir, "log_folder": log_folder}
        run = _resume(resume, {**flags, **others}, trusted, progress=progress, watched=watched)
    else:
        config = config_of(flags, conf_file, trusted)
        options: dict[str, Any] = {
            **_place(run_dir, log_folder),
            "progress": progress,
            "trust": trusted,
        }
        if optimize:
            wanted = {
                "n_trials": n_trials,
                "max_total_trials": max_total_trials,
                "n_jobs": n_jobs,
                "sampler": sampler,
                "pruner": pruner,
                "n_startup_trials": n_startup_trials,
                "n_evaluations": n_evaluations,
                "storage": storage,
                "study_name": study_name,
            }
            cluster = cluster_of(ray, ray_cpus)
            search.search(config, wanted, packages=packages, cluster=cluster, **options)
            return
        from nlp_gym_agents.runs.files.trust import named_modules
        from nlp_gym_agents.training.train import train

        run = train(config, **options, **watched)
        # The report reads from the run what was typed here.
        trusted += named_modules(config.as_dict())
    from nlp_gym_agents.algorithms.parallel.ranks import launched

    if launched()[0]:
        return  # the first of the processes that torchrun started reports
    try:
        if report:
            _report(run, with_bc=with_bc, progress=progress, trust=trusted)
    finally:  # the run is there, whatever becomes of its report
        say_path(run)


def _watched(
    *, track: bool, names: dict[str, Any], samples_every: int | None, optimize: bool
) -> dict[str, Any]:
    """What is shown of a run besides its progress, as arguments of `training.train.train`."""
    from nlp_gym.errors import InvalidArgumentError

    given = {name: value for name, value in names.items() if value is not None}
    flags = {"project": "project-name"}
    if optimize and (track or samples_every is not None):
        flag = "--track" if track else "--samples-every"
        raise InvalidArgumentError(
            f"{flag} is of one run, and --optimize makes many: train the best one with "
            f"--conf-file STUDY/best.yml {flag}."
        )
    if given and not track:
        name = next(iter(given))
        raise InvalidArgumentError(
            f"--wandb-{flags.get(name, name)} is of no use without --track: add it."
        )
    watched: dict[str, Any] = {}
    if samples_every is not None:
        watched["samples_every"] = samples_every
    if track:
        from nlp_gym_agents.training.tracking.tracker import Tracking

        watched["track"] = Tracking(**given)
    return watched


def _place(run_dir: Path | None, log_folder: Path | None) -> dict[str, Path]:
    """Where to train, as arguments of `training.train.train`; nothing is its default."""
    from nlp_gym.errors import InvalidArgumentError, shown

    if run_dir is not None and log_folder is not None:
        raise InvalidArgumentError(
            f"--log-folder={shown(str(log_folder))} is where runs are counted up, and --run-dir "
            "says exactly where: leave one out."
        )
    given = {"run_dir": run_dir, "log_folder": log_folder}
    return {name: place for name, place in given.items() if place is not None}


def _resume(
    resume: Path,
    flags: dict[str, Any],
    trust: tuple[str, ...],
    *,
    progress: bool,
    watched: dict[str, Any],
) -> Path:
    from nlp_gym.errors import InvalidArgumentError
    from nlp_gym_agents.training.train import resume as go_on

    changed = {name: flags[name] for name in ("n_timesteps", "tensorboard_log")}
    ignored = [k for k, v in flags.items() if v is not None and k not in changed]
    if ignored:
        name = _FLAGS.get(ignored[0], ignored[0]).replace("_", "-")
        raise InvalidArgumentError(
            f"--{name} cannot be given with --resume: a run goes on with its own settings "
            "(config.yml). Only -n may be given, to train longer, and --tensorboard-log."
        )
    return go_on(resume, **changed, **watched, progress=progress, trust=trust)


def _report(run: Path, *, with_bc: bool, progress: bool, trust: tuple[str, ...] = ()) -> None:
    from rich.console import Console

    from nlp_gym.errors import NLPGymError
    from nlp_gym_agents.evaluation.example import print_example
    from nlp_gym_agents.evaluation.test_report import final_report, print_report
    from nlp_gym_agents.runs.folder import read_config

    console = Console()
    options: dict[str, Any] = {"trust": trust} if trust else {}
    try:
        options["device"] = read_config(run, **options).get("device", "auto")
        report = final_report(run, with_bc=with_bc, progress=progress, **options)
        print_report(report, console)
    except NLPGymError as error:  # training itself went well
        say(f"warning: no test report: {error}", err=True)
        return
    try:
        print_example(run, console, **options)
    except Exception as error:  # the run and its report are complete without it
        say(f"warning: no example: {type(error).__name__}: {error}", err=True)
