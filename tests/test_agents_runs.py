"""Run folders, snapshots and checkpoints: complete or not there, and never pickle."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
import torch

from nlp_gym.errors import RunError, UnknownNameError
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.files.weights import read_tensors, save_tensors
from nlp_gym_agents.runs.folder import (
    check_run,
    claim_run,
    find_snapshot,
    new_run,
    read_config,
    write_config,
)
from nlp_gym_agents.runs.metrics_log import append_metrics, read_metrics, rewind_metrics
from nlp_gym_agents.runs.snapshots import locate, newest, prune, publish, verify


def write(folder: Path, text: str = "1") -> None:
    """Publish a snapshot with one file."""
    with publish(folder) as partial:
        (partial / "a.txt").write_text(text)


def test_runs_new_run_counts_up(tmp_path: Path) -> None:
    first = new_run("dqn", "NER-v0", root=tmp_path)
    second = new_run("dqn", "NER-v0", root=tmp_path)
    assert [first.name, second.name] == ["NER-v0_1", "NER-v0_2"]
    (tmp_path / "dqn" / "NER-v0_11").mkdir()
    (tmp_path / "dqn" / "NER-v0_x").mkdir()
    assert new_run("dqn", "NER-v0", root=tmp_path).name == "NER-v0_12"


def test_runs_new_run_of_third_party_names_is_one_folder(tmp_path: Path) -> None:
    run = new_run("my.mod:Algo", "ns/Env-v0", root=tmp_path)
    assert run.relative_to(tmp_path).parts == ("my.mod_Algo", "ns_Env-v0_1")


def test_runs_claim_refuses_a_folder_with_files(tmp_path: Path) -> None:
    assert claim_run(tmp_path / "new").is_dir()
    assert claim_run(tmp_path / "new").is_dir()
    (tmp_path / "new" / "x").write_text("")
    with pytest.raises(RunError, match=r"not empty.*--resume"):
        claim_run(tmp_path / "new")


def test_runs_config_comes_back(tmp_path: Path) -> None:
    write_config(tmp_path, {"env": "NER-v0"}, command=["nlp-gym", "a b"], facts={"x": 1})
    assert read_config(tmp_path) == {"env": "NER-v0"}
    assert (tmp_path / "command.txt").read_text() == "nlp-gym 'a b'\n"
    versions = json.loads((tmp_path / "versions.json").read_text())
    assert versions["x"] == 1
    assert versions["packages"]["torch"] == torch.__version__.split("+")[0] or versions["packages"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format_version: 99\nenv: x\n", "format_version=99"),
        ("- a", "mapping"),
        ("a: [", "damaged"),
    ],
)
def test_runs_config_of_another_version_or_damaged(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.yml").write_text(text)
    with pytest.raises(RunError, match=message):
        read_config(tmp_path)


def test_runs_missing_and_foreign_folders_are_run_errors(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        check_run(tmp_path / "no")
    with pytest.raises(RunError, match="not a run folder"):
        check_run(tmp_path)
    (tmp_path / "config.yml").write_text("format_version: 1\n")
    with pytest.raises(RunError, match="no best/"):
        find_snapshot(tmp_path)
    with pytest.raises(RunError, match="no complete checkpoint"):
        find_snapshot(tmp_path, "last")
    with pytest.raises(UnknownNameError, match="Did you mean 'best'"):
        find_snapshot(tmp_path, "bset")


def test_snapshots_a_failed_write_leaves_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "5", "old")

    def fill_the_disk() -> None:
        with publish(tmp_path / "5") as partial:
            (partial / "a.txt").write_text("new")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunError, match=r"No space left on device.*intact"):
        fill_the_disk()
    verify(tmp_path / "5")
    assert (tmp_path / "5" / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["5"]


def test_snapshots_replace_and_recover_from_a_kill_in_between(tmp_path: Path) -> None:
    best = tmp_path / "best"
    write(best, "old")
    write(best, "new")
    assert (best / "a.txt").read_text() == "new"
    best.rename(tmp_path / ".replaced-best")  # killed between the two renames
    assert (locate(best) / "a.txt").read_text() == "new"
    write(best, "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


@pytest.mark.parametrize("damage", ["alter", "remove", "manifest", "no manifest", "version"])
def test_snapshots_newest_skips_what_does_not_verify(tmp_path: Path, damage: str) -> None:
    for step in ("900", "1000"):
        write(tmp_path / step)
    manifest = tmp_path / "1000" / "manifest.json"
    if damage == "alter":
        (tmp_path / "1000" / "a.txt").write_text("2")
    elif damage == "remove":
        (tmp_path / "1000" / "a.txt").unlink()
    elif damage == "manifest":
        manifest.write_text('{"format_version": 1, "fi')
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text('{"format_version": 2, "files": {}}')
    folder, skipped = newest(tmp_path)
    assert folder.name == "900"
    assert len(skipped) == 1
    assert "1000" in skipped[0]


def test_snapshots_partial_folders_are_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / ".partial-7").mkdir()
    with pytest.raises(RunError, match="no complete checkpoint"):
        newest(tmp_path)
    for step in ("1", "2", "10"):
        write(tmp_path / step)
    prune(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "2"]


def test_snapshots_manifest_cannot_point_outside(tmp_path: Path) -> None:
    write(tmp_path / "1")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "1" / "manifest.json").write_text(
        json.dumps({"format_version": 1, "files": {"../secret": "0"}})
    )
    with pytest.raises(RunError, match="missing"):
        verify(tmp_path / "1")


def test_snapshots_read_json_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"x\.json is missing or damaged"):
        read_json(tmp_path / "x.json")


def test_weights_shared_tensors_are_stored_once(tmp_path: Path) -> None:
    a = torch.arange(6.0).reshape(2, 3)
    tensors = {"a": a, "same": a, "turned": a.t(), "empty": torch.zeros(0), "none": torch.zeros(0)}
    aliases = save_tensors(tmp_path / "t.safetensors", tensors)
    assert aliases == {"same": "a"}
    back = read_tensors(tmp_path / "t.safetensors", aliases)
    assert set(back) == set(tensors)
    assert all(torch.equal(back[key], tensors[key]) for key in tensors)
    (tmp_path / "t.safetensors").write_bytes(b"\x80\x04junk")
    with pytest.raises(RunError, match="damaged"):
        read_tensors(tmp_path / "t.safetensors")


def test_history_tolerates_a_truncated_last_line_only(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []
    for step in (0, 10, 20):
        append_metrics(tmp_path, {"timesteps": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"timesteps": 3')
    assert [row["timesteps"] for row in read_metrics(tmp_path)] == [0, 10, 20]
    rewind_metrics(tmp_path, 10)
    assert [row["timesteps"] for row in read_metrics(tmp_path)] == [0, 10]
    (tmp_path / "metrics.jsonl").write_text('{"a": 1\n{"timesteps": 1}\n')
    with pytest.raises(RunError, match="jsonl:1"):
        read_metrics(tmp_path)
