"""The render modes, which all draw the same frame."""

from __future__ import annotations

import sys
from typing import Any

from nlp_gym.checks import check_name
from nlp_gym.errors import UnknownNameError
from nlp_gym.render.frame import Frame
from nlp_gym.render.text import ansi, html

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
        which prints to standard output).
    """
    frame = frame.inert()
    if mode == "rgb_array":
        from nlp_gym.render.picture import picture  # Pillow is loaded where pictures are asked for

        return picture(frame, reward)
    if mode == "html":
        return html(frame, reward)
    text = ansi(frame, reward)
    if mode == "human":
        sys.stdout.write(text)
        return None
    return text
