"""Greedy acting with a trained model over batches of observations."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch as th
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.dqn.policies import DQNPolicy

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.rollout import Act
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation
from nlp_gym_agents.networks.policies.dueling import action_scores, scores_and_value
from nlp_gym_agents.networks.policies.dueling import masked as apply_mask

LogProbs = Callable[[Observation, BoolArray], Float64Array]
"""From an observation (arrays with B in front) and the (B, A) mask to (B, A) log-probabilities."""

Floats = npt.NDArray[np.float32]

INVERSE_TEMPERATURE = 10.0
"""Values are multiplied by this where they stand in for logits."""


@dataclass(frozen=True)
class Scored:
    """What a policy chooses in B states, and what it holds of every action.

    Attributes:
        actions: (B,) its greedy actions.
        scores: (B, A) float32 logits or values of all actions, minus infinity where they were
            masked; None: not known.
        values: (B,) float32 what it expects of the rest of the episode: the critic's value, or the
            highest value of an action; None: not known.
    """

    actions: Int64Array
    scores: Floats | None = None
    values: Floats | None = None


ScoredAct = Callable[[Observation, BoolArray], Scored]
"""From an observation (arrays with B in front) and the (B, A) mask to `Scored`."""

ScoreKind = Literal["logits", "values", "none"]
"""What scores of actions are: logits, values (returns that are expected), or not known."""

_Found = tuple[th.Tensor | None, th.Tensor | None]


def score_kind(policy: BasePolicy) -> ScoreKind:
    """What a policy scores actions by."""
    if isinstance(policy, DQNPolicy | QRDQNPolicy):
        return "values"
    known = ActorCriticPolicy | MaskableActorCriticPolicy | RecurrentActorCriticPolicy
    return "logits" if isinstance(policy, known) else "none"


def make_act(model: BaseAlgorithm, masked: bool) -> Act:
    """The model's greedy action, as a function for `nlp_gym.tasks.core.rollout.rollout`.

    Policies of Stable-Baselines3 and sb3-contrib are asked for their scores directly: `predict`
    copies the observation deeply and checks it against its space at every call, which takes longer
    than a small network. Any other model goes through `predict`.

    Args:
        model: A Stable-Baselines3 algorithm, or anything with its `predict`.
        masked: Only choose legal actions. A model whose scores are not known and whose `predict`
            takes no `action_masks` chooses freely all the same; the environment repairs that.

    Returns:
        `act(obs, mask)` with `obs` arrays (B, ...) and `mask` (B, A) bool; gives actions (B,).
    """
    score, choose = _scorer(model, masked, with_value=False), _predictor(model, masked)

    def act(obs: Observation, mask: BoolArray) -> Int64Array:
        scores, _ = score(obs, mask)
        if scores is None:
            return choose(obs, mask)
        chosen: Int64Array = scores.argmax(dim=1).cpu().numpy()
        return chosen

    return act


def make_scored_act(model: BaseAlgorithm, masked: bool, *, with_value: bool = True) -> ScoredAct:
    """As `make_act`, and what the model holds of every action and of the state.

    Args:
        model: As for `make_act`.
        masked: As for `make_act`; without it illegal actions have scores as well.
        with_value: Ask for the value of the state, too, which takes a pass through the critic.

    Returns:
        A function with a memory of its own where the policy has one; see `Scored`.
    """
    score = _scorer(model, masked, with_value=with_value)
    choose = _predictor(model, masked)

    def act(obs: Observation, mask: BoolArray) -> Scored:
        scores, values = score(obs, mask)
        if scores is None:
            return Scored(choose(obs, mask))
        chosen: Int64Array = scores.argmax(dim=1).cpu().numpy()
        expected = None if values is None else values.cpu().numpy()
        return Scored(chosen, scores.cpu().numpy(), expected)

    return act


def _scorer(
    model: BaseAlgorithm, masked: bool, *, with_value: bool
) -> Callable[[Observation, BoolArray], _Found]:
    """A function that gives (B, A) scores and, if asked for, (B,) values; None: not known."""
    if getattr(model.policy, "lstm_actor", None) is not None:
        return _recurrent_scorer(model, masked, with_value=with_value)
    found = scores_and_value if with_value else _scores_alone

    def score(obs: Observation, mask: BoolArray) -> _Found:
        policy = model.policy
        policy.set_training_mode(False)
        with th.no_grad():
            return found(policy, _tensors(obs, policy.device), mask if masked else None)

    return score


def _scores_alone(policy: BasePolicy, obs: dict[str, th.Tensor], mask: BoolArray | None) -> _Found:
    return action_scores(policy, obs, mask), None


def _predictor(model: BaseAlgorithm, masked: bool) -> Act:
    """Actions of a model whose scores are not known."""
    accepts_masks = "action_masks" in inspect.signature(model.predict).parameters

    def choose(obs: Observation, mask: BoolArray) -> Int64Array:
        options: dict[str, Any] = {"action_masks": mask} if masked and accepts_masks else {}
        return np.asarray(model.predict(obs, deterministic=True, **options)[0], np.int64)

    return choose


def make_log_probs(model: BaseAlgorithm) -> LogProbs | None:
    """Log-probabilities of a model's actions, as a function for `models.beam_search`.

    Values are no logits; those of a Q-network are taken for some after multiplication by
    `INVERSE_TEMPERATURE`, since returns lie within about -1 and 1.

    Args:
        model: As for `make_act`.

    Returns:
        A function of an observation and a mask that gives (B, A) float64, -inf where illegal; None
        for a model whose scores are not known, or whose memory would have to be searched as well.
    """
    kind = score_kind(model.policy)
    if kind == "none" or isinstance(model.policy, RecurrentActorCriticPolicy):
        return None
    score = _scorer(model, True, with_value=False)
    scale = INVERSE_TEMPERATURE if kind == "values" else 1.0

    def log_probs(obs: Observation, mask: BoolArray) -> Float64Array:
        scores, _ = score(obs, mask)
        assert scores is not None
        found: Float64Array = th.log_softmax(scores.double() * scale, dim=1).cpu().numpy()
        return found

    return log_probs


def _tensors(obs: Observation, device: th.device) -> dict[str, th.Tensor]:
    return cast("dict[str, th.Tensor]", obs_as_tensor(obs, device))


def _recurrent_scorer(
    model: BaseAlgorithm, masked: bool, *, with_value: bool
) -> Callable[[Observation, BoolArray], _Found]:
    """Scores of a recurrent policy, whose memory is zero where an episode begins.

    `rollout` takes episodes out of the batch as they end, so a place in the batch is not enough to
    find the memory of an episode again. An episode begins with a row that was not played just now,
    or back at position 0 (several decisions may be made at one position).
    """
    memory = _Memory(with_value=with_value)

    def score(obs: Observation, mask: BoolArray) -> _Found:
        policy: Any = model.policy  # its observations are typed as tensors, and may be dicts
        policy.set_training_mode(False)
        if "row" not in obs or "position" not in obs:
            raise InvalidArgumentError(
                f"obs has the keys {sorted(obs)}: a recurrent policy is evaluated on "
                "obs_type='index', where `row` and `position` tell the episodes apart."
            )
        starts = memory.follow(policy, obs)
        with th.no_grad():
            tensors = _tensors(obs, policy.device)
            begin = th.as_tensor(starts, dtype=th.float32, device=policy.device)
            logits, values = memory.advance(policy, tensors, begin)
            assert logits is not None
            legal = th.as_tensor(mask, device=policy.device) if masked else None
            return apply_mask(logits, legal), values

    return score


class _Memory:
    """The states of a recurrent policy's LSTMs for the episodes that are played side by side.

    Args:
        with_value: Keep those of the critic's LSTM, too.
    """

    def __init__(self, *, with_value: bool) -> None:
        self._with_value = with_value
        self._actor = self._critic = (th.zeros(0), th.zeros(0))  # made at the first batch
        self._rows, self._places = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def follow(self, policy: Any, obs: Observation) -> BoolArray:
        """Find the memory of each episode of a batch again; gives (B,) which ones begin."""
        now, here = (obs[key].reshape(-1).astype(np.int64) for key in ("row", "position"))
        known, before = _match_rows(self._rows, now)
        starts = ~known
        starts[known] = (here[known] == 0) & (self._places[before[known]] > 0)
        if starts.all():
            self._actor = _zero_memory(policy.lstm_actor, len(now), policy.device)
            self._critic = _zero_memory(
                policy.lstm_critic or policy.lstm_actor, len(now), policy.device
            )
        else:  # what is new is emptied by the policy, told by `episode_starts`
            index = th.as_tensor(before, device=policy.device)
            self._actor = self._actor[0][:, index], self._actor[1][:, index]
            self._critic = self._critic[0][:, index], self._critic[1][:, index]
        self._rows, self._places = now, here
        return starts

    def advance(self, policy: Any, obs: dict[str, th.Tensor], begin: th.Tensor) -> _Found:
        """(B, A) logits and (B,) values, if wanted; the memory then is that of the next step."""
        values = None
        if self._with_value:
            before = RNNStates(self._actor, self._critic)
            _, values, _, after = policy.forward(obs, before, begin, deterministic=True)
            self._critic, values = after.vf, values.flatten()
        distribution, self._actor = policy.get_distribution(obs, self._actor, begin)
        return distribution.distribution.logits, values


def _zero_memory(lstm: th.nn.LSTM, n: int, device: th.device) -> tuple[th.Tensor, th.Tensor]:
    zeros = th.zeros((lstm.num_layers, n, lstm.hidden_size), device=device)
    return zeros, zeros


def _match_rows(before: Int64Array, now: Int64Array) -> tuple[BoolArray, Int64Array]:
    """(B,) whether each row of `now` is in `before`, and (B,) its place there (else any)."""
    if not len(before):
        return np.zeros(len(now), bool), np.zeros(len(now), np.int64)
    order = np.argsort(before, kind="stable")
    place = order[np.searchsorted(before, now, sorter=order).clip(max=len(before) - 1)]
    return before[place] == now, place
