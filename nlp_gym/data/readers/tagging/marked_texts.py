"""Texts with entities at offsets: how files give them, and the tags that they become."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from nlp_gym.data.readers.shared.base import Parsed, TaggedText, add_samples
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_list,
    checked_string,
    type_name,
)
from nlp_gym.data.readers.shared.offsets import (
    Mark,
    MarkedText,
    Span,
    covered,
    is_doubtful,
    settle_offsets,
    settle_plain,
    shown_span,
    warn_if_doubtful,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.shared.raw_text import cut_text
from nlp_gym.data.tags.schemes import split_tag

LABEL = ("label", "type", "entity_type", "entity_group", "tag", "labels")
OWN_TEXT = ("text", "surface", "surface_form", "word", "value", "mention")
_USUAL = {"start", "end", "label"}
_EDGES = (
    ("start", "end"),
    ("start_offset", "end_offset"),
    ("start_char", "end_char"),
    ("begin", "end"),
)


class MarkedTexts:
    """The texts of a file in its order: with tags, or with entities at offsets.

    Args:
        name: File name, for the samples' ids.
        options: How the file is read.
        keep: Whether to keep the entities until all texts are known. Without it offsets count
            characters, and `misfit` says whether one did not fit.

    Attributes:
        parsed: Gets the problems.
        misfit: Whether offsets that count characters do not fit a text.
    """

    def __init__(self, name: str, options: Options, *, keep: bool = False) -> None:
        self.name, self.options, self.keep = name, options, keep
        self.parsed, self.misfit = Parsed(), False
        self._texts, self._n_bad = list[TaggedText](), 0
        self._rows = list[tuple[TaggedText | None, MarkedText]]()
        self._counts = dict[str, list[int]]()
        self._warned = set[str]()
        self._labels = set[str]()

    def add(self, text: TaggedText) -> None:
        """Add a text whose words have their labels."""
        self._texts.append(text)

    def add_bad(self, line: int, message: str) -> None:
        """Add a text that cannot be read."""
        self.parsed.problems.append(Problem(line, message))
        self._texts.append(TaggedText([], [], [], bad=True))
        self._n_bad += 1

    def count(self, message: str, line: int, *, warn: bool = False) -> None:
        """Count something that is to be said once: ``"5 <message>"``, in a note or a warning."""
        self._counts.setdefault(message, []).append(line)
        if warn:
            self._warned.add(message)

    def add_marked(self, text: TaggedText, marks: list[Mark]) -> None:
        """Add a text with entities; `extra` of the text has its characters and its words' spans."""
        if not marks:
            text.labels = ["O"] * len(text.words)
            self._texts.append(text)
            return
        self._labels.update(mark.label for mark in marks)
        content, spans = text.extra["text"], text.extra["spans"]
        assert isinstance(content, str)
        assert isinstance(spans, tuple)
        row = MarkedText(content, marks, text.lines[0], spans)
        self._texts.append(text)
        if self.keep:
            self._rows.append((text, row))
            return
        if is_doubtful(row):
            self._rows.append((None, replace(row, marks=list(map(replace, marks)))))
        if settle_plain(row):
            self._tag(text, row)
        else:
            self.misfit = True

    def samples(self) -> Parsed:
        """Check the entities of all texts, and make samples."""
        # Rows that are no JSON are problems, too, and each would have been a text.
        n_rows = len(self.parsed.problems) - self._n_bad
        self._texts += [TaggedText([], [], [], bad=True) for _ in range(n_rows)]
        rows = [row for _, row in self._rows]
        if self.keep:
            settle_offsets(rows, self.parsed)
        else:
            warn_if_doubtful(rows, self.parsed)
        for text, row in self._rows:
            if text is not None:
                self._tag(text, row)
        if self._labels and all(map(split_tag, self._labels)):
            message = (
                f"all types of entities begin as tags do ({min(self._labels)!r}): give the type "
                "alone, without B- or I-"
            )
            self.parsed.warnings.append(Problem(None, message))
        for message, lines in self._counts.items():
            found = self.parsed.warnings if message in self._warned else self.parsed.notes
            found.append(Problem(lines[0], f"{len(lines)} {message}"))
        return add_samples(self._texts, self.name, self.options, self.parsed)

    def _tag(self, text: TaggedText, row: MarkedText) -> None:
        try:
            if self.keep and row.fault is not None:
                raise RowError(row.fault)
            assert row.words is not None
            text.labels = tags_of(row.marks, row.words, row.text)
        except RowError as error:
            self.parsed.problems.append(Problem(row.line, str(error)))
            text.words, text.bad = [], True


