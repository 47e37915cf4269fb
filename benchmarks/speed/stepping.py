"""Stepping speed beside Gymnasium's CartPole, measured interleaved in one run.

Rates on a shared machine drift by tens of percent within minutes. So each repeat times every case
once for a fixed while, one after the other, and the medians over the repeats are compared: what
slows the machine down slows all cases down.

Actions are drawn before the clock starts and half of them or more are illegal under the mask: the
repair of illegal actions is part of what is timed.

    python benchmarks/speed/stepping.py
    python benchmarks/speed/stepping.py --env NER-CoNLL-v0 --data-dir DIR --encoder minilm
    python benchmarks/speed/stepping.py --every-id  # each id's batched `index` environment
    python benchmarks/speed/stepping.py --env Translation-Multi30k-v0 --only index --clock cpu
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

import nlp_gym
from nlp_gym.messages import one_line_errors
from nlp_gym.tasks.core.make import task_class, task_ids

CARTPOLE = "CartPole-v1"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
MIDDLE_LAYER = {"layers": 4}
OBS_TYPES = ("index", "features", "tokens")


@dataclass
class Case:
    """One row of the table.

    Attributes:
        name: What is stepped.
        advance: Plays one `step` of the environment and returns the number of env steps it was.
        baseline: Name of the case to divide by.
        rates: Env steps per second, one a repeat.
    """

    name: str
    advance: Callable[[], int]
    baseline: str
    rates: list[float] = field(default_factory=list)

    def run(self, seconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
        """Step for about `seconds` of a clock and append the rate."""
        for _ in range(10):
            self.advance()
        steps, start = 0, clock()
        while (elapsed := clock() - start) < seconds:
            for _ in range(20):
                steps += self.advance()
        self.rates.append(steps / elapsed)


def batched(env: Any, n_actions: int, rng: np.random.Generator) -> Callable[[], int]:
    """One step of a vector environment with actions drawn beforehand."""
    actions = list(rng.integers(0, n_actions, size=(512, env.num_envs)))
    env.reset(seed=0)
    turn = 0

    def advance() -> int:
        nonlocal turn
        turn = (turn + 1) % len(actions)
        env.step(actions[turn])
        return int(env.num_envs)

    return advance


def single(env: Any, n_actions: int, rng: np.random.Generator) -> Callable[[], int]:
    """One step of a single environment, resets included (batched ones reset by themselves)."""
    actions = [int(a) for a in rng.integers(0, n_actions, size=512)]
    env.reset(seed=0)
    turn = 0

    def advance() -> int:
        nonlocal turn
        turn = (turn + 1) % len(actions)
        _, _, terminated, truncated, _ = env.step(actions[turn])
        if terminated or truncated:
            env.reset()
        return 1

    return advance


def build_cases(args: argparse.Namespace) -> list[Case]:
    """All cases, baselines first."""
    rng = np.random.default_rng(0)
    common: dict[str, Any] = {"encoder": args.encoder}
    if args.data_dir:
        common["data_dir"] = args.data_dir
    many, one = f"{CARTPOLE} x {args.num_envs}", f"{CARTPOLE}, single"
    cartpoles = gym.make_vec(
        CARTPOLE, num_envs=args.num_envs, vectorization_mode="vector_entry_point"
    )
    cases = [
        Case(many, batched(cartpoles, 2, rng), many),
        Case(one, single(gym.make(CARTPOLE), 2, rng), one),
    ]
    if args.every_id:
        for env_id in task_ids():
            env = gym.make_vec(env_id, num_envs=args.num_envs, obs_type="index", **common)
            n_actions = int(env.single_action_space.n)  # type: ignore[attr-defined]
            cases.append(Case(env_id, batched(env, n_actions, rng), many))
        return cases
    # The hashed encoder has no layers.
    layer = {} if args.encoder == "hashed" else {"encoder_kwargs": MIDDLE_LAYER}
    variants: list[tuple[str, dict[str, Any]]] = [
        ("index", {"obs_type": "index"}),
        ("index, reward=metric", {"obs_type": "index", "reward": "metric"}),
        ("index, reward=sparse", {"obs_type": "index", "reward": "sparse"}),
        ("features, one layer, window 0", {"obs_type": "features", "window": 0, **layer}),
        ("features, default", {"obs_type": "features"}),
        ("features, layout=flat", {"obs_type": "features", "layout": "flat"}),
        ("features, SyncVectorEnv", {"obs_type": "features", "vectorization_mode": "sync"}),
        ("tokens", {"obs_type": "tokens"}),
    ]
    former = dict(task_class(args.env).later_arguments)  # what there was to see before
    if former:
        said = ", ".join(f"{name}={value}" for name, value in former.items())
        variants += [(f"{kind}, {said}", {"obs_type": kind, **former}) for kind in OBS_TYPES]
    for name, kwargs in variants:
        if args.only and args.only not in name:
            continue
        env = gym.make_vec(args.env, num_envs=args.num_envs, **common, **kwargs)
        n_actions = int(env.single_action_space.n)  # type: ignore[attr-defined]
        cases.append(
            Case(f"{args.env} x {args.num_envs}, {name}", batched(env, n_actions, rng), many)
        )
    for name in ("index", "features"):
        alone = gym.make(args.env, obs_type=name, **common)
        n_actions = int(alone.action_space.n)  # type: ignore[attr-defined]
        cases.append(Case(f"{args.env}, single, {name}", single(alone, n_actions, rng), one))
    return cases


def print_table(cases: list[Case]) -> None:
    """Print medians and ratios as a markdown table."""
    medians = {case.name: statistics.median(case.rates) for case in cases}
    print("| environment | steps/s (median) | min | max | x CartPole |")
    print("|---|---:|---:|---:|---:|")
    for case in cases:
        # The ratio is taken within each repeat, where both saw the same machine.
        base = next(c for c in cases if c.name == case.baseline)
        ratio = statistics.median(a / b for a, b in zip(case.rates, base.rates, strict=True))
        print(
            f"| {case.name} | {medians[case.name]:,.0f} | {min(case.rates):,.0f} "
            f"| {max(case.rates):,.0f} | {ratio:.2f} |"
        )


def main(argv: list[str] | None = None) -> list[Case]:
    """Time all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--env", default="NER-CoNLL-v0", help="a registered id")
    parser.add_argument("--every-id", action="store_true", help="all ids, index observations")
    parser.add_argument("--encoder", default="minilm", help="'hashed' needs no weights")
    parser.add_argument("--data-dir", help="folder of the real corpora (default: bundled sample)")
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="per case and repeat")
    parser.add_argument("--only", help="batched cases whose name contains this")
    parser.add_argument("--clock", choices=[*CLOCKS], default="wall", help="cpu: of processors")
    args = parser.parse_args(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the bundled sample is on purpose here
        cases = build_cases(args)
    for _ in range(args.repeats):
        for case in cases:
            case.run(args.seconds, CLOCKS[args.clock])
    print(
        f"\nnlp_gym {nlp_gym.__version__}, gymnasium {gym.__version__}, numpy {np.__version__}, "
        f"{args.repeats} interleaved repeats of {args.seconds} s ({args.clock} clock), "
        f"encoder {args.encoder}\n"
    )
    print_table(cases)
    return cases


if __name__ == "__main__":
    with one_line_errors():
        main()
