"""What `nlp-gym predict` writes: one JSON object per text or sample, see `Result.to_dict`."""

from __future__ import annotations

import io
import itertools
import json
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from nlp_gym.errors import DataError, InvalidArgumentError, UnknownNameError, shown
from nlp_gym.files import write_output
from nlp_gym.inert import json_escaped, visible
from nlp_gym.types import Sample
from nlp_gym_agents.prediction.inputs import Input, sample_id
from nlp_gym_agents.prediction.parsed import ParsedText
from nlp_gym_agents.prediction.results import Result

_SHOWN = 5
"""How many problems are listed one by one."""

FORMATS = ("json", "color", "conll", "conllu")
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")


def is_bio(labels: Sequence[str]) -> bool:
    """Whether all labels of an inventory are BIO tags."""
    return "O" in labels and all(name == "O" or name[:2] in ("B-", "I-") for name in labels)


def input_fields(item: Input | Sample) -> dict[str, Any]:
    """Fields of a record that repeat its input: ``id`` and ``text``, each where there is one."""
    text: Any
    if isinstance(item, Input):
        name, text = item.id, item.text
    else:
        name, text = sample_id(item), item.extra.get("text")
    facts = {} if name == "" else {"id": name}
    return facts if text is None else {**facts, "text": str(text)}


def report_problems(samples: Sequence[Sample], records: Sequence[Mapping[str, Any]]) -> None:
    """Warn of records that have a ``problem``, each by its file and line.

    Raises:
        DataError: All records have one, and none of them an answer.
    """
    found = [
        f"{sample.id or f'sample {index}'}: {record['problem']}"
        for index, (sample, record) in enumerate(zip(samples, records, strict=True))
        if "problem" in record
    ]
    if not found:
        return
    rest = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    listed = "; ".join(found[:_SHOWN]) + rest
    if len(found) == len(records) and not any(record.get("answers") for record in records):
        raise DataError(
            f"no query can be answered: {listed}. Ask for entities of the graph that the run was "
            "trained on."
        )
    warnings.warn(
        f"{len(found)} of {len(records)} queries ask for names that the graph of the run lacks "
        f"(their records say so in 'problem'): {listed}.",
        UserWarning,
        stacklevel=4,
    )


def to_json(records: Iterable[dict[str, Any]]) -> str:
    """One JSON object per line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def to_conll(records: Iterable[dict[str, Any]]) -> str:
    """One ``word<TAB>label`` per line, and a blank line after each text."""
    return "".join(
        "".join(f"{token['text']}\t{token['label']}\n" for token in record["tokens"]) + "\n"
        for record in records
        if record["tokens"]
    )


def to_text(record: dict[str, Any]) -> Text:
    """The text for a terminal: entities coloured, or each word with its label."""
    marks, text = record.get("entities", record["tokens"]), record["text"]
    kinds = sorted({mark["label"] for mark in marks})
    colours = dict(zip(kinds, itertools.cycle(_COLOURS), strict=False))
    line, place = Text(), 0
    for mark in marks:
        colour = colours[mark["label"]]
        line.append(visible(text[place : mark["start"]]))
        line.append(visible(text[mark["start"] : mark["end"]]), style=f"bold {colour}")
        line.append(f"[{visible(mark['label'])}]", style=f"dim {colour}")
        place = mark["end"]
    return line.append(visible(text[place:]))


def choose_format(
    form: str | None, output: Path | None, *, tags: bool = True, trees: bool = False
) -> str:
    """The format asked for, or the one that suits where the output goes.

    Args:
        form: One of `FORMATS`, None for any.
        output: The file it goes to, None for stdout.
        tags: Whether predictions are labels of words.
        trees: Whether predictions are trees; what is neither is written as JSON.

    Raises:
        UnknownNameError: `form` is none of `FORMATS`.
        InvalidArgumentError: `form` is for labels of words only, or for trees.
    """
    if form is not None and form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)
    if trees and form in (None, "json", "conllu"):
        ending = "" if output is None else output.suffix.lower()
        return form or ("conllu" if ending == ".conllu" else "json")
    if tags and form == "conllu":
        raise InvalidArgumentError(
            "format='conllu' is for trees, and this run labels words: use 'json', 'color' or "
            "'conll'."
        )
    if not tags:
        if form not in (None, "json"):
            raise InvalidArgumentError(
                f"format={shown(form)} is not for what this run decides: use "
                f"{'json or conllu' if trees else 'json'}."
            )
        return "json"
    if form is None and output is not None:
        return "conll" if output.suffix.lower() == ".conll" else "json"
    return form or ("color" if sys.stdout.isatty() else "json")


def write_results(results: Sequence[Result], form: str, *, output: Path | None = None) -> None:
    """Write predictions in one of `FORMATS` to a file or to stdout."""
    if form == "conllu":
        trees = (result.to_conllu() for result in results if isinstance(result, ParsedText))
        _put("".join(trees), form, output)
    else:
        write_records([result.to_dict() for result in results], form, output=output)


def write_records(
    records: Sequence[dict[str, Any]], form: str, *, output: Path | None = None
) -> None:
    """Write records as ``"json"``, ``"color"`` or ``"conll"`` to a file or to stdout.

    Colours appear only where stdout is a terminal and ``NO_COLOR`` is not set.
    """
    if form == "color":
        console = Console(file=io.StringIO() if output else None, highlight=False)
        for record in records:
            console.print(to_text(record), soft_wrap=True)
        text = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    else:
        text = {"json": to_json, "conll": to_conll}[form](records)
    _put(text, form, output)


def _put(text: str, form: str, output: Path | None) -> None:
    """Write text to a file, or to stdout so that a terminal is not commanded by it."""
    if output is not None:
        write_output("output", output, text)
    elif form == "json":
        sys.stdout.write(json_escaped(text))
    elif form in ("conll", "conllu"):  # a program that reads it wants the words as they are
        shown = [visible(cell, lines=True) for cell in text.split("\t")]
        sys.stdout.write("\t".join(shown) if sys.stdout.isatty() else text)
