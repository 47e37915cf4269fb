"""Tools for readers of delimited tables: rows with line numbers, headers, delimiters, samples."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError, with_id
from nlp_gym.types import Sample

DELIMITERS = ",;\t|"


@dataclass
class Table:
    """A table with a header.

    Attributes:
        header: The names of the columns as written.
        line: Line number of the header.
        rows: (number of its first line, cells) of each row that is not blank and as wide as the
            header; reading them adds the problems of other rows.
    """

    header: list[str]
    line: int
    rows: Iterator[tuple[int, list[str]]]

    def find(self, *wanted: str) -> int | None:
        """Index of the first of the `wanted` columns, in any case; None if the table has none."""
        names = [cell.strip().lower() for cell in self.header]
        return next((names.index(n.lower()) for n in wanted if n.lower() in names), None)

    def missing(self, *wanted: str) -> Problem:
        """The problem that the table has none of these columns."""
        columns = ", ".join(map(repr, self.header)) or "none"
        names = " or ".join(map(repr, wanted))
        return Problem(self.line, f"the header has no column {names} (columns: {columns})")


def open_table(lines: list[str], name: str, parsed: Parsed) -> Table | None:
    """Read the header of a table; None if the file has no row at all.

    The delimiter is the tab for a file whose name ends in ``.tsv``, else the comma, semicolon, tab
    or bar that is most frequent in the header.
    """
    first = first_row(lines)
    if first is None:
        return None
    delimiter = delimiter_of(name, lines[first])
    rows = table_rows(lines, parsed, delimiter=delimiter, first=first)
    number, header = next(rows, (first + 1, []))
    return Table(header, number, _of_width(rows, len(header), parsed))


def table_samples(
    table: Table, parsed: Parsed, build: Callable[[list[str], int], Sample]
) -> Parsed:
    """Make one sample per row of a table; a column `id` is kept.

    Args:
        table: The table.
        parsed: Gets samples and problems, and is returned.
        build: (cells, line number) -> sample; raises `RowError` for a bad row.
    """
    identity = table.find("id")
    for number, cells in table.rows:
        try:
            sample = build(cells, number)
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
            continue
        parsed.samples.append(with_id(sample, None if identity is None else cells[identity]))
    return parsed


def first_row(lines: list[str]) -> int | None:
    """Index of the first line that is not blank."""
    return next((index for index, line in enumerate(lines) if line.strip()), None)


def delimiter_of(name: str, header: str) -> str:
    """Delimiter of a table, from the file's name and its header line; see `open_table`."""
    return "\t" if name.lower().endswith(".tsv") else max(DELIMITERS, key=header.count)


def header_names(line: str, name: str = "") -> set[str]:
    """Names of the columns in the header line of a table, in lower case.

    Args:
        line: The line.
        name: The file's name, which may decide on the delimiter.
    """
    return {cell.strip(' "').lower() for cell in line.split(delimiter_of(name, line))}


def table_rows(
    lines: list[str],
    parsed: Parsed,
    *,
    delimiter: str = ",",
    first: int = 0,
    quoted: bool = True,
) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, cells) of each row that is not blank.

    Args:
        lines: The file.
        parsed: Gets a problem for each row that is not CSV.
        delimiter: One character.
        first: Index of the first line to read.
        quoted: Whether cells may be in double quotes (and then hold line breaks).
    """
    reader = csv.reader(
        (line + "\n" for line in lines[first:]),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    while True:
        number = first + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            parsed.problems.append(Problem(number, f"not CSV: {error}"))
            continue
        if any(cell.strip() for cell in cells):
            yield number, cells


def _of_width(
    rows: Iterator[tuple[int, list[str]]], width: int, parsed: Parsed
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of `width` cells; the others become problems."""
    for number, cells in rows:
        if len(cells) == width:
            yield number, cells
        else:
            message = f"{len(cells)} cell(s) where the header has {width}"
            parsed.problems.append(Problem(number, message))
