"""Every code block of the site, the README and CONTRIBUTING.md, checked by its language.

- `python` blocks run, page by page, in an empty folder: by default with the hashed encoder in the
  place of MiniLM, and as written in a slow test.
- `bash` blocks are read command by command. A command of this project is parsed by its own parser,
  and what it names (ids, algorithms, arguments, corpora, perturbations) must exist; scripts parse
  their arguments and stop there. Measurements take minutes to hours, so they are not run.
  Commands that train, score and predict are also run, shortened, in a slow test.
- `yaml` blocks must be YAML; `text` is for diagrams. Lines that `diff` blocks add are those of an
  example. There is no other language.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ("environments", "api", "parts")
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    if path.relative_to(ROOT).parts[1:2] not in [(name,) for name in GENERATED]
)
RUN_PAGES = (
    "README.md",
    "docs/getting-started.md",
    "docs/agents.md",
    "docs/data.md",
    "docs/robustness.md",
    "docs/results.md",
)
LANGUAGES = {"python", "bash", "yaml", "text", "diff"}
TRAINED = "runs/masked_dqn/NER-CoNLL-v0_1"
"""The run that the README's commands train. A Python block that loads it finds a small one."""
OTHER_LIBRARIES = {"d3rlpy", "ray", "tensordict", "tianshou", "torchrl"}
"""What scripts of `examples/` import and `.venv` lacks; `make test-outside` runs those scripts."""

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*bundled:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*samples? of:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*max_source= allows more:UserWarning"),
]


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of every fenced block; MyST's directives, ``{name}``, are none."""
    for language, content in re.findall(r"^```([^\n`]*)\n(.*?)^```$", text, re.M | re.S):
        if not language.startswith("{"):
            yield language.strip(), content


def commands(page: str) -> list[list[str]]:
    """The words of each command in the `bash` blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    scripts = [content for language, content in blocks(text) if language == "bash"]
    lines = [line for script in scripts for line in script.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


FIRST_PAGES = ("README.md", "docs/getting-started.md")
"""Pages whose Python plain tests run."""
PYTHON_PAGES = [page for page in PAGES if "```python" in (ROOT / page).read_text(encoding="utf-8")]
COMMANDS = [(page, words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize("page", PAGES)
def test_docs_code_has_a_language_that_is_checked(page: str) -> None:
    import yaml

    for language, content in blocks((ROOT / page).read_text(encoding="utf-8")):
        assert language in LANGUAGES, content
        if language == "yaml":
            assert yaml.safe_load(content)
        if language == "diff":
            added = {line[1:].strip() for line in content.splitlines() if line[:1] == "+"}
            assert added
            assert added <= example_lines()


def example_lines() -> set[str]:
    """Every line of the scripts in `examples/`, without indentation and marks."""
    scripts = [path.read_text(encoding="utf-8") for path in (ROOT / "examples").glob("*.py")]
    lines = [line.strip() for script in scripts for line in script.splitlines()]
    return {re.sub(r"  # (nlp_gym|score)$", "", line) for line in lines}


def train_for_page() -> None:
    """Make the run that a page's commands train, as small as can be."""
    from nlp_gym_agents.config.train_config import TrainConfig
    from nlp_gym_agents.training.train import train

    small = {"corpus": "sample", "encoder": "hashed", "window": 0}
    config = TrainConfig(algo="bc", n_timesteps=128, env_kwargs=small)
    train(config, run_dir=TRAINED, progress=False)


