"""How training goes on from a warm start: sharper logits, values that fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import obs_as_tensor

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.training.callbacks.rollout_parts import by_step, rollout_batches
from nlp_gym_agents.training.callbacks.value_fit import FittedValues
from nlp_gym_agents.training.start.setup import set_up
from nlp_gym_agents.training.start.warm_start import sharpen

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def pos() -> Task:
    task = make_task("POS-EWT-v0", "train", corpus="sample", encoder="hashed")
    task.encode(progress=False)
    return task


def build(algo: str, task: Task, **changes: Any) -> Any:
    params = load_hyperparams(algo, "POS-EWT-v0", changes)
    for key in ("n_timesteps", "n_envs", "env_kwargs"):
        params.pop(key, None)
    return build_model(resolve(algo), task, params, n_envs=8, device="cpu", seed=3)


def explained(values: Any, returns: Any) -> float:
    return float(1 - (returns - values).var() / returns.var())


@pytest.mark.parametrize("algo", ["ppo", "maskable_ppo", "a2c"])
def test_starts_fit_values_to_the_first_rollout(algo: str, pos: Task) -> None:
    model = build(algo, pos, n_steps=64, gamma=0.9, learning_rate=1e-9)
    seen: dict[str, Any] = {}

    class After(FittedValues):
        def _on_rollout_end(self) -> None:
            buffer: Any = self.model.rollout_buffer
            before = explained(buffer.values, buffer.returns)
            offset = model.policy.value_net.bias.detach().clone()
            super()._on_rollout_end()
            after = explained(buffer.values, buffer.returns)
            changed = not th.equal(offset, model.policy.value_net.bias)
            seen.setdefault("rollouts", []).append((before, after, changed))
            obs = {key: values[:, 2] for key, values in buffer.observations.items()}
            tensors: Any = obs_as_tensor(obs, model.device)
            latent = BasePolicy.extract_features(
                model.policy, tensors, model.policy.vf_features_extractor
            )
            own = model.policy.value_net(latent).detach().numpy()[:, 0]
            np.testing.assert_allclose(own, buffer.values[:, 2], atol=1e-4)
            np.testing.assert_allclose(buffer.advantages, buffer.returns - buffer.values, atol=1e-5)

    model.learn(2 * 64 * 8, callback=After())
    first, second = seen["rollouts"]
    assert first[2]
    assert not second[2]
    assert first[1] > max(first[0], 0.2)
    assert second[1] == second[0]
    seen.clear()
    model.learn(64 * 8, callback=After(), reset_num_timesteps=False)
    assert not seen["rollouts"][0][2]  # it has values of its own by now


class Rollout(BaseCallback):
    """Looks at the first rollout before it is learned from, which moves its axes."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        model: Any = self.model
        buffer = model.rollout_buffer
        found = list(rollout_batches(buffer))
        assert len(found) == 2
        rows = np.concatenate([seen["row"] for _, seen in found])[:, 0]
        np.testing.assert_array_equal(by_step(rows, buffer), buffer.observations["row"][..., 0])
        for at, seen in found:
            np.testing.assert_array_equal(seen["row"], buffer.observations["row"][at])
        self.seen = True


def test_starts_rollout_parts_have_every_decision_once(pos: Task) -> None:
    model = build("ppo", pos, n_steps=320)
    look = Rollout()
    model.learn(320 * 8, callback=look)
    assert look.seen


def test_starts_sharpen_without_another_choice(pos: Task) -> None:
    model = build("maskable_ppo", pos)
    obs: Any = obs_as_tensor(model.env.reset(), model.device)
    before = model.policy.get_distribution(obs).distribution
    sharpen(model.policy, 0.5)
    after = model.policy.get_distribution(obs).distribution
    assert th.equal(before.logits.argmax(1), after.logits.argmax(1))
    assert (after.entropy() < before.entropy()).all()
    th.testing.assert_close(th.log_softmax(2 * before.logits, 1), after.logits)


@pytest.mark.parametrize(
    ("env", "algo", "start", "error", "message"),
    [
        ("POS-EWT-v0", "ppo", {"temprature": 1}, UnknownNameError, "Did you mean 'temperature'"),
        ("POS-EWT-v0", "ppo", {"temperature": 0}, InvalidArgumentError, "start.temperature=0"),
        ("POS-EWT-v0", "ppo", {"fit_values": "yes"}, InvalidArgumentError, "start.fit_values"),
        ("POS-EWT-v0", "masked_dqn", {"temperature": 0.5}, InvalidArgumentError, "no linear"),
        ("POS-EWT-v0", "dqn", {"fit_values": True}, InvalidArgumentError, "no rollouts"),
        ("POS-EWT-v0", "recurrent_ppo", {"fit_values": True}, InvalidArgumentError, "no rollouts"),
        ("SpanQA-SQuAD-v0", "ppo", {"temperature": 0.5}, InvalidArgumentError, "no linear"),
    ],
)
def test_starts_refuse_what_cannot_be(
    env: str, algo: str, start: dict[str, Any], error: type[Exception], message: str
) -> None:
    config = TrainConfig(
        env,
        algo,
        n_timesteps=64,
        device="cpu",
        hyperparams={"start": start},
        warm_start="bc",
        env_kwargs={"corpus": "sample", "encoder": "hashed"},
    )
    with pytest.raises(error, match=message):
        set_up(merge(config), progress=False)


def test_starts_are_those_of_warm_starts() -> None:
    config = TrainConfig("POS-EWT-v0", "ppo", hyperparams={"start": {"fit_values": True}})
    with pytest.raises(InvalidArgumentError, match="--warm-start"):
        merge(config)


def test_starts_of_a_run_are_not_those_of_another_release() -> None:
    written = merge(TrainConfig("Translation-Multi30k-v0", "maskable_ppo", warm_start="bc"))
    assert merge(written, complete=True) == written
    assert "start" in written.hyperparams
    older = {k: v for k, v in written.hyperparams.items() if k not in ("start", "kl")}
    found = merge(written.with_changes(hyperparams=older), complete=True)
    assert found.hyperparams == older


def test_starts_with_an_encoder_that_learns_keep_its_layers() -> None:
    given = {"encoder_kwargs": {"dtype": "float32"}}
    config = TrainConfig("Intent-CLINC-v0", "a2c", env_kwargs=given, encoder_mode="finetune")
    found = merge(config).env_kwargs["encoder_kwargs"]
    assert found == {"dtype": "float32", "layers": "last"}
