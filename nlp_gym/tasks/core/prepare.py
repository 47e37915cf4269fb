"""Encodes what an environment reads before it is made, so that its first `reset` finds it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym

from nlp_gym.encode.cache import MapBlocks
from nlp_gym.tasks.core.make import is_task_id, make_task, task_ids
from nlp_gym.types import Encoded


def environment_of(source: str) -> str | None:
    """The id that reads `source`: itself, or the first one of a corpus; None: it is a file.

    Args:
        source: A registered id, the catalogue name of a corpus, or the path of a file.
    """
    from nlp_gym.data import DATASETS

    if os.path.isfile(source):
        return None
    if is_task_id(source):
        return source
    if source not in DATASETS:
        return None
    return next((i for i in task_ids() if gym.registry[i].kwargs.get("dataset") == source), None)


def prepare(
    env_id: str,
    splits: Sequence[str],
    *,
    progress: bool | None = None,
    map_blocks: MapBlocks | None = None,
    **kwargs: Any,
) -> Iterator[tuple[str, Encoded]]:
    """Encode splits of an environment's corpus into the cache, as the environment does.

    Args:
        env_id: A registered id.
        splits: Of ``"train"``, ``"dev"`` and ``"test"``.
        progress: Show progress on stderr, see `nlp_gym.progress.progress_bar`.
        map_blocks: Encodes blocks of texts somewhere else, see `nlp_gym.encode.cache.MapBlocks`.
        **kwargs: Arguments of the environment.

    Yields:
        Name of a corpus and split, and its vectors.

    Raises:
        UnknownNameError: No such id, split or argument.
        EncoderError: The encoder fails, or the disk has no room for the vectors.
    """
    replaced: dict[str, Any] = {}
    for split in splits:
        if split != "train" and not replaced:  # labels are those of the training split
            train = make_task(env_id, **kwargs)
            replaced = {"labels": list(train.labels) or None, **train.learnt}
        task = make_task(env_id, split, **{**kwargs, **replaced})
        encoded = task.encode(progress=progress, in_memory=False, map_blocks=map_blocks)
        yield f"{task.corpus.name} {split}", encoded
