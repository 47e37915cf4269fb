"""What `Agent.predict` gives of a parser: the tree of a text, also as CoNLL-U."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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
    """

    words: tuple[ParsedWord, ...] = ()

    def to_conllu(self) -> str:
        """The tree in CoNLL-U: columns that are not known hold an underscore."""
        return to_conllu([self.to_dict()])


def words_of(record: Mapping[str, Any]) -> tuple[ParsedWord, ...]:
    """The words of a record of `nlp_gym.tasks.parsing.task.Parsing`."""
    rows = zip(record["words"], record["heads"], record["relations"], strict=True)
    return tuple(ParsedWord(*row) for row in rows)


def to_conllu(records: Iterable[Mapping[str, Any]]) -> str:
    """Trees in CoNLL-U, ten columns and a blank line after each; a text without a word is none."""
    texts = []
    for record in records:
        if not record.get("words"):
            continue
        lines = []
        if record.get("id", "") != "":
            lines.append(f"# sent_id = {_one_line(record['id'])}")
        if record.get("text") is not None:
            lines.append(f"# text = {_one_line(record['text'])}")
        words = words_of(record)
        joined = _joined([word.text for word in words], record.get("text"))
        for number, (word, close) in enumerate(zip(words, joined, strict=True), 1):
            misc = "SpaceAfter=No" if close else "_"
            cells = (number, _one_line(word.text), *"____", word.head, word.relation, "_", misc)
            lines.append("\t".join(map(str, cells)))
        texts.append("\n".join(lines) + "\n\n")
    return "".join(texts)


def _joined(words: list[str], text: object) -> list[bool]:
    """Whether each word stands in its text without a space before the next one."""
    found, at = [False] * len(words), 0
    if not isinstance(text, str):
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
