"""Formats of the family "summary": documents cut into sentences, with reference summaries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nlp_gym.data.readers.generation.references import filled, reference_texts
from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_string,
    field,
    json_samples,
    with_id,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.shared.tables.tools import (
    open_text_table,
    table_samples,
)
from nlp_gym.data.text.tokenize import split_sentences, split_words
from nlp_gym.types import Sample

DOCUMENT = ("document", "text", "source", "article")
SUMMARY = ("summary", "summaries", "target", "highlights")


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one object per line, ``{"document": ..., "summary": ...}``.

    The document (other keys: ``text``, ``source``, ``article`` and what `options.text_column`
    names) is a string, which is cut into sentences by rules, or a list of sentences. The summary
    (other keys: ``summaries``, ``target``, ``highlights`` and what `options.column` names) is a
    string or a list of reference summaries.
    """
    keys = options.label_names(SUMMARY)

    def build(row: dict[str, Any], number: int) -> Sample:
        references = reference_texts(field(row, *keys), "summary") if options.gold else None
        value = field(row, *options.text_names(DOCUMENT))
        sentences = reference_texts(value, "document")
        if isinstance(value, str):
            sentences = [sentence for sentence, _, _ in split_sentences(value)]
        return _sample(sentences, references, f"{name}:{number}")

    return json_samples(lines, Parsed(), build)


def parse_scitldr(lines: list[str], name: str, options: Options) -> Parsed:
    """Read SciTLDR (Cachola et al. 2020): ``source`` sentences and ``target`` references."""

    def build(row: dict[str, Any], number: int) -> Sample:
        references = filled(field(row, "target"), "target") if options.gold else None
        sentences = filled(field(row, "source"), "source")
        return with_id(_sample(sentences, references, f"{name}:{number}"), row.get("paper_id"))

    return json_samples(lines, Parsed(), build)


def parse_csv(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table, columns ``document`` and ``summary`` (names as `parse_jsonl`).

    `options.text_column` and `options.column` give other columns; where both are numbers, the table
    has no header.
    """
    parsed = Parsed()
    found = open_text_table(lines, name, options, parsed, text=DOCUMENT, answer=SUMMARY)
    if found is None:
        return parsed
    table, document, summary = found

    def build(cells: list[str], number: int) -> Sample:
        references = None
        if summary is not None:
            references = [checked_string(cells[summary], "summary")]
        text = checked_string(cells[document], "document")
        sentences = [sentence for sentence, _, _ in split_sentences(text)]
        return _sample(sentences, references, f"{name}:{number}")

    return table_samples(table, parsed, build)


def _sample(sentences: Sequence[str], references: Sequence[str] | None, where: str) -> Sample:
    """Make the sample of a document; sentences without words (invisible ones) are left out."""
    cut = [(text, tuple(word for word, _, _ in split_words(text))) for text in sentences]
    cut = [(text, words) for text, words in cut if words]
    if not cut:
        raise RowError("the document holds no word")
    words = tuple(word for _, sentence in cut for word in sentence)
    extra = {
        "sentences": tuple(sentence for _, sentence in cut),
        "sentence_texts": tuple(text for text, _ in cut),
    }
    return Sample(words, None, where, extra, None if references is None else tuple(references))


def _is_scitldr(lines: list[str]) -> bool:
    """Whether both keys have lists: a row with a text under one is of `parse_jsonl`."""
    keys = ("source", "target")
    return bool(lines) and all(re.search(rf'"{key}"\s*:\s*\[', lines[0]) for key in keys)


FORMATS: tuple[Reader, ...] = (
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one object per line: {"document": text or sentences, "summary": text or references}',
        takes=frozenset(("text_column",)),
    ),
    Reader(
        "csv",
        (".csv", ".tsv"),
        parse_csv,
        "columns document, summary, with a header",
        takes=frozenset(("text_column", "comments")),
    ),
    Reader("scitldr", (".jsonl",), parse_scitldr, "SciTLDR: source, target", _is_scitldr),
)
