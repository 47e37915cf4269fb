"""The readers: the same text in every form, Unicode, long texts, doubtful rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nlp_gym.data import check, read
from nlp_gym.errors import (
    DataError,
    DataFormatError,
    DataNotFoundError,
    InvalidArgumentError,
    UnknownNameError,
)

IOB2 = [["B-PER", "I-PER", "O"], ["O", "B-LOC"]]
WORDS = [["Ana", "Li", "left"], ["In", "北京"]]


def save(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


CONTENT = {
    "two.conll": "Ana\tB-PER\nLi\tI-PER\nleft\tO\n\nIn\tO\n北京\tB-LOC\n",
    "four.conll": (
        "-DOCSTART- -X- -X- O\n\nAna NNP B-NP B-PER\nLi NNP I-NP I-PER\nleft VBD B-VP O\n\n"
        "-DOCSTART- -X- -X- O\nIn IN B-PP O\n北京 NNP B-NP B-LOC"
    ),
    "spaces.conll": "Ana   B-PER \nLi I-PER\n left O\n \t \nIn O\n北京 B-LOC\n\n\n",
    "crlf.conll": "\ufeffAna B-PER\r\nLi I-PER\r\nleft O\r\n\r\nIn O\r\n北京 B-LOC\r\n",
    "iob1.conll": "Ana I-PER\nLi I-PER\nleft O\n\nIn O\n北京 I-LOC\n",
    "bioes.conll": "Ana B-PER\nLi E-PER\nleft O\n\nIn O\n北京 S-LOC\n",
    "words.jsonl": (
        '{"words": ["Ana", "Li", "left"], "labels": ["B-PER", "I-PER", "O"]}\n\n'
        '{"tokens": ["In", "北京"], "ner_tags": ["O", "B-LOC"], "id": 7}\n'
    ),
    "sentences.csv": (
        "sentence,word,label\n1,Ana,B-PER\n1,Li,I-PER\n1,left,O\n2,In,O\n2,北京,B-LOC\n"
    ),
    "kaggle.csv": (
        "Sentence #;Word;POS;Tag\nSentence: 1;Ana;NNP;B-PER\n;Li;NNP;I-PER\n;left;VB;O\n"
        'Sentence: 2;In;IN;O\n;"北京";NNP;B-LOC\n'
    ),
    "table.tsv": (
        "sentence\ttoken\ttag\n1\tAna\tB-PER\n1\tLi\tI-PER\n1\tleft\tO\n2\tIn\tO\n2\t北京\tB-LOC\n"
    ),
    "guess.txt": "Ana B-PER\nLi I-PER\nleft O\n\nIn O\n北京 B-LOC\n",
}


@pytest.mark.parametrize("name", CONTENT)
def test_readers_read_the_same_text_in_every_form(tmp_path: Path, name: str) -> None:
    samples = read(save(tmp_path, name, CONTENT[name]))
    assert [list(sample.words) for sample in samples] == WORDS
    assert [list(sample.labels or ()) for sample in samples] == IOB2
    report = check(tmp_path / name)
    assert report.ok
    assert (report.n_samples, report.n_words) == (2, 5)
    assert report.labels == {"B-PER": 1, "I-PER": 1, "B-LOC": 1, "O": 2}


def test_readers_ids_name_file_and_first_line(tmp_path: Path) -> None:
    samples = read(save(tmp_path, "four.conll", CONTENT["four.conll"]))
    assert [sample.id for sample in samples] == ["four.conll:3", "four.conll:8"]


CONLLU = """# text = don't go 10 000
1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tdo\tdo\tAUX\tVBP\t_\t0\troot\t_\t_
2\tn't\tnot\tPART\tRB\t_\t1\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t1\tx\t_\t_
3.1\tgone\t_\t_\t_\t_\t_\t_\t_\t_
4\t10 000\t10\tNUM\tCD\t_\t1\tx\t_\t_

