"""What plain Stable-Baselines3 code passes to an algorithm of its own: ``policy_kwargs``.

Stable-Baselines3 builds a policy from the names of its own classes, with linear heads and one group
of parameters. Two things are put into it here by what ``policy_kwargs`` does allow:

- Heads. Where a policy registers its head as a submodule, and its extractor is one of this module
  that scores candidates (or copies words), torch's hook for registrations puts the head that reads
  these scores in its place. The names of all stock policies stay as they are, and so does loading.
- The encoder's rate. `OwnRateAdam` knows the parameters of an encoder by their mark.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook
from typing_extensions import override

from nlp_gym.checks import check_options
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.make import SHELL_ARGUMENTS, make_task
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.encoder_optimizer import OwnRateAdam, mark_encoder
from nlp_gym_agents.algorithms.sb3_env import warn_of_replay
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
from nlp_gym_agents.config.signatures import arguments
from nlp_gym_agents.models.attach_encoder import UpcomingTexts, check_learns, transformer_of
from nlp_gym_agents.networks.decoder.extractor import DecoderExtractor
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import TrainableEncoder
from nlp_gym_agents.networks.features.extractor import CorpusExtractor, NLPExtractor
from nlp_gym_agents.networks.features.layers import LatentHead
from nlp_gym_agents.networks.features.observation_keys import MASK_KEY, POSITION_KEYS
from nlp_gym_agents.networks.features.open_corpora import CORPUS_KEY, PolicyCorpus, playing
from nlp_gym_agents.networks.features.pointer import real
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.policies.pointer import Scores

_SET_HERE = {"observation_space", "source", "unit_dim", "encoder_factory"}
"""Arguments of extractors that are not the caller's."""
_KEPT = 4
"""Corpora that a network keeps open: train, dev, test and one more."""

Tensors = dict[str, th.Tensor]


def nlp_policy_kwargs(
    env: Any,
    *,
    encoder_mode: str = "frozen",
    encoder_lr: float = 5e-5,
    encoder_warmup: int = 100,
    tuning: Mapping[str, Any] | None = None,
    **extractor: Any,
) -> dict[str, Any]:
    """The ``policy_kwargs`` of any Stable-Baselines3 or sb3-contrib algorithm on an environment.

    They name the features extractor that reads the environment's observations, bring heads for
    actions that are candidates, and an encoder that learns with a rate of its own::

        env = make_sb3_env("NER-CoNLL-v0", n_envs=64)
        model = PPO("MultiInputPolicy", env, policy_kwargs=nlp_policy_kwargs(env))

    Args:
        env: What `make_sb3_env` or Stable-Baselines3's ``make_vec_env`` gave, or one environment.
        encoder_mode: ``"frozen"``, ``"finetune"``, ``"lora"`` or ``"adapter"``; all but the first
            need ``obs_type="index"`` and an encoder with weights.
        encoder_lr: Learning rate of an encoder that learns. It follows the schedule of the
            algorithm's own rate, to which it keeps its ratio.
        encoder_warmup: Updates over which it rises from 0.
        tuning: More options of an encoder that learns, as `networks.encoder.options.Tuning` has
            them (``freeze_layers``, ``rank``, ``dropout``, ...).
        **extractor: Options of the extractor: `hidden`, `dropout`, `pointer_dim`, ... of
            `NLPExtractor`; `width`, `layers`, `heads`, `copy`, ... of `DecoderExtractor` where
            texts are written.

    Returns:
        ``net_arch`` (empty: the layers are the extractor's), ``features_extractor_class`` and
        ``features_extractor_kwargs``, and an optimizer where the encoder learns. They hold no
        corpus, and can be pickled.

    Raises:
        InvalidArgumentError: Observations that the extractor cannot read, an environment of
            another suite, or an option outside what is allowed.
    """
    space, task, spec = look_into(env)
    check_not_scaled(space, env)
    _check_not_stacked(space, task)
    by_index = set(POSITION_KEYS) <= set(space.spaces)
    if "input_ids" in space.spaces:
        raise InvalidArgumentError(
            "env has obs_type='tokens', which is for code that brings its own encoder: use "
            "obs_type='index' with encoder_mode='finetune', or obs_type='features'."
        )
    if task.writes and not by_index:
        raise InvalidArgumentError(
            "env has obs_type='features', and a policy that writes texts reads 'index' "
            "observations: use make_sb3_env(id), or obs_type='index' and wrapper_class=NameCorpus."
        )
    learns = _tuning(encoder_mode, tuning)
    if learns is not None:
        check_learns("index" if by_index else "features")
        transformer_of(task)
    if not isinstance(env, SB3VecEnv):  # of which `make_sb3_env` has warned
        warn_of_replay(space, "env")
    cls = StockDecoderExtractor if task.writes else StockExtractor
    known = set(arguments(cls.__mro__[2])) - _SET_HERE
    check_options("nlp_policy_kwargs", extractor, sorted(known))
    corpus = None
    if by_index:
        corpus = PolicyCorpus.of(
            task,
            named=CORPUS_KEY in space.spaces,
            made_with=None if spec is None else (spec.id, _task_arguments(spec.kwargs)),
            trainable=learns is not None,
        )
        if not corpus.named:
            warnings.warn(
                "env shows obs_type='index' without saying of which corpus: the policy takes all "
                "rows for those of this environment's split. Use make_sb3_env, or pass "
                "wrapper_class=nlp_gym_agents.NameCorpus to make_vec_env, to evaluate on others.",
                UserWarning,
                stacklevel=2,
            )
    options = {**extractor, "corpus": corpus, "tuning": learns, "unit_dim": task.encoder.dim}
    cls(space, **_tried(options))  # options are refused here rather than inside the algorithm
    kwargs: dict[str, Any] = {
        "net_arch": [],
        "features_extractor_class": cls,
        "features_extractor_kwargs": options,
    }
    if learns is not None:
        kwargs["optimizer_class"] = OwnRateAdam
        kwargs["optimizer_kwargs"] = {
            "eps": 1e-5,
            "encoder_lr": encoder_lr,
            "encoder_warmup": encoder_warmup,
            "encoder_weight_decay": learns.weight_decay,
        }
    return kwargs


