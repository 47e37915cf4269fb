"""What a request says: its body, within the limits, as what an agent decides on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from nlp_gym.errors import nearest, shown
from nlp_gym_agents.prediction.agent import Given
from nlp_gym_agents.serve.limits import Limits, RequestError
from nlp_gym_agents.serve.served import ServedRun

INPUTS = ("text", "texts", "samples")
"""Keys of which a body has exactly one."""
EXPLAIN_KEYS = ("gold", "top", "relevance")
"""Further keys of a body that asks for traces: options of `Agent.explain`."""
_DRAINED = 8
"""How many times the limit is read of a body that is too large, lest the answer be lost."""


async def read_body(request: Request, limits: Limits, content_type: str) -> bytes:
    """The body of a request.

    Args:
        request: The request.
        limits: `body_bytes` and `body_s` are used.
        content_type: The only one that is allowed.

    Raises:
        RequestError: It has another type (415), is too large (413) or comes too slowly (408).
    """
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if named != content_type:
        raise RequestError(
            415, f"Content-Type={shown(named)} is not taken: send {content_type}, in UTF-8."
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(415, "Content-Encoding is not taken: send the body as it is.")
    try:
        return await asyncio.wait_for(_collect(request, limits.body_bytes), limits.body_s)
    except (asyncio.TimeoutError, TimeoutError):
        raise RequestError(
            408,
            f"the body was not sent within {limits.body_s:g} seconds.",
            limit="body_s",
            headers={"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise RequestError(400, "the client went away before its request was sent.") from None


async def _collect(request: Request, most: int) -> bytes:
    """The body; of one that is too large a part is read and thrown away before it is refused."""
    parts, size = [], 0
    length = request.headers.get("content-length", "0")
    too_large = int(length) > most if length.isdigit() else False
    async for part in request.stream():
        size += len(part)
        too_large = too_large or size > most
        if too_large and size > _DRAINED * most:
            break
        if not too_large:
            parts.append(part)
    if too_large:
        raise RequestError(
            413,
            f"the body is larger than {most:,} bytes, which is the most: send fewer texts.",
            limit="body_bytes",
            headers={"Connection": "close"},
        )
    return b"".join(parts)


def parse_json(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        RequestError: It is none (400).
    """
    try:
        found = json.loads(body.decode("utf-8"), **_STRICT)
    except UnicodeDecodeError as error:
        raise RequestError(400, f"the body is not UTF-8 (byte {error.start + 1}).") from None
    except RecursionError:
        raise RequestError(400, "the body is not taken: it is nested too deeply.") from None
    except ValueError as error:
        raise RequestError(400, f"the body is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise RequestError(400, 'the body must be a JSON object, such as {"text": "..."}.')
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:  # which of the two is meant is anybody's guess
            raise ValueError(f"the key {shown(key)} is there twice")
        found[key] = value
    return found


_STRICT: dict[str, Any] = {"parse_constant": _refuse_constant, "object_pairs_hook": _object}


def check_keys(body: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Refuse a body with other keys than those `allowed` (400)."""
    for key in body:
        if key not in allowed:
            near = nearest(key, allowed)
            hint = f" Did you mean {shown(near)}?" if near else ""
            names = ", ".join(allowed)
            raise RequestError(400, f"the key {shown(key)} is not known.{hint} Allowed: {names}.")


def choose_run(body: Mapping[str, Any], runs: Sequence[ServedRun]) -> ServedRun:
    """The run that a body names; without a name the first.

    Raises:
        RequestError: There is none of that name (404).
    """
    name = body.get("run", runs[0].name)
    for run in runs:
        if run.name == name:
            return run
    names = ", ".join(run.name for run in runs)
    raise RequestError(404, f"run={shown(name)} is not served. Allowed: {names}.")


def inputs_of(
    body: Mapping[str, Any], run: ServedRun, limits: Limits, *, explains: bool = False
) -> tuple[list[Given], int]:
    """What a body asks a run to decide on, and how many characters that has.

    Args:
        body: It has exactly one of `INPUTS`.
        run: The run that decides.
        limits: `texts` and `characters` are used; for traces `explained` and
            `explained_characters` or `relevance_characters`.
        explains: Whether traces are asked for.

    Raises:
        RequestError: Keys or values are wrong (400), or it is too much (413).
        InvalidArgumentError: A sample cannot be read, or the run has several tasks.
    """
    names = ("texts", "characters")
    if explains:
        finds = body.get("relevance") is not None
        names = ("explained", "relevance_characters" if finds else "explained_characters")
    most, most_characters = (getattr(limits, name) for name in names)
    given = [key for key in INPUTS if key in body]
    if len(given) != 1:
        raise RequestError(
            400, f"the body has {given or 'none'} of the keys {', '.join(INPUTS)}: give one."
        )
    key, value = given[0], body[given[0]]
    if key == "text":
        items = [_checked(value, str, "text", "a string")]
    else:
        kind, what = (str, "a string") if key == "texts" else (dict, "an object")
        _checked(value, list, key, "a list")
        if len(value) > most:
            raise RequestError(
                413, f"{key} has {len(value):,} entries, and {most:,} are the most.", limit=names[0]
            )
        items = [_checked(item, kind, f"{key}[{i}]", what) for i, item in enumerate(value)]
    characters = sum(len(text) for item in items for text in _strings(item))
    if characters > most_characters:
        raise RequestError(
            413,
            f"{key} has {characters:,} characters, and {most_characters:,} are the most of a "
            "request of this kind.",
            limit=names[1],
        )
    if key == "samples":
        gold = _checked(body.get("gold", False), bool, "gold", "true or false")
        return run.samples(items, gold=gold), characters
    if body.get("gold"):
        raise RequestError(400, "gold=true is for samples, which can have their answers.")
    return items, characters


def _checked(value: Any, kind: type, name: str, what: str) -> Any:
    if not isinstance(value, kind):
        raise RequestError(400, f"{name}={shown(value)} must be {what}.")
    return value


def _strings(value: Any) -> Iterator[str]:
    """All strings in a value of JSON, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
