"""The features extractor: gathering, one-hots, swapping the corpus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import as_tensors, oracle_states
from gymnasium import spaces

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.tables import Tables
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Encoded
from nlp_gym_agents.networks.features import layers
from nlp_gym_agents.networks.features.extractor import NLPExtractor
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.features.swap_source import swapped_source


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task("NER-CoNLL-v0", corpus="sample", encoder="hashed", history_length=2)


@pytest.fixture(scope="module")
def dev() -> Task:
    return make_task("NER-CoNLL-v0", "dev", corpus="sample", encoder="hashed", history_length=2)


def tensors(obs: dict[str, np.ndarray[Any, Any]]) -> dict[str, th.Tensor]:
    # As Stable-Baselines3 hands observations over: every Box as float32.
    return {key: th.as_tensor(value).float() for key, value in obs.items()}


def context_dim(task: Task) -> int:
    return task.tables.n_context * task.encoder.dim


def toy_task(features: np.ndarray[Any, Any]) -> Any:
    """Two texts of 2 and 1 words, window 1; the last row is the zero row."""
    offsets = np.array([0, 2])
    neighbours = np.array([[3, 0, 1], [0, 1, 3], [3, 2, 3]])
    tables = Tables(offsets, neighbours)
    none = {"masks": None, "slot_flags": {}, "source_pieces": lambda most: None}
    return SimpleNamespace(encoded=Encoded(features, offsets), tables=tables, **none)


def test_extractors_source_gathers_neighbours() -> None:
    features = np.array([[1, 2], [3, 4], [5, 6], [0, 0]], np.float16)
    source = FeatureSource(toy_task(features), "cpu")
    got = source.gather(th.tensor([[0], [0], [1]]), th.tensor([[0], [1], [0]]))
    assert got.dtype == th.float32
    assert source.width == 6
    assert got.tolist() == [[0, 0, 1, 2, 3, 4], [1, 2, 3, 4, 0, 0], [0, 0, 5, 6, 0, 0]]


def test_extractors_source_shares_the_memory_map(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    np.save(path, np.arange(8, dtype=np.float16).reshape(4, 2))
    mapped = np.load(path, mmap_mode="r")
    source = FeatureSource(toy_task(mapped), "cpu")  # warnings are errors here
    assert source.features.data_ptr() == mapped.ctypes.data
    assert source.features.dtype == th.float16


def test_extractors_source_refuses_more_rows_than_float32_counts() -> None:
    task = toy_task(np.zeros((4, 2), np.float16))
    offsets = np.broadcast_to(np.int64(0), 2**24 + 1)
    task.tables = replace(task.tables, offsets=offsets)
    with pytest.raises(InvalidArgumentError, match="split the corpus"):
        FeatureSource(task, "cpu")


def test_extractors_index_reads_what_features_carry(task: Task) -> None:
    index = NLPExtractor(task.observation_space("index"), FeatureSource(task, "cpu"), hidden=[8])
    given = NLPExtractor(task.observation_space("features"), hidden=[8])
    state = task.initial(np.arange(6))
    for _ in range(int(task.lengths[:6].min()) + 1):  # up to the end of the shortest, included
        one = index.read(tensors(task.observe(state, "index")))
        two = given.read(tensors(task.observe(state, "features")))
        assert one.shape == (6, index.width)
        assert th.equal(one, two)
        if task.transition(state, task.oracle(state))[1].any():
            last = task.observe(state, "features")["context"]
            assert not last[
                state.slot - task.tables.offsets[state.row] == task.lengths[state.row]
            ].any()
            assert th.equal(
                index.read(tensors(task.observe(state, "index"))),
                given.read(tensors(task.observe(state, "features"))),
            )
            return
    pytest.fail("no text ended")


def test_extractors_one_hot_history_and_no_mask(task: Task) -> None:
    extractor = NLPExtractor(task.observation_space("index"), FeatureSource(task, "cpu"))
    n = task.n_actions
    before = context_dim(task) + task.slot_flags["flags"].rows.shape[1]
    assert extractor.width == before + 2 * (n + 1)
    state = task.initial(np.array([0]))
    task.transition(state, np.array([1]))
    row = extractor.read(tensors(task.observe(state, "index")))[0, before:]
    assert row.reshape(2, n + 1).argmax(1).tolist() == [1, n]
    assert row.sum() == 2


def test_extractors_reads_unknown_vectors_and_integers() -> None:
    space = spaces.Dict(
        {
            "action_mask": spaces.Box(0, 1, (3,), np.int8),
            "context": spaces.Box(-1, 1, (2,), np.float32),
            "cost": spaces.Box(0, 9, (1,), np.float32),
            "step": spaces.Box(2, 4, (1,), np.int32),
        }
    )
    extractor = NLPExtractor(space, hidden=[5, 4])
    obs = {
        "action_mask": th.ones(2, 3),
        "context": th.tensor([[0.5, -0.5], [1.0, 0.0]]),
        "cost": th.tensor([[7.0], [0.0]]),
        "step": th.tensor([[2.0], [4.0]]),
    }
    assert extractor.read(obs).tolist() == [[0.5, -0.5, 7, 1, 0, 0], [1, 0, 0, 0, 0, 1]]
    assert extractor(obs).shape == (2, 4)
    assert extractor.features_dim == 4


@pytest.mark.parametrize(
    "box",
    [
        spaces.Box(-1, 1, (4, 3), np.float32),
        spaces.Box(0, 30000, (8,), np.int32),
    ],
    ids=["matrix", "token ids"],
)
def test_extractors_refuses_what_it_cannot_read(box: spaces.Box) -> None:
    with pytest.raises(InvalidArgumentError, match="obs_type='index' or 'features'"):
        NLPExtractor(spaces.Dict({"other": box}))


def test_extractors_index_needs_a_source(task: Task) -> None:
    with pytest.raises(InvalidArgumentError, match=r"FeatureSource\(task\)"):
        NLPExtractor(task.observation_space("index"))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"hidden": []}, InvalidArgumentError, "layer widths"),
        ({"hidden": "256"}, InvalidArgumentError, "layer widths"),
        ({"hidden": [0]}, InvalidArgumentError, "from 1"),
        ({"hidden": [2.5]}, InvalidArgumentError, "from 1"),
        ({"dropout": 1.0}, InvalidArgumentError, "dropout=1.0"),
        ({"input_dropout": "a"}, InvalidArgumentError, "input_dropout='a'"),
        ({"activation": "rellu"}, UnknownNameError, "'relu'"),
    ],
)
def test_extractors_options_are_checked(
    options: dict[str, Any], error: type[Exception], words: str, task: Task
) -> None:
    with pytest.raises(error, match=words):
        NLPExtractor(task.observation_space("features"), **options)


def test_extractors_dropout_and_norm_are_in_the_trunk(task: Task) -> None:
    options: dict[str, Any] = {"dropout": 0.5, "input_dropout": 0.1, "layer_norm": True}
    extractor = NLPExtractor(
        task.observation_space("features"), hidden=[6, 6], activation="tanh", **options
    )
    names = [type(layer).__name__ for layer in extractor.trunk]
    assert names == ["Dropout", *["Linear", "LayerNorm", "Tanh", "Dropout"] * 2]
    obs = tensors(task.observe(task.initial(np.arange(3)), "features"))
    assert not th.equal(extractor(obs), extractor(obs))
    extractor.eval()
    assert th.equal(extractor(obs), extractor(obs))


def test_extractors_trunk_is_orthogonal(task: Task) -> None:
    weight = NLPExtractor(task.observation_space("features"), hidden=[8]).trunk[0].weight
    assert th.allclose(weight @ weight.T, 2 * th.eye(8), atol=1e-5)


def test_extractors_trunk_of_a_task_that_shows_candidates_alone_has_no_inputs() -> None:
    trunk = layers.trunk(0, [4], (0.0, 0.0), th.nn.ReLU, False)  # a warning is an error here
    assert trunk(th.zeros(2, 0)).shape == (2, 4)


def test_extractors_source_is_not_among_the_weights(task: Task) -> None:
    source = FeatureSource(task, "cpu")
    state = NLPExtractor(task.observation_space("index"), source, hidden=[4]).state_dict()
    assert sorted(state) == ["trunk.0.bias", "trunk.0.weight"]


def test_extractors_reading_swaps_the_corpus_and_puts_it_back(task: Task, dev: Task) -> None:
    source, other = FeatureSource(task, "cpu"), FeatureSource(dev, "cpu")
    extractor = NLPExtractor(task.observation_space("index"), source, hidden=[4])
    policy = th.nn.ModuleDict({"a": extractor, "b": th.nn.Linear(2, 2)})
    obs = tensors(dev.observe(dev.initial(np.arange(4)), "index"))
    direct = NLPExtractor(dev.observation_space("index"), other, hidden=[4])
    with swapped_source(policy, other):
        assert th.equal(extractor.read(obs), direct.read(obs))
    assert extractor.source is source
    with pytest.raises(RuntimeError, match="stop"), swapped_source(policy, other):
        raise RuntimeError("stop")
    assert extractor.source is source


def test_extractors_reading_refuses_another_width(task: Task) -> None:
    extractor = NLPExtractor(task.observation_space("index"), FeatureSource(task, "cpu"))
    wide = make_task("NER-CoNLL-v0", corpus="sample", encoder="hashed", window=2)
    with (
        pytest.raises(InvalidArgumentError, match="window the policy was trained with"),
        swapped_source(extractor, FeatureSource(wide, "cpu")),
    ):
        pass


@pytest.mark.parametrize("env_id", ["DialogueSim-v0", "Parsing-EWT-v0"])
def test_extractors_read_named_units_in_index_and_features_alike(env_id: str) -> None:
    task = make_task(env_id, corpus="sample", encoder="hashed", encoder_kwargs={"dim": 8})
    index = NLPExtractor(task.observation_space("index"), FeatureSource(task, "cpu"), hidden=[8])
    given = NLPExtractor(task.observation_space("features"), hidden=[8])
    for state in oracle_states(task):
        one = index.read(as_tensors(task.observe(state, "index")))
        assert th.equal(one, given.read(as_tensors(task.observe(state, "features"))))
