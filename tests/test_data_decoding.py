"""From bytes to lines: line ends, byte order marks, gzip, encodings, and files that are no text."""

from __future__ import annotations

import gzip
import os
import warnings
from pathlib import Path

import pytest

from nlp_gym.data import check, load_corpus, read
from nlp_gym.data.readers.shared.decoding import decode
from nlp_gym.data.readers.shared.encodings import check_encoding
from nlp_gym.errors import DataError, DataFormatError, InvalidArgumentError

TEXTS = "text,label\nI don’t like it – really,bad\nNice,good\nCafé,good\n"
CHINESE = "text,label\n我在北京工作,地点\n今天很好,天气\n"


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\nb\r\nc", ["a", "b", "c"]),
        ("a\u2028b\x85c\x0bd\x0ce\x1cf\n".encode(), ["a\u2028b\x85c\x0bd\x0ce\x1cf", ""]),
        (b"two \rdogs\nx", ["two \rdogs", "x"]),
        (b"bad\r\r\ngood\r\n", ["bad", "good", ""]),
        (b"\xef\xbb\xbf\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a", "b"]),
        ("a\ufeffb".encode(), ["a\ufeffb"]),
        (b"", [""]),
    ],
)
def test_lines_end_at_line_feeds_only(data: bytes, lines: list[str]) -> None:
    found = decode(data)
    assert found.lines == lines
    assert not found.problems


def test_carriage_returns_are_reported() -> None:
    alone, doubled = decode(b"a\nb\rc\nd\re\n"), decode(b"a\r\r\nb\r\r\n")
    assert [(w.line, "alone" in w.message) for w in alone.warnings] == [(2, True)]
    assert "(1 more such lines)" in alone.warnings[0].message
    assert [(w.line, "more than one" in w.message) for w in doubled.warnings] == [(1, True)]
    assert not decode(b"a\r\nb\r\n").warnings


@pytest.mark.parametrize("data", [b"text,label\rRain,bad\rSun,good\r", b"a\rb", b"a\rb\rc\n"])
def test_lines_of_old_macs_are_refused(data: bytes) -> None:
    (problem,) = decode(data).problems
    assert "old Macs" in problem.message
    assert r"tr '\r' '\n'" in problem.message


def test_a_carriage_return_alone_keeps_translations_together(tmp_path: Path) -> None:
    source = "One house.\nTwo \rdogs run.\nThree cats.\nFour birds.\nFive men.\n"
    target = "Ein Haus.\nZwei Hunde rennen.\nDrei Katzen.\nVier \rVoegel.\nFuenf Maenner.\n"
    for name, text in (("a.en", source), ("a.de", target)):
        (tmp_path / name).write_bytes(text.encode())
    with pytest.warns(UserWarning, match="carriage return alone"):
        samples = read(tmp_path / "a.en", family="generation", pair="en-de")
    golds = [" ".join(sample.gold[0].split()) for sample in samples]
    assert golds == [
        "Ein Haus.", "Zwei Hunde rennen.", "Drei Katzen.", "Vier Voegel.", "Fuenf Maenner.",
    ]  # fmt: skip


def test_joined_files_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes("Oslo\tin\tNorway\n\ufeffOslo\tin\tEurope\nRome\tin\tItaly\n".encode())
    assert {s.extra["head"] for s in read(path, family="kg")} == {"Oslo", "Rome"}
    report = check(path, family="kg")
    assert [(w.line, "byte order mark" in w.message) for w in report.warnings] == [(2, True)]


