"""Guesses the task family of a file from its keys, its header or its tabs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from nlp_gym.data.readers import first_lines
from nlp_gym.data.readers.classification import formats as classification
from nlp_gym.data.readers.classification import multilabel
from nlp_gym.data.readers.classification.labelled_text import TEXT_KEYS
from nlp_gym.data.readers.generation import extractive as summary
from nlp_gym.data.readers.generation.references import SOURCE, TARGET
from nlp_gym.data.readers.knowledge_graph import triples as kg
from nlp_gym.data.readers.shared.decoding import text_name
from nlp_gym.data.readers.shared.json_tools import RowError, load_json
from nlp_gym.data.readers.shared.table_tools import header_names

_HEAD = 200_000  # number of characters that are examined
_ROWS = 50  # number of lines that are examined
_WORD = {"word", "words", "token", "tokens"}
_LABEL = tuple(name for name in classification.LABEL if name not in ("labels",))
_CHOICE = re.compile(r"(?:choice|option)[ _]?[0-9a-z]{1,2}|[a-h]")
_SENTENCE_ENDS = tuple(".!?\u2026\u3002\uff01\uff1f")
_TAG = re.compile(r"O|[BIESLU]-\S+")

FAMILY_NAMES: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
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
"""Families, the most specific first; a row of a family has one name of each of its groups."""


def family_from_names(path: Path, lines: list[str]) -> str | None:
    """Task family of a file, from its keys, header or tabs; None if they do not decide.

    Args:
        path: The file; its name decides on the delimiter.
        lines: Its lines.
    """
    filled = first_lines(lines, _HEAD)
    if not filled:
        return None
    if filled[0].lstrip().startswith("{"):
        return _from_objects(filled[:_ROWS])
    ending = Path(text_name(path)).suffix.lower()
    if ending not in (".csv", ".tsv"):
        return "generation" if ending in ("", ".txt", ".dat") and _is_pairs(filled) else None
    family = _from_names(header_names(filled[0], text_name(path)))
    if family is None and ending == ".tsv" and _is_triples(lines):
        return "kg"
    if family is None and ending == ".tsv" and _is_pairs(filled):
        return "generation"
    return family


def _from_objects(lines: list[str]) -> str | None:
    """Family of most of the lines that are JSON objects."""
    found: Counter[str | None] = Counter()
    for line in lines:
        try:
            row = load_json(line)
        except RowError:
            continue
        if isinstance(row, dict):
            found[_from_row(row)] += 1
    family, n = found.most_common(1)[0] if found else (None, 0)
    return family if 2 * n > found.total() else None


def _from_row(row: dict[str, Any]) -> str | None:
    names = set(row)
    if isinstance(row.get("question"), dict):  # {"question": {"stem", "choices"}}
        names |= set(row["question"])
    names -= {key for key in _LABEL if isinstance(row.get(key), list)}  # these are sets of labels
    if isinstance(row.get("source"), list) and "target" in names:  # SciTLDR
        return "summary"
    return _from_names(names)


def _from_names(names: set[str]) -> str | None:
    if sum(_CHOICE.fullmatch(name) is not None for name in names) > 1:
        names = names | {"choices"}
    for family, groups in FAMILY_NAMES:
        # A label per word is another family's; `labels` may be several families'.
        other = family == "classification" and names & {"word", "token", "labels", "entities"}
        if not other and all(names & set(group) for group in groups):
            return family
    return None


def _is_pairs(lines: list[str]) -> bool:
    """Whether most lines are a text (not a word or label), a tab and another text."""
    pairs = [line.strip().split("\t") for line in lines[:_ROWS] if line.strip().count("\t") == 1]
    texts = sum(" " in first or first[-1:] in _SENTENCE_ENDS for first, _ in pairs)
    distinct = len({second for _, second in pairs})
    n = min(len(lines), _ROWS)
    return 2 * len(pairs) > n and 2 * texts > n and 2 * distinct > n


def _is_triples(lines: list[str]) -> bool:
    """Whether most lines have two tabs, and are neither tagged words nor GoEmotions."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    if any(not line.strip() for line in lines) or multilabel.sniff_goemotions(lines):
        return False
    if {cell.strip(' "').lower() for cell in lines[0].split("\t")} & _WORD:
        return False
    last = [line.split("\t")[2] for line in lines if line.count("\t") == 2]
    tags = sum(_TAG.fullmatch(cell.strip()) is not None for cell in last)
    return 2 * len(last) > len(lines) and 2 * tags <= len(last)
