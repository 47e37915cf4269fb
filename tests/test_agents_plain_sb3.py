"""Plain Stable-Baselines3 code: its own algorithms, wrappers and files on environments of ours."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from sb3_contrib import QRDQN, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack, VecNormalize

import nlp_gym
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym_agents import NameCorpus, SB3VecEnv, make_sb3_env, nlp_policy_kwargs, score_model
from nlp_gym_agents.algorithms.encoder_optimizer import OwnRateAdam
from nlp_gym_agents.algorithms.q_learning.masked_dqn import MaskedDQN
from nlp_gym_agents.algorithms.registry import ALGORITHMS, resolve
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.networks.features.open_corpora import corpus_number
from nlp_gym_agents.networks.policies.pointer import PointerDuelingDQNPolicy

NER, SPANS = "NER-CoNLL-v0", "SpanQA-SQuAD-v0"
SMALL: dict[str, Any] = {"encoder": "hashed", "corpus": "sample"}
ROLLOUT: dict[str, Any] = {"n_steps": 8, "batch_size": 8, "n_epochs": 1}
REPLAY: dict[str, Any] = {"buffer_size": 64, "learning_starts": 8, "batch_size": 8}
STOCK: dict[type, dict[str, Any]] = {
    PPO: ROLLOUT,
    A2C: {},
    MaskablePPO: ROLLOUT,
    DQN: REPLAY,
    QRDQN: {**REPLAY, "policy_kwargs": {"n_quantiles": 5}},
    RecurrentPPO: {**ROLLOUT, "policy_kwargs": {"lstm_hidden_size": 8}},
}

pytestmark = pytest.mark.usefixtures("one_thread")


def stock(cls: type, env: Any, **kwargs: Any) -> Any:
    """An algorithm of its library, by the name of its library's policy."""
    options = dict(STOCK[cls])
    policy = {**nlp_policy_kwargs(env, hidden=[16], **kwargs), **options.pop("policy_kwargs", {})}
    name = "MultiInputLstmPolicy" if cls is RecurrentPPO else "MultiInputPolicy"
    return cls(name, env, policy_kwargs=policy, seed=0, device="cpu", **options)


def venvs(env_id: str) -> dict[str, Any]:
    """The same two environments, in three ways."""
    index = {**SMALL, "obs_type": "index"}
    return {
        "native": make_sb3_env(env_id, 2, seed=0, **SMALL),
        "features": make_vec_env(env_id, 2, seed=0, env_kwargs=SMALL),
        "index": make_vec_env(env_id, 2, seed=0, env_kwargs=index, wrapper_class=NameCorpus),
    }


