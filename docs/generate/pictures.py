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

    The expert plays, but for one decision in the middle of episodes of at least four.
    """
    env: Any = gym.make(env_id, corpus="sample", encoder="hashed", render_mode="html").unwrapped
    row, played = _telling_episode(env)
    wrong = len(played) // 2 if len(played) > 3 and env.action_space.n <= MOST_ACTIONS else None
    env.reset(options={"row": row})
    frames, total, score, ended = [env.render()], 0.0, None, False
    while not ended:
        action = env.oracle_action()
        if len(frames) - 1 == wrong:
            action = _another(env, action)
        _, reward, ended, _, info = env.step(action)
        frames.append(env.render())
        total, score = total + reward, info.get("score")
    n = len(frames) - 1
    chosen = sorted({0, wrong + 1 if wrong is not None else n // 2, n})
    who = "The oracle plays" + (", with one wrong decision" if wrong is not None else "")
    caption = f"{who}: {n} decisions, rewards of {total:+.3f} in all, score {score:.3f}."
    return Strip([frames[i] for i in chosen], caption.replace("1 decisions", "1 decision"))


def _telling_episode(env: Any) -> tuple[int, list[int]]:
    """The sample whose episode is solved, has decisions of several kinds, and a fair length."""

    def episode(row: int) -> tuple[float, list[int]]:
        env.reset(options={"row": row})
        played: list[int] = []
        while True:
            played.append(env.oracle_action())
            _, _, ended, _, info = env.step(played[-1])
            if ended:
                return info["score"], played

    def interest(row: int) -> tuple[float, int, int]:
        score, played = episodes[row]
        return score, min(len(set(played)), KINDS), -abs(len(played) - DECISIONS)

    episodes = [episode(row) for row in range(min(len(env.task.corpus), ROWS))]
    best = max(range(len(episodes)), key=interest)
    return best, episodes[best][1]


def _another(env: Any, action: int) -> int:
    """A legal action that is not `action`, where there is one: the next one up."""
    legal = env.action_masks().nonzero()[0]
    others = [*legal[legal > action], *legal[legal < action], action]
    return int(others[0])
