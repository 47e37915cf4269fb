"""``python -m nlp_gym`` is ``nlp-gym``.

The command is the agents' package's; it is imported by name, when this module is run and at no
other time.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

from nlp_gym.errors import MissingDependencyError

_COMMAND = "nlp_gym_agents.cli.main"


def command() -> Callable[[], None]:
    """The entry point of ``nlp-gym``.

    Raises:
        MissingDependencyError: The agents' package, or one that its command line needs, is absent.
    """
    try:
        function: Callable[[], None] = importlib.import_module(_COMMAND).main
    except ModuleNotFoundError as error:
        absent = (error.name or _COMMAND).partition(".")[0]
        raise MissingDependencyError(absent, "", "python -m nlp_gym") from error
    return function


if __name__ == "__main__":
    try:
        run = command()
    except MissingDependencyError as error:
        sys.exit(f"error: {error}")
    run()
