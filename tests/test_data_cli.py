"""`nlp-gym data`: output and exit codes."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nlp_gym.data import DATASETS, FAMILIES
from nlp_gym.errors import DownloadError, NLPGymError
from nlp_gym.tasks.core.make import make_task, task_ids
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.cli.data.command import app

run = CliRunner().invoke


def test_data_cli_list_shows_licences_and_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLP_GYM_CACHE", str(tmp_path))
    result = run(app, ["list"])
    assert result.exit_code == 0
    for row in DATASETS.values():
        assert row.licence in result.output
        assert row.sample_only or f"nlp-gym data download {row.name}" in result.output


def test_data_cli_check_reports_every_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "x.conll"
    path.write_text("Ana B-PER\nLi\nleft O O\n\nRome I-LOC\nran O\n", encoding="utf-8")
    result = run(app, ["check", str(path)])
    assert result.exit_code == 1
    assert f"{path}:2: 1 column" in result.output
    assert f"{path}:3: 3 column" in result.output
    assert f"{path}:5: warning: I-LOC" in result.output
    assert "2 bad rows" in result.output


def test_data_cli_check_of_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "x.conll"
    path.write_text("Ana S-PER\n北京 S-LOC\n", encoding="utf-8")
    result = run(app, ["check", str(path)])
    assert result.exit_code == 0
    assert "tag scheme bioes, 1 texts, 2 words, 0 bad rows" in result.output
    assert "B-LOC" in result.output
    assert run(app, ["check", str(path), "--scheme", "iob2"]).exit_code == 1


def test_data_cli_list_groups_the_families() -> None:
    lines = run(app, ["list"]).output.splitlines()
    heads = [line[2:] for line in lines if line.startswith("# ")]
    assert heads == list(FAMILIES)
    assert lines.index("# tagging") < lines.index("# spanqa")
    squad = next(i for i, line in enumerate(lines) if line.startswith("squad:"))
    assert lines.index("# spanqa") < squad < lines.index("# choice")


def test_data_cli_check_of_every_family(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("question,choice1,choice2,answer\nWhat?,a,b,1\nWho?,a,b,3\n", encoding="utf-8")
    for arguments in ([], ["--family", "choice"], ["--env", "ChoiceQA-v0"], ["--format", "csv"]):
        if arguments[:1] == ["--env"] and "ChoiceQA-v0" not in task_ids():
            continue
        result = run(app, ["check", str(path), *arguments])
        assert result.exit_code == 1
        assert f"{path}:3: 'answer' is '3'" in result.output
        assert "csv, family choice, 1 texts, 2 words, 1 bad rows" in result.output
        assert re.search(r"choices +2\n", result.output)
        guessed = arguments[:1] in ([], ["--format"])
        assert ("'choice' is a guess: --env ID" in result.output) == guessed
    assert "tag scheme" in run(app, ["check", str(path), "--env", "NER-CoNLL-v0"]).output
    path.write_text("text,label\nGood,yes\nBad,no\nWorse,no\n", encoding="utf-8")
    result = run(app, ["check", str(path)])
    assert result.exit_code == 0
    assert "family classification, 3 texts" in result.output
    assert re.search(r"  no +2\n  yes +1\n", result.output)


def test_data_cli_check_shows_the_first_samples_and_why_it_guesses(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("Ana B-PER\nleft O\n\nOslo\x1b[31m B-LOC\n", encoding="utf-8")
    lines = run(app, ["check", str(path)]).output.splitlines()
    at = lines.index("  the first samples, as they will be seen:")
    assert lines[at + 1 : at + 3] == ["    Ana/B-PER left/O", "    Oslo\\x1b[31m/B-LOC"]
    assert lines[at + 3].startswith("  family 'tagging' is a guess: --env ID")
    assert lines[at + 4].startswith("    format 'conll', because: a word and a tag (B-LOC, B-PER")
    path = tmp_path / "x.jsonl"
    path.write_text('{"document": "A b. C d.", "summary": "E."}\n', encoding="utf-8")
    output = run(app, ["check", str(path)]).output
    assert "    'A b. C d.'\n      -> 'E.'\n" in output
    assert "it can be read in other ways too: --family generation --format jsonl" in output


def test_data_cli_check_asks_and_refuses_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text,label\nA warm day,joy#calm\nRain,sad\nSun,joy\n", encoding="utf-8")
    result = run(app, ["check", str(path)])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "--family multilabel --format csv --label-separator '#'" in result.stderr
    answered = ["--family", "multilabel", "--label-separator", "#"]
    output = run(app, ["check", str(path), *answered]).output
    assert "'A warm day' -> calm, joy" in output
    assert "is a guess" not in output
    path.write_text("<html>\n<p>Hi</p>\n</html>\n", encoding="utf-8")
    result = run(app, ["check", str(path)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "looks like a page of HTML" in result.stderr


@pytest.mark.parametrize(
    ("name", "content", "arguments", "shown"),
    [
        ("a.csv", "review;stars\nGood;5\nBad;1\nSo;1\n",
         ["--text-column", "review", "--label-column", "stars"], "'Good' -> 5"),
        ("a.csv", "review;stars\nGood;5\nBad;1\nSo;1\n",
         ["--text-column", "review", "--column", "stars"], "'Good' -> 5"),
        ("a.tsv", "x1\t1\t\tA good one\nx1\t0\t*\tA bad one\nx2\t1\t\tA last one\n",
         ["--text-column", "3", "--label-column", "1"], "'A good one' -> 1"),
        ("a.csv", "text,label\nGr\xfc\xdfe,a\nHi,b\n", ["--encoding", "cp1252"],
         "'Gr\xfc\xdfe' -> a"),
        ("a.txt", "% Ana wrote it\nAna B-PER\nleft O\n", ["--comments", "%"],
         "Ana/B-PER left/O"),
        ("a.conll", "x Ana B-PER\ny left O\n", ["--word-column", "1"], "Ana/B-PER left/O"),
        ("a.csv", "text,labels\nA day,a/b\nRain,b\n", ["--label-separator", "/"],
         "'A day' -> a, b"),
    ],
)  # fmt: skip
def test_data_cli_check_takes_what_says_how_a_file_is_written(
    tmp_path: Path, name: str, content: str, arguments: list[str], shown: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="cp1252" if "cp1252" in arguments else "utf-8")
    result = run(app, ["check", str(path), *arguments])
    assert result.exit_code == 0, result.output
    assert f"    {shown}\n" in result.output


def test_data_cli_check_skips_bad_rows_and_says_how_many(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text,label\nGood,a\nBad,\n,b\nSo,b\nNo,a\n", encoding="utf-8")
    assert run(app, ["check", str(path)]).exit_code == 1
    result = run(app, ["check", str(path), "--bad-rows", "skip"])
    assert result.exit_code == 0
    assert f"{path}:3: " in result.output
    assert "3 texts, 3 words, 2 bad rows" in result.output
    assert "2 samples with bad rows are left out" in result.output
    result = run(app, ["check", str(path), "--bad-rows", "drop"])
    assert result.exit_code == 1
    assert "bad_rows='drop' is not known" in result.stderr


TAGGED = "Ana S-PER\nleft O\n\nBo B-PER\nLi E-PER\nin O\nOslo S-LOC\n\nRain O\n"
PLAIN = "The DT\ndog NN\n\nA DT\ncat NN\n\nRain NN\n"
SETS = "text,labels\nA day,joy;calm\nRain,sad\nSun,joy\n"


@pytest.mark.parametrize(
    ("env", "name", "content", "options"),
    [
        ("NER-v0", "a.conll", TAGGED, {}),
        ("NER-v0", "a.txt", TAGGED.replace("-", "_"), {}),
        ("NER-v0", "a.conll", TAGGED, {"data_scheme": "bioes"}),
        ("NER-v0", "a.conll", PLAIN, {}),
        ("POS-v0", "a.conll", PLAIN, {}),
        ("POS-v0", "a.conll", TAGGED, {}),
        ("Classification-v0", "a.csv", SETS.replace("joy;calm", "joy"), {}),
        ("Classification-v0", "a.csv", "review,stars\nA,5\nB,1\nC,1\n",
         {"text_column": "review", "label_column": "stars"}),
        ("MultiLabel-v0", "a.csv", SETS, {}),
        ("MultiLabel-v0", "a.csv", SETS.replace(";", "#"), {"label_separator": "#"}),
        ("Relation-v0", "a.jsonl", '{"words": ["Ana", "in", "Oslo"], "relations": '
         '[{"head": [0, 1], "tail": [2, 3], "label": "Live_In"}]}\n', {}),
        ("ChoiceQA-v0", "a.csv", "question,A,B,answer\nWhat?,x,y,A\n", {}),
        ("Classification-v0", "a.txt", "Once upon a time.\nIt rained.\nThe end came.\n", {}),
        ("NER-v0", "a.tsv", "Good day.\tGuten Tag.\nYes.\tJa.\n", {}),
    ],
)  # fmt: skip
def test_data_cli_check_of_an_environment_is_what_make_says(
    tmp_path: Path, env: str, name: str, content: str, options: dict[str, str]
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    flags = {"data_scheme": "--scheme"}
    arguments = [
        part
        for key, value in options.items()
        for part in (flags.get(key, f"--{key.replace('_', '-')}"), value)
    ]
    result = run(app, ["check", str(path), "--env", env, *arguments])
    made: Task | str
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = make_task(env, data={"train": path}, encoder="hashed", **options)
    except NLPGymError as error:
        made = str(error)
    refused = isinstance(made, str)
    assert result.exit_code == int(refused), result.output
    if isinstance(made, str):
        assert made in " ".join(result.stderr.split())
        return
    task = made
    assert f", {len(task.corpus)} texts, " in result.output
    if task.labels:
        listed = f"  {env} has {len(task.labels)} labels of it: {', '.join(task.labels)}\n"
        assert listed in result.output
    for sample in task.corpus.samples:
        if task.family == "tagging":
            pairs = zip(sample.words, sample.labels or (), strict=True)
            shown = " ".join(f"{word}/{label}" for word, label in pairs)
            assert f"    {shown}\n" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["check", "nothing.conll"], 1, "There is no file nothing.conll."),
        (["check", "nothing.conll", "--scheme", "x"], 1, "There is no file"),
        (["check", __file__, "--format", "conl"], 1, "Did you mean 'conll'"),
        (["check", __file__, "--format", "csv", "--family", "choise"], 1, "Did you mean 'choice'"),
        (["check", __file__, "--env", "NER-CoNL-v0"], 1, "Did you mean 'NER-CoNLL-v0'"),
        (["check", __file__, "--env", "NER-v0", "--family", "kg"], 1, "not both"),
        (["list", "--data-dir", "/nope"], 1, "data_dir='/nope'"),
        (["download", "wnut17", "conll2004"], 1, "Did you mean 'conll2003'"),
        (["download"], 2, "NAME"),
        (["list", "--data-dri", "x"], 2, "No such option"),
    ],
)
def test_data_cli_errors_are_one_line_without_traceback(
    arguments: list[str], code: int, message: str
) -> None:
    result = run(app, arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output
    if message[0] != "N":  # a usage text is several lines
        assert result.stderr.count("\n") == 1


def test_data_cli_download_prints_licence_and_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(name: str, *, data_dir: Path | None, force: bool) -> Path:
        asked.append((name, data_dir, force))
        if name == "ud_ewt":
            raise DownloadError("the network\nis away")
        return tmp_path / name

    monkeypatch.setattr("nlp_gym.data.corpora.download.download", fetch)
    result = run(app, ["download", "conll2003", "ud_ewt", "--data-dir", str(tmp_path), "--force"])
    assert asked == [("conll2003", tmp_path, True), ("ud_ewt", tmp_path, True)]
    assert DATASETS["conll2003"].licence in result.output
    assert str(tmp_path / "conll2003") in result.output
    assert result.exit_code == 1
    assert result.stderr == "error: the network is away\n"
