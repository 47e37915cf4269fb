"""``nlp-gym explain``: where its input comes from, where its drawings go, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import tiny_run
from typer.testing import CliRunner

from nlp_gym_agents.cli.main import app

TEXT = "Maria Lopez flew to Geneva."
HOSTILE = "<script>alert(1)</script> \x1b[31m \u202e {{ 7*7 }} Geneva"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A barely trained tagger: what it decides does not matter here."""
    return tiny_run(tmp_path_factory.mktemp("explain") / "run", window=0)


def explained(run: Path, *arguments: object) -> str:
    """Stdout of a command that must succeed."""
    result = CliRunner().invoke(app, ["explain", str(run), *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(run: Path, *arguments: object) -> str:
    """Stderr of a command that must fail without a traceback."""
    result = CliRunner().invoke(app, ["explain", str(run), *map(str, arguments)])
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    return " ".join(result.stderr.split())


def test_explain_prints_every_decision(run: Path) -> None:
    out = explained(run, TEXT)
    assert "NER-CoNLL-v0" in out
    assert "6 decisions" in out
    assert "\x1b" not in out
    for word in ("Maria", "Lopez", "flew", "to", "Geneva", "."):
        assert word in out


def test_explain_writes_what_the_ending_asks_for(run: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text(f"{TEXT}\nSecond text.\n")
    for ending, start in ((".html", b"<!DOCTYPE"), (".png", b"\x89PNG"), (".json", b"[")):
        out = tmp_path / f"trace{ending}"
        assert explained(run, "--input", texts, "--output", out) == f"{out}\n"
        assert out.read_bytes().startswith(start)
    found = json.loads((tmp_path / "trace.json").read_text())
    assert [trace["words"][0] for trace in found] == ["Maria", "Second"]
    assert "2 texts" in (tmp_path / "trace.html").read_text()


def test_explain_own_samples_with_their_gold(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "trace.json"
    explained(run, "--split", "dev", "--row", 3, "--row", 5, "--output", out)
    first, second = json.loads(out.read_text())
    assert first["words"] != second["words"]
    assert first["metric"] == "entity_f1"
    assert all(decision["reward"] is not None for decision in first["decisions"])
    assert "gold" in explained(run, "--split", "dev")


def test_explain_file_with_and_without_its_gold(run: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "in.conll", tmp_path / "trace.json"
    file.write_text("Maria\tB-PER\nflew\tO\n\nGeneva\tB-LOC\n")
    explained(run, "--input", file, "--gold", "--output", out)
    with_gold = json.loads(out.read_text())
    right = [
        option["name"] for option in with_gold[0]["decisions"][0]["options"] if option["right"]
    ]
    assert right == ["B-PER"]
    explained(run, "--input", file, "--output", out)
    assert [trace["score"] for trace in json.loads(out.read_text())] == [None, None]


def test_explain_keeps_hostile_text_inert(run: Path, tmp_path: Path) -> None:
    shown = explained(run, HOSTILE)
    out = tmp_path / "trace.html"
    explained(run, HOSTILE, "--output", out)
    for text in (shown, out.read_text()):
        assert not set("\x1b\u202e") & set(text)
    assert "<script" not in out.read_text()


def test_explain_refuses_with_one_sentence(run: Path, tmp_path: Path) -> None:
    assert ".html, .json, .png" in refused(run, TEXT, "--output", tmp_path / "trace.pdf")
    assert "leave out the text" in refused(run, TEXT, "--split", "dev")
    assert "--row needs --split" in refused(run, TEXT, "--row", 1)
    assert "--gold needs --input" in refused(run, TEXT, "--gold")
    assert "row=9999" in refused(run, "--split", "dev", "--row", 9999)
    assert "train, dev, test" in refused(run, "--split", "evening")
    assert "Give either a text" in refused(run)
    assert "relevance" in refused(run, TEXT, "--relevance", "magic")
    assert not [*tmp_path.iterdir()]
