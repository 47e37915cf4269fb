"""Reader of delimited tables with a header: one word per row, or one raw text per row."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from nlp_gym.data.readers.shared.base import Options, Parsed, TaggedText, add_samples
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.raw_text import cut_text
from nlp_gym.data.readers.shared.table_tools import delimiter_of, first_row, table_rows

SENTENCE = ("sentence", "sentence_id", "sentence #", "sentence_idx", "sent_id")
WORD = ("word", "token", "words", "tokens")
LABEL = ("label", "tag", "ner_tag", "ner", "labels", "tags", "ner_tags", "upos", "pos")
TEXT = ("text",)


def is_header(line: str) -> bool:
    """Whether a line is the header of such a table."""
    try:
        cells = next(csv.reader([line], delimiter=delimiter_of("", line)))
    except csv.Error:
        return False
    names = {cell.strip().lower() for cell in cells}
    return bool(names & {*WORD, *TEXT} and names & {*SENTENCE, *LABEL, "id"})


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a table. The delimiter (comma, semicolon, tab or bar) is that of the header.

    With one word per row the columns are `sentence` (an id; the rows of a sentence stand together,
    an empty cell continues the sentence), `word` and `label`. Without labels there may be one raw
    text per row instead, in the column `text`. Other usual names are known (`token`, `tag`, ...);
    `options.column` names the label column.
    """
    parsed = Parsed()
    first = first_row(lines)
    if first is None:
        return parsed
    rows = table_rows(lines, parsed, delimiter=delimiter_of(name, lines[first]), first=first)
    _, header = next(rows, (0, []))
    names = [cell.strip().lower() for cell in header]
    columns = {"sentence": _find(names, SENTENCE), "word": _find(names, WORD)}
    wanted = tuple(label.lower() for label in options.label_names(LABEL))
    columns["label"] = _find(names, wanted) if options.gold else None
    text = _find(names, TEXT)
    if columns["word"] is None and text is not None and not options.gold:
        texts = _texts(rows, text, len(names), parsed)
        return add_samples(texts, name, options, parsed)
    missing = [key for key in columns if columns[key] is None and (options.gold or key != "label")]
    if missing:
        parsed.problems.append(Problem(first + 1, _missing(missing, wanted, header)))
        return parsed
    texts = _sentences(rows, columns, len(names), parsed)
    return add_samples(texts, name, options, parsed)


def _missing(missing: list[str], wanted: tuple[str, ...], header: list[str]) -> str:
    lacking = ", ".join(wanted[0] if key == "label" else key for key in missing)
    columns = ", ".join(map(repr, header)) or "none"
    return f"the header has no column {lacking} (columns: {columns}); needed: sentence, word, label"


def _find(names: list[str], wanted: tuple[str, ...]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _texts(
    rows: Iterator[tuple[int, list[str]]], column: int, width: int, parsed: Parsed
) -> list[TaggedText]:
    texts = []
    for number, cells in rows:
        found = cut_text(cells[column], number) if len(cells) == width else None
        if found is None:
            parsed.problems.append(
                Problem(number, _width(cells, width) or "the text holds no word")
            )
        else:
            texts.append(found)
    return texts


def _sentences(
    rows: Iterator[tuple[int, list[str]]],
    columns: dict[str, int | None],
    width: int,
    parsed: Parsed,
) -> list[TaggedText]:
    texts: list[TaggedText] = []
    begun: dict[str, int] = {}  # sentence id -> its first line
    current = ""
    sentence, word_at, label_at = columns["sentence"], columns["word"], columns["label"]
    assert sentence is not None
    assert word_at is not None
    for number, cells in rows:
        problem = _width(cells, width)
        key = current if problem else cells[sentence].strip() or current
        if key != current and key in begun:
            problem = f"sentence {key!r} of line {begun[key]} goes on: its rows must stand together"
        elif key != current:
            begun[key], current = number, key
            texts.append(TaggedText([], [], []))
        if not problem:
            problem = _cell_fault(key, cells, word_at, label_at)
        if problem:
            parsed.problems.append(Problem(number, problem))
            continue
        texts[-1].words.append(cells[word_at].strip())
        texts[-1].lines.append(number)
        if label_at is not None:
            texts[-1].labels.append(cells[label_at].strip())
    return [text for text in texts if text.words]


def _cell_fault(key: str, cells: list[str], word_at: int, label_at: int | None) -> str | None:
    if not key:
        return "the sentence id is empty"
    if not cells[word_at].strip():
        return "the word is empty"
    if label_at is not None and not cells[label_at].strip():
        return f"the label of {cells[word_at]!r} is empty"
    return None


def _width(cells: list[str], width: int) -> str | None:
    return None if len(cells) == width else f"{len(cells)} cell(s) where the header has {width}"
