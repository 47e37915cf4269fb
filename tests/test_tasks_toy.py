"""Tasks written by the recipe of CONTRIBUTING: a class with a hook or two, and a row."""

from __future__ import annotations

import gymnasium as gym
import pytest

from nlp_gym.errors import DataError
from nlp_gym.registration import ENVS, EnvRow, register_envs
from nlp_gym.tasks import (
    LabelText,
    LabelWords,
    PickOne,
    PickSeveral,
    PointSpan,
    Sample,
    WriteText,
    make_task,
)
from nlp_gym.testing import Subject, find_checks
from nlp_gym.testing.subject import SMALL
from nlp_gym_agents.evaluation.conformance import all_checks

PAGE = """A toy.

    ## Description
    A toy.

    ## Data
    Sentences of a tagging corpus.

    ## Observation Space
    That of its kind.

    ## Action Space
    That of its kind.

    ## Action Mask
    That of its kind.

    ## Rewards
    Those of its kind.

    ## Starting State
    A sentence.

    ## Episode End
    That of its kind.

    ## Metric
    That of its kind.

    ## Information
    Nothing more.

    ## Arguments
    Those of its kind.

    ## Registered Ids
    `Toy-{name}-v0`

    ## Version History
    * v0: initial version.
    """


class FirstWord(PickOne):
    """Which of three sentences begins with the longest word?"""

    family = "tagging"
    most_candidates = 3

    def candidates(self, row):
        return [self.sample((row + i) % len(self.corpus)).words for i in range(3)]

    def right(self, row):
        first = [len(words[0]) for words in self.candidates(row)]
        return first.index(max(first))


class Capitals(LabelWords):
    """Is a word written with a capital letter?"""

    def right(self, row):
        return ["upper" if word[0].isupper() else "lower" for word in self.sample(row).words]


class Length(LabelText):
    """Is a sentence short or long?"""

    family = "tagging"

    def right(self, row):
        return "long" if len(self.sample(row).words) > 10 else "short"


class CapitalWords(PickSeveral):
    """Which of the first words begin with a capital letter?"""

    family = "tagging"
    most_candidates = 4
    reads_text = True

    def candidates(self, row):
        return [*self.sample(row).words[:3], "Capital"]

    def right(self, row):
        return [k for k, word in enumerate(self.candidates(row)) if word[0].isupper()]


class Longest(PointSpan):
    """Where is the longest word?"""

    family = "tagging"

    def question(self, row):
        return "Which word is the longest?"

    def right(self, row):
        words = [len(word) for word in self.sample(row).words]
        return [(words.index(max(words)),) * 2]


class Shout(WriteText):
    """Write the first word in capital letters."""

    family = "tagging"

    def source(self, row):
        return self.sample(row).words[:1]

    def references(self, row):
        return [" ".join(self.source(row)).upper()]


TOYS = {cls.__name__: cls for cls in (FirstWord, Capitals, Length, CapitalWords, Longest, Shout)}
IDS = {name: f"Toy-{name}-v0" for name in TOYS}
ARGUMENTS = {
    "Longest": {"max_words": 80},
    "Shout": {"metric": "chrf", "max_length": 24, "vocabulary_size": 300},
}
for _name, _cls in TOYS.items():
    _cls.__doc__ = PAGE.format(name=_name)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The rows in the table: what adding tasks to `registration.py` is."""
    module = FirstWord.__module__
    rows = [
        EnvRow(IDS[name], f"{module}:{name}", "conll2003", ARGUMENTS.get(name, {})) for name in TOYS
    ]
    monkeypatch.setattr("nlp_gym.registration.ENVS", (*ENVS, *rows))
    register_envs()
    yield
    for env_id in IDS.values():
        gym.registry.pop(env_id)


TESTED = (
    "gymnasium_checker",
    "sb3_checker",
    "batched_equals_single",
    "seeding",
    "row_option",
    "pickling",
    "masks_agree",
    "last_masks",
    "misuse",
    "render",
    "docstring",
    "oracle",
    "rewards_sum",
    "illegal_actions",
    "branching",
    "gold_hidden",
    "constant_agents",
)
"""Checks that tell the kinds apart; the registered ids of each kind pass all of them."""
SOME = {
    "batched_equals_single": {"reward": "metric"},
    "gold_hidden": {"obs_type": "features"},
    "oracle": {"split": "dev"},
    "rewards_sum": {"seed": 0},
}
"""What is checked of a check whose other variants take long."""


@pytest.mark.slow
@pytest.mark.parametrize("check", find_checks(TESTED, checks=all_checks()), ids=str)
@pytest.mark.parametrize("toy", TOYS)
def test_toy_task_passes_what_every_id_must(toy, check):
    for variant in check.variants:
        if SOME.get(check.name, {}).items() <= variant.items():
            check.run(Subject(IDS[toy]), variant)


def test_toy_task_has_the_actions_that_its_hooks_make():
    def actions(toy):
        return make_task(IDS[toy], **SMALL).n_actions

    assert actions("FirstWord") == 3
    assert actions("Capitals") == 2
    assert actions("Length") == 2
    assert actions("CapitalWords") == 5
    assert actions("Longest") == 80


def test_toy_labels_are_those_of_training_on_every_split():
    for split in ("train", "dev", "test"):
        assert make_task(IDS["Capitals"], split, **SMALL).labels == ("lower", "upper")


def test_toy_gold_is_not_asked_for_where_there_is_none():
    samples = [Sample(("Ana", "left")), Sample(("so", "it", "goes"))]
    small = {**SMALL, "data": samples}
    for toy in TOYS:
        extra = {"labels": ["lower", "upper"]} if toy in ("Capitals", "Length") else {}
        if toy == "Shout":
            extra["vocabulary"] = make_task(IDS[toy], **SMALL).learnt["vocabulary"]
        task = make_task(IDS[toy], "test", **small, **extra)
        assert not task.has_gold
        assert all(sample.labels is None and sample.gold is None for sample in task.corpus.samples)


class Uneven(Capitals):
    def right(self, row):
        return ["one"]


def test_toy_hook_with_too_few_labels_names_row_and_numbers():
    samples = [Sample(("Ana", "left"), ("x", "y"), "s:1")]
    with pytest.raises(DataError, match=r"s:1: right\(0\) gave 1 labels for 2 words"):
        Uneven(dataset="conll2003", data=samples, encoder="hashed")
