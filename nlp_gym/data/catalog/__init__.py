"""The catalogue of named corpora; imports `data.readers` and `data.tags`.

A corpus is a row with pinned addresses and checksums. Every address names a commit, so the bytes
behind it do not change; the sha256 verifies it. Related families share a module of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nlp_gym.data.catalog import (
    challenge,
    classification,
    dialogue,
    generation,
    intents,
    knowledge_graph,
    multilabel,
    parsing,
    questions,
    relation,
    tagging,
)
from nlp_gym.data.catalog.dataset import Dataset, RemoteFile
from nlp_gym.errors import UnknownNameError

__all__ = ["DATASETS", "Dataset", "RemoteFile", "find_dataset"]

_ROWS = (
    *tagging.ROWS,
    *classification.ROWS,
    *intents.ROWS,
    *multilabel.ROWS,
    *relation.ROWS,
    *questions.ROWS,
    *dialogue.ROWS,
    *generation.EXTRACTIVE_ROWS,
    *knowledge_graph.ROWS,
    *generation.WRITTEN_ROWS,
    *challenge.ROWS,
    *parsing.ROWS,
)

DATASETS: Mapping[str, Dataset] = MappingProxyType({row.name: row for row in _ROWS})


def find_dataset(name: str) -> Dataset:
    """Return the row of the corpus `name`.

    Raises:
        UnknownNameError: There is no such row.
    """
    if not isinstance(name, str) or name not in DATASETS:
        hint = "For a file of your own pass data=FILE."
        raise UnknownNameError("corpus name", name, DATASETS, hint)
    return DATASETS[name]
