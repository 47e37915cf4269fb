"""Texts of files and names where people see them: on a terminal, in messages, pages and tables."""

from __future__ import annotations

import io
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from fuzz.values import VALUES
from rich.console import Console
from typer.testing import CliRunner

import nlp_gym  # noqa: F401
from nlp_gym.checks import warn_unseen_labels
from nlp_gym.errors import DataFormatError, DataNotFoundError, UnknownNameError, nearest
from nlp_gym.inert import json_escaped, one_line, shown, visible
from nlp_gym.metrics.labels.tables import label_table, table_text
from nlp_gym.types import Sample
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.evaluation.benchmark.markdown import to_markdown
from nlp_gym_agents.evaluation.test_report import print_report
from nlp_gym_agents.prediction.records import write_records
from nlp_gym_agents.training.progress import TrainingProgress

HOSTILE = (
    "\x1b[31mred\x1b]0;title\x07\u202egpj\u2066\u200b\x9b2J\x7f\rx\nerror: y\x85z\u2028[red]<b>|"
)
"""Escape sequences, overrides of direction, line breaks of all kinds and markup."""
SEEN = re.compile(r"\x1b\[[0-9;]*m")
"""The colours that this project prints itself."""


def assert_inert(text: str, *, colours: bool = False) -> None:
    """No character but line feeds acts or is hidden."""
    plain = SEEN.sub("", text) if colours else text
    assert plain.replace("\n", "").isprintable(), ascii(plain)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, ü 北京 עברית 🙂", "plain, ü 北京 עברית 🙂"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x9b1m\x7f\x85", r"\x9b1m\x7f\x85"),
        ("evil\u202egpj.exe\u2066\u2069", r"evil\u202egpj.exe\u2066\u2069"),
        ("a\u200bb\u200ec\ufeff\xad", r"a\u200bb\u200ec\ufeff\xad"),
        ("pay\u200dpal \u200c", r"pay\u200dpal \u200c"),
        ("\ud800\U000e0041", r"\ud800\U000e0041"),
        # Joiners are letters' business where scripts and emoji use them.
        ("क्\u200dष می\u200cخواهم 👩\u200d🚒", "क्\u200dष می\u200cخواهم 👩\u200d🚒"),
    ],
)
def test_visible_spells_what_acts_or_is_hidden(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_visible_keeps_line_feeds_where_they_are_ours() -> None:
    assert visible("a\x1b\nb\r\n", lines=True) == "a\\x1b\nb\\r\n"


def test_one_line_joins_lines_and_cuts_what_has_no_blank() -> None:
    assert one_line("two\n  lines\r\n") == "two lines"
    assert len(one_line(f"There is no file {'x' * 5000}.")) < 150
    long = one_line(f"column={'a b ' * 9000} is wrong. Fix: leave it out.")
    assert len(long) < 3100
    assert long.startswith("column=a b")
    assert long.endswith("Fix: leave it out.")


@pytest.mark.parametrize("name", VALUES)
def test_shown_is_short_and_quick_for_anything(name: str) -> None:
    value = VALUES[name]()
    start = time.process_time()
    text = shown(value)
    assert time.process_time() - start < 0.2
    assert len(text) <= 110
    assert text.isprintable()


def test_shown_says_how_much_there_is() -> None:
    assert shown("x" * 5000).endswith("(5,000 characters)")
    assert shown(list(range(2000))).endswith("...] (list of 2,000)")
    assert shown(VALUES["array million"]()) == "<array of shape (1000000,), dtype float64>"
    assert shown(10**5000) == "<int of about 5,001 digits>"
    path = "/folder" * 20
    assert shown(Path(path)) == repr(path)


def test_nearest_takes_no_time_on_long_names() -> None:
    start = time.process_time()
    assert nearest("x" * 100_000, ["x" * 99_999 + "y", "z"]) is not None
    assert nearest("NER-CoNLL-v1" + "!" * 100_000, ["NER-CoNLL-v0"]) == "NER-CoNLL-v0"
    error = UnknownNameError("encoder", "ab" * 50_000, [f"{'ab' * 5000}{i}" for i in range(200)])
    assert time.process_time() - start < 1
    assert len(str(error)) < 3100


def test_errors_are_one_line_without_escapes() -> None:
    error = DataFormatError(f"a{HOSTILE}.conll", 3, f"label {HOSTILE}")
    for text in (
        str(error),
        str(DataNotFoundError(HOSTILE)),
        str(UnknownNameError("x", 1, [HOSTILE])),
    ):
        assert_inert(text)
        assert "\n" not in text


def test_warnings_spell_labels() -> None:
    with pytest.warns(UserWarning, match=r"x1b\[31m") as caught:
        warn_unseen_labels({HOSTILE: 2})
    assert_inert(str(caught[0].message))


@pytest.mark.parametrize("mode", ["ansi", "html", "human", "rgb_array"])
@pytest.mark.parametrize(
    ("env_id", "sample"),
    [
        ("POS-v0", Sample((HOSTILE, "b"), (HOSTILE, "b"), HOSTILE)),
        ("Classification-v0", Sample((HOSTILE, "b"), (HOSTILE,), HOSTILE)),
        ("Generation-v0", Sample((HOSTILE,), None, HOSTILE, {"text": HOSTILE}, (HOSTILE,))),
    ],
)
def test_render_spells_texts_labels_and_ids(
    env_id: str, sample: Sample, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = {"max_length": 128} if env_id == "Generation-v0" else {}
    env = gym.make(env_id, data=[sample], encoder="hashed", render_mode=mode, **longer)
    env.reset(seed=0)
    drawn = [env.render()]
    env.step(env.unwrapped.oracle_action())  # type: ignore[attr-defined]
    drawn.append(env.render())
    texts = [capsys.readouterr().out] if mode == "human" else drawn
    if mode == "rgb_array":
        assert drawn[0].shape == drawn[1].shape
        return
    for text in texts:
        assert r"\u202egpj" in text
        assert_inert(text, colours=True)
        assert mode != "html" or ("<b>|" not in text and "&lt;b&gt;|" in text)


def test_tables_of_labels_spell_them() -> None:
    text = table_text(label_table([[HOSTILE, "b" * 5000]], [[HOSTILE, "a"]]))
    assert_inert(text)
    assert len(text.splitlines()) == 6
    assert max(map(len, text.splitlines())) < 120


@pytest.mark.skipif(os.name == "nt", reason="no such file names there")
def test_data_check_spells_what_is_in_the_file(tmp_path: Path) -> None:
    label = HOSTILE.replace("\n", "")
    path = tmp_path / f"a{label[:12]}\nerror: b.jsonl"
    rows = [{"text": "a b", "label": label}, {"text": HOSTILE}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["data", "check", str(path), "--family", "classification"]
    result = CliRunner().invoke(app, command, color=True)
    assert result.exit_code == 1
    assert_inert(result.output)
    assert not any(line.startswith("error:") for line in result.output.splitlines())
    result = CliRunner().invoke(app, ["data", "check", f"nothing{HOSTILE}"], color=True)
    assert result.exit_code == 1
    assert_inert(result.output)
    assert len(result.output.splitlines()) == 1


RECORD: dict[str, Any] = {
    "text": f"Ana {HOSTILE}",
    "tokens": [{"text": HOSTILE, "start": 4, "end": 4 + len(HOSTILE), "label": HOSTILE}],
}


@pytest.mark.parametrize("form", ["json", "color"])
def test_predictions_are_inert_on_stdout(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_records([RECORD], form)
    out = capsys.readouterr().out
    assert_inert(out)
    if form == "json":
        assert len(out.splitlines()) == 1
        assert json.loads(out) == RECORD


def test_predictions_keep_the_text_in_a_file(tmp_path: Path) -> None:
    write_records([RECORD], "json", output=tmp_path / "out.jsonl")
    text = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert "\u202e" in text
    assert json.loads(text) == RECORD


def test_json_escaped_means_the_same() -> None:
    text = json.dumps({"a": HOSTILE + "\U000e0041\ud800"}, ensure_ascii=False)
    assert json.loads(json_escaped(text)) == json.loads(text)
    assert_inert(json_escaped(text))


def test_report_and_progress_print_no_markup() -> None:
    row = {"value": 0.5, "interval": None}
    report = {"id": "[red]x", "metric": "[b]m", "n": 3, "algo": HOSTILE, "baselines": {"[i]r": row}}
    report |= {**row, "text": f"{visible(HOSTILE)}\n:fire: [red]", "signature": HOSTILE}
    report["n_skipped"] = {"test": 0}
    console = Console(file=io.StringIO(), width=200)
    print_report(report, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert_inert(text)
    for kept in ("[red]x test", "[b]m", "[i]r", ":fire: [red]"):
        assert kept in text
    progress = TrainingProgress(3, "metric")
    progress.console = Console(file=io.StringIO(), width=200)
    progress.note(f"[red]{HOSTILE}")
    assert_inert(progress.console.file.getvalue())  # type: ignore[attr-defined]


def test_benchmark_tables_are_markdown_whatever_the_names() -> None:
    column = {"errors": [HOSTILE], "stopped": 0, "alarms": {0: [HOSTILE]}}
    row = {"id": "a|b\n| c", "metric": "<b>", "columns": {HOSTILE: column}, "share": None}
    table = {"algos": [HOSTILE], "rows": [{**row, "seconds": 1.0, "budgets": []}]}
    gain = {"value": 1.0, "other": 0.5, "difference": 0.5, "low": 0.1, "high": 0.9}
    gain |= {"metric": HOSTILE, "runs": [1, 1]}
    names = dict.fromkeys(("id", "agent", "information", "reference", "clock"), HOSTILE)
    control = {**names, "difference": gain, "constant": gain, "seconds": [1, None, 2], "alarms": 0}
    table |= {"information": {HOSTILE: HOSTILE}, "controls": [control]}
    text = to_markdown(table)
    assert_inert(text)
    assert "<b>" not in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 11
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4, 7, 14}
