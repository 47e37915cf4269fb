"""Readers of documents with summaries: JSON Lines, CSV and SciTLDR."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nlp_gym.data.readers.shared.base import Options, Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_list,
    checked_string,
    field,
    json_samples,
    with_id,
)
from nlp_gym.data.readers.shared.table_tools import open_table
from nlp_gym.data.text.tokenize import split_sentences, split_words
from nlp_gym.types import Sample

DOCUMENT = ("document", "text", "source", "article")
SUMMARY = ("summary", "summaries", "target", "highlights")


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one object a line, ``{"document": ..., "summary": ...}``.

    The document (also ``text``, ``source``, ``article``) is a string, which is cut into sentences
    by rules, or a list of sentences. The summary (also ``summaries``, ``target``, ``highlights``;
    `options.column` names another key) is a string or a list of reference summaries.
    """
    keys = SUMMARY if options.column is None else (str(options.column),)

    def build(row: dict[str, Any], number: int) -> Sample:
        references = _strings(field(row, *keys), "summary") if options.gold else None
        value = field(row, *DOCUMENT)
        sentences = _strings(value, "document")
        if isinstance(value, str):
            sentences = [sentence for sentence, _, _ in split_sentences(value)]
        return _sample(sentences, references, f"{name}:{number}")

    return json_samples(lines, Parsed(), build)


def parse_scitldr(lines: list[str], name: str, options: Options) -> Parsed:
    """Read SciTLDR (Cachola et al. 2020): ``source`` sentences and ``target`` references."""

    def build(row: dict[str, Any], number: int) -> Sample:
        references = _listed(field(row, "target"), "target") if options.gold else None
        sentences = _listed(field(row, "source"), "source")
        return with_id(_sample(sentences, references, f"{name}:{number}"), row.get("paper_id"))

    return json_samples(lines, Parsed(), build)


def parse_csv(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table with a header, columns ``document`` and ``summary`` (names as `parse_jsonl`)."""
    parsed = Parsed()
    table = open_table(lines, name, parsed)
    if table is None:
        return parsed
    keys = SUMMARY if options.column is None else (str(options.column),)
    document, summary, identity = table.find(*DOCUMENT), table.find(*keys), table.find("id")
    if document is None or (options.gold and summary is None):
        parsed.problems.append(table.missing(*(DOCUMENT if document is None else keys)))
        return parsed
    for number, cells in table.rows:
        try:
            references = None
            if options.gold and summary is not None:
                references = [checked_string(cells[summary], "summary")]
            text = checked_string(cells[document], "document")
            sentences = [sentence for sentence, _, _ in split_sentences(text)]
            sample = _sample(sentences, references, f"{name}:{number}")
            parsed.samples.append(with_id(sample, None if identity is None else cells[identity]))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return parsed


def _strings(value: Any, key: str) -> list[str]:
    return _listed(value, key) if isinstance(value, list) else [checked_string(value, key)]


def _listed(value: Any, key: str) -> list[str]:
    """Strings of a list; blank ones, which real corpora have, are left out."""
    texts = [checked_string(item, key, blank=True) for item in checked_list(value, key, least=1)]
    kept = [text for text in texts if text and not text.isspace()]
    if not kept:
        raise RowError(f"{key!r} holds nothing but empty strings")
    return kept


def _sample(sentences: Sequence[str], references: Sequence[str] | None, where: str) -> Sample:
    """See `Sample`; sentences that hold no word (invisible characters) are left out."""
    cut = [(text, tuple(word for word, _, _ in split_words(text))) for text in sentences]
    kept = [(text, words) for text, words in cut if words]
    if not kept:
        raise RowError("the document holds no word")
    words = tuple(word for _, sentence in kept for word in sentence)
    extra = {
        "sentences": tuple(sentence for _, sentence in kept),
        "sentence_texts": tuple(text for text, _ in kept),
    }
    return Sample(words, None, where, extra, None if references is None else tuple(references))


def _is_jsonl(lines: list[str]) -> bool:
    return bool(lines) and lines[0].lstrip().startswith("{") and not _is_scitldr(lines)


def _is_scitldr(lines: list[str]) -> bool:
    """Lists under both keys: a text under one of them is a row of `parse_jsonl`."""
    keys = ("source", "target")
    return bool(lines) and all(re.search(rf'"{key}"\s*:\s*\[', lines[0]) for key in keys)


def _is_csv(lines: list[str]) -> bool:
    return bool(lines) and not lines[0].lstrip().startswith("{")


ROWS: tuple[Reader, ...] = (
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one object a line: {"document": text or sentences, "summary": text or references}',
        _is_jsonl,
    ),
    Reader("csv", (".csv", ".tsv"), parse_csv, "columns document, summary, with a header", _is_csv),
    Reader("scitldr", (".jsonl",), parse_scitldr, "SciTLDR: source, target", _is_scitldr),
)
