"""Changes of texts keep what counts their words, and the gold."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from nlp_gym import make_task
from nlp_gym.data.corpora.copies import read_copies, write_copies
from nlp_gym.data.tags.schemes import entity_spans
from nlp_gym.data.text.changes import USUAL, Edit, Finder, apply_edits, names_by_type, text_of
from nlp_gym.data.text.changes.alike import is_alike
from nlp_gym.data.text.changes.edits import ALLOWED
from nlp_gym.data.text.changes.synonyms import synonyms_of
from nlp_gym.data.text.perturb import PERTURBED_FIELDS
from nlp_gym.data.text.typos import typos_of
from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError
from nlp_gym.types import Sample

IDS = (
    "NER-CoNLL-v0",
    "POS-EWT-v0",
    "Sentiment-SST2-v0",
    "MultiLabel-GoEmotions-v0",
    "Relation-CoNLL04-v0",
    "ChoiceQA-OpenBookQA-v0",
    "SpanQA-SQuAD-v0",
    "Dialogue-DailyDialog-v0",
    "DialoguePolicy-SGD-v0",
)


def sample_task(env_id: str, **kwargs: Any) -> Any:
    return make_task(env_id, corpus="sample", encoder="hashed", **kwargs)


@pytest.mark.parametrize("env_id", IDS)
def test_changes_keep_the_gold_and_make_samples_that_the_task_reads(env_id: str) -> None:
    task = sample_task(env_id)
    family, samples = task.sample_family(), task.corpus.samples[:6]
    finder = Finder(family, pools=names_by_type(samples) if family == "tagging" else {})
    made = []
    for sample in samples:
        edits = finder.edits(sample)
        assert len(edits) == len(set(edits))
        for edit in edits:
            changed = apply_edits(sample, [edit], family)
            made.append(changed)
            assert (changed.labels, changed.gold) == (sample.labels, sample.gold)
            assert text_of(changed, family) != text_of(sample, family)
            if ALLOWED[family].keeps_count:
                assert len(changed.words) == len(sample.words)
            if family == "spanqa":
                assert changed.words == sample.words
            if family == "choice":
                assert changed.extra["choices"] == sample.extra["choices"]
    assert len(made) > 20
    again = sample_task(env_id, data=made[:: max(len(made) // 40, 1)], labels=task.labels or None)
    assert again.has_gold


def test_changes_know_the_families_that_perturbations_know() -> None:
    assert set(ALLOWED) == set(PERTURBED_FIELDS)


def test_changes_move_the_spans_of_relations_and_leave_their_words() -> None:
    task = sample_task("Relation-CoNLL04-v0")
    finder = Finder("relation", "paraphrase,typos")
    checked = 0
    for sample in task.corpus.samples:
        inside = {
            k for pair in sample.extra["pairs"] for k in (*range(*pair[:2]), *range(*pair[2:]))
        }
        for edit in finder.edits(sample):
            assert not inside & set(range(edit.start, edit.stop))
            changed = apply_edits(sample, [edit], "relation")
            for old, new in zip(sample.extra["pairs"], changed.extra["pairs"], strict=True):
                checked += 1
                assert sample.words[slice(*old[:2])] == changed.words[slice(*new[:2])]
                assert sample.words[slice(*old[2:])] == changed.words[slice(*new[2:])]
    assert checked > 50


def test_changes_of_taggers_swap_names_of_one_type_and_length() -> None:
    samples = sample_task("NER-CoNLL-v0").corpus.samples
    pools = names_by_type(samples)
    finder = Finder("tagging", "entities", pools=pools)
    for sample in samples[:8]:
        spans = {(first, stop): kind for first, stop, kind in entity_spans(sample.labels)}
        for edit in finder.edits(sample):
            assert edit.words in pools[spans[edit.start, edit.stop]]


@pytest.mark.parametrize(
    ("word", "tag", "before", "expected"),
    [
        ("Movies", None, "", ["Films", "Pictures"]),
        ("begins", None, "", ["starts"]),
        ("begun", "VERB", "", ["started"]),
        ("happening", "VBG", "", ["occurring"]),
        ("quickly", "NOUN", "", []),
        ("HUGE", None, "a", []),
        ("huge", None, "an", ["enormous", "immense"]),
        ("views", None, "", []),
        ("电影", None, "", []),
    ],
)
def test_synonyms_have_the_form_of_the_word(
    word: str, tag: str | None, before: str, expected: list[str]
) -> None:
    assert synonyms_of(word, tag, before) == expected


@pytest.mark.parametrize(
    "word", ["great", "naïvete\u0301s", "Übergröße", "ไม่เข้าใจ", "👩‍👩‍👧‍👦fam", "a-b2", "cat"]
)
def test_typos_keep_the_ends_of_a_word_and_its_accents(word: str) -> None:
    made = list(typos_of(word))
    assert len(made) == len(set(made))
    assert (len(made) > 0) == (len(word) > 3)
    for typo in made:
        assert typo != word
        assert typo[0] == word[0]
        assert typo[-1] == word[-1]
        assert unicodedata.combining(typo[0]) == 0
        typo.encode()


def test_typos_that_are_words_of_the_corpus_are_left_out() -> None:
    sample = Sample(("the", "lost", "form"), ("x",))
    typos = {e.words[0] for e in Finder("classification", "typos", most=99).edits(sample)}
    known = Finder("classification", "typos", known={"from", "form"}, most=99)
    assert typos - {e.words[0] for e in known.edits(sample)} <= {"from"}


def test_changes_are_the_same_everywhere_and_others_with_another_seed() -> None:
    samples = sample_task("Question-TREC-v0").corpus.samples[:5]
    found = [[Finder("classification", seed=s).edits(x) for x in samples] for s in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_changes_are_applied_together() -> None:
    sample = Sample(("what", "is", "it", "?"), ("x",))
    edits = [Edit("paraphrase", 1, 2, ("'s",)), Edit("paraphrase", 0, 0, ("well", ","))]
    changed = apply_edits(sample, edits, "classification")
    assert changed.words == ("well", ",", "what", "'s", "it", "?")
    assert apply_edits(sample, [], "classification") is sample


@pytest.mark.parametrize(
    ("family", "kinds", "error"),
    [
        ("classification", "typo", UnknownNameError),
        ("tagging", ["paraphrase"], InvalidArgumentError),
        ("generation", None, InvalidArgumentError),
        ("classification", [], InvalidArgumentError),
        ("classification", [3], UnknownNameError),
        ("classification", 3, InvalidArgumentError),
        ("classification", "neighbours", InvalidArgumentError),
        ("parsing", "neighbours", InvalidArgumentError),
    ],
)
def test_finder_names_what_is_allowed(family: str, kinds: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"typos|tagging|near="):
        Finder(family, kinds)


def test_finder_of_every_kind_by_default() -> None:
    assert Finder("classification").kinds == USUAL
    assert Finder("classification", "synonyms, typos").kinds == ("typos", "synonyms")
    assert Finder("classification").edits(Sample((), ("x",))) == []


@pytest.mark.parametrize(
    ("word", "other", "alike"),
    [
        ("movie", "film", True),
        ("Quickly", "rapidly", True),
        ("largest", "biggest", True),
        ("funny", "hilarious", True),
        ("good", "bad", False),  # opposites
        ("BAD", "good", False),
        ("city", "cities", False),  # forms of one word
        ("happy", "unhappy", False),
        ("hated", "dislike", False),  # other forms
        ("quick", "swiftly", False),
        ("cars", "truck", False),
        ("bought", "buy", False),
        ("when", "where", False),  # closed classes
        ("monday", "friday", False),
        ("tv", "television", False),  # too short
        ("u.s.", "american", False),
        ("好看", "电影", False),
    ],
)
def test_neighbours_of_another_form_or_meaning_are_left_out(
    word: str, other: str, alike: bool
) -> None:
    assert is_alike(word, other) is alike


NEAR = {"movie": ("film", "movies", "cinema", "flick"), "great": ("bad", "excellent")}


@pytest.mark.parametrize(
    ("family", "labels", "words", "found"),
    [
        ("classification", ("x",), "A great Movie", ["Film", "Cinema", "Flick"]),
        ("classification", ("x",), "great movie", ["excellent", "film", "cinema", "flick"]),
        ("classification", ("x",), "", []),
        ("tagging", ("O", "B-MISC"), "great movie", ["excellent"]),
        ("tagging", ("ADJ", "NOUN"), "great movie", []),  # parts of speech may change
    ],
)
def test_neighbours_come_nearest_first_where_gold_allows_them(
    family: str, labels: tuple[str, ...], words: str, found: list[str]
) -> None:
    finder = Finder(family, "neighbours", near=lambda word: NEAR.get(word.lower(), ()))
    sample = Sample(tuple(words.split()), labels)
    assert [edit.words[0] for edit in finder.edits(sample)] == found


@pytest.mark.parametrize("env_id", ["Relation-CoNLL04-v0", "SpanQA-SQuAD-v0", "NER-CoNLL-v0"])
def test_copies_are_read_as_they_were_and_trained_on(env_id: str, tmp_path: Path) -> None:
    task = sample_task(env_id)
    family, samples = task.sample_family(), list(task.corpus.samples[:3])
    file = tmp_path / "copies.json"
    write_copies(file, samples, family=family)
    assert read_copies(file, family=family) == samples
    more = sample_task(env_id, augment=[f"copies:{file}"])
    assert list(more.corpus.samples) == [*task.corpus.samples, *samples]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"format": "nlp_gym changed samples 1", "family": "relation", "samples": []}',
        '{"format": "nlp_gym changed samples 1", "family": "tagging", "samples": [3]}',
        '{"format": "nlp_gym changed samples 1", "family": "tagging", "samples": '
        '[{"words": [""], "labels": ["O"], "id": "", "extra": {}, "gold": null}]}',
        '{"format": "nlp_gym changed samples 1", "family": "tagging", "samples": '
        '[{"words": ["a"], "labels": null, "id": "", "extra": {}, "gold": null}]}',
    ],
)
def test_copies_that_are_damaged_are_named(content: str, tmp_path: Path) -> None:
    file = tmp_path / "copies.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="copies="):
        read_copies(file, family="tagging")
    with pytest.raises(DataError, match="copies="):
        read_copies(tmp_path / "absent.json", family="tagging")
