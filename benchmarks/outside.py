"""Algorithms of other libraries beside ours: score after the same steps, speed, memory.

    python benchmarks/outside.py --data-dir ../shared/data
    python benchmarks/outside.py --data-dir ../shared/data --only cleanrl_ppo cleanrl_dqn

Runs scripts of `examples/`, those that need other libraries by the interpreter of
`make test-outside`, and this project's algorithm of the same kind once, for the same steps. An
example prints, as its last line, JSON with `library`, `steps`, `seconds` of training and `dev`, the
task's metric on the whole dev split. Processor seconds are those of the whole process and its
children; the highest memory is that of the process, pages of the encoded corpus included (see
`benchmarks/memory/workers.py` for those).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = ROOT / ".venv-outside" / "bin" / "python"
EXAMPLES = {
    "cleanrl_ppo": "maskable_ppo",
    "cleanrl_dqn": "masked_dqn",
    "tianshou_ppo": "maskable_ppo",
    "torchrl_ppo": "maskable_ppo",
    "rllib_ppo": "maskable_ppo",
    "rllib_dqn": "masked_dqn",
}
"""Each script that plays environments, and the algorithm of this project that is nearest."""
IN_VENV = ("cleanrl_ppo", "cleanrl_dqn")
"""Scripts that need nothing but this project."""


def measured(command: list[str]) -> dict[str, Any]:
    """Run a command: its last line, processor seconds and highest memory of the process, in MiB."""
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "agents")])}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, env={**os.environ, **paths})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        lines = out.read().splitlines()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}.")
    cpu = usage.ru_utime + usage.ru_stime
    return {"last": lines[-1], "cpu": cpu, "rss_mb": usage.ru_maxrss / 1024}


def example(name: str, python: str, options: list[str]) -> dict[str, Any]:
    """Run a script of `examples/`."""
    found = measured([python, "-W", "ignore", f"examples/{name}.py", *options])
    return {**found, **json.loads(found["last"])}


def own(algo: str, options: list[str], steps: int) -> dict[str, Any]:
    """Train this project's algorithm with its hyperparameters; it is scored at the end only."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-W", "ignore", "train.py", "--algo", algo, "--no-report"]
        command += ["--no-progress", "--eval-freq", str(steps), "--n-timesteps", str(steps)]
        found = measured([*command, "--run-dir", str(run), *options])
        metrics = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(metrics[-1])
    result = {"library": f"nlp-gym {algo}", "steps": last["timesteps"]}
    return {**found, **result, "seconds": last["seconds"], "dev": last["value"]}


def compare(args: argparse.Namespace) -> None:
    """Print a row for each algorithm of this project and the scripts beside it, as they end."""
    options = ["--env", args.env, "--seed", str(args.seed), "--encoder", args.encoder]
    options += ["--data-dir", str(Path(args.data_dir).resolve())] if args.data_dir else []
    print("| | steps | dev | steps/s | processor s | most memory, MB |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    for algo in dict.fromkeys(EXAMPLES[name] for name in args.only):
        show(own(algo, options, args.steps))
        for name in (name for name in args.only if EXAMPLES[name] == algo):
            python = sys.executable if name in IN_VENV else args.python
            show(example(name, python, [*options, "--steps", str(args.steps)]))


def show(row: dict[str, Any]) -> None:
    """Print a row."""
    speed = row["steps"] / max(row["seconds"], 1e-9)
    print(
        f"| {row['library']} | {row['steps']:,} | {row['dev']:.4f} | {speed:,.0f} "
        f"| {row['cpu']:.0f} | {row['rss_mb']:,.0f} |",
        flush=True,
    )


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--env", default="NER-CoNLL-v0")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--data-dir", help="folder of the corpora; default: the bundled sample")
    parser.add_argument("--steps", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=0)
    there = [name for name in EXAMPLES if (ROOT / "examples" / f"{name}.py").is_file()]
    parser.add_argument("--only", nargs="+", choices=there, default=there)
    parser.add_argument("--python", default=str(OUTSIDE), help="interpreter of other libraries")
    args = parser.parse_args(argv)
    compare(args)


if __name__ == "__main__":
    main()
