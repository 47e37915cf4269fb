"""The kinds of tasks as a newcomer meets them: what hooks give is checked, faults are named."""

from __future__ import annotations

import inspect
import sys
import textwrap

import gymnasium as gym
import numpy as np
import pytest

from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError
from nlp_gym.registration import EnvRow
from nlp_gym.tasks import (
    LabelText,
    LabelWords,
    PickOne,
    PickSeveral,
    PointSpan,
    Sample,
    WriteText,
    make_task,
    rollout,
)
from nlp_gym.tasks.core.make import build_task
from nlp_gym.tasks.span_qa.task import SpanQA

SAMPLES = [
    Sample(("Ana", "left", "Oslo"), ("x", "y", "z"), "s:1"),
    Sample(("so", "it", "goes"), ("x", "y", "z"), "s:2"),
]
PLAIN = {
    LabelText: {"right": "a"},
    LabelWords: {"right": ["a", "b", "c"]},
    PickOne: {"candidates": ["a b", "c"], "right": 1},
    PickSeveral: {"candidates": ["a b", "c"], "right": [0, 1]},
    PointSpan: {"question": "Who?", "right": [(0, 1)]},
    WriteText: {"references": ["Ana left Oslo at noon"]},
}
"""What the hooks of a complete task of each kind may give."""


def task_of(kind, *, family="tagging", data=SAMPLES, dataset="conll2003", left_out=(), **given):
    """A task of a kind whose hooks give the same for every row."""
    hooks = {name: v for name, v in {**PLAIN[kind], **given}.items() if name not in left_out}
    body = {name: lambda self, row, value=value: value for name, value in hooks.items()}
    if family is not None:
        body["family"] = family
    return type("Mine", (kind,), body)(dataset=dataset, data=data, encoder="hashed")


@pytest.mark.parametrize("kind", PLAIN)
def test_kinds_play_what_their_hooks_give(kind):
    task = task_of(kind)
    assert task.has_gold
    assert task.score(rollout(task, "oracle"), bootstrap=0).value == pytest.approx(1.0)


@pytest.mark.parametrize("kind", PLAIN)
def test_kinds_play_the_example_of_their_docstring(kind):
    lines = inspect.getdoc(kind).split("\n")
    begin = next(i for i, line in enumerate(lines) if line.startswith("    class "))
    stop = next(i for i, line in enumerate(lines) if i > begin and line[:1].strip())
    found = {kind.__name__: kind}
    exec(textwrap.dedent("\n".join(lines[begin:stop])), found)
    (cls,) = (value for value in found.values() if inspect.isclass(value) and value is not kind)
    more = {"metric": "chrf"} if kind is WriteText else {}
    task = cls(dataset="conll2003", corpus="sample", encoder="hashed", **more)
    assert len(lines[begin:stop]) < 14
    assert task.score(rollout(task, "oracle"), bootstrap=0).value == pytest.approx(1.0)


TEXT = "allowed: a string, or a sequence of words, that has at least one word"
LABEL = "allowed: a label, which is a string"
LABELS = "allowed: a list of labels, which are strings, one per word"
INDEX = "an integer from 0 to 1, or several of them"
SPANS = r"allowed: a list of answers, .*0 <= first <= last <= 2, as the text has 3 words"
STRINGS = "allowed: a list of strings, at least one, each with a word"


