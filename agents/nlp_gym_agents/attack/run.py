"""Attack a trained agent on texts of its own corpus."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym.checks import check_int, check_name, check_path
from nlp_gym.data.text.changes import (
    NEIGHBOURS,
    Finder,
    checked_kinds,
    known_words,
    names_by_type,
)
from nlp_gym.encode import Neighbours
from nlp_gym.errors import DataError
from nlp_gym.progress import progress_bar, progress_wanted
from nlp_gym.types import SPLITS, Float64Array, Sample
from nlp_gym_agents.attack.report import AttackReport, Case
from nlp_gym_agents.attack.search import Attacked, Search, SearchLimits
from nlp_gym_agents.attack.victim import RunVictim


def attack_run(
    run: str | Path,
    split: str = "test",
    *,
    n: int | None = 200,
    changes: str | Sequence[str] | None = None,
    limits: SearchLimits | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    data: str | Path | None = None,
    checkpoint: str = "best",
    device: str = "auto",
    progress: bool = False,
    trust: Sequence[str] | str = (),
) -> AttackReport:
    """Search changes that keep the meaning of texts and deceive a trained agent.

    Args:
        run: A run folder.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        n: Texts of it, drawn by the seed; None: all.
        changes: Kinds of changes, names in `nlp_gym.data.text.changes.CHANGES`; None: the
            usual ones that keep the gold of the agent's task.
        limits: Budget and the most changes of a text; None: the usual ones.
        seed: Of the texts, and of the typos and names that are tried.
        data_dir: Folder of the corpora, where it is not the one of the run.
        data: A file whose texts are all of the split, in place of the run's own, or a folder with
            the splits.
        checkpoint: ``"best"`` or ``"last"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        progress: Show bars on stderr.
        trust: Modules that the run's settings may have imported; see `load_trained`.

    Raises:
        RunError: The run cannot be loaded.
        UnknownNameError: There is no such split or kind of change.
        InvalidArgumentError: A change that does not keep the gold, a number out of range, or an
            agent of a mixture.
        DataError: The corpus cannot be read, or has no gold.
    """
    limits = limits or SearchLimits()
    check_name("split", split, SPLITS)
    victim = RunVictim(run, checkpoint=checkpoint, device=device, trust=trust)
    kinds = checked_kinds(changes, victim.family)
    with progress_wanted(progress):
        samples = drawn_samples(victim, split, n, seed=seed, data_dir=data_dir, data=data)
        finder = finder_of(victim, kinds, samples, seed=seed, data_dir=data_dir)
        with progress_bar(len(samples), "attacking", unit="texts") as advance:
            found = Search(victim.judge, finder, limits, advance).attack(samples)
        return _report(victim, split, found, kinds, limits)


def drawn_samples(
    victim: RunVictim,
    split: str,
    n: int | None,
    *,
    seed: int,
    data_dir: str | Path | None = None,
    data: str | Path | None = None,
) -> list[Sample]:
    """Samples of a victim's own corpus, in its order.

    Raises:
        DataError: They have no gold.
    """
    overrides: dict[str, Any] = _places(data_dir)
    if data is not None:
        file = check_path("data", data)
        overrides["data"] = {split: str(file)} if os.path.isfile(file) else str(file)
    task = victim.trained.task(split, **overrides)
    if not task.has_gold:
        raise DataError(
            f"{task.corpus.name} {split} has no gold: an attack needs to know what is right."
        )
    total = len(task.corpus)
    if n is None or check_int("n", n, 1, 2**31 - 1) >= total:
        return list(task.corpus.samples)
    rows = np.sort(np.random.default_rng(seed).choice(total, n, replace=False))
    return [task.sample(row) for row in rows.tolist()]


def finder_of(
    victim: RunVictim,
    kinds: Sequence[str],
    attacked: Sequence[Sample],
    *,
    seed: int = 0,
    data_dir: str | Path | None = None,
) -> Finder:
    """What finds changes for a victim: names and known words are those of its training texts.

    Args:
        victim: The victim.
        kinds: Kinds of changes.
        attacked: The texts under attack, which stand in for training texts that are not there: a
            run may have come without its corpus.
        seed: Of the typos and names that are tried.
        data_dir: Folder of the corpora.
    """
    try:
        samples = victim.trained.task("train", **_places(data_dir), augment=()).corpus.samples
    except DataError:
        samples = attacked
    pools = names_by_type(samples) if victim.family == "tagging" else {}
    near = Neighbours(victim.task(attacked[:1]).encoder).of if NEIGHBOURS in kinds else None
    known = known_words(samples)
    return Finder(victim.family, kinds, pools=pools, known=known, seed=seed, near=near)


def _places(data_dir: str | Path | None) -> dict[str, Any]:
    return {} if data_dir is None else {"data_dir": data_dir}


def _report(
    victim: RunVictim,
    split: str,
    found: Sequence[Attacked],
    kinds: tuple[str, ...],
    limits: SearchLimits,
) -> AttackReport:
    """The report, for which the victim decides once more on every text."""
    scores: list[float] = []
    records: list[list[Mapping[str, Any]]] = []
    metric = ""
    for samples in ([one.sample for one in found], [one.changed for one in found]):
        outputs = victim.judge(samples).outputs
        task = victim.task(samples)
        score = task.score(outputs, bootstrap=0)
        metric = score.metric
        scores.append(score.value)
        records.append([task.record(row, output) for row, output in enumerate(outputs)])
    similarity = _similarity(victim, found)
    cases = [
        Case(one, dict(before), dict(after), alike)
        for one, before, after, alike in zip(found, *records, similarity.tolist(), strict=True)
    ]
    settings = victim.trained.settings
    return AttackReport(
        victim.trained.env_id,
        str(settings["algo"]),
        split,
        victim.family,
        kinds,
        limits.budget,
        metric,
        scores[0],
        scores[1],
        cases,
    )


def _similarity(victim: RunVictim, found: Sequence[Attacked]) -> Float64Array:
    """(n,) cosine of the vectors of each text and the changed one; 1 where nothing was changed."""
    alike = np.ones(len(found))
    own = [k for k, one in enumerate(found) if one.edits]
    if not own:
        return alike
    texts = [_texts(found[k].sample, found[k].changed) for k in own]
    vectors = victim.vectors([text for pair in texts for text in pair])
    before, after = vectors[0::2], vectors[1::2]
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    alike[own] = (before * after).sum(axis=1) / np.maximum(norms, 1e-12)
    return alike


def _texts(sample: Sample, changed: Sample) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The text that was changed, before and after: a question where the words are a passage."""
    if sample.words != changed.words:
        return sample.words, changed.words
    return tuple(sample.extra["question"]), tuple(changed.extra["question"])
