"""The table of environments: one row an id. Entry points are strings: listing imports little."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from nlp_gym.errors import InvalidArgumentError, UnknownNameError

if TYPE_CHECKING:
    from nlp_gym.tasks.base import Task

SHELL_ARGUMENTS = ("obs_type", "render_mode", "num_envs", "max_episode_steps", "vectorization_mode")
"""Arguments of the environment shells; everything else belongs to the task."""


@dataclass(frozen=True, slots=True)
class EnvRow:
    """One registered id.

    Attributes:
        id: Gymnasium id, ``Name-Dataset-vN``.
        task: ``"module:Class"`` of the rules.
        dataset: Catalogue name; also where `data=` is absent for the ids made for a user's own
            file.
        kwargs: What else the task is built with.
    """

    id: str
    task: str
    dataset: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)


_TAGGING = "nlp_gym.tasks.sequence_tagging:SequenceTagging"
_TASKS = "nlp_gym.tasks"
_RELATION = "nlp_gym.tasks.relation:Relation"
_CHOICE = "nlp_gym.tasks.choice_qa:ChoiceQA"
_CLASSIFICATION = "nlp_gym.tasks.classification:Classification"
_MULTI_LABEL = "nlp_gym.tasks.multi_label:MultiLabel"
_SUMMARY = "nlp_gym.tasks.summary:Summary"
_SPAN_QA = "nlp_gym.tasks.span_qa:SpanQA"
_GRAPH = "nlp_gym.tasks.knowledge_graph:KnowledgeGraph"
_GENERATION = "nlp_gym.tasks.generation:Generation"
_MULTI30K = {"pair": "en-de", "reward": "metric", "max_source": 48}
_CHARACTERS = {"reward": "metric", "tokens": "character", "tokenize": "zh", "max_length": 48}
_CHINESE = {"pair": "en-zh", **_CHARACTERS}

ENVS: tuple[EnvRow, ...] = (
    EnvRow("NER-CoNLL-v0", _TAGGING, "conll2003", {"scheme": "BIO"}),
    EnvRow("NER-WNUT-v0", _TAGGING, "wnut17", {"scheme": "BIO"}),
    EnvRow("NER-v0", _TAGGING, "conll2003", {"scheme": "BIO"}),
    EnvRow("POS-EWT-v0", _TAGGING, "ud_ewt", {"scheme": "flat"}),
    EnvRow("POS-v0", _TAGGING, "ud_ewt", {"scheme": "flat"}),
    EnvRow("DialoguePolicy-SGD-v0", f"{_TASKS}.dialogue_policy:DialoguePolicy", "sgd"),
    EnvRow("DialoguePolicy-v0", f"{_TASKS}.dialogue_policy:DialoguePolicy", "sgd"),
    EnvRow(
        "Relation-SemEval-v0",
        _RELATION,
        "semeval2010_task8",
        {"none": "Other", "directed": True, "typed": False, "history_length": 0},
    ),
    EnvRow("Relation-CoNLL04-v0", _RELATION, "conll04"),
    EnvRow("Relation-v0", _RELATION, "conll04"),
    EnvRow("ChoiceQA-OpenBookQA-v0", _CHOICE, "openbookqa", {"max_choices": 4}),
    EnvRow("ChoiceQA-ARC-v0", _CHOICE, "arc_easy", {"max_choices": 5}),
    EnvRow("ChoiceQA-QASC-v0", _CHOICE, "qasc", {"max_choices": 8}),
    EnvRow("ChoiceQA-v0", _CHOICE, "openbookqa", {"max_choices": 8}),
    EnvRow("Summary-SciTLDR-v0", _SUMMARY, "scitldr", {"reward": "metric"}),
    EnvRow("Summary-v0", _SUMMARY, "scitldr", {"reward": "metric"}),
    EnvRow("Sentiment-SST2-v0", _CLASSIFICATION, "sst2", {"chunk": 8}),
    EnvRow("Topic-AGNews-v0", _CLASSIFICATION, "ag_news", {"chunk": 24}),
    EnvRow("Question-TREC-v0", _CLASSIFICATION, "trec", {"chunk": 4}),
    EnvRow("Intent-CLINC-v0", _CLASSIFICATION, "clinc150", {"chunk": 4}),
    EnvRow("Classification-v0", _CLASSIFICATION, "sst2"),
    EnvRow("MultiLabel-GoEmotions-v0", _MULTI_LABEL, "goemotions"),
    EnvRow("MultiLabel-v0", _MULTI_LABEL, "goemotions"),
    EnvRow("KnowledgeGraph-WN18RR-v0", _GRAPH, "wn18rr"),
    EnvRow("KnowledgeGraph-FB15k237-v0", _GRAPH, "fb15k237", {"max_degree": 100}),
    EnvRow("KnowledgeGraph-v0", _GRAPH, "wn18rr"),
    EnvRow("Dialogue-DailyDialog-v0", f"{_TASKS}.dialogue:Dialogue", "dailydialog_pp"),
    EnvRow("Dialogue-v0", f"{_TASKS}.dialogue:Dialogue", "dailydialog_pp"),
    EnvRow("SpanQA-SQuAD-v0", _SPAN_QA, "squad"),
    EnvRow("SpanQA-v0", _SPAN_QA, "squad"),
    EnvRow("Translation-Multi30k-v0", _GENERATION, "multi30k", _MULTI30K),
    EnvRow("Translation-Tatoeba-v0", _GENERATION, "tatoeba_en_zh", _CHINESE),
    EnvRow("Translation-v0", _GENERATION, "multi30k", {"reward": "metric"}),
    EnvRow(
        "Summary-AESLC-v0",
        _GENERATION,
        "aeslc",
        {"reward": "metric", "metric": "rougeL", "max_source": 192, "max_length": 32},
    ),
    EnvRow(
        "DialogueGeneration-v0",
        _GENERATION,
        "dailydialog_pp_replies",
        {"reward": "metric", "max_source": 128},
    ),
    EnvRow("Generation-v0", _GENERATION, "continuations", _CHARACTERS),
    EnvRow("MultiTask-v0", f"{_TASKS}.multi_task:MultiTask", "multitask"),
)


def register_envs() -> None:
    """Register every row of `ENVS` with Gymnasium; rows already there are left alone."""
    for row in ENVS:
        if row.id not in gym.registry:
            gym.register(
                id=row.id,
                entry_point="nlp_gym.envs.single:TaskEnv",
                vector_entry_point="nlp_gym.envs.vector:TaskVectorEnv",
                kwargs={"task": row.task, "dataset": row.dataset, **row.kwargs},
            )


def is_task_id(env_id: str) -> bool:
    """True where `env_id` is registered and played by one of this package's shells."""
    spec = gym.registry.get(env_id)
    return spec is not None and "task" in spec.kwargs


