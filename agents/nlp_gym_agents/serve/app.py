"""The application: `/predict`, `/explain`, `/health`, `/openapi.json`, and a page that says so."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from nlp_gym import __version__
from nlp_gym.errors import NLPGymError
from nlp_gym.inert import one_line
from nlp_gym_agents.prediction.feedback.report import FeedbackCount
from nlp_gym_agents.serve.answers import error_answer, json_answer
from nlp_gym_agents.serve.body import (
    EXPLAIN_KEYS,
    INPUTS,
    check_keys,
    choose_run,
    inputs_of,
    parse_json,
    read_body,
)
from nlp_gym_agents.serve.feedback import keep, said_of
from nlp_gym_agents.serve.guard import Guard
from nlp_gym_agents.serve.limits import Limits, RequestError
from nlp_gym_agents.serve.openapi import description
from nlp_gym_agents.serve.pages import page, static_routes
from nlp_gym_agents.serve.served import ServedRun, require_answers
from nlp_gym_agents.serve.worker import Call, ModelThread

_JSON = "application/json"


class Service:
    """What the handlers of requests share: the runs, the thread of the models and the limits.

    Args:
        runs: At least one.
        limits: What a client may ask for.
        feedback: Keep what clients say of predictions.
        learns: Let them have runs learn from it.
    """

    def __init__(
        self,
        runs: Sequence[ServedRun],
        limits: Limits,
        *,
        feedback: bool = False,
        learns: bool = False,
    ) -> None:
        self.runs, self.limits = list(runs), limits
        self.feedback, self.learns = feedback or learns, learns
        self.models = ModelThread(limits)
        self.started = time.monotonic()
        self.cut = 0
        """Number of requests that were accepted and got no answer before the server stopped."""
        self._stop: asyncio.Future[None] | None = None

    @property
    def stop(self) -> asyncio.Future[None]:
        """Is done once requests are waited for no longer; belongs to the loop that serves."""
        if self._stop is None:
            self._stop = asyncio.get_running_loop().create_future()
        return self._stop

    def cut_off(self) -> None:
        """Refuse the requests that still wait."""
        if not self.stop.done():
            self.stop.set_result(None)

    async def ask(
        self, request: Request, call: Call, items: Sequence[Any], **how: Any
    ) -> Sequence[Any]:
        """What a call in the thread of the models gives.

        Args:
            request: Whom it is for: where the client goes away, nothing is computed for it.
            call: What is called.
            items: With what.
            **how: As for `ModelThread.submit`.

        Raises:
            RequestError: Too many wait (429), it took too long or the server stops (503).
        """
        future = self.models.submit(call, items, **how)
        answered = asyncio.wrap_future(future)
        gone = asyncio.ensure_future(_disconnect(request))
        awaited: set[asyncio.Future[Any]] = {answered, gone, self.stop}
        try:
            await asyncio.wait(
                awaited,
                timeout=self.limits.answer_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            gone.cancel()
        if answered.done() and not answered.cancelled():
            return answered.result()
        answered.cancel()
        if gone.done() and not gone.cancelled():
            raise RequestError(400, "the client went away.")
        if self.stop.done() or future.cancelled():
            self.cut += 1
            raise RequestError(503, "the server stopped before the answer was found.")
        raise RequestError(
            503,
            f"no answer was found within {self.limits.answer_s:g} seconds: send shorter texts, or "
            "try again later.",
            limit="answer_s",
            headers={"Retry-After": "5"},
        )


async def _disconnect(request: Request) -> None:
    """Wait until the client has gone away; what it still sends is thrown away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def create_app(
    service: Service, *, names: Sequence[str] = (), further: Sequence[BaseRoute] = ()
) -> ASGIApp:
    """The application of a service.

    Args:
        service: The runs and the limits.
        names: Names of this server besides ``localhost``; see `Guard`.
        further: Routes of further pages; one with the path ``/`` takes the place of the page that
            says what this is.
    """
    app = Starlette(
        routes=[
            Route("/predict", partial(_predict, service), methods=["POST"]),
            Route("/explain", partial(_explain, service), methods=["POST"]),
            *(
                [Route("/feedback", partial(_feedback, service), methods=["POST"])]
                if service.feedback
                else []
            ),
            Route("/health", partial(_health, service), methods=["GET"]),
            Route("/openapi.json", partial(_openapi, service), methods=["GET"]),
            *further,
            Route("/", partial(_about, service), methods=["GET"]),
            *static_routes("site.css", "icon.svg"),
        ],
        exception_handlers={
            RequestError: _refused,
            HTTPException: _not_found,
            NLPGymError: _not_decided,
            Exception: _failed,
        },
    )
    return Guard(app, names)


