"""`nlp-gym data`: output and exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nlp_gym.data import DATASETS, FAMILIES
from nlp_gym.errors import DownloadError
from nlp_gym.tasks.core.make import task_ids
from nlp_gym_agents.cli.data import app

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
