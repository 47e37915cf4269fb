"""Extractive summaries: rules, ROUGE from counts against the package, and data of one's own."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError
from nlp_gym.metrics.text.rouge import make_tokenizer, rouge
from nlp_gym.metrics.text.sentence_rouge import SentenceRouge1
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import Sample

ID = "Summary-v0"
SENTENCES = (
    "We met.",
    "The old mill burned down!",
    "It was built in 1850.",
    "Nobody knows why it burned.",
)


def document(*sentences, gold=("The mill was built in 1850 and burned down.",)):
    split = tuple(tuple(text.split()) for text in sentences)
    extra = {"sentences": split, "sentence_texts": sentences}
    return Sample(tuple(word for words in split for word in words), None, "", extra, gold)


def make(*samples, **kwargs):
    return make_task(ID, encoder="hashed", data=list(samples or [document(*SENTENCES)]), **kwargs)


def play(task, *actions):
    state, rewards, over = task.initial(np.zeros(1, np.int64)), [], False
    for action in actions:
        gained, ended = task.transition(state, np.array([action]))
        rewards.append(float(gained[0]))
        over = bool(ended[0])
    return state, rewards, over


def official(references, text, kind="rouge1"):
    scorer = RougeScorer([kind], use_stemmer=True)
    return max(scorer.score(gold, text)[kind].fmeasure for gold in references)


def test_sentences_are_picked_once_and_stop_ends():
    task = make(max_sentences=6)
    state, _, over = play(task)
    assert task.mask(state).tolist() == [[True] * 4 + [False] * 3]
    state, _, over = play(task, 2)
    assert task.mask(state).tolist() == [[True, True, False, True, False, False, True]]
    assert not over
    state, _, over = play(task, 2, 1, 6)
    assert over
    assert task.outputs(state) == [(1, 2)]
    record = task.record(0, (1, 2))
    assert record == {"summary": " ".join(SENTENCES[1:3]), "sentences": [1, 2]}


def test_episode_ends_at_max_picks_or_when_nothing_is_left():
    assert play(make(max_picks=2), 0, 1)[2]
    assert play(make(document("One.", "Two.")), 1, 0)[2]
    assert not play(make(document("One.", "Two.")), 1)[2]


def test_reward_is_the_change_of_rouge():
    gold = document(*SENTENCES).gold
    _, rewards, _ = play(make(), 1, 0, 40)
    one, two = official(gold, SENTENCES[1]), official(gold, f"{SENTENCES[0]} {SENTENCES[1]}")
    assert rewards == pytest.approx([one, two - one, 0.0], abs=1e-6)
    assert two < one


def test_correctness_pays_the_greedy_summary_and_stopping_after_it():
    task = make(reward="correctness")
    assert task.oracle(play(task)[0]).tolist() == [1]
    assert task.oracle(play(task, 1)[0]).tolist() == [2]
    assert task.oracle(play(task, 1, 2)[0]).tolist() == [40]
    assert play(task, 2, 0, 1)[1] == [1.0, 0.0, 1.0]
    assert play(task, 1, 40)[1] == [1.0, 0.0]
    assert play(task, 2, 1, 40)[1] == [1.0, 1.0, 1.0]


def test_places_and_picks_are_marked():
    task = make(document(*"abcdefg"), document("x"), max_sentences=8)
    state = task.initial(np.arange(2))
    task.transition(state, np.array([4, 0]))
    seen = task.observe(state, "index")
    assert np.flatnonzero(seen["first"][0]).tolist() == [0]
    assert np.flatnonzero(seen["last"][0]).tolist() == [6]
    assert np.flatnonzero(seen["early"][0]).tolist() == [0, 1, 2]
    assert np.flatnonzero(seen["chosen"][0]).tolist() == [4]
    assert [np.flatnonzero(seen[key][1]).tolist() for key in ("first", "last", "early")] == [
        [0]
    ] * 3
    assert seen["count"].tolist() == [[1], [1]]


def test_sentences_are_encoded_where_they_stand():
    task = make(document(*SENTENCES), document("a b", "c"), max_sentences=5)
    assert list(task.units.texts[1]) == ["a", "b", "c"]
    spans = [task.units.spans[u].tolist() for u in task.tables.candidates[1, :2, 0]]
    assert spans == [[1, 0, 2], [1, 2, 3]]
    assert task.units.spans[task.tables.row_units[1, 0]].tolist() == [1, 0, 3]
    assert (task.tables.candidates[1, 2:] == len(task.units)).all()
    features = task.observe(task.initial(np.array([1])), "features")["candidates"]
    assert not features[0, 2:].any()
    assert features[0, :2].any(axis=1).all()


def test_longer_documents_are_cut_with_one_warning():
    with pytest.warns(UserWarning, match="1 of 2 documents have more than 3 sentences") as caught:
        task = make(document(*SENTENCES), document("a", "b"), max_sentences=3)
    assert len(caught) == 1
    assert task.mask(task.initial(np.arange(2))).tolist() == [
        [True, True, True, False],
        [True, True, False, False],
    ]
    state = task.initial(np.zeros(1, np.int64))
    assert not task.observe(state, "index")["last"].any()  # the last sentence is out of reach


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_counts_give_the_rouge_of_the_package(split):
    task = make_task("Summary-SciTLDR-v0", split, encoder="hashed", corpus="sample", max_picks=5)
    rng = np.random.default_rng(0)
    for _ in range(5):
        state = task.initial(np.arange(len(task.corpus)))
        for _ in range(int(rng.integers(1, 4))):
            legal = np.where(task.mask(state)[:, :-1], rng.random((len(state.row), 40)), -1.0)
            task.transition(state, legal.argmax(axis=1))
        for i, (value, picks) in enumerate(
            zip(task.potential(state), task.outputs(state), strict=True)
        ):
            sample = task.corpus.samples[i]
            text = " ".join(sample.extra["sentence_texts"][k] for k in picks)
            assert value == pytest.approx(official(sample.gold, text), abs=2**-20)


def test_report_has_all_kinds_of_rouge_by_the_best_reference():
    gold = ("a cat sat on the mat", "dogs bark at night and cats sleep")
    text = "cats sleep on the mat\nat night"
    score = rouge(
        [gold], [text], make_tokenizer("rouge"), beside={"other": ["a cat"]}, bootstrap=10
    )
    best = max(gold, key=lambda one: official([one], text))
    for kind, name in (("rouge1", "rouge_1"), ("rouge2", "rouge_2"), ("rougeL", "rouge_l")):
        assert score.report[name]["f1"] == pytest.approx(official([best], text, kind))
    assert score.value == score.report["rouge_1"]["f1"] == score.interval[0]
    assert score.report["beside"]["other"]["rouge_1"]["precision"] == 1.0
    assert "rouge_1" in score.signature
    assert "other" in score.text
    quick = rouge([gold], [text], make_tokenizer("rouge"), bootstrap=0, report=False)
    assert quick.value == score.value
    assert not quick.report


def test_greedy_is_no_worse_than_the_first_sentences_and_stops_in_time():
    task = make_task("Summary-SciTLDR-v0", "dev", encoder="hashed", corpus="sample")
    outputs = rollout(task, "oracle")
    score = task.score(outputs, bootstrap=20)
    beside = {name: row["rouge_1"]["f1"] for name, row in score.report["beside"].items()}
    assert score.value == beside["greedy"]
    assert score.value > max(beside["first sentence"], beside["first three"])
    assert {len(output) for output in outputs} <= {1, 2, 3}
    assert min(len(output) for output in outputs) == 1


def test_greedy_picks_one_sentence_even_where_nothing_overlaps():
    overlap = SentenceRouge1([["a b", "c"], ["d"]], [["x"], ["d"]], make_tokenizer("rouge"))
    assert overlap.greedy(np.array([2, 1]), 3).tolist() == [[0, -1, -1], [0, -1, -1]]


def test_unicode_tokens_for_scripts_that_rouge_does_not_see():
    sample = document("今天下雨。", "河水上涨了。", "我们走了。", gold=("河水上涨。",))
    with pytest.raises(DataError, match='tokenizer="unicode"'):
        make(sample)
    task = make(sample, tokenizer="unicode")
    assert rollout(task, "oracle") == [(1,)]
    assert task.score([(1,)], bootstrap=0).value == pytest.approx(2 * 4 / (5 + 4))
    assert "tokens:unicode" in task.score([(1,)], bootstrap=0).signature


def test_own_file_is_split_and_unannotated_files_can_be_predicted(tmp_path):
    path = tmp_path / "news.jsonl"
    rows = [
        {"document": f"It rained {i} days. We left.", "summary": f"{i} wet days"} for i in range(20)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    parts = [
        make_task(ID, split, data=path, encoder="hashed") for split in ("train", "dev", "test")
    ]
    assert [len(task.corpus) for task in parts] == [16, 2, 2]
    assert [sample.id.startswith("news.jsonl:") for sample in parts[1].corpus.samples] == [True] * 2
    bare = make(*(sample.unannotated() for sample in parts[0].corpus.samples))
    assert rollout(bare, lambda state, mask: mask.argmax(1))[0] == (0, 1)
    with pytest.raises(InvalidArgumentError, match="score needs gold"):
        bare.score([(0,)] * 16)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (Sample(("a",), None, "s:1", {}, ("x",)), r"sample 0 \(s:1\): extra needs 'sentences'"),
        (Sample(("a",), None, "", document("b").extra, ("x",)), "are not the sample's words"),
        (document("a", gold="x"), "gold='x', allowed: reference summaries"),
        (document("a", gold=()), "allowed: reference summaries"),
        (document("a", gold=(3,)), "allowed: reference summaries"),
    ],
)
def test_samples_that_are_no_documents_are_named(sample, message):
    with pytest.raises(DataError, match=message):
        make(sample)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_picks": 0}, InvalidArgumentError, "max_picks=0"),
        ({"max_sentences": 2, "max_picks": 3}, InvalidArgumentError, "max_picks=3.*1 to 2"),
        ({"tokenizer": "unicod"}, UnknownNameError, "Did you mean 'unicode'"),
    ],
)
def test_arguments_are_checked(arguments, error, message):
    with pytest.raises(error, match=message):
        make(**arguments)


@pytest.mark.corpus
def test_documents_of_the_corpus_fit_and_figures_are_known(real_data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = make_task(
            "Summary-SciTLDR-v0", "test", encoder="hashed", data_dir=real_data, corpus="full"
        )
    score = task.score(rollout(task, "oracle"), bootstrap=0, report=True)
    assert score.value > 0.5
    assert score.report["beside"]["first sentence"]["rouge_1"]["f1"] < score.value
