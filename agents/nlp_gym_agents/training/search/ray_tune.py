"""Trials of a search on the nodes of a Ray cluster: Ray Tune runs them, optuna draws them."""

from __future__ import annotations

import importlib
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch as th

from nlp_gym.errors import DivergenceError, InvalidArgumentError, NLPGymError, RunError, shown
from nlp_gym_agents.cluster.ray_tasks import RETRIES, Cluster
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.training.search.spaces import suggest_for
from nlp_gym_agents.training.search.study import Study
from nlp_gym_agents.training.search.trial import run_trial
from nlp_gym_agents.training.search.workers import Search

_VALUE, _ENDED, _ERROR = "value", "ended", "error"
"""What a trial reports: the best dev metric so far, whether it is complete, what it failed with."""
_ITERATION = "training_iteration"
_WORST = 0.0
"""Reported of a trial that never came to an evaluation; metrics begin here."""
_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "TUNE_WARN_SLOW_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "600",
}


def run_on_ray(
    cluster: Cluster, study: Study, search: Search, *, ended: Callable[[], None]
) -> None:
    """Run trials on the nodes of a cluster; a trial whose node dies is run again.

    The runs of the trials stay on the nodes and are removed there.

    Args:
        cluster: Which.
        study: Of the search; it is written here, by the driver alone.
        search: What to run; its data must lie under the same path on every node.
        ended: Called after each trial.

    Raises:
        InvalidArgumentError: The search is to use several processes of this machine too.
        MissingDependencyError: Ray is not installed.
        RunError: The cluster cannot be used, or settings or data are not usable on a node.
    """
    if search.options.n_jobs > 1:
        raise InvalidArgumentError(
            f"n_jobs={shown(search.options.n_jobs)} is for trials on this machine alone: leave it "
            "out with --ray, where as many run as the cluster has room for."
        )
    count = study.room()
    if count <= 0:
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with (
        cluster.joined("--optimize --ray") as workers,
        tempfile.TemporaryDirectory(prefix="nlp_gym_tune_") as folder,
    ):
        from ray import tune

        gpus = workers.gpus_for(search.base.device)
        there = tune.with_parameters(run_there, search=search, threads=cluster.cpus)
        failed: list[str] = []
        tuner = tune.Tuner(
            tune.with_resources(there, {"cpu": cluster.cpus, "gpu": gpus}),
            tune_config=tune.TuneConfig(
                search_alg=_searcher(study),
                scheduler=_scheduler(study),
                num_samples=count,
                max_concurrent_trials=workers.places(gpus),
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=folder,
                stop=_stopper(failed),
                callbacks=[_listener(ended)],
                failure_config=tune.FailureConfig(max_failures=RETRIES),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        finally:
            study.bury(own=True)
    if failed:
        raise RunError(f"A trial failed on its node: {failed[0]}")


def run_there(config: Mapping[str, Any], *, search: Search, threads: int) -> None:
    """A trial, on a node.

    Args:
        config: `drawn`: the hyperparameters.
        search: What to run.
        threads: Threads of torch.
    """
    from ray import tune

    th.set_num_threads(threads)
    values: list[float] = []

    def report(step: int, value: float) -> bool:
        values.append(value)
        tune.report({_VALUE: max(values)})  # the thread ends here where the trial is stopped
        return False

    ending: dict[str, Any] = {_ENDED: True}
    try:
        for name in search.packages:
            importlib.import_module(name)
        with tempfile.TemporaryDirectory(prefix="nlp_gym_trial_") as folder:
            place = Path(folder) / "run"
            run_trial(search.base, config["drawn"], place, report=report, trust=search.trust)
    except DivergenceError:
        ending = {}  # as good as none, and the search goes on
    except NLPGymError as error:
        ending = {_ERROR: str(error)}
    tune.report({_VALUE: max(values, default=_WORST), **ending})


def _searcher(study: Study) -> Any:
    """Optuna as Ray Tune asks it; its trials are those of `study`."""
    from ray.tune.search.optuna import OptunaSearch

    class Searcher(OptunaSearch):
        """Trials that were stopped early are pruned, not complete."""

        def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
            if result.get(_ENDED):  # it repeats what the last evaluation said
                return
            with warnings.catch_warnings():  # a trial that began again reports the same steps
                warnings.filterwarnings("ignore", "The reported value is ignored", UserWarning)
                super().on_trial_result(trial_id, result)

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            complete = bool(result and result.get(_ENDED))
            super().on_trial_complete(trial_id, result if complete else None, error)

    return Searcher(
        partial(_draw, study.base),
        metric=_VALUE,
        mode="max",
        sampler=study.sampler(study.count(), several=True),
        storage=study.storage,
        study_name=study.name,
    )


def _draw(base: TrainConfig, trial: Any) -> dict[str, Any]:
    """What is drawn for a trial; Ray Tune pickles this function with its progress."""
    drawn = suggest_for(trial, base)
    Study.own(trial)
    Study.note_drawn(trial, drawn)
    return {"drawn": drawn}


def _scheduler(study: Study) -> Any:
    """What stops trials early: Ray Tune's counterpart of the pruner."""
    from ray.tune import schedulers

    options, kind = study.options, study.options.pruner
    common = {"metric": _VALUE, "mode": "max", "time_attr": _ITERATION}
    if kind == "median":
        return schedulers.MedianStoppingRule(
            grace_period=max(study.evaluations // 3, 1),
            min_samples_required=max(options.n_startup_trials, 1),
            **common,
        )
    longest = 2 * study.evaluations + 1  # never reached: it would stop trials that are complete
    if kind == "halving":
        return schedulers.ASHAScheduler(max_t=longest, reduction_factor=4, **common)
    if kind == "hyperband":
        return schedulers.ASHAScheduler(max_t=longest, brackets=3, **common)
    return schedulers.FIFOScheduler()


def _stopper(failed: list[str]) -> Any:
    """Stops the search where a trial met what all would meet; its message goes into `failed`."""
    from ray import tune

    class Stopper(tune.Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            if _ERROR in result:
                failed.append(str(result[_ERROR]))
            return False

        def stop_all(self) -> bool:
            return bool(failed)

    return Stopper()


def _listener(ended: Callable[[], None]) -> Any:
    """Calls `ended` after each trial."""
    from ray import tune

    class Listener(tune.Callback):
        def on_trial_complete(self, *args: Any, **kwargs: Any) -> None:
            ended()

        def on_trial_error(self, *args: Any, **kwargs: Any) -> None:
            ended()

        def __reduce__(self) -> Any:
            # Ray Tune saves its callbacks, to go on with them; nothing goes on with this one.
            return tune.Callback, ()

    return Listener()
