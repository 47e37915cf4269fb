"""TorchRL on environments with masks: the example learns, and episodes are those of the id."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("torchrl")

import torch
from tensordict.nn import TensorDictModule
from torchrl.envs import GymWrapper

import nlp_gym
from examples import torchrl_ppo

pytestmark = pytest.mark.usefixtures("one_thread")
OPTIONS = ["--env", "POS-EWT-v0", "--encoder", "hashed", "--num-envs", "32"]


def test_torchrl_example_learns(capsys: pytest.CaptureFixture[str]) -> None:
    before = torchrl_ppo.main([*OPTIONS, "--steps", "256"])[2]
    steps, _, dev = torchrl_ppo.main([*OPTIONS, "--steps", "12800"])
    assert steps == 12800
    assert dev > before + 0.15  # accuracy; chance is one in 17
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["dev"] == round(dev, 4)


@pytest.mark.parametrize("mode", ["Disabled", "SameStep"])
def test_torchrl_resets_each_environment_when_its_text_ends(mode: str) -> None:
    venv = nlp_gym.make_vec_env(
        "NER-CoNLL-v0", 3, layout="obs_mask", autoreset_mode=mode, encoder="hashed"
    )
    env: Any = GymWrapper(venv, categorical_action_encoding=True)
    env.set_seed(0)

    legal = TensorDictModule(lambda mask: mask.int().argmax(-1), ["mask"], ["action"])
    played = env.rollout(60, legal, break_when_any_done=False)
    assert played.batch_size == (3, 60)
    done = played["next", "done"].squeeze(-1)
    assert done.any(1).all()
    # What is decided on after a step is what the step gave, except where a text ended.
    after, then = played["next", "obs"][:, :-1], played["obs"][:, 1:]
    same = (after == then).all(-1)
    assert same[~done[:, :-1]].all()
    assert not same[done[:, :-1]].any()
    assert torch.isfinite(played["obs"]).all()
    assert played["mask"].gather(-1, played["action"].unsqueeze(-1)).all()
