"""Traces of texts and samples: their sentences are played, and put together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from nlp_gym.checks import check_bool, check_int
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.explain.decisions import MOST_OPTIONS, Player, trace_rows
from nlp_gym_agents.explain.saliency import check_method, relevant
from nlp_gym_agents.explain.trace import Decision, Trace
from nlp_gym_agents.models.trained import TrainedModel
from nlp_gym_agents.prediction.inputs import Input
from nlp_gym_agents.prediction.task_choice import TaskInputs


@dataclass(frozen=True)
class Explainer:
    """Explains the decisions of an agent.

    Attributes:
        trained: The agent's policy.
        inputs: The task that reads what is given.
        temperature: Probabilities are at this one.
        gold: See `Agent.explain`.
        top: Likewise.
        relevance: Likewise.
    """

    trained: TrainedModel
    inputs: TaskInputs
    temperature: float
    gold: bool
    top: int
    relevance: str | None

    def check(self) -> None:
        """Check what was asked for.

        Raises:
            InvalidArgumentError: `top` is out of range.
            UnknownNameError: There is no such `relevance`.
        """
        check_bool("gold", self.gold)
        check_int("top", self.top, 1, MOST_OPTIONS)
        check_method(self.relevance)

    def explain(self, items: Sequence[Input | Sample]) -> list[Trace]:
        """One trace of each text or sample, without its output."""
        parts = [self._parts(item) for item in items]
        found = iter(self._traces([sample for own in parts for sample in own]))
        pieces = [[next(found) for _ in own] for own in parts]
        return [joined(own) if own else self._blank() for own in pieces]

    def _parts(self, item: Input | Sample) -> list[Sample]:
        """What is played of a text: its sentences one by one where words are labelled."""
        if isinstance(item, Sample):
            return [item] if item.words else []
        if not self.inputs.task.labels_words:
            return [Sample(tuple(word for word, _, _ in item.words))] if item.words else []
        return [Sample(tuple(word for word, _, _ in sentence)) for sentence in item.sentences]

    def _traces(self, samples: Sequence[Sample]) -> list[Trace]:
        """One trace per sample; those with gold are played together, and so are the others."""
        found: dict[int, Trace] = {}
        for annotated in (False, True):
            places = [k for k, s in enumerate(samples) if (self.gold and s.annotated) == annotated]
            own = [samples[k] if annotated else samples[k].unannotated() for k in places]
            found.update(zip(places, self._play(own) if own else (), strict=True))
        return [found[k] for k in range(len(samples))]

    def _play(self, samples: list[Sample]) -> list[Trace]:
        with self.opened(samples) as (player, task):
            traces = trace_rows(player, task, top=self.top)
        if self.relevance is None:
            return traces
        return relevant(self.opened, samples, traces, self.relevance)

    @contextmanager
    def opened(self, samples: list[Sample]) -> Iterator[tuple[Player, Task]]:
        """For the block, the agent reads samples; gives it and the task on them."""
        task = self.trained.task("test", **self.inputs.arguments(samples)).settled()
        with self.trained.reading(task, cache=False) as model:
            yield self._player(model), task

    def _player(self, model: Any) -> Player:
        settings = self.trained.settings
        return Player(
            model,
            masked=resolve(settings["algo"]).masked,
            obs_type=settings["obs_type"],
            env_id=self.inputs.part or self.trained.env_id,
            algo=settings["algo"],
            temperature=self.temperature,
        )

    def _blank(self) -> Trace:
        """The trace of a text without a word, in which nothing is decided."""
        return Trace(
            env_id=self.inputs.part or self.trained.env_id,
            algo=self.trained.settings["algo"],
            view=self.inputs.task.trace_view,
            scores="none",
            words=(),
            decisions=(),
            output={},
            notes=("The text has no word: nothing is decided.",),
        )


def joined(traces: Sequence[Trace]) -> Trace:
    """One trace of the sentences of a text, in order.

    Args:
        traces: At least one; their places count their own words.

    Returns:
        A trace whose places count the words of all. Relevance is 0 for words of other sentences,
        which are not read together. It has a score only where there is one sentence.
    """
    first = traces[0]
    if len(traces) == 1:
        return first
    words = tuple(word for trace in traces for word in trace.words)
    decisions: list[Decision] = []
    before = 0
    for trace in traces:
        after = len(words) - before - len(trace.words)
        decisions += [_moved(decision, before, after) for decision in trace.decisions]
        before += len(trace.words)
    return replace(
        first,
        words=words,
        decisions=tuple(decisions),
        output={},
        score=None,
        metric="",
        relevance=next((t.relevance for t in traces if t.relevance != "none"), "none"),
        notes=tuple(dict.fromkeys(note for trace in traces for note in trace.notes)),
    )


def _moved(decision: Decision, before: int, after: int) -> Decision:
    """The decision in a text with words before and after those it counts."""
    if not before and not after:
        return decision
    given, span = decision.relevance, decision.span
    return replace(
        decision,
        place=None if decision.place is None else decision.place + before,
        span=None if span is None else (span[0] + before, span[1] + before),
        relevance=(*[0.0] * before, *given, *[0.0] * after) if given else (),
    )
