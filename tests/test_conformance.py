"""The checks of `nlp_gym.testing`: each finds the task that was broken for it."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from test_tasks_toy import PAGE, Capitals, FirstWord
from typer.testing import CliRunner

from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.registration import EnvRow, register_envs
from nlp_gym.tasks import (
    Extra,
    LabelText,
    LabelWords,
    PickOne,
    PickSeveral,
    PointSpan,
    Sample,
    WriteText,
)
from nlp_gym.testing import CHECKS, ConformanceError, Subject, check_task, find_checks, run_checks
from nlp_gym.testing.rules import same_view
from nlp_gym.testing.subject import shuffled_gold
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.evaluation.conformance import AGENT_CHECKS, all_checks

COUNTER = itertools.count()
BROKEN: dict[str, tuple[type, dict[str, object]]] = {}
"""By check: a class that breaks its rule, and what else its row has."""


def breaks(*checks: str, **kwargs: object):
    """Register a class as one that each of the checks must find."""

    def note(cls):
        if "docstring" not in checks:
            cls.__doc__ = PAGE.format(name=cls.__name__)
        BROKEN.update(dict.fromkeys(checks, (cls, kwargs)))
        return cls

    return note


@breaks("gymnasium_checker", "sb3_checker")
class OutsideItsSpace(Capitals):
    """Values are above the bound of their space."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.extras = {**self.extras, "flag": Extra(1, 1)}

    def extra(self, state):
        return {**super().extra(state), "flag": np.full((len(state.row), 1), 9, np.int8)}


@breaks("batched_equals_single", "step_limit")
class LooksAtTheBatch(Capitals):
    """What is legal depends on how many episodes are played together."""

    def mask(self, state):
        legal = super().mask(state)
        legal[:, 1] = len(state.row) == 1
        return legal

    def repair(self, state, actions):
        illegal = np.full(len(actions), len(state.row) > 1) & (actions == 1)
        return np.where(illegal, 0, actions), illegal


@breaks("seeding", "row_option")
class AlwaysTheFirst(Capitals):
    """Whatever sample is asked for, the first is played."""

    def initial(self, rows):
        return super().initial(np.zeros_like(rows))


@breaks("spec_json", sense=object())
class HasNoJson(Capitals):
    """The row holds what JSON cannot."""

    def __init__(self, *, sense=None, **kwargs):
        super().__init__(**kwargs)


@breaks("pickling", "snapshots")
class CountsOutside(Capitals):
    """Rewards follow a counter that is no part of the state."""

    def play(self, state, actions):
        right, cost, ended = super().play(state, actions)
        return right, cost + 2.0**-20 * (next(COUNTER) % 2**10), ended


@breaks("masks_agree")
class ChangesItsMind(Capitals):
    """What is legal changes without a decision."""

    def mask(self, state):
        legal = super().mask(state)
        legal[:, next(COUNTER) % 2] = False
        return legal


@breaks("last_masks")
class EndsWithoutMask(Capitals):
    """At the end nothing is legal."""

    def mask(self, state):
        legal = super().mask(state)
        legal[self.position(state) >= self.lengths[state.row]] = False
        return legal


@breaks("arrays_not_shared")
class SharesItsMask(Capitals):
    """All masks are the same array."""

    def mask(self, state):
        legal = super().mask(state)
        kept = self.__dict__.setdefault("_kept", {})
        return kept.setdefault(legal.shape, legal)


@breaks("misuse")
class TakesTooMuch(Capitals):
    """The space is smaller than what is accepted."""

    @property
    def action_space(self):
        return gym.spaces.Discrete(1)


@breaks("wrong_arguments")
class SwallowsReward(Capitals):
    """An argument is accepted and forgotten."""

    def __init__(self, *, reward="metric", **kwargs):
        super().__init__(**kwargs)


@breaks("render", "render_batched")
class DrawsNothing(Capitals):
    """The drawing has no text and says nothing of the place."""

    def frame(self, state, i):
        frame = super().frame(state, i)
        place = f"word {next(COUNTER)}/"
        return replace(frame, pieces=[], place=place)


@breaks("docstring")
class HasNoPage(Capitals):
    """A toy."""


@breaks("oracle", "oracle_rewards")
class KnowsItWrong(Capitals):
    """The expert is wrong."""

    def oracle(self, state):
        return 1 - super().oracle(state)


