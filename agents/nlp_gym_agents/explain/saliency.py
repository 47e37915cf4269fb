"""Relevance of words for the choices of a trace, by the method that suits the agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nlp_gym.checks import check_name
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample
from nlp_gym_agents.explain.decisions import Player
from nlp_gym_agents.explain.gradients import attribute, can_differentiate, check_differentiable
from nlp_gym_agents.explain.occlusion import Opened, occlude, refusal, with_relevance
from nlp_gym_agents.explain.trace import Trace

MOST_GRADIENTS = 2500
"""Words times decisions of a text up to which ``"auto"`` integrates gradients: some ten seconds."""
METHODS = ("auto", "occlusion", "gradient", "integrated gradients")
"""Ways to find relevance."""


def check_method(relevance: str | None) -> None:
    """Raise `UnknownNameError` unless `relevance` is None or one of `METHODS`."""
    if relevance is not None:
        check_name("relevance", relevance, METHODS)


def relevant(
    opened: Opened, samples: Sequence[Sample], traces: Sequence[Trace], method: str
) -> list[Trace]:
    """Traces with the relevance of their words.

    Args:
        opened: Opens the agent's task on samples.
        samples: What the traces are of.
        traces: One per sample.
        method: One of `METHODS`; ``"auto"``: integrated gradients where the encoder learned, the
            policy is not recurrent and no text is long (`MOST_GRADIENTS`), else occlusion.

    Raises:
        InvalidArgumentError: Gradients do not reach the words of this agent.
    """
    plain = [sample.unannotated() for sample in samples]
    if method == "occlusion" or not samples:
        return occlude(opened, plain, traces)
    with opened(plain) as (player, task):
        gradients = can_differentiate(player)
        if method != "auto":
            check_differentiable(player, method)
        else:
            sizes = [len(trace.words) * len(trace.decisions) for trace in traces]
            gradients = gradients and max(sizes) <= MOST_GRADIENTS
            method = "integrated gradients"
        if gradients:
            return [_by_gradients(player, task, k, trace, method) for k, trace in enumerate(traces)]
    return occlude(opened, plain, traces)


def _by_gradients(player: Player, task: Task, row: int, trace: Trace, method: str) -> Trace:
    reason = refusal(trace)
    if reason:
        return replace(trace, notes=(*trace.notes, reason))
    if not trace.decisions:
        return trace
    integrated = method == "integrated gradients"
    given = attribute(player, task, row, trace, integrated=integrated)
    return with_relevance(trace, given.by_word, method)
