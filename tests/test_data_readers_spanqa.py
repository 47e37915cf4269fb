"""Readers of span question answering: where answers stand, and every bad row with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data import check, load_corpus, read
from nlp_gym.errors import DataFormatError

CONTEXT = "The mill (1850) made twine-free rope. Its owner, Ana Roe, left in May."


def squad(*rows: dict[str, Any], context: str = CONTEXT) -> str:
    """A SQuAD document with one question a line, the first on line 2."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    head = json.dumps({"context": context})[:-1]
    return f'{{"data": [{{"title": "t", "paragraphs": [{head}, "qas": [\n{lines}\n]}}]}}]}}'


def row(text: str, start: int | None = None, **more: Any) -> dict[str, Any]:
    at = CONTEXT.find(text) if start is None else start
    question = {"id": "q", "question": "What is it?"}
    return {**question, "answers": [{"text": text, "answer_start": at}], **more}


def put(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_readers_squad_gives_a_sample_a_question(tmp_path: Path) -> None:
    two = [{"text": "Ana Roe", "answer_start": 49}, {"text": "Its owner", "answer_start": 38}]
    path = put(tmp_path, "a.json", squad(row("1850"), row("x", answers=[*two, two[0]])))
    first, second = read(path, family="spanqa")
    assert first.words[:6] == ("The", "mill", "(", "1850", ")", "made")
    assert first.gold == (("1850", 3, 3),)
    assert second.gold == (("Ana Roe", 12, 13), ("Its owner", 9, 10))  # one of two equal ones
    assert (first.id, second.id) == ("a.json:2", "a.json:3")
    assert first.extra["question"] == ("What", "is", "it", "?")
    assert first.extra["qid"] == "q"
    assert first.extra["text"] == CONTEXT
    assert [CONTEXT[a:b] for a, b in first.extra["spans"]] == list(first.words)
    assert first.words is second.words  # a passage is cut into words once
    assert read(path, family="spanqa", gold=False)[1].gold is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("free rope", ("twine-free", "rope")),
        ("wine", ("twine-free",)),
        (" (1850) ", ("(", "1850", ")")),
    ],
)
def test_readers_an_answer_inside_words_is_covered_by_them(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    (sample,) = read(put(tmp_path, "a.json", squad(row(text))), family="spanqa")
    ((kept, first, last),) = sample.gold
    assert kept == text
    assert sample.words[first : last + 1] == words


def test_readers_unanswerable_questions_are_left_out_with_a_warning(tmp_path: Path) -> None:
    impossible = row("1850", answers=[], is_impossible=True)
    path = put(tmp_path, "a.json", squad(row("1850"), impossible, row("May")))
    with pytest.warns(UserWarning, match=r"a\.json:3: .*is_impossible"):
        assert [s.gold[0][0] for s in read(path, family="spanqa")] == ["1850", "May"]
    assert len(read(path, family="spanqa", gold=False)) == 3


BAD_ROWS = [
    ({"question": "Who?"}, "there is no 'answers'"),
    ({"question": " ", "answers": []}, "'question' is empty"),
    ({"question": "\u200b", "answers": []}, "'question' holds no word"),
    ({"answers": []}, "there is no 'question'"),
    ({"question": 3, "answers": []}, "'question' is a number"),
    (row("1850", 11), "answer_start 11 points at '850)', but the answer is '1850'"),
    (row("1850", 10**30), "points at ''"),
    (row("1850", -3), "'answer_start' is -3"),
    (row("1850", answers=[{"text": "May", "answer_start": "3"}]), "'answer_start' is a string"),
    (row("1850", answers=[{"text": "May", "answer_start": True}]), "'answer_start' is a boolean"),
    (row("1850", answers=[{"answer_start": 3}]), "there is no 'text'"),
    (row("1850", answers=[3]), "'answers' holds a number"),
    (row("1850", answers="May"), "'answers' is a string, not a list"),
    (row("1850", answers=["Zoe"]), "'Zoe' does not stand in the context"),
    (row("1850", answers=["i"]), "'i' stands in the context more than once"),
    (row("1850", answers={"text": ["May"], "answer_start": []}), "1 'text' but 0 'answer_start'"),
    (row("1850", answers={"text": ["May"]}), "there is no 'answer_start'"),
    (row("1850", id="\ud83d"), "half of a surrogate pair"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_ROWS, ids=range(len(BAD_ROWS)))
@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_readers_a_bad_question_is_named_with_its_line(
    tmp_path: Path, kind: str, bad: dict[str, Any], message: str
) -> None:
    rows = [row("1850"), bad, row("May")]
    content = squad(*rows)
    if kind == "jsonl":
        content = "\n" + "\n".join(json.dumps({"context": CONTEXT, **r}) for r in rows)
    path = put(tmp_path, f"a.{kind}", content)
    report = check(path, family="spanqa")
    assert [problem.line for problem in report.problems] == [3]
    assert message in report.problems[0].message
    assert report.n_samples == 2
    with pytest.raises(DataFormatError, match=r"a\.jsonl?:3: "):
        read(path, family="spanqa")


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("{", 1, "not JSON"),
        ('{"data": [\n{"paragraphs": [\n{"context": "a b",\n"qas": [}]}]}', 4, "not JSON"),
        ("[" * 100_000, 1, "not JSON"),
        ("[]", 1, "the file is a list, not a JSON object"),
        ("{}", 1, "there is no 'data'"),
        ('{"data": 3}', 1, "'data' is a number, not a list"),
        ('{"data": [\n\n3]}', 1, "an item of 'data' is a number"),
        ('{"data": [\n{"title": 1}]}', 2, "there is no 'paragraphs'"),
        ('{"data": [\n{"paragraphs": [\n{"qas": []}]}]}', 3, "there is no 'context'"),
        ('{"data": [\n{"paragraphs": [\n{"context": "a b"}]}]}', 3, "there is no 'qas'"),
        ('{"data": [{"paragraphs": [\n{"context": ["a"], "qas": []}]}]}', 2, "'context' is a list"),
        ("", None, "empty"),
        ('{"data": []}', None, "no text"),
    ],
)
def test_readers_a_bad_squad_document_is_named_with_its_line(
    tmp_path: Path, content: str, line: int | None, message: str
) -> None:
    report = check(put(tmp_path, "a.json", content), family="spanqa")
    assert [problem.line for problem in report.problems] == [line]
    assert message in report.problems[0].message


