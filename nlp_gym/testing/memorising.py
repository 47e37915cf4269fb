"""A check that observations tell states apart: who memorises them beats the majority."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nlp_gym.tasks.core.rollout import Act, play, rollout
from nlp_gym.tasks.core.task import Task
from nlp_gym.testing.subject import Subject, require
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation

DECISIONS = 2000
"""Most decisions that are memorised; time and memory grow with its third and second power."""
_RIDGE = 1e-3
_SHARPNESS = 4.0
"""How fast similarity falls with distance, where the mean distance of two observations is 1."""


def states_told_apart(subject: Subject) -> None:
    """Who memorises the oracle's decisions by what is observed beats the majority on them.

    It is kernel ridge regression from `features` observations to the oracle's actions, on up to
    2,000 decisions of the training split, and plays the same samples. States that look the same
    cannot be memorised apart, so this finds observations that lack what a decision depends on. It
    does not say that anything can be learnt for other samples: random labels pass, too. The bundled
    samples are too small, and the hashed encoder too weak, to ask for that.
    """
    task = subject.task()
    ends = np.cumsum(task.lengths)
    budget = DECISIONS // 4 if subject.quick else DECISIONS
    rows = list(range(max(1, int(np.searchsorted(ends, budget, side="right")))))
    seen, actions = _oracle(task, np.array(rows))
    counts = np.bincount(actions, minlength=task.n_actions)

    def majority(_: Observation, mask: BoolArray) -> Int64Array:
        played: Int64Array = np.where(mask, counts, -1).argmax(axis=1)
        return played

    def value(act: Act, obs_type: str) -> float:
        outputs = rollout(task, act, rows, obs_type=obs_type)
        return float(task.score(outputs, rows=rows, bootstrap=0).value)

    floor = value(majority, "index")
    found = value(Imitator(seen, actions, task.n_actions), "features")
    require(
        found > floor,
        f"who memorises {len(actions)} decisions of the oracle by what is observed scores "
        f"{found:.3f} on the same samples, the majority action {floor:.3f}",
    )


def _oracle(task: Task, rows: Int64Array) -> tuple[Observation, Int64Array]:
    """(M, ...) observations and (M,) actions of the oracle on samples."""
    seen: list[Observation] = []
    actions: list[Int64Array] = []

    def decide(state: object, place: Int64Array) -> Int64Array:
        seen.append(task.observe(state, "features"))
        actions.append(task.oracle(state))
        return actions[-1]

    for _ in play(task, rows, decide):
        pass
    return {key: np.concatenate([s[key] for s in seen]) for key in seen[0]}, np.concatenate(actions)


class Imitator:
    """Kernel ridge regression from observations to one-hot actions; plays the likeliest legal one.

    Args:
        seen: (M, ...) observations.
        actions: (M,) what was decided on each.
        n_actions: Number A of actions.
    """

    def __init__(self, seen: Observation, actions: Int64Array, n_actions: int) -> None:
        self._seen = _parts(seen)
        self._scale: dict[str, float] = {}
        for key, part in self._seen.items():
            mean = _distances(part, part).mean()
            if mean > 0:  # a part that never differs says nothing
                self._scale[key] = _SHARPNESS / float(mean)
        wanted = np.zeros((len(actions), n_actions))
        wanted[np.arange(len(actions)), actions] = 1.0
        self._mean = wanted.mean(axis=0)
        kernel = self._kernel(self._seen)
        kernel[np.diag_indices_from(kernel)] += _RIDGE
        self._weights = np.linalg.solve(kernel, wanted - self._mean)

    def __call__(self, obs: Observation, mask: BoolArray) -> Int64Array:
        """Actions (B,) for observations and (B, A) masks."""
        likely = self._kernel(_parts(obs)) @ self._weights + self._mean
        played: Int64Array = np.where(mask, likely, -np.inf).argmax(axis=1)
        return played

    def _kernel(self, parts: Mapping[str, npt.NDArray[np.generic]]) -> Float64Array:
        """(B, M) similarities, 1 for what is equal."""
        first = next(iter(parts.values()))
        distance = np.zeros((len(first), len(next(iter(self._seen.values())))))
        for key, scale in self._scale.items():
            distance += scale * _distances(parts[key], self._seen[key])
        similar: Float64Array = np.exp(-distance / max(len(self._scale), 1))
        return similar


def _parts(seen: Observation) -> dict[str, npt.NDArray[np.generic]]:
    """What is seen besides the mask, each (B, size)."""
    rest = {key: a.reshape(len(a), -1) for key, a in seen.items() if key != "action_mask"}
    return rest or {"action_mask": seen["action_mask"]}


def _distances(left: npt.NDArray[np.generic], right: npt.NDArray[np.generic]) -> Float64Array:
    """(B, M) distances: squared ones of vectors, the share of differing entries of integers."""
    if left.dtype.kind in "iu":
        share: Float64Array = np.zeros((len(left), len(right)))
        for i in range(left.shape[1]):
            share += left[:, i : i + 1] != right[:, i]
        share /= left.shape[1]
        return share
    a, b = left.astype(np.float32), right.astype(np.float32)
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2.0 * (a @ b.T)
    distances: Float64Array = np.maximum(squares, 0.0).astype(np.float64)
    return distances
