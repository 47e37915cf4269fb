"""Tables in Markdown: writing them, and reading those of a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


def table(header: Sequence[str], rows: Iterable[Sequence[object]], numbers: int = 0) -> str:
    """A table; the last `numbers` columns are aligned to the right. `|` in a cell is escaped."""
    rule = ["---"] * (len(header) - numbers) + ["---:"] * numbers
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(header), rule, *cells])


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        heading: The heading above it.
        header: Its first two lines: the names of the columns, and the rule.
        rows: Its other lines.
    """

    heading: str
    header: tuple[str, str]
    rows: tuple[str, ...]

    def rows_about(self, name: str) -> list[str]:
        """The rows whose first cell has `name` in it, and those below that leave that cell empty.

        The first of these says `name`, though it may stand further up on the page.
        """
        found, about = [], False
        for row in self.rows:
            first = row.strip("|").split("|")[0].strip()
            if first:
                about = re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", first) is not None
            if about:
                found.append(row)
        return found


def tables(page: str) -> Iterator[Table]:
    """The tables of a page in Markdown, from the top down; what is in code blocks is none."""
    heading, fenced, block = "", False, list[str]()
    for line in [*page.splitlines(), ""]:
        fenced ^= line.startswith("```")
        if line.startswith("|") and not fenced:
            block.append(line)
            continue
        if len(block) > 2:
            yield Table(heading, (block[0], block[1]), tuple(block[2:]))
        block = []
        if line.startswith("#") and not fenced:
            heading = line.lstrip("# ")


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