def read_marked(fill: Callable[[MarkedTexts], None], name: str, options: Options) -> Parsed:
    """Read a file of texts that may have entities at offsets.

    Args:
        fill: Adds the texts of the file. It is called a second time where offsets that count
            characters do not fit them all, as what they count depends on the whole file.
        name: File name, for the samples' ids.
        options: How the file is read.
    """
    texts = MarkedTexts(name, options)
    fill(texts)
    if texts.misfit:
        texts = MarkedTexts(name, options, keep=True)
        fill(texts)
    return texts.samples()


def raw_text(value: Any, key: str, line: int) -> TaggedText:
    """Cut the raw text under a key into words.

    Raises:
        RowError: It is no text, or holds no word.
    """
    found = cut_text(checked_string(value, key), line)
    if found is None:
        raise RowError(f"{key!r} holds no word")
    return found


def tags_of(marks: Iterable[Mark], words: Sequence[Span], text: str) -> list[str]:
    """IOB2 tags of the words of a text at `words`, from entities that begin and end with words.

    Raises:
        RowError: Two entities overlap.
    """
    tags = ["O"] * len(words)
    for mark in marks:
        first, stop = covered(words, (mark.start, mark.end))
        if any(tag != "O" for tag in tags[first:stop]):
            raise RowError(
                f"entity {mark.start}..{mark.end} ({shown_span(text, (mark.start, mark.end))}) "
                "overlaps another one, which tags of words cannot say"
            )
        tags[first:stop] = [f"B-{mark.label}"] + [f"I-{mark.label}"] * (stop - first - 1)
    return tags


def checked_marks(value: Any, key: str) -> list[Mark]:
    """The entities of a list of objects or of ``[start, end, label]``.

    Raises:
        RowError: One of them is neither.
    """
    return [_mark(item) for item in checked_list(value, key)]


def _mark(item: Any) -> Mark:
    text = None
    if isinstance(item, dict):
        if item.keys() == _USUAL:
            item = (item["start"], item["end"], item["label"])
        else:
            *item, text = _fields(item)
    if not isinstance(item, (list, tuple)) or len(item) != 3:
        raise RowError("an entity needs 'start', 'end' and 'label'")
    start, end, label = item
    # bool is a subclass of int
    if type(start) is not int or type(end) is not int:
        raise RowError(
            f"'start' and 'end' of an entity are whole numbers, not {type_name(start)} and "
            f"{type_name(end)}"
        )
    return Mark(start, end, checked_string(label, "label").strip(), text)


def _fields(item: dict[str, Any]) -> tuple[Any, Any, Any, str | None]:
    """Start, end, label and own text of an entity under any of their usual keys."""
    first, last = next((pair for pair in _EDGES if pair[0] in item), _EDGES[0])
    key = next((key for key in LABEL if key in item), "label")
    own = (item[name] for name in OWN_TEXT if name != key and name in item)
    text = next((value for value in own if isinstance(value, str) and value), None)
    return item.get(first), item.get(last), _only(item.get(key)), text


def _only(label: Any) -> Any:
    """The label of a list that has one."""
    if not isinstance(label, list):
        return label
    if len(label) != 1:
        raise RowError(f"an entity has {len(label)} labels where one is needed")
    return label[0]
