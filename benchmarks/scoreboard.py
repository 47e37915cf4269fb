"""The scoreboard: results that anyone can replay, each beside the command that made it.

    python -m benchmarks.scoreboard
    python -m benchmarks.scoreboard --replay
    python -m benchmarks.scoreboard --add NAME --seeds 0 1 \
        --command "nlp-gym train --env POS-v0 --algo maskable_ppo -n 4096"

Without a flag the table is printed. `--replay` trains and scores every entry again (`--only NAME`
for some, `--first-seed` for one seed of each) and exits with 1 where a score is further from the
one on record than the entry's tolerance. `--add` measures a new entry and writes it into the file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError, shown
from nlp_gym.files import write_json
from nlp_gym.messages import one_line_errors
from nlp_gym_agents.algorithms.registry import information_of_run, resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.train_config import DEFAULT_ALGO, DEFAULT_ENV

FILE = Path(__file__).resolve().parent / "scoreboard.json"
FORMAT = 1
FIELDS: Mapping[str, type] = {
    "name": str,
    "id": str,
    "split": str,
    "metric": str,
    "value": float,
    "signature": str,
    "information": str,
    "command": str,
    "seeds": list,
    "values": list,
    "tolerance": float,
    "cpu_seconds": float,
    "versions": dict,
}
"""Fields of an entry; `value` is the mean of `values`, one per seed, and so is `cpu_seconds`."""
_ROUNDING = 1e-9
OWN = ("--seed", "--run-dir", "--resume")
"""Flags that a replay sets."""


def read_entries(path: Path = FILE) -> list[dict[str, Any]]:
    """The entries of a scoreboard, checked.

    Raises:
        DataError: The file is no scoreboard, or an entry is not what `FIELDS` say.
    """
    try:
        board = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not isinstance(board, dict) or board.get("format_version") != FORMAT:
        raise DataError(f"{path} is no scoreboard of format_version {FORMAT}.")
    entries: list[dict[str, Any]] = board.get("entries", [])
    for entry in entries:
        _check(entry, path)
    names = [entry["name"] for entry in entries]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: two entries have the same name.")
    return entries


def _check(entry: Mapping[str, Any], path: Path) -> None:
    for name, kind in FIELDS.items():
        if not isinstance(entry.get(name), kind):
            raise DataError(
                f"{path}: entry {shown(entry.get('name'))}: {name}={shown(entry.get(name))} "
                f"must be {kind.__name__}. Measure it with --add."
            )
    found = information(entry["command"])
    if entry["information"] != found:
        raise DataError(
            f"{path}: entry {shown(entry['name'])} says information={shown(entry['information'])}, "
            f"but its command learns from: {found}."
        )
    values = entry["values"]
    if len(entry["seeds"]) != len(values) or abs(mean(values) - entry["value"]) > _ROUNDING:
        raise DataError(
            f"{path}: entry {shown(entry['name'])}: `value` is not the mean of one value per seed."
        )
    if not 0 <= 2 * entry["tolerance"] <= min(values):
        raise DataError(
            f"{path}: entry {shown(entry['name'])}: tolerance={entry['tolerance']} must be at most "
            f"half of its smallest value, {min(values)}: what learnt nothing would hold as well."
        )


def information(command: str) -> str:
    """What a command learns from, as `information_of_run` names it.

    Raises:
        InvalidArgumentError: It is no `nlp-gym train`, or sets what a replay sets.
    """
    words = shlex.split(command)
    taken = [flag for flag in OWN if flag in words]
    if words[:2] != ["nlp-gym", "train"] or taken:
        raise InvalidArgumentError(
            f"command={shown(command)} must be an `nlp-gym train` without {', '.join(OWN)}."
        )

    def given(flag: str, otherwise: Any = None) -> Any:
        return words[words.index(flag) + 1] if flag in words else otherwise

    row, env_id = resolve(given("--algo", DEFAULT_ALGO)), given("--env", DEFAULT_ENV)
    start = given("--warm-start")
    own = _values(words, "--hyperparams")
    params = load_hyperparams(row.name, env_id, own, warm=start is not None)
    return information_of_run(row, params, start=None if start is None else "oracle")


def _values(words: Sequence[str], flag: str) -> list[str]:
    """What stands between a flag and the next one."""
    if flag not in words:
        return []
    rest = words[words.index(flag) + 1 :]
    return list(itertools.takewhile(lambda word: not word.startswith("-"), rest))


def measure(command: str, seed: int, split: str) -> dict[str, Any]:
    """Train with a seed and score: the record of ``nlp-gym evaluate --json``.

    Raises:
        DataError: The command failed; the message has its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        run, out = Path(folder) / "run", Path(folder) / "score.json"
        own = ["--seed", str(seed), "--run-dir", str(run), "--no-progress", "--no-report"]
        _call([*shlex.split(command)[1:], *own])
        _call(["evaluate", str(run), "--split", split, "--bootstrap", "0", "--json", str(out)])
        score: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        versions = json.loads((run / "versions.json").read_text(encoding="utf-8"))
    return {**score, "versions": {"python": versions["python"], **versions["packages"]}}


