"""Training speed, learning included: env steps a second of PPO and DQN.

    python benchmarks/training.py
    python benchmarks/training.py --data-dir ../shared/data --repeats 3

Each algorithm trains with its hyperparameters of `agents/hyperparams`, with 64 environments, on
features of one layer (384 wide) and on the default ones (three layers of three words, 3456 wide),
an MLP of 256 on top. Repeats are interleaved and the median is quoted; DQN's clock starts after its warm-up.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import Any

from agents.algorithms import resolve
from agents.config import load_hyperparams
from agents.loading import build_model
from nlp_gym import make_task

FEATURES: dict[str, dict[str, Any]] = {
    "one layer": {"encoder_kwargs": {"layers": 4}, "window": 0},
    "default": {},
}
OVERRIDES = {
    # 64 environments make smaller rollouts than the tuned 256; as much learning a step as there.
    "ppo": ("n_steps:64", "batch_size:2048"),
    "dqn": ("train_freq:4", "learning_starts:2048"),
}


def rate(algo: str, task: Any, env_id: str, n_envs: int, steps: int) -> float:
    """Env steps a second of one short training run, after a warm-up."""
    params = load_hyperparams(algo, env_id, OVERRIDES[algo])
    for key in ("n_timesteps", "n_envs", "env_kwargs"):
        params.pop(key, None)
    model = build_model(resolve(algo), task, params, n_envs=n_envs, device="cpu")
    model.learn(n_envs * 64)  # DQN fills its buffer; both allocate
    before, start = model.num_timesteps, time.perf_counter()
    model.learn(steps, reset_num_timesteps=False)
    return float((model.num_timesteps - before) / (time.perf_counter() - start))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="NER-CoNLL-v0")
    parser.add_argument("--data-dir")
    parser.add_argument("--n-envs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=65_536)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    tasks = {
        name: make_task(args.env, data_dir=args.data_dir, **kwargs)
        for name, kwargs in FEATURES.items()
    }
    rates: dict[tuple[str, str], list[float]] = {}
    for _ in range(args.repeats):
        for name, task in tasks.items():
            for algo in OVERRIDES:
                speed = rate(algo, task, args.env, args.n_envs, args.steps)
                rates.setdefault((algo, name), []).append(speed)
    print(f"| {args.n_envs} envs, learning included | features | env steps/s |\n|---|---|---:|")
    for (algo, name), values in rates.items():
        print(f"| {algo} | {name} | {statistics.median(values):,.0f} |")


if __name__ == "__main__":
    main()
