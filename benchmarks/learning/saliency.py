"""Whether relevance of words can be trusted: the most relevant words against random ones.

    python benchmarks/learning/saliency.py runs/ner runs/sst2 runs/squad
    python benchmarks/learning/saliency.py runs/ner --texts 50 --words 2

Of each text of dev (drawn with seed 0) one decision is taken: of a tagger one that chose another
label than O, of a reader its last, of a span one of its two, else any. The K words with the highest
relevance are hidden *together*, which no method did before: occlusion hides words one by one, and
gradients hide none. Beside it, K random words that the agent had read are hidden, several times.
Printed is how far the choice's score (log-probability or Q value) falls by each, and the
difference with its 95 % bootstrap interval over texts. A difference above 0 says that relevance
finds words that matter more than others.

A tagger's choice rests on its own word most of all, which any method finds: a second line leaves
that word out of both sets.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nlp_gym.messages import one_line_errors
from nlp_gym.metrics.base import bootstrap_interval
from nlp_gym.types import Float64Array, Sample
from nlp_gym_agents import Agent
from nlp_gym_agents.explain.gradients import attribute, can_differentiate
from nlp_gym_agents.explain.occlusion import hidden_scores
from nlp_gym_agents.explain.trace import Decision, Trace
from nlp_gym_agents.prediction.explained import Explainer

GRADIENTS = ("gradient", "integrated gradients")
RANDOM = 5
"""Random sets of words for each decision."""
MOST_WORDS = 256
"""Longer texts are left out: their words are hidden in blocks."""


@dataclass(frozen=True)
class Effect:
    """How far scores fall over texts.

    Attributes:
        run: Name of the run.
        method: How relevance was found.
        without_own: Whether a tagger's own word was left out.
        relevant: (n,) fall when the most relevant words are hidden.
        random: (n,) mean fall when random words are hidden.
    """

    run: str
    method: str
    without_own: bool
    relevant: Float64Array
    random: Float64Array

    def row(self) -> str:
        """A row of the table."""
        gap = self.relevant - self.random
        counts = np.stack([gap, np.ones_like(gap)], axis=1)
        low, high = bootstrap_interval(counts, lambda sums: sums[:, 0] / sums[:, 1])
        own = ", own word left out" if self.without_own else ""
        means = f"{self.relevant.mean():.3f} | {self.random.mean():.3f} | {gap.mean():.3f}"
        interval = f"{low:.3f} to {high:.3f}"
        return f"| {self.run} | {self.method}{own} | {len(gap)} | {means} | {interval} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--texts", type=int, default=100, help="texts of dev")
    parser.add_argument("--words", type=int, default=3, help="words that are hidden together")
    options = parser.parse_args()
    print("| run | relevance by | texts | most relevant | random | difference | 95 % interval |")
    print("|---|---|---|---|---|---|---|")
    for run in options.runs:
        for effect in effects(run, options.texts, options.words):
            print(effect.row(), flush=True)


def effects(run: Path, n: int, k: int) -> Iterator[Effect]:
    """The effects of every method that suits a run."""
    agent = Agent(run)
    explainer = Explainer(agent.trained, agent._inputs, 1.0, False, 10, None)
    rng = np.random.default_rng(0)
    samples = drawn(agent, n, k, rng)
    with explainer.opened(samples[:1]) as (player, _):
        methods = ("occlusion", *(GRADIENTS if can_differentiate(player) else ()))
    traces = agent.explain(samples, relevance="occlusion")
    picks = [picked(trace, np.random.default_rng([1, i])) for i, trace in enumerate(traces)]
    for method in methods:
        relevance = relevances(explainer, samples, traces, picks, method)
        for without_own in (False, True) if agent.tags else (False,):
            fall = falls(explainer, samples, traces, picks, relevance, k, without_own=without_own)
            yield Effect(run.name, method, without_own, *fall)


def drawn(agent: Agent, n: int, k: int, rng: np.random.Generator) -> list[Sample]:
    """Texts of dev that are neither very short nor very long."""
    found = agent.trained.task("dev").corpus.samples
    fitting = [i for i, s in enumerate(found) if 2 * k < len(s.words) <= MOST_WORDS]
    chosen = rng.choice(fitting, size=min(n, len(fitting)), replace=False)
    return [found[i].unannotated() for i in chosen.tolist()]


def picked(trace: Trace, rng: np.random.Generator) -> int:
    """One decision of a trace."""
    places = range(len(trace.decisions))
    if trace.view == "reading":
        return len(places) - 1
    telling = [i for i in places if trace.decisions[i].choice.name != "O"]
    return int(rng.choice(telling or list(places)))


def relevances(
    explainer: Explainer,
    samples: list[Sample],
    traces: Sequence[Trace],
    picks: Sequence[int],
    method: str,
) -> list[Sequence[float]]:
    """The relevance of each text's words for the decision that was picked."""
    if method == "occlusion":
        return [trace.decisions[pick].relevance for trace, pick in zip(traces, picks, strict=True)]
    how = {"integrated": method == "integrated gradients"}
    with explainer.opened(samples) as (player, task):
        return [
            attribute(player, task, row, trace, only=[pick], **how).by_word[0].tolist()
            for row, (trace, pick) in enumerate(zip(traces, picks, strict=True))
        ]


def falls(
    explainer: Explainer,
    samples: Sequence[Sample],
    traces: Sequence[Trace],
    picks: Sequence[int],
    relevance: Sequence[Sequence[float]],
    k: int,
    *,
    without_own: bool,
) -> tuple[Float64Array, Float64Array]:
    """(n,) falls of scores when the most relevant words of a text are hidden, and random ones."""
    hidden = []
    for i, (trace, pick, own) in enumerate(zip(traces, picks, relevance, strict=True)):
        words = readable(trace, trace.decisions[pick], without_own=without_own)
        order = sorted(words, key=own.__getitem__, reverse=True)
        rng = np.random.default_rng([2, i])
        chance = [rng.choice(words, size=k, replace=False).tolist() for _ in range(RANDOM)]
        hidden.append([[], order[:k], *chance])
    relevant, random = [], []
    scores = hidden_scores(explainer.opened, samples, traces, hidden)
    for (plain, lower, *others), pick in zip(scores, picks, strict=True):
        relevant.append(plain[pick] - lower[pick])
        random.append(np.mean([plain[pick] - other[pick] for other in others]))
    return np.array(relevant), np.array(random)


def readable(trace: Trace, decision: Decision, *, without_own: bool) -> list[int]:
    """The words that the agent had read at a decision."""
    stop = len(trace.words)
    if trace.view == "reading" and decision.span is not None:
        stop = decision.span[1]
    return [w for w in range(stop) if not (without_own and w == decision.place)]


if __name__ == "__main__":
    with one_line_errors():
        main()
