"""Finds the reader of a file: by its content first, by its ending where that says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nlp_gym.data.readers.guess import keys
from nlp_gym.data.readers.guess.other_kinds import described, other_kind
from nlp_gym.data.readers.guess.shapes import SHAPES, Fit, Found
from nlp_gym.data.readers.registry import FAMILIES, READERS, check_format, family_readers
from nlp_gym.data.readers.shared.base import Reader
from nlp_gym.data.readers.shared.head import Head
from nlp_gym.data.readers.shared.options import COLUMN_OPTIONS, Options
from nlp_gym.data.readers.tagging.table import SENTENCE
from nlp_gym.errors import UnclearFormatError, shown

_JSON_ENDINGS = frozenset((".json", ".jsonl", ".ndjson"))
_GENERIC = frozenset(("", ".txt", ".dat", ".tsv", ".csv", *_JSON_ENDINGS))
"""Endings that say little."""


@dataclass(frozen=True)
class Reading:
    """A way to read a file.

    Attributes:
        family: Task family of the reader.
        reader: The reader.
        fit: How likely it is.
        reason: Why.
    """

    family: str
    reader: Reader
    fit: Fit
    reason: str


def readings(head: Head, families: Iterable[str] = FAMILIES) -> list[Reading]:
    """The ways to read a file that are possible, the likeliest first.

    Args:
        head: Its first lines.
        families: Task families.
    """
    if not head:
        return []
    find = _json_readings if head.is_json else _text_readings
    found = find(head, tuple(families))
    given = {name for name in COLUMN_OPTIONS if getattr(head.options, name) is not None}
    taking = [reading for reading in found if given <= reading.reader.takes]
    # Of readings that are equally likely, one that the ending of the name speaks for is first.
    return sorted(taking or found, key=lambda r: (-r.fit, not own_ending(r.reader, head)))


def own_ending(reader: Reader, head: Head) -> bool:
    """Whether the ending of a file's name is one of a format's own."""
    return head.ending in reader.extensions and head.ending not in _GENERIC


def fits_ending(reader: Reader, head: Head) -> bool:
    """Whether the ending of a file's name does not speak against a format."""
    says_much = head.ending == ".csv" or head.ending in _JSON_ENDINGS
    return not says_much or head.ending in reader.extensions


def _reads_json(reader: Reader) -> bool:
    return bool(_JSON_ENDINGS.intersection(reader.extensions))


def _text_readings(head: Head, families: tuple[str, ...]) -> list[Reading]:
    named = _columns(head)
    found = list[Reading]()
    order = [family for family in (*named, *FAMILIES) if family in families]
    for shaped in (False, True):
        for family in dict.fromkeys(order):
            for reader in READERS[family].values():
                if _reads_json(reader) or ((family, reader.name) in SHAPES) is not shaped:
                    continue
                how = _text_fit(family, reader, head, named)
                if how.fit > Fit.NO:
                    found.append(Reading(family, reader, how.fit, how.reason))
        if any(reading.fit == Fit.CERTAIN for reading in found):
            break
    return found


def _columns(head: Head) -> dict[str, tuple[str, ...]]:
    """Families that the columns of a table tell, the likeliest first, with these columns."""
    if head.table is None or not head.table.mostly_regular:
        return {}
    text, label = head.options.text_column, head.options.column
    if all(str(column).lstrip("-").isdecimal() for column in (text, label)):  # no header
        shown_columns = (str(text), str(label))
        numbered = ("classification", "multilabel", "generation", "summary")
        return dict.fromkeys(numbered, shown_columns)
    return dict(keys.of_table(head.table, head.options))


def _text_fit(family: str, reader: Reader, head: Head, named: dict[str, tuple[str, ...]]) -> Found:
    """How likely a file that is no JSON is of a format.

    Args:
        family: Task family of the reader.
        reader: The reader.
        head: The first lines.
        named: Families that the header tells, the likeliest first, with their columns.
    """
    if reader.name == "csv":
        return _table_fit(family, head, named)
    if (family, reader.name) in SHAPES:
        return SHAPES[family, reader.name](head)
    if reader.name == "text":
        return Found(Fit.NO, "any file has lines of text")
    if reader.sniff is not None:
        fit = Fit.CERTAIN if reader.sniff(head) else Fit.NO
        return Found(fit, f"it has the marks of {reader.description}")
    if reader.companions is not None and _has_companion(reader, head):
        return Found(Fit.LIKELY, f"a file beside it belongs to {reader.description}")
    fit = Fit.POSSIBLE if own_ending(reader, head) else Fit.NO
    return Found(fit, f"its name ends in {head.ending}")


