"""Readers of the formats in which classification corpora are published."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

from nlp_gym.data.readers.classification.fasttext import PREFIX
from nlp_gym.data.readers.classification.labelled_text import label_text, text_sample
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    Document,
    RowError,
    checked_list,
    checked_object,
    checked_string,
    field,
    json_document,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.shared.tables.rows import table_rows
from nlp_gym.data.readers.shared.tables.tools import without_comments

AG_LABELS = ("World", "Sports", "Business", "Sci/Tech")
SST2_LABELS = ("negative", "positive")
CLINC_SPLITS = {
    "train": ("train", "oos_train"),
    "dev": ("val", "oos_val"),
    "test": ("test", "oos_test"),
}
_TREC = re.compile(r"([A-Z]+):([A-Za-z]+)$")
_ENTITY = re.compile(r"(?<!&)#(?=[0-9]{1,5};)")
_HUGE = re.compile(r"&#[0-9]{20,};?")
"""Numbers of no character, which may have more digits than Python reads."""
_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-LRB-": "(", "-RRB-": ")"}

SplitLine = Callable[[str], "tuple[str, str | list[str]]"]
"""Splits a line into its label and its text (a list: its words)."""


def _parse_lines(lines: list[str], name: str, options: Options, split: SplitLine) -> Parsed:
    """Read one text per line; blank lines are skipped."""
    parsed = Parsed()
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            continue
        try:
            label, text = split(line)
            labels = (label,) if options.gold else None
            parsed.samples.append(text_sample(text, labels, f"{name}:{number}"))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return parsed


def _split_label(line: str) -> tuple[str, str]:
    """Split a line at its first white space into label and text."""
    parts = line.strip().split(None, 1)
    if len(parts) < 2:
        raise RowError(f"a label and a text are needed, there is only {line.strip()[:40]!r}")
    return label_text(parts[0], "label"), parts[1]


def parse_label_first(lines: list[str], name: str, options: Options) -> Parsed:
    """Read lines ``LABEL text``.

    The label ends at the first tab, if every line has one, else at the first white space.
    """
    lines = without_comments(lines, options.comments)
    tabs = all("\t" in line.strip() for line in lines if line and not line.isspace())
    return _parse_lines(lines, name, options, _split_at_tab if tabs else _split_first)


def _split_at_tab(line: str) -> tuple[str, str]:
    label, _, text = line.partition("\t")
    return label_text(label, "label"), text


def _split_first(line: str) -> tuple[str, str]:
    label, text = _split_label(line)
    if label.startswith(PREFIX) and text.startswith(PREFIX):
        raise RowError(
            f"several labels begin with {PREFIX}: sets of labels are of the family 'multilabel', "
            "format 'fasttext'"
        )
    return label, text


def parse_sst2(lines: list[str], name: str, options: Options) -> Parsed:
    """Read lines ``0 text`` (negative) or ``1 text`` (positive), cut into words already.

    ``-lrb-`` and ``-rrb-`` are read as brackets.
    """

    def split(line: str) -> tuple[str, list[str]]:
        label, text = _split_label(line)
        if label not in ("0", "1"):
            raise RowError(f"the label is {label[:40]!r}, allowed: 0 (negative), 1 (positive)")
        return SST2_LABELS[int(label)], [_BRACKETS.get(word, word) for word in text.split()]

    return _parse_lines(lines, name, options, split)


def parse_trec(lines: list[str], name: str, options: Options) -> Parsed:
    """Read lines ``COARSE:fine question``, cut into words already.

    The label is ``COARSE``, or ``COARSE:fine`` if `options.column` is ``"fine"``.
    """
    column = options.column or "coarse"
    if column not in ("coarse", "fine"):
        message = f"column={options.column!r}: allowed are 'coarse' and 'fine'"
        return Parsed(problems=[Problem(None, message)])

    def split(line: str) -> tuple[str, list[str]]:
        label, text = _split_label(line)
        found = _TREC.match(label)
        if found is None:
            raise RowError(f"the label is {label[:40]!r}, needed: COARSE:fine, as in LOC:city")
        return (found[1] if column == "coarse" else label), text.split()

    return _parse_lines(lines, name, options, split)


def parse_ag(lines: list[str], name: str, options: Options) -> Parsed:
    r"""Read quoted rows: class 1 to 4, then title and description (or both in one cell).

    A backslash stands for a line break and is read as a space. Character references (``#39;``,
    ``&lt;``), some of which lack their ``&``, are replaced by their characters.
    """
    parsed = Parsed()
    for number, cells in table_rows(lines, parsed):
        try:
            if len(cells) < 2:
                raise RowError("a class and a text are needed, there is one cell")
            if cells[0] not in ("1", "2", "3", "4"):
                raise RowError(f"the class is {cells[0][:40]!r}, allowed: 1, 2, 3, 4")
            text = " ".join(cells[1:]).replace("\\", " ")
            text = html.unescape(_HUGE.sub("\ufffd", _ENTITY.sub("&#", text))).replace("\0", " ")
            labels = (AG_LABELS[int(cells[0]) - 1],) if options.gold else None
            parsed.samples.append(text_sample(text, labels, f"{name}:{number}"))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return parsed


def parse_clinc(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one object with lists of ``[text, intent]`` by split: `train`, `oos_train`, `val`, ...

    All records are checked; those of `options.split`, out-of-scope ones included, become samples.
    Without `options.split` all records do.
    """
    parsed = Parsed()
    document = json_document(lines, parsed)
    if document is None:
        return parsed
    known = [key for keys in CLINC_SPLITS.values() for key in keys]
    wanted = known if options.split is None else CLINC_SPLITS[options.split]

    def records() -> Iterator[tuple[str, Any]]:
        value = checked_object(document.value, "the file")
        if not any(key in value for key in wanted):
            raise RowError(f"there is no {' or '.join(wanted)} (keys: {_listed(value)})")
        for key, rows in value.items():
            if key not in known:
                raise RowError(f"the key {key[:40]!r} is not known; allowed: {', '.join(known)}")
            for record in checked_list(rows, key):
                yield key, record

    def sample(key: str, record: Any, line: int) -> None:
        pair = checked_list(record, f"a record of {key}")
        if len(pair) != 2:
            raise RowError(f"a record of {key!r} has {len(pair)} items, needed: [text, intent]")
        text, labels = checked_string(pair[0], "text"), (label_text(pair[1], "intent"),)
        if key in wanted:
            found = text_sample(text, labels if options.gold else None, f"{name}:{line}")
            parsed.samples.append(found)

    return _parse_records(document, parsed, records(), sample)


