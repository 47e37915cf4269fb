"""Corpora: the catalogue, the readers and `load_corpus`; imports no other package of `nlp_gym`."""

from nlp_gym.data.catalog import DATASETS, Dataset, RemoteFile
from nlp_gym.data.corpora.load import load_corpus
from nlp_gym.data.readers import (
    FAMILIES,
    READERS,
    CheckReport,
    Guess,
    Problem,
    check,
    guess_file,
    read,
)

__all__ = [
    "DATASETS",
    "FAMILIES",
    "READERS",
    "CheckReport",
    "Dataset",
    "Guess",
    "Problem",
    "RemoteFile",
    "check",
    "guess_file",
    "load_corpus",
    "read",
]
