"""The spec of an environment: what Gymnasium made it with can be written as JSON and made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from nlp_gym import memory
from nlp_gym.types import Sample

MAKE = "Classification-v0"


def files(folder: Path) -> dict[str, Path]:
    found = {split: folder / f"{split}.csv" for split in ("train", "dev", "test")}
    for path in found.values():
        path.write_text("text,label\nA warm day,good\nToo cold,bad\n")
    return found


@pytest.mark.parametrize(
    "form", [lambda x: x["train"].parent, lambda x: x, lambda x: str(x["dev"].parent)]
)
def test_spec_of_data_at_a_path_is_json(tmp_path: Path, form: Callable[[Any], Any]) -> None:
    data = form(files(tmp_path))
    env = gym.make(MAKE, data=data, data_dir=tmp_path, encoder="hashed")
    assert env.spec is not None
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.spec == env.unwrapped.spec
    assert again.spec is not None
    assert again.spec.kwargs["data_dir"] == str(tmp_path)
    observations = [made.reset(seed=3)[0]["context"].tolist() for made in (env, again)]
    assert observations[0] == observations[1]
    vector = gym.make_vec(MAKE, num_envs=2, data=data, encoder="hashed")
    assert vector.spec is not None
    assert str(tmp_path) in vector.spec.to_json()


def test_spec_of_paths_in_lists_and_mappings_is_json(tmp_path: Path) -> None:
    spec = EnvSpec("Any-v0", kwargs={"a": [{"b": (tmp_path, 1)}], "c": {"d": {"e": tmp_path}}})
    env = gym.make(MAKE, data=files(tmp_path), encoder="hashed").unwrapped
    env.spec = spec
    assert env.spec is not None
    assert env.spec.kwargs == {
        "a": [{"b": [str(tmp_path), 1]}],
        "c": {"d": {"e": str(tmp_path)}},
    }


def test_spec_keeps_samples_that_are_no_paths() -> None:
    samples = [Sample(("a",), ("x",)), Sample(("b",), ("y",))]
    env = gym.make(MAKE, data=samples, encoder="hashed")
    assert env.spec is not None
    assert env.spec.kwargs["data"] == samples
    assert str(env.unwrapped) == f"<TaskEnv<{MAKE}>>"


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_spec_says_once_that_replay_does_not_fit(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(memory, "memory_limit", lambda: 25 * 10**9)
    monkeypatch.setattr(memory, "_warned", set())
    small: dict[str, Any] = {"corpus": "sample", "encoder": "hashed"}
    make("SpanQA-SQuAD-v0", obs_type="index", **small)
    make("SpanQA-SQuAD-v0", obs_type="tokens", **small)
    make("NER-CoNLL-v0", **small)  # 14 KB do not fit either, but are no more than usual
    assert not caplog.records
    env = make("SpanQA-SQuAD-v0", **small)
    make("SpanQA-SQuAD-v0", **small)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("nlp_gym", "WARNING")
    space = getattr(env, "single_observation_space", env.observation_space)
    one = sum(box.dtype.itemsize * int(np.prod(box.shape)) for box in space.spaces.values())
    size = f"{one / 1000:.1f} KB, and 1,000,000 of them {one / 1000:.1f} GB."
    assert record.getMessage().startswith(f"An observation of SpanQA-SQuAD-v0 takes {size}")
    assert "obs_type='index' (with Stable-Baselines3: make_sb3_env and" in record.getMessage()


def test_spec_is_silent_where_replay_fits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(memory, "memory_limit", lambda: 10**15)
    monkeypatch.setattr(memory, "_warned", set())
    gym.make("SpanQA-SQuAD-v0", corpus="sample", encoder="hashed")
    assert not caplog.records
