"""An encoder inside the policy: learns with it, and encodes each text once.

While nothing is learned from (a rollout, an evaluation) vectors are kept until the weights change.
In an update each distinct text of the batch is encoded once, and positions are gathered from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache as cached
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch as th
from torch import nn
from torch.nn.functional import embedding_bag

from nlp_gym.encode.base import BOUND
from nlp_gym.encode.options import resolve_dtype
from nlp_gym.encode.transformer.encoder import TransformerEncoder
from nlp_gym.encode.transformer.pooling import default_batch_tokens, send, standardised
from nlp_gym.encode.transformer.windows import batches
from nlp_gym.encode.units import sentence_scale
from nlp_gym.errors import EncoderError
from nlp_gym_agents.networks.encoder.modes import equip, share_fixed
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.unit_texts import TextBook

_I64 = npt.NDArray[np.int64]


class Kept:
    """Vectors of a book's units for the weights as they were.

    Args:
        book: Whose.
        width: Of a vector.
        device: Where they are kept.

    Attributes:
        vectors: (U+1, D) float16; the last row is zeros.
        fresh: (N,) texts whose units are there.
    """

    def __init__(self, book: TextBook, width: int, device: th.device) -> None:
        self.vectors = th.empty(book.n_units + 1, width, dtype=th.float16, device=device)
        self.vectors[-1] = 0
        self.fresh = np.zeros(len(book), bool)
        self._weights: tuple[float, ...] = ()

    def refresh(self, weights: tuple[float, ...]) -> None:
        """Nothing is fresh once `weights` are others than before."""
        if weights != self._weights:
            self.fresh[:] = False
            self._weights = weights

    def missing(self, texts: _I64) -> _I64:
        """Those of `texts` that are not there, once each, ascending."""
        absent: _I64 = np.unique(texts[~self.fresh[texts]])
        return absent


Found = tuple[th.Tensor, th.Tensor | None]
"""Vectors (m, D) float32, and the row (n,) in them of each unit; None: they are in order."""

_SMALL = 8192
"""Weights up to this size are watched for changes: biases, norms, low-rank updates. An update that
changes the others changes these."""


class LiveEncoder(nn.Module):
    """A transformer with word pooling and standardisation, whose weights belong to the policy.

    The standardisation is that of the pretrained encoder and stays as it is, so that at the
    beginning vectors are those of the frozen encoder.

    Args:
        encoder: Whose copy learns.
        tuning: How.

    Attributes:
        held: Says whether the encoder stands still for now, so that only the head learns.
        ahead: Gives texts of a book that will be needed soon; they are encoded together with those
            needed now. None: nothing is known of them.
        encoded_texts: Texts encoded so far with and without gradients, repetitions counted.
    """

    def __init__(self, encoder: TransformerEncoder, tuning: Tuning) -> None:
        super().__init__()
        self.words = encoder.word_vectors()
        equip(self.words.model, tuning)
        self.tuning = tuning
        self.held: Callable[[], bool] = bool
        self.ahead: Callable[[TextBook], _I64] | None = None
        self.encoded_texts = {"learning": 0, "acting": 0}
        self._standardiser = encoder.standardiser
        self._sentences = cached(lambda: sentence_scale(encoder))
        named = [p for p in self.words.parameters() if p.requires_grad]
        self._watched = [p for p in named if p.numel() <= _SMALL] or named
        self._pretrained = self._weights()
        self._together: tuple[_I64, th.Tensor] | None = None
        self._kept: WeakKeyDictionary[TextBook, Kept] = WeakKeyDictionary()

    def apply(self, fn: Any) -> LiveEncoder:
        """Do nothing: Stable-Baselines3 draws the weights of a policy's linear layers anew."""
        return self

    def forward(self, book: TextBook, units: th.Tensor) -> Found:
        """Vectors of units.

        Args:
            book: The texts they lie in.
            units: (n,) units; `book.n_units` stands for none, the zero vector.

        Raises:
            EncoderError: Memory ran out, or vectors are not finite.
        """
        asked = units.detach().cpu().numpy().astype(np.int64, copy=False)
        if not self._learns():
            return self._remembered(book, units, asked)
        distinct, vectors = self._together or self._learned(book, asked)
        return vectors, send(np.searchsorted(distinct, asked), vectors.device)

    @contextmanager
    def together(self, book: TextBook, units: th.Tensor) -> Iterator[None]:
        """Encode units that are asked for in several parts in the block, each text once.

        Args:
            book: The texts they lie in.
            units: (n,) all of them.
        """
        if not self._learns():
            yield
            return
        self._together = self._learned(book, units.detach().cpu().numpy().astype(np.int64))
        try:
            yield
        finally:
            self._together = None

    def settle(self) -> None:
        """Take the weights as they are for those of the pretrained encoder, which they must be."""
        self._pretrained = self._weights()

    def forget(self) -> None:
        """Drop what is kept.

        Done where a checkpoint is saved: vectors depend, in their last digit, on what they were
        encoded together with, and a resumed run keeps nothing either.
        """
        self._kept.clear()

    def _learns(self) -> bool:
        """Whether what is encoded now is learned from."""
        return th.is_grad_enabled() and self.words.training and not self.held()

    def _learned(self, book: TextBook, asked: _I64) -> tuple[_I64, th.Tensor]:
        """The distinct units, ascending, and their vectors."""
        distinct = np.unique(asked)
        real = distinct[distinct < book.n_units]
        texts = np.unique(book.texts_of(real))
        vectors = self._vectors(book, texts, real)
        self.encoded_texts["learning"] += len(texts)
        if len(real) < len(distinct):
            vectors = th.cat([vectors, vectors.new_zeros(1, vectors.shape[1])])
        return distinct, vectors

    @th.no_grad()
    def _remembered(self, book: TextBook, units: th.Tensor, asked: _I64) -> Found:
        device, weights = next(self.words.parameters()).device, self._weights()
        if book.pretrained is not None and weights == self._pretrained:
            return book.pretrained.index_select(0, units.cpu().long()).to(device).float(), None
        kept = self._kept.get(book)
        if kept is None:
            kept = self._kept[book] = Kept(book, self.words.width, device)
        kept.refresh(weights)
        missing = kept.missing(book.texts_of(asked[asked < book.n_units]))
        # While it learns, the next step of the optimizer makes vectors worthless at once.
        if len(missing) and self.ahead is not None and not self.words.training:
            missing = kept.missing(np.concatenate([missing, self.ahead(book)]))
        if len(missing):
            own = book.units_of(missing)
            learning = self.words.training
            self.words.train(mode=False)  # what is kept is kept without dropout
            kept.vectors[send(own, device)] = self._vectors(book, missing, own).half()
            self.words.train(learning)
            kept.fresh[missing] = True
            self.encoded_texts["acting"] += len(missing)
        return kept.vectors.index_select(0, units.to(device).long()).float(), None

    def _vectors(self, book: TextBook, texts: _I64, units: _I64) -> th.Tensor:
        """(n, D) float32 of units that lie in `texts` (ascending)."""
        device = next(self.words.parameters()).device
        counts = book.words[texts + 1] - book.words[texts]
        shift = book.words[texts] - (np.cumsum(counts) - counts)  # from here to the book's numbers
        mine = book.windows_of(texts)
        parts, places = [], []
        for chosen in self._batches(book, mine):
            batch = book.encoder.batcher.batch(book.tokens, book.windows, chosen)
            with self._precision(device):
                parts.append(self.words(batch).float())
            text = np.searchsorted(book.words[texts], batch.words, side="right") - 1
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
        words, starts = book.words_of(units)
        local = words - shift[np.searchsorted(book.words[texts], words, side="right") - 1]
        if len(words) == len(units) and np.array_equal(starts, np.arange(len(units))):
            vectors = vectors.index_select(0, send(local, device))
        else:
            vectors = embedding_bag(send(local, device), vectors, send(starts, device), mode="mean")
        if book.rescaled:
            vectors = standardised(vectors, self._sentences())
        return vectors.clamp(-BOUND, BOUND)

    def _batches(self, book: TextBook, mine: _I64) -> Any:
        """Windows `mine`, those of similar length together."""
        device = next(self.words.parameters()).device
        budget = self.tuning.batch_tokens or default_batch_tokens(device)
        part = type(book.windows)(
            book.windows.starts[mine], book.windows.stops[mine], book.windows.token_window[:0]
        )
        for chosen in batches(part, book.encoder.batcher.extra, budget):
            yield mine[chosen]

    def _precision(self, device: th.device) -> AbstractContextManager[Any]:
        precision = self.tuning.precision
        if precision == "auto":
            precision = resolve_dtype("auto", device.type)
        if precision == "float32":
            return nullcontext()
        return th.autocast(device.type, dtype=th.bfloat16)

    @th.no_grad()
    def _weights(self) -> tuple[float, ...]:
        """Numbers that change whenever the weights do, in whatever way they are written."""
        exact = th.float32 if self._watched[0].device.type == "mps" else th.float64
        return tuple(th.stack([p.sum(dtype=exact) for p in self._watched]).tolist())


def live_encoders(policy: nn.Module) -> list[LiveEncoder]:
    """The learning encoders of a policy; those of a DQN's target network too."""
    return [module for module in policy.modules() if isinstance(module, LiveEncoder)]


class LiveEncoders:
    """Makes the encoders of a model's networks; they share what does not learn.

    Args:
        encoder: As for `LiveEncoder`.
        tuning: As for `LiveEncoder`.
        device: Where they run.

    Attributes:
        made: All that were made: online and target network of a DQN, one elsewhere.
    """

    def __init__(self, encoder: TransformerEncoder, tuning: Tuning, device: th.device) -> None:
        self.encoder, self.tuning, self.device = encoder, tuning, device
        self.made: list[LiveEncoder] = []

    def __call__(self) -> LiveEncoder:
        """One more."""
        live = LiveEncoder(self.encoder, self.tuning)
        if self.made:
            share_fixed(self.made[0], live)
        self.made.append(live.to(self.device))
        return live