@pytest.mark.parametrize("ending", [".csv.gz", ".csv"])
def test_gzip_is_read_whatever_the_ending(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(gzip.compress(TEXTS.encode()))
    samples = read(path, family="classification")
    assert [s.labels for s in samples] == [("bad",), ("good",), ("good",)]
    assert samples[0].id == "a.csv:2"


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_damaged_gzip_is_an_error(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(TEXTS.encode())[:-cut])
    with pytest.raises(DataError, match=r"a\.csv\.gz' is damaged gzip"):
        read(path, family="classification")


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [("cp1252", TEXTS, "don’t"), ("gb18030", CHINESE, "北京"), ("utf-16", TEXTS, "")],
)
def test_the_advice_names_an_encoding_that_reads_the_file(
    tmp_path: Path, encoding: str, text: str, shown: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(DataFormatError) as caught:
        read(path, family="classification")
    assert f'encoding="{encoding}" (--encoding {encoding})' in str(caught.value)
    assert shown in str(caught.value)
    samples = read(path, family="classification", encoding=encoding)
    (tmp_path / "utf8.csv").write_text(text, encoding="utf-8")
    assert [s.extra["text"] for s in samples] == [
        s.extra["text"] for s in read(tmp_path / "utf8.csv", family="classification")
    ]
    corpus = load_corpus(
        None, family="classification", data={"train": path}, encoding=encoding.upper()
    )
    assert len(corpus) == len(samples)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_recognised(encoding: str) -> None:
    (problem,) = decode(TEXTS.encode(encoding)).problems
    assert f'encoding="{encoding}"' in problem.message
    assert decode(TEXTS.encode(encoding), encoding).lines == TEXTS.split("\n")


def test_cesu8_is_recognised_and_read() -> None:
    text = "a 😀 b\nc"
    halves = text.encode("utf-16-be")
    units = [int.from_bytes(halves[i : i + 2], "big") for i in range(0, len(halves), 2)]
    data = "".join(map(chr, units)).encode("utf-8", "surrogatepass")
    (problem,) = decode(data).problems
    assert 'encoding="cesu-8"' in problem.message
    assert decode(data, "cesu-8").lines == ["a 😀 b", "c"]


def test_a_wrong_encoding_names_its_line() -> None:
    (problem,) = decode(b"a\nb \x81 c\nd", "cp1252").problems
    assert (problem.line, "byte 0x81 is not cp1252" in problem.message) == (2, True)


@pytest.mark.parametrize(
    "name", ["nope", "rot13", "base64", "unicode_escape", "idna", "utf-7", "", "a\0b", 3, None, []]
)
def test_encodings_that_are_none_are_refused(name: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"encoding=.* is no encoding of text"):
        check_encoding(name)


@pytest.mark.parametrize(("given", "name"), [("Windows-1252", "cp1252"), ("CESU_8", "cesu-8")])
def test_names_of_encodings_have_one_spelling(given: str, name: str) -> None:
    assert check_encoding(given) == name


@pytest.mark.parametrize(
    ("start", "what"),
    [(b"PK\x03\x04", "ZIP"), (b"%PDF-1.4", "PDF"), (b"PAR1", "Parquet"), (b"BZh91AY", "bzip2")],
)
def test_files_that_are_no_text_are_named(tmp_path: Path, start: bytes, what: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(start + b"\0\1\2\xff" * 20)
    with pytest.raises(DataFormatError, match=what):
        read(path, family="classification")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_devices_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.conll")
    for path in (tmp_path / "a.conll", Path("/dev/zero"), Path("/dev/stdin")):
        with pytest.raises(DataError, match="cannot be read"):
            read(path, format="conll")
        with pytest.raises(DataError, match="cannot be read"):
            load_corpus(None, data={"train": path}, format="conll")


BAD = "text,label\nOne fine day,good\nNo label here,\nAn odd \xff one,bad\nLast one,bad\n"


def test_bad_rows_are_left_out_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(BAD.encode("latin-1"))
    with pytest.raises(DataFormatError, match=r"a\.csv:3: .*1 more such rows"):
        read(path, family="classification")
    with pytest.warns(UserWarning, match=r"2 sample\(s\) with bad rows are left out"):
        samples = read(path, family="classification", bad_rows="skip")
    assert [s.id for s in samples] == ["a.csv:2", "a.csv:5"]
    report = check(path, family="classification", bad_rows="skip")
    assert (report.ok, report.n_samples, report.n_skipped, len(report.problems)) == (True, 2, 2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        corpus = load_corpus(None, family="classification", data={"train": path}, bad_rows="skip")
    assert (len(corpus), corpus.n_skipped) == (2, 2)


def test_a_file_of_bad_rows_alone_stays_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\nOne,\n")
    with pytest.raises(DataFormatError):
        read(path, family="classification", bad_rows="skip")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"bad_rows": "drop"}, r"bad_rows='drop' is not known.*error, skip"),
        ({"label_separator": ""}, "label_separator=''"),
        ({"comments": 3}, "comments=3"),
        ({"text_column": [1]}, r"text_column=\[1\]"),
        ({"column": "a", "label_column": "b"}, "name the same thing"),
        ({"colum": "a"}, "colum"),
    ],
)
def test_options_of_reading_are_checked(
    tmp_path: Path, options: dict[str, object], match: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TEXTS, encoding="utf-8")
    with pytest.raises(InvalidArgumentError, match=match):
        read(path, family="classification", **options)


