"""The pages of the demo: forms that work without a script, which only makes them smoother."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from nlp_gym.errors import InvalidArgumentError, NLPGymError, shown
from nlp_gym.inert import one_line
from nlp_gym.types import SPLITS
from nlp_gym_agents.explain.page import trace_html
from nlp_gym_agents.prediction.feedback.report import FeedbackCount
from nlp_gym_agents.prediction.feedback.stages import LEARNED
from nlp_gym_agents.serve.app import Service
from nlp_gym_agents.serve.body import inputs_of, read_body
from nlp_gym_agents.serve.demo.forms import Form, example_of, form_of
from nlp_gym_agents.serve.demo.play import AGENT, REST, Episode, Episodes, View
from nlp_gym_agents.serve.demo.record import Outcome, outcome_of
from nlp_gym_agents.serve.demo.said import (
    MOST_LABELS,
    MOST_WORDS,
    AnswerForm,
    answer_form,
    answer_of,
)
from nlp_gym_agents.serve.feedback import Said, keep
from nlp_gym_agents.serve.limits import RequestError
from nlp_gym_agents.serve.pages import page, static_routes
from nlp_gym_agents.serve.served import ServedRun

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 50
_MOST_ANSWERS = _MOST_FIELDS + max(MOST_WORDS, MOST_LABELS)
_WORTH = {"right": 1.0, "wrong": 0.0}
Handler = Callable[["_Demo", Request], Awaitable[Response]]


@dataclass(frozen=True)
class Decided:
    """What one run made of the form.

    Attributes:
        run: The run.
        outcome: What it decided, to be drawn.
        trace: Why, as HTML.
        correcting: What is filled in to correct it; None: it is not asked for.
        policy: Which weights decided.
        kept: What is kept of the run.
    """

    run: ServedRun
    outcome: Outcome
    trace: str
    correcting: AnswerForm | None = None
    policy: str = ""
    kept: FeedbackCount = field(default_factory=FeedbackCount)

    @property
    def learned(self) -> bool:
        """Whether the run was learned from use, so that it can go back."""
        return (self.run.agent.trained.run / LEARNED).exists()


class _Demo:
    """What the pages share."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.episodes = Episodes(service.limits)
        forms: dict[str, tuple[Form, list[ServedRun]]] = {}
        for run in service.runs:
            if (form := form_of(run)) is not None:
                forms.setdefault(form.key, (form, []))[1].append(run)
        self.examples = {key: example_of(form, runs[0]) for key, (form, runs) in forms.items()}
        self.forms = forms
        """By the key of a form: the form, and the runs that it is for."""

    def page(self, template: str, here: str, **values: Any) -> Response:
        """A page with the links to the others."""
        links = [
            (f"./?{urlencode({'form': key})}", form.name, key)
            for key, (form, _) in self.forms.items()
        ]
        links.append(("play", "Play by hand", "play"))
        return page(template, links=links, here=here, **values)


def demo_routes(service: Service) -> list[BaseRoute]:
    """The routes of the demo; ``/`` is one of them."""
    demo = _Demo(service)

    def route(path: str, handler: Handler, method: str) -> Route:
        return Route(path, partial(_guarded, handler, demo), methods=[method])

    said = [route("/said", _said, "POST")] if service.feedback else []
    if service.learns:
        said += [route("/learn", _learn, "POST"), route("/revert", _revert, "POST")]
    return [
        *said,
        route("/", _ask_page, "GET"),
        route("/", _decide, "POST"),
        route("/play", _play_page, "GET"),
        route("/play", _start, "POST"),
        route("/episode", _episode_page, "GET"),
        route("/episode", _step, "POST"),
        *static_routes("demo.css", "demo.js"),
    ]


async def _guarded(handler: Handler, demo: _Demo, request: Request) -> Response:
    """A page that says what is wrong where a handler refuses."""
    try:
        return await handler(demo, request)
    except RequestError as error:
        refused = error
    except NLPGymError as error:
        refused = RequestError(422, one_line(str(error)))
    values = {"message": refused.message, "status": refused.status}
    answer = demo.page("refused.html", "", **values)
    answer.status_code = refused.status
    answer.headers.update(refused.headers)
    return answer


