"""A trained agent: its saved policy, loaded from a run folder, and the tasks it can play."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym import make_task
from nlp_gym.checks import check_name, check_path
from nlp_gym.encode import Encoder
from nlp_gym.errors import InvalidArgumentError, RunError, shown
from nlp_gym.progress import progress_bar, progress_wanted
from nlp_gym.tasks.candidates.victim import register_loader
from nlp_gym.tasks.core.make import task_class
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym_agents.algorithms.registry import AlgorithmRow, resolve
from nlp_gym_agents.config.learning import tuning_of
from nlp_gym_agents.config.signatures import arguments
from nlp_gym_agents.config.validation import check_params
from nlp_gym_agents.models.alternatives import Place, with_alternatives
from nlp_gym_agents.models.build import build_model, encode, feature_source
from nlp_gym_agents.models.chances import Chances, play_with_chances
from nlp_gym_agents.models.play import outputs_of
from nlp_gym_agents.models.size_limit import check_width
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.features.swap_source import swapped_source
from nlp_gym_agents.runs.files.weights import POLICY, load_policy
from nlp_gym_agents.runs.folder import find_snapshot
from nlp_gym_agents.runs.settings import SnapshotSettings

# Installed packages say so by an entry point, too; a source tree has none.
register_loader("nlp_gym_agents.attack.victim:RunVictim")


def _smallest_memory(row: AlgorithmRow) -> dict[str, int]:
    """The smallest replay buffer or rollout, for a model that only acts.

    Rollouts as in training would not do either: one environment stands for many here.
    """
    known = arguments(row.cls)
    if "buffer_size" in known:
        return {"buffer_size": 1}
    return {name: 2 for name in ("n_steps", "batch_size") if name in known}


def _check_fixed(cls: type[Task], overrides: Mapping[str, Any]) -> None:
    """Refuse arguments that decide the size of what was trained."""
    for name in cls.fixed_arguments:
        if name in overrides:
            raise InvalidArgumentError(
                f"{name}={shown(overrides[name])} cannot be given to a trained agent, which "
                "writes with what it learned. Train with it."
            )


def _number_format(encoder: Encoder, kwargs: Mapping[str, Any]) -> str:
    """``"(dtype float32, asked for as auto) "`` where the encoder has one."""
    dtype = getattr(encoder, "dtype", None)
    if dtype is None:
        return ""
    asked = (kwargs.get("encoder_kwargs") or {}).get("dtype", "auto")
    return f"(dtype {dtype}, asked for as {asked}) "


@dataclass
class TrainedModel:
    """A trained policy and what it was trained on. Made by `load_trained`; loads no pickle.

    Attributes:
        run: Its run folder.
        folder: The snapshot inside it.
        settings: ``settings.json`` of the snapshot.
        device: Where it runs.
    """

    run: Path
    folder: Path
    settings: SnapshotSettings
    device: str = "auto"
    _model: BaseAlgorithm | None = field(default=None, repr=False)
    _encoder: Encoder | None = field(default=None, repr=False)
    _read: Task | None = field(default=None, repr=False)
    _source: FeatureSource | None = field(default=None, repr=False)

    @property
    def env_id(self) -> str:
        """The id it was trained on."""
        return str(self.settings["env"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Its label inventory, in order of the actions."""
        return tuple(self.settings["labels"])

    @property
    def tuning(self) -> Tuning | None:
        """How its encoder learned; None: it was frozen."""
        return tuning_of(self.settings["hyperparams"])

    def task(self, split: str, **overrides: Any) -> Task:
        """The agent's task on another corpus, with the agent's labels and encoder.

        Args:
            split: ``"train"``, ``"dev"`` or ``"test"``.
            **overrides: Arguments of the task, such as `data` and `data_dir`.

        Raises:
            RunError: The encoder gives other vectors than the one of the run.
        """
        labels = list(self.labels) or None  # tasks that choose among candidates have none
        cls = task_class(self.env_id)
        _check_fixed(cls, overrides)
        learnt = self.settings.get("learnt", {})
        kwargs = {**self.settings["env_kwargs"], "labels": labels, **learnt, **overrides}
        if overrides.get("data") is not None:
            kwargs = {**cls.kept_arguments(self.settings["env_kwargs"]), **kwargs}
        if self._encoder is not None:
            kwargs["encoder"] = self._encoder
            kwargs["encoder_kwargs"] = None
        task = make_task(self.env_id, split=split, **kwargs)
        self.check_encoder(task, asked=kwargs)
        self._encoder = task.encoder
        return task

    def check_encoder(self, task: Task, *, asked: Mapping[str, Any] | None = None) -> None:
        """Refuse a task whose vectors are not those the agent was trained on.

        Args:
            task: Its encoder is looked at.
            asked: The arguments it was made with, for the message.

        Raises:
            RunError: The encoder gives other vectors than the one of the run.
        """
        check_width(task.encoder, self.folder / POLICY)
        expected, found = self.settings["encoder"]["fingerprint"], task.encoder.fingerprint
        if found != expected:
            raise RunError(
                f"encoder {shown(task.encoder.name)} "
                f"{_number_format(task.encoder, asked or {})}has fingerprint {found[:12]}, but the "
                f"run was trained with {expected[:12]}: its weights, options (layers and dtype "
                "among them) or the release differ, and so do its vectors. Use what the run's "
                "versions.json and config.yml name (one that learns has 'encoder_kwargs:{layers: "
                "last}' unless --env-kwargs says otherwise), or train again."
            )

    def model(self, task: Task) -> BaseAlgorithm:
        """The algorithm object with the saved policy; `task`, encoded, is what it reads first."""
        if self._model is None:
            with progress_bar(None, f"loading the agent of {self.run}"):
                self._model = self._load(task)
        return self._model

    def outputs(
        self,
        task: Task,
        *,
        progress: bool = False,
        cache: bool = True,
        rows: Sequence[int] | None = None,
    ) -> list[Output]:
        """Play samples of `task` (None: all), each once; one output each. Options as `encode`'s."""
        masked, obs_type = resolve(self.settings["algo"]).masked, self.settings["obs_type"]
        reading = self.reading(task, progress=progress, cache=cache)
        with progress_wanted(progress), reading as model:
            return outputs_of(model, task, masked=masked, obs_type=obs_type, rows=rows)

    def decided(
        self, task: Task, *, progress: bool = False, cache: bool = False, **options: Any
    ) -> tuple[list[Output], list[Chances | None]]:
        """As `outputs`, and how likely the model held its decisions.

        Args:
            task: What is played.
            progress: As for `encode`.
            cache: As for `encode`.
            **options: Those of `play_with_chances`.
        """
        masked, obs_type = resolve(self.settings["algo"]).masked, self.settings["obs_type"]
        reading = self.reading(task, progress=progress, cache=cache)
        with progress_wanted(progress), reading as model:
            return play_with_chances(model, task, masked=masked, obs_type=obs_type, **options)

    def alternatives(self, task: Task, most: int) -> tuple[list[str], list[list[Place]]]:
        """Texts written greedily, with what else could have been; see `with_alternatives`."""
        with self.reading(task, cache=False) as model:
            obs_type = self.settings["obs_type"]
            return with_alternatives(model, task, most=most, obs_type=obs_type)

    @contextmanager
    def reading(
        self, task: Task, *, progress: bool = False, cache: bool = True
    ) -> Iterator[BaseAlgorithm]:
        """The model, which reads `task` for the duration of the block. Options as `encode`'s."""
        obs_type, trainable = self.settings["obs_type"], self.tuning is not None
        if not trainable:
            encode(task, progress=progress, cache=cache)
        fresh = self._model is None  # then it reads this task already
        model = self.model(task)
        if self._read is not task:
            self._read = task
            self._source = None
            if not fresh:
                self._source = feature_source(task, obs_type, model.device, trainable=trainable)
        source = self._source
        with nullcontext() if source is None else swapped_source(model.policy, source):
            yield model

    def _load(self, task: Task) -> BaseAlgorithm:
        row, obs_type = resolve(self.settings["algo"]), self.settings["obs_type"]
        given = check_params(row, self.settings["hyperparams"], writes=task.writes)
        hyperparams = {**given, **_smallest_memory(row)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on batch sizes, for one environment
            model = build_model(
                row,
                task,
                hyperparams,
                obs_type=obs_type,
                device=self.device,
                tuning=self.tuning,
                weights=self.folder / POLICY,
                learns=False,
            )
        load_policy(self.folder, model, self.settings["aliases"])
        return model


def load_trained(
    run: str | Path,
    *,
    checkpoint: str = "best",
    device: str = "auto",
    trust: Sequence[str] | str = (),
) -> TrainedModel:
    """The trained policy of a run folder.

    Args:
        run: The folder that `nlp-gym train` printed.
        checkpoint: ``"best"`` by the dev metric, or ``"last"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        trust: Modules of your own that the run's settings may have imported, such as that of its
            algorithm; a package covers the modules in it.

    Raises:
        RunError: The folder is missing, incomplete, damaged or of another version, or its settings
            ask for a module that is neither registered nor trusted.
    """
    run = check_path("run", run, "run folder")
    check_name("checkpoint", checkpoint, ("best", "last"))
    folder, settings = find_snapshot(run, checkpoint, trust=trust)
    return TrainedModel(run, folder, settings, device)
