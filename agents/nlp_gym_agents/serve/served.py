"""A run that is served: its agent, and what of a request the agent decides on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from nlp_gym.data.readers import READERS
from nlp_gym.errors import DataError
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.explain.trace import Trace
from nlp_gym_agents.prediction.agent import Agent, Given
from nlp_gym_agents.prediction.inputs import from_mappings

_FIRST_TEXT = "Ann Lee lives in Rome."


@dataclass(frozen=True, eq=False)
class ServedRun:
    """A loaded run under the name that requests give it.

    Attributes:
        name: Name of its folder; unique among the runs of a server.
        agent: The agent. Only the thread of the models uses it.
        env_kwargs: Arguments in place of those of the run's task.
    """

    name: str
    agent: Agent
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    _tasks: dict[str, Task] = field(default_factory=dict)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What a client may know of the run, as JSON-able fields."""
        return {
            "name": self.name,
            "env": self.agent.trained.env_id,
            "algo": self.agent.trained.settings["algo"],
            "family": self.agent.family,
            "reads_text": self.agent.reads_text,
            "samples": self.sample_form,
        }

    def require_one_task(self) -> None:
        """Raise `InvalidArgumentError` where a task of a mixture has to be named."""
        if not self.is_one_task:
            self.agent.predict([_FIRST_TEXT])

    @property
    def sample_form(self) -> str:
        """Which keys a sample has, in words."""
        return READERS[self.agent.family]["jsonl"].description if self.is_one_task else ""

    @property
    def is_one_task(self) -> bool:
        """Whether it is known which task decides; of a mixture one has to be named."""
        return self.agent.family in READERS

    def corpus_task(self, split: str) -> Task:
        """The task of the run on a split of its corpus, whose texts are read and not encoded."""
        if split not in self._tasks:
            self._tasks[split] = self.agent.trained.task(split, **self.env_kwargs)
        return self._tasks[split]

    def samples(self, rows: Sequence[Mapping[str, Any]], *, gold: bool = False) -> list[Given]:
        """What the rows of a request ask, whose keys are those of the family's JSON Lines.

        Args:
            rows: The rows.
            gold: They have their answers, which are kept.

        Raises:
            InvalidArgumentError: A row cannot be read, or a task of a mixture has to be named.
        """
        self.require_one_task()
        return list(from_mappings(rows, self.agent.family, gold=gold))

    def predict(self, given: Sequence[Given]) -> list[dict[str, Any]]:
        """A record of each, as `nlp-gym predict` writes it."""
        return [result.to_dict() for result in self.agent.predict(given)]

    def explain(self, given: Sequence[Given], **options: Any) -> list[Trace]:
        """A trace of each; options as for `Agent.explain`."""
        return self.agent.explain(list(given), **options)


def load_runs(folders: Sequence[str | Path], **options: Any) -> list[ServedRun]:
    """Load runs, each under the name of its folder; of equal names the later have a number.

    Args:
        folders: Run folders.
        **options: As for `Agent`.

    Raises:
        RunError: A run cannot be loaded.
    """
    found: dict[str, ServedRun] = {}
    for folder in folders:
        agent = Agent(folder, **options)
        base = Path(folder).resolve().name
        name = next(n for n in _numbered(base) if n not in found)
        found[name] = ServedRun(name, agent, options.get("env_kwargs") or {})
        if agent.reads_text:
            agent.predict([_FIRST_TEXT])  # loads the encoder and the policy
    return list(found.values())


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in count(2))


def require_answers(records: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a request of which nothing can be answered.

    An agent raises this error itself, but of all that it is given: here requests are joined.

    Raises:
        DataError: Every record has a problem, and none an answer.
    """
    if records and all("problem" in r and not r.get("answers") for r in records):
        raise DataError(f"no query can be answered: {records[0]['problem']}")
