"""Formats of the family "spanqa": questions whose answers are spans of a passage."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    Document,
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
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.errors import shown
from nlp_gym.types import Sample

Answer = tuple[str, int, int]
"""Gold text, and the first and last word (inclusive) that cover it."""

NO_PLACE = -1
"""An `answer_start` that is no place: the answer does not stand in the passage."""


@dataclass(frozen=True)
class _Passage:
    """A passage, cut into words once for all its questions."""

    words: tuple[str, ...]
    text: str
    spans: tuple[tuple[int, int], ...]


class _Questions:
    """Makes the samples of the questions of a file, and says which answers and questions lack.

    Args:
        name: The file's name.
        options: How it is read.
        parsed: Gets warnings.
        unit: What `answer_start` counts, a value of `UNITS`; None: characters.

    Attributes:
        misplaced: Lines of answers that do not stand where their rows say.
    """

    def __init__(
        self, name: str, options: Options, parsed: Parsed, unit: str | None = None
    ) -> None:
        self.name, self.options, self.parsed, self.unit = name, options, parsed, unit
        (self._key,) = options.label_names(("answers",))
        self.misplaced: list[int] = []
        self._unanswered: list[int] = []

    def sample(self, row: dict[str, Any], passage: _Passage, line: int) -> Sample | None:
        """The sample of a question; None with gold if it has no answer in the passage.

        Raises:
            RowError: The question is bad, or an answer is. Where bad rows are skipped, a bad answer
                is left out if there are good ones.
        """
        where = f"{self.name}:{line}"
        extra = _extra(row, passage, where)
        if not self.options.gold:
            return Sample(passage.words, None, where, extra)
        answers: list[Answer] = []
        faults: list[str] = []
        for value in _answer_list(row, self._key):
            try:
                answers.append(_answer(value, passage, self.unit))
            except RowError as error:
                self.misplaced += [line] if isinstance(error, MisplacedAnswer) else []
                if not self.options.skips:
                    raise
                faults.append(str(error))
        if faults and not answers:
            raise RowError(faults[0])
        if not answers:
            self._unanswered.append(line)
            return None
        message = "a bad answer is left out of a question that has others"
        self.parsed.warnings += [Problem(line, f"{message}: {fault}") for fault in faults]
        return Sample(passage.words, None, where, extra, tuple(dict.fromkeys(answers)))

    def report(self) -> Parsed:
        """Say how many questions are left out; return `parsed`."""
        if self._unanswered:
            message = (
                f"{len(self._unanswered)} question(s) are left out, the first one here: they are "
                "marked 'is_impossible', or have no answer with a place in the passage"
            )
            self.parsed.warnings.append(Problem(self._unanswered[0], message))
            if not self.parsed.samples and not self.parsed.problems:
                message = "no question of the file has an answer in its passage"
                self.parsed.problems.append(Problem(self._unanswered[0], message))
        return self.parsed


class MisplacedAnswer(RowError):
    """An answer does not stand where its row says."""


UNITS = {"UTF-16 code units, as in JavaScript": "utf-16-le", "bytes of UTF-8": "utf-8"}
"""What `answer_start` may count in place of characters, and the encoding whose units these are."""


def _settled(read: Callable[[_Questions], Parsed], name: str, options: Options) -> Parsed:
    """Read questions with `answer_start` in characters, or in units in which all answers fit.

    Args:
        read: Reads the file with the questions that it is given.
        name: File name.
        options: How the file is read.
    """
    questions = _Questions(name, options, Parsed())
    parsed = read(questions)
    for what, unit in UNITS.items() if questions.misplaced else ():
        other = _Questions(name, options, Parsed(), unit)
        found = read(other)
        if not other.misplaced:
            message = (
                f"answer_start counts {what}: so every answer stands at its place, and in "
                "characters they do not"
            )
            found.warnings.insert(0, Problem(questions.misplaced[0], message))
            return found
    return parsed


def parse_squad(lines: list[str], name: str, options: Options) -> Parsed:
    """Read SQuAD's JSON, version 1.1 or 2.0 (Rajpurkar et al. 2016, 2018).

    The file is ``{"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers":
    [{"text", "answer_start"}]}]}]}]}`` with offsets in characters, or in `UNITS`. An answer that
    does not begin and end with a word is kept with the words that cover it. Questions without an
    answer (marked ``is_impossible``, or of an empty list) are left out with gold, with a warning
    that counts them. Problems name the line on which the question's object begins.
    """
    parsed = Parsed(n_bad=0)
    document = json_document(lines, parsed) if any(line.strip() for line in lines) else None
    if document is None:
        return parsed
    return _settled(partial(_read_squad, document), name, options)


def _read_squad(document: Document, questions: _Questions) -> Parsed:
    """Read the questions of a document."""
    parsed = questions.parsed
    parsed.n_bad = 0

    def refuse(line: int, error: RowError, value: Any) -> None:
        parsed.problems.append(Problem(line, str(error)))
        parsed.n_bad = (parsed.n_bad or 0) + _n_questions(value)

    def each(
        parent: Any, key: str, line: int, visit: Callable[[dict[str, Any], int], None]
    ) -> None:
        """Call `visit` on every object of the list `parent[key]`; faults become problems."""
        try:
            rows = checked_list(field(checked_object(parent, "the file"), key), key)
        except RowError as error:
            refuse(line, error, parent)
            return
        for row in rows:
            row_line = document.line(row) if isinstance(row, dict | list) else line
            try:
                visit(checked_object(row, f"an item of {key!r}"), row_line)
            except RowError as error:
                refuse(row_line, error, row)

    def article(row: dict[str, Any], line: int) -> None:
        each(row, "paragraphs", line, paragraph)

    def paragraph(row: dict[str, Any], line: int) -> None:
        passage = _Passage(*text_words(checked_string(field(row, "context"), "context"), "context"))
        each(row, "qas", line, partial(question, passage))

    def question(passage: _Passage, row: dict[str, Any], line: int) -> None:
        sample = questions.sample(row, passage, line)
        parsed.samples += [] if sample is None else [sample]

    each(document.value, "data", 1, article)
    return questions.report()


def _n_questions(value: Any) -> int:
    """Number of questions of a part of a document, at least 1."""
    if isinstance(value, dict) and isinstance(value.get("paragraphs"), list):
        return max(1, sum(map(_n_questions, value["paragraphs"])))
    listed = value.get("qas") if isinstance(value, dict) else None
    return max(1, len(listed)) if isinstance(listed, list) else 1


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one question per line: ``{"context", "question", "answers", "id"}``; ``id`` is optional.

    ``answers`` is a list of ``{"text", "answer_start"}``, or of ``{"text"}`` or strings if the text
    occurs once in the context, or ``{"text": [...], "answer_start": [...]}``. An `answer_start` of
    -1 is no place. Questions without an answer are left out with gold, with a warning that counts
    them. `options.text_column` and `options.column` name other keys of the context and the answers.
    """
    return _settled(partial(_read_rows, lines), name, options)


