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
from nlp_gym_agents.evaluation.benchmark.table import BASELINES, BC_TIME, Cell

_ALGO = re.compile(r"[^+]+(\+bc(:[1-9]\d*|:run)?)?")
FROM_RUN = "+bc:run"
"""After the name of an algorithm: it starts from the run of the `bc` column with its seed."""
CONSTANT_REWARD = 1.0
"""What every decision earns in the control of constant reward."""
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
        controls: Also measure the controls of `evaluation.benchmark.controls`.
        encoder_mode: Of every training run.
    """

    ids: Sequence[str]
    algos: Sequence[str] = ALGOS
    seeds: Sequence[int] = (0,)
    out: Path = Path("results")
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    n_timesteps: int | None = None
    budget: float = 4.5
    searches: int | None = None
    device: str = "auto"
    controls: bool = False
    encoder_mode: str = "frozen"

    def asked_of(self, cell: Cell) -> TrainConfig:
        """The settings of a cell's training run before they are merged."""
        control = cell.settings.get("control")
        if control is None:
            return self.asked(cell.id, cell.algo, cell.seed)
        if cell.algo == BC_TIME:
            asked = self.asked(cell.id, "bc", cell.seed)
            # The best by dev is kept, so that it may as well use all of its time.
            return asked.with_changes(n_timesteps=control["n_timesteps"], early_stopping=0)
        asked = self.asked(cell.id, control["of"], cell.seed)
        return asked.with_changes(hyperparams={"constant_reward": CONSTANT_REWARD})

    def asked(self, env_id: str, algo: str, seed: int) -> TrainConfig:
        """The settings of a training run before they are merged."""
        name, _, start = algo.partition("+")
        if algo.endswith(FROM_RUN):
            start = str(self.out.absolute() / "runs" / Cell(env_id, "bc", seed, {}).name)
        return TrainConfig(
            env=env_id,
            algo=name,
            seed=seed,
            n_timesteps=self.n_timesteps,
            env_kwargs=self.env_kwargs,
            warm_start=start or None,
            device=self.device,
            encoder_mode=self.encoder_mode,
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
        needy = [algo for algo in self.algos if algo.endswith(FROM_RUN)]
        if "bc" not in self.algos and (needy or self.controls):
            why = f"{needy[0]} starts from its runs" if needy else "--controls compare with it"
            raise InvalidArgumentError(
                f"algos={shown(','.join(self.algos))} lacks bc, and {why}: add bc."
            )
        return [
            Cell(env_id, algo, seed, self.settings_of(env_id, algo, seed))
            for env_id in self.ids
            for algo in (*(a for a in self.algos if a not in needy), *needy)
            for seed in (self.seeds if algo != "majority" else self.seeds[:1])
        ]

    def control_cell(self, algo: str, of: Cell, control: Mapping[str, Any]) -> Cell:
        """A cell of a control.

        Args:
            algo: Its column.
            of: The cell of the agent that it is a control of.
            control: What it needs besides: the length of `bc@time`.
        """
        facts = {"of": of.algo, "of_hash": of.digest, **control}
        bare = Cell(of.id, algo, of.seed, {"control": facts})
        name = "bc" if algo == BC_TIME else of.algo
        settings = self._trained_settings(self.asked_of(bare), of.id, name, of.seed)
        return Cell(of.id, algo, of.seed, {**settings, "control": facts})

    def settings_of(self, env_id: str, algo: str, seed: int) -> dict[str, Any]:
        """What a number depends on; not where the data lies (its hash is in the result)."""
        own = {k: v for k, v in self.env_kwargs.items() if k != "data_dir"}
        limit = self._limit(env_id)
        if algo in BASELINES:
            return {"env_kwargs": own, **(limit if algo in SEARCHED else {})}
        if not _ALGO.fullmatch(algo):
            raise InvalidArgumentError(
                f"algos={shown(algo)} is no algorithm, baseline ({', '.join(BASELINES)}) or "
                "algorithm started from cloning (masked_dqn+bc, or +bc:8 for eight passes, or "
                "+bc:run from the runs of the column bc)."
            )
        name = algo.partition("+")[0]
        if ":" not in name and name not in ALGORITHMS:
            raise UnknownNameError("algos", algo, [*BASELINES, *ALGORITHMS])
        resolve(name)
        return self._trained_settings(self.asked(env_id, algo, seed), env_id, algo, seed)

    def _limit(self, env_id: str) -> dict[str, Any]:
        """The number of samples that are scored, where it is not all of them."""
        drawn = task_class(env_id).ranks_answers and self.searches is not None
        return {"searches": self.searches} if drawn else {}

    def _trained_settings(
        self, asked: TrainConfig, env_id: str, algo: str, seed: int
    ) -> dict[str, Any]:
        """What the number of a training run depends on."""
        config = merge(asked).as_dict()
        if algo.endswith(FROM_RUN):  # the folder's place is no setting, what is in it is
            bc = Cell(env_id, "bc", seed, self.settings_of(env_id, "bc", seed))
            config["warm_start"] = f"bc:run:{bc.digest}"
        mode = {} if self.encoder_mode == "frozen" else {"encoder_mode": self.encoder_mode}
        kwargs = {k: v for k, v in config["env_kwargs"].items() if k != "data_dir"}
        kept = ("n_timesteps", "n_envs", "hyperparams", "warm_start", "early_stopping")
        return {
            **{key: config[key] for key in kept},
            "env_kwargs": kwargs,
            "budget_minutes": self.budget,
            **self._limit(env_id),
            **mode,
        }


def default_ids() -> list[str]:
    """Ids that have a corpus of their own and consist of one task.

    Those that write are left out: they learn little within minutes, and hardly anything without a
    warm start.
    """
    named = [i for i in task_ids() if i.count("-") > 1 and gym.spec(i).kwargs.get("dataset")]
    return [i for i in named if not task_class(i).writes]