@pytest.mark.parametrize("cls", STOCK)
def test_plain_sb3_learns_alike_on_every_kind_of_environment(cls: type) -> None:
    """Stock algorithms see the same numbers through rows of a corpus and through vectors."""
    scores = {}
    for kind, env in venvs(NER).items():
        model = stock(cls, env).learn(32)
        scores[kind] = [p.detach().double().sum().item() for p in model.policy.parameters()]
    assert scores["index"] == pytest.approx(scores["features"], rel=1e-4, abs=1e-4)
    assert scores["native"] == pytest.approx(scores["features"], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", ["maskable_ppo", "ppo", "dqn", "qrdqn"])
def test_plain_sb3_learns_what_the_own_trainer_learns(name: str) -> None:
    row = ALGORITHMS[name]
    options = {k: v for k, v in STOCK[row.cls].items() if k != "policy_kwargs"}
    reads = {"features_extractor_kwargs": {"hidden": [16]}}
    given = {"policy": "MultiInputPolicy", "policy_kwargs": reads, **options}
    task = nlp_gym.make_task(NER, **SMALL)
    task.encode()
    own = build_model(row, task, given, n_envs=2).learn(48)
    env = make_sb3_env(NER, 2, **SMALL)
    plain = row.cls(
        "MultiInputPolicy",
        env,
        policy_kwargs=nlp_policy_kwargs(env, hidden=[16]),
        seed=0,
        device="auto",
        **options,
    ).learn(48)
    pairs = zip(own.policy.parameters(), plain.policy.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("cls", [c for c in STOCK if c is not RecurrentPPO])
def test_plain_sb3_scores_candidates_by_the_name_of_the_stock_policy(cls: type) -> None:
    env = make_sb3_env("ChoiceQA-OpenBookQA-v0", 2, seed=0, browse=False, **SMALL)
    model = stock(cls, env).learn(32)
    network = {DQN: "q_net", QRDQN: "quantile_net"}.get(cls)
    owner = model.policy if network is None else getattr(model.policy, network)
    head = getattr(owner, network or "action_net")
    assert sum(p.numel() for p in head.parameters()) <= 16 * 5 + 5  # no weights for actions
    assert owner.features_extractor.pointer is not None
    assert sum(p.numel() for p in model.policy.parameters()) < 200_000
    obs = env.reset()
    dead = obs["action_mask"][0] == 0
    obs["action_mask"][:, 1] = 0
    for _ in range(8):
        chosen, _ = model.predict(obs, deterministic=False)
        assert not (chosen == 1).any() or cls in (DQN, QRDQN)
    chosen, _ = model.predict(obs, deterministic=True)
    assert not (chosen == 1).any(), dead


def test_plain_sb3_recurrent_says_that_it_scores_no_candidates() -> None:
    with pytest.raises(InvalidArgumentError, match="Use PPO or MaskablePPO"):
        stock(RecurrentPPO, make_sb3_env(SPANS, 1, **SMALL))


def test_plain_sb3_masked_dqn_takes_the_class_where_actions_are_candidates() -> None:
    env = make_sb3_env("ChoiceQA-OpenBookQA-v0", 2, seed=0, **SMALL)
    options = {"policy_kwargs": nlp_policy_kwargs(env), "device": "cpu", **REPLAY}
    with pytest.raises(InvalidArgumentError, match="PointerDuelingDQNPolicy"):
        MaskedDQN("MultiInputPolicy", env, **options)
    MaskedDQN(PointerDuelingDQNPolicy, env, **options).learn(16)


def test_plain_sb3_leaves_other_policies_alone() -> None:
    env = make_vec_env(NER, 2, env_kwargs=SMALL)
    assert isinstance(PPO("MultiInputPolicy", env, **ROLLOUT).policy.action_net, torch.nn.Linear)


def test_plain_sb3_writes_texts() -> None:
    env = make_sb3_env("Translation-Multi30k-v0", 2, seed=0, **SMALL)
    kwargs = nlp_policy_kwargs(env, width=16, layers=1, heads=2, copy=True)
    model = PPO("MultiInputPolicy", env, policy_kwargs=kwargs, device="cpu", **ROLLOUT).learn(16)
    assert type(model.policy.action_net).__name__ == "CopyHead"
    with pytest.raises(InvalidArgumentError, match="values"):
        DQN("MultiInputPolicy", env, policy_kwargs=kwargs, **REPLAY)
    carried = make_vec_env("Translation-Multi30k-v0", 1, env_kwargs=SMALL)
    with pytest.raises(InvalidArgumentError, match="make_sb3_env"):
        nlp_policy_kwargs(carried)


FRESH = """
import sys, torch
torch.set_num_threads(1)
from stable_baselines3 import PPO
model = PPO.load(sys.argv[1], device="cpu")
from nlp_gym_agents import make_sb3_env, score_model
small = dict(encoder="hashed", corpus="sample")
print(score_model(model, make_sb3_env("ChoiceQA-OpenBookQA-v0", 2, split="dev", **small)).value)
env = make_sb3_env("ChoiceQA-OpenBookQA-v0", 2, **small)
model = PPO.load(sys.argv[1], env=env, device="cpu")
model.learn(16)
"""


def test_plain_sb3_file_holds_no_corpus(tmp_path: Path) -> None:
    env = make_sb3_env("ChoiceQA-OpenBookQA-v0", 2, seed=0, **SMALL)
    model = stock(PPO, env).learn(32)
    model.save(tmp_path / "model.zip")
    words = max(env.venv.unwrapped.task.corpus.samples[0].words, key=len)
    weights = sum(p.numel() * 4 for p in model.policy.parameters())
    assert (tmp_path / "model.zip").stat().st_size < 4 * weights + 300_000
    assert words.encode() not in pickle.dumps(model.policy_kwargs)
    # Without any environment it opens the corpus that it was trained on.
    obs, chosen = env.reset(), model.predict(env.reset())[0]
    again = PPO.load(tmp_path / "model.zip", device="cpu")
    del env, model
    gc.collect()
    assert len(again.predict(obs)[0]) == len(chosen)


@pytest.mark.slow
def test_plain_sb3_file_loads_in_another_process(tmp_path: Path) -> None:
    env = make_sb3_env("ChoiceQA-OpenBookQA-v0", 2, seed=0, **SMALL)
    model = stock(PPO, env).learn(32)
    model.save(tmp_path / "model.zip")
    dev = make_sb3_env("ChoiceQA-OpenBookQA-v0", 2, split="dev", **SMALL)
    here = score_model(model, dev).value
    assert score_model(PPO.load(tmp_path / "model.zip", device="cpu"), dev).value == here
    there = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path / "model.zip")],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path), **_environ()},
    )
    assert there.returncode == 0, there.stderr
    assert float(there.stdout.split()[0]) == here