def _call(words: Sequence[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nlp_gym", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        # Errors of use are drawn in a box.
        last = [line for line in done.stderr.splitlines() if re.search(r"\w", line)][-1:]
        raise DataError(f"`nlp-gym {shlex.join(words)}` failed: {' '.join(last)}")


def _cpu_seconds() -> float:
    """Of the processes that ended so far; unlike the clock, it does not depend on other work."""
    times = os.times()
    return times.children_user + times.children_system


def replay(
    entries: Sequence[Mapping[str, Any]], *, first_seed: bool = False
) -> Iterator[tuple[str, int, float, float, bool]]:
    """Measure entries again.

    Yields:
        Name, seed, the value on record, the value now, and whether that is within the tolerance.
    """
    for entry in entries:
        pairs = list(zip(entry["seeds"], entry["values"], strict=True))
        for seed, recorded in pairs[:1] if first_seed else pairs:
            value = measure(entry["command"], seed, entry["split"])["value"]
            yield entry["name"], seed, recorded, value, abs(value - recorded) <= entry["tolerance"]


def new_entry(
    name: str, command: str, seeds: Sequence[int], split: str, tolerance: float
) -> dict[str, Any]:
    """Measure a command with each seed and make the entry of it."""
    learnt_from, start = information(command), _cpu_seconds()
    scores = [measure(command, seed, split) for seed in seeds]
    first = scores[0]
    values = [float(score["value"]) for score in scores]
    entry = {
        "name": name,
        "id": first["id"],
        "split": split,
        "metric": first["metric"],
        "value": mean(values),
        "signature": first["signature"],
        "information": learnt_from,
        "command": command,
        "seeds": list(seeds),
        "values": values,
        "tolerance": tolerance,
        "cpu_seconds": round((_cpu_seconds() - start) / len(seeds), 1),
        "versions": first["versions"],
    }
    _check(entry, FILE)
    return entry


def table(entries: Sequence[Mapping[str, Any]]) -> str:
    """The entries as a table in Markdown."""
    lines = [
        "| entry | id | split | metric | score | learns from | seeds | command |",
        "|---|---|---|---|---:|---|---:|---|",
    ]
    for e in sorted(entries, key=lambda e: (e["id"], -e["value"])):
        cells = [e["name"], f"`{e['id']}`", e["split"], e["metric"], f"{e['value']:.3f}"]
        cells += [e["information"], str(len(e["seeds"])), f"`{e['command']}`"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print, replay or extend the scoreboard; gives the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--file", type=Path, default=FILE, help="the scoreboard")
    parser.add_argument("--replay", action="store_true", help="measure the entries again")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="replay these alone")
    parser.add_argument("--first-seed", action="store_true", help="replay one seed of each")
    parser.add_argument("--add", metavar="NAME", help="measure a new entry of this name")
    parser.add_argument("--command", help='with --add: "nlp-gym train ..."')
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], help="with --add")
    parser.add_argument("--split", choices=("dev", "test"), default="test", help="with --add")
    parser.add_argument("--tolerance", type=float, default=0.05, help="with --add")
    given = parser.parse_args(argv)
    entries = read_entries(given.file)
    names = [entry["name"] for entry in entries]
    if given.add is not None:
        if given.command is None or given.add in names:
            parser.error("--add needs --command, and a name that no entry has")
        entry = new_entry(given.add, given.command, given.seeds, given.split, given.tolerance)
        write_json(given.file, {"format_version": FORMAT, "entries": [*entries, entry]})
        print(table([entry]))
        return 0
    for name in given.only or ():
        if name not in names:
            raise UnknownNameError("--only", name, names)
    chosen = [entry for entry in entries if entry["name"] in (given.only or names)]
    if not given.replay:
        print(table(chosen))
        return 0
    holds = True
    for name, seed, recorded, value, within in replay(chosen, first_seed=given.first_seed):
        told = "exactly" if value == recorded else "within the tolerance" if within else "NOT HELD"
        print(f"{name}, seed {seed}: {recorded:.4f} on record, {value:.4f} now: {told}", flush=True)
        holds &= within
    return 0 if holds else 1


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
