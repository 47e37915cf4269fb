"""Recognises the task family of rows with names: of JSON objects, or of a table with a header."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nlp_gym.data.readers.classification import formats as classification
from nlp_gym.data.readers.classification import multilabel
from nlp_gym.data.readers.classification.labelled_text import SURE_TEXT, TEXT, TEXT_KEYS
from nlp_gym.data.readers.generation import extractive as summary
from nlp_gym.data.readers.generation.references import SOURCE, TARGET
from nlp_gym.data.readers.knowledge_graph import triples as kg
from nlp_gym.data.readers.shared.head import HeadTable
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.tagging import jsonl as tagging
from nlp_gym.data.readers.tagging import table as tagging_table

_CHOICE = re.compile(r"(?:choice|option)[ _]?[0-9a-z]{1,2}|[a-h]")
_LIST = re.compile(r"""\[(?:\s*["'].*)?\]""")
"""A list of strings in one cell, as JSON or as Python prints it."""

_QUESTION = ("question", "stem", "question_stem")
_TAGS = tuple(dict.fromkeys((*tagging.LABEL_KEYS, *tagging_table.LABEL, "xpos")))
_ENTITIES = ("entities", "spans", "annotations")
_PLURAL = ("labels", "tags", "categories", "topics")
_LABELS = tuple(dict.fromkeys((*_PLURAL, *multilabel.LABELS, *classification.LABEL)))
_LABELLED = "labelled"  # one label per text or several: the values tell

_MARKS = ";|,#"
_MOST_PARTS, _LONGEST_PART = 20, 60

Groups = tuple[tuple[str, ...], ...]

_NAMED: tuple[tuple[str, Groups], ...] = (
    ("policy", (("turns",),)),
    ("dialogue", (("context",), ("candidates", "positive_responses"))),
    ("choice", (_QUESTION, ("choices",))),
    ("spanqa", (("context",), ("question",))),
    ("parsing", (("words",), ("heads",), ("relations",))),
    ("relation", (("relations",),)),
    ("kg", (kg.HEAD, kg.RELATION, kg.TAIL)),
    ("tagging", (tagging_table.WORD, _TAGS)),
    ("tagging", (("text",), (*_ENTITIES, "label", "labels"))),
    ("generation", (("source",), ("target", "targets"))),
    ("summary", (summary.DOCUMENT, summary.SUMMARY)),
    ("generation", (("body",), ("subject",))),
    ("generation", (("dialogue",), ("summary", "summary1"))),
    (_LABELLED, (TEXT_KEYS, _LABELS)),
    ("generation", (SOURCE, TARGET)),
)
"""Families, the most specific first; a row of a family has one name of each of its groups."""

_WITHOUT_GOLD: tuple[tuple[str, Groups], ...] = (
    ("policy", (("turns",),)),
    ("dialogue", (("context",), ("candidates", "positive_responses"))),
    ("choice", (_QUESTION, ("choices",))),
    ("spanqa", (("context",), ("question",))),
    ("parsing", (("words",), ("heads",), ("relations",))),
    ("relation", (("text", "words", "tokens"), ("entities", "relations"))),
    ("kg", (kg.HEAD, kg.RELATION)),
    ("tagging", (tagging_table.WORD,)),
    ("generation", (("source",),)),
    ("summary", (("document", "article"),)),
    ("generation", (("body", "dialogue", "prompt"),)),
    ("tagging", (("text",),)),
    ("classification", (TEXT_KEYS,)),
)

Named = tuple[str, tuple[str, ...]]
"""A family, and the names that tell it."""


def _families_of(names: Iterable[str], *, gold: bool) -> list[Named]:
    """The families whose rows may have these names, the most specific first."""
    known = set(names)
    if sum(_CHOICE.fullmatch(name) is not None for name in known) > 1:
        known.add("choices")
    found = list[Named]()
    for family, groups in _NAMED if gold else _WITHOUT_GOLD:
        hits = [next((name for name in group if name in known), "") for group in groups]
        if all(hits):
            found.append((family, tuple(hits)))
    return found


def _with_asked(names: Iterable[str], options: Options) -> set[str]:
    """Names in lower case, with the usual ones of the columns that options name."""
    known = {name.lower() for name in names}
    asked = {"text": options.text_column, "label": options.column, "word": options.word_column}
    return known | {usual for usual, name in asked.items() if str(name).lower() in known}


def of_objects(rows: Sequence[dict[str, Any]], options: Options) -> list[Named]:
    """The families of most of some JSON objects, the likeliest first; none if they differ."""
    if are_columns(rows):
        return []
    kind = _Kind(
        related=any(isinstance(row.get("relations"), list) and row["relations"] for row in rows),
        spans=any(_is_spans(row[key]) for row in rows for key in _label_key(row, options)),
    )
    lists = [_of_object(row, options, kind) for row in rows]
    first = Counter(found[0][0] for found in lists if found)
    if not first:
        return []
    family, n = first.most_common(1)[0]
    if 2 * n <= len(rows):
        return []
    best = Counter(tuple(found) for found in lists if found and found[0][0] == family)
    values = [row[key] for row in rows for key in _label_key(row, options)]
    key = next((key for row in rows for key in _label_key(row, options)), "")
    return _resolved(best.most_common(1)[0][0], values, key, options)


def are_columns(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether the only object holds all texts under one key, and all labels under another."""
    if len(rows) != 1:
        return False
    sizes = {str(k).lower(): (type(v), len(v)) for k, v in rows[0].items() if _holds_many(v)}
    texts, labels = ([sizes[name] for name in names if name in sizes] for names in (TEXT, _LABELS))
    return bool(set(texts) & set(labels))


def _holds_many(value: Any) -> bool:
    return isinstance(value, (list, dict)) and len(value) > 1


@dataclass(frozen=True)
class _Kind:
    """What some of the objects of a file have; a list may be empty in others.

    Attributes:
        related: Relations.
        spans: Places in the text as labels.
    """

    related: bool
    spans: bool


def _of_object(row: dict[str, Any], options: Options, kind: _Kind) -> list[Named]:
    names = _with_asked(row, options)
    if isinstance(row.get("question"), dict):  # {"question": {"stem", "choices"}}
        names |= {str(name).lower() for name in row["question"]}
    found = _families_of(names, gold=options.gold)
    if not options.gold:
        return found
    if isinstance(row.get("source"), list) and "target" in names:  # SciTLDR
        found = [("summary", ("source", "target")), *found]
    return [named for named in found if _fits_values(named[0], row, kind)]


def _label_key(row: Iterable[str], options: Options) -> list[str]:
    """The key or column that holds the labels, in a list; none if there is none."""
    names = {name.lower(): name for name in row}
    wanted = (name.lower() for name in options.label_names(_LABELS))
    return [names[name] for name in wanted if name in names][:1]


def _fits_values(family: str, row: dict[str, Any], kind: _Kind) -> bool:
    """Whether the values of a row, too, are those of a family that its keys tell."""
    entities = any(isinstance(row.get(key), list) for key in _ENTITIES)
    if family == "tagging":
        return kind.spans or (entities and "text" in row) or _one_each(row)
    if family == "relation":
        return (kind.related or not row.get("entities")) and "heads" not in row  # a tree's
    if family == _LABELLED:
        return not (kind.spans or entities or _one_each(row))
    return True


def _one_each(row: dict[str, Any]) -> bool:
    """Whether there is a list of words, and one with a label for each of them."""
    words = next((row[key] for key in tagging.WORD_KEYS if key in row), None)
    if not isinstance(words, list):
        return False
    lists = (row[key] for key in _TAGS if isinstance(row.get(key), list))
    return any(len(values) == len(words) for values in lists)


def _is_spans(value: Any) -> bool:
    """Whether a value is a list of places in a text: lists or objects with start and end."""
    if not isinstance(value, list) or not value:
        return False
    return all(
        (isinstance(item, list) and len(item) == 3 and type(item[0]) is type(item[1]) is int)
        or (isinstance(item, dict) and bool({"start", "start_offset"} & set(item)))
        for item in value
    )


def of_table(table: HeadTable, options: Options) -> list[Named]:
    """The families whose columns the header of a table names, the likeliest first."""
    found = _families_of(_with_asked(table.names, options), gold=options.gold)
    kept = [named for named in found if named[0] != "tagging" or named[1][0] != "text"]
    kept = kept if options.gold else found
    if kept and kept[0][0] == "tagging":  # the column of sentences holds ids, not texts
        kept = [named for named in kept if named[0] != _LABELLED]
    key = next(iter(_label_key(table.names, options)), "")
    return _resolved(kept, label_cells(table, options), key, options)


def text_columns(table: HeadTable, options: Options) -> list[str]:
    """The columns of a table that may be the text of a label; `options` may name one."""
    places = {name: i for name, i in table.names.items() if name in TEXT_KEYS}
    names = sorted(places, key=places.__getitem__)
    texts = _texts(names, {name: table.column(i) for name, i in places.items()})
    return texts if options.text_column is None else texts[:1]


def text_keys(rows: Sequence[dict[str, Any]], options: Options) -> list[str]:
    """The keys of objects that may be the text of a label; `options` may name one."""
    values = dict[str, list[str]]()
    for row in rows:
        for key, value in row.items():
            if key.lower() in TEXT and isinstance(value, str):
                values.setdefault(key.lower(), []).append(value)
    names = [name for name, texts in values.items() if 2 * len(texts) > len(rows)]
    texts = _texts(names, values)
    return texts if options.text_column is None else texts[:1]


def _texts(names: list[str], values: dict[str, list[str]]) -> list[str]:
    """Of names of texts, those that are always ones, and others whose values are texts."""
    sure = [name for name in names if name in SURE_TEXT or name not in TEXT]
    if not sure:
        return names
    long = {name for name in names if 2 * sum(" " in v for v in values[name]) > len(values[name])}
    return [name for name in names if name in sure or name in long]


def label_cells(table: HeadTable, options: Options) -> list[str]:
    """The cells of the label column of a table."""
    return [
        cell for key in _label_key(table.names, options) for cell in table.column(table.names[key])
    ]


def label_values(rows: Sequence[dict[str, Any]], options: Options) -> list[str]:
    """The values of the label key of objects that are texts."""
    values = (row[key] for row in rows for key in _label_key(row, options))
    return [value for value in values if isinstance(value, str)]


def _resolved(
    found: Iterable[Named], values: Sequence[Any], key: str, options: Options
) -> list[Named]:
    """The families, each once, with classification and multilabel in place of `_LABELLED`."""
    result = dict[str, tuple[str, ...]]()
    for family, hits in found:
        if family != _LABELLED:
            result.setdefault(family, hits)
            continue
        order = ["classification", "multilabel"]
        if any(isinstance(value, list) for value in values):
            order = ["multilabel"]
        elif several_labels(values, options.label_separator, key=key)[0] == "yes":
            order.reverse()
        result |= {name: (hits[0], key) for name in order if name not in result}
    return list(result.items())


def several_labels(values: Iterable[Any], separator: str | None, *, key: str) -> tuple[str, str]:
    """Whether texts hold several labels each, and what joins these.

    Args:
        values: What the label column or key has; only texts are looked at.
        separator: What separates labels; None: one of the usual marks.
        key: Name of the column or key, which may say that there are several.

    Returns:
        ``"yes"``, ``"maybe"`` or ``"no"``; and the mark between labels, ``""`` if there is none.
    """
    filled = [value.strip() for value in values if isinstance(value, str) and value.strip()]
    if separator is not None:
        return ("yes" if any(separator in cell for cell in filled) else "no"), separator
    if filled and 2 * sum(_LIST.fullmatch(cell) is not None for cell in filled) > len(filled):
        return "yes", ""
    for mark in _MARKS:
        cells = [[part.strip() for part in cell.split(mark)] for cell in filled]
        # A mark at the end of a cell ("C#") separates nothing.
        joined = [parts for parts in cells if sum(map(bool, parts)) > 1]
        if not joined or not all(map(_are_labels, joined)):
            continue
        counts = Counter(part for parts in cells for part in set(parts))
        again = any(counts[part] > 1 for parts in joined for part in parts)
        if key.lower() in _PLURAL and (again or mark != "#"):
            return "yes", mark
        if again:
            return "maybe", mark
    known = set(filled)
    if any(" " in cell and known.issuperset(cell.split()) for cell in known):
        return "maybe", " "
    return "no", ""


def _are_labels(parts: list[str]) -> bool:
    filled = [part for part in parts if part]
    return 0 < len(filled) <= _MOST_PARTS and all(len(part) <= _LONGEST_PART for part in filled)
