"""The oracle's decisions on a whole corpus, collected once, and batches of them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.progress import Advance, progress_bar
from nlp_gym.tasks.core.rollout import play, side_by_side
from nlp_gym.tasks.core.strata import Strata
from nlp_gym.tasks.core.task import Task
from nlp_gym.tasks.labels.label_text import LabelText
from nlp_gym.types import Int64Array, Observation
from nlp_gym_agents.networks.features.open_corpora import CORPUS_KEY, with_corpus

EXITS = ("reading", "moves")
"""Which states of a text that is read chunk by chunk are learned from, see `collect`."""


@dataclass(frozen=True)
class OracleData:
    """M states on the oracle's way through every text, as tensors on the CPU.

    Attributes:
        observations: By key, (M, ...).
        actions: (M,) int64 the oracle's.
        rewards: (M,) float32 what they earned.
        returns: (M,) float32 discounted sum of rewards from there to the end of the text.
    """

    observations: dict[str, th.Tensor]
    actions: th.Tensor
    rewards: th.Tensor
    returns: th.Tensor

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def masks(self) -> th.Tensor:
        """(M, A) bool legal actions.

        Raises:
            InvalidArgumentError: Observations only name the mask, where actions are thousands.
        """
        if "action_mask" not in self.observations:
            raise InvalidArgumentError(
                "mask_loss=True needs `action_mask` in observations, which those of this task "
                "lack: set mask_loss=False."
            )
        return self.observations["action_mask"].bool()

    def take(self, index: th.Tensor, device: th.device) -> OracleData:
        """The states at `index` (B,), on a device."""
        return OracleData(
            {key: value[index].to(device) for key, value in self.observations.items()},
            *(value[index].to(device) for value in (self.actions, self.rewards, self.returns)),
        )

    def pass_length(self, strata: Strata | None) -> int:
        """States of a pass: all, or what the shares of parts of the corpus make of them."""
        if strata is None:
            return len(self)
        return int(strata.counts(self._rows().numpy()).sum())

    def _rows(self) -> th.Tensor:
        """(M,) the sample of each state.

        Raises:
            InvalidArgumentError: Observations do not name it.
        """
        if "row" not in self.observations:
            raise InvalidArgumentError(
                "replay: `features` observations do not say which sample they are of, and so not "
                "of which stage. Use obs_type='index'."
            )
        return self.observations["row"].flatten().long()

    def order(
        self, seed: int, *, whole_texts: bool = False, strata: Strata | None = None
    ) -> th.Tensor:
        """A random order of the states of a pass, that `seed` decides.

        Args:
            seed: Of the order.
            whole_texts: Leave the states of a text together, so that a batch has few texts and an
                encoder that learns encodes few; `index` observations only.
            strata: Shares of parts of the corpus; None: each state is there once.

        Returns:
            As many numbers of states as `pass_length` says.
        """
        if strata is not None:
            return th.from_numpy(strata.order(self._rows().numpy(), seed, whole=whole_texts))
        if not whole_texts:
            return shuffled(len(self), seed)
        rows = self._rows()
        place = shuffled(int(rows.max()) + 1, seed)
        return place[rows].argsort(stable=True)


def shuffled(n: int, seed: int) -> th.Tensor:
    """A permutation of n that depends on `seed` alone, so that a resumed run repeats it."""
    return th.randperm(n, generator=th.Generator().manual_seed(seed))


def obs_type_of(keys: Container[str]) -> str:
    """The `obs_type` whose observations have these keys."""
    if "row" in keys:
        return "index"
    return "tokens" if "input_ids" in keys else "features"


def collect(
    task: Task,
    *,
    gamma: float,
    obs_type: str = "index",
    batch: int = 1024,
    exits: str | None = None,
    keys: Container[str] = (),
) -> OracleData:
    """Play the oracle once through every text of a task.

    Where the oracle does not always know the way (`exact_oracle` is False), only episodes that earn
    something are kept: what it does in the others is nothing to learn.

    With `obs_type="index"` a state takes tens of bytes; with `"features"` the contexts of the whole
    corpus are held in memory.

    Args:
        task: It has gold.
        gamma: Discount of the returns.
        obs_type: Kind of observation to keep.
        batch: Texts played side by side.
        exits: One of `EXITS`: teach what to commit to in every state of reading, in place of the
            oracle's own decisions: the gold label, of which the return is 1. Moves are masked, and
            what the task holds out (`Classification`, ``holdout``) is not learned from.
        keys: Keys of the observations that the policy was made for, see `with_corpus`.

    Raises:
        InvalidArgumentError: The corpus has no gold (from the task's oracle), the oracle earns
            nothing on it, or there is nothing to commit to on the way.
    """
    if exits and not (isinstance(task, LabelText) and task.reading):
        raise InvalidArgumentError(
            f"exits={shown(exits)}: only classification that reads chunk by chunk (reading=True) "
            "commits on the way."
        )
    what = f"collecting the oracle's decisions on {task.corpus.name} {task.corpus.split}"
    with progress_bar(len(task.corpus), what, unit="samples") as advance:
        parts = [
            _play(task, rows, gamma, obs_type, advance, exits=exits)
            for rows in _taught(task, batch, exits)
        ]
    observations = {
        key: th.from_numpy(np.concatenate([part[0][key] for part in parts])) for key in parts[0][0]
    }
    rest = [th.from_numpy(np.concatenate(column)) for column in list(zip(*parts, strict=True))[1:]]
    if not len(rest[0]):
        raise InvalidArgumentError(
            f"{task.corpus.name}: the oracle earns nothing on any sample of it, so that there is "
            "nothing to learn from it."
        )
    number = with_corpus({"": np.zeros((1, 1))}, task, keys).get(CORPUS_KEY)
    if number is not None:
        observations[CORPUS_KEY] = th.from_numpy(np.repeat(number, len(rest[0]), axis=0))
    return OracleData(observations, *rest)


def earning(
    task: Task, places: Sequence[Int64Array], rewards: Sequence[npt.NDArray[np.floating[Any]]]
) -> npt.NDArray[np.bool_]:
    """Which texts the oracle's way is learned from: all, or those on which it earned something.

    Args:
        task: Says whether its oracle always knows the way.
        places: Of each step, the texts that were still played.
        rewards: Of each step, what their decisions earned.

    Returns:
        (n,), the texts that were begun together.
    """
    earned = np.bincount(np.concatenate(places), np.concatenate(rewards))
    return (earned > 0) | task.exact_oracle


def _taught(task: Task, batch: int, exits: str | None) -> Iterable[Int64Array]:
    """The texts that are played side by side."""
    if exits is None or task.drawn is None:
        return side_by_side(task.lengths, batch)
    rows = np.setdiff1d(np.arange(len(task.corpus)), task.drawn)
    return (rows[places] for places in side_by_side(task.lengths[rows], batch))


def compact(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Store wide marks and masks as bytes; networks turn them into floats."""
    wide = values.ndim == 2 and values.shape[1] > 8 and values.dtype.kind == "i"
    return values.astype(np.int8) if wide and values.max(initial=0) < 128 else values


def _play(
    task: Task,
    rows: Int64Array,
    gamma: float,
    obs_type: str,
    advance: Advance,
    *,
    exits: str | None,
) -> tuple[Observation, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """One batch of texts to their ends: observations, actions, rewards, returns.

    `advance` hears of each text that ended.
    """
    seen: list[Observation] = []
    taught: list[Int64Array] = []

    def decide(state: Any, place: Int64Array) -> Int64Array:
        seen.append(task.observe(state, obs_type))
        if exits:
            moves = seen[-1]["action_mask"][:, len(task.labels) :].copy()
            seen[-1]["action_mask"][:, len(task.labels) :] = 0
            taught.append(task.commitment(state))  # type: ignore[attr-defined]
            if exits == "moves":
                best = np.where(moves, rng.random(moves.shape), -1.0).argmax(axis=1)
                return np.where(moves.any(axis=1), len(task.labels) + best, taught[-1])
        return task.oracle(state)

    rng, steps = np.random.default_rng(0), []
    for step in play(task, rows, decide):
        steps.append((step.place, step.actions, step.rewards.astype(np.float32)))
        advance(int(step.ended.sum()))
    ahead = np.zeros(len(rows), np.float32)  # return of each text from the next step on
    returns: list[npt.NDArray[np.float32]] = []
    for place, _, rewards in reversed(steps):
        ahead[place] = rewards + gamma * ahead[place]
        returns.append(ahead[place])
    useful = earning(task, [step[0] for step in steps], [step[2] for step in steps])
    kept = [useful[place] for place, _, _ in steps]
    _, actions, rewarded = zip(*steps, strict=True)

    def joined(column: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.concatenate([part[keep] for part, keep in zip(column, kept, strict=True)])

    observations = {key: joined(compact(one[key]) for one in seen) for key in seen[0]}
    if exits:
        ones = [np.ones(len(one), np.float32) for one in taught]
        return observations, joined(taught), joined(ones), joined(ones)
    return observations, joined(actions), joined(rewarded), joined(returns[::-1])
