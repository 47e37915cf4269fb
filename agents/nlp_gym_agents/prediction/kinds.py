"""From what a task decided to a typed result, by the class whose `record` the task has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nlp_gym.data.tags.schemes import entity_spans
from nlp_gym.tasks.compression.references import ACTIONS, word_spans
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.types import Float64Array
from nlp_gym_agents.models.alternatives import token_names
from nlp_gym_agents.models.chances import Chances, Judge
from nlp_gym_agents.prediction import results
from nlp_gym_agents.prediction.inputs import Input
from nlp_gym_agents.prediction.parsed import ParsedText, source_rows, words_of

Parts = Literal["each", "first", "last", "whole"]
"""Which parts of a sample are right or wrong by themselves: each decision, the first or the last
one alone, or all of them together, which the last one makes right."""


@dataclass(frozen=True)
class Decided:
    """What was decided on a sample.

    Attributes:
        task: The task that decided.
        row: Its row of the sample.
        output: The output.
        record: `Task.record` of it.
        chances: How likely the decisions were held; None: not known.
    """

    task: Any
    row: int
    output: Output
    record: Mapping[str, Any]
    chances: Chances | None

    def chance(self, decision: int) -> float | None:
        """The probability of one decision; None where there is none of it."""
        if self.chances is None or not -1 <= decision < self.chances.chosen.shape[1]:
            return None
        return float(self.chances.chosen[0, decision])

    @property
    def by_action(self) -> dict[int, float]:
        """The probability of each action that was played."""
        if self.chances is None:
            return {}
        return dict(
            zip(self.chances.actions.tolist(), self.chances.chosen[0].tolist(), strict=True)
        )


@dataclass(frozen=True)
class Kind:
    """How a kind of task is told of.

    Attributes:
        result: Class of its results.
        fields: The fields of a result, beside those of `Result`.
        parts: What is right or wrong by itself, which calibration fits and the confidence of the
            whole is made of.
        part: What such a part is called.
        every: Whether the probabilities of all actions are needed.
        set_aside: Gives the action of a task that decides nothing yet; None: there is none.
        judged: How it is known whether a decision is right: by what the reward ``correctness``
            credits it with; by ``optimal`` of the task, where decisions that make no part of the
            answer (SHIFT) are right or wrong all the same; or not at all, where no decision is
            right or wrong by itself, so that confidences are not fitted.
    """

    result: type[results.Result]
    fields: Callable[[Decided], dict[str, Any]]
    parts: Parts
    part: str
    every: bool = False
    set_aside: Callable[[Any], int | None] = lambda task: None
    judged: Literal["credit", "optimal", "not"] = "credit"

    def judge(self, task: Any) -> Judge | None:
        """What says of decisions whether they are right, if not the reward."""
        return task.optimal if self.judged == "optimal" else None


def parts_of(chosen: Float64Array, parts: Parts) -> Float64Array:
    """(K, m) confidences of the parts, from (K, n) probabilities of the decisions."""
    if parts == "whole":
        return np.asarray(chosen.prod(axis=1, keepdims=True))
    return {"each": chosen, "first": chosen[:, :1], "last": chosen[:, -1:]}[parts]


def confidence_of(chances: Chances | None, parts: Parts) -> float | None:
    """The confidence of a whole: the mean of its parts, at the first temperature."""
    if chances is None:
        return None
    if chances.answers:
        return min(float(chances.answers[0][1][0]), 1.0)
    found = parts_of(chances.chosen, parts)[0]
    return float(found.mean()) if len(found) else None


def tagged(item: Input, labels: Sequence[str], chances: Sequence[float | None]) -> dict[str, Any]:
    """Fields of `TaggedText` but the entities, from a label and its probability for each word."""
    tokens = tuple(
        results.Token(word, start, end, label, chance)
        for (word, start, end), label, chance in zip(item.words, labels, chances, strict=True)
    )
    known = [chance for chance in chances if chance is not None]
    return {"tokens": tokens, "confidence": float(np.mean(known)) if known else None}


def entities(item: Input, tokens: Sequence[results.Token]) -> tuple[results.Entity, ...]:
    """The names that BIO tags mark."""
    found = []
    for first, stop, kind in entity_spans([token.label for token in tokens]):
        start, end = tokens[first].start, tokens[stop - 1].end
        chances = [t.confidence for t in tokens[first:stop] if t.confidence is not None]
        whole = float(np.prod(chances)) if chances else None
        found.append(results.Entity(item.text[start:end], start, end, kind, whole))
    return tuple(found)


def _label(decided: Decided) -> dict[str, Any]:
    found: dict[str, float] = {}
    if decided.chances is not None and decided.chances.every is not None:
        names = decided.task.labels
        last = decided.chances.every[-1, : len(names)].tolist()
        order = np.argsort(-np.array(last), kind="stable").tolist()
        found = {names[k]: last[k] for k in order}
    own = {key: decided.record[key] for key in ("label", "read", "words")}
    return {**own, "probabilities": found}


def _read_action(task: Any) -> int | None:
    return len(task.labels) if task.reading else None


def _label_set(decided: Decided) -> dict[str, Any]:
    place = {name: k for k, name in enumerate(decided.task.labels)}
    chances = decided.by_action
    names = decided.record["labels"]
    return {"labels": tuple(results.Named(name, chances.get(place[name])) for name in names)}


def _relations(decided: Decided) -> dict[str, Any]:
    words = decided.record["words"]
    given = decided.task.sample(decided.row).extra.get("text")
    passage = " ".join(words) if given is None else str(given)
    places, at = [], 0
    for word in words:  # they stand in the text in this order
        at = passage.index(word, at)
        places.append((at, at := at + len(word)))

    def mention(first: int, stop: int) -> results.Mention:
        start, end = places[first][0], places[stop - 1][1]
        return results.Mention(passage[start:end], start, end, first, stop)

    none = decided.task.none
    related = (k for k, label in enumerate(decided.output) if label != none)
    found = tuple(
        results.RelationFound(
            mention(*one["head"]), mention(*one["tail"]), one["label"], decided.chance(k)
        )
        for k, one in zip(related, decided.record["relations"], strict=True)
    )
    return {"words": tuple(words), "passage": passage, "relations": found}


def _answer(decided: Decided) -> dict[str, Any]:
    own = {key: decided.record[key] for key in ("question", "answer", "start", "end")}
    return {**own, "passage": decided.task.sample(decided.row).extra["text"]}


def _shown(decided: Decided, chances: Sequence[float]) -> dict[int, float]:
    """Probabilities of candidates by their index in the file, from those in the order shown."""
    return dict(zip(decided.task.order_shown(decided.row), chances, strict=False))


def _choice(decided: Decided) -> dict[str, Any]:
    record, found = decided.record, dict[int, float]()
    if decided.chances is not None and decided.chances.every is not None:
        every = decided.chances.every
        if decided.task.browse:  # times the probability that none of those before was taken
            chances = np.cumprod(np.append(1.0, every[:-1, 1])) * every[:, 0]
        else:
            chances = every[0]
        found = _shown(decided, chances.tolist())
    texts, index = record["choices"], record["index"]
    # The chosen one first, and those that were not looked at last.
    order = sorted(range(len(texts)), key=lambda k: (k != index, -found.get(k, -1.0)))
    own = {key: record[key] for key in ("question", "answer", "index")}
    return {**own, "ranking": tuple(results.Ranked(texts[k], k, found.get(k)) for k in order)}


def _replies(decided: Decided) -> dict[str, Any]:
    record, found = decided.record, dict[int, float]()
    if decided.chances is not None and decided.chances.every is not None:
        found = _shown(decided, decided.chances.every[0].tolist())
    extra = decided.task.sample(decided.row).extra
    texts = extra.get("candidate_texts", decided.task.file_texts(decided.row))
    ranking = tuple(results.Ranked(texts[k], k, found.get(k)) for k in record["ranking"])
    return {"context": tuple(record["context"]), "reply": record["reply"], "ranking": ranking}


def _pick_one(decided: Decided) -> dict[str, Any]:
    texts, k = decided.record["candidates"], decided.record["index"]
    picked = (results.Ranked(texts[k], k, decided.chance(0)),) if k >= 0 else ()
    return {"picked": picked, "candidates": tuple(texts)}


def _pick_several(decided: Decided) -> dict[str, Any]:
    texts = decided.record["candidates"]
    picked = tuple(
        results.Ranked(texts[k], k, decided.chance(n))
        for n, k in enumerate(decided.record["indices"])
    )
    return {"picked": picked, "candidates": tuple(texts)}


def _acts(decided: Decided) -> dict[str, Any]:
    place = {name: k for k, name in enumerate(decided.task.labels)}
    chances: list[dict[int, float]] = [{}]
    if decided.chances is not None:
        done = len(place)
        for action, chance in zip(
            decided.chances.actions.tolist(), decided.chances.chosen[0].tolist(), strict=True
        ):
            chances[-1][action] = chance
            chances += [{}] if action == done else []
    turns = []
    for n, turn in enumerate(decided.record["turns"]):
        own = chances[n] if n < len(chances) else {}
        acts = tuple(results.Named(name, own.get(place[name])) for name in turn["acts"])
        turns.append(results.Turn(turn["user"], acts))
    return {"turns": tuple(turns)}


def _sentences(decided: Decided) -> dict[str, Any]:
    texts = decided.task.sample(decided.row).extra["sentence_texts"]
    ends = np.cumsum([len(text) + 1 for text in texts]).tolist()
    chances = decided.by_action
    found = tuple(
        results.Sentence(texts[k], k, ends[k] - 1 - len(texts[k]), ends[k] - 1, chances.get(k))
        for k in decided.record["sentences"]
    )
    document = " ".join(texts)
    return {"summary": decided.record["summary"], "document": document, "sentences": found}


def _graph(decided: Decided) -> dict[str, Any]:
    record = decided.record
    chances = (
        {}
        if decided.chances is None
        else {name: min(float(chance[0]), 1.0) for name, chance in decided.chances.answers}
    )
    if not chances and decided.chances is not None and decided.output:  # a greedy walk
        chances[decided.output[0]] = float(decided.chances.chosen[0].prod())
    answers = tuple(
        results.GraphAnswer(one["entity"], one["label"], chances.get(one["entity"]))
        for one in record["answers"]
    )
    own = {key: record[key] for key in ("head", "relation")}
    return {**own, "answers": answers, "problem": record.get("problem")}


def _written(decided: Decided) -> dict[str, Any]:
    tokens: tuple[results.WrittenToken, ...] = ()
    if decided.chances is not None:
        names = token_names(decided.task, decided.chances.actions.tolist())
        chances = decided.chances.chosen[0].tolist()
        tokens = tuple(map(results.WrittenToken, names, chances))
    return {"output": decided.record["output"], "tokens": tokens}


def _tree(decided: Decided) -> dict[str, Any]:
    sample = decided.task.sample(decided.row)
    rows = source_rows(sample.words, sample.extra.get("rows", ()))
    return {"words": words_of(decided.record), "rows": rows}


def _compressed(decided: Decided) -> dict[str, Any]:
    sample, record = decided.task.sample(decided.row), decided.record
    text, spans = word_spans(sample)
    kept = set(record["kept"])
    tokens = tuple(
        results.Token(text[a:b], a, b, ACTIONS[place in kept], decided.chance(place))
        for place, (a, b) in enumerate(spans)
    )
    own = {key: record[key] for key in ("compression", "ratio")}
    return {**own, "kept": tuple(record["kept"]), "tokens": tokens}


def _simulated(decided: Decided) -> dict[str, Any]:
    record = decided.record
    return {**record, "services": tuple(record["services"]), "dialogue": tuple(record["dialogue"])}


def _changed(decided: Decided) -> dict[str, Any]:
    return {**decided.record, "changes": tuple(decided.record["changes"])}


def _other(decided: Decided) -> dict[str, Any]:
    chances = decided.chances
    return {"decisions": () if chances is None else tuple(chances.chosen[0].tolist())}


TAGGING = Kind(results.TaggedText, _other, "each", "words")
OTHER = Kind(results.OtherResult, _other, "each", "decisions")
_KINDS: Mapping[str, Kind] = {
    "tagging.task:LabelWords": TAGGING,
    "labels.label_text:LabelText": Kind(
        results.LabelledText, _label, "last", "labels", every=True, set_aside=_read_action
    ),
    "labels.multi_label:MultiLabel": Kind(
        results.LabelSet, _label_set, "each", "decisions (a label, or to stop)"
    ),
    "labels.dialogue_policy:DialoguePolicy": Kind(
        results.DialogueActs, _acts, "each", "decisions (an act, or that the turn is done)"
    ),
    "relation.task:Relation": Kind(results.Relations, _relations, "each", "pairs of entities"),
    "span_qa.task:PointSpan": Kind(results.Answer, _answer, "whole", "answers"),
    "candidates.choice_qa:ChoiceQA": Kind(results.Choice, _choice, "whole", "answers", every=True),
    "candidates.dialogue:Dialogue": Kind(
        results.RankedReplies, _replies, "first", "best replies", every=True
    ),
    "candidates.selection:PickOne": Kind(results.PickedTexts, _pick_one, "whole", "picks"),
    "candidates.selection:PickSeveral": Kind(
        results.PickedTexts, _pick_several, "each", "decisions (a pick, or to stop)"
    ),
    "candidates.summary:Summary": Kind(
        results.PickedSentences, _sentences, "each", "decisions (a sentence, or to stop)"
    ),
    "dialogue_sim.task:DialogueSim": Kind(
        results.SimulatedDialogue, _simulated, "each", "acts of the system", judged="not"
    ),
    "candidates.attack:Attack": Kind(
        results.ChangedText, _changed, "each", "decisions (a change, or to stop)", judged="not"
    ),
    "knowledge_graph.task:KnowledgeGraph": Kind(results.GraphAnswers, _graph, "whole", "answers"),
    "parsing.task:Parsing": Kind(ParsedText, _tree, "each", "transitions", judged="optimal"),
    "compression.task:Compression": Kind(
        results.CompressedText, _compressed, "each", "words", judged="not"
    ),
    "generation.task:WriteText": Kind(
        results.WrittenText, _written, "each", "tokens after those of a reference"
    ),
}
"""By the class that defines `record`; names, so that no task is imported that is not played."""
_TASKS = "nlp_gym.tasks."


def kind_of(task: Task | type[Task]) -> Kind:
    """The kind of a task; one that makes records of its own is any other."""
    cls = task if isinstance(task, type) else type(task)
    owner = next(base for base in cls.__mro__ if "record" in vars(base))
    name = f"{owner.__module__}:{owner.__qualname__}"
    return _KINDS.get(name.removeprefix(_TASKS), OTHER) if name.startswith(_TASKS) else OTHER
