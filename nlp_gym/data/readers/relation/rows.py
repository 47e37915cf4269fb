"""Readers of relations: one label a pair of entities."""

from __future__ import annotations

import re

from nlp_gym.data.readers.relation import conll04 as relation_conll04
from nlp_gym.data.readers.relation import jsonl as relation_jsonl
from nlp_gym.data.readers.relation import semeval as relation_semeval
from nlp_gym.data.readers.shared.base import Reader


def _is_jsonl(lines: list[str]) -> bool:
    return bool(lines) and lines[0].lstrip().startswith("{")


def _is_semeval(lines: list[str]) -> bool:
    return bool(lines) and re.match(r"[0-9]+\t.*<e[12]>", lines[0]) is not None


def _is_conll04(lines: list[str]) -> bool:
    return bool(lines) and lines[0].startswith("#doc")


ROWS: tuple[Reader, ...] = (
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        relation_jsonl.parse,
        'one object a line: {"text" or "words", "relations": [{"head", "tail", "label"}]}',
        _is_jsonl,
    ),
    Reader(
        "semeval",
        (".semeval",),
        relation_semeval.parse,
        'SemEval-2010 Task 8: id and "sentence with <e1>, <e2>", relation, comment; blank lines',
        _is_semeval,
    ),
    Reader(
        "conll04",
        (".conll04",),
        relation_conll04.parse,
        "CoNLL04: #doc, then place, word, BIO tag, relations and places of their tails",
        _is_conll04,
    ),
)
