"""What `nlp-gym serve` answers under load, and what it says to clients that mean no good.

First the agent decides in a bare loop, one text at a time and 64 at a time. Then a server of
its own is started on 127.0.0.1, and clients ask it for the same texts, each on a connection that it
keeps open. Afterwards come requests that are too large, malformed or slow, and it is stopped
while it is busy. Nothing but 127.0.0.1 is ever asked.

    python benchmarks/speed/serving.py RUN
    python benchmarks/speed/serving.py RUN --clients 50 --requests 2000
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym.messages import one_line_errors
from nlp_gym_agents import load_agent

HOST = "127.0.0.1"
BATCH = 64


class Client:
    """One connection that is kept open.

    Args:
        port: Port of the server.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def send(self, data: bytes) -> None:
        """Send bytes; the connection is made where there is none."""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(HOST, self.port)
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer; status 0: the connection was closed without one."""
        assert self.reader is not None
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            self.close()
            return 0, b""
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        body = await self.reader.readexactly(int(length[1]) if length else 0)
        if re.search(rb"connection: close", head, re.IGNORECASE):
            self.close()
        return int(head.split()[1]), body

    async def post(
        self, path: str, body: bytes, kind: str = "application/json"
    ) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""
        await self.send(request(self.port, path, body, kind))
        return await self.answer()

    def close(self) -> None:
        """Close the connection."""
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


def request(port: int, path: str, body: bytes, kind: str = "application/json") -> bytes:
    """The bytes of a request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


