"""Readers of classification and multi-label corpora: their formats, and rows that are bad."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nlp_gym.data import DATASETS, READERS, check, load_corpus, read
from nlp_gym.errors import DataFormatError
from nlp_gym.types import SPLITS

CORPORA = ("sst2", "ag_news", "trec", "clinc150", "banking77", "snips", "goemotions", "aapd")


def save(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


CLINC = json.dumps(
    {"train": [["hi there", "greeting"]], "oos_train": [["why", "oos"]], "val": [["so", "no"]]},
    indent=1,
)
SNIPS = json.dumps({"Play": [{"data": [{"text": "put on "}, {"text": "jazz", "entity": "g"}]}]})

# family, file, content, [(words, labels)], format found
GOOD = [
    ("classification", "a.csv", "text,label\nA day,x\n\n", [(("A", "day"), ("x",))], "csv"),
    (
        "classification",
        "a.csv",
        'category;text;id\nx;"A; day\nand more";7\n',
        [(("A", ";", "day", "and", "more"), ("x",))],
        "csv",
    ),
    ("classification", "a.tsv", "sentence\tlabel\nIn 京\t1\n", [(("In", "京"), ("1",))], "csv"),
    (
        "classification",
        "a.jsonl",
        '{"text": "A day.", "label": 3}\n\n{"tokens": ["So", "cold"], "intent": " y "}\n',
        [(("A", "day", "."), ("3",)), (("So", "cold"), ("y",))],
        "jsonl",
    ),
    (
        "classification",
        "a.csv",
        '"4","A\\title","a #36;5 &lt;deal&gt;"\n"1","one cell"\n',
        [
            (("A", "title", "a", "$", "5", "<", "deal", ">"), ("Sci/Tech",)),
            (("one", "cell"), ("World",)),
        ],
        "ag-csv",
    ),
    (
        "classification",
        "a.txt",
        "1 a -lrb- good -rrb- film , is n't it\n0 so bad\n",
        [
            (("a", "(", "good", ")", "film", ",", "is", "n't", "it"), ("positive",)),
            (("so", "bad"), ("negative",)),
        ],
        "sst2",
    ),
    (
        "classification",
        "a.txt",
        "LOC:city Where is it ?\n",
        [(("Where", "is", "it", "?"), ("LOC",))],
        "trec",
    ),
    ("classification", "a.txt", "good\tA day.\n", [(("A", "day", "."), ("good",))], "label-first"),
    (
        "classification",
        "a.json",
        CLINC,
        [(("hi", "there"), ("greeting",)), (("why",), ("oos",)), (("so",), ("no",))],
        "clinc",
    ),
    ("classification", "a.json", SNIPS, [(("put", "on", "jazz"), ("Play",))], "snips"),
    (
        "multilabel",
        "a.csv",
        "text,labels\nA day,b; a;b\nSo,\nNo,x;y\nHm,x;y z\n",
        [
            (("A", "day"), ("a", "b")),
            (("So",), ()),
            (("No",), ("x", "y")),
            (("Hm",), ("x", "y z")),
        ],
        "csv",
    ),
    (
        "multilabel",
        "a.jsonl",
        '{"text": "A day", "labels": ["b", "a", "b"]}\n{"text": "So", "labels": []}\n'
        '{"text": "Hm", "tags": "b;a"}\n',
        [(("A", "day"), ("a", "b")), (("So",), ()), (("Hm",), ("a", "b"))],
        "jsonl",
    ),
    (
        "multilabel",
        "a.tsv",
        'A "day\t27,4\tid1\nSo\t0\tid2\n',
        [(("A", '"', "day"), ("approval", "neutral")), (("So",), ("admiration",))],
        "goemotions",
    ),
    ("multilabel", "a.tsv", "text\tlabels\nSo\ta;b\n", [(("So",), ("a", "b"))], "csv"),
]


@pytest.mark.parametrize(
    ("family", "name", "content", "expected", "format"), GOOD, ids=[f"{g[0]}-{g[4]}" for g in GOOD]
)
def test_formats_are_found_and_read(
    tmp_path: Path, family: str, name: str, content: str, expected: object, format: str
) -> None:
    path = save(tmp_path, name, content)
    report = check(path, family=family)
    assert (report.format, report.problems) == (format, [])
    samples = read(path, family=family)
    assert [(sample.words, sample.labels) for sample in samples] == expected
    plain = read(path, format, family=family, gold=False)
    assert [sample.words for sample in plain] == [sample.words for sample in samples]
    assert not any(sample.annotated for sample in plain)


# family, file, format, content, {line: part of the message}
BAD = [
    ("classification", "a.csv", None, "text,kind\nA,x\n", {1: "no column 'label'"}),
    ("classification", "a.csv", "csv", "words,label\nA,x\n", {1: "no column 'text'"}),
    (
        "classification",
        "a.csv",
        None,
        "text,label\n,x\nA,\nA,b,c\nok,fine\n",
        {2: "'text' is empty", 3: "'label' is empty", 4: "3 cell"},
    ),
    (
        "classification",
        "a.jsonl",
        None,
        '{"text": "A"}\n{"label": "x"}\n{"text": "A", "label": true}\n{"text": 1, "label": "x"}\n'
        '{"text": "A", "label": 0.5}\n[]\n{"text": "A", "label": NaN}\n'
        '{"text": "\\ud83d", "label": "x"}\n{"words": [], "label": "x"}\n'
        '{"text": "A", "label": ["x"]}\n{"text": "A", "text": "B", "label": "x"}\n',
        {
            1: "no 'label'",
            2: "no 'text'",
            3: "a boolean",
            4: "a number",
            5: "a number",
            6: "a list",
            7: "NaN",
            8: "surrogate",
            9: "at least 1",
            10: "a list",
            11: "twice",
        },
    ),
    (
        "classification",
        "a.csv",
        "ag-csv",
        '"5","a","b"\n"1"\n"2","",""\n',
        {1: "allowed: 1, 2, 3, 4", 2: "one cell", 3: "empty"},
    ),
    ("classification", "a.txt", "sst2", "2 a film\n1\n", {1: "0 (negative)", 2: "only '1'"}),
    ("classification", "a.txt", "trec", "LOC Where ?\nLOC:city\n", {1: "COARSE:fine", 2: "only"}),
    ("classification", "a.txt", "label-first", "x\n", {1: "only 'x'"}),
    (
        "classification",
        "a.json",
        "clinc",
        '{"train": [\n["a"],\n["a", "x"],\n[1, "x"],\n"b"\n]}',
        {1: "a string", 2: "1 items", 4: "a number"},
    ),
    ("classification", "a.json", "clinc", '{"train": [],\n"trian": []}', {1: "'trian'"}),
    ("classification", "a.json", "clinc", "[]", {1: "a list"}),
    ("classification", "a.json", "clinc", '{"train": [\n["a" "x"]]}', {2: "not JSON"}),
    (
        "classification",
        "a.json",
        "snips",
        '{"A": [\n{"data": []},\n{"text": "x"},\n{"data": [{"text": 1}]}]}',
        {2: "empty", 3: "no 'data'", 4: "a number"},
    ),
    (
        "multilabel",
        "a.jsonl",
        None,
        '{"text": "A"}\n{"text": "A", "labels": {"x": 1}}\n{"text": "A", "labels": [null]}\n'
        '{"text": "A", "labels": [""]}\n',
        {1: "no 'labels'", 2: "an object", 3: "null", 4: "empty"},
    ),
    (
        "multilabel",
        "a.tsv",
        "goemotions",
        "A\t28\nA\tx\nA\nA\t-1\n\t3\nok\t3\n",
        {1: "from 0 to 27", 2: "'x'", 3: "no tab", 4: "'-1'", 5: "empty"},
    ),
    ("multilabel", "a.text", "aapd", "a text\n", {None: "there is no a.label"}),
]


@pytest.mark.parametrize(("family", "name", "format", "content", "expected"), BAD)
def test_bad_rows_are_named_with_their_lines(
    tmp_path: Path,
    family: str,
    name: str,
    format: str | None,
    content: str,
    expected: dict[int | None, str],
) -> None:
    report = check(save(tmp_path, name, content), format, family=family)
    found = {problem.line: problem.message for problem in report.problems}
    assert sorted(found, key=str) == sorted(expected, key=str)
    for line, part in expected.items():
        assert part in found[line]


def test_column_names_the_label(tmp_path: Path) -> None:
    path = save(tmp_path, "a.csv", "text,label,topic\nA day,x,y\n")
    assert read(path, family="classification", column="Topic")[0].labels == ("y",)
    assert read(path, family="multilabel", column="topic")[0].labels == ("y",)
    path = save(tmp_path, "a.jsonl", '{"text": "A", "label": "x", "mood": "y"}\n')
    assert read(path, family="classification", column="mood")[0].labels == ("y",)
    path = save(tmp_path, "a.txt", "LOC:city Where ?\n")
    assert read(path, family="classification", column="fine")[0].labels == ("LOC:city",)
    with pytest.raises(DataFormatError, match="'coarse' and 'fine'"):
        read(path, family="classification", column="medium")
    path = save(tmp_path, "b.txt", "1 Fine.\n")
    with pytest.raises(DataFormatError, match="column='fine': sst2 has no columns"):
        read(path, family="classification", column="fine")


def test_clinc_gives_the_split_that_is_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path, "a.json", CLINC)
    train = read(path, family="classification", split="train")
    assert [sample.labels for sample in train] == [("greeting",), ("oos",)]
    assert [sample.id for sample in train] == ["a.json:3", "a.json:9"]
    assert [s.labels for s in read(path, family="classification", split="dev")] == [("no",)]
    with pytest.raises(DataFormatError, match="there is no test or oos_test"):
        read(path, family="classification", split="test")


def test_labels_of_goemotions_are_those_of_the_file_beside(tmp_path: Path) -> None:
    path = save(tmp_path, "a.tsv", "So good\t1\tx\n")
    save(tmp_path, "labels.txt", "sour\nsweet\n")
    assert read(path, "goemotions", family="multilabel")[0].labels == ("sweet",)


def test_aapd_labels_stand_in_the_file_beside(tmp_path: Path) -> None:
    path = save(tmp_path, "text_val", "we show a proof .\nanother one\n")
    save(tmp_path, "label_val", "cs.LO cs.AI\ncs.DS\n")
    samples = read(path, "aapd", family="multilabel")
    assert [sample.labels for sample in samples] == [("cs.AI", "cs.LO"), ("cs.DS",)]
    save(tmp_path, "label_val", "cs.LO\n")
    with pytest.raises(DataFormatError, match="text_val:2: line 2 of label_val has no label"):
        read(path, "aapd", family="multilabel")


@pytest.mark.parametrize("name", CORPORA)
def test_sample_is_small_has_known_labels_and_no_text_in_two_splits(name: str) -> None:
    row = DATASETS[name]
    assert row.format in READERS[row.family]
    seen: set[tuple[str, ...]] = set()
    for split in SPLITS:
        corpus = load_corpus(name, split, corpus="sample")
        assert corpus.bundled
        assert corpus.labels == row.labels
        texts = {sample.words for sample in corpus.samples}
        assert not texts & seen
        seen |= texts
        assert {x for s in corpus.samples for x in s.labels or ()} <= set(row.labels)
    assert 30 <= len(seen) <= 130


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("sst2", (6920, 872, 1821)),
        ("ag_news", (8797, 977, 7600)),
        ("trec", (4901, 551, 500)),
        ("clinc150", (15100, 3100, 5500)),
        ("banking77", (9003, 1000, 3080)),
        ("snips", (12394, 1390, 700)),
        ("goemotions", (43410, 5426, 5427)),
        ("aapd", (900, 100, 1000)),
    ],
)
def test_real_corpora_have_their_sizes_and_labels(
    name: str, sizes: tuple[int, ...], real_data: Path
) -> None:
    for split, size in zip(SPLITS, sizes, strict=True):
        corpus = load_corpus(name, split, data_dir=real_data)
        assert len(corpus) == size
        found = {label for sample in corpus.samples for label in sample.labels or ()}
        assert found <= set(DATASETS[name].labels)
        assert split != "train" or name == "aapd" or found == set(DATASETS[name].labels)
