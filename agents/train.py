"""Train an agent into a run folder, or go on with one that was stopped."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents.callbacks import LoopOptions, LoopState, TrainingLoop
from agents.checkpoints import load_state
from agents.history import rewind_metrics
from agents.progress import TrainingProgress
from agents.runs import (
    SETTINGS,
    claim_run,
    new_run,
    read_config,
    write_config,
)
from agents.settings import TrainConfig, config_from, merge
from agents.setup import Setup, set_up
from agents.signals import TrainingInterrupted, stop_requests
from agents.snapshots import newest, read_json
from agents.starts import keep_exploration, start_warm
from nlp_gym.errors import RunError
from nlp_gym.files import file_lock

__all__ = ["TrainConfig", "resume", "train"]

_DUMP_EPISODES = 1000  # off-policy algorithms count episodes; their default, 4, swamps TensorBoard


def train(
    config: TrainConfig,
    *,
    run_dir: str | Path | None = None,
    progress: bool = True,
    command: Sequence[str] | None = None,
) -> Path:
    """Train a new run.

    Args:
        config: What to train; open fields are filled in by `agents.settings.merge`.
        run_dir: Exactly where; None counts up under ``runs/``.
        progress: Show bars and evaluations on stderr.
        command: What to write into ``command.txt``; None is this process's command line.

    Returns:
        The run folder.

    Raises:
        TrainingInterrupted: A signal stopped it; its state is saved.
        NLPGymError: The settings or the data are not usable, or the disk is full.
    """
    config = merge(config)
    run = None if run_dir is None else claim_run(run_dir)
    setup = set_up(config, progress=progress)
    if config.warm_start is not None:
        start_warm(setup.model, config, setup.train_task)
    run = run or new_run(config.algo, config.env)
    write_config(run, config.as_dict(), command=command or sys.argv, facts=setup.facts())
    _learn(run, setup, LoopState(), progress=progress)
    return run


def resume(run: str | Path, *, n_timesteps: int | None = None, progress: bool = True) -> Path:
    """Go on from the newest complete checkpoint of a run; see `agents.checkpoints` for exactness.

    Args:
        run: The run folder.
        n_timesteps: A new total, to train longer than the run was meant to.
        progress: Show bars and evaluations on stderr.

    Returns:
        The run folder.

    Raises:
        RunError: There is no complete checkpoint, or the corpus or encoder changed.
        TrainingInterrupted: A signal stopped it again; its state is saved.
    """
    run = Path(run)
    config = merge(config_from(read_config(run), source=str(run / "config.yml")))
    if n_timesteps is not None:
        config = merge(config.with_changes(n_timesteps=n_timesteps))
    folder, skipped = newest(run / "checkpoints")
    for message in skipped:
        warnings.warn(message, stacklevel=2)
    setup = set_up(config, progress=progress)
    setup.check_same(read_json(folder / SETTINGS), folder)
    if config.warm_start is not None:
        keep_exploration(setup.model)
    state = LoopState(**load_state(folder, setup.model))
    if setup.model._last_obs is None:  # other than the first episodes again
        setup.model.env.seed((config.seed + setup.model.num_timesteps) % 2**31)
    rewind_metrics(run, setup.model.num_timesteps)
    _learn(run, setup, state, progress=progress)
    return run


def _learn(run: Path, setup: Setup, state: LoopState, *, progress: bool) -> None:
    """The training loop, from wherever `setup.model` is to the end or a signal."""
    config, model = setup.config, setup.model
    total = config.n_timesteps or 0
    options = LoopOptions(
        run, config.eval_freq or total, config.save_freq or total, config.early_stopping
    )
    with (
        _alone(run),
        _logging(model, Path(config.tensorboard_log or run / "tensorboard")),
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
            any_step=setup.row.family == "supervised",
        )
        model.learn(
            max(total - model.num_timesteps, 0),
            callback=loop,
            log_interval=_DUMP_EPISODES if setup.row.family == "q" else 1,
            reset_num_timesteps=False,
        )
    if loop.stopped == "interrupted" and request.number is not None:
        raise TrainingInterrupted(run, request.number)


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Two processes must not train in one folder."""
    try:
        with file_lock(run / "run", timeout=0):
            yield
    except TimeoutError as error:
        raise RunError(f"Another process is training in {run}: stop it first.") from error


@contextmanager
def _logging(model: Any, folder: Path) -> Iterator[None]:
    """Stable-Baselines3's scalars go to TensorBoard files and nowhere else."""
    from stable_baselines3.common.logger import Logger, make_output_format

    logger = Logger(str(folder), [make_output_format("tensorboard", str(folder))])
    model.set_logger(logger)
    try:
        yield
    finally:
        logger.close()
