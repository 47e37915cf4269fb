"""What plain Stable-Baselines3 code learns in a given time, with and without what is added here.

    python benchmarks/plain_sb3.py --data-dir DIR                     # NER-CoNLL-v0, 60 s each
    python benchmarks/plain_sb3.py --env SpanQA-SQuAD-v0 --seconds 45 --ways stock bridge-nlp

MaskablePPO of sb3-contrib, the same hyperparameters each time, and the score on dev. Seconds are
those of the process (CPU time on one thread), so that a busy machine changes little; encoding the
corpus is not counted.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

import nlp_gym
from nlp_gym.messages import one_line_errors
from nlp_gym_agents import make_sb3_env, nlp_policy_kwargs, score_model

Made = tuple[Any, dict[str, Any] | None]


def _stock(n_envs: int) -> Callable[..., Made]:
    def make(env_id: str, **kwargs: Any) -> Made:
        return make_vec_env(env_id, n_envs, seed=0, env_kwargs=kwargs), None

    return make


def _bridge(env_id: str, **kwargs: Any) -> Made:
    return make_sb3_env(env_id, 64, seed=0, obs_type="features", **kwargs), None


def _bridge_nlp(env_id: str, **kwargs: Any) -> Made:
    env = make_sb3_env(env_id, 64, seed=0, **kwargs)
    return env, nlp_policy_kwargs(env, pointer_dim=64)


WAYS: dict[str, Callable[..., Made]] = {
    "stock-1": _stock(1),
    "stock": _stock(64),
    "bridge": _bridge,
    "bridge-nlp": _bridge_nlp,
}
"""By name: one stock environment, 64 of them, the bridge, the bridge with `nlp_policy_kwargs`."""


class StopAfter(BaseCallback):
    """End training after so many seconds of this process.

    Args:
        seconds: How many.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def _on_training_start(self) -> None:
        self.end = time.process_time() + self.seconds

    def _on_step(self) -> bool:
        return time.process_time() < self.end


def measure(env_id: str, way: str, seconds: float, **kwargs: Any) -> str:
    """Train and score one way; a row of the table."""
    env, policy_kwargs = WAYS[way](env_id, **kwargs)
    gamma = 1.0 if nlp_gym.make_task(env_id, **kwargs).tables.candidates is not None else 0.0
    model = MaskablePPO(
        "MultiInputPolicy",
        env,
        n_steps=512 // env.num_envs,
        batch_size=256,
        n_epochs=3,
        learning_rate=1e-3,
        gamma=gamma,
        gae_lambda=1.0 if gamma else 0.9,
        ent_coef=0.01,
        policy_kwargs=policy_kwargs,
        seed=0,
        device="cpu",
    )
    model.learn(10**9, callback=StopAfter(seconds))
    dev_kwargs = {**kwargs, "split": "dev"}
    dev = make_sb3_env(env_id, 1, obs_type="index" if policy_kwargs else "features", **dev_kwargs)
    size = sum(p.numel() for p in model.policy.parameters())
    score = score_model(model, dev)
    return f"| {way} | {model.num_timesteps:,} | {size:,} | {score.value:.3f} |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="NER-CoNLL-v0")
    parser.add_argument("--data-dir", help="folder of the corpora; else the bundled sample")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning)
    kwargs: dict[str, Any] = {"data_dir": args.data_dir} if args.data_dir else {}
    if args.env.startswith("SpanQA"):
        kwargs["reward"] = "metric"
    print(f"{args.env}, {args.seconds:g} s each\n| | steps | weights | dev |\n|---|---|---|---|")
    for way in args.ways:
        print(measure(args.env, way, args.seconds, **kwargs), flush=True)


if __name__ == "__main__":
    with one_line_errors():
        main()
