"""Score a trained agent on perturbed texts, and on pairs of samples made to deceive it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from nlp_gym.checks import check_name
from nlp_gym.data import load_corpus
from nlp_gym.data.text.perturb import (
    PERTURBATIONS,
    PERTURBED_FIELDS,
    WORD_PERTURBATIONS,
    parse_spec,
)
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import Score
from nlp_gym.progress import progress_bar, progress_label, shows_progress
from nlp_gym.tasks.core.make import task_class
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample
from nlp_gym_agents.evaluation.evaluate import evaluate, score_record, with_corpus
from nlp_gym_agents.models.trained import TrainedModel, load_trained


@dataclass(frozen=True)
class Challenge:
    """A set of pairs of samples that an agent should decide on alike, or differently.

    Attributes:
        dataset: Row of the catalogue; its test split is the set.
        family: Which files its samples are like: those of an agent that can be scored on it.
        halves: Row i of the first half pairs with row i of the second; else each row with the next.
        first: Name of the first of a pair in the report.
        second: Name of the second.
    """

    dataset: str
    family: str
    halves: bool
    first: str
    second: str


CHALLENGES: Mapping[str, Challenge] = MappingProxyType(
    {
        "counterfactual": Challenge(
            "counterfactual", "classification", False, "one of a pair", "the other"
        ),
        "paraphrase": Challenge("paraphrased_squad", "spanqa", True, "original", "paraphrased"),
    }
)
"""Counterfactual reviews (Kaushik et al. 2020), paraphrased questions (Gan and Ng 2019)."""


def suitable_perturbations(run: str | Path, *, trust: Sequence[str] | str = ()) -> tuple[str, ...]:
    """Names of the perturbations that suit the files a run reads, for ``--perturb all``."""
    agent = load_trained(run, trust=trust)
    family = task_class(agent.env_id).sample_family()
    words = tuple(WORD_PERTURBATIONS) if family in PERTURBED_FIELDS else ()
    swaps = family == "tagging" and any(label.startswith("B-") for label in agent.labels)
    return (*words, *(("entity-swap",) if swaps else ()))


def evaluate_perturbed(
    run: str | Path,
    specs: Sequence[str],
    split: str = "test",
    *,
    trust: Sequence[str] | str = (),
    **options: Any,
) -> dict[str, Score]:
    """Scores of a run on a split as it is (``"clean"``) and under each perturbation.

    Args:
        run: A run folder.
        specs: As for `nlp_gym.data.text.perturb.perturb`; ``["all"]``: those that suit.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        trust: Modules that the run's settings may have imported; see `load_trained`.
        **options: As for `nlp_gym_agents.evaluation.evaluate.evaluate`.

    Raises:
        UnknownNameError: No such perturbation.
        InvalidArgumentError: One that does not suit the files the run reads.
        RunError: See `evaluate`.
    """
    chosen = tuple(specs)
    if list(specs) == ["all"]:
        chosen = suitable_perturbations(run, trust=trust)
    if not chosen:
        raise InvalidArgumentError(
            f"perturb={list(specs)}: none of {', '.join(PERTURBATIONS)} suits this run, whose "
            "texts are what its gold is made of."
        )
    for spec in chosen:
        parse_spec(spec)  # a wrong name is told before anything is scored
    options["trust"] = trust
    scores = {"clean": evaluate(run, split, **options)}
    for spec in chosen:
        with progress_label(f"perturbed by {spec}"):
            scores[spec] = evaluate(run, split, perturb=spec, **options)
    return scores


def check_no_other_options(name: str, given: Mapping[str, object]) -> None:
    """Refuse options that choose which texts are scored: a set of pairs is scored as it is.

    Args:
        name: The set.
        given: Whether each option was given, by its name.

    Raises:
        InvalidArgumentError: One of them was.
    """
    found = [option for option, value in given.items() if value]
    if found:
        options = ", ".join(found)
        raise InvalidArgumentError(
            f"challenge={shown(name)} cannot be combined with {options}: a set of pairs has its "
            f"own texts and is scored whole, as it is. Leave out {options}, or leave out "
            "--challenge."
        )


@shows_progress
def evaluate_challenge(
    run: str | Path,
    name: str,
    *,
    data_dir: str | Path | None = None,
    checkpoint: str = "best",
    device: str = "auto",
    bootstrap: int = 1000,
    progress: bool = False,
    trust: Sequence[str] | str = (),
) -> Score:
    """Score a run on a set of pairs: the official metric, and how many pairs are wholly right.

    Args:
        run: A run folder.
        name: A name of `CHALLENGES`.
        data_dir: Folder of the corpora; None: where the run has its own.
        checkpoint: ``"best"`` or ``"last"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        bootstrap: Resamples behind the 95% interval; 0 for none.
        progress: Show bars on stderr.
        trust: Modules that the run's settings may have imported; see `load_trained`.

    Returns:
        The score of the whole set; its report has ``challenge``: the scores of the `first` and the
        `second` of each pair, and `both`, the share of pairs of which both are wholly right.

    Raises:
        UnknownNameError: No such set.
        InvalidArgumentError: The set is for another family, or has labels the run has not.
        DataError: The set cannot be read.
    """
    check_name("challenge", name, tuple(CHALLENGES))
    row = CHALLENGES[name]
    agent = load_trained(run, checkpoint=checkpoint, device=device, trust=trust)
    family = task_class(agent.env_id).family
    if family != row.family:
        raise InvalidArgumentError(
            f"challenge={shown(name)} is for agents of the family {shown(row.family)}, and "
            f"{agent.env_id} is of {shown(family)}."
        )
    own = agent.settings["env_kwargs"]
    place = {"data_dir": own.get("data_dir"), "corpus": own.get("corpus", "auto")}
    if data_dir is not None:
        place = {"data_dir": data_dir, "corpus": "auto"}
    found = load_corpus(row.dataset, "test", **place)
    samples = found.samples
    if agent.labels:
        samples = [_relabelled(sample, agent.labels) for sample in samples]
    task = agent.task("test", data={"test": list(samples)})
    # Samples in memory say nothing of where they are from, which the report has to.
    origin: dict[str, Any] = {"name": found.name, "source": found.source, "bundled": found.bundled}
    task.corpus = dataclasses.replace(task.corpus, **origin)
    return _pair_score(agent, task, row, name, bootstrap=bootstrap, progress=progress)


def _relabelled(sample: Sample, labels: Sequence[str]) -> Sample:
    """The sample with its label spelt as the run spells it."""
    spelt = {label.casefold(): label for label in labels}
    gold = tuple(spelt.get(label.casefold(), "") for label in sample.labels or ())
    if "" in gold:
        raise InvalidArgumentError(
            f"challenge: its labels are {sample.labels}, and the run has {list(labels)}; it needs "
            "a run trained on the same labels, such as Sentiment-SST2-v0."
        )
    return dataclasses.replace(sample, labels=gold)


def _pair_score(
    agent: TrainedModel, task: Task, row: Challenge, name: str, *, bootstrap: int, progress: bool
) -> Score:
    outputs = agent.outputs(task, progress=progress)
    n = len(outputs)
    rows = np.arange(n)
    sides = (rows[: n // 2], rows[n // 2 :]) if row.halves else (rows[0::2], rows[1::2])
    right = np.zeros(n, bool)
    with progress_bar(n, "scoring each sample", unit="samples") as advance:
        for i, output in enumerate(outputs):
            right[i] = task.score([output], rows=[i], bootstrap=0).value == 1.0
            advance(1)
    both = float((right[sides[0]] & right[sides[1]]).mean())
    first, second = (
        task.score([outputs[i] for i in side], rows=side.tolist(), bootstrap=0) for side in sides
    )
    whole = with_corpus(task.score(outputs, bootstrap=bootstrap), task)
    facts = {
        "name": name,
        "pairs": n // 2,
        row.first: first.value,
        row.second: second.value,
        "both": both,
    }
    lines = [
        f"{first.metric}, {row.first}: {first.value:.4f}",
        f"{second.metric}, {row.second}: {second.value:.4f}",
        f"both of a pair wholly right: {both:.4f} of {n // 2:,} pairs",
    ]
    text = "\n".join([whole.text, *lines])
    return dataclasses.replace(whole, report={**whole.report, "challenge": facts}, text=text)


def scores_record(scores: Mapping[str, Score], *, env_id: str, split: str) -> dict[str, Any]:
    """`score_record` of the clean score, with those of the others as ``perturbed``."""
    clean, *others = (
        (name, score_record(score, env_id=env_id, split=split)) for name, score in scores.items()
    )
    return {**clean[1], **({"perturbed": dict(others)} if others else {})}


def perturbation_table(scores: Mapping[str, Score]) -> str:
    """Each score, and the share of the clean one that is left of it, for people."""
    clean = scores["clean"].value
    lines = [f"{'':<16} {scores['clean'].metric:>10} {'of clean':>10}"]
    for name, score in scores.items():
        share = f"{score.value / clean:.3f}" if clean else "-"
        lines.append(f"{name:<16} {score.value:>10.4f} {share:>10}")
    return "\n".join(lines)
