"""The table of checks, and what runs them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlp_gym.checks import OBS_TYPES, REWARDS, check_name
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.make import task_spec
from nlp_gym.testing import arguments, memorising, pages, processes, rules, shells
from nlp_gym.testing.subject import SMALL, ConformanceError, Fault, Subject
from nlp_gym.types import SPLITS

Variant = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """One rule that every environment keeps.

    Attributes:
        function: Checks a `Subject`, raising where the rule is broken.
        fix: What to do where it is.
        variants: Arguments of the function, one after the other.
        by_id: Whether the outcome depends on the id itself, and not on its rules and data alone.
        quick: Whether it is part of a quick run.
    """

    function: Callable[..., None]
    fix: str
    variants: tuple[Variant, ...] = ({},)
    by_id: bool = False
    quick: bool = True

    @property
    def name(self) -> str:
        """Name, such as ``"batched_equals_single"``."""
        return self.function.__name__

    @property
    def about(self) -> str:
        """The rule in one sentence."""
        return (self.function.__doc__ or "").partition("\n")[0]

    def __str__(self) -> str:
        return self.name

    def run(self, subject: Subject, variant: Variant | None = None) -> None:
        """Check a subject, in one variant or in all.

        Raises:
            ConformanceError: The rule is broken.
        """
        variants = self.variants if variant is None else (variant,)
        for given in variants[:1] if subject.quick and variant is None else variants:
            try:
                self.function(subject, **given)
            except Exception as error:  # of the task, of Gymnasium's checker, warnings
                said = str(error) or "no message"
                kind = "" if isinstance(error, Fault) else f"{type(error).__name__}: "
                told = ", ".join(f"{key}={value!r}" for key, value in given.items())
                raise ConformanceError(
                    f"{subject.env_id}, check {self.name}{f' with {told}' if told else ''}: "
                    f"{kind}{said.rstrip('.')}. {self.fix}"
                ) from error


def _each(name: str, values: Iterable[Any]) -> tuple[Variant, ...]:
    return tuple({name: value} for value in values)


_OBS = _each("obs_type", OBS_TYPES)
_KEEP = "Keep everything that changes in the state, and compute from it alone, batched."

CHECKS: tuple[Check, ...] = (
    Check(
        shells.gymnasium_checker,
        "Give values inside the spaces, of their shapes and types; Gymnasium says which are not.",
        _OBS,
        by_id=True,
    ),
    Check(
        shells.batched_equals_single,
        f"What an episode does must not depend on the others of the batch. {_KEEP}",
        (
            *({"obs_type": obs_type, "reward": "metric"} for obs_type in OBS_TYPES),
            *({"obs_type": "index", "reward": r} for r in REWARDS if r != "metric"),
        ),
    ),
    Check(
        shells.step_limit,
        "`lengths` gives the most decisions of an episode on each sample. " + _KEEP,
    ),
    Check(shells.seeding, "`initial(rows)` must play the samples `rows`, and draw nothing itself."),
    Check(
        shells.spec_json,
        "In the row's kwargs give only what JSON has: texts, numbers, lists, mappings.",
        by_id=True,
    ),
    Check(shells.pickling, _KEEP, _OBS),
    Check(shells.snapshots, _KEEP),
    Check(
        shells.masks_agree,
        "`mask` must give the same for the same state, in an array of its own, and always leave "
        "one action legal.",
    ),
    Check(
        shells.last_masks,
        "At the end `mask` gives what was legal after the last decision, or any legal action.",
        _OBS,
    ),
    Check(
        shells.arrays_not_shared,
        "`mask` and `extra` must return new arrays, neither the state's own nor kept ones.",
        tuple({**obs, "batched": batched} for obs in _OBS for batched in (False, True)),
    ),
    Check(
        shells.row_option,
        "`initial(rows)` must play the samples `rows`.",
        by_id=True,
    ),
    Check(
        shells.misuse,
        "`action_space` must be Discrete(n_actions); leave the checks of actions to the shells.",
    ),
    Check(
        arguments.wrong_arguments,
        "Hand arguments on with **kwargs, and check your own with nlp_gym.checks in __init__.",
    ),
    Check(
        pages.render,
        "`frame` must show the text in its pieces.",
        _each("mode", ("ansi", "html", "human", "rgb_array")),
    ),
    Check(
        pages.render_batched,
        "`frame(state, i)` must draw episode i, and `place` say how far it is.",
        by_id=True,
    ),
    Check(
        pages.docstring,
        "Write the headings into the docstring of the class, as the recipe for a task has them.",
        by_id=True,
    ),
    Check(
        rules.oracle,
        "`oracle`, `outputs` and `corpus_score` must agree on what is right; where no path leads "
        "to 1.0, set exact_oracle = False.",
        _each("split", SPLITS),
        by_id=True,
    ),
    Check(
        rules.oracle_rewards,
        "`play` must credit what `oracle` decides, and `potential` give the sample's metric.",
        _each("reward", REWARDS),
    ),
    Check(
        rules.rewards_sum,
        "`potential` must be a function of the state, on the grid of `on_grid`; do not override "
        "`transition`.",
        _each("seed", range(3)),
    ),
    Check(
        rules.illegal_actions,
        "`repair` must say which actions `mask` forbids, and give a legal one in their place.",
    ),
    Check(
        rules.branching,
        "`play` and `potential` must depend on the state alone, and change no other; an "
        "`action_rewards` of your own must give what `transition` does.",
        _each("reward", REWARDS),
    ),
    Check(
        rules.gold_hidden,
        "What is observed must not be made from labels or gold: the agent would see the answer.",
        _OBS,
    ),
    Check(
        rules.not_scored_without_gold,
        "Leave `has_gold` to the corpus; `play` gives None as credit where there is no gold.",
        _each("limit", (None, 3)),
    ),
    Check(
        rules.same_shapes,
        "Sizes must follow from arguments or from the training split, not from each split's data.",
        _OBS,
    ),
    Check(
        rules.constant_agents,
        "Balance the data, shuffle candidates, or choose a metric in which the usual answer earns "
        "less.",
    ),
    Check(
        memorising.states_told_apart,
        "Show in `context`, `candidates` or `extras` what the right decision depends on.",
        quick=False,
    ),
    Check(
        processes.same_in_every_process,
        "Sort sets before their order matters, use no hash() of texts, and seed every generator.",
        by_id=True,
    ),
    Check(
        processes.flat_memory,
        "Keep nothing of an episode outside its state: no lists, no unbounded caches.",
        quick=False,
    ),
)


@dataclass(frozen=True)
class Result:
    """The outcome of a check.

    Attributes:
        check: The check.
        seconds: How long it took.
        fault: What was seen and how to fix it; "" where the check passed.
    """

    check: Check
    seconds: float
    fault: str = ""

    @property
    def passed(self) -> bool:
        """Whether the rule is kept."""
        return not self.fault


def find_checks(
    names: Sequence[str] = (), *, quick: bool = False, checks: Iterable[Check] = CHECKS
) -> tuple[Check, ...]:
    """Checks by name; all of them, or those of a quick run, where no names are given.

    Args:
        names: Names of checks.
        quick: Leave out the slow ones.
        checks: What is chosen from.

    Raises:
        UnknownNameError: There is no such check.
    """
    known = {check.name: check for check in checks}
    for name in names:
        check_name("check", name, tuple(known))
    if names:
        return tuple(known[name] for name in names)
    return tuple(check for check in known.values() if check.quick or not quick)


def run_checks(subject: Subject, checks: Iterable[Check] | None = None) -> Iterator[Result]:
    """Run checks one after the other, giving each outcome.

    Args:
        subject: The id.
        checks: Checks; None: all, or those of a quick run where the subject is `quick`.

    Raises:
        UnknownNameError: No such id.
    """
    task_spec(subject.env_id)
    for check in find_checks(quick=subject.quick) if checks is None else checks:
        start = time.perf_counter()
        fault = ""
        try:
            check.run(subject)
        except ConformanceError as error:
            fault = str(error)
        yield Result(check, time.perf_counter() - start, fault)


def check_task(
    env_id: str,
    check: Check | str | None = None,
    *,
    quick: bool = False,
    **kwargs: Any,
) -> None:
    """Check an environment, for tests of a task of your own.

    Args:
        env_id: A registered id, or ``"package.module:Id"``.
        check: One of `CHECKS`, or its name; None: all of them.
        quick: Only the quick checks, with fewer steps and seeds.
        **kwargs: Arguments of the environment; by default ``encoder="hashed"`` and
            ``corpus="sample"``.

    Raises:
        ConformanceError: A rule is broken; it is an `AssertionError` too. Where all checks are run,
            the message has all that failed.
        UnknownNameError: No such id, or no such check.
    """
    if check is not None and not isinstance(check, Check | str):
        raise InvalidArgumentError(f"check={shown(check)} must be one of CHECKS, or its name.")
    names = [] if check is None else [check if isinstance(check, str) else check.name]
    subject = Subject(env_id, {**SMALL, **kwargs}, quick)
    results = list(run_checks(subject, find_checks(names, quick=quick)))
    faults = [result.fault for result in results if not result.passed]
    if faults:
        raise ConformanceError(" | ".join(faults))
