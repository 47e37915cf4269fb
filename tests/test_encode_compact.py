"""Projected vectors and vectors of 8 bits: the same numbers however they are read."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from conftest import assert_same_results

from nlp_gym import make_task
from nlp_gym.encode import EncoderOptions, encode_texts, encode_units, load_encoder
from nlp_gym.encode.compact import CompactEncoder, principal_components, sample_texts
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.types import INT8_STEP, Encoded, Units
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.training.train import resume, train

TEXTS = [("Ann", "lives", "in", "Rome", "."), ("She", "sings", "."), ("Rome",)]
BOTH = {"dim": 48, "project": 12, "storage": "int8"}
OPTIONS = [{"dim": 48, "project": 12}, {"storage": "int8"}, BOTH]


def task_with(options: dict[str, Any], split: str = "train", env: str = "NER-CoNLL-v0") -> Any:
    return make_task(env, split, corpus="sample", encoder="hashed", encoder_kwargs=options)


def test_encode_compact_components_are_those_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    given = rng.normal(size=(2000, 3)) * [1.0, 5.0, 0.2] + [3.0, 0.0, -1.0]
    given = np.column_stack([given, given[:, 1] * 2])  # one dimension says nothing new
    mean, *components = principal_components(given)
    np.testing.assert_allclose(mean, given.mean(axis=0))
    scores = (given - mean) @ np.array(components).T
    np.testing.assert_allclose(np.cov(scores.T, bias=True)[:3, :3], np.eye(3), atol=1e-8)
    assert not scores[:, 3].any()
    spread = 1 / np.linalg.norm(components[:3], axis=1)
    assert spread == pytest.approx(
        [given[:, [1, 3]].std(axis=0) @ [5**-0.5, 2 * 5**-0.5], *spread[1:]]
    )
    assert (np.diff(spread) < 0).all()
    flipped = principal_components(given[::-1])  # signs are no accident
    np.testing.assert_allclose(flipped[1:4], components[:3], rtol=1e-6)


def test_encode_compact_projection_has_unit_deviation_on_its_sample() -> None:
    encoder = load_encoder("hashed", dim=48, project=12)
    rows = encoder.encode(sample_texts()).astype(np.float64)
    assert rows.shape[1] == encoder.dim == 12
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=2e-3)
    np.testing.assert_allclose(rows.std(axis=0), 1, atol=5e-3)
    assert np.abs(np.corrcoef(rows.T) - np.eye(12)).max() < 0.02
    # A wider projection begins with the narrower one.
    wider = load_encoder("hashed", dim=48, project=20).encode(TEXTS)
    np.testing.assert_allclose(wider[:, :12], encoder.encode(TEXTS), atol=1e-2)


def test_encode_compact_bytes_differ_by_half_a_step_at_most() -> None:
    encoder, whole = load_encoder("hashed", storage="int8"), load_encoder("hashed")
    small, large = encode_texts(TEXTS, encoder), encode_texts(TEXTS, whole)
    assert small.features.dtype == np.int8
    assert small.features.nbytes * 2 == large.features.nbytes
    rows = np.arange(len(small.features))
    difference = np.abs(small.gather(rows) - large.gather(rows))
    assert 0.02 < difference.max() <= INT8_STEP / 2
    assert not small.gather(rows)[-1].any()
    np.testing.assert_array_equal(encoder.encode(TEXTS), small.gather(rows[:-1]))


def test_encode_compact_bytes_end_at_the_bound() -> None:
    encoder = load_encoder("hashed", storage="int8")
    far = np.array([[8.0, -8.0, 0.03, -0.04]], np.float16)
    encoder.inner.encode = lambda texts, progress=False: far  # type: ignore[attr-defined]
    assert encoder.encode([("x",)]).tolist() == [[7.9375, -7.9375, 0.0, -0.0625]]


@pytest.mark.parametrize("options", OPTIONS)
def test_encode_compact_cache_units_and_means_agree(tmp_path: Path, options: Any) -> None:
    encoder = load_encoder("hashed", **options)
    units = Units(TEXTS)
    cached = encode_units(units, encoder, cache_dir=tmp_path)
    fresh = encode_units(units, encoder, cache=False)
    np.testing.assert_array_equal(cached.features, fresh.features)
    assert cached.features.dtype == fresh.features.dtype
    assert cached.features.dtype == (np.int8 if "storage" in options else np.float16)
    spans = np.array([[1, 0, 3], [0, 1, 2]])
    means = encode_units(Units(TEXTS, spans), encoder, cache_dir=tmp_path)
    assert means.features.dtype == cached.features.dtype
    words = encoder.encode(TEXTS).astype(np.float64)
    found = means.gather(np.arange(2))
    np.testing.assert_allclose(found, [words[5:8].mean(axis=0), words[1]], atol=INT8_STEP / 2)


def test_encode_compact_options_change_the_fingerprint_and_defaults_do_not() -> None:
    plain = load_encoder("hashed", dim=48)
    kinds = [load_encoder("hashed", **{"dim": 48, **options}) for options in OPTIONS]
    assert len({plain.fingerprint, *(kind.fingerprint for kind in kinds)}) == 4
    explicit = load_encoder("hashed", dim=48, project=None, storage="float16")
    assert not isinstance(explicit, CompactEncoder)
    assert explicit.fingerprint == plain.fingerprint


_CHILD = """
import sys
from nlp_gym.encode import encode_texts, load_encoder
encoder = load_encoder("hashed", dim=48, project=12, storage="int8")
features = encode_texts([("Ann", "lives", "in", "Rome", ".")], encoder).features
sys.stdout.buffer.write(features.tobytes())
"""


def test_encode_compact_is_the_same_in_every_process(tmp_path: Path) -> None:
    own = encode_texts(TEXTS[:1], load_encoder("hashed", **BOTH)).features
    environment = {
        **os.environ,
        "NLP_GYM_CACHE": str(tmp_path),  # it learns its projection itself
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONHASHSEED": "7",
    }
    child = [sys.executable, "-c", _CHILD]
    found = subprocess.run(child, env=environment, capture_output=True, check=True)
    assert found.stdout == own.tobytes()
    assert list((tmp_path / "projections").glob("*.npy"))
    copy = pickle.loads(pickle.dumps(load_encoder("hashed", **BOTH)))
    np.testing.assert_array_equal(encode_texts(TEXTS[:1], copy).features, own)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("env_id", ["NER-CoNLL-v0", "ChoiceQA-OpenBookQA-v0"])
def test_encode_compact_index_reads_what_features_carry(env_id: str, options: Any) -> None:
    given = {"corpus": "sample", "encoder": "hashed", "encoder_kwargs": options}
    env = gym.make(env_id, obs_type="features", **given)
    task: Any = env.unwrapped.task  # type: ignore[attr-defined]
    source = FeatureSource(task, "cpu")
    index = gym.make(env_id, obs_type="index", **given)
    for seed in range(5):
        seen, named = env.reset(seed=seed)[0], index.reset(seed=seed)[0]
        assert all(env.observation_space[key].contains(seen[key]) for key in seen)
        place = [th.tensor(named[key])[None] for key in ("row", "position")]
        if "context" in seen:
            np.testing.assert_array_equal(source.gather(*place)[0], seen["context"])
        if "candidates" in seen:
            ids = source.candidates(*place)[0]
            vectors, rows = source.units(ids.flatten())
            own = vectors if rows is None else vectors[rows]
            np.testing.assert_array_equal(own.view(len(ids), -1), seen["candidates"])


def test_encode_compact_mixtures_share_the_format() -> None:
    task = task_with({"storage": "int8"}, env="MultiTask-v0")
    assert task.encoded.features.dtype == np.int8
    assert not task.encoded.features[-1].any()


def test_encode_compact_splits_share_the_projection() -> None:
    encoder = task_with(BOTH).encoder
    for split in ("dev", "test"):
        task = task_with(BOTH, split)
        assert task.encoder.fingerprint == encoder.fingerprint
        words = [sample.words for sample in task.corpus.samples[:3]]
        wanted = encode_texts(words, encoder).features[:-1]
        np.testing.assert_array_equal(task.encoded.features[: len(wanted)], wanted)


def test_encode_compact_runs_are_evaluated_gone_on_with_and_predict(tmp_path: Path) -> None:
    th.set_num_threads(1)
    config = TrainConfig(
        algo="ppo",
        n_timesteps=64,
        n_envs=8,
        hyperparams={"n_steps": 8, "batch_size": 64},
        env_kwargs={"corpus": "sample", "encoder": "hashed", "encoder_kwargs": BOTH},
    )
    run = train(config, run_dir=tmp_path / "run", progress=False)
    predictor = Agent(run)
    encoder = predictor.trained.task("dev").encoder
    assert (encoder.dim, encoder.fingerprint) == (12, load_encoder("hashed", **BOTH).fingerprint)
    assert len(predictor.predict(["Ann lives in Rome."])[0].to_dict()["tokens"]) == 5
    assert 0 <= evaluate(run, "test", bootstrap=0).value <= 1
    again = train(config, run_dir=tmp_path / "again", progress=False)
    assert_same_results(Agent(again).predict(["Ann, Rome"]), predictor.predict(["Ann, Rome"]))
    resume(run, progress=False)  # nothing is left to do, and nothing is refused


def test_encode_compact_an_encoder_that_learns_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    kwargs = {"corpus": "sample", "encoder": str(tiny_bert), "encoder_kwargs": {"storage": "int8"}}
    config = TrainConfig(
        env="POS-v0", algo="bc", n_timesteps=8, encoder_mode="finetune", env_kwargs=kwargs
    )
    with pytest.raises(InvalidArgumentError, match=r"project and storage .*--encoder-mode frozen"):
        train(config, run_dir=tmp_path / "run", progress=False)


def test_encode_compact_of_a_transformer(tiny_bert: Path) -> None:
    options = {"layers": "1+3", "dtype": "float32"}
    plain = load_encoder(str(tiny_bert), **options)
    small = load_encoder(str(tiny_bert), **options, project=8, storage="int8")
    assert isinstance(small, CompactEncoder)
    assert small.dtype == "float32"
    mean, components = small.projection
    exact = (plain.encode(TEXTS).astype(np.float32) - mean) @ components
    assert np.abs(small.encode(TEXTS) - np.clip(exact, -8, 8)).max() <= INT8_STEP / 2 + 0.01
    assert small is load_encoder(str(tiny_bert), **options, project=8, storage="int8")
    assert small.inner is plain  # its weights are there once


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"project": 0}, InvalidArgumentError, "project=0"),
        ({"project": True}, InvalidArgumentError, "project=True"),
        ({"project": 2.5}, InvalidArgumentError, "project=2.5"),
        ({"project": 65}, InvalidArgumentError, "project=65 is above .*64. Give at most that"),
        ({"storage": "int4"}, UnknownNameError, "storage='int4'.*Did you mean 'int8'"),
        ({"storage": None}, UnknownNameError, "storage=None"),
        ({"stoarge": "int8"}, UnknownNameError, "Did you mean 'storage'"),
    ],
)
def test_encode_compact_bad_options_are_named(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        load_encoder("hashed", **options)


def test_encode_compact_options_object_has_them() -> None:
    options = EncoderOptions.of({"project": np.int64(12), "storage": "int8"}, encoder="hashed")
    assert options.changed() == {"project": 12, "storage": "int8"}
    assert type(options.project) is int


def test_encode_compact_gathers_bytes_without_torch_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = Encoded(np.array([[1, -127], [0, 0]], np.int8), np.array([0, 1]))
    wanted = [[[0.0625, -7.9375], [0.0, 0.0]]]
    assert encoded.gather(np.array([[0, 1]])).tolist() == wanted
    monkeypatch.delitem(sys.modules, "torch")
    assert encoded.gather(np.array([[0, 1]])).tolist() == wanted
    assert encoded.gather(np.array([[0, 1]])).dtype == np.float32


@pytest.mark.parametrize("options", OPTIONS)
def test_encode_compact_vectors_that_are_known_are_made_smaller(
    tmp_path: Path, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = load_encoder("hashed", **{k: v for k, v in options.items() if k == "dim"})
    small = load_encoder("hashed", **options)
    wanted = encode_units(Units(TEXTS), small, cache_dir=tmp_path / "fresh").features
    encode_units(Units(TEXTS), plain, cache_dir=tmp_path)
    monkeypatch.setattr(small, "encode", None)  # nothing is encoded again
    found = encode_units(Units(TEXTS), small, cache_dir=tmp_path).features
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, atol=2e-3)
