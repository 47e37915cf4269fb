"""The scoreboard: every entry says what made it, and holds when it is made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import scoreboard
from docs.generate import scores
from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError
from nlp_gym.registration import ENVS

ENTRIES = scoreboard.read_entries()
NAMES = [entry["name"] for entry in ENTRIES]


def written(path: Path, **changes: Any) -> Path:
    entry = {**ENTRIES[0], **changes}
    path.write_text(json.dumps({"format_version": 1, "entries": [entry]}))
    return path


def test_scoreboard_entries_are_of_registered_ids_and_own_rewards() -> None:
    assert len(ENTRIES) >= 2
    assert {entry["id"] for entry in ENTRIES} <= {row.id for row in ENVS}
    assert {entry["information"] for entry in ENTRIES} == {"bandit"}
    for entry in ENTRIES:
        assert "encoder:hashed" in entry["command"]
        assert entry["versions"]["torch"]
        assert entry["metric"] in entry["signature"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": 0.999}, "is not the mean of one value per seed"),
        ({"values": [0.5]}, "is not the mean of one value per seed"),
        ({"information": "oracle"}, "learns from: bandit"),
        ({"tolerance": 0.5}, "tolerance=0.5 must be at most half of its smallest value"),
        ({"metric": None}, "metric=None must be str"),
        ({"command": "nlp-gym evaluate x"}, "must be an `nlp-gym train`"),
        ({"command": f"{ENTRIES[0]['command']} --seed 3"}, "must be an `nlp-gym train` without"),
    ],
)
def test_scoreboard_entries_that_do_not_fit_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises((DataError, InvalidArgumentError), match=message):
        scoreboard.read_entries(written(tmp_path / "board.json", **changes))


def test_scoreboard_knows_what_a_command_learns_from() -> None:
    assert scoreboard.information("nlp-gym train --env POS-v0 --algo ppo") == "bandit"
    assert scoreboard.information("nlp-gym train --env POS-v0 --algo bc") == "oracle"
    warm = "nlp-gym train --env POS-v0 --algo maskable_ppo --warm-start bc"
    assert scoreboard.information(warm) == "bandit, start: oracle"
    shown = "nlp-gym train --env POS-v0 --algo masked_dqn"
    assert scoreboard.information(shown) == "bandit + oracle"
    alone = f"{shown} --hyperparams learning_rate:1e-3 demonstrations:0 --env-kwargs window:0"
    assert scoreboard.information(alone) == "bandit"


def test_scoreboard_table_is_a_part_of_the_site(capsys: pytest.CaptureFixture[str]) -> None:
    assert scoreboard.main([]) == 0
    printed = capsys.readouterr().out.strip()
    (made,) = scores.files(Path("docs")).values()
    assert printed in made
    for entry in ENTRIES:
        assert f"| {entry['name']} | `{entry['id']}` |" in printed
        assert f" {entry['value']:.3f} | bandit |" in printed


def test_scoreboard_replay_says_what_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = iter([ENTRIES[0]["values"][0], ENTRIES[1]["values"][0] - 0.5])
    monkeypatch.setattr(scoreboard, "measure", lambda *_: {"value": next(values)})
    flags = ["--replay", "--first-seed", "--only", *NAMES[:2]]
    assert scoreboard.main(flags) == 1
    first, second = capsys.readouterr().out.strip().splitlines()
    assert first.startswith(f"{NAMES[0]}, seed ")
    assert first.endswith("exactly")
    assert second.endswith("NOT HELD")
    with pytest.raises(UnknownNameError, match="--only="):
        scoreboard.main(["--replay", "--only", "no-such"])


def test_scoreboard_failed_command_is_told() -> None:
    with pytest.raises(DataError, match=r"failed: .*No such option.*--no-such-flag"):
        scoreboard.measure("nlp-gym train --env POS-v0 --no-such-flag", 0, "test")


@pytest.mark.slow
def test_scoreboard_cheap_entries_hold(capsys: pytest.CaptureFixture[str]) -> None:
    cheap = sorted(ENTRIES, key=lambda entry: entry["cpu_seconds"])[:2]
    flags = ["--replay", "--first-seed", "--only", *(entry["name"] for entry in cheap)]
    status = scoreboard.main(flags)
    assert status == 0, capsys.readouterr().out
