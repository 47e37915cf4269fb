"""Build what a training run needs: tasks, encodings, the model. It makes no run folder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from nlp_gym import make_task
from nlp_gym.encode import Encoder, make_encoder
from nlp_gym.encode.compact import CompactEncoder
from nlp_gym.encode.transformer.encoder import TransformerEncoder
from nlp_gym.errors import RunError
from nlp_gym.metrics.base import Score
from nlp_gym.progress import tell
from nlp_gym.tasks.core.make import task_class
from nlp_gym.tasks.core.strata import Strata
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.types import Corpus, Int64Array
from nlp_gym_agents.algorithms.imitation.bc import BC
from nlp_gym_agents.algorithms.parallel.data_parallel import DataParallel
from nlp_gym_agents.algorithms.parallel.ranks import ALONE, Ranks
from nlp_gym_agents.algorithms.registry import AlgorithmRow, resolve
from nlp_gym_agents.algorithms.weight_average import averaged_weights
from nlp_gym_agents.config.continual import stage_corpora
from nlp_gym_agents.config.lengths import cloning_length, rollout_length
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.explain.decisions import Player, trace_rows
from nlp_gym_agents.explain.trace import Trace
from nlp_gym_agents.models.attach_encoder import check_learns, transformer_of
from nlp_gym_agents.models.build import (
    build_model,
    check_obs_type,
    encode,
    feature_source,
)
from nlp_gym_agents.models.play import drawn_rows, outputs_of
from nlp_gym_agents.models.size_limit import check_width
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.features.swap_source import swapped_source
from nlp_gym_agents.runs.files.weights import POLICY
from nlp_gym_agents.runs.settings import EncoderFacts, PolicySettings, SnapshotSettings
from nlp_gym_agents.runs.snapshots import FORMAT_VERSION
from nlp_gym_agents.training.callbacks.kl_penalty import check_penalty
from nlp_gym_agents.training.start.warm_start import check_start

DEV_BEAM, DEV_SEARCHES = 10, 1000
"""Beam and number of samples of an evaluation during training, where a task is played by search."""


@dataclass
class Setup:
    """A merged config and what is built from it, before a run folder exists."""

    config: TrainConfig
    row: AlgorithmRow
    train_task: Task
    dev_task: Task
    model: BaseAlgorithm
    obs_type: str
    parallel: DataParallel | None = None

    def settings(self) -> PolicySettings:
        """What is written beside every saved policy: enough to load it anywhere."""
        encoder, task = self.train_task.encoder, self.train_task
        later = {name: getattr(task, name) for name in task.later_arguments}
        return {
            "format_version": FORMAT_VERSION,
            "algo": self.config.algo,
            "env": self.config.env,
            "env_kwargs": {**with_dtype(self.config.task_kwargs, encoder), **later},
            "obs_type": self.obs_type,
            "labels": list(self.train_task.labels),
            "learnt": self.train_task.learnt,
            "hyperparams": dict(self.config.hyperparams),
            "encoder_mode": self.config.encoder_mode,
            "encoder": _facts(encoder),
            "corpora": {
                split: {"name": corpus.name, "text_sha256": corpus.text_hash}
                for split, corpus in self._corpora.items()
            },
        }

    @cached_property
    def _corpora(self) -> dict[str, Corpus]:
        """By split, what is trained and chosen on; replayed corpora apart."""
        found = {}
        for task in (self.train_task, self.dev_task):
            corpus, bounds = task.corpus, task.corpus_bounds
            if bounds is None:
                found[corpus.split] = corpus
                continue
            own = int(bounds[1])
            found[corpus.split] = replace(corpus, samples=corpus.samples[:own])
            found[f"{corpus.split} replayed"] = replace(corpus, samples=corpus.samples[own:])
        return found

    def seed_environments(self, seed: int) -> None:
        """Seed the environments of this process as one process with all of them would."""
        assert self.model.env is not None
        first = 0 if self.parallel is None else self.parallel.bounds_of_environments()[0]
        self.model.env.seed((seed + first) % 2**31)

    def score(self) -> Score:
        """The current policy on dev, greedily; uses no random numbers."""
        rows = self._dev_rows
        with averaged_weights(self.model.policy), self._on_dev():
            outputs = outputs_of(
                self.model,
                self.dev_task,
                masked=self.row.masked,
                obs_type=self.obs_type,
                rows=rows,
                beam=min(self.dev_task.beam, DEV_BEAM),
            )
        # The report of written texts has what `training.callbacks.reward_hacking` looks at.
        report = self.dev_task.writes
        score = self.dev_task.score(outputs, rows=rows, bootstrap=0, report=report)
        bounds = self.dev_task.corpus_bounds
        return score if bounds is None else self._mean_of_stages(score, outputs, rows, bounds)

    def _mean_of_stages(
        self, score: Score, outputs: list[Output], rows: list[int] | None, bounds: Int64Array
    ) -> Score:
        """A score on dev whose value is the mean of its stages', whatever their sizes."""
        played = np.arange(len(outputs)) if rows is None else np.asarray(rows)
        values = []
        for first, end in pairwise(bounds.tolist()):
            at = np.flatnonzero((played >= first) & (played < end)).tolist()
            if at:
                own = [outputs[i] for i in at]
                part = played[at].tolist()
                values.append(self.dev_task.score(own, rows=part, bootstrap=0, report=False).value)
        return replace(score, value=float(np.mean(values)))

    def traces(self, rows: Sequence[int]) -> list[Trace]:
        """Every decision of the current policy on samples of dev; uses no random numbers.

        Args:
            rows: Samples.
        """
        config = self.config
        player = Player(self.model, self.row.masked, self.obs_type, config.env, config.algo)
        with averaged_weights(self.model.policy), self._on_dev():
            return trace_rows(player, self.dev_task, rows)

    def _on_dev(self) -> AbstractContextManager[None]:
        """Within it the policy reads dev."""
        source = self._dev_source
        return nullcontext() if source is None else swapped_source(self.model.policy, source)

    @cached_property
    def _dev_rows(self) -> list[int] | None:
        return drawn_rows(self.dev_task, DEV_SEARCHES)

    @cached_property
    def _dev_source(self) -> FeatureSource | None:
        trainable = self.config.encoder_mode != "frozen"
        return feature_source(self.dev_task, self.obs_type, self.model.device, trainable=trainable)

    def facts(self) -> dict[str, Any]:
        """What ``versions.json`` says besides the versions."""
        settings = self.settings()
        corpora = {
            split: {**facts, "n_skipped": self._corpora[split].n_skipped}
            for split, facts in settings["corpora"].items()
        }
        return {"encoder": settings["encoder"], "corpora": corpora}

    def check_same(self, saved: SnapshotSettings, folder: Path) -> None:
        """Refuse to go on where the corpus, the labels or the encoder are not those of the run.

        Raises:
            RunError: Naming what differs.
        """
        own: Mapping[str, object] = self.settings()
        before: Mapping[str, object] = {"learnt": {}, **saved}  # older snapshots have none
        for key in ("encoder", "corpora", "labels", "learnt", "obs_type"):
            _check_same(key, before.get(key), own[key], folder)


