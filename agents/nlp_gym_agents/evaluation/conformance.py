"""Checks of an environment that need an agent, beside those of `nlp_gym.testing`."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from nlp_gym import __version__
from nlp_gym.checks import OBS_TYPES
from nlp_gym.inert import visible
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.testing import CHECKS, Check, Result, Subject
from nlp_gym.testing.subject import require

_SAMPLES = 10


def sb3_checker(subject: Subject, obs_type: str = "features") -> None:
    """Stable-Baselines3's `check_env` raises nothing and warns of nothing."""
    from stable_baselines3.common.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Candidates are a matrix on purpose: a row each, for a network that scores them one by one.
        warnings.filterwarnings("ignore", ".*unconventional shape", UserWarning)
        check_env(subject.env(obs_type=obs_type).unwrapped)


def gold_mask_suffices(subject: Subject) -> None:
    """A policy that learnt nothing gets everything right where only the right action is legal."""
    import torch
    from sb3_contrib import MaskablePPO

    task = subject.task("dev")
    env = subject.env(split="dev", obs_type="features")
    torch.manual_seed(0)
    model = MaskablePPO("MultiInputPolicy", env, device="cpu", policy_kwargs={"net_arch": [8]})
    outputs, rows = [], range(min(_SAMPLES, len(task.corpus)))
    for row in rows:
        obs, _ = env.reset(options={"row": row})
        ended = False
        while not ended:
            mask = np.arange(env.action_space.n) == env.unwrapped.oracle_action()
            action, _ = model.predict(obs, action_masks=mask)
            obs, _, ended, _, _ = env.step(action)
        outputs.append(env.unwrapped.outputs())
    best = task.score(rollout(task, "oracle", rows), rows=rows, bootstrap=0).value
    value = task.score(outputs, rows=rows, bootstrap=0).value
    require(value == best, f"it scores {value}, the oracle {best}")


AGENT_CHECKS: tuple[Check, ...] = (
    Check(
        sb3_checker,
        "Give a flat Dict of Boxes with finite bounds; the checker says what it lacks.",
        tuple({"obs_type": obs_type} for obs_type in OBS_TYPES),
    ),
    Check(
        gold_mask_suffices,
        "Single environments must play what `oracle` and `outputs` say, action by action.",
        quick=False,
    ),
)


def all_checks() -> tuple[Check, ...]:
    """The checks of `nlp_gym.testing`, and these where Stable-Baselines3 is installed."""
    installed = all(map(importlib.util.find_spec, ("stable_baselines3", "sb3_contrib")))
    return (*CHECKS, *AGENT_CHECKS) if installed else CHECKS


def record(subject: Subject, results: Iterable[Result]) -> dict[str, Any]:
    """The outcomes as the JSON object that `nlp-gym conformance --json` writes."""
    listed = list(results)
    return {
        "id": subject.env_id,
        "nlp_gym": __version__,
        "kwargs": {key: visible(str(value)) for key, value in subject.kwargs.items()},
        "quick": subject.quick,
        "passed": all(result.passed for result in listed),
        "checks": [
            {
                "check": result.check.name,
                "about": result.check.about,
                "passed": result.passed,
                "seconds": round(result.seconds, 3),
                "fault": result.fault,
            }
            for result in listed
        ],
    }
