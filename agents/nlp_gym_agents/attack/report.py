"""What an attack found, for programs, for a terminal and as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_gym.checks import check_ending
from nlp_gym.data.text.changes import text_of
from nlp_gym.files import write_output
from nlp_gym.inert import one_line
from nlp_gym.render.pages import page_templates
from nlp_gym_agents.attack.search import Attacked

if TYPE_CHECKING:
    from jinja2 import Environment

ENDINGS = (".html", ".json")
"""Endings of the files that a report can be written to."""
_SHOWN = 10
"""Examples in a terminal."""
_AROUND = 12
"""Words that are shown there on each side of a change."""
_DIGITS = 4


@dataclass(frozen=True)
class Case:
    """One attacked text, as a report has it.

    Attributes:
        attacked: What the search found.
        before: What was decided on the text, as `Task.record` has it.
        after: And on the changed one.
        similarity: Cosine of the vectors of both texts, by the encoder before training.
    """

    attacked: Attacked
    before: dict[str, Any]
    after: dict[str, Any]
    similarity: float

    def pieces(self, family: str) -> Iterator[tuple[str, str, str]]:
        """The changed text in parts: kind of change, what stood there, what stands there now.

        What was not changed has the kind ``""``.
        """
        words = text_of(self.attacked.sample, family)
        at = 0
        for edit in sorted(self.attacked.edits, key=lambda edit: (edit.start, edit.stop)):
            if edit.start > at:
                yield "", "", " ".join(words[at : edit.start])
            yield edit.kind, " ".join(words[edit.start : edit.stop]), " ".join(edit.words)
            at = edit.stop
        if at < len(words):
            yield "", "", " ".join(words[at:])

    def to_dict(self, family: str) -> dict[str, Any]:
        """The case as JSON has it."""
        own = self.attacked
        return {
            "id": own.sample.id,
            "words": list(text_of(own.sample, family)),
            "changed_words": list(text_of(own.changed, family)),
            "changes": [
                {
                    "kind": edit.kind,
                    "first": edit.start,
                    "stop": edit.stop,
                    "words": list(edit.words),
                }
                for edit in own.edits
            ],
            "was_right": own.was_right,
            "is_right": own.is_right,
            "chance_before": round(own.before, _DIGITS),
            "chance_after": round(own.after, _DIGITS),
            "queries": own.queries,
            "similarity": round(self.similarity, _DIGITS),
            "before": self.before,
            "after": self.after,
        }


@dataclass(frozen=True)
class AttackReport:
    """What an attack on an agent found.

    Attributes:
        env_id: The agent's task.
        algo: Its algorithm.
        split: Whose texts were attacked.
        family: Of their files.
        changes: Kinds of changes that were tried.
        budget: Most queries for a text.
        metric: Name of the task's metric.
        before: It, on the attacked texts as they were.
        after: And on the changed ones.
        cases: One per text, in the order of the split.
    """

    env_id: str
    algo: str
    split: str
    family: str
    changes: tuple[str, ...]
    budget: int
    metric: str
    before: float
    after: float
    cases: list[Case] = field(repr=False)

    @property
    def successes(self) -> list[Case]:
        """Texts on which a right decision became a wrong one."""
        return [case for case in self.cases if case.attacked.succeeded]

    @property
    def n_right(self) -> int:
        """Texts on which the agent was right."""
        return sum(case.attacked.was_right for case in self.cases)

    @property
    def success_rate(self) -> float | None:
        """Share of the right ones that became wrong; None: none was right."""
        return len(self.successes) / self.n_right if self.n_right else None

    def facts(self) -> dict[str, Any]:
        """The numbers of the report."""
        won = self.successes
        tried = [case.attacked for case in self.cases if case.attacked.was_right]
        words = [case.attacked.words_changed for case in won]
        shares = [case.attacked.words_changed / max(case.attacked.n_words, 1) for case in won]
        kinds = [edit.kind for case in won for edit in case.attacked.edits]
        return {
            "env": self.env_id,
            "algo": self.algo,
            "split": self.split,
            "texts": len(self.cases),
            "right_before": self.n_right,
            "deceived": len(won),
            "success_rate": _mean([case.succeeded for case in tried]),
            "metric": self.metric,
            "before": round(self.before, _DIGITS),
            "after": round(self.after, _DIGITS),
            "changes_needed": _mean([len(case.attacked.edits) for case in won]),
            "words_changed": _mean(words),
            "share_changed": _mean(shares),
            "queries": _mean([case.queries for case in tried]),
            "similarity": _mean([case.similarity for case in won]),
            "budget": self.budget,
            "changes": list(self.changes),
            "changes_used": {kind: kinds.count(kind) for kind in self.changes},
        }

    def to_dict(self) -> dict[str, Any]:
        """The numbers, and every text."""
        return {**self.facts(), "cases": [case.to_dict(self.family) for case in self.cases]}

    def lines(self) -> list[str]:
        """The numbers, for people."""
        facts = self.facts()
        rate = "no text was right" if facts["success_rate"] is None else _of(facts)
        lines = [
            f"{self.env_id} · {self.algo} · {len(self.cases)} texts of {self.split}",
            f"deceived: {rate}",
            f"{self.metric}: {self.before:.4f} before, {self.after:.4f} under attack",
        ]
        if self.successes:
            lines.append(
                f"changes needed: {facts['changes_needed']:.1f} "
                f"({facts['words_changed']:.1f} words, {facts['share_changed']:.0%} of the text); "
                f"similarity to the text: {facts['similarity']:.3f}"
            )
            used = ", ".join(f"{kind} {n}" for kind, n in facts["changes_used"].items())
            lines.append(f"kinds of these changes: {used}")
        if facts["queries"] is not None:
            lines.append(f"queries: {facts['queries']:.0f} for a text, at most {self.budget}")
        return lines

    def text(self, most: int = _SHOWN) -> str:
        """The numbers and some examples, for a terminal."""
        lines = self.lines()
        for case in self.successes[:most]:
            pieces = list(case.pieces(self.family))
            parts = [
                f"[{old or '+'} -> {new}]" if kind else _shortened(new, k, len(pieces))
                for k, (kind, old, new) in enumerate(pieces)
            ]
            own = case.attacked
            lines += ["", one_line(" ".join(parts))]
            lines.append(
                f"  {one_line(decided(case.before))} -> {one_line(decided(case.after))}; "
                f"right: {own.before:.2f} -> {own.after:.2f}; {own.queries} queries"
            )
        return "\n".join(lines)


def _shortened(text: str, k: int, n: int) -> str:
    """What stands between changes: its first and last words; piece `k` of `n` of a text."""
    words = text.split(" ")
    before = words[:_AROUND] if k else []
    after = words[-_AROUND:] if k < n - 1 else []
    if len(words) <= len(before) + len(after) + _AROUND:
        return text
    return " ".join([*before, "...", *after])


def _of(facts: dict[str, Any]) -> str:
    return (
        f"{facts['deceived']} of {facts['right_before']} right ones ({facts['success_rate']:.1%})"
    )


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), _DIGITS) if len(values) else None


def decided(record: dict[str, Any]) -> str:
    """What was decided, in short: the value of a record that says it."""
    for name in ("label", "labels", "tags", "answer", "choice", "picked", "relations"):
        if name in record:
            value = record[name]
            return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return json.dumps(record, ensure_ascii=False, default=str)


def check_output(path: Path) -> str:
    """The ending of a file for a report, in small letters.

    Raises:
        InvalidArgumentError: It is none of `ENDINGS`.
    """
    return check_ending("out", path, ENDINGS, "a page, or the report for programs")


def write_report(report: AttackReport, path: Path) -> None:
    """Write a report whole or not at all, in the form that the file's ending asks for.

    Raises:
        InvalidArgumentError: Another ending than `ENDINGS`.
        DataError: The file cannot be written.
    """
    content = report_html(report) if check_output(path) == ".html" else report_json(report)
    write_output("out", path, content)


def report_json(report: AttackReport) -> str:
    """The report as JSON."""
    return json.dumps(report.to_dict(), ensure_ascii=False, indent=1, default=str) + "\n"


def report_html(report: AttackReport) -> str:
    """The report as one page in the style of explained decisions; nothing is loaded, no script."""
    template = _templates().get_template("report.html")
    return template.render(report=report, decided=decided, heat=())


@lru_cache(maxsize=1)
def _templates() -> Environment:
    # The second has the frame of the page and its style.
    return page_templates("nlp_gym_agents.attack", "nlp_gym_agents.explain.drawing")
