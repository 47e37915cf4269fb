"""``settings.json`` of a snapshot: what is needed, besides the weights, to load its policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from nlp_gym.errors import RunError
from nlp_gym.inert import shown
from nlp_gym.tasks.core.make import find_spec, task_class
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.files.trust import check_trusted
from nlp_gym_agents.runs.snapshots import check_version

SETTINGS = "settings.json"


class EncoderFacts(TypedDict):
    """An encoder, as far as it decides what a policy sees.

    Attributes:
        name: Name, path or Hub name.
        dim: Width of its vectors.
        fingerprint: See `nlp_gym.encode.Encoder`.
    """

    name: str
    dim: schema.Positive
    fingerprint: str


class CorpusFacts(TypedDict):
    """A corpus, by name and by what is in it.

    Attributes:
        name: Name of the corpus.
        text_sha256: Hash of its words.
    """

    name: str
    text_sha256: str


class _PolicySettings(TypedDict):
    format_version: int
    algo: str
    env: str
    env_kwargs: dict[str, Any]
    obs_type: str
    labels: list[str]
    hyperparams: dict[str, Any]
    encoder: EncoderFacts


class PolicySettings(_PolicySettings, total=False):
    """What is written beside every saved policy; older snapshots lack what need not be there.

    Attributes:
        format_version: See `nlp_gym_agents.runs.snapshots`.
        algo: As given to `--algo`.
        env: Environment id.
        env_kwargs: Arguments of the task.
        obs_type: Kind of observation that the policy reads.
        labels: Label inventory, in order of the actions.
        learnt: Further arguments that training found, see `CorpusTask.learnt`.
        hyperparams: Merged hyperparameters.
        encoder_mode: ``"frozen"``, or how the encoder learned.
        encoder: The encoder.
        corpora: By split, what was trained and chosen on.
    """

    learnt: dict[str, Any]
    encoder_mode: str
    corpora: dict[str, CorpusFacts]


class _SnapshotSettings(PolicySettings):
    aliases: dict[str, str]


class SnapshotSettings(_SnapshotSettings, total=False):
    """The fields of ``settings.json``: `PolicySettings` and what belongs to one snapshot.

    Attributes:
        aliases: See `nlp_gym_agents.runs.files.weights`.
        timesteps: When the snapshot was made.
        metric: The dev metric; of ``best/`` alone, as `value`.
        value: Its value.
    """

    timesteps: schema.Count
    metric: str
    value: float


_TAKEN = ("split", "env_id", "id")
"""What no argument of an environment may be called: the functions that make it take these."""


def read_settings(path: Path, *, trust: Sequence[str] | str = ()) -> SnapshotSettings:
    """The settings beside a policy, checked before any of them is used.

    Arguments that the task did not have when the policy was trained are as they were for it, see
    `Task.later_arguments`.

    Args:
        path: ``settings.json`` of a snapshot.
        trust: Modules that they may have imported; see `nlp_gym_agents.runs.files.trust`.

    Raises:
        RunError: The file is damaged or of another version, or asks for a module that is neither
            registered nor trusted.
    """
    settings = read_json(path)
    if isinstance(settings, dict):
        check_version(settings.get("format_version"), path)
    schema.check(settings, SnapshotSettings, path)
    found: SnapshotSettings = settings
    options = found["env_kwargs"].get("encoder_kwargs")
    schema.check({"encoder_kwargs": options}, dict[str, dict[str, Any] | None], path)
    for part in (found["env_kwargs"], found.get("learnt", {})):
        for name in _TAKEN:
            if name in part:
                raise RunError(f"{path} is damaged: {shown(name)} is no argument of environments.")
    check_trusted(found, path, trust)
    if find_spec(found["env"]) is not None:  # else it is refused where the task is made
        found["env_kwargs"] = {**task_class(found["env"]).later_arguments, **found["env_kwargs"]}
    return found
