"""Which task family a file is of, by its keys, its header or its tabs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from nlp_gym.data.readers.classification import multilabel
from nlp_gym.data.readers.classification import rows as classification
from nlp_gym.data.readers.classification.labelled_text import TEXT_KEYS
from nlp_gym.data.readers.generation import extractive as summary
from nlp_gym.data.readers.generation.references import SOURCE, TARGET
from nlp_gym.data.readers.knowledge_graph import triples as kg
from nlp_gym.data.readers.shared.json_tools import RowError, load_json
from nlp_gym.data.readers.shared.table_tools import delimiter_of

_HEAD = 200_000  # bytes that are looked at
_ROWS = 50
_WORD = {"word", "words", "token", "tokens"}
_LABEL = tuple(name for name in classification.LABEL if name not in ("labels",))
_CHOICE = re.compile(r"(?:choice|option)[ _]?[0-9a-z]{1,2}|[a-h]")
_STOPS = tuple(".!?\u2026\u3002\uff01\uff1f")
_TAG = re.compile(r"O|[BIESLU]-\S+")

SIGNS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("policy", (("turns",),)),
    ("dialogue", (("context",), ("candidates", "positive_responses"))),
    ("choice", (("question", "stem"), ("choices",))),
    ("spanqa", (("context",), ("question",))),
    ("relation", (("relations",),)),
    ("kg", (kg.HEAD, kg.RELATION, kg.TAIL)),
    ("generation", (("source",), ("target", "targets"))),
    ("summary", (summary.DOCUMENT, summary.SUMMARY)),
    ("generation", (("body",), ("subject",))),
    ("generation", (("dialogue",), ("summary", "summary1"))),
    ("classification", (TEXT_KEYS, _LABEL)),
    ("generation", (SOURCE, TARGET)),
)
"""Families, the most telling first, and what a row of each has: one of each group of names."""


def hinted_family(path: Path, data: bytes) -> str | None:
    """The family that names or tabs tell, whatever the values are; None: they do not tell it."""
    head = data[:_HEAD].removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    lines = head.splitlines()
    filled = [line for line in lines if line.strip()]
    if not filled:
        return None
    if filled[0].lstrip().startswith("{"):
        return _of_objects(filled[:_ROWS])
    ending = path.suffix.lower()
    if ending not in (".csv", ".tsv"):
        return "generation" if ending in ("", ".txt", ".dat") and _is_pairs(filled) else None
    cells = filled[0].split(delimiter_of(path.name, filled[0]))
    family = _of_names({cell.strip(' "').lower() for cell in cells})
    if family is None and ending == ".tsv" and _is_triples(lines):
        return "kg"
    if family is None and ending == ".tsv" and _is_pairs(filled):
        return "generation"
    return family


def _of_objects(lines: list[str]) -> str | None:
    """The family of most of the lines that are JSON objects."""
    found: Counter[str | None] = Counter()
    for line in lines:
        try:
            row = load_json(line)
        except RowError:
            continue
        if isinstance(row, dict):
            found[_of_row(row)] += 1
    family, n = found.most_common(1)[0] if found else (None, 0)
    return family if 2 * n > found.total() else None


def _of_row(row: dict[str, Any]) -> str | None:
    names = set(row)
    if isinstance(row.get("question"), dict):  # {"question": {"stem", "choices"}}
        names |= set(row["question"])
    names -= {key for key in _LABEL if isinstance(row.get(key), list)}  # these are sets of labels
    if isinstance(row.get("source"), list) and "target" in names:  # SciTLDR
        return "summary"
    return _of_names(names)


def _of_names(names: set[str]) -> str | None:
    if sum(_CHOICE.fullmatch(name) is not None for name in names) > 1:
        names = names | {"choices"}
    for family, groups in SIGNS:
        # Words with a label each are of another family; `labels` may be of several.
        other = family == "classification" and names & {"word", "token", "labels", "entities"}
        if not other and all(names & set(group) for group in groups):
            return family
    return None


def _is_pairs(lines: list[str]) -> bool:
    """Whether most lines have one tab, between a text (not a word or label) and another one."""
    pairs = [line.strip().split("\t") for line in lines[:_ROWS] if line.strip().count("\t") == 1]
    texts = sum(" " in first or first[-1:] in _STOPS for first, _ in pairs)
    distinct = len({second for _, second in pairs})
    n = min(len(lines), _ROWS)
    return 2 * len(pairs) > n and 2 * texts > n and 2 * distinct > n


def _is_triples(lines: list[str]) -> bool:
    """Whether most lines have two tabs, and these are neither tagged words nor GoEmotions."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    if any(not line.strip() for line in lines) or multilabel.sniff_goemotions(lines):
        return False
    if {cell.strip(' "').lower() for cell in lines[0].split("\t")} & _WORD:
        return False
    last = [line.split("\t")[2] for line in lines if line.count("\t") == 2]
    tags = sum(_TAG.fullmatch(cell.strip()) is not None for cell in last)
    return 2 * len(last) > len(lines) and 2 * tags <= len(last)
