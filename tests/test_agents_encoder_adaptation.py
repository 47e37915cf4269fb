"""What learns in an encoder, what does not, and that networks share the latter."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import live_of, save_bert, tiny_task, word_piece
from stable_baselines3.common.utils import polyak_update
from torch import nn

from nlp_gym.encode import load_encoder
from nlp_gym.errors import InvalidArgumentError, MissingDependencyError, UnknownNameError
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.networks.encoder.adaptation import Adapter, prepare, share_frozen
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import TrainableEncoder, trainable_encoders
from nlp_gym_agents.networks.encoder.unit_texts import UnitTexts
from nlp_gym_agents.training.callbacks.kl_penalty import frozen_copy

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

LEARNS = {"finetune": "", "lora": "lora_", "adapter": ".adapter."}


def fixed(module: nn.Module) -> dict[str, th.Tensor]:
    """Weights that do not learn: buffers of numbers with a fraction."""
    return {name: b for name, b in module.named_buffers() if b.is_floating_point()}


def everything(book: UnitTexts) -> th.Tensor:
    return th.arange(0, book.n_units, 7)


def learned(live: TrainableEncoder, book: UnitTexts) -> th.Tensor:
    vectors, rows = live.train()(book, everything(book))
    assert rows is not None
    return vectors[rows]


def build(algo: str, task: Any, *overrides: str, **tuning: Any) -> Any:
    small = {
        "ppo": ["batch_size:16"],
        "masked_dqn": ["buffer_size:256", "learning_starts:16"],
        "dqn": ["buffer_size:256"],
    }
    hidden = "policy_kwargs.features_extractor_kwargs.hidden:[8]"
    params = load_hyperparams(algo, "any", [hidden, *small.get(algo, []), *overrides])
    return build_model(resolve(algo), task, params, n_envs=2, device="cpu", tuning=Tuning(**tuning))


def test_modes_dropout_that_attention_keeps_as_a_number() -> None:
    from transformers import ModernBertConfig, ModernBertModel

    config = ModernBertConfig(
        vocab_size=30,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        attention_dropout=0.5,
        pad_token_id=0,
    )
    words = th.arange(1, 9)[None]
    for rate, same in ((0.0, True), (0.5, False)):
        model = ModernBertModel(config)
        prepare(model, Tuning(mode="finetune", dropout=rate))
        model.train()
        first, second = (model(input_ids=words).last_hidden_state for _ in range(2))
        assert th.equal(first, second) is same


@pytest.mark.parametrize("mode", LEARNS)
def test_modes_what_learns_is_a_parameter_and_the_rest_is_not_saved(mode: str, pos: Any) -> None:
    live = live_of(pos, mode=mode)
    names = [name for name, _ in live.named_parameters()]
    assert names
    assert all(LEARNS[mode] in name for name in names)
    assert all(p.requires_grad for p in live.parameters())
    assert set(live.state_dict()) == set(names)
    whole = {p.shape.numel() for p in pos.encoder.word_vectors().parameters()}
    assert sum(whole) > 0
    assert sum(b.numel() for b in fixed(live).values()) > 0  # the pooler, at least
    if mode == "finetune":
        assert all("pooler" in name for name in fixed(live))
    else:
        weights = dict(pos.encoder.word_vectors().named_parameters())
        assert sum(b.numel() for b in fixed(live).values()) == sum(
            p.numel() for p in weights.values()
        )


@pytest.mark.parametrize("mode", LEARNS)
@pytest.mark.parametrize("upto", [0, 1, 2])
def test_modes_freeze_layers_up_to_a_hidden_state(upto: int, mode: str, pos: Any) -> None:
    live, book = live_of(pos, mode=mode, freeze_layers=upto), UnitTexts(pos)
    places = {name.partition(".layer.")[2].partition(".")[0] for name in live.state_dict()}
    assert places == {str(layer) for layer in range(upto, 3)}
    (learned(live, book) ** 2).sum().backward()
    optimizer = th.optim.SGD(live.parameters(), lr=0.1)
    optimizer.step()
    # Hidden states 0 to `upto` are what they were, those above are not.
    batch = book.encoder.batcher.batch(book.tokens, book.windows, np.arange(4))
    fresh = pos.encoder.word_vectors()
    ids, mask = th.from_numpy(batch.ids), th.from_numpy(batch.mask)
    with th.no_grad():
        one, two = (
            words.model.eval()(ids, attention_mask=mask, output_hidden_states=True).hidden_states
            for words in (live.words, fresh)
        )
    same = [bool((a - b).abs().max() < 1e-5) for a, b in zip(one, two, strict=True)]
    assert same == [state <= upto for state in range(4)]


@pytest.mark.parametrize("mode", LEARNS)
def test_modes_freezing_all_layers_leaves_nothing(mode: str, pos: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"freeze_layers=3 leaves nothing.*0 to 3"):
        live_of(pos, mode=mode, freeze_layers=3)


def test_modes_layers_that_are_not_read_are_not_there(tiny_bert: Path) -> None:
    task = tiny_task("POS-v0", tiny_bert, encoder_kwargs={"layers": "0+2"})
    live = live_of(task)
    assert len(live.words.model.encoder.layer) == 2
    with pytest.raises(InvalidArgumentError, match="0 to 2"):
        live_of(task, freeze_layers=2)


@pytest.mark.parametrize("targets", ["attention", "all"])
def test_modes_lora_begins_without_effect_and_learns(targets: str, pos: Any) -> None:
    book, plain = UnitTexts(pos), learned(live_of(pos), UnitTexts(pos))
    live = live_of(pos, mode="lora", targets=targets, rank=2, alpha=7)
    assert th.equal(learned(live, book), plain)
    names = {name.rpartition(".lora_")[0].rpartition(".")[2] for name in live.state_dict()}
    assert names == ({"query", "value"} if targets == "attention" else {*names, "key", "dense"})
    assert all("pooler" not in name for name in live.state_dict())
    assert {min(p.shape) for p in live.parameters()} == {2}
    for name, parameter in live.named_parameters():
        assert bool(parameter.any()) == ("lora_A" in name)
    (learned(live, book) ** 2).sum().backward()
    for name, parameter in live.named_parameters():
        assert parameter.grad is not None
        assert bool(parameter.grad.any()) == ("lora_B" in name), name
    with th.no_grad():
        layer = live.words.model.encoder.layer[0].attention.self.query
        layer.lora_B["default"].weight.fill_(1.0)
        x = th.randn(3, 16)
        update = 7 / 2 * (x @ layer.lora_A["default"].weight.T) @ th.ones(2, 16)
        th.testing.assert_close(layer(x), layer.base_layer(x) + update)


def test_modes_adapters_begin_as_the_identity_and_learn(pos: Any) -> None:
    book = UnitTexts(pos)
    adapter = Adapter(16, 4)
    x = th.randn(2, 3, 16)
    assert th.equal(adapter(x), x)
    live = live_of(pos, mode="adapter", bottleneck=4)
    assert th.equal(learned(live, book), learned(live_of(pos), book))
    assert sorted({tuple(p.shape) for p in live.parameters()}) == [(4,), (4, 16), (16,), (16, 4)]
    (learned(live, book) ** 2).sum().backward()
    ups = [p.grad for name, p in live.named_parameters() if ".up." in name]
    assert len(ups) == 2 * 3
    assert all(grad is not None and bool(grad.any()) for grad in ups)
    th.optim.SGD(live.parameters(), lr=1e-5).step()
    live.zero_grad()
    (learned(live, book) ** 2).sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in live.parameters())


@pytest.mark.parametrize("kind", ["distilbert", "roberta", "electra"])
@pytest.mark.parametrize("mode", LEARNS)
def test_modes_other_families(kind: str, mode: str, tmp_path: Path) -> None:
    import json

    from transformers import AutoConfig, AutoModel

    folder = save_bert(tmp_path / "bert", word_piece())
    known = json.loads((folder / "config.json").read_text())
    if kind == "distilbert":
        config = AutoConfig.for_model(
            kind, vocab_size=known["vocab_size"], dim=16, n_layers=3, n_heads=2, hidden_dim=32
        )
    else:
        sizes = {k: v for k, v in known.items() if k in ("vocab_size", "num_hidden_layers")}
        config = AutoConfig.for_model(
            kind,
            **sizes,
            hidden_size=16,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=40,
            **({"embedding_size": 8} if kind == "electra" else {}),
        )
    th.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    task = tiny_task("POS-v0", folder)
    live, book = live_of(task, mode=mode, freeze_layers=1), UnitTexts(task)
    places = {name.partition(".layer.")[2].partition(".")[0] for name in live.state_dict()}
    assert places == {"1", "2"}
    (learned(live, book) ** 2).sum().backward()
    assert any(bool(p.grad.any()) for p in live.parameters() if p.grad is not None)


@pytest.mark.parametrize("mode", LEARNS)
def test_modes_checkpointing_gives_the_same_gradients(mode: str, pos: Any) -> None:
    grads, passes = [], []
    for checkpointing in (False, True):
        live, book = live_of(pos, mode=mode, checkpointing=checkpointing), UnitTexts(pos)
        calls: list[int] = []
        layer = live.words.model.encoder.layer[1].attention.self.query
        layer.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        loss = (learned(live, book) ** 2).mean()
        forward = len(calls)
        loss.backward()
        passes.append(len(calls) / forward)
        grads.append({n: p.grad for n, p in live.named_parameters() if p.grad is not None})
    assert passes == [1, 2]  # computed again on the way back
    assert grads[0].keys() == grads[1].keys()
    assert any(bool(grad.any()) for grad in grads[0].values())
    for name, grad in grads[0].items():
        th.testing.assert_close(grads[1][name], grad)


def test_modes_bfloat16_is_near_and_learns_in_float32(pos: Any) -> None:
    book = UnitTexts(pos)
    live = live_of(pos, precision="bfloat16")
    assert {p.dtype for p in live.parameters()} == {th.float32}
    exact, rough = learned(live_of(pos), book), learned(live, book)
    assert rough.dtype == th.float32
    difference = (exact - rough).abs()
    assert 0 < difference.mean().item() < 0.05
    (rough**2).sum().backward()
    grads = [p.grad for p in live.parameters() if p.grad is not None]
    assert {g.dtype for g in grads} == {th.float32}
    assert all(bool(th.isfinite(g).all()) for g in grads)


@pytest.mark.parametrize("mode", LEARNS)
def test_modes_networks_share_what_does_not_learn(mode: str, pos: Any) -> None:
    one, two = (live_of(pos, mode=mode, freeze_layers=1) for _ in range(2))
    share_frozen(one, two)
    mine, theirs = fixed(one), fixed(two)
    assert mine
    assert all(theirs[name].data_ptr() == mine[name].data_ptr() for name in mine)
    own = {p.data_ptr() for p in one.parameters()}
    assert not own & {p.data_ptr() for p in two.parameters()}


@pytest.mark.parametrize("mode", LEARNS)
@pytest.mark.parametrize("algo", ["masked_dqn", "dqn", "qrdqn"])
def test_modes_target_updates_leave_shared_memory_alone(algo: str, mode: str, pos: Any) -> None:
    overrides = ["buffer_size:256"] if algo == "qrdqn" else []
    model = build(algo, pos, *overrides, mode=mode, freeze_layers=0)
    online, target = trainable_encoders(model.policy)
    before = {name: value.clone() for name, value in fixed(online).items()}
    assert before
    old = {name: p.detach().clone() for name, p in target.named_parameters()}
    with th.no_grad():
        for parameter in online.parameters():
            parameter.add_(1.0)
    nets = ("quantile_net", "quantile_net_target") if algo == "qrdqn" else ("q_net", "q_net_target")
    source, sink = (getattr(model, name).parameters() for name in nets)
    polyak_update(list(source), list(sink), 0.01)
    for name, parameter in target.named_parameters():
        th.testing.assert_close(parameter.detach(), old[name] + 0.01)
    source, sink = (getattr(model, name).parameters() for name in nets)
    polyak_update(list(source), list(sink), 1.0)
    for one, two in zip(online.parameters(), target.parameters(), strict=True):
        assert th.equal(one, two)
        assert one.data_ptr() != two.data_ptr()
    for encoder in (online, target):
        now = fixed(encoder)
        assert all(th.equal(now[name], before[name]) for name in before)
    assert all(fixed(online)[n].data_ptr() == fixed(target)[n].data_ptr() for n in before)


@pytest.mark.parametrize("mode", LEARNS)
@pytest.mark.parametrize("algo", ["ppo", "masked_dqn", "bc"])
def test_modes_policy_holds_what_learns(algo: str, mode: str, pos: Any) -> None:
    model = build(algo, pos, mode=mode, freeze_layers=1)
    encoders = trainable_encoders(model.policy)
    saved = [name for name in model.policy.state_dict() if ".words." in name]
    assert all(LEARNS[mode] in name for name in saved)
    assert not any(".layer.0." in name or "embeddings" in name for name in saved)
    groups = model.policy.optimizer.param_groups
    optimized = [p for group in groups for p in group["params"]]
    assert len(optimized) == len(set(optimized))
    assert set(encoders[0].parameters()) <= set(optimized)
    assert all(p.requires_grad for p in optimized)
    assert not set(groups[0]["params"]) & set(encoders[0].parameters())
    if algo == "masked_dqn":
        assert not set(encoders[1].parameters()) & set(optimized)


@pytest.mark.parametrize("mode", LEARNS)
def test_modes_orthogonal_initialisation_is_for_the_heads(mode: str, pos: Any) -> None:
    model = build("ppo", pos, mode=mode)
    (live,) = trainable_encoders(model.policy)
    for name, weight in pos.encoder.word_vectors().named_parameters():
        own = {**dict(live.words.named_parameters()), **dict(live.words.named_buffers())}
        found = [own[n] for n in own if n.replace(".base_layer", "") == name]
        assert len(found) == 1
        assert th.equal(found[0], weight), name
    if mode == "lora":
        ups = [p for name, p in live.named_parameters() if "lora_B" in name]
    else:
        ups = [p for name, p in live.named_parameters() if ".up." in name]
    assert not any(bool(p.any()) for p in ups)
    trunk = model.policy.features_extractor.trunk[0].weight  # (8, width), orthogonal with gain
    product = (trunk @ trunk.T).detach()
    th.testing.assert_close(product, product[0, 0] * th.eye(8), atol=1e-4, rtol=0)


def test_modes_a_frozen_copy_of_a_policy_shares_what_is_fixed(pos: Any) -> None:
    model = build("ppo", pos, mode="lora")
    twin = frozen_copy(model.policy)
    one, two = trainable_encoders(model.policy)[0], trainable_encoders(twin)[0]
    assert all(fixed(two)[n].data_ptr() == b.data_ptr() for n, b in fixed(one).items())
    own = {p.data_ptr() for p in one.parameters()}
    assert not own & {p.data_ptr() for p in two.parameters()}


def test_modes_lora_without_peft(pos: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingDependencyError, match=r"peft.*nlp-gymnasium\[lora\]"):
        live_of(pos, mode="lora")
    with pytest.raises(MissingDependencyError, match="peft"):
        build("ppo", pos, mode="lora")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "lorra"}, UnknownNameError, "Did you mean 'lora'"),
        ({"mode": "frozen"}, UnknownNameError, "mode"),
        ({"precision": "float16"}, UnknownNameError, "precision"),
        ({"targets": "query"}, UnknownNameError, "targets"),
        ({"rank": 0}, InvalidArgumentError, r"rank=0 must be a whole number from 1"),
        ({"rank": 2.5}, InvalidArgumentError, "rank=2.5"),
        ({"rank": True}, InvalidArgumentError, "rank=True"),
        ({"alpha": 0}, InvalidArgumentError, "alpha=0"),
        ({"bottleneck": 0}, InvalidArgumentError, "bottleneck=0"),
        ({"dropout": 1.0}, InvalidArgumentError, "dropout=1.0 must be a number from 0 to below 1"),
        ({"dropout": float("nan")}, InvalidArgumentError, "dropout=nan"),
        ({"hold": -0.1}, InvalidArgumentError, "hold=-0.1"),
        ({"lr": -1}, InvalidArgumentError, "lr=-1"),
        ({"lr": None}, InvalidArgumentError, "lr=None"),
        ({"weight_decay": "a"}, InvalidArgumentError, "weight_decay='a'"),
        ({"freeze_layers": -1}, InvalidArgumentError, "freeze_layers=-1"),
        ({"batch_tokens": 0}, InvalidArgumentError, "batch_tokens=0"),
        ({"checkpointing": 1}, InvalidArgumentError, "checkpointing=1 must be true or false"),
        ({"rnak": 1}, UnknownNameError, "Did you mean 'rank'"),
    ],
)
def test_modes_options_are_checked(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Tuning.of(options)


def test_modes_options_come_back() -> None:
    tuning = Tuning(mode="lora", lr="lin_1e-4", freeze_layers=2)
    assert Tuning.of(tuning.as_dict()) == tuning


@pytest.mark.minilm
def test_modes_minilm_shares_of_weights() -> None:
    pytest.importorskip("all_minilm_l6_v2")
    encoder = load_encoder(layers="0+2+4", dtype="float32")
    whole = sum(p.numel() for p in encoder.word_vectors().parameters())
    shares = {}
    for mode in LEARNS:
        model = encoder.word_vectors().model
        prepare(model, Tuning(mode=mode))
        assert len(model.encoder.layer) == 4
        shares[mode] = sum(p.numel() for p in model.parameters()) / whole
    assert 0 < shares["lora"] < 0.03
    assert 0 < shares["adapter"] < 0.03
    assert shares["finetune"] > 0.98


def test_adaptation_attention_has_a_dropout_of_its_own(pos: Any) -> None:
    live = live_of(pos, dropout=0.3, attention_dropout=0.0)
    rates = {
        name: module.p
        for name, module in live.words.model.named_modules()
        if isinstance(module, th.nn.Dropout)
    }
    inner = [p for name, p in rates.items() if name.endswith("attention.self.dropout")]
    assert inner
    assert set(inner) == {0.0}
    assert sorted(rates.values()).count(0.3) == len(rates) - len(inner)
    plain = live_of(pos, dropout=0.3).words.model.modules()
    assert {module.p for module in plain if isinstance(module, th.nn.Dropout)} == {0.3}
