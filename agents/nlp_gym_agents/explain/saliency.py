"""Relevance of words for the choices of a trace, by the method that suits the agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nlp_gym.checks import check_name
from nlp_gym.types import Sample
from nlp_gym_agents.explain.gradients import attribute, can_differentiate, check_differentiable
from nlp_gym_agents.explain.occlusion import Opened, occlude, refusal, with_relevance
from nlp_gym_agents.explain.trace import Trace

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
        method: One of `METHODS`; ``"auto"``: integrated gradients where the encoder learned and the
            policy is not recurrent, else occlusion.

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
        elif gradients:
            method = "integrated gradients"
        if gradients:
            found = []
            for row, trace in enumerate(traces):
                reason = refusal(trace)
                if reason:
                    trace = replace(trace, notes=(*trace.notes, reason))
                elif trace.decisions:
                    integrated = method == "integrated gradients"
                    given = attribute(player, task, row, trace, integrated=integrated)
                    trace = with_relevance(trace, given.by_word, method)
                found.append(trace)
            return found
    return occlude(opened, plain, traces)
