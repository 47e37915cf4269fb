"""Episodes as a Minari dataset, for offline reinforcement learning."""

from __future__ import annotations

import importlib.metadata
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import nlp_gym
from nlp_gym.checks import check_int, check_mapping, check_name
from nlp_gym.data import DATASETS
from nlp_gym.errors import DataNotFoundError, InvalidArgumentError, MissingDependencyError, shown
from nlp_gym.files import atomic_path
from nlp_gym.layout import Layout
from nlp_gym.memory import check_memory
from nlp_gym.progress import progress_bar
from nlp_gym.tasks.core.make import task_spec
from nlp_gym.tasks.core.rollout import play
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import SPLITS, BoolArray, Int64Array, Observation
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.evaluation.baselines import random_act
from nlp_gym_agents.models.acting import make_act
from nlp_gym_agents.models.build import encode
from nlp_gym_agents.models.trained import TrainedModel, load_trained


def description(env_id: str, *, player: str, split: str, obs_type: str) -> dict[str, Any]:
    """Arguments of `minari.create_dataset_from_buffers` that describe a dataset."""
    dataset = task_spec(env_id).kwargs.get("dataset")
    row = DATASETS.get(str(dataset))
    licence = f"Text of {row.name}: {row.licence} ({row.homepage})." if row else ""
    return {
        "algorithm_name": player,
        "author": "nlp_gym",
        "description": (
            f"{player} on {env_id}, split {split}, observations {obs_type!r}. {licence}"
        ).strip(),
        "requirements": [f"nlp-gymnasium>={nlp_gym.__version__}"],
    }


def provenance(task: Task, *, seed: int) -> dict[str, Any]:
    """What the episodes depend on: corpus, seed, encoder and versions."""
    corpus = task.corpus
    packages = ("gymnasium", "minari", "numpy")
    return {
        "corpus": corpus.name,
        "text_sha256": corpus.text_hash,
        "bundled_sample": corpus.bundled,
        "labels": list(task.labels),
        "seed": seed,
        "encoder": {"name": task.encoder.name, "fingerprint": task.encoder.fingerprint},
        "versions": {
            "nlp-gym": nlp_gym.__version__,
            **{name: importlib.metadata.version(name) for name in packages},
        },
    }


POLICIES = ("oracle", "random")
BATCH = 64
_FORMAT = ("v110", "v110")  # of 2016; groups of 1,000 episodes take 5 MB more in the oldest one
_SMALL = 4096
"""Bytes of an array up to which compressing it does not pay."""
PROJECT = "nlp_gym"
_DATASET_ID = re.compile(r"(?:[-\w]+/)*[-\w]+-v\d+")

Choose = Callable[[Any, Observation, BoolArray], Int64Array]
"""From a task's state, the observation of it that is exported and its mask to actions."""


@dataclass(frozen=True)
class Export:
    """What to export.

    Attributes:
        env: Environment id; None: that of `run`.
        policy: ``"oracle"`` or ``"random"`` (uniform over legal actions), where there is no `run`.
        run: Run folder of an agent that plays, greedily.
        episodes: How many; samples come in a random order, all once before any comes again.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        obs_type: ``"features"`` (for any library) or ``"index"`` (small; for agents of this one).
        flat: Observations are one float32 vector, as libraries need that know Boxes only (layout
            ``"flat"`` of `nlp_gym.wrappers.LayoutObservation`); masks are ``infos["action_mask"]``.
        seed: Seed of the order and of the random policy.
        env_kwargs: Arguments of the environment.
        dataset_id: Id of the dataset; None: ``nlp_gym/NAME/POLICY-v0`` with the name in `env`.
        trust: Modules that the run's settings may have imported; see `load_trained`.
    """

    env: str | None = None
    policy: str = "oracle"
    run: Path | None = None
    episodes: int = 1000
    split: str = "train"
    obs_type: str = "features"
    seed: int = 0
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    dataset_id: str | None = None
    trust: Sequence[str] | str = ()
    flat: bool = False


