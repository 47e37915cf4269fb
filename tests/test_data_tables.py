"""Tables as Excel, pandas and corpora write them: quotes, delimiters, headers, columns."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data import check, read
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.tables.rows import table_rows
from nlp_gym.errors import DataFormatError

Rows = list[tuple[str, str]]


def put(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8"))
    return path


def labelled(path: Path, **options: Any) -> Rows:
    """Text and label of each sample, without a warning."""
    samples = read(path, family="classification", **options)
    return [(sample.extra["text"], (sample.labels or ("",))[0]) for sample in samples]


WEATHER = [("Rain", "bad"), ("Sun", "good"), ("Fog", "bad")]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "quote_class.tsv",
            'text\tlabel\nA good one\tgood\n"Never again, he wrote\tbad\nPlain words\tgood\n'
            'Still plain\tbad\nAn odd one"\tbad\nFine\tgood\n',
            [
                ("A good one", "good"),
                ('"Never again, he wrote', "bad"),
                ("Plain words", "good"),
                ("Still plain", "bad"),
                ('An odd one"', "bad"),
                ("Fine", "good"),
            ],
        ),
        ("tabs.csv", 'text\tlabel\nA 5" pipe\tgood\n" \tbad\n', [('A 5" pipe', "good")]),
        # As pandas writes it: a cell is in quotes where it holds one, and that is doubled.
        (
            "pandas.tsv",
            'text\tlabel\n"He said ""no"""\tbad\nSun\tgood\n',
            [('He said "no"', "bad")],
        ),
        # As Excel does: where it holds a comma too.
        (
            "excel.tsv",
            'text\tlabel\n"Rain, wind"\tbad\n"Sun, ""sun"""\tgood\n"a, b"\tbad\n',
            [("Rain, wind", "bad"), ('Sun, "sun"', "good"), ("a, b", "bad")],
        ),
        # As R does: everything.
        ("r.tsv", '"text"\t"label"\n"Rain"\t"bad"\n"Sun"\t"good"\n', [("Rain", "bad")]),
        (
            "breaks.tsv",
            'text\tlabel\n"Rain\nand wind"\tbad\nSun\tgood\n',
            [("Rain\nand wind", "bad")],
        ),
        (
            "excel_sep.csv",
            '\ufeffsep=;\r\ntext;label\r\n"A; warm\nday";good\r\nRain;bad\r\n',
            [("A; warm\nday", "good"), ("Rain", "bad")],
        ),
        ("quoted_sep.csv", '"sep=|"\ntext|label\nRain|bad\n', [("Rain", "bad")]),
        ("sep.tsv", "sep=,\ntext,label\nRain,bad\n", [("Rain", "bad")]),
        (
            "semicolons.csv",
            '\ufefftext;label\n"A; warm\nday, at ""last""";good\nRain;bad\nSun;good\n',
            [('A; warm\nday, at "last"', "good"), ("Rain", "bad"), ("Sun", "good")],
        ),
        ("two_marks.csv", "\ufeff\ufefftext,label\nRain,bad\nSun,good\nFog,bad\n", WEATHER),
        ("trailing.csv", "text,label,,\nRain,bad,,\nSun,good,,\nFog,bad,,\n", WEATHER),
        ("index.csv", ",text,label\n0,Rain,bad\n1,Sun,good\n2,Fog,bad\n", WEATHER),
        ("nbsp.csv", "text\xa0,label\xa0\nRain,bad\xa0\nSun,good\nFog,bad\n", WEATHER),
        ("floats.csv", "text,label\nRain,0.0\nSun,1.0\n", [("Rain", "0.0"), ("Sun", "1.0")]),
        (
            "header.csv",
            '"text","label"\n"Rain, heavy","bad"\n"Sun","good"\n',
            [("Rain, heavy", "bad")],
        ),
        ("commas.csv", '"a, b";text;label\n1;Rain;bad\n', [("Rain", "bad")]),
        ("na.csv", "text,label\nNuuk,NA\nOslo,NO\nnull,None\nParis,null\n", [("Nuuk", "NA")]),
        ("cell_marks.csv", 'text,label\nRain,\ufeff"bad"\n"\ufeffSun",good\n', [("Rain", "bad")]),
        ("lone_cr.csv", 'text,label\nRain,bad\n"a\nb",good\n', [("Rain", "bad"), ("a\nb", "good")]),
    ],
)
def test_tables_of_many_programs_are_read(
    tmp_path: Path, name: str, content: str, expected: Rows
) -> None:
    found = labelled(put(tmp_path, name, content))
    assert found[: len(expected)] == expected
    assert not any('"' in label or "\ufeff" in text + label for text, label in found)


