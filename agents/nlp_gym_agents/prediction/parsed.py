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
        for number, word in enumerate(words_of(record), 1):
            cells = (number, _one_line(word.text), *"____", word.head, word.relation, *"__")
            lines.append("\t".join(map(str, cells)))
        texts.append("\n".join(lines) + "\n\n")
    return "".join(texts)


def _one_line(text: object) -> str:
    """A text without tabs and line breaks, which end cells and rows."""
    return " ".join(str(text).split())
