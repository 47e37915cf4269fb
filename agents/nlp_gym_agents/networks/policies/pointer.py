"""Policies for actions that are candidates: heads on an extractor that already scores them.

Features are ``[h | scores]`` (`extractor.NLPExtractor`). The action head takes the scores
as they are and the value head reads h alone, so that Stable-Baselines3's algorithms need to know
nothing of candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch as th
from sb3_contrib.common.maskable.distributions import MaskableDistribution
from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn
from typing_extensions import override

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym_agents.networks.features.extractor import CorpusExtractor, NLPExtractor
from nlp_gym_agents.networks.features.layers import LatentHead
from nlp_gym_agents.networks.features.pointer import real
from nlp_gym_agents.networks.policies.dueling import DuelingDQNPolicy, DuelingQNetwork


class Scores(nn.Module):
    """A head without parameters: it takes the scores out of the features.

    Args:
        width: Width of h, after which they start.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, features: th.Tensor) -> th.Tensor:
        """(B, A) of (B, width + A)."""
        return features[:, self.width :]


def _latent_dim(extractor: BaseFeaturesExtractor, net_arch: object) -> int:
    if not isinstance(extractor, NLPExtractor) or extractor.pointer is None:
        raise InvalidArgumentError(
            f"features_extractor_class={type(extractor).__name__}: a pointer policy needs an "
            "NLPExtractor on observations with candidates."
        )
    if net_arch:
        raise InvalidArgumentError(
            f"net_arch={shown(net_arch)} must be [] where actions are candidates: their scores "
            "come from the extractor. Set features_extractor_kwargs hidden and pointer_dim."
        )
    return extractor.latent_dim


@contextmanager
def scoring_legal(policy: nn.Module, wanted: bool) -> Iterator[None]:
    """Let `policy` score legal candidates alone, where `wanted`, for the duration of the block.

    What a mask takes out of a distribution need not be computed: in a long passage most words are
    out of reach once the first of an answer is chosen.
    """
    extractors = [m for m in policy.modules() if isinstance(m, NLPExtractor)]
    for extractor in extractors:
        extractor.legal_only = wanted
    try:
        yield
    finally:
        for extractor in extractors:
            extractor.legal_only = False


class _ActorCriticHeads:
    """Mixin of actor-critic policies: replaces their heads by `Scores` and a value of h alone."""

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)  # type: ignore[misc]
        policy: Any = self  # a mixin of `ActorCriticPolicy`, whose heads are declared linear
        extractor = policy.features_extractor
        heads = extractor.heads() if isinstance(extractor, CorpusExtractor) else None
        if heads is None:
            width = _latent_dim(extractor, policy.net_arch)
            heads = Scores(width), LatentHead(width)
        elif policy.net_arch:
            raise InvalidArgumentError(
                f"net_arch={shown(policy.net_arch)} must be [] where words of the source are "
                "copied: the heads read what the extractor says of them."
            )
        policy.action_net, policy.value_net = heads
        for module in policy.modules():  # Stable-Baselines3 has drawn all weights anew
            if isinstance(module, NLPExtractor) and module.pointer is not None:
                module.pointer.reset_scores()
        policy.optimizer = policy.optimizer_class(
            policy.parameters(), lr=lr_schedule(1), **policy.optimizer_kwargs
        )


class PointerActorCriticPolicy(_ActorCriticHeads, MultiInputActorCriticPolicy):
    """For PPO, A2C and BC."""


class PointerMaskablePolicy(_ActorCriticHeads, MaskableMultiInputActorCriticPolicy):
    """For MaskablePPO: given masks, it scores no candidate that they take out."""

    @override
    def forward(
        self, obs: th.Tensor, deterministic: bool = False, action_masks: np.ndarray | None = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        with scoring_legal(self, action_masks is not None):
            return super().forward(obs, deterministic, action_masks)

    @override
    def evaluate_actions(
        self, obs: th.Tensor, actions: th.Tensor, action_masks: th.Tensor | None = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        with scoring_legal(self, action_masks is not None):
            return super().evaluate_actions(obs, actions, action_masks)

    @override
    def get_distribution(
        self, obs: PyTorchObs, action_masks: np.ndarray | None = None
    ) -> MaskableDistribution:
        with scoring_legal(self, action_masks is not None):
            return super().get_distribution(obs, action_masks)


class PointerDuelingQNetwork(DuelingQNetwork):
    """As `DuelingQNetwork`, with the mean over the candidates that are there."""

    @override
    def forward(self, obs: PyTorchObs) -> th.Tensor:
        features = self.extract_features(obs, self.features_extractor)
        advantage: th.Tensor = self.q_net(features)
        there = real(advantage)
        if self.value_net is None:
            return th.where(there, self.scale * advantage, advantage)
        total = (advantage * there).sum(dim=1, keepdim=True)
        mean = total / there.sum(dim=1, keepdim=True).clamp(min=1)
        value: th.Tensor = self.value_net(features)
        # What is not there keeps its score, by which it is known.
        return th.where(there, self.scale * (advantage + (value - mean)), advantage)


class PointerDQNPolicy(DQNPolicy):
    """For DQN: in the online and the target network Q(s, a) is the candidate's score."""

    @override
    def make_q_net(self) -> QNetwork:
        network = super().make_q_net()
        width = _latent_dim(network.features_extractor, network.net_arch)
        network.q_net = Scores(width)  # type: ignore[assignment]  # any module will do
        return network


class PointerDuelingDQNPolicy(DuelingDQNPolicy):
    """For MaskedDQN: online and target `PointerDuelingQNetwork`, whose advantages are scores."""

    network = PointerDuelingQNetwork

    @override
    def make_q_net(self) -> DuelingQNetwork:
        network = super().make_q_net()
        width = _latent_dim(network.features_extractor, network.net_arch)
        network.q_net = Scores(width)  # type: ignore[assignment]
        if network.value_net is not None:
            network.value_net = LatentHead(width)
        return network.to(self.device)