def test_words_between_tabs_may_be_quotation_marks(tmp_path: Path) -> None:
    content = (
        'sentence\tword\tlabel\n1\tHe\tO\n1\tsaid\tO\n1\t"\tO\n1\tOslo\tB-LOC\n1\t"\tO\n1\t.\tO\n'
        "2\tAna\tB-PER\n2\tleft\tO\n3\tBo\tB-PER\n3\tran\tO\n"
    )
    samples = read(put(tmp_path, "a.tsv", content), family="tagging")
    assert [len(sample.words) for sample in samples] == [6, 2, 2]
    labels = [label for sample in samples for label in sample.labels or ()]
    assert sum(label.startswith("B-") for label in labels) == 3


def test_a_cell_that_only_looks_quoted_is_said(tmp_path: Path) -> None:
    path = put(tmp_path, "a.tsv", 'text\tlabel\nRain\tbad\n"Never"\tbad\n"Sun"\tgood\n')
    with pytest.warns(UserWarning, match=r"a\.tsv:3: '\"Never\"' looks like .*\(1 more such cells"):
        assert labelled(path)[1] == ('"Never"', "bad")


def test_a_cell_in_quotes_that_swallows_rows_is_said(tmp_path: Path) -> None:
    swallowing = (
        'text,label\n"Never again he wrote,bad\nPlain words,good\nAn odd one",bad\nOk,good\n'
    )
    path = put(tmp_path, "a.csv", swallowing)
    with pytest.warns(UserWarning, match=r"a\.csv:2: the lines 2 to 4 are read as one row"):
        assert len(labelled(path)) == 2
    report = check(
        put(tmp_path, "b.csv", 'text,label\n"a, b\nc, d",x\n"e, f",y\n'), family="classification"
    )
    (note,) = report.warnings
    assert note.line == 2
    assert note.message.endswith("are part of its text (1 more such rows)")
    # Where one line has another number of tabs, quotation marks are still text: it is the bad row.
    uneven = 'text\tlabel\n"Never again\tbad\nPlain\twords\tgood\nAn odd one"\tbad\nFine\tgood\n'
    report = check(put(tmp_path, "c.tsv", uneven), family="classification")
    assert [(p.line, p.message) for p in report.problems] == [
        (3, "3 cell(s) where the header has 2")
    ]
    assert report.n_samples == 3


def test_carriage_returns_are_part_of_cells() -> None:
    lines = ["a,b", "x \ry,1", '"p\rq",2']
    assert list(table_rows(lines, Parsed())) == [
        (1, ["a", "b"]),
        (2, ["x \ry", "1"]),
        (3, ["p\rq", "2"]),
    ]


