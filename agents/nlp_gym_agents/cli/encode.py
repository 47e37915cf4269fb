"""``nlp-gym encode``: fills the feature cache before anything needs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlp_gym_agents.cli import completion
from nlp_gym_agents.cli.options import DataDir, env_arguments, listed, pairs
from nlp_gym_agents.cli.output import say

if TYPE_CHECKING:
    from nlp_gym.types import Encoded


def encode_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|ID|CORPUS",
            help="A text file, one text a line; or an environment's id or a corpus (data list): "
            "what the environment reads.",
        ),
    ],
    env: Annotated[
        str | None,
        typer.Option(
            help="FILE is read as this environment's data=, in memory.",
            autocompletion=completion.environments,
        ),
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="minilm, hashed, a folder, ...")] = None,
    encoder_kwargs: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY:VALUE...", help="layers:last storage:int8 project:128"),
    ] = None,
    splits: Annotated[
        str, typer.Option("--split", "--splits", help="Splits of a corpus.")
    ] = "train,dev,test",
    pretokenized: Annotated[
        bool, typer.Option("--pretokenized", help="Blanks separate the words of FILE.")
    ] = False,
    env_kwargs: Annotated[
        list[str] | None, typer.Option(metavar="KEY:VALUE...", help="Of the environment.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Encode a text file or a corpus into the cache; the same command goes on where it stopped."""
    from nlp_gym.encode import load_encoder
    from nlp_gym.encode.text_file import encode_file
    from nlp_gym.errors import InvalidArgumentError, shown
    from nlp_gym.tasks.core.prepare import environment_of, prepare

    own = pairs(encoder_kwargs, "--encoder-kwargs")
    env_id = env or environment_of(source)
    try:
        if env_id is None:
            encoded = encode_file(
                source,
                load_encoder(encoder or "minilm", **own),
                pretokenized=pretokenized,
                progress=True,
            )
            _report(source, encoded)
            return
        if pretokenized:
            raise InvalidArgumentError(
                f"--pretokenized: {shown(env_id)} reads files in a format of its own. Leave --env "
                "out to encode a plain text file."
            )
        kwargs = env_arguments(env_kwargs, data_dir)
        if encoder is not None:
            kwargs["encoder"] = encoder
        if own:
            kwargs["encoder_kwargs"] = own
        if env is not None:
            kwargs["data"] = Path(source)
        for name, part in prepare(env_id, listed(splits), progress=True, **kwargs):
            _report(name, part)
    except KeyboardInterrupt:
        say("interrupted; what is encoded is kept: the same command goes on from there", err=True)
        raise typer.Exit(130) from None


def _report(name: str, encoded: Encoded) -> None:
    from nlp_gym.memory import readable_size

    rows, dim = encoded.features.shape
    size = readable_size(encoded.features.nbytes)
    say(
        f"{name}: {len(encoded.offsets) - 1:,} texts, {rows - 1:,} vectors of {dim} "
        f"{encoded.features.dtype} ({size}) are in the cache"
    )
