"""What generation tasks are made from: references, vocabularies, own files, arguments."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nlp_gym import make_task
from nlp_gym.data.text.vocabulary import STOP
from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import Sample

SMALL = {"encoder": "hashed", "corpus": "sample"}


@pytest.fixture(scope="module")
def task():
    return make_task("Translation-Multi30k-v0", **SMALL)


def test_every_reference_is_written_in_training_and_all_of_them_count():
    samples = [Sample(("a",), gold=("eins zwei", "drei vier", "fünf")), Sample(("b",), gold=("x",))]
    options = {"encoder": "hashed", "data": samples}
    task = make_task("Translation-v0", **options)
    assert [sample.gold[0] for sample in task.corpus.samples] == [
        "eins zwei",
        "drei vier",
        "fünf",
        "x",
    ]
    assert len(task.units) == 2  # equal sources are encoded once
    state = task.initial(np.array([0, 1, 2]))
    tokens = task.vocabulary.encode(["drei vier"])[0]
    for token in tokens:
        task.transition(state, np.full(3, token))
    assert task.potential(state).tolist() == [1.0, 1.0, 1.0]
    dev = make_task("Translation-v0", "dev", **options, **task.learnt)
    assert len(dev.corpus) == 2


def test_references_that_rouge_cannot_count_are_named_in_a_warning():
    samples = [Sample(("a",), gold=("今天天气很好",)), Sample(("b",), gold=("很好",))]
    options = {"encoder": "hashed", "data": samples, "metric": "rougeL"}
    with pytest.warns(UserWarning, match="tokenize='zh'"):
        make_task("Translation-v0", **options)
    task = make_task("Translation-v0", tokenize="zh", **options)
    assert task.score(rollout(task, "oracle")).value == pytest.approx(1.0)


def test_labels_are_refused():
    with pytest.raises(InvalidArgumentError, match="vocabulary"):
        make_task("Translation-Multi30k-v0", labels=["a"], **SMALL)


def test_dev_and_test_write_what_training_taught(task):
    dev = make_task("Translation-Multi30k-v0", "dev", **SMALL)
    assert dev.vocabulary.settings == task.vocabulary.settings
    given = make_task("Translation-Multi30k-v0", "test", **SMALL, **task.learnt)
    assert given.n_actions == task.n_actions


def test_texts_without_gold_need_a_vocabulary(task):
    plain = [Sample(("A", "dog"))]
    with pytest.raises(InvalidArgumentError, match="vocabulary=None"):
        make_task("Translation-v0", "test", encoder="hashed", data=plain)
    own = make_task("Translation-v0", "test", encoder="hashed", data=plain, **task.learnt)
    assert own.action_name(0) == STOP
    state = own.initial(np.array([0]))
    reward, _ = own.transition(state, np.array([own.vocabulary.encode(["Hund"])[0][0]]))
    assert reward.tolist() == [0.0]
    with pytest.raises(InvalidArgumentError, match="gold"):
        own.oracle(state)


def test_own_pairs_of_any_script_are_learnt_and_scored(tmp_path):
    file = tmp_path / "own.jsonl"
    rows = [{"source": f"sentence {i}", "target": f"第{i}句话，很短。"} for i in range(60)]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    options = {"data": str(file), "tokens": "character", "tokenize": "zh", "encoder": "hashed"}
    task = make_task("Translation-v0", "test", **options)
    score = task.score(rollout(task, "oracle"))
    assert score.value == pytest.approx(1.0)
    assert "tok:zh" in score.signature


def test_long_sources_and_references_are_named_in_warnings():
    long = [Sample(("word",) * 70, gold=("ein " * 90,)), Sample(("a",), gold=("b",))]
    with pytest.warns(UserWarning, match="more than 64") as caught:
        task = make_task("Translation-v0", encoder="hashed", data=long)
    told = " ".join(str(warning.message) for warning in caught)
    assert "1 of 2 sources have more than 64 words" in told
    assert "1 of 2 references have more than 64 tokens" in told
    state = task.initial(np.array([0]))
    for _ in range(64):
        _, ended = task.transition(state, task.oracle(state))
    assert ended.all()


@pytest.mark.parametrize("gold", [(), ("",), (" ",), "text", (3,), [None]])
def test_samples_need_references_that_are_texts(gold):
    with pytest.raises(DataError, match="gold="):
        make_task("Translation-v0", encoder="hashed", data=[Sample(("a",), gold=gold)])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"pair": "en-xx"}, UnknownNameError, "en-de"),
        ({"metric": "bleurt"}, UnknownNameError, "chrf"),
        ({"tokenize": "moses"}, UnknownNameError, "13a"),
        ({"tokens": "word"}, UnknownNameError, "subword"),
        ({"smooth_method": "laplace"}, UnknownNameError, "exp"),
        ({"vocabulary_size": 10}, InvalidArgumentError, "vocabulary_size=10"),
        ({"max_length": 1}, InvalidArgumentError, "max_length=1"),
        ({"max_source": 0}, InvalidArgumentError, "max_source=0"),
        ({"beam": 0}, InvalidArgumentError, "beam=0"),
        ({"vocabulary": "x"}, InvalidArgumentError, "vocabulary="),
    ],
)
def test_arguments_are_checked(options, error, words):
    with pytest.raises(error, match=words):
        make_task("Translation-Multi30k-v0", **SMALL, **options)
