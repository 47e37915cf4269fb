"""A rollout's pass through a learning encoder is the update's: how often texts are encoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import tiny_task

from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import TrainableEncoder, trainable_encoders

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


def learned(
    env_id: str, folder: Path, *, total: int, keep: bool = True, **params: Any
) -> tuple[Any, Any]:
    """Masked PPO with the sizes of its hyperparameter file, after `total` decisions."""
    task = tiny_task(env_id, folder)
    given = load_hyperparams("maskable_ppo", env_id, params, encoder_mode="finetune")
    n_envs = given.pop("n_envs")
    for name in ("n_timesteps", "tuning", "env_kwargs"):
        given.pop(name, None)
    given["policy_kwargs"]["features_extractor_kwargs"]["hidden"] = [16]
    row, tuning = resolve("maskable_ppo"), Tuning(lr=1e-3, warmup=0.0)
    model = build_model(row, task, given, n_envs=n_envs, tuning=tuning, device="cpu")
    live: Any = trainable_encoders(model.policy)[0]
    if not keep:
        live.keeps = lambda _: False
    live.seen = 0
    update = live._differentiable

    def counted(texts: Any, wanted: Any) -> Any:
        live.seen += len(np.unique(texts.texts_of(wanted[wanted < texts.n_units])))
        return update(texts, wanted)

    live._differentiable = counted
    model.learn(total)
    return model, live


@pytest.mark.parametrize("env_id", ["NER-CoNLL-v0", "SpanQA-SQuAD-v0"])
def test_rollouts_encode_little_more_than_supervised_learning(env_id: str, tiny_bert: Path) -> None:
    total = 2048 if env_id == "NER-CoNLL-v0" else 256
    model, live = learned(env_id, tiny_bert, total=total)
    assert model._n_updates == model.num_timesteps / model.batch_size
    assert live.encoded_texts["learning"] == 0
    # Texts that a supervised learner would encode for the same updates.
    assert live.seen <= sum(live.encoded_texts.values()) <= 1.4 * live.seen


def test_rollouts_encode_what_readers_see(tiny_bert: Path) -> None:
    """Each piece that was read is encoded once a rollout, and not in the update again."""
    _, live = learned("Sentiment-SST2-v0", tiny_bert, total=1024)
    assert live.encoded_texts["learning"] == 0
    assert live.seen <= live.encoded_texts["acting"] <= 1.6 * live.seen


@pytest.mark.parametrize("env_id", ["NER-CoNLL-v0", "Sentiment-SST2-v0", "SpanQA-SQuAD-v0"])
def test_rollouts_that_are_kept_give_the_same_weights(env_id: str, tiny_bert: Path) -> None:
    sizes: dict[str, Any] = {"n_steps": 16, "batch_size": 64, "n_envs": 4}
    (one, kept), (two, plain) = (
        learned(env_id, tiny_bert, total=128, keep=keep, **sizes) for keep in (True, False)
    )
    assert kept.encoded_texts["learning"] < plain.encoded_texts["learning"]
    assert not kept._kept
    for name, weights in one.policy.state_dict().items():
        th.testing.assert_close(weights, two.policy.state_dict()[name], rtol=1e-3, atol=2e-5)


def test_rollouts_of_several_minibatches_keep_nothing(tiny_bert: Path) -> None:
    sizes: dict[str, Any] = {"n_steps": 16, "batch_size": 32, "n_envs": 4}
    _, live = learned("NER-CoNLL-v0", tiny_bert, total=128, **sizes)
    assert live.encoded_texts["learning"] >= live.encoded_texts["acting"] / 2 > 0


def test_rollouts_with_dropout_keep_nothing(pos: Any) -> None:
    from nlp_gym_agents.networks.encoder.unit_texts import UnitTexts

    book = UnitTexts(pos)
    for tuning in (Tuning(dropout=0.1), Tuning(attention_dropout=0.1), Tuning()):
        live = TrainableEncoder(pos.encoder, tuning)
        live.keeps = lambda _: True
        with th.no_grad():
            live(book, th.tensor([0]))
        assert len(live._kept) == (tuning == Tuning())
        live.clear_cache()
        assert not live._kept
