"""Formats of the family "tagging": one label per word."""

from __future__ import annotations

from nlp_gym.data.readers.shared import raw_text
from nlp_gym.data.readers.shared.base import Reader
from nlp_gym.data.readers.shared.json_tools import starts_with_object
from nlp_gym.data.readers.tagging import conll, conllu, jsonl, table


def _is_conllu(lines: list[str]) -> bool:
    return any(line.count("\t") == 9 and line[0].isdigit() for line in lines[:20])


def _is_csv(lines: list[str]) -> bool:
    return bool(lines) and table.is_header(lines[0])


def _is_conll(lines: list[str]) -> bool:
    """Whether the lines are of no other format."""
    return not (starts_with_object(lines) or _is_conllu(lines) or _is_csv(lines))


FORMATS: tuple[Reader, ...] = (
    Reader(
        "conll",
        (".conll", ".iob", ".iob2", ".iob1", ".bio", ".bioes", ".bilou", ".ner", ".tsv"),
        conll.parse,
        "one word per line, first column the word, last column the label; blank lines",
        _is_conll,
    ),
    Reader("conllu", (".conllu",), conllu.parse, "Universal Dependencies, ten columns", _is_conllu),
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        jsonl.parse,
        'one object per line: {"words", "labels"} or {"text", "entities"}',
        starts_with_object,
    ),
    Reader(
        "csv",
        (".csv", ".tsv"),
        table.parse,
        "columns sentence, word, label (or text), with a header",
        _is_csv,
    ),
    raw_text.TEXT,
)
