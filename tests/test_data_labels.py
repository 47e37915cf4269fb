"""Labels: several in one cell, those that look alike, those of fastText and of Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data import check, read
from nlp_gym.data.readers.classification.label_cells import joined_labels, list_items
from nlp_gym.data.readers.shared.json_tools import RowError
from nlp_gym.data.readers.shared.label_spelling import similar, trim
from nlp_gym.errors import DataFormatError, InvalidArgumentError

Labels = list[tuple[str, ...]]


def put(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8"))
    return path


def label_sets(path: Path, **options: Any) -> Labels:
    return [sample.labels or () for sample in read(path, family="multilabel", **options)]


def table(*cells: str) -> str:
    """A table with one text per cell."""
    quoted = ('"' + cell.replace('"', '""') + '"' for cell in cells)
    return "text,labels\n" + "".join(f"Day {i},{cell}\n" for i, cell in enumerate(quoted))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # pandas, JSON, tuples and sets of Python, numpy, lists without quotation marks
        (["['joy', 'calm']", "['sad']", "[]"], [("calm", "joy"), ("sad",), ()]),
        (['["joy", "calm"]', '["sad"]', ""], [("calm", "joy"), ("sad",), ()]),
        (["('joy', 'calm')", "('sad',)", "()"], [("calm", "joy"), ("sad",), ()]),
        (["{'joy', 'calm'}", "set()"], [("calm", "joy"), ()]),
        (["['joy' 'calm'\n 'x']", "['sad']"], [("calm", "joy", "x"), ("sad",)]),
        (["[joy, not sad]", "[sad]"], [("joy", "not sad"), ("sad",)]),
        (["[np.str_('joy')]", "['x']"], [("joy",), ("x",)]),
        (["[3, 1]", "[2]"], [("1", "3"), ("2",)]),
        (["[3 1]", "[2]"], [("1", "3"), ("2",)]),
        ([r"['don\'t', 'a\\b', 'caf\xe9']", '["it\'s"]'], [("a\\b", "café", "don't"), ("it's",)]),
        (["['a,b', 'c;d']"], [("a,b", "c;d")]),
        # One mark, chosen once
        (["joy;calm", "sad", ""], [("calm", "joy"), ("sad",), ()]),
        (["joy, calm", "sad"], [("calm", "joy"), ("sad",)]),
        (["joy|calm|", "sad| "], [("calm", "joy"), ("sad",)]),
        ([" joy ;\u200bcalm\ufeff", "joy\xa0"], [("calm", "joy"), ("joy",)]),
        (["[misc]", "joy;[misc]"], [("[misc]",), ("[misc]", "joy")]),
        (["NA", "None;null"], [("NA",), ("None", "null")]),
    ],
)
def test_labels_of_one_cell_are_split(tmp_path: Path, cells: list[str], expected: Labels) -> None:
    assert label_sets(put(tmp_path, "a.csv", table(*cells))) == expected
    if not any(cell.startswith("[") and not cell.startswith(("['", '["')) for cell in cells):
        rows = "".join(json.dumps({"text": "Day", "labels": cell}) + "\n" for cell in cells)
        assert label_sets(put(tmp_path, "a.jsonl", rows)) == expected


def test_another_mark_in_a_label_is_said(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", table("joy;calm", "fear,sad", "joy"))
    with pytest.warns(UserWarning, match=r"a\.csv:3: ';' separates .*'fear,sad' is one label"):
        assert label_sets(path) == [("calm", "joy"), ("fear,sad",), ("joy",)]
    assert label_sets(path, label_separator=",")[1] == ("fear", "sad")


def test_the_separator_of_labels_can_be_given(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", table("joy#calm", "sad", "joy"))
    with pytest.warns(UserWarning, match=r"'joy#calm' is read as one label; .*label_separator='#'"):
        assert label_sets(path)[0] == ("joy#calm",)
    assert label_sets(path, label_separator="#") == [("calm", "joy"), ("sad",), ("joy",)]
    path = put(tmp_path, "b.csv", table("joy :: calm", "sad"))
    assert label_sets(path, label_separator="::") == [("calm", "joy"), ("sad",)]
    with pytest.raises(InvalidArgumentError, match="label_separator"):
        read(path, family="classification", column="labels", label_separator=";")


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["joy#calm", "fear#sad", "x"], "#"),
        (["joy/calm", "joy", "x"], "/"),
        (["joy/calm", "joy/sad", "x"], "/"),
        (["joy calm", "joy", "calm"], " "),
        (["not joy", "joy"], None),
        (["Sci/Tech", "World"], None),
        (["C#", "Java", "R"], None),
    ],
)
def test_labels_that_may_be_several_are_found(labels: list[str], found: str | None) -> None:
    joined = joined_labels(dict.fromkeys(labels, 1))
    assert (joined and joined[1]) == found


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["['joy', None]"], "'None' is none"),
        (["['joy', nan]"], "'nan' is none"),
        (["['joy', 'calm'"], "is no list, as other cells"),
        (["['joy']", "sad"], "is no list, as other cells"),
        (["[['joy']]", "['x']"], "is no list of labels"),
        (["['joy': 1]"], "is no list of labels"),
        (["[0.0, 1.0]"], "a number where a label is needed"),
        (["[0. 1.]"], "numbers with a point"),
        (["[0, 1, 0]", "[1, 0, 0]"], "they say of each label whether the text has it"),
        (["joy;[calm", "x"], "whose brackets do not match"),
        (["[" * 100_000 + "'x'" + "]" * 100_000], "is no list"),
    ],
)
def test_cells_that_are_no_labels_are_refused(
    tmp_path: Path, cells: list[str], message: str
) -> None:
    report = check(put(tmp_path, "a.csv", table(*cells)), family="multilabel")
    assert message in report.problems[0].message


def test_vectors_of_labels_are_refused_in_json(tmp_path: Path) -> None:
    rows = '{"text": "A", "labels": [0, 1, 0]}\n{"text": "B", "labels": [0, 0, 0]}\n'
    report = check(put(tmp_path, "a.jsonl", rows), family="multilabel")
    assert [problem.line for problem in report.problems] == [1]
    assert read(put(tmp_path, "b.jsonl", rows.replace("0, 1, 0", "2")), family="multilabel")


def test_lists_are_read_in_linear_time() -> None:
    assert len(list_items("[" + "'joy', " * 50_000 + "'calm']")) == 50_001
    for bad in (
        "[" + "'" * 100_001 + "]",
        "[" + "a " * 50_000 + "'x']",
        "[" + "\\'" * 50_000 + "]",
    ):
        with pytest.raises(RowError):
            list_items(bad)


def test_lists_are_no_labels_of_classification(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", table("['joy', 'calm']", "[]"))
    with pytest.raises(DataFormatError, match="sets of labels are of the family 'multilabel'"):
        read(path, family="classification")
    path = put(tmp_path, "b.csv", table("joy;calm", "joy", "calm", "sad"))
    with pytest.warns(UserWarning, match=r"'joy;calm' is read as one label.*'multilabel'"):
        assert read(path, family="classification")[0].labels == ("joy;calm",)


def test_fasttext_labels_are_no_text(tmp_path: Path) -> None:
    content = (
        "__label__sauce __label__cheese How do I thicken it?\n__label__oven Which rack?\n\n"
        "Is it done? __label__oven __label__cake\n"
    )
    path = put(tmp_path, "a.txt", content)
    samples = read(path, family="multilabel")
    assert [sample.labels for sample in samples] == [
        ("cheese", "sauce"),
        ("oven",),
        ("cake", "oven"),
    ]
    assert samples[0].extra["text"] == "How do I thicken it?"
    assert samples[2].extra["text"] == "Is it done?"
    report = check(path, "fasttext", family="classification")
    assert [problem.line for problem in report.problems] == [1, 4]
    assert "2 labels ('cheese', 'sauce') where one is needed" in report.problems[0].message
    report = check(path, "label-first", family="classification")
    assert "several labels begin with __label__" in report.problems[0].message
    path = put(tmp_path, "b.txt", "__label__good A day\n__label__bad Rain\n")
    samples = read(path, family="classification")
    assert [(s.labels, s.extra["text"]) for s in samples] == [
        (("good",), "A day"),
        (("bad",), "Rain"),
    ]
    report = check(
        put(tmp_path, "c.txt", "A day\n__label__x\n__label__ y\n"), "fasttext", family="multilabel"
    )
    assert [p.message.split(",")[0] for p in report.problems] == [
        "there is no label",
        "there are labels",
        "'label' is empty",
    ]


def test_a_label_of_several_words_ends_at_the_tab(tmp_path: Path) -> None:
    path = put(tmp_path, "a.txt", "very good\tA warm day\nbad\tRain\n")
    assert read(path, "label-first", family="classification")[0].labels == ("very good",)
    path = put(tmp_path, "b.txt", "good A\twarm day\nbad Rain\n")
    assert read(path, "label-first", family="classification")[0].labels == ("good",)


def test_labels_that_look_alike_are_said(tmp_path: Path) -> None:
    content = "text,label\nRain,café\nSun,cafe\u0301\nFog,café\nWind, café \nIce,café\u200b\n"
    path = put(tmp_path, "a.csv", content)
    message = (
        r"labels that look alike are kept apart: 'cafe\\u0301' \(1x\) and 'caf\\xe9' \(4x\) differ "
        r"in the form of their accents only"
    )
    with pytest.warns(UserWarning, match=message):
        labels = {sample.labels for sample in read(path, family="classification")}
    assert labels == {("café",), ("cafe\u0301",)}
    rows = '{"words": ["Ana", "Bo"], "labels": ["B-PER", "B-per"]}\n'
    report = check(put(tmp_path, "a.jsonl", rows), family="tagging")
    assert any("types that look alike are kept apart: 'PER'" in w.message for w in report.warnings)


@pytest.mark.parametrize(
    ("a", "b", "how"),
    [
        ("Bad", "bad", "in case only"),
        ("not bad", "not  bad", "in blanks only"),
        ("not\xa0bad", "not bad", "in blanks only"),
        ("b\u200bad", "bad", "in invisible characters only"),
        ("1", "1.0", "in how the number is written"),
        ("ＰＥＲ", "per", "in case, blanks or the form of characters"),
        ("Straße", "STRASSE", "in case only"),
    ],
)
def test_pairs_of_labels_that_look_alike(a: str, b: str, how: str) -> None:
    ((_, _, found),) = similar([a, b])
    assert found == how


def test_labels_that_differ_are_not_alike() -> None:
    assert similar(["A", "A-", "1", "10", "1.5", "-1", "+1", "NA", "N/A", "não", "nao"]) == []
    assert len(similar([f"{'x' * i}A" for i in range(99)] + ["xa"])) == 1
    assert len(similar(["\u200b" * i + "a" for i in range(500)])) == 499


def test_trim_drops_what_means_nothing_at_an_edge() -> None:
    assert trim(" \ufeff\u200b\xa0a b\u2060 \u00ad") == "a b"
    assert trim("\u200b") == ""
    joined = "\u0d28\u0d4d\u200d"  # a letter of Malayalam, which ends with a joiner
    assert trim(joined) == joined


INFO = {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}


def test_numbers_of_hugging_face_get_the_names_beside(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jsonl", '{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n')
    assert [s.labels for s in read(path, family="classification")] == [("0",), ("1",)]
    put(tmp_path, "dataset_info.json", json.dumps(INFO))
    assert [s.labels for s in read(path, family="classification")] == [("neg",), ("pos",)]
    report = check(put(tmp_path, "b.csv", "text,label\na,1\nb,2\n"), family="classification")
    assert report.labels == {"pos": 1}
    assert "names beside the file are of 0 to 1" in report.problems[0].message
    infos = {"default": {"features": {"labels": {"feature": INFO["features"]["label"]}}}}
    put(tmp_path, "dataset_infos.json", json.dumps(infos))
    path = put(
        tmp_path, "c.jsonl", '{"text": "a", "labels": [1, 0]}\n{"text": "b", "labels": []}\n'
    )
    assert label_sets(path) == [("neg", "pos"), ()]


def test_texts_without_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = '{"text":"a b","label":0}\n{"text":"c d","label":1}\n{"text":"e f","label":-1}\n'
    path = put(tmp_path, "a.jsonl", rows)
    with pytest.warns(UserWarning, match=r"a\.jsonl:3: 1 text\(s\) have the label -1, .* left out"):
        assert [s.labels for s in read(path, family="classification")] == [("0",), ("1",)]
    assert len(read(path, family="classification", gold=False)) == 3
    path = put(tmp_path, "b.jsonl", rows.replace(":-1", ':"-1"').replace(":0", ":-2"))
    assert [s.labels for s in read(path, family="classification")] == [("-2",), ("1",), ("-1",)]
    path = put(tmp_path, "c.jsonl", '{"text":"a b","label":-1}\n')
    with pytest.raises(DataFormatError, match="every text has the label -1"):
        read(path, family="classification")
    path = put(tmp_path, "d.csv", "text,label\na,0\nb,-1\nc,1\n")
    with pytest.warns(UserWarning, match="1 text.* the label -1, which is read as a label"):
        assert len(read(path, family="classification")) == 3
