"""Wrappers around environments of this package."""

from nlp_gym.wrappers.full_information import FullInformation, FullInformationVector
from nlp_gym.wrappers.knowledge import KnowledgeObservation, KnowledgeVectorObservation
from nlp_gym.wrappers.layout import LayoutObservation, LayoutVectorObservation

__all__ = [
    "FullInformation",
    "FullInformationVector",
    "KnowledgeObservation",
    "KnowledgeVectorObservation",
    "LayoutObservation",
    "LayoutVectorObservation",
]
