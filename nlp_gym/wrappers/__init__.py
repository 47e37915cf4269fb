"""Wrappers around environments of this package."""

from nlp_gym.wrappers.knowledge import KnowledgeObservation, KnowledgeVectorObservation
from nlp_gym.wrappers.layout import LayoutObservation, LayoutVectorObservation

__all__ = [
    "KnowledgeObservation",
    "KnowledgeVectorObservation",
    "LayoutObservation",
    "LayoutVectorObservation",
]
