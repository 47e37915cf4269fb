"""The picture of the packages: who imports whom, read from the source files."""

from __future__ import annotations

import ast
import html
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ROOTS = {"nlp_gym": "nlp_gym", "nlp_gym_agents": "agents/nlp_gym_agents"}
"""The two packages, and where they lie in the repository."""

WIDE, NARROW, ACROSS, DOWN, EDGE = 380, 226, 16, 36, 8
"""In pixels: widths of boxes, up to two and more on a floor; the space between them; the border."""
NAME_LINE, TEXT_LINE, LETTER = 26, 15, 6.3
"""In pixels: heights of a box's first and further lines, and the width of a letter of these."""

Imports = Mapping[str, frozenset[str]]


def files(pages: Path) -> dict[str, str]:
    """The picture of each package."""
    return {f"parts/packages-{root}.svg": picture(root) for root in ROOTS}


@dataclass(frozen=True)
class Box:
    """A package (or a single module) in the picture; places are those of its left upper corner."""

    name: str
    about: list[str]
    package: bool
    x: int
    y: int
    width: int
    height: int

    def svg(self) -> str:
        """The frame, the name, and what lives there."""
        lines = "".join(
            f'<text x="{self.x + 10}" y="{self.y + NAME_LINE + 10 + TEXT_LINE * i}" '
            f'font-size="12" fill="#445">{html.escape(line)}</text>'
            for i, line in enumerate(self.about)
        )
        return (
            f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="6" '
            f'fill="{"#e8f0fb" if self.package else "#f4f4f1"}" stroke="#8a97a8"/>'
            f'<text x="{self.x + 10}" y="{self.y + 20}" font-size="14" font-weight="bold" '
            f'fill="#223">{self.name}</text>{lines}'
        )

    def arrow(self, below: Box) -> str:
        """A line down to a package that this one imports from."""
        x, y = self.x + self.width // 2, self.y + self.height
        to_x, to_y = below.x + below.width // 2, below.y
        bend = (to_y - y) // 2
        return (
            f'<path d="M{x} {y}C{x} {y + bend} {to_x} {to_y - bend} {to_x} {to_y}" fill="none" '
            'stroke="#8a97a8" stroke-width="1.5"/>'
        )


def picture(root: str) -> str:
    """SVG: one box per package or module below `root`, above those that it imports from."""
    found = imports(root)
    rows = floors(found)
    widest = max(map(len, rows))
    box = WIDE if widest <= 2 else NARROW
    texts = {name: textwrap.wrap(_about(root, name), int((box - 20) / LETTER)) for name in found}
    tall = NAME_LINE + TEXT_LINE * max(map(len, texts.values())) + 8
    width = widest * (box + ACROSS) - ACROSS + 2 * EDGE
    height = len(rows) * (tall + DOWN) - DOWN + 2 * EDGE
    boxes = {}
    for level, row in enumerate(rows):
        left = (width - len(row) * (box + ACROSS) + ACROSS) // 2
        for i, name in enumerate(row):
            package = (REPOSITORY / ROOTS[root] / name).is_dir()
            x, y = left + i * (box + ACROSS), EDGE + level * (tall + DOWN)
            boxes[name] = Box(name, texts[name], package, x, y, box, tall)
    drawn = [boxes[a].arrow(boxes[b]) for a, targets in direct(found).items() for b in targets]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif">\n'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n'
        + "\n".join([*drawn, *(each.svg() for each in boxes.values())])
        + "\n</svg>\n"
    )


def imports(root: str) -> Imports:
    """For each package or module right below `root`, those that it imports from, also lazily."""
    found: dict[str, set[str]] = {}
    folder = REPOSITORY / ROOTS[root]
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).parts[0].removesuffix(".py")
        if not name.startswith("_"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found.setdefault(name, set()).update(_imported(root, tree))
    return {a: frozenset(b for b in found[a] if b in found and b != a) for a in found}


def floors(found: Imports) -> list[list[str]]:
    """Names by floor from the top down; each imports from lower floors alone.

    Raises:
        ValueError: Some import each other in a circle.
    """
    levels: dict[str, int] = {}

    def level(name: str, above: tuple[str, ...] = ()) -> int:
        if name in above:
            raise ValueError(f"imports in a circle: {' -> '.join([*above, name])}")
        if name not in levels:
            levels[name] = 1 + max((level(t, (*above, name)) for t in found[name]), default=-1)
        return levels[name]

    for name in found:
        level(name)
    numbers = sorted(set(levels.values()), reverse=True)
    return [sorted(name for name in found if levels[name] == number) for number in numbers]


def direct(found: Imports) -> dict[str, list[str]]:
    """The imports that no chain of other imports implies: one line of the picture each."""

    def reach(name: str) -> frozenset[str]:
        return found[name].union(*(reach(target) for target in found[name]))

    return {
        name: sorted(targets.difference(*(reach(target) for target in targets)))
        for name, targets in found.items()
    }


def _imported(root: str, tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        for module in modules:
            first, _, rest = module.partition(".")
            if first == root and rest:
                yield rest.partition(".")[0]


def _about(root: str, name: str) -> str:
    """The first line of a docstring, up to what it says of imports."""
    folder = REPOSITORY / ROOTS[root] / name
    source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    doc = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return doc.partition("\n")[0].partition(";")[0].replace("`", "")
