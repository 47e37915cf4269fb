"""Train an agent into a run folder, or go on with one that was stopped."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.files import remove_leftovers
from nlp_gym.metrics.text.corpus import VALUES
from nlp_gym.progress import progress_wanted, tell
from nlp_gym_agents.algorithms.parallel.data_parallel import CountsAllRanks
from nlp_gym_agents.algorithms.parallel.ranks import ALONE, Ranks, joined
from nlp_gym_agents.algorithms.pretraining import keep_exploration
from nlp_gym_agents.config.train_config import (
    TrainConfig,
    config_from,
    merge,
    with_earlier_run,
)
from nlp_gym_agents.runs.checkpoints.checkpoint import (
    STATE,
    load_state,
    read_extra,
    saved_environments,
)
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.folder import (
    RUNS,
    check_run,
    claim_run,
    is_untouched,
    locked,
    new_run,
    read_config,
    rewrite_config,
    unclaim_run,
    write_config,
    write_settings,
    write_versions,
    writing,
)
from nlp_gym_agents.runs.metrics_log import check_row, rewind_metrics
from nlp_gym_agents.runs.places import TENSORBOARD, check_links, tensorboard_folder
from nlp_gym_agents.runs.settings import SETTINGS, read_settings
from nlp_gym_agents.runs.snapshots import newest, steps, tidy
from nlp_gym_agents.training.callbacks.kl_penalty import penalty_of
from nlp_gym_agents.training.callbacks.loop import LoopOptions, LoopState, TrainingLoop
from nlp_gym_agents.training.callbacks.together import Following
from nlp_gym_agents.training.callbacks.value_fit import FittedValues
from nlp_gym_agents.training.divergence import told_divergence
from nlp_gym_agents.training.earlier.held import hold_earlier, keep_information
from nlp_gym_agents.training.earlier.weights import load_earlier
from nlp_gym_agents.training.progress import TrainingProgress
from nlp_gym_agents.training.signals import StopRequest, TrainingInterrupted, stop_requests
from nlp_gym_agents.training.start.attacked_copies import with_attacked_copies, with_own_copies
from nlp_gym_agents.training.start.divide import check_divides, quiet_unless
from nlp_gym_agents.training.start.saved_start import SavedStart
from nlp_gym_agents.training.start.setup import (
    Setup,
    follow_corpus,
    overshoot,
    set_up,
    with_saved_arguments,
    with_saved_dtype,
)
from nlp_gym_agents.training.start.warm_start import load_teacher, start_warm
from nlp_gym_agents.training.tracking.dev_samples import EVERY, DevSamples, check_every
from nlp_gym_agents.training.tracking.tensorboard import check_log_folder, logged
from nlp_gym_agents.training.tracking.tracker import Tracking, check_tracking, tracked

__all__ = ["TrainConfig", "TrainingInterrupted", "resume", "train"]

Told = Callable[[Mapping[str, Any]], bool]

_DUMP_EPISODES = 1000  # off-policy algorithms count episodes; their default, 4, swamps TensorBoard


def train(
    config: TrainConfig,
    *,
    run_dir: str | Path | None = None,
    log_folder: str | Path = RUNS,
    progress: bool = True,
    command: Sequence[str] | None = None,
    time_limit: float | None = None,
    trust: Sequence[str] | str = (),
    told: Told | None = None,
    track: Tracking | None = None,
    samples_every: int = EVERY,
) -> Path:
    """Train a new run.

    Args:
        config: What to train; open fields are filled in by `config.train_config.merge`.
        run_dir: Exactly where; None counts up under ``log_folder/<algo>/``.
        log_folder: See `run_dir`.
        progress: Show bars and evaluations on stderr.
        command: What to write into ``command.txt``; None is this process's command line.
        time_limit: Seconds, those of a warm start included, after which training stops wherever
            it is; None for no limit.
        trust: Modules that the settings of a run to start from may have imported; see
            `nlp_gym_agents.models.trained.load_trained`. What `config` names is trusted as given.
        told: Hears of each evaluation, a line of ``metrics.jsonl``; training stops where it answers
            True.
        track: Where the run belongs in Weights & Biases; None: it is not tracked.
        samples_every: Evaluations from one set of samples of dev, with their decisions, to the
            next, in the TensorBoard files and in Weights & Biases; 0: there are none.

    Returns:
        The run folder.

    Raises:
        TrainingInterrupted: A signal stopped it; its state is saved.
        NLPGymError: The settings or the data are not usable, or the disk is full.
    """
    asked = config if config.continue_from is None else with_earlier_run(config, trust=trust)
    config = merge(asked)
    check_tracking(track)
    check_every(samples_every)
    with ExitStack() as stack:
        ranks = joined(config.device)
        if ranks.size > 1:
            check_divides(config, ranks)
        if not ranks.leads:
            return _follow(config, ranks, trust, asked)
        if run_dir is None:
            run = new_run(config.algo, config.env, root=log_folder)
        else:
            run = claim_run(run_dir)
        stack.enter_context(progress_wanted(progress))
        stack.enter_context(locked(run))
        if run_dir is not None:
            claim_run(run)  # another process may have begun, and ended, in between
        ranks.told((run, None))
        logs = Path(config.tensorboard_log or run / TENSORBOARD)
        training = _Training(run, config, logs, trust, progress, time_limit, told, ranks)
        training.asked = asked
        training.track, training.samples_every = track, samples_every
        try:
            if config.attacked_run is not None:
                training.config = config = with_attacked_copies(
                    config, run, progress=progress, trust=trust
                )
            write_config(run, config.as_dict(), command=command or sys.argv)
            with stop_requests(run) as request:
                training.begin(request)
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
    tensorboard_log: str | Path | None = None,
    trust: Sequence[str] | str = (),
    track: Tracking | None = None,
    samples_every: int = EVERY,
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
            `nlp_gym_agents.models.trained.load_trained`.
        track: As for `train`; a run that was tracked goes on there under its id. Nothing is sent
            without, whatever the run folder says.
        samples_every: As for `train`.

    Returns:
        The run folder.

    Raises:
        RunError: No checkpoint is complete, the corpus or encoder changed, the settings ask for a
            module that is not trusted, something in the folder leads out of it, or another
            process is training in the folder. The folder is then left alone.
        TrainingInterrupted: A signal stopped it again; its state is saved.
    """
    run = check_run(run)
    check_tracking(track)
    check_every(samples_every)
    check_links(run, unused=() if tensorboard_log is None else (TENSORBOARD,))
    with ExitStack() as stack:
        config = config_from(read_config(run, trust=trust), source=str(run / "config.yml"))
        ranks = joined(config.device)
        if ranks.size > 1:
            check_divides(merge(config, complete=True), ranks)
        if not ranks.leads:
            if n_timesteps is not None:
                config = config.with_changes(n_timesteps=n_timesteps)
            return _follow(merge(config, complete=True), ranks, trust)
        stack.enter_context(progress_wanted(progress))
        stack.enter_context(locked(run))
        with writing(run, resumable=True):  # what a process that was killed left
            remove_leftovers(run / "*")
            tidy(run / "checkpoints")
        longer = (n_timesteps or 0) > (config.n_timesteps or 0)
        if n_timesteps is not None:
            config = config.with_changes(n_timesteps=n_timesteps)
        if tensorboard_log is not None:
            config = config.with_changes(tensorboard_log=str(tensorboard_log))
        config = with_own_copies(merge(config, complete=True), run)
        logs = tensorboard_folder(run, config.tensorboard_log, tensorboard_log)
        changed = n_timesteps is not None or tensorboard_log is not None
        training = _Training(run, config, logs, trust, progress, time_limit, ranks=ranks)
        training.changed_by = (command or sys.argv) if changed else None
        training.longer = longer
        training.track, training.samples_every = track, samples_every
        with stop_requests(run) as request:
            if is_untouched(run):
                ranks.told((run, None))
                training.begin(request)
            else:
                training.go_on(request)
    return run


