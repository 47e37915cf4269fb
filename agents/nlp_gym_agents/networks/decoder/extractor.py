"""The features of a text in progress: a decoder over its tokens and its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch as th
from gymnasium import spaces
from torch import nn
from torch.nn import functional as F
from typing_extensions import override

from nlp_gym.checks import check_bool, check_int
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import Int64Array
from nlp_gym_agents.networks.decoder.cache import StateCache, Version
from nlp_gym_agents.networks.decoder.copying import CopyHead, TiedHead
from nlp_gym_agents.networks.decoder.prefixes import Texts, longest_texts
from nlp_gym_agents.networks.decoder.transformer import Decoder, Memory
from nlp_gym_agents.networks.encoder.trainable import TrainableEncoder
from nlp_gym_agents.networks.features.extractor import CorpusExtractor
from nlp_gym_agents.networks.features.layers import LatentHead
from nlp_gym_agents.networks.features.observation_keys import no_source
from nlp_gym_agents.networks.features.source import FeatureSource

PREFIX_KEY = "prefix"
"""The key of an observation that makes it one of a text in progress."""

_LARGEST = 2**16
_CHUNK = 64
"""Texts of similar length that run through the decoder together."""
_PIECES = 4
"""Tokens K of a word that can be copied; what is left of a longer one has to be written."""

Tensors = dict[str, th.Tensor]


class DecoderExtractor(CorpusExtractor):
    """A transformer decoder over the tokens written so far, which attends to the source's words.

    In an update the states of a text are computed together, in one pass over the longest of its
    beginnings in the batch. While nothing is learned from, keys and values of texts in progress are
    cached until the weights change, so that a step costs one place per text.

    Args:
        observation_space: Of `nlp_gym.tasks.generation.task.Generation`, `index` observations.
        source: Where the words of sources are gathered from.
        width: Of states.
        layers: Of the decoder.
        heads: Of each attention.
        inner: Width of the feed-forward layers; None: four times `width`.
        dropout: While training.
        copy: Words of the source can be copied; see `decoder.copying`. The features are then
            states and, behind them, probabilities of tokens, which `heads` put together.
        source_layers: Layers of self-attention between the words of a source, which learn. A frozen
            encoder's words were not made for what is to be written.
        tie: Logits are read with the embeddings of the tokens (Press and Wolf 2017).
        unit_dim: Unused: of policies that read `features` observations.
        encoder_factory: Makes the encoder that learns; None: vectors are those of the frozen one.

    Raises:
        InvalidArgumentError: An option outside what is allowed, or no `index` observations.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        source: FeatureSource | None = None,
        *,
        width: int = 256,
        layers: int = 3,
        heads: int = 4,
        inner: int | None = None,
        dropout: float = 0.1,
        copy: bool = False,
        source_layers: int = 0,
        tie: bool = False,
        unit_dim: int | None = None,
        encoder_factory: Callable[[], TrainableEncoder] | None = None,
    ) -> None:
        if "row" not in observation_space.spaces:
            raise InvalidArgumentError(
                "obs_type='features': agents that write read `index` observations, which is the "
                "default."
            )
        if source is None:
            raise no_source()
        sizes = {"width": width, "layers": layers, "heads": heads, "inner": inner or 4 * width}
        for name, value in sizes.items():
            check_int(name, value, 1, _LARGEST)
        if width % heads:
            raise InvalidArgumentError(f"width={width} must be a multiple of heads={heads}.")
        check_int("source_layers", source_layers, 0, _LARGEST)
        if not 0 <= dropout < 1:
            raise InvalidArgumentError(f"dropout={shown(dropout)} must be from 0 to below 1.")
        box = observation_space[PREFIX_KEY]
        assert isinstance(box, spaces.Box)
        size = int(box.high.max()) + 1
        wide = width + size * check_bool("copy", copy)
        super().__init__(observation_space, wide, source, encoder_factory)
        self.gathers, self.shape = True, (source.width, source.parts)
        self.decoder = Decoder(
            size,
            source.dim,
            int(box.shape[0]),
            source.width // source.dim,
            width=width,
            layers=layers,
            heads=heads,
            inner=sizes["inner"],
            dropout=dropout,
            copy=copy,
            source_layers=source_layers,
        )
        self.tie = check_bool("tie", tie)
        self._cache = StateCache(self.decoder)
        # Biases and norms: an update that changes the other weights changes these.
        learning = [p for p in self.parameters() if p.requires_grad]
        self._watched = [p for p in learning if p.ndim == 1]

    @property
    def whole_texts(self) -> bool:
        """All decisions on a text are one pass of the decoder."""
        return True

    def forward(self, observations: Tensors) -> th.Tensor:
        """Features of a batch of texts in progress, (B, features) float32."""
        texts = _texts(observations)
        if th.is_grad_enabled() or self.training:
            return self._whole(texts)
        plain = self.decoder.copying is None
        before, same = self._cache.match(texts, self._state_version())
        if same:  # asked again, as for the value of a last state
            states = self._cache.states_of(before)
            return states if plain else self._featured(texts, states, self._cache.memory(before))
        lost = texts.take((before < 0) & (texts.size > 0))
        if len(lost) and 2 * len(longest_texts(lost)[0]) < len(lost):
            return self._whole(texts)  # many places of few texts: nobody goes on from them
        states = self._cache.advance(texts, before, self._read_sources)
        return states if plain else self._featured(texts, states, self._cache.memory())

    @override
    def clear_cache(self) -> None:
        super().clear_cache()
        self._cache.clear()

    def _whole(self, texts: Texts) -> th.Tensor:
        """(n, features), with one pass of the decoder per text."""
        chosen, owner = longest_texts(texts)
        order = np.argsort(texts.size[chosen], kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        distinct, source = np.unique(texts.row[chosen], return_inverse=True)
        memory = self._read_sources(distinct, whole=False)
        parts: list[th.Tensor] = []
        length = int(texts.size[chosen].max()) + 1
        for start in range(0, len(order), _CHUNK):
            own = chosen[order[start : start + _CHUNK]]
            width = int(texts.size[own].max()) + 1
            tokens = np.zeros((len(own), width), np.int64)
            tokens[:, 1:] = texts.prefix[own, : width - 1]
            given = self._index(tokens)
            read = memory.take(self._index(source[order[start : start + _CHUNK]]))
            before = F.pad(given, (_PIECES - 2, 0))
            features = self.decoder.features(self.decoder(given, read)[0], read, before)
            parts.append(F.pad(features, (0, 0, 0, length - width)))
        flat = th.cat(parts).flatten(0, 1)
        return flat.index_select(0, self._index(rank[owner] * length + texts.size))

    @th.no_grad()
    def sources(self, row: int, tokens: Sequence[int]) -> tuple[str, th.Tensor]:
        """Where a text took its tokens from.

        Args:
            row: The sample.
            tokens: (T,) what was written, STOP included.

        Returns:
            ``"copying"`` and (T, S) the probability that each token was copied from each of the S
            words of the source, or ``"attention"`` and (T, S) the weights of the last layer.
        """
        memory = self._read_sources(np.array([row], np.int64), whole=False)
        given = self._index(np.array([[0, *tokens[:-1]]], np.int64))
        copying = self.decoder.copying
        if copying is None:
            return "attention", self.decoder.attended(given, memory)[0]
        states, before = self.decoder(given, memory)[0], F.pad(given, (_PIECES - 2, 0))
        shares = copying.shares(states, memory.pairs[-1][0], memory.pieces, before)
        own = memory.pieces[:, None] == self._index(np.array([tokens], np.int64))[..., None, None]
        return "copying", (shares * own).sum(dim=3)[0]

    def _featured(self, texts: Texts, states: th.Tensor, memory: Memory) -> th.Tensor:
        """(n, features) of (n, width) states at the ends of texts."""
        tokens = texts.prefix[:, : int(texts.size.max())].astype(np.int64)
        before = F.pad(self._index(tokens), (_PIECES - 1, 0))
        # To the right, so that the last place is the text's end.
        size = self._index(texts.size)[:, None]
        place = th.arange(before.shape[1], device=size.device) - (tokens.shape[1] - size)
        before = before.gather(1, place.clamp(min=0)) * (place >= 0)
        return self.decoder.features(states[:, None], memory, before)[:, 0]

    @override
    def heads(self) -> tuple[nn.Module, nn.Module] | None:
        tied = self.decoder.tokens.weight if self.tie else None
        if self.decoder.copying is None:
            return None if tied is None else (TiedHead(tied), LatentHead(self.decoder.width))
        width = self.decoder.width
        return CopyHead(width, self.decoder.n_tokens, tied), LatentHead(width)

    def _read_sources(self, rows: Int64Array, *, whole: bool = True) -> Memory:
        """Sources of (n,) samples, with room for the longest of the corpus if `whole`."""
        source = self._source()
        index = th.as_tensor(rows)
        units = source.context(index[:, None], th.zeros_like(index)[:, None])  # (n, S)
        there = units != source.n_units
        width = source.longest if whole else int(there.sum(dim=1).max())
        units, there = units[:, :width], there[:, :width]
        vectors, places = self._units(units.flatten())
        if places is not None:
            vectors = vectors.index_select(0, places)
        device = self.decoder.norm.weight.device
        shape = (*units.shape, source.dim)
        most = 0 if self.decoder.copying is None else _PIECES
        pieces = source.pieces(units, most).to(device)
        return self.decoder.read_source(vectors.view(shape).to(device), there.to(device), pieces)

    def _state_version(self) -> Version:
        """Numbers that differ whenever weights or corpus do, in whatever way they are written."""
        small = nn.utils.parameters_to_vector(self._watched).double()
        exact = not th.is_autocast_enabled(small.device.type)
        return float(small.square().sum() + small.sum()), self._source().number, exact

    def _index(self, values: Int64Array) -> th.Tensor:
        return th.as_tensor(values, device=self.decoder.tokens.weight.device)


def _texts(observations: Tensors) -> Texts:
    row, prefix, position = (
        observations[key].detach().cpu().numpy() for key in ("row", PREFIX_KEY, "position")
    )
    size = position.reshape(len(row), -1)[:, 0].astype(np.int64)
    return Texts(row.reshape(len(row), -1)[:, 0].astype(np.int64), prefix.astype(np.int32), size)
