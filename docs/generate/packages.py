"""The picture of the packages: who imports whom, read from the source files."""

from __future__ import annotations

import ast
import html
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ROOTS = {"nlp_gym": "nlp_gym", "nlp_gym_agents": "agents/nlp_gym_agents"}
"""The two packages, and where they lie in the repository."""

BOX, HEIGHT, ACROSS, FLOOR, EDGE = 226, 76, 16, 40, 8
"""In pixels: width and height of a box, space between boxes and between floors, and the border."""
TEXT, LINES = 34, 3
"""Characters per line of a box's text, and most lines of it."""

Imports = Mapping[str, frozenset[str]]


def files(pages: Path) -> dict[str, str]:
    """The picture of each package."""
    return {f"parts/packages-{root}.svg": picture(root) for root in ROOTS}


def picture(root: str) -> str:
    """SVG: one box per package or module below `root`, above those that it imports."""
    rows = floors(imports(root))
    widest = max(len(row) for row in rows)
    width = widest * (BOX + ACROSS) - ACROSS + 2 * EDGE
    place = {
        name: (
            (width - len(row) * (BOX + ACROSS) + ACROSS) // 2 + i * (BOX + ACROSS),
            EDGE + level * (HEIGHT + FLOOR),
        )
        for level, row in enumerate(rows)
        for i, name in enumerate(row)
    }
    height = len(rows) * (HEIGHT + FLOOR) - FLOOR + 2 * EDGE
    drawn = [_arrow(place[a], place[b]) for a, targets in _direct(root) for b in sorted(targets)]
    drawn += [_box(root, name, *at) for name, at in place.items()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif">\n<rect width="{width}" height="{height}" fill="#fff"/>\n'
        + "\n".join(drawn)
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


def _direct(root: str) -> Iterator[tuple[str, frozenset[str]]]:
    """The imports that no chain of other imports implies: one arrow each."""
    found = imports(root)

    def reach(name: str) -> frozenset[str]:
        return found[name].union(*(reach(target) for target in found[name]))

    for name, targets in found.items():
        yield name, targets.difference(*(reach(target) for target in targets))


def _arrow(above: tuple[int, int], below: tuple[int, int]) -> str:
    x, y = above[0] + BOX // 2, above[1] + HEIGHT
    to_x, to_y = below[0] + BOX // 2, below[1]
    bend = (to_y - y) // 2
    return (
        f'<path d="M{x} {y}C{x} {y + bend} {to_x} {to_y - bend} {to_x} {to_y}" fill="none" '
        'stroke="#8a97a8" stroke-width="1.5"/>'
    )


def _box(root: str, name: str, x: int, y: int) -> str:
    folder = REPOSITORY / ROOTS[root] / name
    source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    doc = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    about = textwrap.wrap(doc.partition("\n")[0].partition(";")[0].replace("`", ""), TEXT)[:LINES]
    lines = "".join(
        f'<text x="{x + 10}" y="{y + 36 + 14 * i}" font-size="11.5" fill="#445">'
        f"{html.escape(line)}</text>"
        for i, line in enumerate(about)
    )
    fill = "#e8f0fb" if folder.is_dir() else "#f4f4f1"
    return (
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="6" fill="{fill}" '
        f'stroke="#8a97a8"/><text x="{x + 10}" y="{y + 19}" font-size="14" font-weight="bold" '
        f'fill="#223">{name}</text>{lines}'
    )