def _check_same(key: str, before: object, now: object, folder: Path) -> None:
    if before != now:
        raise RunError(
            f"{folder} was saved with {key}={_shown(before)}, now it is {_shown(now)}. "
            "Restore the data and packages the run was started with, or train again."
        )


def _facts(encoder: Encoder) -> EncoderFacts:
    return {"name": encoder.name, "dim": encoder.dim, "fingerprint": encoder.fingerprint}


def _shown(value: object) -> str:
    """A value for a message; of a long one, such as a vocabulary, only the beginning."""
    text = repr(value)
    return text if len(text) < 400 else f"{text[:100]}... ({len(text)} characters)"


def with_dtype(kwargs: Mapping[str, Any], encoder: Encoder) -> dict[str, Any]:
    """`kwargs` with the number format that the encoder resolved ``dtype="auto"`` to.

    Machines resolve it differently and get other vectors, so a policy is saved with the one that it
    learned from.

    Args:
        kwargs: Arguments of the task.
        encoder: The encoder made from them.
    """
    named = isinstance(kwargs.get("encoder", ""), str)  # an object brings its options
    if not (named and isinstance(encoder, TransformerEncoder | CompactEncoder)):
        return dict(kwargs)
    if encoder.dtype is None:  # the hashed encoder, made smaller
        return dict(kwargs)
    return {
        **kwargs,
        "encoder_kwargs": {**(kwargs.get("encoder_kwargs") or {}), "dtype": encoder.dtype},
    }


def with_saved_dtype(config: TrainConfig, saved: SnapshotSettings) -> TrainConfig:
    """`config` with the number format of a snapshot's settings; older snapshots have none."""
    dtype = (saved.get("env_kwargs", {}).get("encoder_kwargs") or {}).get("dtype")
    if dtype is None:
        return config
    own = config.env_kwargs.get("encoder_kwargs") or {}
    if not isinstance(own, Mapping):
        return config  # what it is, is checked where the encoder is made
    env_kwargs = {**config.env_kwargs, "encoder_kwargs": {**own, "dtype": dtype}}
    return config.with_changes(env_kwargs=env_kwargs)


def with_saved_arguments(config: TrainConfig, saved: SnapshotSettings) -> TrainConfig:
    """`config` with what a snapshot was made with, where its task has got arguments since then."""
    names = task_class(config.env).later_arguments
    before = {name: saved["env_kwargs"][name] for name in names}
    return config.with_changes(env_kwargs={**before, **config.env_kwargs})


