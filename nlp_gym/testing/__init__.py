"""Checks that every task of this suite passes, for people who write tasks; needs no pytest.

`CHECKS` has one check per rule, for tests that report each on its own::

    import pytest
    from nlp_gym.testing import CHECKS, check_task

    @pytest.mark.parametrize("check", CHECKS, ids=str)
    def test_my_task(check):
        check_task("my_package:My-Task-v0", check)

Nothing heavy is imported before a check runs. It may import all of `nlp_gym`.
"""

from nlp_gym.testing.checks import CHECKS, Check, Result, check_task, find_checks, run_checks
from nlp_gym.testing.subject import ConformanceError, Subject, without_gold

__all__ = [
    "CHECKS",
    "Check",
    "ConformanceError",
    "Result",
    "Subject",
    "check_task",
    "find_checks",
    "run_checks",
    "without_gold",
]
