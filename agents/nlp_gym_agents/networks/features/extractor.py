"""From an observation to the features a policy's heads read.

One extractor serves the observation types `index` and `features`: the first names a state of the
corpus and the extractor gathers its vectors from the encoded corpus, the second carries them.
Both give the same numbers, but an `index` observation is tens of bytes, which is what makes large
replay buffers and fast rollouts possible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch as th
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.observation import NAMED
from nlp_gym_agents.networks.encoder.trainable import IndexedVectors, TrainableEncoder
from nlp_gym_agents.networks.encoder.unit_texts import UnitTexts
from nlp_gym_agents.networks.features.commit import SHARP, CommitHead, CommitValue
from nlp_gym_agents.networks.features.layers import ACTIVATIONS, check_options, trunk
from nlp_gym_agents.networks.features.observation_keys import (
    CANDIDATES_KEY,
    MASK_KEY,
    Keys,
    no_source,
)
from nlp_gym_agents.networks.features.pointer import Packed, PointerScorer
from nlp_gym_agents.networks.features.source import FeatureSource, TableTask

__all__ = [
    "ACTIVATIONS",
    "MASK_KEY",
    "CorpusExtractor",
    "FeatureSource",
    "NLPExtractor",
    "TableTask",
]

Tensors = dict[str, th.Tensor]


def names(observations: Tensors) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
    """What `index` observations name: row, position, and places of units where the state does."""
    return observations["row"], observations["position"], observations.get(NAMED)


class CorpusExtractor(BaseFeaturesExtractor):
    """A features extractor that reads a corpus: vectors of units, frozen or encoded as it learns.

    Args:
        observation_space: The environment's, a flat Dict of Boxes.
        features_dim: Width of the features.
        source: Where vectors are gathered from. Swap it with `features.swap_source` to play another
            corpus.
        encoder_factory: Makes the encoder that learns; None: vectors are those of the frozen one.

    Attributes:
        encoder: The learning encoder; None where it is frozen.
        gathers: Vectors come from the source, not with the observation.
        shape: Width of the contexts and units a candidate, which another corpus must share.
    """

    gathers: bool
    shape: tuple[int, int]

    def __init__(
        self,
        observation_space: spaces.Dict,
        features_dim: int,
        source: FeatureSource | None,
        encoder_factory: Callable[[], TrainableEncoder] | None,
    ) -> None:
        super().__init__(observation_space, features_dim=features_dim)
        self.source = source
        self.encoder = None if encoder_factory is None else encoder_factory()

    @property
    def whole_texts(self) -> bool:
        """Whether decisions on one text share work, here that of an encoder that learns."""
        return self.encoder is not None

    def heads(self) -> tuple[nn.Module, nn.Module] | None:
        """Fresh heads of actions and of the value that read these features; None: linear ones."""
        return None

    def clear_cache(self) -> None:
        """Drop what is cached from one batch to the next; see `TrainableEncoder.clear_cache`."""
        if self.encoder is not None:
            self.encoder.clear_cache()

    def _units(self, ids: th.Tensor) -> IndexedVectors:
        """Vectors of units, and the row of each in them."""
        if self.encoder is None:
            return self._source().units(ids)
        vectors: IndexedVectors = self.encoder(self._unit_texts(), ids)
        return vectors

    def _unit_texts(self) -> UnitTexts:
        texts = self._source().unit_texts
        if texts is None:
            raise InvalidArgumentError(
                "source: the encoder of this policy learns, and the corpus was opened for a frozen "
                "one. Use FeatureSource(task, trainable=True)."
            )
        return texts

    def _source(self) -> FeatureSource:
        if self.source is None:
            raise no_source()
        return self.source


class NLPExtractor(CorpusExtractor):
    """Context and history through a trunk of fully connected layers, and scores of candidates.

    The input is the context (gathered or given), every other float vector of the observation and
    every 0 or 1 as it is, and every other integer as a one-hot over its range. The trunk is inside
    the extractor, so that with `net_arch=[]` the policy's and the value's head share it, as does a
    Q-network.

    Where actions are candidates, the features are the trunk's output followed by a score for each
    action (`features.pointer`), which `policies.pointer` give to the right heads. A 0 or 1 for each
    candidate belongs to the candidate and is no input of the trunk.

    Args:
        observation_space: The environment's, a flat Dict of Boxes.
        source: Where vectors are gathered from; needed where the observation has `row` and
            `position`. Swap it with `networks.features.swap_source` to play another corpus.
        hidden: Widths of the trunk's layers.
        dropout: Of each layer's output, while training.
        input_dropout: Of the trunk's input, while training.
        activation: A name of `ACTIVATIONS`.
        layer_norm: Normalise each layer before its activation.
        pointer_dim: Width of the candidates' keys; without effect where actions are labels.
        unit_dim: Width of a unit, of which a candidate may have several; needed where observations
            carry vectors and candidates do have several.
        encoder_factory: Makes the encoder that learns; None: vectors are those of the frozen one.
        commit_head: Width of the layer that decides when to commit, where a text is read chunk by
            chunk (`features.commit`); 0: labels and moves are logits of one layer.
        learn_labels: With `commit_head`, whether trunk and labels learn; False: when to commit is
            all that is learned, after a warm start.
        n_labels: With `commit_head`, how many of the actions are labels.

    Attributes:
        latent_dim: Width of the trunk's output.
        pointer: Scores candidates; None where actions are labels.
        legal_only: Illegal candidates get no score, as absent ones; see `policies.pointer`.

    Raises:
        InvalidArgumentError: A value outside what is allowed, or an observation it cannot read.
        UnknownNameError: The activation is not known.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        source: FeatureSource | None = None,
        *,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        activation: str = "relu",
        layer_norm: bool = False,
        pointer_dim: int = 128,
        unit_dim: int | None = None,
        encoder_factory: Callable[[], TrainableEncoder] | None = None,
        commit_head: int = 0,
        learn_labels: bool = True,
        n_labels: int = 0,
    ) -> None:
        check_options(hidden, {"dropout": dropout, "input_dropout": input_dropout}, activation)
        keys = Keys.of(observation_space, source, unit_dim)
        scores = keys.n_actions if keys.n_candidates else 0
        self.commits = bool(commit_head) and n_labels < keys.n_actions
        if self.commits:
            scores = sum(keys.widths.values())  # features are followed by what moves may see
        super().__init__(observation_space, int(hidden[-1]) + scores, source, encoder_factory)
        self.keys, self.latent_dim, self.legal_only = keys, int(hidden[-1]), False
        self.gathers, self.context_width = keys.gathers, keys.context
        self.shape = keys.context, keys.parts
        for key, (_, low, classes) in keys.classes.items():
            # A table of unit vectors: indexing it is several times faster than F.one_hot.
            self.register_buffer(f"_unit_{key}", th.eye(classes), persistent=False)
            self.register_buffer(f"_low_{key}", th.tensor(low), persistent=False)
        self._widths = {key: n for key, n in keys.widths.items() if key not in keys.looked_up}
        self.width = keys.context + sum(keys.widths.values())
        rates = (input_dropout, dropout)
        self.trunk = trunk(self.width, hidden, rates, ACTIVATIONS[activation], layer_norm)
        self.pointer = PointerScorer.of(keys, self.latent_dim, pointer_dim)
        self._commit = (commit_head, learn_labels, n_labels)

    def heads(self) -> tuple[nn.Module, nn.Module] | None:
        """Those of a reader, with `commit_head`."""
        if not self.commits:
            return None
        hidden, learn, n_labels = self._commit
        extras, n_moves = self.width - self.context_width, self.keys.n_actions - n_labels
        sizes = (self.latent_dim, extras, n_labels, n_moves, hidden)
        head = CommitHead(*sizes, sharp=1.0 if learn else SHARP)
        if not learn:
            self.trunk.requires_grad_(False)
            head.labels.requires_grad_(False)
        return head, CommitValue(head, hidden)

    def read(self, observations: Tensors) -> th.Tensor:
        """The trunk's input, (B, width) float32.

        Raises:
            InvalidArgumentError: Contexts are to be gathered, but there is no source.
        """
        batch = len(next(iter(observations.values())))
        out = th.empty((batch, self.width), device=next(self.parameters()).device)
        start = self.context_width
        if self.gathers:
            start += sum(self.keys.looked_up.values())
            self._gather(out[:, :start], observations)
        elif start:
            out[:, :start] = observations["context"]
        for key, width in self._widths.items():
            part = observations[key]
            if key in self.keys.classes:
                index = part.long() - getattr(self, f"_low_{key}")
                part = getattr(self, f"_unit_{key}")[index]
            out[:, start : start + width] = part.reshape(batch, -1)
            start += width
        return out

    def pack(self, observations: Tensors) -> Packed:
        """The real candidates of a batch of observations."""
        device = next(self.parameters()).device
        if self.gathers:
            owner, place, real = self._candidates(observations)
            parts, width = [self._units(part) for part in real], self._source().n_candidates
        else:
            given = observations[CANDIDATES_KEY]  # (B, C, J*D)
            owner, place = self._scored((given != 0).any(dim=2), observations)
            own = given[owner, place].split(self.keys.dim, dim=1)
            parts, width = [(part, None) for part in own], given.shape[1]
        owner, place = owner.to(device), place.to(device)
        flags = [observations[key][owner, place].float() for key in self.keys.flags]
        return Packed(
            owner, place, parts, th.stack(flags, 1) if flags else owner.new_empty(0), width
        )

    def _candidates(self, observations: Tensors) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """(N,) owner and (N,) place of the real candidates; (J, N) units of each part in a row."""
        source = self._source()
        ids = source.candidates(observations["row"], observations["position"])  # (B, C, J)
        owner, place = self._scored((ids != source.n_units).any(dim=2), observations)
        return owner, place, ids.view(-1, source.parts)[owner * ids.shape[1] + place].T

    def _scored(self, there: th.Tensor, observations: Tensors) -> tuple[th.Tensor, ...]:
        """(N,) observation and (N,) place of the candidates that get a score, of those `there`."""
        if self.legal_only and MASK_KEY in observations:
            there &= observations[MASK_KEY][:, : there.shape[1]].to(there.device) > 0
        return there.nonzero(as_tuple=True)

    def forward(self, observations: Tensors) -> th.Tensor:
        """Features of a batch of observations, (B, features_dim) float32."""
        with self._shared_pass(observations):
            given = self.read(observations)
            latent: th.Tensor = self.trunk(given)
            if self.commits:
                return th.cat([latent, given[:, self.context_width :]], dim=1)
            if self.pointer is None:
                return latent
            context = given[:, : self.context_width]
            scores = self.pointer(latent, context, self.pack(observations))
            return th.cat([latent, scores], dim=1)

    def _shared_pass(self, observations: Tensors) -> AbstractContextManager[None]:
        """Within it, contexts and candidates share one pass through an encoder that learns."""
        if self.encoder is None or self.pointer is None or not self.gathers:
            return nullcontext()
        near = self._source().context(*names(observations))
        real = self._candidates(observations)[2]
        return self.encoder.shared_pass(
            self._unit_texts(), th.cat([near.flatten(), real.flatten()])
        )

    def _gather(self, out: th.Tensor, observations: Tensors) -> None:
        """Write the contexts of B states and the flags that are looked up into `out`."""
        source = self._source()
        row, position, places = names(observations)
        if self.encoder is None:
            source.gather_into(out, row, position, places)
            return
        vectors, rows = self._units(source.context(row, position, places).flatten())
        context = vectors if rows is None else vectors.index_select(0, rows)
        out[:, : self.context_width] = context.view(len(out), -1)
        source.flags_into(out[:, self.context_width :], row, position, places)
