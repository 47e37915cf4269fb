"""Pages: templates in which every text is escaped, and the files that they ask for."""

from __future__ import annotations

from functools import cache, lru_cache, partial
from importlib import resources
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from nlp_gym.render.pages import page_templates

if TYPE_CHECKING:
    from jinja2 import Environment

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def page(template: str, *, status: int = 200, **values: Any) -> Response:
    """A page.

    Args:
        template: Name of its file in ``templates/``.
        status: The HTTP status.
        **values: What it shows.
    """
    return HTMLResponse(_templates().get_template(template).render(**values), status)


def static_routes(*names: str) -> list[Route]:
    """Routes of files of ``templates/`` that are sent as they are, such as ``demo.css``."""
    return [Route(f"/{name}", partial(_static, name), methods=["GET"]) for name in names]


async def _static(name: str, request: Request) -> Response:
    return Response(_content(name), media_type=_TYPES[name.rpartition(".")[2]])


@cache
def _content(name: str) -> bytes:
    return resources.files("nlp_gym_agents.serve").joinpath("templates", name).read_bytes()


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return page_templates("nlp_gym_agents.serve", lines=True)
