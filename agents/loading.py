"""From settings to a model: a fresh one to train, or a saved policy to act with."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.acting import make_act
from agents.algorithms import AlgorithmRow, resolve
from agents.checkpoints import load_policy
from agents.config import build_arguments
from agents.extractors import FeatureSource, NLPExtractor, reading
from agents.runs import find_snapshot
from agents.vec import SB3VecEnv
from nlp_gym import make_task
from nlp_gym.encode import encode_corpus, encode_texts
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.tasks.base import Output, Task, rollout

OBS_TYPES = ("index", "features")


def encode(task: Task, *, progress: bool = False, cache: bool = True) -> None:
    """Encode a task's corpus now, with a progress bar, rather than at its first observation.

    Args:
        task: Gets its `encoded`.
        progress: Show a bar on stderr where it takes longer.
        cache: False for texts that will not be seen again.
    """
    if cache:
        task.encoded = encode_corpus(task.corpus, task.encoder, progress=progress)
    else:
        texts = [sample.words for sample in task.corpus.samples]
        task.encoded = encode_texts(texts, task.encoder, progress=progress)


def source_of(task: Task, obs_type: str, device: Any) -> FeatureSource | None:
    """Where an extractor gathers vectors from; None where the observation carries them."""
    return FeatureSource(task, device) if obs_type == "index" else None


def build_model(
    row: AlgorithmRow,
    task: Task,
    hyperparams: Mapping[str, Any],
    *,
    n_envs: int = 1,
    obs_type: str = "index",
    seed: int = 0,
    device: str = "auto",
) -> Any:
    """A fresh algorithm object on `n_envs` environments of `task`.

    Args:
        row: Which algorithm.
        task: Its corpus should be encoded.
        hyperparams: As in ``hyperparams/<algo>.yml``.
        n_envs: Environments side by side.
        obs_type: ``"index"`` or ``"features"``.
        seed: Seeds weights, exploration and environments.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.

    Raises:
        InvalidArgumentError: A hyperparameter's value is refused by the algorithm.
    """
    if obs_type not in OBS_TYPES:
        raise InvalidArgumentError(
            f"obs_type={obs_type!r}: the agents read {' or '.join(OBS_TYPES)}; 'tokens' is for code that "
            "brings its own encoder."
        )
    venv = SB3VecEnv(TaskVectorEnv(task, n_envs, obs_type=obs_type))
    arguments = build_arguments(hyperparams)
    policy_kwargs = dict(arguments.pop("policy_kwargs", {}))
    policy_kwargs["features_extractor_class"] = NLPExtractor
    policy_kwargs["features_extractor_kwargs"] = {
        **policy_kwargs.get("features_extractor_kwargs", {}),
        "source": source_of(task, obs_type, device),
    }
    try:
        return row.cls(
            env=venv, policy_kwargs=policy_kwargs, seed=seed, device=device, verbose=0, **arguments
        )
    except (AssertionError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise InvalidArgumentError(
            f"algo={row.name!r} refuses its hyperparameters {dict(hyperparams)}: {error}"
        ) from error


@dataclass
class Agent:
    """A trained policy and what it was trained on. Made by `load_agent`; loads no pickle.

    Attributes:
        run: Its run folder.
        folder: The snapshot inside it.
        settings: ``settings.json`` of the snapshot.
        device: Where it runs.
    """

    run: Path
    folder: Path
    settings: dict[str, Any]
    device: str = "auto"
    _model: Any = field(default=None, repr=False)
    _encoder: Any = field(default=None, repr=False)

    @property
    def env_id(self) -> str:
        """The id it was trained on."""
        return str(self.settings["env"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Its label inventory, in order of the actions."""
        return tuple(self.settings["labels"])

    def task(self, split: str, **overrides: Any) -> Task:
        """The agent's task on another corpus, with the agent's labels and encoder.

        Args:
            split: ``"train"``, ``"dev"`` or ``"test"``.
            **overrides: Arguments of the task, such as `data` and `data_dir`.

        Raises:
            RunError: The encoder gives other vectors than the one of the run.
        """
        kwargs = {**self.settings["env_kwargs"], "labels": list(self.labels), **overrides}
        if self._encoder is not None:
            kwargs["encoder"] = self._encoder
            kwargs.pop("encoder_kwargs", None)
        task = make_task(self.env_id, split=split, **kwargs)
        expected, found = self.settings["encoder"]["fingerprint"], task.encoder.fingerprint
        if found != expected:
            raise RunError(
                f"encoder {task.encoder.name!r} has fingerprint {found[:12]}, the run was trained with "
                f"{expected[:12]}: its weights, options or the release differ, so the vectors do too. "
                "Use what the run's versions.json names, or train again."
            )
        self._encoder = task.encoder
        return task

    def outputs(self, task: Task, *, progress: bool = False, cache: bool = True) -> list[Output]:
        """Play every text of `task` once, greedily; one output a text. Arguments as for `encode`."""
        obs_type, row = self.settings["obs_type"], resolve(self.settings["algo"])
        encode(task, progress=progress, cache=cache)
        with ExitStack() as stack:
            if self._model is None:
                self._model = self._load(task, row, obs_type)
            elif obs_type == "index":
                source = source_of(task, obs_type, self._model.device)
                stack.enter_context(reading(self._model.policy, source))
            act = make_act(self._model, row.masked)
            return rollout(task, act, obs_type=obs_type, progress=progress)

    def _load(self, task: Task, row: AlgorithmRow, obs_type: str) -> Any:
        hyperparams = dict(self.settings["hyperparams"])
        if "buffer_size" in inspect.signature(row.cls).parameters:
            hyperparams["buffer_size"] = 1  # nothing is learned here
        model = build_model(row, task, hyperparams, obs_type=obs_type, device=self.device)
        load_policy(self.folder, model, self.settings["aliases"])
        return model


def load_agent(run: str | Path, *, checkpoint: str = "best", device: str = "auto") -> Agent:
    """The trained policy of a run folder.

    Args:
        run: The folder that `nlp-gym train` printed.
        checkpoint: ``"best"`` by the dev metric, or ``"last"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.

    Raises:
        RunError: The folder is missing, incomplete, damaged or of another version.
    """
    folder, settings = find_snapshot(run, checkpoint)
    needed = {"algo", "env", "env_kwargs", "labels", "obs_type", "hyperparams", "encoder", "aliases"}
    missing = sorted(needed - set(settings))
    if missing:
        raise RunError(f"{folder / 'settings.json'} is damaged: it lacks {', '.join(missing)}.")
    return Agent(Path(run), folder, settings, device)
