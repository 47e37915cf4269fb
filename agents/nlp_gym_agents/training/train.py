"""Train an agent into a run folder, or go on with one that was stopped."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.errors import RunError, shown
from nlp_gym.metrics.text.corpus import VALUES
from nlp_gym_agents.algorithms.pretraining import keep_exploration
from nlp_gym_agents.config.train_config import TrainConfig, config_from, merge
from nlp_gym_agents.runs import schema
from nlp_gym_agents.runs.checkpoints import STATE, load_state, saved_environments
from nlp_gym_agents.runs.folder import (
    check_run,
    claim_run,
    locked,
    new_run,
    read_config,
    rewrite_config,
    write_config,
    writing,
)
from nlp_gym_agents.runs.metrics_log import rewind_metrics
from nlp_gym_agents.runs.places import TENSORBOARD, check_links, tensorboard_folder
from nlp_gym_agents.runs.settings import SETTINGS, read_settings
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.runs.weights import POLICY
from nlp_gym_agents.training.callbacks.kl_penalty import penalty_of
from nlp_gym_agents.training.callbacks.loop import LoopOptions, LoopState, TrainingLoop
from nlp_gym_agents.training.callbacks.value_fit import FittedValues
from nlp_gym_agents.training.progress import TrainingProgress
from nlp_gym_agents.training.setup import Setup, set_up, with_saved_dtype
from nlp_gym_agents.training.signals import TrainingInterrupted, stop_requests
from nlp_gym_agents.training.warm_start import start_warm

__all__ = ["TrainConfig", "resume", "train"]

_DUMP_EPISODES = 1000  # off-policy algorithms count episodes; their default, 4, swamps TensorBoard


def train(
    config: TrainConfig,
    *,
    run_dir: str | Path | None = None,
    progress: bool = True,
    command: Sequence[str] | None = None,
    time_limit: float | None = None,
    trust: Sequence[str] | str = (),
) -> Path:
    """Train a new run.

    Args:
        config: What to train; open fields are filled in by `config.train_config.merge`.
        run_dir: Exactly where; None counts up under ``runs/``.
        progress: Show bars and evaluations on stderr.
        command: What to write into ``command.txt``; None is this process's command line.
        time_limit: Seconds, those of a warm start included, after which training stops wherever
            it is; None for no limit.
        trust: Modules that the settings of a run to start from may have imported; see
            `nlp_gym_agents.models.agent.load_agent`. What `config` names is trusted as given.

    Returns:
        The run folder.

    Raises:
        TrainingInterrupted: A signal stopped it; its state is saved.
        NLPGymError: The settings or the data are not usable, or the disk is full.
    """
    config = merge(config)
    with ExitStack() as stack:
        run = None
        if run_dir is not None:
            run = claim_run(run_dir)
            stack.enter_context(locked(run))
            claim_run(run)  # another process may have begun, and ended, in between
        setup = set_up(config, progress=progress)
        state, started = LoopState(), time.monotonic()
        if config.warm_start is not None:
            start_warm(setup.model, config, setup.train_task, trust=trust)
            state.seconds = time.monotonic() - started
        if run is None:  # only now: settings that do not work leave no folder
            run = new_run(config.algo, config.env)
            stack.enter_context(locked(run))
        write_config(run, config.as_dict(), command=command or sys.argv, facts=setup.facts())
        logs = Path(config.tensorboard_log or run / TENSORBOARD)
        _learn(run, setup, state, logs, progress=progress, time_limit=time_limit)
    return run


def resume(
    run: str | Path,
    *,
    n_timesteps: int | None = None,
    progress: bool = True,
    command: Sequence[str] | None = None,
    time_limit: float | None = None,
    tensorboard_log: str | Path | None = None,
    trust: Sequence[str] | str = (),
) -> Path:
    """Go on from the newest complete checkpoint of a run; see `runs.checkpoints` for exactness.

    Args:
        run: The run folder.
        n_timesteps: A new total, to train longer than the run was meant to; the run keeps it.
        progress: Show bars and evaluations on stderr.
        command: What to add to ``command.txt`` with a new total; None is this process's command
            line.
        time_limit: As for `train`; the time trained before counts.
        tensorboard_log: Folder of the TensorBoard files from now on. One outside of the run folder
            has to be given again: nothing is written there because the run's settings say so.
        trust: Modules that the run's settings may have imported; see
            `nlp_gym_agents.models.agent.load_agent`.

    Returns:
        The run folder.

    Raises:
        RunError: There is no complete checkpoint, the corpus or encoder changed, the settings ask
            for a module that is not trusted, something in the folder leads out of it, or another
            process is training in the folder. The folder is then left alone.
        TrainingInterrupted: A signal stopped it again; its state is saved.
    """
    run = check_run(run)
    check_links(run, unused=() if tensorboard_log is None else (TENSORBOARD,))
    with locked(run):
        config = config_from(read_config(run, trust=trust), source=str(run / "config.yml"))
        if n_timesteps is not None:
            config = config.with_changes(n_timesteps=n_timesteps)
        if tensorboard_log is not None:
            config = config.with_changes(tensorboard_log=str(tensorboard_log))
        config = merge(config, complete=True)
        logs = tensorboard_folder(run, config.tensorboard_log, tensorboard_log)
        setup, state = _restored(run, config, trust=trust, progress=progress)
        if n_timesteps is not None or tensorboard_log is not None:
            rewrite_config(run, config.as_dict(), command=command or sys.argv)
        with writing(run):
            rewind_metrics(run, setup.model.num_timesteps)
        _learn(run, setup, state, logs, progress=progress, time_limit=time_limit)
    return run


def _restored(
    run: Path, config: TrainConfig, *, trust: Sequence[str] | str, progress: bool
) -> tuple[Setup, LoopState]:
    """The newest complete checkpoint of a run, in memory; nothing in the folder changes."""
    folder, skipped = newest(run / "checkpoints")
    for message in skipped:
        warnings.warn(message, stacklevel=3)
    saved = read_settings(folder / SETTINGS, trust=trust)
    known = saved_environments(folder)
    if known is not None and known != config.n_envs:
        raise RunError(
            f"{run / 'config.yml'}: n_envs={config.n_envs}, but {folder} was saved with {known}. "
            "Restore the number, or train again."
        )
    own = with_saved_dtype(config, saved)
    setup = set_up(own, progress=progress, weights=folder / POLICY)
    setup.check_same(saved, folder)
    if config.warm_start is not None:
        keep_exploration(setup.model)
    extra = load_state(folder, setup.model, timesteps=saved.get("timesteps"))
    schema.check(extra, LoopState, folder / STATE)
    state = LoopState(**extra)
    if setup.model._last_obs is None:  # other than the first episodes again
        assert setup.model.env is not None
        setup.model.env.seed((config.seed + setup.model.num_timesteps) % 2**31)
    return setup, state


def _learn(
    run: Path,
    setup: Setup,
    state: LoopState,
    logs: Path,
    *,
    progress: bool,
    time_limit: float | None,
) -> None:
    """The training loop, from wherever `setup.model` is to the end or a signal."""
    config, model = setup.config, setup.model
    total = config.n_timesteps or 0
    options = LoopOptions(
        run,
        config.eval_freq or total,
        config.save_freq or total,
        config.early_stopping,
        time_limit,
        VALUES.get(setup.train_task.reward_metric or ""),
    )
    penalty = penalty_of(run, config.learning.kl, state.kl_coef)
    fitted = [FittedValues()] if config.learning.start.fit_values else []
    with (
        _logging(model, logs),
        stop_requests() as request,
        TrainingProgress(total, setup.dev_task.metric_name, shown=progress) as shown,
    ):
        loop = TrainingLoop(
            options,
            state,
            score=setup.score,
            settings=setup.settings(),
            progress=shown,
            request=request,
            any_step=setup.row.policy_kind == "supervised",
            penalty=penalty,
        )
        model.learn(
            max(total - model.num_timesteps, 0),
            callback=[*([] if penalty is None else [penalty]), *fitted, loop],
            log_interval=_DUMP_EPISODES if setup.row.policy_kind == "q" else 1,
            reset_num_timesteps=False,
        )
    if loop.stopped == "interrupted" and request.number is not None:
        raise TrainingInterrupted(run, request.number)


@contextmanager
def _logging(model: BaseAlgorithm, folder: Path) -> Iterator[None]:
    """Stable-Baselines3's scalars go to TensorBoard files and nowhere else.

    Raises:
        RunError: The folder cannot be written to.
    """
    from stable_baselines3.common.logger import Logger, make_output_format

    try:
        logger = Logger(str(folder), [make_output_format("tensorboard", str(folder))])
    except OSError as error:
        raise RunError(
            f"tensorboard_log={shown(folder)} cannot be written to: {error.strerror or error}. "
            "Give another folder with --tensorboard-log."
        ) from error
    model.set_logger(logger)
    try:
        yield
    finally:
        logger.close()
