"""Span question answering: its metric, its windows over long passages and its rules."""

from __future__ import annotations

import itertools
import re
import string
import unicodedata
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest

from nlp_gym.data.text.tokenize import split_words
from nlp_gym.encode import load_encoder
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.metrics.answers.span_table import SpanF1
from nlp_gym.metrics.answers.squad import (
    answer_f1,
    choose_tokens,
    exact_match,
    normalise,
    squad_score,
)
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.span_qa.units import FLAGS, joint_units, question_flags
from nlp_gym.types import Sample

SMALL: dict[str, Any] = {"encoder": "hashed", "corpus": "sample"}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("The  Cat,\n sat!", "cat sat"),
        ("an A-team theory", "ateam theory"),
        ("U.S.-based", "usbased"),
        ("a", ""),
        ("the\u2013end of\u00a0it", "\u2013end of it"),
        ("$5.50 \u201cnet\u201d", "550 \u201cnet\u201d"),
        ("", ""),
    ],
)
def test_metrics_answers_normal_form(text: str, form: str) -> None:
    assert normalise(text) == form


@pytest.mark.parametrize(
    ("predicted", "golds", "f1", "exact"),
    [
        ("the cat", ["Cat."], 1.0, True),
        ("black cat sat", ["cat"], 0.5, False),
        ("cat cat", ["cat dog", "mouse"], 0.5, False),
        ("dog", ["cat", "the big dog"], 2 / 3, False),
        ("", ["cat"], 0.0, False),
        ("The", ["a"], 1.0, True),
        ("cat", ["!"], 0.0, False),
    ],
)
def test_metrics_answers_by_hand(predicted: str, golds: list[str], f1: float, exact: bool) -> None:
    assert answer_f1(predicted, golds) == f1
    assert exact_match(predicted, golds) == exact


def test_metrics_answers_score_is_the_mean_over_questions() -> None:
    golds = [["cat"], ["cat", "big dog"], ["x"], ["y"]]
    score = squad_score(golds, ["the cat", "dog", "z", "y y"], bootstrap=100)
    assert score.value == pytest.approx((1 + 2 / 3 + 0 + 2 / 3) / 4)
    assert score.report["exact_match"] == 0.25
    assert score.n == 4
    assert score.interval is not None
    assert score.interval[0] < score.value < score.interval[1]
    assert squad_score(golds, ["cat"] * 4, bootstrap=0).interval is None


