"""Every algorithm writes; a beam writes likelier texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th

from nlp_gym import make_task
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.models.acting import make_log_probs
from nlp_gym_agents.models.beam_search import search
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.models.play import outputs_of
from nlp_gym_agents.networks.decoder.extractor import DecoderExtractor
from nlp_gym_agents.networks.policies.dueling import random_legal

ENV = "Translation-Multi30k-v0"
SMALL = {"width": 32, "layers": 2, "heads": 4}


@pytest.fixture(scope="module")
def task():
    return make_task(ENV, encoder="hashed", corpus="sample")


@pytest.mark.parametrize("algo", ["bc", "ppo", "maskable_ppo", "a2c", "dqn", "masked_dqn"])
def test_algorithms_learn_to_write(task, algo):
    hyperparams = {
        "policy": "MultiInputPolicy",
        "policy_kwargs": {"net_arch": [], "features_extractor_kwargs": SMALL},
    }
    if algo.endswith("dqn"):
        hyperparams |= {"learning_starts": 40, "buffer_size": 200, "train_freq": 4}
    elif algo != "bc":
        hyperparams |= {"n_steps": 8}
    model = build_model(resolve(algo), task, hyperparams, n_envs=8, device="cpu", seed=1)
    extractor = next(m for m in model.policy.modules() if isinstance(m, DecoderExtractor))
    before = extractor.decoder.tokens.weight.detach().clone()
    model.learn(160)
    assert not th.equal(before, extractor.decoder.tokens.weight)
    for text in outputs_of(model, task, masked=algo != "dqn", rows=[0, 1]):
        assert isinstance(text, str)


def test_masked_dqn_explores_legal_tokens_alone(task):
    policy = {"net_arch": [], "features_extractor_kwargs": SMALL}
    hyperparams = {"policy": "MultiInputPolicy", "policy_kwargs": policy, "buffer_size": 100}
    model = build_model(resolve("masked_dqn"), task, hyperparams, n_envs=8, device="cpu", seed=1)
    observation = model.env.reset()
    for _ in range(20):
        actions = random_legal(model.policy, observation)
        assert task.masks[observation["legal"][:, 0], actions].all()
        observation, *_ = model.env.step(actions)


def trained(task):
    hyperparams = {
        "policy": "MultiInputPolicy",
        "learning_rate": 3e-3,
        "batch_size": 256,
        "gamma": 1.0,
        "policy_kwargs": {"net_arch": [], "features_extractor_kwargs": SMALL},
    }
    model = build_model(resolve("bc"), task, hyperparams, device="cpu", seed=0)
    model.learn(20_000)
    return model


@pytest.mark.slow
def test_a_beam_finds_likelier_texts_than_choosing_greedily(task):
    model = trained(task)
    rows = list(range(20))
    log_probs = make_log_probs(model)

    def likelihood(text, row):
        state, total = task.initial(np.array([row])), 0.0
        tokens = [*task.vocabulary.encode([text])[0], 0]
        for token in tokens:
            logs = log_probs(task.observe(state, "index"), task.mask(state))
            total += float(logs[0, token])
            task.transition(state, np.array([token]))
        return total / len(tokens)

    greedy = outputs_of(model, task, masked=True, rows=rows)
    assert search(task, log_probs, np.array(rows), 1, "index") == greedy
    searched = outputs_of(model, task, masked=True, rows=rows, beam=4)
    assert searched != greedy
    gains = [
        likelihood(found, row) - likelihood(first, row)
        for row, found, first in zip(rows, searched, greedy, strict=True)
        if found != first
    ]
    assert np.mean(gains) > 0