@pytest.mark.parametrize(
    ("kind", "hook", "value", "message"),
    [
        (LabelText, "right", 0.5, rf"gave 0\.5; {LABEL}"),
        (LabelText, "right", None, rf"gave None; {LABEL}"),
        (LabelText, "right", "", rf"gave ''; {LABEL}"),
        (LabelText, "right", ["a"], rf"gave \['a'\]; {LABEL}"),
        (LabelText, "text", "", rf"gave ''; {TEXT}"),
        (LabelText, "text", " ", rf"gave ' '; {TEXT}"),
        (LabelText, "text", [1], rf"gave \[1\]; {TEXT}"),
        (LabelText, "text", None, rf"gave None; {TEXT}"),
        (LabelWords, "right", 0.5, rf"gave 0\.5; {LABELS}"),
        (LabelWords, "right", "abc", rf"gave 'abc'; {LABELS}"),
        (LabelWords, "right", ["a", "b"], "gave 2 labels for 3 words; give one per word"),
        (LabelWords, "right", ["a", "b", 3], f"in which 3 is no label; {LABELS}"),
        (LabelWords, "right", ["a", "b", ""], f"in which '' is no label; {LABELS}"),
        (PickOne, "candidates", 3, "gave 3; allowed: a list of texts"),
        (PickOne, "candidates", "ab", "gave 'ab'; allowed: a list of texts"),
        (PickOne, "candidates", ["a"], r"gave 1 candidates, \['a'\]; allowed: 2 to 16\. "),
        (PickOne, "candidates", ["a"] * 17, "gave 17 candidates, .*most_candidates sets the most"),
        (PickOne, "candidates", ["a", ""], f"gave '' as candidate 1; {TEXT}"),
        (PickOne, "candidates", ["a", ["b", ""]], rf"gave \['b', ''\] as candidate 1; {TEXT}"),
        (PickOne, "context", [], rf"gave \[\]; {TEXT}"),
        (PickOne, "right", 0.5, rf"gave 0\.5; .*{INDEX}"),
        (PickOne, "right", 2, f"gave 2; .*{INDEX}"),
        (PickOne, "right", -1, f"gave -1; .*{INDEX}"),
        (PickOne, "right", True, f"gave True; .*{INDEX}"),
        (PickOne, "right", "0", f"gave '0'; .*{INDEX}"),
        (PickOne, "right", [], rf"gave \[\]; .*{INDEX}"),
        (PickSeveral, "candidates", ["a", None], f"gave None as candidate 1; {TEXT}"),
        (PickSeveral, "right", [], rf"gave \[\]; .*{INDEX}"),
        (PickSeveral, "right", [0, 2], rf"gave \[0, 2\]; .*{INDEX}"),
        (PickSeveral, "right", None, f"gave None; .*{INDEX}"),
        (PointSpan, "question", "", f"gave ''; {TEXT}"),
        (PointSpan, "question", None, f"gave None; {TEXT}"),
        (PointSpan, "right", None, f"gave None; {SPANS}"),
        (PointSpan, "right", [], rf"gave \[\]; {SPANS}"),
        (PointSpan, "right", [(0, 3)], rf"in which \(0, 3\) is none; {SPANS}"),
        (PointSpan, "right", [(0, 1), (2, 1)], rf"in which \(2, 1\) is none; {SPANS}"),
        (PointSpan, "right", [(-1, 1)], rf"in which \(-1, 1\) is none; {SPANS}"),
        (PointSpan, "right", (0, 1), f"in which 0 is none; {SPANS}"),
        (PointSpan, "right", [(0.0, 1.0)], rf"in which \(0\.0, 1\.0\) is none; {SPANS}"),
        (PointSpan, "right", ["ab"], f"in which 'ab' is none; {SPANS}"),
        (WriteText, "source", "", f"gave ''; {TEXT}"),
        (WriteText, "references", None, f"gave None; {STRINGS}"),
        (WriteText, "references", "Oslo", f"gave 'Oslo'; {STRINGS}"),
        (WriteText, "references", [], rf"gave \[\]; {STRINGS}"),
        (WriteText, "references", ["a", " "], f"in which ' ' is none; {STRINGS}"),
        (WriteText, "references", [("a", "b")], rf"in which \('a', 'b'\) is none; {STRINGS}"),
        (WriteText, "references", ["\ud800"], f"is none; {STRINGS}"),
    ],
)
def test_kinds_name_class_hook_row_and_value_of_a_fault(kind, hook, value, message):
    with pytest.raises(DataError, match=rf"^Mine on samples/train s:1: {hook}\(0\) .*{message}"):
        task_of(kind, **{hook: value})


@pytest.mark.parametrize(
    ("kind", "hook", "value"),
    [
        (LabelText, "right", "''"),
        (PickOne, "candidates", r"0 candidates, \(\)"),
        (PickOne, "right", "None"),
        (PickSeveral, "right", "None"),
        (PointSpan, "question", r"\(\)"),
        (PointSpan, "right", r"\[\]"),
        (WriteText, "references", "None"),
    ],
)
def test_kinds_say_which_hook_was_not_overridden(kind, hook, value):
    given = {"text": "so"} if kind is LabelText else {"source": "so"} if kind is WriteText else {}
    with pytest.raises(DataError, match=rf"{hook}\(0\) gave {value}; .*not override `{hook}`\.$"):
        task_of(kind, left_out=[hook], **given)


def test_kinds_show_no_more_than_the_beginning_of_a_long_value():
    with pytest.raises(
        DataError, match=r"gave \[0, 0, 0.*, \.\.\.\] \(list of 1,000\); "
    ) as caught:
        task_of(PickOne, right=[0] * 999 + [9])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("kind", [PickOne, PickSeveral, PointSpan])
def test_kinds_without_a_family_name_the_attribute(kind):
    with pytest.raises(
        UnknownNameError, match=r"Mine\.family='' is not known.*tagging.*class Mine"
    ):
        task_of(kind, family=None)
    with pytest.raises(UnknownNameError, match=r"family='tagged'.*Did you mean 'tagging'"):
        task_of(kind, family="tagged")


