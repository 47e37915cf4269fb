"""What kind of task an id is, without building it."""

from __future__ import annotations

import importlib

import gymnasium as gym

TEXT_FAMILIES = ("tagging", "classification", "multilabel", "generation")
"""Families whose whole input is a text."""

WRITTEN = "generation"
"""The family of tasks whose actions write a text."""

MIXTURE = "multitask"
"""The family of a mixture, whose samples are those of other tasks."""


def family_of(env_id: str) -> str:
    """The family of a registered id (`nlp_gym.data.FAMILIES`); ``""`` where its task has none."""
    entry = gym.spec(env_id).kwargs["task"]
    if isinstance(entry, str):
        module, _, name = entry.partition(":")
        try:
            entry = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError):  # building the task says what is wrong
            return ""
    return str(getattr(entry, "family", ""))
