"""Stable-Baselines3 agents for the environments of `nlp_gym`.

Modules are independent, and most of them need torch: the names below are imported when they are
first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlp_gym_agents.algorithms.sb3_env import NameCorpus, make_sb3_env
    from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
    from nlp_gym_agents.hub.load import load_from_hub
    from nlp_gym_agents.models.stock import nlp_policy_kwargs
    from nlp_gym_agents.models.stock_score import score_model
    from nlp_gym_agents.prediction.agent import Agent, load_agent
    from nlp_gym_agents.prediction.film import film_episode

__all__ = [
    "Agent",
    "NameCorpus",
    "SB3VecEnv",
    "film_episode",
    "load_agent",
    "load_from_hub",
    "make_sb3_env",
    "nlp_policy_kwargs",
    "score_model",
]

_MODULES = {
    "Agent": "prediction.agent",
    "NameCorpus": "algorithms.sb3_env",
    "SB3VecEnv": "algorithms.vec_env",
    "film_episode": "prediction.film",
    "load_agent": "prediction.agent",
    "load_from_hub": "hub.load",
    "make_sb3_env": "algorithms.sb3_env",
    "nlp_policy_kwargs": "models.stock",
    "score_model": "models.stock_score",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        absent = (error.name or "").partition(".")[0]
        if absent not in ("sb3_contrib", "stable_baselines3"):
            raise
        from nlp_gym.errors import MissingDependencyError

        absent = absent.replace("_", "-")
        raise MissingDependencyError(absent, "agents", f"nlp_gym_agents.{name}") from error


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
