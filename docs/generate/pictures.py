"""An episode of an id on its bundled sample, drawn by the environment's own `render`.

``python -m docs.generate.pictures`` writes the picture of the README and the film of "Getting
started" anew; all others are made when the site is built.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image

import nlp_gym  # noqa: F401 - registers the ids
from nlp_gym.render.film import film_bytes

ROWS, DECISIONS, KINDS = 40, 12, 4
"""Samples that are looked at; a good episode has so many decisions, of so many kinds."""
MOST_ACTIONS = 700
"""Where there are more, texts are written, and a random token says nothing to a reader."""
STILL = 4
"""An episode of fewer decisions is shown as a still picture of its moments."""
COLOURS, MARGIN, GAP, BETWEEN = 96, 20, 12, "#d1d9e0"
"""Of a picture: most colours, pixels below what is drawn, and what is between moments."""
README_SAMPLE, README_WORDS, README_MISTAKE = "train.conll:6453", 14, "Greek-owned"
"""Of the picture of the README: what is read, how far, and which word gets a wrong tag."""
STATIC = Path(__file__).resolve().parents[1] / "_static"
FILM_ID = "NER-CoNLL-v0"
"""Of the film in "Getting started", which is also read where no site is built."""


@dataclass(frozen=True)
class Episode:
    """An episode in pictures.

    Attributes:
        frames: What `render` drew before the first decision and after each one.
        moments: The frames that tell the story: the start, the middle, the end.
        caption: Who plays, and how it went.
    """

    frames: list[Image.Image]
    moments: list[int]
    caption: str

    @property
    def moves(self) -> bool:
        """Whether the episode is long enough for a moving picture."""
        return len(self.frames) > STILL

    @cached_property
    def end(self) -> bytes:
        """PNG of the last frame."""
        return _png(_cropped([self.frames[-1]])[0])

    @cached_property
    def strip(self) -> bytes:
        """PNG of the moments, one below the other."""
        parts = [_cropped([self.frames[i]])[0] for i in self.moments]
        height = sum(part.height + GAP for part in parts) - GAP
        sheet = Image.new("RGB", (parts[0].width, height), BETWEEN)
        top = 0
        for part in parts:
            sheet.paste(part, (0, top))
            top += part.height + GAP
        return _png(sheet)

    @cached_property
    def movie(self) -> bytes:
        """Animated WebP of all frames."""
        return film_bytes(_cropped(self.frames), "webp")


def episode(env_id: str) -> Episode:
    """An episode that shows what the id is about.

    The expert plays. In the middle of episodes of at least four decisions it makes a wrong one,
    where that does not end the episode and its action can be read.
    """
    env = _drawn(env_id)
    row, n = _telling_sample(env)
    wrong = n // 2 if n > 3 and env.action_space.n <= MOST_ACTIONS else None
    frames, total, score = _played(env, row, wrong)
    if wrong is not None and len(frames) <= n:
        wrong = None
        frames, total, score = _played(env, row, wrong)
    n = len(frames) - 1  # a task that draws what happens need not play the same again
    moments = sorted({0, n // 2 if wrong is None else wrong + 1, n})
    who = "The oracle plays" + (", with one wrong decision" if wrong is not None else "")
    decisions = "1 decision" if n == 1 else f"{n} decisions"
    caption = f"{who}: {decisions}, rewards of {total:+.3f} in all, score {score:.3f}."
    return Episode(frames, moments, caption)


def _drawn(env_id: str) -> Any:
    """The environment on its bundled sample, drawn as pictures."""
    return gym.make(env_id, corpus="sample", encoder="hashed", render_mode="rgb_array").unwrapped


def _played(env: Any, row: int, wrong: int | None) -> tuple[list[Image.Image], float, float]:
    """Frames of an episode on a sample, the sum of its rewards, and its score."""
    env.reset(options={"row": row})
    frames, total = [Image.fromarray(env.render())], 0.0
    while True:
        action = env.oracle_action()
        if len(frames) - 1 == wrong:
            action = _another(env, action)
        _, reward, ended, _, info = env.step(action)
        frames.append(Image.fromarray(env.render()))
        total += reward
        if ended:
            return frames, total, info["score"]


def _telling_sample(env: Any) -> tuple[int, int]:
    """A sample and its decisions: solved, of several kinds, and neither few nor many."""

    def interest(row: int) -> tuple[float, int, int]:
        env.reset(options={"row": row})
        played: list[int] = []
        ended = False
        while not ended:
            played.append(env.oracle_action())
            _, _, ended, _, info = env.step(played[-1])
        lengths[row] = len(played)
        return info["score"], min(len(set(played)), KINDS), -abs(len(played) - DECISIONS)

    lengths: dict[int, int] = {}
    best = max(range(min(len(env.task.corpus), ROWS)), key=interest)
    return best, lengths[best]


def _another(env: Any, action: int) -> int:
    """A legal action that is not `action`, where there is one: the next one up."""
    legal = env.action_masks().nonzero()[0]
    others = [*legal[legal > action], *legal[legal < action], action]
    return int(others[0])


def _cropped(frames: list[Image.Image]) -> list[Image.Image]:
    """The frames without the empty space that all of them have at the bottom."""
    drawn = [np.flatnonzero((np.asarray(frame) < 255).any(axis=(1, 2))) for frame in frames]
    bottom = min(max(int(rows[-1]) for rows in drawn) + MARGIN, frames[0].height)
    return [frame.crop((0, 0, frame.width, bottom)) for frame in frames]


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def readme_picture() -> bytes:
    """PNG of a moment of an episode of NER, with a wrong decision behind it."""
    env = _drawn("NER-CoNLL-v0")
    task = env.task
    row = next(i for i, sample in enumerate(task.corpus.samples) if sample.id == README_SAMPLE)
    env.reset(options={"row": row})
    for word in task.sample(row).words[:README_WORDS]:
        right = env.oracle_action()
        env.step(task.labels.index("B-LOC") if word == README_MISTAKE else right)
    return _png(_cropped([Image.fromarray(env.render())])[0])


def film() -> bytes:
    """GIF of an episode with a wrong decision in it."""
    return film_bytes(_cropped(episode(FILM_ID).frames), "gif")


if __name__ == "__main__":
    (STATIC / "episode.png").write_bytes(readme_picture())
    (STATIC / "film.gif").write_bytes(film())
