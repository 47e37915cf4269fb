"""How a network reads an observation: which keys it gathers by, reads as numbers or as one-hots."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from gymnasium import spaces

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.observation import NAMED
from nlp_gym_agents.networks.features.source import FeatureSource

POSITION_KEYS = ("row", "position")
"""Keys of an `index` observation that name a state of the corpus."""

LEGAL_KEY = "legal"
"""Number of the mask among those of the source, where an observation would be too large with it."""

MASK_KEY = "action_mask"
"""Not a feature: the policies apply it to the actions."""

CANDIDATES_KEY = "candidates"

MAX_CLASSES = 1024
"""Widest one-hot an integer of the observation is turned into."""


@dataclass
class Keys:
    """The keys of an observation space, by what is done with them.

    Attributes:
        gathers: Context and candidates are gathered from a source (`index` observations).
        context: Width of the context, 0 where there is none.
        n_candidates: Room for candidates C; 0 where actions are labels.
        parts: Units J a candidate.
        dim: Width of a unit of a candidate.
        n_actions: Number A of actions, from the mask; C where there is none.
        looked_up: Flags that the source has, where contexts are gathered, with their width.
        floats: Keys that are read as they are, with their width.
        classes: Keys of integers that become one-hots, with their width before, their lowest value
            and their number of values.
        flags: Keys of binary marks, one a candidate.
    """

    gathers: bool
    context: int
    n_candidates: int = 0
    parts: int = 0
    dim: int = 0
    n_actions: int = 0
    looked_up: dict[str, int] = field(default_factory=dict)
    floats: dict[str, int] = field(default_factory=dict)
    classes: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, space: spaces.Dict, source: FeatureSource | None, unit_dim: int | None = None
    ) -> Keys:
        """Sort the keys of `space`.

        Args:
            space: Of one observation.
            source: Where vectors are gathered from, if they are.
            unit_dim: Width of a unit, if vectors are carried; None: that of a candidate.

        Raises:
            InvalidArgumentError: A key cannot be read, or contexts are to be gathered and there is
                no source.
        """
        if set(POSITION_KEYS) <= set(space.spaces):
            if source is None:
                raise no_source()
            keys = cls(True, source.width, source.n_candidates, source.parts, source.dim)
            keys.looked_up = dict(source.flags)
        else:
            keys = cls(False, _width(space["context"]) if "context" in space.spaces else 0)
            if CANDIDATES_KEY in space.spaces:
                keys.n_candidates, width = _matrix(space[CANDIDATES_KEY])
                keys.dim = unit_dim or width
                keys.parts = width // keys.dim
        has_mask = MASK_KEY in space.spaces
        keys.n_actions = _width(space[MASK_KEY]) if has_mask else keys.n_candidates
        for key, box in space.spaces.items():
            if key not in (*POSITION_KEYS, NAMED, "context", MASK_KEY, CANDIDATES_KEY):
                keys._add(key, box)
        return keys

    def _add(self, key: str, box: spaces.Space) -> None:
        if not isinstance(box, spaces.Box) or len(box.shape) > 1:
            raise _unreadable(key, box)
        binary = box.low.min() == 0 and box.high.max() == 1
        if self.n_candidates and binary and box.shape == (self.n_candidates,):
            self.flags.append(key)
        elif np.issubdtype(box.dtype, np.floating) or binary:
            self.floats[key] = _width(box)
        elif (count := int(box.high.max()) - int(box.low.min()) + 1) <= MAX_CLASSES:
            self.classes[key] = (_width(box), int(box.low.min()), count)
        else:
            raise _unreadable(key, box)

    @property
    def widths(self) -> dict[str, int]:
        """Columns that each key takes in the trunk's input, after the context, in order."""
        return {
            **self.looked_up,
            **self.floats,
            **{key: n * count for key, (n, _, count) in self.classes.items()},
        }


def no_source() -> InvalidArgumentError:
    """The error of an `index` observation without a corpus."""
    return InvalidArgumentError(
        "source=None: `index` observations name positions, and there is no corpus to gather them "
        "from. Pass features_extractor_kwargs={'source': FeatureSource(task)}, or use "
        "obs_type='features'."
    )


def _unreadable(key: str, box: spaces.Space) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"observation key {shown(key)} ({box}) cannot be read by NLPExtractor, which takes float "
        f"vectors, a matrix of `{CANDIDATES_KEY}` and integers of at most {MAX_CLASSES} values. "
        "Use obs_type='index' or 'features', or another features_extractor_class."
    )


def _width(box: spaces.Space) -> int:
    return math.prod(box.shape or ())


def _matrix(box: spaces.Space) -> tuple[int, int]:
    if len(box.shape or ()) != 2 or not np.issubdtype(box.dtype or np.void, np.floating):
        raise _unreadable(CANDIDATES_KEY, box)
    count, dim = box.shape or ()
    return count, dim
