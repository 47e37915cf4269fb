"""Perturbed texts keep their gold, and are the same for everyone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from nlp_gym.data.tags.schemes import entity_spans
from nlp_gym.data.text.perturb import PERTURBATIONS, augment, perturb
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.make import make_task
from nlp_gym.types import Corpus, Sample

SMALL = {"encoder": "hashed", "corpus": "sample"}


@pytest.fixture(scope="module")
def corpus():
    return make_task("NER-CoNLL-v0", **SMALL).corpus


@pytest.mark.parametrize("spec", PERTURBATIONS)
def test_perturb_changes_texts_the_same_way_every_time(corpus, spec):
    first, second = (perturb(corpus, spec, family="tagging") for _ in range(2))
    assert [s.words for s in first.samples] == [s.words for s in second.samples]
    assert [s.words for s in first.samples] != [s.words for s in corpus.samples]
    assert len(first) == len(corpus)
    for sample in first.samples:
        assert len(sample.words) == len(sample.labels)
        assert all(sample.words)


@pytest.mark.parametrize("spec", ["typos", "case", "accents"])
def test_perturb_depends_on_the_seed_and_the_rate(corpus, spec):
    def changed(perturbed):
        pairs = zip(corpus.samples, perturbed.samples, strict=True)
        return np.mean([a != b for s, t in pairs for a, b in zip(s.words, t.words, strict=True)])

    one, other = (perturb(corpus, spec, family="tagging", seed=k) for k in (0, 1))
    assert [s.words for s in one.samples] != [s.words for s in other.samples]
    little, much = (perturb(corpus, f"{spec}:{r}", family="tagging") for r in (0.1, 0.9))
    assert changed(little) < 0.5 * changed(much)
    assert changed(perturb(corpus, f"{spec}:0", family="tagging")) == 0.0


def test_perturb_leaves_the_gold_of_words_alone(corpus):
    typos = perturb(corpus, "typos", family="tagging")
    assert [s.labels for s in typos.samples] == [s.labels for s in corpus.samples]


def test_entity_swap_exchanges_names_of_one_type(corpus):
    names = {}
    for sample in corpus.samples:
        for a, b, kind in entity_spans(sample.labels):
            names.setdefault(kind, set()).add(sample.words[a:b])
    swapped = perturb(corpus, "entity-swap", family="tagging")
    moved = 0
    for before, after in zip(corpus.samples, swapped.samples, strict=True):
        old, new = entity_spans(before.labels), entity_spans(after.labels)
        assert [kind for *_, kind in old] == [kind for *_, kind in new]
        for (a, b, kind), (c, d, _) in zip(old, new, strict=True):
            moved += before.words[a:b] != after.words[c:d]
            assert after.words[c:d] in names[kind]
        outside = [w for w, label in zip(before.words, before.labels, strict=True) if label == "O"]
        assert outside == [
            w for w, label in zip(after.words, after.labels, strict=True) if label == "O"
        ]
    assert moved > 20


def test_perturb_changes_the_question_and_not_the_passage():
    sample = Sample(
        ("the", "passage", "stays"), None, "", {"question": ("Which", "thing", "stays")}
    )
    corpus = Corpus("x", "dev", [sample], ())
    (changed,) = perturb(corpus, "upper", family="spanqa").samples
    assert changed.words == sample.words
    assert changed.extra["question"] == ("WHICH", "THING", "STAYS")
    turns = Sample(("Hi", "there"), None, "", {"context": (("Hi",), ("there",))})
    (changed,) = perturb(Corpus("x", "dev", [turns], ()), "upper", family="dialogue").samples
    assert changed.extra["context"] == (("HI",), ("THERE",))
    assert changed.words == ("HI", "THERE")


@pytest.mark.parametrize(("family", "key"), [("dialogue", "context"), ("policy", "turns")])
def test_perturb_keeps_the_turns_and_the_whole_text_the_same(family, key):
    turns = (("Where", "shall", "we", "wander"), ("Down", "towards", "the", "harbour"))
    extra = {key: turns, "turn_texts": ("raw",), "context_texts": ("raw",)}
    whole = Sample(tuple(w for turn in turns for w in turn), None, "", extra)
    other = Sample(("something", "different", "altogether"), None, "", extra)
    corpus = Corpus("x", "dev", [whole, other], ())
    first, second = perturb(corpus, "typos:1", family=family).samples
    assert first.words == tuple(w for turn in first.extra[key] for w in turn) != whole.words
    assert first.extra[key] != turns
    assert second.words != other.words
    assert len(second.words) == 3
    assert not {"turn_texts", "context_texts"} & set(first.extra)  # no longer the words'


@pytest.mark.parametrize("env_id", ["ChoiceQA-ARC-v0", "Dialogue-v0"])
def test_perturb_keeps_the_order_of_the_candidates(env_id):
    plain, noisy = (make_task(env_id, "dev", perturb=p, **SMALL) for p in (None, "typos:0.5"))
    texts = [
        [task.corpus.samples[k].words for k in range(len(task.corpus))] for task in (plain, noisy)
    ]
    assert texts[0] != texts[1]
    for row, sample in enumerate(noisy.corpus.samples):
        assert sample.extra["order_words"] == plain.corpus.samples[row].words
        assert plain.texts(row) == noisy.texts(row)


def test_augment_adds_copies_to_the_training_split_only(corpus):
    more = augment(corpus, ["typos", "lower"], family="tagging")
    assert len(more) == 3 * len(corpus)
    assert more.samples[: len(corpus)] == list(corpus.samples)
    for split, times in (("train", 2), ("dev", 1)):
        plain = make_task("NER-CoNLL-v0", split, **SMALL)
        assert len(
            make_task("NER-CoNLL-v0", split, augment="typos", **SMALL).corpus
        ) == times * len(plain.corpus)


@pytest.mark.parametrize(("spec", "n"), [("changes", 1), ("changes:3", 3)])
@pytest.mark.parametrize("env_id", ["Question-TREC-v0", "NER-CoNLL-v0", "SpanQA-SQuAD-v0"])
def test_augment_adds_copies_with_drawn_changes(env_id: str, spec: str, n: int) -> None:
    plain = make_task(env_id, "train", **SMALL)
    tasks = [make_task(env_id, "train", augment=["typos", spec], **SMALL) for _ in range(2)]
    found = tasks[0].corpus.samples
    assert list(found) == list(tasks[1].corpus.samples)
    own = len(plain.corpus)
    copies = found[2 * own :]
    assert 0.9 * n * own <= len(copies) <= n * own  # few texts have no word that can be changed
    golds = {(sample.labels, sample.gold) for sample in plain.corpus.samples}
    assert all((copy.labels, copy.gold) in golds for copy in copies)
    assert not {*map(_text, copies)} & {*map(_text, plain.corpus.samples)}
    assert len({*map(_text, copies)}) > 0.8 * len(copies)


def _text(sample: Any) -> tuple[Any, ...]:
    return sample.words, sample.extra.get("question")


@pytest.mark.parametrize(
    "spec",
    [
        "typo",
        "typos:2",
        "entity-swap",
        3,
        None,
        "changes:0",
        "changes:many",
        "changes:1000",
        "change:2",
    ],
)
def test_augment_misuse_names_augment(spec):
    with pytest.raises(InvalidArgumentError, match=r"^augment="):
        make_task("Question-TREC-v0", augment=spec, **SMALL)


def test_entity_swap_leaves_texts_without_tags_alone(corpus):
    bare = [sample.unannotated() for sample in corpus.samples]
    swapped = perturb(dataclasses.replace(corpus, samples=bare), "entity-swap", family="tagging")
    assert list(swapped.samples) == bare


def test_perturb_is_an_argument_of_tasks():
    task = make_task("NER-CoNLL-v0", "dev", perturb="upper", **SMALL)
    assert all(word == word.upper() for s in task.corpus.samples for word in s.words)
    assert any(word != word.upper() for s in task.load("train").samples for word in s.words)


@pytest.mark.parametrize(
    ("spec", "family", "message"),
    [
        ("typo", "tagging", "Did you mean 'typos'"),
        ("typos:2", "tagging", "from 0 to 1"),
        ("typos:x", "tagging", "'x' must be a number"),
        (3, "tagging", "perturb=3"),
        ("typos", "kg", "does not suit the family 'kg', whose texts are what its gold is made of"),
        ("entity-swap", "classification", "BIO tags"),
    ],
)
def test_perturb_misuse_names_what_is_allowed(corpus, spec, family, message):
    with pytest.raises((InvalidArgumentError, UnknownNameError), match=message):
        perturb(corpus, spec, family=family)