def test_readers_jsonl_takes_answers_in_four_forms(tmp_path: Path) -> None:
    forms = (
        [{"text": "Ana Roe", "answer_start": 49}],
        [{"text": "Ana Roe"}],
        ["Ana Roe"],
        {"text": ["Ana Roe"], "answer_start": [49]},
    )
    rows = [{"context": CONTEXT, "question": "Who left?", "answers": form} for form in forms]
    path = put(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    samples = read(path, family="spanqa")
    assert [sample.gold for sample in samples] == [(("Ana Roe", 12, 13),)] * 4
    assert samples[0].words is samples[3].words
    assert samples[2].extra["qid"] == ""


def test_readers_ids_of_questions_may_be_numbers(tmp_path: Path) -> None:
    rows = [{"context": CONTEXT, "question": "Who?", "id": i} for i in (0, "a", 2.5)]
    path = put(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    samples = read(path, family="spanqa", gold=False)
    assert [sample.extra["qid"] for sample in samples] == [0, "a", f"{path.name}:3"]


def test_readers_content_tells_squad_where_the_ending_does_not(tmp_path: Path) -> None:
    path = put(tmp_path, "questions", squad(row("1850")))
    assert check(path, family="spanqa").format == "squad"


@pytest.mark.corpus
def test_readers_squad_reads_the_real_files(real_data: Path) -> None:
    train, dev, test = (
        load_corpus("squad", split, family="spanqa", data_dir=real_data)
        for split in ("train", "dev", "test")
    )
    assert len(train) + len(dev) == 7228
    assert len(test) == 1190
    assert not {s.words for s in train.samples} & {s.words for s in dev.samples}
    for sample in (*dev.samples, *test.samples):
        spans, text = sample.extra["spans"], sample.extra["text"]
        for answer, first, last in sample.gold:
            covered = text[spans[first][0] : spans[last][1]]
            assert answer in covered
            assert answer not in text[spans[first][1] : spans[last][1]]
            assert answer not in text[spans[first][0] : spans[last][0]]


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["dev_orig", "dev_para", "adv_orig", "adv_para"])
def test_readers_squad_reads_the_paraphrased_questions(real_data: Path, name: str) -> None:
    samples = read(real_data / "paraphrased_squad" / f"{name}.json", family="spanqa")
    assert len(samples) == (1062 if "dev" in name else 56)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-8"])
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_offsets_of_answers_in_other_units_are_corrected(tmp_path, ending, encoding):
    rows = []
    for context, answer in (("😀 Oslo is é cold.", "cold"), ("Ana left Rome.", "Rome")):
        before = context[: context.index(answer)].encode(encoding)
        start = len(before) // len("a".encode(encoding))
        answers = [{"text": answer, "answer_start": start}]
        rows.append({"context": context, "question": "What?", "answers": answers})
    path = tmp_path / f"a.{ending}"
    paragraphs = [{"context": row["context"], "qas": [{**row, "id": str(i)}]}
                  for i, row in enumerate(rows)]  # fmt: skip
    squad = json.dumps({"data": [{"title": "", "paragraphs": paragraphs}]})
    path.write_text(squad if ending == "json" else "\n".join(map(json.dumps, rows)))
    with pytest.warns(UserWarning, match="answer_start counts"):
        samples = read(path, family="spanqa")
    assert [sample.gold[0][0] for sample in samples] == ["cold", "Rome"]
    rows[1]["answers"][0]["answer_start"] += 1
    path = tmp_path / "b.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataFormatError, match="but the answer is"):
        read(path, family="spanqa")
