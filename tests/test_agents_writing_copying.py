"""Copying words of the source: which tokens may follow, heads, and runs that copy."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import assert_same_results
from safetensors.torch import load_file

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.tasks.generation.samples import source_pieces
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.networks.decoder.copying import CopyHead, Copying
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.train import resume, train

pytestmark = pytest.mark.usefixtures("one_thread")

EXTRACTOR = {"width": 16, "layers": 1, "heads": 2, "dropout": 0.1, "copy": True}


def config(algo: str, **changes: Any) -> TrainConfig:
    hyperparams: dict[str, Any] = {
        "bc": {"batch_size": 64},
        "maskable_ppo": {
            "n_steps": 8,
            "batch_size": 16,
            "kl": {"coef": 0.1, "target": 0.01},
            "start": {"temperature": 0.5, "fit_values": True},
        },
        "ppo": {"n_steps": 8, "batch_size": 16},
        "masked_dqn": {"buffer_size": 200, "learning_starts": 16, "batch_size": 16},
    }[algo]
    values: dict[str, Any] = {
        "env": "Summary-AESLC-v0",
        "algo": algo,
        "n_timesteps": 64,
        "n_envs": 1 if algo == "bc" else 4,
        "hyperparams": {**hyperparams, "policy_kwargs": {"features_extractor_kwargs": EXTRACTOR}},
        "env_kwargs": {"corpus": "sample", "encoder": "hashed", "max_source": 100},
        "eval_freq": 32,
        "save_freq": 32,
        "device": "cpu",
    }
    return TrainConfig(**{**values, **changes})


def test_copying_goes_on_with_words_and_with_nothing_else() -> None:
    th.manual_seed(0)
    copying = Copying(8, 2)
    pieces = th.tensor([[[5, 6, 7], [5, 8, 0], [9, 0, 0], [0, 0, 0]]])
    keys = th.randn(1, 2, 4, 4)
    before = th.tensor([[0, 0, 0, 5, 6, 3, 9]])  # two zeros, then the places 0 to 4
    with th.no_grad():
        states = th.randn(1, 5, 8)
        found = copying(states, keys, pieces, before, 12)[0]
        amount = copying.amount(states).sigmoid()[0, :, 0]
        last = copying(states[:, -1:], keys, pieces, before, 12)[0]
    th.testing.assert_close(last[0], found[-1])
    th.testing.assert_close(found.sum(dim=1), amount)
    allowed = [{5, 9}, {5, 9, 6, 8}, {5, 9, 7}, {5, 9}, {5, 9}]
    assert [set(row.nonzero()[:, 0].tolist()) for row in found] == allowed
    for place, begun in ((0, [0, 0, 0]), (3, [1, 1, 0]), (4, [1, 1, 1])):
        query = copying.query(states)[0, place].detach()
        scores = th.stack([query @ keys[0, :, j].flatten() / 8**0.5 for j in range(3)])
        shares = (scores - th.tensor(begun)).softmax(dim=0) * amount[place]
        th.testing.assert_close(found[place, 9], shares[2])
        th.testing.assert_close(found[place, 5], shares[0] + shares[1])


def test_copying_nothing_where_no_word_can_be() -> None:
    copying = Copying(8, 2)
    states = th.randn(1, 1, 8, requires_grad=True)
    none = th.zeros(1, 3, 2, dtype=th.long)
    found = copying(states, th.randn(1, 2, 3, 4), none, th.zeros(1, 1, dtype=th.long), 6)
    assert (found == 0).all()
    head = CopyHead(8, 6)
    features = th.cat([states[0], found[0]], dim=1)
    th.testing.assert_close(head(features), head.linear(states[0]).log_softmax(dim=1))
    head(features).sum().backward()
    assert states.grad is not None
    assert states.grad.isfinite().all()


def test_copy_heads_mix_and_sharpen() -> None:
    head = CopyHead(4, 3)
    copied = th.tensor([[0.0, 0.5, 0.2]])
    states = th.randn(1, 4)
    written = head.linear(states).softmax(dim=1)
    probabilities = head(th.cat([states, copied], dim=1)).exp()
    th.testing.assert_close(probabilities, 0.3 * written + copied)
    head.sharpen(2.0)
    sharper = head(th.cat([states, copied], dim=1)).softmax(dim=1)
    th.testing.assert_close(sharper, probabilities**2 / (probabilities**2).sum())
    assert "sharpness" in head.state_dict()


def test_source_pieces_write_the_words() -> None:
    task: Any = make_task("Summary-AESLC-v0", encoder="hashed", corpus="sample")
    vocabulary, sources = task.vocabulary, task.units.texts
    table = source_pieces(vocabulary, sources, 4)
    words = [word for source in sources for word in source]
    assert table.shape == (len(words) + 1, 4)
    assert not table[-1].any()
    whole = 0
    for row, word in zip(table, words, strict=False):
        tokens = row[row > 0].tolist()
        text = vocabulary.decode(tokens)
        if not any(map(str.isalnum, word)):
            assert tokens == []
        elif len(tokens) < 4:
            assert text == word
            whole += 1
    assert whole > 100


@pytest.fixture(scope="module")
def copier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(config("bc"), run_dir=tmp_path_factory.mktemp("copy") / "bc", progress=False)


def test_copying_runs_are_scored_and_predict(copier: Path) -> None:
    assert 0 <= evaluate(copier, "dev", env_kwargs={"beam": 2}).value <= 1
    texts = ["Please send the Rivera contract to Houston by Friday.", "好的", "word " * 120]
    with pytest.warns(UserWarning, match="more than 100 words"):
        found = Agent(copier).predict(texts)
    assert_same_results(Agent(copier).predict(texts[:1]), found[:1])
    record = Agent(copier, alternatives=2).predict(texts[:1])[0].to_dict()
    assert record["greedy"] == record["output"]


def test_copying_in_a_rollout_is_that_of_an_update(copier: Path) -> None:
    agent = load_trained(copier)
    task: Any = agent.task("dev")
    model = agent.model(task)
    extractor = model.policy.features_extractor
    rng, prefix = np.random.default_rng(3), np.zeros((5, task.max_length), np.int32)
    pieces = task.source_pieces(4)
    first = pieces[task.tables.row_units[:5, 0]]
    for place in range(6):
        given = {
            "row": th.arange(5)[:, None],
            "prefix": th.as_tensor(prefix),
            "position": th.full((5, 1), place),
        }
        with th.no_grad():
            step = extractor.eval()(given)
            whole = extractor._whole(_texts(given))
        th.testing.assert_close(step, whole, atol=1e-5, rtol=1e-4)
        assert step.shape == (5, 16 + task.n_actions)
        prefix[:, place] = np.where(
            (place < 4) & (first[:, min(place, 3)] > 0),
            first[:, min(place, 3)],
            rng.integers(300, task.n_actions, 5),
        )


def _texts(observations: Any) -> Any:
    from nlp_gym_agents.networks.decoder.extractor import _texts as texts

    return texts(observations)


def test_copying_warm_starts_resume_exactly(copier: Path, tmp_path: Path) -> None:
    start = {"warm_start": str(copier)}
    whole = train(config("maskable_ppo", **start), run_dir=tmp_path / "whole", progress=False)
    half = tmp_path / "half"
    shutil.copytree(whole, half)
    shutil.rmtree(newest(half / "checkpoints")[0])
    resume(half, progress=False)
    one, two = (
        load_file(newest(run / "checkpoints")[0] / "policy.safetensors") for run in (whole, half)
    )
    assert all(th.equal(one[key], two[key]) for key in one)
    assert float(one["action_net.sharpness"]) == 2.0


@pytest.mark.parametrize("algo", ["masked_dqn"])
def test_copying_takes_probabilities(algo: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="copy=True"):
        train(config(algo), run_dir=tmp_path / "q", progress=False)


def test_copying_starts_from_what_copies(copier: Path, tmp_path: Path) -> None:
    plain = {
        "n_steps": 8,
        "batch_size": 16,
        "policy_kwargs": {"features_extractor_kwargs": {**EXTRACTOR, "copy": False}},
    }
    with pytest.raises((InvalidArgumentError, RunError), match="do not fit"):
        train(
            config(
                "ppo", warm_start=str(copier), hyperparams={"n_steps": 8, "batch_size": 16, **plain}
            ),
            run_dir=tmp_path / "p",
            progress=False,
        )


def test_copying_has_heads_of_its_own(tmp_path: Path) -> None:
    kwargs = {"features_extractor_kwargs": EXTRACTOR, "net_arch": [8]}
    changed = config("bc", hyperparams={"batch_size": 64, "policy_kwargs": kwargs})
    with pytest.raises(InvalidArgumentError, match="net_arch"):
        train(changed, run_dir=tmp_path / "n", progress=False)
