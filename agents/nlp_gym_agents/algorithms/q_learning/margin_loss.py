"""The loss that lets demonstrated actions be worth more than all others."""

from __future__ import annotations

import torch as th

from nlp_gym_agents.networks.policies.dueling import masked


def margin_loss(
    values: th.Tensor,
    actions: th.Tensor,
    mask: th.Tensor | None,
    *,
    margin: float,
    temperature: float = 0.0,
) -> th.Tensor:
    """Max over a of [Q(s, a) + margin * (a is not a_E)] - Q(s, a_E) (Hester et al. 2018, eq. 5).

    With a temperature T the maximum is T * log of the sum of exp(. / T), softmax-margin (Gimpel and
    Smith 2010). The maximum alone moves one wrong action at a time, and where no action is right
    more often than not it makes all alike; the sum orders them by how often each is right.

    Args:
        values: (B, A) Q.
        actions: (B,) what was demonstrated, a_E.
        mask: (B, A) bool legal actions, the others count for nothing; None: all are.
        margin: By how much a_E should be worth more.
        temperature: 0 for the maximum.

    Returns:
        (B,).
    """
    chosen = actions[:, None]
    own = values.gather(1, chosen)[:, 0]
    if mask is not None:  # gold that is not well-formed can ask for what is masked
        mask = mask.scatter(1, chosen, True)
    raised = masked((values + margin).scatter(1, chosen, own[:, None]), mask)
    if temperature:
        return temperature * th.logsumexp(raised / temperature, dim=1) - own
    return raised.amax(dim=1) - own
