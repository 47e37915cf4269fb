"""A transformer inside the policy that learns with it and encodes each text once.

While nothing is learned (in a rollout, in an evaluation) vectors are cached until the weights
change. In an update each distinct text of the batch is encoded once, and the vectors at its
positions are gathered from that. Where one update learns from a whole rollout, the rollout's own
pass through the encoder is the update's: its graph is kept (`TrainableEncoder.keeps`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache as cached
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch as th
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import embedding_bag
from typing_extensions import override

from nlp_gym.encode.base import BOUND
from nlp_gym.encode.options import resolve_dtype
from nlp_gym.encode.transformer.encoder import TransformerEncoder
from nlp_gym.encode.transformer.pooling import default_batch_tokens, send, standardised
from nlp_gym.encode.transformer.windows import Batch, batches
from nlp_gym.encode.units import sentence_scale
from nlp_gym.errors import EncoderError
from nlp_gym.types import Int64Array
from nlp_gym_agents.networks.encoder.adaptation import prepare, share_frozen
from nlp_gym_agents.networks.encoder.graph_memory import GraphMemory
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.placement import home
from nlp_gym_agents.networks.encoder.unit_texts import KeptPass, UnitTexts, Weights, gathered

IndexedVectors = tuple[th.Tensor, th.Tensor | None]
"""Vectors (m, D) float32, and the row (n,) in them of each of n units; None: row i is unit i's."""

EmbeddingChange = Callable[[UnitTexts, Int64Array, th.Tensor, th.Tensor], th.Tensor]
"""From texts, (B,) numbers of windows, their (B, L) sub-words and the (B, L, width) embeddings of
these to what the transformer reads in place of the embeddings."""

_SMALL = 8192
"""Weights up to this size are watched for changes: biases, norms, low-rank updates. An update that
changes the others changes these."""


class VectorCache:
    """Vectors of a task's units, as the encoder gave them with certain weights.

    Args:
        texts: The texts of the units.
        width: Of a vector.
        device: Where they are read; they are stored there if they fit into its memory.

    Attributes:
        vectors: (U+1, D) float16; the last row is zeros.
        valid: (N,) whether the units of a text have their vectors.
    """

    def __init__(self, texts: UnitTexts, width: int, device: th.device) -> None:
        shape = (texts.n_units + 1, width)
        kept = home(2 * math.prod(shape), device)
        self.vectors = th.empty(shape, dtype=th.float16, device=kept)
        self.vectors[-1] = 0
        self.valid = np.zeros(len(texts), bool)
        self._weights: Weights = ()

    def use_weights(self, weights: Weights) -> None:
        """Invalidate everything where the weights differ from those of the last call."""
        if weights != self._weights:
            self.valid[:] = False
            self._weights = weights

    def missing(self, rows: Int64Array) -> Int64Array:
        """The texts among `rows` that have no vectors, once each, ascending."""
        absent: Int64Array = np.unique(rows[~self.valid[rows]])
        return absent


