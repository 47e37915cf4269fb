"""RLlib's new API stack: two env runners train the examples, and masks are obeyed everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray.rllib")

import gymnasium as gym
import torch
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule

import nlp_gym
from examples import rllib_dqn, rllib_ppo

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]
OPTIONS = ["--env", "POS-EWT-v0", "--encoder", "hashed", "--num-envs", "32"]


@pytest.mark.parametrize(
    ("example", "options", "least"),
    [(rllib_ppo, [], 8000), (rllib_dqn, ["--batch", "64"], 4000)],
)
def test_rllib_example_learns(
    example: Any, options: list[str], least: int, capsys: pytest.CaptureFixture[str]
) -> None:
    steps, seconds, dev = example.main([*OPTIONS, *options, "--steps", str(least)])
    assert least <= steps < least + 2000
    assert dev > 0.25  # accuracy; chance is one in 17
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["steps"], said["dev"]) == (steps, round(dev, 4))
    assert seconds > 0
    assert said["rss_mb"] > 100


@pytest.mark.parametrize("name", ["rllib_ppo", "rllib_dqn"])
def test_rllib_examples_need_few_lines_of_this_project(name: str) -> None:
    source = Path(nlp_gym.__file__).parents[1].joinpath("examples", f"{name}.py")
    lines = source.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert 5 < sum(line.endswith(("# nlp_gym", "# score")) for line in lines) <= 25


def observed() -> tuple[dict[str, torch.Tensor], Any]:
    """Observations in RLlib's layout of 64 environments in the middle of texts, and these."""
    envs = nlp_gym.make_vec_env(
        "NER-CoNLL-v0", 64, layout="observations_action_mask", encoder="hashed", corpus="sample"
    )
    obs, info = envs.reset(seed=0)
    envs.action_space.seed(0)
    for _ in range(3):
        obs, _, _, _, info = envs.step(envs.action_space.sample(info["action_mask"]))
    assert 0 < obs["action_mask"].mean() < 1
    return {key: torch.from_numpy(value) for key, value in obs.items()}, envs


def build(module: Any, envs: Any, **config: Any) -> Any:
    torch.manual_seed(0)
    return RLModuleSpec(
        module_class=module,
        observation_space=envs.single_observation_space,
        action_space=envs.single_action_space,
        model_config={"fcnet_hiddens": [16], **config},
    ).build()


def test_rllib_ppo_module_gives_illegal_actions_no_probability() -> None:
    obs, envs = observed()
    module = build(ActionMaskingTorchRLModule, envs, vf_share_layers=True)
    kind = module.get_exploration_action_dist_cls()
    for forward in (module.forward_exploration, module.forward_inference):
        out = forward({"obs": dict(obs)})
        logits = out["action_dist_inputs"]
        shares = logits.softmax(-1)
        assert (shares[obs["action_mask"] == 0] == 0).all()
        assert (shares[obs["action_mask"] == 1] > 0).all()
        drawn = kind.from_logits(logits).sample()
        assert obs["action_mask"].gather(1, drawn[:, None]).all()


def test_rllib_dqn_module_neither_plays_nor_explores_nor_bootstraps_illegal_actions() -> None:
    obs, envs = observed()
    settings = {"double_q": True, "dueling": True, "num_atoms": 1, "epsilon": 1.0}
    module = build(rllib_dqn.MaskedDQN, envs, head_fcnet_hiddens=[16], **settings)
    module.make_target_networks()
    legal = obs["action_mask"]
    explored = [module.forward_exploration({"obs": obs}, t=0)["actions"] for _ in range(50)]
    for drawn in (*explored, module.forward_inference({"obs": obs})["actions"]):
        assert legal.gather(1, drawn[:, None].long()).all()
    seen = np.unique(torch.stack(explored)[:, 0])  # of the first: every legal action, in 50 draws
    assert set(seen) == set(legal[0].nonzero()[:, 0].tolist())
    out = module.forward_train({"obs": obs, "new_obs": obs})
    for values in (out["qf_preds"], out["qf_next_preds"], out["qf_target_next_preds"]):
        assert torch.equal(torch.isinf(values), legal == 0)


def test_rllib_vector_entry_point_is_the_native_environment() -> None:
    """What an env runner makes from the examples' settings, by the id with its module in front."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    options = {"layout": "observations_action_mask", "autoreset_mode": "NextStep"}
    config = (
        PPOConfig()
        .environment("nlp_gym:NER-CoNLL-v0", env_config={"encoder": "hashed", **options})
        .env_runners(num_envs_per_env_runner=4, gym_env_vectorize_mode="vector_entry_point")
        .rl_module(rl_module_spec=RLModuleSpec(module_class=ActionMaskingTorchRLModule))
    )
    runner: Any = SingleAgentEnvRunner(config=config)
    native = runner.env.unwrapped
    assert type(native).__module__.startswith("nlp_gym.")
    assert native.metadata["autoreset_mode"] == gym.vector.AutoresetMode.NEXT_STEP
    episodes = runner.sample(num_timesteps=200)
    assert sum(len(episode) for episode in episodes) >= 200
    for episode in episodes:
        actions = np.asarray(episode.get_actions())
        masks = np.asarray(episode.get_observations(slice(0, len(actions)))["action_mask"])
        assert masks[np.arange(len(actions)), actions].all()
    runner.stop()