def test_a_named_corpus_takes_no_options_of_reading() -> None:
    with pytest.raises(InvalidArgumentError, match="encoding='cp1252' says how a file of yours"):
        load_corpus("conll2003", corpus="sample", encoding="cp1252")


@pytest.mark.parametrize("name", ["dev", "devel", "valid", "validation", "val"])
def test_names_of_dev(tmp_path: Path, name: str) -> None:
    for part in ("train", name, "test"):
        (tmp_path / f"{part}.csv").write_text(f"text,label\n{part} text,good\n")
    corpus = load_corpus(None, "dev", family="classification", data=tmp_path)
    assert corpus.samples[0].extra["text"] == f"{name} text"


def test_a_folder_without_dev_gets_it_of_train(tmp_path: Path) -> None:
    rows = "".join(f"text {i},{'good' if i % 2 else 'bad'}\n" for i in range(30))
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_text(f"text,label\n{rows}")
    parts = {
        split: {s.extra["text"] for s in load_corpus(
            None, split, family="classification", data=tmp_path).samples}
        for split in ("train", "dev", "test")
    }  # fmt: skip
    assert (len(parts["train"]), len(parts["dev"]), len(parts["test"])) == (27, 3, 30)
    assert not parts["train"] & parts["dev"]
    (tmp_path / "test.csv").unlink()
    with pytest.raises(DataError, match="has no 'dev' split"):
        load_corpus(None, "dev", family="classification", data=tmp_path)


def test_each_line_shows_its_own_text_in_the_advice() -> None:
    first, second = decode("text\ncafé noir\nthé vert\n".encode("cp1252")).problems
    assert "'café noir'" in first.message
    assert "'thé vert'" in second.message
    assert "if not, name another one: cp1251" in second.message


def test_japanese_escape_sequences_are_no_text() -> None:
    data = "これは\tよい\n".encode("iso2022_jp")
    (problem,) = decode(data).problems
    assert 'encoding="iso2022_jp"' in problem.message
    assert decode(data, "iso2022_jp").lines == ["これは\tよい", ""]


def test_headers_of_joined_tables_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "joined.csv"
    path.write_text("text,label\nRain,bad\ntext,label\nSun,good\n")
    with pytest.warns(UserWarning, match=r"joined\.csv:3: 1 row\(s\) repeat the header"):
        samples = read(path, family="classification")
    assert [sample.labels for sample in samples] == [("bad",), ("good",)]


def test_labels_that_were_rejected_are_left_out(tmp_path: Path) -> None:
    rows = [("Great", "pos", "accept"), ("Fine", "neg", "reject"), ("Bad", "neg", "accept")]
    rows += [("Hm", "neg", "ignore")]
    path = tmp_path / "textcat.jsonl"
    path.write_text(
        "".join(f'{{"text": "{t}", "label": "{x}", "answer": "{a}"}}\n' for t, x, a in rows)
    )
    with pytest.warns(UserWarning, match=r"1 row\(s\) with the answer 'reject'"):
        samples = read(path, family="classification")
    assert [(s.words, s.labels) for s in samples] == [(("Great",), ("pos",)), (("Bad",), ("neg",))]


def test_a_second_column_of_tags_is_pointed_out(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("Peter B-PER O\nMeier I-PER O\nlacht O O\n\nKöln B-LOC O\nruft O O\n")
    with pytest.warns(UserWarning, match=r"column 1 has tags, too: the labels are those of the"):
        read(path, "conll")