def _read_rows(lines: list[str], questions: _Questions) -> Parsed:
    """Read the questions of rows."""
    passages: dict[str, _Passage] = {}
    (key,) = questions.options.text_names(("context",))

    def build(row: dict[str, Any], number: int) -> Sample | None:
        context = checked_string(field(row, key), key)
        if context not in passages:
            passages[context] = _Passage(*text_words(context, key))
        return questions.sample(row, passages[context], number)

    json_samples(lines, questions.parsed, build)
    return questions.report()


def _extra(row: dict[str, Any], passage: _Passage, where: str) -> dict[str, Any]:
    """The input of a question besides the words of its passage."""
    question, question_text, _ = text_words(
        checked_string(field(row, "question"), "question"), "question"
    )
    identity = row.get("id", "")
    if isinstance(identity, str):
        identity = checked_string(identity, "id", blank=True)
    return {
        "question": question,
        "question_text": question_text,
        "text": passage.text,
        "spans": passage.spans,
        "qid": identity if isinstance(identity, str) or type(identity) is int else where,
    }


def _answer_list(row: dict[str, Any], key: str) -> list[Any]:
    """The answers of a question without those that stand nowhere."""
    if row.get("is_impossible") is True:
        return []
    value = field(row, key)
    if isinstance(value, dict):  # the columns of the Hugging Face version
        texts, starts = (checked_list(field(value, k), k) for k in ("text", "answer_start"))
        if len(texts) != len(starts):
            raise RowError(f"{key!r} has {len(texts)} 'text' but {len(starts)} 'answer_start'")
        value = [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)]
    return [item for item in checked_list(value, key) if not _stands_nowhere(item)]


def _stands_nowhere(answer: Any) -> bool:
    start = answer.get("answer_start") if isinstance(answer, dict) else None
    if type(start) is not int:
        return False
    return start == NO_PLACE or (start == 0 and answer.get("text") == "")


def _answer(value: Any, passage: _Passage, unit: str | None) -> Answer:
    row = {"text": value} if isinstance(value, str) else value
    if not isinstance(row, dict):
        raise RowError(f"'answers' holds {type_name(row)} where an object is needed")
    text = checked_string(field(row, "text"), "text")
    if "answer_start" in row:
        start = checked_int(row["answer_start"], "answer_start")
        if unit is not None:
            start = _characters(passage.text, start, unit)
    else:
        start = _only_occurrence(text, passage.text)
    end = start + len(text)
    if passage.text[start:end] != text:
        there = passage.text[start:end]
        raise MisplacedAnswer(
            f"answer_start {start} points at {shown(there)}, but the answer is {shown(text)}"
        )
    # The smallest run of words that covers the answer's characters.
    first = bisect_right(passage.spans, start, key=lambda span: span[1])
    last = bisect_left(passage.spans, end, key=lambda span: span[0]) - 1
    if last < first:
        raise RowError(f"the answer {shown(text)} holds no word")
    return text, first, last


def _characters(text: str, start: int, encoding: str) -> int:
    """The number of characters in the first `start` units of an encoding.

    Raises:
        MisplacedAnswer: There are fewer, or they end inside of a character.
    """
    size = start * len("a".encode(encoding))
    before = text.encode(encoding)[:size]
    try:
        if len(before) == size:
            return len(before.decode(encoding))
    except UnicodeDecodeError:
        pass
    raise MisplacedAnswer(f"answer_start {start} is no place in the context")


def _only_occurrence(text: str, context: str) -> int:
    """Position in the context of a text that occurs there once."""
    start = context.find(text)
    if start < 0:
        raise RowError(f"the answer {shown(text)} does not stand in the context")
    if context.find(text, start + 1) >= 0:
        raise RowError(
            f"the answer {shown(text)} stands in the context more than once: give 'answer_start'"
        )
    return start


def _is_squad(lines: list[str]) -> bool:
    head = "\n".join(lines)
    # The paragraphs of spaCy 2 have sentences.
    return head.lstrip().startswith("{") and '"paragraphs"' in head and '"sentences"' not in head


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
        takes=frozenset(("text_column",)),
    ),
)
