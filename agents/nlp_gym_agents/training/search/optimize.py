"""``nlp-gym train --optimize``: a search of hyperparameters with optuna."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.files import write_json
from nlp_gym.progress import progress_bar, tell
from nlp_gym_agents.algorithms.parallel.ranks import launched
from nlp_gym_agents.cluster.ray_tasks import Cluster, load_ray
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.runs.folder import RUNS, claim_run, new_run, write_settings, writing
from nlp_gym_agents.training.search.ray_tune import run_on_ray
from nlp_gym_agents.training.search.spaces import suggest, suggest_for
from nlp_gym_agents.training.search.study import (
    JOURNAL,
    SearchOptions,
    Study,
    best_of,
    load_optuna,
)
from nlp_gym_agents.training.search.trial import run_trial, with_drawn
from nlp_gym_agents.training.search.workers import Search, run_apart, run_here
from nlp_gym_agents.training.signals import SearchInterrupted

__all__ = ["SearchOptions", "optimize", "run_trial", "suggest", "suggest_for", "with_drawn"]


def optimize(
    config: TrainConfig,
    *,
    options: SearchOptions | None = None,
    n_trials: int | None = None,
    run_dir: str | Path | None = None,
    log_folder: str | Path = RUNS,
    progress: bool = True,
    trust: Sequence[str] | str = (),
    packages: Sequence[str] = (),
    cluster: Cluster | None = None,
) -> Path:
    """Search hyperparameters by the best dev metric of short runs.

    With one job the seed decides everything, also where a study in a storage is gone on with.

    Args:
        config: As for `training.train.train`; its `n_timesteps` is the length of one trial.
        options: How the search goes; None: as `SearchOptions` has it.
        n_trials: Shorthand for that field of `options`.
        run_dir: Where ``study.json`` and ``best.yml`` go, and the trials' runs; None counts up
            under ``log_folder/optimize/``. A study with a storage may go on in its own folder.
        log_folder: See `run_dir`.
        progress: Show each trial's evaluations on stderr; of parallel trials a line each.
        trust: As for `training.train.train`.
        packages: Modules that register ids, for the processes of parallel trials.
        cluster: The Ray cluster on which trials run, as many as it has room for; None: here.

    Returns:
        The folder. ``best.yml`` is a config for ``nlp-gym train --conf-file``; ``study.json`` lists
        all trials and is written after each.

    Raises:
        InvalidArgumentError: ``torchrun`` started several processes.
        MissingDependencyError: optuna, or Ray for a cluster, is not installed.
        RunError: No trial was completed, or the folder cannot be written to.
        NLPGymError: The settings or the data are not usable.
        SearchInterrupted: A signal stopped it; the folder has what was found until then.
        KeyboardInterrupt: A signal stopped it before a trial was completed.
    """
    _check_alone()
    load_optuna()
    if cluster is not None:
        load_ray("--optimize --ray")
    options = options or SearchOptions()
    if n_trials is not None:
        options = dataclasses.replace(options, n_trials=n_trials)
    base = merge(config)
    if options.n_evaluations is not None:
        every = max((base.n_timesteps or 1) // options.n_evaluations, 1)
        base = base.with_changes(eval_freq=every, save_freq=every)
    # A trial is not resumed: it is saved at its end only.
    base = base.with_changes(save_freq=base.n_timesteps)
    folder = _folder(base, options, run_dir, log_folder)
    if options.n_jobs > 1 and options.storage is None:
        options = dataclasses.replace(options, storage=str((folder / JOURNAL).resolve()))
    study = Study(base, options)
    study.bury()
    apart = options.n_jobs > 1
    shown = progress and not apart and cluster is None
    search = Search(base, options, folder, shown, trust, tuple(packages))
    record = _Record(study, folder, progress)
    interrupted: SearchInterrupted | None = None
    try:
        if cluster is not None:
            run_on_ray(cluster, study, search, ended=record.update)
        else:
            (run_apart if apart else run_here)(study, search, ended=record.update)
    except KeyboardInterrupt as error:
        record.update()
        complete = sum(row["state"] == "complete" for row in record.rows)
        if not complete:
            raise
        number = getattr(error, "signal_number", signal.SIGINT)
        interrupted = SearchInterrupted(folder, complete, number)
    finally:
        record.close()
        with suppress(Exception):  # an error that is on its way says more
            study.bury()  # processes that were killed
            record.update()
    best = best_of(record.rows)
    chosen = with_drawn(base, best["hyperparams"]).with_changes(
        eval_freq=config.eval_freq, save_freq=config.save_freq
    )
    with writing(folder):
        write_settings(folder / "best.yml", chosen.as_dict())
    if interrupted is not None:
        raise interrupted
    return folder


def _check_alone() -> None:
    """Refuse a search by processes that train one model together.

    Raises:
        InvalidArgumentError: ``torchrun`` started more than this one.
    """
    size = launched()[1]
    if size > 1:
        raise InvalidArgumentError(
            f"--optimize with {size} processes of torchrun: they train one model together, and "
            "each would search by itself. Start the search without torchrun, and give --n-jobs or "
            "--ray to run trials side by side."
        )


def _folder(
    base: TrainConfig, options: SearchOptions, run_dir: str | Path | None, log_folder: str | Path
) -> Path:
    """The study's folder: a new one, or that of a study in a storage which goes on."""
    if run_dir is None:
        return new_run("optimize", base.env, root=log_folder)
    if options.storage is not None and (Path(run_dir) / "study.json").is_file():
        return Path(run_dir)
    return claim_run(run_dir)


class _Record:
    """``study.json`` and the lines on stderr, kept up with the study.

    Args:
        study: The study.
        folder: Its folder.
        shown: Print a line for each trial that ended.
    """

    def __init__(self, study: Study, folder: Path, shown: bool) -> None:
        self.study, self.folder, self.shown = study, folder, shown
        self.rows = study.rows()
        self._known = {row["number"] for row in self.rows}
        self._bar = ExitStack()
        self._advance = self._bar.enter_context(
            progress_bar(study.options.n_trials, "searching", unit="trials", show=shown)
        )
        if self.rows and shown:
            tell(f"The study goes on after {len(self.rows)} trials.")

    def update(self) -> None:
        """Write and print what is new.

        Raises:
            RunError: The disk is full.
        """
        self.rows = self.study.rows()
        new = [row for row in self.rows if row["number"] not in self._known]
        if not new:
            return
        self._known |= {row["number"] for row in new}
        self._advance(len(new))
        base = self.study.base
        with writing(self.folder):
            write_json(
                self.folder / "study.json",
                {
                    "algo": base.algo,
                    "env": base.env,
                    "search": self.study.options.as_dict(),
                    "trials": self.rows,
                },
            )
        for row in new if self.shown else ():
            tell(self._line(row))

    def _line(self, row: dict[str, Any]) -> str:
        value = "-" if row["value"] is None else f"{row['value']:.4f}"
        complete = [r["value"] for r in self.rows if r["state"] == "complete"]
        best = f"; best {max(complete):.4f}" if complete else ""
        return f"trial {row['number']}: {row['state']}, dev {value}{best}"

    def close(self) -> None:
        """The search is over."""
        self._bar.close()
