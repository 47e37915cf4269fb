"""Readers of dialogues with system acts and of documents with summaries."""

from __future__ import annotations

import json

import pytest

from nlp_gym.data import load_corpus
from nlp_gym.data.readers import READERS, find_reader, read, read_text
from nlp_gym.data.readers.shared.options import Options

TURN = {"user": "A table for two.", "acts": ["REQUEST", "OFFER", "OFFER"], "system": "When?"}


def parse(family, format, rows, **options):
    text = rows if isinstance(rows, str) else "\n".join(json.dumps(row) for row in rows)
    return READERS[family][format].parse(text.split("\n"), "f", Options(**options))


def sgd(*turns):
    """An SGD dialogue of (speaker, utterance, acts of each frame)."""
    return {
        "dialogue_id": "1",
        "services": ["S_1"],
        "turns": [
            {
                "speaker": speaker,
                "utterance": utterance,
                "frames": [{"actions": [{"act": act} for act in acts]} for acts in frames],
            }
            for speaker, utterance, *frames in turns
        ],
    }


def test_policy_jsonl_gives_a_turn_for_each_decision():
    (sample,) = parse(
        "policy", "jsonl", [{"turns": [TURN, {"user": "Now!", "acts": ["BYE"]}]}]
    ).samples
    assert sample.words == ("A", "table", "for", "two", ".", "Now", "!")
    assert sample.gold == (("OFFER", "REQUEST"), ("BYE",))
    assert sample.extra["turns"] == (("A", "table", "for", "two", "."), ("Now", "!"))
    assert sample.extra["turn_texts"] == ("A table for two.", "Now!")
    assert sample.extra["said"] == (("When", "?"), ())
    assert sample.id == "f:1"


def test_policy_jsonl_reads_another_key_and_no_gold_at_all():
    row = {"turns": [{"user": "Hi", "moves": ["GREET"]}]}
    assert parse("policy", "jsonl", [row], column="moves").samples[0].gold == (("GREET",),)
    assert parse("policy", "jsonl", [row], gold=False).samples[0].gold is None
    assert "'acts'" in parse("policy", "jsonl", [row]).problems[0].message


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"turns": []}, "'turns' has 0 item"),
        ({"turns": "x"}, "'turns' is a string, not a list"),
        ({"turn": []}, "no 'turns'"),
        ({"turns": [{"acts": ["A"]}]}, "no 'user'"),
        ({"turns": [{**TURN, "user": " "}]}, "'turns[0].user' is empty"),
        ({"turns": [{**TURN, "acts": []}]}, "'turns[0].acts' has 0 item"),
        ({"turns": [{**TURN, "acts": [1]}]}, "'turns[0].acts[0]' is a number"),
        ({"turns": [{**TURN, "system": 4}]}, "'turns[0].system' is a number"),
        ({"turns": ["hello"]}, "turns[0] is a string, not a JSON object"),
    ],
)
def test_policy_jsonl_names_what_is_wrong(row, message):
    parsed = parse("policy", "jsonl", [{"turns": [TURN]}, row])
    assert len(parsed.samples) == 1
    assert [(problem.line, message in problem.message) for problem in parsed.problems] == [
        (2, True)
    ]


def test_sgd_keeps_act_types_once_a_turn():
    dialogue = sgd(("USER", "Hi", []), ("SYSTEM", "Yes?", ["OFFER", "INFORM"], ["OFFER"]))
    (sample,) = parse("policy", "sgd", json.dumps([dialogue])).samples
    assert sample.gold == (("INFORM", "OFFER"),)
    assert sample.extra == {
        "id": "1",
        "turns": (("Hi",),),
        "turn_texts": ("Hi",),
        "said": (("Yes", "?"),),
    }


@pytest.mark.parametrize(
    ("dialogue", "message"),
    [
        (sgd(("SYSTEM", "Hi", ["A"])), "speaker 'SYSTEM' where 'USER' is next"),
        (sgd(("USER", "a", []), ("USER", "b", [])), "turn 2 is of speaker 'USER'"),
        (sgd(("USER", "a", [])), "ends with a turn of the user"),
        (sgd(("USER", "a", []), ("SYSTEM", "b", [])), "turn 2 of the system has no act"),
        (sgd(("USER", "a", []), ("SYSTEM", "b")), "'frames' has 0 item"),
        (sgd(("USER", "", []), ("SYSTEM", "b", ["A"])), "'utterance' is empty"),
        ({"turns": [{}]}, "no 'speaker'"),
        (7, "dialogue 3 is a number"),
    ],
)
def test_sgd_names_line_and_fault(dialogue, message):
    good = sgd(("USER", "a", []), ("SYSTEM", "b", ["A"]))
    lines = ["[", *(json.dumps(d) + "," for d in (good, good)), json.dumps(dialogue), "]"]
    parsed = parse("policy", "sgd", "\n".join(lines))
    assert len(parsed.samples) == 2
    (problem,) = parsed.problems
    assert message in problem.message
    assert problem.line == (1 if dialogue == 7 else 4)


def test_sgd_dialogue_to_predict_may_end_with_the_user():
    dialogue = sgd(("USER", "a", []), ("SYSTEM", "b", ["A"]), ("USER", "c", []))
    (sample,) = parse("policy", "sgd", json.dumps([dialogue]), gold=False).samples
    assert sample.extra["turns"] == (("a",), ("c",))
    assert sample.extra["said"] == (("b",), ())
    assert not sample.annotated


@pytest.mark.parametrize("text", ['{"a": 1}', '"x"', "[1", '[{"turns": NaN}]'])
def test_sgd_that_is_no_list_of_dialogues(text):
    parsed = parse("policy", "sgd", text)
    assert parsed.problems
    assert not parsed.samples


