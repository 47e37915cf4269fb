"""The decoder: places of a text computed together, one by one, and from what is kept."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch as th

from nlp_gym import make_task
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.networks.decoder.extractor import DecoderExtractor
from nlp_gym_agents.networks.decoder.prefixes import Texts, find_keys, longest_texts
from nlp_gym_agents.networks.decoder.transformer import Decoder, Dropout
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.features.swap_source import swapped_source

ENV = "Translation-Multi30k-v0"
SMALL = {"width": 32, "layers": 2, "heads": 4}


@pytest.fixture(scope="module")
def task():
    return make_task(ENV, encoder="hashed", corpus="sample")


@pytest.fixture
def venv(task):
    return TaskVectorEnv(task, 24, obs_type="index")


@pytest.fixture
def extractor(task, venv):
    th.manual_seed(0)
    space = venv.single_observation_space
    return DecoderExtractor(space, FeatureSource(task), dropout=0.1, **SMALL).eval()


def tensors(observation):
    return {key: th.as_tensor(values) for key, values in observation.items()}


def legal_actions(venv, rng, stop=0.08):
    mask = venv.action_masks()
    actions = np.array([rng.choice(np.flatnonzero(row)) for row in mask])
    actions[(rng.random(len(actions)) < stop) & mask[:, 0]] = 0
    return actions


def plainly(extractor, observation):
    """States of each text by itself, from the whole of it."""
    states = []
    for row, prefix, size in zip(
        *(observation[k] for k in ("row", "prefix", "position")), strict=True
    ):
        tokens = th.zeros(1, int(size[0]) + 1, dtype=th.long)
        tokens[0, 1:] = prefix[: int(size[0])]
        memory = extractor._read_sources(row.long().numpy(), whole=False)
        states.append(extractor.decoder(tokens, memory)[0][0, -1])
    return th.stack(states).detach()


def test_one_place_at_a_time_gives_what_all_together_give():
    th.manual_seed(0)
    options = {"width": 32, "layers": 2, "heads": 4, "inner": 64, "dropout": 0.0}
    decoder = Decoder(50, 12, 10, 6, **options).eval()
    there = th.tensor([[1, 1, 1, 0, 0, 0], [1] * 6, [1, 1, 0, 0, 0, 0]]).bool()
    memory = decoder.read_source(th.randn(3, 6, 12), there)
    tokens = th.randint(1, 50, (3, 7))
    whole, _ = decoder(tokens, memory)
    kept = [(th.zeros(3, 4, 16, 8), th.zeros(3, 4, 16, 8)) for _ in range(2)]
    for place in range(7):
        step = decoder.step(tokens[:, place], th.full((3,), place), kept, memory)
        th.testing.assert_close(step, whole[:, place], atol=1e-5, rtol=1e-4)


def test_what_follows_and_what_is_not_of_the_source_changes_nothing():
    th.manual_seed(0)
    options = {"width": 32, "layers": 1, "heads": 2, "inner": 64, "dropout": 0.0}
    decoder = Decoder(50, 12, 10, 6, **options).eval()
    vectors, there = th.randn(1, 6, 12), th.tensor([[1, 1, 1, 0, 0, 0]]).bool()
    tokens = th.randint(1, 50, (1, 7))
    before, _ = decoder(tokens, decoder.read_source(vectors, there))
    vectors[:, 3:] = 9.0
    tokens[:, 4:] = 1
    after, _ = decoder(tokens, decoder.read_source(vectors, there))
    th.testing.assert_close(after[:, :4], before[:, :4])
    assert not th.allclose(after[:, 5], before[:, 5])
    vectors[:, 0] = 9.0
    other, _ = decoder(tokens, decoder.read_source(vectors, there))
    assert not th.allclose(other[:, 0], before[:, 0])


def brute_leaders(texts):
    """Owner of each text by definition: some text that it begins and that nothing continues."""
    n = len(texts)
    written = [tuple(p[:s]) for p, s in zip(texts.prefix.tolist(), texts.size, strict=True)]

    def begins(i, j):
        same = written[j][: len(written[i])] == written[i]
        return texts.row[i] == texts.row[j] and same

    longest = {i for i in range(n) if not any(begins(i, j) and not begins(j, i) for j in range(n))}
    return {(int(texts.row[i]), written[i]) for i in longest}, written


def test_leaders_are_the_texts_that_nothing_continues():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n, size = 40, rng.integers(0, 5, 40)
        prefix = np.where(np.arange(5) < size[:, None], rng.integers(1, 3, (n, 5)), 0)
        texts = Texts(rng.integers(0, 3, n), prefix.astype(np.int32), size)
        chosen, owner = longest_texts(texts)
        wanted, written = brute_leaders(texts)
        assert {(int(texts.row[i]), written[i]) for i in chosen} == wanted
        assert len(chosen) == len(wanted)
        for i, lead in enumerate(chosen[owner]):
            assert texts.row[lead] == texts.row[i]
            assert written[lead][: len(written[i])] == written[i]


def test_keys_tell_apart_rows_tokens_and_sizes():
    row = np.array([0, 1, 0, 0, 256, 65536])
    prefix = np.array([[1, 0], [1, 0], [256, 0], [1, 1], [1, 0], [1, 0]], np.int32)
    texts = Texts(row, prefix, (prefix > 0).sum(axis=1))
    assert len(np.unique(texts.keys())) == len(texts)
    assert find_keys(texts.parents().keys(), texts.keys()).tolist() == [-1, -1, -1, 0, -1, -1]
    assert find_keys(texts.keys(), texts.take(np.array([], np.int64)).keys()).tolist() == [-1] * 6


@pytest.mark.slow
def test_what_is_kept_gives_the_states_of_whole_texts(extractor, venv):
    rng = np.random.default_rng(0)
    observation, _ = venv.reset(seed=0)
    for step in range(120):
        seen = tensors(observation)
        with th.no_grad():
            states = extractor(seen)
        if step % 10 == 0:
            th.testing.assert_close(states, plainly(extractor, seen), atol=1e-5, rtol=1e-4)
        learned = extractor(seen)  # with gradients: all places of a text together
        assert learned.requires_grad
        th.testing.assert_close(states, learned.detach(), atol=1e-5, rtol=1e-4)
        if step % 37 == 36:  # through .data, which torch's own version counters do not see
            for parameter in extractor.parameters():
                parameter.data.add_(0.01 * th.randn_like(parameter))
        if step % 50 == 49:
            fewer = {key: values[[7, 3, 3, 11]] for key, values in seen.items()}
            with th.no_grad():
                th.testing.assert_close(
                    extractor(fewer), plainly(extractor, fewer), atol=1e-5, rtol=1e-4
                )
        observation, *_ = venv.step(legal_actions(venv, rng))


def test_a_step_runs_one_place_of_the_decoder(extractor, venv, monkeypatch):
    rng = np.random.default_rng(0)
    observation, _ = venv.reset(seed=0)
    with th.no_grad():
        extractor(tensors(observation))
        whole = []
        original = extractor.decoder.forward
        monkeypatch.setattr(
            extractor.decoder, "forward", lambda *given: whole.append(given) or original(*given)
        )
        for _ in range(20):
            observation, *_ = venv.step(legal_actions(venv, rng))
            extractor(tensors(observation))
    assert not whole


def test_another_corpus_is_not_taken_for_the_one_that_was_kept(extractor, venv):
    other = make_task(ENV, "dev", encoder="hashed", corpus="sample")
    observation, _ = venv.reset(seed=0)
    seen = tensors(observation)
    seen["row"] %= len(other.corpus)
    with th.no_grad():
        own = extractor(seen)
        with swapped_source(extractor, FeatureSource(other)):
            theirs = extractor(seen)
        assert not th.allclose(own, theirs)
        th.testing.assert_close(extractor(seen), own)


def test_a_copy_of_the_network_keeps_states_of_its_own(extractor, venv):
    seen = tensors(venv.reset(seed=0)[0])
    with th.no_grad():
        before = extractor(seen)
        other = copy.deepcopy(extractor)
        for parameter in other.parameters():
            parameter.add_(0.1)
        assert not th.allclose(other(seen), before)
        th.testing.assert_close(extractor(seen), before)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 0}, "width=0"),
        ({"heads": 3, "width": 32}, "multiple of heads"),
        ({"layers": True}, "layers=True"),
        ({"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_options_of_the_decoder_are_checked(task, venv, options, words):
    with pytest.raises(InvalidArgumentError, match=words):
        DecoderExtractor(venv.single_observation_space, FeatureSource(task), **options)


def test_a_decoder_needs_observations_that_name_samples(task):
    space = TaskVectorEnv(task, 2, obs_type="features").single_observation_space
    with pytest.raises(InvalidArgumentError, match="`index` observations"):
        DecoderExtractor(space, FeatureSource(task))
    named = TaskVectorEnv(task, 2, obs_type="index").single_observation_space
    with pytest.raises(InvalidArgumentError, match="source=None"):
        DecoderExtractor(named)


def test_words_of_a_source_attend_to_each_other_alone():
    th.manual_seed(0)
    options = {"width": 32, "layers": 1, "heads": 2, "inner": 64, "dropout": 0.0}
    decoder = Decoder(50, 12, 10, 6, **options, source_layers=2).eval()
    vectors, there = th.randn(2, 6, 12), th.tensor([[1, 1, 1, 0, 0, 0], [1] * 6]).bool()
    memory = decoder.read_source(vectors, there)
    alone = decoder.read_source(vectors[:1, :3], there[:1, :3])
    for whole, own in zip(memory.pairs[0], alone.pairs[0], strict=True):
        th.testing.assert_close(whole[:1, :, :3], own, atol=1e-5, rtol=1e-4)
        assert not whole[0, :, 3:].any()
    vectors[0, 0], vectors[0, 3:] = 9.0, 9.0
    other = decoder.read_source(vectors, there)
    assert not th.allclose(other.pairs[0][0][0, :, 2], memory.pairs[0][0][0, :, 2])
    th.testing.assert_close(other.pairs[0][0][1], memory.pairs[0][0][1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("mixed", [False, True])
def test_samples_of_one_text_are_kept_apart(task, mixed):
    th.manual_seed(0)
    space = task.observation_space("index")
    own = DecoderExtractor(space, FeatureSource(task), source_layers=1, **SMALL).eval()
    prefix = np.zeros((4, task.max_length), np.int32)
    prefix[:, 0] = [300, 300, 301, 300]
    prefix[:, 1] = [302, 303, 303, 302]
    for size in (0, 1, 2):
        seen = {
            "row": th.tensor([[3], [3], [3], [4]]),
            "position": th.full((4, 1), size),
            "prefix": th.as_tensor(np.where(np.arange(task.max_length) < size, prefix, 0)),
        }
        with th.no_grad(), th.autocast("cpu", th.bfloat16, enabled=mixed):
            found = own(seen)
        near = 0.1 if mixed else 1e-4
        th.testing.assert_close(found.float(), plainly(own, seen), atol=near, rtol=near)


def test_dropout_keeps_the_mean_and_is_off_outside_of_training():
    th.manual_seed(0)
    layer, ones = Dropout(0.25), th.ones(200, 501)
    found = layer(ones)
    assert abs(float((found == 0).float().mean()) - 0.25) < 0.01
    assert abs(float(found.mean()) - 1.0) < 0.01
    assert found.unique().tolist() == pytest.approx([0.0, 256 / 192])
    assert layer.eval()(ones) is ones


@pytest.mark.parametrize("copies", [False, True])
def test_tied_logits_are_read_with_the_embeddings(task, copies):
    given = {"copy": copies, "tie": True, "source_layers": 1, **SMALL}
    options = {"policy_kwargs": {"features_extractor_kwargs": given}}
    policy = build_model(
        resolve("maskable_ppo"), task, load_hyperparams("maskable_ppo", ENV, options), device="cpu"
    ).policy
    head = policy.action_net.linear if copies else policy.action_net
    assert head.weight is policy.features_extractor.decoder.tokens.weight
    before = head(th.ones(1, SMALL["width"])).detach()
    policy.action_net.sharpen(2.0)
    scale = 1.0 if copies else 2.0
    th.testing.assert_close(head(th.ones(1, SMALL["width"])).detach(), scale * before)
    with pytest.raises(InvalidArgumentError, match="has values"):
        build_model(resolve("dqn"), task, load_hyperparams("dqn", ENV, options), device="cpu")