@breaks("gold_mask_suffices")
class KnowsItInCompany(Capitals):
    """The expert is wrong where one episode is played alone."""

    def oracle(self, state):
        right = super().oracle(state)
        return 1 - right if len(right) == 1 else right


@breaks("rewards_sum")
class PaysMore(Capitals):
    """Dense rewards hold more than the metric."""

    def transition(self, state, actions):
        reward, ended = super().transition(state, actions)
        return reward + (0.25 if self.reward == "metric" else 0.0), ended


@breaks("illegal_actions")
class RepairsSilently(Capitals):
    """Illegal actions cost nothing."""

    def mask(self, state):
        legal = super().mask(state)
        legal[:, 1] = False
        return legal

    def repair(self, state, actions):
        return np.zeros_like(actions), np.zeros(len(actions), bool)


@breaks("branching")
class GuessesRewards(Capitals):
    """What other actions would earn is made up."""

    def action_rewards(self, state):
        return np.full((len(state.row), self.n_actions), 0.5)


@breaks("gold_hidden")
class ShowsGold(Capitals):
    """The observation holds the answer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.extras = {**self.extras, "answer": Extra(1, 1)}

    def extra(self, state):
        answer = self.oracle(state) if self.has_gold else np.zeros_like(state.row)
        return {**super().extra(state), "answer": answer[:, None].astype(np.int8)}


@breaks("not_scored_without_gold")
class ClaimsGold(Capitals):
    """Texts that are not annotated are said to be."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.has_gold = True


