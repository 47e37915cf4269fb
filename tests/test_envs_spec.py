"""The spec of an environment: what Gymnasium made it with can be written as JSON and made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec

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
