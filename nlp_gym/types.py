"""The data model: `Sample`, `Corpus` (a split of samples), and what encoders make of a corpus.

Axis letters used in the whole project: B environments, N samples (texts), W words of a corpus,
S sub-word tokens of a corpus, T words of one text, D feature width, A actions, H history length.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Observation = dict[str, npt.NDArray[Any]]

SPLITS = ("train", "dev", "test")

INT8_STEP = 2.0**-4
"""What 1 stands for in vectors of 8 bits; a power of two, so that float16 holds them exactly."""

_ESCAPES = str.maketrans({control: f"\x1b{control}" for control in "\x1b\x1e\x1f"})


def text_key(words: Sequence[str]) -> bytes:
    r"""Join the words of a text by ``\x1f``, as bytes; different words give different bytes.

    The control characters ``\x1b``, ``\x1e`` and ``\x1f`` in words are escaped by ``\x1b``, so that
    a word with the separator differs from two words.
    """
    joined = "\x1f".join(words)
    if "\x1b" in joined or "\x1e" in joined or joined.count("\x1f") >= len(words):
        joined = "\x1f".join(word.translate(_ESCAPES) for word in words)
    return joined.encode("utf-8", "surrogatepass")


_DERIVED_KEYS = frozenset(
    [
        "id",
        "qid",
        "text",
        "spans",
        "question_text",
        "context_texts",
        "candidate_texts",
        "order_words",
        "rows",
    ]
)
"""Keys of `Sample.extra` that follow from its words or name the sample; not part of a hash."""


def _as_json(value: Any) -> Any:
    """A value that JSON can write, for one that it cannot."""
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else repr(value)


_ENCODER = json.JSONEncoder(sort_keys=True, default=_as_json)


def _stable_bytes(value: Any) -> bytes:
    """Bytes of a value of `Sample.extra`, the same in every process."""
    return _ENCODER.encode(value).encode("ascii")


class _NoExtra(dict[str, Any]):
    """An empty mapping for all samples that have no `extra`: a dict each would take 64 bytes."""

    __slots__ = ()

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            "extra of this sample is shared with others and cannot be changed: make a new sample, "
            "dataclasses.replace(sample, extra={...})."
        )

    __setitem__ = __ior__ = setdefault = update = _refuse

    def __reduce__(self) -> str:
        """It is one object after a pickle, too."""
        return "NO_EXTRA"


NO_EXTRA: Mapping[str, Any] = _NoExtra()
"""`Sample.extra` of samples that have none."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One text and, where it is known, its gold annotation.

    Attributes:
        words: Words of the main text, in order; any Unicode, never empty. Samples with equal words
            are in the same split when a file is split.
        labels: Gold of the families whose actions are labels: one per word (tagging), exactly one
            (classification), a set (multi-label), one per pair (relations). None: not annotated.
        id: Origin, for messages: ``"eng.train:17"`` (file and first line) or an index.
        extra: The rest of the input, by family: questions, choices, pairs, ...
        gold: Gold of the other families: answers, the right choice, references, ... None: not
            annotated.
    """

    words: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    id: str = ""
    extra: Mapping[str, Any] = field(default_factory=lambda: NO_EXTRA)
    gold: Any = None

    @property
    def annotated(self) -> bool:
        """Whether there is gold."""
        return self.labels is not None or self.gold is not None

    def unannotated(self) -> Sample:
        """The same input without its gold."""
        return Sample(self.words, None, self.id, self.extra)


@dataclass(frozen=True)
class Corpus:
    """One split of a data set.

    Attributes:
        name: Catalogue name (``"conll2003"``) or the stem of the user's file.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        samples: The N samples.
        labels: Label inventory, declared by the catalogue or sorted from the *training* split.
        source: File that it was read from, if any.
        bundled: Whether it is the small sample that ships with the package.
        n_skipped: Number of samples of its file that were left out because of bad rows.
    """

    name: str
    split: str
    samples: Sequence[Sample]
    labels: tuple[str, ...]
    source: Path | None = None
    bundled: bool = False
    n_skipped: int = 0

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """(N+1,) index of each sample's first word in the flat word order; the last entry is W."""
        lengths = np.fromiter((len(s.words) for s in self.samples), np.int64, len(self.samples))
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])

    @cached_property
    def text_hash(self) -> str:
        """Sha256 of the input (words and `extra`, not the gold), which identifies the corpus.

        Keys of `extra` that follow from the words or name the sample (``id``, ``qid``, ``text``,
        ``spans``, raw texts of words) are left out.
        """
        digest = hashlib.sha256()
        shared: dict[int, str] = {}  # mappings that samples share are hashed once
        for sample in self.samples:
            digest.update(text_key(sample.words))
            rest = {key: sample.extra[key] for key in sample.extra if key not in _DERIVED_KEYS}
            for key, value in rest.items():
                if isinstance(value, Mapping):
                    if id(value) not in shared:
                        shared[id(value)] = hashlib.sha256(_stable_bytes(value)).hexdigest()
                    rest[key] = shared[id(value)]
            if rest:
                digest.update(b"\x1e" + _stable_bytes(rest))
            digest.update(b"\x1f\x1e")
        return digest.hexdigest()


