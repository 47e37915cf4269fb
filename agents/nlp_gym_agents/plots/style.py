"""How figures look: colours, fonts, and the file that a figure becomes.

Figures are made with `matplotlib.figure.Figure` alone. No window is opened, ``pyplot`` is never
imported, and the settings that matplotlib has when a figure is begun are there again afterwards.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_gym.checks import check_ending
from nlp_gym.errors import InvalidArgumentError, MissingDependencyError, RunError, shown
from nlp_gym.files import atomic_path
from nlp_gym.inert import brief

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg", ".pdf")
"""Files that a figure can be written to."""
INK, FAINT, GRID = "#22262b", "#6a727c", "#e3e6ea"
"""Colours of text and axes, of what is said by the way, and of lines behind the data."""

_DOTS = 160  # per inch, of PNG
_TITLE_LETTERS = 10.5  # per inch, of a title

# Okabe and Ito (2008), "Color Universal Design": told apart with every common colour blindness.
# Their yellow is too pale for a line on white.
_BLUE, _VERMILION, _GREEN, _PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
_ORANGE, _SKY, _GREY, _SLATE = "#e69f00", "#56b4e9", "#737b85", "#4a5058"


ON_DARK = {
    _BLUE: "#4fb0ee",
    _VERMILION: "#ff8b4d",
    _GREEN: "#35c99f",
    _PURPLE: "#e39ac2",
    _ORANGE: "#f2b233",
    _SKY: "#7cc9f5",
    _GREY: "#99a2ad",
    _SLATE: "#bcc4ce",
    "#5a4fa0": "#a79df0",
    "#8c5a2b": "#cf9a66",
    "#3f7f7f": "#6fc0c0",
    "#a3324c": "#e8788f",
    "#6b7a1f": "#b5c45a",
    "#a0467a": "#dd8abb",
}
"""The colours of data, and those that stand for them on a dark page."""


@dataclass(frozen=True)
class Look:
    """How an algorithm is drawn, in every figure.

    Attributes:
        colour: Of its lines and marks.
        marker: Its mark.
        dashes: Style of its lines.
    """

    colour: str
    marker: str
    dashes: str


_LOOKS = {
    "masked_dqn": Look(_BLUE, "o", "-"),
    "maskable_ppo": Look(_VERMILION, "s", "-"),
    "bc": Look(_GREEN, "D", "-"),
    "ppo": Look(_ORANGE, "^", "-"),
    "dqn": Look(_SKY, "v", "-"),
    "recurrent_ppo": Look(_PURPLE, "P", "-"),
    "qrdqn": Look("#5a4fa0", "X", "-"),
    "a2c": Look("#8c5a2b", "h", "-"),
    "expected_pg": Look("#a3324c", "<", "-"),
    "rloo": Look("#6b7a1f", ">", "-"),
    "dagger": Look("#3f7f7f", "p", "-"),
    "aggrevate": Look("#a0467a", "*", "-"),
    "random": Look(_GREY, "|", ":"),
    "majority": Look(_SLATE, "|", "--"),
    "majority-word": Look(_SLATE, "1", "-."),
    "oracle": Look(INK, "|", ":"),
}
_OTHERS = (_PURPLE, "#5a4fa0", "#8c5a2b", _SKY, _ORANGE, "#3f7f7f")
_MARKERS = ("<", ">", "p", "*", "d")


def look(algo: str) -> Look:
    """Colour, mark and line of an algorithm or baseline, the same in all figures.

    Args:
        algo: Its name; ``"maskable_ppo+bc"`` has the colour of `maskable_ppo`, and dashes.
    """
    name, _, start = algo.partition("+")
    number = zlib.crc32(name.encode("utf-8", "replace"))
    other = Look(_OTHERS[number % len(_OTHERS)], _MARKERS[number // 7 % len(_MARKERS)], "-")
    known = _LOOKS.get(name, other)
    return Look(known.colour, known.marker, "--") if start else known


def check_matplotlib(purpose: str) -> None:
    """Refuse to draw where matplotlib is not installed.

    Raises:
        MissingDependencyError: It is not.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "plot", purpose) from error


def check_output(path: str | Path) -> Path:
    """`path`, if a figure can be written to a file of that name.

    Raises:
        InvalidArgumentError: Another ending, or a folder.
    """
    path = Path(path)
    check_ending("output", path, ENDINGS, "the ending chooses the format")
    if os.path.isdir(path):  # unlike Path's, False for a name that no file can have
        raise InvalidArgumentError(f"output={shown(path)} is a folder: name a file.")
    return path


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib's settings for a figure of this package, for the duration of the block."""
    import matplotlib.style

    with matplotlib.style.context(["default", _settings()]):
        yield


