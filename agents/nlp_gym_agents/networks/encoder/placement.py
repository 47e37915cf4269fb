"""Where vectors are kept: on the device that reads them, as long as it has room."""

from __future__ import annotations

import torch as th

SHARE = 0.8
"""Of a GPU's free memory, that kept vectors may take; the rest is for networks and batches."""


def home(n_bytes: int, device: th.device) -> th.device:
    """Where `n_bytes` that `device` reads are kept: there if they fit, else in the main memory."""
    if device.type != "cuda":
        return device
    free, _ = th.cuda.mem_get_info(device)
    return device if n_bytes <= SHARE * free else th.device("cpu")