def _environ() -> dict[str, str]:
    import os

    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}


def test_plain_sb3_policy_reads_the_split_that_observations_name() -> None:
    env, dev = make_sb3_env(NER, 2, **SMALL), make_sb3_env(NER, 4, split="dev", seed=3, **SMALL)
    model = stock(PPO, env)
    model.learn(32, callback=EvalCallback(dev, n_eval_episodes=2, eval_freq=8, verbose=0))
    dev = make_sb3_env(NER, 4, split="dev", seed=3, **SMALL)
    by_index = evaluate_policy(model, dev, n_eval_episodes=12, return_episode_rewards=True)
    # The same weights on vectors see what those on rows of dev see.
    carried = make_vec_env(NER, 4, seed=3, env_kwargs={**SMALL, "split": "dev"})
    other = stock(PPO, carried)
    other.policy.load_state_dict(model.policy.state_dict())
    carried.seed(3)  # the algorithm has seeded its environments
    by_vector = evaluate_policy(other, carried, n_eval_episodes=12, return_episode_rewards=True)
    assert by_index == by_vector
    assert score_model(model, dev).value == score_model(other, carried).value
    obs = dev.reset()
    with pytest.raises(InvalidArgumentError, match="NameCorpus"):
        model.policy.extract_features(
            {k: torch.as_tensor(v) for k, v in obs.items() if k != "corpus"}
        )
    obs["corpus"][0] += 1
    with pytest.raises(InvalidArgumentError, match="several corpora"):
        model.predict(obs)
    obs["corpus"][:] = 77
    with pytest.raises(InvalidArgumentError, match="make_sb3_env"):
        model.predict(obs)


def test_plain_sb3_policy_refuses_a_corpus_that_it_cannot_play() -> None:
    model = stock(PPO, make_sb3_env(NER, 1, **SMALL))
    wide = make_sb3_env(NER, 1, encoder_kwargs={"dim": 32}, **SMALL)
    with pytest.raises(InvalidArgumentError, match="encoder"):
        model.predict(wide.reset())
    names = list(nlp_gym.make_task(NER, **SMALL).labels)
    turned = make_sb3_env(NER, 1, labels=names[::-1], **SMALL)
    with pytest.raises(InvalidArgumentError, match="labels="):
        model.predict({**turned.reset(), "corpus": np.array([[_other_number(turned)]])})


