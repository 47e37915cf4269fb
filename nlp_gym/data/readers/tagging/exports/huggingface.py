"""Reader of rows of Hugging Face datasets: words with labels as numbers, whose names lie beside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from nlp_gym.data.readers.shared.base import Parsed, TaggedText
from nlp_gym.data.readers.shared.class_names import FILES, names_of, numbered_names
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_list,
    checked_object,
    checked_strings,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.tagging.exports.rows import first_objects, read_rows
from nlp_gym.data.readers.tagging.jsonl import LABEL_KEYS, WORD_KEYS, with_id
from nlp_gym.data.readers.tagging.marked_texts import MarkedTexts
from nlp_gym.errors import shown

_JSON = ("features.json", "label2id.json", "id2label.json", "labels.json", "names.json")
_LISTED = ("labels.txt", "label_names.txt", "label_list.txt", "names.txt", "tags.txt")
NAME_FILES = (*FILES, "README.md", *_JSON, *_LISTED, "config.json")
"""Files beside the rows that may give the labels' names, the best first."""
_CARD_NAME = re.compile(r"\s*'?\"?(\d{1,9})\"?'?:\s*(\S.*)")

Names = tuple[str, ...]


def is_huggingface(lines: list[str]) -> bool:
    """Whether lines look like rows of a data set with labels as numbers."""
    rows = first_objects(lines)
    return any(isinstance(row.get("rows"), list) and "features" in row for row in rows) or (
        2 * sum(map(_has_numbers, rows)) > len(rows)
    )


def _has_numbers(row: dict[str, Any]) -> bool:
    words = next((row[key] for key in WORD_KEYS if isinstance(row.get(key), list)), None)
    if words is None:
        return False
    labels = [row[key] for key in LABEL_KEYS if isinstance(row.get(key), list)]
    return any(
        len(values) == len(words) > 0 and all(type(value) is int for value in values)
        for values in labels
    )


