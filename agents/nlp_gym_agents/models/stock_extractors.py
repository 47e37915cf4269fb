"""Features extractors for stock policies, and the heads that read them.

Stable-Baselines3 builds a policy from the names of its own classes, with linear heads. Where such a
policy registers a head as a submodule, and its extractor is one of this module that scores
candidates (or copies words), torch's hook for registrations puts the head that reads these scores
in its place. The names of all stock policies stay as they are, and so does loading.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook
from typing_extensions import override

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.observation import NAMED
from nlp_gym_agents.algorithms.encoder_optimizer import mark_encoder
from nlp_gym_agents.models.attach_encoder import UpcomingTexts
from nlp_gym_agents.networks.decoder.extractor import DecoderExtractor
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import TrainableEncoder
from nlp_gym_agents.networks.features.extractor import CorpusExtractor, NLPExtractor
from nlp_gym_agents.networks.features.layers import LatentHead
from nlp_gym_agents.networks.features.observation_keys import MASK_KEY, POSITION_KEYS
from nlp_gym_agents.networks.features.open_corpora import CORPUS_KEY, PolicyCorpus, playing
from nlp_gym_agents.networks.features.pointer import real
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.policies.dueling import DuelingQNetwork
from nlp_gym_agents.networks.policies.pointer import PointerDuelingQNetwork, Scores

_KEPT = 4
"""Corpora that a network keeps open: train, dev, test and one more."""

Tensors = dict[str, th.Tensor]

NAMES = (MASK_KEY, CORPUS_KEY, *POSITION_KEYS, NAMED)
"""Keys that say what is legal and what is read: to be left as they are."""


def _check_values(space: spaces.Dict, observations: Tensors) -> None:
    """Refuse masks and row numbers that a wrapper has rescaled."""
    touched = set()
    for key in NAMES:
        values = observations.get(key)
        if values is None or not values.is_floating_point():
            continue
        right = (values == 0) | (values == 1) if key == MASK_KEY else values == values.round()
        if not bool(right.all()):
            touched.add(key)
    if touched:
        raise scaled_keys(space, touched)


def scaled_keys(space: spaces.Dict, touched: Collection[str]) -> InvalidArgumentError:
    """The error about rescaled keys, which says what may be rescaled."""
    free = [
        key
        for key, box in space.spaces.items()
        if key not in NAMES and np.issubdtype(box.dtype or np.void, np.floating)
    ]
    advice = f"norm_obs_keys={free}" if free else "norm_obs=False"
    return InvalidArgumentError(
        f"the environment rescales the observation keys {', '.join(map(repr, sorted(touched)))} "
        "(VecNormalize does so with all keys by default), but they say which actions are legal and "
        f"which rows are read: pass {advice} to VecNormalize."
    )


class _NamesCorpora(CorpusExtractor):
    """Mixin of extractors: reads the corpus that each batch of observations names.

    Args:
        observation_space: The environment's.
        corpus: What `index` observations read; None: observations carry vectors.
        tuning: How the encoder learns; None: it is frozen.
        **options: As for the extractor.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        *,
        corpus: PolicyCorpus | None = None,
        tuning: Tuning | None = None,
        **options: Any,
    ) -> None:
        arguments: Any = {
            "source": corpus,  # it has the sizes
            "encoder_factory": _factory(corpus, tuning),
            **options,
        }
        super().__init__(_unnamed(observation_space), **arguments)
        self.source = None
        self.corpus = corpus
        self._open: OrderedDict[int, FeatureSource] = OrderedDict()
        if self.encoder is not None:
            mark_encoder(self.encoder)
            self.encoder.note_pretrained()

    @override
    def forward(self, observations: Tensors) -> th.Tensor:
        """Features of B observations, of whatever corpus they name."""
        self._choose_source(observations)
        features: th.Tensor = super().forward(observations)
        return features

    def _choose_source(self, observations: Tensors) -> None:
        _check_values(self._observation_space, observations)  # type: ignore[arg-type]
        if self.corpus is None:
            return
        number = self.corpus.number_in(observations)
        source = self.corpus.source(number, next(self.parameters()).device)
        if self.encoder is not None and source is not self.source:
            # Texts of the next episodes are encoded together, where the environments are at hand.
            venv = playing(number)
            self.encoder.upcoming = None if venv is None else UpcomingTexts(venv, source)
        self.source = self._open[number] = source
        self._open.move_to_end(number)
        while len(self._open) > _KEPT:
            self._open.popitem(last=False)


class StockExtractor(_NamesCorpora, NLPExtractor):
    """`NLPExtractor` for stock policies.

    Candidates that the observation's mask takes out get no score, so that algorithms without masks
    do not choose them either.

    Args:
        observation_space: The environment's.
        corpus: What `index` observations read; None: observations carry vectors.
        tuning: How the encoder learns; None: it is frozen.
        **options: As for `NLPExtractor`.
    """

    def __init__(self, observation_space: spaces.Dict, **options: Any) -> None:
        super().__init__(observation_space, **options)
        self.legal_only = True

    @override
    def apply(self, fn: Callable[[nn.Module], None]) -> StockExtractor:
        """As of every module; actions still begin about equal where all weights are drawn anew."""
        super().apply(fn)
        if self.pointer is not None:
            self.pointer.reset_scores()
        return self


