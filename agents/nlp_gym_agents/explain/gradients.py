"""Which words speak for a choice, by the gradient of its score at the words' embeddings.

``"gradient"`` is gradient times input: what a linear model of the score at the text itself gives to
each word. ``"integrated gradients"`` (Sundararajan, Taly and Yan 2017) is the mean gradient on the
line from a text of mask tokens to the text, times what changes on the line; relevance then sums to
the difference of the two scores (completeness). Sub-words of a word are summed, in all texts that
have it. Both need an encoder that learned with the policy: gradients do not reach vectors that were
made beforehand.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.utils import obs_as_tensor

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.rollout import play
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation
from nlp_gym_agents.explain.decisions import Player
from nlp_gym_agents.explain.trace import Decision, Trace
from nlp_gym_agents.models.acting import score_kind
from nlp_gym_agents.networks.encoder.trainable import trainable_encoders
from nlp_gym_agents.networks.encoder.unit_texts import UnitTexts
from nlp_gym_agents.networks.features.pointer import PointerScorer
from nlp_gym_agents.networks.policies.dueling import action_scores

STEPS = 12
"""Points on the line from the baseline to the text, those of Gauss and Legendre."""
_AT_ONCE = 8192
"""Sub-words times scores that are differentiated at once, which bounds the memory."""


@dataclass(frozen=True)
class Attribution:
    """What the words of one sample give to the scores of T choices.

    Attributes:
        by_word: (T, words) relevance of each of `Trace.words`.
        elsewhere: (T,) that of all other words, such as a question's or a candidate's.
        difference: (T,) score on the text less that on the baseline.
    """

    by_word: Float64Array
    elsewhere: Float64Array
    difference: Float64Array


def can_differentiate(player: Player) -> bool:
    """Whether gradients of the policy's scores reach the words."""
    return bool(trainable_encoders(player.model.policy)) and not _recurrent(player)


def check_differentiable(player: Player, method: str) -> None:
    """Raise `InvalidArgumentError` unless gradients of the policy's scores reach the words."""
    if can_differentiate(player):
        return
    reason = (
        "a recurrent policy, whose score depends on all decisions before"
        if _recurrent(player)
        else "an encoder that is frozen: gradients do not reach the words"
    )
    raise InvalidArgumentError(
        f"relevance={method!r} does not suit this run, which has {reason}. Use 'occlusion' or "
        "'auto'."
    )


def _recurrent(player: Player) -> bool:
    return getattr(player.model.policy, "lstm_actor", None) is not None


def attribute(
    player: Player,
    task: Task,
    row: int,
    trace: Trace,
    *,
    integrated: bool,
    only: Sequence[int] | None = None,
) -> Attribution:
    """Relevance of words by gradients.

    Args:
        player: An agent that reads the task, and for which `can_differentiate` holds.
        task: It has the sample.
        row: The sample.
        trace: What was decided on it.
        integrated: Integrated gradients; else gradient times input.
        only: T decisions of the trace; None: all.

    Returns:
        In units of the score: log-probability of the choice, or its Q value.
    """
    seen = _Seen.of(player, task, row, trace.decisions)
    if only is not None:
        seen = seen.take(np.asarray(only, np.int64))
    policy = player.model.policy
    policy.set_training_mode(False)
    nodes, weights = _points(STEPS) if integrated else (np.ones(1), np.ones(1))
    by_token: list[th.Tensor] = []  # (T, B, L) of each batch of windows
    line = _Line(player, integrated=integrated)
    for point, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        with line.at(point):
            parts = [weight * part for part in _given(seen.scores(player), line)]
        by_token = [a + b for a, b in zip(by_token, parts, strict=True)] if by_token else parts
    ends = [_at(line, seen, player, point) for point in (1.0, 0.0)]
    by_word, elsewhere = _by_word(by_token, line, task, trace.words)
    return Attribution(by_word, elsewhere, ends[0] - ends[1])