def _table_fit(family: str, head: Head, named: dict[str, tuple[str, ...]]) -> Found:
    if family not in named or head.table is None:
        return Found(Fit.NO, "the first line names no columns that are known")
    columns = " and ".join(map(repr, dict.fromkeys(named[family])))
    reason = f"its columns are {columns}"
    if family == "tagging" and head.options.gold and not set(SENTENCE) & set(head.table.names):
        # With tabs it is CoNLL with a header; with commas the reader says what is missing.
        return Found(Fit.NO if head.table.delimiter == "\t" else Fit.WEAK, reason)
    return Found(Fit.CERTAIN if family == next(iter(named)) else Fit.LIKELY, reason)


def _has_companion(reader: Reader, head: Head) -> bool:
    """Whether a file that a format looks up lies beside this one."""
    assert reader.companions is not None
    if head.ending and head.ending not in reader.extensions:
        return False
    names = set(reader.companions(head.name, head.options)) - {head.name}
    return any((head.path.parent / name).is_file() for name in names)


def _json_readings(head: Head, families: tuple[str, ...]) -> list[Reading]:
    """Families by their keys, and formats that have marks of their own."""
    named = dict(keys.of_objects(head.objects, head.options))
    found = list[Reading]()
    for family in (*named, *(family for family in FAMILIES if family not in named)):
        if family not in families:
            continue
        own = [r for r in READERS[family].values() if _reads_json(r) and _is_marked(r, head)]
        first = family == next(iter(named), family)
        fit = Fit.CERTAIN if first else Fit.LIKELY
        if family in named:
            columns = " and ".join(map(repr, dict.fromkeys(named[family])))
            reason = f"the objects have the keys {columns}"
            found.append(Reading(family, [*own, READERS[family]["jsonl"]][0], fit, reason))
        elif own:
            found.append(Reading(family, own[0], fit, f"it has the marks of {own[0].description}"))
    return found


def _is_marked(reader: Reader, head: Head) -> bool:
    """Whether JSON has marks that only this format of its family has."""
    if reader.name == "jsonl" or reader.sniff is None:
        return False
    return reader.sniff(head) or (bool(head.json_lines) and reader.sniff(head.json_lines))


def find_reader(
    path: Path,
    lines: list[str],
    format: str | None = None,
    *,
    family: str = "tagging",
    gold: bool = True,
    options: Options | None = None,
) -> Reader:
    """Choose the reader of a file: by `format`, else by its content, else by its ending.

    Args:
        path: The file.
        lines: Its lines.
        format: Name of the reader.
        family: Task family.
        gold: Whether the annotation is to be read, where there are no `options` to say so.
        options: How the file is to be read.

    Raises:
        UnknownNameError: There is no such family or format.
        UnclearFormatError: Nothing decides on the format, or the content is of none.
    """
    readers = family_readers(family)
    if format is not None:
        check_format(format, family)
        return readers[format]
    head = Head(lines, path, Options(gold=gold) if options is None else options)
    reader = _reader_of(head, family)
    check_one_text(reader, family, head)
    return reader


def check_one_text(reader: Reader, family: str, head: Head) -> None:
    """Check that only one column or key may be the text that labels belong to.

    Raises:
        UnclearFormatError: Several may be.
    """
    if family not in ("classification", "multilabel") or reader.name not in ("csv", "jsonl"):
        return
    if head.table is not None:
        what, texts = "columns", keys.text_columns(head.table, head.options)
    else:
        what, texts = "keys", keys.text_keys(head.objects, head.options)
    if len(texts) > 1:
        names = " and ".join(map(repr, texts))
        fix = "say which: --text-column (text_column= in Python)"
        message = f"the {what} {names} may both be the text: {fix}"
        raise UnclearFormatError(head.path, first_line(head.raw), message)


def _reader_of(head: Head, family: str) -> Reader:
    """The reader of a file of a family.

    Raises:
        UnclearFormatError: Nothing decides on the format, or the content is of none.
    """
    readers = family_readers(family)
    if head.ending == ".txt" and not head.options.gold and "text" in readers and not head.is_json:
        return readers["text"]
    if not head:
        return min(readers.values(), key=lambda reader: head.ending not in reader.extensions)
    found = readings(head, (family,))
    labels_texts = family in ("classification", "multilabel")
    if labels_texts and head.options.gold and _is_of_taggers(head, found):
        raise UnclearFormatError(
            head.path,
            first_line(head.raw),
            "its name and its lines are those of a file with a tag for each word, which NER-v0 and "
            "POS-v0 read. If it is something else, rename it, or give format= (data_format= of an "
            f"environment, --format on the command line): {', '.join(readers)}",
        )
    sure = found and found[0].fit >= (
        Fit.LIKELY if own_ending(found[0].reader, head) else Fit.CERTAIN
    )
    if sure:
        return found[0].reader
    # A log or a web page has no labels, but texts to predict on.
    if not head.options.gold or other_kind(head) is None:
        reader = _likeliest(head, family, found)
        if reader is not None:
            return reader
    raise UnclearFormatError(head.path, first_line(head.raw), refusal(head, family))