@contextlib.contextmanager
def server(run: Path, *options: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A server of the run on a free port of 127.0.0.1, stopped in the end."""
    command = [sys.executable, "-m", "nlp_gym_agents.cli.main", "serve", str(run)]
    command += ["--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        if found is None:
            raise SystemExit("The server did not start; see its message above.")
        yield int(found[1]), process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


def bare_rates(agent: Any, texts: Sequence[str], seconds: float) -> dict[str, float]:
    """Texts per second of a loop over `agent.predict`, one at a time and in batches."""
    rates = {}
    for name, size in (("one text at a time", 1), (f"{BATCH} texts at a time", BATCH)):
        done, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            first = done % len(texts)
            agent.predict([texts[(first + i) % len(texts)] for i in range(size)])
            done += size
        rates[name] = done / elapsed
    return rates


async def load(
    port: int, texts: Sequence[str], clients: int, requests: int
) -> tuple[Counter[int], list[float], float]:
    """Answers by status, seconds of each, and seconds in all."""
    left, statuses, seconds = iter(range(requests)), Counter[int](), list[float]()

    async def ask() -> None:
        client = Client(port)
        for i in left:
            body = json.dumps({"text": texts[i % len(texts)]}).encode()
            start = time.perf_counter()
            status, answer = await client.post("/predict", body)
            seconds.append(time.perf_counter() - start)
            right = status != 200 or json.loads(answer)["predictions"][0]["text"]
            statuses[status if right else -1] += 1
        client.close()

    start = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(clients)))
    return statuses, seconds, time.perf_counter() - start


async def _slow_head(client: Client) -> tuple[int, bytes]:
    await client.send(b"POST /predict HTTP/1.1\r\n")
    return await _dribble(client, b"X-Slow: 1\r\n" * 100)


async def _slow_body(client: Client) -> tuple[int, bytes]:
    await client.send(request(client.port, "/predict", b" " * 1000)[:-990])
    return await _dribble(client, b" " * 900)


async def _dribble(client: Client, data: bytes) -> tuple[int, bytes]:
    """Send a byte at a time, ten a second, until there is an answer."""
    answer = asyncio.ensure_future(client.answer())
    for i in range(len(data)):
        await asyncio.wait({answer}, timeout=0.1)
        if answer.done():
            break
        with contextlib.suppress(ConnectionError):
            await client.send(data[i : i + 1])
    return await answer


def hostile(text: str) -> dict[str, Callable[[Client], Awaitable[tuple[int, bytes]]]]:
    """Requests by what is wrong with them."""
    long = " ".join((text.split() * 10_000)[:10_000])
    many = json.dumps({"texts": [text] * 257}).encode()
    return {
        "a text of 10,000 words": lambda c: c.post("/predict", _text(long)),
        "a body of 2 MB": lambda c: c.post("/predict", _text("a" * 2_000_000)),
        "a text of 200,000 characters": lambda c: c.post("/predict", _text("ab " * 66_667)),
        "257 texts": lambda c: c.post("/predict", many),
        "malformed JSON": lambda c: c.post("/predict", b'{"text": "Ann'),
        "100,000 nested lists": lambda c: c.post("/predict", b"[" * 100_000),
        "a form in place of JSON": lambda c: c.post("/predict", b"text=Ann", "text/plain"),
        "a wrong key": lambda c: c.post("/predict", b'{"txt": "Ann"}'),
        "a wrong value": lambda c: c.post("/predict", b'{"text": 7}'),
        "half a surrogate pair": lambda c: c.post("/predict", b'{"text": "a \\ud83d"}'),
        "no HTTP": lambda c: c.post("/predict\0", b"\0\0"),
        "a head that dribbles": _slow_head,
        "a body that dribbles": _slow_body,
    }


def _text(text: str) -> bytes:
    return json.dumps({"text": text}).encode()


async def try_hostile(port: int, text: str) -> None:
    """Print the answer to each hostile request, and whether the server is still well after it."""
    for name, ask in hostile(text).items():
        client, start = Client(port), time.perf_counter()
        status, body = await asyncio.wait_for(ask(client), 120)
        took = time.perf_counter() - start
        client.close()
        well, _ = await Client(port).post("/predict", _text(text))
        said = json.loads(body).get("error", "an answer")[:70] if body else "closed"
        print(f"  {name:30} {status}  {took:6.2f} s  then {well}   {said}")


async def stop_while_busy(port: int, process: subprocess.Popen[str], text: str) -> None:
    """Stop the server by SIGTERM while 64 clients wait; print what they were told."""
    clients = [Client(port) for _ in range(64)]
    for client in clients:
        await client.send(request(port, "/predict", _text(f"{text} " * 20)))
    await asyncio.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    start = time.perf_counter()
    answers = await asyncio.wait_for(asyncio.gather(*(c.answer() for c in clients)), 60)
    code = await asyncio.to_thread(process.wait, 60)
    statuses = dict(Counter(status for status, _ in answers))
    print(
        f"  kill -TERM while 64 requests wait: {statuses}, exit code {code} after "
        f"{time.perf_counter() - start:.2f} s"
    )


def main() -> None:
    """Measure one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder of an agent that reads texts")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each bare loop")
    args = parser.parse_args()
    agent = load_agent(args.run)
    samples = agent.trained.task("test").corpus.samples
    texts = [str(sample.extra.get("text", " ".join(sample.words))) for sample in samples]
    agent.predict(texts[:BATCH])
    for name, rate in bare_rates(agent, texts, args.seconds).items():
        print(f"agent.predict, {name:22} {rate:8.1f} texts/s")
    with server(args.run) as (port, _):
        statuses, seconds, took = asyncio.run(load(port, texts, args.clients, args.requests))
    errors = sum(n for status, n in statuses.items() if status != 200)
    middle, high = np.quantile(seconds, [0.5, 0.99]) * 1000
    print(f"serve, {args.clients} clients              {len(seconds) / took:8.1f} requests/s")
    print(f"  {len(seconds):,} requests, {errors} errors {dict(statuses)}")
    print(f"  median {middle:.0f} ms, 99th percentile {high:.0f} ms, longest {max(seconds):.2f} s")
    print("Hostile requests: status, seconds, and the status of a good request after it")
    with server(args.run) as (port, process):
        asyncio.run(try_hostile(port, texts[0]))
        asyncio.run(stop_while_busy(port, process, texts[0]))


if __name__ == "__main__":
    with one_line_errors():
        main()