def run_python_blocks(page: str) -> None:
    """Run the `python` blocks of a page, one after the other, in one namespace."""
    sybil = pytest.importorskip("sybil")
    from sybil.parsers.markdown import PythonCodeBlockParser

    document = sybil.Sybil(parsers=[PythonCodeBlockParser()]).parse(ROOT / page)
    examples = list(document.examples())
    assert examples
    if any(
        TRAINED in content for language, content in blocks(document.text) if language == "python"
    ):
        train_for_page()
    for example in examples:
        example.evaluate()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to run in; ids that are registered meanwhile are taken out again."""
    import gymnasium as gym

    import nlp_gym  # noqa: F401 - its own ids are there before, and stay

    before = set(gym.registry)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for env_id in set(gym.registry) - before:
        del gym.registry[env_id]


@pytest.mark.usefixtures("scratch", "one_thread")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[] if page in FIRST_PAGES else [pytest.mark.slow])
        for page in PYTHON_PAGES
    ],
)
def test_docs_python_runs(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nlp_gym.encode import EncoderOptions
    from nlp_gym.encode.hashed import HashedEncoder

    # Where every named transformer is made.
    monkeypatch.setattr("nlp_gym.encode.load.find_source", lambda name, known: name)
    monkeypatch.setattr(
        "nlp_gym.encode.load.TransformerEncoder", lambda *_: HashedEncoder(EncoderOptions(dim=384))
    )
    run_python_blocks(page)


@pytest.mark.slow
@pytest.mark.minilm
@pytest.mark.usefixtures("scratch", "one_thread")
@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_docs_python_runs_as_written(page: str) -> None:
    pytest.importorskip("all_minilm_l6_v2")
    run_python_blocks(page)


@pytest.mark.slow
def test_docs_python_of_generated_pages_runs(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages of ids have one pair of blocks, which differs by the id alone.

    So the code is run for one id of each task; every id is made in tests/test_registry.py.
    """
    import gymnasium as gym

    from docs.generate.environments import start
    from nlp_gym import ENVS

    make = gym.make
    monkeypatch.setattr(gym, "make", lambda name: make(name, encoder="hashed"))
    tasks = {row.task: row.id for row in ENVS}
    for row in ENVS:
        (_, code), (_, command) = blocks(start(row))
        check(shlex.split(command), scratch)
        if row.id in tasks.values():
            exec(compile(code, f"page of {row.id}", "exec"), {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=[f"{page}: {' '.join(w)[:60]}" for page, w in COMMANDS]
)
def test_docs_command_is_accepted(page: str, words: list[str], scratch: Path) -> None:
    check(words, scratch)


def check(words: list[str], folder: Path) -> None:
    """Check one command; `folder` is an empty one."""
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    program, rest = words[0], words[1:]
    if program == "nlp-gym":
        check_command(rest, folder)
    elif program == "make":
        check_make(rest)
    elif program == "python":
        module = rest[:1] == ["-m"]
        if module and rest[1] in ("rl_zoo3.train", "rl_zoo3.enjoy"):  # not installed here
            check_zoo(rest[2:])
            return
        check_script(rest[1] if module else rest[0], rest[1 + module :], module=module)
    elif program == "pip":
        check_pip(rest)
    elif program == "torchrun":
        script = rest.index("train.py")
        assert rest[:script] == ["--standalone", "--nproc-per-node", rest[script - 1]]
        check_script(rest[script], rest[script + 1 :], module=False)
    else:  # of others
        assert program in ("curl", "hf", "ray", "source", ".venv/bin/pre-commit"), (
            f"unknown program {program}"
        )


def check_make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        if "=" not in word:
            assert re.search(rf"^{re.escape(word)}:", makefile, re.M), f"no target {word}"
        else:
            assert re.search(rf"^{word.partition('=')[0]} \?=", makefile, re.M), word


def check_zoo(words: list[str]) -> None:
    """A command of RL Zoo's on an id of this project, and the hyperparameters it names."""
    import importlib

    flags = argparse.ArgumentParser()
    for flag in ("--algo", "--env", "--gym-packages", "--conf-file"):
        flags.add_argument(flag)
    given, _ = flags.parse_known_args(words)
    assert given.gym_packages == "nlp_gym"
    module = given.conf_file or f"nlp_gym_agents.rl_zoo.{given.algo}"
    assert module.endswith(f".{given.algo}")
    assert importlib.import_module(module).hyperparams[given.env]


def check_pip(words: list[str]) -> None:
    """Names of the distribution and of its extras."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert words[0] == "install"
    name, extras = re.fullmatch(r"([\w.-]+)\[([\w,-]+)\]", words[-1]).groups()  # type: ignore[union-attr]
    assert name == "." or f'name = "{name}"' in project
    for extra in extras.split(","):
        assert re.search(rf"^{extra} = \[", project, re.M)


class ParsedError(Exception):
    """A script has parsed its arguments."""


class StandIn(ModuleType):
    """A module of a library that is not there: all that is imported from it is an empty class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class StandIns(MetaPathFinder, Loader):
    """Finds `OTHER_LIBRARIES` where nothing else does."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        known = name.partition(".")[0] in OTHER_LIBRARIES
        return ModuleSpec(name, self, is_package=True) if known else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def check_script(script: str, words: list[str], *, module: bool) -> None:
    if script == "train.py":
        check_command(["train", *words], ROOT)
        return
    parse = argparse.ArgumentParser.parse_args

    def stop(*args: Any, **kwargs: Any) -> None:
        parse(*args, **kwargs)
        raise ParsedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(sys, "argv", [script, *words])
        patch.syspath_prepend(str(ROOT))
        patch.delitem(sys.modules, script, raising=False)  # another test may have imported it
        patch.setattr(sys, "meta_path", [*sys.meta_path, StandIns()])
        run: Any = runpy.run_module if module else runpy.run_path
        with pytest.raises(ParsedError):
            run(script if module else str(ROOT / script), run_name="__main__")
    for name in [name for name, known in sys.modules.items() if isinstance(known, StandIn)]:
        del sys.modules[name]


def check_command(words: list[str], folder: Path) -> None:
    """Parse a command of ``nlp-gym`` and check what it names, without doing its work."""
    import typer

    from nlp_gym_agents.cli.main import app

    root: Any = typer.main.get_command(app)
    seen: list[str] = []

    def stub(name: str, group: Any) -> None:
        for key, command in getattr(group, "commands", {}).items():
            full, do = f"{name} {key}".strip(), command.callback

            def note(*, full: str = full, do: Any = do, **values: Any) -> None:
                seen.append(full)
                CHECKS.get(full, nothing)(values, do, folder)

            if hasattr(command, "commands"):
                stub(full, command)
            else:
                command.callback = note

    stub("", root)
    status = root.main(words, prog_name="nlp-gym", standalone_mode=False)
    assert not status, "its error is on stderr"
    assert len(seen) == 1


def nothing(values: dict[str, Any], do: Callable[..., Any], folder: Path) -> None:
    """The names of its flags are all there is to check."""


def check_arguments(arguments: Mapping[str, Any], ids: Iterable[str]) -> None:
    """Arguments of environments, of which one of the `ids` must have each."""
    from nlp_gym.tasks import task_class, task_ids

    classes = {base for env_id in ids for base in task_class(env_id).__mro__}
    known = {name for base in classes for name in inspect.signature(base.__init__).parameters}
    assert set(arguments) <= known | {"obs_type"}
    assert set(arguments.get("tasks", ())) <= set(task_ids())


def check_train(values: dict[str, Any], do: Callable[..., Any], folder: Path) -> None:
    """Settings are merged and checked as in training; files and runs need not be there."""
    import nlp_gym_agents.training.train as training
    from nlp_gym_agents.cli.train import search
    from nlp_gym_agents.config.train_config import merge

    if values["resume"] is not None:
        return
    found: list[Any] = []
    values |= {"data": None, "data_dir": None, "conf_file": None, "report": False}
    if values["warm_start"] and not values["warm_start"].startswith("bc"):
        values["warm_start"] = "bc"
    if values["continue_from"] is not None:  # its settings are those of a run that is not there
        values |= {"continue_from": None, "replay": 0.0, "distill": 0.0, "ewc": 0.0}
    if values["env_kwargs"]:
        files = ("knowledge:", "knowledge_names:")
        values["env_kwargs"] = [v for v in values["env_kwargs"] if not v.startswith(files)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train", lambda config, **_: found.append(merge(config)))
        patch.setattr(search, "search", lambda config, *_, **__: found.append(merge(config)))
        do(**values)
    assert found
    check_arguments(found[0].env_kwargs, [found[0].env])


def check_evaluate(values: dict[str, Any], do: Callable[..., Any], folder: Path) -> None:
    from nlp_gym.data.text.perturb import checked_augment
    from nlp_gym.tasks import task_ids
    from nlp_gym_agents.cli.train.command import pairs
    from nlp_gym_agents.evaluation.robustness import CHALLENGES

    if list(values["perturb"] or ["all"]) != ["all"]:
        checked_augment(values["perturb"])
    assert values["challenge"] in (None, *CHALLENGES)
    assert values["split"] in ("train", "dev", "test")
    check_arguments(pairs(values["env_kwargs"]), task_ids())  # the run's id is not known here


def check_benchmark(values: dict[str, Any], do: Callable[..., Any], folder: Path) -> None:
    """Its own dry run."""
    do(**{**values, "dry_run": True, "out": folder / "out", "data_dir": None})


def check_export(values: dict[str, Any], do: Callable[..., Any], folder: Path) -> None:
    from nlp_gym.tasks import task_ids

    assert values["run"] is not None or (values["env_id"] or values["env"]) in task_ids()
    assert values["policy"] in ("oracle", "random")


def check_data(values: dict[str, Any], do: Callable[..., Any], folder: Path) -> None:
    from nlp_gym.data import FAMILIES
    from nlp_gym.tasks import task_ids

    assert values["family"] in (None, *FAMILIES)
    assert values["env"] in (None, *task_ids())


def check_download(values: dict[str, Any], do: Callable[..., Any], folder: Path) -> None:
    from nlp_gym.data import DATASETS

    assert set(values["names"]) <= {*DATASETS, "NAME"}


CHECKS: dict[str, Callable[[dict[str, Any], Callable[..., Any], Path], None]] = {
    "train": check_train,
    "evaluate": check_evaluate,
    "benchmark": check_benchmark,
    "export-minari": check_export,
    "data check": check_data,
    "data download": check_download,
}


@pytest.mark.parametrize(
    "line",
    [
        "nlp-gym train --environment NER-CoNLL-v0",
        "nlp-gym train --env NER-CoNNL-v0",
        "nlp-gym train --algo pppo",
        "nlp-gym train --algo ppo --hyperparams learning_rat:1e-3",
        "nlp-gym train --env-kwargs windw:2",
        "nlp-gym evaluate RUN --perturb typoes",
        "nlp-gym evaluate RUN --env-kwargs beams:4",
        "nlp-gym benchmark --ids NER-CoNLL-v0 --algos bcc",
        "nlp-gym data download conll2004",
        "nlp-gym date list",
        "make trian",
        "pip install 'nlp-gym[minilm]'",
        "python benchmarks/speed/stepping.py --every-ids",
        "python -m benchmarks.learning.writing RUN --beams 1",
        "nlp_gym train",
    ],
)
def test_docs_command_check_can_fail(line: str, scratch: Path) -> None:
    with pytest.raises(BaseException) as raised:  # noqa: PT011 - parsers leave by SystemExit
        check(shlex.split(line), scratch)
    kinds = {cls.__name__ for cls in type(raised.value).__mro__}
    assert kinds & {"AssertionError", "SystemExit", "UsageError"}, repr(raised.value)


def lay_out(folder: Path) -> None:
    """The files of a user that commands name, and a run of each kind that they go on from."""
    sentence = "Ana B-PER\nleft O\nOslo B-LOC\n. O\n\n"
    names = [f"{a}{b}" for a in "QWRT" for b in "aeiouy"]
    (folder / "my_file.conll").write_text("".join(sentence.replace("Ana", n) for n in names))
    rows = [
        {"text": f"{n} runs Bolt.", "relations": [{"head": [0, 2], "tail": [8, 12], "label": "x"}]}
        for n in names
    ]
    (folder / "my_file.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [f"gj04\t{i % 2}\t\tThis is sentence {i} of it.\n" for i in range(40)]
    (folder / "cola.tsv").write_text("".join(rows))
    texts = [f"Café number {i} was fine,{i % 5 + 1}\n" for i in range(40)]
    (folder / "stars.csv").write_bytes(f"review,stars\n{''.join(texts)}".encode("cp1252"))
    (folder / "reviews.csv").write_text("text,label\n" + "".join(texts), encoding="utf-8")
    rows = [{"sentence": f"{n} left Oslo early today .", "compression": f"{n} left"} for n in names]
    (folder / "small.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "texts.txt").write_text("Ana left Oslo.\nIt rained.\n")
    shutil.copytree(ROOT / "nlp_gym" / "data" / "samples" / "fb15k237", folder / "fb15k237")


def shortened(words: list[str], runs: Mapping[str, str]) -> list[str] | None:
    """A command on the bundled samples with a small budget; None where it is not for a test.

    Args:
        words: The command, without ``nlp-gym``.
        runs: The latest run, and one of film reviews.
    """
    if words[0] in ("benchmark", "demo", "serve") or words[:2] == ["data", "download"]:
        return None  # hours, servers that run until they are stopped, and the network
    short = list(words)
    for flag in ("--data-dir", "--split"):
        if flag in short and (flag == "--data-dir" or short[0] == "train"):
            at = short.index(flag)
            del short[at : at + 2]
    run = runs["reviews" if "--challenge" in short else "latest"]
    short = [re.sub(r"^(attack:)?RUN(_\d)?$", rf"\g<1>{run}", word) for word in short]
    if short[0] == "export-minari":
        short += ["--env-kwargs", "encoder:hashed", "--obs-type", "index"]
    if short[0] == "train" and "--encoder-mode" in short:
        return None  # the hashed encoder does not learn
    if "victim:RUN" in short:
        return None  # the latest run need not label texts as those of the page
    if short[0] == "train":
        own = "--resume" in short or "--continue" in short
        short += ["-n", "900", *BEGIN[-2:]] if own else BEGIN
    if "--optimize" in short:
        short += ["--n-trials", "2", "--n-jobs", "1"]
    return short


BEGIN = ["-n", "300", "--encoder", "hashed", "--no-report", "--no-progress"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """The folder in which runs begin, with one of film reviews and one that a user has made."""
    from nlp_gym_agents.cli.main import main

    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for given in (("Sentiment-SST2-v0", "bc"), ("NER-CoNLL-v0", "masked_dqn")):
            with pytest.raises(SystemExit) as ended:
                main(["train", "--env", given[0], "--algo", given[1], *BEGIN])
            assert ended.value.code == 0
    return folder / "runs"


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("page", RUN_PAGES)
def test_docs_commands_run(
    page: str,
    scratch: Path,
    begun: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In their order, with small budgets and the hashed encoder, on the bundled samples.

    What an earlier page has in the same words is run there.
    """
    from nlp_gym_agents.cli.main import main

    def done(words: list[str]) -> str:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0, words
        printed = capsys.readouterr().out.splitlines()
        return printed[-1] if printed else ""

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(scratch / "minari"))
    lay_out(scratch)
    shutil.copytree(begun, scratch / "runs")
    runs = {"reviews": "runs/bc/Sentiment-SST2-v0_1", "latest": "runs/masked_dqn/NER-CoNLL-v0_1"}
    before = [words for other in RUN_PAGES[: RUN_PAGES.index(page)] for words in commands(other)]
    for words in commands(page):
        ours = words[0] == "nlp-gym" and words not in before
        short = shortened(words[1:], runs) if ours else None
        if short is not None:
            printed = done(short)
            if short[0] == "train" and not {"--optimize", "--continue"} & {*short}:
                runs["latest"] = printed
