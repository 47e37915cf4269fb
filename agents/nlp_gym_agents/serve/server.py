"""The server process: its socket, slow clients, signals and its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym_agents.serve.app import Service
from nlp_gym_agents.serve.limits import Limits, RequestError

_IDLE_S = 30
"""Seconds that a connection is kept open between two requests."""
_HEAD_BYTES = 16_384
"""Most bytes of the head of a request."""
_LAST_LOOKS = 10
"""Turns of the event loop between a signal and the end of listening: clients may be waiting to be
accepted, and their requests to be read, where the processor is busy with the model."""
_LAST_S = 5.0
"""Seconds that the model has for what it is at when the server ends."""


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: Address or name of this machine.
        port: The port; 0: any that is free.

    Raises:
        InvalidArgumentError: It cannot be had: the port is in use, say.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None)
        is_port = number in (errno.EADDRINUSE, errno.EACCES)
        # Of a port that is taken, Python adds the address, which is named already.
        reason = os.strerror(number) if is_port and number else getattr(error, "strerror", error)
        advice = (
            "Give another --port, or --port 0 for any that is free."
            if is_port
            else "Give an address of this machine with --host, such as 127.0.0.1."
        )
        raise InvalidArgumentError(
            f"host={shown(host)}, port={port}: nothing can listen there ({reason}). {advice}"
        ) from error


def url_of(listening: socket.socket) -> str:
    """The address to ask for."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_local(listening: socket.socket) -> bool:
    """Whether only this machine can reach a socket."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def make_server(
    app: ASGIApp, service: Service, *, ready: Callable[[], None] | None = None
) -> uvicorn.Server:
    """A server that `serve` runs; its attribute `should_exit` stops it as SIGTERM does.

    Args:
        app: The application.
        service: What it shares.
        ready: Is called once requests are answered.
    """
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=_protocol(service.limits),
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=int(service.limits.grace_s) + 2,
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )
    return _Server(config, service, ready)


def serve(server: uvicorn.Server, service: Service, listening: socket.socket) -> int:
    """Answer requests until SIGTERM or SIGINT.

    Then nothing further is accepted, and what was accepted is answered, for `Limits.grace_s` at
    most. A second SIGINT ends at once.

    Args:
        server: Made by `make_server`.
        service: What it shares.
        listening: The socket, which is closed in the end.

    Returns:
        Number of requests that were accepted and not answered.
    """
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()
        service.models.close(_LAST_S)
    return service.cut


class _Server(uvicorn.Server):
    """Says when it is ready, and refuses what still waits at the end of the grace time."""

    def __init__(
        self, config: uvicorn.Config, service: Service, ready: Callable[[], None] | None
    ) -> None:
        super().__init__(config)
        self.service, self.ready = service, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.ready is not None:
            self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for _ in range(_LAST_LOOKS):  # what clients have sent by now is read, and so accepted
            await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        end = loop.call_later(self.service.limits.grace_s, self.service.cut_off)
        try:
            await super().shutdown(sockets)
        finally:
            end.cancel()

    def handle_exit(self, sig: int, frame: Any) -> None:
        if self.should_exit and sig == signal.SIGINT:
            self.service.cut_off()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals here; uvicorn's own raises them again once the server has ended."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _protocol(limits: Limits) -> type[H11Protocol]:
    """Uvicorn's protocol, with a limit of time for heads and one of open connections.

    uvicorn itself waits for the head of a request as long as its client likes.
    """

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self._timers: dict[str, asyncio.TimerHandle] = {}
            super().connection_made(transport)
            if len(self.connections) <= limits.connections:
                self._start("head", limits.header_s, self._too_slow)
                return
            self._end(
                RequestError(
                    503,
                    f"{limits.connections} connections are open already: try again later.",
                    limit="connections",
                )
            )

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            state = self.conn.their_state
            if state is not h11.SEND_BODY:
                self._stop("rest")
            if state is not h11.IDLE:
                self._stop("head")
            elif "head" not in self._timers:  # the next request on this connection has begun
                self._start("head", limits.header_s, self._too_slow)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.conn.their_state is h11.SEND_BODY:  # it is refused, and goes on to be sent
                self._start("rest", limits.body_s, self.transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop("head")
            self._stop("rest")
            super().connection_lost(exc)

        def timeout_keep_alive_handler(self) -> None:
            # Whoever has not read its answer by now keeps the connection for itself.
            if self.transport.get_write_buffer_size():
                self.transport.abort()
            else:
                super().timeout_keep_alive_handler()

        def send_400_response(self, msg: str) -> None:
            self._end(RequestError(400, f"this is no request of HTTP/1.1: {msg}"))

        def _start(self, timer: str, seconds: float, act: Callable[[], None]) -> None:
            self._stop(timer)
            self._timers[timer] = self.loop.call_later(seconds, act)

        def _stop(self, timer: str) -> None:
            if timer in self._timers:
                self._timers.pop(timer).cancel()

        def _too_slow(self) -> None:
            self._end(
                RequestError(
                    408,
                    f"the head of the request was not sent within {limits.header_s:g} seconds.",
                    limit="header_s",
                )
            )

        def _end(self, error: RequestError) -> None:
            """Answer without the application, and close the connection."""
            self._stop("head")
            if self.transport.is_closing():
                return
            body = json.dumps(error.content()).encode("ascii")
            head = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            self.transport.write(f"{head}Connection: close\r\n\r\n".encode("ascii") + body)
            self.transport.close()

    return Protocol