class StockDecoderExtractor(_NamesCorpora, DecoderExtractor):
    """`DecoderExtractor` for stock policies; arguments as for `StockExtractor`."""

    def __init__(self, observation_space: spaces.Dict, **options: Any) -> None:
        super().__init__(observation_space, **{"dropout": 0.0, **options})


def _unnamed(space: spaces.Dict) -> spaces.Dict:
    return spaces.Dict({key: box for key, box in space.spaces.items() if key != CORPUS_KEY})


def _factory(
    corpus: PolicyCorpus | None, tuning: Tuning | None
) -> Callable[[], TrainableEncoder] | None:
    if corpus is None or tuning is None:
        return None
    encoder: Any = corpus.open_encoder()
    return lambda: TrainableEncoder(encoder, tuning)


class QuantileScores(nn.Module):
    """Quantiles of candidates: the score of each, and how returns spread in this state.

    Args:
        width: Width of h, after which scores start.
        n_quantiles: Number Q of quantiles.
    """

    def __init__(self, width: int, n_quantiles: int) -> None:
        super().__init__()
        self.width, self.spread = width, nn.Linear(width, n_quantiles)

    def forward(self, features: th.Tensor) -> th.Tensor:
        """(B, Q*A) of (B, width + A)."""
        scores = features[:, self.width :]
        there = real(scores)[:, None, :]  # what is not there has no return to learn
        spread = self.spread(features[:, : self.width])[:, :, None]
        return (scores[:, None, :] + spread * there).flatten(1)


def _head_in_place(module: nn.Module, name: str, head: object) -> nn.Module | None:
    """The head that a stock network registers under `name`, by its extractor; None: as it is."""
    if name not in _HEADS:
        return None
    extractor = getattr(module, "features_extractor", None)
    if not isinstance(extractor, StockExtractor | StockDecoderExtractor):
        return None
    return _HEADS[name](module, extractor, head)


def _action_head(policy: Any, extractor: CorpusExtractor, head: Any) -> nn.Module | None:
    made = extractor.heads()
    if made is None and _scores(extractor) is None:
        return None
    _check_no_layers(policy.net_arch)
    return Scores(_width(extractor)) if made is None else made[0]


def _value_head(policy: Any, extractor: CorpusExtractor, head: Any) -> nn.Module | None:
    made = extractor.heads()
    if made is not None:
        return made[1]
    return None if _scores(extractor) is None else LatentHead(_width(extractor))


def _q_head(network: Any, extractor: CorpusExtractor, head: Any) -> nn.Module | None:
    if extractor.heads() is not None:
        raise InvalidArgumentError(
            "copy=True: words are copied with some probability, and DQN and QRDQN have values. Use "
            "PPO, MaskablePPO or A2C, or copy=False."
        )
    if isinstance(extractor, DecoderExtractor):  # as `models.build` begins with
        nn.init.zeros_(head[-1].weight)
        nn.init.zeros_(head[-1].bias)
        return None
    if _scores(extractor) is None:
        return None
    _check_no_layers(network.net_arch)
    if isinstance(network, DuelingQNetwork) and not isinstance(network, PointerDuelingQNetwork):
        raise InvalidArgumentError(
            "MaskedDQN('MultiInputPolicy', ...): its advantages stand against their mean, which "
            "has to leave out candidates that are not there. Pass the class "
            "nlp_gym_agents.networks.policies.pointer.PointerDuelingDQNPolicy in place of the name."
        )
    quantiles = getattr(network, "n_quantiles", None)
    width = _width(extractor)
    return Scores(width) if quantiles is None else QuantileScores(width, quantiles)


def _no_memory(policy: Any, extractor: CorpusExtractor, head: Any) -> nn.Module | None:
    if _scores(extractor) is None and extractor.heads() is None:
        return None
    raise InvalidArgumentError(
        "RecurrentPPO has no policy for tasks whose actions are candidates (or copied words): its "
        "LSTM would come between a candidate and its score. Use PPO or MaskablePPO; an observation "
        "of these tasks holds the whole state."
    )


_HEADS: dict[str, Callable[[Any, CorpusExtractor, Any], nn.Module | None]] = {
    "action_net": _action_head,
    "value_net": _value_head,
    "q_net": _q_head,
    "quantile_net": _q_head,
    "lstm_actor": _no_memory,
}
"""By the name that Stable-Baselines3 and sb3-contrib register a head under."""

register_module_module_registration_hook(_head_in_place)  # type: ignore[arg-type]


def _scores(extractor: CorpusExtractor) -> nn.Module | None:
    return extractor.pointer if isinstance(extractor, NLPExtractor) else None


def _width(extractor: CorpusExtractor) -> int:
    assert isinstance(extractor, NLPExtractor)
    return extractor.latent_dim


def _check_no_layers(net_arch: Sequence[int] | Mapping[str, Any] | None) -> None:
    if net_arch:
        raise InvalidArgumentError(
            f"net_arch={shown(net_arch)} must be [] where actions are candidates: their scores "
            "come from the extractor. Pass hidden= and pointer_dim= to nlp_policy_kwargs."
        )
