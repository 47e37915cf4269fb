"""What is written one action at a time: sub-words or characters, learnt from texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.types import BoolArray, Int64Array

STOP = "</s>"
SPACE = "\u2581"
"""How `tokenizers` writes the space before a word."""
KINDS = ("subword", "character")
N_LEGAL = 4
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f▁]")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def normal(text: str) -> str:
    """A text as it can be written: single spaces, none at its ends.

    ``▁`` is taken for a space too, and so are control characters.
    """
    return " ".join(_CONTROL.sub(" ", text).split())


@dataclass(frozen=True)
class Vocabulary:
    """Tokens of a byte pair encoding (Sennrich et al. 2016; package tokenizers), token 0 is STOP.

    Any text can be written: a character that training did not have is spelt in UTF-8 bytes, whose
    256 tokens come after STOP.

    Attributes:
        settings: The tokenizer in the format of `tokenizers`.
    """

    settings: str

    @classmethod
    def learn(cls, texts: Iterable[str], *, size: int, kind: str = "subword") -> Vocabulary:
        """Learn from texts.

        Args:
            texts: What is to be written, such as the references of a training split.
            size: Most tokens. Those of all characters are kept if there are more.
            kind: ``"subword"``, or ``"character"`` for no merges of characters.
        """
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        own = [STOP, *(f"<0x{i:02X}>" for i in range(256))]
        tokenizer = Tokenizer(models.BPE(byte_fallback=True))
        spaces = pre_tokenizers.Metaspace(replacement=SPACE)
        marks = pre_tokenizers.Punctuation(behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([spaces, marks])
        lines = [normal(text) for text in texts]
        alphabet = sorted({character for line in lines for character in line} - {" "} | {SPACE})
        trainer = trainers.BpeTrainer(
            vocab_size=0 if kind == "character" else size,
            special_tokens=own,
            initial_alphabet=alphabet,
            show_progress=False,
        )
        tokenizer.train_from_iterator(lines, trainer)
        settings = json.loads(tokenizer.to_str())
        settings["added_tokens"] = []  # a text that holds "</s>" is spelt like any other
        return cls(json.dumps(settings, ensure_ascii=False))

    @classmethod
    def read(cls, settings: Any) -> Vocabulary:
        """From what `settings` was, as `learn` made it.

        Raises:
            InvalidArgumentError: It is something else.
        """
        try:
            vocabulary = cls(settings)
            known = vocabulary.tokens[0] == STOP and len(vocabulary.tokens) > 256
        except Exception as error:  # tokenizers raises plain `Exception`
            raise InvalidArgumentError(_unreadable(settings)) from error
        if not known:
            raise InvalidArgumentError(_unreadable(settings))
        return vocabulary

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self.settings)

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """The V tokens by number, as `tokenizers` writes them."""
        numbers = self._tokenizer.get_vocab()
        return tuple(sorted(numbers, key=numbers.__getitem__))

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """What each token adds to the text in UTF-8; nothing for STOP."""
        return (b"", *map(_bytes, self.tokens[1:]))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of texts, without STOP."""
        encoded = self._tokenizer.encode_batch([normal(text) for text in texts])
        return [encoding.ids for encoding in encoded]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text that tokens write; bytes that make no character are U+FFFD."""
        joined = b"".join(self.pieces[token] for token in tokens)
        return normal(joined.decode("utf-8", "replace"))

    @cached_property
    def missing(self) -> Int64Array:
        """(V,) bytes of a character that are still to come after each token.

        -1 for a byte inside a character, of which one less is missing after it.
        """
        found = np.zeros(len(self.pieces), np.int64)
        for token, piece in enumerate(self.pieces[1:257], 1):
            first = piece[0]
            found[token] = -1 if 0x80 <= first < 0xC0 else _following(first)
        return found

    @cached_property
    def legal(self) -> BoolArray:
        """(4, V) tokens that may come next.

        Row 0 at the beginning: what begins a word or a character; 1 after that: the same, inner
        pieces and STOP; 2 within a character: its further bytes; 3 at the end: STOP.
        """
        table = np.zeros((N_LEGAL, len(self.pieces)), bool)
        inside = self.missing == -1
        never = np.array([_never(piece) for piece in self.pieces])
        begins = np.array([token.startswith(SPACE) for token in self.tokens])
        table[1] = ~inside & ~never
        table[0] = table[1] & begins
        table[2], table[3, 0] = inside, True
        return table


def _bytes(token: str) -> bytes:
    found = _BYTE.fullmatch(token)
    if found:
        return bytes([int(found[1], 16)])
    return token.replace(SPACE, " ").encode("utf-8", "surrogatepass")


def _following(first: int) -> int:
    """Bytes that follow the first one of a character."""
    return (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)


def _never(piece: bytes) -> bool:
    """Bytes that UTF-8 does not have, and control characters."""
    return len(piece) == 1 and (
        piece[0] < 0x20 or piece[0] in (0x7F, 0xC0, 0xC1) or piece[0] > 0xF4
    )


def _unreadable(settings: object) -> str:
    shown = repr(settings)
    return (
        f"vocabulary={shown[:40]}{'...' if len(shown) > 40 else ''} is not what "
        "`Vocabulary.learn(...).settings` gives: leave it out, or take it from a run."
    )
