"""`encoder="hashed"`: deterministic vectors from hashes of a word and its parts; numpy only.

The encoder is for tests and for a quick look at a task. Words that share letters have similar
vectors; a word has the same vector in every context.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from nlp_gym.encode.base import BOUND, Encoder, Texts, number_words, text_offsets
from nlp_gym.encode.options import EncoderOptions
from nlp_gym.types import Tokens

_VERSION = "hashed-2"
_DIGEST = 64
# int8 drawn uniformly has this standard deviation: sqrt((256^2 - 1) / 12).
_INT8_STD = 73.9
_PAD, _BOS, _EOS, _FIRST_WORD = 0, 1, 2, 3
_VOCABULARY = 4096
_MAX_LENGTH = 512
_CACHED_WORDS = 200_000


class HashedEncoder(Encoder):
    """Word vectors from hashes: the same in every process and on every machine.

    A vector is the sum of one pseudo-random vector for the word, for its lower-case form, for its
    shape (case and digits) and for each character trigram, scaled to about unit variance.
    """

    name = "hashed"
    bound = BOUND

    def __init__(self, encoder_kwargs: EncoderOptions) -> None:
        """Set it up; nothing is loaded.

        Args:
            encoder_kwargs: Its options; only `dim` matters.
        """
        self.options, self.dim = encoder_kwargs, encoder_kwargs.dim
        self.fingerprint = hashlib.sha256(f"{_VERSION}:{self.dim}".encode()).hexdigest()
        self._rows: dict[str, npt.NDArray[np.float16]] = {}

    @override
    def encode(self, texts: Texts, *, progress: bool = False) -> npt.NDArray[np.float16]:
        distinct, index = number_words(texts)
        table = np.empty((len(distinct), self.dim), np.float16)
        if len(self._rows) > _CACHED_WORDS:
            self._rows.clear()
        for row, word in enumerate(distinct):
            vector = self._rows.get(word)
            if vector is None:
                vector = self._rows[word] = self._vector(word)
            table[row] = vector
        return table[index]

    @override
    def tokenize(self, texts: Texts) -> Tokens:
        """Return one token per word; its id is a hash of the word."""
        distinct, index = number_words(texts)
        ids = np.fromiter((_token_id(word) for word in distinct), np.int32, len(distinct))
        return Tokens(
            ids=ids[index],
            offsets=text_offsets(len(text) for text in texts),
            word_starts=np.arange(len(index) + 1, dtype=np.int64),
            bos_id=_BOS,
            eos_id=_EOS,
            pad_id=_PAD,
            vocab_size=_VOCABULARY,
            max_length=_MAX_LENGTH,
        )

    def _vector(self, word: str) -> npt.NDArray[np.float16]:
        names = _parts(word)
        blocks = -(-self.dim // _DIGEST)
        raw = b"".join(
            hashlib.blake2b(
                _bytes(name), digest_size=_DIGEST, salt=block.to_bytes(4, "big")
            ).digest()
            for name in names
            for block in range(blocks)
        )
        parts = np.frombuffer(raw, np.int8).reshape(len(names), blocks * _DIGEST)
        total = parts.sum(axis=0, dtype=np.float64)[: self.dim]
        scaled = (total + 0.5 * len(names)) / (_INT8_STD * np.sqrt(len(names)))
        return np.asarray(np.clip(scaled, -BOUND, BOUND), np.float16)


def _parts(word: str) -> list[str]:
    """The word, its lower-case form, its shape and its trigrams, each marked by its kind."""
    shape = "".join("9" if c.isdigit() else "X" if c.isupper() else "x" for c in word[:12])
    framed = f"<{word.lower()}>"
    trigrams = {f"3{framed[i : i + 3]}": None for i in range(min(len(framed) - 2, 64))}
    return [f"w{word}", f"l{word.lower()}", f"s{shape}", *trigrams]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _token_id(word: str) -> int:
    digest = hashlib.blake2b(_bytes(word), digest_size=8).digest()
    return _FIRST_WORD + int.from_bytes(digest, "big") % (_VOCABULARY - _FIRST_WORD)
