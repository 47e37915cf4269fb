"""The decision processes, one package per family; imports all but the shells and registration.

What a task of your own is written with is importable from here: the six kinds (`LabelText`,
`LabelWords`, `PickOne`, `PickSeveral`, `PointSpan`, `WriteText`), and for tasks that are of no kind
`Task`, `State`, `Played`, `Extra`, `Tables`, `UnitTask`, `LabelTask`, `Score`, `Frame`, `Piece`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlp_gym.metrics.base import Score
    from nlp_gym.render import Frame, Piece
    from nlp_gym.tasks.candidates.selection import PickOne, PickSeveral
    from nlp_gym.tasks.core.kinds import LabelTask, UnitTask
    from nlp_gym.tasks.core.make import make_task, task_class, task_ids
    from nlp_gym.tasks.core.rollout import rollout
    from nlp_gym.tasks.core.tables import Extra, Tables
    from nlp_gym.tasks.core.task import Output, Played, State, Task
    from nlp_gym.tasks.generation.task import WriteText
    from nlp_gym.tasks.labels.label_text import LabelText
    from nlp_gym.tasks.span_qa.task import PointSpan
    from nlp_gym.tasks.tagging.task import LabelWords
    from nlp_gym.types import Corpus, Sample, Units

_PLACES = {
    "Corpus": "nlp_gym.types",
    "Extra": "nlp_gym.tasks.core.tables",
    "Frame": "nlp_gym.render",
    "LabelTask": "nlp_gym.tasks.core.kinds",
    "LabelText": "nlp_gym.tasks.labels.label_text",
    "LabelWords": "nlp_gym.tasks.tagging.task",
    "Output": "nlp_gym.tasks.core.task",
    "PickOne": "nlp_gym.tasks.candidates.selection",
    "PickSeveral": "nlp_gym.tasks.candidates.selection",
    "Piece": "nlp_gym.render",
    "Played": "nlp_gym.tasks.core.task",
    "PointSpan": "nlp_gym.tasks.span_qa.task",
    "Sample": "nlp_gym.types",
    "Score": "nlp_gym.metrics.base",
    "State": "nlp_gym.tasks.core.task",
    "Tables": "nlp_gym.tasks.core.tables",
    "Task": "nlp_gym.tasks.core.task",
    "UnitTask": "nlp_gym.tasks.core.kinds",
    "Units": "nlp_gym.types",
    "WriteText": "nlp_gym.tasks.generation.task",
    "make_task": "nlp_gym.tasks.core.make",
    "rollout": "nlp_gym.tasks.core.rollout",
    "task_class": "nlp_gym.tasks.core.make",
    "task_ids": "nlp_gym.tasks.core.make",
}

__all__ = [
    "Corpus",
    "Extra",
    "Frame",
    "LabelTask",
    "LabelText",
    "LabelWords",
    "Output",
    "PickOne",
    "PickSeveral",
    "Piece",
    "Played",
    "PointSpan",
    "Sample",
    "Score",
    "State",
    "Tables",
    "Task",
    "UnitTask",
    "Units",
    "WriteText",
    "make_task",
    "rollout",
    "task_class",
    "task_ids",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: no family imports another by this package."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
