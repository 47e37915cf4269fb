"""``nlp-gym encode``: fills the feature cache before anything needs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlp_gym_agents.cli.shared import completion
from nlp_gym_agents.cli.shared.options import (
    DataDir,
    Ray,
    RayCpus,
    cluster_of,
    env_arguments,
    listed,
    pairs,
)
from nlp_gym_agents.cli.shared.output import say

if TYPE_CHECKING:
    from nlp_gym.encode import Encoder
    from nlp_gym.encode.cache import MapBlocks
    from nlp_gym.types import Encoded
    from nlp_gym_agents.cluster.ray_tasks import Cluster


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
    ray: Ray = None,
    ray_cpus: RayCpus = 1,
) -> None:
    """Encode a text file or a corpus into the cache; the same command goes on where it stopped."""
    from nlp_gym.encode import load_encoder
    from nlp_gym.encode.text_file import encode_file
    from nlp_gym.errors import InvalidArgumentError, shown
    from nlp_gym.tasks.core.prepare import environment_of, prepare

    own = pairs(encoder_kwargs, "--encoder-kwargs")
    env_id = env or environment_of(source)
    kwargs = env_arguments(env_kwargs, data_dir)
    if encoder is not None:
        kwargs["encoder"] = encoder
    if own:
        kwargs["encoder_kwargs"] = own
    if pretokenized and env_id is not None:
        raise InvalidArgumentError(
            f"--pretokenized: {shown(env_id)} reads files in a format of its own. Leave --env "
            "out to encode a plain text file."
        )
    made = load_encoder(kwargs.get("encoder", "minilm"), **kwargs.get("encoder_kwargs", {}))
    try:
        with _map_blocks(made, cluster_of(ray, ray_cpus)) as map_blocks:
            if env_id is None:
                _hint(source)
                encoded = encode_file(
                    source,
                    made,
                    pretokenized=pretokenized,
                    progress=True,
                    map_blocks=map_blocks,
                )
                _report(source, encoded)
                return
            if env is not None:
                kwargs["data"] = Path(source)
            parts = prepare(env_id, listed(splits), progress=True, map_blocks=map_blocks, **kwargs)
            for name, part in parts:
                _report(name, part)
    except KeyboardInterrupt:
        say("interrupted; what is encoded is kept: the same command goes on from there", err=True)
        raise typer.Exit(130) from None


def _hint(source: str) -> None:
    """Say so where what is taken for a text file is likely to be something else.

    Raises:
        UnknownNameError: It is no file, and looks like an id.
    """
    from nlp_gym.tasks.core.make import task_spec

    path = Path(source)
    if not path.exists() and re.fullmatch(r"[\w:.-]+-v\d+", source):
        task_spec(source)
    if path.suffixes and path.suffixes[0].lower() in _FORMATS:
        say(
            f"{path.name} is encoded as plain text, one text a line. To encode what an "
            "environment reads of it, give its id: --env ID.",
            err=True,
        )


_FORMATS = (".conll", ".conllu", ".csv", ".tsv", ".json", ".jsonl")


@contextmanager
def _map_blocks(encoder: Encoder, cluster: Cluster | None) -> Iterator[MapBlocks | None]:
    """What encodes blocks on a cluster; None without one: here."""
    if cluster is None:
        yield None
        return
    from nlp_gym_agents.cluster.encode_there import encoding_on

    with encoding_on(cluster, encoder, lambda line: say(line, err=True)) as map_blocks:
        yield map_blocks


def _report(name: str, encoded: Encoded) -> None:
    from nlp_gym.memory import readable_size

    rows, dim = encoded.features.shape
    size = readable_size(encoded.features.nbytes)
    say(
        f"{name}: {_counted(len(encoded.offsets) - 1, 'text')}, "
        f"{_counted(rows - 1, 'vector')} of {dim} "
        f"{encoded.features.dtype} ({size}) are in the cache"
    )


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")
