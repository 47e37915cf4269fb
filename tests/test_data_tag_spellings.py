"""Tags of other spellings, and CoNLL files of other layouts: read as meant, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nlp_gym
from nlp_gym.data import CheckReport, check, read
from nlp_gym.data.tags.iob2 import to_iob2
from nlp_gym.data.tags.spellings import UNTYPED, respelled
from nlp_gym.errors import DataFormatError, InvalidArgumentError, UnknownNameError
from nlp_gym.types import Sample

SENTENCES = 12
TAGS = ("O", "B-PER", "I-PER", "O", "B-LOC")


def rows(tags: tuple[str, ...]) -> str:
    """Sentences of five words with the tags."""
    words = ("w", "Ana", "Lee", "saw", "Oslo")
    one = "\n".join(f"{word}{{0}} {tag}" for word, tag in zip(words, tags, strict=True))
    return "\n\n".join(one.format(i) for i in range(SENTENCES)) + "\n"


def checked(folder: Path, name: str, content: str, **options: Any) -> CheckReport:
    """The report of a file, which `read` has to agree with."""
    path = folder / name
    path.write_text(content, encoding="utf-8")
    report = check(path, **options)
    if report.ok and not report.warnings:
        assert len(read(path, **options)) == report.n_samples
    return report


def pairs(sample: Sample) -> list[tuple[str, str]]:
    assert sample.labels is not None
    return list(zip(sample.words, sample.labels, strict=True))


# Spelling of the five tags, and what they become.
SPELLINGS = {
    "untyped": ("O B I O B", f"O B-{UNTYPED} I-{UNTYPED} O B-{UNTYPED}"),
    "untyped lower case": ("o b i o b", f"O B-{UNTYPED} I-{UNTYPED} O B-{UNTYPED}"),
    "untyped BILOU": ("O B L O U", f"O B-{UNTYPED} I-{UNTYPED} O B-{UNTYPED}"),
    "no type after the mark": ("O B- I- O B-", f"O B-{UNTYPED} I-{UNTYPED} O B-{UNTYPED}"),
    "underscore": ("O B_PER I_PER O B_LOC", "O B-PER I-PER O B-LOC"),
    "colon": ("O B:PER I:PER O B:LOC", "O B-PER I-PER O B-LOC"),
    "full stop": ("O B.PER I.PER O B.LOC", "O B-PER I-PER O B-LOC"),
    "slash": ("O B/PER I/PER O B/LOC", "O B-PER I-PER O B-LOC"),
    "bar": ("O B|PER I|PER O B|LOC", "O B-PER I-PER O B-LOC"),
    "lower case": ("o b-per i-per o b-loc", "O B-per I-per O B-loc"),
    "suffix": ("O PER-B PER-I O LOC-B", "O B-PER I-PER O B-LOC"),
    "suffix and underscore": ("O PER_B PER_I O LOC_B", "O B-PER I-PER O B-LOC"),
    "suffix BIOES": ("O PER-B PER-E O LOC-S", "O B-PER I-PER O B-LOC"),
    "full width": ("Ｏ Ｂ－PER Ｉ－PER Ｏ Ｂ－LOC", "O B-PER I-PER O B-LOC"),
    "full width types": ("O Ｂ－ＰＥＲ Ｉ－ＰＥＲ O Ｂ－ＬＯＣ", "O B-PER I-PER O B-LOC"),
    "some full width": ("O Ｂ－PER I-PER O B-LOC", "O B-PER I-PER O B-LOC"),
    "lower-case o": ("o B-PER I-PER o B-LOC", "O B-PER I-PER O B-LOC"),
    "zero": ("0 B-PER I-PER 0 B-LOC", "O B-PER I-PER O B-LOC"),
    "dash": ("O B–PER I–PER O B–LOC", "O B-PER I-PER O B-LOC"),
    "minus": ("O B\u2212PER I\u2212PER O B\u2212LOC", "O B-PER I-PER O B-LOC"),
    "no-break space": ("O B-PER\u00a0 I-PER O\u00a0 B-LOC", "O B-PER I-PER O B-LOC"),
    "zero width": ("O B-PER\u200b I-PER O \ufeffB-LOC", "O B-PER I-PER O B-LOC"),
    "Cyrillic and Greek": (
        "\u041e \u0412-PER \u0399-PER \u041e \u0392-LOC",
        "O B-PER I-PER O B-LOC",
    ),
    "types with marks": ("O B_a_b I_a_b O B_c-d", "O B-a_b I-a_b O B-c-d"),
    "types with marks, suffix": ("O a-b-B a-b-I O c_d-B", "O B-a-b I-a-b O B-c_d"),
    "Chinese types": ("O B_人名 I_人名 O B_地名", "O B-人名 I-人名 O B-地名"),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_are_read_as_iob2_and_said_in_one_line(tmp_path: Path, name: str) -> None:
    tags, expected = (tuple(x.split(" ")) for x in SPELLINGS[name])
    report = checked(tmp_path, "x.conll", rows(tags))
    assert report.ok
    assert (report.n_samples, report.n_words) == (SENTENCES, 5 * SENTENCES)
    assert report.labels == {tag: SENTENCES * expected.count(tag) for tag in expected}
    (warning,) = report.warnings
    assert "are read as such" in warning.message
    with pytest.warns(UserWarning, match="are read as such"):
        samples = read(tmp_path / "x.conll")
    assert [sample.labels for sample in samples] == [expected] * SENTENCES


@pytest.mark.parametrize(
    "tags",
    [
        "O B_PER I-PER O B-LOC",  # two marks
        "O PER-B I-PER O B-LOC",  # both orders
        "O B-PER b-loc O B-LOC",  # both cases
        "O B-PER o O B-LOC",  # two tags outside
        "O B_PER I_PER PER B_LOC",  # one label of another kind
        "O B-PER O O PER",
    ],
)
def test_spellings_that_are_not_regular_are_refused(tmp_path: Path, tags: str) -> None:
    report = checked(tmp_path, "x.conll", rows(tuple(tags.split(" "))))
    assert not report.ok or report.scheme == "none"
    with pytest.raises((DataFormatError, InvalidArgumentError), match=r"label '"):
        nlp_gym.make_task("NER-v0", data=tmp_path / "x.conll", encoder="hashed")


@pytest.mark.parametrize(
    "labels",
    [
        ["NN", "O", "-LRB-", "B"],
        ["UH", "O", "IN"],
        ["B_A", "I_A"],  # nothing is outside: these may be anything
        ["E.1", "S.2"],
        ["B", "I"],
        ["PER", "LOC", "O"],
        [],
    ],
)
def test_spellings_leave_plain_labels_alone(labels: list[str]) -> None:
    assert respelled(labels) == {}


def test_spellings_keep_types_apart_that_end_in_a_hyphen(tmp_path: Path) -> None:
    report = checked(tmp_path, "x.conll", "x O\nneg B-A-\npos B-A\nof O\n" * SENTENCES)
    assert report.labels == {"O": 24, "B-A-": 12, "B-A": 12}
    assert not [warning for warning in report.warnings if warning.line is not None]
    assert respelled({"O", "B_A-", "B_A"}) == {"B_A-": "B-A-", "B_A": "B-A"}


@pytest.mark.parametrize("tags", ["O B I O B", "O B_PER I_PER O B_LOC", "o b-per i-per o b-loc"])
def test_spellings_environment_and_check_agree(tmp_path: Path, tags: str) -> None:
    path = tmp_path / "x.conll"
    path.write_text(rows(tuple(tags.split(" "))))
    report = check(path)
    with pytest.warns(UserWarning, match="are read as such"):
        task = nlp_gym.make_task("NER-v0", data=path, encoder="hashed")
    assert set(report.labels) <= set(task.labels)
    assert task.labels[0] == "O"
    assert all(label[:2] in ("B-", "I-") for label in task.labels[1:])
    # Labels of words that are no entities are what the file says.
    task = nlp_gym.make_task("POS-v0", data=path, encoder="hashed")
    assert set(task.labels) == set(tags.split(" "))
    assert set(check(path, scheme="none").labels) == set(tags.split(" "))


LETTERS = st.sampled_from(["-", "_", ":", ".", "/", "|", "+", "="])
KINDS = st.sampled_from(["PER", "a-b", "c_d", "人", "B", "x.y"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(1, 3), KINDS | st.just("")), min_size=1), min_size=1),
    LETTERS,
    st.booleans(),
)
def test_spellings_round_trip(texts: list[list[tuple[int, str]]], mark: str, suffix: bool) -> None:
    gold = [["O", *_tags(text), "O"] for text in texts]

    def spell(tag: str) -> str:
        letter, kind = tag[0], tag[2:]
        return tag if tag == "O" else f"{kind}{mark}{letter}" if suffix else f"{letter}{mark}{kind}"

    written = [[spell(tag) for tag in text] for text in gold]
    found = respelled({tag for text in written for tag in text})
    tags = [[found.get(tag, tag) for tag in text] for text in written]
    # A type that is a letter itself ("B") can be read from both sides.
    if not any(kind == "B" for text in texts for _, kind in text):
        assert to_iob2(tags).tags == gold


def _tags(entities: list[tuple[int, str]]) -> list[str]:
    return [
        f"{'I' if i else 'B'}-{kind}" if kind else "O"
        for length, kind in entities
        for i in range(length)
    ]


# CoNLL files of other layouts ---------------------------------------------------------------------

NUMBERED = "1\tAnna{0}\tB-PER\tO\n2\tMeier\tI-PER\tO\n3\tlacht\tO\tO\n"
ANNA = [("Anna0", "B-PER"), ("Meier", "I-PER"), ("lacht", "O")]


@pytest.mark.parametrize("comment", ["", "#\thttp://example.org/{0}\t[2009-10-17]\n"])
def test_conll_words_after_their_numbers_are_found(tmp_path: Path, comment: str) -> None:
    content = "\n".join((comment + NUMBERED).format(i) for i in range(SENTENCES))
    report = checked(tmp_path, "x.tsv", content)
    assert (report.ok, report.format, report.n_samples, report.n_words) == (True, "conll", 12, 36)
    assert pairs(report.samples[0]) == ANNA
    messages = "\n".join(warning.message for warning in report.warnings)
    assert "column 0 counts the words" in messages
    assert "the labels are those of column 2" in messages
    nested = checked(tmp_path, "x.tsv", content, column=3)
    assert nested.labels == {"O": 36}
    numbers = checked(tmp_path, "x.tsv", content, word_column=0, column=2)
    assert numbers.samples[0].words == ("1", "2", "3")


@pytest.mark.parametrize(
    "content",
    [
        "1 Ana NNP B-PER\n2 left VBD O\n\n1 Bo NNP B-PER\n2 ran VBD O\n",
        "0 Ana B-PER\n1 left O\n\n0 Bo B-PER\n1 ran O\n",
        "1 Ana B-PER\n2 left O\n\n3 Bo B-PER\n4 ran O\n",  # it counts on
        "01 Ana B-PER\n02 left O\n\n01 Bo B-PER\n02 ran O\n",
        "s1 1 Ana B-PER\ns1 2 left O\n\ns2 1 Bo B-PER\ns2 2 ran O\n",
        "1-2\tX\t_\n1\tAna\tB-PER\n2\tleft\tO\n2.1\tgone\t_\n\n1\tBo\tB-PER\n2\tran\tO\n",
    ],
)
def test_conll_numbered_words_of_other_kinds(tmp_path: Path, content: str) -> None:
    report = checked(tmp_path, "x.conll", content)
    assert [pairs(sample) for sample in report.samples] == [
        [("Ana", "B-PER"), ("left", "O")],
        [("Bo", "B-PER"), ("ran", "O")],
    ]


def test_conll_a_number_that_lacks_is_a_bad_row(tmp_path: Path) -> None:
    content = "".join(f"1 Ana{i} B-PER\n2 left O\n\n" for i in range(5)) + "1 Bo B-PER\n3 ran O\n"
    report = checked(tmp_path, "x.conll", content)
    assert [problem.line for problem in report.problems] == [17]
    assert "expected '2'" in report.problems[0].message


def test_conll_numbers_in_the_place_of_words_are_refused(tmp_path: Path) -> None:
    content = "".join(f"{7 * i} CD O\n" for i in range(9))
    report = checked(tmp_path, "x.conll", content)
    assert "the words would be numbers" in report.problems[0].message
    assert checked(tmp_path, "x.conll", content, word_column=0).ok


def test_conll_ten_columns_are_conllu_whatever_the_ending(tmp_path: Path) -> None:
    row = "{0}\tw{0}\tw\tNOUN\tNN\t_\t0\troot\t_\t_\n"
    content = "\n".join("".join(row.format(i) for i in range(1, n)) for n in (4, 6, 3))
    report = checked(tmp_path, "x.conll", content)
    assert (report.format, report.n_samples, report.labels) == ("conllu", 3, {"NOUN": 10})
    assert report.samples[0].words == ("w1", "w2", "w3")
    refused = checked(tmp_path, "x.conll", content, format="conll")
    assert "most labels in column 9 are '_'" in refused.problems[0].message
    assert checked(tmp_path, "x.conll", content, format="conll", column=4).labels == {"NN": 10}


def test_conll_header_is_no_sentence(tmp_path: Path) -> None:
    content = "TOKEN\tXPOS\nThe\tDT\ndog\tNN\n\nA\tDT\ncat\tNN\n"
    report = checked(tmp_path, "x.tsv", content)
    assert [pairs(sample) for sample in report.samples] == [
        [("The", "DT"), ("dog", "NN")],
        [("A", "DT"), ("cat", "NN")],
    ]
    assert [
        (warning.line, "names the columns" in warning.message) for warning in report.warnings
    ] == [(1, True)]
    three = "word pos ner\nAna NNP B-PER\nran VBD O\n"
    assert checked(tmp_path, "x.conll", three).labels == {"B-PER": 1, "O": 1}
    assert checked(tmp_path, "x.conll", three, column="POS").labels == {"NNP": 1, "VBD": 1}
    with pytest.raises(InvalidArgumentError, match=r"column='chunk'.*\(word, pos, ner\)"):
        check(tmp_path / "x.conll", column="chunk")
    unknown = "TOKEN\tNE-COARSE\tNE-FINE\nAna\tO\tB-PER\nran\tO\tO\n\nBo\tO\tB-PER\n"
    assert checked(tmp_path, "x.tsv", unknown).labels == {"B-PER": 2, "O": 1}
    # A first sentence that only looks like a header is one: its label occurs again.
    assert checked(tmp_path, "x.conll", "text pos\nword neg\n\nfine pos\n" * 3).n_words == 9


def test_conll_a_first_row_like_no_other_is_pointed_out(tmp_path: Path) -> None:
    content = "Wort Wortart\n" + "".join(f"w{i} {'NN' if i % 2 else 'VB'}\n\n" for i in range(30))
    report = checked(tmp_path, "x.conll", content)
    assert [warning.line for warning in report.warnings] == [1]
    assert "'Wortart'" in report.warnings[0].message


def test_conll_comments_of_known_forms_are_skipped(tmp_path: Path) -> None:
    spaces = (
        "# id 1f2e-77 domain=en\nann _ _ B-PER\nlee _ _ I-PER\nran _ _ O\n\n"
        "# id 1f2e-78 domain=en\nbo _ _ B-PER\n"
    )
    report = checked(tmp_path, "x.conll", spaces)
    assert [sample.words for sample in report.samples] == [("ann", "lee", "ran"), ("bo",)]
    assert [warning.message[:10] for warning in report.warnings] == ["2 comment("]
    tabs = (
        "# id 1f2e-77\tdomain=en\nann _ _ B-PER\nlee _ _ I-PER\nran _ _ O\n\n"
        "#hash _ _ O\n# _ _ O\nbo _ _ B-PER\n"
    )
    for comments in (None, "# id", "#"):  # words may begin with the mark
        report = checked(tmp_path, "x.conll", tabs, comments=comments)
        words = [sample.words for sample in report.samples]
        assert words == [("ann", "lee", "ran"), ("#hash", "#", "bo")]
    assert "are read as words" in report.warnings[0].message


def test_conll_other_comments_are_refused_or_named(tmp_path: Path) -> None:
    content = "# my words\nAna B-PER\n#Bo B-PER\nran O\n"
    report = checked(tmp_path, "x.conll", content.replace("#Bo", "; Bo and"))
    assert [problem.line for problem in report.problems] == [1, 3]
    assert "comments='#'" in report.problems[0].message
    # Rows that are commented out are skipped too, where nothing else begins so.
    asked = checked(tmp_path, "x.conll", content.partition("\n")[2], comments="#")
    assert asked.samples[0].words == ("Ana", "ran")
    with pytest.raises(InvalidArgumentError, match="no use for it"):
        checked(tmp_path, "x.jsonl", '{"words": ["a"], "labels": ["O"]}', comments="#")


@pytest.mark.parametrize(
    ("name", "content", "lines", "n_lost", "left"),
    [
        ("x.conll", "a O\nb O\n\nc O O\nd O\n\ne O\n\n O\nf O\n", [4, 9], 2, [("a", "b"), ("e",)]),
        ("x.conll", "NA N B-X O\n-- : OI-M\n\nEU N B-X I-X\n\n- : 0 0\n", [2, 6], 2, [("EU",)]),
        ("x.conll", "George B-X\nW. I-X\n\t O\nParis B-X\n\nBo B-X\n", [3], 1, [("Bo",)]),
        (
            "x.conllu",
            "1\ta" + "\t_\tX" * 4 + "\n1\tb" + "\t_\tX" * 4 + "\n\n1\tc" + "\t_\tX" * 4,
            [2],
            1,
            [("c",)],
        ),
        (
            "x.csv",
            "sentence,word,label\n1,a,O\n2,c\n2,d,O\n3,e,O\n1,x,O\n3,f,O\n4,g,O\n5,,O\n5,h,O\n",
            [3, 6, 9],
            3,
            [("e", "f"), ("g",)],
        ),
        (
            "x.jsonl",
            '{"words": ["a"], "labels": ["O"]}\n{"words": ["b"]}\n{"text": "c", "entities": []}\n',
            [2],
            1,
            [("a",), ("c",)],
        ),
        ("x.jsonl", '{"text": "Ana", "entities": [[0, 2, "X"]]}\n{"text": "c", "entities": []}\n',
         [1], 1, [("c",)]),
    ],
)  # fmt: skip
def test_bad_rows_take_their_whole_sentence_with_them(
    tmp_path: Path,
    name: str,
    content: str,
    lines: list[int],
    n_lost: int,
    left: list[tuple[str, ...]],
) -> None:
    report = checked(tmp_path, name, content)
    assert not report.ok
    assert [problem.line for problem in report.problems] == lines
    with pytest.raises(DataFormatError, match=rf":{lines[0]}: "):
        read(tmp_path / name)
    report = check(tmp_path / name, bad_rows="skip")
    assert report.ok
    assert report.n_skipped == n_lost
    with pytest.warns(UserWarning, match=r"are left out \(bad_rows='skip'\)"):
        samples = read(tmp_path / name, bad_rows="skip")
    assert [sample.words for sample in samples] == left


ROW = "{}\t{}\t_\t{}\tNN\t_\t0\troot\t_\t_\r\n"


def test_conllu_odd_rows_are_read(tmp_path: Path) -> None:
    content = (
        "# newdoc id = 1\r\n# text = x\r\n"
        + ROW.format(1, "20 000", "NUM") + ROW.format("2-3", "du", "_")
        + ROW.format(2, "de", "ADP") + ROW.format(3, "le", "DET") + ROW.format("3.1", "E", "_")
        + ROW.format(4, "_", "SYM") + ROW.format(5, "#hash", "X") + "\r\n"
        + ROW.format("0.1", "E", "_") + ROW.format(1, "\ufeffDie", "DET")
        + ROW.format(2, "a\u00a0b", "NOUN") + "   \r\n# c\r\n"
        + ROW.format(1, "x", "NOUN").rstrip()
    )  # fmt: skip
    (tmp_path / "x.conllu").write_bytes(content.encode())
    samples = read(tmp_path / "x.conllu")
    assert [sample.words for sample in samples] == [
        ("20 000", "de", "le", "_", "#hash"),
        ("Die", "a\u00a0b"),
        ("x",),
    ]
    assert samples[0].labels == ("NUM", "ADP", "DET", "SYM", "X")


def test_conllu_joined_sentences_and_missing_upos_are_refused(tmp_path: Path) -> None:
    joined = "".join(ROW.format(i, word, "X") for i, word in ((1, "a"), (2, "b"), (1, "c")))
    report = checked(tmp_path, "x.conllu", joined)
    assert [problem.line for problem in report.problems] == [3]
    assert "is a blank line missing?" in report.problems[0].message
    report = checked(tmp_path, "x.conllu", ROW.format(1, "a", "_"))
    assert "column='xpos' reads XPOS, 'NN' here" in report.problems[0].message
    assert check(tmp_path / "x.conllu", column="xpos").labels == {"NN": 1}
    with pytest.raises(UnknownNameError, match="upos, xpos"):
        check(tmp_path / "x.conllu", column="ner")