async def _fields(demo: _Demo, request: Request, most: int = _MOST_FIELDS) -> dict[str, list[str]]:
    """The fields of a form that was sent; line ends are line feeds, as in the text it holds."""
    body = await read_body(request, demo.service.limits, _FORM)
    try:
        found = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=most)
    except ValueError as error:
        raise RequestError(400, f"the form cannot be read: {error}.") from None
    return {
        name: [value.replace("\r\n", "\n") for value in values] for name, values in found.items()
    }


def _form(demo: _Demo, key: str | None) -> tuple[Form, list[ServedRun]] | None:
    if not demo.forms:
        return None
    first = next(iter(demo.forms))
    if key is not None and key not in demo.forms:
        raise RequestError(404, f"form={shown(key)} is not known.")
    return demo.forms[key or first]


def _asking(
    demo: _Demo,
    form: Form,
    *,
    values: Mapping[str, str],
    chosen: Collection[str],
    finds: bool = False,
    decided: Sequence[Decided] = (),
    problem: str = "",
    notice: str = "",
) -> Response:
    """The page with a form, and with what was decided on it."""
    return demo.page(
        "ask.html",
        form.key,
        form=form,
        runs=demo.forms[form.key][1],
        values=values,
        chosen=chosen,
        finds=finds,
        decided=decided,
        problem=problem,
        notice=notice,
        feedback=demo.service.feedback,
        learns=demo.service.learns,
    )


async def _ask_page(demo: _Demo, request: Request) -> Response:
    found = _form(demo, request.query_params.get("form"))
    if found is None:  # mixtures alone
        return RedirectResponse("play", 303)
    form, runs = found
    return _asking(demo, form, values=demo.examples[form.key], chosen={run.name for run in runs})


async def _decide(demo: _Demo, request: Request) -> Response:
    sent = await _fields(demo, request)
    found = _form(demo, sent.get("form", [None])[0])
    if found is None:
        raise RequestError(404, "no run can be asked.")
    form, runs = found
    values = {field.name: sent.get(field.name, [""])[0] for field in form.fields}
    names, finds = set(sent.get("run", [])), "relevance" in sent
    show = partial(_asking, demo, form, values=values, chosen=names, finds=finds)
    chosen = [run for run in runs if run.name in names]
    try:
        if not chosen:
            raise RequestError(422, "no run is chosen: tick one at least.")
        body = form.body(values) | ({"relevance": "auto"} if finds else {})
        return show(decided=[await _ask(demo, request, run, body) for run in chosen])
    except (RequestError, NLPGymError) as error:
        answer = show(problem=one_line(str(error)))
        answer.status_code = error.status if isinstance(error, RequestError) else 422
        return answer


async def _ask(demo: _Demo, request: Request, run: ServedRun, body: dict[str, Any]) -> Decided:
    service = demo.service
    given, _ = inputs_of(body, run, service.limits, explains=True)

    number = service.runs.index(run) + 1

    def decide(items: Sequence[Any]) -> list[Decided]:
        (trace,) = run.explain(items, relevance=body.get("relevance"))
        drawn = trace_html(trace, whole_page=False, prefix=f"run{number}-")
        decided = Decided(run, outcome_of(trace), drawn)
        if not service.feedback or not trace.output:
            return [decided]
        form, kept = answer_form(run, trace.output), run.agent.count_feedback()
        return [replace(decided, correcting=form, policy=run.agent.policy, kept=kept)]

    (decided,) = await service.ask(request, decide, given)
    return decided


async def _said(demo: _Demo, request: Request) -> Response:
    """Keep what a person says of a decision, and show what is decided on the text once more."""
    sent = await _fields(demo, request, _MOST_ANSWERS)
    service, word = demo.service, sent.get("say", [""])[0]

    def say(run: ServedRun, body: dict[str, Any]) -> str:
        given = body["text"] if "text" in body else body["samples"][0]
        if word == "correct":
            kept = keep(run, Said(given, correct=answer_of(sent)), service.limits)
            what = "Your answer"
        elif word in _WORTH:
            if sent.get("policy", [""])[0] != run.agent.policy:
                raise RequestError(
                    409, f"{run.name} has learned since it decided: look at what it says now."
                )
            kept = keep(run, Said(given, reward=_WORTH[word]), service.limits)
            what = f"That it is {word}"
        else:
            raise RequestError(422, f"say={shown(word)} must be right, wrong or correct.")
        return f"{what} is kept: {kept!s}."

    return await _told(demo, request, sent, say)


