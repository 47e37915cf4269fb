"""Formats of the family "spanqa": questions whose answers are spans of a passage."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from nlp_gym.data.readers.shared.base import Options, Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_int,
    checked_list,
    checked_object,
    checked_string,
    field,
    json_document,
    json_samples,
    text_words,
    type_name,
)
from nlp_gym.types import Sample

Answer = tuple[str, int, int]
"""Gold text, and the first and last word (inclusive) that cover it."""

_IMPOSSIBLE = "a question marked 'is_impossible' is left out: it has no answer to point at"


@dataclass(frozen=True)
class _Passage:
    """A passage, cut into words once for all its questions."""

    words: tuple[str, ...]
    text: str
    spans: tuple[tuple[int, int], ...]


def parse_squad(lines: list[str], name: str, options: Options) -> Parsed:
    """Read SQuAD's JSON, version 1.1 or 2.0 (Rajpurkar et al. 2016, 2018).

    The file is ``{"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers":
    [{"text", "answer_start"}]}]}]}]}`` with offsets in characters. An answer that does not begin
    and end with a word is kept with the words that cover it. Questions marked ``is_impossible``
    have no answer; with gold they are left out, with a warning. Problems name the line on which the
    question's object begins.
    """
    parsed = Parsed()
    document = json_document(lines, parsed) if any(line.strip() for line in lines) else None
    if document is None:
        return parsed

    def each(
        parent: Any, key: str, line: int, visit: Callable[[dict[str, Any], int], None]
    ) -> None:
        """Call `visit` on every object of the list `parent[key]`; faults become problems."""
        try:
            rows = checked_list(field(checked_object(parent, "the file"), key), key)
        except RowError as error:
            parsed.problems.append(Problem(line, str(error)))
            return
        for row in rows:
            row_line = document.line(row) if isinstance(row, dict | list) else line
            try:
                visit(checked_object(row, f"an item of {key!r}"), row_line)
            except RowError as error:
                parsed.problems.append(Problem(row_line, str(error)))

    def article(row: dict[str, Any], line: int) -> None:
        each(row, "paragraphs", line, paragraph)

    def paragraph(row: dict[str, Any], line: int) -> None:
        passage = _Passage(*text_words(checked_string(field(row, "context"), "context"), "context"))
        each(row, "qas", line, partial(question, passage))

    def question(passage: _Passage, row: dict[str, Any], line: int) -> None:
        if options.gold and row.get("is_impossible") is True:
            parsed.warnings.append(Problem(line, _IMPOSSIBLE))
            return
        parsed.samples.append(_sample(row, passage, f"{name}:{line}", options))

    each(document.value, "data", 1, article)
    return parsed


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one question per line: ``{"context", "question", "answers", "id"}``; ``id`` is optional.

    ``answers`` is a list of ``{"text", "answer_start"}``, or of ``{"text"}`` or strings if the text
    occurs once in the context, or ``{"text": [...], "answer_start": [...]}``.
    """
    passages: dict[str, _Passage] = {}

    def build(row: dict[str, Any], number: int) -> Sample:
        context = checked_string(field(row, "context"), "context")
        if context not in passages:
            passages[context] = _Passage(*text_words(context, "context"))
        return _sample(row, passages[context], f"{name}:{number}", options)

    return json_samples(lines, Parsed(), build)


def _sample(row: dict[str, Any], passage: _Passage, where: str, options: Options) -> Sample:
    question, question_text, _ = text_words(
        checked_string(field(row, "question"), "question"), "question"
    )
    identity = row.get("id", "")
    if isinstance(identity, str):
        identity = checked_string(identity, "id", blank=True)
    extra = {
        "question": question,
        "question_text": question_text,
        "text": passage.text,
        "spans": passage.spans,
        "qid": identity if isinstance(identity, str) or type(identity) is int else where,
    }
    gold = None
    if options.gold:
        answers = _answer_list(field(row, "answers"))
        gold = tuple(dict.fromkeys(_answer(answer, passage) for answer in answers))
    return Sample(passage.words, None, where, extra, gold)


def _answer_list(value: Any) -> list[Any]:
    if isinstance(value, dict):  # the columns of the Hugging Face version
        texts, starts = (checked_list(field(value, k), k) for k in ("text", "answer_start"))
        if len(texts) != len(starts):
            raise RowError(f"'answers' has {len(texts)} 'text' but {len(starts)} 'answer_start'")
        value = [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)]
    return checked_list(value, "answers", least=1)


def _answer(value: Any, passage: _Passage) -> Answer:
    row = {"text": value} if isinstance(value, str) else value
    if not isinstance(row, dict):
        raise RowError(f"'answers' holds {type_name(row)} where an object is needed")
    text = checked_string(field(row, "text"), "text")
    if "answer_start" in row:
        start = checked_int(row["answer_start"], "answer_start")
    else:
        start = _only_occurrence(text, passage.text)
    end = start + len(text)
    if passage.text[start:end] != text:
        there = passage.text[start:end]
        raise RowError(f"answer_start {start} points at {there!r}, but the answer is {text!r}")
    # The smallest run of words that covers the answer's characters.
    first = bisect_right(passage.spans, start, key=lambda span: span[1])
    last = bisect_left(passage.spans, end, key=lambda span: span[0]) - 1
    if last < first:
        raise RowError(f"the answer {text!r} holds no word")
    return text, first, last


def _only_occurrence(text: str, context: str) -> int:
    """Position in the context of a text that occurs there once."""
    start = context.find(text)
    if start < 0:
        raise RowError(f"the answer {text!r} does not stand in the context")
    if context.find(text, start + 1) >= 0:
        raise RowError(
            f"the answer {text!r} stands in the context more than once: give 'answer_start'"
        )
    return start


def _is_squad(lines: list[str]) -> bool:
    head = "\n".join(lines)
    return head.lstrip().startswith("{") and '"paragraphs"' in head


FORMATS: tuple[Reader, ...] = (
    Reader(
        "squad",
        (".json",),
        parse_squad,
        "SQuAD JSON 1.1, or 2.0 without its unanswerable questions",
        sniff=_is_squad,
    ),
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one question per line: {"context", "question", "answers": [{"text", "answer_start"}]}',
    ),
)
