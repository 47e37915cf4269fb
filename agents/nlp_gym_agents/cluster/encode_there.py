"""Blocks of texts that are encoded on the nodes of a Ray cluster.

A block is cut and encoded as one process does it, and blocks come back in their order: what is
written is what one process writes. Ray Data would cut blocks of its own, by rows or bytes; a
transformer pads the texts of a block to each other's lengths, so other blocks give other last bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from nlp_gym.encode.base import Encoder, Texts
from nlp_gym.encode.cache import MapBlocks, encode_block
from nlp_gym.encode.compact import CompactEncoder, from_stored, stored_dtype, to_stored
from nlp_gym.encode.load import make_encoder
from nlp_gym.encode.options import EncoderOptions
from nlp_gym.errors import EncoderError, NLPGymError, RunError, shown
from nlp_gym_agents.cluster.ray_tasks import Cluster, Tell

AHEAD = 2
"""Blocks handed out for each that is encoded at the same time: no node waits for the disk here."""

# The encoder of this process, by name and fingerprint: its weights are loaded once.
_loaded: dict[tuple[str, str], Encoder] = {}


@dataclass(frozen=True)
class Recipe:
    """What a node makes the encoder of.

    Attributes:
        name: As of the encoder.
        fingerprint: As of the encoder.
        options: Its options; None: it is an object of a user's own.
        own: That object.
        projection: Of a `CompactEncoder`: learned once, here, lest nodes differ in last bits.
    """

    name: str
    fingerprint: str
    options: EncoderOptions | None
    own: Encoder | None
    projection: Any = None

    @classmethod
    def of(cls, encoder: Encoder) -> Recipe:
        """That of an encoder."""
        options = getattr(encoder, "options", None)
        if not isinstance(options, EncoderOptions):
            return cls(encoder.name, encoder.fingerprint, None, encoder)
        projection = None
        if isinstance(encoder, CompactEncoder) and options.project is not None:
            projection = encoder.projection
        return cls(encoder.name, encoder.fingerprint, options, None, projection)

    def made(self) -> Encoder:
        """The encoder.

        Raises:
            EncoderError: Weights, releases or number formats are others than where it was asked.
        """
        if self.options is None:
            assert self.own is not None
            return self.own
        encoder = make_encoder(self.name, self.options)
        if encoder.fingerprint != self.fingerprint:
            raise EncoderError(
                f"encoder={shown(self.name)} is another one on a node than here: install the same "
                "weights and releases on all nodes, and where processors differ give "
                "--encoder-kwargs dtype:float32."
            )
        if self.projection is not None:
            vars(encoder)["projection"] = self.projection
        return encoder


@contextmanager
def encoding_on(cluster: Cluster, encoder: Encoder, tell: Tell) -> Iterator[MapBlocks]:
    """Within it blocks are encoded on a cluster by what is yielded.

    Args:
        cluster: Which.
        encoder: The encoder; its weights have to be on every node.
        tell: Called with a line of progress.

    Raises:
        MissingDependencyError: Ray is not installed.
        RunError: The cluster cannot be used.
    """
    with cluster.joined("--ray") as workers:
        options = getattr(encoder, "options", None)
        device = getattr(options, "device", "cpu") if encoder.name != "hashed" else "cpu"
        gpus = workers.gpus_for(device)
        places = workers.places(gpus)
        tell(f"{workers.described()}; {places} blocks at a time.")

        def encoded(blocks: Iterator[Texts]) -> Iterable[npt.NDArray[Any]]:
            recipe = workers.put(Recipe.of(encoder))
            calls = ((recipe, block) for block in blocks)
            tasks = workers.run(
                encode_there, calls, gpus=gpus, ahead=AHEAD * places, ordered=True, tell=tell
            )
            for _, rows in tasks:
                if isinstance(rows, NLPGymError):
                    raise rows
                if isinstance(rows, Exception):
                    raise RunError(
                        f"A block could not be encoded on the Ray cluster: {rows}. What is encoded "
                        "is kept: the same command goes on from there."
                    ) from rows
                yield from_stored(rows)

        yield encoded


def encode_there(recipe: Recipe, block: Texts) -> npt.NDArray[Any]:
    """Encode a block on a node, with the weights that lie there.

    Returns:
        The vectors in the number format of the cache, which may be smaller.

    Raises:
        EncoderError: The weights are others than those of the driver, or the encoder fails.
    """
    key = (recipe.name, recipe.fingerprint)
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = recipe.made()
    encoder = _loaded[key]
    return to_stored(encode_block(block, encoder), stored_dtype(encoder))
