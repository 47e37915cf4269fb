"""Tools for readers of delimited tables: headers, delimiters, columns, samples."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError, with_id
from nlp_gym.data.readers.shared.label_spelling import trim
from nlp_gym.data.readers.shared.options import Column, Options
from nlp_gym.data.readers.shared.tables.rows import Row
from nlp_gym.data.readers.shared.tables.rows import table_rows as table_rows
from nlp_gym.errors import shown
from nlp_gym.inert import listed
from nlp_gym.types import Sample

DELIMITERS = ",;\t|"
_STATED = re.compile(r'"?sep=(.)"?\1*', re.IGNORECASE)
"""The first line of a file by which Excel is told the delimiter."""
_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"-?[0-9]{1,4}")


@dataclass
class Table:
    """A table, with or without a header.

    Attributes:
        header: The names of the columns as written; without a header, the first row.
        line: Line number of the header.
        rows: (number of its first line, cells) of each row that is not blank and as wide as the
            header; reading them adds the problems of other rows.
        headed: Whether there is a header.
    """

    header: list[str]
    line: int
    rows: Iterator[Row]
    headed: bool = True

    def find(self, *wanted: str) -> int | None:
        """Index of the first of the `wanted` columns, in any case; None if the table has none."""
        if not self.headed:
            return None
        names = [trim(cell).lower() for cell in self.header]
        return next((names.index(n.lower()) for n in wanted if n.lower() in names), None)

    def column(self, given: Column, usual: tuple[str, ...], parsed: Parsed) -> int | None:
        """Index of a column, or None and a problem of `parsed`.

        Args:
            given: Its name, or its number from 0 or, if negative, from the end; None: one of the
                usual ones.
            usual: Names, the best first.
            parsed: Gets the problem that the table has no such column, or has it twice.
        """
        wanted = usual if given is None else (str(given),)
        index = self.find(*wanted)
        if index is None and (number := _number(given)) is not None:
            width = len(self.header)
            if -width <= number < width:
                return number % width
        if index is None:
            problem = self.missing(*wanted)
            hint = (
                "; of a table without a header, give all columns by their numbers, from 0: "
                "text_column= and label_column= (--text-column, --label-column)"
            )
            parsed.problems.append(Problem(problem.line, problem.message + hint))
            return None
        name = trim(self.header[index]).lower()
        same = [i for i, cell in enumerate(self.header) if trim(cell).lower() == name]
        if len(same) > 1:
            places = " and ".join(map(str, same[:4]))
            message = (
                f"the header has the column {shown(name)} {len(same)} times: rename all but one, "
                f"or say by its number, {places}, which one it is"
            )
            parsed.problems.append(Problem(self.line, message))
            return None
        return index

    def title(self, index: int) -> str:
        """Name of a column for messages."""
        return trim(self.header[index]) if self.headed else f"column {index}"

    def missing(self, *wanted: str) -> Problem:
        """The problem that the table has none of these columns."""
        columns = listed(shown(cell) for cell in self.header) or "none"
        names = " or ".join(map(shown, wanted))
        return Problem(self.line, f"the header has no column {names} (columns: {columns})")


def open_table(
    lines: list[str],
    name: str,
    parsed: Parsed,
    *,
    columns: Collection[Column] = (),
    known: Collection[str] = (),
) -> Table | None:
    """Read the header of a table; None if the file has no row at all.

    The delimiter is the tab for a file whose name ends in ``.tsv`` and whose header has one, else
    the comma, semicolon, tab or bar that is most frequent in the header, unless a first line
    ``sep=;`` states it.

    Args:
        lines: The file.
        name: Its name.
        parsed: Gets the problems of rows.
        columns: The columns that are needed, as the user gave them. Where all of them are numbers,
            the table has no header, unless the first line has known names.
        known: Names of columns.
    """
    start = table_start(lines, name)
    if start is None:
        return None
    first, delimiter = start
    rows = table_rows(lines, parsed, delimiter=delimiter, first=first)
    number, header = next(rows, (first + 1, []))
    headed = _has_header(header, columns, known)
    if not headed:
        rows = table_rows(lines, parsed, delimiter=delimiter, first=first)
    if headed:
        rows = _without_headers(rows, header, parsed)
    return Table(header, number, _of_width(rows, len(header), parsed), headed)


def open_text_table(
    lines: list[str],
    name: str,
    options: Options,
    parsed: Parsed,
    *,
    text: tuple[str, ...],
    answer: tuple[str, ...],
) -> tuple[Table, int, int | None] | None:
    """Open a table with a column of texts and, where there is gold, one of answers.

    Args:
        lines: The file.
        name: Its name.
        options: `text_column` and `column` name the columns; where both are numbers, there is no
            header.
        parsed: Gets the problems.
        text: Usual names of the first column, the best first.
        answer: And of the second.

    Returns:
        The table and the indices of its columns; None: it is empty, or a column is missing.
    """
    wanted = ((options.text_column, text), (options.column, answer))[: 2 if options.gold else 1]
    table = open_table(
        without_comments(lines, options.comments),
        name,
        parsed,
        columns=[given for given, _ in wanted],
        known=(*text, *answer),
    )
    if table is None:
        return None
    found = [table.column(given, usual, parsed) for given, usual in wanted]
    if parsed.problems or found[0] is None:
        return None
    return table, found[0], found[1] if options.gold else None


def _has_header(header: list[str], columns: Collection[Column], known: Collection[str]) -> bool:
    """Whether the first row of a table is a header; see `open_table`."""
    names, width = [trim(cell).lower() for cell in header], len(header)
    numbers = [_number(column) for column in columns]
    if not numbers or any(n is None or not -width <= n < width for n in numbers):
        return True
    filled = [name for name in names if name]
    numbered = filled == [str(i) for i in range(len(filled))]  # as pandas names columns
    usual = {name.lower() for name in known} | {"id", "idx", "index"}
    return numbered or not usual.isdisjoint(names)


def _number(column: Column) -> int | None:
    """The number that a column is given by; None for a name."""
    if isinstance(column, str) and _NUMBER.fullmatch(column):
        return int(column)
    return column if isinstance(column, int) else None


def table_samples(
    table: Table, parsed: Parsed, build: Callable[[list[str], int], Sample | None]
) -> Parsed:
    """Make one sample per row of a table; a column `id` is kept.

    Args:
        table: The table.
        parsed: Gets samples and problems, and is returned.
        build: (cells, line number) -> sample, or None to leave it out; raises `RowError` for a bad
            row.
    """
    identity = table.find("id")
    for number, cells in table.rows:
        try:
            sample = build(cells, number)
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
            continue
        if sample is not None:
            parsed.samples.append(with_id(sample, None if identity is None else cells[identity]))
    return parsed


def without_comments(lines: list[str], comments: str | None) -> list[str]:
    """The lines, with those that begin with `comments` made blank."""
    if comments is None:
        return lines
    return ["" if line.startswith(comments) else line for line in lines]


def table_start(lines: list[str], name: str) -> tuple[int, str] | None:
    """(index of its first line, delimiter) of a table; None if all lines are blank."""
    first = first_row(lines)
    if first is None:
        return None
    line = next(line for line in lines if line.strip())
    stated = _STATED.fullmatch(line)
    return first, stated[1] if stated else delimiter_of(name, lines[first])


def first_row(lines: list[str]) -> int | None:
    """Index of the first line that is not blank and does not state the delimiter (``sep=;``)."""
    filled = (index for index, line in enumerate(lines) if line.strip())
    first = next(filled, None)
    if first is not None and _STATED.fullmatch(lines[first]):
        return next(filled, None)
    return first


def delimiter_of(name: str, header: str) -> str:
    """Delimiter of a table, from the file's name and its header line; see `open_table`."""
    if name.lower().endswith(".tsv") and "\t" in header:
        return "\t"
    bare = _QUOTED.sub("", header)
    return max(DELIMITERS, key=bare.count)


def _without_headers(rows: Iterator[Row], header: list[str], parsed: Parsed) -> Iterator[Row]:
    """Leave out rows that repeat the header, as where files were joined, with one warning."""
    repeated = list[int]()
    for number, cells in rows:
        if cells == header:
            repeated.append(number)
        else:
            yield number, cells
    if repeated:
        message = f"{len(repeated)} row(s) repeat the header, as where files were joined"
        parsed.warnings.append(Problem(repeated[0], f"{message}; they are left out"))


def _of_width(rows: Iterator[Row], width: int, parsed: Parsed) -> Iterator[Row]:
    """Yield the rows of `width` cells; the others become problems."""
    for number, cells in rows:
        if len(cells) == width:
            yield number, cells
        else:
            message = f"{len(cells)} cell(s) where the header has {width}"
            parsed.problems.append(Problem(number, message))
