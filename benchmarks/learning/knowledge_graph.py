"""Hits@k and MRR on the knowledge graphs beside MINERVA's: cloned shortest paths, then rewards.

    python benchmarks/learning/knowledge_graph.py --data-dir DIR
    python benchmarks/learning/knowledge_graph.py --data-dir DIR --ids KnowledgeGraph-WN18RR-v0
    python benchmarks/learning/knowledge_graph.py --n-timesteps 200 --encoder hashed  # a try

For each id `bc` learns the oracle's shortest paths and `maskable_ppo` goes on from there; both with
their hyperparameters of `nlp_gym_agents/hyperparams`. Scores are filtered, tails only, by the
task's beam search. A run that lies complete under `--out` is scored and not trained again, one that
was stopped goes on. `minutes.json` has the minutes of training (since it went on) and its
evaluations on dev. Without ``--data-dir`` corpora are looked for as everywhere; where there is
none, the bundled samples show that all of it runs.

MINERVA's numbers are those of Das et al. (2018), by the same protocol.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

from nlp_gym.files import write_json
from nlp_gym.messages import one_line_errors
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.evaluate import evaluate, score_record
from nlp_gym_agents.training.train import resume, train

PUBLISHED = {
    "KnowledgeGraph-WN18RR-v0": (0.448, 0.413, 0.456, 0.513),
    "KnowledgeGraph-FB15k237-v0": (0.293, 0.217, 0.329, 0.456),
}
COLUMNS = ("mrr", "hits_at_1", "hits_at_3", "hits_at_10")
ALGOS = ("bc", "maskable_ppo")


def trained(env_id: str, algo: str, out: Path, **settings: Any) -> Path:
    """The run folder of one row, trained now with `settings` if it is not there."""
    run = out / f"{env_id}-{algo}-{settings['seed']}"
    if (run / "minutes.json").is_file():
        return run
    teacher = str(trained(env_id, "bc", out, **settings)) if algo != "bc" else None
    start = time.perf_counter()
    config = TrainConfig(env=env_id, algo=algo, warm_start=teacher, **settings)
    if (run / "config.yml").is_file():  # it was stopped
        resume(run, progress=False)
    else:
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
    parser.add_argument("--data-dir")
    parser.add_argument("--ids", nargs="+", default=list(PUBLISHED))
    parser.add_argument("--algos", nargs="+", default=list(ALGOS))
    parser.add_argument("--splits", nargs="+", default=["dev", "test"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-timesteps", type=int, help="default: those of the hyperparameters")
    parser.add_argument("--encoder", help="default: that of the environment")
    parser.add_argument("--out", type=Path, default=Path("runs/knowledge_graph"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    args.out.mkdir(parents=True, exist_ok=True)
    print("| id | agent | split | MRR | Hits@1 | Hits@3 | Hits@10 |\n|---|---|---|" + "---:|" * 4)
    names = ("seed", "data_dir", "n_timesteps", "encoder")
    settings = {name: getattr(args, name) for name in names}
    for env_id in args.ids:
        for algo in args.algos:
            run = trained(env_id, algo, args.out, **settings)
            for split in args.splits:
                found = scores(run, env_id, split)
                values = " | ".join(f"{found[name]:.3f}" for name in COLUMNS)
                print(f"| {env_id} | `{algo}` | {split} | {values} |", flush=True)
        if env_id in PUBLISHED:
            values = " | ".join(f"{value:.3f}" for value in PUBLISHED[env_id])
            print(f"| {env_id} | MINERVA | test | {values} |", flush=True)


if __name__ == "__main__":
    with one_line_errors():
        main()
