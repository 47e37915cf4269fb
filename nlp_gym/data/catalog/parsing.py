"""Treebanks: one dependency tree a sentence."""

from __future__ import annotations

from dataclasses import replace

from nlp_gym.data.catalog import tagging
from nlp_gym.data.catalog.dataset import SAMPLES, Dataset

RELATIONS = (
    "acl", "advcl", "advmod", "amod", "appos", "aux", "case", "cc", "ccomp", "clf", "compound",
    "conj", "cop", "csubj", "dep", "det", "discourse", "dislocated", "expl", "fixed", "flat",
    "goeswith", "iobj", "list", "mark", "nmod", "nsubj", "nummod", "obj", "obl", "orphan",
    "parataxis", "punct", "reparandum", "root", "vocative", "xcomp",
)  # fmt: skip
"""The 37 universal relations, sorted. Source: universaldependencies.org/u/dep."""

_EWT = next(row for row in tagging.ROWS if row.name == "ud_ewt")

ROWS: tuple[Dataset, ...] = (
    replace(
        _EWT,
        name="ud_ewt_trees",
        description="UD English Web Treebank: dependency trees, web text",
        labels=RELATIONS,
        sample=SAMPLES / "ud_ewt_trees",
        family="parsing",
        folder="ud_ewt",
    ),
)
