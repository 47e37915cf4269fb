"""Formats of the family "choice": multiple-choice questions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any, TypeVar

from nlp_gym.data.readers.shared import class_names
from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_int,
    checked_list,
    checked_string,
    checked_strings,
    field,
    json_samples,
    text_words,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.shared.tables.tools import (
    Table,
    open_table,
    table_samples,
    without_comments,
)
from nlp_gym.errors import shown
from nlp_gym.types import Sample

ANSWER_KEYS = ("answer", "answerKey")
QUESTION = ("question", "question_stem", "stem")
_Item = TypeVar("_Item")
_CHOICE_COLUMN = re.compile(r"(?:choice|option|answer)[ _]?(\d{1,2}|[a-z])|([a-z])", re.IGNORECASE)


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one question per line.

    A row is ``{"question": "...", "choices": ["...", ...], "answer": ...}``, or in the schema of
    ARC, OpenBookQA and QASC (Clark et al. 2018): ``{"question": {"stem": "...", "choices":
    [{"text": "...", "label": "A"}, ...]}, "answerKey": "A"}``. `choices` may also be ``{"text":
    [...], "label": [...]}``. An `answer` is an index from 0, a choice's label (by default A, B,
    ...) or a choice's text; an `answerKey` is a label. `options.text_column` and `options.column`
    name other keys of the question and the answer. Other keys are ignored, and so are choices that
    are null after the last one. Questions whose answer is -1 have none, as in Hugging Face's
    datasets, and are left out.
    """
    parsed, unanswered = Parsed(), list[int]()

    def build(row: dict[str, Any], number: int) -> Sample | None:
        question, holder = field(row, *options.text_names(QUESTION)), row
        if isinstance(question, dict):
            holder, question = question, field(question, "stem")
        texts, labels = _choices(field(holder, "choices"))
        gold = None
        if options.gold:
            names = options.label_names(ANSWER_KEYS)
            value = field(row, *names)
            key = next(n for n in names if n in row)
            if type(value) is int and value == class_names.UNLABELLED:
                unanswered.append(number)
                return None
            if type(value) is int and key != "answerKey":
                gold = _index(value, key, labels, len(texts))
            else:
                text = checked_string(value, key)
                gold = _find_choice(text, key, labels, () if key == "answerKey" else texts)
        return _sample(question, texts, gold, f"{name}:{number}")

    json_samples(lines, parsed, build)
    if unanswered:
        message = (
            f"{len(unanswered)} question(s) have the answer -1, which Hugging Face's datasets give "
            "where none is known, and are left out"
        )
        into = parsed.warnings if parsed.samples or parsed.problems else parsed.problems
        into.append(Problem(unanswered[0], message))
    return parsed


def _index(value: int, key: str, labels: Sequence[str], n: int) -> int:
    """Index of the choice that a number gives: it counts from 0, unless it is a label too."""
    if str(value) in labels and labels.index(str(value)) != value:
        raise RowError(
            f"{key!r} is {value}, which may count from 0 or be the label of choice "
            f"{labels.index(str(value))}: give a text, or the label under 'answerKey'"
        )
    return checked_int(value, key, high=n - 1)


