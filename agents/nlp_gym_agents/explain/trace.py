"""A decision trace: what an agent saw, what it could do and what it held of each action.

`Trace.to_dict` and `Trace.to_json` write the fields of these classes under their names, in version
`VERSION` of the form; fields are added to a version, never renamed or removed. Numbers are finite.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nlp_gym.render import Frame

VERSION = 1
"""Of the form of a trace, written as ``"version"``."""

VIEWS = ("tagging", "reading", "span", "ranking", "labels", "walk", "writing", "tree")
"""How a trace is drawn: words by labels, pieces of a text, a passage, candidates, labels that are
chosen one after the other, a graph, a text that is written, a tree over the words."""


@dataclass(frozen=True)
class Option:
    """One action at a decision.

    Attributes:
        action: Its number.
        name: What it means: a label, a word of the passage, a reply, an edge, a token.
        legal: Whether the mask allows it.
        score: Its probability, or its Q value; see `Trace.scores`. None: not known, or masked.
        right: Whether the gold has it; None: there is no gold.
        place: Where in `Trace.words` it points, such as a word of a passage; None: nowhere.
        target: Where an edge of a graph leads; `name` is then the relation alone.
    """

    action: int
    name: str
    legal: bool
    score: float | None
    right: bool | None = None
    place: int | None = None
    target: str = ""


@dataclass(frozen=True)
class Decision:
    """One decision of an episode.

    Attributes:
        seen: What a person sees of the episode before the decision.
        place: Index in `Trace.words` of what is decided on; None: the text as a whole.
        options: Likeliest first; the chosen and the right ones are always among them.
        n_legal: Number of legal actions.
        n_actions: Number of all actions.
        chosen: The action that was chosen.
        runner_up: The best other legal action; None: there was none.
        margin: Score of the chosen action less that of the runner-up.
        value: What the agent expects from here on (the critic's value, or the highest Q value).
        reward: What the decision earned; None: there is no gold.
        relevance: How much each of `Trace.words` speaks for the chosen action, see
            `Trace.relevance`; empty: not asked for.
        sources: How much the network looked at each word of the source when it wrote this token;
            empty where it does not say.
        span: First of `Trace.words` that is decided on and one past the last: the word of a tagger,
            the piece of a text that was just read; None: the text as a whole.
        word_scores: The score of each of `Trace.words` where actions are words of a passage, None
            for one that could not be chosen; else empty.
        repaired: What was played in place of the choice where that was illegal, which only agents
            without masks choose; None: the choice itself.
        at: What is decided on in words: the node of a graph, the pair of a relation, the piece of
            a text that was just read; empty where `place` says it.
    """

    seen: Frame
    place: int | None
    options: tuple[Option, ...]
    n_legal: int
    n_actions: int
    chosen: int
    runner_up: int | None = None
    margin: float | None = None
    value: float | None = None
    reward: float | None = None
    relevance: tuple[float, ...] = ()
    sources: tuple[float, ...] = ()
    at: str = ""
    span: tuple[int, int] | None = None
    word_scores: tuple[float | None, ...] = ()
    repaired: int | None = None

    @property
    def choice(self) -> Option:
        """The option that was played."""
        return next(option for option in self.options if option.action == self.chosen)


@dataclass(frozen=True)
class Trace:
    """One episode, decision by decision.

    Attributes:
        env_id: The id that was played.
        algo: Name of the algorithm.
        view: One of `VIEWS`.
        scores: ``"probability"`` (over the legal actions; over all for an agent without masks),
            ``"value"`` (Q values) or ``"none"``.
        words: The words of the text that decisions and options point to.
        decisions: In the order in which they were made.
        output: The record of what came out, as `nlp-gym predict` writes it.
        score: The task's metric of this sample; None: there is no gold.
        metric: Name of the metric.
        relevance: How `Decision.relevance` was found: ``"occlusion"``, ``"gradient"``,
            ``"integrated gradients"``, or ``"none"``.
        context: Further texts that were seen, by name, such as ``{"question": "..."}``.
        sources: What `Decision.sources` are: ``"attention"`` (weights of the decoder's last layer,
            mean over its heads), ``"copying"`` (the probability that the token is copied from the
            word) or ``"none"``.
        notes: What a reader should know: that a search chose the episode, what was left out.
    """

    env_id: str
    algo: str
    view: str
    scores: str
    words: tuple[str, ...]
    decisions: tuple[Decision, ...]
    output: Mapping[str, Any]
    score: float | None = None
    metric: str = ""
    relevance: str = "none"
    context: Mapping[str, str] = field(default_factory=dict)
    sources: str = "none"
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The trace as JSON-able fields."""
        return {"version": VERSION, **asdict(self)}

    def to_json(self, *, indent: int | None = None) -> str:
        """The trace as JSON; texts are as they are, so escape it where it is shown."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=indent)
