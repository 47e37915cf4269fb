"""Dependency parsing by transitions: a stack, a buffer, and arcs between their words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_bool, check_name, warn_unseen_labels
from nlp_gym.data.readers.parsing.trees import tree_fault
from nlp_gym.data.text.shapes import ShapeTable
from nlp_gym.errors import DataError, InvalidArgumentError, shown
from nlp_gym.metrics.base import Score, on_grid
from nlp_gym.metrics.labels.attachment import Attachment, universal
from nlp_gym.tasks.core.kinds import LabelTask
from nlp_gym.tasks.core.tables import Extra, NamedUnits, Tables, UnitFlags
from nlp_gym.tasks.core.task import ILLEGAL_COST, Focus, Output, Played
from nlp_gym.tasks.parsing.oracle import FORBIDDEN, GoldFront, GoldTrees
from nlp_gym.tasks.parsing.transitions import (
    KINDS,
    LEFT,
    RIGHT,
    SHIFT,
    SYSTEMS,
    Front,
    ParsingState,
    values_at,
)
from nlp_gym.types import (
    BoolArray,
    Corpus,
    Float64Array,
    Int64Array,
    IntArray,
    Observation,
    Sample,
    Units,
)

if TYPE_CHECKING:
    from nlp_gym.render import Frame

ORACLES = ("dynamic", "static")
ROOT, LEFTOVER = "root", "dep"
"""Relations that no transition gives: of the root, and of words that have no head at the end."""

SEEN = ("s0", "s1", "s2", "b0", "b1", "b2", "s0l", "s0r", "s1l", "s1r", "b0l")
"""Words that a state can show: s0 is the top of the stack, b0 the first word of the buffer; ``l``
and ``r`` are the leftmost and rightmost dependent of a word."""

_ARCS = [SEEN.index(name) for name in ("s0", "s0l", "s0r", "s1l", "s1r", "b0l")]
"""Words whose relation to their head is seen."""
_BINS = np.array([0, 1, 2, 3, 4, 5, 5, 6, 6, 6, *[7] * 6, *[8] * 16, 9])
"""Distances as they are seen: 1 to 4, 5 or more, 7, 10, 16, and 32 or more; 0: there is none."""
_FAR = len(_BINS) - 1


class Parsing(LabelTask):
    """Dependency parsing as a decision process.

    ## Description
    A transition parser reads a sentence from left to right. It has a stack of words and a buffer of
    those not read yet; each decision makes an arc between a word of the stack and another one, or
    moves a word (Nivre 2008). All words but one get a head: that one is the root. What is seen
    follows from earlier decisions, and so do mistakes.

    - `system="arc-eager"` (Nivre 2003): SHIFT puts the first word of the buffer, b0, on the stack;
      LEFT-ARC makes b0 the head of the stack's top, s0, and takes s0 off; RIGHT-ARC makes s0 the
      head of b0 and puts b0 on the stack; REDUCE takes s0 off.
    - `system="arc-hybrid"` (Kuhlmann et al. 2011): SHIFT and LEFT-ARC as above; RIGHT-ARC makes the
      word below s0 its head and takes s0 off.

    A result is always a tree with one root, as the evaluation of CoNLL 2018 requires. Arc-eager:
    the word at the bottom of the stack is the root, and the other words that have no head when the
    buffer is empty become its dependents, with the relation `dep`. Arc-hybrid: where the buffer is
    empty RIGHT-ARC alone is legal, until one word is left, the root.

    ## Data
    Trees in CoNLL-U, of any language: one head and relation a word. Multi-word tokens and empty
    nodes are skipped. A sentence that is no tree with one root is an error that names the line.
    Relations are read without their subtypes (`nsubj:pass` as `nsubj`), as the metric compares
    them; `subtypes=True` keeps these. The relation of a root is `root`, whatever the file has.

    Both systems make projective trees only. In EWT 288 of 12,544 trees of train (2.3 %), 31 of
    2,001 of dev and 26 of 2,077 of test are not projective. There the dynamic oracle takes what
    costs least now, which need not be the best tree that can be reached; on all of EWT it has 99.8
    %, 99.8 % and 99.9 % of the words right (the static one 99.5 %, 99.7 % and 99.7 %).

    ## Observation Space
    `Dict`, with A actions, K words of `seen`, R relations, D the width of the encoder, L =
    `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the action is legal |
    | features | `context` | (K*D,) | float32 | words of `seen`; 0 where there is none |
    | features | `appearance` | (K*F,) | float32 | with `shape`: that of the words, F flags each |
    | features | `arcs` | (6*(R+1),) | float32 | relations of s0, s0l, s0r, s1l, s1r, b0l |
    | features | `distance` | (2*10,) | float32 | one-hot: from s0 to b0, from s1 to s0 |
    | tokens | `input_ids` | (K, L) | int32 | sub-words of the words |
    | tokens | `attention_mask` | (K, L) | int8 | 1 on ids, 0 on padding |
    | tokens | `appearance` | (K*F,) | int8 | as above |
    | tokens, index | `arcs` | (6,) | int32 | as above; R: none |
    | tokens, index | `distance` | (2,) | int32 | as above, in 9 classes; 0: none |
    | index | `row`, `position` | (1,) | int32 | sample, words read |
    | index | `words` | (K,) | int16 | places of the words of `seen`; the length for none |

    s0, s1, s2 are the top of the stack and what is below it, b0, b1, b2 the first words of the
    buffer; `l` and `r` are the leftmost and rightmost dependent of a word that it has so far.
    Distances are 1 to 4, then 5 to 6, 7 to 9, 10 to 15, 16 to 31, and more.

    With `shape`, `appearance` has the case of each word, its digits, signs and forms, which an
    encoder that ignores case does not see (`nlp_gym.data.text.shapes.SHAPE_FLAGS`). `index`
    observations name the words that it follows from, and leave it out; our agents look it up in
    `task.tables.named.flags`. Parts of speech of the gold are not seen.

    ## Action Space
    `Discrete(A)`: SHIFT, REDUCE (arc-eager), LEFT-ARC with each relation but `root`, RIGHT-ARC with
    each.

    ## Action Mask
    SHIFT needs a word in the buffer; REDUCE a top of the stack that has a head; LEFT-ARC a buffer
    and, arc-eager, a top that has none; RIGHT-ARC a stack, and a buffer (arc-eager) or a second
    word on the stack (arc-hybrid). SHIFT is played for what is illegal, and where the buffer is
    empty RIGHT-ARC with the first relation.

    ## Rewards
    - `correctness` (default): 1 for an arc of the gold tree, less the number of gold arcs that the
      decision puts out of reach (`Parsing.costs`); the root counts as one of these. So the best
      decision now is the best one for the whole tree, even with a discount of 0, and the sum of an
      episode is right arcs less lost ones.
    - `metric`: change of the share of words whose head and relation are right; the last decision
      also earns the root and the words that are left over.
    - `sparse`: that share, at the end.

    ## Starting State
    An empty stack; all words are in the buffer.

    ## Episode End
    Arc-eager: when the buffer is empty. Arc-hybrid: when also one word is left on the stack. A
    sentence of n words takes at most 2n - 1 decisions.

    ## Metric
    LAS, with the rules of the CoNLL 2018 evaluation on gold words: the share of words whose head
    and universal relation are right, punctuation included. The report has UAS, CLAS and a table by
    relation.

    ## Information
    `info["score"]` at the end: the sentence's LAS. For the rest see `Task`.

    ## Arguments
    Those of `Task`, and:

    | name | default | meaning |
    |---|---|---|
    | `system` | arc-eager | or `"arc-hybrid"` |
    | `oracle` | dynamic | the expert counts costs, so it knows what is best after mistakes too \
(Goldberg and Nivre 2012, 2013); `"static"`: it follows the canonical sequence |
    | `subtypes` | False | relations with their subtypes |
    | `seen` | all | words that are seen, of `nlp_gym.tasks.parsing.task.SEEN` |
    | `shape` | False | see what these words look like, F = 23 flags each |

    ## Registered Ids
    `Parsing-EWT-v0`, `Parsing-v0`

    ## Version History
    * v0: initial version.
    """

    family = "parsing"
    exact_oracle = False
    reads_text = True
    trace_view = "tree"
    fixed_arguments = ("system", "seen")
    later_arguments = MappingProxyType({"shape": False})

    def __init__(
        self,
        *,
        system: str = "arc-eager",
        oracle: str = "dynamic",
        subtypes: bool = False,
        seen: Sequence[str] = SEEN,
        shape: bool = False,
        **kwargs: Any,
    ) -> None:
        check_name("system", system, tuple(SYSTEMS))
        check_name("oracle", oracle, ORACLES)
        self.system, self.expert = system, oracle
        self.subtypes = check_bool("subtypes", subtypes)
        self.seen, self.shape = _checked_seen(seen), check_bool("shape", shape)
        self._shown = [SEEN.index(name) for name in self.seen]
        super().__init__(**kwargs)
        self.metric = Attachment()
        self.metric_name = self.metric.name
        arcs = [label for label in self.labels if label != ROOT]
        if not arcs:
            raise InvalidArgumentError(
                f"labels={shown(self.labels)} has no relation but {ROOT!r}: give labels=[...]."
            )
        self.arc_relations: tuple[str, ...] = tuple(arcs)
        self.relations: tuple[str, ...] = (
            *self.arc_relations,
            ROOT,
            *([LEFTOVER] if LEFTOVER not in arcs else []),
        )
        self._root, self._leftover = (self.relations.index(name) for name in (ROOT, LEFTOVER))
        self._words = self.corpus.offsets
        self._lengths = np.diff(self._words)
        self.transitions = SYSTEMS[system](int(self._lengths.max()), len(self.relations))
        kinds, relations = self._actions()
        self._kind, self._relation = np.array(kinds), np.array(relations)
        self._first = {kind: kinds.index(kind) for kind in self.transitions.kinds}
        legal = self.transitions.legal[:, self._kind]
        legal[~legal.any(axis=1), 0] = True  # after the last decision
        self._masks, self._repairs = legal, legal.argmax(axis=1)
        classes = len(self.relations)
        self.extras = {"arcs": Extra(len(_ARCS), classes), "distance": Extra(2, int(_BINS[-1]))}
        self._gold = self._read_gold()

    def _actions(self) -> tuple[list[int], list[int]]:
        """Kind and relation of every action; the number of relations where it makes no arc."""
        kinds: list[int] = []
        relations: list[int] = []
        n = len(self.arc_relations)
        for kind in self.transitions.kinds:
            makes = kind in (LEFT, RIGHT)
            kinds += [kind] * (n if makes else 1)
            relations += list(range(n)) if makes else [len(self.relations)]
        return kinds, relations

    def _read_gold(self) -> GoldTrees | None:
        """The gold trees, checked; None without gold."""
        if not self.has_gold:
            return None
        known, unseen = {*self.arc_relations, ROOT}, dict[str, int]()
        for number, sample in enumerate(self.corpus.samples):
            if fault := _sample_fault(sample):
                raise DataError(f"sample {number} ({sample.id}): {fault}.")
            for label in sample.labels or ():
                if label not in known:
                    unseen[label] = unseen.get(label, 0) + 1
        if unseen:
            warn_unseen_labels(unseen)
        return GoldTrees(self.corpus.samples, self.relations, self.transitions)

    @override
    def annotate(self, corpus: Corpus) -> Corpus:
        """Relations without subtypes, unless these are asked for, and `root` for every root."""
        shared: dict[str, str] = {}
        samples = [self._normal(sample, shared) for sample in corpus.samples]
        names = {name: name if self.subtypes else universal(name) for name in corpus.labels}
        # What only roots are called, such as ROOT in CoNLL-X, is no relation of an arc.
        arcs = {label for sample in samples for label in sample.labels or ()}
        roots = _root_names(corpus.samples) if arcs - {ROOT} else set()
        roots -= {name for name, kept in names.items() if kept in arcs}
        labels = dict.fromkeys(kept for name, kept in names.items() if name not in roots)
        return replace(corpus, samples=samples, labels=tuple(labels))

    def _normal(self, sample: Sample, shared: dict[str, str]) -> Sample:
        """A sample whose relations are named as the task names them."""
        if sample.labels is None or sample.gold is None or len(sample.gold) != len(sample.labels):
            return sample
        names = (
            ROOT if head == 0 else label if self.subtypes else universal(label)
            for label, head in zip(sample.labels, sample.gold, strict=True)
        )
        return replace(sample, labels=tuple(shared.setdefault(name, name) for name in names))

    @property
    @override
    def n_actions(self) -> int:
        return len(self._kind)

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) most decisions of each sentence: a word is put on the stack once and taken off."""
        return 2 * self._lengths - 1

    @cached_property
    @override
    def units(self) -> Units:
        """Every word of the corpus."""
        return Units([sample.words for sample in self.corpus.samples])

    @cached_property
    @override
    def tables(self) -> Tables:
        """A slot for each number of words read, which shows nothing: states name their words."""
        offsets = self._words[:-1] + np.arange(len(self.corpus))
        slots = int(self._words[-1]) + len(self.corpus)
        context = np.zeros((slots, 0), np.int32)
        flags = {}
        if self.shape:
            table = ShapeTable(self.corpus)
            flags["appearance"] = UnitFlags(table.rows, table.numbers)
        return Tables(offsets, context, named=NamedUnits(self._words, len(self.seen), flags=flags))

    @override
    def initial(self, rows: Int64Array) -> ParsingState:
        return ParsingState(**self.state_fields(rows), **self.transitions.fields(len(rows)))

    @override
    def mask(self, state: ParsingState) -> BoolArray:
        return self._masks.take(state.code, axis=0)

    @override
    def repair(self, state: ParsingState, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """The first legal action is played: SHIFT where there is a buffer."""
        illegal = ~self._masks[state.code, actions]
        return np.where(illegal, self._repairs.take(state.code), actions), illegal

    def costs(self, state: ParsingState) -> Int64Array:
        """(B, A) gold arcs that each action puts out of reach (Goldberg and Nivre 2012, 2013).

        An arc counts with its relation; the root counts as one. Illegal actions cost
        `nlp_gym.tasks.parsing.oracle.FORBIDDEN`.

        Raises:
            InvalidArgumentError: The corpus has no gold.
        """
        self.require_gold("costs")
        assert self._gold is not None
        front = self.transitions.look(state)
        return self._all_costs(state, front, self._gold.look(state, front))

    def optimal(self, state: ParsingState, actions: Int64Array) -> BoolArray:
        """(B,) whether no other legal action puts fewer gold arcs out of reach."""
        costs = self.costs(state)
        best: BoolArray = costs[np.arange(len(actions)), actions] == costs.min(axis=1)
        return best

    def _all_costs(self, state: ParsingState, front: Front, gold: GoldFront) -> Int64Array:
        assert self._gold is not None
        costs: Int64Array = self._gold.kinds(state, front, gold).take(self._kind, axis=1)
        n = np.arange(len(self.arc_relations))
        for kind, fits, wanted in self._gold_arcs(gold):
            first = self._first[kind]
            costs[:, first : first + len(n)] += fits[:, None] & (wanted[:, None] != n)
        return np.minimum(costs, FORBIDDEN)

    def _gold_arcs(self, gold: GoldFront) -> Iterator[tuple[int, BoolArray, Int64Array]]:
        """For each kind of arc whether the gold has it, and with which relation, (B,) each."""
        assert self._gold is not None
        relations = self._gold.relations
        yield LEFT, gold.left, relations.take(gold.top_word)
        yield RIGHT, gold.right, relations.take(gold.dependent)

    @override
    def oracle(self, state: ParsingState) -> Int64Array:
        """(B,) cheapest action, an arc of the gold first; the first relation for unknown ones."""
        self.require_gold("oracle")
        assert self._gold is not None
        static = self.expert == "static"
        kinds, relations = self._gold.choose(state, self.transitions.look(state), static=static)
        first = np.zeros(4, np.int64)
        for kind, place in self._first.items():
            first[kind] = place
        known = np.where(relations < len(self.arc_relations), relations, 0)
        return first.take(kinds) + np.where((kinds == LEFT) | (kinds == RIGHT), known, 0)

    @override
    def play(self, state: ParsingState, actions: Int64Array) -> Played:
        trees, system = self._gold, self.transitions
        kind, relation = self._kind.take(actions), self._relation.take(actions)
        front, right = system.look(state), None
        if trees is not None:
            right = self._judge(state, kind, relation, front)
        lengths = self._lengths.take(state.row)
        state.slot += system.apply(state, kind, relation, front, lengths)[0]
        ended = system.ends(state)
        if ended.any():
            self._close(state, ended.nonzero()[0])
        return right, 0.0, ended

    def _judge(
        self, state: ParsingState, kind: Int64Array, relation: Int64Array, front: Front
    ) -> Float64Array:
        """(B,) credit of decisions before they are played; counts what they make."""
        trees = self._gold
        assert trees is not None
        gold = trees.look(state, front)
        left, right = kind == LEFT, kind == RIGHT
        fits = (left & gold.left) | (right & gold.right)
        wanted = trees.relations.take(np.where(left, gold.top_word, gold.dependent))
        made = fits & (wanted == relation)
        state.counts[:, 0] += fits
        state.counts[:, 1] += made
        credit: Float64Array = made.astype(np.float64)
        if self.reward == "correctness":
            credit -= values_at(trees.lost_arcs(state, front, gold), kind) + (fits & ~made)
        trees.read(state, front, gold, kind)
        return credit

    def _close(self, state: ParsingState, which: IntArray) -> None:
        """Give the words of some episodes that have no head one: the root, and what is left."""
        none = self.transitions.none
        root = self.transitions.bottom(state).take(which)
        root = np.where(root == none, 0, root)  # nothing is on the stack yet
        state.heads[which, root] = -1
        state.relations[which, root] = self._root
        if self._gold is not None:
            found = self._gold.heads.take(self._gold.words(state.row.take(which), root)) == -1
            state.counts[which] += found[:, None]
        lengths = self._lengths.take(state.row.take(which))
        most = int(lengths.max())
        row, word = (state.heads[which, :most] == none).nonzero()
        inside = word < lengths[row]
        row, word = row[inside], word[inside]
        if not len(row):
            return
        relation, at, head = self._leftover, which[row], root[row]
        state.heads[at, word], state.relations[at, word] = head, relation
        if self._gold is not None:
            number = self._gold.words(state.row.take(at), word)
            attached = self._gold.heads.take(number) == head
            right = attached & (self._gold.relations.take(number) == relation)
            for column, found in enumerate((attached, right)):
                state.counts[which, column] += np.bincount(row[found], minlength=len(which))

    @override
    def potential(self, state: ParsingState) -> Float64Array:
        return on_grid(state.counts[:, 1] / self._lengths.take(state.row))

    @override
    def action_rewards(self, state: ParsingState) -> Float64Array:
        if self.reward != "correctness" or self._gold is None or self.constant_reward is not None:
            return super().action_rewards(state)
        front = self.transitions.look(state)
        gold = self._gold.look(state, front)
        rewards = -self._all_costs(state, front, gold).astype(np.float64)
        for kind, fits, wanted in self._gold_arcs(gold):
            (at,) = (fits & (wanted >= 0) & (wanted < len(self.arc_relations))).nonzero()
            rewards[at, self._first[kind] + wanted[at]] += 1.0
        repaired = values_at(rewards, self._repairs.take(state.code))[:, None] - ILLEGAL_COST
        return np.where(self._masks.take(state.code, axis=0), rewards, repaired)

    @override
    def named(self, state: ParsingState) -> IntArray:
        return self.seen_of(state)[0]

    @override
    def extra(self, state: ParsingState) -> Observation:
        """Relations of the words near the next decision, and distances between them."""
        return self.seen_of(state)[1]

    @override
    def seen_of(self, state: ParsingState) -> tuple[IntArray, Observation]:
        system, none = self.transitions, self.transitions.none
        places = np.empty((len(SEEN), len(state.row)), np.int64)
        for i in range(3):
            places[i] = system.stacked(state, i)
            places[3 + i] = state.front + i
        s0, s1, b0 = places[0], places[1], places[3]
        places[6], places[7] = values_at(state.first, s0), values_at(state.last, s0)
        places[8], places[9] = values_at(state.first, s1), values_at(state.last, s1)
        places[10] = values_at(state.first, b0)
        near = places.take(_ARCS, axis=0).T
        arcs = values_at(state.relations, near).astype(np.int32)
        distance = np.empty((len(s0), 2), np.int32)
        distance[:, 0] = _BINS.take(np.minimum((b0 - s0) * ((s0 < none) & (b0 < none)), _FAR))
        distance[:, 1] = _BINS.take(np.minimum((s0 - s1) * (s1 < none), _FAR))
        words = places.take(self._shown, axis=0).T
        lengths = self._lengths.take(state.row)[:, None]
        return np.minimum(words, lengths), {"arcs": arcs, "distance": distance}

    @override
    def outputs(self, state: ParsingState) -> list[Output]:
        """Each output is a tuple of heads (numbers from 1, 0 for the root) and one of relations.

        Of an episode that is not over, words without a head are attached as at the end.
        """
        final = state.take(np.arange(len(state.row)))
        open_ones = (final.heads[:, :-1] == self.transitions.none).any(axis=1).nonzero()[0]
        unfinished = open_ones[~(final.heads.take(open_ones, axis=0) == -1).any(axis=1)]
        if len(unfinished):
            self._close(final, unfinished)
        found: list[Output] = []
        lengths = self._lengths.take(state.row).tolist()
        for heads, names, n in zip(final.heads, final.relations, lengths, strict=True):
            relations = tuple(self.relations[k] for k in names[:n].tolist())
            found.append((tuple((heads[:n].astype(np.int64) + 1).tolist()), relations))
        return found

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        samples = [self.sample(row) for row in rows]
        gold = [(sample.gold, sample.labels or ()) for sample in samples]
        return self.metric.score(gold, outputs, bootstrap=bootstrap, report=report)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """Words, the number of each one's head (0: the root) and its relation to it."""
        heads, relations = output if output else ((), ())
        words = list(self.sample(row).words)
        return {"words": words, "heads": list(heads), "relations": list(relations)}

    @override
    def action_name(self, action: int) -> str:
        name = KINDS[self._kind[action]]
        relation = int(self._relation[action])
        return name if relation == len(self.relations) else f"{name} {self.relations[relation]}"

    @override
    def action_text(self, state: ParsingState, i: int, action: int) -> str:
        """The arc that is made, or what is done with which word."""
        one = state.take(np.array([i]))
        front = self.transitions.look(one)
        words = self.sample(int(state.row[i])).words
        kind = np.array([self._kind[action]])
        head, word = (int(x[0]) for x in self.transitions.arc(kind, front))
        named = self.action_name(action)
        if word < len(words) and head < len(words):
            return f"{named}: {words[word]} <- {words[head]}"
        moved = int((front.b0 if kind[0] == SHIFT else front.s0)[0])
        return f"{named}: {words[moved]}" if moved < len(words) else named

    @override
    def focus(self, state: ParsingState, i: int) -> Focus:
        """The first word of the buffer; where there is none, the top of the stack."""
        front = self.transitions.look(state.take(np.array([i])))
        words = self.sample(int(state.row[i])).words
        pair = [int(front.s0[0]), int(front.b0[0])]
        text = " | ".join(words[place] if place < len(words) else "-" for place in pair)
        place = pair[1] if pair[1] < len(words) else pair[0]
        return Focus((place, place + 1) if place < len(words) else None, text)

    @override
    def frame(self, state: ParsingState, i: int) -> Frame:
        from nlp_gym.tasks.parsing.frame import tree_frame

        row, n = int(state.row[i]), len(self.sample(int(state.row[i])).words)
        heads, relations = state.heads[i, :n].tolist(), state.relations[i, :n].tolist()
        none = self.transitions.none
        arcs = [
            None if head == none else (head, self.relations[relation])
            for head, relation in zip(heads, relations, strict=True)
        ]
        front = self.transitions.look(state.take(np.array([i])))
        over = -1 in heads
        here = () if over else (int(front.s0[0]), int(front.b0[0]))
        read = int(self.position(state)[i])
        return tree_frame(self.title(row), read, self.sample(row), arcs, here)

    @override
    def __getstate__(self) -> dict[str, Any]:
        """As `CorpusTask.__getstate__`; what is made again quickly is left out too."""
        dropped = {"units", "tables", "views"}
        return {k: v for k, v in super().__getstate__().items() if k not in dropped}


def _checked_seen(seen: object) -> tuple[str, ...]:
    if isinstance(seen, str) or not isinstance(seen, Sequence) or not seen:
        raise InvalidArgumentError(
            f"seen={shown(seen)} must be a list of words that are seen, of {', '.join(SEEN)}."
        )
    for name in seen:
        check_name("seen", name, SEEN)
    if len(set(seen)) < len(seen):
        raise InvalidArgumentError(f"seen={shown(seen)} names a word twice.")
    return tuple(seen)


def _root_names(samples: Iterable[Sample]) -> set[str]:
    """What roots are called in a file."""
    return {
        label
        for sample in samples
        for label, head in zip(sample.labels or (), sample.gold or (), strict=False)
        if head == 0
    }


def _sample_fault(sample: Sample) -> str | None:
    """What is wrong with the gold of a sample; None: nothing."""
    n = len(sample.words)
    heads, labels = sample.gold, sample.labels
    if heads is None or labels is None or len(heads) != n or len(labels) != n:
        return f"it has {n} words, and needs as many heads (gold) and relations (labels)"
    fault = tree_fault(heads)
    return None if fault is None else fault[1]
