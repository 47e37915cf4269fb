"""The results table: train each algorithm on each id with `train.py`, score dev and test, print it.

    python benchmarks/results.py --data-dir ../shared/data
    python benchmarks/results.py --data-dir ../shared/data --ids POS-EWT-v0 --algos bc dqn ppo

Runs and scores are kept under `--out`, and what is there already is not done again: the table can
be made in parts and continued after an interruption. Minutes are those of `train.py` as a whole
process: reading the corpus, features from the cache, training, evaluations on dev.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from nlp_gym import make_task
from nlp_gym.files import write_json
from nlp_gym.messages import one_line_errors
from nlp_gym.metrics.base import Score
from nlp_gym_agents.evaluation.baselines import run_baselines
from nlp_gym_agents.evaluation.evaluate import evaluate, score_record

ROOT = Path(__file__).resolve().parent.parent
IDS = ("NER-CoNLL-v0", "NER-WNUT-v0", "POS-EWT-v0")
ALGOS = ("bc", "dqn", "masked_dqn", "ppo", "maskable_ppo")
BASELINES = ("random", "majority", "majority-word")


def trained(env_id: str, algo: str, seed: int, data_dir: str, out: Path) -> dict[str, Any]:
    """Train one row, or read it if it was trained before."""
    run = out / f"{env_id}-{algo}-{seed}"
    record = run / "result.json"
    if record.is_file():
        return dict(json.loads(record.read_text(encoding="utf-8")))
    command = [sys.executable, "train.py", "--env", env_id, "--algo", algo, "--data-dir", data_dir]
    command += ["--seed", str(seed), "--no-report", "--run-dir", str(run)]
    if run.exists():
        command = [sys.executable, "train.py", "--resume", str(run), "--no-report"]
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    minutes = (time.perf_counter() - start) / 60
    splits = {
        split: score_record(evaluate(run, split), env_id=env_id, split=split)
        for split in ("dev", "test")
    }
    result = {"env": env_id, "algo": algo, "minutes": minutes, **splits}
    write_json(record, result)
    return result


def baselines(env_id: str, data_dir: str) -> dict[str, dict[str, Score]]:
    """Scores of the baselines on dev and test."""
    options = {"data_dir": data_dir, "encoder": "hashed"}  # they read no features
    train = make_task(env_id, "train", **options)
    per_split = {
        split: run_baselines(train, make_task(env_id, split, **options), BASELINES, report=False)
        for split in ("dev", "test")
    }
    return {name: {s: scores[name] for s, scores in per_split.items()} for name in BASELINES}


def main() -> None:
    """Print the table as Markdown, and the table by tag of the named-entity ids."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--ids", nargs="+", default=IDS)
    parser.add_argument("--algos", nargs="+", default=ALGOS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/results"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    data_dir, out = str(Path(args.data_dir).resolve()), args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    lines = ["| id | algorithm | dev | test | 95 % of test | of bc (dev) | minutes |"]
    lines.append("|---|---|---:|---:|---|---:|---:|")
    tags: dict[str, dict[str, Any]] = {}
    for env_id in args.ids:
        for name, scores in baselines(env_id, data_dir).items():
            low, high = scores["test"].interval or (0.0, 0.0)
            values = f"{scores['dev'].value:.4f} | {scores['test'].value:.4f}"
            lines.append(f"| {env_id} | {name} | {values} | {low:.4f} to {high:.4f} | | |")
        ceiling = None
        for algo in args.algos:
            row = trained(env_id, algo, args.seed, data_dir, out)
            dev, test = row["dev"]["value"], row["test"]["value"]
            ceiling = dev if algo == "bc" else ceiling
            share = f"{dev / ceiling:.3f}" if ceiling else ""
            low, high = row["test"]["interval"]
            lines.append(
                f"| {env_id} | `{algo}` | {dev:.4f} | {test:.4f} | {low:.4f} to {high:.4f} "
                f"| {share} | {row['minutes']:.1f} |"
            )
            if env_id == "NER-CoNLL-v0":
                tags[algo] = row["test"]["tags"]
    print("\n".join(lines))
    if tags:
        names = [name for name in next(iter(tags.values())) if name[:1] in "BIO"]
        print("\n| token F1, test | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names))
        for algo, table in tags.items():
            values = " | ".join(f"{table[name]['f1-score']:.3f}" for name in names)
            print(f"| `{algo}` | {values} |")


if __name__ == "__main__":
    with one_line_errors():
        main()
