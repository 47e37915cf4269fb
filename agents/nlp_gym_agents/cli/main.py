"""The command line ``nlp-gym``; every command is thin over a plain function.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import typer

from nlp_gym_agents.cli.data.command import app as data_app
from nlp_gym_agents.cli.data.encode import encode_command
from nlp_gym_agents.cli.data.minari import export_minari_command
from nlp_gym_agents.cli.deploy.hub import load_from_hub_command, push_to_hub_command
from nlp_gym_agents.cli.deploy.serve import demo_command, serve_command
from nlp_gym_agents.cli.environments.conformance import conformance_command
from nlp_gym_agents.cli.environments.envs import envs_command
from nlp_gym_agents.cli.environments.new_task import new_task_command
from nlp_gym_agents.cli.runs.attack import attack_command
from nlp_gym_agents.cli.runs.compare import compare_command
from nlp_gym_agents.cli.runs.evaluate import evaluate_command
from nlp_gym_agents.cli.runs.explain import explain_command
from nlp_gym_agents.cli.runs.feedback import feedback_command, learn_command, select_command
from nlp_gym_agents.cli.runs.plot import plot_command
from nlp_gym_agents.cli.runs.predict import predict_command
from nlp_gym_agents.cli.shared.errors import ReportingGroup
from nlp_gym_agents.cli.shared.options import SpreadCommand
from nlp_gym_agents.cli.train.benchmark import benchmark_command
from nlp_gym_agents.cli.train.command import train_command
from nlp_gym_agents.cli.train.zoo_flags import TrainCommand

app = typer.Typer(
    cls=ReportingGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data_app, name="data")
app.command("train", cls=TrainCommand)(train_command)
app.command("benchmark", cls=SpreadCommand)(benchmark_command)
app.command("export-minari", cls=SpreadCommand)(export_minari_command)
app.command("evaluate", cls=SpreadCommand)(evaluate_command)
app.command("attack", cls=SpreadCommand)(attack_command)
app.command("compare", cls=SpreadCommand)(compare_command)
app.command("predict", cls=SpreadCommand)(predict_command)
app.command("feedback", cls=SpreadCommand)(feedback_command)
app.command("learn", cls=SpreadCommand)(learn_command)
app.command("select", cls=SpreadCommand)(select_command)
app.command("push-to-hub", cls=SpreadCommand)(push_to_hub_command)
app.command("load-from-hub", cls=SpreadCommand)(load_from_hub_command)
app.command("explain", cls=SpreadCommand)(explain_command)
app.command("serve", cls=SpreadCommand)(serve_command)
app.command("demo", cls=SpreadCommand)(demo_command)
app.command("plot")(plot_command)
app.command("encode", cls=SpreadCommand)(encode_command)
app.command("envs")(envs_command)
app.command("conformance", cls=SpreadCommand)(conformance_command)
app.command("new-task")(new_task_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from nlp_gym import __version__

        typer.echo(f"nlp-gym {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """NLP tasks as reinforcement learning environments: train, evaluate, predict."""
    known: set[str] = set()

    def show(message: Warning | str, *details: Any, **more: Any) -> None:
        from nlp_gym.messages import show_first  # which `--help` does without

        show_first(message, known)

    warnings.showwarning = show


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script; ``train.py`` gives its own arguments."""
    app(args=arguments, prog_name="nlp-gym")


if __name__ == "__main__":
    main()
