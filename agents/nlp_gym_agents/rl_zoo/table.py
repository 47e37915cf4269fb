"""Sections of ``hyperparams/<algo>.yml`` as RL Zoo's trainer takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.make import is_task_id, task_class, task_ids
from nlp_gym_agents.config.hyperparams import Params, build_arguments, load_hyperparams
from nlp_gym_agents.config.validation import RUN_KEYS, SCHEDULES

DEFAULT = "default"
"""RL Zoo's name of the section for ids that have none."""

_OURS = frozenset(RUN_KEYS) - {"n_envs", "n_timesteps", "policy", "env_kwargs"}
"""Sections of runs of `nlp-gym train`, which RL Zoo does not know."""

_MOST_STORED = 20_000
"""Decisions in a replay buffer: here each is stored with its vectors, twice, and not as an index.
With the default encoder's 3,456 numbers of `NER-CoNLL-v0` that is 0.55 GB."""


class ZooTable(Mapping[str, Params]):
    """The hyperparameters of one algorithm by environment id.

    A section is plain data, apart from the optimizer's class. Its policy is one of
    `nlp_gym_agents.rl_zoo.policies`, which brings the features extractor.

    Args:
        algo: Whose file: a name of `nlp_gym_agents.algorithms.registry.ALGORITHMS`, or
            ``"package.module:Class"``.
        policy: Name of the class in `nlp_gym_agents.rl_zoo.policies`.
    """

    def __init__(self, algo: str, policy: str) -> None:
        self.algo, self.policy = algo, policy

    def __iter__(self) -> Iterator[str]:
        """Names of sections: every registered id of a task, and `DEFAULT`."""
        return iter((*task_ids(), DEFAULT))

    def __len__(self) -> int:
        return len(task_ids()) + 1

    def __getitem__(self, env_id: str) -> Params:
        """A fresh section, which RL Zoo changes.

        Raises:
            KeyError: No such id.
            InvalidArgumentError: The task writes texts.
        """
        if env_id != DEFAULT and not is_task_id(env_id):
            raise KeyError(env_id)
        if env_id != DEFAULT and task_class(env_id).writes:
            raise InvalidArgumentError(
                f"env={shown(env_id)}: agents that write texts read `index` observations, whose "
                "corpus RL Zoo cannot save with the model. Use `nlp-gym train` for this id."
            )
        params = load_hyperparams(self.algo, env_id)
        section = {
            key: value
            for key, value in params.items()
            if key not in _OURS and not (key in SCHEDULES and value is None)
        }
        if "buffer_size" in section:
            section["buffer_size"] = min(section["buffer_size"], _MOST_STORED)
        section["policy"] = f"nlp_gym_agents.rl_zoo.policies.{self.policy}"
        policy_kwargs: dict[str, Any] = build_arguments(params)["policy_kwargs"]
        return {**section, "policy_kwargs": policy_kwargs}
