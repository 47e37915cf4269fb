"""Memory: resident size over millions of env steps, and the size of a replay buffer.

python benchmarks/memory/resident.py
python benchmarks/memory/resident.py --env POS-EWT-v0 --data-dir ../shared/data --steps 2000000
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import nlp_gym
from nlp_gym.messages import one_line_errors

MIB = 1024.0**2


def resident_mib() -> float:
    """Resident set size of this process in MiB (now, not the peak)."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB
    out = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, check=True, text=True
    )
    return int(out.stdout) / 1024


def step_and_watch(env: Any, steps: int, every: int) -> list[float]:
    """Step `env` with random actions, printing the resident size.

    Args:
        env: A vector environment.
        steps: Env steps in total.
        every: Env steps between two lines.

    Returns:
        The resident sizes in MiB, first the one before the first step.
    """
    rng = np.random.default_rng(0)
    actions = list(rng.integers(0, env.single_action_space.n, size=(256, env.num_envs)))
    env.reset(seed=0)
    sizes, done, start = [resident_mib()], 0, time.perf_counter()
    print(f"{0:>12,} steps  {sizes[0]:8.1f} MiB")
    while done < steps:
        for turn in range(max(1, min(every, steps - done) // env.num_envs)):
            env.step(actions[turn % len(actions)])
            done += env.num_envs
        sizes.append(resident_mib())
        rate = done / (time.perf_counter() - start)
        print(f"{done:>12,} steps  {sizes[-1]:8.1f} MiB  {rate:>11,.0f} steps/s", flush=True)
    return sizes


def replay_mib(env: Any, capacity: int) -> float:
    """Size of SB3's replay buffer for this environment's spaces, in MiB.

    The arrays are made with `np.zeros`, which takes no memory until it is written to: their
    declared size is what a full buffer takes.
    """
    from stable_baselines3.common.buffers import DictReplayBuffer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SB3 warns when the buffer exceeds the free memory
        buffer = DictReplayBuffer(
            capacity, env.single_observation_space, env.single_action_space, device="cpu"
        )
    arrays = [*buffer.observations.values(), *buffer.next_observations.values()]
    arrays += [buffer.actions, buffer.rewards, buffer.dones, buffer.timeouts]
    return sum(int(a.nbytes) for a in arrays) / MIB


def main(argv: list[str] | None = None) -> tuple[list[float], float]:
    """Print both measurements; returns the resident sizes and the replay buffer's size in MiB."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--env", default="NER-CoNLL-v0", help="a registered id")
    parser.add_argument("--encoder", default="minilm", help="'hashed' needs no weights")
    parser.add_argument("--data-dir", help="folder of the real corpora (default: bundled sample)")
    parser.add_argument("--obs-type", default="index", choices=("index", "features", "tokens"))
    parser.add_argument("--num-envs", type=int, default=250)
    parser.add_argument("--steps", type=int, default=10_000_000)
    parser.add_argument("--every", type=int, default=1_000_000)
    parser.add_argument("--capacity", type=int, default=1_000_000, help="of the replay buffer")
    args = parser.parse_args(argv)
    kwargs: dict[str, Any] = {"encoder": args.encoder, "obs_type": args.obs_type}
    if args.data_dir:
        kwargs["data_dir"] = args.data_dir
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the bundled sample is on purpose here
        env = gym.make_vec(args.env, num_envs=args.num_envs, **kwargs)
    print(f"nlp_gym {nlp_gym.__version__}, {args.env} x {args.num_envs}, obs_type={args.obs_type}")
    sizes = step_and_watch(env, args.steps, args.every)
    print(f"growth after the first line of steps: {sizes[-1] - sizes[1]:+.1f} MiB")
    replay = replay_mib(env, args.capacity)
    print(f"replay buffer of {args.capacity:,} transitions: {replay:.1f} MiB")
    env.close()
    return sizes, replay


if __name__ == "__main__":
    with one_line_errors():
        main()
