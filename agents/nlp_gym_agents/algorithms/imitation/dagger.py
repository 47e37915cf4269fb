"""DAgger: cloning on states that the learner itself comes to (Ross, Gordon and Bagnell 2011)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from typing_extensions import override

from nlp_gym.checks import check_int, check_number
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.progress import progress_bar
from nlp_gym.types import BoolArray, Int64Array, Observation
from nlp_gym_agents.algorithms.imitation.bc import BC, task_of
from nlp_gym_agents.algorithms.imitation.demonstrations import OracleData
from nlp_gym_agents.algorithms.imitation.roll_in import (
    Decision,
    Learner,
    VisitedData,
    check_rolls_in,
    finds_a_way,
    joined,
    roll_in,
)
from nlp_gym_agents.networks.features.swap_source import clear_caches, reads_whole_texts

SelfDAgger = TypeVar("SelfDAgger", bound="DAgger")

MOST_ROLL_INS = 1000


class DAgger(BC):
    """Cross-entropy on the oracle's actions, on states that the learner comes to.

    Behaviour cloning only sees the oracle's own way, where the history is always right; at test the
    history is the agent's own. Here training has phases. The first learns from the oracle's way, as
    `BC` does. Before each later one texts are played by a mixture: a decision is the oracle's with
    probability ``beta ** i`` in roll-in i, else the learner's greedy one. Every state is labelled
    with what the oracle would do there and added to the data, all of which is learned from.

    Network, value head (fitted to what the path earned) and timesteps are those of `BC`: weights
    fit `PPO`, `MaskablePPO` and `A2C`, and a timestep is one decision learned from. A checkpoint
    has the actions of the roll-ins, from which a resumed run makes their states again.

    Args:
        policy: ``"MultiInputPolicy"`` or a class.
        env: A Stable-Baselines3 `VecEnv` whose environments have a `task` with gold.
        learning_rate: As for `BC`, as the other arguments that are not named here.
        roll_ins: Number of roll-ins, from 0. The run's last phases each begin with one.
        first: Share of the run that is learned from the oracle's way alone; the rest is divided
            evenly between the roll-ins.
        beta: See above; 0: the learner alone plays, 1: the oracle alone.
        texts: Texts that a roll-in plays, drawn without replacement from those that environments
            draw from (`Task.drawn`); None: all of these.
        sampled: Whether the learner's decisions are drawn from its probabilities.
        **kwargs: As for `BC`.

    Raises:
        InvalidArgumentError: The environments have no `task`, its corpus has no gold, or its
            oracle does not know the way from other states than its own (written texts).
    """

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        learning_rate: Any = 1e-3,
        *,
        roll_ins: int = 3,
        first: float = 0.4,
        beta: float = 0.0,
        texts: int | None = None,
        sampled: bool = False,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("exits") is not None:
            raise InvalidArgumentError(
                f"exits={shown(kwargs['exits'])} is for bc: the oracle of a roll-in says where "
                "to stop reading too, and exits leave it out."
            )
        self.roll_ins = check_int("roll_ins", roll_ins, 0, MOST_ROLL_INS)
        self.first = check_number("first", first, 0.0, 1.0)
        self.beta = check_number("beta", beta, 0.0, 1.0)
        self.texts = None if texts is None else check_int("texts", texts, 1, 2**31 - 1)
        self.sampled = sampled
        self._kept: list[dict[str, th.Tensor]] = []
        self._visited: list[VisitedData] = []
        self._aggregated: tuple[int, OracleData] | None = None
        super().__init__(policy, env, learning_rate, **kwargs)
        if self.env is not None:
            check_rolls_in(task_of(self), type(self).__name__.lower())

    # Phases.

    def _phases(self, total: int) -> list[int]:
        """Timesteps at which each phase ends, in whole batches but for the last."""
        if not self.roll_ins:
            return [total]
        begin = total * self.first
        each = (total - begin) / self.roll_ins
        ends = [begin + each * i for i in range(self.roll_ins)]
        whole = [min(round(end / self.batch_size) * self.batch_size, total) for end in ends]
        return [*whole, total]

    @override
    def learn(
        self: SelfDAgger,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int = 1,
        tb_log_name: str = "DAgger",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfDAgger:
        return super().learn(
            total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar
        )

    @override
    def _epoch(self, epoch: int, total: int, calls: BaseCallback) -> bool:
        """The rest of a pass over the data of the phase; False to stop."""
        ends = self._phases(total)
        phase = next(i for i, end in enumerate(ends) if self.num_timesteps < end)
        while len(self._visited) < phase:
            self._roll_in(len(self._visited) + 1)
        begin = ends[phase - 1] if phase else 0
        data = self._phase_data(phase)
        strata = task_of(self).strata
        done, start = divmod(self.num_timesteps - begin, data.pass_length(strata))
        seed = (self.seed or 0) + 1_000_003 * phase + done
        order = data.order(seed, whole_texts=reads_whole_texts(self.policy), strata=strata)
        losses: list[th.Tensor] = []
        go_on, end = True, ends[phase]
        while go_on and start < len(order) and self.num_timesteps < end:
            index = order[start : start + min(self.batch_size, end - self.num_timesteps)]
            self._update_current_progress_remaining(self.num_timesteps, total)
            own = index if self.share is None else self.share(data, index)
            losses.append(self._update(data.take(own, self.device)))
            start += len(index)
            self.num_timesteps += len(index)
            calls.update_locals(locals())
            go_on = calls.on_step()
        for i, name in enumerate(("loss", "value_loss", "accuracy")):
            self.logger.record(
                f"train/{name}", th.stack([loss[i] for loss in losses]).mean().item()
            )
        self.logger.record("train/states", len(data))
        return go_on

    def _phase_data(self, phase: int) -> OracleData:
        """What a phase learns from; all that was seen so far."""
        if not phase:
            return self.data
        if self._aggregated is None or self._aggregated[0] != phase:
            self._aggregated = (phase, self._aggregate(self._visited[:phase]))
        return self._aggregated[1]

    def _aggregate(self, visited: Sequence[VisitedData]) -> OracleData:
        return joined([VisitedData.of(self.data), *visited])

    # Roll-ins.

    def _rows(self, number: int) -> Int64Array:
        task = task_of(self)
        every: Int64Array = np.arange(len(task.corpus)) if task.drawn is None else task.drawn
        if self.texts is None or self.texts >= len(every):
            return every
        chosen = self._generator(number, 0).choice(len(every), self.texts, replace=False)
        return every[np.sort(chosen)]

    def _generator(self, number: int, use: int) -> np.random.Generator:
        """Random numbers of a roll-in, which a resumed run draws again."""
        return np.random.default_rng([self.seed or 0, number, use])

    def _roll_in(self, number: int) -> None:
        """Play texts with the mixture of oracle and learner, and keep the states."""
        task, rows = task_of(self), self._rows(number)
        draws, picks = self._generator(number, 1), self._generator(number, 2)
        learner, share = Learner(self.policy), self.beta**number

        def decide(state: Any, seen: Observation, mask: BoolArray) -> Decision:
            labels = task.oracle(state)
            scores = learner.scores(seen, mask)
            # The largest of scores with Gumbel noise is a sample.
            noise = draws.gumbel(size=scores.shape) if self.sampled else 0.0
            own = (scores + noise).argmax(axis=1)
            chosen = np.where(draws.random(len(labels)) < share, labels, own).astype(np.int64)
            keep = self._kept_of(state, picks)
            more = self._judged(state.take(keep), mask[keep], scores[keep], labels[keep])
            return Decision(chosen, labels, keep, more)

        what = f"roll-in {number} of {self.roll_ins}"
        with progress_bar(None, what):
            data, actions = roll_in(task, rows, decide, **self._options)
        clear_caches(self.policy)
        self._visited.append(data)
        self._kept.append(self._kept_tensors(actions, data))

    @property
    def _options(self) -> dict[str, Any]:
        return {"gamma": self.gamma, "keys": getattr(self.observation_space, "spaces", {})}

    def _kept_of(self, state: Any, picks: np.random.Generator) -> BoolArray:
        """(B,) which states are learned from: those from which the oracle knows a way."""
        task = task_of(self)
        return np.ones(len(state.row), bool) if task.exact_oracle else finds_a_way(task, state)

    def _judged(
        self, state: Any, mask: BoolArray, scores: npt.NDArray[np.float32], labels: Int64Array
    ) -> dict[str, npt.NDArray[Any]]:
        """What else is kept of the states: arrays by field of `VisitedData`."""
        return {}

    # Checkpoints.

    def _kept_tensors(self, actions: Int64Array, data: VisitedData) -> dict[str, th.Tensor]:
        """What a roll-in is made again from."""
        return {"actions": th.from_numpy(actions)}

    def kept_tensors(self) -> dict[str, th.Tensor]:
        """What a checkpoint has to hold besides weights: the roll-ins so far."""
        return {f"{i}/{k}": v for i, kept in enumerate(self._kept, 1) for k, v in kept.items()}

    def restore_tensors(self, tensors: Mapping[str, th.Tensor]) -> None:
        """Make the data of the roll-ins again.

        Args:
            tensors: From `kept_tensors`.

        Raises:
            InvalidArgumentError: They are not those of a run like this one.
        """
        self._kept, self._visited, self._aggregated = [], [], None
        numbers = sorted({int(name.partition("/")[0]) for name in tensors})
        if numbers != [*range(1, len(numbers) + 1)] or len(numbers) > self.roll_ins:
            raise InvalidArgumentError(
                f"The checkpoint has roll-ins {shown(numbers)}, and the run's settings say "
                f"roll_ins={self.roll_ins}."
            )
        for number in numbers:
            own = f"{number}/"
            self._replay(
                number, {k.removeprefix(own): v for k, v in tensors.items() if k.startswith(own)}
            )

    def _replay(self, number: int, kept: Mapping[str, th.Tensor]) -> None:
        """Play the actions of a roll-in again."""
        task = task_of(self)
        actions, at = _checked(kept, task.n_actions), 0
        picks = self._generator(number, 2)

        def decide(state: Any, seen: Observation, mask: BoolArray) -> Decision:
            nonlocal at
            chosen = actions[at : at + len(mask)].astype(np.int64)
            at += len(mask)
            if len(chosen) < len(mask):
                raise InvalidArgumentError(f"roll-in {number} of the checkpoint is cut short.")
            return Decision(chosen, task.oracle(state), self._kept_of(state, picks))

        data, played = roll_in(task, self._rows(number), decide, **self._options)
        if at != len(actions):
            raise InvalidArgumentError(f"roll-in {number} of the checkpoint is of other texts.")
        self._visited.append(self._restored(number, data, kept))
        self._kept.append(self._kept_tensors(played, self._visited[-1]))

    def _restored(
        self, number: int, data: VisitedData, kept: Mapping[str, th.Tensor]
    ) -> VisitedData:
        """The data of a roll-in, from its states and what was saved."""
        return data

    @override
    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_kept", "_visited", "_aggregated"]


def _checked(kept: Mapping[str, th.Tensor], n_actions: int) -> Int64Array:
    actions = kept.get("actions", th.zeros(0)).numpy()
    if actions.dtype != np.int32 or actions.ndim != 1 or not len(actions):
        raise InvalidArgumentError("The checkpoint's roll-ins have no actions.")
    if actions.min() < 0 or actions.max() >= n_actions:
        raise InvalidArgumentError("The checkpoint's roll-ins have actions that cannot be.")
    return actions
