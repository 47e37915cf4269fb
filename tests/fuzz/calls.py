"""What users call, and the arguments that each call takes."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from nlp_gym import make_task
from nlp_gym.checks import OBS_TYPES, REWARDS
from nlp_gym.data import DATASETS, FAMILIES, check, load_corpus, read
from nlp_gym.encode import EncoderOptions, load_encoder
from nlp_gym.knowledge import KnowledgeBase, read_knowledge
from nlp_gym.registration import ENVS
from nlp_gym.render import RENDER_MODES
from nlp_gym.tasks.core.make import task_class
from nlp_gym.types import SPLITS, Sample
from nlp_gym.wrappers import KnowledgeObservation, KnowledgeVectorObservation

SMALL = {"encoder": "hashed", "corpus": "sample"}
IDS = list({(row.task, row.dataset): row.id for row in reversed(ENVS)}.values())
"""One id of those that play the same rules on the same sample."""

PLAIN: Mapping[str, Sequence[Any]] = {
    "split": SPLITS,
    "reward": REWARDS,
    "encoder": ("hashed",),
    "encoder_kwargs": (None, {"dim": 8}),
    "corpus": ("sample", "auto"),
    "labels": (["O", "B-PER", "I-PER"], ["a", "b"]),
    "scheme": ("BIO", "flat"),
    "data_scheme": ("iob1", "bioes", "none"),
    "data_format": ("conll", "csv", "jsonl"),
    "perturb": ("typos:0.5", "upper"),
    "augment": ("typos", ["upper", "lower:0.5"]),
    "tasks": (["Question-TREC-v0", "POS-v0"],),
    "weights": ([1.0, 2.0],),
    "shape": ((2, 3, 2),),
    "obs_type": OBS_TYPES,
    "render_mode": (None, *RENDER_MODES),
    "num_envs": (1, 3),
    "max_episode_steps": (1, 4),
}
"""Values that are right, or nearly, by argument; for others it is the default."""


class Call(NamedTuple):
    """Something that users call.

    Attributes:
        function: Takes the arguments as a mapping.
        arguments: Values that are right, by argument.
        fixed: Arguments that are given if they are not drawn.
    """

    function: Callable[[Mapping[str, Any]], object]
    arguments: Mapping[str, Sequence[Any]]
    fixed: Mapping[str, Any] = {}


@lru_cache
def _task_arguments(env_id: str) -> dict[str, Sequence[Any]]:
    """Arguments of the task behind an id, those of its base classes included."""
    found: dict[str, Sequence[Any]] = {}
    for base in task_class(env_id).__mro__:
        if "__init__" in vars(base):
            for p in inspect.signature(base).parameters.values():
                if p.kind is p.KEYWORD_ONLY:
                    default = (None,) if p.default is p.empty else (p.default,)
                    found.setdefault(p.name, PLAIN.get(p.name, default))
    return found


def _play(env: Any, steps: int = 2) -> None:
    """Begin an episode and play a little, so that what is checked late is reached too."""
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(steps):
        *_, ended, cut, _ = env.step(env.action_space.sample())
        if np.any(ended) or np.any(cut):
            break
    if env.unwrapped.render_mode is not None:
        env.render()
    env.close()


def _own_file(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {**SMALL, **kwargs}


def _environments(calls: dict[str, Call]) -> None:
    shell = {name: PLAIN[name] for name in ("obs_type", "render_mode", "max_episode_steps")}
    for env_id in IDS:
        arguments = _task_arguments(env_id)
        extra = {"task": (gym.spec(env_id).kwargs["task"],), "nonsense": (1,)}

        def single(kwargs: Mapping[str, Any], env_id: str = env_id) -> None:
            _play(gym.make(env_id, **_own_file(kwargs)))

        def vector(kwargs: Mapping[str, Any], env_id: str = env_id) -> None:
            _play(gym.make_vec(env_id, **_own_file(kwargs)))

        def task(kwargs: Mapping[str, Any], env_id: str = env_id) -> None:
            make_task(env_id, **_own_file(kwargs))

        calls[f"make {env_id}"] = Call(single, {**arguments, **shell, **extra})
        sizes = {"num_envs": PLAIN["num_envs"], "vectorization_mode": (None, "sync")}
        calls[f"make_vec {env_id}"] = Call(vector, {**arguments, **shell, **extra, **sizes})
        calls[f"make_task {env_id}"] = Call(task, {**arguments, **extra})
    calls["make"] = Call(lambda k: gym.make(**_own_file(k)), {"id": ("POS-v0",)})
    calls["make_vec"] = Call(lambda k: gym.make_vec(**_own_file(k)), {"id": ("POS-v0",)})
    calls["make_task"] = Call(
        lambda k: make_task(**_own_file(k)), {"env_id": ("POS-v0",), "split": SPLITS}
    )


def _tagged(folder: Path) -> Path:
    path = folder / "tagged.conll"
    path.write_text("Ana B-PER\nleft O\n\nLi B-PER\nran O\n\nBo B-PER\n\nJo B-PER\n")
    return path


def _corpora(calls: dict[str, Call], folder: Path) -> None:
    file = _tagged(folder)
    reading = {
        "format": (None, "conll", "csv"),
        "family": (None, *FAMILIES),
        "column": (None, 1, "upos"),
        "scheme": ("auto", "none", "iob1"),
        "pair": (None, "en-de"),
    }
    named = {"name": tuple(DATASETS), "split": SPLITS, "labels": (None, ["O", "B-PER"])}
    named |= {"data_dir": (None, str(folder)), "corpus": ("auto", "sample", "full")}
    calls["load_corpus"] = Call(
        lambda k: load_corpus(**k), {**named, **reading}, {"name": "conll2003", "corpus": "sample"}
    )
    own = {**named, **reading, "data": (file, str(file), {"train": file})}
    calls["load_corpus own"] = Call(lambda k: load_corpus(**k), own, {"name": None, "data": file})
    one = {**reading, "path": (file, str(file)), "gold": (True, False), "split": (None, *SPLITS)}
    calls["read"] = Call(lambda k: read(**k), one, {"path": file})
    calls["check"] = Call(lambda k: check(**k), one, {"path": file})
    fields = {"words": (("Ana", "left"),), "labels": (("B-PER", "O"), None), "id": ("a",)}
    fields |= {"extra": ({},), "gold": (None, 0)}
    for env_id in IDS:

        def samples(kwargs: Mapping[str, Any], env_id: str = env_id) -> None:
            given = {"words": ("Ana", "left"), "labels": ("B-PER", "O"), **kwargs}
            data = [Sample(**given), Sample(("Li", "ran"), ("B-PER", "O"))]
            make_task(env_id, data=data, **SMALL)

        calls[f"samples {env_id}"] = Call(samples, fields)


def _encoders(calls: dict[str, Call]) -> None:
    options = {field.name: (field.default,) for field in dataclasses.fields(EncoderOptions)}
    calls["load_encoder"] = Call(
        lambda k: load_encoder(**k).encode([["a"]]), {"name": ("hashed",), "dim": (4,)}
    )
    calls["load_encoder minilm"] = Call(lambda k: load_encoder("minilm", **k), options)
    calls["EncoderOptions"] = Call(lambda k: EncoderOptions(**k), options)
    calls["EncoderOptions.of"] = Call(
        lambda k: EncoderOptions.of(**k),
        {"encoder_kwargs": (None, {}), "encoder": ("hashed", "minilm"), "layers": (None, "last")},
        {"encoder_kwargs": None},
    )


def _wrappers(calls: dict[str, Call], folder: Path) -> None:
    file = folder / "triples.tsv"
    file.write_text("Ana\tworks for\tBolt\nBolt\tis in\tOslo\n")
    given = {"triples": (file, str(file)), "names": (None,), "roles": (4,)}
    calls["read_knowledge"] = Call(lambda k: read_knowledge(**k), given, {"triples": file})
    calls["KnowledgeBase"] = Call(
        lambda k: KnowledgeBase(**k),
        {"triples": ([("a", "b", "c")],), "names": (None, {"a": "x"}), "roles": (4,)},
        {"triples": [("a", "b", "c")]},
    )
    for kind, make, wrapper in (
        ("single", gym.make, KnowledgeObservation),
        ("vector", gym.make_vec, KnowledgeVectorObservation),
    ):

        def wrap(kwargs: Mapping[str, Any], make: Any = make, wrapper: Any = wrapper) -> None:
            rest = {"triples": file, **kwargs}
            env = rest.pop("env") if "env" in rest else make("POS-v0", **SMALL)
            wrapper(env, **rest)

        calls[f"Knowledge {kind}"] = Call(wrap, {**given, "env": ()})


def _episodes(calls: dict[str, Call]) -> None:
    for env_id in IDS:

        def single(kwargs: Mapping[str, Any], env_id: str = env_id) -> None:
            env = gym.make(env_id, disable_env_checker=True, **SMALL)
            env.reset(**{k: v for k, v in kwargs.items() if k != "action"})
            if "action" in kwargs:
                env.step(kwargs["action"])

        def vector(kwargs: Mapping[str, Any], env_id: str = env_id) -> None:
            env = gym.make_vec(env_id, num_envs=2, **SMALL)
            env.reset(**{k: v for k, v in kwargs.items() if k != "actions"})
            if "actions" in kwargs:
                env.step(kwargs["actions"])

        options = (None, {}, {"row": 0}, {"row": [0, 1]}, {"row": np.array([1, 0])})
        calls[f"play {env_id}"] = Call(
            single,
            {"seed": (None, 3), "options": options, "row": (0,), "action": (0, np.int64(0))},
        )
        calls[f"play vector {env_id}"] = Call(
            vector,
            {"seed": (None, 3, [1, 2]), "options": options, "actions": ([0, 0], np.zeros(2, int))},
        )


def all_calls(folder: Path) -> dict[str, Call]:
    """Every call by its name.

    Args:
        folder: Where the files that they read are written.
    """
    calls: dict[str, Call] = {}
    _environments(calls)
    _corpora(calls, folder)
    _encoders(calls)
    _wrappers(calls, folder)
    _episodes(calls)
    return calls
