"""Which words speak for a choice: each is hidden, and the choice's score falls by so much.

After Zeiler and Fergus (2014), who hid parts of images, and Li et al. (2016), "Understanding Neural
Networks through Representation Erasure", who hid words. A hidden word is replaced by the encoder's
mask token, or by a word of that look where it has none, and not taken out: the other words keep
their places, so that the same decisions can be played on the text. The text is encoded anew, and
the decisions before are those of the episode that is explained: what falls is what the word says
for this one decision, not what it did to earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np

from nlp_gym.tasks.core.rollout import play, side_by_side
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Float64Array, Int64Array, Sample
from nlp_gym_agents.explain.decisions import Player
from nlp_gym_agents.explain.trace import Decision, Trace
from nlp_gym_agents.models.acting import make_scored_act, score_kind

Opened = Callable[[list[Sample]], AbstractContextManager[tuple[Player, Task]]]
"""Opens a task on samples for the block: an agent that reads it, and the task."""

MASK = "[MASK]"
"""What stands for a hidden word where the encoder has no mask token of its own."""
MOST_WORDS = 24_000
"""Words that are encoded for one text; long texts are hidden in blocks of several words."""
LEAST_BLOCKS = 16
"""Blocks that a text of any length is hidden in at least."""
MOST_NUMBERS = 250_000
"""Words times decisions up to which a text gets relevance at all."""
_DIGITS = 6


def occlude(opened: Opened, samples: Sequence[Sample], traces: Sequence[Trace]) -> list[Trace]:
    """Traces with `Decision.relevance`: how far the choice's score falls when a word is hidden.

    The score is the log-probability of the choice, or its Q value. At most `MOST_WORDS` words are
    encoded for a text (but at least `LEAST_BLOCKS` copies of it): in a longer one several words in
    a row are hidden together and share what they do alike, which `Trace.notes` say.

    Args:
        opened: Opens the agent's task on other samples.
        samples: What the traces are of.
        traces: One per sample.
    """
    found: list[Trace] = [*traces]
    open_places = []
    for k, (sample, trace) in enumerate(zip(samples, traces, strict=True)):
        reason = refusal(trace)
        if not reason and tuple(sample.words) != trace.words:
            reason = "No relevance by occlusion: the task reads another text than the sample's."
        if reason:
            found[k] = replace(trace, notes=(*trace.notes, reason))
        elif trace.decisions:
            open_places.append(k)
    for places in _groups(open_places, [len(trace.words) for trace in traces]):
        some = [traces[k] for k in places]
        for k, trace in zip(
            places, _occluded(opened, [samples[k] for k in places], some), strict=True
        ):
            found[k] = trace
    return found


def refusal(trace: Trace) -> str:
    """Why a trace gets no relevance; empty: it gets some."""
    if trace.scores == "none":
        return "No relevance: the agent does not say how likely it holds its actions."
    if trace.view == "walk":
        return "No relevance: a walk on a graph reads names of nodes, not words of a text."
    if len(trace.words) * len(trace.decisions) > MOST_NUMBERS:
        return "No relevance: the text is too long for one number per word and decision."
    return ""


def _groups(places: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """Texts that are encoded together, about `MOST_WORDS` words in all their copies."""
    group: list[int] = []
    total = 0
    for k in places:
        cost = sizes[k] * (1 + len(blocks(sizes[k])))
        if group and total + cost > MOST_WORDS:
            yield group
            group, total = [], 0
        group.append(k)
        total += cost
    if group:
        yield group


def blocks(n: int) -> list[range]:
    """The words of a text of n words that are hidden together: as few as `MOST_WORDS` allow."""
    most = max(MOST_WORDS // n, LEAST_BLOCKS)
    size = -(-n // most)
    return [range(start, min(start + size, n)) for start in range(0, n, size)]


def _occluded(
    opened: Opened, samples: Sequence[Sample], traces: Sequence[Trace]
) -> Iterator[Trace]:
    own = [blocks(len(trace.words)) for trace in traces]
    hidden = [[range(0), *parts] for parts in own]
    scores = iter(hidden_scores(opened, samples, traces, hidden))
    for trace, parts in zip(traces, own, strict=True):
        plain, *without = next(scores)  # (T,) each
        relevance = np.zeros((len(trace.decisions), len(trace.words)))
        for part, lower in zip(parts, without, strict=True):
            fall = np.nan_to_num(plain - lower, posinf=0.0, neginf=0.0)
            relevance[:, part.start : part.stop] = fall[:, None] / len(part)
        yield with_relevance(trace, relevance, "occlusion", notes=_block_note(parts))


def _block_note(parts: Sequence[range]) -> tuple[str, ...]:
    size = len(parts[0])
    if size == 1:
        return ()
    return (f"The text is long: {size} words in a row were hidden together and share alike.",)


def with_relevance(
    trace: Trace, relevance: Float64Array, method: str, *, notes: tuple[str, ...] = ()
) -> Trace:
    """The trace with (T, words) relevance of its decisions."""
    rows = np.round(relevance, _DIGITS).tolist()
    decisions = [
        replace(decision, relevance=tuple(row))
        for decision, row in zip(trace.decisions, rows, strict=True)
    ]
    return replace(
        trace, decisions=tuple(decisions), relevance=method, notes=(*trace.notes, *notes)
    )


def hidden_scores(
    opened: Opened,
    samples: Sequence[Sample],
    traces: Sequence[Trace],
    hidden: Sequence[Sequence[Sequence[int]]],
) -> Iterator[list[Float64Array]]:
    """Scores of the choices of a trace when some of its words are hidden together.

    Args:
        opened: Opens the agent's task on other samples.
        samples: n texts.
        traces: What was decided on each.
        hidden: For each text the sets of words to hide, one set after the other.

    Yields:
        For each text one (T,) array per set: log-probability or Q value of the choice at each of
        its T decisions, NaN where the episode was over before.
    """
    word = MASK
    with opened([samples[0].unannotated()]) as (_, task):
        word = mask_word(task)
    copies = [
        hide(sample, places, word)
        for sample, sets in zip(samples, hidden, strict=True)
        for places in sets
    ]
    plans = [trace.decisions for trace, sets in zip(traces, hidden, strict=True) for _ in sets]
    with opened(copies) as (player, task):
        found = iter(_choice_scores(player, task, plans))
        for sets in hidden:
            yield [next(found) for _ in sets]


def mask_word(task: Task) -> str:
    """The word that stands for a hidden one, in the terms of the task's encoder."""
    tokenizer = getattr(getattr(task.encoder, "batcher", None), "tokenizer", None)
    return getattr(tokenizer, "mask_word", "") or MASK


