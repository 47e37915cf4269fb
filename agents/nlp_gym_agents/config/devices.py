"""Names of devices, and whether this machine has them."""

from __future__ import annotations

import re

from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown

DEVICES = ("auto", "cpu", "cuda", "cuda:N", "mps")
_NAME = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def check_device_name(device: object) -> None:
    """Refuse what is no device's name, on any machine.

    Raises:
        UnknownNameError: Naming those that are.
    """
    if not (isinstance(device, str) and _NAME.fullmatch(device)):
        raise UnknownNameError("device", device, DEVICES)


def check_device(device: str) -> None:
    """Refuse a device that is not here; Stable-Baselines3 would silently take the processor.

    Raises:
        UnknownNameError: No device is called that.
        InvalidArgumentError: The device is not on this machine.
    """
    import torch

    check_device_name(device)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    absent = device == "mps" and not torch.backends.mps.is_available()
    if device.startswith("cuda"):
        absent = int(device.partition(":")[2] or 0) >= count
    if absent:
        raise InvalidArgumentError(
            f"device={shown(device)} is not on this machine: use auto or cpu."
        )
