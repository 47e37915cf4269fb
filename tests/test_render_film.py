"""Films: pictures of an episode in one file."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

import nlp_gym
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.render import save_film


@pytest.fixture(scope="module")
def frames():
    """Pictures of an episode."""
    env = gym.make("NER-CoNLL-v0", encoder="hashed", corpus="sample", render_mode="rgb_array_list")
    env.reset(options={"row": 0})
    while not any(env.step(env.unwrapped.oracle_action())[2:4]):
        pass
    return env.render()


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_a_film_shows_each_frame_as_long_as_asked(tmp_path, frames, kind):
    path = save_film(frames, tmp_path / f"new/film.{kind}", pause_s=0.5, last_pause_s=2)
    with Image.open(path) as film:
        assert film.n_frames == len(frames)
        pauses = []
        for i, frame in enumerate(frames):
            film.seek(i)
            film.load()
            pauses.append(film.info["duration"])
            off = np.abs(np.asarray(film.convert("RGB")).astype(int) - frame)
            assert off.max() == 0 if kind != "gif" else off.mean() < 1
        assert film.info["loop"] == 0
    assert pauses == [500] * (len(frames) - 1) + [2000]
    assert list(path.parent.iterdir()) == [path]


def test_a_film_of_one_frame_is_a_picture(tmp_path, frames):
    with Image.open(save_film(frames[:1], str(tmp_path / "one.gif"))) as film:
        assert film.size == frames[0].shape[1::-1]


@pytest.mark.parametrize(
    ("given", "name", "error", "message"),
    [
        ([], "film.gif", InvalidArgumentError, r"frames=\[\].*rgb_array_list"),
        (None, "film.gif", InvalidArgumentError, "frames=None"),
        ([np.zeros((2, 2, 3))], "film.gif", InvalidArgumentError, r"frames\[0\].*uint8"),
        (["text"], "film.gif", InvalidArgumentError, r"frames\[0\]"),
        ([np.zeros((2, 2, 3), np.uint8)], "film.mp4", UnknownNameError, r"\.mp4.*\.gif"),
    ],
)
def test_what_is_no_film_is_refused(tmp_path, given, name, error, message):
    with pytest.raises(error, match=message):
        save_film(given, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_frames_of_two_shapes_and_odd_pauses_are_refused(tmp_path, frames):
    with pytest.raises(InvalidArgumentError, match=r"frames\[1\].*first has shape"):
        save_film([frames[0], frames[0][:100]], tmp_path / "film.gif")
    for pause in (0, -1, float("nan"), True, "1"):
        with pytest.raises(InvalidArgumentError, match="last_pause_s"):
            save_film(frames, tmp_path / "film.gif", last_pause_s=pause)
    assert nlp_gym.render.film.PAUSE_S < nlp_gym.render.film.LAST_PAUSE_S


@pytest.mark.slow
def test_a_trained_agent_is_filmed_as_it_decides(tmp_path, one_thread):
    from nlp_gym_agents import film_episode
    from nlp_gym_agents.config.train_config import TrainConfig
    from nlp_gym_agents.prediction.agent import Agent
    from nlp_gym_agents.training.train import train

    config = TrainConfig(
        algo="ppo",
        n_timesteps=64,
        n_envs=8,
        hyperparams={"n_steps": 8, "batch_size": 64},
        env_kwargs={"corpus": "sample", "encoder": "hashed", "window": 0},
    )
    run = train(config, run_dir=tmp_path / "run", progress=False)
    agent = Agent(run)
    words = agent.trained.task("dev").sample(3).words
    path = film_episode(agent, tmp_path / "film.png", row=3)
    with Image.open(path) as film:
        assert film.n_frames == len(words) + 1
    again = film_episode(run, tmp_path / "again.png", row=3)
    assert again.read_bytes() == path.read_bytes()
    with pytest.raises(InvalidArgumentError, match="row=100 must be an integer from 0 to 99"):
        film_episode(agent, tmp_path / "none.gif", row=100)
    with pytest.raises(UnknownNameError, match="split"):
        film_episode(agent, tmp_path / "none.gif", split="valid")
    assert not (tmp_path / "none.gif").exists()
