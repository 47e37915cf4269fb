"""``settings.json`` of a snapshot: what is needed, besides the weights, to load its policy."""

from __future__ import annotations

from typing import Any, TypedDict

SETTINGS = "settings.json"

NEEDED = frozenset(
    {"algo", "env", "env_kwargs", "labels", "obs_type", "hyperparams", "encoder", "aliases"}
)
"""Fields without which no policy can be loaded; older snapshots lack some of the others."""


class EncoderFacts(TypedDict):
    """An encoder, as far as it decides what a policy sees.

    Attributes:
        name: Name, path or Hub name.
        dim: Width of its vectors.
        fingerprint: See `nlp_gym.encode.Encoder`.
    """

    name: str
    dim: int
    fingerprint: str


class CorpusFacts(TypedDict):
    """A corpus, by name and by what is in it.

    Attributes:
        name: Name of the corpus.
        text_sha256: Hash of its words.
    """

    name: str
    text_sha256: str


class SnapshotSettings(TypedDict, total=False):
    """The fields of ``settings.json``.

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
        aliases: See `nlp_gym_agents.runs.weights`.
        timesteps: When the snapshot was made.
        metric: The dev metric; of ``best/`` alone, as `value`.
        value: Its value.
    """

    format_version: int
    algo: str
    env: str
    env_kwargs: dict[str, Any]
    obs_type: str
    labels: list[str]
    learnt: dict[str, Any]
    hyperparams: dict[str, Any]
    encoder_mode: str
    encoder: EncoderFacts
    corpora: dict[str, CorpusFacts]
    aliases: dict[str, str]
    timesteps: int
    metric: str
    value: float
