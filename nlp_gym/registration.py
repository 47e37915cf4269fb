"""The table of environments: one row per registered id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.plugins import new_plugins, warn_of


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
    dataset: str = ""
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the row where it is written, and not where an environment is made of it."""
        if not isinstance(self.dataset, str) or not self.dataset:
            raise InvalidArgumentError(
                f"EnvRow {shown(self.id)}: dataset={shown(self.dataset)} must be the catalogue "
                "name of a corpus, such as 'conll2003'."
            )
        if not isinstance(self.task, str) or self.task.count(":") != 1:
            raise InvalidArgumentError(
                f"EnvRow {shown(self.id)}: task={shown(self.task)} must have the form "
                "'package.module:Class'."
            )


_TAGGING = "nlp_gym.tasks.tagging.task:SequenceTagging"
_CLASSIFICATION = "nlp_gym.tasks.labels.classification:Classification"
_MULTI_LABEL = "nlp_gym.tasks.labels.multi_label:MultiLabel"
_DIALOGUE_POLICY = "nlp_gym.tasks.labels.dialogue_policy:DialoguePolicy"
_DIALOGUE_SIM = "nlp_gym.tasks.dialogue_sim.task:DialogueSim"
_RELATION = "nlp_gym.tasks.relation.task:Relation"
_SPAN_QA = "nlp_gym.tasks.span_qa.task:SpanQA"
_CHOICE = "nlp_gym.tasks.candidates.choice_qa:ChoiceQA"
_SUMMARY = "nlp_gym.tasks.candidates.summary:Summary"
_DIALOGUE = "nlp_gym.tasks.candidates.dialogue:Dialogue"
_ATTACK = "nlp_gym.tasks.candidates.attack:Attack"
_GRAPH = "nlp_gym.tasks.knowledge_graph.task:KnowledgeGraph"
_GENERATION = "nlp_gym.tasks.generation.task:Generation"
_PARSING = "nlp_gym.tasks.parsing.task:Parsing"
_COMPRESSION = "nlp_gym.tasks.compression.task:Compression"
_MULTI_TASK = "nlp_gym.tasks.multi_task.task:MultiTask"

_MULTI30K = {"pair": "en-de", "reward": "metric", "max_source": 48}
_CHARACTERS = {"reward": "metric", "tokens": "character", "tokenize": "zh", "max_length": 48}
_CHINESE = {"pair": "en-zh", **_CHARACTERS}

ENVS: tuple[EnvRow, ...] = (
    EnvRow("NER-CoNLL-v0", _TAGGING, "conll2003", {"scheme": "BIO"}),
    EnvRow("NER-WNUT-v0", _TAGGING, "wnut17", {"scheme": "BIO"}),
    EnvRow("NER-v0", _TAGGING, "conll2003", {"scheme": "BIO"}),
    EnvRow("POS-EWT-v0", _TAGGING, "ud_ewt", {"scheme": "flat"}),
    EnvRow("POS-v0", _TAGGING, "ud_ewt", {"scheme": "flat"}),
    EnvRow("Parsing-EWT-v0", _PARSING, "ud_ewt_trees"),
    EnvRow("Parsing-v0", _PARSING, "ud_ewt_trees"),
    EnvRow("DialoguePolicy-SGD-v0", _DIALOGUE_POLICY, "sgd"),
    EnvRow("DialoguePolicy-v0", _DIALOGUE_POLICY, "sgd"),
    EnvRow("DialogueSim-SGD-v0", _DIALOGUE_SIM, "sgd_goals", {"reward": "metric"}),
    EnvRow("DialogueSim-v0", _DIALOGUE_SIM, "sgd_goals", {"reward": "metric"}),
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
    EnvRow("Dialogue-DailyDialog-v0", _DIALOGUE, "dailydialog_pp"),
    EnvRow("Dialogue-v0", _DIALOGUE, "dailydialog_pp"),
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
    EnvRow("Compression-v0", _COMPRESSION, "compressions", {"reward": "metric"}),
    EnvRow("Attack-v0", _ATTACK, "sst2"),
    EnvRow("MultiTask-v0", _MULTI_TASK, "multitask"),
)


_others: dict[str, EnvRow] = {}
"""Rows of other packages, by id."""


def env_rows() -> tuple[EnvRow, ...]:
    """Every row: those of `ENVS`, then those that other packages registered."""
    own = {row.id for row in ENVS}
    others = (row for row in _others.values() if row.id in gym.registry and row.id not in own)
    return (*ENVS, *others)


def register_envs(rows: Iterable[EnvRow] | None = None) -> None:
    """Register rows with Gymnasium; rows already there are left alone.

    Args:
        rows: Rows of a package of your own. None: those of `ENVS`, and those of installed packages
            with an entry point of the group ``nlp_gym.tasks``. A package that is broken is warned
            of and left out.

    Raises:
        InvalidArgumentError: `rows` are no rows, or one has an id that is another environment's.
    """
    if rows is not None:
        _register_others(rows)
        return
    for row in ENVS:
        if row.id not in gym.registry:
            _register(row)
    for package, given in new_plugins():
        try:
            _register_others(given)
        except Exception as error:  # Gymnasium's too, for what is no id
            warn_of(package, str(error).rstrip("."))


def _register_others(rows: object) -> None:
    """Register all of them, or none."""
    many = isinstance(rows, Iterable) and not isinstance(rows, str | Mapping)
    given = tuple(rows) if many else (rows,)  # type: ignore[arg-type]
    listed: list[EnvRow] = []
    for row in given:
        if not isinstance(row, EnvRow):
            raise InvalidArgumentError(
                f"rows={shown(rows)} must be a sequence of nlp_gym.registration.EnvRow."
            )
        known = gym.registry.get(row.id)
        if known is not None and known.kwargs.get("task") != row.task:
            raise InvalidArgumentError(
                f"EnvRow {shown(row.id)}: the id is registered for another environment already; "
                "give yours another name."
            )
        listed.append(row)
    for row in listed:
        _others[row.id] = row
        if row.id not in gym.registry:
            _register(row)


def _register(row: EnvRow) -> None:
    gym.register(
        id=row.id,
        entry_point="nlp_gym.envs.single:TaskEnv",
        vector_entry_point="nlp_gym.envs.vector:TaskVectorEnv",
        kwargs={"task": row.task, "dataset": row.dataset, **row.kwargs},
        # Environments check their own calls, and the tests run `check_env` on all of them.
        # After a refused `reset` Gymnasium's wrapper would fail at every later `step`.
        disable_env_checker=True,
    )
