"""Checks of what happens over processes and over many episodes: determinism, memory."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from nlp_gym.testing.subject import Fault, Subject, require

CHILD = "from nlp_gym.testing.processes import child; child()"
_SECONDS = 600
"""Longest time that a process may take."""
FLAT = 24 * 1024
"""Bytes by which memory may grow from one round of equal episodes to the next."""


def digest(env: Any) -> list[str]:
    """A sha256 of what a vector environment shows and pays under fixed seeds, and the labels."""
    found = hashlib.sha256()
    env.reset(seed=5)
    rng = np.random.default_rng(0)
    for _ in range(60):
        actions = rng.integers(env.single_action_space.n, size=env.num_envs)
        obs, reward, *_ = env.step(actions)
        for key in sorted(obs):
            found.update(obs[key].tobytes())
        found.update(reward.tobytes())
    return [found.hexdigest(), *env.task.labels]


def digests(specs: Sequence[str], hash_seed: int) -> dict[str, list[str]]:
    """`digest` of environments in a fresh process.

    Args:
        specs: Specs as JSON; they need not be registered there.
        hash_seed: ``PYTHONHASHSEED`` of the process, which decides the order of sets of strings.

    Raises:
        Fault: The process failed.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", CHILD],
            input=json.dumps(list(specs)),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env={
                **os.environ,
                "PYTHONHASHSEED": str(hash_seed),
                "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            },
            check=True,
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:]
        raise Fault(f"a fresh process cannot make it: {' '.join(last)}") from error
    except subprocess.TimeoutExpired as error:
        raise Fault(f"a fresh process takes more than {_SECONDS} s") from error
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def child() -> None:
    """What `digests` runs."""
    printed = {}
    for text in json.loads(sys.stdin.read()):
        spec = EnvSpec.from_json(text)
        # Gymnasium looks an id up even where it is given the spec.
        gym.registry[spec.id] = spec
        printed[spec.id] = digest(gym.make_vec(spec, num_envs=3))
    print(json.dumps(printed))


def spec_text(subject: Subject) -> str:
    """The spec of what `digest` plays, as JSON."""
    text: str = subject.vector(3, obs_type="features").spec.to_json()
    return text


def same_in_every_process(subject: Subject) -> None:
    """A fresh process with another hash seed plays the same episodes."""
    env = subject.vector(3, obs_type="features")
    own, text = digest(env), spec_text(subject)
    for hash_seed in (1,) if subject.quick else (1, 2):
        require_same(own, digests([text], hash_seed)[env.spec.id], hash_seed)


def require_same(own: Sequence[str], other: Sequence[str], hash_seed: int) -> None:
    """Raise `Fault` where a process of another hash seed gave another `digest`."""
    require(
        own[1:] == other[1:],
        f"with PYTHONHASHSEED={hash_seed} the labels are {other[1:]}, here {own[1:]}",
    )
    require(
        own[0] == other[0],
        f"with PYTHONHASHSEED={hash_seed} observations or rewards under the same seeds differ",
    )


def flat_memory(subject: Subject) -> None:
    """Memory does not grow while the same episodes are played again and again."""
    env = subject.vector(8, obs_type="features")
    rng = np.random.default_rng(0)
    steps = 100 if subject.quick else 300
    played = rng.integers(env.single_action_space.n, size=(steps, 8))
    traced = tracemalloc.is_tracing()
    if not traced:
        tracemalloc.start()
    try:
        sizes = []
        for _ in range(4):  # the first round fills caches
            env.reset(seed=0)
            for actions in played:
                env.step(actions)
            env.reset(seed=0)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        if not traced:
            tracemalloc.stop()
    growth = int(min(np.diff(sizes[1:])))
    require(
        growth < FLAT,
        f"{growth:,} bytes stay in memory after each {8 * steps:,} decisions of the same episodes",
    )
