"""Family and format of a file by its content: ordinary files are told, all others asked about."""

from __future__ import annotations

import contextlib
import gzip
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data import DATASETS, FAMILIES, Guess, check, guess_file, load_corpus, read
from nlp_gym.data.readers import find_reader, read_text
from nlp_gym.data.readers.guess.family import guess_family
from nlp_gym.data.readers.report.sample_lines import sample_lines
from nlp_gym.errors import DataError, UnclearFormatError
from nlp_gym.types import Sample

CONLL = "Ana B-PER\nleft O\nOslo B-LOC\n\nBo B-PER\nran O\n"
TABBED = CONLL.replace(" ", "\t")
TEN = "".join(f"{i}\tw{i}\tw\tNOUN\tNN\t_\t0\troot\t_\t_\n" for i in (1, 2, 3))
ROWS = [{"text": "A warm day", "label": "good"}, {"text": "Too cold", "label": "bad"}] * 2
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
LIST, PRETTY = json.dumps(ROWS), json.dumps(ROWS, indent=2)
STREAM = "\n".join(json.dumps(row, indent=1) for row in ROWS)
TEXTS = ["A warm day", "Rain again", "A fine sun", "Fog and cold", "Nice spring"]
LABELS = ["good", "bad", "good", "bad", "good"]
FIRST = "".join(f"{label} {text}\n" for label, text in zip(LABELS, TEXTS, strict=True))
TABLE = "text,label\nA warm day,good\nToo cold,bad\n"
TRIPLES = (
    "Oslo\tcapital of\tNorway\nParis\tcapital of\tFrance\nOslo\tpart of\tEurope\n"
    "Paris\tpart of\tEurope\nNorway\tpart of\tEurope\n"
)
SQUAD = {
    "data": [
        {
            "paragraphs": [
                {
                    "context": "Built in 1850.",
                    "qas": [
                        {
                            "id": "q",
                            "question": "When?",
                            "answers": [{"text": "1850", "answer_start": 9}],
                        }
                    ],
                }
            ]
        }
    ]
}
COLA = "".join(
    f"gj04\t{i % 2}\t{'*' * (1 - i % 2)}\tThe sailors rode the breeze {i} times.\n"
    for i in range(9)
)
NUMBERED = "".join(
    f"1\tAnna{i}\tB-PER\tO\n2\tMeier\tI-PER\tO\n3\tlacht\tO\tO\n\n" for i in range(5)
)


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("names", "content", "expected"),
    [
        ("a.conll a.txt a.dat a a.json a.jsonl a.en a.md a.csv a.conll.gz", CONLL, "tagging conll"),
        ("a.tsv a.csv a.txt", TABBED, "tagging conll"),
        ("a.txt a.tsv", "the det\ndog noun\nran verb\n\na det\ncat noun\n", "tagging conll"),
        ("a.txt", "The DT\ndog NN\nran VBD\n. .\n\nA DT\ncat NN\nsat VBD\n. .\n", "tagging conll"),
        ("a.txt", "-DOCSTART- -X- O\n\nEU NNP I-ORG\nsays VBZ O\n", "tagging conll"),
        ("a.txt a.conll", "Ana B\nLee I\nsaw O\n\nBo B\nran O\n", "tagging conll"),
        ("a.txt a.conll", "Ana b_per\nLee i_per\nsaw o\n\nBo b_per\n", "tagging conll"),
        ("a.txt a.conll", "Ana PER-B\nLee PER-I\nsaw O\n\nBo PER-B\n", "tagging conll"),
        ("a.txt", "rained O\nagain O\n", "tagging conll"),
        ("a.conllu a.conll a.conllx a.txt a.tsv a.csv", TEN + "\n" + TEN, "tagging conllu"),
        ("a.txt a.conll", "# sent_id = 1\n# text = w1 w2 w3\n" + TEN, "tagging conllu"),
        ("a.conllu a.txt", TEN.replace("0\troot", "_\t_"), "tagging conllu"),
        ("a.conllu a.txt", TEN.replace("NOUN\tNN", "_\t_"), "parsing conllu"),
        ("a.jsonl a.json", '{"words": ["Rain"], "heads": [0], "relations": ["root"]}\n',
         "parsing jsonl"),
        ("a.jsonl a.json a.txt a.conll a.csv a.dat a.jsonl.gz", LINES, "classification jsonl"),
        ("a.json a.jsonl a.txt a.conll a", LIST, "classification jsonl"),
        ("a.json a.jsonl a.txt", PRETTY, "classification jsonl"),
        ("a.json a.jsonl", STREAM, "classification jsonl"),
        ("a.jsonl", "broken\n" + LINES, "classification jsonl"),
        ("a.txt a a.dat", FIRST, "classification label-first"),
        ("a.txt a.tsv", FIRST.replace("d ", "d\t", 1).replace("good ", "good\t")
         .replace("bad ", "bad\t"), "classification label-first"),
        ("a.txt", "POS I like it\nNEG I hate it\nPOS Nice one\n", "classification label-first"),
        ("a.txt", "lost_card I lost it.\nlost_card Where is it?\ncard_arrival Is it there?\n",
         "classification label-first"),
        ("a.txt", "体育 湖人队 赢了\n财经 股市下跌\n体育 比赛结束\n财经 油价 又 上涨\n",
         "classification label-first"),
        ("a.txt", "/m/01\t/people/person/nationality\t/m/02\n/m/03\t/film/film/genre\t/m/04\n",
         "kg triples"),
        ("a.txt", "1 a funny movie .\n0 the worst film\n1 a gorgeous one\n", "classification sst2"),
        ("a.txt", "1 a funny movie\n0 the worst film\n1 a gorgeous one\n",
         "classification label-first"),
        ("a.txt", "LOC:city Where is Oslo ?\nHUM:ind Who is Ana ?\n", "classification trec"),
        ("a.csv a.txt a.conll a.dat", TABLE, "classification csv"),
        ("a.csv a.txt", TABLE.replace(",", ";"), "classification csv"),
        ("a.csv a.tsv a.txt", TABLE.replace(",", "\t"), "classification csv"),
        ("a.csv", "sep=;\n" + TABLE.replace(",", ";"), "classification csv"),
        ("a.csv", "text,labels\nHi,a\nBye,b\nSee,a\n", "classification csv"),
        ("a.csv", "text,labels\nA day,joy;calm\nRain,sad\nStorm,fear;sad\n", "multilabel csv"),
        ("a.csv", 'text,labels\nA day,"joy,calm"\nRain,sad\nSun,joy\n', "multilabel csv"),
        ("a.csv", "text,labels\nA,\"['joy', 'calm']\"\nB,\"['sad']\"\nC,[]\n", "multilabel csv"),
        ("a.tsv", "I love it\t0\tid1\nSo sad\t25\tid2\nGreat one\t4,27\tid3\n",
         "multilabel goemotions"),
        ("a.csv", "sentence,word,label\n1,Hi,O\n1,you,O\n", "tagging csv"),
        ("a.csv", "question,A,B,C,answer\nWhat?,x,y,z,A\nWho?,x,y,z,B\n", "choice csv"),
        ("a.txt a.tsv a.dat a", TRIPLES, "kg triples"),
        ("a.txt", "ana\tknows\tbob\nbob\tknows\teva\ncat\tknows\nana\tlikes\teva\n", "kg triples"),
        ("a.txt a.tsv a", "Good day.\tGuten Tag.\nYes.\tJa.\nNo, no.\tNein.\n", "generation pairs"),
        ("a.txt", "Go.\tGeh.\tCC-BY 2.0 (a)\nNo.\tNein.\tCC-BY 2.0 (b)\n", "generation pairs"),
        ("a.txt a.json", json.dumps(SQUAD), "spanqa squad"),
        ("a.json a.txt", json.dumps(SQUAD, indent=1), "spanqa squad"),
        ("a.txt", '1\t"The <e1>dog</e1>\'s <e2>tail</e2>."\nComponent-Whole(e2,e1)\nComment:\n',
         "relation semeval"),
        ("a.txt", "#doc 1\n0\tAna\tB-Peop\t['N']\t[0]\n1\tleft\tO\t['N']\t[1]\n",
         "relation conll04"),
        ("a.jsonl a.json", '{"text": "Ana left.", "label": [[0, 3, "PER"]]}\n'
         '{"text": "Rain.", "label": []}', "tagging doccano"),
        ("a.txt", "".join(f"__label__{x} A day\n" for x in "aab"), "classification fasttext"),
        ("a.txt a.ft", "__label__a __label__b How do I?\n__label__c Which?\n",
         "multilabel fasttext"),
        ("a.tsv a.txt", NUMBERED, "tagging conll"),
        ("a.tsv", "TOKEN\tXPOS\nThe\tDT\ndog\tNN\n\nThe\tDT\ncat\tNN\n", "tagging conll"),
        ("a.tsv", "token\tpos\nThe\tDT\ndog\tNN\n\nThe\tDT\ncat\tNN\n", "tagging conll"),
        ("a.jsonl", '{"text": "a", "labels": ["x", "y"]}\n{"text": "b", "labels": []}',
         "multilabel jsonl"),
        ("a.jsonl", '{"text": "a", "labels": "x;y"}\n{"text": "b", "labels": "x"}',
         "multilabel jsonl"),
        ("a.jsonl", '{"tokens": ["Ana"], "ner_tags": ["B-PER"]}', "tagging jsonl"),
        ("a.json", '[{"tokens": ["Ana"], "entities": [], "relations": []}]', "relation jsonl"),
    ],
)  # fmt: skip
def test_guess_tells_ordinary_files(
    tmp_path: Path, names: str, content: str, expected: str
) -> None:
    for name in names.split():
        path = written(tmp_path, name, content)
        guess = guess_file(path)
        assert f"{guess.family} {guess.format}" == expected, name
        assert guess.reason
        # The same rules choose the reader where the family is known, as in `gym.make`.
        found = find_reader(path, read_text(path).lines, family=guess.family)
        assert found.name == guess.format


