"""Encoders inside a policy: the vectors they give, and that no text is encoded twice."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import live_of, tiny_task
from stable_baselines3.common.utils import obs_as_tensor, polyak_update

from nlp_gym.encode import load_encoder
from nlp_gym.errors import EncoderError, InvalidArgumentError
from nlp_gym.types import Units
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import (
    EncoderFactory,
    TrainableEncoder,
    trainable_encoders,
)
from nlp_gym_agents.networks.encoder.unit_texts import UnitTexts
from nlp_gym_agents.networks.features.extractor import NLPExtractor
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.features.swap_source import swapped_source

pytestmark = pytest.mark.usefixtures("one_thread")

MODES = ("finetune", "lora", "adapter")
# Frozen vectors are float16, and so are the words that their means are made of.
NEAR: dict[str, float] = {"rtol": 4e-3, "atol": 1e-2}
FAMILIES = {
    "words": "POS-v0",
    "spans": "Relation-SemEval-v0",
    "passages": "SpanQA-SQuAD-v0",
    "whole texts": "ChoiceQA-ARC-v0",
    "graph": "KnowledgeGraph-WN18RR-v0",
}


def dense(found: tuple[th.Tensor, th.Tensor | None]) -> th.Tensor:
    """(n, D) vectors of the units that were asked for."""
    vectors, rows = found
    return vectors if rows is None else vectors[rows]


def acting(live: TrainableEncoder, book: UnitTexts, units: Any) -> th.Tensor:
    """(n, D) as a rollout sees them."""
    live.eval()
    with th.no_grad():
        return dense(live(book, th.as_tensor(units)))


def learning(live: TrainableEncoder, book: UnitTexts, units: Any) -> th.Tensor:
    """(n, D) as an update sees them."""
    live.train()
    return dense(live(book, th.as_tensor(units)))


def everything(book: UnitTexts) -> th.Tensor:
    return th.arange(book.n_units + 1)


def shake(live: TrainableEncoder) -> TrainableEncoder:
    """Move away from the pretrained weights."""
    generator = th.Generator().manual_seed(1)
    with th.no_grad():
        for parameter in live.parameters():
            parameter.add_(0.1 * th.randn(parameter.shape, generator=generator))
    return live


def close(one: th.Tensor, two: Any) -> None:
    np.testing.assert_allclose(one.detach().numpy(), np.asarray(two, np.float32), **NEAR)


@pytest.mark.parametrize("kind", FAMILIES)
def test_live_vectors_begin_as_the_frozen_ones(kind: str, tiny_bert: Path) -> None:
    task = tiny_task(FAMILIES[kind], tiny_bert)
    book, live = UnitTexts(task), live_of(task)
    assert book.pretrained is None
    assert book.rescaled == (kind in ("whole texts", "graph"))
    frozen = task.encoded.features
    found = acting(live, book, everything(book))
    close(found, frozen)
    assert not found[-1].any()  # the zero unit
    assert np.asarray(frozen, np.float32).std() > 20 * NEAR["atol"]


@pytest.mark.parametrize("mode", MODES)
def test_live_modes_begin_as_the_frozen_encoder(mode: str, pos: Any, tiny_bert: Path) -> None:
    encoded = tiny_task("POS-v0", tiny_bert)
    book, live = UnitTexts(pos), live_of(pos, mode=mode)
    close(acting(live, book, everything(book)), encoded.encoded.features)


def test_live_long_texts_go_through_several_windows(tiny_bert: Path) -> None:
    long = ["the", "quick", "brown", "fox"] * 40
    texts = [["a"], long, ["b", "the"], [], long[5:90]]
    encoder = load_encoder(str(tiny_bert), layers="1+3", dtype="float32")
    task: Any = SimpleNamespace(units=Units(texts), encoder=encoder)
    book, live = UnitTexts(task), TrainableEncoder(encoder, Tuning())
    frozen = encoder.encode(texts)
    assert len(book.windows.starts) > 20
    close(acting(live, book, everything(book))[:-1], frozen)
    close(learning(live, book, everything(book))[:-1], frozen)
    # A few words of the long text alone, in any order, some twice.
    some = np.array([150, 1, 0, 150, 161, 162])
    close(learning(live, book, some), frozen[some])


def test_live_spans_of_any_length(tiny_bert: Path) -> None:
    texts = [["the", "abc", "the", "zz"], ["fox"]]
    # As many words as units, and yet not one each.
    spans = np.array([[0, 1, 1], [0, 0, 2], [1, 0, 1], [0, 3, 4]])
    encoder = load_encoder(str(tiny_bert), layers="1+3", dtype="float32")
    task: Any = SimpleNamespace(units=Units(texts, spans), encoder=encoder)
    book, live = UnitTexts(task), TrainableEncoder(encoder, Tuning())
    words = encoder.encode(texts).astype(np.float32)
    wanted = np.stack([words[0] * 0, words[:2].mean(0), words[4], words[3], words[0] * 0])
    close(acting(live, book, everything(book)), wanted)
    close(learning(live, book, everything(book)), wanted)


@pytest.mark.parametrize("kind", ["words", "spans", "whole texts"])
def test_live_learning_and_acting_see_the_same(kind: str, tiny_bert: Path) -> None:
    task = tiny_task(FAMILIES[kind], tiny_bert)
    book, live = UnitTexts(task), shake(live_of(task))
    units = np.random.default_rng(0).integers(0, book.n_units + 1, 50)  # some more than once
    units[7] = book.n_units
    found = learning(live, book, units)
    close(found, acting(live, book, units).numpy())
    found.sum().backward()
    grads = [p.grad for name, p in live.named_parameters() if "LayerNorm" in name]
    assert all(grad is not None and bool(grad.any()) for grad in grads[2:-2])


def test_live_nothing_asked_for(pos: Any) -> None:
    book, live = UnitTexts(pos), live_of(pos)
    for nothing in (np.zeros(0, np.int64), np.array([book.n_units])):
        for seen in (acting, learning):
            found = seen(live, book, nothing)
            assert found.shape == (len(nothing), pos.encoder.dim)
            assert not found.any()
    assert live.encoded_texts == {"learning": 0, "acting": 0}


def test_live_company_in_a_batch_does_not_matter(pos: Any) -> None:
    book = UnitTexts(pos)
    whole = acting(shake(live_of(pos)), book, everything(book))
    for options in ({"batch_tokens": 1}, {"batch_tokens": 10_000}):
        live = shake(live_of(pos, **options))
        order = np.random.default_rng(0).permutation(book.n_units)[:60]
        found = th.cat([acting(live, book, order[i : i + 1]) for i in range(len(order))])
        close(found, whole[order].numpy())
        close(learning(live, book, order), whole[order].numpy())


def test_live_dropout_is_for_learning_alone(pos: Any) -> None:
    book, plain, live = UnitTexts(pos), live_of(pos), live_of(pos, dropout=0.5)
    units = everything(book)[:20]
    live.train()
    with th.no_grad():  # as DQN values the next states: in training mode, without gradients
        kept = dense(live(book, units))
    assert live.words.training
    assert live.words.model.training
    close(kept, acting(plain, book, units).numpy())
    first, second = learning(live, book, units), learning(live, book, units)
    assert (first - second).abs().mean() > 0.1
    assert (first - kept).abs().mean() > 0.1


def test_live_without_dropout_learning_is_not_random(pos: Any) -> None:
    # The pretrained model's own dropout, 0.1, is turned off, that of attention too.
    book, live = UnitTexts(pos), live_of(pos)
    units = everything(book)[:40]
    assert th.equal(learning(live, book, units), learning(live, book, units))


def test_live_no_text_is_encoded_twice_while_weights_stand_still(pos: Any) -> None:
    book, live = UnitTexts(pos), live_of(pos)
    first = acting(live, book, everything(book))
    assert live.encoded_texts == {"learning": 0, "acting": len(book)}
    assert th.equal(acting(live, book, everything(book).flip(0)).flip(0), first)
    assert live.encoded_texts["acting"] == len(book)
    live = live_of(pos)
    acting(live, book, [0, 1, 0])
    acting(live, book, [int(book.words[1]) - 1, int(book.words[1])])
    assert live.encoded_texts["acting"] == 2
    live.clear_cache()
    acting(live, book, [0])
    assert live.encoded_texts["acting"] == 3


def test_live_each_book_is_kept_by_itself(pos: Any, tiny_bert: Path) -> None:
    dev = UnitTexts(tiny_task("POS-v0", tiny_bert, "dev"))
    book, live = UnitTexts(pos), live_of(pos)
    for _ in range(2):
        one, other = acting(live, book, [0, 1]), acting(live, dev, [0, 1])
        assert not th.equal(one, other)
    assert live.encoded_texts["acting"] == 2
    del dev, other
    assert len(live._caches) == 1


def step(live: TrainableEncoder, book: UnitTexts) -> None:
    optimizer = th.optim.AdamW(live.parameters(), lr=1e-3)
    (learning(live, book, [0, 1, 2]) ** 2).sum().backward()
    optimizer.step()


def first_step(live: TrainableEncoder, book: UnitTexts) -> None:
    """Of low-rank updates and adapters, it moves the second matrices alone."""
    (learning(live, book, [0, 1, 2]) ** 2).sum().backward()
    th.optim.SGD(live.parameters(), lr=1e-3).step()


def load(live: TrainableEncoder, book: UnitTexts) -> None:
    live.load_state_dict(shake(copy.deepcopy(live)).state_dict())


def polyak(live: TrainableEncoder, book: UnitTexts) -> None:
    polyak_update(shake(copy.deepcopy(live)).parameters(), live.parameters(), 0.01)


def by_data(live: TrainableEncoder, book: UnitTexts) -> None:
    for parameter in live.parameters():
        parameter.data = parameter.data + 0.1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("change", [step, first_step, load, polyak, by_data])
def test_live_changes_of_the_weights_are_noticed(
    change: Callable[[TrainableEncoder, UnitTexts], None], mode: str, pos: Any
) -> None:
    book, live = UnitTexts(pos), live_of(pos, mode=mode)
    units = everything(book)[:30]
    before = acting(live, book, units)
    change(live, book)
    after = acting(live, book, units)
    assert not th.equal(before, after)
    fresh = live_of(pos, mode=mode)
    fresh.load_state_dict(live.state_dict())
    close(after, acting(fresh, book, units).numpy())


@pytest.mark.parametrize("mode", MODES)
def test_live_known_vectors_are_used_until_the_weights_move(
    mode: str, pos: Any, tiny_bert: Path
) -> None:
    encoded = tiny_task("POS-v0", tiny_bert)
    encoded.encode()
    book, live = UnitTexts(encoded), live_of(encoded, mode=mode)
    units = everything(book)
    found = acting(live, book, units)
    assert np.array_equal(found.numpy(), encoded.encoded.features.astype(np.float32))
    live.on_hold = lambda: True
    assert not learning(live, book, units).requires_grad
    assert live.encoded_texts == {"learning": 0, "acting": 0}
    live.on_hold = lambda: False
    assert learning(live, book, units).requires_grad
    shake(live)
    moved = acting(live, book, units)
    assert live.encoded_texts["acting"] == len(book)
    close(moved, acting(shake(live_of(pos, mode=mode)), UnitTexts(pos), units).numpy())


def test_live_looking_ahead_changes_no_result(pos: Any) -> None:
    book, plain, live = UnitTexts(pos), live_of(pos), live_of(pos)
    asked: list[int] = []

    def ahead(seen: UnitTexts) -> Any:
        assert seen is book
        asked.append(1)
        return np.array([3, 1, 3])

    live.upcoming = ahead
    for units in ([0], [int(book.words[3])], [int(book.words[1])], [0, 1]):
        close(acting(live, book, units), acting(plain, book, units).numpy())
    assert live.encoded_texts["acting"] == plain.encoded_texts["acting"] == 3
    assert len(asked) == 1  # nothing was missing afterwards
    live.train()
    with th.no_grad():  # the optimizer's next step would make it worthless
        live(book, th.tensor([int(book.words[5])]))
    learning(live, book, [int(book.words[6])])
    assert len(asked) == 1
    assert live.encoded_texts == {"learning": 1, "acting": 4}


def test_live_diverged_weights_are_an_error(pos: Any) -> None:
    book, live = UnitTexts(pos), live_of(pos)
    with th.no_grad():
        next(live.parameters()).fill_(th.nan)
    for seen in (acting, learning):
        with pytest.raises(EncoderError, match=r"diverged.*--encoder-lr"):
            seen(live, book, [0])


def test_live_copies_of_a_policy_are_apart(pos: Any) -> None:
    book, live = UnitTexts(pos), live_of(pos)
    before = acting(live, book, [0, 1])
    twin = copy.deepcopy(live)
    shake(live)
    assert not th.equal(acting(live, book, [0, 1]), before)
    assert th.equal(acting(twin, book, [0, 1]), before)


@pytest.mark.parametrize("env_id", ["POS-v0", "SpanQA-SQuAD-v0", "ChoiceQA-ARC-v0"])
def test_live_extractor_reads_what_a_frozen_one_does(env_id: str, tiny_bert: Path) -> None:
    task = tiny_task(env_id, tiny_bert)
    space = task.observation_space("index")
    source = FeatureSource(task, "cpu", trainable=True)
    th.manual_seed(0)
    frozen = NLPExtractor(space, FeatureSource(task, "cpu"), hidden=[8], pointer_dim=8)
    encoders = EncoderFactory(task.encoder, Tuning(), th.device("cpu"))
    live = NLPExtractor(space, source, hidden=[8], pointer_dim=8, encoder_factory=encoders)
    live.load_state_dict({**live.state_dict(), **frozen.state_dict()})
    state = task.initial(np.arange(6))
    seen = {k: th.as_tensor(v) for k, v in task.observe(state, "index").items()}
    assert live.encoder is not None
    units = [source.context(seen["row"], seen["position"]).flatten()]
    if live.pointer is not None:
        units.append(source.candidates(seen["row"], seen["position"]).flatten())
    wanted = th.cat(units).unique().numpy().astype(np.int64)
    assert source.unit_texts is not None
    texts = np.unique(source.unit_texts.texts_of(wanted[wanted < source.n_units]))
    live.train()
    learned = live(seen)
    # Context and candidates are encoded together.
    assert live.encoder.encoded_texts == {"learning": len(texts), "acting": 0}
    live.eval()
    with th.no_grad():
        acted = live(seen)
    assert live.encoder.encoded_texts["acting"] == len(texts)
    for found in (learned, acted):
        np.testing.assert_allclose(
            found.detach().numpy(), frozen(seen).detach().numpy(), rtol=1e-2, atol=3e-2
        )


def test_live_policies_refuse_a_corpus_opened_for_frozen_ones(pos: Any, tiny_bert: Path) -> None:
    encoders = EncoderFactory(pos.encoder, Tuning(), th.device("cpu"))
    source = FeatureSource(pos, "cpu", trainable=True)
    extractor = NLPExtractor(
        pos.observation_space("index"), source, hidden=[8], encoder_factory=encoders
    )
    frozen = FeatureSource(tiny_task("POS-v0", tiny_bert), "cpu")
    state = pos.initial(np.arange(2))
    seen = {k: th.as_tensor(v) for k, v in pos.observe(state, "index").items()}
    with (
        swapped_source(extractor, frozen),
        pytest.raises(InvalidArgumentError, match=r"opened for a frozen one.*trainable=True"),
    ):
        extractor(seen)


def build(algo: str, task: Any, *overrides: str, n_envs: int = 4, **tuning: Any) -> Any:
    """A model with a learning encoder."""
    options = {
        "ppo": ["n_steps:8", "batch_size:16", "n_epochs:1"],
        "masked_dqn": ["buffer_size:256", "learning_starts:16", "batch_size:32"],
        "bc": ["batch_size:32"],
    }[algo]
    hidden = "policy_kwargs.features_extractor_kwargs.hidden:[8]"
    params = load_hyperparams(algo, "any", [*options, hidden, *overrides])
    return build_model(
        resolve(algo), task, params, n_envs=n_envs, device="cpu", tuning=Tuning(**tuning)
    )


def test_live_updates_encode_each_text_of_a_minibatch_once(pos: Any) -> None:
    model = build("ppo", pos)
    (live,) = trainable_encoders(model.policy)
    wanted = []
    plain = model.policy.evaluate_actions

    def counted(observations: Any, *args: Any) -> Any:
        source = model.policy.features_extractor.source
        units = source.context(observations["row"], observations["position"]).flatten()
        units = units[units < source.n_units].numpy().astype(np.int64)
        wanted.append(len(np.unique(source.unit_texts.texts_of(units))))
        return plain(observations, *args)

    model.policy.evaluate_actions = counted
    model.learn(64)
    assert len(wanted) >= 2
    assert live.encoded_texts["learning"] == sum(wanted)


def test_live_rollouts_encode_a_text_once(pos: Any) -> None:
    model = build("ppo", pos, "n_steps:64", n_envs=4)
    (live,) = trainable_encoders(model.policy)
    rows: set[int] = set()
    venv = model.env.venv
    plain = venv.step

    def seen(actions: Any) -> Any:
        result = plain(actions)
        rows.update(result[0]["row"].flatten().tolist())
        return result

    venv.step = seen
    model.env.seed(0)
    first = model.env.reset()
    rows.update(first["row"].flatten().tolist())
    model._last_obs = None
    model.learn(1)
    book = model.policy.features_extractor.source.unit_texts
    # Those played, and at most one more an environment, which is next.
    assert len(rows) > 8
    assert live.encoded_texts["acting"] <= min(len(book), len(rows) + 4 + 4)


def test_live_ahead_of_a_target_network_is_nothing(pos: Any) -> None:
    model = build("masked_dqn", pos, "gamma:0.9")
    online, target = trainable_encoders(model.policy)
    assert online.upcoming is not None
    assert target.upcoming is None
    assert online.tuning is target.tuning


def test_live_actor_and_critic_may_have_an_encoder_each(pos: Any) -> None:
    model = build("ppo", pos, "policy_kwargs.share_features_extractor:false", hold=0.8)
    encoders = trainable_encoders(model.policy)
    assert len(encoders) == 2
    head = set(model.policy.optimizer.param_groups[0]["params"])
    for encoder in encoders:
        assert not head & set(encoder.parameters())
        assert encoder.on_hold()
    model.learn(64)
    assert not encoders[0].on_hold()
    assert all(encoder.encoded_texts["learning"] > 0 for encoder in encoders)


@pytest.mark.parametrize("mode", MODES)
def test_live_target_network_begins_as_the_online_one(mode: str, pos: Any, tiny_bert: Path) -> None:
    encoded = tiny_task("POS-v0", tiny_bert)
    encoded.encode()
    model = build("masked_dqn", encoded, "gamma:0.9", mode=mode, hold=0.5)
    obs = obs_as_tensor(model.env.reset(), model.device)
    with th.no_grad():
        assert th.equal(model.q_net_target(obs), model.q_net(obs))
    for live in trainable_encoders(model.policy):
        assert live.encoded_texts == {"learning": 0, "acting": 0}