def official_f1(predicted: str, gold: str) -> float:
    """The steps of evaluate-v2.0, one by one."""

    def words(text: str) -> list[str]:
        kept = "".join(char for char in text.lower() if char not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", kept).split()

    left, right = words(predicted), words(gold)
    if not left or not right:
        return float(left == right)
    same = sum((Counter(left) & Counter(right)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(left), same / len(right)
    return 2 * precision * recall / (precision + recall)


ODD = (
    "The U.S.-based firm (est. 1990), a.k.a. \u201cThe Mill\u201d, sold a$5 rope\u2014the rope"
    "\u2014to the\u2013end an\u200bd the\u200b cat \u200b the-cat; don't they? "
    "\u5317\u4eac\u662f\u9996\u90fd "
    "\u03a3\u0391\u03a3 the a an ... the rope, the rope"
)


def test_metrics_span_f1_is_the_official_one_on_every_span() -> None:
    rng = np.random.default_rng(0)
    sample = make_task("SpanQA-SQuAD-v0", "dev", **SMALL).corpus.samples[0]
    texts = [ODD, sample.extra["text"], "the"]
    passages = [(text, [(a, b) for _, a, b in split_words(text)]) for text in texts]
    golds = [
        ("rope the rope", "1990), a.k.a."),
        ("the",),
        ("no such words", "mill", "\u5317\u4eac"),
        ("clockmaker Bastian Krol argued",),
        ("The", "rope"),
    ]
    rows = np.array([0, 0, 0, 1, 2])
    table = SpanF1(passages, rows, golds, 12)
    tried = [
        (row, first, last)
        for row, passage in enumerate(rows)
        for first in range(len(passages[passage][1]))
        for last in range(first, min(len(passages[passage][1]), first + 12))
    ]
    rng.shuffle(tried)
    found = table(*np.array(tried).T)
    for (row, first, last), f1 in zip(tried, found, strict=True):
        text, spans = passages[rows[row]]
        answer = text[spans[first][0] : spans[last][1]]
        assert f1 == pytest.approx(max(official_f1(answer, gold) for gold in golds[row])), answer
        assert f1 == answer_f1(answer, golds[row])
    assert 0.05 < (found > 0).mean() < 0.95


@pytest.mark.parametrize(
    ("predicted", "gold", "f1", "exact"),
    [
        ("北京大学", "北京大学。", 1.0, True),
        ("在北京大学", "北京大学", 8 / 9, False),
        ("上海", "北京", 0.0, False),
        ("《红楼梦》", "红楼梦", 1.0, True),
        ("1850年 the Nile", "1850年", 2 * 2 / 6, False),
        ("東京タワー", "タワー", 3 * 2 / 8, False),
        ("กรุงเทพ", "กรุงเทพมหานคร", 7 * 2 / 20, False),
        ("。", "，", 1.0, True),
        ("Seoul Tower", "seoul tower!", 1.0, True),
    ],
)
def test_metrics_answers_by_character(predicted: str, gold: str, f1: float, exact: bool) -> None:
    assert answer_f1(predicted, [gold], "characters") == pytest.approx(f1)
    assert exact_match(predicted, [gold], "characters") == exact


def mlqa_f1(predicted: str, gold: str) -> float:
    """What MLQA does with a Chinese answer, step by step."""

    def words(text: str) -> list[str]:
        found, rest = [], ""
        for char in text.lower():
            if unicodedata.category(char)[0] == "P" or char in string.punctuation:
                continue
            if "\u4e00" <= char <= "\u9fa5":
                found += [*rest.split(), char]
                rest = ""
            else:
                rest += char
        return found + rest.split()

    left, right = words(predicted), words(gold)
    same = sum((Counter(left) & Counter(right)).values())
    return 2 * same / (len(left) + len(right)) if same else float(left == right)


CHINESE = (
    "1850年，安娜·罗把「老磨坊」卖给了Bolt & Sons公司（the firm）。磨坊在河边，a-b。"
    "\u3000河水 很深！"
)


def test_metrics_span_f1_by_character_is_that_of_mlqa_on_every_span() -> None:
    spans = [(a, b) for _, a, b in split_words(CHINESE)]
    golds = [("老磨坊", "Bolt & Sons公司"), ("河边，a",), ("。",)]
    table = SpanF1([(CHINESE, spans)], np.zeros(3, np.int64), golds, 9, "characters")
    found = []
    for row, first in itertools.product(range(3), range(len(spans))):
        for last in range(first, min(len(spans), first + 9)):
            answer = CHINESE[spans[first][0] : spans[last][1]]
            (f1,) = table(*np.array([[row], [first], [last]]))
            expected = max(mlqa_f1(answer, gold) for gold in golds[row])
            assert f1 == pytest.approx(expected), answer
            found.append(f1)
    assert 0.05 < np.mean(np.array(found) > 0) < 0.95


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["The mill was sold in 1850."], "words"),
        (["Київ — столиця України."], "words"),
        (["그는 서울에서 태어났다."], "words"),
        (["他在北京 (Beijing) 学习。"], "characters"),
        (["กรุงเทพมหานครเป็นเมืองหลวง"], "characters"),
        (["She wrote 北京 on the wall."], "words"),
        (["彼は東京で生まれた。", "A line."], "characters"),
        ([], "words"),
    ],
)
def test_metrics_answers_form_that_suits_the_texts(texts: list[str], form: str) -> None:
    assert choose_tokens(texts) == form


