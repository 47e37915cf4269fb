"""A page for each registered id, and the gallery that leads to them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium as gym

from docs.generate.markdown import slug, table, tables
from docs.generate.pictures import Episode, episode
from nlp_gym import registration
from nlp_gym.data import DATASETS, READERS
from nlp_gym.encode.options import parse_layers
from nlp_gym.registration import EnvRow
from nlp_gym.tasks import make_task, task_class
from nlp_gym_agents.algorithms.registry import ALGORITHMS
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.evaluation.baselines import run_baselines

WIDTH, LAYERS = 384, 6
"""Of MiniLM, the default encoder: its weights are not needed to say how wide observations are."""
OBS_TYPES = ("features", "tokens", "index")
FLOORS = ("random", "majority", "oracle")
MEASURED = ("results", "robustness")
"""Pages whose tables of measurements are searched for rows of an id."""


def files(pages: Path) -> dict[str, str | bytes]:
    """Pages and pictures by name; `pages` is the folder of the pages written by hand."""
    made: dict[str, str | bytes] = {}
    for row in registration.env_rows():
        made[f"environments/{row.id}.md"] = environment_page(row, pages)
        played, start = drawn(row.id), f"environments/pictures/{row.id}"
        made |= {f"{start}.png": played.strip, f"{start}-end.png": played.end}
        if played.moves:
            made[f"{start}.webp"] = played.movie
    return made | {"environments/index.md": gallery(), "environments/common.md": common_page()}


def environment_page(row: EnvRow, pages: Path) -> str:
    """Everything about one id."""
    parts = [
        f"# {row.id}",
        _about(row),
        _picture(row.id),
        start(row),
        _linked(_sections(task_class(row.id))),
        "## Shapes",
        _shapes(row.id),
        "## Floors and ceilings",
        _floors(row.id),
        "## Measured on the full corpus",
        _measured(row.id, pages),
        "## Hyperparameters",
        _hyperparameters(row.id),
    ]
    return "\n\n".join(parts) + "\n"


def gallery() -> str:
    """All ids by kind of task; a card per episode, with the ids that play it."""
    parts = [
        "# Environments",
        "Each card is the end of an episode on the bundled sample, drawn by `env.render()` when "
        "this site was built: the oracle plays, with one wrong decision where the episode is long "
        "enough for one. Ids for your own file play the sample of another id until they get one. "
        "What holds for every id is on the page [All environments](common.md).",
        "```{toctree}\n:hidden:\n\ncommon\n```",
    ]
    for title, rows in _groups().items():
        cards: dict[bytes, list[str]] = {}
        for row in rows:
            cards.setdefault(drawn(row.id).end, []).append(row.id)
        shown = [_card(ids) for ids in cards.values()]
        parts += [f"## {title}", "::::{container} gallery\n" + "\n".join(shown) + "\n::::"]
        names = "\n".join(row.id for row in rows)
        parts.append(f"```{{toctree}}\n:hidden:\n\n{names}\n```")
    return "\n\n".join(parts) + "\n"


def common_page() -> str:
    """What the base class of all tasks says, and its arguments."""
    from nlp_gym.tasks.core.task import Task

    base = inspect.getdoc(Task) or ""
    defaults = {
        name: parameter.default
        for cls in reversed(Task.__mro__)
        if "__init__" in vars(cls) and cls is not object
        for name, parameter in inspect.signature(cls).parameters.items()
    }
    rows = []
    for name, text in _arguments_of(Task):
        default = defaults.get(name, inspect.Parameter.empty)
        shown = "by id" if default is inspect.Parameter.empty else f"`{default!r}`"
        rows.append((f"`{name}`", shown, text))
    return (
        "\n\n".join(
            [
                "# All environments",
                _linked(base.partition("\n\n")[2]),
                "## Arguments of every id",
                "They are given to `gym.make` and `gym.make_vec`, beside `obs_type` (`features`, "
                "`tokens`, `index`) and `render_mode`, and on the command line as `--env-kwargs "
                "name:value`.",
                table(("argument", "default", "meaning"), rows),
            ]
        )
        + "\n"
    )


def family_title(family: str) -> str:
    """The heading of a family's formats: the title of the first id that reads its files."""
    classes = (task_class(row.id) for row in registration.env_rows())
    return title_of(next(cls for cls in classes if cls.family == family))


def title_of(cls: type[Any]) -> str:
    """The kind of task: how the docstring of its class begins."""
    first = (inspect.getdoc(cls) or "").partition("\n")[0]
    return re.split(r",? as (?:a|one) decision process", first)[0]


def _groups() -> dict[str, list[EnvRow]]:
    """Rows by kind of task."""
    groups: dict[str, list[EnvRow]] = {}
    for row in registration.env_rows():
        groups.setdefault(title_of(task_class(row.id)), []).append(row)
    return groups


@cache
def drawn(env_id: str) -> Episode:
    """Its episode, played once for the page and the card."""
    return episode(env_id)


def _picture(env_id: str) -> str:
    played = drawn(env_id)
    ending = "webp" if played.moves else "png"
    return f"![An episode of {env_id}](pictures/{env_id}.{ending})\n\n*{played.caption}*"


def _card(ids: Sequence[str]) -> str:
    """The end of an episode, and the ids that play it."""
    links = " · ".join(f"[{env_id}]({env_id}.md)" for env_id in ids)
    picture = f"[![The end of an episode of {ids[0]}](pictures/{ids[0]}-end.png)]({ids[0]}.md)"
    return f":::{{container}} card\n{links}\n\n{picture}\n:::"


