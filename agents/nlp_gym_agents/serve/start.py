"""From run folders to a server that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlp_gym.errors import MissingDependencyError
from nlp_gym.progress import progress_wanted

_NEEDED = ("starlette", "uvicorn", "h11")


@dataclass(frozen=True)
class Started:
    """A server that answers.

    Attributes:
        url: Its address.
        names: Names of its runs.
        is_local: Whether only this machine can reach it.
    """

    url: str
    names: tuple[str, ...]
    is_local: bool


def start(
    runs: Sequence[str | Path],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    allowed: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    page: bool = False,
    feedback: bool = False,
    learns: bool = False,
    progress: bool = False,
    ready: Callable[[Started], None],
) -> int:
    """Serve runs until SIGTERM or SIGINT.

    Args:
        runs: Run folders, at least one.
        host: Address to listen at.
        port: Port; 0: any that is free.
        allowed: Names under which clients ask for the server, besides ``localhost`` and `host`.
        options: Arguments of every `Agent`.
        limits: Fields of `Limits` in place of the defaults.
        page: Whether there is a page to try the runs on.
        feedback: Whether what clients say of predictions is kept.
        learns: Whether the page has a button that lets a run learn from it.
        progress: Show bars on stderr while the runs are loaded.
        ready: Is called once requests are answered.

    Returns:
        Number of requests that were accepted and not answered.

    Raises:
        MissingDependencyError: The packages of the extra `serve` are not installed.
        InvalidArgumentError: Nothing can listen there, or a limit is outside what is allowed.
        RunError: A run cannot be loaded.
    """
    try:
        from nlp_gym_agents.serve.app import Service, create_app
        from nlp_gym_agents.serve.limits import Limits
        from nlp_gym_agents.serve.served import load_runs
        from nlp_gym_agents.serve.server import bind, is_local, make_server, serve, url_of
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        raise MissingDependencyError(str(error.name), "serve", "a server") from error
    bounds = Limits(**(limits or {}))
    listening = bind(host, port)  # before minutes are spent on loading
    try:
        with progress_wanted(progress):
            served = load_runs(runs, **(options or {}))
        if not page:
            for run in served:
                run.require_one_task()
        service = Service(served, bounds, feedback=feedback, learns=learns)
        further: Sequence[Any] = ()
        if page:
            from nlp_gym_agents.serve.demo.routes import demo_routes

            further = demo_routes(service)
    except BaseException:
        listening.close()
        raise
    app = create_app(service, names=[host, *allowed], further=further)
    started = Started(url_of(listening), tuple(run.name for run in served), is_local(listening))
    server = make_server(app, service, ready=lambda: ready(started))
    return serve(server, service, listening)
