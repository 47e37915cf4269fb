"""Which texts to label next: those of which the agent is least sure.

========================  ==========================================================================
strategy                  score of a decision
========================  ==========================================================================
``entropy``               entropy of the probabilities of its actions, in nats (Settles 2009,
                          "Active learning literature survey", section 3.1)
``margin``                1 less the difference of the two highest (same)
``least_confidence``      1 less the highest (same)
``disagreement``          mutual information of the action and the member of an ensemble: the
                          entropy of their mean less the mean of their entropies, in nats (BALD:
                          Houlsby et al. 2011, "Bayesian active learning for classification and
                          preference learning"; members are checkpoints of a run, as in the snapshot
                          ensembles of Huang et al. 2017, or runs of other seeds)
``random``                none: texts are drawn
========================  ==========================================================================

The decisions are those that the agent makes, greedily; a text has the mean, the sum or the highest
of the scores of its decisions. The sum prefers long texts, the mean short ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.utils import obs_as_tensor

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.progress import progress_bar
from nlp_gym.tasks.core.rollout import finished, play, side_by_side
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.types import BoolArray, Float64Array, Int64Array
from nlp_gym_agents.models.acting import INVERSE_TEMPERATURE, score_kind
from nlp_gym_agents.models.trained import TrainedModel
from nlp_gym_agents.networks.features.swap_source import clear_caches
from nlp_gym_agents.networks.policies.dueling import action_scores, masked
from nlp_gym_agents.runs.files.weights import POLICY, Tensors, read_tensors

STRATEGIES = ("entropy", "margin", "least_confidence", "disagreement", "random")
OVER = ("mean", "sum", "max")
_BATCH = 512
_LEAST = 1e-30


@dataclass(frozen=True, kw_only=True)
class Selected:
    """A text that is proposed to be labelled.

    Attributes:
        rank: From 1, the first to be labelled.
        index: Its place in the input, from 0.
        score: Of the strategy; of ``"random"`` the number that was drawn.
        id: What the file calls it; ``""`` where it is from no file.
        row: It as a row of the family, to which the answer is to be added.
        text: The text, where there is one.
        strategy: The strategy.
    """

    rank: int
    index: int
    score: float
    id: Any = ""
    row: dict[str, Any] = field(default_factory=dict)
    text: str | None = None
    strategy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able fields, as ``nlp-gym select`` writes them."""
        found: dict[str, Any] = {"rank": self.rank, "score": round(self.score, 6)}
        found |= {"strategy": self.strategy, "index": self.index}
        if self.id != "":
            found["id"] = self.id
        if self.text is not None and "text" not in self.row:
            found["text"] = self.text
        return {**found, "row": self.row}


@dataclass(frozen=True)
class Member:
    """The weights of one member of an ensemble.

    Attributes:
        name: Where they are from.
        weights: The state of its policy.
    """

    name: str
    weights: Tensors


def members_of(trained: TrainedModel, others: Sequence[TrainedModel]) -> list[Member]:
    """The different weights among an agent's own and those of others of the same architecture.

    Args:
        trained: The agent.
        others: Checkpoints of its run, or other runs.

    Raises:
        InvalidArgumentError: One has a network of another shape.
    """
    found: list[Member] = []
    for one in (trained, *others):
        weights = read_tensors(one.folder / POLICY, one.settings["aliases"])
        first = found[0].weights if found else weights
        if {k: v.shape for k, v in first.items()} != {k: v.shape for k, v in weights.items()}:
            raise InvalidArgumentError(
                f"ensemble: {one.folder} has a network of another shape than {trained.folder}: "
                "members of an ensemble differ in their weights alone."
            )
        if not any(_same(known.weights, weights) for known in found):
            found.append(Member(str(one.folder), weights))
    return found


def _same(one: Tensors, other: Tensors) -> bool:
    return all(th.equal(one[name], other[name]) for name in one)


def probabilities(policy: Any, obs: Any, mask: BoolArray, scale: float) -> npt.NDArray[np.float32]:
    """(B, A) probabilities of a policy over legal actions, at temperature 1."""
    tensors: Any = obs_as_tensor(obs, policy.device)
    with th.no_grad():
        scores = action_scores(policy, tensors, None)
        assert scores is not None
        legal = th.as_tensor(mask, device=scores.device)
        found: npt.NDArray[np.float32] = (
            th.softmax(masked(scores.float() * scale, legal), dim=1).cpu().numpy()
        )
    return found


def entropy(p: npt.NDArray[np.float32]) -> Float64Array:
    """(B,) entropies in nats of (B, A) probabilities."""
    found: Float64Array = -(p * np.log(p.clip(_LEAST))).sum(axis=1, dtype=np.float64)
    return found.clip(0.0)


