"""All readers, by task family and format."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nlp_gym.checks import check_name
from nlp_gym.data.readers.classification import formats as classification
from nlp_gym.data.readers.classification import multilabel
from nlp_gym.data.readers.dialogue import dialogue, goals, policy
from nlp_gym.data.readers.generation import extractive as summary
from nlp_gym.data.readers.generation import formats as generation
from nlp_gym.data.readers.knowledge_graph import triples as kg
from nlp_gym.data.readers.parsing import trees as parsing
from nlp_gym.data.readers.questions import choice
from nlp_gym.data.readers.questions import span as spanqa
from nlp_gym.data.readers.relation import formats as relation
from nlp_gym.data.readers.shared.base import Reader
from nlp_gym.data.readers.tagging import formats as tagging
from nlp_gym.errors import UnknownNameError

_MODULES = {
    "tagging": tagging,
    "classification": classification,
    "multilabel": multilabel,
    "relation": relation,
    "spanqa": spanqa,
    "choice": choice,
    "dialogue": dialogue,
    "policy": policy,
    "goals": goals,
    "summary": summary,
    "kg": kg,
    "generation": generation,
    "parsing": parsing,
}

FAMILIES: tuple[str, ...] = tuple(_MODULES)
"""Task families; each has its own formats."""

READERS: Mapping[str, Mapping[str, Reader]] = MappingProxyType(
    {
        family: MappingProxyType({reader.name: reader for reader in module.FORMATS})
        for family, module in _MODULES.items()
    }
)
"""The readers by family, then by name of the format."""


def family_readers(family: str) -> Mapping[str, Reader]:
    """Return the readers of a family by name.

    Raises:
        UnknownNameError: There is no such family.
    """
    check_name("family", family, FAMILIES)
    return READERS[family]


def check_format(format: str, family: str | None = None) -> None:
    """Raise `UnknownNameError` unless a family (None: any) has a format of that name."""
    if family is not None:
        if not isinstance(format, str) or format not in family_readers(family):
            raise UnknownNameError("format", format, READERS[family], f"(family {family!r})")
    else:
        known = dict.fromkeys(name for readers in READERS.values() for name in readers)
        check_name("format", format, tuple(known))