@breaks("same_shapes")
class GrowsWithTheSplit(Capitals):
    """Observations are as wide as the split is long."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.extras = {**self.extras, "size": Extra(len(self.corpus), 1)}

    def extra(self, state):
        size = np.zeros((len(state.row), len(self.corpus)), np.int8)
        return {**super().extra(state), "size": size}


@breaks("constant_agents")
class AlwaysRight(FirstWord):
    """The first candidate is the right one, and stands first."""

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "order_seed": None})

    def right(self, row):
        return 0


@breaks("states_told_apart")
class IsBlind(Capitals):
    """Every state looks the same."""

    def observe(self, state, obs_type):
        seen = super().observe(state, obs_type)
        rest = {key: np.zeros_like(a) for key, a in seen.items() if key != "action_mask"}
        return {**seen, **rest} if obs_type == "features" else seen


@breaks("same_in_every_process")
class HashesWords(Capitals):
    """What is right depends on the hash seed."""

    def right(self, row):
        return ["even" if hash(word) % 2 else "odd" for word in self.sample(row).words]


@breaks("flat_memory")
class KeepsEverything(Capitals):
    """Every episode leaves something behind."""

    def initial(self, rows):
        self.__dict__.setdefault("_log", []).append(np.zeros(50 * len(rows)))
        return super().initial(rows)


def own_gold(task, row):
    """What the file says is right, as words; what any hook may read of a sample by mistake."""
    return tuple(f"={label}" for label in set(task.sample(row).labels or ()))


class TextLeaks(LabelText):
    """What is read ends with the labels."""

    family = "tagging"

    def text(self, row):
        return (*self.sample(row).words, *own_gold(self, row))

    def right(self, row):
        return min(self.sample(row).labels)


class WordsLeak(LabelWords):
    """Every word is written with its label."""

    def hooked_sample(self, row):
        sample = super().hooked_sample(row)
        if sample.labels is None:
            return sample
        words = zip(sample.words, sample.labels, strict=True)
        return replace(sample, words=tuple(f"{word}/{label}" for word, label in words))

    def right(self, row):
        return self.sample(row).labels


class CandidateLeaks(PickOne):
    """A candidate has the labels."""

    family = "tagging"
    most_candidates = 3

    def candidates(self, row):
        words = self.sample(row).words
        return [words[:1], words[-1:], ("which", *own_gold(self, row))]

    def right(self, row):
        return len(self.sample(row).labels) % 3


class CandidatesLeak(PickSeveral):
    """A candidate has the labels."""

    family = "tagging"
    most_candidates = 2

    def candidates(self, row):
        return [self.sample(row).words[:1], ("which", *own_gold(self, row))]

    def right(self, row):
        return [len(self.sample(row).labels) % 2]


class QuestionLeaks(PointSpan):
    """The question ends with the answer."""

    family = "tagging"

    def question(self, row):
        return ("where", *own_gold(self, row))

    def right(self, row):
        return [(len(self.sample(row).labels) - 1,) * 2]


class SourceLeaks(WriteText):
    """The text that is to be written is read."""

    family = "tagging"

    def source(self, row):
        return (*self.sample(row).words[:1], *own_gold(self, row))

    def references(self, row):
        return [self.sample(row).labels[0]]


class BareLeaks(TextLeaks):
    """The labels are read without asking whether there are any."""

    def text(self, row):
        sample = self.sample(row)
        return (*sample.words, *sample.labels)


class ExtraLeaks(TextLeaks):
    """What is read ends with an answer that the file has among its input."""

    family = "classification"

    def text(self, row):
        sample = self.sample(row)
        return (*sample.words, sample.extra.get("answer", "none"))


ANSWERED = [
    Sample((word, "it", "is"), (label,), extra={"answer": label})
    for word, label in (("good", "yes"), ("bad", "no"), ("fine", "yes"), ("poor", "no"))
]
LEAKS = {
    cls.__name__: (cls, kwargs)
    for cls, kwargs in (
        (TextLeaks, {}),
        (WordsLeak, {}),
        (CandidateLeaks, {}),
        (CandidatesLeak, {}),
        (QuestionLeaks, {"max_words": 80}),
        (SourceLeaks, {"metric": "chrf", "max_length": 24, "vocabulary_size": 300}),
        (BareLeaks, {}),
        (ExtraLeaks, {"data": ANSWERED}),
    )
}
"""Classes of every kind whose hooks show the gold of the file."""


@pytest.fixture(autouse=True)
def registered():
    before = set(gym.registry)
    classes = dict(BROKEN.values())
    rows = [EnvRow("Good-v0", f"{__name__}:Good", "conll2003")]
    for cls, kwargs in classes.items():
        rows.append(EnvRow(f"{cls.__name__}-v0", f"{__name__}:{cls.__name__}", "conll2003", kwargs))
    for name, (_, kwargs) in LEAKS.items():
        rows.append(EnvRow(f"{name}-v0", f"{__name__}:{name}", "conll2003", kwargs))
    register_envs(rows)
    yield
    for env_id in set(gym.registry) - before:
        gym.registry.pop(env_id)


class Good(Capitals):
    pass


Good.__doc__ = PAGE.format(name="Good").replace("Toy-Good-v0", "Good-v0")


@pytest.mark.parametrize("check", all_checks(), ids=str)
def test_conformance_check_finds_the_task_that_breaks_its_rule(check):
    cls, _ = BROKEN[check.name]
    with pytest.raises(ConformanceError, match=check.name) as caught:
        check.run(Subject(f"{cls.__name__}-v0", quick=True))
    assert check.fix in " ".join(str(caught.value).split())
    assert isinstance(caught.value, AssertionError)


@pytest.mark.parametrize("obs_type", ["features", "tokens"])
@pytest.mark.parametrize("name", LEAKS)
def test_conformance_gold_that_a_hook_shows_is_found(name, obs_type):
    (check,) = find_checks(("gold_hidden",))
    said = "TypeError" if name == "BareLeaks" else "of the same texts with gold and without differs"
    with pytest.raises(ConformanceError, match=said):
        check.run(Subject(f"{name}-v0"), {"obs_type": obs_type})


@pytest.mark.parametrize("name", LEAKS)
def test_conformance_gold_that_a_hook_shows_differs_from_that_of_others(name):
    subject = Subject(f"{name}-v0")
    task = subject.task("dev")
    with shuffled_gold():
        other = subject.task("dev")
    with pytest.raises(AssertionError, match="of the same texts shuffled differs before step 0"):
        same_view(task, other, "features", "shuffled")


def test_conformance_every_check_has_a_name_a_rule_and_a_fix():
    names = [check.name for check in all_checks()]
    assert len(set(names)) == len(names) == len(CHECKS) + len(AGENT_CHECKS)
    for check in all_checks():
        assert check.about.endswith(".")
        assert check.fix.endswith(".")


def test_conformance_messages_say_what_was_seen():
    for cls, check, said in (
        (TakesTooMuch, "misuse", r"action 1 of Discrete\(1\) is accepted; it must raise Invalid"),
        (ShowsGold, "gold_hidden", r"obs\['answer'\] of the same texts with gold and without"),
        (AlwaysRight, "constant_agents", r"always playing action 0 \(candidate 1\) scores 1.000"),
        (PaysMore, "rewards_sum", r"metric rewards sum to .*, the sparse reward is"),
        (GuessesRewards, "branching", r"`action_rewards` of .* and `transition` gives"),
        (HasNoPage, "docstring", "lacks the headings Description, Data"),
        (AlwaysTheFirst, "row_option", "row 5 was asked for and row 0 is played"),
        (SwallowsReward, "wrong_arguments", "'reward': 'metrics'} is accepted"),
        (IsBlind, "states_told_apart", "who memorises .* scores .* the majority action"),
    ):
        with pytest.raises(ConformanceError, match=said):
            check_task(f"{cls.__name__}-v0", check, quick=True)


def test_conformance_all_failures_are_told(monkeypatch):
    chosen = find_checks(("seeding", "row_option", "misuse"))
    results = list(run_checks(Subject("Good-v0"), chosen))
    assert [result.fault for result in results] == ["", "", ""]
    assert [result.passed for result in run_checks(Subject("AlwaysTheFirst-v0"), chosen)] == [
        False,
        False,
        True,
    ]
    assert all(result.seconds >= 0 for result in results)
    monkeypatch.setattr("nlp_gym.testing.checks.find_checks", lambda names, quick: chosen)
    check_task("Good-v0")
    with pytest.raises(ConformanceError) as caught:
        check_task("AlwaysTheFirst-v0")
    for check in ("seeding", "row_option"):
        assert f"check {check}: " in str(caught.value)
    assert "misuse" not in str(caught.value)


@pytest.mark.slow
def test_conformance_of_a_good_task_passes():
    check_task("Good-v0")


def test_conformance_wrong_names_are_typed_errors():
    with pytest.raises(UnknownNameError, match="Did you mean 'Good-v0'"):
        check_task("Good-v1")
    with pytest.raises(UnknownNameError, match="Did you mean 'seeding'"):
        check_task("Good-v0", "seedings")
    with pytest.raises(InvalidArgumentError, match="check=3 must be one of CHECKS"):
        check_task("Good-v0", 3)


def command(*arguments: str):
    return CliRunner().invoke(app, ["conformance", *arguments], env={"COLUMNS": "200"})


def test_conformance_command_prints_a_table_and_writes_json(tmp_path):
    file = tmp_path / "out.json"
    chosen = ("--check", "row_option", "--check", "misuse", "--json", str(file))
    good = command("Good-v0", *chosen)
    assert good.exit_code == 0, good.output
    assert "2 of 2 checks passed." in good.stdout
    record = json.loads(file.read_text())
    assert record["passed"] is True
    assert [check["check"] for check in record["checks"]] == ["row_option", "misuse"]
    bad = command("AlwaysTheFirst-v0", *chosen)
    assert bad.exit_code == 1
    assert "FAILED" in bad.stdout
    assert "row 5 was asked for" in " ".join(bad.stdout.split())
    assert "1 of 2 checks passed." in bad.stdout
    record = json.loads(file.read_text())
    assert [check["passed"] for check in record["checks"]] == [False, True]
    assert "`initial(rows)` must play" in record["checks"][0]["fault"]


def test_conformance_command_of_an_unknown_id_is_status_2():
    result = command("NER-CoNL-v0")
    assert result.exit_code == 2
    assert "Did you mean 'NER-CoNLL-v0'?" in result.stderr
    result = command("no_such_module:Id-v0")
    assert result.exit_code == 2
    assert "'no_such_module' cannot be imported" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--env-kwargs", "encoder:foo"), "encoder='foo'"),
        (("--env-kwargs", "max_tokens:3"), "max_tokens=3"),
        (("--env-kwargs", "max_toknes:9"), "'max_tokens'"),
        (("--env-kwargs", "encoder"), "--env-kwargs"),
        (("--check", "seedings"), "Did you mean 'seeding'"),
    ],
)
def test_conformance_command_of_wrong_arguments_is_status_2(arguments, said):
    result = command("Good-v0", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr


def test_conformance_command_tells_bugs_of_a_task_by_check(monkeypatch):
    monkeypatch.setattr(Good, "__init__", lambda self, **kwargs: 1 / 0)
    result = command("Good-v0", "--check", "seeding")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stdout
