"""Tools for readers of JSON: strict values, one object per line, documents with line numbers."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.text.tokenize import split_words
from nlp_gym.types import Sample

_STRING_OR_OPENING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]', re.DOTALL)
# A string that does not end takes the rest: it must not be tried again from each quote in it.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[{}\],:]|-?(?:NaN|Infinity)', re.DOTALL)

_FILLED = re.compile(r"\S")


class RowError(Exception):
    """A row that cannot be read; its text becomes the message of a `Problem`."""


class _NotAllowed(ValueError):
    """JSON of Python's that is not of the standard, or says one thing twice.

    Attributes:
        name: The constant or the key.
        is_key: Whether it is a key.
    """

    def __init__(self, name: str, message: str, *, is_key: bool) -> None:
        super().__init__(message)
        self.name, self.is_key = name, is_key

    def place(self, text: str) -> int:
        """Where in a text it stands: the constant, or the first repetition of the key."""
        objects: list[set[str]] = []
        word = start = None  # the string before, which is a key if a colon follows
        for match in _TOKEN.finditer(text):
            token = match[0]
            if token == ":" and word is not None and start is not None and self.is_key:
                key = str(json.loads(word)) if "\\" in word else word[1:-1]
                if key == self.name and objects and key in objects[-1]:
                    return start
                if objects:
                    objects[-1].add(key)
            elif token == "{":
                objects.append(set())
            elif token == "}" and objects:
                objects.pop()
            elif token == self.name and not self.is_key:
                return match.start()
            word, start = (token, match.start()) if token[0] == '"' else (None, None)
        return 0


def load_json(text: str) -> Any:
    """Parse strict JSON: no NaN or Infinity, no key twice in an object.

    Raises:
        RowError: It is not JSON.
    """
    try:
        return _parsed(text)
    except (ValueError, RecursionError) as error:
        raise RowError(f"not JSON: {_reason(error)}") from error


def _parsed(text: str) -> Any:
    return json.loads(text, parse_constant=_reject_constant, object_pairs_hook=_unique_keys)


def _reason(error: ValueError | RecursionError) -> str:
    """What is wrong with a text, for people."""
    if isinstance(error, RecursionError):
        return "lists or objects within each other are too deep"
    if isinstance(error, (_NotAllowed, json.JSONDecodeError)):
        return str(error)
    return "a number has too many digits"  # Python refuses to read it


def _reject_constant(name: str) -> NoReturn:
    raise _NotAllowed(name, f"{name} is no JSON number", is_key=False)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                shown = repr(key if len(key) <= 80 else f"{key[:80]}...")
                raise _NotAllowed(key, f"an object has the key {shown} twice", is_key=True)
            seen.add(key)
    return found


def json_samples(
    lines: list[str], parsed: Parsed, build: Callable[[dict[str, Any], int], Sample | None]
) -> Parsed:
    """Make a sample of each object of a file (see `json_rows`); a key `id` is kept.

    Args:
        lines: The file.
        parsed: Gets samples and problems, and is returned.
        build: (object, line number) -> sample, or None to skip it; raises `RowError` for a bad row.
    """
    bad = list[int]()
    for number, value in json_rows(lines, parsed):
        try:
            row = checked_object(value, "the row")
            sample = build(row, number)
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
            bad.append(number)
            continue
        if sample is not None:
            parsed.samples.append(with_id(sample, row.get("id")))
    if len(set(bad)) < len(bad):  # rows of a list that share a line
        parsed.n_bad = len(bad)
    return parsed


def json_rows(lines: list[str], parsed: Parsed) -> Iterator[tuple[int, Any]]:
    """Yield (number of its first line, value) of each row of a file.

    The rows are JSON values, one per line (blank lines are skipped), or the items of one JSON list,
    or objects of several lines one after the other, as some tools print them.

    Args:
        lines: The file.
        parsed: Gets a problem for each row that is not JSON.
    """
    filled = (line for line in lines if line and not line.isspace())
    first, second = next(filled, ""), next(filled, None)
    if _is_list_of_rows(first, second):
        yield from _list_items(lines, parsed)
    elif _goes_on(first, second):
        yield from _stream(lines, parsed)
    else:
        for number, line in enumerate(lines, 1):
            if not line or line.isspace():
                continue
            try:
                value = load_json(line)
            except RowError as error:
                parsed.problems.append(Problem(number, str(error)))
                continue
            yield number, value


def _is_list_of_rows(first: str, second: str | None) -> bool:
    """Whether a file is one list, from its first two lines that are not blank.

    A row may be a list too, which begins with a string: ``["text", {...}]``.
    """
    if not re.match(r"\s*\[", first):
        return False
    if second is None:
        return re.match(r"\s*\[\s*[{\[\]]", first) is not None
    if re.match(r"\s*\[\s*(?:\{|$)", first):
        return True
    nested = re.match(r"\s*\[\s*\[", first) is not None
    return second.lstrip().startswith("[") == nested


def _goes_on(first: str, second: str | None) -> bool:
    """Whether an object that the first line begins goes on on the second one."""
    unclosed = first.lstrip().startswith("{") and first.rstrip()[-1:] in ("{", "[", ",", ":")
    return unclosed and second is not None and not second.lstrip().startswith("{")


def _list_items(lines: list[str], parsed: Parsed) -> Iterator[tuple[int, Any]]:
    document = json_document(lines, parsed)
    if document is None or not isinstance(document.value, list):
        return
    line = 1
    for row in document.value:
        line = document.line(row) if isinstance(row, (dict, list)) else line
        yield line, row


def _stream(lines: list[str], parsed: Parsed) -> list[tuple[int, Any]]:
    """JSON values one after the other; none, and a problem, if one of them is not JSON."""
    text = "\n".join(lines)
    decoder = json.JSONDecoder(parse_constant=_reject_constant, object_pairs_hook=_unique_keys)
    rows, line, at = list[tuple[int, Any]](), 1, 0
    while (found := _FILLED.search(text, at)) is not None:
        start = found.start()
        line += text.count("\n", at, start)
        try:
            value, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            number = error.lineno if isinstance(error, json.JSONDecodeError) else line
            parsed.problems.append(Problem(number, f"not JSON: {error}"))
            return []
        rows.append((line, value))
        line += text.count("\n", start, at)
    return rows


def with_id(sample: Sample, identity: Any) -> Sample:
    """The sample with the user's own id in `extra`, by which a user finds its prediction.

    Args:
        sample: The sample.
        identity: The id; anything but a whole number or text that can be encoded is ignored.
    """
    try:
        if type(identity) is not int:
            checked_string(identity, "id")
    except RowError:
        return sample
    return replace(sample, extra={"id": identity, **sample.extra})


@dataclass(frozen=True)
class Document:
    """A file that is one JSON value.

    Attributes:
        value: The value.
    """

    value: Any
    _lines: dict[int, int]

    def line(self, container: dict[str, Any] | list[Any]) -> int:
        """Line (from 1) on which an object or list of the document begins."""
        return self._lines.get(id(container), 1)


def json_document(lines: list[str], parsed: Parsed) -> Document | None:
    """Parse the whole file as one strict JSON value; None, with a problem, if it is not JSON."""
    text = "\n".join(lines)
    try:
        value = _parsed(text)
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} (column {error.colno})"
        parsed.problems.append(Problem(error.lineno, message))
        return None
    except (ValueError, RecursionError) as error:
        at = error.place(text) if isinstance(error, _NotAllowed) else 0
        message = f"not JSON: {_reason(error)}"
        parsed.problems.append(Problem(text.count("\n", 0, at) + 1, message))
        return None
    breaks = [match.start() for match in re.finditer("\n", text)]
    openings = (m.start() for m in _STRING_OR_OPENING.finditer(text) if m.group()[0] != '"')
    starts = (bisect.bisect_left(breaks, at) + 1 for at in openings)
    return Document(value, dict(zip(map(id, _containers(value)), starts, strict=True)))


def _containers(value: Any) -> Iterator[Any]:
    """Objects and lists in the order of their opening brackets."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield value
            stack.extend(reversed(value.values()))
        elif isinstance(value, list):
            yield value
            stack.extend(reversed(value))


