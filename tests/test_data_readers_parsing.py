"""Reader of dependency trees: CoNLL-U and JSON Lines, and every bad row by its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from nlp_gym.data import check, load_corpus, read
from nlp_gym.errors import DataFormatError


def conllu(*rows: str) -> str:
    """CoNLL-U from ``"ID FORM HEAD DEPREL"``; an empty row ends a sentence."""
    lines = []
    for row in rows:
        if not row or row[0] == "#":
            lines.append(row)
            continue
        number, form, head, relation = row.split()
        lines.append("\t".join((number, form, "_", "X", "_", "_", head, relation, "_", "_")))
    return "\n".join(lines) + "\n"


GOOD = conllu(
    "# text = don't", "1-2 don't _ _", "1 do 3 aux", "2 n't 3 advmod", "2.1 it _ _", "3 go 0 root",
    "", "1 猫 2 nsubj", "2 睡 0 root",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.conllu", GOOD),
        ("a.conllx.gz", GOOD),
        ("a.jsonl", '{"words": ["do", "n\'t", "go"], "heads": [3, 3, 0], "relations": ["aux", '
         '"advmod", "root"]}\n{"words": ["猫", "睡"], "heads": [2, 0], '
         '"relations": ["nsubj", "root"]}\n'),
    ],
)  # fmt: skip
def test_readers_of_trees_give_heads_and_relations(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    raw = content.encode()
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    first, second = read(path, family="parsing")
    assert (first.words, first.gold) == (("do", "n't", "go"), (3, 3, 0))
    assert first.labels == ("aux", "advmod", "root")
    assert (second.words, second.gold) == (("猫", "睡"), (2, 0))
    bare, _ = read(path, family="parsing", gold=False)
    assert (bare.labels, bare.gold) == (None, None)


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (conllu("1 a 2 x", "2 b 1 x", "3 c 0 root"), 1, "form a cycle"),
        (conllu("1 a 0 root", "", "1 a 0 root", "2 b 5 x"), 4, "the head of word 2 is 5"),
        (conllu("1 a 0 root", "2 b 0 root"), 2, "words 1 and 2 have the head 0"),
        (conllu("1 a 2 x", "2 b 1 x"), 1, "no word of the sentence has the head 0"),
        (conllu("1 a 1 x"), 1, "word 1 is its own head"),
        (conllu("1 a _ x"), 1, "HEAD of the word 'a' is '_'"),
        (conllu("1 a -1 x"), 1, "HEAD of the word 'a' is '-1'"),
        (conllu("1 a 0 _"), 1, "no relation"),
        (conllu("1 a 0 root", "3 b 1 x"), 2, "the word's number is '3', expected '2'"),
        (conllu("1 a 0 root") + "2\tb\t_\n", 2, "3 column(s)"),
    ],
)
def test_readers_of_trees_name_the_line_of_a_bad_row(
    tmp_path: Path, content: str, line: int, said: str
) -> None:
    path = tmp_path / "mine.conllu"
    path.write_text(content + "\n" + conllu("1 fine 0 root"), encoding="utf-8")
    report = check(path, family="parsing")
    assert [problem.line for problem in report.problems] == [line]
    assert said in report.problems[0].message
    with pytest.raises(DataFormatError, match=f"mine.conllu:{line}"):
        read(path, family="parsing")
    with pytest.warns(UserWarning, match="1 sample.s. with bad rows are left out"):
        kept = read(path, family="parsing", bad_rows="skip")
    assert kept[-1].words == ("fine",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"words": ["a"], "heads": [0, 1], "relations": ["root"]}', "1 words, 2 heads"),
        ('{"words": ["a", "b"], "heads": [0, 0], "relations": ["root", "x"]}', "have the head 0"),
        ('{"words": [], "heads": [], "relations": []}', "words"),
        ('{"words": ["a"], "heads": ["0"], "relations": ["root"]}', "heads"),
    ],
)
def test_readers_of_trees_say_what_is_wrong_with_a_json_row(
    tmp_path: Path, row: str, said: str
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(row + "\n", encoding="utf-8")
    (problem,) = check(path, family="parsing").problems
    assert problem.line == 1
    assert said in problem.message


def test_the_bundled_sample_has_trees_of_both_kinds() -> None:
    for split, n in (("train", 32), ("dev", 10), ("test", 10)):
        corpus = load_corpus("ud_ewt_trees", split, corpus="sample")
        assert len(corpus) == n
        assert {r for s in corpus.samples for r in s.labels or ()} <= {*corpus.labels}
        assert {"root", "nsubj", "nsubj:pass"} <= {*corpus.labels}


def test_a_check_counts_trees_that_are_not_projective(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    path.write_text(
        GOOD + "\n" + conllu("1 a 3 x", "2 b 4 x", "3 c 0 root", "4 d 3 x"), encoding="utf-8"
    )
    counts = check(path, family="parsing").counts
    assert counts["trees that are not projective"] == 1
    assert "trees that are not projective" not in check(path).counts