async def _learn(demo: _Demo, request: Request) -> Response:
    """Let a run learn from its feedback, into a new folder that then decides here."""

    def learn(run: ServedRun, body: dict[str, Any]) -> str:
        report = run.agent.learn(evaluate=False)
        return f"{report.run.name}: {'; '.join(report.lines())}."

    return await _told(demo, request, await _fields(demo, request), learn)


async def _revert(demo: _Demo, request: Request) -> Response:
    """Let a run decide as it did before it learned last."""

    def revert(run: ServedRun, body: dict[str, Any]) -> str:
        return f"{run.agent.revert().name} decides again."

    return await _told(demo, request, await _fields(demo, request), revert)


async def _told(
    demo: _Demo,
    request: Request,
    sent: Mapping[str, list[str]],
    do: Callable[[ServedRun, dict[str, Any]], str],
) -> Response:
    """Do something about one run, say what, and show its decision on the form as it is now.

    Args:
        demo: The pages.
        request: Whom it is for.
        sent: The fields of the form, with `run` and those that were decided on.
        do: Is called in the thread of the models, with the run and the body of a request for it.
    """
    found = _form(demo, sent.get("form", [None])[0])
    if found is None:
        raise RequestError(404, "no run can be asked.")
    form, runs = found
    values = {field.name: sent.get(field.name, [""])[0] for field in form.fields}
    name = sent.get("run", [""])[0]
    run = next((run for run in runs if run.name == name), None)
    if run is None:
        raise RequestError(404, f"run={shown(name)} is not served.")
    body = form.body(values)
    inputs_of(body, run, demo.service.limits, explains=True)  # within the limits
    show = partial(_asking, demo, form, values=values, chosen={run.name})

    def call(items: Sequence[Any]) -> list[str]:
        return [do(run, body)]

    try:
        (notice,) = await demo.service.ask(request, call, [None])
        return show(decided=[await _ask(demo, request, run, body)], notice=notice)
    except (RequestError, NLPGymError) as error:
        answer = show(problem=one_line(str(error)))
        answer.status_code = error.status if isinstance(error, RequestError) else 422
        return answer


async def _play_page(demo: _Demo, request: Request) -> Response:
    runs = demo.service.runs
    run = request.query_params.get("run", runs[0].name)
    return demo.page("play.html", "play", runs=runs, splits=SPLITS, run=run, split="dev", sample=1)


async def _start(demo: _Demo, request: Request) -> Response:
    sent = {name: values[0] for name, values in (await _fields(demo, request)).items()}
    name, split, sample = sent.get("run"), sent.get("split", "dev"), sent.get("sample", "1")
    run = next((run for run in demo.service.runs if run.name == name), None)
    if run is None:
        raise RequestError(404, f"run={shown(name)} is not served.")
    if split not in SPLITS:
        raise InvalidArgumentError(f"split={shown(split)} must be one of {', '.join(SPLITS)}.")
    if not (sample.isascii() and sample.isdigit() and len(sample) < 10):
        raise InvalidArgumentError(f"sample={shown(sample)} must be a number from 1.")
    row = int(sample) - 1

    def begin(_: Sequence[Any]) -> list[str]:
        episode = Episode(run, split, row)
        demo.episodes.add(episode)
        return [episode.id]

    (name,) = await demo.service.ask(request, begin, [None])
    return _to_episode(name)


async def _episode_page(demo: _Demo, request: Request) -> Response:
    name, query = (request.query_params.get(key, "") for key in ("id", "q"))

    def look(_: Sequence[Any]) -> list[View]:
        return [demo.episodes.get(name).view(query[:100])]

    (view,) = await demo.service.ask(request, look, [None])
    return demo.page("episode.html", "play", view=view, agent=AGENT, rest=REST)


async def _step(demo: _Demo, request: Request) -> Response:
    sent = {name: values[0] for name, values in (await _fields(demo, request)).items()}

    def play(_: Sequence[Any]) -> list[str]:
        episode = demo.episodes.get(sent.get("id", ""))
        if sent.get("step") == str(episode.step):  # else the button was pressed twice
            episode.play(sent.get("choice", ""))
        return [episode.id]

    (name,) = await demo.service.ask(request, play, [None])
    return _to_episode(name)


def _to_episode(name: str) -> Response:
    return RedirectResponse(f"episode?{urlencode({'id': name})}", 303)