def type_name(value: Any) -> str:
    """Name of the JSON type of a value, with an article."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def field(row: dict[str, Any], *names: str) -> Any:
    """Return the value of the first of the keys that the object has.

    Raises:
        RowError: It has none of them.
    """
    for name in names:
        if name in row:
            return row[name]
    keys = ", ".join(map(repr, list(row)[:8])) or "none"
    raise RowError(f"there is no {' or '.join(map(repr, names))} (keys: {keys})")


def checked_object(value: Any, key: str) -> dict[str, Any]:
    """Check that a value is an object."""
    if not isinstance(value, dict):
        raise RowError(f"{key} is {type_name(value)}, not a JSON object")
    return value


def checked_list(value: Any, key: str, *, least: int = 0) -> list[Any]:
    """Check that a value is a list of at least `least` items."""
    if not isinstance(value, list):
        raise RowError(f"{key!r} is {type_name(value)}, not a list")
    if len(value) < least:
        raise RowError(f"{key!r} has {len(value)} item(s), at least {least} needed")
    return value


def checked_string(value: Any, key: str, *, blank: bool = False) -> str:
    """Check that a value is text that can be encoded: no half surrogate, no NUL.

    Args:
        value: The value.
        key: Name of the value, for the message.
        blank: Whether it may be empty or white space.
    """
    if not isinstance(value, str):
        raise RowError(f"{key!r} is {type_name(value)} where a string is needed")
    if not blank and (not value or value.isspace()):
        raise RowError(f"{key!r} is empty")
    # An escape such as "\ud83d" alone is legal JSON, but no character: it cannot be encoded.
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise RowError(f"{key!r} holds half of a surrogate pair")
    if "\0" in value:
        raise RowError(f"{key!r} holds a NUL character")
    return value


def checked_strings(value: Any, key: str, *, least: int = 0) -> list[str]:
    """Check that a value is a list of non-empty strings."""
    items = enumerate(checked_list(value, key, least=least))
    return [checked_string(item, f"{key}[{i}]") for i, item in items]


def checked_int(value: Any, key: str, *, low: int = 0, high: int | None = None) -> int:
    """Check that a value is a whole number from `low` to `high` (inclusive)."""
    if type(value) is not int:  # bool is a subclass of int
        raise RowError(f"{key!r} is {type_name(value)} where a whole number is needed")
    if value < low or (high is not None and value > high):
        upto = "" if high is None else f" to {high}"
        shown = value if abs(value) < 10**12 else "a huge number"
        raise RowError(f"{key!r} is {shown}, allowed: from {low}{upto}")
    return value


def text_words(value: Any, key: str) -> tuple[tuple[str, ...], str, tuple[tuple[int, int], ...]]:
    """Cut a raw text into words: (words, text, (start, end) of each word in characters).

    A list of strings is taken as the words; the text is then the words joined by single spaces.

    Raises:
        RowError: The value is neither, or holds no word.
    """
    if isinstance(value, list):
        words = tuple(checked_strings(value, key, least=1))
        spans, start = [], 0
        for word in words:
            spans.append((start, start + len(word)))
            start += len(word) + 1
        return words, " ".join(words), tuple(spans)
    text = checked_string(value, key)
    found = split_words(text)
    if not found:
        raise RowError(f"{key!r} holds no word")
    return (
        tuple(word for word, _, _ in found),
        text,
        tuple((start, end) for _, start, end in found),
    )
