"""Corpora: the catalogue, the readers and `load_corpus`.

Of other packages only the top-level modules of `nlp_gym` are imported.
"""

from nlp_gym.data.catalog import DATASETS, Dataset, RemoteFile
from nlp_gym.data.corpora.load import load_corpus
from nlp_gym.data.readers import FAMILIES, READERS, CheckReport, Problem, check, read

__all__ = [
    "DATASETS",
    "FAMILIES",
    "READERS",
    "CheckReport",
    "Dataset",
    "Problem",
    "RemoteFile",
    "check",
    "load_corpus",
    "read",
]
