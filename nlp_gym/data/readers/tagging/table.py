"""Reader of delimited tables with a header: one word per row, or one raw text per row."""

from __future__ import annotations

from collections.abc import Iterator

from nlp_gym.data.readers.shared.base import Parsed, TaggedText, add_samples
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.options import Column, Options
from nlp_gym.data.readers.shared.raw_text import cut_text
from nlp_gym.data.readers.shared.tables.rows import Row
from nlp_gym.data.readers.shared.tables.tools import Table, table_rows, table_start

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
        sentence_at, word_at, label_at, width = self.sentence, self.word, self.label, self.width
        text: TaggedText | None = None  # the current one
        for number, cells in rows:
            if len(cells) != width:
                problems.append(Problem(number, _width(cells, width) or ""))
                continue
            key = cells[sentence_at].strip() or current
            if len(problems) > lost:
                # Rows that were not read belong to the sentence before or to this one.
                for unsure in self.texts[-1:]:
                    unsure.bad = True
                lost = -1
            if key != current or text is None:
                if key in self.begun:
                    self._refuse(key, number)
                    lost = len(problems)
                    continue
                text, current = TaggedText([], [], []), key
                self.begun[key] = number, text
                self.texts.append(text)
            text.bad |= lost < 0
            lost = len(problems)
            word = cells[word_at].strip()
            label = "" if label_at is None else cells[label_at].strip()
            if not (key and word and (label or label_at is None)):
                problems.append(Problem(number, self._fault(key, word)))
                text.bad, lost = True, len(problems)
                continue
            text.words.append(word)
            text.lines.append(number)
            if label_at is not None:
                text.labels.append(label)
        if len(problems) > lost and text is not None:
            text.bad = True
        return self.texts

    def _refuse(self, key: str, number: int) -> None:
        """Report a row of a sentence that has ended."""
        line, text = self.begun[key]
        fault = f"sentence {key!r} of line {line} goes on: its rows must stand together"
        self.parsed.problems.append(Problem(number, fault))
        text.bad = True

    def _fault(self, key: str, word: str) -> str:
        if not key:
            return "the sentence id is empty"
        return f"the label of {word!r} is empty" if word else "the word is empty"


def _width(cells: list[str], width: int) -> str | None:
    return None if len(cells) == width else f"{len(cells)} cell(s) where the header has {width}"
