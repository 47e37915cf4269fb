"""Train an agent into a run folder, or go on with one that was stopped."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.files import remove_leftovers
from nlp_gym.metrics.text.corpus import VALUES
from nlp_gym_agents.algorithms.pretraining import keep_exploration
from nlp_gym_agents.config.train_config import TrainConfig, config_from, merge
from nlp_gym_agents.runs.checkpoints import load_state, read_extra
from nlp_gym_agents.runs.folder import (
    check_run,
    claim_run,
    how_to_resume,
    is_untouched,
    locked,
    new_run,
    read_config,
    rewrite_config,
    unclaim_run,
    write_config,
    write_versions,
    writing,
)
from nlp_gym_agents.runs.metrics_log import rewind_metrics
from nlp_gym_agents.runs.settings import SETTINGS, SnapshotSettings
from nlp_gym_agents.runs.snapshots import newest, read_json, steps
from nlp_gym_agents.training.callbacks.kl_penalty import penalty_of
from nlp_gym_agents.training.callbacks.loop import LoopOptions, LoopState, TrainingLoop
from nlp_gym_agents.training.callbacks.value_fit import FittedValues
from nlp_gym_agents.training.divergence import told_divergence
from nlp_gym_agents.training.progress import TrainingProgress
from nlp_gym_agents.training.saved_start import SavedStart
from nlp_gym_agents.training.setup import Setup, set_up, with_saved_dtype
from nlp_gym_agents.training.signals import StopRequest, TrainingInterrupted, stop_requests
from nlp_gym_agents.training.tensorboard import check_log_folder, logged
from nlp_gym_agents.training.warm_start import load_teacher, start_warm

__all__ = ["TrainConfig", "TrainingInterrupted", "resume", "train"]

_DUMP_EPISODES = 1000  # off-policy algorithms count episodes; their default, 4, swamps TensorBoard


def train(
    config: TrainConfig,
    *,
    run_dir: str | Path | None = None,
    progress: bool = True,
    command: Sequence[str] | None = None,
    time_limit: float | None = None,
) -> Path:
    """Train a new run.

    Args:
        config: What to train; open fields are filled in by `config.train_config.merge`.
        run_dir: Exactly where; None counts up under ``runs/``.
        progress: Show bars and evaluations on stderr.
        command: What to write into ``command.txt``; None is this process's command line.
        time_limit: Seconds, those of a warm start included, after which training stops wherever
            it is; None for no limit.

    Returns:
        The run folder.

    Raises:
        TrainingInterrupted: A signal stopped it; its state is saved.
        NLPGymError: The settings or the data are not usable, or the disk is full.
    """
    config = merge(config)
    with ExitStack() as stack:
        run = new_run(config.algo, config.env) if run_dir is None else claim_run(run_dir)
        stack.enter_context(locked(run))
        if run_dir is not None:
            claim_run(run)  # another process may have begun, and ended, in between
        training = _Training(run, progress=progress, time_limit=time_limit)
        try:
            write_config(run, config.as_dict(), command=command or sys.argv)
            with stop_requests(run) as request:
                training.begin(config, request)
        except Exception as error:
            unusable = isinstance(error, InvalidArgumentError) and not steps(run / "checkpoints")
            if unusable or not training.ready:  # settings that do not work leave nothing
                unclaim_run(run, remove=run_dir is None)
            raise
    return run


def resume(
    run: str | Path,
    *,
    n_timesteps: int | None = None,
    progress: bool = True,
    command: Sequence[str] | None = None,
    time_limit: float | None = None,
) -> Path:
    """Go on from the newest complete checkpoint of a run; see `runs.checkpoints` for exactness.

    Args:
        run: The run folder.
        n_timesteps: A new total, to train longer than the run was meant to; the run keeps it.
        progress: Show bars and evaluations on stderr.
        command: What to add to ``command.txt`` with a new total; None is this process's command
            line.
        time_limit: As for `train`; the time trained before counts.

    Returns:
        The run folder.

    Raises:
        RunError: There is no complete checkpoint, the corpus or encoder changed, or another process
            is training in the folder, which is then left alone.
        TrainingInterrupted: A signal stopped it again; its state is saved.
    """
    run = check_run(run)
    with locked(run):
        remove_leftovers(run / "*")
        config = config_from(read_config(run), source=str(run / "config.yml"))
        if n_timesteps is not None:
            config = config.with_changes(n_timesteps=n_timesteps)
        config = merge(config, complete=True)
        training = _Training(run, progress=progress, time_limit=time_limit)
        changed = (command or sys.argv) if n_timesteps is not None else None
        with stop_requests(run) as request:
            if is_untouched(run):
                training.begin(config, request, changed)
            else:
                training.go_on(config, request, changed)
    return run


class _Training:
    """A run from wherever it is to its end or a signal.

    Args:
        run: The run folder, which is locked and has its settings.
        progress: As for `train`.
        time_limit: As for `train`.

    Attributes:
        ready: Whether the settings were found to work.
    """

    def __init__(self, run: Path, *, progress: bool, time_limit: float | None) -> None:
        self.run, self.progress, self.time_limit = run, progress, time_limit
        self.ready = False

    def begin(
        self, config: TrainConfig, request: StopRequest, changed: Sequence[str] | None = None
    ) -> None:
        """Train from the beginning.

        Args:
            config: Merged.
            request: Whether to stop.
            changed: The command that changed the settings; None: it did not.
        """
        setup = set_up(config, progress=self.progress)
        teacher = None if config.warm_start is None else load_teacher(config, setup.train_task)
        check_log_folder(config.tensorboard_log)
        self.ready = True
        self._put_on_record(config, changed)
        with writing(self.run, fix=how_to_resume(self.run)):
            write_versions(self.run, setup.facts())
        state = LoopState()
        if teacher is not None:
            start = SavedStart(self.run, setup, state, request)
            start_warm(setup.model, config, setup.train_task, teacher=teacher, watch=start)
            start.end()
        self._learn(setup, state, request)

    def go_on(
        self, config: TrainConfig, request: StopRequest, changed: Sequence[str] | None
    ) -> None:
        """Train from the newest complete checkpoint; arguments as for `begin`."""
        folder, skipped = newest(self.run / "checkpoints")
        for message in skipped:
            warnings.warn(message, stacklevel=4)
        saved: SnapshotSettings = read_json(folder / SETTINGS)
        setup = set_up(with_saved_dtype(config, saved), progress=self.progress)
        setup.check_same(saved, folder)
        state = LoopState(**read_extra(folder))
        if state.start_updates is not None:
            start = SavedStart(self.run, setup, state, request, folder)
            start_warm(setup.model, config, setup.train_task, watch=start)
            start.end()
        else:
            if config.warm_start is not None:
                keep_exploration(setup.model)
            load_state(folder, setup.model)
            if setup.model._last_obs is None:  # other than the first episodes again
                assert setup.model.env is not None
                setup.model.env.seed((config.seed + setup.model.num_timesteps) % 2**31)
        # Nothing in the folder changes before all of it could be read.
        self._put_on_record(config, changed)
        with writing(self.run, fix=how_to_resume(self.run)):
            rewind_metrics(self.run, state.logged)
        self._learn(setup, state, request)

    def _put_on_record(self, config: TrainConfig, changed: Sequence[str] | None) -> None:
        if changed is not None:
            rewrite_config(self.run, config.as_dict(), command=changed)

    def _learn(self, setup: Setup, state: LoopState, request: StopRequest) -> None:
        """The training loop, from wherever the model is to the end or a signal."""
        config, model, run = setup.config, setup.model, self.run
        total = config.n_timesteps or 0
        options = LoopOptions(
            run,
            config.eval_freq or total,
            config.save_freq or total,
            config.early_stopping,
            self.time_limit,
            VALUES.get(setup.train_task.reward_metric or ""),
        )
        penalty = penalty_of(run, config.learning.kl, state.kl_coef)
        fitted = [FittedValues()] if config.learning.start.fit_values else []
        with (
            logged(model, Path(config.tensorboard_log or run / "tensorboard")),
            told_divergence(model, run),
            request.watched(),
            TrainingProgress(total, setup.dev_task.metric_name, shown=self.progress) as shown,
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
        if loop.stopped == "interrupted":
            request.check()
