"""Policies that RL Zoo's trainer makes by name: they bring the features extractor.

RL Zoo's `-optimize` replaces `policy_kwargs` as a whole; the extractor stays. With it come the
heads for actions that are candidates; see `nlp_gym_agents.models.stock_extractors`.
"""

from __future__ import annotations

from typing import Any

from sb3_contrib.common.recurrent.policies import RecurrentMultiInputActorCriticPolicy
from sb3_contrib.qrdqn.policies import MultiInputPolicy as MultiInputQRDQNPolicy
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.dqn.policies import MultiInputPolicy as MultiInputDQNPolicy

from nlp_gym_agents.models.stock_extractors import StockExtractor


class _Reading:
    """Mixin of Stable-Baselines3's policies: they read observations with `StockExtractor`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"features_extractor_class": StockExtractor, **kwargs})


class ActorCriticPolicy(_Reading, MultiInputActorCriticPolicy):
    """For PPO and A2C: an output per label, or a score per candidate where there are some."""


class QPolicy(_Reading, MultiInputDQNPolicy):
    """For DQN: a value per label, or per candidate where there are some."""


class QuantilePolicy(_Reading, MultiInputQRDQNPolicy):
    """For QR-DQN: quantiles per label, or per candidate where there are some."""


class RecurrentPolicy(_Reading, RecurrentMultiInputActorCriticPolicy):
    """For RecurrentPPO, where actions are labels; it is refused where they are candidates."""
