"""A Q-network with dueling heads, exploration over legal actions, and the scores of any policy.

The actor-critic, quantile and plain Q policies are Stable-Baselines3's; with `NLPExtractor` as
their features extractor and `net_arch=[]` their heads sit on one shared trunk.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, create_mlp
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn
from typing_extensions import override

from nlp_gym.checks import check_number
from nlp_gym.types import BoolArray, Int64Array, Observation
from nlp_gym_agents.networks.features.extractor import CorpusExtractor
from nlp_gym_agents.networks.features.observation_keys import LEGAL_KEY, MASK_KEY


class DuelingQNetwork(QNetwork):
    """Q(s, a) = V(s) + A(s, a) - mean over a' of A(s, a') (Wang et al. 2016).

    Most of a tagging state's value is how much text is left, which no action changes: the value
    head learns it once instead of once per action.

    Args:
        observation_space: The environment's.
        action_space: The environment's.
        features_extractor: The trunk.
        features_dim: Its width.
        dueling: False gives the plain Q-network.
        scale: What the heads' outputs are multiplied by, above 0. A step of an optimizer such as
            Adam moves outputs by as much whatever values are to be learned: with rewards of 1 for
            one action in a hundred, it would move the others by more than they differ.
        net_arch: Widths of further layers, of each head.
        activation_fn: Between these.
        normalize_images: As for `QNetwork`.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Discrete,
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        *,
        dueling: bool = True,
        scale: float = 1.0,
        net_arch: list[int] | None = None,
        activation_fn: type[nn.Module] = nn.ReLU,
        normalize_images: bool = True,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            features_extractor,
            features_dim,
            net_arch,
            activation_fn,
            normalize_images,
        )
        self.scale = check_number("scale", scale, 1e-6, 1e6)
        self.value_net: nn.Module | None = (
            nn.Sequential(*create_mlp(features_dim, 1, self.net_arch, self.activation_fn))
            if dueling
            else None
        )

    def forward(self, obs: PyTorchObs) -> th.Tensor:
        """Values of all actions, (B, A)."""
        latent = self.extract_features(obs, self.features_extractor)
        advantage: th.Tensor = self.q_net(latent)  # (B, A)
        if self.value_net is None:
            return self.scale * advantage
        value: th.Tensor = self.value_net(latent)  # (B, 1)
        return self.scale * (value + advantage - advantage.mean(dim=1, keepdim=True))

    def _predict(self, observation: PyTorchObs, deterministic: bool = True) -> th.Tensor:
        return masked(self(observation), mask_of(observation, self)).argmax(dim=1)


class DuelingDQNPolicy(DQNPolicy):
    """A policy of DQN with two `DuelingQNetwork` (or `network`), whose greedy actions are legal.

    Args:
        observation_space: The environment's.
        action_space: The environment's.
        lr_schedule: Learning rate by progress remaining.
        dueling: See `DuelingQNetwork`.
        scale: See `DuelingQNetwork`.
        **kwargs: As for `DQNPolicy`.
    """

    network: ClassVar[type[DuelingQNetwork]] = DuelingQNetwork

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        dueling: bool = True,
        scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        self._dueling, self._scale = (
            dueling,
            scale,
        )  # read by make_q_net, which the base class calls
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    @override
    def make_q_net(self) -> DuelingQNetwork:
        """A fresh Q-network with an extractor of its own (the feature source is shared)."""
        net_args = self._update_features_extractor(self.net_args, features_extractor=None)
        return self.network(**net_args, dueling=self._dueling, scale=self._scale).to(self.device)


def mask_of(obs: PyTorchObs, network: QNetwork) -> th.Tensor | None:
    """The (B, A) bool mask that an observation carries or names, None where it does neither."""
    if isinstance(obs, dict) and MASK_KEY in obs:
        return obs[MASK_KEY].bool()
    if isinstance(obs, dict) and LEGAL_KEY in obs:
        extractor = network.features_extractor
        assert isinstance(extractor, CorpusExtractor)
        assert extractor.source is not None
        masks = extractor.source.masks
        assert masks is not None
        return masks.index_select(0, obs[LEGAL_KEY].to(masks.device).long().flatten())
    return None


def masked(scores: th.Tensor, mask: th.Tensor | None) -> th.Tensor:
    """Scores (B, A) with illegal actions at minus infinity."""
    return scores if mask is None else scores.masked_fill(~mask, -th.inf)