class Narrow:
    """An encoder's tokenizer whose passes take `limit` sub-words, one a word."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def tokenize(self, texts: Any) -> Any:
        tokens = load_encoder("hashed").tokenize(texts)
        return type(tokens)(**{**vars(tokens), "max_length": self.limit})


def numbered(passage: int, question: int) -> Sample:
    asked = tuple(f"q{i}" for i in range(question))
    return Sample(tuple(f"w{i}" for i in range(passage)), extra={"question": asked})


@pytest.mark.parametrize(("passage", "question"), [(5, 3), (15, 3), (16, 3), (90, 4), (40, 30)])
def test_tasks_span_qa_long_passages_are_read_in_windows_behind_the_question(
    passage: int, question: int
) -> None:
    limit, sample = 20, numbered(passage, question)
    units = joint_units([numbered(2, 1), sample], Narrow(limit))
    assert units.spans is not None
    spans = units.spans[3:]
    asked = (
        sample.extra["question"][: (limit - 2) // 2] if question > 9 else sample.extra["question"]
    )
    assert spans[0].tolist() == [1, 0, len(asked)]
    assert [units.texts[t][a:b] for t, a, b in spans[1:].tolist()] == [(w,) for w in sample.words]
    for text in units.texts[1:]:
        assert len(text) <= limit - 2
        assert text[: len(asked)] == asked
    assert (len(units.texts) > 2) == (passage + len(asked) > limit - 2)
    for word, (text, at, _) in enumerate(spans[1:].tolist()):
        context = min(
            passage if units.texts[text][len(asked)] == "w0" else at - len(asked),
            passage if units.texts[text][-1] == sample.words[-1] else len(units.texts[text]) - at,
        )
        assert context >= (limit - 2 - len(asked)) // 4, word


def test_tasks_span_qa_overlap_leaves_out_case_and_function_words() -> None:
    sample = Sample(
        ("Who", "sold", "THE", "rope", "?", "Ropes"),
        extra={"question": ("Who", "Sold", "the", "Rope", "?")},
    )
    assert question_flags([sample], 8)["overlap"].tolist() == [[0, 1, 0, 1, 0, 0, 0, 0]]


def test_tasks_span_qa_flags_count_overlaps_around() -> None:
    words = ["x"] * 50
    for place in (10, 20, 30):
        words[place] = "rope"
    sample = Sample(tuple(words), extra={"question": ("rope",)})
    flags = question_flags([sample], 48)
    assert tuple(flags) == FLAGS
    for name, reach, least in (("overlap", 0, 1), ("near", 5, 1), ("dense", 15, 3)):
        expected = [
            sum(abs(place - i) <= reach for place in (10, 20, 30)) >= least for i in range(48)
        ]
        assert flags[name][0].tolist() == expected


def question(*golds: str, text: str = "Ana Roe sold her old mill in May of 1850 .") -> Sample:
    words = tuple(split_words(text))
    found = []
    for gold in golds:
        start = text.index(gold)
        inside = [i for i, (_, a, b) in enumerate(words) if a < start + len(gold) and b > start]
        found.append((gold, inside[0], inside[-1]))
    extra = {
        "question": ("When", "was", "the", "mill", "sold", "?"),
        "text": text,
        "spans": tuple((a, b) for _, a, b in words),
        "qid": "q1",
    }
    return Sample(tuple(w for w, _, _ in words), None, "here:1", extra, tuple(found) or None)


def task_of(*samples: Sample, **kwargs: Any) -> Any:
    return make_task("SpanQA-v0", data=list(samples), encoder="hashed", **kwargs)


def play(task: Any, *actions: int) -> tuple[Any, list[float]]:
    state, rewards = task.initial(np.array([0])), []
    for action in actions:
        reward, _ = task.transition(state, np.array([action]))
        rewards.append(float(reward[0]))
    return state, rewards


@pytest.mark.parametrize(
    ("actions", "correctness", "metric"),
    [
        ((7, 9), [1, 1], [0.5, 0.5]),  # "May of 1850", gold; "May" alone is half of it
        ((9, 9), [1, 1], [1, 0]),  # "1850", the other gold
        ((7, 8), [1, 0], [0.5, 0.3]),
        ((6, 9), [0, 0], [0, 6 / 7]),
        ((0, 0), [0, 0], [0, 0]),
        ((9, 3), [1, 0.875], [1, -0.125]),  # played as word 9, the first legal one
        ((50, 0), [-0.125, 0], [-0.125, 0]),  # there is no word 50
    ],
)
def test_tasks_span_qa_rewards(
    actions: tuple[int, ...], correctness: list[float], metric: list[float]
) -> None:
    sample = question("May of 1850", "1850")
    assert play(task_of(sample), *actions)[1] == correctness
    assert play(task_of(sample, reward="metric"), *actions)[1] == pytest.approx(metric, abs=1e-6)
    sparse = play(task_of(sample, reward="sparse"), *actions)[1]
    assert sparse[0] == 0
    assert sparse[1] == pytest.approx(sum(metric), abs=1e-6)


ASKED = question("北京大学", text="王小明在北京大学学习中文。")


def test_tasks_span_qa_of_a_script_without_spaces_counts_characters() -> None:
    near = (3, 7)  # one character too many
    task = task_of(ASKED, reward="metric")
    assert task.f1 == "characters"
    score = task.score([near], bootstrap=0)
    assert score.value == pytest.approx(8 / 9)
    assert "|tokens:characters|" in score.signature
    assert "normalisation:mlqa" in score.signature
    dense = play(task, *near)[1]
    assert sum(dense) == pytest.approx(score.value, abs=1e-6)
    assert dense[0] == 0  # the first character alone is not of the answer
    assert play(task_of(ASKED, reward="sparse"), *near)[1] == [0, sum(dense)]
    assert task.score([(4, 7)], bootstrap=0).value == 1


def test_tasks_span_qa_words_are_squads_whatever_the_script() -> None:
    task = task_of(ASKED, reward="metric", f1="words")
    assert task.score([(3, 7)], bootstrap=0).value == 0
    assert sum(play(task, 3, 7)[1]) == 0
    assert "tokens" not in task.score([(3, 7)], bootstrap=0).signature
    assert make_task("SpanQA-SQuAD-v0", "dev", **SMALL).f1 == "words"
    with pytest.raises(UnknownNameError, match=r"f1='chars'.*'characters'.*auto, words"):
        task_of(ASKED, f1="chars")


def test_tasks_span_qa_mask_allows_words_and_then_near_words_behind() -> None:
    task = task_of(question("May"), max_words=20, max_answer=3)
    state, _ = play(task)
    assert np.flatnonzero(task.mask(state)[0]).tolist() == list(range(11))
    state, _ = play(task, 7)
    assert np.flatnonzero(task.mask(state)[0]).tolist() == [7, 8, 9]
    state, _ = play(task, 10)
    assert np.flatnonzero(task.mask(state)[0]).tolist() == [10]
    assert play(task, 10, 10)[0].last.tolist() == [10]


@pytest.mark.parametrize(
    ("first", "last"),
    [(7, 9), (9, 9), (8, 9), (6, 9), (4, 4), (0, 0), (10, 10)],
)
def test_tasks_span_qa_expert_makes_the_best_of_a_start_of_ones_own(first: int, last: int) -> None:
    task = task_of(question("May of 1850", "1850"), max_answer=4)
    assert task.oracle(play(task)[0]).tolist() == [7]
    assert task.oracle(play(task, first)[0]).tolist() == [last]


def test_tasks_span_qa_expert_reaches_for_what_is_not_out_of_reach() -> None:
    both = question("sold her old mill", "May")
    for max_answer, expected in ((4, (2, 5)), (3, (7, 7))):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "1 gold answer", UserWarning)
            task = task_of(both, max_answer=max_answer)
        assert rollout(task, "oracle") == [expected]
        assert task.score(rollout(task, "oracle"), bootstrap=0).value == 1.0
    with pytest.warns(UserWarning, match=r"^1 gold .* max_answer=3 words .*; 1 of 1 questions"):
        task = task_of(question("sold her old mill"), max_answer=3)
    assert rollout(task, "oracle") == [(2, 4)]
    assert task.score([(2, 4)], bootstrap=0).value == pytest.approx(6 / 7)


def test_tasks_span_qa_longer_answers_are_counted_by_characters_of_unspaced_scripts() -> None:
    text = "王小明在北京大学学习中文" * 12 + "。"
    short, long = question(text[3:34], text=text), question(text[:101], text=text)
    assert task_of(ASKED).max_answer == task_of(short).max_answer == 100
    message = (
        r"^1 gold answer\(s\) have more than max_answer=100 characters .* 1 of 2 questions have no "
        r"shorter one\. Give max_answer=101"
    )
    with pytest.warns(UserWarning, match=message):
        task_of(short, long)
    assert task_of(short, long, max_answer=101).max_answer == 101
    with pytest.warns(
        UserWarning, match=r"^2 gold .* max_answer=30 characters .* 2 of 2 questions"
    ):
        task_of(short, long, max_answer=30)
    words = " ".join("abcdefghijklmnopqrstuvwxyzabcde")
    both = question(words, "a b c", text=f"{words} .")
    with pytest.warns(UserWarning, match=r"^1 gold .* max_answer=30 words .* 0 of 1 questions"):
        assert task_of(both).max_answer == 30
    assert task_of(Sample(both.words, None, "", both.extra)).max_answer == 30


def test_tasks_span_qa_passages_beyond_max_words_are_kept_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"1 of 1 texts .* max_words=8"):
        task = task_of(question("May of 1850"), max_words=8)
    assert rollout(task, "oracle") == [(7, 7)]
    assert len(task.units) == 12  # what cannot be chosen is read all the same
    assert task.observe(play(task)[0], "features")["candidates"].shape == (1, 8, 64)


def test_tasks_span_qa_vectors_are_those_of_the_words() -> None:
    task = task_of(question("May"), question("sold", text="They sold it ."))
    encoder = load_encoder("hashed")
    state = task.initial(np.array([0, 1]))
    task.transition(state, np.array([7, 1]))
    seen = task.observe(state, "features")
    for i, sample in enumerate(task.corpus.samples):
        asked = encoder.encode([sample.extra["question"]]).astype(np.float64).mean(0)
        words = encoder.encode([sample.words])
        n = len(words)
        np.testing.assert_allclose(seen["context"][i, :64], asked, atol=1e-2)
        assert np.array_equal(seen["candidates"][i, :n], words.astype(np.float32))
        assert not seen["candidates"][i, n:].any()
        assert np.array_equal(seen["context"][i, 64:], words[(7, 1)[i]].astype(np.float32))
    assert not task.observe(task.initial(np.array([1])), "features")["context"][:, 64:].any()


def test_tasks_span_qa_flags_show_start_and_overlap() -> None:
    task = task_of(question("May"))
    state, _ = play(task, 7)
    seen = task.observe(state, "index")
    assert np.flatnonzero(seen["start"][0]).tolist() == [7]
    assert np.flatnonzero(seen["overlap"][0]).tolist() == [2, 5]  # sold, mill
    assert seen["step"].tolist() == [[1]]
    assert seen["position"].tolist() == [[8]]


@pytest.mark.parametrize("length", [12, 512])
def test_tasks_span_qa_tokens_hold_question_and_passage(length: int) -> None:
    sample = question("May")
    task = task_of(question("Ana", text="Ana ."), sample, max_tokens=length)
    seen = task.observe(task.initial(np.array([1])), "tokens")
    joint = (*sample.extra["question"], *sample.words)
    tokens = load_encoder("hashed").tokenize([joint])
    inner = tokens.ids[: length - 2]
    n = len(inner) + 2
    assert seen["input_ids"][0, :n].tolist() == [tokens.bos_id, *inner, tokens.eos_id]
    assert (seen["input_ids"][0, n:] == tokens.pad_id).all()
    assert seen["attention_mask"][0].sum() == n
    places = [7 + i if 7 + i <= len(inner) else 0 for i in range(11)]
    assert seen["word_starts"][0].tolist() == places + [0] * 589


def test_tasks_span_qa_prediction_has_the_passages_own_text() -> None:
    sample = question(text="The mill ( 1850 )was sold.").unannotated()
    task = task_of(sample)
    assert not task.has_gold
    state, rewards = play(task, 2, 4)
    assert rewards == [0, 0]
    (output,) = task.outputs(state)
    assert task.record(0, output) == {
        "id": "q1",
        "question": "When was the mill sold ?",
        "answer": "( 1850 )",
        "start": 9,
        "end": 17,
    }
    nameless = Sample(sample.words, None, "here:1", {**sample.extra, "qid": ""})
    assert "id" not in task_of(nameless).record(0, output)  # `predict` gives its place instead
    assert task.outputs(task.initial(np.array([0]))) == [(-1, -1)]
    assert task.record(0, (-1, -1))["answer"] == ""
    with pytest.raises(InvalidArgumentError, match="gold"):
        task.score([output])


def test_tasks_span_qa_frame_shows_the_answer_and_what_is_wrong_with_it() -> None:
    task = task_of(question("May of 1850"))
    frame = task.frame(play(task)[0], 0)
    assert [piece.text for piece in frame.pieces[:3]] == ["Ana", "Roe", "sold"]
    assert frame.pieces[-1].text == "Question: When was the mill sold ?"
    right, wrong = (task.frame(play(task, 7, last)[0], 0).pieces for last in (9, 7))
    assert (right[-1].text, right[-1].mark) == ("Answer: May of 1850", "chosen")
    assert (wrong[-1].mark, wrong[-1].gold) == ("wrong", "May of 1850")
    assert [piece.mark for piece in right[7:10]] == ["chosen"] * 3


@pytest.mark.parametrize(
    "arguments", [{"max_words": 0}, {"max_words": True}, {"max_answer": 0}, {"max_answer": "3"}]
)
def test_tasks_span_qa_arguments_name_what_is_allowed(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(InvalidArgumentError, match=f"{name}=.* must be an integer"):
        make_task("SpanQA-v0", **SMALL, **arguments)
