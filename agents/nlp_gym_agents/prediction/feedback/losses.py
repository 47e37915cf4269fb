"""What is minimised on corrections, on ratings, and on states in which nothing should change.

Notation: a text has decisions t with states s_t and actions a_t, which the policy pi_0 that made
them gave the probabilities pi_0(a_t | s_t); r in [0, 1] is what a person held the whole worth; pi
is the policy that learns.
"""

from __future__ import annotations

import torch as th

OBJECTIVES = ("ips", "likelihood")
_SURE = 1e-4


def own(log_probs: th.Tensor, actions: th.Tensor) -> th.Tensor:
    """(m,) log-probabilities of the actions (m,), from (m, A) of all."""
    return log_probs.gather(1, actions[:, None])[:, 0]


def correction_loss(chosen: th.Tensor) -> th.Tensor:
    """Cross-entropy: the negative mean of (m,) log-probabilities of the right actions."""
    return -chosen.mean()


def rating_loss(
    chosen: th.Tensor,
    logged: th.Tensor,
    texts: th.Tensor,
    rewards: th.Tensor,
    *,
    objective: str = "ips",
    baseline: float = 0.5,
    clip: float = 10.0,
) -> th.Tensor:
    """The loss of decisions of which only the worth of the whole is known.

    ``"ips"``: the policy gradient with clipped importance weights (Swaminathan and Joachims 2015,
    "Batch learning from logged bandit feedback through counterfactual risk minimization"; the
    baseline is the constant case of the reward model of Dudik et al. 2011, "Doubly robust policy
    evaluation and learning")::

        - mean over t of min(pi(a_t | s_t) / pi_0(a_t | s_t), clip) (r - baseline) log pi(a_t | s_t)

    where the weight has no gradient. Each decision has a weight of its own: the product over a
    text would be all or nothing after a few words. Where pi has given a rejected action up, its
    weight is near 0, so that it is not pushed down without end.

    ``"likelihood"``: r is how likely the whole was right, which the policy holds with probability
    P = prod_t pi(a_t | s_t); the loss is the cross-entropy of the two, - r log P - (1 - r) log(1 -
    P) (for r = 0 the unlikelihood of Welleck et al. 2020). It needs no weights: what made the
    decisions does not matter to whether they are right.

    Args:
        chosen: (m,) log pi of the actions.
        logged: (m,) log pi_0 of them.
        texts: (m,) the text of each decision, numbered from 0.
        rewards: (n,) r of each text.
        objective: One of `OBJECTIVES`.
        baseline: See above.
        clip: The largest weight.
    """
    if objective == "ips":
        weights = (chosen.detach() - logged).exp().clamp(max=clip)
        return -(weights * (rewards[texts] - baseline) * chosen).mean()
    whole = th.zeros_like(rewards).index_add(0, texts, chosen)  # (n,) log P
    right = whole.exp().clamp(max=1.0 - _SURE)
    return -(rewards * whole + (1.0 - rewards) * th.log1p(-right)).mean()


def change(before: th.Tensor, after: th.Tensor, mask: th.Tensor) -> th.Tensor:
    """The mean divergence KL(before || after), in nats, of (m, A) log-probabilities.

    Args:
        before: Of the policy as it was.
        after: Of the policy that learns.
        mask: (m, A) legal actions.
    """
    old, new = (x.masked_fill(~mask, 0.0) for x in (before, after))
    share = before.exp().masked_fill(~mask, 0.0)
    return (share * (old - new)).sum(dim=1).mean()
