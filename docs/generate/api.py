"""The API reference: a page per part of the project, with the modules that users import."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

PUBLIC: dict[str, tuple[str, ...]] = {
    "nlp_gym.tasks": (
        "core.make",
        "core.task",
        "core.corpus_task",
        "core.kinds",
        "core.tables",
        "core.rollout",
        "candidates.selection",
        "labels.label_text",
        "tagging.task",
        "span_qa.task",
        "generation.task",
    ),
    "nlp_gym.envs": ("single", "vector"),
    "nlp_gym.data": (
        "readers",
        "readers.shared.base",
        "corpora.load",
        "corpora.download",
        "catalog",
        "catalog.dataset",
        "tags.schemes",
        "text.perturb",
        "text.changes.edits",
        "text.changes.find",
        "text.changes.drawn",
        "corpora.copies",
    ),
    "nlp_gym.encode": ("base", "load", "options", "hashed", "cache", "units", "neighbours"),
    "nlp_gym.metrics": ("base",),
    "nlp_gym": (
        "registration",
        "envs.make",
        "layout",
        "wrappers.layout",
        "wrappers.knowledge",
        "types",
        "errors",
        "knowledge",
        "render",
    ),
    "nlp_gym.testing": ("checks", "subject", "new_task"),
    "nlp_gym_agents.evaluation": ("evaluate", "reverify", "baselines", "robustness", "minari"),
    "nlp_gym_agents.attack": ("run", "report", "search", "victim"),
    "nlp_gym_agents.training": (
        "train",
        "continual",
        "search.optimize",
        "search.spaces",
        "search.study",
    ),
    "nlp_gym_agents.explain": ("trace", "page", "terminal", "picture"),
    "nlp_gym_agents.plots": ("figure", "report"),
    "nlp_gym_agents.hub": ("push", "load", "card", "files"),
    "nlp_gym_agents.serve": ("start", "limits"),
    "nlp_gym_agents.prediction": ("agent",),
    "nlp_gym_agents.models": ("trained", "play"),
    "nlp_gym_agents.config": ("train_config", "hyperparams"),
    "nlp_gym_agents.runs": ("folder",),
    "nlp_gym_agents.algorithms": (
        "registry",
        "vec_env",
        "imitation.bc",
        "imitation.dagger",
        "imitation.aggrevate",
        "q_learning.masked_dqn",
        "policy_gradient.expected_pg",
        "policy_gradient.rloo",
        "weight_average",
        "adversarial",
        "buffers",
    ),
    "nlp_gym_agents.networks": (
        "features.extractor",
        "features.source",
        "policies.pointer",
        "policies.dueling",
        "encoder.options",
        "encoder.trainable",
        "decoder.extractor",
    ),
}
"""By page: the modules of a package that have a section on its page."""


def files(pages: Path) -> dict[str, str]:
    """The pages by name."""
    made = {f"api/{name}.md": _page(name, modules) for name, modules in PUBLIC.items()}
    lines = [
        "# API reference",
        "The modules that users import, from their docstrings. Most need `gymnasium.make` and:",
        "- {py:func}`nlp_gym.make_task <nlp_gym.tasks.core.make.make_task>`: the rules behind an "
        "id, without an environment around them;\n"
        "- {py:func}`nlp_gym.data.read <nlp_gym.data.readers.read>` and "
        "{py:func}`nlp_gym.data.check <nlp_gym.data.readers.check>`: files;\n"
        "- {py:func}`~nlp_gym_agents.training.train.train`, "
        "{py:func}`~nlp_gym_agents.evaluation.evaluate.evaluate`, "
        "{py:func}`~nlp_gym_agents.prediction.agent.load_agent` and "
        "{py:class}`~nlp_gym_agents.prediction.agent.Agent`: agents.",
        "\n".join(f"- [{name}]({name}.md): {_first_line(name)}" for name in PUBLIC),
        "```{toctree}\n:hidden:\n\n" + "\n".join(PUBLIC) + "\n```",
    ]
    return {**made, "api/index.md": "\n\n".join(lines) + "\n"}


def _page(name: str, modules: tuple[str, ...]) -> str:
    parts = [f"# {name}", _first_line(name)]
    for module in modules:
        directive = f".. automodule:: {name}.{module}\n   :members:\n   :show-inheritance:\n"
        parts.append(f"## {module}\n\n```{{eval-rst}}\n{directive}```")
    return "\n\n".join(parts) + "\n"


def _first_line(name: str) -> str:
    return (inspect.getdoc(importlib.import_module(name)) or "").partition("\n")[0]
