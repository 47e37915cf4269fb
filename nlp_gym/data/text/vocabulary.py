"""Vocabularies of sub-words or characters, learnt from texts, to write text token by token."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nlp_gym.errors import InvalidArgumentError, is_failure, shown
from nlp_gym.types import BoolArray, Int64Array

STOP = "</s>"
SPACE = "\u2581"
"""The character by which `tokenizers` writes the space before a word."""
KINDS = ("subword", "character")
N_LEGAL = 4
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f▁]")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def normalise_spaces(text: str) -> str:
    """The text with single spaces, and none at its ends, as a vocabulary can write it.

    ``▁`` and control characters count as spaces.
    """
    return " ".join(_CONTROL.sub(" ", text).split())


@dataclass(frozen=True)
class Vocabulary:
    """Tokens of a byte pair encoding (Sennrich et al. 2016; package tokenizers); token 0 is STOP.

    Any text can be written: a character that was not in training is spelt in UTF-8 bytes, whose 256
    tokens follow STOP.

    Attributes:
        settings: The tokenizer as JSON, in the format of `tokenizers`.
    """

    settings: str

    @classmethod
    def learn(cls, texts: Iterable[str], *, size: int, kind: str = "subword") -> Vocabulary:
        """Learn a vocabulary from texts.

        Args:
            texts: Texts like those to be written, such as the references of a training split.
            size: Most tokens; all characters get tokens, even if these are more.
            kind: ``"subword"``, or ``"character"`` to merge no characters.
        """
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        own = [STOP, *(f"<0x{i:02X}>" for i in range(256))]
        tokenizer = Tokenizer(models.BPE(byte_fallback=True))
        spaces = pre_tokenizers.Metaspace(replacement=SPACE)
        marks = pre_tokenizers.Punctuation(behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([spaces, marks])
        lines = [normalise_spaces(text) for text in texts]
        alphabet = sorted({character for line in lines for character in line} - {" "} | {SPACE})
        trainer = trainers.BpeTrainer(
            vocab_size=0 if kind == "character" else size,
            special_tokens=own,
            initial_alphabet=alphabet,
            show_progress=False,
        )
        tokenizer.train_from_iterator(lines, trainer)
        settings = json.loads(tokenizer.to_str())
        settings["added_tokens"] = []  # "</s>" in a text is spelt like any other text
        return cls(json.dumps(settings, ensure_ascii=False))

    @classmethod
    def read(cls, settings: Any) -> Vocabulary:
        """Make a vocabulary from the `settings` of one that `learn` made.

        Raises:
            InvalidArgumentError: `settings` is something else.
        """
        try:
            vocabulary = cls(settings)
            known = vocabulary.tokens[0] == STOP and len(vocabulary.tokens) > 256
            vocabulary.encode(["a\u65e5"])  # some settings fail no earlier
        except BaseException as error:  # tokenizers raises plain `Exception`, and panics
            if not is_failure(error):
                raise
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
        """The V tokens in the order of their ids, as `tokenizers` writes them."""
        numbers = self._tokenizer.get_vocab()
        return tuple(sorted(numbers, key=numbers.__getitem__))

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """UTF-8 bytes that each token appends to the text; none for STOP."""
        return (b"", *map(_bytes, self.tokens[1:]))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts, without STOP."""
        encoded = self._tokenizer.encode_batch([normalise_spaces(text) for text in texts])
        return [encoding.ids for encoding in encoded]

    def decode(self, tokens: Iterable[int]) -> str:
        """Text of token ids, with single spaces; bytes that make no character become U+FFFD."""
        joined = b"".join(self.pieces[token] for token in tokens)
        return " ".join(joined.decode("utf-8", "replace").split())

    @cached_property
    def missing(self) -> Int64Array:
        """(V,) number of bytes that complete the character which a token begins.

        -1 for a byte inside a character: one byte less is missing after it.
        """
        found = np.zeros(len(self.pieces), np.int64)
        for token, piece in enumerate(self.pieces[1:257], 1):
            first = piece[0]
            found[token] = -1 if 0x80 <= first < 0xC0 else _following(first)
        return found

    @cached_property
    def legal(self) -> BoolArray:
        """(4, V) the tokens that may come next, in four cases.

        Row 0, at the beginning: tokens that begin a word. Row 1, later: these, tokens inside words,
        first bytes of characters and STOP. Row 2, within a character: its further bytes. Row 3, at
        the end: STOP.
        """
        table = np.zeros((N_LEGAL, len(self.pieces)), bool)
        inside = self.missing == -1
        forbidden = np.array([_is_forbidden(piece) for piece in self.pieces])
        begins = np.array([token.startswith(SPACE) for token in self.tokens])
        table[1] = ~inside & ~forbidden
        table[0] = table[1] & begins
        table[2], table[3, 0] = inside, True
        return table


def _bytes(token: str) -> bytes:
    found = _BYTE.fullmatch(token)
    if found:
        return bytes([int(found[1], 16)])
    return token.replace(SPACE, " ").encode("utf-8", "surrogatepass")


def _following(first: int) -> int:
    """Number of bytes that follow the first byte of a character."""
    return (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)


def _is_forbidden(piece: bytes) -> bool:
    """Whether a piece is a control character or a byte that UTF-8 does not use."""
    return len(piece) == 1 and (
        piece[0] < 0x20 or piece[0] in (0x7F, 0xC0, 0xC1) or piece[0] > 0xF4
    )


def _unreadable(settings: object) -> str:
    return (
        f"vocabulary={shown(settings)} is not what `Vocabulary.learn(...).settings` gives: leave "
        "it out, or take it from a run."
    )
