"""What several processes can train together, and how a run begins on each of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from sb3_contrib import TRPO, RecurrentPPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym_agents.algorithms.imitation.bc import BC
from nlp_gym_agents.algorithms.parallel.ranks import Ranks
from nlp_gym_agents.algorithms.policy_gradient.rloo import RLOO
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.train_config import TrainConfig

ALGORITHMS = "ppo, maskable_ppo, expected_pg, a2c, bc, dagger and aggrevate"


def check_divides(config: TrainConfig, ranks: Ranks) -> None:
    """Refuse what several processes cannot train together.

    Args:
        config: Merged.
        ranks: The processes.

    Raises:
        InvalidArgumentError: Naming what can be trained, or what has to be left out.
    """
    cls = resolve(config.algo).cls
    if not issubclass(cls, OnPolicyAlgorithm | BC) or issubclass(cls, RLOO | RecurrentPPO | TRPO):
        raise InvalidArgumentError(
            f"algo={shown(config.algo)} is not trained by several processes: torchrun is for "
            f"{ALGORITHMS}. Start it without torchrun."
        )
    if issubclass(cls, OnPolicyAlgorithm) and (config.n_envs or 1) < ranks.size:
        raise InvalidArgumentError(
            f"n_envs={shown(config.n_envs)} is less than the {ranks.size} processes of torchrun: "
            f"give --n-envs {ranks.size} or more, or fewer processes."
        )
    for flag in ("distill", "ewc"):
        if getattr(config, flag):
            raise InvalidArgumentError(
                f"{flag}={shown(getattr(config, flag))} changes the gradients of one process, and "
                f"torchrun started {ranks.size}: leave --{flag} out, or start without torchrun."
            )
    refused = {
        "target_kl": config.hyperparams.get("target_kl"),
        "kl": config.learning.kl,
        "start.fit_values": config.learning.start.fit_values or None,
    }
    if config.attacked_run is not None:
        raise InvalidArgumentError(
            f"adversarial={shown(config.adversarial)} attacks texts in one process, and torchrun "
            f"started {ranks.size}: write the copies first (nlp-gym attack RUN --split train "
            "--copies FILE) and give --augment copies:FILE."
        )
    for name, value in refused.items():
        if value is not None:
            raise InvalidArgumentError(
                f"{name}={shown(value)} looks at the rollouts of one process, and torchrun "
                f"started {ranks.size}: leave it out (--hyperparams {name}:null), or start without "
                "torchrun."
            )


@contextmanager
def quiet_unless(leads: bool) -> Iterator[None]:
    """Within it the processes that do not lead warn of nothing: the one that leads does."""
    with warnings.catch_warnings():
        if not leads:
            warnings.simplefilter("ignore")
        yield
