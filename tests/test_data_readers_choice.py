"""Readers of multiple-choice questions and of dialogues with candidate replies."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest

from nlp_gym.data import load_corpus
from nlp_gym.data.readers import READERS, read
from nlp_gym.data.readers.dialogue.reply_pool import DRAWN
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.errors import DataFormatError
from nlp_gym.tasks.core.make import make_task

QUESTION = {"question": "What melts?", "choices": ["ice", "stone", "B"], "answer": 0}


def parse(family, format, rows, **options):
    text = rows if isinstance(rows, str) else "\n".join(json.dumps(row) for row in rows)
    return READERS[family][format].parse(text.split("\n"), "f", Options(**options))


@pytest.mark.parametrize(
    ("row", "gold"),
    [
        (QUESTION, 0),
        ({**QUESTION, "answer": "stone"}, 1),
        ({**QUESTION, "answer": "c"}, 2),
        (
            {"question": "Q?", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answer": "2"},
            1,
        ),
        (
            {
                "question": {
                    "stem": "Q?",
                    "choices": [{"text": "x", "label": "1"}, {"text": "1", "label": "2"}],
                },
                "answerKey": "1",
            },
            0,
        ),
        ({"question": ["What", "?"], "choices": [["a", "b"], ["c"]], "answer": 1}, None),
    ],
)
def test_spellings_of_a_question(row, gold):
    parsed = parse("choice", "jsonl", [row])
    if gold is None:  # choices are texts
        assert "where a string is needed" in parsed.problems[0].message
        return
    (sample,) = parsed.samples
    assert sample.gold == gold
    assert len(sample.extra["choices"]) == len(sample.extra["choice_texts"]) >= 2
    assert parse("choice", "jsonl", [row], gold=False).samples[0].gold is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": 3}, "'answer' is 3, allowed: from 0 to 2"),
        ({"answer": True}, "'answer' is a boolean"),
        ({"answer": "B"}, r"fits the choices 1 \(B\) and 2 \(C\)"),
        ({"answer": "lava"}, "'answer' is 'lava', allowed: A, B, C or the text of a choice"),
        ({"choices": ["ice"]}, "has 1 item"),
        ({"choices": ["ice", " "]}, r"'choices\[1\]' is empty"),
        ({"choices": "ice"}, "'choices' is a string"),
        ({"question": "\u200b"}, "'question' holds no word"),
        ({"question": {"choices": []}}, "there is no 'stem'"),
    ],
)
def test_bad_question_names_line_and_key(change, message):
    parsed = parse("choice", "jsonl", [QUESTION, {**QUESTION, **change}])
    assert [problem.line for problem in parsed.problems] == [2]
    assert re.search(message, parsed.problems[0].message), parsed.problems[0].message
    assert len(parsed.samples) == 1


TABLE = "question,choice1,choice2,choice3,answer\nWhat melts?,ice,stone,,1\nTwo?,1,2,3,choice3\n"


def test_table_of_questions():
    parsed = parse("choice", "csv", TABLE)
    assert [p.message for p in parsed.problems] == [
        "'answer' is 'choice3', allowed: 1, 2, 3 or the text of a choice"
    ]
    assert parsed.samples[0].gold == 0
    assert parsed.samples[0].extra["choice_texts"] == ("ice", "stone")
    letters = parse("choice", "csv", "answer;question;A;B\nB;Which?;this;that\n")
    assert letters.samples[0].gold == 1
    assert parse("choice", "csv", "question,A,B\nWhich?,x,y\n", gold=False).samples[0].gold is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("question,A,B\nWhich?,x,y\n", "no column 'answer'"),
        ("question,A,answer\nWhich?,x,A\n", "no column 'choice1'"),
        ("text,A,B,answer\nWhich?,x,y,A\n", "no column 'question'"),
        ("question,A,B,answer\nWhich?,x,y,x,A\n", "5 cell"),
        ("question,A,B,C,answer\nWhich?,x,,z,A\n", "choice 1"),
    ],
)
def test_bad_table_of_questions(text, message):
    parsed = parse("choice", "csv", text)
    assert not parsed.samples
    assert message in parsed.problems[0].message


def dialogues(n):
    return [
        {
            "context": [f"turn {i}", f"word{i} here"],
            "positive_responses": [f"right {i}", f"yes {i}"],
        }
        for i in range(n)
    ]


def test_negatives_are_drawn_from_other_dialogues_whatever_the_order_of_rows():
    rows = dialogues(40)
    samples = parse("dialogue", "dailydialog", rows).samples
    again = parse("dialogue", "dailydialog", rows[::-1]).samples
    assert [s.extra for s in samples] == [s.extra for s in again[::-1]]
    for i, sample in enumerate(samples):
        replies = sample.extra["candidates"]
        assert len(set(replies)) == len(replies) == DRAWN + 1
        (right,) = sample.gold
        assert replies[right][-1] == str(i)
        assert sum(reply[-1] == str(i) for reply in replies) == 1
    places = Counter(sample.gold for sample in samples)
    assert max(places.values()) < 15  # of 40; where the right reply stands says nothing
    assert {reply for s in samples for reply in s.extra["candidates"]} <= {
        (word, str(i)) for word in ("right", "yes") for i in range(40)
    }


def test_some_drawn_negatives_share_telling_words_with_the_context():
    rows = dialogues(300)
    rows[0]["context"] = ["my parrot sings"]
    for i in (7, 8):
        rows[i]["positive_responses"] = [f"a Parrot number{i} bites"]
    rows[0]["positive_responses"] = ["the parrot of mine"]  # right here, so not drawn
    first = parse("dialogue", "dailydialog", rows).samples[0]
    talkative = [r for r in first.extra["candidates"] if "Parrot" in r]
    assert len(talkative) == 2
    common = [dict(row, positive_responses=[f"yes my {i}"]) for i, row in enumerate(dialogues(300))]
    common[0]["context"] = ["my yes"]  # words of all replies tell nothing: drawn by hash alone
    replies = parse("dialogue", "dailydialog", common).samples[0].extra["candidates"]
    assert len(replies) == DRAWN + 1


def test_sets_of_negatives():
    row = {
        "context": ["How are you?"],
        "positive_responses": ["Fine."],
        "adversarial_negative_responses": [f"How {i}." for i in range(5)],
        "random_negative_responses": [f"Blue {i}." for i in range(5)],
    }
    (sample,) = parse("dialogue", "dailydialog", [row]).samples
    sizes = {name: len(some) for name, some in sample.extra["sets"].items()}
    assert sizes == {"adversarial": 6, "random": 6, "both": 10}
    for name, some in sample.extra["sets"].items():
        assert sample.gold[0] in some
        words = {sample.extra["candidates"][k][0] for k in some}
        assert words == {"adversarial": {"Fine", "How"}, "random": {"Fine", "Blue"}}.get(
            name, {"Fine", "How", "Blue"}
        )
    (bare,) = parse("dialogue", "dailydialog", [row], gold=False).samples
    assert bare.gold is None
    assert bare.extra == sample.extra


def test_own_dialogues():
    base = {"context": ["Hello!", "Who is it?"], "candidates": ["Me.", "Seven."]}
    golds = [
        sample.gold
        for answer in (1, [0, 1], "Seven.")
        for sample in parse("dialogue", "jsonl", [{**base, "answer": answer}]).samples
    ]
    assert golds == [(1,), (0, 1), (1,)]
    two = {"context": "Hi", "positive_responses": ["a", "b"], "negative_responses": ["c"]}
    (sample,) = parse("dialogue", "jsonl", [two]).samples
    assert {sample.extra["candidates"][k] for k in sample.gold} == {("a",), ("b",)}
    assert parse("dialogue", "jsonl", [base], gold=False).samples[0].gold is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"candidates": ["a", "b"], "answer": 0}, "there is no 'context'"),
        ({"context": [], "candidates": ["a"], "answer": 0}, "'context' has 0"),
        ({"context": ["x", ""], "candidates": ["a", "b"]}, "'context[1]' is empty"),
        ({"context": " ", "candidates": ["a", "b"]}, "'context' is empty"),
        ({"context": ["x"], "candidates": ["a", " "]}, "'candidates[1]' is empty"),
        ({"context": ["x"], "candidates": ["a", "b"]}, "there is no 'answer'"),
        ({"context": ["x"], "candidates": ["a", "b"], "answer": 2}, "from 0 to 1"),
        ({"context": ["x"], "candidates": ["a", "b"], "answer": "c"}, "none of the candidates"),
        ({"context": ["x"], "positive_responses": ["a"]}, "no 'negative_responses'"),
        ({"context": ["x"], "candidates": 3, "answer": 0}, "a number, not a list"),
    ],
)
def test_bad_dialogue_names_line_and_key(row, message):
    (problem,) = parse("dialogue", "jsonl", [row]).problems
    assert problem.line == 1
    assert message in problem.message


def test_one_dialogue_alone_has_nobody_to_draw_from(tmp_path):
    file = tmp_path / "own.json"
    file.write_text(json.dumps(dialogues(1)[0]), "utf-8")
    with pytest.raises(DataFormatError, match=r"own\.json:1: no negative replies"):
        load_corpus(None, data={"train": file}, family="dialogue")


@pytest.mark.parametrize("name", ["openbookqa", "arc_easy", "dailydialog_pp"])
def test_bundled_samples_have_40_15_and_15_items(name):
    sizes = [len(load_corpus(name, s, corpus="sample")) for s in ("train", "dev", "test")]
    assert sizes == [40, 15, 15]


def test_qasc_borrows_its_training_questions():
    test, dev = (load_corpus("qasc", split, corpus="sample") for split in ("test", "dev"))
    assert [len(s.extra["choices"]) for s in (*test.samples, *dev.samples)] == [8] * 30
    lent = {
        sample.words
        for name in ("openbookqa", "arc_easy")
        for sample in load_corpus(name, "train", corpus="sample").samples
    }
    assert {s.words for s in load_corpus("qasc", "train", corpus="sample").samples} == lent


@pytest.mark.corpus
def test_real_files_are_read_whole(real_data):
    sizes = {
        "openbookqa": (4957, 500),
        "arc_easy": (2251, 2376),
        "qasc": (4957 + 2251, 926),
    }
    for name, (train, test) in sizes.items():
        parts = [load_corpus(name, s, data_dir=real_data) for s in ("train", "dev", "test")]
        assert len(parts[0]) + len(parts[1]) == train
        assert len(parts[2]) == test
    corpus = load_corpus("dailydialog_pp", "test", data_dir=real_data)
    places = np.bincount([s.gold[0] for s in corpus.samples], minlength=11)
    assert places.max() < 2 * places.mean()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"context": ["a"], "candidates": ["b"], "answer": 0}, "'candidates' has 1 item"),
        (
            {"context": ["a"], "positive_responses": ["b"], "negative_responses": ["b"]},
            "one candidate reply",
        ),
    ],
)
def test_dialogue_needs_two_candidates(row, message):
    for gold in (True, False):
        (problem,) = parse("dialogue", "jsonl", [row], gold=gold).problems
        assert message in problem.message


def test_dialogue_keeps_the_texts_as_written():
    row = {
        "id": "d",
        "context": ["Well, hi!", "Don't go."],
        "candidates": ["Why  not?", "OK, bye!"],
    }
    (sample,) = parse("dialogue", "jsonl", [{**row, "answer": 1}]).samples
    assert sample.extra["context_texts"] == ("Well, hi!", "Don't go.")
    assert sample.extra["candidate_texts"] == ("Why  not?", "OK, bye!")
    corpus = [
        {"id": k, "context": [f"Turn {k}!"], "positive_responses": [f"It's reply {k}.", f"No {k}!"]}
        for k in range(12)
    ]
    for k, sample in enumerate(parse("dialogue", "dailydialog", corpus).samples):
        texts, words = sample.extra["candidate_texts"], sample.extra["candidates"]
        assert sample.extra["id"] == k
        assert len(texts) == len(words) == 1 + DRAWN
        for text, reply in zip(texts, words, strict=True):
            assert text.replace(" ", "") == "".join(reply)
        assert any(text[-1] in ".!" and " " in text for text in texts)


def test_predictions_show_the_texts_as_written(tmp_path):
    data = tmp_path / "x.jsonl"
    row = {"context": ["Well, hi!"], "candidates": ["Don't go.", "Bye!"], "answer": 0}
    data.write_text(json.dumps(row))
    task = make_task("Dialogue-v0", "test", encoder="hashed", data={"test": data, "train": data})
    record = task.record(0, (0, 1))
    assert record == {"context": ["Well, hi!"], "reply": "Don't go.", "ranking": [0, 1]}
    data.write_text(
        json.dumps({"context": "It's a b.", "question": "What's it?", "answers": ["b"]})
    )
    task = make_task("SpanQA-v0", "test", encoder="hashed", data={"test": data, "train": data})
    assert task.record(0, (3, 3))["question"] == "What's it?"


def test_the_first_bad_row_says_how_to_list_the_others(tmp_path):
    file = tmp_path / "my file.jsonl"
    file.write_text('{"text": "a", "label": "b"}\n' * 3, "utf-8")
    command = f"nlp-gym data check '{file}' --family choice"
    for gold in (True, False):
        with pytest.raises(DataFormatError, match="2 more such rows; list them with: ") as caught:
            read(file, family="choice", gold=gold)
        assert str(caught.value).endswith(f"{command}{'' if gold else ' --no-gold'})")
    with pytest.raises(DataFormatError, match=re.escape(f"{command})")):
        load_corpus(None, data={"train": file}, family="choice")


def test_a_format_that_nothing_tells_is_told_how_to_name(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("one line\n", "utf-8")
    with pytest.raises(DataFormatError, match=r"rename the file.*data_format=.*jsonl: \.jsonl"):
        read(file, family="spanqa")