def _tried(options: Mapping[str, Any]) -> dict[str, Any]:
    """Without the encoder that learns, which takes a second to make."""
    return {**options, "tuning": None}


def _tuning(mode: str, options: Mapping[str, Any] | None) -> Tuning | None:
    if mode == "frozen":
        if options:
            raise InvalidArgumentError(
                f"tuning={shown(dict(options))} is for an encoder that learns: give encoder_mode="
                "'finetune', 'lora' or 'adapter' too."
            )
        return None
    return Tuning.of({**(options or {}), "mode": mode})


_NAMES = (MASK_KEY, CORPUS_KEY, *POSITION_KEYS)
"""Keys that say what is legal and what is read: to be left as they are."""


def check_not_scaled(space: spaces.Dict, env: object) -> None:
    """Refuse an environment that rescales masks and row numbers.

    Raises:
        InvalidArgumentError: Naming the keys that may be rescaled.
    """
    touched: set[str] = set()
    while isinstance(env, VecEnvWrapper):
        if isinstance(env, VecNormalize) and env.norm_obs:
            touched |= set(env.norm_obs_keys or space.spaces) & set(_NAMES)
        env = env.venv
    if touched:
        raise _scaled(space, touched)


def _check_values(space: spaces.Dict, observations: Tensors) -> None:
    """Refuse masks and row numbers that have been rescaled, as `check_not_scaled` does."""
    touched = set()
    for key in _NAMES:
        values = observations.get(key)
        if values is None or not values.is_floating_point():
            continue
        right = (values == 0) | (values == 1) if key == MASK_KEY else values == values.round()
        if not bool(right.all()):
            touched.add(key)
    if touched:
        raise _scaled(space, touched)


def _scaled(space: spaces.Dict, touched: Collection[str]) -> InvalidArgumentError:
    free = [
        key
        for key, box in space.spaces.items()
        if key not in _NAMES and np.issubdtype(box.dtype or np.void, np.floating)
    ]
    advice = f"norm_obs_keys={free}" if free else "norm_obs=False"
    return InvalidArgumentError(
        f"the environment rescales the observation keys {', '.join(map(repr, sorted(touched)))} "
        "(VecNormalize does so with all keys by default), but they say which actions are legal and "
        f"which rows are read: pass {advice} to VecNormalize."
    )