def export(wanted: Export) -> Any:
    """Write a dataset into Minari's folder (``MINARI_DATASETS_PATH``).

    Its `env_spec` names the id and arguments, but no folder of corpora: where the dataset was made
    from a full corpus, set ``NLP_GYM_DATA`` before `recover_environment`. With ``eval_env=True``
    that gives the dev split. Arrays are compressed, without losses.

    Args:
        wanted: What to export. Bars show its progress where stderr is a terminal.

    Returns:
        The `minari.MinariDataset`.

    Raises:
        MissingDependencyError: minari is not installed.
        InvalidArgumentError: A value outside what is allowed, or the dataset exists.
        NLPGymError: The corpus or the run cannot be loaded.
    """
    minari = _load_minari()
    agent = None if wanted.run is None else load_trained(wanted.run, trust=wanted.trust)
    env_id = _check(wanted, agent)
    dataset_id = wanted.dataset_id or f"{PROJECT}/{_name(env_id)}/{_player_name(wanted, agent)}-v0"
    kwargs = {**(agent.settings["env_kwargs"] if agent else {}), **(wanted.env_kwargs or {})}
    if agent is not None:
        kwargs |= {"labels": list(agent.labels) or None}
    player = _player_name(wanted, agent)
    said = description(env_id, player=player, split=wanted.split, obs_type=wanted.obs_type)
    kwargs |= {"obs_type": wanted.obs_type} | ({"layout": "flat"} if wanted.flat else {})
    with _data_folder(kwargs.pop("data_dir", None)):
        env = gym.make(env_id, split=wanted.split, **kwargs)
        eval_env = _dev(env_id, kwargs)
        task: Task = env.unwrapped.task  # type: ignore[attr-defined]
        if wanted.obs_type == "features":
            encode(task)
        bar = progress_bar(int(wanted.episodes), "playing", unit="episodes", show=None)
        with _playing(wanted, agent, task) as choose, bar as advance:
            batches = _batches(task, choose, wanted)
            dataset = _create(minari, dataset_id, env, eval_env, next(batches), said)
            advance(BATCH)
            for batch in batches:
                dataset.storage.update_episodes(batch)
                advance(BATCH)
    _compress(Path(dataset.storage.data_path) / "main_data.hdf5")
    facts = {"nlp_gym": provenance(task, seed=wanted.seed)}
    dataset.storage.update_metadata(facts | {"dataset_size": dataset.storage.get_size()})
    return minari.load_dataset(dataset_id)


def _load_minari() -> Any:
    try:
        import h5py  # noqa: F401 - the format that is written
        import minari
    except ImportError as error:
        raise MissingDependencyError("minari", "minari", "export-minari") from error
    return minari


def _check(wanted: Export, agent: TrainedModel | None) -> str:
    """Check what is wanted; gives the environment id."""
    env_id = agent.env_id if agent is not None and wanted.env is None else wanted.env
    if env_id is None:
        raise InvalidArgumentError("env=None and run=None: name the environment, or a trained run.")
    task_spec(env_id)
    if agent is not None and env_id != agent.env_id:
        raise InvalidArgumentError(
            f"env={shown(env_id)}, but run was trained on {shown(agent.env_id)}."
        )
    if not isinstance(wanted.policy, str) or wanted.policy not in POLICIES:
        raise InvalidArgumentError(
            f"policy={shown(wanted.policy)} must be one of {', '.join(POLICIES)}; an agent is "
            "given as run (--run)."
        )
    if not isinstance(wanted.obs_type, str) or wanted.obs_type not in ("features", "index"):
        raise InvalidArgumentError(f"obs_type={shown(wanted.obs_type)} must be features or index.")
    if wanted.flat and wanted.obs_type != "features":
        raise InvalidArgumentError(
            f"flat=True with obs_type={shown(wanted.obs_type)}: numbers of rows and words make no "
            "vector; leave obs_type out, or flat."
        )
    named = wanted.dataset_id is None or isinstance(wanted.dataset_id, str)
    if not named or (wanted.dataset_id and not _DATASET_ID.fullmatch(wanted.dataset_id)):
        raise InvalidArgumentError(
            f"dataset_id={shown(wanted.dataset_id)} must have the form NAMESPACE/NAME/POLICY-vN, "
            f"as {PROJECT}/POS-EWT/oracle-v0 has."
        )
    check_name("split", wanted.split, SPLITS)
    check_int("seed", wanted.seed, 0, 2**64)
    check_mapping("env_kwargs", wanted.env_kwargs)
    episodes = check_int("episodes", wanted.episodes, 1, 10**15)
    rows = 2 * 8 * episodes
    check_memory("episodes", episodes, rows, "the order of the samples")
    return env_id


def _name(env_id: str) -> str:
    return env_id.rpartition("-v")[0] or env_id


def _player_name(wanted: Export, agent: TrainedModel | None) -> str:
    if agent is None:
        return wanted.policy
    return str(agent.settings["algo"]).rpartition(":")[2].replace("_", "-")


def _dev(env_id: str, kwargs: Mapping[str, Any]) -> Any:
    """The environment over the dev split; None, with a warning, where the data have none."""
    try:
        return gym.make(env_id, split="dev", **kwargs)
    except DataNotFoundError as error:
        warnings.warn(
            f"recover_environment(eval_env=True) will give the split that is played: {error}",
            UserWarning,
            stacklevel=3,
        )
        return None


@contextmanager
def _data_folder(folder: str | Path | None) -> Iterator[None]:
    """Look for corpora in `folder` without naming it in the environment's spec."""
    if folder is None:
        yield
        return
    before = os.environ.get("NLP_GYM_DATA")
    os.environ["NLP_GYM_DATA"] = str(Path(folder).expanduser().resolve())
    try:
        yield
    finally:
        os.environ.pop("NLP_GYM_DATA")
        if before is not None:
            os.environ["NLP_GYM_DATA"] = before


