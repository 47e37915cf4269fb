"""Reader of delimited tables with a header: one word per row, or one raw text per row."""

from __future__ import annotations

from collections.abc import Iterator

from nlp_gym.data.readers.shared.base import Column, Options, Parsed, TaggedText, add_samples
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.raw_text import cut_text
from nlp_gym.data.readers.shared.table_rows import Row
from nlp_gym.data.readers.shared.table_tools import Table, table_rows, table_start

SENTENCE = ("sentence", "sentence_id", "sentence #", "sentence_idx", "sent_id")
WORD = ("word", "token", "words", "tokens")
LABEL = ("label", "tag", "ner_tag", "ner", "labels", "tags", "ner_tags", "upos", "pos")
TEXT = ("text",)


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table. The delimiter (comma, semicolon, tab or bar) is that of the header.

    With one word per row the columns are `sentence` (an id; the rows of a sentence stand together,
    an empty cell continues the sentence), `word` and `label`. Without labels there may be one raw
    text per row instead, in the column `text`. Other usual names are known (`token`, `tag`, ...);
    `options.word_column`, `options.text_column` and `options.column` name the columns.
    """
    parsed = Parsed()
    start = table_start(lines, name)
    if start is None:
        return parsed
    first, delimiter = start
    rows = table_rows(lines, parsed, delimiter=delimiter, first=first)
    number, header = next(rows, (first + 1, []))
    table = Table(header, number, iter(()))
    text = table.find(*options.text_names(TEXT))
    word = _column(table, options.word_column, WORD, parsed)
    if not options.gold and text is not None and (word is None or options.text_column is not None):
        texts = _texts(rows, text, len(header), parsed)
        return add_samples(texts, name, options, parsed)
    found = {"sentence": table.find(*SENTENCE), "word": word}
    if options.gold:
        found["label"] = _column(table, options.column, LABEL, parsed)
    missing = [key for key, column in found.items() if column is None]
    if missing and not parsed.problems:
        columns = ", ".join(map(repr, header)) or "none"
        message = (
            f"the header has no column {', '.join(missing)} (columns: {columns}); needed: "
            "sentence, word, label"
        )
        parsed.problems.append(Problem(number, message))
    sentence = found["sentence"]
    if parsed.problems or sentence is None or word is None:
        return parsed
    sentences = _Sentences(sentence, word, found.get("label"), len(header), parsed)
    return add_samples(sentences.read(rows), name, options, parsed)


def _column(table: Table, given: Column, usual: tuple[str, ...], parsed: Parsed) -> int | None:
    """Index of a column that may be named by the user, who is told if it is not there."""
    return table.find(*usual) if given is None else table.column(given, usual, parsed)


def _texts(rows: Iterator[Row], column: int, width: int, parsed: Parsed) -> list[TaggedText]:
    texts = []
    for number, cells in rows:
        found = cut_text(cells[column], number) if len(cells) == width else None
        if found is None:
            message = _width(cells, width) or "the text holds no word"
            parsed.problems.append(Problem(number, message))
        texts.append(found or TaggedText([], [], [], bad=True))
    return texts


class _Sentences:
    """Collects the sentences of a table with one word per row.

    Args:
        sentence: Column of the sentence's id.
        word: Column of the word.
        label: Column of the label; None without gold.
        width: Number of columns.
        parsed: Gets the problems.
    """

    def __init__(
        self, sentence: int, word: int, label: int | None, width: int, parsed: Parsed
    ) -> None:
        self.sentence, self.word, self.label = sentence, word, label
        self.width, self.parsed = width, parsed
        self.texts: list[TaggedText] = []
        self.begun: dict[str, tuple[int, TaggedText]] = {}  # by id, with its first line

    def read(self, rows: Iterator[Row]) -> list[TaggedText]:
        """Read all rows."""
        current, problems, lost = "", self.parsed.problems, 0
        for number, cells in rows:
            if len(cells) != self.width:
                problems.append(Problem(number, _width(cells, self.width) or ""))
                continue
            # Rows that are not read belong to this sentence or to the one before.
            unsure, lost = len(problems) > lost, len(problems)
            if unsure and self.texts:
                self.texts[-1].bad = True
            key = cells[self.sentence].strip() or current
            text = self.texts[-1] if key == current and self.texts else None
            problem = None
            if text is None:
                if key in self.begun:
                    line, text = self.begun[key]
                    problem = (
                        f"sentence {key!r} of line {line} goes on: its rows must stand together"
                    )
                else:
                    text = TaggedText([], [], [], bad=unsure)
                    self.begun[key], current = (number, text), key
                    self.texts.append(text)
            problem = problem or self._fault(key, cells)
            if problem is not None:
                problems.append(Problem(number, problem))
                text.bad, lost = True, len(problems)
                continue
            text.words.append(cells[self.word].strip())
            text.lines.append(number)
            if self.label is not None:
                text.labels.append(cells[self.label].strip())
        if len(problems) > lost and self.texts:
            self.texts[-1].bad = True
        return self.texts

    def _fault(self, key: str, cells: list[str]) -> str | None:
        if not key:
            return "the sentence id is empty"
        if not cells[self.word].strip():
            return "the word is empty"
        if self.label is not None and not cells[self.label].strip():
            return f"the label of {cells[self.word]!r} is empty"
        return None


def _width(cells: list[str], width: int) -> str | None:
    return None if len(cells) == width else f"{len(cells)} cell(s) where the header has {width}"
