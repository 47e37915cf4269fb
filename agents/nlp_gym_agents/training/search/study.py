"""The study of a search: its sampler, its pruner, where it is stored, and its trials on record."""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym.checks import check_int, check_name
from nlp_gym.errors import InvalidArgumentError, MissingDependencyError, RunError, shown
from nlp_gym_agents.config.train_config import TrainConfig

SAMPLERS = ("tpe", "random", "gp")
PRUNERS = ("median", "halving", "hyperband", "none")
JOURNAL = "study.log"
"""The journal in the study's folder that parallel trials share where no storage is given."""

_LARGEST = 1_000_000
_OWNER, _DRAWN, _SETTINGS = "owner", "hyperparams", "settings"
"""Attributes: who runs a trial, what was drawn for it; which settings a study is of."""


@dataclass(frozen=True)
class SearchOptions:
    """How a search goes; the names are those of RL Zoo's flags.

    Attributes:
        n_trials: Trials of this start; those of earlier ones are not counted.
        max_total_trials: Trials of all starts together, finished and pruned, after which none is
            begun; None: as many as `n_trials`.
        n_jobs: Processes that run trials side by side, on this machine.
        sampler: One of `SAMPLERS`.
        pruner: One of `PRUNERS`.
        n_startup_trials: Trials that are drawn at random, and not pruned by the median, at first.
        n_evaluations: Evaluations of a trial; None: as often as the settings' `eval_freq`.
        storage: Of the study: the URL of a database (``"sqlite:///study.db"``) or the path of a
            journal that ends in ``.log``; None: in memory, or in the study's folder where there are
            several processes.
        study_name: Of the study in the storage; None: made of algorithm and id. A start with the
            storage and name of a study goes on with it.
    """

    n_trials: int = 10
    max_total_trials: int | None = None
    n_jobs: int = 1
    sampler: str = "tpe"
    pruner: str = "median"
    n_startup_trials: int = 10
    n_evaluations: int | None = None
    storage: str | None = None
    study_name: str | None = None

    def __post_init__(self) -> None:
        """Check all values.

        Raises:
            UnknownNameError: No such sampler or pruner.
            InvalidArgumentError: A value of the wrong type or outside what is allowed.
        """
        check_name("sampler", self.sampler, SAMPLERS)
        check_name("pruner", self.pruner, PRUNERS)
        for name in ("n_trials", "n_jobs"):
            check_int(name, getattr(self, name), 1, _LARGEST)
        check_int("n_startup_trials", self.n_startup_trials, 0, _LARGEST)
        for name in ("max_total_trials", "n_evaluations"):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name), 1, _LARGEST)
        for name in ("storage", "study_name"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise InvalidArgumentError(f"{name}={shown(value)} must be text, or left out.")
        if self.storage is not None and not ("://" in self.storage or self.storage[-4:] == ".log"):
            raise InvalidArgumentError(
                f"storage={shown(self.storage)} is neither the URL of a database nor a journal "
                "whose name ends in .log: give such as sqlite:///study.db or study.log."
            )
        if self.study_name is not None and self.storage is None:
            raise InvalidArgumentError(
                f"study_name={shown(self.study_name)} names a study in a storage: give --storage "
                "too, such as sqlite:///study.db or study.log."
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def load_optuna() -> Any:
    """The optuna package.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingDependencyError("optuna", "optuna", "--optimize") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


class Study:
    """A study of merged settings, in memory or in a storage, as one process sees it.

    Args:
        base: The merged settings of all trials.
        options: How the search goes.
        worker: Number of this process among those that run trials.

    Raises:
        MissingDependencyError: optuna, or the storage's database driver, is not installed.
        InvalidArgumentError: The storage cannot be used, or holds a study of that name of another
            task or algorithm.
    """

    def __init__(self, base: TrainConfig, options: SearchOptions, *, worker: int = 0) -> None:
        self._optuna = load_optuna()
        self.base, self.options, self.worker = base, options, worker
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            self._study = self._open()
        self._check_settings()

    def _open(self) -> Any:
        options = self.options
        try:
            self.storage = self._storage()
            return self._optuna.create_study(
                direction="maximize",
                storage=self.storage,
                study_name=self.name,
                pruner=self._pruner(),
                load_if_exists=True,
            )
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                error.name or "the database's driver", "optuna", f"storage={options.storage}"
            ) from error
        except Exception as error:  # whatever the driver of a database raises
            raise InvalidArgumentError(
                f"storage={shown(options.storage)} cannot be used "
                f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}). "
                "Give the URL of a database, such as sqlite:///study.db, or a path that ends in "
                ".log."
            ) from error

    @property
    def name(self) -> str:
        """Of the study in its storage."""
        return self.options.study_name or f"{self.base.algo}-{self.base.env}"

    def _storage(self) -> Any:
        given = self.options.storage
        if given is None:
            return self._optuna.storages.InMemoryStorage()
        if "://" in given:
            return self._optuna.storages.get_storage(given)
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        Path(given).expanduser().parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(Path(given).expanduser())))

    def _pruner(self) -> Any:
        pruners, options = self._optuna.pruners, self.options
        evaluations = self.evaluations
        if options.pruner == "median":
            return pruners.MedianPruner(
                n_startup_trials=options.n_startup_trials, n_warmup_steps=evaluations // 3
            )
        if options.pruner == "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=4)
        if options.pruner == "hyperband":
            return pruners.HyperbandPruner(min_resource=1, max_resource=evaluations)
        return pruners.NopPruner()

    @property
    def evaluations(self) -> int:
        """Evaluations of a trial that is not pruned, as the settings have them."""
        total, every = self.base.n_timesteps or 1, self.base.eval_freq or 1
        return max(-(-total // every), 1)

    def sampler(self, number: int, *, several: bool = False) -> Any:
        """The sampler of the trial with this number.

        Its seed depends on the number alone: a search that goes on draws what it would have drawn.

        Args:
            number: Of the trial.
            several: Trials run side by side.
        """
        entropy = (self.base.seed, number, self.worker)
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        samplers, startup = self._optuna.samplers, self.options.n_startup_trials
        if self.options.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        if self.options.sampler == "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=startup)
        return samplers.TPESampler(
            seed=seed,
            n_startup_trials=startup,
            multivariate=True,
            # What others are trying is no place to look.
            constant_liar=several or self.options.n_jobs > 1,
        )

    def _check_settings(self) -> None:
        own = {"algo": self.base.algo, "env": self.base.env}
        found = self._study.user_attrs.get(_SETTINGS)
        if found is None:
            self._study.set_user_attr(_SETTINGS, own)
        elif found != own:
            raise InvalidArgumentError(
                f"study_name={shown(self._study.study_name)}: the storage holds a study of that "
                f"name of {found['algo']} on {found['env']}, and this one is of {own['algo']} on "
                f"{own['env']}. Give another --study-name."
            )

    def ask(self) -> Any:
        """A fresh `optuna.Trial`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            self._study.sampler = self.sampler(self.count())
            trial = self._study.ask()
        self.own(trial)
        return trial

    def count(self) -> int:
        """Number of trials, those that run included."""
        return len(self._study.get_trials(deepcopy=False))

    @staticmethod
    def own(trial: Any) -> None:
        """Note that a trial ends with this process."""
        trial.set_user_attr(_OWNER, [socket.gethostname(), os.getpid()])

    @staticmethod
    def note_drawn(trial: Any, drawn: Mapping[str, Any]) -> None:
        """Keep what was drawn for a trial."""
        trial.set_user_attr(_DRAWN, drawn)

    def tell(self, trial: Any, value: float | None, state: str) -> None:
        """End a trial: ``"complete"`` with its value, ``"pruned"`` or ``"fail"`` without one."""
        ended = self._optuna.trial.TrialState[state.upper()]
        self._study.tell(trial, value if state == "complete" else None, ended)

    def bury(self, *, own: bool = False) -> None:
        """End trials of processes of this machine that died without a word.

        Args:
            own: Those of this process too: it has stopped them.
        """
        running = self._optuna.trial.TrialState.RUNNING
        for trial in self._study.get_trials(deepcopy=False, states=(running,)):
            host, process = trial.user_attrs.get(_OWNER, ("", 0))
            died = not _lives(process) or (own and process == os.getpid())
            if host == socket.gethostname() and died:
                self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)

    def is_full(self) -> bool:
        """Whether there are as many trials as there may be in all, those that run included."""
        return self.room() <= 0

    def room(self) -> int:
        """How many trials this start may begin, were it to run all of them now."""
        if self.options.max_total_trials is None:
            return self.options.n_trials
        states = self._optuna.trial.TrialState
        counted = (states.COMPLETE, states.PRUNED, states.RUNNING)
        trials = self._study.get_trials(deepcopy=False, states=counted)
        return min(self.options.n_trials, self.options.max_total_trials - len(trials))

    def rows(self) -> list[dict[str, Any]]:
        """The trials that ended, by number.

        Each has its number, state, best dev metric (None for one that failed), hyperparameters and
        optuna's own parameters.
        """
        return [
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "value": _value(trial),
                "evaluations": len(trial.intermediate_values),
                "hyperparams": trial.user_attrs.get(_DRAWN, {}),
                "params": trial.params,
            }
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state.is_finished() and trial.user_attrs.get(_DRAWN) is not None
        ]


def _value(trial: Any) -> float | None:
    """What a trial came to; a pruned one its best evaluation."""
    if trial.state.name == "COMPLETE":
        return float(trial.value)
    return max(trial.intermediate_values.values(), default=None)


def _lives(process: int) -> bool:
    """Whether a process of this machine is there; on Windows, which cannot say, it is."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def best_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The completed row with the highest value; the earliest of equals.

    Raises:
        RunError: None was completed.
    """
    complete = [row for row in rows if row["state"] == "complete"]
    if not complete:
        raise RunError(
            "No trial of the search was completed: they were stopped, or training diverged with "
            "each. Give more --n-trials, or --hyperparams with a smaller max_grad_norm."
        )
    return max(complete, key=lambda row: (row["value"], -row["number"]))
