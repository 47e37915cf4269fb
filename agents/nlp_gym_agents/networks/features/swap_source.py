"""The extractors inside any policy: which corpus they read, and what they cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from nlp_gym.errors import InvalidArgumentError
from nlp_gym_agents.networks.features.extractor import CorpusExtractor, NLPExtractor
from nlp_gym_agents.networks.features.source import FeatureSource


def clear_caches(policy: nn.Module) -> None:
    """Drop what the extractors of a policy cache from one batch to the next."""
    for module in policy.modules():
        if isinstance(module, CorpusExtractor):
            module.clear_cache()


def reads_whole_texts(policy: nn.Module) -> bool:
    """Whether decisions on one text share work, so that a batch should hold few texts."""
    extractors = (m for m in policy.modules() if isinstance(m, CorpusExtractor))
    return any(extractor.whole_texts for extractor in extractors)


def is_pointer(policy: nn.Module) -> bool:
    """Whether a policy or network scores candidates."""
    extractors = (m for m in policy.modules() if isinstance(m, NLPExtractor))
    return any(extractor.pointer is not None for extractor in extractors)


@contextmanager
def swapped_source(policy: nn.Module, source: FeatureSource) -> Iterator[None]:
    """Let every `CorpusExtractor` in `policy` read another corpus for the duration of the block.

    Args:
        policy: Any policy; extractors of other classes are left alone.
        source: Of a corpus encoded as the training corpus was.

    Raises:
        InvalidArgumentError: The contexts have another width than those the policy was built for.
    """
    extractors = [m for m in policy.modules() if isinstance(m, CorpusExtractor)]
    before = [extractor.source for extractor in extractors]
    for extractor in extractors:
        if extractor.gathers:
            _check_same_shapes(extractor, source)
    try:
        for extractor in extractors:
            extractor.source = source
        yield
    finally:
        for extractor, old in zip(extractors, before, strict=True):
            extractor.source = old


def _check_same_shapes(extractor: CorpusExtractor, source: FeatureSource) -> None:
    """Candidates may be more or fewer than in training; what each is made of may not differ."""
    width, parts = extractor.shape
    if width != source.width or parts != source.parts:
        raise InvalidArgumentError(
            f"source: contexts are {source.width} wide and candidates have {source.parts} units, "
            f"but the policy reads {width} and {parts}. Use the encoder, layers and "
            "window the policy was trained with."
        )