def _other_number(env: Any) -> int:
    return corpus_number(env.venv.unwrapped.task)


def test_plain_sb3_index_without_a_name_warns_and_works() -> None:
    env = make_vec_env(NER, 2, seed=0, env_kwargs={**SMALL, "obs_type": "index"})
    with pytest.warns(UserWarning, match="NameCorpus"):
        model = stock(MaskablePPO, env)
    model.learn(16)


def test_plain_sb3_environments_in_other_processes(tmp_path: Path) -> None:
    index = {**SMALL, "obs_type": "index"}
    env = make_vec_env(
        f"nlp_gym:{NER}",
        2,
        env_kwargs=index,
        wrapper_class=NameCorpus,
        vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": "fork"},
    )
    try:
        stock(DQN, env).learn(32)
    finally:
        env.close()


@pytest.mark.parametrize("obs_type", ["index", "tokens"])
def test_plain_sb3_stock_extractor_refuses_numbers_that_name_something(obs_type: str) -> None:
    env = make_vec_env(NER, 1, env_kwargs={**SMALL, "obs_type": obs_type})
    with pytest.raises(InvalidArgumentError, match="nlp_policy_kwargs"):
        PPO("MultiInputPolicy", env)


def test_plain_sb3_rescaled_masks_are_refused() -> None:
    env = make_vec_env(NER, 2, env_kwargs=SMALL)
    with pytest.raises(
        InvalidArgumentError, match=r"norm_obs_keys=\['context', 'flags', 'history'\]"
    ):
        nlp_policy_kwargs(VecNormalize(env))
    model = PPO("MultiInputPolicy", VecNormalize(env), policy_kwargs=nlp_policy_kwargs(env))
    with pytest.raises(InvalidArgumentError, match=r"action_mask.*norm_obs_keys"):
        model.learn(16)
    right = VecNormalize(env, norm_obs_keys=["context", "flags", "history"])
    stock(PPO, right).learn(16)
    native = make_sb3_env(NER, 2, **SMALL)
    with pytest.raises(InvalidArgumentError, match="norm_obs=False"):
        nlp_policy_kwargs(VecNormalize(native))
    stock(PPO, VecNormalize(native, norm_obs=False)).learn(16)


def test_plain_sb3_stacked_observations() -> None:
    stock(PPO, VecFrameStack(make_vec_env(NER, 2, env_kwargs=SMALL), 2)).learn(16)
    for env in (make_sb3_env(NER, 2, **SMALL), make_vec_env(SPANS, 1, env_kwargs=SMALL)):
        with pytest.raises(InvalidArgumentError, match="VecFrameStack"):
            nlp_policy_kwargs(VecFrameStack(env, 2))


@pytest.fixture
def bert_env(tiny_bert: Path) -> Any:
    options = {"encoder": str(tiny_bert), "encoder_kwargs": {"layers": "last"}, "corpus": "sample"}
    return make_sb3_env(NER, 2, seed=0, **options)


@pytest.mark.parametrize("cls", [PPO, DQN])
def test_plain_sb3_encoder_learns_at_its_own_rate(cls: type, bert_env: Any, tmp_path: Path) -> None:
    model = stock(cls, bert_env, encoder_mode="finetune", encoder_lr=0.5e-4, encoder_warmup=4)
    network = model.policy if cls is PPO else model.policy.q_net
    learning = [p for p in network.features_extractor.encoder.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in learning]
    model.learn(32)
    assert all((a != b).any() for a, b in zip(before, learning, strict=True))
    head, *encoders = model.policy.optimizer.param_groups
    assert head["lr"] == model.learning_rate
    steps = encoders[0]["encoder_steps"]
    assert encoders[0]["lr"] == pytest.approx(0.5e-4 * min(1, steps / 4))
    assert sum(len(g["params"]) for g in encoders) == len(learning)
    model.save(tmp_path / "model.zip")
    again = cls.load(tmp_path / "model.zip", env=bert_env, device="cpu")  # type: ignore[attr-defined]
    assert score_model(again, bert_env).value == score_model(model, bert_env).value
    again.learn(16, reset_num_timesteps=False)
    assert again.policy.optimizer.param_groups[1]["encoder_steps"] > steps


