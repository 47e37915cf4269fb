"""An episode of an id on its bundled sample, drawn by the environment's own `render`."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

ROWS, DECISIONS, KINDS = 40, 12, 4
"""Samples that are looked at; a good episode has so many decisions, of so many kinds."""
MOST_ACTIONS = 700
"""Where there are more, texts are written, and a random token says nothing to a reader."""


@dataclass(frozen=True)
class Strip:
    """Moments of one episode.

    Attributes:
        frames: HTML of each, from the start to the end.
        caption: Who plays, and how it went.
    """

    frames: list[str]
    caption: str

    def html(self, *, last: bool = False) -> str:
        """One block of HTML without an empty line, as Markdown wants it; `last`: the end alone."""
        frames = self.frames[-1:] if last else self.frames
        drawn = "".join(f"<div>{frame}</div>" for frame in frames)
        caption = "" if last else f"<figcaption>{html.escape(self.caption)}</figcaption>"
        return f'<figure class="episode">{drawn}{caption}</figure>'.replace("\n", "<br>")


def strip(env_id: str) -> Strip:
    """The start, the middle and the end of an episode that shows what the id is about.

    The expert plays. In the middle of episodes of at least four decisions it makes a wrong one,
    where that does not end the episode and its action can be read.
    """
    env: Any = gym.make(env_id, corpus="sample", encoder="hashed", render_mode="html").unwrapped
    row, n = _telling_episode(env)
    wrong = n // 2 if n > 3 and env.action_space.n <= MOST_ACTIONS else None
    frames, total, score = _played(env, row, wrong)
    if wrong is not None and len(frames) <= n:
        wrong = None
        frames, total, score = _played(env, row, wrong)
    chosen = sorted({0, n // 2 if wrong is None else wrong + 1, n})
    who = "The oracle plays" + (", with one wrong decision" if wrong is not None else "")
    decisions = "1 decision" if n == 1 else f"{n} decisions"
    caption = f"{who}: {decisions}, rewards of {total:+.3f} in all, score {score:.3f}."
    return Strip([frames[i] for i in chosen], caption)


def _played(env: Any, row: int, wrong: int | None) -> tuple[list[str], float, float]:
    """Frames of an episode on a sample, the sum of its rewards, and its score."""
    env.reset(options={"row": row})
    frames, total = [env.render()], 0.0
    while True:
        action = env.oracle_action()
        if len(frames) - 1 == wrong:
            action = _another(env, action)
        _, reward, ended, _, info = env.step(action)
        frames.append(env.render())
        total += reward
        if ended:
            return frames, total, info["score"]


def _telling_episode(env: Any) -> tuple[int, int]:
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
