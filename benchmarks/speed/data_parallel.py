"""Training by two processes of torchrun beside one process with as many threads.

    python benchmarks/speed/data_parallel.py --repeat 3
    python benchmarks/speed/data_parallel.py --algo bc --steps 8192 --data-dir ../shared/data

Both train the same run (same seed, all environments together); the weights at its end are compared
too. Times are those of training alone, evaluations left out; runs follow each other in turn, so
that what slows the machine down slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]


def timed(run: Path, arguments: list[str], ranks: int, threads: int) -> float:
    """Train; gives seconds from the first evaluation to the beginning of the last."""
    command = [sys.executable]
    if ranks > 1:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command += [str(ROOT / "train.py"), *arguments, "--run-dir", str(run)]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "agents")])
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": paths}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit((done.stderr.strip() or "training failed").splitlines()[-1])
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return rows[-1]["timesteps"] / rows[-1]["steps_per_second"]


def difference(run: Path, other: Path) -> float:
    """The largest difference between the weights of two runs."""
    one, two = (
        load_file(
            max((r / "checkpoints").glob("[0-9]*"), key=lambda p: int(p.name))
            / "policy.safetensors"
        )
        for r in (run, other)
    )
    return max(float((one[k].double() - two[k]).abs().max()) for k in one if one[k].numel())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--algo", default="ppo")
    parser.add_argument("--env", default="NER-CoNLL-v0")
    parser.add_argument("--steps", type=int, default=4096)
    parser.add_argument("--data-dir", help="folder of the real corpora (default: bundled sample)")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    arguments = ["--env", args.env, "--algo", args.algo, "-n", str(args.steps)]
    arguments += ["--encoder-mode", "finetune", "--no-report", "--no-progress"]
    # The first evaluation is of the untrained policy, the last at the end: none is in between.
    arguments += ["--eval-freq", str(args.steps), "--save-freq", str(args.steps)]
    arguments += ["--hyperparams", "tuning.dropout:0.0", "tuning.precision:float32"]
    if args.data_dir:
        arguments += ["--data-dir", args.data_dir]
    alone, together = [], []
    with tempfile.TemporaryDirectory() as place:
        for turn in range(args.repeat):
            one, two = Path(place) / f"one_{turn}", Path(place) / f"two_{turn}"
            alone.append(timed(one, arguments, 1, args.ranks))
            together.append(timed(two, arguments, args.ranks, 1))
            print(
                f"one process, {args.ranks} threads: {alone[-1]:.1f} s; {args.ranks} processes: "
                f"{together[-1]:.1f} s; largest difference of weights {difference(one, two):.1e}",
                flush=True,
            )
    ratios = [a / b for a, b in zip(alone, together, strict=True)]
    print(f"speed of {args.ranks} processes over one: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
