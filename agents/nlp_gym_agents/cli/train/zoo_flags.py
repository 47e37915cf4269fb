"""RL Zoo's flags at ``nlp-gym train``: each means what it means there, or is answered in one line.

The flags that both have (``--algo --env -n --seed --sampler ...``) are options of the command. This
module rewrites RL Zoo's other spellings into them, and answers what there is no option for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from nlp_gym_agents.cli.shared.options import SpreadCommand
from nlp_gym_agents.cli.shared.output import say

SPELLINGS = {
    "-P": "--progress",
    "-conf": "--conf-file",
    "-optimize": "--optimize",
    "--optimize-hyperparameters": "--optimize",
    "-params": "--hyperparams",
    "-tags": "--wandb-tags",
    "-tb": "--tensorboard-log",
}
"""RL Zoo's spellings of options of the command."""

NEEDLESS = {
    "-uuid": "folders of runs that start together differ by their number",
    "--uuid": "folders of runs that start together differ by their number",
    "--save-replay-buffer": "every checkpoint holds it",
    "--no-optim-plots": "none are drawn",
}
"""Switches that ask for what is done anyway, and why; they are taken and change nothing."""

ANSWERS = {
    "-i": "go on with a run by --resume RUN, or start from a bc run by --warm-start RUN",
    "--trained-agent": "go on with a run by --resume RUN, or start from a bc run by "
    "--warm-start RUN",
    "--truncate-last-trajectory": "it is for hindsight replay, which no algorithm here has; "
    "--resume RUN goes on inside the episode that was stopped",
    "--num-threads": "the environment variable OMP_NUM_THREADS says it; --device cpu keeps to the "
    "processor",
    "--log-interval": "a line is written at each evaluation, which --eval-freq spaces",
    "--optimization-log-path": "the trials of --optimize are kept in the study's folder, which "
    "--run-dir names",
    "--eval-episodes": "an evaluation plays each sample of dev once; --eval-freq says how often",
    "--n-eval-envs": "an evaluation plays many samples of dev side by side by itself; --eval-freq "
    "says how often",
    "--vec-env": "the environments step together in one process; --n-envs says how many",
    "--trial-id": "a study writes its best trial into best.yml: train with --conf-file "
    "STUDY/best.yml; study.json has the others' --hyperparams",
    "--eval-env-kwargs": "dev is played with --env-kwargs; score a run under other ones with "
    "`nlp-gym evaluate RUN --env-kwargs KEY:VALUE`",
}
"""What to do instead of giving a flag that has no counterpart."""

ALGORITHMS = {"ppo_lstm": "recurrent_ppo", "trpo": "sb3_contrib:TRPO"}
"""RL Zoo's names of algorithms that have another one here."""


def rewritten(arguments: Sequence[str]) -> list[str]:
    """The arguments of ``train`` with RL Zoo's spellings replaced.

    Raises:
        typer.Exit: One is of `ANSWERS`; the answer is written to stderr, and the exit status is 2.
    """
    result: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument.startswith("-i") or name in ANSWERS:  # -iFILE as argparse takes it
            flag = name if name in ANSWERS else "-i"
            say(f"error: {flag} of RL Zoo has no counterpart: {ANSWERS[flag]}.", err=True)
            raise typer.Exit(2)
        if name in NEEDLESS:
            continue
        if name == "--verbose":
            quiet = (value if equals else next(rest, "1")) == "0"
            result.append("--no-progress" if quiet else "--progress")
            continue
        result.append(SPELLINGS.get(name, name) + equals + value)
    return result


class TrainCommand(SpreadCommand):
    """``train``, which understands RL Zoo's flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments after rewriting them."""
        return super().parse_args(ctx, rewritten(args))


def import_packages(names: Sequence[str] | None) -> tuple[str, ...]:
    """Import what registers ids (``--gym-packages``), as RL Zoo does.

    Returns:
        The names, which are trusted as typed.

    Raises:
        InvalidArgumentError: One cannot be imported.
    """
    import importlib

    from nlp_gym.errors import InvalidArgumentError, shown

    for name in names or ():
        try:
            importlib.import_module(name)
        except (ImportError, ValueError, TypeError) as error:
            raise InvalidArgumentError(
                f"--gym-packages={shown(name)} cannot be imported ({error}); give modules that are "
                "importable from where the command runs."
            ) from error
    return tuple(names or ())