def _about(row: EnvRow) -> str:
    cls = task_class(row.id)
    first = (inspect.getdoc(cls) or "").partition("\n")[0]
    lines = [f"{first} The rules are `{cls.__module__}.{cls.__name__}`."]
    if row.dataset in DATASETS:
        corpus = DATASETS[row.dataset]
        where = f"[{corpus.name}]({corpus.homepage})" if "://" in corpus.homepage else corpus.name
        lines.append(f"Corpus: {where}, {corpus.description}. Licence: {corpus.licence}.")
    if cls.family in READERS:
        formats = f"[formats](../data.md#{slug(family_title(cls.family))})"
        lines.append(f'Your own file: `data="FILE"` in one of its {formats}.')
    return " ".join(lines)


def start(row: EnvRow) -> str:
    """The two code blocks of an id: play it, train on it."""
    return f"""```python
import gymnasium as gym
import nlp_gym

env = gym.make("{row.id}")
observation, info = env.reset(seed=0)
observation, reward, terminated, truncated, info = env.step(env.unwrapped.oracle_action())
```

```bash
nlp-gym train --env {row.id} --algo maskable_ppo --warm-start bc
```"""


def _shapes(env_id: str) -> str:
    """Keys of the observations with the default encoder's widths, on the bundled sample."""
    task: Any = make_task(env_id, corpus="sample", encoder="hashed")
    options = {"dim": WIDTH * parse_layers(task.default_layers, LAYERS).parts}
    env: Any = gym.make(env_id, corpus="sample", encoder="hashed", encoder_kwargs=options)
    rows = []
    for obs_type in OBS_TYPES:
        space = env.unwrapped.task.observation_space(obs_type)
        for key, box in space.items():
            low, high = box.low.min(), box.high.max()
            rows.append((obs_type, f"`{key}`", box.shape, box.dtype, f"{low:g} to {high:g}"))
    return (
        f"On the bundled sample, with MiniLM's default layers for this task (a vector is D = "
        f"{options['dim']} wide). The action space is `Discrete({env.action_space.n})`. Numbers of "
        "labels, candidates and tokens are those of the corpus.\n\n"
        + table(("obs_type", "key", "shape", "dtype", "values"), rows)
    )


def _sections(cls: type[Any]) -> str:
    """The sections of a task's docstring."""
    text = inspect.getdoc(cls) or ""
    return text[text.find("\n## ") :].strip() if "\n## " in text else text


def _linked(text: str) -> str:
    """Mentions of `Task` lead to the page of what holds for every id."""
    return re.sub(r"`Task`", "[`Task`](common.md)", text)


def _floors(env_id: str) -> str:
    train, test = (
        make_task(env_id, split, corpus="sample", encoder="hashed") for split in ("train", "test")
    )
    scores = run_baselines(train, test, FLOORS, bootstrap=0)
    cells = [f"{scores[name].value:.3f}" for name in FLOORS]
    return (
        f"On the test part of the bundled sample ({len(test.corpus)} samples), in "
        f"`{test.metric_name}`, computed when this page was built. `random` plays uniformly over "
        "the legal actions, `majority` plays the action that the oracle plays most often in "
        "training, and `oracle` is the expert.\n\n" + table(FLOORS, [cells], numbers=len(FLOORS))
    )


def _measured(env_id: str, pages: Path) -> str:
    """Rows about the id in the tables of measurements."""
    found = []
    for name in MEASURED:
        for each in tables((pages / f"{name}.md").read_text(encoding="utf-8")):
            rows = each.rows_about(env_id)
            if rows:
                link = f"From [{each.heading}](../{name}.md#{slug(each.heading)}):"
                found.append("\n".join([link, "", *each.header, *rows]))
    return "\n\n".join(found) or "Nothing is on record for this id."


def _hyperparameters(env_id: str) -> str:
    columns: dict[str, Mapping[str, Any]] = {}
    for algo in ALGORITHMS:
        fresh = load_hyperparams(algo, env_id)
        columns[f"`{algo}`"] = dict(_flat(fresh))
        warm = load_hyperparams(algo, env_id, warm=True)
        if warm != fresh:
            columns[f"`{algo}` after `bc`"] = dict(_flat(warm))
    keys = list(dict.fromkeys(key for column in columns.values() for key in column))
    rows = [(f"`{key}`", *(c.get(key, "") for c in columns.values())) for key in keys]
    return (
        "What `nlp-gym train` uses for this id with a frozen encoder, from "
        "`agents/nlp_gym_agents/hyperparams`, whose comments say what was measured. "
        "`--hyperparams key:value` overrides a value. Numbers such as `lin_1e-3` fall linearly "
        "to 0.\n\n:::{container} wide\n"
        + table(("", *columns), rows, numbers=len(columns))
        + "\n:::"
    )


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _arguments_of(cls: type[Any]) -> Iterator[tuple[str, str]]:
    """Names and texts of the arguments that the docstrings of a class and its bases list."""
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(base.__doc__ or "") if base is not object else ""
        block = re.search(r"^Args:\n((?:    .*\n?|\n)+)", text, re.MULTILINE)
        listed = block[1] if block else ""
        entries = re.findall(r"^    (\w+): (.*\n?(?:     +.*\n?)*)", listed, re.MULTILINE)
        for name, meaning in entries:
            yield name, " ".join(meaning.split()).replace("``", "`")
