"""Training speed, learning included: env steps a second of PPO and DQN.

    python benchmarks/speed/training.py
    python benchmarks/speed/training.py --data-dir ../shared/data --repeats 3

Each algorithm trains with its hyperparameters of `nlp_gym_agents/hyperparams`, with 64
environments, on features of one layer (384 wide) and on the default ones (three layers of three
words, 3456 wide), an MLP of 256 on top. Repeats are interleaved and the median is quoted; the clock
starts after a warm-up that fills DQN's buffer. PPO is timed with its tuned small rollouts and with
larger ones.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import Any

from nlp_gym import make_task
from nlp_gym.messages import one_line_errors
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models.build import build_model

FEATURES: dict[str, dict[str, Any]] = {
    "one layer": {"encoder_kwargs": {"layers": 4}, "window": 0},
    "default": {},
}
# 64 environments play 64 decisions a step where the tuned 256 play 256: `train_freq` 4 keeps DQN's
# learning per decision.
CASES = {
    "ppo, tuned": ("ppo", ()),
    "ppo, rollouts of 32 steps, batches of 2048": ("ppo", ("n_steps:32", "batch_size:2048")),
    "dqn, tuned": ("dqn", ("train_freq:4", "learning_starts:2048")),
}


def rate(case: str, task: Any, env_id: str, n_envs: int, steps: int) -> float:
    """Env steps a second of one short training run, after a warm-up."""
    algo, overrides = CASES[case]
    params = load_hyperparams(algo, env_id, overrides)
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
            for case in CASES:
                speed = rate(case, task, args.env, args.n_envs, args.steps)
                rates.setdefault((case, name), []).append(speed)
    print(f"| {args.n_envs} envs, learning included | features | env steps/s |\n|---|---|---:|")
    for (case, name), values in rates.items():
        print(f"| {case} | {name} | {statistics.median(values):,.0f} |")


if __name__ == "__main__":
    with one_line_errors():
        main()
