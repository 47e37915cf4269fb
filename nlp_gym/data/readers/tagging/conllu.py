"""Reader of CoNLL-U (Universal Dependencies): ten columns, parts of speech in UPOS or XPOS."""

from __future__ import annotations

from dataclasses import replace

from nlp_gym.data.readers.shared.base import Parsed, TaggedText, add_samples, line_numbers
from nlp_gym.data.readers.shared.conllu_rows import (
    COLUMNS,
    are_attached,
    head_rows,
    is_skipped,
    row_fault,
)
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.errors import UnknownNameError

UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN",
    "PUNCT", "SCONJ", "SYM", "VERB", "X",
)  # fmt: skip
"""The 17 universal parts of speech, sorted. Source: universaldependencies.org/u/pos."""


def has_tags(lines: list[str]) -> bool:
    """Whether lines look like CoNLL-U whose words are tagged, or have no heads either."""
    rows = head_rows(lines)
    tagged = sum(cells[column] not in ("", "_") for cells in rows for column in COLUMNS.values())
    return bool(rows) and (2 * tagged > len(rows) or not are_attached(rows))


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read the words of CoNLL-U: multi-word tokens (``3-4``) and empty nodes (``8.1``) are skipped.

    The label is UPOS, or XPOS with ``column="xpos"``. Words of a sentence are numbered from 1.
    Lines that begin with ``#`` or with `options.comments` are comments. CoNLL-X has the same ten
    columns, with the coarse part of speech in the place of UPOS.
    """
    wanted = "upos" if options.column is None else options.column
    if wanted not in COLUMNS:
        raise UnknownNameError("column", wanted, COLUMNS)
    column = COLUMNS[str(wanted)]
    parsed, texts = Parsed(), list[TaggedText]()
    words, labels, at, bad = list[str](), list[str](), list[int](), False
    comments, gold = options.comments, options.gold
    expected = 1
    unknown: dict[str, int] = {}
    shared: dict[str, str] = {}
    for number, line in enumerate([*lines, ""], 1):
        if not line or line.isspace():
            if words or bad:
                texts.append(TaggedText(words, labels, line_numbers(at), bad=bad))
                words, labels, at, bad = [], [], [], False
            expected = 1
            continue
        if line[0] == "#" or (comments and line.startswith(comments)):
            continue
        cells = line.split("\t")
        key = cells[0]
        label = cells[column] if len(cells) == 10 else ""
        whole = label != "_" and label.strip() if gold else len(cells) == 10
        if whole and key == str(expected) and cells[1].strip():  # nearly all rows
            expected += 1
        else:
            if len(cells) == 10 and not key.isdigit() and is_skipped(key):
                continue
            problem = row_fault(cells, expected, column, gold)
            expected = int(key) + 1 if key.isdecimal() and len(key) < 10 else expected + 1
            if problem:
                parsed.problems.append(Problem(number, problem))
                bad = True
                continue
        words.append(cells[1])
        labels.append(shared.setdefault(label, label))
        at.append(number)
        if column == 3 and label not in UPOS:
            unknown.setdefault(label, number)
    if gold:
        parsed.warnings += [
            Problem(line, f"{label!r} is not one of the 17 universal parts of speech")
            for label, line in unknown.items()
        ]
    # Parts of speech are not entity tags, even if they look like some.
    return add_samples(texts, name, replace(options, scheme="none"), parsed)
