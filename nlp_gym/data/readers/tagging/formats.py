"""Formats of the family "tagging": one label per word."""

from __future__ import annotations

from nlp_gym.data.readers.shared import raw_text
from nlp_gym.data.readers.shared.base import Reader
from nlp_gym.data.readers.tagging import conll, conllu, jsonl, table
from nlp_gym.data.readers.tagging.exports import (
    brat,
    doccano,
    huggingface,
    label_studio,
    prodigy,
    spacy,
    spert,
)

_JSON = (".jsonl", ".json", ".ndjson")
_COLUMNS = frozenset(("text_column", "word_column"))


FORMATS: tuple[Reader, ...] = (
    Reader(
        "conll",
        (".conll", ".iob", ".iob2", ".iob1", ".bio", ".bioes", ".bilou", ".ner", ".tsv"),
        conll.parse,
        "one word per line, first column the word, last column the label; blank lines",
        takes=frozenset(("word_column", "comments")),
    ),
    Reader(
        "conllu",
        (".conllu", ".conll", ".conllx"),
        conllu.parse,
        "Universal Dependencies and CoNLL-X, ten columns",
        conllu.has_tags,
        takes=frozenset(("comments",)),
    ),
    Reader(
        "jsonl",
        _JSON,
        jsonl.parse,
        'one object per line: {"words", "labels"} or {"text", "entities"}',
        takes=_COLUMNS,
    ),
    Reader(
        "csv",
        (".csv", ".tsv"),
        table.parse,
        "columns sentence, word, label (or text), with a header",
        takes=_COLUMNS,
    ),
    Reader(
        "label-studio",
        _JSON,
        label_studio.parse,
        "Label Studio's export of text spans (JSON or JSON-MIN)",
        label_studio.is_label_studio,
        takes=frozenset(("text_column",)),
    ),
    Reader(
        "doccano",
        _JSON,
        doccano.parse,
        'doccano\'s export: {"text", "label": [[start, end, type]]}',
        doccano.is_doccano,
        takes=frozenset(("text_column",)),
    ),
    Reader(
        "prodigy",
        _JSON,
        prodigy.parse,
        'Prodigy\'s export: {"text", "tokens", "spans", "answer"}',
        prodigy.is_prodigy,
    ),
    Reader(
        "spacy",
        _JSON,
        spacy.parse,
        'spaCy\'s training data as JSON: [text, {"entities": [[start, end, type]]}]',
        spacy.is_spacy,
    ),
    Reader(
        "huggingface",
        _JSON,
        huggingface.parse,
        'rows of Hugging Face datasets: {"tokens", "ner_tags"} as numbers, their names beside',
        huggingface.is_huggingface,
        huggingface.companions,
        takes=frozenset(("word_column",)),
    ),
    Reader(
        "spert",
        _JSON,
        spert.parse,
        'SpERT\'s JSON: {"tokens", "entities": [{"type", "start", "end"}]} in words',
        spert.is_spert,
    ),
    Reader(
        "brat",
        (".ann",),
        brat.parse,
        "brat's standoff: DOC.ann with entities, and DOC.txt beside it",
        brat.is_brat,
        brat.companions,
    ),
    raw_text.TEXT,
)