def set_up(
    config: TrainConfig,
    *,
    progress: bool = False,
    checkpoint: tuple[Path, SnapshotSettings] | None = None,
    ranks: Ranks = ALONE,
) -> Setup:
    """Load and encode train and dev, and build the model.

    Args:
        config: Merged.
        progress: Show bars on stderr.
        checkpoint: Folder and settings of what the model will load; None: it begins afresh.
        ranks: The processes that train it; each has its share of the environments.

    Raises:
        RunError: The encoder is not that of the checkpoint, or the network is larger than its
            weights.
    """
    row, tuning = resolve(config.algo), config.learning.tuning
    obs_type = str(config.env_kwargs.get("obs_type", "index"))
    check_obs_type(obs_type)
    if tuning is not None:
        check_learns(obs_type, config.encoder_name)
    n_envs = config.n_envs or 1
    first, end = 0, n_envs
    if issubclass(row.cls, OnPolicyAlgorithm):  # bc plays none of its environments
        first, end = ranks.bounds(n_envs)
    encoder = make_encoder(config.encoder_name, config.encoder_kwargs)
    weights = None
    if checkpoint is not None:  # before it encodes anything
        folder, saved = checkpoint
        weights = folder / POLICY
        check_width(encoder, weights)
        _check_same("encoder", saved["encoder"], _facts(encoder), folder)
    # The object has its options, whatever the id is registered with.
    kwargs = {**config.task_kwargs, "encoder": encoder, "encoder_kwargs": None}
    train_task = make_task(config.env, split="train", **_with_earlier(config, "train", kwargs))
    if train_task.corpus_bounds is not None:
        train_task.strata = Strata.replaying(train_task.corpus_bounds, config.replay)
    train_task.constant_reward = config.learning.constant_reward
    if tuning is not None:
        transformer_of(train_task)  # before anything takes long
    replaced = {"labels": list(train_task.labels) or None, **train_task.learnt}
    dev_kwargs = _with_earlier(config, "dev", {**kwargs, **replaced})
    dev_task = make_task(config.env, split="dev", **dev_kwargs)
    for task in (train_task, dev_task):
        if progress:
            corpus = task.corpus
            size = f"{len(corpus):,} samples, {len(task.units):,} vectors"
            tell(f"{corpus.name} {corpus.split}: {size}, encoder {task.encoder.name}")
        if tuning is None or tuning.hold:  # on hold it is a frozen one
            encode(task, progress=progress)
    with warnings.catch_warnings():
        if ranks.size > 1:  # Stable-Baselines3 compares the batch size with one rank's rollouts
            warnings.filterwarnings("ignore", "You have specified a mini-batch size")
        model = build_model(
            row,
            train_task,
            config.hyperparams,
            n_envs=end - first,
            obs_type=obs_type,
            max_episode_steps=config.env_kwargs.get("max_episode_steps"),
            seed=config.seed,
            device=config.device,
            tuning=tuning,
            weights=weights,
        )
    check_penalty(model, config.learning.kl)
    check_start(model, config.learning.start)
    setup = Setup(config, row, train_task, dev_task, model, obs_type)
    if ranks.size > 1:
        setup.parallel = DataParallel(model, ranks, n_envs)
        setup.seed_environments(config.seed)
    return setup


def _with_earlier(config: TrainConfig, split: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a task, with the corpora of earlier stages where they are replayed."""
    if not (config.replay and config.stages):
        return dict(kwargs)
    return {**kwargs, "earlier": stage_corpora(config.env, split, kwargs, config.stages)}


def follow_corpus(setup: Setup, asked: TrainConfig) -> str | None:
    """Shorten cloning on a small corpus; see `nlp_gym_agents.config.lengths.cloning_length`.

    Args:
        setup: Of `bc`; its `config` is replaced.
        asked: The settings before they were merged.

    Returns:
        What is to be said of it; None where nothing changed.
    """
    model, before = setup.model, setup.config.n_timesteps or 0
    assert isinstance(model, BC)
    decisions = model.pass_length
    total = cloning_length(before, decisions, model.batch_size)
    if total == before:
        return None
    lengths = asked.length_settings(total, setup.config.hyperparams)
    setup.config = setup.config.with_changes(**lengths)
    return (
        f"The corpus has {decisions:,} decisions, and bc learns from {total:,} in passes over it "
        f"rather than from {before:,}: -n gives another number."
    )


def overshoot(setup: Setup) -> str | None:
    """What is to be said where a single rollout is longer than the run; None where it is not."""
    n, n_envs = setup.config.n_timesteps or 0, setup.config.n_envs or 1
    length = rollout_length(setup.row.cls, setup.config.hyperparams, n_envs)
    if length is None or length <= max(n, 2):
        return None
    return (
        f"A rollout (n_steps x n_envs) has {length:,} decisions, and is played to its end: the run "
        f"takes as many, and not the {n:,} of -n."
    )
