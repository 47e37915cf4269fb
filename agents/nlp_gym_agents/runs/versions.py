"""What the numbers of a run depend on besides its settings: Python, packages, processor."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

import nlp_gym
from nlp_gym_agents.runs.snapshots import FORMAT_VERSION

PACKAGES = (
    "nlp-gym",
    "gymnasium",
    "stable-baselines3",
    "sb3-contrib",
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "safetensors",
    "seqeval",
)


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found[1].strip() if found else platform.machine()


def versions() -> dict[str, Any]:
    """What the numbers of a run depend on besides its settings."""
    import torch

    packages: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            packages[name] = None
    packages["nlp-gym"] = nlp_gym.__version__  # also where it runs from a checkout
    return {
        "format_version": FORMAT_VERSION,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _processor(),
        "cpu_count": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": packages,
    }
