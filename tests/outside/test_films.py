"""Films by Gymnasium's RecordVideo: of an episode of every kind of id, and of a batch."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import RecordVideo
from gymnasium.wrappers.vector import RecordVideo as VectorRecordVideo
from moviepy import VideoFileClip

import nlp_gym
from nlp_gym.registration import ENVS
from nlp_gym.render.picture import HEIGHT, WIDTH

SMALL = {"encoder": "hashed", "corpus": "sample", "obs_type": "index", "render_mode": "rgb_array"}
FAMILIES = list({row.task: row.id for row in reversed(ENVS)}.values())
"""An id of each: tests/test_render_envs.py looks at the pictures of all ids."""
BLUR = 2.0
"""A film is compressed: how far a level of colour may be off in the mean."""


def the_film(folder):
    """Frames per second and frames of the only film in a folder."""
    (path,) = folder.glob("*.mp4")
    with VideoFileClip(str(path), audio=False) as clip:
        return clip.fps, np.stack(list(clip.iter_frames(dtype="uint8")))


@pytest.mark.parametrize("env_id", FAMILIES)
def test_a_film_shows_every_decision(tmp_path, env_id):
    env = RecordVideo(
        gym.make(env_id, max_episode_steps=4, **SMALL), str(tmp_path / "films"), disable_logger=True
    )
    env.reset(seed=0)
    drawn = [env.unwrapped.render()]
    while not any(env.step(env.unwrapped.oracle_action())[2:4]):
        drawn.append(env.unwrapped.render())
    drawn.append(env.unwrapped.render())
    env.close()
    fps, film = the_film(tmp_path / "films")
    assert fps == env.metadata["render_fps"]
    assert film.shape == (len(drawn), HEIGHT, WIDTH, 3)
    for shown, picture in zip(film, drawn, strict=True):
        off = [np.abs(shown.astype(int) - other).mean() for other in drawn]
        assert np.array_equal(drawn[int(np.argmin(off))], picture)
        assert min(off) < BLUR


def test_a_film_of_a_batch_shows_its_environments_side_by_side(tmp_path):
    batch = nlp_gym.make_vec_env("Topic-AGNews-v0", 2, autoreset_mode="NextStep", **SMALL)
    env = VectorRecordVideo(
        batch, str(tmp_path / "films"), episode_trigger=lambda n: n == 0, disable_logger=True
    )
    env.reset(seed=0)
    for _ in range(4):
        env.step(batch.oracle_actions())
    env.close()
    _, film = the_film(tmp_path / "films")
    assert len(film) >= 2
    assert film.shape[1] * film.shape[2] == 2 * HEIGHT * WIDTH
