"""Draws an episode as text, HTML or a picture; imports only `checks` and `errors`."""

from nlp_gym.render.frame import MARKS, Frame, Piece, tagging_frame
from nlp_gym.render.modes import RENDER_MODES, RenderModes, check_render_mode, draw

__all__ = [
    "MARKS",
    "RENDER_MODES",
    "Frame",
    "Piece",
    "RenderModes",
    "check_render_mode",
    "draw",
    "tagging_frame",
]
