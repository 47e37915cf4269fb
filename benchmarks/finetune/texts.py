"""The texts of a task as transformers read them, for `supervised`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from nlp_gym.encode.load import ENCODERS
from nlp_gym.encode.weights.sources import find_source
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample

IGNORED = -100  # of `torch.nn.functional.cross_entropy`


@dataclass(frozen=True)
class Text:
    """Sub-words of a text, where its W words begin in them (-1: cut off), and the gold."""

    ids: list[int]
    types: list[int]
    places: list[int]
    target: list[int]


class Reader:
    """Turns the samples of a task into `Text`.

    Args:
        task: On the training corpus, which names the labels.
        encoder: Name of the encoder.
    """

    def __init__(self, task: Task, encoder: str) -> None:
        source = find_source(encoder, ENCODERS)
        self.kind, self.number = task.family, {label: i for i, label in enumerate(task.labels)}
        self.tokenizer: Any = Tokenizer.from_str(source.tokenizer_json())
        self.tokenizer.no_padding()
        longest = int(source.config.get("max_position_embeddings", 512))
        strategy = "only_second" if self.kind == "spanqa" else "longest_first"
        self.tokenizer.enable_truncation(longest, strategy=strategy)
        self.pad = int(source.config.get("pad_token_id") or 0)

    def __call__(self, samples: Sequence[Sample]) -> list[Text]:
        """One a sample."""
        pair = self.kind == "spanqa"
        words: list[Any] = [list(sample.words) for sample in samples]
        if pair:
            words = [(list(s.extra["question"]), w) for s, w in zip(samples, words, strict=True)]
        found = self.tokenizer.encode_batch(words, is_pretokenized=True)
        return [self._text(s, e, int(pair)) for s, e in zip(samples, found, strict=True)]

    def _text(self, sample: Sample, encoding: Any, part: int) -> Text:
        places = [-1] * len(sample.words)
        owners = zip(encoding.word_ids, encoding.sequence_ids, strict=True)
        for place, (word, sequence) in enumerate(owners):
            if word is not None and sequence == part and places[word] < 0:
                places[word] = place
        if self.kind == "spanqa":
            target = list((sample.gold or (("", IGNORED, IGNORED),))[0][1:])
            seen = target[0] >= 0 and places[target[0]] >= 0 and places[target[1]] >= 0
            target = target if seen else [IGNORED, IGNORED]
        else:
            target = [self.number.get(label, IGNORED) for label in sample.labels or ()]
        return Text(encoding.ids, encoding.type_ids, places, target)


def repaired(tags: list[str]) -> tuple[str, ...]:
    """``B-X`` for each ``I-X`` where no ``X`` is open; other labels as they are."""
    played, before = [], "O"
    for tag in tags:
        if tag.startswith("I-") and before[2:] != tag[2:]:
            tag = "B-" + tag[2:]
        played.append(tag)
        before = tag
    return tuple(played)