def parse_snips(lines: list[str], name: str, options: Options) -> Parsed:
    """Read objects ``{intent: [{"data": [{"text": ...}, ...]}, ...]}``; `data` is joined."""
    parsed = Parsed()
    document = json_document(lines, parsed)
    if document is None:
        return parsed

    def records() -> Iterator[tuple[str, Any]]:
        for intent, utterances in checked_object(document.value, "the file").items():
            for utterance in checked_list(utterances, intent):
                yield intent, utterance

    def sample(intent: str, record: Any, line: int) -> None:
        parts = checked_list(field(checked_object(record, "an utterance"), "data"), "data")
        pieces = (field(checked_object(part, "a part of 'data'"), "text") for part in parts)
        text = "".join(checked_string(piece, "text", blank=True) for piece in pieces)
        labels = (label_text(intent, "intent"),)
        parsed.samples.append(text_sample(text, labels if options.gold else None, f"{name}:{line}"))

    return _parse_records(document, parsed, records(), sample)


def _parse_records(
    document: Document,
    parsed: Parsed,
    records: Iterator[tuple[str, Any]],
    sample: Callable[[str, Any, int], None],
) -> Parsed:
    """Call `sample` on each record and its line number (1 for a record that is no container)."""
    try:
        for key, record in records:
            line = document.line(record) if isinstance(record, (dict, list)) else 1
            try:
                sample(key, record, line)
            except RowError as error:
                parsed.problems.append(Problem(line, str(error)))
    except RowError as error:
        parsed.problems.append(Problem(1, str(error)))
    return parsed


def _listed(value: dict[str, Any]) -> str:
    return ", ".join(repr(key[:40]) for key in list(value)[:8]) or "none"


def sniff_clinc(head: list[str]) -> bool:
    """Whether a key is the name of a split, with a list as its value."""
    keys = "|".join(key for keys in CLINC_SPLITS.values() for key in keys)
    return re.search(rf'\{{\s*"({keys})"\s*:\s*\[', "\n".join(head[:5])) is not None


def sniff_snips(head: list[str]) -> bool:
    """Whether there is a list of objects whose key `data` has a list."""
    return re.search(r'\[\s*\{\s*"data"\s*:\s*(?:\[|$)', "\n".join(head[:8])) is not None


def sniff_trec(head: list[str]) -> bool:
    """Whether the first lines begin with COARSE:fine."""
    return bool(head) and all(_TREC.match(line.split(" ")[0]) for line in head[:20])
