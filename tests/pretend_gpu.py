"""A GPU that is not there: finds tensors on the wrong device on a machine without one.

Tensors are computed and stored on the processor. Which device one would be on is noted for its
storage, so that views and in-place changes share it. A mode for torch's functions answers
`Tensor.device`, moves tensors and places new ones; a mode for the operators beneath them, which
also sees what autograd and composite functions call, refuses to mix devices as CUDA does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nlp_gym.encode.load import _in_use

GPU = torch.device("cuda:0")
CPU = torch.device("cpu")

_ACROSS = {"copy_", "_to_copy", "lift_fresh", "lift_fresh_copy", "set_"}
"""Operators that may take tensors of two devices."""
_INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
"""Operators that take indices on the processor for values on the GPU."""


class WrongDeviceError(RuntimeError):
    """What CUDA would refuse."""


class _Places:
    """Which storages are on the GPU."""

    def __init__(self) -> None:
        self._known: dict[int, StorageWeakRef] = {}
        self.calls = 0
        self.inside: list[bool] = []
        """For each of torch's functions that is being called: whether it got a tensor on the GPU.
        What C++ makes within it has the device of its arguments."""

    def on_gpu(self, tensor: torch.Tensor) -> bool:
        storage = tensor.untyped_storage()
        known = self._known.get(storage._cdata)
        return known is not None and not known.expired()

    def put(self, tensor: torch.Tensor, gpu: bool) -> None:
        storage = tensor.untyped_storage()
        if gpu:
            self._known[storage._cdata] = StorageWeakRef(storage)
        else:
            self._known.pop(storage._cdata, None)


def _tensors(values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def _is_gpu(device: Any) -> bool:
    if device is None:
        return False
    if isinstance(device, torch.device):
        return device.type == "cuda"
    return isinstance(device, int) or str(device).startswith("cuda")


class _Operators(TorchDispatchMode):
    """Refuses to mix devices, and places results where their arguments are."""

    def __init__(self, places: _Places) -> None:
        super().__init__()
        self.places = places

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = func.overloadpacket.__name__
        given = _tensors((args, kwargs))
        gpu = [self.places.on_gpu(t) for t in given]
        # Numbers, which tensors without dimensions are to CUDA, may be on the processor.
        strict = [on for on, t in zip(gpu, given, strict=True) if on or t.ndim]
        target = any(gpu)
        if name in _INDEXED and not gpu[0] and any(gpu[1:]):
            raise WrongDeviceError(f"{func}: indices on the GPU for values on the processor")
        if len(set(strict)) > 1 and name not in _ACROSS | _INDEXED:
            places = ["cuda" if on else "cpu" for on in gpu]
            shapes = [tuple(t.shape) for t in given]
            raise WrongDeviceError(f"{func} got tensors on {places} of the shapes {shapes}")
        if _is_gpu(kwargs.get("device")):
            target, kwargs["device"] = True, CPU
        elif not given and self.places.inside:
            target = self.places.inside[-1]
        elif kwargs.get("device") is not None and not self.places.inside:
            target = False
        if "pin_memory" in kwargs:
            kwargs["pin_memory"] = False
        before = {t.untyped_storage()._cdata for t in given}
        found = func(*args, **kwargs)
        for tensor in _tensors(found):
            if tensor.untyped_storage()._cdata not in before:  # neither a view nor in place
                self.places.put(tensor, target)
        self.places.calls += target
        return found


class _Functions(TorchFunctionMode):
    """Torch's functions as they behave where there is a GPU."""

    def __init__(self, places: _Places) -> None:
        super().__init__()
        self.places = places

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        first = args[0] if args else None
        name = getattr(func, "__name__", "")
        if isinstance(first, torch.Tensor):
            gpu = self.places.on_gpu(first)
            if func == torch.Tensor.device.__get__:
                return GPU if gpu else first.device  # which may be meta
            if func == torch.Tensor.is_cuda.__get__:
                return gpu
            if func is torch.Tensor.pin_memory:
                return first
            if func in (torch.Tensor.cuda, torch.Tensor.cpu):
                return self._moved(first, gpu=func is torch.Tensor.cuda)
            if func is torch.Tensor.to:
                return self._to(first, gpu, args[1:], kwargs)
            if func is torch.Tensor.numpy and gpu and not kwargs.get("force"):
                raise WrongDeviceError("numpy() of a tensor on the GPU")
            if func in (torch.Tensor.__array__,) and gpu:
                raise WrongDeviceError("an array of a tensor on the GPU")
            if name == "as_tensor":
                return self._to(first, gpu, (), kwargs)
        device = kwargs.get("device")
        if device is None or str(device) == "meta":
            return self._called(func, args, kwargs)
        found = self._called(func, args, {**kwargs, "device": CPU})
        for tensor in _tensors(found):
            self.places.put(tensor, _is_gpu(device))
        return found

    def _called(self, func: Any, args: Any, kwargs: Any) -> Any:
        self.places.inside.append(any(map(self.places.on_gpu, _tensors((args, kwargs)))))
        try:
            return func(*args, **kwargs)
        finally:
            self.places.inside.pop()

    def _moved(self, tensor: torch.Tensor, *, gpu: bool) -> torch.Tensor:
        if self.places.on_gpu(tensor) == gpu:
            return tensor
        copied = tensor.clone()
        self.places.put(copied, gpu)
        return copied

    def _to(
        self, tensor: torch.Tensor, gpu: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> torch.Tensor:
        if args and isinstance(args[0], torch.Tensor):
            gpu, dtype = self.places.on_gpu(args[0]), args[0].dtype
        else:
            places = [a for a in args if isinstance(a, torch.device | str)]
            places += [kwargs["device"]] if kwargs.get("device") is not None else []
            gpu = _is_gpu(places[0]) if places else gpu
            types = [a for a in args if isinstance(a, torch.dtype)]
            dtype = kwargs.get("dtype") or (types[0] if types else tensor.dtype)
        typed = torch.Tensor.to(tensor, dtype)
        if typed is not tensor:
            self.places.put(typed, gpu)
            return typed
        return self._moved(tensor, gpu=gpu)


@contextmanager
def pretend_gpu(memory: int = 2**40) -> Iterator[_Places]:
    """Within it there is one GPU; `calls` of what is yielded counts the operators on it.

    Args:
        memory: Bytes that are free on it.
    """
    places = _Places()
    answers = {
        "is_available": True,
        "device_count": 1,
        "current_device": 0,
        "is_bf16_supported": True,
        "get_device_name": "a pretended GPU",
        "mem_get_info": (memory, memory),
        "get_rng_state_all": [],
        "manual_seed_all": None,
        "manual_seed": None,
        "synchronize": None,
        "empty_cache": None,
    }
    patches = [
        mock.patch.object(torch.backends.cudnn, "is_acceptable", return_value=False),
        *(
            mock.patch.object(torch.cuda, name, lambda *_, answer=answer, **__: answer)
            for name, answer in answers.items()
        ),
    ]
    _in_use.clear()  # those that are not
    for patch in patches:
        patch.start()
    try:
        with _Operators(places), _Functions(places):
            yield places
    finally:
        for patch in patches:
            patch.stop()
        _in_use.clear()  # encoders that are on the GPU
