"""The layout of a CoNLL file: which columns are word and label, header, comments, numbered words.

It is found from the first rows, and named by `Options` where it cannot be found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.options import Column, Options
from nlp_gym.data.tags.schemes import split_tag
from nlp_gym.errors import InvalidArgumentError

DOCUMENT = "-DOCSTART-"
_HEAD = 1000  # number of rows that decide on the layout
_FEW = 3  # from so many rows on, words that are all numbers are no accident
_COUNTED = 0.75  # share of rows with the expected number in a column that counts the words
_SURE = 20  # from so many rows on, a first label that occurs nowhere else is conspicuous
_MAX_NUMBER_COLUMN = 2  # a document's and a sentence's id may stand before the word's number

_WORD_NAMES = frozenset(("word", "words", "token", "tokens", "form", "text"))
_LABEL_NAMES = frozenset((
    "label", "labels", "tag", "tags", "ner", "ner_tag", "ner_tags", "nertag", "ne", "ne_tag",
    "netag", "entity", "entities", "pos", "pos_tag", "pos_tags", "postag", "upos", "upostag",
    "xpos", "xpostag", "cpos", "cpostag", "chunk", "chunk_tag", "chunk_tags", "iob", "iob2",
    "iob_tag", "bio", "bio_tag", "bioes", "class", "category", "annotation", "gold", "target",
))  # fmt: skip
_SCORE = re.compile(r"[-+]?[0-9]*(?:[.,][0-9]+)?(?:[eE][-+]?[0-9]+)?%?")
_IOB = re.compile(r"O|[BEIMSLU](?:[-_]\S+)?")
_CHUNKS = frozenset(("NP", "VP", "PP"))
"""Types of chunks, which are no entities around others."""
_PART_NUMBER = re.compile(r"[0-9]{1,6}[-.][0-9]{1,6}")
"""Number of a multi-word token or an empty node, as in CoNLL-U."""
_COMMENT = re.compile(
    r"#\s*(?:id|sent_id|text|newdoc|newpar|doc_id|source)\b|#\s*[\w.:-]+\s*=|#\s+https?://"
    r"|#(?:begin|end) document"
)
_SURE_COMMENT = re.compile(r"#\s*id\s+\S+\s+\w+=\S*\s*|#\s*[\w.:-]+\s+=\s.*|#(?:begin|end) doc.*")
"""A line of these is a comment even if it has as many columns as the rows."""

Row = tuple[int, list[str]]
"""Line number and cells."""


@dataclass(frozen=True)
class Layout:
    """Where words and labels are.

    Attributes:
        width: Number of columns.
        word: Column of the word, from 0.
        label: Column of the label.
        number: Column that counts the words of each sentence; None: there is none.
        restarts: Whether the count begins again with each sentence.
        skipped: Numbers of lines that are no rows: the header, and comments that were asked for.
    """

    width: int
    word: int
    label: int
    number: int | None = None
    restarts: bool = True
    skipped: frozenset[int] = frozenset()


def split_cells(line: str) -> list[str]:
    """Cells of a line that is not blank, separated by tabs (a line with a tab) or by spaces."""
    # Only the space and the tab separate: other white space (U+00A0, U+3000) may be in a word.
    if "\t" in line:
        if " " not in line and line[-1] != "\t":
            return line.split("\t")
        return [cell.strip(" ") for cell in line.rstrip(" \t").split("\t")]
    cells = line.split(" ")
    return cells if "" not in cells else [cell for cell in cells if cell]


def is_part_number(key: str) -> bool:
    """Whether a number is that of a multi-word token (``3-4``) or an empty node (``3.1``)."""
    return _PART_NUMBER.fullmatch(key) is not None


def is_comment(line: str, n_cells: int, width: int) -> bool:
    """Whether a line at the beginning of a sentence is a comment of a known form.

    Those are ``# id ...`` (MultiCoNER), ``# key = value`` (CoNLL-U), ``# address date`` (GermEval)
    and ``#begin document`` (CoNLL-2012). A row, whose word may be ``#``, has all columns.
    """
    return (_COMMENT.match(line) if n_cells != width else _SURE_COMMENT.fullmatch(line)) is not None


def find_layout(lines: list[str], options: Options, parsed: Parsed) -> Layout | None:
    """Find the layout of a file; None, with a problem in `parsed`, where it has no label column.

    Raises:
        InvalidArgumentError: `options` name a column that the file does not have.
    """
    sentences = _head(lines, options.comments)
    rows = [row for sentence in sentences for row in sentence]
    if not rows:
        return Layout(1, 0, 0)
    width, n_rows = Counter(len(cells) for _, cells in rows).most_common(1)[0]
    if options.gold and width == 1:
        message = "one column only: a word and its label are needed, separated by a tab or a space"
        parsed.problems.append(Problem(rows[0][0], message))
        return None
    header = _header(rows[0], width, lines) if n_rows > 1 else None
    names = [] if header is None else [name.lower() for name in header[1]]
    skipped = _asked_comments(lines, options, width)
    if skipped is None:
        skipped = frozenset[int]()
    if header is not None:
        sentences = [[row for row in sentence if row is not header] for sentence in sentences]
        skipped |= {header[0]}
        shown = " ".join(header[1])
        parsed.notes.append(Problem(header[0], f"this line names the columns: {shown!r}"))
    cells = [[cells for _, cells in sentence if len(cells) == width] for sentence in sentences]
    found = _Columns(cells, width, names, options).found(rows[0][0], parsed)
    if found is None:
        return None
    word, label, number, restarts = found
    _warn_of_comments(lines, options, skipped, parsed)
    return Layout(width, word, label, number, restarts, skipped)


def _head(lines: list[str], comments: str | None) -> list[list[Row]]:
    """The sentences of the first rows, without lines that may be comments unless all may be."""
    sentences, left = [list[Row]()], _HEAD
    doubtful = list[Row]()
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            if sentences[-1]:
                sentences.append([])
            continue
        row = (number, split_cells(line))
        if row[1][0] == DOCUMENT:
            continue
        begins = not sentences[-1] and line[0] == "#"
        if begins or (comments is not None and line.startswith(comments)):
            doubtful.append(row)
            continue
        sentences[-1].append(row)
        left -= 1
        if not left:
            break
    found = [sentence for sentence in sentences if sentence]
    return found or [[row] for row in doubtful]


def _header(row: Row, width: int, lines: list[str]) -> Row | None:
    """The first row where it names the columns: its label occurs nowhere else.

    One column is called as words are. Another is called as labels are, or none of the names occurs
    a second time.
    """
    names = [cell.lower().strip("\"'") for cell in row[1]]
    if len(names) != width or width < 2 or not _WORD_NAMES & set(names):
        return None
    known = (i for i, name in reversed(list(enumerate(names))) if name in _LABEL_NAMES)
    at = next(known, None)
    others = [row[1][at]] if at is not None else row[1]
    if at is None and split_tag(row[1][-1]) is not None:
        return None
    for line in lines[row[0] :]:
        if not any(name in line for name in others) or not line.strip():
            continue
        cells = split_cells(line)
        if len(cells) == width and (cells == row[1] if at is None else cells[at] == row[1][at]):
            return None
        if at is None and any(a == b for a, b in zip(cells, row[1], strict=False)):
            return None
    return row


class _Columns:
    """Chooses the columns of a file.

    Args:
        sentences: Cells of the rows of its first sentences, `width` each, without the header.
        width: Number of columns.
        names: Their names in lower case, where the file has a header.
        options: What the user says about them.
    """

    def __init__(
        self, sentences: list[list[list[str]]], width: int, names: list[str], options: Options
    ) -> None:
        self.sentences, self.width, self.names, self.options = sentences, width, names, options
        self.rows = [cells for sentence in sentences for cells in sentence]

    def found(self, line: int, parsed: Parsed) -> tuple[int, int, int | None, bool] | None:
        """Columns of word, label and number, and whether the number begins again at 1."""
        options, number, restarts = self.options, None, True
        named = next((i for i, name in enumerate(self.names) if name in _WORD_NAMES), None)
        if options.word_column is not None:
            word = self._index("word_column", options.word_column)
        else:
            number, restarts = self._number_column()
            word = named if number is None and named is not None else 0
            if number is not None:
                word = number + 1
                message = (
                    f"column {number} counts the words, so the words are in column {word} "
                    f"(columns count from 0; word_column={number} takes the numbers as words)"
                )
                parsed.notes.append(Problem(line, message))
            elif (fault := self._doubtful_words(word)) is not None:
                parsed.problems.append(Problem(line, fault))
                return None
        if not options.gold:
            return word, word, number, restarts
        if options.column is not None:
            label = self._index("column", options.column, taken=word)
        elif word == self.width - 1:
            message = f"the words are in the last column, {word}: there is no column of labels"
            parsed.problems.append(Problem(line, message))
            return None
        else:
            label = self._label_column(word, line, parsed)
            self._warn_of_header(word, label, line, parsed)
        n_unset = sum(cells[label] == "_" for cells in self.rows)
        if options.column is None and 2 * n_unset > len(self.rows):
            message = (
                f"most labels in column {label} are '_', which stands for nothing: column= names "
                f"the column, from 0 to {self.width - 1} (column={label} takes this one)"
            )
            parsed.problems.append(Problem(line, message))
            return None
        return word, label, number, restarts

    def _number_column(self) -> tuple[int | None, bool]:
        """The column that counts the words of each sentence, and whether it begins again."""
        least = 3 if self.options.gold else 2
        if len(self.rows) < 2:
            return None, True
        for column in range(min(_MAX_NUMBER_COLUMN, self.width - least) + 1):
            for most in (0, int((1 - _COUNTED) * len(self.rows))):
                for restarts in (True, False):
                    counts = self._counts(column, restarts=restarts, most=most)
                    if counts and self._has_words(column + 1):
                        return column, restarts
            # Ids of documents and sentences, which may stand before it, are the same in each row.
            if any(len({cells[column] for cells in rows}) > 1 for rows in self.sentences):
                break
        return None, True

    def _counts(self, column: int, *, restarts: bool, most: int) -> bool:
        """Whether a column counts the words; so many rows may have a number that is not next."""
        expected, wrong = None, 0
        for sentence in self.sentences:
            expected = None if restarts else expected
            for cells in sentence:
                key = cells[column]
                if is_part_number(key):
                    continue
                number = int(key) if key.isdecimal() and len(key) < 10 else None
                if expected is None:
                    expected = 0 if number == 0 else 1
                wrong += number != expected
                if wrong > most:
                    return False
                expected = (expected if number is None else number) + 1
        return all(cells[column][:1].isdecimal() for cells in self.rows)

    def _has_words(self, column: int) -> bool:
        """Whether a column looks like words rather than labels, which are few."""
        words = {cells[column] for cells in self.rows}
        labels = {cells[-1] for cells in self.rows}
        return 2 * len(words) > len(self.rows) or len(words) > len(labels)

    def _doubtful_words(self, word: int) -> str | None:
        """Why the first column holds no words; None if it may."""
        words = [cells[word] for cells in self.rows]
        advice = (
            f"give word_column=, from 0 to {self.width - 1} (word_column={word} takes this one)"
        )
        if self.width == 1 or len(words) < _FEW:
            return None
        if all(map(str.isdecimal, words)):
            shown = ", ".join(words[:3])
            return f"the words would be numbers ({shown}, ...): {advice}"
        if self.width > 5 and len(set(words)) == 1:
            return f"every word would be {words[0]!r}: {advice}"
        return None

    def _label_column(self, word: int, line: int, parsed: Parsed) -> int:
        """The last column, but the outer one of two layers of tags, as in GermEval 2014."""
        scored = self._tags_before_numbers(word)
        if scored is not None:
            message = (
                f"the last column holds numbers and column {scored} tags, so the labels are those "
                f"of column {scored} (columns count from 0; column={self.width - 1} takes the "
                "numbers)"
            )
            parsed.notes.append(Problem(line, message))
            return scored
        if word == 0 or self.width != word + 3:
            self._warn_of_other_tags(word, line, parsed)
            return self.width - 1
        layers = [[cells[word + i] for cells in self.rows] for i in (1, 2)]
        outer, inner = map(_types, layers)
        if not outer or inner is None or outer & _CHUNKS:
            return self.width - 1
        tagged = [(a != "O", b != "O") for a, b in zip(*layers, strict=True)]
        if sum(b and not a for a, b in tagged) > 0.1 * sum(b for _, b in tagged):
            return self.width - 1  # what is inside of something is nested
        message = (
            f"columns {word + 1} and {word + 2} are both tags, as of outer and of nested entities: "
            f"the labels are those of column {word + 1} (column={word + 2} takes the other)"
        )
        parsed.warnings.append(Problem(line, message))
        return word + 1

    def _tags_before_numbers(self, word: int) -> int | None:
        """The column of IOB tags where the last column holds numbers, such as scores."""
        if not all(_SCORE.fullmatch(cells[-1]) or cells[-1] == "_" for cells in self.rows):
            return None
        for column in range(self.width - 2, word, -1):
            tags = {cells[column] for cells in self.rows}
            if all(map(_IOB.fullmatch, tags)) and any(len(tag) > 2 for tag in tags):
                return column
        return None

    def _warn_of_other_tags(self, word: int, line: int, parsed: Parsed) -> None:
        """Warn where a column that is not read has tags of entities, too."""
        last = self.width - 1
        if _types(cells[last] for cells in self.rows) is None:
            return
        for column in range(word + 1, last):
            kinds = _types(cells[column] for cells in self.rows)
            if kinds and not kinds & _CHUNKS:
                message = (
                    f"column {column} has tags, too: the labels are those of the last column, "
                    f"{last} (column={column} takes the other)"
                )
                parsed.warnings.append(Problem(line, message))
                return

    def _warn_of_header(self, word: int, label: int, line: int, parsed: Parsed) -> None:
        """Warn where the first row may name the columns in words that are not known."""
        if self.names or len(self.rows) <= _SURE:
            return
        first, rest = self.rows[0], self.rows[1:]
        if split_tag(first[label]) is not None:
            return
        labels = {cells[label] for cells in rest}
        named = all(cell.isalpha() and len(cell) > 2 for cell in (first[word], first[label]))
        if named and first[label] not in labels and 5 * len(labels) < len(rest):
            message = (
                f"the label {first[label]!r} of the first row occurs nowhere else: if this line "
                "names the columns, delete it"
            )
            parsed.warnings.append(Problem(line, message))

    def _index(self, argument: str, value: Column, taken: int | None = None) -> int:
        """Index of a column by its number, or by its name in the header."""
        found = str(value).strip().lower()
        if found in self.names:
            index = self.names.index(found)
        else:
            try:
                index = int(found)
            except ValueError:
                index = self.width  # outside
            index += self.width if -self.width <= index < 0 else 0
        if 0 <= index < self.width and index != taken:
            return index
        raise InvalidArgumentError(self._wrong_column(argument, value, taken))

    def _wrong_column(self, argument: str, value: Column, taken: int | None) -> str:
        names = f" or a name ({', '.join(self.names)})" if self.names else ""
        if argument == "word_column":
            return (
                f"word_column={value!r} is no column of a CoNLL file of {self.width} columns: give "
                f"a number from 0 to {self.width - 1}{names}."
            )
        low = 1 if taken == 0 else 0
        return (
            f"column={value!r} is no label column of a CoNLL file of {self.width} columns: give a "
            f"number from {low} to {max(self.width - 1, 1)} ({taken} is the word), or -1 for the "
            f"last one{names}."
        )


def _types(tags: Iterable[str]) -> set[str] | None:
    """Types of tags; None if one is no tag."""
    parts = [split_tag(tag) for tag in set(tags)]
    if None in parts:
        return None
    return {part[1] for part in parts if part is not None and part[1]}


def _asked_comments(lines: list[str], options: Options, width: int) -> frozenset[int] | None:
    """Numbers of the lines that begin with `options.comments`; None: that is not given.

    Where some of them cannot be rows, those that can are words: hash tags beside comments.
    """
    prefix = options.comments
    if prefix is None:
        return None
    asked = [(n, x) for n, x in enumerate(lines, 1) if x.startswith(prefix) and x.strip()]
    rows = [(n, split_cells(line)) for n, line in asked]
    doubtful = {n for n, cells in rows if len(cells) == width}
    if doubtful and len(doubtful) < len(rows):
        others = (x for x in lines if x.strip() and not x.startswith(prefix))
        labels = {cells[-1] for x in others if len(cells := split_cells(x)) == width}
        words = {n for n, cells in rows if n in doubtful and cells[-1] in labels}
        if len(words) < len(rows):
            return frozenset(n for n, _ in rows if n not in words)
    return frozenset(n for n, _ in rows)


def _warn_of_comments(
    lines: list[str], options: Options, skipped: frozenset[int], parsed: Parsed
) -> None:
    """Say what became of the lines that begin with `options.comments`."""
    prefix = options.comments
    if prefix is None:
        return
    found = [n for n, line in enumerate(lines, 1) if line.startswith(prefix)]
    words = [n for n in found if n not in skipped]
    if words:
        message = (
            f"{len(words)} line(s) begin with comments={prefix!r} but have the columns and a label "
            "of the other rows, which the comments do not: they are read as words"
        )
        parsed.warnings.append(Problem(words[0], message))