def _likeliest(head: Head, family: str, found: Sequence[Reading]) -> Reader | None:
    """The reader to take where no marks decide, or that is to say what is wrong with a file."""
    if found and found[0].fit == Fit.LIKELY:
        return found[0].reader
    weak = [r.reader for r in found if r.fit == Fit.WEAK and fits_ending(r.reader, head)]
    weak.sort(key=lambda reader: head.ending not in reader.extensions)
    own = [reading.reader for reading in found if own_ending(reading.reader, head)]
    if weak or own:
        return (weak + own)[0]
    reader = _by_ending(head, family)
    if reader is None and not head.options.gold and not head.is_json:
        return READERS[family].get("text")
    return reader


def _by_ending(head: Head, family: str) -> Reader | None:
    """The reader of an ending, if it does not take almost any file for its own."""
    readers = [r for r in READERS[family].values() if head.ending in r.extensions]
    strict = [reader for reader in readers if (family, reader.name) not in SHAPES]
    if head.is_json:
        rows = len(head.values) > 1 or (head.start.lstrip().startswith("[") and head.objects)
        documents = [reader for reader in strict if _reads_json(reader)]
        if rows or not documents or any(reader.name == "jsonl" for reader in documents):
            return READERS[family].get("jsonl")
        return documents[0]
    if len(strict) < len(readers) and head.ending != ".csv":
        return None  # it may be meant for one of the others, which say why not
    usual = [r for r in strict if r.name in ("csv", "jsonl") or own_ending(r, head)]
    return next(iter(usual), next((r for r in strict if _reads_json(r)), None))


def first_line(lines: Sequence[str]) -> int | None:
    """Number of the first line that is not blank."""
    return next((number for number, line in enumerate(lines, 1) if line.strip()), None)


def doubts(head: Head, families: Iterable[str] = FAMILIES) -> list[str]:
    """What a file without header or marks seems to be instead of what formats would read.

    Args:
        head: Its first lines.
        families: Task families whose formats are asked.
    """
    if head.is_json or not head or not head.options.gold:
        return []
    wanted = tuple(families)
    found = (shape(head) for (family, _), shape in SHAPES.items() if family in wanted)
    return list(dict.fromkeys(how.reason for how in found if how.asks))


def _is_of_taggers(head: Head, found: list[Reading]) -> bool:
    """Whether the ending says that words have tags, and the lines say nothing else.

    A word and its tag look like a short text and its label, so that the lines alone do not tell.
    """
    tagged = readings(head, ("tagging",))[:1]
    return any(
        own_ending(one.reader, head)
        and one.fit >= Fit.LIKELY
        and not any(own_ending(r.reader, head) or r.fit > one.fit for r in found)
        for one in tagged
    )


def refusal(head: Head, family: str | None = None) -> str:
    """Why no format fits a file, and what a user can do.

    Args:
        head: Its first lines.
        family: Task family; None: any.
    """
    what = f"it looks like {kind}" if (kind := other_kind(head)) else f"it is {described(head)}"
    fix = "say what it is with --env or --family, and with --format"
    of, faults = "", "".join(f" ({doubt})" for doubt in doubts(head)[:1])
    if family is not None:
        of = f" of the family {shown(family)}"
        readers = READERS[family]
        fits = {} if head.is_json else {n: SHAPES[f, n](head) for f, n in SHAPES if f == family}
        reasons = [
            f"as {name}: {how.reason}"
            for name, how in fits.items()
            if head.ending in readers[name].extensions or len(fits) == 1 or how.asks
        ]
        faults = f" ({'; '.join(reasons)})" if reasons else ""
        known = "; ".join(f"{r.name}: {' '.join(r.extensions[:9])}" for r in readers.values())
        fix = (
            "rename the file, or give format= (data_format= of an environment, --format on the "
            f"command line), one of these, with their endings: {known}"
        )
    columns = ""
    if head.table is not None and head.table.regular:
        columns = (
            "; name its columns with text_column= and label_column= (--text-column, "
            "--label-column), by number from 0 where there is no header"
        )
    return f"no format{of} fits: {what}{faults}. If it is data all the same, {fix}{columns}."
