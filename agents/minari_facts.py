"""What a Minari dataset says about itself."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import gymnasium as gym

import nlp_gym
from nlp_gym.data import DATASETS


def about(env_id: str, *, player: str, split: str, obs_type: str) -> dict[str, Any]:
    """Arguments of `minari.create_dataset_from_buffers` that describe a dataset."""
    dataset = gym.spec(env_id).kwargs.get("dataset")
    row = DATASETS.get(str(dataset))
    licence = f"Text of {row.name}: {row.licence} ({row.homepage})." if row else ""
    return {
        "algorithm_name": player,
        "author": "nlp_gym",
        "description": (
            f"{player} on {env_id}, split {split}, observations {obs_type!r}. {licence}"
        ).strip(),
        "requirements": [f"nlp-gym>={nlp_gym.__version__}"],
    }


def facts(task: Any, *, seed: int) -> dict[str, Any]:
    """What the numbers depend on."""
    corpus = task.corpus
    packages = ("gymnasium", "minari", "numpy")
    return {
        "corpus": corpus.name,
        "text_sha256": corpus.text_hash,
        "bundled_sample": corpus.bundled,
        "labels": list(task.labels),
        "seed": seed,
        "encoder": {"name": task.encoder.name, "fingerprint": task.encoder.fingerprint},
        "versions": {
            "nlp-gym": nlp_gym.__version__,
            **{name: importlib.metadata.version(name) for name in packages},
        },
    }