def _check_not_stacked(space: spaces.Dict, task: Task) -> None:
    """Refuse stacked observations where the shapes of keys have a meaning."""
    row, mask = space.spaces.get("row"), space.spaces.get(MASK_KEY)
    stacked = row is not None and row.shape != (1,)
    if task.tables.candidates is not None and mask is not None:
        stacked = stacked or mask.shape != (task.n_actions,)
    if stacked:
        raise InvalidArgumentError(
            "env stacks observations (VecFrameStack), but rows, masks and candidates of several "
            "steps cannot be read as one. An observation holds the whole state; where you want "
            "more of the past, make it with a longer history (history_length=), or stack "
            "obs_type='features' of a task whose actions are labels."
        )


def look_into(env: Any) -> tuple[spaces.Dict, Task, Any]:
    """Observation space of one environment, its task, and what it was made with (or None)."""
    space = getattr(env, "single_observation_space", None) or getattr(
        env, "observation_space", None
    )
    inner = env
    while isinstance(inner, VecEnvWrapper):
        inner = inner.venv
    if isinstance(inner, SB3VecEnv):
        inner = inner.venv
    inner = inner.envs[0] if getattr(inner, "envs", None) else inner
    core = getattr(inner, "unwrapped", inner)
    task, spec = getattr(core, "task", None), getattr(core, "spec", None)
    if task is None and isinstance(inner, VecEnv):  # environments in other processes
        spec = inner.get_attr("spec")[0]
        if spec is not None and "task" in spec.kwargs:
            task = make_task(spec.id, **_task_arguments(spec.kwargs))
    if not isinstance(task, Task) or not isinstance(space, spaces.Dict):
        raise InvalidArgumentError(
            f"env={shown(env)} is no environment of this suite with Dict observations: give what "
            "make_sb3_env(id), make_vec_env(id) or gymnasium.make(id) returned, with no wrapper "
            "that flattens."
        )
    return space, task, spec


def _task_arguments(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `make_task` among those of an environment."""
    return {k: v for k, v in kwargs.items() if k not in (*SHELL_ARGUMENTS, "task")}


class _NamesCorpora(CorpusExtractor):
    """Mixin of extractors: reads the corpus that each batch of observations names."""

    corpus: PolicyCorpus | None

    def _begin(self, corpus: PolicyCorpus | None) -> None:
        self.corpus = corpus
        self._open: OrderedDict[int, FeatureSource] = OrderedDict()
        if self.encoder is not None:
            mark_encoder(self.encoder)
            self.encoder.note_pretrained()

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

    def __init__(
        self,
        observation_space: spaces.Dict,
        *,
        corpus: PolicyCorpus | None = None,
        tuning: Tuning | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            _unnamed(observation_space),
            cast("FeatureSource | None", corpus),  # it has the sizes
            encoder_factory=_factory(corpus, tuning),
            **options,
        )
        self.legal_only = True
        self.source = None
        self._begin(corpus)

    @override
    def apply(self, fn: Callable[[nn.Module], None]) -> StockExtractor:
        """As of every module; actions still begin about equal where all weights are drawn anew."""
        super().apply(fn)
        if self.pointer is not None:
            self.pointer.reset_scores()
        return self

    @override
    def forward(self, observations: Tensors) -> th.Tensor:
        self._choose_source(observations)
        return super().forward(observations)


class StockDecoderExtractor(_NamesCorpora, DecoderExtractor):
    """`DecoderExtractor` for stock policies; arguments as for `StockExtractor`."""

    def __init__(
        self,
        observation_space: spaces.Dict,
        *,
        corpus: PolicyCorpus | None = None,
        tuning: Tuning | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            _unnamed(observation_space),
            cast("FeatureSource | None", corpus),
            encoder_factory=_factory(corpus, tuning),
            **{"dropout": 0.0, **options},
        )
        self.source = None
        self._begin(corpus)

    @override
    def forward(self, observations: Tensors) -> th.Tensor:
        self._choose_source(observations)
        return super().forward(observations)


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
