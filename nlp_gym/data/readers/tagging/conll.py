"""Reader of CoNLL columns: one word per line, its label in the last, blank lines in between."""

from __future__ import annotations

import itertools
from collections import Counter

from nlp_gym.data.readers.shared.base import Options, Parsed, TaggedText, add_samples
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.errors import InvalidArgumentError

_DOCUMENT = "-DOCSTART-"
_HEAD = 1000  # number of rows that decide how many columns a file has


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read columns separated by tabs (lines with a tab) or by spaces.

    The word is the first column, the label the last one (or `options.column`, counted from 0 or, if
    negative, from the end). Lines of white space separate sentences; so do ``-DOCSTART-`` rows,
    which are skipped. Every row must have as many columns as most of the first rows.
    """
    parsed = Parsed()
    rows = (_cells(line) for line in lines if line and not line.isspace())
    head = itertools.islice((len(row) for row in rows if row[0] != _DOCUMENT), _HEAD)
    widths = Counter(head).most_common(1)
    width = widths[0][0] if widths else 0
    column = _column(options.column, width)
    if options.gold and width == 1:
        message = "one column only: a word and its label are needed, separated by a tab or a space"
        line = next(n for n, text in enumerate(lines, 1) if text.strip())
        parsed.problems.append(Problem(line, message))
        return parsed
    texts = _texts(lines, width, column, options.gold, parsed)
    return add_samples(texts, name, options, parsed)


def _texts(
    lines: list[str], width: int, column: int, gold: bool, parsed: Parsed
) -> list[TaggedText]:
    texts = []
    words, labels, at = list[str](), list[str](), list[int]()
    shared: dict[str, str] = {}  # one string object per distinct label
    for number, line in enumerate(itertools.chain(lines, [""]), 1):
        blank = not line or line.isspace()
        cells = [] if blank else _cells(line)
        if blank or cells[0] == _DOCUMENT:
            if words:
                texts.append(TaggedText(words, labels, at))
                words, labels, at = [], [], []
            continue
        if len(cells) != width:
            fault = f"{len(cells)} column(s) where the file has {width}"
            parsed.problems.append(Problem(number, fault))
            continue
        word, label = cells[0], cells[column]
        if not word or word.isspace():
            parsed.problems.append(Problem(number, "the word is empty"))
        elif gold and (not label or label.isspace()):
            parsed.problems.append(Problem(number, f"the label of {word!r} is empty"))
        else:
            words.append(word)
            labels.append(shared.setdefault(label, label))
            at.append(number)
    return texts


def _cells(line: str) -> list[str]:
    # Only the space and the tab separate: other white space (U+00A0, U+3000) may be in a word.
    if "\t" in line:
        return [cell.strip(" ") for cell in line.rstrip(" \t").split("\t")]
    cells = line.split(" ")
    return cells if "" not in cells else [cell for cell in cells if cell]


def _column(column: str | int | None, width: int) -> int:
    """Index of the label column in rows of `width` cells."""
    try:
        index = -1 if column is None else int(column)
    except ValueError:
        index = 0
    if index == 0 or (width > 1 and not -width < index < width):
        raise InvalidArgumentError(
            f"column={column!r} is no label column of a CoNLL file of {width} columns: give a "
            f"number from 1 to {max(width - 1, 1)} (0 is the word), or -1 for the last one."
        )
    return index
