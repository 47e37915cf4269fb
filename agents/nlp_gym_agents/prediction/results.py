"""What `Agent.predict` gives: one class for each kind of task.

A confidence is how likely the agent holds something to be right, from 0 to 1: the probability of
the decisions behind it, at the temperature that was fitted on dev (see `Result.calibrated`). It is
None where nothing was decided, or where the algorithm does not say how likely it holds its actions.

============================  ====================================================================
the whole is                  its confidence is
============================  ====================================================================
one label, the picked text    that of the label or text
an answer, a choice           the product of the decisions that led to it
ranked replies or answers     that of the first one
several parts (words, labels, the mean of the decisions: the share of them that is expected to be
relations, sentences, ...)    right
============================  ====================================================================

Offsets count characters of Python's strings and are half open, ``text[start:end]``. `to_dict` gives
the record that ``nlp-gym predict`` writes, with confidences rounded to `DECIMALS` places; between a
text predicted alone and in a batch they may differ by one in the last place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DECIMALS = 4
"""Decimal places of confidences in records."""


def rounded(confidence: float | None) -> float | None:
    """A confidence as records have it."""
    return None if confidence is None else round(confidence, DECIMALS)


@dataclass(frozen=True, slots=True)
class Played:
    """The n decisions of one episode, for feedback on it.

    Attributes:
        actions: (n,) what was played.
        chances: (n,) the probability that the policy gave each, as it acts: uncalibrated.
    """

    actions: tuple[int, ...]
    chances: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was decided on one text or sample; see the subclasses.

    Attributes:
        id: What the file calls the sample (its own id, else ``"file:line"``); ``""`` where it is
            from no file.
        text: The raw text, unchanged; None where there is none.
        record: The fields that the task gives (`Task.record`), which `to_dict` repeats.
        confidence: See the module; None: nothing was decided, or it is not known.
        calibrated: Whether a temperature was fitted on dev. If not (a run of an older release, or
            another checkpoint), confidences are probabilities as the network has them.
        played: The decisions behind it, an episode for each sentence where words are labelled, for
            `Agent.feedback`; None: not known. No part of records.
        policy: Which weights made them.
    """

    id: Any = ""
    text: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)
    confidence: float | None = None
    calibrated: bool = False
    played: tuple[Played, ...] | None = field(default=None, repr=False, compare=False)
    policy: str = field(default="", repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-able fields, as ``nlp-gym predict`` writes them."""
        found: dict[str, Any] = {} if self.id == "" else {"id": self.id}
        if self.text is not None:
            found["text"] = self.text
        found |= self._fields()
        return {**found, "confidence": rounded(self.confidence), "calibrated": self.calibrated}

    def to_json(self) -> str:
        """The same as one line of JSON, without a line feed."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def _fields(self) -> dict[str, Any]:
        """The record, with the confidences of its parts."""
        return dict(self.record)

    def _with_confidences(self, parts: Sequence[float | None]) -> dict[str, Any]:
        """The record, and beside its list of plain values the list of their confidences."""
        return {**self.record, "confidences": [rounded(part) for part in parts]}


@dataclass(frozen=True, slots=True)
class Token:
    """A word with its label.

    Attributes:
        text: The word.
        start: Its first character in the text.
        end: One past its last character.
        label: Its label.
        confidence: Probability of the label, given the labels before it.
    """

    text: str
    start: int
    end: int
    label: str
    confidence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Its fields."""
        return {
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "label": self.label,
            "confidence": rounded(self.confidence),
        }


@dataclass(frozen=True, slots=True)
class Entity(Token):
    """A name in a text; `label` is its type, and `confidence` the product of its words'."""


@dataclass(frozen=True, kw_only=True)
class TaggedText(Result):
    """A text whose words are labelled: entities, parts of speech.

    Attributes:
        tokens: Its words in order.
        entities: The names in it, from left to right; None where labels are no BIO tags.
    """

    tokens: tuple[Token, ...] = ()
    entities: tuple[Entity, ...] | None = None

    def _fields(self) -> dict[str, Any]:
        found: dict[str, Any] = {"tokens": [token.to_dict() for token in self.tokens]}
        if self.entities is not None:
            found["entities"] = [entity.to_dict() for entity in self.entities]
        return found


@dataclass(frozen=True, kw_only=True)
class LabelledText(Result):
    """A text with one label.

    Attributes:
        label: The label; None for a blank text.
        probabilities: Of every label, the likeliest first; they sum to 1. Empty: not known.
        read: Words that were read before the agent committed to the label.
        words: Words of the text.
    """

    label: str | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    read: int = 0
    words: int = 0


@dataclass(frozen=True, slots=True)
class Named:
    """A label or an act.

    Attributes:
        name: What it is called.
        confidence: Probability of the decision for it, given the decisions before.
    """

    name: str
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class LabelSet(Result):
    """A text with any number of labels.

    Attributes:
        labels: The labels, in the order of the inventory.
    """

    labels: tuple[Named, ...] = ()

    def _fields(self) -> dict[str, Any]:
        return self._with_confidences([x.confidence for x in self.labels]) if self.record else {}


@dataclass(frozen=True, slots=True)
class Mention:
    """An argument of a relation.

    Attributes:
        text: ``passage[start:end]``.
        start: Its first character in `Relations.passage`.
        end: One past its last character.
        first: Its first word.
        stop: One past its last word.
    """

    text: str
    start: int
    end: int
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class RelationFound:
    """A relation between two mentions.

    Attributes:
        head: Where it starts from.
        tail: Where it leads.
        label: What it is.
        confidence: Its probability, given the decisions on the pairs before.
    """

    head: Mention
    tail: Mention
    label: str
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class Relations(Result):
    """The relations between the entities of a text.

    Attributes:
        words: The words of the text.
        passage: The text, which offsets of mentions count: as it was given to `Agent.predict`, or
            its words joined by spaces where it is from a file.
        relations: Pairs that have a relation, in the order in which they were decided on.
    """

    words: tuple[str, ...] = ()
    passage: str = ""
    relations: tuple[RelationFound, ...] = ()

    def _fields(self) -> dict[str, Any]:
        listed = self.record.get("relations", ())
        pairs = zip(listed, self.relations, strict=True)
        found = [{**one, "confidence": rounded(x.confidence)} for one, x in pairs]
        return {**self.record, "relations": found}


@dataclass(frozen=True, kw_only=True)
class Answer(Result):
    """An answer that stands in a passage.

    Attributes:
        question: What was asked.
        passage: Where the answer stands.
        answer: ``passage[start:end]``.
        start: Its first character.
        end: One past its last character.
    """

    question: str = ""
    passage: str = ""
    answer: str = ""
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Ranked:
    """A text that could be chosen.

    Attributes:
        text: The text.
        index: Its place in the input, from 0.
        confidence: Probability that it is chosen (of replies: first); None: it was not looked at.
    """

    text: str
    index: int
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class Choice(Result):
    """The answer to a question with choices.

    Attributes:
        question: The question.
        answer: The chosen text; None: none was chosen.
        index: Its place among the choices; -1: none was chosen.
        ranking: All choices, the chosen one first and then by probability. An agent that looks at
            them one by one says nothing of those after the one that it chose: they come last.
    """

    question: str = ""
    answer: str | None = None
    index: int = -1
    ranking: tuple[Ranked, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RankedReplies(Result):
    """Replies to a dialogue, best first.

    Attributes:
        context: The turns so far.
        reply: The best reply.
        ranking: The replies that were ranked, best first.
    """

    context: tuple[str, ...] = ()
    reply: str | None = None
    ranking: tuple[Ranked, ...] = ()

    def _fields(self) -> dict[str, Any]:
        return self._with_confidences([reply.confidence for reply in self.ranking])


@dataclass(frozen=True, kw_only=True)
class PickedTexts(Result):
    """Candidates that were picked: one of them, or several.

    Attributes:
        picked: What was picked, in the order of picking.
        candidates: All there were.
    """

    picked: tuple[Ranked, ...] = ()
    candidates: tuple[str, ...] = ()

    def _fields(self) -> dict[str, Any]:
        if "indices" not in self.record:  # one pick, whose confidence is the result's
            return dict(self.record)
        return self._with_confidences([text.confidence for text in self.picked])


@dataclass(frozen=True, slots=True)
class Turn:
    """What the system does after a turn of the user.

    Attributes:
        user: What the user said.
        acts: The system's acts, in the order of the inventory.
    """

    user: str
    acts: tuple[Named, ...]


@dataclass(frozen=True, kw_only=True)
class DialogueActs(Result):
    """The acts of a system in a dialogue.

    Attributes:
        turns: In the order of the dialogue.
    """

    turns: tuple[Turn, ...] = ()

    def _fields(self) -> dict[str, Any]:
        pairs = zip(self.record.get("turns", ()), self.turns, strict=True)
        found = [
            {**one, "confidences": [rounded(act.confidence) for act in turn.acts]}
            for one, turn in pairs
        ]
        return {**self.record, "turns": found}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a document.

    Attributes:
        text: The sentence.
        index: Its number in the document, from 0.
        start: Its first character in `PickedSentences.document`.
        end: One past its last character.
        confidence: Probability of the decision to pick it, given those before.
    """

    text: str
    index: int
    start: int
    end: int
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class PickedSentences(Result):
    """A summary made of sentences of the document.

    Attributes:
        summary: The sentences joined by spaces.
        document: All sentences of the document, joined by spaces.
        sentences: Those picked, in the order of the document.
    """

    summary: str = ""
    document: str = ""
    sentences: tuple[Sentence, ...] = ()

    def _fields(self) -> dict[str, Any]:
        return self._with_confidences([sentence.confidence for sentence in self.sentences])


@dataclass(frozen=True, slots=True)
class GraphAnswer:
    """An entity of a knowledge graph.

    Attributes:
        entity: Its name in the graph.
        label: Its name for people.
        confidence: Probability of all the walks of the search that end at it.
    """

    entity: str
    label: str
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class GraphAnswers(Result):
    """What completes a fact (head, relation, ?), best first.

    Attributes:
        head: The entity that was asked about.
        relation: What was asked of it.
        answers: Best first; none where the graph lacks the head.
        problem: Which of the query's names the graph lacks, with the nearest; None: it has them.
    """

    head: str = ""
    relation: str = ""
    answers: tuple[GraphAnswer, ...] = ()
    problem: str | None = None

    def _fields(self) -> dict[str, Any]:
        pairs = zip(self.record.get("answers", ()), self.answers, strict=True)
        found = [{**one, "confidence": rounded(x.confidence)} for one, x in pairs]
        return {**self.record, "answers": found}


@dataclass(frozen=True, slots=True)
class WrittenToken:
    """A token of a written text.

    Attributes:
        text: The token; a byte inside a character by its number, ``</s>`` for STOP.
        confidence: Its probability, given the text before it.
    """

    text: str
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class WrittenText(Result):
    """A text that the agent wrote.

    Attributes:
        output: The text.
        tokens: Its tokens in order, with STOP where the agent chose to stop; none where it is not
            known which.
    """

    output: str = ""
    tokens: tuple[WrittenToken, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CompressedText(Result):
    """A text of which words were kept.

    Attributes:
        compression: The kept words, spaced as in the text.
        kept: Their places among the words of the text, from 0.
        ratio: The share of the words that they are.
        tokens: All words in order, each with its decision, ``"KEEP"`` or ``"DROP"``.
    """

    compression: str = ""
    kept: tuple[int, ...] = ()
    ratio: float = 0.0
    tokens: tuple[Token, ...] = ()

    def _fields(self) -> dict[str, Any]:
        return (
            {**self.record, "tokens": [one.to_dict() for one in self.tokens]} if self.record else {}
        )


@dataclass(frozen=True, kw_only=True)
class ChangedText(Result):
    """A text that was changed so that another agent decides otherwise.

    Attributes:
        changed: The text after the changes.
        changes: What was changed, in words.
        label: What that agent decides on the text as it was.
        label_after: What it decides on the changed one.
    """

    changed: str = ""
    changes: tuple[str, ...] = ()
    label: str = ""
    label_after: str = ""


@dataclass(frozen=True, kw_only=True)
class SimulatedDialogue(Result):
    """A dialogue with a simulated user.

    Attributes:
        services: Those that the user's goal is about, sorted.
        dialogue: Its turns: ``act`` and words of the ``system``, words of the ``user``.
        ended: Who ended it, ``"system"`` or ``"user"``; ``"limit"``: nobody.
    """

    services: tuple[str, ...] = ()
    dialogue: tuple[Mapping[str, str], ...] = ()
    ended: str = ""


@dataclass(frozen=True, kw_only=True)
class OtherResult(Result):
    """What a task of another kind decided: the fields are in `record`.

    Attributes:
        decisions: Probability of each decision, in the order of play; none where it is not known.
    """

    decisions: tuple[float, ...] = ()