def _settings() -> dict[str, Any]:
    return {
        "text.parse_math": False,  # names may hold any number of dollar signs
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
        # The generic family is for SVG, which is drawn with the fonts of the reader's machine.
        "font.family": [*_families(), "sans-serif"],
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9,
        "axes.titlesize": 11,
        "axes.titleweight": "normal",  # the other fonts have no bold
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "axes.linewidth": 0.8,
        "axes.titlecolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "text.color": INK,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "lines.linewidth": 1.8,
        "lines.solid_capstyle": "round",
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
    }


def _families() -> list[str]:
    """Names of the fonts of this project, which matplotlib then finds; see `nlp_gym.render`."""
    from matplotlib import font_manager

    from nlp_gym.render.glyphs import BUNDLED

    known = {entry.fname: entry.name for entry in font_manager.fontManager.ttflist}
    names = []
    for file in BUNDLED:
        if file not in known:
            font_manager.fontManager.addfont(file)
        names.append(font_manager.FontProperties(fname=file).get_name())
    return names


def name(text: str, most: int = 40) -> str:
    """A name of others as a figure shows it: inert, short, and of characters that can be drawn.

    A character that no font of this project has becomes its code point, such as ``[U+1F600]``.
    """
    from nlp_gym.render.glyphs import BUNDLED, runs

    parts = []
    for run in runs(brief(text, most)):
        drawn = run.font in BUNDLED
        parts += [run.text] if drawn else [f"[U+{ord(letter):04X}]" for letter in run.text]
    return "".join(parts)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches; its axes are laid out when it is written."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)  # inches
    return Figure(figsize=(width, height), layout=engine)


def caption(figure: Figure, lines: Sequence[str]) -> None:
    """Say below a figure what it shows and how it was made, a line each."""
    width = max(int(figure.get_figwidth() * 15), 40)
    wrapped = "\n".join(_wrapped(line, width) for line in lines if line)
    figure.supxlabel(wrapped, x=0.01, ha="left", fontsize=7.5, color=FAINT)


def title(axes: Axes, text: str, width: float) -> None:
    """Give axes a title that takes a second line rather than room beside them.

    Args:
        axes: They.
        text: The title.
        width: Inches from the left end of the axes that it may have.
    """
    axes.set_title(_wrapped(text, max(int(width * _TITLE_LETTERS), 12)))


def _wrapped(line: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(line, width, break_on_hyphens=False)) or line


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """`places` moved apart so that labels there do not overlap.

    Args:
        places: Where the labels belong, in any order.
        gap: Least distance of two labels.
        low: Lowest place of a label.
        high: Highest place of a label; labels that do not fit below it go over `low`.

    Returns:
        A place for each, in the order of `places`.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = [min(max(place, low), high) for place in places]
    for before, after in itertools.pairwise(order):
        moved[after] = max(moved[after], moved[before] + gap)
    ceiling = high
    for i in reversed(order):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - gap
    return moved


def thousands(axes: Axes) -> None:
    """Write the numbers along the x axis with commas, or short where they are long."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def text(value: float, _: object) -> str:
        if abs(value) >= 1e6:
            return f"{value / 1e6:g} M"
        return f"{value:,.0f}" if abs(value) >= 10 else f"{value:g}"

    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(text))


def write_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure, whole or not at all, in the format of the file's ending.

    Raises:
        InvalidArgumentError: Another ending than those of `ENDINGS`.
        RunError: The file cannot be written.
    """
    path = check_output(path)
    data = rendered(figure, path.suffix.lower()[1:])
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    except (OSError, ValueError) as error:  # a name with NUL is a ValueError
        problem = getattr(error, "strerror", None) or error
        raise RunError(f"output={shown(path)} cannot be written: {problem}.") from error
    return path


def rendered(figure: Figure, form: str) -> bytes:
    """A figure as the bytes of a file: ``"png"``, ``"svg"`` or ``"pdf"``; the same ones each time.

    The text of an SVG stays text, so that it can be searched, selected and read aloud.
    """
    import matplotlib

    file = io.BytesIO()
    dates: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
    with drawing(), matplotlib.rc_context({"svg.hashsalt": "nlp_gym"}):
        figure.savefig(file, format=form, dpi=_DOTS, metadata=dates)
    return file.getvalue()


def variable(colour: str) -> str:
    """A colour of data as CSS has it, where a dark page sets the variable to another."""
    return f"var(--c{colour[1:]}, {colour})"


def inline_svg(figure: Figure, *, title: str, salt: str) -> str:
    """A figure as an ``<svg>`` element of an HTML page, whose ink follows the page's colours.

    Args:
        figure: The figure.
        title: What a screen reader says in its place.
        salt: Different for each figure of a page, so that their references do not meet.
    """
    import html

    import matplotlib

    file = io.BytesIO()
    with drawing(), matplotlib.rc_context({"svg.hashsalt": salt}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    for colour, role in ((INK, "ink"), (FAINT, "faint"), (GRID, "grid")):
        text = text.replace(f": {colour}", f": var(--{role})")
    for colour in ON_DARK:
        text = text.replace(f": {colour}", f": {variable(colour)}")
    label = html.escape(title, quote=True)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
