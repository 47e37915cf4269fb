"""Policies for actions that are candidates: heads on an extractor that already scores them.

Features are ``[h | scores]`` (`extractor.NLPExtractor`). The action head takes the scores
as they are and the value head reads h alone, so that Stable-Baselines3's algorithms need to know
nothing of candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch as th
from sb3_contrib.common.maskable.distributions import MaskableDistribution
from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn

from nlp_gym.errors import InvalidArgumentError
from nlp_gym_agents.networks.features.extractor import CorpusExtractor, NLPExtractor
from nlp_gym_agents.networks.features.layers import LatentHead
from nlp_gym_agents.networks.features.pointer import real
from nlp_gym_agents.networks.policies.dueling import DuelingDQNPolicy, DuelingQNetwork


class Scores(nn.Module):
    """The scores among the features; has no parameters.

    Args:
        width: Width of h, after which they start.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, features: th.Tensor) -> th.Tensor:
        """(B, A) of (B, width + A)."""
        return features[:, self.width :]


def _latent_dim(extractor: BaseFeaturesExtractor, net_arch: Any) -> int:
    if not isinstance(extractor, NLPExtractor) or extractor.pointer is None:
        raise InvalidArgumentError(
            f"features_extractor_class={type(extractor).__name__}: a pointer policy needs an "
            "NLPExtractor on observations with candidates."
        )
    if net_arch:
        raise InvalidArgumentError(
            f"net_arch={net_arch!r} must be [] where actions are candidates: their scores come "
            "from the extractor. Set features_extractor_kwargs hidden and pointer_dim."
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
    """Mixin of actor-critic policies: replaces the heads, which are built last, by those above."""

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)  # type: ignore[misc]
        policy: Any = self
        extractor = policy.features_extractor
        heads = extractor.heads() if isinstance(extractor, CorpusExtractor) else None
        if heads is None:
            width = _latent_dim(extractor, policy.net_arch)
            heads = Scores(width), LatentHead(width)
        elif policy.net_arch:
            raise InvalidArgumentError(
                f"net_arch={policy.net_arch!r} must be [] where words of the source are copied: "
                "the heads read what the extractor says of them."
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

    def forward(
        self, obs: Any, deterministic: bool = False, action_masks: Any = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Actions, values and log-probabilities, (B,) each."""
        with scoring_legal(self, action_masks is not None):
            return super().forward(obs, deterministic, action_masks)

    def evaluate_actions(
        self, obs: Any, actions: th.Tensor, action_masks: Any = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        """Values, log-probabilities and entropies of actions (B,)."""
        with scoring_legal(self, action_masks is not None):
            return super().evaluate_actions(obs, actions, action_masks)

    def get_distribution(self, obs: PyTorchObs, action_masks: Any = None) -> MaskableDistribution:
        """Distribution of the actions."""
        with scoring_legal(self, action_masks is not None):
            return super().get_distribution(obs, action_masks)


class PointerQNetwork(QNetwork):
    """Q(s, a) is the candidate's score. Arguments as for `QNetwork`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.q_net: Any = Scores(_latent_dim(self.features_extractor, self.net_arch))


class PointerDuelingQNetwork(DuelingQNetwork):
    """As `DuelingQNetwork`, with the mean over the candidates that are there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        width = _latent_dim(self.features_extractor, self.net_arch)
        self.q_net: Any = Scores(width)
        if self.value_net is not None:
            self.value_net: Any = LatentHead(width)

    def forward(self, obs: PyTorchObs) -> th.Tensor:
        """Values of all actions, (B, A)."""
        features = self.extract_features(obs, self.features_extractor)
        advantage: th.Tensor = self.q_net(features)
        if self.value_net is None:
            return advantage
        there = real(advantage)
        total = (advantage * there).sum(dim=1, keepdim=True)
        mean = total / there.sum(dim=1, keepdim=True).clamp(min=1)
        return advantage + (self.value_net(features) - mean)


class PointerDQNPolicy(DQNPolicy):
    """For DQN: online and target `PointerQNetwork`."""

    def make_q_net(self) -> QNetwork:
        """A fresh Q-network with an extractor of its own (the feature source is shared)."""
        net_args = self._update_features_extractor(self.net_args, features_extractor=None)
        return PointerQNetwork(**net_args).to(self.device)


class PointerDuelingDQNPolicy(DuelingDQNPolicy):
    """For MaskedDQN: online and target `PointerDuelingQNetwork`."""

    network = PointerDuelingQNetwork
