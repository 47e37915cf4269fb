"""The callback of every training run: evaluates on dev, saves the best and checkpoints, stops.

All of it happens at rollout boundaries, between an update and the next experience: there the state
that a checkpoint holds is whole. Frequencies are therefore rounded up to whole rollouts.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import safe_mean

from nlp_gym.errors import RunError
from nlp_gym.files import write_json
from nlp_gym.metrics.base import Score
from nlp_gym_agents.algorithms.parallel.data_parallel import DataParallel
from nlp_gym_agents.algorithms.weight_average import averaged_weights
from nlp_gym_agents.runs.checkpoints.checkpoint import write_checkpoint
from nlp_gym_agents.runs.checkpoints.parts import Boundary, boundary
from nlp_gym_agents.runs.files.schema import LARGEST, Count, Range
from nlp_gym_agents.runs.files.weights import save_weights
from nlp_gym_agents.runs.folder import resume_command
from nlp_gym_agents.runs.metrics_log import append_metrics, read_metrics
from nlp_gym_agents.runs.settings import SETTINGS, PolicySettings
from nlp_gym_agents.runs.snapshots import publish
from nlp_gym_agents.training.callbacks.kl_penalty import KLToStart
from nlp_gym_agents.training.callbacks.reward_hacking import alarms, watched
from nlp_gym_agents.training.callbacks.together import Orders, whole_boundary
from nlp_gym_agents.training.divergence import check_finite
from nlp_gym_agents.training.progress import TrainingProgress
from nlp_gym_agents.training.signals import StopRequest

GRACE = 3.0  # seconds a requested stop waits for the end of a rollout before it gives it up
SHORT = 0.5  # seconds of a rollout and its update; a stop then waits for the end of the next one
SHOW_EVERY = 0.1  # seconds between two moves of the bar, as often as it is drawn


def _next(steps: int, every: int) -> int:
    """The first multiple of `every` after `steps`."""
    return (steps // every + 1) * every


_Step = Annotated[int, Range(-1, LARGEST)]


@dataclass
class LoopState:
    """State of the loop, which a checkpoint holds.

    Attributes:
        best: Best dev value so far, None before the first evaluation.
        best_timesteps: When that was.
        stale: Evaluations since.
        evaluated: Timesteps of the last evaluation, -1 before the first.
        next_eval: Timesteps of the next evaluation.
        next_save: Timesteps of the next checkpoint; 0 before the first one.
        seconds: Wall time spent in earlier processes of this run.
        processor_seconds: Processor time spent in earlier processes of this run.
        kl_coef: Coefficient of the penalty for leaving the start policy; None: there is none.
        start_updates: Updates of a warm start that is not over; None: it is, or there is none.
        unwritten: Evaluations that a full disk kept out of ``metrics.jsonl`` so far.
        kl_start: Sha256 of the file with the start policy; None: there is none.
        earlier: Sha256 of the file with what is held of an earlier run; None: nothing is.
    """

    best: float | None = None
    best_timesteps: _Step = -1
    stale: Count = 0
    evaluated: _Step = -1
    next_eval: Count = 0
    next_save: Count = 0
    seconds: Annotated[float, Range(0, LARGEST)] = 0.0
    processor_seconds: Annotated[float, Range(0, LARGEST)] = 0.0
    kl_coef: float | None = None
    kl_start: str | None = None
    earlier: str | None = None
    start_updates: Count | None = None
    unwritten: list[dict[str, Any]] = field(default_factory=list)

    @property
    def logged(self) -> int:
        """Timesteps up to which evaluations belong into ``metrics.jsonl`` without `unwritten`."""
        return self.unwritten[0]["timesteps"] - 1 if self.unwritten else self.evaluated


@dataclass(frozen=True)
class LoopOptions:
    """Settings of the loop.

    Attributes:
        run: The run folder.
        eval_freq: Timesteps between evaluations.
        save_freq: Timesteps between checkpoints.
        early_stopping: Evaluations without improvement after which training stops; 0 for never.
        seconds: Wall time, of all processes of the run together, after which training stops.
        rewarded: The metric of rewards, as a report names it; None: that of the score.
    """

    run: Path
    eval_freq: int
    save_freq: int
    early_stopping: int = 0
    seconds: float | None = None
    rewarded: str | None = None


class TrainingLoop(BaseCallback):
    """Evaluation, `best/`, checkpoints, early stopping and stop requests.

    Args:
        options: See `LoopOptions`.
        state: Fresh, or from a checkpoint's ``extra``.
        score: Scores the current policy on dev; must leave the random generators alone.
        settings: JSON-able settings written beside every saved policy.
        progress: Where people watch.
        request: Set by signal handlers.
        any_step: The algorithm's state is whole after any step, not only between rollouts.
        penalty: For leaving the start policy; its coefficient is part of the state.
        parallel: The other processes that train the model too; None: there are none.
        told: Hears of each evaluation, a line of ``metrics.jsonl``; training stops where it answers
            True.
    """

    def __init__(
        self,
        options: LoopOptions,
        state: LoopState,
        *,
        score: Callable[[], Score],
        settings: PolicySettings,
        progress: TrainingProgress,
        request: StopRequest,
        any_step: bool = False,
        penalty: KLToStart | None = None,
        parallel: DataParallel | None = None,
        told: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> None:
        super().__init__()
        self.penalty, self.parallel, self.told = penalty, parallel, told
        self.options, self.state = options, state
        self.score, self.settings = score, settings
        self.progress, self.request, self.any_step = progress, request, any_step
        # "early", "budget", "told" or "interrupted" where it ended before its time
        self.stopped: str | None = None
        self._started, self._steps_at_start = time.monotonic(), 0
        self._processor_started = time.process_time()
        self._shown, self._warned = 0.0, False
        self._before: Boundary | None = None
        self._boundary_at = -math.inf

    def _on_training_start(self) -> None:
        self._started, self._steps_at_start = time.monotonic(), self.model.num_timesteps
        self._processor_started = time.process_time()
        if self.options.early_stopping and self.state.stale >= self.options.early_stopping:
            self.stopped = "early"  # a finished run was resumed
        self._agree(save=self.state.next_save == 0)  # early: an evaluation can take long

    def _on_rollout_start(self) -> None:
        self._boundary()

    def _boundary(self) -> None:
        """Evaluate, save or stop where it is due; the model's state is whole here."""
        if self.request.number is not None:
            self.stopped = "interrupted"
        elif self.options.seconds is not None and self._seconds() >= self.options.seconds:
            self._give_up()
        elif self.model.num_timesteps >= self.state.next_eval:
            self._evaluate()
        self._agree(save=self.model.num_timesteps >= self.state.next_save or bool(self.stopped))
        now = time.monotonic()
        keep = isinstance(self.model, OnPolicyAlgorithm) and now - self._boundary_at > SHORT
        keep = keep and self.parallel is None  # the others cannot be stopped inside a rollout
        self._before, self._boundary_at = boundary(self.model) if keep else None, now

    def _agree(self, *, save: bool) -> None:
        """Save where it is due, and say so to the other processes."""
        at = None
        if self.parallel is not None:
            signal = self.request.number if self.stopped == "interrupted" else None
            self.parallel.ranks.told(Orders(save, self.stopped is not None, signal))
            at = whole_boundary(self.parallel, self.model) if save else None
        if save:
            self._save(at)

    def _give_up(self) -> None:
        """Stop at the time limit, after an evaluation of the policy as it is."""
        steps = self.model.num_timesteps
        if self.state.evaluated != steps:
            self._evaluate()
        self.stopped = "budget"
        self.progress.note(
            f"Stopped at the limit of {self.options.seconds:,.0f} s after {steps:,} steps."
        )

    def _on_step(self) -> bool:
        if self.stopped is not None:
            pass  # saved before this step, which is taken again
        elif self.any_step:
            self._boundary()
        elif (
            self.request.number is not None
            and self.request.seconds() > GRACE
            and not self._must_wait
        ):
            # Nobody waits for a long rollout to end: it will be played again.
            self.stopped = "interrupted"
            self._save(self._before)
        now = time.monotonic()
        if now - self._shown >= SHOW_EVERY or self.stopped is not None:
            self._show(now)
        return self.stopped is None

    @property
    def _must_wait(self) -> bool:
        """Whether a stop has to wait for the rollout's end.

        A replay buffer holds parts of it, which no copy takes back; such rollouts are short, unless
        `train_freq` is large.
        """
        rollouts = isinstance(self.model, OnPolicyAlgorithm | OffPolicyAlgorithm)
        return rollouts and self._before is None

    def _show(self, now: float) -> None:
        """Move the bar to where training is."""
        self._shown = now
        self.progress.step(self.model.num_timesteps, self._rate())

    def _on_training_end(self) -> None:
        self._show(time.monotonic())
        if self.stopped is not None:
            return  # saved where it was decided; there is at most one step since
        if self.state.evaluated != self.model.num_timesteps:
            self._evaluate()
        self._log()
        self._agree(save=True)

    def _seconds(self) -> float:
        return self.state.seconds + time.monotonic() - self._started

    def _processor_seconds(self) -> float:
        return self.state.processor_seconds + time.process_time() - self._processor_started

    def _rate(self) -> float:
        elapsed = time.monotonic() - self._started
        return (self.model.num_timesteps - self._steps_at_start) / max(elapsed, 1e-9)

    def _evaluate(self) -> None:
        state, steps = self.state, self.model.num_timesteps
        check_finite(self.model, self.options.run)
        score = self.score()
        state.evaluated, state.next_eval = steps, _next(steps, self.options.eval_freq)
        improved = state.best is None or score.value > state.best
        if improved:
            state.best, state.best_timesteps, state.stale = score.value, steps, 0
            self._save_best(score)
        else:
            state.stale += 1
        rewards = [info["r"] for info in self.model.ep_info_buffer or ()]
        row: dict[str, Any] = {
            "timesteps": steps,
            "seconds": round(self._seconds(), 3),
            "processor_seconds": round(self._processor_seconds(), 3),
            "split": "dev",
            "metric": score.metric,
            "value": score.value,
            "train_reward": float(safe_mean(rewards)) if rewards else None,
            "steps_per_second": round(self._rate(), 1),
            **(figures := watched(score)),
        }
        before = [*read_metrics(self.options.run), *state.unwritten] if figures else []
        if found := alarms(before, row, self.options.rewarded):
            row["alarms"] = found
        state.unwritten.append(row)
        self._log()
        for name, figure in {score.metric: score.value, **figures}.items():
            self.logger.record(f"dev/{name}", figure)
        self.logger.dump(steps)
        assert state.best is not None
        self.progress.evaluation(row, best=state.best, improved=improved)
        for told in row.get("alarms", ()):
            self.progress.note(f"Alarm: {told}.")
        if self.options.early_stopping and state.stale >= self.options.early_stopping:
            self.progress.note(
                f"Early stopping: {state.stale} evaluations without improvement since "
                f"{state.best_timesteps:,} steps."
            )
            self.stopped = "early"
        if self.told is not None and self.told(row):
            self.stopped = "told"

    def _log(self) -> None:
        """Write evaluations into ``metrics.jsonl``; a full disk does not end the run.

        Those that could not be written are kept, in checkpoints too, and tried again.
        """
        try:
            while self.state.unwritten:
                append_metrics(self.options.run, self.state.unwritten[0])
                del self.state.unwritten[0]
        except RunError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"{error} Training goes on, and the evaluation is written there later.",
                    stacklevel=2,
                )

    def _save_best(self, score: Score) -> None:
        run = self.options.run
        with publish(run / "best", fix=lambda: f"continue with: {resume_command(run)}") as folder:
            with averaged_weights(self.model.policy):
                aliases = save_weights(folder, self.model)
            chosen = {
                "aliases": aliases,
                "timesteps": self.model.num_timesteps,
                "metric": score.metric,
                "value": score.value,
            }
            write_json(folder / SETTINGS, {**self.settings, **chosen})

    def _save(self, at: Boundary | None = None) -> None:
        """Save a checkpoint, of now or of the state before the rollout."""
        check_finite(self.model, self.options.run)
        steps = self.model.num_timesteps if at is None else at.counters["num_timesteps"]
        self.state.next_save = _next(steps, self.options.save_freq)
        if self.penalty is not None:
            self.state.kl_coef = self.penalty.coef
            self.state.kl_start = self.penalty.start_sha256
            self.penalty.clear_cache()
        write_checkpoint(
            self.options.run,
            self.model,
            settings=self.settings,
            extra={
                **asdict(self.state),
                "seconds": self._seconds(),
                "processor_seconds": self._processor_seconds(),
            },
            at=at,
        )