@dataclass(frozen=True)
class Encoded:
    """Word vectors of a corpus.

    Attributes:
        features: (W+1, D) float16 or int8 (in units of `INT8_STEP`), possibly memory-mapped; row W
            is all zeros (the word outside the text), so that windows are gathered with plain
            indices.
        offsets: (N+1,) int64, as `Corpus.offsets`.
    """

    features: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Make `features` a plain array: indexing a memmap would give a memmap."""
        object.__setattr__(self, "features", np.asarray(self.features))

    @property
    def dim(self) -> int:
        """Width D of a word's vector."""
        return int(self.features.shape[1])

    def gather(self, rows: IntArray) -> npt.NDArray[np.float32]:
        """(..., D) float32 vectors of the `rows` (...) of `features`; conversion is exact."""
        narrow = self.features.take(rows, axis=0)
        torch = sys.modules.get("torch")
        wide: npt.NDArray[np.float32]
        if torch is None:  # torch, if it is imported, converts 4 times as fast
            wide = narrow.astype(np.float32)
        else:
            wide = torch.from_numpy(narrow).float().numpy()
        if narrow.dtype == np.int8:
            wide *= INT8_STEP
        return wide


@dataclass(frozen=True)
class Tokens:
    """Sub-word tokens of a corpus, without special tokens.

    Attributes:
        ids: (S,) int32 sub-word ids of all texts, one after the other.
        offsets: (N+1,) int64, index in `ids` of the first token of each text; the last entry is S.
        word_starts: (W+1,) int64, index in `ids` of the first token of each word; the last entry is
            S. Every word has at least one token (the unknown token if the tokenizer yields none).
        bos_id: Id put before a text ([CLS]).
        eos_id: Id put after a text ([SEP]).
        pad_id: Id of the padding token.
        vocab_size: All ids are below this.
        max_length: Most tokens in one pass of the encoder, special tokens included.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    word_starts: npt.NDArray[np.int64]
    bos_id: int
    eos_id: int
    pad_id: int
    vocab_size: int
    max_length: int


@dataclass(frozen=True)
class Units:
    """The U units of a task that get vectors: words, or spans of words.

    Attributes:
        texts: The texts, each a sequence of words.
        spans: (U, 3) int64, (text, first word, one past the last word) of each unit, whose vector
            is the mean of its words' vectors. None: every word of every text, in order, is a unit.
        rescaled: Whether means are standardised on whole sentences, for units that are whole texts
            (a mean varies less than a word). False leaves them on the scale of words.
        seconds: (N,) int64 the word at which the second of a text's two parts begins (the passage
            after the question); 0 for a text of one part. None: all have one. A frozen encoder
            reads both as one text; one that learns may tell them apart.
    """

    texts: Sequence[Sequence[str]]
    spans: npt.NDArray[np.int64] | None = None
    rescaled: bool = False
    seconds: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return sum(map(len, self.texts)) if self.spans is None else len(self.spans)

    @classmethod
    def whole(
        cls, texts: Sequence[Sequence[str]], seconds: npt.NDArray[np.int64] | None = None
    ) -> Units:
        """One unit per text: the standardised mean of its words."""
        ends = np.array([len(text) for text in texts], np.int64)
        spans = np.stack([np.arange(len(texts)), np.zeros_like(ends), ends], axis=1)
        return cls(texts, spans, rescaled=True, seconds=seconds)