async def _predict(service: Service, request: Request) -> Response:
    body = parse_json(await read_body(request, service.limits, _JSON))
    check_keys(body, (*INPUTS, "run"))
    run = choose_run(body, service.runs)
    given, size = inputs_of(body, run, service.limits)
    if not given:
        return json_answer({"run": run.name, "predictions": []})
    records = await service.ask(request, run.predict, given, characters=size, joins=True)
    require_answers(records)
    return json_answer({"run": run.name, "predictions": list(records)})


async def _explain(service: Service, request: Request) -> Response:
    body = parse_json(await read_body(request, service.limits, _JSON))
    check_keys(body, (*INPUTS, "run", *EXPLAIN_KEYS))
    run = choose_run(body, service.runs)
    given, _ = inputs_of(body, run, service.limits, explains=True)
    if not given:
        return json_answer({"run": run.name, "traces": []})
    options = {key: body[key] for key in EXPLAIN_KEYS if key in body}
    traces = await service.ask(request, partial(run.explain, **options), given)
    return json_answer({"run": run.name, "traces": [trace.to_dict() for trace in traces]})


async def _feedback(service: Service, request: Request) -> Response:
    body = parse_json(await read_body(request, service.limits, _JSON))
    run = choose_run(body, service.runs)
    said = said_of(body, run, service.limits)

    def call(items: Sequence[Any]) -> list[FeedbackCount]:
        return [keep(run, said, service.limits)]

    (kept,) = await service.ask(request, call, [said])
    return json_answer({"run": run.name, "kept": asdict(kept)})


async def _health(service: Service, request: Request) -> Response:
    models = service.models
    return json_answer(
        {
            "status": "ok",
            "version": __version__,
            "seconds": round(time.monotonic() - service.started, 3),
            "waiting": models.waiting,
            "batches": models.batches,
            "decided": models.items,
            "runs": [run.facts for run in service.runs],
        }
    )


async def _openapi(service: Service, request: Request) -> Response:
    return json_answer(description(service.runs, service.limits, feedback=service.feedback))


async def _about(service: Service, request: Request) -> Response:
    runs = [run.facts for run in service.runs]
    url = shlex.quote(str(request.url.replace(path="/predict", query="")))
    example = f"curl {url} -H 'Content-Type: application/json' -d '{_example(service.runs[0])}'"
    return page("about.html", runs=runs, version=__version__, example=example)


def _example(run: ServedRun) -> str:
    return '{"text": "Ann Lee lives in Rome."}' if run.agent.reads_text else '{"samples": [{...}]}'


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error_answer(error)


async def _not_decided(request: Request, error: Exception) -> Response:
    """The agent cannot decide on what was given, and says why."""
    return error_answer(RequestError(422, one_line(str(error))))


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = "GET /, POST /predict, POST /explain, GET /health, GET /openapi.json"
    message = f"{error.detail}: this server has {known}."
    return error_answer(RequestError(error.status_code, message, headers=error.headers))


async def _failed(request: Request, error: Exception) -> Response:
    """A bug, whose traceback stays with the server."""
    return error_answer(RequestError(500, "the server failed; its own log says why."))
