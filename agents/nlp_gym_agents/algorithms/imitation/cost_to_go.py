"""Cost to go: what each action is worth if an oracle, or the learner, goes on after it.

Worth is reward here, and a cost is what an action loses beside the best one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from torch.nn import functional as F

from nlp_gym.tasks.core.task import Task
from nlp_gym.types import BoolArray, Float64Array, Int64Array
from nlp_gym_agents.algorithms.imitation.roll_in import completed
from nlp_gym_agents.networks.policies.dueling import masked

_MOST = 2**15
"""Branches that are completed side by side."""

Policy = Callable[[Any], Int64Array]
"""From a state of B episodes to (B,) actions."""


def action_values(
    task: Task, state: Any, tried: Int64Array, *, gamma: float, roll_out: Policy
) -> Float64Array:
    """What actions earn, with all that comes after them.

    Args:
        task: It has gold.
        state: B running episodes, which stay as they are.
        tried: (B, K) actions; an illegal one is tried as its repair, and pays for it.
        gamma: Discount. With 0 nothing is completed: the rewards of the actions are all there is.
        roll_out: Completes each branch.

    Returns:
        (B, K) discounted sums of rewards.
    """
    values = np.empty(tried.shape)
    block = max(1, _MOST // max(tried.shape[1], 1))
    for first in range(0, len(tried), block):
        here = np.arange(first, min(first + block, len(tried)))
        after = task.branch(state.take(here), tried[here])
        found = after.rewards.copy()
        going = ~after.ended.reshape(-1)
        if gamma and going.any():
            later = completed(task, after.state.take(going), gamma, roll_out)
            found.reshape(-1)[going] += gamma * later
        values[here] = found
    return values


def tried_actions(
    scores: npt.NDArray[np.float32], labels: Int64Array, most: int
) -> tuple[Int64Array, BoolArray]:
    """Which actions of B states are worth branching on.

    Args:
        scores: (B, A) what the learner holds of each action; minus infinity where it is illegal.
        labels: (B,) the oracle's actions.
        most: All A where these are no more than `most`; else the `most` that score highest, the
            oracle's in place of the last where it is not among them.

    Returns:
        (B, K) actions, and (B, K) whether a place is used: its action is legal, or the oracle's.
    """
    b, n = scores.shape
    if n <= most:
        tried = np.broadcast_to(np.arange(n), (b, n)).copy()
    else:
        tried = np.argpartition(-scores, most - 1, axis=1)[:, :most].astype(np.int64)
        held = np.take_along_axis(scores, tried, axis=1)
        tried = np.take_along_axis(tried, np.argsort(-held, axis=1, kind="stable"), axis=1)
        lacking = ~(tried == labels[:, None]).any(axis=1)
        tried[lacking, -1] = labels[lacking]
    legal = np.isfinite(np.take_along_axis(scores, tried, axis=1))
    return tried, legal | (tried == labels[:, None])


def cost_loss(
    logits: th.Tensor,
    tried: th.Tensor,
    values: th.Tensor,
    mask: th.Tensor | None,
    *,
    kind: str,
    scale: float,
) -> tuple[th.Tensor, th.Tensor]:
    """Loss of a policy at states where values of actions are known, and how often it is right.

    Actions that were not tried count as the worst of those that were.

    Args:
        logits: (B, A).
        tried: (B, K) actions.
        values: (B, K) their values; minus infinity at places that are not used.
        mask: (B, A) legal actions, over which the policy is normalised; None: over all.
        kind: ``"expected"``: the expected cost under the policy (Sun et al. 2017);
            ``"cost_sensitive"``: the softmax-margin loss, a cross-entropy at the best action in
            which costly others are held higher than they are (Gimpel and Smith 2010).
        scale: Costs are multiplied by it.

    Returns:
        The mean loss, and the share of states in which the best action scores highest.
    """
    used = values.isfinite()
    worst = values.masked_fill(~used, th.inf).amin(dim=1, keepdim=True)
    gains = (values - worst).masked_fill(~used, 0.0) * scale  # (B, K)
    # Where all are worth the same, the best is one of those that are used all the same.
    best = gains.masked_fill(~used, -1.0).argmax(dim=1, keepdim=True)
    most = gains.gather(1, best)[:, 0]
    chosen = tried.gather(1, best)
    if mask is not None:
        mask = mask.scatter(1, chosen, True)
    scores = masked(logits, mask)
    earned = th.zeros_like(scores).scatter_reduce(1, tried, gains, "amax")
    right = (earned.gather(1, scores.argmax(dim=1)[:, None])[:, 0] >= most).float().mean()
    if kind == "expected":
        loss = most - (F.softmax(scores, dim=1) * earned).sum(dim=1)
    else:
        held = scores + (most[:, None] - earned)
        loss = held.logsumexp(dim=1) - scores.gather(1, chosen)[:, 0]
    return loss.mean(), right
