"""Readers of triples: every format, labels beside them, names as words."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlp_gym.data import check, load_corpus, read
from nlp_gym.data.readers.knowledge_graph.names import entity_words, relation_words
from nlp_gym.errors import DataFormatError

TABLE = "Head;Relation;Tail\nOslo;capital of;Norway\n北京;capital of;中国\n"
FILES = {
    "triples.txt": "Oslo\tcapital of\tNorway\n\n北京\tcapital of\t中国\n",
    "triples.tsv": "Oslo\tcapital of\tNorway\r\n北京\tcapital of\t中国\r\n",
    "table.csv": TABLE,
    "table.tsv": TABLE.replace(";", "\t"),
    "spo.csv": "subject,predicate,object\nOslo,capital of,Norway\n北京,capital of,中国\n",
    "rows.jsonl": '{"head": "Oslo", "relation": "capital of", "tail": "Norway"}\n'
    '{"h": "北京", "r": "capital of", "t": "中国"}\n',
    "facts": "Oslo\tcapital of\tNorway\n北京\tcapital of\t中国\n",
}


@pytest.mark.parametrize("name", FILES)
def test_readers_of_triples_give_queries_and_answers(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    first, second = read(tmp_path / name, family="kg")
    assert first.words == ("Oslo", "capital", "of")
    assert first.extra == {"head": "Oslo", "relation": "capital of"}
    assert (first.gold, second.gold) == (("Norway",), ("中国",))
    assert second.extra["head"] == "北京"
    assert first.labels is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.txt", "Oslo\tcapital of\nRome\tcapital of\tItaly\n"),
        ("q.csv", "head,relation\nOslo,capital of\nRome,capital of\n"),
        ("q.jsonl", '{"head": "Oslo", "relation": "capital of"}\n' * 2),
    ],
)
def test_readers_of_triples_need_no_tail_without_gold(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    samples = read(tmp_path / name, family="kg", gold=False)
    assert [sample.gold for sample in samples] == [None, None]
    assert not samples[0].annotated
    with pytest.raises(DataFormatError):
        read(tmp_path / name, family="kg")


@pytest.mark.parametrize(
    ("name", "content", "problems"),
    [
        ("a.txt", "a\tr\tb\na r b\na\tr\t\na\tr\tb\tc\n", {2: "1 cell", 3: "tail is", 4: "4 cell"}),
        ("a.txt", b"a\tr\tb\n\xff\tr\tb\na\tr\0\tb\n", {2: "not UTF-8", 3: "NUL"}),
        ("a.csv", "head,relation\na,r\n", {1: "no column 'tail'"}),
        ("a.csv", "head,relation,tail\na,,b\na,r\n", {2: "relation is empty", 3: "2 cell"}),
        ("a.jsonl", '{"head": "a", "tail": "b"}\n{"head": "a", "relation": 1, "tail": "b"}\n[]\n'
         '{"head": "a", "relation": "r", "tail": "\\ud83d"}\n{"head": " ", "relation": "r"}\n',
         {1: "'relation'", 2: "a number", 3: "a list", 4: "surrogate", 5: "no 'tail'"}),
    ],
)  # fmt: skip
def test_readers_of_triples_name_every_bad_row(
    tmp_path: Path, name: str, content: str | bytes, problems: dict[int, str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = check(path, family="kg")
    assert [problem.line for problem in report.problems] == list(problems)
    for problem in report.problems:
        assert problems[problem.line or 0] in problem.message
    with pytest.raises(DataFormatError, match=f"{name}:{next(iter(problems))}"):
        read(path, family="kg")


@pytest.mark.parametrize("labels", ["entity_labels.tsv", "my.labels.tsv"])
def test_labels_are_read_from_the_file_beside_the_triples(tmp_path: Path, labels: str) -> None:
    (tmp_path / "my.txt").write_text("/m/1\t/a/b\t/m/2\n/m/3\t/a/b\t/m/1\n", encoding="utf-8")
    (tmp_path / labels).write_text("/m/1\tOld Oslo\ta town\n\n/m/2\tNorge\n", encoding="utf-8")
    first, second = read(tmp_path / "my.txt", family="kg")
    assert first.words == ("Old", "Oslo", "a", "b")
    assert second.words == ("/m/3", "a", "b")
    assert dict(first.extra["names"]) == {"/m/1": "Old Oslo", "/m/2": "Norge"}
    assert first.extra["names"] is second.extra["names"]
    (tmp_path / labels).write_text("/m/1\tOslo\nbroken\n", encoding="utf-8")
    with pytest.raises(DataFormatError, match=rf"{labels}, line 2: id, a tab and a label"):
        read(tmp_path / "my.txt", family="kg")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("land_reform.n.01", "land reform noun"),
        ("take_off.v.12", "take off verb"),
        ("so.r.01", "so adverb"),
        ("New York", "New York"),
        ("St._Olav", "St. Olav"),
        ("/m/027rn", "/m/027rn"),
        ("__", "__"),
        ("北京", "北京"),
    ],
)
def test_entity_names_become_words(name: str, words: str) -> None:
    assert " ".join(entity_words(name)) == words
    assert entity_words("x", {"x": name}) == entity_words(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("_derivationally_related_form", "derivationally related form"),
        ("/people/person/nationality", "people person nationality"),
        ("/film/actor/film./film/performance/film", "film actor film performance film"),
        ("isLocatedIn", "is Located In"),
        ("concept:athlete", "concept athlete"),
        ("/", "/"),
    ],
)
def test_relation_names_become_words(name: str, words: str) -> None:
    assert " ".join(relation_words(name)) == words


@pytest.mark.parametrize("name", ["wn18rr", "fb15k237"])
def test_bundled_triples_are_small_and_share_no_triple(name: str) -> None:
    splits = [load_corpus(name, s, corpus="sample").samples for s in ("train", "dev", "test")]
    triples = [{(s.extra["head"], s.extra["relation"], s.gold) for s in split} for split in splits]
    assert [len(split) for split in splits[1:]] == [20, 20]
    assert 120 < len(splits[0]) < 250
    assert sum(map(len, triples)) == len(set.union(*triples))


@pytest.mark.corpus
def test_full_triples_have_the_published_counts(real_data: Path) -> None:
    for name, sizes in (("wn18rr", (86835, 3034, 3134)), ("fb15k237", (272115, 17535, 20466))):
        found = [
            len(load_corpus(name, split, data_dir=real_data)) for split in ("train", "dev", "test")
        ]
        assert tuple(found) == sizes