def explore(policy: DQNPolicy, obs: Observation, rate: float) -> Int64Array:
    """The greedy action of each environment, or with probability `rate` a random legal one.

    Args:
        policy: Its greedy actions are legal.
        obs: Arrays with B environments in front.
        rate: From 0 to 1; each environment draws for itself.

    Returns:
        (B,) actions.
    """
    # Torch's generator: Stable-Baselines3 seeds it, and a resumed run restores it.
    explores = th.rand(len(next(iter(obs.values())))) < rate  # (B,)
    if explores.all():
        return random_legal(policy, obs)
    greedy, _ = policy.predict(obs, deterministic=True)
    if not explores.any():
        return greedy
    return np.where(explores.numpy(), random_legal(policy, obs), greedy)


def random_legal(policy: DQNPolicy, obs: Observation) -> Int64Array:
    """(B,) actions, uniform over the legal ones of each environment."""
    batch = len(next(iter(obs.values())))
    draws = th.rand(batch, int(policy.action_space.n)).numpy()  # type: ignore[attr-defined]
    legal = mask_of(obs_as_tensor(obs, th.device("cpu")), policy.q_net)
    if legal is not None:
        draws[~legal.numpy(force=True)] = -1.0
    chosen: Int64Array = draws.argmax(axis=1)
    return chosen


def action_scores(
    policy: BasePolicy, obs: dict[str, th.Tensor], mask: BoolArray | None = None
) -> th.Tensor | None:
    """What a policy's greedy action maximises: logits or values, (B, A).

    Args:
        policy: Of any algorithm.
        obs: Observation as tensors on the policy's device, B in front.
        mask: (B, A) legal actions; others then score minus infinity. None: all are legal.

    Returns:
        None for a policy of another family (or a recurrent one, whose scores need its memory).
    """
    return _scores(policy, obs, mask, with_value=False)[0]


def has_scores(policy: BasePolicy) -> bool:
    """Whether `action_scores` gives the scores of a single decision of a policy."""
    return isinstance(
        policy, DQNPolicy | QRDQNPolicy | ActorCriticPolicy | MaskableActorCriticPolicy
    ) and not isinstance(policy, RecurrentActorCriticPolicy)


def scores_and_value(
    policy: BasePolicy, obs: dict[str, th.Tensor], mask: BoolArray | None = None
) -> tuple[th.Tensor | None, th.Tensor | None]:
    """As `action_scores`, and (B,) what the policy expects of the rest of the episode.

    The second is the critic's value, or the highest value of the actions that `mask` allows.
    """
    return _scores(policy, obs, mask, with_value=True)


def _scores(
    policy: BasePolicy, obs: dict[str, th.Tensor], mask: BoolArray | None, *, with_value: bool
) -> tuple[th.Tensor | None, th.Tensor | None]:
    if isinstance(policy, DQNPolicy | QRDQNPolicy):
        values = _legal(_action_values(policy, obs), mask)
        return values, values.amax(dim=1) if with_value else None
    if not has_scores(policy):
        return None, None
    assert isinstance(policy, ActorCriticPolicy | MaskableActorCriticPolicy)
    latent = BasePolicy.extract_features(policy, obs, policy.pi_features_extractor)
    logits = _legal(policy.action_net(policy.mlp_extractor.forward_actor(latent)), mask)
    if not with_value:
        return logits, None
    if policy.vf_features_extractor is not policy.pi_features_extractor:
        latent = BasePolicy.extract_features(policy, obs, policy.vf_features_extractor)
    value: th.Tensor = policy.value_net(policy.mlp_extractor.forward_critic(latent))
    return logits, value.flatten()


def _action_values(policy: DQNPolicy | QRDQNPolicy, obs: dict[str, th.Tensor]) -> th.Tensor:
    if isinstance(policy, DQNPolicy):
        values: th.Tensor = policy.q_net(obs)
        return values
    quantiles: th.Tensor = policy.quantile_net(obs)  # (B, Q, A)
    return quantiles.mean(dim=1)


def _legal(scores: th.Tensor, mask: BoolArray | None) -> th.Tensor:
    return scores if mask is None else masked(scores, th.as_tensor(mask, device=scores.device))