def hide(sample: Sample, places: Sequence[int], word: str) -> Sample:
    """The sample without its gold and with `word` at some places of its words.

    Where `extra` has the same words in parts, such as turns or sentences, they change there too.
    """
    hidden = set(places)
    words = tuple(word if k in hidden else old for k, old in enumerate(sample.words))
    extra = {
        key: _aligned(value, words) if _flat(value) == sample.words else value
        for key, value in sample.extra.items()
    }
    return Sample(words, None, sample.id, extra)


def _flat(value: Any) -> tuple[str, ...] | None:
    """The words of a sequence of texts; None for anything else."""
    nested = isinstance(value, list | tuple) and all(isinstance(v, list | tuple) for v in value)
    if not nested or not all(isinstance(w, str) for part in value for w in part):
        return None
    return tuple(word for part in value for word in part)


def _aligned(value: Sequence[Sequence[str]], words: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    ends = np.cumsum([len(part) for part in value]).tolist()
    return tuple(words[end - len(part) : end] for part, end in zip(value, ends, strict=True))


def _choice_scores(
    player: Player, task: Task, plans: Sequence[Sequence[Decision]]
) -> list[Float64Array]:
    """Play each row of the task as planned; the (T,) scores of what is chosen."""
    found = [np.full(len(plan), np.nan) for plan in plans]
    rows = np.arange(len(plans))
    for places in side_by_side(task.lengths[rows], task.side_by_side):
        own = [plans[k] for k in places]
        for number, place, scores in _planned(player, task, rows[places], own):
            for k, score in zip(places[place].tolist(), scores.tolist(), strict=True):
                found[k][number] = score
    return found


def _planned(
    player: Player, task: Task, rows: Int64Array, plans: Sequence[Sequence[Decision]]
) -> Iterator[tuple[int, Int64Array, Float64Array]]:
    """Number of the decision, (B,) which plans are still played, (B,) scores of their choices."""
    act = make_scored_act(player.model, player.masked)
    logits = score_kind(player.model.policy) == "logits"
    latest: tuple[Int64Array, Float64Array]
    number = 0

    def decide(state: Any, place: Int64Array) -> Int64Array:
        nonlocal latest
        observation, mask = task.views.observe_with_mask(state, player.obs_type)
        planned = [plans[k][min(number, len(plans[k]) - 1)] for k in place]
        actions = np.array([_action(task, state, i, d) for i, d in enumerate(planned)], np.int64)
        each = np.arange(len(actions))
        mask[each, actions] = True  # a mask that depends on the text must not take the choice out
        scored = act(observation, mask).scores
        assert scored is not None
        scores = scored.astype(np.float64)
        if logits:
            scores -= np.logaddexp.reduce(scores, axis=1, keepdims=True)
        latest = place, scores[each, actions]
        return actions

    for step in play(task, rows, decide):
        going = np.array([number < len(plans[k]) for k in latest[0]])
        yield number, latest[0][going], latest[1][going]
        number += 1
        over = np.array([number >= len(plans[k]) for k in step.place])
        step.ended = step.ended | over


def _action(task: Task, state: Any, i: int, decision: Decision) -> int:
    """The number that the chosen action has in another text: candidates may be ordered by it."""
    action = decision.chosen
    if task.tables.candidates is None:
        return action
    name = decision.choice.name
    if name in (task.action_text(state, i, action), task.action_name(action)):
        return action
    names = (k for k in range(task.n_actions) if task.action_text(state, i, k) == name)
    return next(names, action)
