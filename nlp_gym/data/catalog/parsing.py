"""Treebanks: one dependency tree a sentence."""

from __future__ import annotations

from dataclasses import replace

from nlp_gym.data.catalog import tagging
from nlp_gym.data.catalog.dataset import SAMPLES, Dataset

_EWT = next(row for row in tagging.ROWS if row.name == "ud_ewt")

ROWS: tuple[Dataset, ...] = (
    replace(
        _EWT,
        name="ud_ewt_trees",
        description="UD English Web Treebank: dependency trees, web text",
        labels=(),
        sample=SAMPLES / "ud_ewt_trees",
        family="parsing",
        folder="ud_ewt",
    ),
)