@contextmanager
def _playing(wanted: Export, agent: TrainedModel | None, task: Task) -> Iterator[Choose]:
    """The function that plays within the block."""
    if agent is not None:
        agent.check_encoder(task)
        obs_type, masked = agent.settings["obs_type"], resolve(agent.settings["algo"]).masked
        with agent.reading(task) as model:
            act = make_act(model, masked)
            if obs_type == wanted.obs_type:
                yield lambda state, seen, mask: act(seen, mask)
            else:
                yield lambda state, seen, mask: act(task.observe(state, obs_type), mask)
    elif wanted.policy == "oracle":
        yield lambda state, seen, mask: task.oracle(state)
    else:
        draw = random_act(task, task, wanted.seed)
        yield lambda state, seen, mask: draw(seen, mask)


def _batches(task: Task, choose: Choose, wanted: Export) -> Iterator[list[Any]]:
    """Buffers of the episodes, `BATCH` at a time."""
    rng, n = np.random.default_rng(wanted.seed), len(task.corpus)
    episodes = int(wanted.episodes)
    passes = -(-episodes // n)
    rows = np.concatenate([rng.permutation(n) for _ in range(passes)])[:episodes]
    for start in range(0, len(rows), BATCH):
        yield _play(task, choose, rows[start : start + BATCH], wanted)


def _play(task: Task, choose: Choose, rows: Int64Array, wanted: Export) -> list[Any]:
    from minari.data_collector import EpisodeBuffer

    flatten = Layout("flat", task.observation_space(wanted.obs_type)).batch if wanted.flat else None
    seen: list[list[Any]] = [[] for _ in rows]
    masks: list[list[Any]] = [[] for _ in rows]
    played: list[list[tuple[int, float]]] = [[] for _ in rows]

    def note(place: Int64Array, batch: Observation, mask: BoolArray) -> None:
        flat = None if flatten is None else flatten(batch)
        for j, i in enumerate(place):
            if flat is None:
                seen[i].append({key: values[j] for key, values in batch.items()})
            else:
                seen[i].append(flat[j])
                masks[i].append(mask[j])

    def decide(state: Any, place: Int64Array) -> Int64Array:
        observation, mask = task.views.observe_with_mask(state, wanted.obs_type)
        note(place, observation, mask)
        return choose(state, observation, mask)

    for step in play(task, rows, decide):
        decisions = zip(step.actions.tolist(), step.rewards.tolist(), strict=True)
        for i, decision in zip(step.place, decisions, strict=True):
            played[i].append(decision)
        if step.ended.any():
            last = step.state.take(step.ended)
            note(step.place[step.ended], *task.views.observe_with_mask(last, wanted.obs_type))

    def infos(i: int) -> dict[str, Any]:
        told = {"row": np.full(len(seen[i]), rows[i])}  # a loaded episode does not show its options
        return told | ({"action_mask": np.array(masks[i], np.int8)} if wanted.flat else {})

    return [
        EpisodeBuffer(
            options={"row": int(row)},
            observations=np.stack(obs)
            if wanted.flat
            else {key: np.stack([o[key] for o in obs]) for key in obs[0]},
            actions=np.array([action for action, _ in steps], np.int64),
            rewards=[reward for _, reward in steps],
            terminations=[False] * (len(steps) - 1) + [True],
            truncations=[False] * len(steps),
            infos=infos(i),
        )
        for i, (row, obs, steps) in enumerate(zip(rows, seen, played, strict=True))
    ]


def _compress(path: Path) -> None:
    """Write an HDF5 file again with its large arrays compressed, which Minari does not do.

    Features are float16 numbers stored as float32, and those of a word come again in the windows
    around its neighbours. Small arrays are stored whole: Minari's, which can grow, take 8 KiB each.
    1,000 episodes of NER-CoNLL-v0: 248 MB become 51.
    """
    import h5py

    def copy(source: Any, target: Any) -> None:
        target.attrs.update(source.attrs)
        for name, item in source.items():
            if isinstance(item, h5py.Group):
                copy(item, target.create_group(name))
            else:
                big = item.nbytes > _SMALL
                packing = {"compression": "gzip", "compression_opts": 1, "chunks": item.shape}
                target.create_dataset(name, data=item[()], **(packing if big else {}))

    with atomic_path(path) as temporary, h5py.File(path) as source:
        bar = progress_bar(len(source), "compressing", unit="episodes", show=None)
        with h5py.File(temporary, "w", libver=_FORMAT, track_order=True) as target, bar as advance:
            for name, episode in source.items():
                copy(episode, target.create_group(name))
                advance(1)


def _create(
    minari: Any, dataset_id: str, env: Any, eval_env: Any, first: list[Any], said: Mapping[str, Any]
) -> Any:
    create = minari.create_dataset_from_buffers
    # minari 0.5.4 would write what looks like an image with losses; those before (the last for
    # Python 3.10) have no such argument.
    raw = {"jpeg_encoding": False} if "jpeg_encoding" in signature(create).parameters else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata that is left out on purpose
        try:
            return create(dataset_id, first, env, eval_env, **raw, **said)
        except ValueError as error:
            raise InvalidArgumentError(
                f"dataset_id={shown(dataset_id)} cannot be created: {error} Give another with "
                "--dataset-id NAMESPACE/NAME/POLICY-vN, or delete the old one."
            ) from error
