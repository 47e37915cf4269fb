"""Hits@k and MRR on the knowledge graphs beside MINERVA's: cloned shortest paths, then rewards.

    python benchmarks/knowledge_graph.py --data-dir ../shared/data
    python benchmarks/knowledge_graph.py --data-dir ../shared/data --ids KnowledgeGraph-WN18RR-v0

For each id `bc` learns the oracle's shortest paths and `maskable_ppo` goes on from there; both with
their hyperparameters of `agents/hyperparams`. Scores are filtered, tails only, by the task's beam
search. A run that lies complete under `--out` is scored and not trained again. Minutes are those of
training and its evaluations on dev.

MINERVA's numbers are those of Das et al. (2018), by the same protocol.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

from agents.evaluate import evaluate, score_record
from agents.settings import TrainConfig
from agents.train import train
from nlp_gym.files import write_json

PUBLISHED = {
    "KnowledgeGraph-WN18RR-v0": (0.448, 0.413, 0.456, 0.513),
    "KnowledgeGraph-FB15k237-v0": (0.293, 0.217, 0.329, 0.456),
}
COLUMNS = ("mrr", "hits_at_1", "hits_at_3", "hits_at_10")
ALGOS = ("bc", "maskable_ppo")


def trained(env_id: str, algo: str, seed: int, data_dir: str, out: Path) -> Path:
    """The run folder of one row, trained now if it is not there."""
    run = out / f"{env_id}-{algo}-{seed}"
    if (run / "minutes.json").is_file():
        return run
    start = time.perf_counter()
    teacher = str(trained(env_id, "bc", seed, data_dir, out)) if algo != "bc" else None
    config = TrainConfig(env=env_id, algo=algo, seed=seed, data_dir=data_dir, warm_start=teacher)
    train(config, run_dir=run, progress=False)
    write_json(run / "minutes.json", {"minutes": (time.perf_counter() - start) / 60})
    return run


def scores(run: Path, env_id: str, split: str) -> dict[str, Any]:
    """The official scores of a run, kept beside it."""
    found = score_record(evaluate(run, split), env_id=env_id, split=split)
    write_json(run / f"{split}.json", found)
    return found


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--ids", nargs="+", default=list(PUBLISHED))
    parser.add_argument("--algos", nargs="+", default=list(ALGOS))
    parser.add_argument("--splits", nargs="+", default=["dev", "test"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/knowledge_graph"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    args.out.mkdir(parents=True, exist_ok=True)
    print("| id | agent | split | MRR | Hits@1 | Hits@3 | Hits@10 |\n|---|---|---|" + "---:|" * 4)
    for env_id in args.ids:
        for algo in args.algos:
            run = trained(env_id, algo, args.seed, args.data_dir, args.out)
            for split in args.splits:
                found = scores(run, env_id, split)
                values = " | ".join(f"{found[name]:.3f}" for name in COLUMNS)
                print(f"| {env_id} | `{algo}` | {split} | {values} |", flush=True)
        if env_id in PUBLISHED:
            values = " | ".join(f"{value:.3f}" for value in PUBLISHED[env_id])
            print(f"| {env_id} | MINERVA | test | {values} |", flush=True)


if __name__ == "__main__":
    main()
