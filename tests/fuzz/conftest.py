"""How long the fuzzers run.

By default each has a small number of examples, the same ones in every session. To run them longer,
with other examples each time, give a number and lift the limit of time:

    NLP_GYM_TEST_FUZZ=10000 python -m pytest tests/fuzz -n 0 --timeout 0
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
_PHASES = (Phase.explicit, Phase.generate, Phase.shrink)

settings.register_profile(
    "fuzz",
    derandomize=True,
    database=None,
    deadline=None,
    phases=_PHASES,
    suppress_health_check=_CHECKS,
)
settings.register_profile(
    "thorough", deadline=None, print_blob=True, phases=_PHASES, suppress_health_check=_CHECKS
)


def fuzz(examples: int) -> settings:
    """The settings of a fuzzer, to decorate it with.

    Args:
        examples: Number of examples, unless `NLP_GYM_TEST_FUZZ` gives another.
    """
    asked = os.environ.get("NLP_GYM_TEST_FUZZ")
    if not asked:
        return settings(settings.get_profile("fuzz"), max_examples=examples)
    return settings(settings.get_profile("thorough"), max_examples=int(asked))
