"""HTML pages from templates in which no text of others can act."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlp_gym.inert import visible

if TYPE_CHECKING:
    from jinja2 import Environment


def page_templates(*packages: str, lines: bool = False) -> Environment:
    """The templates in the folders ``templates/`` of packages.

    Texts are escaped, and characters in them that act or cannot be seen are spelled; markup that
    templates make passes. A name that is missing is an error.

    Args:
        packages: Where templates are looked for, in this order.
        lines: Line breaks of texts are kept.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    def inert(value: Any) -> Any:
        is_text = isinstance(value, str) and not hasattr(value, "__html__")
        return visible(value, lines=lines) if is_text else value

    return Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=inert,
    )