def parse_table(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one question per row: columns `question`, `choice1` to `choiceN` and `answer`.

    Columns of choices may also be called `option1`, ... or `A`, `B`, ...; empty cells after the
    last choice are ignored. An `answer` is the number or letter in a choice's column name, or the
    choice's text; `options.text_column` and `options.column` give other columns of the question and
    the answer.
    """
    parsed = Parsed()
    table = open_table(without_comments(lines, options.comments), name, parsed)
    if table is None:
        return parsed
    wanted = options.label_names(ANSWER_KEYS)
    question = table.column(options.text_column, QUESTION, parsed)
    answer = table.find(*wanted)
    if options.gold:
        answer = table.column(options.column, ANSWER_KEYS, parsed)
    columns = _choice_columns(table, answer)
    if len(columns) < 2:
        parsed.problems.append(table.missing("choice1", "choice2", "A", "B"))
    if parsed.problems or question is None:
        return parsed

    def build(cells: list[str], number: int) -> Sample:
        texts = _up_to_last([cells[i].strip() for i, _ in columns])
        labels = [label for _, label in columns[: len(texts)]]
        gold = None
        if options.gold and answer is not None:
            gold = _find_choice(checked_string(cells[answer], wanted[0]), wanted[0], labels, texts)
        return _sample(cells[question], texts, gold, f"{name}:{number}")

    return table_samples(table, parsed, build)


def _choice_columns(table: Table, answer: int | None) -> list[tuple[int, str]]:
    """(index, label) of each column that holds a choice."""
    matches = [(i, _CHOICE_COLUMN.fullmatch(cell.strip())) for i, cell in enumerate(table.header)]
    return [(i, (m[1] or m[2]).upper()) for i, m in matches if m is not None and i != answer]


def _up_to_last(items: Sequence[_Item]) -> list[_Item]:
    """The items up to the last one that is not empty."""
    n = max((i + 1 for i, item in enumerate(items) if item not in (None, "")), default=0)
    return list(items[:n])


def _choices(value: Any) -> tuple[list[str], list[str]]:
    """(texts, labels) of the choices in any of the forms that `parse_jsonl` takes."""
    if isinstance(value, dict):
        items = checked_list(field(value, "text"), "choices.text")
        labels = checked_strings(field(value, "label"), "choices.label")
        if len(labels) == len(items):
            items = _up_to_last(items)
            labels = labels[: len(items)]
        texts = checked_strings(items, "choices.text")
        if len(labels) != len(texts):
            raise RowError(f"{len(texts)} texts of choices but {len(labels)} labels")
        return texts, labels
    items = _up_to_last(checked_list(value, "choices"))
    if items and all(isinstance(item, dict) for item in items):
        texts = [checked_string(field(item, "text"), "choices.text") for item in items]
        if all("label" in item for item in items):
            return texts, [checked_string(item["label"], "choices.label") for item in items]
    else:
        texts = checked_strings(items, "choices")
    return texts, [ascii_uppercase[i] if i < 26 else str(i) for i in range(len(texts))]


def _find_choice(value: str, key: str, labels: Sequence[str], texts: Sequence[str]) -> int:
    """Index of the choice with a label or text."""
    wanted = value.strip()
    fitting = {i for i, label in enumerate(labels) if label.strip().upper() == wanted.upper()}
    fitting |= {i for i, text in enumerate(texts) if text.strip() == wanted}
    if len(fitting) == 1:
        return fitting.pop()
    if fitting:
        which = " and ".join(f"{i} ({labels[i]})" for i in sorted(fitting)[:4])
        raise RowError(f"{key!r} is {shown(wanted)}, which fits the choices {which}: give an index")
    allowed = ", ".join(labels[:26])
    also = " or the text of a choice" if texts else ""
    raise RowError(f"{key!r} is {shown(wanted)}, allowed: {allowed}{also}")


def _sample(question: Any, texts: Sequence[str], gold: int | None, where: str) -> Sample:
    if len(texts) < 2:
        raise RowError(f"'choices' has {len(texts)} item(s), at least 2 needed")
    words, text, _ = text_words(question, "question")
    choices = tuple(text_words(choice, f"choice {i}")[0] for i, choice in enumerate(texts))
    extra = {"text": text, "choices": choices, "choice_texts": tuple(texts)}
    return Sample(words, None, where, extra, gold)


FORMATS: tuple[Reader, ...] = (
    Reader(
        "jsonl",
        (".jsonl", ".ndjson", ".json"),
        parse_jsonl,
        'one question per line: {"question", "choices", "answer"} or the schema of ARC',
        takes=frozenset(("text_column",)),
    ),
    Reader(
        "csv",
        (".csv", ".tsv"),
        parse_table,
        "columns question, choice1, choice2, ..., answer, with a header",
        takes=frozenset(("text_column", "comments")),
    ),
)
