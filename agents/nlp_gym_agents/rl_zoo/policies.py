"""Policies that RL Zoo's trainer makes by name: they bring the features extractor.

RL Zoo's `-optimize` replaces `policy_kwargs` as a whole; the extractor stays.
"""

from __future__ import annotations

from typing import Any

from sb3_contrib.common.recurrent.policies import RecurrentMultiInputActorCriticPolicy
from sb3_contrib.qrdqn.policies import MultiInputPolicy as MultiInputQRDQNPolicy
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from typing_extensions import override

from nlp_gym_agents.networks.features.extractor import NLPExtractor
from nlp_gym_agents.networks.features.observation_keys import CANDIDATES_KEY
from nlp_gym_agents.networks.policies.pointer import PointerActorCriticPolicy, PointerDQNPolicy


class _Reading:
    """Mixin of Stable-Baselines3's policies: they read observations with `NLPExtractor`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"features_extractor_class": NLPExtractor, **kwargs})

    @property
    def _scores_candidates(self) -> bool:
        return CANDIDATES_KEY in self.observation_space.spaces  # type: ignore[attr-defined]


class ActorCriticPolicy(_Reading, PointerActorCriticPolicy):
    """For PPO and A2C: an output per label, or a score per candidate where there are some."""

    @override
    def _build(self, lr_schedule: Schedule) -> None:
        kind = PointerActorCriticPolicy if self._scores_candidates else MultiInputActorCriticPolicy
        kind._build(self, lr_schedule)


class QPolicy(_Reading, PointerDQNPolicy):
    """For DQN: a value per label, or per candidate where there are some."""

    @override
    def make_q_net(self) -> QNetwork:
        kind = PointerDQNPolicy if self._scores_candidates else DQNPolicy
        return kind.make_q_net(self)


class QuantilePolicy(_Reading, MultiInputQRDQNPolicy):
    """For QR-DQN; candidates are read by their places."""


class RecurrentPolicy(_Reading, RecurrentMultiInputActorCriticPolicy):
    """For RecurrentPPO; candidates are read by their places."""
