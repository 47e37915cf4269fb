"""Write a package with a task: the class, its row, data, and the test that checks it."""

from __future__ import annotations

import importlib.util
import json
import keyword
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from string import Template

import gymnasium as gym

from nlp_gym.checks import check_name, check_path
from nlp_gym.errors import InvalidArgumentError, shown

TEMPLATES = Path(__file__).resolve().parent / "templates"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_ ][A-Za-z0-9]+)*")
_LONGEST = 40

FAMILIES: Mapping[str, Mapping[str, str]] = {
    "tagging": {
        "kind": "LabelWords",
        "title": "Label every word of a text as long or short",
        "description": "A word is long if it has more than three letters.",
        "actions": "`Discrete(2)`: the labels, numbered as `task.labels`.",
        "end": "After the last word.",
        "metric": "Accuracy over words.",
    },
    "classification": {
        "kind": "LabelText",
        "title": "Say whether a review praises a film",
        "description": "The agent reads a sentence of a film review and gives it a label.",
        "actions": "`Discrete(2)`: the labels, numbered as `task.labels`.",
        "end": "With a label.",
        "metric": "Accuracy over texts.",
    },
    "choice": {
        "kind": "PickOne",
        "title": "Pick the longest of three words",
        "description": "The candidates are words of the text in an order that says nothing.",
        "actions": "`Discrete(3)`: the candidates.",
        "end": "With a choice.",
        "metric": "Accuracy over texts.",
    },
    "multilabel": {
        "kind": "PickSeveral",
        "title": "Pick the long ones of four words",
        "description": "A word is long if it has more than four letters.",
        "actions": "`Discrete(5)`: the candidates, then STOP.",
        "end": "With STOP, or when no candidate is left.",
        "metric": "Micro F1 over candidates.",
    },
    "spanqa": {
        "kind": "PointSpan",
        "title": "Point at the longest word of a text",
        "description": "The agent points at the first word of the answer, then at its last.",
        "actions": "`Discrete(max_words)`: the words.",
        "end": "With the last word of the answer.",
        "metric": "F1 of SQuAD.",
        "arguments": '"max_words": 60',
    },
    "generation": {
        "kind": "WriteText",
        "title": "Write a word in capital letters",
        "description": "The agent reads a word and writes it token by token.",
        "actions": "The tokens of the vocabulary, then STOP, as `WriteText` has them.",
        "end": "With STOP, or after `max_length` tokens.",
        "metric": "chrF.",
        "arguments": '"metric": "chrf", "max_length": 24, "vocabulary_size": 300',
    },
    "blank": {
        "kind": "Task",
        "title": "Say whether a review praises a film, by rules written from scratch",
        "description": "The agent sees the vector of a sentence and gives it a label.",
        "actions": "`Discrete(2)`: the labels, numbered as `task.labels`.",
        "end": "With a label.",
        "metric": "Accuracy over texts.",
    },
}
"""Texts of the templates by family: the kinds of decisions, and a task of no kind."""


def write_task(
    name: str, *, family: str = "classification", output: str | Path = "."
) -> tuple[Path, str]:
    """Write a package with a task of its own, which passes every check as it is.

    Args:
        name: Its name in letters and digits, such as ``"FirstWord"`` or ``"first-word"``; the id
            becomes ``FirstWord-v0``, the package ``first_word``.
        family: The kind of its decisions, or ``"blank"`` for a task of no kind.
        output: Folder that the package's folder is made in.

    Returns:
        The folder that was written, and the id.

    Raises:
        InvalidArgumentError: The name cannot be used, the folder exists or cannot be written to.
        UnknownNameError: There is no such family.
    """
    names = _names(name)
    check_name("family", family, tuple(FAMILIES))
    folder = check_path("output", output, "folder") / names["distribution"]
    if folder.exists():
        raise InvalidArgumentError(
            f"output={shown(output)}: {folder} exists, and nothing is overwritten. Give another "
            "name, or another --output."
        )
    _check_free(name, names["package"], names["env_id"])
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # All of it or nothing: written beside its place, then renamed.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-task-") as temporary:
            made = Path(temporary) / folder.name
            _write(made, names, family)
            shutil.move(made, folder)
    except OSError as error:
        raise InvalidArgumentError(
            f"output={shown(output)} cannot be written to: {error.strerror or error}."
        ) from error
    return folder, names["env_id"]


def _names(name: object) -> dict[str, str]:
    """The class, the package, the distribution and the id of a name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise InvalidArgumentError(
            f"name={shown(name)} must begin with a letter and have at most {_LONGEST} letters and "
            "digits of ASCII, in words separated by - or _, such as FirstWord or first-word."
        )
    name = re.sub(r"-v\d+$", "", name)  # an id is a name too
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[-_ ]+", " ", name)
    words = spaced.split()
    cls = "".join(word[0].upper() + word[1:] for word in words)
    package = "_".join(words).lower()
    return {
        "cls": cls,
        "package": package,
        "distribution": package.replace("_", "-"),
        "env_id": f"{cls}-v0",
    }


def _check_free(name: str, package: str, env_id: str) -> None:
    """Refuse a name that is taken by Python, an installed package or a registered id."""
    if env_id in gym.registry:
        raise InvalidArgumentError(
            f"name={shown(name)} makes the id {env_id!r}, which is registered already. Choose "
            "another."
        )
    taken = keyword.iskeyword(package) or package in sys.stdlib_module_names
    if not taken:
        try:
            taken = importlib.util.find_spec(package) is not None
        except (ImportError, ValueError):
            taken = True
    if taken:
        raise InvalidArgumentError(
            f"name={shown(name)} makes the package {package!r}, a name that Python or an installed "
            "package has. Choose another."
        )


def _write(folder: Path, names: Mapping[str, str], family: str) -> None:
    texts = {**FAMILIES[family], **names}
    arguments = [one for one in texts.get("arguments", "").split(", ") if one]
    texts["arguments"] = "".join(f"{' ' * 12}{one},\n" for one in arguments)
    texts["page"] = _filled("page.tmpl", texts)
    package = names["package"]
    files = {
        "pyproject.toml": "pyproject.toml.tmpl",
        "README.md": "README.md.tmpl",
        f"{package}/__init__.py": "init.py.tmpl",
        f"{package}/task.py": f"{family}.py.tmpl",
        f"tests/test_{package}.py": "test.py.tmpl",
    }
    written = {path: _filled(template, texts) for path, template in files.items()}
    for split in ("train", "dev", "test"):
        written[f"{package}/texts/{split}.jsonl"] = _sentences(split)
    for path, text in written.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8", newline="\n")


def _filled(template: str, texts: Mapping[str, str]) -> str:
    return Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(texts)


def _sentences(split: str) -> str:
    """The bundled sentences about films, which were composed for this project, as JSON Lines."""
    from nlp_gym.data import load_corpus

    corpus = load_corpus("sst2", split, corpus="sample")
    rows = (
        {"text": " ".join(sample.words), "label": (sample.labels or ("",))[0]}
        for sample in corpus.samples
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
