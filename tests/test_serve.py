"""`serve`: real servers on loopback, asked by real clients, some of which mean no good."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import LocalServer, tiny_run
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nlp_gym.errors import InvalidArgumentError, MissingDependencyError
from nlp_gym_agents.serve.body import inputs_of, parse_json
from nlp_gym_agents.serve.limits import Limits, RequestError
from nlp_gym_agents.serve.served import ServedRun, load_runs, require_answers
from nlp_gym_agents.serve.server import bind
from nlp_gym_agents.serve.start import start
from nlp_gym_agents.serve.worker import ModelThread

HOSTILE = "<script>alert(1)</script> \x1b[31mred\x1b[0m \u202eabc \x00 Ann"
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]")
"""Characters that command a terminal or turn a text around."""
JSON = "application/json"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ServedRun:
    """A barely trained tagger: what it predicts does not matter here."""
    (found,) = load_runs([tiny_run(tmp_path_factory.mktemp("serve") / "tagger")])
    return found


@pytest.fixture(scope="module")
def server(run: ServedRun) -> Iterator[LocalServer]:
    limits = {"explained": 2, "explained_characters": 300, "relevance_characters": 99}
    found = LocalServer([run], texts=5, characters=2000, **limits)
    yield found
    found.stop()


def plain(value: Any) -> Any:
    """Records without confidences, whose last decimal depends on what they are decided with."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if not k.startswith("confidence")}
    return [plain(item) for item in value] if isinstance(value, list) else value


