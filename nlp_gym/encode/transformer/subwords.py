"""Sub-word ids of words, by the model's own tokenizer.

Each distinct word is tokenised once and by itself. So the sub-words of a word do not depend on its
neighbours, which of them belong to which word is known without offsets, and a corpus costs as much
as its vocabulary.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlp_gym.encode.base import Texts, number_words, text_offsets
from nlp_gym.errors import EncoderError, is_failure, shown

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_MAX_UNKNOWN = 0.25
"""A warning is given if a larger share of sub-words is unknown: the script may be another one."""

_MIN_VOCABULARY = 5000
"""No warning is given for a smaller vocabulary: it is a toy model's and knows few words at all."""

_MASK_NAMES = ("[MASK]", "<mask>")
_PAD_NAMES = ("[PAD]", "<pad>", "<|endoftext|>", "</s>")


@dataclass(frozen=True)
class SubWords:
    """Sub-word ids of texts: `ids` (S,), `offsets` (N+1,) of texts, `word_starts` (W+1,)."""

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    word_starts: npt.NDArray[np.int64]


class WordTokenizer:
    """A fast tokenizer that takes texts already split into words.

    Attributes:
        prefix: Ids put before a text ([CLS]).
        suffix: Ids put after a text ([SEP]).
        pad_id: Id of the padding token.
    """

    def __init__(self, definition: str, config: dict[str, Any], name: str) -> None:
        """Build the tokenizer.

        Args:
            definition: Text of ``tokenizer.json``.
            config: The model's ``config.json``, for the vocabulary's size and padding.
            name: Name of the encoder, for messages.

        Raises:
            EncoderError: The definition cannot be read.
        """
        self._name, self._warned = name, False
        try:
            parts = json.loads(definition)
            if not isinstance(parts, dict):
                raise ValueError(f"it holds {type(parts).__name__}, not an object")
        except (ValueError, RecursionError) as error:
            raise EncoderError(
                f"encoder={shown(name)}: tokenizer.json is not JSON ({error})."
            ) from error
        # The files of sentence encoders ship with truncation and padding switched on.
        self._parts: dict[str, Any] = parts
        given = parts.get("padding")
        padding = given if isinstance(given, dict) else {}
        self._parts["truncation"] = self._parts["padding"] = None
        _mark_word_starts(self._parts.get("pre_tokenizer"))
        self.prefix, self.suffix = self._special_ids()
        self.pad_id = self._find_pad(padding.get("pad_id"), config.get("pad_token_id"))
        size = config.get("vocab_size") or self._tokenizer.get_vocab_size()
        if not isinstance(size, int) or size < 1:
            raise EncoderError(
                f"encoder={shown(name)}: vocab_size={shown(size)} in its config.json is no number "
                "from 1."
            )
        self.vocab_size = size

    def split(self, texts: Texts) -> SubWords:
        """Return the sub-word ids of the texts; every word has at least one.

        Raises:
            EncoderError: The tokenizer yields ids the model does not have.
        """
        distinct, index = number_words(texts)
        with self._tokenizing():
            encodings = self._tokenizer.encode_batch(
                [[_printable(word)] for word in distinct],
                is_pretokenized=True,
                add_special_tokens=False,
            )
        pieces = [encoding.ids or [self._unknown_id] for encoding in encodings]
        counts = np.fromiter((len(piece) for piece in pieces), np.int64, len(pieces))
        flat = np.fromiter((i for piece in pieces for i in piece), np.int32, int(counts.sum()))
        if flat.size and int(flat.max()) >= self.vocab_size:
            raise EncoderError(
                f"encoder={shown(self._name)}: its tokenizer yields id {flat.max()} but the model "
                f"has {self.vocab_size} embeddings; tokenizer and weights do not belong together."
            )
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[index])])
        first = np.cumsum(counts) - counts
        # Index of each token in `flat`: that of its word's first token plus its place in the word.
        place = np.arange(starts[-1]) - np.repeat(starts[:-1], counts[index])
        ids = flat[np.repeat(first[index], counts[index]) + place]
        self._warn_unknown(ids)
        words = text_offsets(len(text) for text in texts)
        return SubWords(ids=ids, offsets=starts[words], word_starts=starts)

    def whole_words(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Words of letters that are one sub-word, sorted, and (V,) their ids."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        names = {name.lstrip("\u2581\u0120").removesuffix("</w>") for name in vocabulary}
        words = sorted(name for name in names if name.isalpha())
        with self._tokenizing():
            encodings = self._tokenizer.encode_batch(
                [[word] for word in words], is_pretokenized=True, add_special_tokens=False
            )
        known = {e.ids[0]: w for w, e in zip(words, encodings, strict=True) if len(e.ids) == 1}
        known.pop(self._unknown_id, None)
        found = sorted(known.items(), key=lambda pair: pair[1])
        return [word for _, word in found], np.array([number for number, _ in found], np.int64)

    def _warn_unknown(self, ids: npt.NDArray[np.int32]) -> None:
        """Warn once if the tokenizer does not know much of the text, such as another script."""
        if self._warned or self.vocab_size < _MIN_VOCABULARY or self._unknown_id == self.pad_id:
            return
        share = float((ids == self._unknown_id).mean()) if ids.size else 0.0
        if share > _MAX_UNKNOWN:
            self._warned = True
            warnings.warn(
                f"encoder={shown(self._name)} does not know {share:.0%} of the sub-words of these "
                "texts, which it all takes for the same. Use one that knows the script, such as "
                "bert-base-chinese or bert-base-multilingual-cased.",
                UserWarning,
                stacklevel=2,
            )

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        with self._tokenizing():
            return Tokenizer.from_str(json.dumps(self._parts))

    @contextmanager
    def _tokenizing(self) -> Iterator[None]:
        """Turn a failure of the tokenizers library into an `EncoderError`."""
        try:
            yield
        except BaseException as error:  # it raises bare Exception, and panics
            if not is_failure(error):
                raise
            raise EncoderError(
                f"encoder={shown(self._name)}: the tokenizers library cannot use its "
                f"tokenizer.json ({error})."
            ) from error

    @cached_property
    def mask_word(self) -> str:
        """The word that becomes the mask token; empty where the tokenizer has none."""
        names = (name for name in _MASK_NAMES if self._tokenizer.token_to_id(name) is not None)
        return next(names, "")

    @cached_property
    def _unknown_id(self) -> int:
        """Id for a word without sub-words: that of the unknown token, else that of padding."""
        model = self._parts.get("model") or {}
        if isinstance(model.get("unk_id"), int):
            return int(model["unk_id"])
        found = self._tokenizer.token_to_id(str(model.get("unk_token")))
        return self.pad_id if found is None else int(found)

    def _special_ids(self) -> tuple[list[int], list[int]]:
        with self._tokenizing():
            encoding = self._tokenizer.encode(["a"], is_pretokenized=True, add_special_tokens=True)
        special = np.array(encoding.special_tokens_mask, bool)
        inside = np.flatnonzero(~special)
        first, last = (inside[0], inside[-1] + 1) if inside.size else (len(special), len(special))
        return list(encoding.ids[:first]), list(encoding.ids[last:])

    def _find_pad(self, *candidates: int | None) -> int:
        for candidate in candidates:
            if isinstance(candidate, int) and candidate >= 0:
                return candidate
        named = (self._tokenizer.token_to_id(name) for name in _PAD_NAMES)
        return next((int(found) for found in named if found is not None), 0)


def _printable(word: str) -> str:
    """Replace lone surrogates, which the tokenizers library cannot take."""
    return word if word.isascii() else word.encode("utf-8", "replace").decode("utf-8")


def _mark_word_starts(pre_tokenizer: Any) -> None:
    """Make byte-level and Metaspace tokenizers mark a word's start, as in running text."""
    if isinstance(pre_tokenizer, list):
        for part in pre_tokenizer:
            _mark_word_starts(part)
    elif isinstance(pre_tokenizer, dict):
        if pre_tokenizer.get("type") == "ByteLevel":
            pre_tokenizer["add_prefix_space"] = True
        if pre_tokenizer.get("type") == "Metaspace" and "prepend_scheme" in pre_tokenizer:
            pre_tokenizer["prepend_scheme"] = "always"
        _mark_word_starts(pre_tokenizer.get("pretokenizers"))
