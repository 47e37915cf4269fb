"""A dialogue policy against a user simulator, over a table of entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_int, check_name, check_number
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import Score, on_grid
from nlp_gym.metrics.labels.success import Dialogue, success_rate
from nlp_gym.tasks.core.kinds import UnitTask
from nlp_gym.tasks.core.tables import Extra, NamedUnits, Tables
from nlp_gym.tasks.core.task import Focus, Output, Played
from nlp_gym.tasks.dialogue_sim.acts import Part, System, User
from nlp_gym.tasks.dialogue_sim.bubbles import dialogue_pieces, transcript
from nlp_gym.tasks.dialogue_sim.goals import compile_goals
from nlp_gym.tasks.dialogue_sim.recorded import Recorded, compile_recorded
from nlp_gym.tasks.dialogue_sim.sentences import SENTENCES, TEMPLATES, Sentences
from nlp_gym.tasks.dialogue_sim.state import SimState
from nlp_gym.tasks.dialogue_sim.system import SystemSide
from nlp_gym.tasks.dialogue_sim.table import EntityTable
from nlp_gym.tasks.dialogue_sim.user import Users
from nlp_gym.tasks.dialogue_sim.world import build_world
from nlp_gym.types import BoolArray, Corpus, Float64Array, Int64Array, Observation

if TYPE_CHECKING:
    from nlp_gym.render import Frame

DEMONSTRATIONS = ("expert", "corpus")
_TURNS = 31
_STARTS = 2**16
"""Most beginnings of dialogues that are kept, each of about 500 bytes."""
_RESULTS = np.array([1, 2, 3, 3, 3, 4, 0], np.int32)
"""What `results` says of so many results, or of more than the last but one; -1: no query."""


class DialogueSim(UnitTask):
    """Dialogue policy against a simulated user as a decision process.

    ## Description
    The agent is the system in a task-oriented dialogue. It chooses an act, the user answers, until
    one of them leaves. The user follows an agenda (Schatzmann et al. 2007) to reach a goal that the
    agent does not see: tasks of one or several services in turn, each with values of slots, wishes
    that are given up when nothing is found, offers that are turned down, and questions. What lies
    on top of the agenda is fixed by where the dialogue stands: answer, correct what the system has
    wrong, give a wish up, turn down, ask, accept, go on to the next task; two values at most in a
    turn. The system hears with noise. It searches a table of entities, and only what is in it can
    be offered.

    ## Data
    Goals and schema in one JSON file, or dialogues of SGD (Rastogi et al. 2020) beside their
    `schema.json`, of which goals, entities and acts are read. See [own
    files](../data.md#formats) for the form. `table=` takes a `.sqlite`, `.json` or `.csv` file, and
    `task.world.table.save(FILE)` writes one. The table of SGD has what services answered there.

    ## Observation Space
    `Dict`, with K = `max_slots`, A = K + 10, D = width of the encoder, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the act is legal |
    | features | `context` | (5*D,) | float32 | sentences of both sides, as they were heard |
    | tokens | `input_ids`, `attention_mask` | (5, L) | int32, int8 | sub-words of the same |
    | index | `words` | (5,) | int16 or int32 | their numbers |
    | tokens, index | `slots` | (K,) | int32 | see below |
    | tokens, index | `results` | (1,) | int32 | of the query; 0: no query, 1: 0, 2: 1, 3: to 4 |
    | tokens, index | `phase` | (1,) | int32 | 0: no task, 1: open, 2: offered, 3: settled |
    | tokens, index | `turn` | (1,) | int32 | decisions so far, the last: 31 and more |
    | index | `row`, `position` | (1,) | int32 | goal; 0 |

    A slot is 0: not there, 1: optional, 2: needed, 3: heard, but unsure, 4: heard, 5: confirmed.
    In `features` the integers are one-hot float32 vectors. The sentences are the system's last, and
    of the user's turn the act, the intent or question, and up to two values.

    ## Action Space
    `Discrete(A)`: REQUEST of each slot of the task, needed ones first; CONFIRM what was heard,
    QUERY the table, OFFER the next result, INFORM what was asked, NO_RESULT, EXECUTE (book, buy),
    OFFER_INTENT (what follows a search), REQ_MORE, REPEAT (say it again), BYE.

    ## Action Mask
    Slots that the task has; QUERY and EXECUTE once all needed slots are filled; OFFER while there
    are results, NO_RESULT when there are none (left); INFORM once there is something to tell of;
    REPEAT after a turn that was not understood.

    ## Rewards
    - `correctness`: the share of the goal's tasks that this decision brought to their end.
    - `metric` (default): change of success, 0 or 1.
    - `sparse`: success, at the end.

    Each decision costs `turn_cost`.

    ## Starting State
    The user has said what is wanted, and one or two values.

    ## Episode End
    After BYE; when the user leaves, because what was booked is wrong or `patience` turns in a row
    were of no use; after `max_turns` decisions.

    ## Metric
    Success rate (`success_rate`): dialogues in which all tasks of the goal were done as wanted. The
    report has tasks done, turns and rewards (success less costs), of all and by domain.

    ## Information
    `info["score"]` at the end: 1 for success. The oracle is an expert of rules that sees what the
    agent sees, and not the goal: it does not always succeed. `reset(options={"noise": 3})` chooses
    the noise of an episode; evaluation has noise 0.

    ## Arguments
    Those of `Task`, and: `slot_error` (0.15): how often a value is heard wrong, half of these being
    missed; `act_error` (0.05): how often a turn is not understood; `changes` (0.3): share of
    searches that begin with a wish that cannot be met; `turn_cost` (1/64); `max_turns` (40);
    `patience` (4); `max_slots` (10): K; `noises` (64): different noises of a goal in training;
    `table` (None): entities; `language` ("en"): of the sentences, or "zh"; `demonstrations`
    ("expert"): "corpus" replays recorded dialogues in the training split, whose acts are then the
    oracle's, for `bc`; the other splits are played with the user.

    ## Registered Ids
    `DialogueSim-SGD-v0`, `DialogueSim-v0`

    ## Version History
    * v0: initial version.
    """

    family = "goals"
    metric_name = "success_rate"
    exact_oracle = False
    options = ("noise",)
    fixed_arguments = ("max_slots",)

    def __init__(
        self,
        *,
        slot_error: float = 0.15,
        act_error: float = 0.05,
        changes: float = 0.3,
        turn_cost: float = 1 / 64,
        max_turns: int = 40,
        patience: int = 4,
        max_slots: int = 10,
        noises: int = 64,
        table: Any = None,
        language: str = "en",
        demonstrations: str = "expert",
        **kwargs: Any,
    ) -> None:
        errors = (
            check_number("slot_error", slot_error, 0, 1),
            check_number("act_error", act_error, 0, 1),
        )
        check_number("changes", changes, 0, 1)
        cost = check_number("turn_cost", turn_cost, 0, 1)
        self._turn_cost = float(on_grid(np.array([cost]))[0])
        self.max_turns = check_int("max_turns", max_turns, 2, 1000)
        self.patience = check_int("patience", patience, 1, 1000)
        check_int("max_slots", max_slots, 1, 100)
        self.dials = check_int("noises", noises, 1, 10_000)
        check_name("language", language, tuple(TEMPLATES))
        check_name("demonstrations", demonstrations, DEMONSTRATIONS)
        self._demonstrations = demonstrations
        super().__init__(**{"max_tokens": 48, **kwargs})
        given = None if table is None else EntityTable.open(table)
        self._language = language
        samples = self.corpus.samples
        self.world, goals = build_world(samples, given, max_slots)
        self._goals = compile_goals(self.world, goals, samples, changes)
        self.system = SystemSide(self.world, *errors)
        self._users = Users(self.system, self._goals, self.patience)
        self._replay: Recorded | None = None
        if demonstrations == "corpus" and self.split == "train":
            self._replay = compile_recorded(self.world, samples, self.max_turns)
            self.system = SystemSide(self.world, 0.0, 0.0)
            self.dials = 1
        self.extras = {
            "phase": Extra(1, 3),
            "results": Extra(1, int(_RESULTS.max())),
            "slots": Extra(max_slots, 5),
            "turn": Extra(1, _TURNS),
        }
        # (N,) tasks that success needs
        self._wanted = np.array([max(len(one.gold or ()), 1) for one in samples], np.int64)
        _ = self.tables  # refuses what cannot be said before anything is played

    @override
    def annotate(self, corpus: Corpus) -> Corpus:
        """The dialogues that were recorded, where these are replayed."""
        if self._demonstrations != "corpus" or corpus.split != "train":
            return corpus
        recorded = [sample for sample in corpus.samples if "record" in sample.extra]
        if not recorded:
            raise InvalidArgumentError(
                f"demonstrations='corpus': {corpus.name} has goals alone, and no recorded "
                "dialogue; use demonstrations='expert', or a file of dialogues."
            )
        return replace(corpus, samples=recorded)

    @property
    @override
    def n_actions(self) -> int:
        """Requests of K slots, and the ten other acts."""
        return int(self.world.slot_at.shape[1]) + len(System)

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) decisions until the limit, or those on record."""
        if self._replay is not None:
            return self._replay.lengths
        return np.full(len(self.corpus), self.max_turns)

    @cached_property
    def sentences(self) -> Sentences:
        """What can be said, by number."""
        world, goals = self.world, self._goals
        asked = np.zeros((len(world.services), world.n_slots), bool)
        there = goals.intent >= 0
        np.logical_or.at(asked, world.service[goals.intent[there]], goals.asked[there])
        return Sentences(world, self._texts, TEMPLATES[self._language], asked)

    @cached_property
    @override
    def tables(self) -> Tables:
        """States name their sentences themselves, which are the same for all rows."""
        units = self.sentences.none
        return Tables.build(
            units,
            offsets=np.zeros(len(self.corpus), np.int64),
            context=np.zeros((1, 0), np.int64),
            named=NamedUnits(np.array([0, units]), SENTENCES, shared=True),
        )

    @override
    def named(self, state: SimState) -> Int64Array:
        return state.said.copy()

    @override
    def initial(self, rows: Int64Array) -> SimState:
        return self._begun(rows, rows * self.dials, self.max_turns)

    @override
    def initial_at(self, rows: Int64Array, dial: Int64Array) -> SimState:
        number = rows * self.dials + dial
        if len(self.corpus) * self.dials > _STARTS:
            return self._begun(rows, number, self.max_turns)
        return self._starts.take(number).with_turns(self.max_turns)

    @cached_property
    def _starts(self) -> SimState:
        """The beginning of every goal with every noise: environments take theirs from here."""
        number = np.arange(len(self.corpus) * self.dials)
        return self._begun(number // self.dials, number, 0)

    def _begun(self, rows: Int64Array, number: Int64Array, turns: int) -> SimState:
        """Dialogues in which the user spoke first, with room for some decisions.

        Args:
            rows: (B,) goals.
            number: (B,) from which the noise is drawn.
            turns: Most decisions.
        """
        fields, sizes = self.state_fields(rows), (self.world.n_slots, self.n_actions)
        state = SimState.fresh(fields, number, *sizes, turns)
        if self._replay is None:
            speech = self._users.begin(state)
        else:
            speech = self._replay.speeches[rows, 0].copy()
        state.speech = speech
        heard = self.system.hear(state, speech)
        said = np.full(len(rows), self.sentences.greeting)
        self._say(state, said, speech, heard)
        state.legal = self.system.mask(state)
        return state

    @override
    def dial_of(self, options: Mapping[str, Any]) -> int | None:
        if "noise" not in options:
            return None
        return check_int("options['noise']", options["noise"], 0, self.dials - 1)

    @override
    def mask(self, state: SimState) -> BoolArray:
        legal = state.legal.copy()
        if self._replay is not None:
            legal[np.arange(len(state.row)), self._on_record(state)] = True
        return legal

    def _on_record(self, state: SimState) -> Int64Array:
        """(B,) the system's decisions in the recorded dialogues; BYE at their ends."""
        assert self._replay is not None
        at = np.minimum(state.turn, self.max_turns - 1)
        actions = self._replay.actions[state.row, at]
        return np.where(actions < 0, self.n_actions - len(System) + System.BYE, actions)

    @override
    def oracle(self, state: SimState) -> Int64Array:
        """(B,) what an expert of rules decides, or what was decided on record.

        The expert asks for what is needed, queries, offers what is found, confirms before it books,
        tells what it is asked, and offers more until the user is done.
        """
        self.require_gold("oracle")
        return self.system.expert(state) if self._replay is None else self._on_record(state)

    @override
    def play(self, state: SimState, actions: Int64Array) -> Played:
        before, decided = state.done.copy(), actions
        state.played[np.arange(len(actions)), state.turn] = actions
        if self._replay is not None:
            decided = self._on_record(state)
        kind, slot = self.system.split(state, decided)
        if self._replay is not None:
            bye = kind == System.BYE
            legal = state.legal[np.arange(len(actions)), decided]
            kind = np.where(legal | bye, kind, System.REQ_MORE)
        repeated = state.count >= 0
        self.system.act(state, kind)
        said = self.sentences.said(kind, slot, state)
        if self._replay is None:
            intent = state.intent.copy()
            answer = self._users.respond(state, kind, slot, repeated)
            speech, ended, failed = answer.speech, answer.ended, answer.failed
            self.system.doubt(state, failed)
            said[failed] = self.sentences.failure[intent[failed]]
        else:
            speech = self._replay.speeches[state.row, state.turn + 1]
            state.done += actions == decided
            ended = state.turn + 1 >= self._replay.lengths[state.row]
        state.turn += 1
        heard = self.system.hear(state, speech)
        self._say(state, said, speech, heard)
        state.legal = self.system.mask(state)
        ended |= state.turn >= self.max_turns
        right = None
        if self.has_gold and self.reward == "correctness":
            right = on_grid((state.done - before) / np.maximum(self._total(state), 1))
        elif self.has_gold:
            right = np.zeros(len(actions))
        return right, self._turn_cost, ended

    @override
    def __getstate__(self) -> dict[str, Any]:
        """As `CorpusTask.__getstate__`; beginnings are made again quickly."""
        return {k: v for k, v in super().__getstate__().items() if k != "_starts"}

    def _say(
        self, state: SimState, said: Int64Array, speech: Int64Array, heard: Int64Array
    ) -> None:
        """Note the sentences of a turn, those of the user as they were heard."""
        now = self.sentences.turn(said, state, speech, heard)
        state.history[np.arange(len(said)), state.turn] = now
        spoke = speech[:, Part.ACT] > User.NOTHING
        state.said[:, 0] = said
        np.copyto(state.said[:, 1:], now[:, 1:], where=spoke[:, None])

    def _total(self, state: SimState) -> Int64Array:
        """(B,) what `SimState.done` is at success."""
        if self._replay is not None:
            return self._replay.lengths.take(state.row)
        return self._wanted.take(state.row)

    @override
    def potential(self, state: SimState) -> Float64Array:
        total = self._total(state)
        if self._replay is not None:
            return on_grid(state.done / total)
        return (state.done >= total).astype(np.float64)

    @override
    def extra(self, state: SimState) -> Observation:
        """What the system believes: slots, results, phase, turn."""
        results = _RESULTS.take(np.minimum(state.count, len(_RESULTS) - 2))
        return {
            "phase": state.phase.astype(np.int32)[:, None],
            "results": results[:, None],
            "slots": self.system.slots(state),
            "turn": np.minimum(state.turn, _TURNS).astype(np.int32)[:, None],
        }

    @override
    def outputs(self, state: SimState) -> list[Output]:
        """Each output is a `Dialogue`."""
        total, success = self._total(state), self.potential(state) == 1.0
        bye = self.n_actions - len(System) + System.BYE
        found = []
        for i, turns in enumerate(state.turn.tolist()):
            played = state.played[i, :turns].tolist()
            left = turns < self.max_turns
            ended = "system" if played[-1:] == [bye] else "user" if left else "limit"
            acts = tuple(map(self.action_name, played))
            done = min(int(state.done[i]), int(total[i]))
            cost = float(state.cost[i])
            said = tuple(map(tuple, state.history[i, : turns + 1].tolist()))
            one = Dialogue(bool(success[i]), done, int(total[i]), turns, cost, acts, ended, said)
            found.append(one)
        return found

    def _services(self, row: int) -> list[str]:
        intents = self._goals.intent[row]
        numbers = self.world.service[intents[intents >= 0]].tolist()
        return sorted({self.world.services[n] for n in numbers})

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        domains = [self._services(row) for row in rows]
        return success_rate(outputs, domains, bootstrap=bootstrap, report=report)

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """What was said, with the system's acts, and how the dialogue ended."""
        turns = transcript(self.sentences, output.acts, output.sentences)
        return {"services": self._services(row), "dialogue": turns, "ended": output.ended}

    @override
    def action_name(self, action: int) -> str:
        k = int(self.world.slot_at.shape[1])
        return f"REQUEST slot {action + 1}" if action < k else System(action - k).name

    @override
    def action_text(self, state: SimState, i: int, action: int) -> str:
        """The act, with the name of the slot that is requested; empty where there is none."""
        k = int(self.world.slot_at.shape[1])
        if action >= k:
            return self.action_name(action)
        intent = int(state.intent[i])
        slot = -1 if intent < 0 else int(self.world.slot_at[intent, action])
        if slot < 0:
            return ""
        return f"REQUEST {self.world.slots[self.world.service[intent]][slot]}"

    @override
    def focus(self, state: SimState, i: int) -> Focus:
        """What the user said last, as it was heard."""
        return Focus(
            text=" ".join(filter(None, map(self.sentences.text, state.said[i, 1:].tolist())))
        )

    @override
    def frame(self, state: SimState, i: int) -> Frame:
        from nlp_gym.render import Frame

        row, turn = int(state.row[i]), int(state.turn[i])
        acts = map(self.action_name, state.played[i, :turn].tolist())
        turns = transcript(self.sentences, acts, state.history[i, : turn + 1].tolist())
        pieces = dialogue_pieces(" ".join(self.sample(row).words), turns)
        return Frame(self.title(row), f"turn {turn}/{self.max_turns}", pieces)