def test_summary_sources_are_one_thing_in_three_formats():
    document, summary = 'It rained. "The river rose."', "A flood."
    rows = [{"document": document, "summary": summary}]
    (from_json,) = parse("summary", "jsonl", rows).samples
    (from_csv,) = parse(
        "summary", "csv", 'document,summary\n"It rained. ""The river rose.""",A flood.'
    ).samples
    listed = ["It rained.", '"The river rose."']
    (from_tldr,) = parse("summary", "scitldr", [{"source": listed, "target": [summary]}]).samples
    for sample in (from_json, from_csv, from_tldr):
        assert sample.extra["sentence_texts"] == tuple(listed)
        assert sample.extra["sentences"][0] == ("It", "rained", ".")
        assert sample.words == tuple(w for s in sample.extra["sentences"] for w in s)
        assert sample.gold == ("A flood.",)


def test_summary_takes_lists_and_other_names():
    rows = [{"article": ["A b.", "\u200b", "C."], "highlights": ["x", "y"]}]
    (sample,) = parse("summary", "jsonl", rows).samples
    assert sample.extra["sentence_texts"] == ("A b.", "C.")
    assert sample.gold == ("x", "y")
    (chosen,) = parse("summary", "jsonl", [{"text": "A", "mine": "z"}], column="mine").samples
    assert chosen.gold == ("z",)
    assert parse("summary", "jsonl", [{"text": "A"}], gold=False).samples[0].gold is None
    assert parse("summary", "csv", "text\nA b. C d.", gold=False).samples[0].gold is None


@pytest.mark.parametrize(
    ("format", "content", "line", "message"),
    [
        ("jsonl", '{"document": "A"}', 1, "no 'summary'"),
        ("jsonl", '{"document": "A", "summary": []}', 1, "'summary' has 0 item"),
        ("jsonl", '{"document": [], "summary": "x"}', 1, "'document' has 0 item"),
        ("jsonl", '{"document": "\u200b", "summary": "x"}', 1, "holds no word"),
        ("jsonl", '\n{"document": 3, "summary": "x"}', 2, "'document' is a number"),
        ("scitldr", '{"source": "A", "target": ["x"]}', 1, "'source' is a string, not a list"),
        ("scitldr", '{"source": ["A"], "target": [""]}', 1, "'target' holds nothing but empty"),
        ("csv", "document,topic\nA,x", 1, "no column 'summary'"),
        ("csv", "summary\nA", 1, "no column 'document'"),
        ("csv", "document,summary\nA,x\nB,", 3, "'summary' is empty"),
        ("csv", "document,summary\nA", 2, "1 cell(s)"),
    ],
)
def test_summary_names_line_and_fault(format, content, line, message):
    (problem,) = parse("summary", format, content).problems
    assert problem.line == line
    assert message in problem.message


@pytest.mark.parametrize(
    ("family", "name", "content", "format"),
    [
        ("policy", "a.json", "[]", "sgd"),
        ("policy", "a.jsonl", "{}", "jsonl"),
        ("policy", "a.dat", '[\n{"turns": [{"speaker": "USER"}]}', "sgd"),
        ("policy", "a.json", '[\n{"turns": [{"user": "Hi"}]}', "jsonl"),
        ("policy", "a.dat", '{"turns": []}', "jsonl"),
        ("summary", "a.csv", "document,summary", "csv"),
        ("summary", "a.jsonl", '{"document": "A", "summary": "x"}', "jsonl"),
        ("summary", "a.jsonl", '{"source": ["A"], "target": ["x"]}', "scitldr"),
        ("summary", "a.dat", "text,summary", "csv"),
    ],
)
def test_formats_are_told_apart(tmp_path, family, name, content, format):
    assert find_reader(tmp_path / name, content.split("\n"), family=family).name == format


@pytest.mark.parametrize(("name", "family"), [("sgd", "policy"), ("scitldr", "summary")])
def test_bundled_samples_have_different_texts_in_each_split(name, family):
    texts = [
        {
            sample.words
            for sample in load_corpus(name, split, family=family, corpus="sample").samples
        }
        for split in ("train", "dev", "test")
    ]
    assert len(set.union(*texts)) == sum(map(len, texts))


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "family", "sizes"),
    [("sgd", "policy", (614, 256, 256)), ("scitldr", "summary", (1992, 619, 618))],
)
def test_official_files_are_read_whole(name, family, sizes, real_data):
    found = [
        load_corpus(name, split, family=family, data_dir=real_data, corpus="full")
        for split in ("train", "dev", "test")
    ]
    assert tuple(map(len, found)) == sizes
    assert all(sample.annotated for corpus in found for sample in corpus.samples)


def test_reading_from_disk_gives_the_file_name_and_line(tmp_path):
    path = tmp_path / "talks.jsonl"
    path.write_text(json.dumps({"turns": [TURN]}) + "\n", encoding="utf-8")
    assert read(path, family="policy")[0].id == "talks.jsonl:1"


def test_summary_jsonl_of_source_and_target_texts(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"source": "One thing. Then two.", "target": "Both."}\n')
    (sample,) = read(path, family="summary")
    assert sample.extra["sentence_texts"] == ("One thing.", "Then two.")
    assert sample.gold == ("Both.",)
    assert find_reader(path, read_text(path).lines, family="summary").name == "jsonl"
    lines = ['{"source": ["One.", "Two."], "target" : ["Both."]}']
    assert find_reader(path, lines, family="summary").name == "scitldr"