def raw(port: int, data: bytes, *, rest: bytes = b"", pause: float = 0.0) -> bytes:
    """What a server answers to bytes; the `rest` is sent a byte at a time."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        for i in range(len(rest)):
            time.sleep(pause)
            try:
                connection.sendall(rest[i : i + 1])
            except OSError:
                break
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                answer += part
        return answer


def test_serve_predicts_what_the_agent_predicts(server: LocalServer, run: ServedRun) -> None:
    texts = ["Ann Lee lives in Rome.", "", "王小明在北京大学学习。", HOSTILE]
    expected = run.predict(texts)
    answer = server.post("/predict", {"texts": texts})
    assert answer.status_code == 200
    assert plain(answer.json()) == {"run": "tagger", "predictions": plain(expected)}
    alone = server.post("/predict", {"text": texts[0], "run": "tagger"}).json()
    assert plain(alone["predictions"]) == plain(expected[:1])
    rows = [{"words": ["Ann", "Lee"]}, {"text": "Bob  sings.", "id": "x7"}]
    found = server.post("/predict", {"samples": rows}).json()["predictions"]
    assert [record["text"] for record in found] == ["Ann Lee", "Bob  sings."]
    assert "id" not in found[0]
    assert found[1]["id"] == "x7"
    assert server.post("/predict", {"texts": []}).json()["predictions"] == []


def test_serve_explains(server: LocalServer) -> None:
    answer = server.post("/explain", {"texts": ["Ann sings.", HOSTILE], "top": 3})
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["traces"]
    assert first["env_id"] == "NER-CoNLL-v0"
    assert len(first["decisions"]) == 3
    assert second["output"]["text"] == HOSTILE
    blank = server.post("/explain", {"text": " ", "relevance": "auto"}).json()["traces"]
    assert blank[0]["decisions"] == []
    gold = {"words": ["Ann", "sings"], "labels": ["B-PER", "O"]}
    (trace,) = server.post("/explain", {"samples": [gold], "gold": True}).json()["traces"]
    assert trace["score"] is not None
    assert trace["decisions"][0]["reward"] is not None


def test_serve_answers_hold_nothing_that_acts(server: LocalServer) -> None:
    for path in ("/predict", "/explain"):
        answer = server.post(path, {"text": HOSTILE})
        assert not ACTS.search(answer.text)
        assert HOSTILE in (  # what is escaped means the same
            answer.json()["predictions"][0]["text"]
            if path == "/predict"
            else answer.json()["traces"][0]["output"]["text"]
        )
    refused = server.post("/predict", {"texts": [{HOSTILE: 1}]})
    assert refused.status_code == 400
    assert not ACTS.search(refused.text)


REFUSED: list[tuple[str, Any, int, str]] = [
    ("malformed", b'{"text": "Ann', 400, "not JSON"),
    ("not UTF-8", b'{"text": "\xff"}', 400, "not UTF-8"),
    ("no object", [1], 400, "JSON object"),
    ("nested", b"[" * 60_000, 400, "nested"),
    ("a number of JSON's friends", b'{"text": NaN}', 400, "NaN"),
    ("a huge integer", b'{"top": ' + b"9" * 5000 + b"}", 400, "not JSON"),
    ("a key", {"txt": "Ann"}, 400, "Did you mean 'text'"),
    ("two keys", {"text": "Ann", "texts": ["Bob"]}, 400, "give one"),
    ("no key", {}, 400, "give one"),
    ("no text", {"text": 7}, 400, "text=7 must be a string"),
    ("no list", {"texts": "Ann"}, 400, "must be a list"),
    ("an entry", {"texts": ["Ann", None]}, 400, "texts\\[1\\]=None"),
    ("half a character", {"text": "a \ud83d"}, 422, "surrogate"),
    ("a sample", {"samples": [{"words": ["a"]}, {"tex": "a"}]}, 422, "mapping 2, .*'words'"),
    ("too many", {"texts": ["a"] * 6}, 413, "6 entries, and 5 are the most"),
    ("too long", {"texts": ["a" * 1500, "b" * 600]}, 413, "2,100 characters"),
    ("too large", b'{"text": "' + b"a" * 1_200_000 + b'"}', 413, "1,048,576 bytes"),
    ("no such run", {"text": "a", "run": "b"}, 404, "run='b'.*tagger"),
]


@pytest.mark.parametrize(("body", "status", "message"), [r[1:] for r in REFUSED])
def test_serve_refuses(server: LocalServer, body: Any, status: int, message: str) -> None:
    answer = server.post("/predict", body)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == JSON
    assert re.search(message, answer.json()["error"]), answer.text
    assert "Traceback" not in answer.text


def test_serve_refusals_name_the_limit(server: LocalServer) -> None:
    for path, body, limit in [
        ("/predict", {"texts": ["a"] * 6}, "texts"),
        ("/predict", {"text": "a" * 3000}, "characters"),
        ("/predict", b" " * 1_200_000, "body_bytes"),
        ("/explain", {"texts": ["a"] * 3}, "explained"),
        ("/explain", {"text": "a" * 500}, "explained_characters"),
        ("/explain", {"text": "a" * 200, "relevance": "auto"}, "relevance_characters"),
    ]:
        assert server.post(path, body).json()["limit"] == limit


def test_serve_explain_checks_its_options(server: LocalServer) -> None:
    for options, status in [({"top": "x"}, 422), ({"gold": 1}, 400), ({"gold": True}, 400)]:
        answer = server.post("/explain", {"text": "Ann", **options})
        assert answer.status_code == status, answer.text
    answer = server.post("/explain", {"text": "Ann", "relevance": "occlusio"})
    assert answer.status_code == 422


def test_serve_takes_json_from_its_own_pages_and_programs_only(server: LocalServer) -> None:
    body = {"text": "Ann"}
    for headers, status in [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Origin": "https://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": server.url}, 200),
        ({"Host": "evil.test"}, 400),
        ({"Host": ""}, 400),
        ({"Host": "[::1"}, 400),
        ({"Host": f"model.test:{server.port}"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "192.0.2.7:80"}, 200),
    ]:
        answer = server.post("/predict", body, headers=headers)
        assert answer.status_code == status, (headers, answer.text)
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_serve_knows_its_paths_and_methods(server: LocalServer) -> None:
    assert requests.get(server.url + "/predict", timeout=10).status_code == 405
    lost = requests.get(server.url + "/../../etc/passwd", timeout=10)
    assert lost.status_code == 404
    assert "POST /predict" in lost.json()["error"]
    health = requests.get(server.url + "/health", timeout=10).json()
    assert health["status"] == "ok"
    assert health["runs"][0]["family"] == "tagging"
    about = requests.get(server.url + "/", timeout=10)
    assert about.headers["Content-Type"].startswith("text/html")
    assert "tagger" in about.text
    for name in set(re.findall(r'(?:href|src)="([^"#]+)"', about.text)):
        assert requests.get(f"{server.url}/{name}", timeout=10).status_code == 200


def resolve(document: dict[str, Any], value: Any) -> Any:
    """A schema behind its reference."""
    while "$ref" in value:
        place = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        value = place
    return value


KINDS = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}


def fits(document: dict[str, Any], schema: Any, value: Any) -> bool:
    """Whether a value is as a schema has it, for the words of JSON Schema that are used here."""
    schema = resolve(document, schema)
    known = {"type", "properties", "required", "additionalProperties", "oneOf", "items", "enum"}
    known |= {"maxItems", "maxLength", "description", "const", "minimum", "maximum"}
    assert set(schema) <= known, set(schema) - known
    if "const" in schema and value != schema["const"]:
        return False
    if schema.get("type") == "boolean":
        return isinstance(value, bool)
    if "type" in schema and not isinstance(value, KINDS[schema["type"]]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, list):
        items = schema.get("items", {})
        short = len(value) <= schema.get("maxItems", len(value))
        return short and all(fits(document, items, item) for item in value)
    if isinstance(value, int):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    if isinstance(value, str):
        return len(value) <= schema.get("maxLength", len(value))
    if not isinstance(value, dict):
        return True
    properties = schema.get("properties", {})
    if schema.get("additionalProperties") is False and set(value) - set(properties):
        return False
    if any(name not in value for name in schema.get("required", ())):
        return False
    if "oneOf" in schema and sum(fits(document, one, value) for one in schema["oneOf"]) != 1:
        return False
    return all(fits(document, properties[n], v) for n, v in value.items() if n in properties)


BODIES: list[tuple[str, Any]] = [
    ("/predict", {"text": "Ann"}),
    ("/predict", {"texts": ["Ann", "Bob"], "run": "tagger"}),
    ("/predict", {"samples": [{"words": ["Ann"]}]}),
    ("/predict", {"texts": ["a"] * 6}),
    ("/predict", {"text": "Ann", "texts": []}),
    ("/predict", {"txt": "Ann"}),
    ("/predict", {"text": 3}),
    ("/predict", {"text": "a", "run": "b"}),
    ("/predict", {"text": "a", "top": 3}),
    ("/predict", {}),
    ("/explain", {"text": "Ann", "top": 3}),
    ("/explain", {"text": "Ann", "top": 0}),
    ("/explain", {"text": "Ann", "gold": "yes"}),
    ("/explain", {"text": "Ann", "relevance": "occlusion"}),
    ("/explain", {"text": "Ann", "relevance": "guess"}),
    ("/explain", {"samples": [{"words": ["Ann"], "labels": ["O"]}], "gold": True}),
    ("/explain", {"texts": ["a"] * 3}),
]


def test_serve_openapi_says_what_the_server_does(server: LocalServer) -> None:
    document = requests.get(server.url + "/openapi.json", timeout=10).json()
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(document["info"])
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["operationId"]
            assert operation["summary"]
            for status, answer in operation["responses"].items():
                assert re.fullmatch("[1-5][0-9][0-9]", status)
                assert answer["description"]
                schema = answer["content"][JSON]["schema"]
                assert resolve(document, schema)["type"] == "object"
            if method == "get":
                found = requests.get(server.url + path, timeout=10)
                schema = operation["responses"]["200"]["content"][JSON]["schema"]
                assert fits(document, schema, found.json()), path
    for path, body in BODIES:
        operation = document["paths"][path]["post"]
        asked = fits(document, operation["requestBody"]["content"][JSON]["schema"], body)
        answer = server.post(path, body)
        assert asked == (answer.status_code == 200), (path, body, answer.text)
        schema = operation["responses"][str(answer.status_code)]["content"][JSON]["schema"]
        assert fits(document, schema, answer.json())


def test_serve_many_clients_get_each_their_own(run: ServedRun) -> None:
    server = LocalServer([run])
    texts = [f"Ann {i} lives in Rome {'and Oslo ' * (i % 5)}." for i in range(60)]
    expected = run.predict(texts)
    with server.busy() as free, ThreadPoolExecutor(60) as clients:
        answers = [clients.submit(server.post, "/predict", {"text": text}) for text in texts]
        server.wait_for(60)
        free.set()
        found = [answer.result().json()["predictions"][0] for answer in answers]
    assert plain(found) == plain(expected)
    models = server.service.models
    assert models.items == 61
    assert models.batches < 10
    server.stop()
    assert server.cut == 0


def test_serve_refuses_what_does_not_fit_the_queue(run: ServedRun) -> None:
    server = LocalServer([run], waiting=2)
    with server.busy() as free, ThreadPoolExecutor(2) as clients:
        answers = [clients.submit(server.post, "/predict", {"text": "Ann"}) for _ in range(2)]
        server.wait_for(2)
        refused = server.post("/predict", {"text": "Ann"})
        assert refused.status_code == 429
        assert refused.json()["limit"] == "waiting"
        assert refused.headers["Retry-After"]
        free.set()
        assert [answer.result().status_code for answer in answers] == [200, 200]
    server.stop()


def test_serve_gives_up_what_takes_too_long(run: ServedRun) -> None:
    server = LocalServer([run], answer_s=0.1)
    with server.busy():
        late = server.post("/predict", {"text": "Ann"})
        assert late.status_code == 503
        assert late.json()["limit"] == "answer_s"
    server.stop()
    assert server.service.models.items == 1  # nothing was computed for whoever was refused


def test_serve_computes_nothing_for_clients_that_went_away(run: ServedRun) -> None:
    server = LocalServer([run])
    with server.busy():
        body = b'{"text": "Ann"}'
        head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n"
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            server.wait_for(1)
        until = time.monotonic() + 20
        while not server.service.models._jobs[0].future.cancelled():
            assert time.monotonic() < until
            time.sleep(0.005)
    assert server.post("/predict", {"text": "Bob"}).status_code == 200
    assert server.service.models.items == 2
    server.stop()


def test_serve_does_not_wait_for_slow_clients(run: ServedRun) -> None:
    server = LocalServer([run], header_s=0.15, body_s=0.15)
    start = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
    answer = raw(server.port, start, rest=b"X-Slow: 1\r\n" * 20, pause=0.02)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"header_s"' in answer
    body = start + b"Content-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    answer = raw(server.port, body, rest=b" " * 100, pause=0.02)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"body_s"' in answer
    # The second request on a connection has no more time than the first one.
    good = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = raw(server.port, good + start, rest=b"X-Slow: 1\r\n" * 20, pause=0.02)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in answer
    # Nor has a body that nobody reads.
    lost = b"POST /lost HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n"
    began = time.monotonic()
    answer = raw(server.port, lost, rest=b" " * 400, pause=0.02)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert time.monotonic() - began < 400 * 0.02
    server.stop()


def test_serve_bounds_connections_and_heads(run: ServedRun) -> None:
    server = LocalServer([run], connections=2)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        time.sleep(0.1)
        answer = raw(server.port, b"")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"connections"' in answer
    for nonsense in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"A" * 70_000):
        answer = raw(server.port, nonsense)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'{"error"' in answer
    server.stop()


def test_serve_stops_when_what_it_accepted_is_answered(run: ServedRun) -> None:
    server = LocalServer([run])
    with server.busy() as free, ThreadPoolExecutor(3) as clients:
        answers = [clients.submit(server.post, "/predict", {"text": "Ann"}) for _ in range(3)]
        server.wait_for(3)
        server.server.should_exit = True
        until = time.monotonic() + 20
        while True:  # it stops listening first
            assert time.monotonic() < until
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            except OSError:
                break
        free.set()
        assert [answer.result().status_code for answer in answers] == [200] * 3
    server.stop()
    assert server.cut == 0


def test_serve_stops_in_its_grace_time(run: ServedRun) -> None:
    server = LocalServer([run], grace_s=0.2)
    with server.busy() as free, ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.post, "/predict", {"text": "Ann"})
        server.wait_for(1)
        server.server.should_exit = True
        assert answer.result().status_code == 503
        assert "stopped" in answer.result().json()["error"]
        free.set()
    server.stop()
    assert server.cut == 1


def test_serve_keeps_its_failures_to_itself(
    run: ServedRun, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: Request) -> Response:
        raise KeyError("the secret of the house")

    server = LocalServer([run], further=[Route("/fail", fail)])
    answer = requests.get(server.url + "/fail", timeout=10)
    server.stop()
    assert answer.status_code == 500
    assert set(answer.json()) == {"error"}
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "secret" in capfd.readouterr().err + caplog.text


def test_serve_one_bad_request_fails_no_other() -> None:
    models, gate = ModelThread(Limits(batch_wait_s=0.05)), threading.Event()

    def double(items: Sequence[int]) -> Sequence[int]:
        if 0 in items:
            raise ZeroDivisionError
        return [2 * item for item in items]

    def hold(items: Sequence[Any]) -> Sequence[Any]:
        gate.wait(20)
        return items

    models.submit(hold, [None])
    futures = [models.submit(double, items, joins=True) for items in ([1], [2, 0], [3, 4])]
    gate.set()
    assert futures[0].result(10) == [2]
    assert futures[2].result(10) == [6, 8]
    assert isinstance(futures[1].exception(10), ZeroDivisionError)
    assert models.batches == 2
    assert models.close(10)
    with pytest.raises(RequestError, match="stops"):
        models.submit(double, [1])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(), max_size=4), max_size=20), st.integers(1, 6))
def test_serve_batches_give_each_request_its_own(requests: list[list[int]], batch: int) -> None:
    models, sizes = ModelThread(Limits(batch=batch, batch_wait_s=1e-4)), []

    def negate(items: Sequence[int]) -> Sequence[int]:
        sizes.append(len(items))
        return [-item for item in items]

    futures = [models.submit(negate, items, joins=True) for items in requests]
    assert [list(future.result(10)) for future in futures] == [[-i for i in r] for r in requests]
    most = max([batch, *(len(items) for items in requests)])
    assert all(size <= most for size in sizes)
    assert models.close(10)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.sampled_from(["text", "texts", "samples", "gold"]), JSON_VALUES))
def test_serve_any_body_is_read_or_refused(run: ServedRun, body: dict[str, Any]) -> None:
    try:
        given_items, _ = inputs_of(body, run, Limits(texts=3, characters=50))
        assert len(given_items) <= 3
    except RequestError as error:
        refused = error.status
        assert refused in (400, 413, 422)
    except InvalidArgumentError as error:  # which is answered by 422 and its message
        message = str(error)
        assert "given" in message


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=40))
def test_serve_any_bytes_are_json_or_refused(body: bytes) -> None:
    try:
        assert isinstance(parse_json(body), dict)
    except RequestError as error:
        refused = error.status
        assert refused == 400


def test_serve_answers_of_nothing_but_problems_are_refused() -> None:
    require_answers([{"answers": ["a"], "problem": "b"}, {"problem": "c"}])
    require_answers([])
    with pytest.raises(ValueError, match="no query can be answered: b"):
        require_answers([{"answers": [], "problem": "b"}])


def test_serve_start_says_what_is_wrong(run: ServedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run.agent.trained.run
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidArgumentError, match=f"port={port}: .*in use"):
            start([folder], port=port, ready=lambda started: None)
    with pytest.raises(InvalidArgumentError, match=r"host='no\.such\.host\.invalid'"):
        bind("no.such.host.invalid", 0)
    with pytest.raises(InvalidArgumentError, match="waiting=0 must be above 0"):
        Limits(waiting=0)
    twice = load_runs([folder, folder])
    assert [one.name for one in twice] == ["tagger", "tagger-2"]
    monkeypatch.setitem(sys.modules, "nlp_gym_agents.serve.app", None)
    monkeypatch.delitem(sys.modules, "nlp_gym_agents.serve.app")
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    with pytest.raises(MissingDependencyError, match=r"nlp-gymnasium\[serve\]"):
        start([folder], ready=lambda started: None)


@pytest.mark.slow
def test_serve_command_answers_and_stops(run: ServedRun, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nlp_gym_agents.cli.main", "serve"]
    command += [str(run.agent.trained.run), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    body = {"text": "Ann sings. " * 200}
    with ThreadPoolExecutor(8) as clients:
        ask = [
            clients.submit(requests.post, f"{found[0]}/predict", json=body, timeout=60)
            for _ in range(8)
        ]
        while requests.get(f"{found[0]}/health", timeout=10).json()["waiting"] == 0:
            if all(one.done() for one in ask):
                break
        process.send_signal(signal.SIGTERM)
        statuses = [one.result().status_code for one in ask]
    out, err = process.communicate(timeout=60)
    assert statuses == [200] * 8
    assert (process.returncode, out, err) == (0, "", "")
