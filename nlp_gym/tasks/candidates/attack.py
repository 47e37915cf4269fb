"""Attack: change words of a text, one after the other, until a victim decides otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_int, check_number
from nlp_gym.data.text.changes import (
    NEIGHBOURS,
    USUAL,
    Edit,
    Finder,
    apply_edits,
    checked_kinds,
    known_words,
)
from nlp_gym.data.text.hash_order import hash_ranker
from nlp_gym.encode import Neighbours
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import Score, mean_of_first, on_grid
from nlp_gym.tasks.candidates.picking import PickState, PickTask
from nlp_gym.tasks.candidates.victim import (
    NAIVE_BAYES,
    NaiveBayes,
    Victim,
    in_order,
    load_victim,
)
from nlp_gym.tasks.core.tables import Extra, Tables, ragged
from nlp_gym.tasks.core.task import Output, Played
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation, Sample

if TYPE_CHECKING:
    from nlp_gym.render import Frame

_LEVELS = 16
"""Steps in which the victim's probability is observed."""
_BLOCK = 256
"""Texts that the victim is shown together as they are."""
_REMEMBERED = 4096
"""Changed texts whose answers are remembered; they are asked for again where they are forgotten."""
_MOST_NUMBERS = 2**24
"""Most numbers that are kept of what changes do to a victim for which they add up."""


@dataclass
class AttackState(PickState):
    """State of B texts under attack.

    Attributes:
        blocked: (B, C) bool changes of words that are changed already.
        chance: (B,) float64 the victim's probability of the gold label; 0 without gold.
        held: (B,) float64 its probability of the label that it chose for the text as it was.
        deceived: (B,) bool whether it now chooses another one.
        over: (B,) bool whether the attack has ended.
    """

    blocked: BoolArray
    chance: Float64Array
    held: Float64Array
    deceived: BoolArray
    over: BoolArray


