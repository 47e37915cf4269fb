"""``nlp-gym serve`` and ``nlp-gym demo``: trained runs over HTTP, and a page to try them on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nlp_gym_agents.cli.shared.options import Checkpoint, Device, Run, RunEnvKwargs, Trust, pairs
from nlp_gym_agents.cli.shared.output import load, say

Host = Annotated[
    str,
    typer.Option(help="Address to listen at. Any other than this machine's own opens the server."),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any that is free.")]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A name that clients ask for; may be given several times."),
]
MaxBody = Annotated[int, typer.Option(min=1, help="Most bytes of a request.")]
MaxTexts = Annotated[int, typer.Option(min=1, help="Most texts of a request.")]
MaxCharacters = Annotated[int, typer.Option(min=1, help="Most characters of a request's texts.")]
MaxWaiting = Annotated[int, typer.Option(min=1, help="Most requests that wait for the model.")]
Batch = Annotated[int, typer.Option(min=1, help="Most texts that the model decides on at once.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds until a request is given up.")]
Grace = Annotated[float, typer.Option(min=0.1, help="Seconds for what is accepted at the end.")]


def serve_command(
    run: Run,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    allow_host: AllowHost = None,
    env_kwargs: RunEnvKwargs = None,
    max_body: MaxBody = 1 << 20,
    max_texts: MaxTexts = 256,
    max_characters: MaxCharacters = 100_000,
    max_waiting: MaxWaiting = 1000,
    batch_size: Batch = 64,
    timeout: Timeout = 60.0,
    grace: Grace = 20.0,
    feedback: Annotated[
        bool,
        typer.Option("--feedback", help="Take POST /feedback, and keep it in the run folder."),
    ] = False,
    checkpoint: Checkpoint = "best",
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Answer HTTP requests with a run's decisions: POST /predict, POST /explain, GET /health."""
    limits = {
        "body_bytes": max_body,
        "texts": max_texts,
        "characters": max_characters,
        "waiting": max_waiting,
        "batch": batch_size,
        "answer_s": timeout,
        "grace_s": grace,
    }
    options = {"env_kwargs": pairs(env_kwargs), "checkpoint": checkpoint, "device": device}
    options |= {"trust": trust or ()}
    more: dict[str, Any] = {"limits": limits, "feedback": feedback}
    _start([run], host, port, names=allow_host or [], options=options, **more)


def demo_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    host: Host = "127.0.0.1",
    port: Port = 8000,
    allow_host: AllowHost = None,
    env_kwargs: RunEnvKwargs = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    feedback: Annotated[
        bool,
        typer.Option(help="Buttons that say what a decision is worth, kept in the run folder."),
    ] = True,
    learn: Annotated[
        bool, typer.Option("--learn", help="Buttons that let a run learn from it, and go back.")
    ] = False,
    checkpoint: Checkpoint = "best",
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Serve a page to try runs on: decisions with their reasons, and episodes played by hand."""
    options = {"env_kwargs": pairs(env_kwargs), "checkpoint": checkpoint, "device": device}
    options |= {"trust": trust or ()}
    more: dict[str, Any] = {"page": True, "opens": open_browser}
    more |= {"feedback": feedback, "learns": learn}
    _start(runs, host, port, names=allow_host or [], options=options, **more)


def _start(
    runs: list[Path],
    host: str,
    port: int,
    *,
    names: list[str],
    options: dict[str, Any],
    limits: dict[str, Any] | None = None,
    page: bool = False,
    opens: bool = False,
    feedback: bool = False,
    learns: bool = False,
) -> None:
    """Serve until a signal; exit code 0, or 1 where accepted requests were not answered."""
    load("nlp_gym_agents.prediction.agent")
    from nlp_gym_agents.serve.start import Started, start

    def ready(server: Started) -> None:
        what = "A page to try" if page else "Serving"
        say(f"{what} {', '.join(server.names)} at {server.url} (Ctrl-C stops)")
        if not server.is_local:
            say(
                f"warning: host={host} can be reached from other machines, and there is no "
                "password: whoever can reach it can use the model.",
                err=True,
            )
        if opens:
            import webbrowser

            webbrowser.open(server.url)

    cut = start(
        runs,
        host=host,
        port=port,
        allowed=names,
        options=options,
        limits=limits,
        page=page,
        feedback=feedback,
        learns=learns,
        progress=True,
        ready=ready,
    )
    if cut:
        say(f"error: {cut} accepted requests were not answered in the grace time.", err=True)
        raise typer.Exit(1)
