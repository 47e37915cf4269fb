"""What `Agent.predict` gives of a parser: the tree of a text, also as CoNLL-U."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nlp_gym.data.readers.shared.conllu_rows import DEPREL, DEPS, FORM, HEAD, is_word
from nlp_gym_agents.prediction.results import Result


@dataclass(frozen=True, slots=True)
class ParsedWord:
    """A word in a tree.

    Attributes:
        text: The word.
        head: Number of its head, from 1; 0: it is the root.
        relation: Its relation to its head.
    """

    text: str
    head: int
    relation: str


@dataclass(frozen=True, kw_only=True)
class ParsedText(Result):
    """A text with its dependency tree; its confidence is the mean of all transitions'.

    Attributes:
        words: The words in order.
        rows: The lines of CoNLL-U that these words were read from; none where they were not.
    """

    words: tuple[ParsedWord, ...] = ()
    rows: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def to_conllu(self) -> str:
        """The tree in CoNLL-U and a blank line; nothing where there is no word.

        Of a sentence that was read from CoNLL-U all is kept (comments, tags, features, multi-word
        tokens) but enhanced dependencies, which go with another tree. Else columns that are not
        known hold an underscore.
        """
        if not self.words:
            return ""
        lines = self._filled() if self.rows else self._new()
        return "\n".join(lines) + "\n\n"

    def _filled(self) -> Iterator[str]:
        """The lines that it was read from, with this tree."""
        words = iter(self.words)
        for row in self.rows:
            cells = row.split("\t")
            if row.startswith("#") or "-" in cells[0]:
                yield row
            elif is_word(cells):
                word = next(words)
                cells[HEAD], cells[DEPREL], cells[DEPS] = str(word.head), word.relation, "_"
                yield "\t".join(cells)

    def _new(self) -> Iterator[str]:
        """Lines of a text that came without any."""
        if self.id != "":
            yield f"# sent_id = {_one_line(self.id)}"
        if self.text is not None:
            yield f"# text = {_one_line(self.text)}"
        joined = _joined([word.text for word in self.words], self.text)
        for number, (word, close) in enumerate(zip(self.words, joined, strict=True), 1):
            misc = "SpaceAfter=No" if close else "_"
            cells = (number, _one_line(word.text), *"____", word.head, word.relation, "_", misc)
            yield "\t".join(map(str, cells))


def source_rows(words: Sequence[str], rows: Sequence[str]) -> tuple[str, ...]:
    """The rows that words were read from; none where they are others by now."""
    cells = (row.split("\t") for row in rows)
    forms = [row[FORM] for row in cells if is_word(row)]
    return tuple(rows) if forms == list(words) else ()


def words_of(record: Mapping[str, Any]) -> tuple[ParsedWord, ...]:
    """The words of a record of `nlp_gym.tasks.parsing.task.Parsing`."""
    rows = zip(record["words"], record["heads"], record["relations"], strict=True)
    return tuple(ParsedWord(*row) for row in rows)


def _joined(words: list[str], text: str | None) -> list[bool]:
    """Whether each word stands in its text without a space before the next one."""
    found, at = [False] * len(words), 0
    if text is None:
        return found
    for number, word in enumerate(words):
        begin = text.find(word, at)
        if begin < 0:  # the text was written otherwise
            return [False] * len(words)
        if number and begin == at:
            found[number - 1] = True
        at = begin + len(word)
    return found


def _one_line(text: object) -> str:
    """A text without tabs and line breaks, which end cells and rows."""
    return " ".join(str(text).split())