def test_plain_sb3_encoder_rate_follows_the_schedule() -> None:
    encoder, head = (torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2))
    encoder.learns_as_encoder = True  # type: ignore[attr-defined]
    adam = OwnRateAdam([head, encoder], lr=1e-2, encoder_lr=1e-3, encoder_warmup=2)
    rates = []
    for lr in (1e-2, 1e-2, 5e-3):
        for group in adam.param_groups:
            group["lr"] = lr  # as Stable-Baselines3 does
        encoder.grad, head.grad = torch.ones(2, 2), torch.ones(2, 2)
        adam.step()
        rates.append([group["lr"] for group in adam.param_groups])
    assert np.allclose(rates, [[1e-2, 5e-4], [1e-2, 1e-3], [5e-3, 5e-4]])
    with pytest.raises(InvalidArgumentError, match="encoder_lr"):
        OwnRateAdam([head], encoder_lr=0)


def test_plain_sb3_arguments_are_checked(bert_env: Any) -> None:
    env = make_vec_env(NER, 1, env_kwargs=SMALL)
    with pytest.raises(UnknownNameError, match="hidden"):
        nlp_policy_kwargs(env, hiden=[8])
    with pytest.raises(InvalidArgumentError, match="hidden=3"):
        nlp_policy_kwargs(env, hidden=3)
    with pytest.raises(InvalidArgumentError, match="obs_type='index'"):
        nlp_policy_kwargs(env, encoder_mode="finetune")
    with pytest.raises(InvalidArgumentError, match="encoder_mode="):
        nlp_policy_kwargs(env, tuning={"rank": 4})
    with pytest.raises(InvalidArgumentError, match="no weights"):
        nlp_policy_kwargs(make_sb3_env(NER, 1, **SMALL), encoder_mode="lora")
    with pytest.raises(UnknownNameError, match="rank"):
        nlp_policy_kwargs(bert_env, encoder_mode="lora", tuning={"rnk": 4})
    with pytest.raises(InvalidArgumentError, match="no environment of this suite"):
        nlp_policy_kwargs(gym.make("CartPole-v1"))
    for mode in ("frozen", "finetune"):
        for rate in ("a", "lin_5e-5", -1, 0, None, float("nan")):
            with pytest.raises(InvalidArgumentError, match="encoder_lr="):
                nlp_policy_kwargs(bert_env, encoder_mode=mode, encoder_lr=rate)
        for updates in (-3, 1.5, None):
            with pytest.raises(InvalidArgumentError, match="encoder_warmup="):
                nlp_policy_kwargs(bert_env, encoder_mode=mode, encoder_warmup=updates)
        with pytest.raises(InvalidArgumentError, match="tuning=3 must be"):
            nlp_policy_kwargs(bert_env, encoder_mode=mode, tuning=3)
    with pytest.raises(UnknownNameError, match=r"encoder_mode=None.*frozen.*finetune"):
        nlp_policy_kwargs(env, encoder_mode=None)
    tokens = gym.make(NER, obs_type="tokens", **SMALL)
    with pytest.raises(InvalidArgumentError, match="tokens"):
        nlp_policy_kwargs(tokens)
    with pytest.raises(UnknownNameError, match=NER):
        make_sb3_env("NER-CoNNL-v0")
    with pytest.raises(InvalidArgumentError, match="n_envs=0"):
        make_sb3_env(NER, 0)
    with pytest.raises(InvalidArgumentError, match="obs_type"):
        NameCorpus(gym.make(NER, **SMALL))


def test_plain_sb3_one_environment_needs_no_vec_env() -> None:
    env = gym.make(NER, **SMALL)
    stock(DQN, env).learn(16)