# next
1\t好\t好\tADJ\tJJ\t_\t0\troot\t_\t_"""


def test_readers_conllu_skips_multiword_tokens_and_empty_nodes(tmp_path: Path) -> None:
    path = save(tmp_path, "x.conllu", CONLLU)
    first, second = read(path)
    assert first.words == ("do", "n't", "go", "10 000")
    assert first.labels == ("AUX", "PART", "VERB", "NUM")
    assert second.words == ("好",)
    assert read(path, column="xpos")[0].labels == ("VBP", "RB", "VB", "CD")
    with pytest.raises(UnknownNameError, match="'xpos'"):
        read(path, column="pos")


def test_readers_conll_column_chooses_another_layer(tmp_path: Path) -> None:
    path = save(tmp_path, "four.conll", CONTENT["four.conll"])
    assert read(path, column=1)[0].labels == ("NNP", "NNP", "VBD")
    assert read(path, column="-2")[0].labels == ("B-NP", "I-NP", "B-VP")
    for wrong in (0, 4, "ner"):
        with pytest.raises(InvalidArgumentError, match="from 1 to 3"):
            read(path, column=wrong)


def test_readers_jsonl_text_with_entities_becomes_words(tmp_path: Path) -> None:
    text = "🙂 Ana Li left 北京."
    entities = [{"start": 2, "end": 8, "label": "PER"}, [14, 16, "LOC"]]
    row = json.dumps({"text": text, "entities": entities, "id": "a"})
    (sample,) = read(save(tmp_path, "x.jsonl", row))
    assert sample.words == ("🙂", "Ana", "Li", "left", "北", "京", ".")
    assert sample.labels == ("O", "B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O")
    assert sample.extra["id"] == "a"
    assert [text[slice(*span)] for span in sample.extra["spans"]] == list(sample.words)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.conll", "Ana\nleft\n\nIn\n北京\n"),
        ("x.conll", "Ana X\nleft X\n\nIn X\n北京 X\n"),
        ("x.conllu", "1\tAna\t_\t_\t_\t_\t_\t_\t_\t_\n2\tleft\t_\t_\t_\t_\t_\t_\t_\t_\n\n"
                     "1\tIn\t_\t_\t_\t_\t_\t_\t_\t_\n2\t北京\t_\t_\t_\t_\t_\t_\t_\t_\n"),
        ("x.jsonl", '{"words": ["Ana", "left"]}\n{"words": ["In", "北京"], "labels": [1]}'),
        ("x.csv", "sentence,word\n1,Ana\n1,left\n2,In\n2,北京\n"),
    ],
)  # fmt: skip
def test_readers_without_gold_need_no_labels(tmp_path: Path, name: str, content: str) -> None:
    samples = read(save(tmp_path, name, content), gold=False)
    assert [list(sample.words) for sample in samples] == [["Ana", "left"], ["In", "北京"]]
    assert [sample.labels for sample in samples] == [None, None]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.txt", "Ana's here.\n\n好\n"),
        ("x.csv", 'id,text\n1,"Ana\'s here."\n2,好\n'),
        ("x.jsonl", '{"text": "Ana\'s here."}\n{"text": "好"}\n'),
    ],
)
def test_readers_raw_text_is_for_prediction(tmp_path: Path, name: str, content: str) -> None:
    path = save(tmp_path, name, content)
    first, second = read(path, gold=False)
    assert (first.words, second.words) == (("Ana", "'s", "here", "."), ("好",))
    assert first.extra["text"] == "Ana's here."
    with pytest.raises(DataFormatError):
        read(path)


def test_readers_repair_of_tags_is_a_warning_and_explicit_scheme_an_error(tmp_path: Path) -> None:
    path = save(tmp_path, "x.conll", "a B-X\nb O\nc I-X\n\nd O\ne I-Y\n")
    with pytest.warns(UserWarning, match=r"x\.conll:3: I-X follows O.*1 more"):
        samples = read(path)
    assert [sample.labels for sample in samples] == [("B-X", "O", "B-X"), ("O", "B-Y")]
    assert [warning.line for warning in check(path).warnings] == [3, 6]
    assert [problem.line for problem in check(path, scheme="iob2").problems] == [3, 6]
    assert check(path, scheme="none").ok


def test_readers_take_a_text_of_2000_words_and_check_points_it_out(tmp_path: Path) -> None:
    path = save(tmp_path, "x.conll", "a O\n\n" + "word O\n" * 2000)
    assert [len(sample.words) for sample in read(path)] == [1, 2000]
    assert [(w.line, "2000 words" in w.message) for w in check(path).warnings] == [(3, True)]


def test_readers_conllu_points_out_unknown_upos(tmp_path: Path) -> None:
    report = check(save(tmp_path, "x.conllu", "1\ta\t_\tFOO\t_\t_\t_\t_\t_\t_\n"))
    assert report.ok
    assert [(w.line, "'FOO'" in w.message) for w in report.warnings] == [(1, True)]


@pytest.mark.parametrize(
    "word", ["👩‍👩‍👧", "我爱你", "a\u00a0b", "e\u0301", "\u2028", "x\u0085y", "#tag", '"']
)
def test_readers_keep_any_unicode_word_whole(tmp_path: Path, word: str) -> None:
    if not word.isspace():
        (sample,) = read(save(tmp_path, "x.conll", f"{word}\tO\nb\tO\n"))
        assert sample.words == (word, "b")
    row = json.dumps({"words": [word + "."], "labels": ["O"]}, ensure_ascii=False)
    assert read(save(tmp_path, "x.jsonl", row))[0].words == (word + ".",)


def test_readers_missing_file_folder_and_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"nothing\.conll"):
        read(tmp_path / "nothing.conll")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        check("a\0b")
    with pytest.raises(UnknownNameError, match="'conllu'"):
        read(save(tmp_path, "x.conll", "a O"), "conlu")


def test_conll_of_names_of_columns_alone_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("token label\n")
    assert [sample.labels for sample in read(path, "conll")] == [("label",)]


def test_a_line_that_is_no_json_is_left_out_as_a_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('"words": ["Ana"]}\n{"words": ["Bo"], "labels": ["B-PER"]}\n')
    report = check(path, "jsonl", bad_rows="skip")
    assert (report.ok, report.n_samples, report.n_skipped) == (True, 1, 1)
    with pytest.warns(UserWarning, match=r"1 sample\(s\) with bad rows are left out"):
        assert [sample.words for sample in read(path, "jsonl", bad_rows="skip")] == [("Bo",)]