class Attack(PickTask):
    """An attack on an agent that labels texts, as a decision process.

    ## Description
    The agent is an attacker. It changes words of a text so that a victim labels it otherwise, while
    people would still label it as before: each change keeps what the text means (typing errors,
    synonyms, names, other wordings). The victim is a trained run or a naive Bayes classifier. The
    attacker sees how sure the victim is of its first decision, as attacks by scores do (TextFooler,
    Jin et al. 2020), and has a budget of changes.

    ## Data
    Texts with one label each, as those of `Classification-v0`; SST-2 by default. Changes are found
    in lists that ship with the package, the same for a text in every process.

    ## Observation Space
    `Dict`, with C candidate changes, D = width of the encoder, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (C+1,) | int8 | 1 where the action is legal now |
    | features | `context` | (D,) | float32 | mean vector of the text as it was |
    | features | `candidates` | (C, 2D) | float32 | what a change replaces, and the new words |
    | features | `held` | (16,) | float32 | one-hot: how sure the victim is of its first label |
    | features | `made` | (C,) | float32 | 1 where a change was made |
    | tokens | `input_ids`, `attention_mask` | (1, L) | int32, int8 | sub-words of the text |
    | tokens | `candidate_ids`, `candidate_mask` | (C, 2L) | int32, int8 | sub-words of both |
    | tokens, index | `held` | (1,) | int32 | the same probability from 0 to 15 |
    | tokens, index | `made` | (C,) | int8 | 1 where a change was made |
    | index | `row`, `position` | (1,) | int32 | text; always 0 |

    ## Action Space
    `Discrete(C+1)`: a change, which is a place in the text and what stands there instead, in the
    order of the text; then STOP.

    ## Action Mask
    A change is legal while none of its words is changed; STOP always. An illegal action is played
    as the first legal one.

    ## Rewards
    - `metric` (default): fall of the victim's probability of the right label since the start;
      `sparse`: that fall, at the end. It is never below 0.
    - `correctness`: 1 for the change after which the victim decides wrongly, else 0.
    - Each change costs `change_cost`.

    The expert makes the change that alone lowers the right label's probability most, then the next,
    and stops when the rest lower nothing.

    ## Starting State
    The text as it is.

    ## Episode End
    The victim chooses another label than at first, `budget` changes, or STOP.

    ## Metric
    Success rate: share of the texts that the victim labels rightly as they are and wrongly as
    changed. The report has the victim's accuracy before and after, and the changes needed.

    ## Information
    `info["score"]` at the end: the fall of the right label's probability. For the rest see `Task`.

    ## Arguments
    Those of `Task`; `victim` (`"naive-bayes"`, trained on the training texts): the folder of a run,
    which needs `nlp_gym_agents`, or an object with `labels` and `probabilities(samples)`;
    `victim_data`: file or folder whose training texts the naive Bayes victim learns from, where
    these are not the task's own; `changes` (typos, synonyms, entities, paraphrase): kinds of
    changes, of which `neighbours` of the encoder have to be asked for; `max_changes` (48): the most
    candidates C of a text; `budget` (4): the most changes that are made; `change_cost` (1/64);
    `change_seed` (0).

    ## Registered Ids
    `Attack-v0`

    ## Version History
    * v0: initial version.
    """

    family = "classification"
    reads_text = True
    metric_name = "attack_success"
    exact_oracle = False
    stop = True
    further_actions = ("stop",)
    baselines: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        reward: str = "metric",
        victim: Any = NAIVE_BAYES,
        victim_data: Any = None,
        changes: str | Sequence[str] = USUAL,
        max_changes: int = 48,
        budget: int = 4,
        change_cost: float = 1 / 64,
        change_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        check_int("max_changes", max_changes, 1, 1000)
        self.budget = check_int("budget", budget, 1, 100)
        cost = check_number("change_cost", change_cost, 0.0, 1.0)
        self.change_cost = float(on_grid(np.array(cost)))
        check_int("change_seed", change_seed, 0, 2**32 - 1)
        kinds = checked_kinds(changes, self.family)
        super().__init__(reward=reward, **kwargs)
        if len(self.labels) < 2:
            raise InvalidArgumentError(
                f"labels={shown(list(self.labels))}: a victim that always says the same cannot be "
                "deceived; give labels=[...] with two or more."
            )
        self._victim_given, self._victim_data = victim, victim_data
        self._victim: Victim | None = None
        self._remembered: dict[tuple[int, bytes], Float64Array] = {}
        number = {label: k for k, label in enumerate(self.labels)}
        own = [number.get((s.labels or ("",))[0], -1) for s in self.corpus.samples]
        self._gold: Int64Array = np.array(own, np.int64)
        self._edits = self._found(kinds, max_changes, change_seed)
        self._first = np.full((len(self.corpus), len(self.labels)), np.nan)
        self._alone: dict[int, Float64Array] = {}
        self._start = ragged([[e.start for e in own] for own in self._edits], max_changes)
        self._stop = ragged([[e.stop for e in own] for own in self._edits], max_changes)
        sizes = np.array([len(some) for some in self._edits], np.int64)
        self.set_candidates(sizes, max_changes, self.budget)
        self.extras = {"held": Extra(1, _LEVELS - 1), "made": Extra(max_changes, 1)}

    # What may be changed.

    def _found(self, kinds: Sequence[str], most: int, seed: int) -> list[list[Edit]]:
        """The candidates of each text: at most `most`, drawn by their hash, in order."""
        near = Neighbours(self.encoder).of if NEIGHBOURS in kinds else None
        known = known_words(self._training)
        finder = Finder(self.family, kinds, known=known, seed=seed, most=3, near=near)
        found = []
        for sample in self.corpus.samples:
            edits = finder.edits(sample)
            if len(edits) > most:
                rank = hash_ranker(seed, sample.words)
                kept = sorted(edits, key=lambda e: rank((str(e.start), str(e.stop), *e.words)))
                edits = sorted(kept[:most], key=lambda e: (e.start, e.stop, e.kind, e.words))
            found.append(edits)
        return found

    @cached_property
    def _training(self) -> Sequence[Sample]:
        """The texts that a naive Bayes victim learns from: also where others are attacked."""
        if self.split == "train" and self.has_gold and self._victim_data is None:
            return self.corpus.samples
        own = self._loading
        in_memory = isinstance(own["data"], Sequence) and not isinstance(own["data"], str)
        if self._victim_data is not None or in_memory:
            self._loading = {**own, "data": self._victim_data}
        try:
            return self.load("train").samples
        finally:
            self._loading = own

    @override
    def texts(self, row: int) -> list[str]:
        """Each change of a text, in words."""
        words = self.sample(row).words
        return [
            f"{' '.join(words[e.start : e.stop]) or '+'} -> {' '.join(e.words)}"
            for e in self._edits[row]
        ]

    @cached_property
    @override
    def tables(self) -> Tables:
        """One slot per text: the text, and for each change what is replaced and by what."""
        add, texts, pairs = self._texts.add, [], []
        for sample, edits in zip(self.corpus.samples, self._edits, strict=True):
            texts.append(add(sample.words))
            pairs.append([(add(sample.words[e.start : e.stop]), add(e.words)) for e in edits])
        self._texts.seal()
        n = len(texts)
        units = np.full((n, self.n_candidates, 2), -1, np.int64)
        for row, own in enumerate(pairs):
            units[row, : len(own)] = np.array(own, np.int64).reshape(-1, 2)
        return Tables.build(
            len(self._texts.texts),
            offsets=np.arange(n),
            context=np.zeros((n, 0), int),
            row_units=np.array(texts, np.int64)[:, None],
            candidates=units,
        )

    # What the victim says.

    @property
    def victim(self) -> Victim:
        """Whom the attacker deceives; loaded when it is first asked."""
        if self._victim is None:
            self._victim = load_victim(self._victim_given, lambda: self._training, self.labels)
        return self._victim

    def _ask(self, samples: Sequence[Sample]) -> Float64Array:
        victim = self.victim
        return in_order(victim.probabilities(samples), victim.labels, self.labels)

    def _plain(self, rows: Int64Array) -> Float64Array:
        """(B, L) what the victim holds of texts as they are; asked for in blocks."""
        lacking = np.unique(rows[np.isnan(self._first[rows, 0])] // _BLOCK)
        for block in lacking.tolist():
            some = np.arange(block * _BLOCK, min((block + 1) * _BLOCK, len(self.corpus)))
            self._first[some] = self._ask([self.sample(row) for row in some.tolist()])
        return self._first.take(rows, axis=0)

    def _changed(self, rows: Int64Array, made: BoolArray) -> Float64Array:
        """(B, L) what the victim holds of texts with the changes `made` (B, C)."""
        if not len(rows):
            return np.zeros((0, len(self.labels)))
        if self._added is not None:
            return self._sum(self._added, rows, made)
        keys = [(row, own.tobytes()) for row, own in zip(rows.tolist(), made, strict=True)]
        known = self._remembered
        new = {key: k for k, key in enumerate(keys) if key not in known}
        answers: dict[tuple[int, bytes], Float64Array] = {}
        if new:
            asked = self._ask([self.changed(keys[k][0], made[k]) for k in new.values()])
            answers = dict(zip(new, asked, strict=True))
        found = np.array([answers[key] if key in answers else known[key] for key in keys])
        if len(known) + len(answers) > _REMEMBERED:
            known.clear()
        if len(answers) <= _REMEMBERED:
            known |= answers
        return found

    @cached_property
    def _added(self) -> Float64Array | None:
        """(N, C+1, L) what each change adds to a naive Bayes victim's evidence, and the text's own.

        NaN where it is not computed yet; None for other victims, which are asked about every text.
        """
        shape = (len(self.corpus), self.n_candidates + 1, len(self.labels))
        if not isinstance(self.victim, NaiveBayes) or np.prod(shape) > _MOST_NUMBERS:
            return None
        return np.full(shape, np.nan)

    def _sum(self, added: Float64Array, rows: Int64Array, made: BoolArray) -> Float64Array:
        """As `_changed`, without a look at the texts."""
        victim = self.victim
        assert isinstance(victim, NaiveBayes)
        for row in np.unique(rows[np.isnan(added[rows, -1, 0])]).tolist():
            words, edits = self.sample(row).words, self._edits[row]
            old = [words[e.start : e.stop] for e in edits]
            evidence = victim.evidence([e.words for e in edits] + old + [words])
            added[row] = 0.0
            added[row, : len(edits)] = evidence[: len(edits)] - evidence[len(edits) : -1]
            added[row, -1] = evidence[-1]
        own = added.take(rows, axis=0)
        return victim.normalised(own[:, -1] + np.einsum("bc,bcl->bl", made, own[:, :-1]))

    def changed(self, row: int, made: BoolArray) -> Sample:
        """The text of a row with the changes `made` (C,)."""
        edits = [self._edits[row][k] for k in np.flatnonzero(made).tolist()]
        return apply_edits(self.sample(row), edits, self.family)

    # Rules.

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) most decisions: a change each, or STOP alone."""
        return np.maximum(self._limits, 1)

    @override
    def initial(self, rows: Int64Array) -> AttackState:
        b = len(rows)
        plain = self._plain(rows)
        return AttackState(
            **self.state_fields(rows),
            chosen=np.zeros((b, self.n_candidates), bool),
            picked=np.full((b, max(int(self._limits.max(initial=1)), 1)), -1, np.int16),
            count=np.zeros(b, np.int64),
            blocked=np.zeros((b, self.n_candidates), bool),
            chance=self._of_gold(rows, plain),
            held=plain.max(axis=1),
            deceived=np.zeros(b, bool),
            over=np.zeros(b, bool),
        )

    def _of_gold(self, rows: Int64Array, chances: Float64Array) -> Float64Array:
        """(B,) the probability of the gold label; 0 where there is none, or the victim lacks it."""
        gold = self._gold.take(rows)
        own = chances[np.arange(len(rows)), np.maximum(gold, 0)]
        return np.where(gold >= 0, own, 0.0)

    @override
    def mask(self, state: AttackState) -> BoolArray:
        """(B, A) changes of words that are as they were, and STOP."""
        free = self._there.take(state.row, axis=0) & ~state.blocked
        return np.concatenate([free, np.ones((len(free), 1), bool)], axis=1)

    @override
    def play(self, state: AttackState, actions: Int64Array) -> Played:
        """A change, which the victim is asked about, or STOP."""
        stopped = actions == self.n_candidates
        over = self.pick(state, actions, ~stopped)
        at = np.flatnonzero(~stopped)
        rows, place = state.row[at], actions[at]
        state.blocked[at] |= self._touching(rows, place)
        if len(at):
            chances = self._changed(rows, state.chosen[at])
            first = self._plain(rows).argmax(axis=1)
            state.chance[at] = self._of_gold(rows, chances)
            state.held[at] = chances[np.arange(len(at)), first]
            state.deceived[at] = chances.argmax(axis=1) != first
        ended = stopped | over | state.deceived
        state.over[:] = ended
        cost = self.change_cost * ~stopped
        if not self.has_gold:
            return None, cost, ended
        right = self._plain(state.row).argmax(axis=1) == self._gold.take(state.row)
        return (right & state.deceived & ~stopped).astype(np.float64), cost, ended

    def _touching(self, rows: Int64Array, place: Int64Array) -> BoolArray:
        """(B, C) changes of the words that one change is of, itself included."""
        start, stop = self._start.take(rows, axis=0), self._stop.take(rows, axis=0)
        each = np.arange(len(rows))
        first, end = start[each, place][:, None], stop[each, place][:, None]
        same = (start == first) & (stop == end)
        touching: BoolArray = same | ((start < end) & (first < stop))
        return touching

    @override
    def potential(self, state: AttackState) -> Float64Array:
        """(B,) how far the right label's probability has fallen."""
        before = self._of_gold(state.row, self._plain(state.row))
        return np.asarray(np.clip(on_grid(before - state.chance), 0.0, 1.0))

    @override
    def extra(self, state: AttackState) -> Observation:
        """How sure the victim is of its first label, and what was changed."""
        level = np.minimum((state.held * _LEVELS).astype(np.int32), _LEVELS - 1)
        return {"held": level[:, None], "made": state.chosen.astype(np.int8)}

    @override
    def oracle(self, state: AttackState) -> Int64Array:
        """(B,) the legal change that alone lowers the probability most; STOP if none does."""
        self.require_gold("oracle")
        lower = np.stack([self._falls(row) for row in state.row.tolist()])
        lower[~self.mask(state)[:, :-1]] = -np.inf
        best = lower.argmax(axis=1)
        useful = lower[np.arange(len(best)), best] > self.change_cost
        return np.where(useful, best, self.n_candidates)

    def _falls(self, row: int) -> Float64Array:
        """(C,) how far each change alone lowers the probability of the gold label."""
        if row not in self._alone:
            n = len(self._edits[row])
            rows, each = np.full(n, row, np.int64), np.eye(n, self.n_candidates, dtype=bool)
            falls = np.full(self.n_candidates, -np.inf)
            before = self._of_gold(rows, self._plain(rows))
            falls[:n] = before - self._of_gold(rows, self._changed(rows, each))
            self._alone[row] = falls
        return self._alone[row]

    # What is decided.

    @override
    def outputs(self, state: AttackState) -> list[Output]:
        """Each output is a tuple of the changes made, as places among the candidates."""
        return [tuple(some) for some in self.picks(state)]

    def _final(self, rows: Int64Array, outputs: Sequence[Output]) -> Float64Array:
        """(n, L) what the victim holds of the changed texts."""
        made = np.zeros((len(rows), self.n_candidates), bool)
        for k, output in enumerate(outputs):
            made[k, list(output)] = True
        return self._changed(rows, made)

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """Success rate over the texts that the victim labels rightly."""
        chosen = np.array(rows, np.int64)
        gold = self._gold.take(chosen)
        before = self._plain(chosen).argmax(axis=1) == gold
        after = self._final(chosen, outputs).argmax(axis=1) == gold
        won = before & ~after
        counts = np.stack([won, before], axis=1).astype(np.float64)
        needed = [len(output) for output, one in zip(outputs, won, strict=True) if one]
        facts = {
            "right_before": int(before.sum()),
            "deceived": int(won.sum()),
            "accuracy_before": float(before.mean()) if len(rows) else 0.0,
            "accuracy_after": float(after.mean()) if len(rows) else 0.0,
            "changes_needed": float(np.mean(needed)) if needed else None,
        }
        return Score.from_counts(
            self.metric_name,
            counts,
            mean_of_first,
            signature=f"metric:{self.metric_name}|budget:{self.budget}|of:right before",
            bootstrap=bootstrap,
            report=facts if report else {},
            text="".join(f"{name}: {value}\n" for name, value in facts.items()) if report else "",
        )

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The changed text, its changes, and what the victim says of both."""
        made = np.zeros(self.n_candidates, bool)
        made[list(output)] = True
        before = self._plain(np.array([row]))[0]
        after = self._final(np.array([row]), [output])[0]
        return {
            "changed": " ".join(self.changed(row, made).words),
            "changes": [self.texts(row)[k] for k in output],
            "label": self.labels[int(before.argmax())],
            "label_after": self.labels[int(after.argmax())],
        }

    @classmethod
    @override
    def kept_arguments(cls, trained: Mapping[str, Any]) -> dict[str, Any]:
        """The texts that the naive Bayes victim of training learned from."""
        data = trained.get("victim_data") or trained.get("data")
        return {} if data is None else {"victim_data": data}

    @override
    def frame(self, state: AttackState, i: int) -> Frame:
        """The text with its changes, and how sure the victim still is."""
        from nlp_gym.render import Frame, Piece

        row = int(state.row[i])
        words, made = self.sample(row).words, self.picks(state)[i]
        edits = sorted((self._edits[row][k] for k in made), key=lambda e: (e.start, e.stop))
        pieces, at = [], 0
        for edit in edits:
            if edit.start > at:
                pieces.append(Piece(" ".join(words[at : edit.start])))
            old = " ".join(words[edit.start : edit.stop])
            pieces.append(Piece(" ".join(edit.words), "chosen", edit.kind, old))
            at = edit.stop
        if at < len(words):
            pieces.append(Piece(" ".join(words[at:])))
        first = self.labels[int(self._plain(state.row[i : i + 1])[0].argmax())]
        mark = "wrong" if state.deceived[i] else "plain"
        pieces.append(Piece(f"victim: {first} {state.held[i]:.2f}", mark, line=True))
        if state.over[i] and not state.deceived[i]:
            pieces.append(Piece("the attacker gave up", "dim", line=True))
        limit = int(self._limits[row])
        return Frame(self.title(row), f"change {int(state.count[i])}/{limit}", pieces)

    @override
    def __getstate__(self) -> dict[str, Any]:
        """A victim that has a name is loaded again; its answers are asked for again."""
        kept = super().__getstate__()
        if isinstance(self._victim_given, str):
            kept["_victim"] = None
        kept.pop("_added", None)
        return {**kept, "_remembered": {}}