def test_plain_sb3_seeds_and_masks_of_native_environments() -> None:
    first, second = (make_sb3_env(NER, 3, seed=5, **SMALL) for _ in range(2))
    a, b = first.reset(), second.reset()
    assert set(a) == {"action_mask", "corpus", "history", "position", "row"}
    assert all((a[key] == b[key]).all() for key in a)
    single = gym.make(NER, obs_type="index", **SMALL)
    assert (single.reset(seed=6)[0]["row"] == a["row"][1]).all()
    assert (np.stack(first.env_method("action_masks")) == a["action_mask"]).all()
    while True:
        obs, _, dones, infos = first.step(np.zeros(3, np.int64))
        if dones.any():
            last = infos[int(dones.argmax())]["terminal_observation"]
            assert first.observation_space.contains(last)
            break
    assert (obs["corpus"] == _other_number(first)).all()


def test_plain_sb3_bridge_wants_same_step() -> None:
    def make() -> gym.Env[Any, Any]:
        return gym.make(NER, **SMALL)

    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED):
        with pytest.raises(InvalidArgumentError, match="make_sb3_env"):
            SB3VecEnv(SyncVectorEnv([make], autoreset_mode=mode))
    SB3VecEnv(SyncVectorEnv([make], autoreset_mode=AutoresetMode.SAME_STEP))


def test_plain_sb3_large_observations_name_the_smaller_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nlp_gym_agents.algorithms.sb3_env.memory_limit", lambda: 10**10)
    with pytest.warns(UserWarning, match=r"164.3 KB.*328.6 GB.*obs_type='index'"):
        make_sb3_env(SPANS, 1, obs_type="features", **SMALL)
    with pytest.warns(UserWarning, match="buffer_size"):
        nlp_policy_kwargs(gym.make(SPANS, **SMALL))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_sb3_env(SPANS, 1, **SMALL)


def test_plain_sb3_own_trainer_refuses_a_replay_that_does_not_fit() -> None:
    task = nlp_gym.make_task(SPANS, **SMALL)
    huge: dict[str, Any] = {"buffer_size": 10**9, "policy_kwargs": {}}
    with pytest.raises(InvalidArgumentError, match=r"buffer_size=1000000000.*obs_type='index'"):
        build_model(ALGORITHMS["dqn"], task, huge, obs_type="features")


def test_plain_sb3_import_is_light() -> None:
    code = (
        "import sys, nlp_gym_agents as a; print('torch' in sys.modules, 'make_sb3_env' in dir(a))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), **_environ()},
    )
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("algo", "options"),
    [
        ("bc", {}),
        ("dagger", {"roll_ins": 1, "first": 0.5, "texts": 3}),
        (
            "aggrevate",
            {"roll_ins": 1, "first": 0.0, "texts": 3, "gamma": 1.0, "rollout_policy": "learner"},
        ),
        ("rloo", {"texts": 2, "samples": 2}),
        ("expected_pg", {"n_steps": 4, "gamma": 0.9, "branches": 2}),
        ("masked_dqn", {"full_targets": True, "demonstrations": 0.5, "learning_starts": 4}),
    ],
)
def test_own_algorithms_learn_in_plain_code(algo: str, options: dict[str, Any]) -> None:
    """They make observations of their own, which name the corpus as the environment's do."""
    env = make_sb3_env(NER, n_envs=2, **SMALL)
    cls: Any = resolve(algo).cls
    model = cls("MultiInputPolicy", env, **options, policy_kwargs=nlp_policy_kwargs(env), seed=0)
    model.learn(48)
    assert model._n_updates > 0


def test_rloo_plays_single_environments_up_to_their_limit() -> None:
    env = make_vec_env(NER, 2, env_kwargs={**SMALL, "max_episode_steps": 2})
    cls: Any = resolve("rloo").cls
    model = cls("MultiInputPolicy", env, texts=3, samples=2, seed=0)
    model.learn(1)
    assert int(np.bincount(model.rollout_buffer.episode).max()) == 2
