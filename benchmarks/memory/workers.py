"""Memory of worker processes that each play an environment of their own over one corpus.

Workers are fresh Python processes, as those of RLlib or of a spawned `SubprocVecEnv`. Each imports
what it will need, makes an environment, plays it, and keeps it while the next one starts. Printed
is, for each worker, what it holds alone (unique set size) and its share of what it holds with
others (proportional set size, PSS), beyond what it had after its imports. All play the same texts:
pages of the encoding that only one of them has read so far would count as its own. Reads
``/proc/self/smaps_rollup``, so Linux only.

    python -m benchmarks.memory.workers --data-dir ../shared/data
    python -m benchmarks.memory.workers --data-dir ../shared/data --env POS-EWT-v0 --num-envs 64
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

MB = 1e6
ROOT = Path(__file__).resolve().parents[2]


def held() -> dict[str, float]:
    """MB that this process holds: ``unique`` (shared with nobody), ``pss`` and ``rss``."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    sizes = {name: int(rest.split()[0]) * 1024 / MB for name, rest in (x.split(":") for x in lines)}
    unique = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return {"unique": unique, "pss": sizes["Pss"], "rss": sizes["Rss"]}


def work(settings: dict[str, Any], num_envs: int, steps: int, modules: list[str]) -> Any:
    """Import, make an environment and play it; prints what was held at each point."""
    import gymnasium as gym

    import nlp_gym

    assert nlp_gym.ENVS
    for name in modules:
        with contextlib.suppress(Exception):  # parts of modules that import themselves only
            importlib.import_module(name)
    imports = held()
    warnings.simplefilter("ignore", UserWarning)
    env: Any = gym.make_vec(num_envs=num_envs, **settings)
    _, info = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(steps):
        *_, info = env.step(env.action_space.sample(info["action_mask"]))
    features = env.unwrapped.task.encoded.features.nbytes / MB
    result = {"imports": imports, "end": held(), "features": features}
    print(json.dumps({**result, "modules": sorted(sys.modules)}), flush=True)
    sys.stdin.read()  # until the others are done
    return result


def measure(
    settings: dict[str, Any], *, workers: int, num_envs: int = 1, steps: int = 5000
) -> list[dict[str, Any]]:
    """What each of `workers` processes held, in the order in which they were started.

    A first process, which ends before the others start, encodes the corpus where that was not done
    and says what is imported on the way.
    """
    first = _start(settings, num_envs, 1, [])
    modules = json.loads(_answer(first))["modules"]
    first.communicate()
    running: list[subprocess.Popen[str]] = []
    try:
        results = []
        for _ in range(workers):
            running.append(_start(settings, num_envs, steps, modules))
            results.append(json.loads(_answer(running[-1])))
    finally:
        for process in running:
            process.communicate()
    return results


def _start(settings: dict[str, Any], *rest: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.memory.workers", "--worker"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdin
    process.stdin.write(json.dumps([settings, *rest]) + "\n")
    process.stdin.flush()
    return process


def _answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"error: a worker ended with status {process.wait()}; it said why.")
    return line


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print the table; returns what was held by each worker."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--env", default="NER-CoNLL-v0", help="a registered id")
    parser.add_argument("--encoder", default="minilm", help="'hashed' needs no weights")
    parser.add_argument("--data-dir", help="folder of the real corpora (default: bundled sample)")
    parser.add_argument("--obs-type", default="features", choices=["features", "index", "tokens"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--num-envs", type=int, default=1, help="of each worker's environment")
    parser.add_argument("--steps", type=int, default=5000, help="of each worker's environment")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        return [work(*json.loads(sys.stdin.readline()))]
    settings = {"id": args.env, "encoder": args.encoder, "obs_type": args.obs_type}
    if args.data_dir:
        settings["data_dir"] = str(Path(args.data_dir).resolve())
    results = measure(settings, workers=args.workers, num_envs=args.num_envs, steps=args.steps)
    print(f"{args.env} x {args.num_envs}, {args.obs_type}: {results[0]['features']:.0f} MB encoded")
    print("| worker | imports, unique | beyond them: unique | PSS | resident at the end |")
    print("|---|---|---|---|---|")
    for i, found in enumerate(results, 1):
        start, end = found["imports"], found["end"]
        print(
            f"| {i} | {start['unique']:.0f} | {end['unique'] - start['unique']:.1f} | "
            f"{end['pss'] - start['pss']:.1f} | {end['rss']:.0f} |"
        )
    return results


if __name__ == "__main__":
    from nlp_gym.messages import one_line_errors  # what a module imports is measured

    with one_line_errors():
        main()
