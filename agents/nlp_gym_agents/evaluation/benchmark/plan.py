"""What `nlp-gym benchmark` is to measure: ids times algorithms times seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym

from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown
from nlp_gym.tasks.core.make import is_task_id, task_class, task_ids
from nlp_gym_agents.algorithms.registry import ALGORITHMS, resolve
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.evaluation.baselines import SEARCHED
from nlp_gym_agents.evaluation.benchmark.table import BASELINES, Cell

_ALGO = re.compile(r"[^+]+(\+bc(:[1-9]\d*)?)?")
ALGOS = ("random", "majority", "bc", "masked_dqn", "maskable_ppo")


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        ids: Environments.
        algos: Names as for `Cell.algo`.
        seeds: Seeds of each pair of id and algorithm.
        out: Folder of the results.
        env_kwargs: Arguments of every environment.
        n_timesteps: Decisions of every training run; None: as in the hyperparameter files.
        budget: Minutes a training run may take.
        searches: Most samples scored of a task that is played by beam search; None: all.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
    """

    ids: Sequence[str]
    algos: Sequence[str] = ALGOS
    seeds: Sequence[int] = (0,)
    out: Path = Path("results")
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    n_timesteps: int | None = None
    budget: float = 5.0
    searches: int | None = None
    device: str = "auto"

    def config(self, env_id: str, algo: str, seed: int) -> TrainConfig:
        """The merged settings of a training run.

        Raises:
            NLPGymError: They are not usable.
        """
        return merge(self.asked(env_id, algo, seed))

    def asked(self, env_id: str, algo: str, seed: int) -> TrainConfig:
        """The settings of a training run before they are merged."""
        name, _, start = algo.partition("+")
        return TrainConfig(
            env=env_id,
            algo=name,
            seed=seed,
            n_timesteps=self.n_timesteps,
            env_kwargs=self.env_kwargs,
            warm_start=start or None,
            device=self.device,
        )

    def cells(self) -> list[Cell]:
        """All cells, id by id.

        Raises:
            NLPGymError: Something in the plan is not known or not usable.
        """
        for env_id in self.ids:
            if not is_task_id(env_id):
                raise UnknownNameError("ids", env_id, task_ids())
        if not self.budget > 0:
            raise InvalidArgumentError(f"budget={shown(self.budget)} must be above 0 minutes.")
        return [
            Cell(env_id, algo, seed, self._settings(env_id, algo, seed))
            for env_id in self.ids
            for algo in self.algos
            for seed in (self.seeds if algo != "majority" else self.seeds[:1])
        ]

    def _settings(self, env_id: str, algo: str, seed: int) -> dict[str, Any]:
        """What a number depends on; not where the data lies (its hash is in the result)."""
        own = {k: v for k, v in self.env_kwargs.items() if k != "data_dir"}
        drawn = task_class(env_id).ranks_answers and self.searches is not None
        limit = {"searches": self.searches} if drawn else {}
        if algo in BASELINES:
            return {"env_kwargs": own, **(limit if algo in SEARCHED else {})}
        if not _ALGO.fullmatch(algo):
            raise InvalidArgumentError(
                f"algos={shown(algo)} is no algorithm, baseline ({', '.join(BASELINES)}) or "
                "algorithm started from cloning (masked_dqn+bc, or +bc:8 for eight passes)."
            )
        name = algo.partition("+")[0]
        if ":" not in name and name not in ALGORITHMS:
            raise UnknownNameError("algos", algo, [*BASELINES, *ALGORITHMS])
        resolve(name)
        config = self.config(env_id, algo, seed).as_dict()
        kwargs = {k: v for k, v in config["env_kwargs"].items() if k != "data_dir"}
        kept = ("n_timesteps", "n_envs", "hyperparams", "warm_start", "early_stopping")
        return {
            **{key: config[key] for key in kept},
            "env_kwargs": kwargs,
            "budget_minutes": self.budget,
            **limit,
        }


def default_ids() -> list[str]:
    """Ids that have a corpus of their own and consist of one task.

    Those that write are left out: they learn little within minutes, and hardly anything without a
    warm start.
    """
    named = [i for i in task_ids() if i.count("-") > 1 and gym.spec(i).kwargs.get("dataset")]
    return [i for i in named if not task_class(i).writes]