PAGE = "<!DOCTYPE html>\n<html>\n<body>\n<p>A warm day.</p>\n<p>So cold.</p>\n</body>\n</html>\n"
LOG = "".join(f"2024-01-02 10:00:0{i} INFO step {i} is done\n" for i in range(6))
CODE = "import os\nimport sys\n\n\ndef main() -> None:\n    print(os.name)\n    return sys.path\n"
PROSE = (
    "The river rose again. Nobody had seen it so high.\n\nIt was the third flood in a year.\n\n"
    "In the morning the water fell. The mud stayed.\n"
)
SUBTITLES = (
    "1\n00:00:01,000 --> 00:00:02,000\nHello there.\n\n2\n00:00:03,000 --> 00:00:04,000\nBye.\n"
)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.html", PAGE, "looks like a page of HTML or XML"),
        ("a.txt", PAGE, "looks like a page of HTML or XML"),
        ("a.conll", PAGE, "looks like a page of HTML or XML"),
        ("a.log", LOG, "looks like a log"),
        ("a.txt", "INFO started it\nWARN slow one\nINFO done now\nERROR bad one\n", "like a log"),
        ("a.py", CODE, "looks like Python code"),
        ("a.py", "import os\nimport sys\nfrom x import y\nimport re\n", "looks like Python code"),
        ("a.js", "function f(a) {\n  return a;\n}\nconst b = f(1);\n", "looks like source code"),
        ("a.md", "# Title\n\nSome words here.\n\n- one thing\n- another\n", "looks like Markdown"),
        ("a.srt", SUBTITLES, "looks like subtitles"),
        ("a.yaml", "name: x\nitems:\n  - a\n  - b\nkey: value\n", "names and values"),
        ("a.csv", "1,2,3\n4,5,6\n7,8,9\n", "looks like numbers only"),
        ("a.tsv", "1\t2\t3\n4\t5\t6\n1\t5\t7\n", "looks like numbers only"),
        ("a.txt", PROSE, "text without labels"),
        ("a.txt", "It rained.\nThe river rose.\nThe people left.\n", "text without labels"),
        ("a.txt", "hello how are you\nbook a table\nplay some music\n", "text without labels"),
        ("a.txt", "Hello there.\n", "one line of text"),
        ("a.txt", "A word with a tag , or a label\n", "one line of text"),
        ("a.txt", "A pos tag , a word\nOne , two , three and four\nIt rained .\nIt did .\n"
         "So , it rained , and rained\n", "text without labels"),
        ("a.conll", "This is a test.\n", "its last column is no tag"),
        ("a.txt", "Ana\nleft\nOslo\n\nBo\nran\n", "without a second column"),
        ("a.tsv", "Ana\nleft\nOslo\n", "without a second column"),
        ("a.txt", "我们在北京。\n他去上海。\n今天下雨。\n", "without a second column"),
        ("a.txt", "What is it ?\nHow is it ?\nWhat was it ?\nHow was it ?\n", "without labels"),
        ("a.txt", "what is it ?\nhow is it ?\nwhat was it ?\nhow was it ?\n", "without labels"),
        ("a.txt", "utt01 What is it ?\nutt02 How is it ?\n", "text without labels"),
        ("a.txt", "a dog runs\na man sits\ntwo men run\na cat sleeps\n", "text without labels"),
        ("a.tsv", "Where is my card?\tcard_arrival\nI lost my card.\tlost_card\n", "--text-column"),
        ("a.txt", "New York\nLos Angeles\nSan Jose\nSan Diego\n", "text without labels"),
        ("a.txt", "user: hi there\nbot: hello you\nuser: bye now\nbot: bye\n", "names and values"),
        ("a.json", '[{"a": "b"}]', "keys of no family: 'a'"),
        ("a.json", '{"name": "x", "version": 1}', "keys of no family: 'name', 'version'"),
        ("a.json", '["a", "b"]', "without objects"),
        ("a.json", '{"text": ["A day", "Rain"], "label": ["good", "bad"]}', "all texts in one"),
        ("a.json", '{"text": {"0": "A", "1": "B"}, "label": {"0": 1, "1": 0}}', "in one list"),
        ("a.jsonl", '{"text": "a", "document": "b"}', "keys of no family"),
        ("a.jsonl", "hello world\nfoo bar\n", "no format fits"),
        ("a.csv", "name,age,city\nAna,3,Oslo\nBo,4,Rome\n", "first row, 'name', 'age', 'city'"),
        ("a.csv", "A warm day,good\nToo cold,bad\nNice,good\n", "--text-column"),
        ("a.tsv", "A warm day\tgood\nToo cold now\tbad\nNice one\tgood\n", "--text-column"),
        ("a.tsv", "A warm day\t1\nToo cold now\t0\nNice one\t1\n", "--text-column"),
        ("cola.tsv", COLA, "a table of 4 columns whose first row, 'gj04'"),
        ("cola.txt", COLA, "--text-column"),
        ("a.tsv", "sentence1\tsentence2\tgold_label\nA man sat.\tA man.\tyes\n", "--text-column"),
        ("a.txt", "", "the file is empty"),
        ("a.csv", "\n \n", "the file is empty"),
    ],
)  # fmt: skip
def test_guess_refuses_what_is_no_data(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(UnclearFormatError) as caught:
        guess_file(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert message in text
    if content.strip():
        assert "--format" in text
        for family in ("tagging", "classification", "multilabel", "kg", "generation"):
            with pytest.raises(DataError, match=r"a\.|cola\."):
                read(path, family=family)


@pytest.mark.parametrize(
    ("name", "content", "readings"),
    [
        ("a.csv", "text,label\nA warm day,joy#calm\nRain,sad\nSun,joy\n",
         ["--family classification --format csv", "'A warm day' -> joy#calm", "--family multilabel",
          "--label-separator '#'", "'A warm day' -> calm, joy"]),
        ("a.csv", "text,label\nA warm day,joy;calm\nRain,sad\nSun,joy\n",
         ["--family classification", "--family multilabel", "--label-separator ';'"]),
        ("a.tsv", "dog\tHund\ncat\tKatze\nhouse\tHaus\n",
         ["--family generation --format pairs", "'dog' -> 'Hund'",
          "--family tagging --format conll", "dog/Hund cat/Katze"]),
        ("a.tsv", "index\tquestion\tsentence\tlabel\n0\tWhat?\tIt is.\tyes\n",
         ["'question' and 'sentence' may both be the text", "--text-column"]),
    ],
)  # fmt: skip
def test_guess_asks_where_two_readings_are_possible(
    tmp_path: Path, name: str, content: str, readings: list[str]
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(UnclearFormatError) as caught:
        guess_file(path)
    for reading in readings:
        assert reading in str(caught.value)


def test_guess_says_why_and_what_else_it_may_be(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"document": "It rained. We left.", "summary": "Rain."}')
    assert guess_file(path) == Guess(
        "summary",
        "jsonl",
        "the objects have the keys 'document' and 'summary'",
        ("'It rained. We left.' -> 'Rain.'",),
        (("generation", "jsonl"),),
    )
    guess = guess_file(written(tmp_path, "a.txt", CONLL))
    assert guess.rows == ("Ana/B-PER left/O Oslo/B-LOC", "Bo/B-PER ran/O")
    assert "B-LOC, B-PER, O" in guess.reason
    assert guess.alternatives == ()


@pytest.mark.parametrize(
    ("content", "others"),
    [(TEN, (("parsing", "conllu"),)), (TEN.replace("0\troot", "_\t_"), ())],
)
def test_guess_tells_of_the_trees_of_a_treebank(
    tmp_path: Path, content: str, others: tuple[tuple[str, str], ...]
) -> None:
    guess = guess_file(written(tmp_path, "a.conllu", content))
    assert (guess.family, guess.alternatives) == ("tagging", others)


def test_guess_asks_for_the_text_column_where_the_family_is_known_too(tmp_path: Path) -> None:
    content = "index\tquestion\tsentence\tlabel\n0\tWhat?\tIt is.\tyes\n"
    path = written(tmp_path, "a.tsv", content)
    with pytest.raises(UnclearFormatError, match=r"'question' and 'sentence' may both be the text"):
        read(path, family="classification")
    (sample,) = read(path, family="classification", text_column="question")
    assert sample.words == ("What", "?")


def test_guess_says_where_the_words_are(tmp_path: Path) -> None:
    guess = guess_file(written(tmp_path, "a.tsv", NUMBERED))
    assert guess.reason.endswith("the word in column 1 (from 0)")
    assert guess.rows[0] == "Anna0/B-PER Meier/I-PER lacht/O"


@pytest.mark.parametrize("n", [4, 300, 600, 601, 2000])
def test_guess_looks_at_rows_that_are_sorted_or_take_turns(tmp_path: Path, n: int) -> None:
    turns = [f"{'good' if i % 2 else 'bad'} Text number {i}" for i in range(n)]
    for lines in (turns, sorted(turns), [line for text in turns for line in (text, "")]):
        path = written(tmp_path, "a.txt", "\n".join(lines) + "\n")
        assert guess_family(path) == "classification"


def test_guess_of_a_named_format_finds_the_family(tmp_path: Path) -> None:
    assert guess_family(written(tmp_path, "a.dat", "one line"), "squad") == "spanqa"
    assert guess_family(written(tmp_path, "a.csv", TABLE), "csv") == "classification"
    with pytest.raises(UnclearFormatError, match=r"give --family \(.*classification or"):
        guess_family(written(tmp_path, "b.csv", "name,age\nAna,3\n"), "csv")


def test_guess_reports_what_cannot_be_decoded(tmp_path: Path) -> None:
    for content, message in (("Ana O\n".encode("utf-16"), "UTF-16"), (b"PK\x03\x04zip", "ZIP")):
        (tmp_path / "a.conll").write_bytes(content)
        with pytest.raises(DataError, match=message):
            guess_file(tmp_path / "a.conll")


def test_guess_knows_the_columns_that_options_name(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "review,stars\nGood one,5\nBad one,1\nSo so,1\n")
    with pytest.raises(UnclearFormatError, match="'review', 'stars'"):
        guess_file(path)
    guess = guess_file(path, text_column="review", label_column="stars")
    assert (guess.family, guess.format) == ("classification", "csv")
    path = written(tmp_path, "cola.tsv", COLA)
    numbers: tuple[dict[str, Any], ...] = (
        {"text_column": 3, "label_column": 1},
        {"text_column": "-1", "column": "1"},
    )
    for options in numbers:
        assert guess_family(path, **options) == "classification"
        found = read(path, family="classification", **options)
        assert {sample.labels for sample in found} == {("0",), ("1",)}
    path = written(tmp_path, "a.txt", "% note\nAna B-PER\nleft O\n% note two three\nBo B-PER\n")
    assert guess_family(path, comments="%") == "tagging"


@pytest.mark.parametrize(
    ("family", "name", "content", "message"),
    [
        ("classification", "a.txt", PROSE, "lines begin with different words"),
        ("classification", "a.txt", "Hello there.\n", "there is one line only"),
        ("tagging", "a.tsv", "Good day.\tGuten Tag.\nYes, it is.\tJa.\n", "holds texts, not words"),
        ("tagging", "a.tsv", "ran\trun\ndogs\tdog\nbest\tgood\nwas\tbe\n", "occur again"),
        ("multilabel", "a.tsv", COLA, "as goemotions: there are not three columns"),
        ("multilabel", "a.tsv", "A warm day\t1\nToo cold\t0\n", "as goemotions"),
        ("kg", "a.tsv", "x1\tEl Paso\tcity one\nx2\tWaco\tcity two\nx3\tTyler\ttown\n"
         "x4\tLaredo\tcity three\nx5\tOdessa\tcity four\nx6\tAustin\tcity five\n", "as triples"),
        ("classification", "a.csv", "1,2,3\n4,5,6\n7,8,9\n", "numbers only"),
        ("generation", "a.tsv", "A warm day\tgood\nToo cold\tbad\nSun\tgood\nFog\tbad\n"
         "Rain\tbad\n", "few different texts"),
    ],
)  # fmt: skip
def test_guess_rules_hold_where_the_family_is_known(
    tmp_path: Path, family: str, name: str, content: str, message: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(UnclearFormatError, match=f"family '{family}' fits") as caught:
        load_corpus(None, family=family, data=path)
    assert message in str(caught.value)
    assert "data_format=" in str(caught.value)


def test_guess_without_gold_needs_no_labels(tmp_path: Path) -> None:
    for name, content, expected in (
        ("a.txt", PROSE, "tagging text"),
        ("a.md", PROSE, "tagging text"),
        ("a.txt", LINES, "tagging jsonl"),
        ("a.conll", "Ana\nleft\n\nBo\n", "tagging conll"),
        ("a.jsonl", '{"question": "What?", "choices": ["a", "b"]}', "choice jsonl"),
        ("a.tsv", "Oslo\tcapital of\nParis\tcapital of\nRome\tcapital of\n", "kg triples"),
    ):
        guess = guess_file(written(tmp_path, name, content), gold=False)
        assert f"{guess.family} {guess.format}" == expected
        assert read(tmp_path / name, guess.format, family=guess.family, gold=False)


@pytest.mark.parametrize(
    "piece",
    [
        "[x](",
        "; ",
        "a_ ",
        "<a ",
        "{",
        '["',
        '{"a": ',
        "a\t",
        "B-",
        "a_b\t",
        "1, ",
        "# ",
        "= ",
        "\u3002",
    ],
)
def test_guess_takes_time_linear_in_the_length_of_lines(tmp_path: Path, piece: str) -> None:
    path = written(tmp_path, "a.txt", "\n".join([piece * (100_000 // len(piece))] * 4))
    start = time.process_time()
    for family in (None, "tagging", "classification", "kg"):
        with contextlib.suppress(DataError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if family is None:
                guess_file(path)
            else:
                find_reader(path, read_text(path).lines, family=family)
    assert time.process_time() - start < 3


def test_guess_of_a_short_split_is_that_of_training(tmp_path: Path) -> None:
    files = {
        "train": written(tmp_path, "train.txt", FIRST),
        "test": written(tmp_path, "test.txt", "Odd one out\nSo it is\nNo way\n"),
    }
    with pytest.raises(UnclearFormatError):
        read(files["test"], family="classification")
    found = load_corpus(None, "test", family="classification", data=files)
    assert [sample.labels for sample in found.samples] == [("Odd",), ("So",), ("No",)]


WORDS = ("music", "warm", "river", "good", "some", "night", "went", "house", "small", "story")


def _text(i: int) -> str:
    """A text of 4 to 9 words that differs from row to row, but begins with one of few words."""
    return " ".join(WORDS[(i * k + i // 7) % 10] for k in range(1, 5 + i % 6))


def _rows(row: Callable[[int], str], *, gap: int = 0) -> str:
    """60 lines, with a blank one after every `gap`."""
    return "".join(row(i) + ("\n\n" if gap and i % gap == 0 else "\n") for i in range(60))


MOODS = ("pos", "neg")
RATED = "--text-column 1 --label-column 0"
NUMBERED_TEXTS = "--text-column 2 --label-column 1"
ORDER = "the order that is needed is head, relation, tail"
TAGS_FIRST = "--word-column 1 --label-column 0"


@pytest.mark.parametrize(
    ("names", "content", "message", "families"),
    [
        ("a.txt a", _rows(lambda i: f"{MOODS[i % 2]},{_text(i)}"), RATED, "classification"),
        ("a.txt a", _rows(lambda i: f"{MOODS[i % 2]}|{_text(i)}"), RATED, "classification"),
        ("a.txt a", _rows(lambda i: f"{MOODS[i % 2]};{_text(i)}"), RATED, "classification"),
        ("a.txt a", _rows(lambda i: f'{i % 5},"{_text(i)}"'), RATED, "classification"),
        ("a.txt a", _rows(lambda i: f"{('very good', 'bad')[i % 2]},{_text(i)}"), RATED,
         "classification"),
        ("a.txt a", _rows(lambda i: f"{_text(i)};{MOODS[i % 2]}"),
         "--text-column 0 --label-column 1", "classification"),
        ("a.txt a", _rows(lambda i: f"{MOODS[i % 2]}:{_text(i)}"), "a colon stands",
         "classification"),
        ("a.tsv a.txt", _rows(lambda i: f"{_text(i)}\t{MOODS[i % 2]}\tx{i * 7919 % 61}"),
         "--text-column 0 --label-column 1", "kg"),
        ("a.csv a.txt", _rows(lambda i: f'"{i % 4 + 1}","Unfortunately, {_text(i)}"'),
         "--format ag-csv", "classification"),
        ("a.csv a.txt", _rows(lambda i: f'"{i % 2 + 1}","{_text(i)}","{_text(i + 1)}"'),
         "--format ag-csv", "classification"),
        ("a.tsv a.txt", _rows(lambda i: f"{_text(i)}\t{i % 6}\t{i + 17}"),
         "--format goemotions", "multilabel"),
        ("a.tsv a.txt", _rows(lambda i: f"{_text(i)}\t{i % 6}\tuser{i}"),
         "--format goemotions", "multilabel"),
        ("a.tsv a.txt", _rows(lambda i: f"{i}\t{MOODS[i % 2]}\t{_text(i)}"), NUMBERED_TEXTS, "kg"),
        ("a.tsv a.txt", _rows(lambda i: f"x{i * 7919 % 61}\t{MOODS[i % 2]}\t{_text(i)}"),
         NUMBERED_TEXTS, "kg"),
        ("a.tsv a.txt", _rows(lambda i: f"e{i * 7 % 23}\te{i * 5 % 19}\tr{i % 3}"), ORDER, "kg"),
        ("a.tsv a.txt", _rows(lambda i: f"e{i * 7 % 61}\tf{i * 5 % 53}\tr{i % 3}"), ORDER, "kg"),
        ("a.tsv a.txt", _rows(lambda i: f"r{i % 3}\te{i * 5 % 19}\te{i * 7 % 23}"), ORDER, "kg"),
        ("a.txt a.conll", _rows(lambda i: f"{('B-PER', 'O', 'O')[i % 3]} {WORDS[i % 7]}{i}", gap=5),
         TAGS_FIRST, "tagging"),
        ("a.txt a.conll", "B-PER Ana\nO left\nB-LOC Oslo\n\nB-PER Bo\nO ran\n",
         TAGS_FIRST, "tagging"),
        ("a.tsv a.conll", _rows(lambda i: f"{'NVAD'[i % 4]}\t{WORDS[i % 10]}{i}", gap=5),
         TAGS_FIRST, "tagging"),
        ("a.conll", _rows(lambda i: f"{WORDS[i % 10]}{i} {'NVAD'[i % 4]} 0.{i}", gap=5),
         "--label-column", "tagging"),
        ("a.txt", _rows(lambda i: " ".join(f"{w}/{'NVAD'[len(w) % 4]}" for w in _text(i).split())),
         "word/TAG", "classification tagging"),
        ("a.txt", _rows(lambda i: " ".join(f"{w}_{'NVAD'[len(w) % 4]}" for w in _text(i).split())),
         "word/TAG", "classification tagging"),
    ],
)  # fmt: skip
def test_guess_refuses_what_only_looks_like_a_format(
    tmp_path: Path, names: str, content: str, message: str, families: str
) -> None:
    for name in names.split():
        path = written(tmp_path, name, content)
        with pytest.raises(UnclearFormatError) as caught:
            guess_file(path)
        assert message in str(caught.value), name
        for family in families.split():  # as in `gym.make`
            with pytest.raises(DataError) as caught_too:
                read(path, family=family)
            assert path.name in str(caught_too.value)
            assert message in str(caught_too.value) or name.endswith(".csv")


def test_guess_gives_names_to_labels_of_their_own_corpus_only(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", _rows(lambda i: f"{i % 2} {_text(i)}"))
    assert guess_file(path).format == "label-first"
    assert {sample.labels for sample in read(path, family="classification")} == {("0",), ("1",)}
    assert read(path, "sst2", family="classification")[0].labels == ("negative",)
    for name, format in (("sst2", "sst2"), ("ag_news", "ag-csv"), ("goemotions", "goemotions")):
        source = DATASETS[name].sample_file("train")
        copy = written(tmp_path, f"copy{source.suffix}", source.read_text(encoding="utf-8"))
        assert guess_file(copy).format == format


@pytest.mark.parametrize("mark", ["\t", " "])
def test_guess_takes_tags_for_the_labels_where_scores_are_last(tmp_path: Path, mark: str) -> None:
    content = _rows(lambda i: mark.join((f"Oslo{i}", ("B-LOC", "O")[i % 2], f"0.{i}")), gap=5)
    for name in ("a.txt", "a.tsv", "a.conll"):
        path = written(tmp_path, name, content)
        guess = guess_file(path)
        assert (guess.family, guess.format) == ("tagging", "conll")
        assert read(path)[1].labels[:2] == ("O", "B-LOC")
        assert "column 1 tags" in str(check(path))
    assert read(path, column=2)[0].labels == ("0.0",)


def _objects(row: Callable[[int], dict[str, Any]]) -> str:
    return _rows(lambda i: json.dumps(row(i)))


def test_guess_leaves_out_readings_that_find_nothing(tmp_path: Path) -> None:
    entity = {"id": 1, "label": "PER", "start_offset": 0, "end_offset": 3}
    doccano = {"text": "Ana left.", "entities": [entity], "relations": []}
    spert = {"tokens": ["Ana", "left"], "entities": [{"type": "PER", "start": 0, "end": 1}]}
    for name, content in (
        ("a.jsonl", _objects(lambda i: {"id": i, **doccano})),
        ("a.json", json.dumps([{**spert, "relations": [], "orig_id": i} for i in range(5)])),
    ):
        guess = guess_file(written(tmp_path, name, content))
        assert guess.family == "tagging"
        assert guess.rows[0].startswith("Ana/B-PER left/O")


@pytest.mark.parametrize("other", ["sentence", "review", "data"])
def test_guess_asks_which_of_two_texts_is_the_one(tmp_path: Path, other: str) -> None:
    table = _rows(lambda i: f"{_text(i)},{_text(i + 1)},{MOODS[i % 2]}")
    for name, content in (
        ("a.csv", f"{other},text,label\n{table}"),
        ("a.jsonl", _objects(lambda i: {other: _text(i), "text": _text(i + 1), "label": "a"})),
    ):
        path = written(tmp_path, name, content)
        with pytest.raises(
            UnclearFormatError, match=rf"'{other}' and 'text' may both .*--text-col"
        ):
            guess_file(path)
        for family in ("classification", "multilabel"):
            with pytest.raises(UnclearFormatError, match="may both be the text"):
                read(path, family=family)
        assert guess_family(path, text_column=other) == "classification"
        assert read(path, family="classification", text_column="text")[0].extra["text"] == _text(1)


@pytest.mark.parametrize("key", ["label", "labels"])
def test_guess_asks_about_labels_that_blanks_join(tmp_path: Path, key: str) -> None:
    moods = ("joy calm", "joy", "calm joy", "calm")
    for name, content in (
        ("a.csv", f"text,{key}\n" + _rows(lambda i: f"{_text(i)},{moods[i % 4]}")),
        ("a.jsonl", _objects(lambda i: {"text": _text(i), key: moods[i % 4]})),
    ):
        path = written(tmp_path, name, content)
        with pytest.raises(UnclearFormatError, match="--label-separator ' '"):
            guess_file(path)
        found = read(path, family="multilabel", label_separator=" ", label_column=key)
        assert [sample.labels for sample in found[:2]] == [("calm", "joy"), ("joy",)]


def test_guess_takes_no_mark_at_the_end_of_a_label_for_a_separator(tmp_path: Path) -> None:
    languages = ("C#", "F#", "java")
    content = "text,labels\n" + _rows(lambda i: f"{_text(i)},{languages[i % 3]}")
    path = written(tmp_path, "a.csv", content)
    assert guess_family(path) == "classification"
    found = {sample.labels for sample in read(path, family="classification")}
    assert found == {("C#",), ("F#",), ("java",)}


@pytest.mark.parametrize(
    ("text", "label"),
    [("review", "sentiment"), ("comment_text", "label"), ("comment", "label"),
     ("tweet", "sentiment"), ("content", "category"), ("data", "label")],
)  # fmt: skip
def test_guess_knows_usual_names_of_texts(tmp_path: Path, text: str, label: str) -> None:
    rows = [{"id": i, text: _text(i), label: MOODS[i % 2]} for i in range(9)]
    lines = [f"id,{text},{label}", *(",".join(map(str, row.values())) for row in rows)]
    for name, content in (
        ("a.csv", "\n".join(lines)),
        ("a.jsonl", "\n".join(map(json.dumps, rows))),
        ("a.json", json.dumps([{text: row[text], label: row[label]} for row in rows])),
    ):
        path = written(tmp_path, name, content)
        assert guess_family(path) == "classification"
        found = read(path, family="classification")
        assert (found[1].extra["text"], found[1].labels) == (_text(1), ("neg",))


@pytest.mark.parametrize("row", DATASETS.values(), ids=DATASETS)
def test_guess_tells_family_and_format_of_bundled_samples(row: Any) -> None:
    for split in ("train", "dev", "test"):
        path = row.sample_file(split)
        if not path.is_file():
            continue
        guess = guess_file(path)
        # Samples of one folder may be of two families, and trees are read as parts of speech too.
        likely = DATASETS[row.sample.name.removesuffix("_trees")]
        assert guess.family == likely.family
        assert guess.format in (row.format, likely.format, "pairs")
        assert guess.rows
        found = find_reader(path, read_text(path).lines, family=row.family)
        assert found.name in (row.format, "pairs")  # Tatoeba's file is one of pairs


@pytest.mark.corpus
def test_guess_tells_every_official_file(real_data: Path) -> None:
    seen = 0
    for row in DATASETS.values():
        for split in ("train", "dev", "test"):
            for file in row.split_files(split):
                path = real_data / row.folder_name / file.filename
                # The two largest files are left out: their other splits are of the same form.
                if not path.is_file() or path.stat().st_size > 10_000_000:
                    continue
                guess = guess_file(path)
                assert guess.family == DATASETS[row.folder_name].family, path
                assert guess.format in (row.format, DATASETS[row.folder_name].format, "pairs")
                lines = read_text(path).lines
                assert find_reader(path, lines, family=row.family).name in (row.format, "pairs")
                seen += 1
    assert seen > 60


@pytest.mark.parametrize("family", FAMILIES)
def test_guess_shows_samples_of_every_family_in_two_lines(family: str) -> None:
    row = next(row for row in DATASETS.values() if row.family == family)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = check(row.sample_file("test"), row.format, family=family)
    for sample in (*report.samples, *(sample.unannotated() for sample in report.samples)):
        lines = sample_lines(sample, family)
        assert 1 <= len(lines) <= 2
        assert all(line and line.isprintable() and len(line) <= 110 for line in lines)


def test_guess_shows_samples_without_what_acts_on_a_terminal() -> None:
    sample = Sample(("\x1b[31mred", "b\u202e"), ("O", "B-\x07"))
    (line,) = sample_lines(sample, "tagging")
    assert line == "\\x1b[31mred/O b\\u202e/B-\\x07"


def test_guess_words_with_tags_are_no_texts_with_labels(tmp_path: Path) -> None:
    """By its lines alone, a tagged file might be short texts with their labels."""
    path = written(tmp_path, "mine.conll", "Ann B-PER\nsings O\n\nBob B-PER\nsings O\n")
    for family in ("classification", "multilabel"):
        with pytest.raises(UnclearFormatError, match=r"a tag for each word.*--format"):
            read(path, family=family)
    assert len(read(path, family="classification", format="label-first")) == 4
    assert len(read(path, family="tagging")) == 2
