"""Formats of the family "policy": dialogues with the acts of the system's turns."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_list,
    checked_object,
    checked_string,
    checked_strings,
    field,
    json_document,
    json_samples,
    text_words,
    with_id,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.types import Sample


@dataclass
class _Dialogue:
    """A dialogue while it is read.

    Attributes:
        texts: Text of each user turn.
        users: Words of each user turn.
        said: Words of the system's answer to each, if known.
        acts: Acts of the system's answer to each.
    """

    texts: list[str] = default(default_factory=list)
    users: list[tuple[str, ...]] = default(default_factory=list)
    said: list[tuple[str, ...]] = default(default_factory=list)
    acts: list[tuple[str, ...]] = default(default_factory=list)

    def begin_turn(self, value: Any, key: str) -> None:
        """Begin a turn with the user's text."""
        words, text, _ = text_words(value, key)
        self.users.append(words)
        self.texts.append(text)
        self.said.append(())

    def sample(self, where: str, gold: bool) -> Sample:
        """The sample of the dialogue; its gold is a tuple of acts for each turn."""
        words = tuple(word for turn in self.users for word in turn)
        extra = {
            "turns": tuple(self.users),
            "turn_texts": tuple(self.texts),
            "said": tuple(self.said),
        }
        return Sample(words, None, where, extra, tuple(self.acts) if gold else None)


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one dialogue per line, as ``{"turns": [{"user": "...", "acts": ["REQUEST"]}, ...]}``.

    A turn has the user's text and the acts of the system's answer (`options.column` names another
    key than ``acts``), and may have the text of that answer as ``system``. Acts that are repeated
    in a turn count once.
    """
    (key,) = options.label_names(("acts",))

    def build(row: dict[str, Any], number: int) -> Sample:
        found = _Dialogue()
        for i, value in enumerate(checked_list(field(row, "turns"), "turns", least=1)):
            at = f"turns[{i}]"
            turn = checked_object(value, at)
            found.begin_turn(field(turn, "user"), f"{at}.user")
            found.said[-1] = _spoken(turn.get("system"), f"{at}.system")
            if options.gold:
                acts = checked_strings(field(turn, key), f"{at}.{key}", least=1)
                found.acts.append(tuple(sorted(set(acts))))
        return found.sample(f"{name}:{number}", options.gold)

    return json_samples(lines, Parsed(), build)


def parse_sgd(lines: list[str], name: str, options: Options) -> Parsed:
    """Read Schema-Guided Dialogues (Rastogi et al. 2020): a JSON list of dialogues.

    The acts of a system turn are read as their types, each once, without slots and values. Turns of
    user and system alternate; a dialogue may end with the user's turn only if gold is not read.
    """
    parsed = Parsed()
    document = json_document(lines, parsed)
    if document is None:
        return parsed
    if not isinstance(document.value, list):
        parsed.problems.append(Problem(1, "the file is not a JSON list of dialogues"))
        return parsed
    for index, value in enumerate(document.value, 1):
        line = document.line(value) if isinstance(value, (dict, list)) else 1
        try:
            found = _sgd_dialogue(checked_object(value, f"dialogue {index}"), options.gold)
            sample = found.sample(f"{name}:{line}", options.gold)
            parsed.samples.append(with_id(sample, value.get("dialogue_id")))
        except RowError as error:
            parsed.problems.append(Problem(line, str(error)))
    return parsed


def _sgd_dialogue(row: dict[str, Any], gold: bool) -> _Dialogue:
    found = _Dialogue()
    speaker = "SYSTEM"
    for at, value in enumerate(checked_list(field(row, "turns"), "turns", least=1), 1):
        turn = checked_object(value, f"turn {at}")
        expected = "USER" if speaker == "SYSTEM" else "SYSTEM"
        speaker = checked_string(field(turn, "speaker"), "speaker")
        if speaker != expected:
            raise RowError(f"turn {at} is of speaker {speaker!r} where {expected!r} is next")
        if speaker == "USER":
            found.begin_turn(field(turn, "utterance"), "utterance")
            continue
        found.said[-1] = _spoken(turn.get("utterance"), "utterance")
        if gold:
            found.acts.append(_sgd_acts(turn, at))
    if gold and speaker == "USER":
        raise RowError("the dialogue ends with a turn of the user: there is no answer to learn")
    return found


def _sgd_acts(turn: dict[str, Any], at: int) -> tuple[str, ...]:
    frames = checked_list(field(turn, "frames"), "frames", least=1)
    acts = {
        checked_string(field(checked_object(action, "an action"), "act"), "act")
        for frame in frames
        for action in checked_list(field(checked_object(frame, "a frame"), "actions"), "actions")
    }
    if not acts:
        raise RowError(f"turn {at} of the system has no act")
    return tuple(sorted(acts))


def _spoken(value: Any, key: str) -> tuple[str, ...]:
    """Words of the system's answer; none if it is not recorded."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ()
    return text_words(value, key)[0]


def _is_sgd(lines: list[str]) -> bool:
    return '"speaker"' in "\n".join(lines)


FORMATS: tuple[Reader, ...] = (
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one dialogue per line: {"turns": [{"user": "...", "acts": ["REQUEST"]}]}',
    ),
    Reader("sgd", (".json",), parse_sgd, "Schema-Guided Dialogue, a JSON list", _is_sgd),
)
