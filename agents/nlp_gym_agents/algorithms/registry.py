"""The table of algorithms: one row per name. Entries are strings: listing imports nothing heavy."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

PolicyKind = Literal["q", "actor_critic", "supervised", "other"]
Information = Literal[
    "bandit", "full information", "oracle", "bandit + oracle", "full information + oracle"
]
"""What an algorithm learns from: rewards of what it did, rewards of every action, or the oracle."""


@dataclass(frozen=True)
class AlgorithmRow:
    """One algorithm.

    Attributes:
        name: As given to `--algo`.
        entry: ``"module:Class"``.
        policy_kind: What its policy scores: values (`q`), logits beside a value (`actor_critic`),
            logits learned from the oracle (`supervised`); `other` for what cannot be told.
        masked: Whether it acts on masks; evaluation then masks too.
        doc: One line for people.
        information: What it learns from; see `information_of` for what options change.
    """

    name: str
    entry: str
    policy_kind: PolicyKind
    masked: bool
    doc: str
    information: Information = "bandit"

    @cached_property
    def cls(self) -> type[BaseAlgorithm]:
        """The class, imported on first use."""
        return _import(self.entry)


_ROWS = (
    AlgorithmRow("a2c", "stable_baselines3:A2C", "actor_critic", False, "Advantage actor-critic."),
    AlgorithmRow(
        "aggrevate",
        "nlp_gym_agents.algorithms.imitation.aggrevate:AggreVaTe",
        "supervised",
        True,
        "Expected cost of all actions, completed by the oracle.",
        information="full information + oracle",
    ),
    AlgorithmRow(
        "bc",
        "nlp_gym_agents.algorithms.imitation.bc:BC",
        "supervised",
        True,
        "Cross-entropy on the oracle.",
        information="oracle",
    ),
    AlgorithmRow(
        "dagger",
        "nlp_gym_agents.algorithms.imitation.dagger:DAgger",
        "supervised",
        True,
        "Cross-entropy on the oracle, at states that the learner comes to.",
        information="oracle",
    ),
    AlgorithmRow("dqn", "stable_baselines3:DQN", "q", False, "Deep Q-network."),
    AlgorithmRow(
        "expected_pg",
        "nlp_gym_agents.algorithms.policy_gradient.expected_pg:ExpectedPG",
        "actor_critic",
        True,
        "Policy gradient with the value of every action.",
        information="full information",
    ),
    AlgorithmRow(
        "maskable_ppo", "sb3_contrib:MaskablePPO", "actor_critic", True, "PPO over legal actions."
    ),
    AlgorithmRow(
        "masked_dqn",
        "nlp_gym_agents.algorithms.q_learning.masked_dqn:MaskedDQN",
        "q",
        True,
        "Double, dueling DQN over legal actions.",
    ),
    AlgorithmRow(
        "ppo", "stable_baselines3:PPO", "actor_critic", False, "Proximal policy optimisation."
    ),
    AlgorithmRow("qrdqn", "sb3_contrib:QRDQN", "q", False, "Quantile regression DQN."),
    AlgorithmRow(
        "rloo",
        "nlp_gym_agents.algorithms.policy_gradient.rloo:RLOO",
        "actor_critic",
        True,
        "REINFORCE, samples of one text as baseline.",
    ),
    AlgorithmRow(
        "recurrent_ppo", "sb3_contrib:RecurrentPPO", "actor_critic", False, "PPO with an LSTM."
    ),
)

ALGORITHMS: dict[str, AlgorithmRow] = {row.name: row for row in _ROWS}
"""Rows by name."""


FULL_INFORMATION_OPTIONS = ("full_targets",)
"""Hyperparameters that make an algorithm learn from the rewards of every action, where true."""
ORACLE_OPTIONS = ("demonstrations",)
"""Hyperparameters that let an algorithm see what the oracle does as well, where above 0."""


def information_of(row: AlgorithmRow, hyperparams: Mapping[str, Any]) -> Information:
    """What a run learns from.

    Args:
        row: Its algorithm.
        hyperparams: Its own.
    """
    full = any(hyperparams.get(name) for name in FULL_INFORMATION_OPTIONS)
    if row.information != "oracle" and any(hyperparams.get(name) for name in ORACLE_OPTIONS):
        full = full or row.information.startswith("full information")
        return "full information + oracle" if full else "bandit + oracle"
    return "full information" if full and row.information == "bandit" else row.information


NO_REWARD = "no reward"
"""Stands for ``"bandit"`` and ``"full information"`` where the reward never changes."""
START = ", start: "
"""Between what a run learned from and what the weights that it began with had learned from."""


def information_of_run(
    row: AlgorithmRow, hyperparams: Mapping[str, Any], *, start: str | None = None
) -> str:
    """What a run learned from, its start included, as all tables and reports have it.

    Args:
        row: Its algorithm.
        hyperparams: Its own, those of the training command (``constant_reward``) among them.
        start: What the weights that it began with had learned from, as this function says it of
            their run (``"oracle"`` for cloned ones); None: it began with fresh weights.
    """
    found: str = information_of(row, hyperparams)
    if hyperparams.get("constant_reward") is not None:
        # An oracle is followed whatever the reward is.
        found = " + ".join([NO_REWARD, *(["oracle"] if "oracle" in found else [])])
    if start is None:
        return found
    earlier = dict.fromkeys(part for one in start.split(START) for part in one.split(" + "))
    return f"{found}{START}{' + '.join(earlier)}"


def resolve(name: str) -> AlgorithmRow:
    """The row of a known name, or one made for ``"package.module:Class"``.

    Args:
        name: What `--algo` was given.

    Raises:
        UnknownNameError: Neither a known name nor of the form ``"package.module:Class"``.
        InvalidArgumentError: The class cannot be imported, or is no algorithm.
    """
    if isinstance(name, str) and name in ALGORITHMS:
        return ALGORITHMS[name]
    if not isinstance(name, str) or ":" not in name:
        raise UnknownNameError(
            "algo", name, ALGORITHMS, hint="Any other algorithm is given as 'package.module:Class'."
        )
    cls = _import(name)
    missing = [part for part in ("learn", "predict") if not hasattr(cls, part)]
    if not inspect.isclass(cls) or missing:
        raise InvalidArgumentError(
            f"algo={shown(name)} is no algorithm class (missing: "
            f"{', '.join(missing) or 'a class'}); it needs the interface of stable_baselines3's "
            "BaseAlgorithm."
        )
    predict: Any = vars(cls).get("predict") or getattr(cls, "predict")  # noqa: B009
    takes_masks = "action_masks" in inspect.signature(predict).parameters
    doc = (inspect.getdoc(cls) or "").partition("\n")[0]
    return AlgorithmRow(
        name, name, _policy_kind(cls), takes_masks or _masked_base(cls), doc, _information(cls)
    )


def _import(entry: str) -> type[BaseAlgorithm]:
    module, _, attribute = entry.partition(":")
    try:
        cls: type[BaseAlgorithm] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidArgumentError(
            f"algo={shown(entry)} cannot be imported ({error}); it has the form "
            "'package.module:Class', importable from where the command runs."
        ) from error
    return cls


def _bases(cls: type[BaseAlgorithm]) -> list[AlgorithmRow]:
    """Rows of the table that a class derives from."""
    return [row for row in _ROWS if issubclass(cls, row.cls)]


def _masked_base(cls: type[BaseAlgorithm]) -> bool:
    return any(row.masked for row in _bases(cls))


def _information(cls: type[BaseAlgorithm]) -> Information:
    """What a class learns from: its attribute ``information``, or what its base has.

    Raises:
        InvalidArgumentError: It says something else than the tables know.
    """
    said = getattr(cls, "information", None)
    if said is None:
        bases = sorted(_bases(cls), key=lambda row: len(row.cls.__mro__))
        return bases[-1].information if bases else "bandit"
    if said not in get_args(Information):
        raise InvalidArgumentError(
            f"algo={shown(cls.__name__)}: its attribute information={shown(said)} is not known. "
            f"Allowed: {', '.join(get_args(Information))}."
        )
    found: Information = said
    return found


def _policy_kind(cls: type[BaseAlgorithm]) -> PolicyKind:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    kinds = [row.policy_kind for row in _bases(cls)]
    if kinds:
        return kinds[0]
    return "actor_critic" if issubclass(cls, OnPolicyAlgorithm) else "other"
