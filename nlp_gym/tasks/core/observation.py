"""The three kinds of observation, for any task: `features`, `tokens` and `index`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nlp_gym.checks import check_obs_type
from nlp_gym.encode import Encoder
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.tables import Extra, SlotFlags, Tables, index_type
from nlp_gym.types import BoolArray, Corpus, Encoded, Int64Array, IntArray, Observation, Units

_Space = spaces.Space[Any]

NAMED = "words"
"""Key of an `index` observation with the places of the units that the state names."""

_TABLE = 1 << 14
"""Numbers up to which the one-hot vectors of all values are kept in one table."""


class IndexBox(spaces.Box):
    """A `Box` of integers that name something: rows of a corpus, tokens of a vocabulary.

    A network must look up what they name. Stable-Baselines3's own extractors would read them as
    magnitudes; they ask for `flatdim` of each space, which refuses this one.
    """


@spaces.utils.flatdim.register(IndexBox)
def _refuse_magnitudes(space: IndexBox) -> int:
    raise InvalidArgumentError(
        "obs_type='index' and obs_type='tokens' observations hold row and token numbers, which a "
        "network of fully connected layers would read as magnitudes. Use "
        "policy_kwargs=nlp_gym_agents.nlp_policy_kwargs(env), which looks up what they name, an "
        "extractor of your own, or obs_type='features'."
    )


def one_hot(values: npt.NDArray[np.integer[Any]], n: int) -> npt.NDArray[np.float32]:
    """(B, size * n) one-hot vectors of the `values` (B, size) or (B,), which are below n."""
    vectors = np.zeros((values.size, n), np.float32)
    vectors[np.arange(values.size), values.ravel()] = 1.0
    return vectors.reshape(len(values), -1)


def _named(space: _Space) -> _Space:
    """An `IndexBox` for integers of more than two values."""
    if not isinstance(space, spaces.Box) or space.dtype.kind not in "iu" or space.high.max() <= 1:
        return space
    return IndexBox(space.low, space.high, space.shape, space.dtype.type)


class TokenView(Protocol):
    """What `tokens` observations hold besides mask and extras."""

    def spaces(self) -> dict[str, _Space]:
        """Boxes of every key."""
        ...

    def observe(self, state: Any) -> Observation:
        """Arrays of every key with B in front."""
        ...


class ObservedTask(Protocol):
    """What observations need of a task; `nlp_gym.tasks.core.task.Task` has it all."""

    corpus: Corpus
    max_tokens: int
    extras: Mapping[str, Extra]
    masks: BoolArray | None

    @property
    def encoder(self) -> Encoder:
        """Makes the vectors."""
        ...

    @property
    def encoded(self) -> Encoded:
        """Vectors of the units."""
        ...

    @property
    def units(self) -> Units:
        """What is encoded once."""
        ...

    @property
    def tables(self) -> Tables:
        """Where each state finds its units."""
        ...

    @property
    def n_actions(self) -> int:
        """Number A of actions."""
        ...

    @property
    def n_positions(self) -> int:
        """Positions a row can have."""
        ...

    @property
    def slot_flags(self) -> Mapping[str, SlotFlags]:
        """Flags that follow from the slot alone."""
        ...

    @property
    def knowledge_table(self) -> npt.NDArray[np.int8] | None:
        """Bits of each slot, where there is knowledge."""
        ...

    @property
    def token_view(self) -> TokenView:
        """What `tokens` observations hold."""
        ...

    def extra(self, state: Any) -> Observation:
        """Integers for each key of `extras`."""
        ...

    def mask(self, state: Any) -> BoolArray:
        """(B, A) legal actions."""
        ...

    def mask_row(self, state: Any) -> Int64Array:
        """(B,) which of `masks` holds."""
        ...

    def named(self, state: Any) -> IntArray:
        """(B, K) places of the units that states name."""
        ...

    def seen_of(self, state: Any) -> tuple[IntArray, Observation]:
        """`named` and `extra`."""
        ...


class Views:
    """Observations of a task's states; keys and shapes are in the task's docstring.

    Args:
        task: The task; its encoder is loaded when an observation needs it.
    """

    def __init__(self, task: ObservedTask) -> None:
        self.task = task
        self._offsets = task.tables.offsets
        self._named = task.tables.named
        if self._named is not None:
            self._places = index_type(max(self._named.longest, 1) + 1)
        self._knowledge = task.knowledge_table
        self._slot_flags = task.slot_flags
        self._extras = dict(task.extras)
        if NAMED in self._extras:
            raise InvalidArgumentError(
                f"{type(task).__name__}.extras has the key {NAMED!r}, under which observations "
                "hold the units that states name (`Tables.named`): give it another name."
            )
        if self._knowledge is not None:
            self._extras["knowledge"] = Extra(self._knowledge.shape[1], 1)
        self._dtypes = {key: extra.dtype for key, extra in self._extras.items()}
        widths = {k: e.high + 1 for k, e in self._extras.items() if e.high > 1 and not e.plain}
        self._one_hot = {
            key: one_hot(np.arange(n), n) if n * n <= _TABLE else None for key, n in widths.items()
        }

    def space(self, obs_type: str) -> spaces.Dict:
        """Boxes of every key."""
        check_obs_type(obs_type)
        task = self.task
        keys: dict[str, _Space] = {}
        if obs_type == "index" and task.masks is not None:
            keys["legal"] = spaces.Box(0, len(task.masks) - 1, (1,), np.int32)
        else:
            keys["action_mask"] = spaces.Box(0, 1, (task.n_actions,), np.int8)
        for key, extra in self._extras.items():
            if obs_type == "features" and not extra.plain:
                keys[key] = spaces.Box(0.0, 1.0, (extra.width,), np.float32)
            else:
                keys[key] = spaces.Box(0, extra.high, (extra.size,), extra.dtype)
        if obs_type != "index":
            dtype = np.float32 if obs_type == "features" else np.int8
            for key, flags in self._slot_flags.items():
                keys[key] = spaces.Box(0, 1, flags.rows.shape[1:], dtype)
            if self._named is not None:
                for key, width in self._named.flag_widths.items():
                    keys[key] = spaces.Box(0, 1, (width,), dtype)
        if obs_type == "features":
            keys |= self._vectors()
        elif obs_type == "tokens":
            keys |= {key: _named(space) for key, space in task.token_view.spaces().items()}
        else:
            keys["row"] = IndexBox(0, max(len(task.corpus) - 1, 1), (1,), np.int32)
            keys["position"] = IndexBox(0, max(task.n_positions - 1, 1), (1,), np.int32)
            if self._named is not None:
                most = max(self._named.longest, 1)
                keys[NAMED] = IndexBox(0, most, (self._named.count,), self._places)
        return spaces.Dict(keys)

    def _vectors(self) -> dict[str, _Space]:
        tables, dim = self.task.tables, self.task.encoder.dim
        bound = float(self.task.encoder.bound)
        shapes = {"context": (tables.n_context * dim,)}
        if tables.candidates is not None:
            _, count, units = tables.candidates.shape
            shapes["candidates"] = (count, units * dim)  # type: ignore[assignment]
        return {
            key: spaces.Box(-bound, bound, shape, np.float32)
            for key, shape in shapes.items()
            if 0 not in shape
        }

    def observe(self, state: Any, obs_type: str) -> Observation:
        """Arrays of every key with B in front."""
        task = self.task
        places: IntArray | None = None
        if self._named is None:
            more = task.extra(state)
        else:
            places, more = task.seen_of(state)
        extras = {key: values.astype(self._dtypes[key], copy=False) for key, values in more.items()}
        if self._knowledge is not None:
            extras["knowledge"] = self._knowledge.take(state.slot, axis=0)
        if obs_type == "index" and task.masks is not None:
            seen: Observation = {"legal": task.mask_row(state).astype(np.int32)[:, None]}
        else:
            seen = {"action_mask": task.mask(state).view(np.int8)}
        if obs_type != "index":
            flags = {key: table.of(state.slot) for key, table in self._slot_flags.items()}
            if self._named is not None and self._named.flags:
                assert places is not None
                units = self._named.of(state.row, places)
                flags |= {key: table.of(units) for key, table in self._named.flags.items()}
            if obs_type == "features":
                seen |= {key: part.astype(np.float32) for key, part in flags.items()}
                seen |= {key: self._floats(key, values) for key, values in extras.items()}
                return seen | self._gathered(state, places)
            seen |= flags
        seen |= extras
        if obs_type == "tokens":
            return seen | task.token_view.observe(state)
        position = state.slot - self._offsets.take(state.row)  # as `Task.position`
        seen["row"] = state.row.astype(np.int32)[:, None]
        seen["position"] = position.astype(np.int32)[:, None]
        if places is not None:
            seen[NAMED] = places.astype(self._places, order="C", copy=False)
        return seen

    def observe_with_mask(self, state: Any, obs_type: str) -> tuple[Observation, BoolArray]:
        """As `observe`, with the (B, A) mask in an array of its own; it is computed once for both.

        Observations that name the mask do not hold it, see `Task.masks`.
        """
        seen = self.observe(state, obs_type)
        if "action_mask" in seen:
            return seen, seen["action_mask"].copy().view(np.bool_)
        return seen, self.task.mask(state)

    def _floats(self, key: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self._extras[key].plain:
            return values
        if key not in self._one_hot:
            return values.astype(np.float32)
        table = self._one_hot[key]
        if table is None:
            return one_hot(values, self._extras[key].high + 1)
        return table.take(values, axis=0).reshape(len(values), -1)

    def _gathered(self, state: Any, places: IntArray | None) -> Observation:
        tables, encoded, b = self.task.tables, self.task.encoded, len(state.row)
        seen: Observation = {}
        if tables.n_context:
            units = tables.context_of(state.row, state.slot, places)
            seen["context"] = encoded.gather(units).reshape(b, -1)
        if tables.candidates is not None:
            units = tables.candidates_of(state.row, state.slot)
            seen["candidates"] = encoded.gather(units).reshape(b, units.shape[1], -1)
        return seen
