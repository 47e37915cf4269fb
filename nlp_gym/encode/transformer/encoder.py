"""Word vectors from the hidden layers of a pretrained transformer.

All that determines the vectors is known when the encoder is made; torch and the weights are loaded
at the first `encode`, which a cached corpus never needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from nlp_gym.encode import store
from nlp_gym.encode.base import BOUND, Encoder, Texts
from nlp_gym.encode.options import EncoderOptions, parse_layers, resolve_dtype
from nlp_gym.encode.standardise import Standardiser, calibration_hash, calibration_texts
from nlp_gym.encode.transformer.subwords import SubWords, WordTokenizer
from nlp_gym.encode.transformer.windows import Batcher, Windows, plan_windows
from nlp_gym.encode.weights.weight_source import WeightSource
from nlp_gym.errors import EncoderError, InvalidArgumentError, shown
from nlp_gym.files import user_cache_dir
from nlp_gym.types import Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from nlp_gym.encode.transformer.pooling import WordVectors
    from nlp_gym.encode.transformer.runner import Runner

M = TypeVar("M")

# To be changed when the same options give other vectors than before: old caches are then unused.
_VERSION = "transformer-1"
# Families whose position embeddings begin after the padding index.
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert")
_DEFAULT_POSITIONS = 512
# Sizes beyond which a config.json is none of a model that could be loaded.
_WIDEST, _DEEPEST, _LONGEST = 2**16, 2**10, 2**24


class TransformerEncoder(Encoder):
    """Word vectors from a pretrained transformer.

    Attributes:
        name: The name or path that was given to `load_encoder`.
        dim: Width D: the model's width times the number of layers that are concatenated.
        fingerprint: As of every `Encoder`.
        max_length: Most tokens in one pass, special tokens included.
        options: The options that were given.
    """

    bound = BOUND

    def __init__(self, source: WeightSource, encoder_kwargs: EncoderOptions) -> None:
        """Read the model's settings; the weights are not read.

        Args:
            source: Where settings and weights are.
            encoder_kwargs: The options, kept as `options`.

        Raises:
            EncoderError: The model is of a kind that is not supported.
            InvalidArgumentError: `layers` or `max_length` does not fit the model.
        """
        self.name, self.options, self._source = source.name, encoder_kwargs, source
        width, n_layers = _shape(source)
        self.layers = parse_layers(encoder_kwargs.layers, n_layers)
        self.dim = width * self.layers.parts
        self.dtype = resolve_dtype(encoder_kwargs.dtype, encoder_kwargs.device)
        self.max_length = _max_length(source, encoder_kwargs.max_length)
        self._identity = source.identity()
        self.fingerprint = self._fingerprint()

    def __getstate__(self) -> dict[str, Any]:
        """Leave loaded weights out of pickles: worker processes load their own."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_runner", "standardiser")}

    @override
    def encode(self, texts: Texts, *, progress: bool = False) -> npt.NDArray[np.float16]:
        """Return one standardised vector per word, (W, D).

        Raises:
            EncoderError: The model cannot be loaded, memory ran out, or vectors are not finite.
        """
        if not any(len(text) for text in texts):
            return np.zeros((0, self.dim), np.float16)
        from nlp_gym.encode.transformer.pooling import standardised

        raw = self._runner.vectors(self.split(texts), progress=progress)
        features = standardised(raw, self.standardiser).half().cpu().numpy()
        return np.asarray(features, np.float16)

    def split(self, texts: Texts) -> SubWords:
        """Sub-words of the texts, for `windows` and `batcher`."""
        return self._tokenizer.split(texts)

    def windows(self, tokens: SubWords) -> Windows:
        """Windows over the texts, each of which fits into one pass."""
        return plan_windows(tokens, self._window_size)

    @cached_property
    def batcher(self) -> Batcher:
        """Makes batches of windows, pooled as this encoder pools."""
        return Batcher(self._tokenizer, self.options.pooling == "first")

    def word_vectors(self) -> WordVectors:
        """A fresh differentiable copy of the encoder in float32, up to the layer that it reads.

        It gives raw vectors; `pooling.standardised` with `standardiser` turns them into those of
        `encode`.

        Raises:
            EncoderError: The model cannot be loaded, or its files changed meanwhile.
        """
        from nlp_gym.encode.transformer.pooling import WordVectors

        return WordVectors(self.load_model(), self.layers)

    @override
    def tokenize(self, texts: Texts) -> Tokens:
        """Return the sub-word ids; a model without special tokens has its padding id for them."""
        tokenizer = self._tokenizer
        subwords = tokenizer.split(texts)
        return Tokens(
            ids=subwords.ids,
            offsets=subwords.offsets,
            word_starts=subwords.word_starts,
            bos_id=tokenizer.prefix[0] if tokenizer.prefix else tokenizer.pad_id,
            eos_id=tokenizer.suffix[-1] if tokenizer.suffix else tokenizer.pad_id,
            pad_id=tokenizer.pad_id,
            vocab_size=tokenizer.vocab_size,
            max_length=self.max_length,
        )

    def load_model(self) -> PreTrainedModel:
        """Return a fresh copy of the whole pretrained model in float32, for finetuning.

        Raises:
            EncoderError: The model cannot be loaded, or its files changed meanwhile.
        """
        return self._loaded(self._source.load_model)

    def word_embeddings(self) -> tuple[list[str], npt.NDArray[np.float32]]:
        """Words of the vocabulary that are one sub-word, and (V, E) their input embeddings.

        Raises:
            EncoderError: The model cannot be loaded, or its files changed meanwhile.
        """
        words, ids = self._tokenizer.whole_words()
        model: Any = self.load_model()
        weight = model.get_input_embeddings().weight.detach().cpu().numpy()
        return words, np.asarray(weight[ids], np.float32)

    def _loaded(self, load: Callable[[], M]) -> M:
        # From the bytes: a digest that was kept could be as wrong as the weights.
        if self._source.identity(fresh=True) != self._identity:
            raise EncoderError(
                f"encoder={shown(self.name)}: its files changed while it was in use. Load it again."
            )
        import torch

        # Weights are drawn before those of the file replace them. What else is drawn, such as a
        # head, must not depend on whether an encoder was loaded before, or a cache was filled.
        with torch.random.fork_rng(devices=[]):
            return load()

    @cached_property
    def _tokenizer(self) -> WordTokenizer:
        return WordTokenizer(self._source.tokenizer_json(), self._source.config, self.name)

    @cached_property
    def _window_size(self) -> int:
        """Most sub-words of a text in one pass, without special tokens."""
        size = self.max_length - len(self._tokenizer.prefix) - len(self._tokenizer.suffix)
        if size < 1:
            raise InvalidArgumentError(
                f"max_length={self.max_length} leaves no room beside the special tokens."
            )
        return size

    @cached_property
    def _runner(self) -> Runner:
        from nlp_gym.encode.transformer.runner import Runner, RunnerOptions

        options = RunnerOptions(
            layers=self.layers,
            first=self.options.pooling == "first",
            dtype=self.dtype,
            device=self.options.device,
            window_size=self._window_size,
            batch_tokens=self.options.batch_tokens,
        )
        return Runner(self._loaded(self._source.load_frozen), self._tokenizer, options)

    @cached_property
    def standardiser(self) -> Standardiser:
        """Mean and deviation of raw vectors on the calibration text."""
        path = user_cache_dir() / "calibration" / f"{self.fingerprint}.npy"
        known = store.load_array(path, key=self.fingerprint, shape=(2, self.dim), dtype="<f8")
        if known is not None:
            return Standardiser(*known)
        raw = self._runner.vectors(self._tokenizer.split(calibration_texts()))
        fitted = Standardiser.fit(raw.cpu().numpy())
        store.save_array(path, np.stack([fitted.mean, fitted.scale]), key=self.fingerprint)
        return fitted

    def _fingerprint(self) -> str:
        settings = {
            "version": _VERSION,
            "weights": self._identity,
            "layers": self.layers.indices,
            "mean": self.layers.mean,
            "pooling": self.options.pooling,
            "dtype": self.dtype,
            "max_length": self.max_length,
            "calibration": calibration_hash(),
            "bound": BOUND,
        }
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _shape(source: WeightSource) -> tuple[int, int]:
    """Width and number of layers of a model, from the keys that common families use."""
    config = source.config
    if config.get("is_encoder_decoder"):
        raise EncoderError(
            f"encoder={shown(source.name)} is an encoder-decoder model; one of BERT's kind is "
            "needed."
        )
    width = config.get("hidden_size") or config.get("dim") or config.get("n_embd")
    layers = config.get("num_hidden_layers") or config.get("n_layers") or config.get("n_layer")
    if not (_is_size(width, _WIDEST) and _is_size(layers, _DEEPEST)):
        raise EncoderError(
            f"encoder={shown(source.name)}: its config.json names no hidden_size and "
            "num_hidden_layers; an encoder of BERT's kind is needed."
        )
    return width, layers


def _is_size(value: object, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def _max_length(source: WeightSource, requested: int | None) -> int:
    config = source.config
    positions: object = config.get("max_position_embeddings") or _DEFAULT_POSITIONS
    skipped: object = 0
    if config.get("model_type") in _OFFSET_POSITIONS:
        skipped = config.get("pad_token_id", 1)
        skipped = skipped + 1 if isinstance(skipped, int) else None
    limit = positions - skipped if isinstance(positions, int) and isinstance(skipped, int) else 0
    if not _is_size(limit, _LONGEST):
        raise EncoderError(
            f"encoder={shown(source.name)}: max_position_embeddings and pad_token_id in its "
            "config.json say nothing of how many tokens it reads."
        )
    if requested is not None and requested > limit:
        raise InvalidArgumentError(
            f"encoder_kwargs: max_length={requested} is above the model's limit, {limit}."
        )
    return limit if requested is None else requested
