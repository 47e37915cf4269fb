"""What both sides say in words: templates filled with slots and values, each sentence one unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from nlp_gym.data.text.tokenize import split_words
from nlp_gym.tasks.core.tables import TextIndex
from nlp_gym.tasks.dialogue_sim.acts import (
    ANY,
    FIRST_VALUE,
    N_SYSTEM,
    NONE,
    REQUEST,
    Part,
    System,
    User,
)
from nlp_gym.tasks.dialogue_sim.state import SimState
from nlp_gym.tasks.dialogue_sim.world import World
from nlp_gym.types import BoolArray, Int64Array

Templates = Mapping[str, str]

# Members of an enumeration are slow to look up, and arrays slow to compare with them.
_ACT, _INTENT, _ASK = int(Part.ACT), int(Part.INTENT), int(Part.ASK)
_SLOT, _SECOND = int(Part.SLOT), int(Part.SECOND_SLOT)
_OFFER, _INFORM, _NOTHING = int(System.OFFER), int(System.INFORM), int(User.NOTHING)

_ENGLISH = {
    "greet": "Hello, how can I help you?",
    "request": "What {slot} would you like?",
    "confirm": "Please confirm what I noted to {intent}.",
    "query": "One moment, I will look that up to {intent}.",
    "offer": "How about {entity}?",
    "inform": "The {slot} is {value}.",
    "no_result": "I am sorry, I found nothing to {intent}.",
    "success": "It is done, I could {intent}.",
    "failure": "I am sorry, it was not possible to {intent}.",
    "offer_intent": "Shall I {intent} for you?",
    "req_more": "Is there anything else I can help you with?",
    "repeat": "I am sorry, could you say that again?",
    "bye": "Thank you, goodbye.",
    "user_open": "I would like to {intent}.",
    "user_inform": "I want {slot} to be {value}.",
    "user_any": "I do not care about the {slot}.",
    "user_ask": "What is the {slot}?",
    "user_affirm": "Yes, that is right.",
    "user_negate": "No, that is not right.",
    "user_correct": "Then let me change that.",
    "user_alternatives": "Is there something else?",
    "user_select": "Yes, that sounds good.",
    "user_thanks": "Great, thank you.",
    "user_affirm_intent": "Yes, please do.",
    "user_negate_intent": "No, not that.",
    "user_done": "That is all. Thank you, goodbye.",
    "user_lost": "I am not sure what you mean.",
    "unclear": "(not understood)",
}
_CHINESE = {
    "greet": "您好，请问有什么可以帮您？",
    "request": "请问您要什么{slot}？",
    "confirm": "请确认我记下的内容：{intent}。",
    "query": "请稍等，我查一下：{intent}。",
    "offer": "{entity}怎么样？",
    "inform": "{slot}是{value}。",
    "no_result": "抱歉，没有找到：{intent}。",
    "success": "已经办好了：{intent}。",
    "failure": "抱歉，没有办成：{intent}。",
    "offer_intent": "需要我为您{intent}吗？",
    "req_more": "还有什么可以帮您吗？",
    "repeat": "抱歉，请您再说一遍。",
    "bye": "谢谢，再见。",
    "user_open": "我想{intent}。",
    "user_inform": "{slot}要{value}。",
    "user_any": "{slot}都可以。",
    "user_ask": "{slot}是什么？",
    "user_affirm": "对，没错。",
    "user_negate": "不，不对。",
    "user_correct": "那我改一下。",
    "user_alternatives": "还有别的吗？",
    "user_select": "好的，就这个。",
    "user_thanks": "太好了，谢谢。",
    "user_affirm_intent": "好的，请办。",
    "user_negate_intent": "不，不是这个。",
    "user_done": "就这些，谢谢，再见。",
    "user_lost": "我不太明白您的意思。",
    "unclear": "（没有听清）",
}
TEMPLATES: Mapping[str, Templates] = MappingProxyType(
    {"en": MappingProxyType(_ENGLISH), "zh": MappingProxyType(_CHINESE)}
)
"""Sentences of each language, by what is said; those of the user are heard, or not understood."""

_NAME = re.compile(r"(^|_)(name|title)$|名")
"""Slots that name an entity."""

SENTENCES = 5
"""Sentences of a turn: the system's, and the user's act, intent or question, and two values."""

_USER = {
    User.CHANGE: "user_correct",
    User.AFFIRM: "user_affirm",
    User.NEGATE: "user_negate",
    User.ALTERNATIVES: "user_alternatives",
    User.SELECT: "user_select",
    User.THANKS: "user_thanks",
    User.AFFIRM_INTENT: "user_affirm_intent",
    User.NEGATE_INTENT: "user_negate_intent",
    User.DONE: "user_done",
    User.LOST: "user_lost",
}
_SYSTEM = {
    System.CONFIRM: "confirm",
    System.QUERY: "query",
    System.NO_RESULT: "no_result",
    System.EXECUTE: "success",
    System.OFFER_INTENT: "offer_intent",
}
_FIXED = {System.REQ_MORE: "req_more", System.REPEAT: "repeat", System.BYE: "bye"}


def plain(name: str) -> str:
    """A name of a slot or intent in words."""
    return name.replace("_", " ").strip()


class Sentences:
    """Numbers of all sentences of a world.

    Args:
        world: Services, slots, values and entities.
        texts: Gets the sentences.
        templates: The language's.
        asked: (services, S) bool, slots that users ask for; of others no value is ever told.

    Attributes:
        greeting: Number of the first sentence of the system.
        unclear: Number of what stands for a turn that was not understood.
        none: Number that stands for no sentence.
        system: (N_SYSTEM + 1, I + 1) of the system's acts by the intent that they are about, the
            last one being none; requests, offers and informs have arrays of their own.
        failure: (I + 1,) of what could not be done.
        request: (services * S,) of requests for a slot.
        offer: (E,) of offers of an entity.
        inform: (V + FIRST_VALUE,) of the system's answers by value.
        user: (acts,) of the user's acts.
        open: (I,) of the user's intents.
        ask: (services * S,) of the user's questions.
        want: (V + FIRST_VALUE,) of the user's values.
        any: (services * S,) of what the user does not care about.
    """

    def __init__(
        self, world: World, texts: TextIndex, templates: Templates, asked: BoolArray
    ) -> None:
        self.world, self._texts, self._templates = world, texts, dict(templates)
        self._raw: dict[int, str] = {}
        self._requested: dict[int, str] = {}
        self.greeting, self.unclear = self._add("greet"), self._add("unclear")
        intents = [
            (intent.about or plain(intent.name)).rstrip(".。").strip() for intent in world.intents
        ]
        intents = [text[:1].lower() + text[1:] for text in intents] + ["..."]
        self.system = np.full((N_SYSTEM + 1, len(intents)), -1, np.int64)
        for i, text in enumerate(intents):
            for act, key in _SYSTEM.items():
                self.system[act, i] = self._add(key, intent=text)
            for same, key in _FIXED.items():
                self.system[same, i] = self._add(key)
        self.failure = np.array([self._add("failure", intent=text) for text in intents])
        self.open = np.array([self._add("user_open", intent=text) for text in intents[:-1]])
        self.user = np.full(len(User), -1, np.int64)
        for said, key in _USER.items():
            self.user[said] = self._add(key)
        self._slots()
        self._values(asked)
        self.offer = np.array([self._add("offer", entity=text) for text in _entities(world)])
        self.offer = np.append(self.offer, -1).astype(np.int64)
        self.none = len(texts.texts)
        for name in ("system", "failure", "open", "user", "request", "ask", "any"):
            self._close(name)
        for name in ("inform", "want", "offer"):
            self._close(name)
        self._find()

    def _add(self, key: str, **parts: str) -> int:
        text = self._templates[key].format(**parts)
        number = self._texts.add(tuple(word for word, _, _ in split_words(text)))
        self._raw.setdefault(number, text)
        return number

    def _close(self, name: str) -> None:
        numbers = getattr(self, name)
        setattr(self, name, np.where(numbers < 0, self.none, numbers).astype(np.int64))

    def _slots(self) -> None:
        world = self.world
        shape = len(world.services) * world.n_slots
        self.request, self.ask, self.any = (np.full(shape, -1, np.int64) for _ in range(3))
        for service, slots in enumerate(world.slots):
            for k, slot in enumerate(slots):
                at = service * world.n_slots + k
                self.request[at] = self._add("request", slot=plain(slot))
                self._requested.setdefault(int(self.request[at]), slot)
                self.ask[at] = self._add("user_ask", slot=plain(slot))
                self.any[at] = self._add("user_any", slot=plain(slot))

    def _values(self, asked: BoolArray) -> None:
        world = self.world
        named = np.zeros_like(asked)
        np.logical_or.at(named, world.service, world.inside)
        n = len(world.values) + FIRST_VALUE
        self.inform, self.want = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
        owner = np.repeat(np.arange(len(world.first_value) - 1), np.diff(world.first_value))
        for number, (at, value) in enumerate(
            zip(owner.tolist(), world.values, strict=True), FIRST_VALUE
        ):
            service, k = divmod(at, world.n_slots)
            slot = plain(world.slots[service][k])
            if asked[service, k]:
                self.inform[number] = self._add("inform", slot=slot, value=value)
            if named[service, k]:
                self.want[number] = self._add("user_inform", slot=slot, value=value)

    def _find(self) -> None:
        """Make what turns are looked up in, with a place for number -1, nothing."""
        world, last = self.world, slice(-1, None)
        # (N_SYSTEM + 1, I + 1) flat; the first column is for no intent.
        offers = int(System.OFFER_INTENT)
        table = np.concatenate([self.system[:, last], self.system[:, :-1]], axis=1)
        table[offers, 1:] = self.system[offers].take(world.follows)
        self._system, self._width = table.ravel(), table.shape[1]
        none = np.array([self.none])
        self._open, self._want = np.append(self.open, none), np.append(self.want, none)
        self._want[NONE] = self.unclear
        self._base = np.append(world.service, world.service[:1]) * world.n_slots

    def said(self, kind: Int64Array, slot: Int64Array, state: SimState) -> Int64Array:
        """(B,) sentences of the system.

        Args:
            kind: (B,) act, `REQUEST` for all requests.
            slot: (B,) slot that is requested; -1: none.
            state: The dialogues, after what the act does.
        """
        intent = state.intent
        said: Int64Array = self._system.take(kind * self._width + intent + 1)
        (at,) = ((kind == REQUEST) & (slot >= 0)).nonzero()
        said[at] = self.request.take(self._base.take(intent[at]) + slot[at])
        (at,) = (kind == _OFFER).nonzero()
        said[at] = self.offer.take(state.entity[at])
        (at,) = ((kind == _INFORM) & (state.asked >= 0)).nonzero()
        value = self.world.entities[state.entity[at], state.asked[at]]
        said[at] = self.inform.take(value)
        return said

    def turn(
        self, said: Int64Array, state: SimState, speech: Int64Array, heard: Int64Array
    ) -> Int64Array:
        """(B, 5) what both sides say in a turn, as the system hears it; see `SENTENCES`.

        Args:
            said: (B,) sentences of the system.
            state: The dialogues, after the user was heard.
            speech: (B, 7) what the user said.
            heard: (B, 2) values that were heard; `NONE`: missed, -1: none was said.
        """
        act, intent, ask = speech[:, _ACT], speech[:, _INTENT], speech[:, _ASK]
        missed = state.unclear & (act > _NOTHING)
        now = np.empty((len(said), SENTENCES), np.int64)
        now[:, 0] = said
        now[:, 1] = np.where(missed, self.unclear, self.user.take(act))
        now[:, 2] = self._open.take(intent)
        (at,) = ((ask >= 0) & (intent < 0)).nonzero()
        now[at, 2] = self.ask.take(self._base.take(state.intent[at]) + ask[at])
        now[missed, 2] = self.none
        now[:, 3:] = self._want.take(heard)
        at, n = (heard == ANY).nonzero()
        slot = speech[at, n * (_SECOND - _SLOT) + _SLOT]
        now[at, 3 + n] = self.any.take(self._base.take(state.intent[at]) + slot)
        return now

    def requested(self, number: int) -> str:
        """The slot that a sentence requests; empty for other sentences."""
        return self._requested.get(number, "")

    def text(self, number: int) -> str:
        """A sentence as it is said; empty for none."""
        return self._raw[number] if 0 <= number < self.none else ""


def _entities(world: World) -> list[str]:
    """A name for each entity: its name or title, else the two values that differ most."""
    found = []
    for service in range(len(world.services)):
        first, stop = world.entity_range[service : service + 2].tolist()
        rows = world.entities[first:stop]
        if not len(rows):
            continue
        distinct = [len(np.unique(column)) for column in rows.T]
        order = np.argsort(-np.array(distinct), kind="stable").tolist()
        slots = world.slots[service]
        names = [k for k in order if k < len(slots) and _NAME.search(slots[k])]
        best = names[:1] or sorted(order[:2])
        for row in rows:
            texts = [world.text(int(row[k])) for k in best if row[k] >= FIRST_VALUE]
            found.append(", ".join(texts) or "that")
    return found