def _at(line: _Line, seen: _Seen, player: Player, point: float) -> Float64Array:
    with line.at(point):
        scores: Float64Array = seen.scores(player).detach().double().cpu().numpy()
        return scores


def _points(n: int) -> tuple[Float64Array, Float64Array]:
    """Nodes in [0, 1] and weights that sum to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return (nodes + 1) / 2, weights / 2


def _given(scores: th.Tensor, line: _Line) -> list[th.Tensor]:
    """(T, B, L) gradient times change of every sub-word, for each of (T,) scores and each batch."""
    size = max(1, _AT_ONCE // sum(read[..., 0].numel() for read in line.read))
    each = th.eye(len(scores), device=scores.device)
    rows = [_slopes(scores, line, some) for some in each.split(size)]
    return [th.cat(parts) for parts in zip(*rows, strict=True)]


def _slopes(scores: th.Tensor, line: _Line, some: th.Tensor) -> list[th.Tensor]:
    with warnings.catch_warnings():
        # Some operations are differentiated one by one, which torch says.
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        found = th.autograd.grad(
            scores, line.read, some, is_grads_batched=True, allow_unused=True, retain_graph=True
        )
    return [
        th.zeros(len(some), *change.shape[:2]) if slope is None else (slope * change).sum(dim=-1)
        for slope, change in zip(found, line.changes, strict=True)
    ]


@dataclass(frozen=True)
class _Seen:
    """What the agent sees at T decisions of a sample.

    Attributes:
        observations: Arrays (T, ...).
        mask: (T, A) legal actions.
        actions: (T,) what was chosen.
    """

    observations: Observation
    mask: BoolArray
    actions: Int64Array

    @classmethod
    def of(cls, player: Player, task: Task, row: int, decisions: Sequence[Decision]) -> _Seen:
        seen: list[Any] = []
        masks: list[BoolArray] = []

        def decide(state: Any, _: Int64Array) -> Int64Array:
            observation, mask = task.views.observe_with_mask(state, player.obs_type)
            action = decisions[len(seen)].chosen
            mask[0, action] = True
            seen.append(observation)
            masks.append(mask)
            return np.array([action], np.int64)

        for _ in play(task, np.array([row]), decide):
            pass
        observations = {key: np.concatenate([one[key] for one in seen]) for key in seen[0]}
        actions = np.array([decision.chosen for decision in decisions], np.int64)
        return cls(observations, np.concatenate(masks), actions)

    def take(self, places: Int64Array) -> _Seen:
        """Some of the decisions."""
        observations = {key: value[places] for key, value in self.observations.items()}
        return _Seen(observations, self.mask[places], self.actions[places])

    def scores(self, player: Player) -> th.Tensor:
        """(T,) scores of what was chosen, differentiable."""
        policy = player.model.policy
        tensors: Any = obs_as_tensor(self.observations, policy.device)
        with th.enable_grad():
            scores = action_scores(policy, tensors, self.mask if player.masked else None)
            assert scores is not None
            if score_kind(policy) == "logits":
                scores = scores.log_softmax(dim=1)
            chosen = th.as_tensor(self.actions, device=scores.device)
            return scores.gather(1, chosen[:, None])[:, 0]


@dataclass
class _Line:
    """Embeddings on the line from the baseline to the text.

    Attributes:
        player: Whose encoders are watched.
        integrated: From a text of mask tokens; else from zero, of which only the end is used.
        read: What the transformer read last, one (B, L, width) tensor per batch of windows.
        changes: What changes on the line, likewise.
        windows: For each batch its texts, (B,) windows and the (B, L) sub-words.
    """

    player: Player
    integrated: bool
    read: list[th.Tensor] = field(default_factory=list)
    changes: list[th.Tensor] = field(default_factory=list)
    windows: list[tuple[UnitTexts, Int64Array, Int64Array]] = field(default_factory=list)

    def at(self, point: float) -> ExitStack:
        """Within it, the transformer reads the embeddings at `point`, from 0 to 1."""
        self.read, self.changes, self.windows = [], [], []

        def change(
            texts: UnitTexts, windows: Int64Array, ids: th.Tensor, embedded: th.Tensor
        ) -> th.Tensor:
            given = embedded.detach()
            base = self._baseline(texts, ids, given)
            read = (base + point * (given - base)).requires_grad_()
            self.read.append(read)
            self.changes.append(given - base)
            self.windows.append((texts, windows, ids.cpu().numpy()))
            return read

        stack = ExitStack()
        policy = self.player.model.policy
        for encoder in trainable_encoders(policy):
            stack.enter_context(encoder.changed_embeddings(change))
        for module in policy.modules():
            if isinstance(module, PointerScorer):
                module.through_likeness = True
                stack.callback(setattr, module, "through_likeness", False)
        return stack

    def _baseline(self, texts: UnitTexts, ids: th.Tensor, given: th.Tensor) -> th.Tensor:
        """Mask tokens in place of sub-words; what is around a text and behind it stays."""
        if not self.integrated:
            return th.zeros_like(given)
        tokenizer = texts.encoder.batcher.tokenizer
        kept = {*tokenizer.prefix, *tokenizer.suffix, tokenizer.pad_id}
        stays = th.isin(ids, th.as_tensor(sorted(kept), device=ids.device))
        base = th.zeros_like(given)
        if tokenizer.mask_word:
            (mask,) = tokenizer.split([[tokenizer.mask_word]]).ids.tolist()
            encoders = trainable_encoders(self.player.model.policy)
            base = base + encoders[0].embeddings.weight[mask].detach()
        return th.where(stays[..., None], given, base)


def _by_word(
    by_token: Sequence[th.Tensor], line: _Line, task: Task, words: Sequence[str]
) -> tuple[Float64Array, Float64Array]:
    """(T, words) and (T,): what belongs to the words of the trace, and the rest."""
    n = len(by_token[0])
    found, rest = np.zeros((n, len(words))), np.zeros(n)
    texts = task.units.texts
    for given, (unit_texts, windows, ids) in zip(by_token, line.windows, strict=True):
        values = given.detach().double().cpu().numpy()  # (T, B, L)
        for k, window in enumerate(windows.tolist()):
            places = _places(unit_texts, window, ids.shape[1], texts, words)
            for column, place in enumerate(places.tolist()):
                if place >= 0:
                    found[:, place] += values[:, k, column]
                else:
                    rest += values[:, k, column]
    return found, rest


def _places(
    texts: UnitTexts, window: int, width: int, units: Sequence[Sequence[str]], words: Sequence[str]
) -> npt.NDArray[np.int64]:
    """(width,) the word of the trace that each sub-word of a window belongs to; -1: none."""
    start, stop = int(texts.windows.starts[window]), int(texts.windows.stops[window])
    text = int(np.searchsorted(texts.tokens.offsets, start, side="right")) - 1
    word = np.searchsorted(texts.tokens.word_starts, np.arange(start, stop), side="right") - 1
    places = np.full(width, -1)
    before = len(texts.encoder.batcher.tokenizer.prefix)
    own = word_places(units[text], words)
    places[before : before + stop - start] = own[word - texts.words[text]]
    return places


def word_places(text: Sequence[str], words: Sequence[str]) -> npt.NDArray[np.int64]:
    """(len(text),) where each word of an encoded text stands in `words`; -1: nowhere.

    An encoded text is a part of the words (the beginning that was read, a turn), or has a part of
    them beside other texts (a question, a choice): the longest run of words that both have is it.
    """
    places = np.full(len(text), -1)
    matcher = SequenceMatcher(None, list(text), list(words), autojunk=False)
    match = matcher.find_longest_match()
    places[match.a : match.a + match.size] = np.arange(match.b, match.b + match.size)
    return places
