"""Functions that run on the nodes of a Ray cluster, again where a node dies.

Nodes share nothing but the installed packages: arguments and results travel as objects of Ray, and
what a function reads from a disk has to lie under the same path on every node.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import nlp_gym
from nlp_gym.errors import InvalidArgumentError, MissingDependencyError, RunError, shown

RETRIES = 3
"""How often a task is run again whose node or worker process died."""

_ADDRESS = re.compile(r"local|auto|(ray://)?[^\s:/]+:\d+")
_LOOK_S = 5.0
"""Seconds between two looks at which nodes are alive, while no task ends."""

_CANCELS = 5
"""How often a task that does not end is cancelled, a second apart."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Cluster:
    """Which cluster, and how much of it one task takes.

    Attributes:
        address: ``"local"`` starts one on this machine, ``"auto"`` joins the one that runs on it,
            ``"HOST:PORT"`` joins the one with that address.
        cpus: Processors, and threads, of each task.
    """

    address: str
    cpus: int = 1

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address):
            raise InvalidArgumentError(
                f"ray={shown(self.address)} is no address: give local (starts a cluster on this "
                "machine), auto (joins the one that runs on it) or HOST:PORT."
            )
        if self.cpus < 1:
            raise InvalidArgumentError(f"cpus={shown(self.cpus)} must be 1 or more.")

    @contextmanager
    def joined(self, purpose: str) -> Iterator[Workers]:
        """Within it the cluster can be used; what was started for it is stopped afterwards.

        Args:
            purpose: What needs the cluster, for messages.

        Raises:
            MissingDependencyError: Ray is not installed.
            RunError: No cluster answers.
        """
        ray = load_ray(purpose)
        own = not ray.is_initialized()
        if own:
            _start(ray, self.address)
        try:
            yield Workers(ray, self.cpus)
        finally:
            if own:
                ray.shutdown()


def load_ray(purpose: str) -> Any:
    """The package `ray`, with its reports to its makers switched off unless they are wanted.

    Raises:
        MissingDependencyError: It is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError("ray", "ray", purpose) from error
    return ray


def _start(ray: Any, address: str) -> None:
    local = {"include_dashboard": False} if address == "local" else {}
    try:
        if address not in ("local", "auto"):
            # Ray would try for several minutes.
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=_LOOK_S).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise RunError(
            f"ray={shown(address)}: no Ray cluster answers ({type(error).__name__}). Start one "
            "with `ray start --head` on one machine and `ray start --address=HOST:PORT` on the "
            "others, or give local."
        ) from error


class Workers:
    """The workers of a joined cluster.

    Args:
        ray: The package.
        cpus: Processors of each task.
    """

    def __init__(self, ray: Any, cpus: int) -> None:
        self._ray, self._cpus = ray, cpus

    def gpus_for(self, device: str) -> int:
        """GPUs of a task that computes on `device`; ``"auto"``: one where any node has one."""
        any_gpu = self._ray.cluster_resources().get("GPU", 0) >= 1
        return int(device.startswith("cuda") or (device == "auto" and any_gpu))

    def places(self, gpus: int = 0) -> int:
        """Number of tasks that run at the same time.

        Raises:
            RunError: Not one can.
        """
        fits = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                own = node["Resources"]
                by_gpu = own.get("GPU", 0) // gpus if gpus else float("inf")
                fits += int(min(own.get("CPU", 0) // self._cpus, by_gpu))
        if not fits:
            wanted = f"{self._cpus} CPUs" + (f" and {gpus} GPU" if gpus else "")
            raise RunError(f"No node of the Ray cluster has the {wanted} of a task: ask for less.")
        return fits

    def described(self) -> str:
        """Nodes and processors, for people."""
        cpus = self._ray.cluster_resources().get("CPU", 0)
        return f"Ray: {len(self._alive())} nodes with {cpus:g} CPUs"

    def put(self, value: Any) -> Any:
        """Hand a value to the nodes once; what is returned stands for it as an argument."""
        return self._ray.put(value)

    def run(
        self,
        function: Callable[..., Any],
        arguments: Iterable[tuple[Any, ...]],
        *,
        gpus: int = 0,
        ahead: int | None = None,
        ordered: bool = False,
        tell: Tell = lambda line: None,
    ) -> Iterator[tuple[int, Any]]:
        """Call a function for each of some arguments, and give the results as they come.

        A call whose node or worker process dies is made again elsewhere, at most `RETRIES` times.
        Calls that did not end are cancelled where the iteration is left early.

        Args:
            function: A function of a module that the nodes can import.
            arguments: Arguments of each call.
            gpus: GPUs of each call.
            ahead: How many calls are handed out before their results are taken; None: all.
            ordered: Give the results in the order of the arguments.
            tell: Called with a line when nodes died or came.

        Yields:
            The number of the call, and its result or the exception it ended with.
        """
        options = {"num_cpus": self._cpus, "num_gpus": gpus, "max_retries": RETRIES}
        remote = self._ray.remote(scheduling_strategy="SPREAD", **options)(_call)
        waiting = enumerate(arguments)
        pending: dict[Any, int] = {}
        nodes = self._alive()
        try:
            while True:
                while ahead is None or len(pending) < ahead:
                    number, values = next(waiting, (-1, ()))
                    if number < 0:
                        break
                    task = remote.remote(nlp_gym.__version__, self._cpus, function, *values)
                    pending[task] = number
                if not pending:
                    return
                watched = [next(iter(pending))] if ordered else list(pending)
                done, _ = self._ray.wait(watched, num_returns=1, timeout=_LOOK_S)
                nodes = self._changed(nodes, tell)
                for task in done:
                    yield pending.pop(task), self._outcome(task)
        finally:
            with suppress(self._ray.exceptions.RayError, RuntimeError):  # the cluster is gone
                self._cancel(list(pending))

    def _cancel(self, tasks: list[Any]) -> None:
        """Cancel tasks, some times: one that is being started may not hear of it at first."""
        for _ in range(_CANCELS):
            for task in tasks:
                self._ray.cancel(task, force=True)
            if tasks:
                _, tasks = self._ray.wait(tasks, num_returns=len(tasks), timeout=1.0)

    def _outcome(self, task: Any) -> Any:
        try:
            return self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            return error.cause if isinstance(error.cause, Exception) else error
        except self._ray.exceptions.RayError as error:
            return error

    def _alive(self) -> set[str]:
        return {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}

    def _changed(self, before: set[str], tell: Tell) -> set[str]:
        now = self._alive()
        if lost := len(before - now):
            tell(f"Ray: {lost} of {len(before)} nodes died; what ran there is run again.")
        if came := len(now - before):
            tell(f"Ray: {came} nodes came, {len(now)} are there.")
        return now


def _call(version: str, cpus: int, function: Callable[..., Any], *values: Any) -> Any:
    """A task: `function` on a node that has the same release, with so many threads."""
    if nlp_gym.__version__ != version:
        raise RunError(
            f"A node has nlp_gym {nlp_gym.__version__}, but {version} asks it to work: install the "
            "same release on all nodes."
        )
    os.environ["OMP_NUM_THREADS"] = str(cpus)  # which torch reads when it is imported
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(cpus)
    return function(*values)
