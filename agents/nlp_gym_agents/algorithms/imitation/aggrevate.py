"""AggreVaTe: learning from what every action costs when the oracle goes on after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.policies import BasePolicy
from torch.nn import functional as F
from typing_extensions import override

from nlp_gym.checks import check_int, check_name, check_number
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import BoolArray, Float64Array, Int64Array
from nlp_gym_agents.algorithms.imitation.bc import legal_or_chosen, logits_and_values, task_of
from nlp_gym_agents.algorithms.imitation.cost_to_go import action_values, cost_loss, tried_actions
from nlp_gym_agents.algorithms.imitation.dagger import DAgger
from nlp_gym_agents.algorithms.imitation.demonstrations import OracleData
from nlp_gym_agents.algorithms.imitation.roll_in import Learner, VisitedData, joined, seen_by

SelfAggreVaTe = TypeVar("SelfAggreVaTe", bound="AggreVaTe")

ROLL_OUTS = ("oracle", "learner", "mixture")
LOSSES = ("expected", "cost_sensitive")


class AggreVaTe(DAgger):
    """The expected cost of decisions on states that the learner comes to (Ross and Bagnell 2014).

    `DAgger` asks the oracle what it would do; this asks what each action is worth: the rules branch
    on it (`Task.branch`), and the branch is completed by the oracle, by the learner, or, by the
    toss of a coin for each state, by one of them (`rollout_policy`; LOLS, Chang et al. 2015). Where
    the oracle is not the best, as a greedy summary, what its actions are worth says more than what
    they are. The loss is the expected cost under the policy (differentiable as in Sun et al. 2017).

    The first phase clones the oracle, as `BC` does. Before each later one texts are played by the
    learner (`beta` as for `DAgger`), and the values of actions at the states it came to are added
    to the data. Rewards are those that the environment is asked for. With `gamma` 0 an action is
    worth its own reward, which is exact for `correctness` where decisions do not depend on one
    another, and nothing has to be completed: otherwise a text of T decisions takes T * T / 2 times
    `branches` decisions of the roll-out policy.

    Weights fit `PPO`, `MaskablePPO` and `A2C`. A checkpoint has the roll-ins and their values.

    Args:
        policy: ``"MultiInputPolicy"`` or a class.
        env: A Stable-Baselines3 `VecEnv` whose environments have a `task` with gold.
        learning_rate: As for `BC`, as the other arguments that are not named here.
        branches: Actions tried in a state, from 2: all where there are no more, else those that
            the learner holds likeliest, and the oracle's.
        rollout_policy: ``"oracle"``, ``"learner"`` or ``"mixture"``.
        rollout_beta: Probability of the oracle in the mixture.
        states: States of a text that are priced, in the mean; None: all.
        loss: ``"expected"`` or ``"cost_sensitive"``, see `cost_loss`.
        cost_scale: Costs are multiplied by it in the loss.
        clone_coef: Weight of the cross-entropy on the oracle's actions beside it.
        mask_loss: As for `BC`; True here by default, as illegal actions are not chosen.
        **kwargs: As for `DAgger`.

    Raises:
        InvalidArgumentError: See `DAgger`; or a value outside what is allowed.
    """

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        learning_rate: Any = 1e-3,
        *,
        branches: int = 32,
        rollout_policy: str = "oracle",
        rollout_beta: float = 0.5,
        states: int | None = None,
        loss: str = "expected",
        cost_scale: float = 1.0,
        clone_coef: float = 0.0,
        mask_loss: bool = True,
        **kwargs: Any,
    ) -> None:
        check_name("rollout_policy", rollout_policy, ROLL_OUTS)
        check_name("loss", loss, LOSSES)
        self.branches = check_int("branches", branches, 2, 2**20)
        self.rollout_policy, self.loss = rollout_policy, loss
        self.rollout_beta = check_number("rollout_beta", rollout_beta, 0.0, 1.0)
        self.states = None if states is None else check_int("states", states, 1, 2**31 - 1)
        self.cost_scale = check_number("cost_scale", cost_scale, 1e-6, 1e6)
        self.clone_coef = check_number("clone_coef", clone_coef, 0.0, 1e6)
        if kwargs.get("adversarial") is not None:
            raise InvalidArgumentError(
                f"adversarial={shown(kwargs['adversarial'])} is for bc and dagger: the loss of "
                "aggrevate on expected costs is not computed on moved embeddings."
            )
        super().__init__(policy, env, learning_rate, mask_loss=mask_loss, **kwargs)

    @override
    def learn(
        self: SelfAggreVaTe,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int = 1,
        tb_log_name: str = "AggreVaTe",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfAggreVaTe:
        return super().learn(
            total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar
        )

    @override
    def _aggregate(self, visited: Sequence[VisitedData]) -> OracleData:
        found = joined(visited)  # the oracle's own way was learned from in the first phase
        return found if len(found) else self.data  # of a few texts `states` may draw none

    @override
    def _kept_of(self, state: Any, picks: np.random.Generator) -> BoolArray:
        # All of them, also where the oracle is lost: what actions are worth is known anyway.
        if self.states is None:
            return np.ones(len(state.row), bool)
        lengths = task_of(self).lengths.take(state.row)
        return picks.random(len(lengths)) < self.states / lengths

    @override
    def _judged(
        self, state: Any, mask: BoolArray, scores: npt.NDArray[np.float32], labels: Int64Array
    ) -> dict[str, npt.NDArray[Any]]:
        tried, used = tried_actions(scores, labels, self.branches)
        values = self._values(state, tried)
        values[~used] = -np.inf
        return {"tried": tried, "values": values.astype(np.float32)}

    def _values(self, state: Any, tried: Int64Array) -> Float64Array:
        """(B, K) what actions are worth by the roll-out policy."""
        task = task_of(self)
        oracle: Callable[[Any], Int64Array] = task.oracle
        learner = Learner(self.policy)
        if self.rollout_policy == "oracle" or not self.gamma:
            return action_values(task, state, tried, gamma=self.gamma, roll_out=oracle)

        def own(state: Any) -> Int64Array:
            seen, mask = seen_by(task, state, self._options["keys"])
            return learner.scores(seen, mask).argmax(axis=1).astype(np.int64)

        if self.rollout_policy == "learner":
            return action_values(task, state, tried, gamma=self.gamma, roll_out=own)
        # One toss for all actions of a state: they are compared with one another.
        by_oracle = self._tosses.random(len(tried)) < self.rollout_beta
        values = np.empty(tried.shape)
        for which, policy in ((by_oracle, oracle), (~by_oracle, own)):
            if which.any():
                part = state.take(which)
                values[which] = action_values(
                    task, part, tried[which], gamma=self.gamma, roll_out=policy
                )
        return values

    @override
    def _roll_in(self, number: int) -> None:
        self._tosses = self._generator(number, 3)
        super()._roll_in(number)

    @override
    def _update(self, batch: OracleData) -> th.Tensor:
        if not isinstance(batch, VisitedData):
            return super()._update(batch)
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        policy = self.policy
        mask = batch.masks if self.mask_loss else None
        options: dict[str, Any] = {"kind": self.loss, "scale": self.cost_scale}
        with th.autocast(self.device.type, th.bfloat16, enabled=self.mixed_precision):
            logits, values = logits_and_values(policy, batch)
            loss, right = cost_loss(logits, batch.tried, batch.values, mask, **options)
            if self.clone_coef:
                held = legal_or_chosen(logits, batch.actions, mask)
                loss = loss + self.clone_coef * F.cross_entropy(held, batch.actions)
            value_loss = F.mse_loss(values, batch.returns)
        self.policy.optimizer.zero_grad()
        (loss + self.vf_coef * value_loss).backward()
        th.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        self._n_updates += 1
        return th.stack([loss.detach(), value_loss.detach(), right])

    @override
    def _kept_tensors(self, actions: Int64Array, data: VisitedData) -> dict[str, th.Tensor]:
        used = data.values.isfinite()
        return {
            **super()._kept_tensors(actions, data),
            "tried": data.tried.int(),
            "used": used,
            "values": data.values.masked_fill(~used, 0.0),  # files have finite numbers alone
        }

    @override
    def _restored(
        self, number: int, data: VisitedData, kept: Mapping[str, th.Tensor]
    ) -> VisitedData:
        wanted = {"tried": th.int32, "used": th.bool, "values": th.float32}
        found = {name: kept.get(name, th.zeros(0)) for name in wanted}
        tried = found["tried"]
        fits = all(found[name].dtype == kind for name, kind in wanted.items())
        fits &= tried.ndim == 2 and len(tried) == len(data)
        fits &= all(part.shape == tried.shape for part in found.values())
        n = task_of(self).n_actions
        if not fits or (tried.numel() and not 0 <= int(tried.min()) <= int(tried.max()) < n):
            raise InvalidArgumentError(
                f"The values of roll-in {number} are not those of its states."
            )
        values = found["values"].masked_fill(~found["used"], -th.inf)
        rest = (data.actions, data.rewards, data.returns)
        return VisitedData(data.observations, *rest, tried.long(), values)
