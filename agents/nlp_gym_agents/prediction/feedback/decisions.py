"""The decisions of episodes that were played before, or that gold would play, to learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.tasks.core.rollout import play, side_by_side
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import BoolArray, Float64Array, Int64Array
from nlp_gym_agents.models.acting import INVERSE_TEMPERATURE, score_kind
from nlp_gym_agents.models.build import encode, feature_source
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.features.swap_source import swapped_source
from nlp_gym_agents.networks.policies.dueling import action_scores, masked

MASK_KEY, LEGAL_KEY = "action_mask", "legal"


@dataclass(frozen=True)
class Decisions:
    """M decisions of episodes on N samples, sorted by sample and then by step.

    Attributes:
        task: What was played.
        observations: (M, ...) by key, on the CPU.
        actions: (M,) int64.
        samples: (M,) int64 the sample of each decision, from 0.
        n: N.
    """

    task: Task
    observations: dict[str, th.Tensor]
    actions: th.Tensor
    samples: th.Tensor
    n: int

    def __len__(self) -> int:
        return len(self.actions)

    def of(self, chosen: th.Tensor, device: th.device) -> Batch:
        """The decisions of some samples (b,), which differ."""
        place = th.full((self.n,), -1, dtype=th.int64)
        place[chosen] = th.arange(len(chosen))
        index = (place[self.samples] >= 0).nonzero().flatten()
        seen = {key: value[index].to(device) for key, value in self.observations.items()}
        actions = self.actions[index].to(device)
        if MASK_KEY in seen:
            mask = seen[MASK_KEY].bool()
        else:  # of thousands of actions, observations name the row of a table
            assert self.task.masks is not None
            table = th.from_numpy(self.task.masks)
            mask = table[seen[LEGAL_KEY].cpu().long().flatten()].to(device)
        # Where gold is not well formed, its action is masked, and repaired when it is played.
        mask = mask.scatter(1, actions[:, None], True)
        return Batch(seen, mask, actions, place[self.samples[index]].to(device), len(chosen), index)


@dataclass(frozen=True)
class Batch:
    """Decisions of b samples on the device of a policy.

    Attributes:
        observations: By key, (m, ...).
        mask: (m, A) bool.
        actions: (m,).
        samples: (m,) which of the b samples each decision is of.
        n: b.
        index: (m,) their places in the `Decisions`, on the CPU.
    """

    observations: dict[str, th.Tensor]
    mask: th.Tensor
    actions: th.Tensor
    samples: th.Tensor
    n: int
    index: th.Tensor


def walk(
    task: Task,
    rows: Int64Array,
    decide: Callable[[Any, Int64Array, int], Int64Array],
    *,
    obs_type: str,
    batch: int = 512,
) -> tuple[Decisions, Float64Array, Int64Array]:
    """Play samples and keep every decision.

    Args:
        task: The rules and the corpus.
        rows: (N,) samples.
        decide: From the state of the running episodes, their places in `rows` and the number of
            the step to (B,) actions.
        obs_type: Kind of observation to keep.
        batch: Episodes side by side.

    Returns:
        The decisions, with samples numbered as in `rows`; and for each sample (N,) what it earned
        and (N,) how many decisions it took.
    """
    seen: list[dict[str, Any]] = []
    actions, places = list[Int64Array](), list[Int64Array]()
    earned, steps = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    for chosen in side_by_side(task.lengths[rows], batch):

        def choose(state: Any, place: Int64Array, own: Int64Array = chosen) -> Int64Array:
            seen.append(task.observe(state, obs_type))
            places.append(own[place])
            # Episodes that are begun together are all at the same step.
            actions.append(decide(state, own[place], int(steps[own[place[0]]])))
            return actions[-1]

        for step in play(task, rows[chosen], choose):
            earned[chosen[step.place]] += step.rewards
            steps[chosen[step.place]] += 1
    samples = np.concatenate(places)
    order = np.argsort(samples, kind="stable")
    observations = {
        key: th.from_numpy(np.concatenate([one[key] for one in seen]).take(order, axis=0))
        for key in seen[0]
    }
    found = Decisions(
        task,
        observations,
        th.from_numpy(np.concatenate(actions).take(order).astype(np.int64)),
        th.from_numpy(samples.take(order)),
        len(rows),
    )
    return found, earned, steps


def of_gold(task: Task, rows: Int64Array, *, obs_type: str) -> Decisions:
    """The oracle's decisions on samples that have gold.

    Where the oracle does not always know the way, episodes in which it earns nothing are left out,
    as in `algorithms.imitation.demonstrations.collect`.
    """
    found, earned, _ = walk(
        task, rows, lambda state, place, step: task.oracle(state), obs_type=obs_type
    )
    return found if task.exact_oracle else kept(found, earned > 0)


def as_played(
    task: Task, actions: Sequence[Sequence[int]], *, obs_type: str
) -> tuple[Decisions, BoolArray]:
    """Play every sample again with the actions that were once played on it.

    Args:
        task: Its samples are those.
        actions: Of each sample.
        obs_type: Kind of observation to keep.

    Returns:
        The decisions, and (N,) which samples ended with their last action and had no illegal one:
        those of the others are not what was once decided.
    """
    fits = np.array([len(each) > 0 for each in actions])

    def decide(state: Any, place: Int64Array, step: int) -> Int64Array:
        mask = task.mask(state)
        wanted = np.array([actions[i][step] if step < len(actions[i]) else -1 for i in place])
        known = (wanted >= 0) & (wanted < mask.shape[1])
        legal = known & mask[np.arange(len(place)), np.where(known, wanted, 0)]
        fits[place[~legal]] = False
        return np.where(legal, wanted, mask.argmax(axis=1))

    found, _, steps = walk(task, np.arange(len(actions)), decide, obs_type=obs_type)
    return found, fits & (steps == [len(each) for each in actions])


def kept(found: Decisions, good: BoolArray) -> Decisions:
    """The decisions of the samples that are `good` (N,); numbers of samples stay."""
    index = th.from_numpy(good)[found.samples].nonzero().flatten()
    observations = {key: value[index] for key, value in found.observations.items()}
    return Decisions(found.task, observations, found.actions[index], found.samples[index], found.n)


class Reader:
    """A model that reads several tasks in turn.

    Args:
        model: A Stable-Baselines3 algorithm, loaded from a run.
        obs_type: What it reads.
        trainable: Whether its encoder learned with it.
    """

    def __init__(self, model: BaseAlgorithm, obs_type: str, *, trainable: bool) -> None:
        self.model, self.obs_type, self.trainable = model, obs_type, trainable
        self._sources: dict[int, tuple[Task, FeatureSource | None]] = {}
        self._scale = INVERSE_TEMPERATURE if score_kind(model.policy) == "values" else 1.0

    @contextmanager
    def reading(self, task: Task, *, cache: bool = False) -> Iterator[None]:
        """Within it the policy reads the corpus of `task`; `cache` as for `encode`."""
        if id(task) not in self._sources:
            if not self.trainable:
                encode(task, cache=cache)
            made = feature_source(task, self.obs_type, self.model.device, trainable=self.trainable)
            self._sources[id(task)] = task, made
        _, source = self._sources[id(task)]
        with nullcontext() if source is None else swapped_source(self.model.policy, source):
            yield

    def log_probs(self, batch: Batch) -> th.Tensor:
        """(m, A) float32 log-probabilities over legal actions, with gradients where wanted.

        A Q-network's values are read as logits, as its predictions are (`models.acting`).
        """
        scores = action_scores(self.model.policy, batch.observations, None)
        assert scores is not None  # such policies are refused before
        return th.log_softmax(masked(scores.float() * self._scale, batch.mask), dim=1)