def uncertainty(p: npt.NDArray[np.float32], strategy: str) -> Float64Array:
    """(B,) scores of decisions with (B, A) probabilities; see the module."""
    if strategy == "entropy":
        return entropy(p)
    if strategy == "least_confidence" or p.shape[1] == 1:
        return 1.0 - p.max(axis=1).astype(np.float64)
    two = np.partition(p, -2, axis=1)[:, -2:].astype(np.float64)
    return 1.0 - (two[:, 1] - two[:, 0])


def disagreement(each: Sequence[npt.NDArray[np.float32]]) -> Float64Array:
    """(B,) mutual information in nats, from (B, A) probabilities of each member."""
    mean = np.mean(np.stack(each), axis=0)
    return (entropy(mean) - np.mean([entropy(p) for p in each], axis=0)).clip(0.0)


def scores_of(
    trained: TrainedModel,
    task: Task,
    strategy: str,
    over: str,
    *,
    members: Sequence[Member] = (),
    progress: bool = False,
) -> tuple[Float64Array, list[Output]]:
    """The score of every sample of a task, and what is decided on it.

    Args:
        trained: The agent, whose decisions lead from state to state.
        task: The samples.
        strategy: Any of `STRATEGIES` but ``"random"``.
        over: How the scores of the decisions of a sample become one, one of `OVER`.
        members: Of the ensemble, the agent's own weights first, for ``"disagreement"``.
        progress: Show a bar on stderr.

    Returns:
        (N,) scores and N outputs.
    """
    n = len(task.corpus)
    total, highest, steps = np.zeros(n), np.zeros(n), np.zeros(n)
    outputs: list[Output] = [()] * n
    obs_type = trained.settings["obs_type"]
    with trained.reading(task, progress=progress) as model:  # pools are weighed again and again
        policy: Any = model.policy
        policy.set_training_mode(False)
        scale = INVERSE_TEMPERATURE if score_kind(policy) == "values" else 1.0
        seen = list[tuple[Any, BoolArray, Int64Array]]()

        def add(rows: Int64Array, scores: Float64Array) -> None:
            total[rows] += scores
            highest[rows] = np.maximum(highest[rows], scores)
            steps[rows] += 1

        def decide(state: Any, place: Int64Array) -> Int64Array:
            obs, mask = task.views.observe_with_mask(state, obs_type)
            p = probabilities(policy, obs, mask, scale)
            if strategy == "disagreement":
                seen.append((obs, mask, state.row.copy()))
            else:
                add(state.row, uncertainty(p, strategy))
            return p.argmax(axis=1).astype(np.int64)

        with progress_bar(n, "weighing texts", unit="samples", show=progress) as advance:
            for rows in side_by_side(task.lengths, _BATCH):
                for step in play(task, rows, decide):
                    for place, output in finished(task, step):
                        outputs[rows[place]] = output
                    advance(int(step.ended.sum()))
                if seen:
                    for scores, (_, _, where) in zip(
                        _compared(policy, members, seen, scale), seen, strict=True
                    ):
                        add(where, scores)
                    seen.clear()
    if over == "sum":
        return total, outputs
    return (highest if over == "max" else total / np.maximum(steps, 1)), outputs


def _compared(
    policy: Any,
    members: Sequence[Member],
    seen: Sequence[tuple[Any, BoolArray, Int64Array]],
    scale: float,
) -> Iterator[Float64Array]:
    """The disagreement of the members on each batch of states; the policy then is the first one."""
    found: list[list[npt.NDArray[np.float32]]] = [[] for _ in seen]
    for member in members:
        _load(policy, member)
        for each, (obs, mask, _) in zip(found, seen, strict=True):
            each.append(probabilities(policy, obs, mask, scale))
    _load(policy, members[0])
    return map(disagreement, found)


def _load(policy: Any, member: Member) -> None:
    policy.load_state_dict(member.weights)
    clear_caches(policy)


def in_order(scores: Float64Array, budget: int, keys: Sequence[Any]) -> list[int]:
    """The places of the highest scores, ties in the order of the input, each text once.

    Args:
        scores: (N,).
        budget: How many.
        keys: Of each text, equal for equal ones; None: it is not to be chosen.
    """
    chosen, known = list[int](), set[Any]()
    for place in np.argsort(-scores, kind="stable").tolist():
        if len(chosen) == budget:
            break
        if keys[place] is not None and keys[place] not in known:
            known.add(keys[place])
            chosen.append(place)
    return chosen
