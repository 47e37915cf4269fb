"""Smaller vectors: bytes a word, encoding and training speed, and dev score beside float16.

    OMP_NUM_THREADS=1 python benchmarks/memory/feature_sizes.py --data-dir ../shared/data
    OMP_NUM_THREADS=1 python benchmarks/memory/feature_sizes.py --data-dir ../shared/data \
        --only "256, int8" --rate lin_3e-3

Each row encodes, and trains `bc` and `maskable_ppo` with their tuned hyperparameters, which are
those of the widest vectors: narrower ones learn as well with a higher learning rate. Training
speed is measured apart from the scores: every row once per repeat, one after the other, so that
what slows the machine down slows all rows down. Time is the processor's, which other work on the
machine changes little.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym import make_task
from nlp_gym.encode import encode_texts, load_encoder
from nlp_gym.messages import one_line_errors
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.training.train import train

SIZES: dict[str, dict[str, Any]] = {
    "float16 (default)": {},
    "int8": {"storage": "int8"},
    "project 512, int8": {"project": 512, "storage": "int8"},
    "project 384, int8": {"project": 384, "storage": "int8"},
    "project 256, int8": {"project": 256, "storage": "int8"},
    "project 128, int8": {"project": 128, "storage": "int8"},
    "project 512": {"project": 512},
    "project 384": {"project": 384},
    "project 256": {"project": 256},
    "project 192": {"project": 192},
    "project 128": {"project": 128},
    "project 96": {"project": 96},
}


def learning_rate(algo: str, task: Any, env: str, steps: int) -> float:
    """Env steps a second of processor time of one short training run, after a warm-up."""
    params = load_hyperparams(algo, env, ())
    n_envs = int(params["n_envs"])
    for key in ("n_timesteps", "n_envs", "env_kwargs"):
        params.pop(key, None)
    model = build_model(resolve(algo), task, params, n_envs=n_envs, device="cpu")
    model.learn(n_envs * 64)
    before, start = model.num_timesteps, time.process_time()
    model.learn(steps, reset_num_timesteps=False)
    return float((model.num_timesteps - before) / (time.process_time() - start))


def words_per_second(options: dict[str, Any], texts: list[Any]) -> float:
    """Words encoded in a second of processor time, without the cache."""
    encoder = load_encoder("minilm", layers=(0, 2, 4), **options)
    encoder.encode(texts[:1])
    start = time.process_time()
    encode_texts(texts, encoder)
    return sum(map(len, texts)) / (time.process_time() - start)


def score(args: argparse.Namespace, algo: str, options: dict[str, Any], seed: int) -> float:
    """Dev score of one training run."""
    config = TrainConfig(
        env=args.env,
        algo=algo,
        seed=seed,
        data_dir=args.data_dir,
        n_timesteps=args.n_timesteps,
        hyperparams=args.hyperparams,
        env_kwargs={"encoder_kwargs": options},
    )
    with tempfile.TemporaryDirectory() as folder:
        run = train(config, run_dir=Path(folder) / "run", progress=False)
        return float(evaluate(run, "dev", bootstrap=0).value)


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--env", default="NER-CoNLL-v0")
    parser.add_argument("--data-dir")
    parser.add_argument("--only", help="rows whose name contains this")
    parser.add_argument("--rate", help="learning rate of the scores, such as lin_3e-3")
    parser.add_argument("--algos", default="bc,maskable_ppo")
    parser.add_argument("--n-timesteps", type=int, default=300_000)
    parser.add_argument("--seeds", type=int, default=2, help="0: speed alone")
    parser.add_argument("--steps", type=int, default=32_768, help="timed, for the speed")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    args.hyperparams = {"learning_rate": args.rate} if args.rate else {}
    algos = args.algos.split(",")
    sizes = {name: o for name, o in SIZES.items() if not args.only or args.only in name}
    tasks = {}
    for name, options in sizes.items():
        given = {"data_dir": args.data_dir} if args.data_dir else {}
        tasks[name] = make_task(args.env, encoder_kwargs=options, **given)
    texts = [sample.words for sample in next(iter(tasks.values())).corpus.samples[:400]]
    speeds: dict[tuple[str, str], list[float]] = {}
    for _ in range(args.repeats):
        for name, options in sizes.items():
            encoding = words_per_second(options, texts)
            speeds.setdefault((name, "encode"), []).append(encoding)
            for algo in algos:
                rate = learning_rate(algo, tasks[name], args.env, args.steps)
                speeds.setdefault((name, algo), []).append(rate)
    columns = "".join(f" {algo}: steps/s | x | dev |" for algo in algos)
    print(f"| vectors | bytes a word | words/s |{columns}", flush=True)
    print("|---|---:|---:|" + "---:|---:|---:|" * len(algos), flush=True)
    first = next(iter(sizes))
    for name, options in sizes.items():
        features = tasks[name].encoded.features
        line = f"| {name} | {features.nbytes // len(features):,} "
        line += f"| {statistics.median(speeds[name, 'encode']):,.0f} |"
        for algo in algos:
            own, base = speeds[name, algo], speeds[first, algo]
            ratio = statistics.median(a / b for a, b in zip(own, base, strict=True))
            values = [score(args, algo, options, seed) for seed in range(args.seeds)]
            found = f"{np.mean(values):.4f}" if values else "-"
            line += f" {statistics.median(own):,.0f} | {ratio:.2f} | {found} |"
        print(line, flush=True)


if __name__ == "__main__":
    with one_line_errors():
        main()
