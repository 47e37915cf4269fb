"""The end of a training run: one sample of its own dev split, with its gold and what is decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from nlp_gym.data.readers.report.sample_lines import sample_lines
from nlp_gym.inert import one_line, shown
from nlp_gym.tasks.core.make import task_class
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample
from nlp_gym_agents.models.trained import TrainedModel, load_trained

_WORDS = (4, 30)
"""Fewest and most words of a text that is read at a glance."""
_LOOKED_AT = 500
"""Samples among which one is looked for."""
_WIDTH = 110
_MOST = 4


def print_example(
    run: str | Path,
    console: Console,
    *,
    device: str = "auto",
    trust: Sequence[str] | str = (),
) -> None:
    """Show what a trained agent decides on one sample of its dev split.

    Args:
        run: A finished run.
        console: Where it is printed.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        trust: Modules that the run's settings may have imported; see `load_trained`.

    Raises:
        RunError: The run cannot be loaded.
    """
    agent = load_trained(run, device=device, trust=trust)
    for line in example_lines(agent, agent.task("dev")):
        console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)


def example_lines(agent: TrainedModel, task: Task) -> list[str]:
    """One sample with its gold and what an agent decides, in a few short lines of inert text.

    Args:
        agent: The agent.
        task: One of its, on any corpus.
    """
    row = _readable(task)
    (output,) = agent.outputs(task, rows=[row])
    sample, record = task.sample(row), task.record(row, output)
    # A mixture says which of its tasks a sample is for.
    family = task_class(record["task"]).family if task.is_mixture else task.family
    return [
        f"an example with its gold, {one_line(task.title(row))}:",
        *(f"  {line}" for line in sample_lines(sample, family)),
        "what the agent decides on it:",
        *(f"  {line}" for line in _decided(sample, record, family)),
    ]


def _readable(task: Task) -> int:
    """The first sample with gold that says something, in a text of a few words; else the first."""
    shortest, longest = _WORDS
    for row, sample in enumerate(task.corpus.samples[:_LOOKED_AT]):
        says = sample.labels is None or bool({*sample.labels} - {"O"})
        if says and shortest <= len(sample.words) <= longest:
            return row
    return 0


def _decided(sample: Sample, record: Mapping[str, Any], family: str) -> list[str]:
    """A record as `sample_lines` would show it, were it the gold."""
    for key, lines in _FIELDS.items():
        if key in record:
            return [_cut(line) for line in lines(sample, record, family)]
    return [_cut(shown(dict(record)))]


def _cut(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."


def _labels(sample: Sample, record: Mapping[str, Any], family: str) -> list[str]:
    return sample_lines(replace(sample, labels=tuple(record["labels"])), family)


def _label(sample: Sample, record: Mapping[str, Any], family: str) -> list[str]:
    return sample_lines(replace(sample, labels=(record["label"],)), family)


def _relations(sample: Sample, record: Mapping[str, Any], family: str) -> list[str]:
    words = record["words"]
    found = [
        " -> ".join(" ".join(words[first:end]) for first, end in (item["head"], item["tail"]))
        + f": {item['label']}"
        for item in record["relations"]
    ]
    return ["; ".join(found) or "no relation"]


def _answers(sample: Sample, record: Mapping[str, Any], family: str) -> list[str]:
    best = [str(answer["entity"]) for answer in record["answers"][:_MOST]]
    more = f", ... ({len(record['answers'])})" if len(record["answers"]) > _MOST else ""
    return [", ".join(best) + more or "no answer"]


def _turns(sample: Sample, record: Mapping[str, Any], family: str) -> list[str]:
    return [
        f"user: {shown(turn['user'])} -> {', '.join(turn['acts']) or '(no act)'}"
        for turn in record["turns"][:2]
    ]


def _said(sample: Sample, record: Mapping[str, Any], family: str) -> list[str]:
    return [
        f"{turn['act'] or 'user'}: {shown(turn['user'] or turn['system'])}"
        for turn in record["dialogue"][:_MOST]
    ]


def _text_of(key: str) -> Callable[[Sample, Mapping[str, Any], str], list[str]]:
    return lambda sample, record, family: [shown(str(record[key]))]


def _tree(sample: Sample, record: Mapping[str, Any], family: str) -> list[str]:
    labels, heads = tuple(record["relations"]), tuple(record["heads"])
    return sample_lines(replace(sample, labels=labels, gold=heads), family)


_FIELDS: dict[str, Callable[[Sample, Mapping[str, Any], str], list[str]]] = {
    "heads": _tree,
    "labels": _labels,
    "label": _label,
    "relations": _relations,
    "answers": _answers,
    "turns": _turns,
    "dialogue": _said,
    "answer": _text_of("answer"),
    "compression": _text_of("compression"),
    "reply": _text_of("reply"),
    "output": _text_of("output"),
    "summary": _text_of("summary"),
}
"""By the field of a record that holds what was decided: how it is shown."""
