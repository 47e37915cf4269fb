"""Trials of a search: one after the other in this process, or side by side in several.

Processes rather than threads: a training run has global state (signals, torch's generator and
threads). They share nothing but the study's storage.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch as th

from nlp_gym.errors import DivergenceError, NLPGymError, RunError
from nlp_gym.messages import show_warnings_once
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.training.search.spaces import suggest_for
from nlp_gym_agents.training.search.study import SearchOptions, Study
from nlp_gym_agents.training.search.trial import run_trial

_POLL = 0.5  # seconds between two looks at what other processes have finished
_PATIENCE = 60.0  # seconds in which a process that is asked to stop saves and stops


@dataclass(frozen=True)
class Search:
    """Everything that a process which runs trials needs.

    Attributes:
        base: Merged settings of all trials.
        options: How the search goes.
        folder: The study's folder; a trial's run is ``trial_<number>`` in it.
        progress: Show the evaluations of each trial on stderr.
        trust: As for `training.train.train`.
        packages: Modules that register ids, which a process of its own has to import.
    """

    base: TrainConfig
    options: SearchOptions
    folder: Path
    progress: bool = False
    trust: Sequence[str] | str = ()
    packages: tuple[str, ...] = ()


def one_trial(study: Study, search: Search) -> None:
    """Ask for a trial, run it, and tell the study what became of it.

    Raises:
        KeyboardInterrupt: A signal stopped it.
        NLPGymError: The settings or the data are not usable.
    """
    trial = study.ask()
    state, value = "fail", None
    try:
        drawn = suggest_for(trial, search.base)
        study.note_drawn(trial, drawn)
        pruned = False

        def report(step: int, value: float) -> bool:
            nonlocal pruned
            trial.report(value, step)
            pruned = trial.should_prune()
            return pruned

        place = search.folder / f"trial_{trial.number}"
        value = run_trial(
            search.base, drawn, place, report=report, progress=search.progress, trust=search.trust
        )
        state = "pruned" if pruned else "complete"
    except DivergenceError:
        state = "pruned"  # as good as none, and the search goes on
    finally:
        study.tell(trial, value, state)


def run_here(study: Study, search: Search, *, ended: Callable[[], None]) -> None:
    """Run trials one after the other.

    Args:
        study: Of the search.
        search: What to run.
        ended: Called after each trial.
    """
    for _ in range(search.options.n_trials):
        if study.is_full():
            return
        one_trial(study, search)
        ended()


def run_apart(study: Study, search: Search, *, ended: Callable[[], None]) -> None:
    """Run trials in `n_jobs` processes; a signal stops them all.

    Args:
        study: Of the search, as this process sees it.
        search: What to run; it has a storage.
        ended: Called now and then, when trials may have ended.

    Raises:
        RunError: What the first process that failed raised, or one died, as for lack of memory.
    """
    context = multiprocessing.get_context("spawn")
    left = context.Value("i", search.options.n_trials)
    failures = context.SimpleQueue()
    jobs = range(min(search.options.n_jobs, search.options.n_trials))
    processes = [
        context.Process(target=_work, args=(search, worker, left, failures), daemon=True)
        for worker in jobs
    ]
    with _interrupted_by_signals(), _stopped_in_the_end(processes):
        for process in processes:
            process.start()
        while any(process.is_alive() for process in processes):
            for process in processes:
                process.join(_POLL / len(processes))
            ended()
            if not failures.empty():
                break
    if not failures.empty():
        raise RunError(failures.get())
    codes = {process.exitcode for process in processes} - {0}
    if codes:
        raise RunError(
            f"A process of the search ended with exit status {min(codes, key=str)} (-9: killed, "
            "perhaps for lack of memory; then give fewer --n-jobs). The trials that ended are kept."
        )


def _work(search: Search, worker: int, left: Any, failures: Any) -> None:
    """A process of `run_apart`: takes trials until none is left."""
    import importlib

    jobs = search.options.n_jobs
    show_warnings_once()
    if "OMP_NUM_THREADS" not in os.environ:
        th.set_num_threads(max((os.cpu_count() or 1) // jobs, 1))
    try:
        for name in search.packages:
            importlib.import_module(name)
        study = Study(search.base, search.options, worker=worker)
        while not study.is_full():
            with left.get_lock():
                if left.value <= 0:
                    return
                left.value -= 1
            one_trial(study, search)
    except KeyboardInterrupt:
        sys.exit(0)  # the parent was asked too, and reports what was found
    except NLPGymError as error:
        failures.put(str(error))


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP are as Ctrl-C."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    previous = {name: signal.signal(getattr(signal, name), interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(getattr(signal, name), handler)


@contextmanager
def _stopped_in_the_end(processes: Sequence[BaseProcess]) -> Iterator[None]:
    """Leave no process behind: they are asked to stop, and killed where they do not."""
    try:
        yield
    finally:
        started = [process for process in processes if process.pid is not None]
        for process in started:
            if process.is_alive():
                process.terminate()  # SIGTERM, which a run takes as a wish to stop
        for process in started:
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
