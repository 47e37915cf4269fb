"""Reader of fastText's lines: a text, and its labels as words that begin with ``__label__``."""

from __future__ import annotations

import re

from nlp_gym.data.readers.classification.labelled_text import label_text, text_sample
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.shared.tables.tools import without_comments
from nlp_gym.errors import shown

PREFIX = "__label__"
_LABEL = re.compile(rf"(?<!\S){PREFIX}(\S*)\s*")


def parse_one(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one text per line with one label, ``__label__NAME text``; blank lines are skipped."""
    return _parse(lines, name, options, several=False)


def parse_many(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one text per line with one or more labels; all words ``__label__NAME`` are labels."""
    return _parse(lines, name, options, several=True)


def _parse(lines: list[str], name: str, options: Options, *, several: bool) -> Parsed:
    parsed = Parsed()
    for number, line in enumerate(without_comments(lines, options.comments), 1):
        if not line or line.isspace():
            continue
        try:
            found = [label_text(label, "label") for label in _LABEL.findall(line)]
            labels = None
            if options.gold:
                labels = _checked(found, several=several)
            text = _LABEL.sub("", line).strip()
            if not text:
                raise RowError("there are labels, but no text")
            parsed.samples.append(text_sample(text, labels, f"{name}:{number}"))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return parsed


def _checked(labels: list[str], *, several: bool) -> tuple[str, ...]:
    distinct = tuple(sorted(set(labels)))
    if not distinct:
        raise RowError(f"there is no label, a word that begins with {PREFIX}")
    if len(distinct) > 1 and not several:
        names = ", ".join(map(shown, distinct[:4]))
        raise RowError(
            f"there are {len(distinct)} labels ({names}) where one is needed: sets of labels are "
            "of the family 'multilabel'"
        )
    return distinct
