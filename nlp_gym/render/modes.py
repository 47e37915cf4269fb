"""The render modes, which all draw the same frame."""

from __future__ import annotations

import sys
from typing import Any

from nlp_gym.checks import check_name
from nlp_gym.errors import UnknownNameError
from nlp_gym.render.frame import Frame
from nlp_gym.render.text import ansi, html, signs

RENDER_MODES = ("ansi", "human", "html", "rgb_array")


class RenderModes(list[str]):
    """`RENDER_MODES` as the metadata of an environment holds them.

    `gymnasium.make` asks whether the mode is one of these before the environment is made, and takes
    what is not for a string: anything else is refused here.
    """

    def __contains__(self, mode: object) -> bool:
        if mode is not None and not isinstance(mode, str):
            raise UnknownNameError("render_mode", mode, RENDER_MODES)
        return super().__contains__(mode)


def check_render_mode(render_mode: str | None) -> None:
    """Raise `UnknownNameError` unless `render_mode` is None or known."""
    if render_mode is not None:
        check_name("render_mode", render_mode, RENDER_MODES)


def draw(mode: str, frame: Frame, reward: float) -> Any:
    """Draw a frame, whose texts are made inert.

    Args:
        mode: One of `RENDER_MODES`.
        frame: What to draw.
        reward: The latest reward.

    Returns:
        A string (`ansi` and `html`), an (H, W, 3) array of uint8 (`rgb_array`), or None (`human`,
        which prints to standard output: in colour where it shows colours, else with signs).
    """
    frame = frame.inert()
    if mode == "rgb_array":
        from nlp_gym.render.picture import picture  # Pillow is loaded where pictures are asked for

        return picture(frame, reward)
    if mode == "html":
        return html(frame, reward)
    if mode == "human":
        _print(ansi(frame, reward) if _shows_colours() else signs(frame, reward))
        return None
    return ansi(frame, reward)


def _shows_colours() -> bool:
    """Whether standard output shows codes as colours and nobody asked for none (NO_COLOR)."""
    from rich.console import Console  # takes long to load, and only people need it

    console = Console()
    legacy = console.legacy_windows  # a console of Windows that takes colours, but not as codes
    return console.color_system is not None and not console.no_color and not legacy


def _print(text: str) -> None:
    """Print a text; a character that the encoding of standard output lacks is spelled."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