def _follow(
    config: TrainConfig,
    ranks: Ranks,
    trust: Sequence[str] | str,
    asked: TrainConfig | None = None,
) -> Path:
    """Train as one of the processes that do not lead: they write nothing.

    Args:
        config: Merged.
        ranks: The processes.
        trust: As for `train`.
        asked: What a new run was asked for, before it was merged.

    Returns:
        The run folder.
    """
    place, folder = ranks.told()
    training = _Training(place, config, place, trust, progress=False, time_limit=None, ranks=ranks)
    training.asked = asked
    with quiet_unless(leads=False), stop_requests(place) as request, request.watched():
        request.is_quiet = True
        if folder is None:
            training.begin(request)
        else:
            training.restore(folder, request)
    return Path(place)


@dataclass
class _Training:
    """A run from wherever it is to its end or a signal.

    Attributes:
        run: The run folder, which is locked and has its settings.
        config: They, merged.
        logs: Folder of the TensorBoard files.
        trust: As for `train`.
        progress: As for `train`.
        time_limit: As for `train`.
        told: As for `train`.
        ranks: The processes that train together.
        changed_by: The command that changed the settings; None: none did.
        asked: What a new run was asked for, before it was merged; None: it goes on.
        longer: A run that goes on was asked to train longer, also where it had stopped early.
        ready: Whether the settings were found to work.
        track: As for `train`.
        samples_every: As for `train`.
    """

    run: Path
    config: TrainConfig
    logs: Path
    trust: Sequence[str] | str
    progress: bool
    time_limit: float | None
    told: Told | None = None
    ranks: Ranks = ALONE
    changed_by: Sequence[str] | None = None
    asked: TrainConfig | None = None
    longer: bool = False
    ready: bool = False
    track: Tracking | None = None
    samples_every: int = EVERY

    def begin(self, request: StopRequest) -> None:
        """Train from the beginning."""
        setup = set_up(self.config, progress=self.progress, ranks=self.ranks)
        self._settle_length(setup)
        config = self.config
        teacher = None
        if config.warm_start is not None:
            teacher = load_teacher(config, setup.train_task, self.trust)
        state = LoopState()
        if config.continue_from is not None:
            load_earlier(setup, self.trust)
        state.earlier = hold_earlier(self.run, setup)
        if self.ranks.leads:
            check_log_folder(config.tensorboard_log)
            self.ready = True
            self._put_on_record()
            with writing(self.run, resumable=True):
                write_versions(self.run, setup.facts())
        if teacher is not None:
            start = SavedStart(self.run, setup, state, request, ranks=self.ranks)
            start_warm(setup.model, config, setup.train_task, teacher=teacher, watch=start)
            start.end()
        self._learn(setup, state, request)

    def _settle_length(self, setup: Setup) -> None:
        """The length of a new run, which may follow its corpus, and what is to be said of it."""
        told = [overshoot(setup)]
        if self.asked is not None and self.asked.follows_corpus:
            told.append(follow_corpus(setup, self.asked))
        if setup.config is not self.config:
            self.config = setup.config
            if self.ranks.leads:
                with writing(self.run):
                    write_settings(self.run / "config.yml", self.config.as_dict())
        for line in told if self.progress else ():
            if line is not None:
                tell(line)

    def go_on(self, request: StopRequest) -> None:
        """Train from the newest complete checkpoint."""
        folder, skipped = newest(self.run / "checkpoints")
        for message in skipped:
            warnings.warn(message, stacklevel=4)
        self.ranks.told((self.run, folder))
        self.restore(folder, request)

    def restore(self, folder: Path, request: StopRequest) -> None:
        """Train from a checkpoint."""
        setup, state = self._restored(folder)
        if state.start_updates is not None:
            start = SavedStart(self.run, setup, state, request, folder, self.ranks)
            start_warm(setup.model, self.config, setup.train_task, trust=self.trust, watch=start)
            start.end()
        # Nothing in the folder changes before all of it could be read.
        if self.ranks.leads:
            self._put_on_record()
            with writing(self.run, resumable=True):
                rewind_metrics(self.run, state.logged)
        self._learn(setup, state, request)

    def _restored(self, folder: Path) -> tuple[Setup, LoopState]:
        """What a checkpoint holds, in memory; the model of one inside a warm start is fresh."""
        saved = read_settings(folder / SETTINGS, trust=self.trust)
        known = saved_environments(folder)
        if known is not None and known != self.config.n_envs:
            raise RunError(
                f"{self.run / 'config.yml'}: n_envs={self.config.n_envs}, but {folder} was saved "
                f"with {known}. Restore the number, or train again."
            )
        own = with_saved_arguments(with_saved_dtype(self.config, saved), saved)
        setup = set_up(own, progress=self.progress, checkpoint=(folder, saved), ranks=self.ranks)
        setup.check_same(saved, folder)
        state = _loop_state(folder)
        if self.longer and state.stale >= (self.config.early_stopping or 0):
            state.stale = 0  # it had stopped, and is asked to go on
        if state.start_updates is not None:
            return setup, state
        hold_earlier(self.run, setup, sha256=state.earlier or "")
        if own.warm_start is not None or own.continue_from is not None:
            keep_exploration(setup.model)
        parallel = setup.parallel
        share = None if parallel is None else slice(*parallel.bounds_of_environments())
        load_state(folder, setup.model, timesteps=saved.get("timesteps"), share=share)
        if setup.model._last_obs is None:  # other than the first episodes again
            setup.seed_environments(own.seed + setup.model.num_timesteps)
        return setup, state

    def _put_on_record(self) -> None:
        if self.changed_by is not None:
            rewrite_config(self.run, self.config.as_dict(), command=self.changed_by)

    def _learn(self, setup: Setup, state: LoopState, request: StopRequest) -> None:
        """The training loop, from wherever the model is to the end or a signal."""
        config, model, run = setup.config, setup.model, self.run
        total = config.n_timesteps or 0
        if not self.ranks.leads:
            self._learn_with_the_others(setup, total)
            return
        options = LoopOptions(
            run,
            config.eval_freq or total,
            config.save_freq or total,
            config.early_stopping or 0,
            self.time_limit,
            VALUES.get(setup.train_task.reward_metric or ""),
        )
        penalty = penalty_of(run, config.learning.kl, state.kl_coef, state.kl_start)
        fitted = [FittedValues()] if config.learning.start.fit_values else []
        with (
            logged(model, self.logs),
            told_divergence(model, run),
            request.watched(),
            TrainingProgress(
                total, setup.dev_task.metric_name, done=model.num_timesteps, shown=self.progress
            ) as shown,
            tracked(run, self.track, config.as_dict(), shown.note) as tracker,
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
                parallel=setup.parallel,
                told=DevSamples(setup, tracker, self.samples_every, self.told),
            )
            model.learn(
                max(total - model.num_timesteps, 0),
                callback=[
                    *_counted(setup),
                    *([] if penalty is None else [penalty]),
                    *fitted,
                    loop,
                ],
                log_interval=_DUMP_EPISODES if setup.row.policy_kind == "q" else 1,
                reset_num_timesteps=False,
            )
        if loop.stopped == "interrupted":
            request.check()
        keep_information(run, setup)

    def _learn_with_the_others(self, setup: Setup, total: int) -> None:
        """The loop of a process that does not lead."""
        model, parallel = setup.model, setup.parallel
        assert parallel is not None
        model.set_logger(Logger(None, []))
        loop = Following(parallel, any_step=setup.row.policy_kind == "supervised")
        model.learn(
            max(total - model.num_timesteps, 0),
            callback=[*_counted(setup), loop],
            reset_num_timesteps=False,
        )
        if loop.signal is not None:
            raise TrainingInterrupted(self.run, loop.signal)


def _counted(setup: Setup) -> list[BaseCallback]:
    """What counts the timesteps of all processes, for algorithms that count environments."""
    if setup.parallel is None or setup.row.policy_kind == "supervised":
        return []
    return [CountsAllRanks(setup.parallel)]


def _loop_state(folder: Path) -> LoopState:
    """The loop's part of a checkpoint.

    Raises:
        RunError: It is damaged.
    """
    extra = read_extra(folder)
    schema.check(extra, LoopState, folder / STATE)
    state = LoopState(**extra)
    for row in state.unwritten:
        check_row(row, f"{folder / STATE}: unwritten")
    return state