@pytest.mark.parametrize(
    ("kind", "family", "wanted"),
    [(LabelText, None, "classification"), (WriteText, None, "generation"), (PickOne, "kg", "kg")],
)
def test_kinds_of_another_family_than_their_corpus_name_both(kind, family, wanted):
    with pytest.raises(
        InvalidArgumentError,
        match=f"'conll2003' is of the family 'tagging', but Mine reads .*'{wanted}' .*`family`",
    ):
        task_of(kind, family=family, data=None)


@pytest.mark.parametrize("dataset", ["", None, 3])
def test_rows_without_a_corpus_are_told_where_they_are_written(dataset):
    with pytest.raises(InvalidArgumentError, match=r"EnvRow 'Mine-v0': dataset=.*'conll2003'"):
        EnvRow("Mine-v0", "package.module:Class", dataset)
    with pytest.raises(InvalidArgumentError, match="EnvRow 'Mine-v0': dataset=''"):
        EnvRow("Mine-v0", "package.module:Class")


def test_rows_without_a_class_are_told_where_they_are_written():
    with pytest.raises(InvalidArgumentError, match=r"EnvRow 'Mine-v0': task='package\.module'"):
        EnvRow("Mine-v0", "package.module", "conll2003")


class Fixed(PickOne):
    """A task that other packages might register."""

    family = "tagging"

    def candidates(self, row):
        return [self.sample(row).words[:2], "something else"]

    def right(self, row):
        return 0


def test_ids_registered_without_a_corpus_name_the_argument():
    entry = f"{Fixed.__module__}:Fixed"
    assert sys.modules[Fixed.__module__].Fixed is Fixed
    gym.register("Fixed-v0", entry_point="nlp_gym.envs.single:TaskEnv", kwargs={"task": entry})
    try:
        for make in (make_task, gym.make):
            with pytest.raises(
                InvalidArgumentError, match="dataset is missing: Fixed needs datase"
            ):
                make("Fixed-v0", encoder="hashed")
        assert len(
            make_task("Fixed-v0", dataset="conll2003", encoder="hashed", corpus="sample").corpus
        )
    finally:
        gym.registry.pop("Fixed-v0")
    with pytest.raises(UnknownNameError, match="'datset' -> 'dataset'"):
        build_task(entry, datset="conll2003")


@pytest.mark.parametrize("kind", [LabelText, LabelWords, PickOne, PickSeveral, PointSpan])
def test_kinds_are_perturbed_in_what_is_read(kind):
    """The family of the files says nothing of where a kind keeps the text that is read."""
    plain = task_of(kind)
    cls = type(plain)
    noisy = cls(dataset="conll2003", data=SAMPLES, encoder="hashed", perturb="upper")
    field = (lambda s: s.extra["question"]) if kind is PointSpan else (lambda s: s.words)
    for before, after in zip(plain.corpus.samples, noisy.corpus.samples, strict=True):
        assert field(after) == tuple(word.upper() for word in field(before))
        assert (after.labels, after.gold) == (before.labels, before.gold)
    rows = np.arange(len(SAMPLES))
    assert noisy.observe(noisy.initial(rows), "tokens").keys()
    if kind in (PickOne, PickSeveral):
        assert np.array_equal(plain._order, noisy._order)


def test_texts_that_are_compared_with_their_source_are_not_perturbed():
    cls = type(task_of(WriteText))
    with pytest.raises(InvalidArgumentError, match="does not suit the family 'generation'"):
        cls(dataset="conll2003", data=SAMPLES, encoder="hashed", perturb="upper")


GOOD = {"question": ("Who",), "text": "Ana left", "spans": ((0, 3), (4, 8)), "qid": "1"}


@pytest.mark.parametrize(
    ("extra", "gold", "message"),
    [
        ({}, None, "extra has no 'question'; allowed: "),
        ({**GOOD, "question": ()}, None, "0 words of a question and 2 spans"),
        ({**GOOD, "spans": ((0, 3),)}, None, "1 words of a question and 1 spans"),
        (GOOD, (), r"gold=\(\), allowed: answers"),
        (GOOD, (("Ana", 0, 2),), "0 <= first <= last <= 1"),
        (GOOD, (("Ana", 1, 0),), "0 <= first <= last <= 1"),
        (GOOD, ("Ana",), "allowed: answers"),
    ],
)
def test_questions_of_ones_own_samples_are_checked(extra, gold, message):
    with pytest.raises(DataError, match=rf"sample 0 \(s:1\): .*{message}"):
        SpanQA(
            dataset="squad",
            encoder="hashed",
            data=[Sample(("Ana", "left"), None, "s:1", extra, gold)],
        )
