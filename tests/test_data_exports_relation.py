"""Relations of annotation tools and of SpERT, offsets that count other units, bad rows left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data import check, read
from nlp_gym.errors import DataFormatError

FAMILY = "relation"
SPERT = {
    "tokens": ["Ana", "lives", "in", "Oslo", "."],
    "entities": [{"type": "Peop", "start": 0, "end": 1}, {"type": "Loc", "start": 3, "end": 4}],
    "relations": [{"type": "Live_In", "head": 0, "tail": 1}],
    "orig_id": 7,
}
DOCCANO = {
    "id": 1,
    "text": "Ana lives in Oslo.",
    "entities": [
        {"id": 7, "label": "Peop", "start_offset": 0, "end_offset": 3},
        {"id": 9, "label": "Loc", "start_offset": 13, "end_offset": 17},
    ],
    "relations": [{"id": 4, "from_id": 7, "to_id": 9, "type": "Live_In"}],
}
ANA = {"start": 0, "end": 3, "label": "Peop", "token_start": 0, "token_end": 0}
OSLO = {"start": 13, "end": 17, "label": "Loc", "token_start": 3, "token_end": 3}
PRODIGY = {
    "text": "Ana lives in Oslo.",
    "spans": [ANA],
    "relations": [
        {"head": 0, "child": 3, "head_span": ANA, "child_span": OSLO, "label": "Live_In"}
    ],
    "answer": "accept",
}


def put(folder: Path, name: str, *rows: Any, listed: bool = False) -> Path:
    path = folder / name
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text(f"[{','.join(lines)}]" if listed else "\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("format", "row", "identity"),
    [("spert", SPERT, 7), ("doccano", DOCCANO, 1), ("prodigy", PRODIGY, None)],
)
@pytest.mark.parametrize(
    ("name", "listed"), [("a.json", True), ("a.jsonl", False), ("a.json", False)]
)
def test_relations_of_tools_are_read(
    tmp_path: Path, format: str, row: dict[str, Any], identity: object, name: str, listed: bool
) -> None:
    path = put(tmp_path, name, row, row, listed=listed)
    assert check(path, family=FAMILY).format == format
    for sample in read(path, family=FAMILY):
        assert sample.words == ("Ana", "lives", "in", "Oslo", ".")
        assert sample.extra["pairs"] == ((0, 1, 3, 4), (3, 4, 0, 1))
        assert sample.extra["types"] == (("Peop", "Loc"), ("Loc", "Peop"))
        assert sample.labels == ("Live_In", "NONE")
        assert sample.extra.get("id") == identity
    (sample, _) = read(path, family=FAMILY, gold=False)
    assert sample.labels is None


def test_rows_that_an_annotator_refused_are_left_out(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jsonl", PRODIGY, {**PRODIGY, "answer": "reject"})
    assert len(read(path, family=FAMILY)) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {**SPERT, "relations": [{"type": "R", "head": 0, "tail": 2}]},
            "'tail' of a relation is 2",
        ),
        ({**SPERT, "relations": [{"type": "R", "head": 1, "tail": 1}]}, "head and tail of a rel"),
        ({**SPERT, "relations": SPERT["relations"] * 2}, "is there twice"),
        ({**SPERT, "entities": [{"start": 0, "end": 3, "type": "X"}] * 2}, "same words"),
        ({**DOCCANO, "relations": [{"from_id": 7, "to_id": 8, "type": "R"}]}, "'to_id' of a rel"),
        ({**DOCCANO, "relations": [{"from_id": 7, "to_id": [], "type": "R"}]}, "'to_id' of a rel"),
        ({**DOCCANO, "text": "Ana."}, "lies outside the text of 4 characters"),
        ({**PRODIGY, "relations": [{"head": 0, "child": 3, "label": "R"}]}, "no 'head_span'"),
    ],
)
def test_bad_relations_are_named_and_left_out(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    good = {"tokens": SPERT, "text": DOCCANO}["tokens" if "tokens" in row else "text"]
    good = PRODIGY if "answer" in row else good
    path = put(tmp_path, "a.jsonl", good, row, good)
    format = check(put(tmp_path, "b.jsonl", good), family=FAMILY).format
    with pytest.raises(DataFormatError, match=r"a\.jsonl:2: ") as error:
        read(path, format, family=FAMILY)
    assert message in str(error.value)
    with pytest.warns(UserWarning, match=r"1 sample\(s\) with bad rows are left out"):
        assert len(read(path, format, family=FAMILY, bad_rows="skip")) == 2


def test_offsets_in_utf16_are_corrected_where_the_texts_prove_it(tmp_path: Path) -> None:
    """JavaScript counts the emoji twice."""
    ana = {"start": 3, "end": 6, "label": "Peop", "text": "Ana"}
    oslo = {"start": 16, "end": 20, "label": "Loc", "text": "Oslo"}
    relation = {"head": [3, 6], "tail": [16, 20], "label": "Live_In"}
    row = {"text": "😀 Ana lives in Oslo.", "entities": [ana, oslo], "relations": [relation]}
    path = put(tmp_path, "a.jsonl", row)
    (sample,) = read(path, family=FAMILY)
    words = [sample.words[a:b] for a, b, *_ in sample.extra["pairs"]]
    assert words == [("Ana",), ("Oslo",)]
    assert sample.labels == ("Live_In", "NONE")
    assert any("UTF-16" in note.message for note in check(path, family=FAMILY).warnings)
    bad = {**row, "entities": [{**ana, "text": "Bo"}, oslo]}
    with pytest.raises(DataFormatError, match="its own text is 'Bo'"):
        read(put(tmp_path, "b.jsonl", bad), family=FAMILY)
    blank = {**row, "text": "So, Ana lives in Oslo.", "entities": [[3, 7, "Peop"], [16, 21, "Loc"]]}
    blank["relations"] = [{"head": [3, 7], "tail": [16, 21], "label": "Live_In"}]
    (sample,) = read(put(tmp_path, "c.jsonl", blank), family=FAMILY)
    assert sample.words[slice(*sample.extra["pairs"][0][:2])] == ("Ana",)


def test_comments_of_semeval_go_on_up_to_a_blank_line(tmp_path: Path) -> None:
    content = (
        '1\t"The <e1>dog</e1>\'s <e2>tail</e2> wagged."\nComponent-Whole(e2,e1)\nComment: none\n\n'
        '2\t"A <e1>"quoted"</e1> word in a <e2>list</e2>."\nOther\nComment: two lines\n'
        "of a comment\n\n"
        '3\t"The <e1>dog</e1> and <e2>cat</e2>."\nOther\nno comment\n\n'
    )
    path = tmp_path / "a.semeval"
    path.write_text(content)
    report = check(path, family=FAMILY)
    assert [problem.line for problem in report.problems] == [12]
    assert report.n_samples == 2
    with pytest.warns(UserWarning, match=r"1 sample\(s\) with bad rows are left out"):
        samples = read(path, family=FAMILY, bad_rows="skip")
    assert [sample.labels for sample in samples] == [("Component-Whole(e2,e1)",), ("Other",)]


def test_a_sentence_of_conll04_with_a_bad_row_is_left_out_whole(tmp_path: Path) -> None:
    good = "0\tAna\tB-Peop\t['Live_In']\t[1]\n1\tOslo\tB-Loc\t['N']\t[1]\n"
    bad = good.replace("[1]\n1", "[4]\n1"), good.replace("B-", "X-")
    path = tmp_path / "a.conll04"
    path.write_text("#doc\n" + "#doc\n".join((good, *bad, good)))
    with pytest.warns(UserWarning, match=r"2 sample\(s\) with bad rows .* 2 are read"):
        samples = read(path, family=FAMILY, bad_rows="skip")
    assert [sample.labels for sample in samples] == [("Live_In", "NONE")] * 2