def task_ids() -> list[str]:
    """Every registered id that is a task of this suite, third-party ones included, sorted."""
    return sorted(i for i in gym.registry if is_task_id(i))


def make_task(env_id: str, split: str = "train", **kwargs: Any) -> Task:
    """The rules behind an id, without an environment around them.

    Args:
        env_id: A registered id, such as ``"NER-CoNLL-v0"``.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        **kwargs: As for `gymnasium.make`; `obs_type` and `render_mode` are the shell's and ignored.

    Returns:
        The task, as ``gym.make(env_id, split=split, **kwargs).unwrapped.task`` would hold.

    Raises:
        UnknownNameError: No such id or argument.
    """
    if not is_task_id(env_id):
        raise UnknownNameError("env", env_id, task_ids())
    merged = {**gym.spec(env_id).kwargs, **kwargs, "split": split}
    return build_task(
        merged.pop("task"), **{k: v for k, v in merged.items() if k not in SHELL_ARGUMENTS}
    )


def _argument_names(cls: type) -> list[str]:
    """Keyword arguments of a class, those its ``**kwargs`` hand on to its bases included."""
    names: dict[str, None] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base).parameters.values()
        names.update({p.name: None for p in parameters if p.kind is p.KEYWORD_ONLY})
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return list(names)


def build_task(entry: str | Task, **kwargs: Any) -> Task:
    """Build a task from ``"module:Class"``, checking the names of the arguments first."""
    if not isinstance(entry, str):
        return entry
    module, _, name = entry.partition(":")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidArgumentError(
            f"task={entry!r} cannot be imported ({error}); it has the form 'package.module:Class'."
        ) from error
    allowed = _argument_names(cls)
    unknown = [k for k in kwargs if k not in allowed]
    if unknown:
        hints = [
            f"{k!r} -> {near[0]!r}"
            for k in unknown
            if (near := difflib.get_close_matches(k, allowed, 1))
        ]
        raise UnknownNameError(
            "argument",
            unknown[0],
            [*allowed, "obs_type", "render_mode"],
            hint=f"All unknown: {', '.join(map(repr, unknown))}. {'; '.join(hints)}",
        )
    task: Task = cls(**kwargs)
    return task
