"""Checks of what people see: drawings, and the docstring that is the page of the task."""

from __future__ import annotations

import contextlib
import inspect
import io
from typing import Any

import numpy as np

from nlp_gym.errors import UnknownNameError
from nlp_gym.testing.subject import Subject, refused, require

HEADINGS = (
    "Description",
    "Data",
    "Observation Space",
    "Action Space",
    "Action Mask",
    "Rewards",
    "Starting State",
    "Episode End",
    "Metric",
    "Information",
    "Arguments",
    "Registered Ids",
    "Version History",
)


def docstring(subject: Subject) -> None:
    """The class has a docstring with every heading, and the id under Registered Ids."""
    doc = inspect.getdoc(type(subject.task())) or ""
    lacking = [heading for heading in HEADINGS if f"## {heading}" not in doc]
    require(not lacking, f"the docstring lacks the headings {', '.join(lacking)}")
    require(
        subject.name in doc.split("## Registered Ids")[1],
        f"{subject.name} does not stand under Registered Ids",
    )


def _drawn(env: Any) -> tuple[Any, str]:
    """What `render` returns and prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        drawn = env.render()
    return drawn, printed.getvalue()


def render(subject: Subject, mode: str = "ansi") -> None:
    """One environment is drawn: a word of the text, and the reward of the last decision."""
    env = subject.env(render_mode=mode, obs_type="index")
    with contextlib.redirect_stdout(io.StringIO()):
        env.reset(options={"row": 0})
        *_, reward, _, _, _ = env.step(env.unwrapped.oracle_action())
    drawn, printed = _drawn(env)
    if mode == "rgb_array":
        _require_picture(drawn)
        return
    if mode == "human":
        require(drawn is None, "render_mode='human' prints and returns None")
        drawn = printed
    require(isinstance(drawn, str), f"render_mode={mode!r} gives {type(drawn).__name__}, no string")
    word = env.unwrapped.task.corpus.samples[0].words[0]
    require(
        word in drawn or word.replace("&", "&amp;") in drawn,
        f"the drawing does not show the text: {word!r} is not in it",
    )
    require(f"reward {reward:+.3f}" in drawn, f"the drawing does not show 'reward {reward:+.3f}'")
    require(mode != "html" or drawn.startswith("<div"), "HTML does not begin with <div")


def render_batched(subject: Subject) -> None:
    """The vector environment gives a drawing per environment in every mode, and knows no other."""
    quiet = subject.vector(2)
    require(quiet.render() is None, "render() without a mode must give None")
    for mode in quiet.metadata["render_modes"]:
        env = subject.vector(2, render_mode=mode, obs_type="index")
        env.reset(options={"row": [0, 1]})
        drawn, printed = _drawn(env)
        if mode == "human":
            require(drawn is None, "render_mode='human' prints and returns None")
            drawn = [printed]
        elif mode == "rgb_array":
            for picture in drawn:
                _require_picture(picture)
        require(mode == "human" or len(drawn) == 2, f"{len(drawn)} drawings of 2 environments")
        if mode != "rgb_array":
            text = "".join(drawn)
            place = env.task.frame(env._state, 0).place.split("/")[0]
            require(text.count(place) >= 2, f"{mode}: the drawings do not both show {place!r}")
    with refused(UnknownNameError, "render_mode='ascii'"):
        subject.vector(2, render_mode="ascii")


def _require_picture(picture: Any) -> None:
    """A picture is an array (height, width, 3) of bytes."""
    require(
        isinstance(picture, np.ndarray)
        and picture.ndim == 3
        and picture.shape[2] == 3
        and picture.dtype == np.uint8,
        f"a picture must be (height, width, 3) uint8, not {np.shape(picture)}",
    )
