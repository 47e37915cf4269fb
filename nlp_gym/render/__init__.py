"""Draws an episode as text, HTML, a picture or a film; imports only `checks`, `errors`, `files`."""

from nlp_gym.render.film import save_film
from nlp_gym.render.frame import MARKS, Frame, Piece, tagging_frame
from nlp_gym.render.modes import RENDER_MODES, RenderModes, check_render_mode, draw
from nlp_gym.render.tree import Arc

__all__ = [
    "MARKS",
    "RENDER_MODES",
    "Arc",
    "Frame",
    "Piece",
    "RenderModes",
    "check_render_mode",
    "draw",
    "save_film",
    "tagging_frame",
]
