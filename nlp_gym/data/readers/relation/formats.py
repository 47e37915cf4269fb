"""Formats of the family "relation": one label per pair of entities."""

from __future__ import annotations

import re

from nlp_gym.data.readers.relation import conll04, exports, jsonl, semeval
from nlp_gym.data.readers.shared.base import Reader


def _is_semeval(lines: list[str]) -> bool:
    return bool(lines) and re.match(r"[0-9]+\t.*<e[12]>", lines[0]) is not None


def _is_conll04(lines: list[str]) -> bool:
    return bool(lines) and lines[0].startswith("#doc")


_JSON = (".jsonl", ".ndjson", ".json")

FORMATS: tuple[Reader, ...] = (
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        jsonl.parse,
        'one object per line: {"text" or "words", "relations": [{"head", "tail", "label"}]}',
        takes=frozenset(("text_column",)),
    ),
    Reader(
        "spert",
        _JSON,
        exports.parse_spert,
        "SpERT: tokens, entities at numbers of tokens, relations of numbers of entities",
        exports.is_spert,
    ),
    Reader(
        "doccano",
        _JSON,
        exports.parse_doccano,
        "doccano: text, entities with ids and offsets, relations with from_id and to_id",
        exports.is_doccano,
        takes=frozenset(("text_column",)),
    ),
    Reader(
        "prodigy",
        _JSON,
        exports.parse_prodigy,
        "Prodigy: text, spans, relations with head_span and child_span",
        exports.is_prodigy,
        takes=frozenset(("text_column",)),
    ),
    Reader(
        "semeval",
        (".semeval",),
        semeval.parse,
        'SemEval-2010 Task 8: id and "sentence with <e1>, <e2>", relation, comment; blank lines',
        _is_semeval,
    ),
    Reader(
        "conll04",
        (".conll04",),
        conll04.parse,
        "CoNLL04: #doc, then place, word, BIO tag, relations and places of their tails",
        _is_conll04,
    ),
)