class TrainableEncoder(nn.Module):
    """A transformer with word pooling and standardisation, whose weights belong to the policy.

    The standardisation stays that of the pretrained encoder, so that at the beginning vectors are
    those of the frozen encoder.

    Args:
        encoder: The pretrained encoder; a copy of it learns.
        tuning: How it learns.

    Attributes:
        graph_memory: Bounds the memory of what is kept for the way back.
        on_hold: Says whether the encoder stands still for now, so that only the head learns.
        upcoming: Gives texts that will be needed soon; they are encoded together with those needed
            now. None: nothing is known of them.
        keeps: Says of texts that are encoded while acting whether an update will learn from them
            with the weights as they are; its gradients then flow back through that very pass.
            Without effect where there is dropout, which acting is without.
        encoded_texts: Texts encoded so far with and without gradients, repetitions counted;
            those that are kept were encoded while acting.
    """

    def __init__(self, encoder: TransformerEncoder, tuning: Tuning) -> None:
        super().__init__()
        self.words = encoder.word_vectors()
        prepare(self.words.model, tuning)
        self.tuning = tuning
        self.on_hold: Callable[[], bool] = bool
        self.upcoming: Callable[[UnitTexts], Int64Array] | None = None
        self.keeps: Callable[[UnitTexts], bool] = _nothing
        self.encoded_texts = {"learning": 0, "acting": 0}
        self.graph_memory = GraphMemory(self.words)
        self._kept: list[KeptPass] = []
        self._standardiser = encoder.standardiser
        self._sentences = cached(lambda: sentence_scale(encoder))
        named = [p for p in self.words.parameters() if p.requires_grad]
        self._watched = [p for p in named if p.numel() <= _SMALL] or named
        self._pretrained = self._weights()
        self._shared: tuple[Int64Array, th.Tensor] | None = None
        self._change: EmbeddingChange | None = None
        self._caches: WeakKeyDictionary[UnitTexts, VectorCache] = WeakKeyDictionary()

    @override
    def apply(self, fn: Callable[[nn.Module], None]) -> TrainableEncoder:
        """Do nothing: Stable-Baselines3 draws the weights of a policy's linear layers anew."""
        return self

    def forward(self, texts: UnitTexts, units: th.Tensor) -> IndexedVectors:
        """Vectors of units.

        Args:
            texts: The texts of the units.
            units: (n,) units; `texts.n_units` stands for none, the zero vector.

        Raises:
            EncoderError: Memory ran out, or vectors are not finite.
        """
        texts = self._read(texts)
        wanted = units.detach().cpu().numpy().astype(np.int64, copy=False)
        if not self._is_learning():
            return self._cached(texts, units, wanted), None
        distinct, vectors = self._shared or self._differentiable(texts, wanted)
        return vectors, send(np.searchsorted(distinct, wanted), vectors.device)

    @contextmanager
    def shared_pass(self, texts: UnitTexts, units: th.Tensor) -> Iterator[None]:
        """Within it, units that are asked for in several parts are encoded together, once.

        Args:
            texts: The texts of the units.
            units: (n,) all of them.
        """
        if not self._is_learning():
            yield
            return
        texts = self._read(texts)
        self._shared = self._differentiable(texts, units.detach().cpu().numpy().astype(np.int64))
        try:
            yield
        finally:
            self._shared = None

    @property
    def embeddings(self) -> nn.Embedding:
        """The table of sub-words' embeddings."""
        model: Any = self.words.model
        table: nn.Embedding = model.get_input_embeddings()
        return table

    @contextmanager
    def changed_embeddings(self, change: EmbeddingChange) -> Iterator[None]:
        """Within it, where gradients are enabled, the transformer reads what `change` gives.

        Nothing is cached then, there is no dropout unless the policy is in training mode, and
        numbers are float32 whatever the precision of learning is: this serves to explain.
        """
        self._change = change
        try:
            yield
        finally:
            self._change = None

    def note_pretrained(self) -> None:
        """Take the weights as they are, which must be pretrained, for those of the encoder."""
        self._pretrained = self._weights()

    def clear_cache(self) -> None:
        """Drop all cached vectors.

        Done where a checkpoint is saved: vectors depend, in their last digit, on what they were
        encoded together with, and a resumed run has none cached either.
        """
        self._caches.clear()
        self._kept.clear()

    def _read(self, texts: UnitTexts) -> UnitTexts:
        """The texts as this encoder reads them."""
        return texts.paired if self.tuning.pairs else texts

    def _is_learning(self) -> bool:
        """Whether gradients flow back through what is encoded now."""
        if self._change is not None:
            return th.is_grad_enabled()
        return th.is_grad_enabled() and self.words.training and not self.on_hold()

    def _differentiable(self, texts: UnitTexts, wanted: Int64Array) -> tuple[Int64Array, th.Tensor]:
        """The distinct units, ascending, and their vectors."""
        distinct = np.unique(wanted)
        real = distinct[distinct < texts.n_units]
        rows = np.unique(texts.texts_of(real))
        kept = self._take_kept(texts, rows)
        fresh = rows[~np.isin(rows, np.concatenate([rows[:0], *(part.rows for part in kept)]))]
        own = real if not kept else real[np.isin(texts.texts_of(real), fresh)]
        parts = [(part.units, part.vectors) for part in kept]
        if len(own) or not kept:
            parts.append((own, self._encode(texts, fresh, own)))
        vectors = gathered(parts, real)
        self.encoded_texts["learning"] += len(fresh)
        if len(real) < len(distinct):
            vectors = th.cat([vectors, vectors.new_zeros(1, vectors.shape[1])])
        return distinct, vectors

    def _take_kept(self, texts: UnitTexts, rows: Int64Array) -> list[KeptPass]:
        """What acting kept of the texts `rows` with the weights as they are; nothing remains."""
        kept, self._kept = self._kept, []  # a step of the optimizer follows
        if not kept or self._change is not None:
            return []
        weights = self._weights()
        return [
            part
            for part in kept
            if part.texts is texts and part.weights == weights and np.isin(part.rows, rows).any()
        ]

    @th.no_grad()
    def _cached(self, texts: UnitTexts, units: th.Tensor, wanted: Int64Array) -> th.Tensor:
        """(n, D) float32, of which what is not cached yet is encoded first."""
        device, weights = next(self.words.parameters()).device, self._weights()
        if texts.pretrained is not None and weights == self._pretrained:
            return texts.pretrained.index_select(0, units.cpu().long()).to(device).float()
        cache = self._caches.get(texts)
        if cache is None:
            cache = self._caches[texts] = VectorCache(texts, self.words.width, device)
        cache.use_weights(weights)
        missing = cache.missing(texts.texts_of(wanted[wanted < texts.n_units]))
        # While it learns, the next step of the optimizer makes vectors worthless at once.
        if len(missing) and self.upcoming is not None and not self.words.training:
            missing = cache.missing(np.concatenate([missing, self.upcoming(texts)]))
        if len(missing):
            own = texts.units_of(missing)
            training = self.words.training
            self.words.train(mode=False)  # cached vectors are those without dropout
            keep = self._watched[0].requires_grad and self.keeps(texts)  # not the copy of a start
            keep &= not (self.tuning.dropout or self.tuning.attention_dropout)
            with th.set_grad_enabled(keep):
                vectors = self._encode(texts, missing, own)
            if keep:
                self._kept = [part for part in self._kept if part.weights == weights]
                self._kept.append(KeptPass(texts, weights, missing, own, vectors))
            stored = vectors.detach().half().to(cache.vectors.device)
            cache.vectors[send(own, cache.vectors.device)] = stored
            self.words.train(training)
            cache.valid[missing] = True
            self.encoded_texts["acting"] += len(missing)
        kept = cache.vectors.index_select(0, units.to(cache.vectors.device).long())
        return kept.to(device).float()

    def _encode(self, texts: UnitTexts, rows: Int64Array, units: Int64Array) -> th.Tensor:
        """(n, D) float32 of units that lie in the texts `rows` (ascending)."""
        device = next(self.words.parameters()).device
        counts = texts.words[rows + 1] - texts.words[rows]
        # From numbers of words here to those in all texts.
        shift = texts.words[rows] - (np.cumsum(counts) - counts)
        parts, places = [], []
        for chosen in self._batches(texts, texts.windows_of(rows)):
            batch = texts.batch(chosen)
            parts.append(self._vectors(texts, chosen, batch))
            text = np.searchsorted(texts.words[rows], batch.words, side="right") - 1
            places.append(batch.words - shift[text])
        raw = th.zeros(int(counts.sum()), self.words.width, device=device)
        if parts:
            raw = raw.index_add(0, send(np.concatenate(places), device), th.cat(parts))
        if not th.isfinite(raw.detach()).all():
            raise EncoderError(
                "The encoder gave vectors that are not finite: it has diverged. Use a lower "
                "--encoder-lr, a longer warm-up (--hyperparams tuning.warmup:0.2) or "
                "tuning.precision:float32."
            )
        vectors = standardised(raw, self._standardiser)
        words, starts = texts.words_of(units)
        local = words - shift[np.searchsorted(texts.words[rows], words, side="right") - 1]
        if len(words) == len(units) and np.array_equal(starts, np.arange(len(units))):
            vectors = vectors.index_select(0, send(local, device))
        else:
            vectors = embedding_bag(send(local, device), vectors, send(starts, device), mode="mean")
        if texts.rescaled:
            vectors = standardised(vectors, self._sentences())
        return vectors.clamp(-BOUND, BOUND)

    def _vectors(self, texts: UnitTexts, windows: Int64Array, batch: Batch) -> th.Tensor:
        """(K, D) float32 of one batch, which has these windows.

        Raises:
            EncoderError: Memory ran out.
        """
        device, training = next(self.words.parameters()).device, self.words.training

        def encode() -> th.Tensor:
            with (
                self._in_mode(training),  # on the way back it may be another one
                self._precision(device),
                self._embedded(texts, windows),
                self._attention(device),
            ):
                vectors: th.Tensor = self.words(batch).float()
            return vectors

        if self._change is not None:  # a change may differ from call to call
            return encode()
        return self.graph_memory.run(encode, device)

    def _batches(self, texts: UnitTexts, windows: Int64Array) -> Iterator[Int64Array]:
        """The numbers `windows` of windows, those of similar length together."""
        device = next(self.words.parameters()).device
        budget = self.tuning.batch_tokens or default_batch_tokens(device)
        part = type(texts.windows)(
            texts.windows.starts[windows],
            texts.windows.stops[windows],
            texts.windows.token_window[:0],
        )
        for chosen in batches(part, texts.encoder.batcher.extra, budget):
            yield windows[chosen]

    @contextmanager
    def _in_mode(self, training: bool) -> Iterator[None]:
        """Within it, the network is in training mode, or it is not."""
        now = self.words.training
        self.words.train(training)
        try:
            yield
        finally:
            self.words.train(now)

    @contextmanager
    def _embedded(self, texts: UnitTexts, windows: Int64Array) -> Iterator[None]:
        """Within it, embeddings of the windows are changed, where that is asked for."""
        change = self._change
        if change is None or not th.is_grad_enabled():
            yield
            return

        def hook(_: nn.Module, given: tuple[th.Tensor, ...], embedded: th.Tensor) -> th.Tensor:
            return change(texts, windows, given[0], embedded)

        handle = self.embeddings.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()

    def _precision(self, device: th.device) -> AbstractContextManager[Any]:
        precision = self.tuning.precision
        if self._change is not None:
            return nullcontext()
        if precision == "auto":
            precision = resolve_dtype("auto", device.type)
        if precision == "float32":
            return nullcontext()
        return th.autocast(device.type, dtype=th.bfloat16)

    def _attention(self, device: th.device) -> AbstractContextManager[Any]:
        """What computes attention: on a CPU plain products where gradients are needed.

        The fused kernel takes twice as long there on the way back, at the length of passages. What
        is computed again on the way back is out of reach, and must be computed alike.
        """
        if device.type == "cpu" and th.is_grad_enabled() and not self.tuning.checkpointing:
            return sdpa_kernel(SDPBackend.MATH)
        return nullcontext()

    @th.no_grad()
    def _weights(self) -> Weights:
        """Numbers that change whenever the weights do, in whatever way they are written."""
        exact = th.float32 if self._watched[0].device.type == "mps" else th.float64
        return tuple(th.stack([p.sum(dtype=exact) for p in self._watched]).tolist())


def _nothing(_: UnitTexts) -> bool:
    return False


def trainable_encoders(policy: nn.Module) -> list[TrainableEncoder]:
    """The encoders of a policy that learn; those of a DQN's target network too."""
    return [module for module in policy.modules() if isinstance(module, TrainableEncoder)]


class EncoderFactory:
    """Makes the encoders of a model's networks; they share what does not learn.

    Args:
        encoder: As for `TrainableEncoder`.
        tuning: As for `TrainableEncoder`.
        device: Where they run.

    Attributes:
        made: All that were made: online and target network of a DQN, one elsewhere.
    """

    def __init__(self, encoder: TransformerEncoder, tuning: Tuning, device: th.device) -> None:
        self.encoder, self.tuning, self.device = encoder, tuning, device
        self.made: list[TrainableEncoder] = []

    def __call__(self) -> TrainableEncoder:
        """Make one more."""
        made = TrainableEncoder(self.encoder, self.tuning)
        if self.made:
            share_frozen(self.made[0], made)
        self.made.append(made.to(self.device))
        return made