def companions(name: str, options: Options) -> tuple[str, ...]:
    """Names of the files that may give the labels' names."""
    return NAME_FILES if options.gold else ()


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read ``{"tokens": [...], "ner_tags": [0, 1]}``, one object per line, or a list of them.

    The names of the numbers are those of `datasets` itself (``dataset_info.json``, or the head of
    ``README.md``), of a model (``label2id.json``, ``id2label.json``, ``config.json``), a list in
    ``labels.json``, or one per line in ``labels.txt``, each beside the file; else those of
    `options.names`, the `labels=` of an environment, with a warning. Labels may be texts too.
    """
    names = _Names(options)

    def add(value: Any, line: int, texts: MarkedTexts) -> None:
        row = checked_object(value, "the row")
        if isinstance(row.get("rows"), list) and "features" in row:  # the viewer's answer
            names.features = row["features"]
            for number, item in enumerate(row["rows"]):
                inner = checked_object(item, f"rows[{number}]")
                try:
                    texts.add(_text(inner.get("row", inner), line, options, names))
                except RowError as error:
                    texts.add_bad(line, f"rows[{number}]: {error}")
            return
        texts.add(_text(row, line, options, names))

    parsed = read_rows(lines, name, options, add)
    if names.source:
        listed = ", ".join(f"{i} {shown(label)}" for i, label in enumerate(names.found[:4]))
        note = Problem(None, f"the names of the labels are those of {names.source}: {listed}, ...")
        (parsed.warnings if names.doubtful else parsed.notes).append(note)
    return parsed


def _text(value: Any, line: int, options: Options, names: _Names) -> TaggedText:
    row = checked_object(value, "the row")
    key = next((key for key in options.word_names(WORD_KEYS) if key in row), None)
    if key is None:
        raise RowError(f"there are no words ({' or '.join(map(repr, WORD_KEYS))})")
    words = checked_strings(row[key], key, least=1)
    found = with_id(TaggedText(words, [], [line] * len(words)), row)
    if not options.gold:
        return found
    keys = options.label_names(LABEL_KEYS)
    label_key = next((key for key in keys if key in row), None)
    if label_key is None:
        raise RowError(f"there are no labels ({' or '.join(map(repr, keys))})")
    labels = checked_list(row[label_key], label_key)
    if len(labels) != len(words):
        raise RowError(f"{len(words)} {key} but {len(labels)} {label_key}")
    if all(type(label) is int for label in labels):
        found.labels = names.named(labels, label_key)
    else:
        found.labels = checked_strings(labels, label_key)
    return found


class _Names:
    """Finds the names of labels when the first number is met.

    Args:
        options: How the file is read.

    Attributes:
        features: Features of the file itself, if it has them.
        found: The names.
        source: Where they are from; ``""`` before they are needed.
        doubtful: Whether they were not made for these numbers.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.features: Any = None
        self.found: Names = ()
        self.source, self.doubtful = "", False

    def named(self, numbers: Sequence[int], key: str) -> list[str]:
        """The names of numbers.

        Raises:
            RowError: There are none, or a number has none.
        """
        if not self.source:
            self._find(key)
        wrong = next((n for n in numbers if not 0 <= n < len(self.found)), None)
        if wrong is not None:
            raise RowError(
                f"{key!r} has the number {wrong}, and {self.source} names {len(self.found)} labels"
            )
        return [self.found[number] for number in numbers]

    def _find(self, key: str) -> None:
        for source, found in self._candidates(key):
            distinct = set(filter(None, found))
            if len(distinct) > 1:
                raise RowError(f"{source} has several lists of names for {key!r}: leave one")
            if distinct:
                self.found, self.source = distinct.pop(), source
                return
        if self.options.names is not None:
            self.found, self.source, self.doubtful = self.options.names, "labels=", True
            return
        raise RowError(
            f"{key!r} are numbers, and nothing says their names: put a file labels.txt beside this "
            "one, with one name per line in the order of the numbers (or the data set's "
            "dataset_info.json), or write the names in place of the numbers; gym.make takes them "
            "as labels=[...], too"
        )

    def _candidates(self, key: str) -> Iterator[tuple[str, list[Names]]]:
        """Sources of names, the best first, each with the lists that it has."""
        if self.features is not None:
            yield "its 'features'", list(names_of(self.features, key))
        for file in NAME_FILES:
            lines = self.options.companions.get(file)
            if lines is None:
                continue
            if file in _LISTED:
                yield file, [tuple(line.strip() for line in lines if line.strip())]
            elif file == "README.md":
                yield file, _names_of_card(lines, key)
            else:
                yield file, list(_names_in(_loaded(lines), key))


def _loaded(lines: list[str]) -> Any:
    try:
        return json.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return None


def _names_in(value: Any, key: str) -> Iterator[Names]:
    """The names in a JSON file: features, a list, or numbers with names, as a model has them."""
    found = False
    for names in names_of(value, key):
        found = True
        yield names
    if found:
        return
    if isinstance(value, dict):
        inner = (value.get("id2label"), value.get("label2id"), value)
        yield next(filter(None, map(numbered_names, inner)), ())
    elif isinstance(value, list) and all(isinstance(name, str) and name for name in value):
        yield tuple(value)


def _names_of_card(lines: list[str], key: str) -> list[Names]:
    """The names of a feature in the head of a data set's card, which is YAML.

    ``- name: ner_tags``, below it ``names:``, and below that ``'0': O`` and so on.
    """
    found, names, inside = list[Names](), list[str](), False
    for line in map(str.rstrip, [*lines, "- name: "]):
        feature = line.lstrip().partition("- name:")
        if feature[1] and not feature[0]:
            if names:
                found.append(tuple(names))
            names, inside = [], feature[2].strip().strip("'\"") == key
        elif inside and (item := _CARD_NAME.fullmatch(line)):
            if int(item[1]) == len(names):
                names.append(item[2].strip("'\""))
        elif line.lstrip().startswith("splits:") or line == "---":
            inside = False
    return found