def test_cells_of_any_length_are_read_and_the_limit_of_csv_is_kept(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    long, lined = "The river rose. " * 12_000, "It rained, again.\n" * 12_000
    content = f'document,summary\n"{long}",A flood.\n"{lined}",Rain.\nIt rained. Sun.,Weather.\n'
    samples = read(put(tmp_path, "a.csv", content), family="summary")
    assert [len(sample.extra["sentences"]) for sample in samples] == [12_000, 12_000, 2]
    assert [sample.id for sample in samples] == ["a.csv:2", "a.csv:3", "a.csv:12004"]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ('text,label\n"He said \\"no\\" twice",bad\nSun,good\n', {2: "not escaped by a backslash"}),
        (
            'text,label\n"He said \\"no\\", twice\nand left, ok\nmore",bad\nSun,good\n',
            {2: "not CSV", 3: "line 2 opens", 4: "line 2 opens"},
        ),
        ('text,label\n"Never again he wrote,bad\nSun,good\n', {2: "never closed"}),
        ("text,label\nRain\0,bad\nSun,good\n", {2: "NUL"}),
        ("text,label\nRain,\nSun,good\n", {2: "'label' is empty"}),
        ("text,label\nRain,bad,\nSun,good\n", {2: "3 cell(s)"}),
    ],
)
def test_rows_that_are_none_are_named_and_left_out(
    tmp_path: Path, content: str, problems: dict[int, str]
) -> None:
    path = put(tmp_path, "a.csv", content)
    report = check(path, family="classification")
    assert [problem.line for problem in report.problems] == list(problems)
    for problem, part in zip(report.problems, problems.values(), strict=True):
        assert part in problem.message
    with pytest.raises(DataFormatError, match=rf"a\.csv:{next(iter(problems))}"):
        labelled(path)
    with pytest.warns(
        UserWarning, match=rf"{len(problems)} sample\(s\) with bad rows are left out"
    ):
        assert labelled(path, bad_rows="skip") == [("Sun", "good")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mac.csv", "text,label\rRain,bad\rSun,good\r", "convert the file"),
        ("twice.csv", "text,label,text\nRain,bad,other\n", "the column 'text' 2 times"),
        ("none.csv", "a,b\nRain,bad\n", "give all columns by their numbers"),
    ],
)
def test_tables_that_cannot_be_read_say_what_to_do(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    report = check(put(tmp_path, name, content), "csv", family="classification")
    assert message in report.problems[0].message


def test_utf16_of_excel_is_read_with_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text\tlabel\r\nRain\tbad\r\n".encode("utf-16"))
    with pytest.raises(DataFormatError, match="the file is UTF-16"):
        labelled(path)
    assert labelled(path, encoding="utf-16") == [("Rain", "bad")]


COLA = (
    "gj04\t1\t\tOur friends will not buy this.\ngj04\t0\t*\tOne more and I is going.\n"
    "gj04\t1\t\tThe more we study, the more we read.\n"
)


@pytest.mark.parametrize(
    "columns",
    [
        {"text_column": 3, "column": 1},
        {"text_column": "3", "label_column": "1"},
        {"text_column": -1, "label_column": -3},
    ],
)
def test_a_table_without_a_header_is_read_by_the_numbers_of_its_columns(
    tmp_path: Path, columns: dict[str, Any]
) -> None:
    path = put(tmp_path, "in_domain_train.tsv", COLA)
    assert [label for _, label in labelled(path, **columns)] == ["1", "0", "1"]
    assert read(path, family="classification", gold=False, text_column=3)[0].labels is None
    for family in ("classification", "multilabel"):
        with pytest.raises(DataFormatError, match="text_column= and label_column="):
            read(path, family=family)
    report = check(path, "goemotions", family="multilabel")
    assert report.n_samples == 0
    assert "4 cells between tabs" in report.problems[0].message


def test_a_header_is_known_where_columns_have_numbers(tmp_path: Path) -> None:
    rows = "Rain,bad\nSun,good\nFog,bad\n"
    by_number = {"text_column": 0, "column": 1}
    assert labelled(put(tmp_path, "a.csv", rows), **by_number) == WEATHER
    assert labelled(put(tmp_path, "b.csv", "sentence,Klasse\n" + rows), **by_number) == WEATHER
    assert labelled(put(tmp_path, "c.csv", "0,1\n" + rows), **by_number) == WEATHER
    with pytest.warns(UserWarning, match=r"c\.csv:1: .* not as a header.*'Klasse' occurs nowhere"):
        found = labelled(put(tmp_path, "c.csv", "Satz,Klasse\n" + rows), **by_number)
    assert found == [("Satz", "Klasse"), *WEATHER]
    named = {"text_column": "Satz", "column": "Klasse"}
    assert labelled(put(tmp_path, "d.csv", "Satz,Klasse\n" + rows), **named) == WEATHER


def test_comments_are_skipped_where_they_are_asked_for(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", "# made by hand\ntext,label\nRain,bad\n# more\n#Sun,good\n")
    assert labelled(path, comments="# ") == [("Rain", "bad"), ("#Sun", "good")]


@pytest.mark.parametrize(
    ("family", "name", "content"),
    [
        ("classification", "a.txt", "good A warm day\n\ufeffgood A fine sun\nbad Fog\n"),
        ("kg", "a.tsv", "Oslo\tin\tNorway\n\ufeffOslo\tpart of\t\ufeffEurope\nOslo\tin\tEurope\n"),
        ("kg", "a.jsonl", '{"head": "\ufeffOslo", "relation": "in", "tail": "Europe\ufeff"}\n'),
        ("generation", "a.tsv", "Good day.\tGuten Tag.\n\ufeffNo.\t\ufeffNein.\nYes.\tJa.\n"),
        ("generation", "a.csv", "source,target\nGood day.,\ufeffGuten Tag.\n"),
    ],
)
def test_byte_order_marks_are_no_part_of_values(
    tmp_path: Path, family: str, name: str, content: str
) -> None:
    for sample in read(put(tmp_path, name, content), family=family):
        assert "\ufeff" not in repr((sample.words, sample.labels, sample.gold, sample.extra))
        assert "ufeff" not in ascii((sample.words, sample.labels, sample.gold, sample.extra))
