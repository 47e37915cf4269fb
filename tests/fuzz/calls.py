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
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from typer.testing import CliRunner

from nlp_gym import make_task, make_vec_env
from nlp_gym.checks import OBS_TYPES, REWARDS
from nlp_gym.data import DATASETS, FAMILIES, check, load_corpus, read
from nlp_gym.encode import EncoderOptions, load_encoder
from nlp_gym.knowledge import KnowledgeBase, read_knowledge
from nlp_gym.layout import LAYOUTS
from nlp_gym.metrics.text.corpus import generation_score
from nlp_gym.registration import ENVS
from nlp_gym.render import RENDER_MODES
from nlp_gym.tasks.core.make import task_class
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import SPLITS
from nlp_gym.wrappers import (
    KnowledgeObservation,
    KnowledgeVectorObservation,
    LayoutObservation,
    LayoutVectorObservation,
)
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.cli.train.command import config_of
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.evaluation.baselines import run_baselines
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.evaluation.minari import Export, export
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.training.train import train

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
    "changes": ("typos,synonyms", ["paraphrase"]),
    "victim": ("naive-bayes",),
    "tasks": (["Question-TREC-v0", "POS-v0"],),
    "weights": ([1.0, 2.0],),
    "shape": ((2, 3, 2),),
    "obs_type": OBS_TYPES,
    "layout": (None, *LAYOUTS),
    "autoreset_mode": ("NextStep", *AutoresetMode),
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


def _quick(kwargs: Mapping[str, Any]) -> bool:
    """Whether the environments are made in a moment; memory may hold a million, but not so soon."""
    n = kwargs.get("num_envs")
    return type(n) is not int or n != 10**6


def _environments(calls: dict[str, Call]) -> None:
    names = ("obs_type", "layout", "render_mode", "max_episode_steps")
    shell = {name: PLAIN[name] for name in names}
    for env_id in IDS:
        arguments = _task_arguments(env_id)
        extra = {"task": (gym.spec(env_id).kwargs["task"],), "nonsense": (1,)}

        def single(kwargs: Mapping[str, Any], env_id: str = env_id) -> None:
            _play(gym.make(env_id, **_own_file(kwargs)))

        def vector(kwargs: Mapping[str, Any], env_id: str = env_id) -> None:
            if _quick(kwargs):
                _play(gym.make_vec(env_id, **_own_file(kwargs)))

        def task(kwargs: Mapping[str, Any], env_id: str = env_id) -> None:
            make_task(env_id, **_own_file(kwargs))

        calls[f"make {env_id}"] = Call(single, {**arguments, **shell, **extra})
        sizes = {name: PLAIN[name] for name in ("num_envs", "autoreset_mode")}
        sizes["vectorization_mode"] = (None,)
        calls[f"make_vec {env_id}"] = Call(vector, {**arguments, **shell, **extra, **sizes})
        calls[f"make_task {env_id}"] = Call(task, {**arguments, **extra})
    calls["make"] = Call(lambda k: gym.make(**_own_file(k)), {"id": ("POS-v0",)})
    calls["make_vec"] = Call(lambda k: gym.make_vec(**_own_file(k)), {"id": ("POS-v0",)})

    def native(kwargs: Mapping[str, Any]) -> None:
        if _quick(kwargs):
            _play(make_vec_env(**_own_file({"id": "POS-v0", "num_envs": 2, **kwargs})))

    calls["make_vec_env"] = Call(
        native,
        {**shell, **sizes, "id": ("POS-v0",), "wrappers": (None, [], [RecordEpisodeStatistics])},
    )
    calls["make_task"] = Call(
        lambda k: make_task(**_own_file({"env_id": "POS-v0", **k})),
        {"env_id": ("POS-v0",), "split": SPLITS},
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
    for env_id in IDS:
        calls[f"samples {env_id}"] = _samples_call(env_id)


def _samples_call(env_id: str) -> Call:
    """Samples of the bundled corpus, of which one has other fields."""
    dataset = gym.spec(env_id).kwargs["dataset"]
    if dataset not in DATASETS:  # a mixture
        dataset = "conll2003"
    right = load_corpus(dataset, "train", corpus="sample").samples[:3]
    fields: dict[str, Sequence[Any]] = {
        name: (getattr(right[0], name),) for name in ("words", "labels", "id", "extra", "gold")
    }
    fields |= {f"extra.{key}": (value,) for key, value in right[0].extra.items()}
    fields["extra.types"] = fields["extra.order_words"] = fields["extra.names"] = ()

    def samples(kwargs: Mapping[str, Any]) -> None:
        given = {k: v for k, v in kwargs.items() if "." not in k}
        inner = {k.partition(".")[2]: v for k, v in kwargs.items() if "." in k}
        if inner:
            given["extra"] = {**right[0].extra, **inner}
        _play(gym.make(env_id, data=[dataclasses.replace(right[0], **given), *right[1:]], **SMALL))

    return Call(samples, fields)


def _encoders(calls: dict[str, Call]) -> None:
    options = {field.name: (field.default,) for field in dataclasses.fields(EncoderOptions)}
    calls["load_encoder"] = Call(
        lambda k: load_encoder(**k).encode([["a"]]),
        {"name": ("hashed",), "dim": (4,), "project": (None, 2), "storage": ("float16", "int8")},
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
    for kind, make, layout in (
        ("single", gym.make, LayoutObservation),
        ("vector", gym.make_vec, LayoutVectorObservation),
    ):

        def lay_out(kwargs: Mapping[str, Any], make: Any = make, wrapper: Any = layout) -> None:
            rest = {"layout": "flat", **kwargs}
            env = rest.pop("env") if "env" in rest else make("POS-v0", **SMALL)
            _play(wrapper(env, **rest))

        calls[f"Layout {kind}"] = Call(lay_out, {"layout": LAYOUTS, "env": ()})


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

        some = {"reset_mask": np.array([True, False])}
        options: tuple[Any, ...] = (
            None,
            {},
            {"row": 0},
            {"row": [0, 1]},
            {"row": np.array([1, 0])},
            some,
        )
        calls[f"play {env_id}"] = Call(
            single,
            {"seed": (None, 3), "options": options, "action": (0, np.int64(0))},
        )
        calls[f"play vector {env_id}"] = Call(
            vector,
            {"seed": (None, 3, [1, 2]), "options": options, "actions": ([0, 0], np.zeros(2, int))},
        )


def _printable(value: object) -> bool:
    return isinstance(value, str | Path | float | bool | None) or (
        isinstance(value, int) and value.bit_length() < 1000
    )


def _training(calls: dict[str, Call]) -> None:
    fields: dict[str, Sequence[Any]] = {
        field.name: (field.default,)
        for field in dataclasses.fields(TrainConfig)
        if field.default is not dataclasses.MISSING
    }
    fields |= {"hyperparams": ({}, {"gamma": 0.5}), "env_kwargs": ({}, {"window": 2})}
    fields |= {"algo": ("dqn", "ppo", "bc"), "env": ("POS-v0",), "encoder": ("hashed", None)}
    calls["TrainConfig"] = Call(lambda k: merge(TrainConfig(**k)), fields, {"encoder": "hashed"})
    names = ("learning_rate", "buffer_size", "batch_size", "policy_kwargs", "train_freq", "policy")
    names += ("tuning", "kl", "start", "gamma", "n_envs", "n_timesteps", "target_update_interval")
    extractor = ("hidden", "dropout", "activation")
    values: dict[str, Sequence[Any]] = dict.fromkeys(names, ())

    def hyperparams(kwargs: Mapping[str, Any]) -> None:
        merge(TrainConfig(algo="dqn", env="POS-v0", hyperparams=kwargs))

    calls["hyperparams"] = Call(hyperparams, values)

    def nested(kwargs: Mapping[str, Any]) -> None:
        deep = {"policy_kwargs": {"features_extractor_kwargs": dict(kwargs)}}
        merge(TrainConfig(algo="ppo", env="POS-v0", hyperparams=deep))

    calls["hyperparams of the extractor"] = Call(nested, dict.fromkeys(extractor, ()))

    def flags(kwargs: Mapping[str, Any]) -> None:
        texts = {name: v if v is None else str(v) for name, v in kwargs.items() if _printable(v)}
        lists = {k: [v] for k, v in texts.items() if k in ("hyperparams", "env_kwargs") and v}
        merge(config_of({**texts, **lists}, None))

    shell = ("env", "algo", "hyperparams", "env_kwargs", "device", "encoder", "encoder_mode")
    calls["flags"] = Call(flags, dict.fromkeys((*shell, "data", "data_dir", "warm_start"), ()))
    tuning = {field.name: (field.default,) for field in dataclasses.fields(Tuning)}
    calls["Tuning"] = Call(lambda k: Tuning.of(k), tuning)


def _runs(calls: dict[str, Call], folder: Path) -> None:
    """What is done with a run, which is trained when it is first asked for."""

    @lru_cache
    def trained() -> Path:
        kwargs = {"corpus": "sample", "encoder_kwargs": {"dim": 8}}
        config = TrainConfig("POS-v0", "bc", 20, encoder="hashed", env_kwargs=kwargs)
        return train(config, run_dir=folder / "run", progress=False)

    loading = {"checkpoint": ("best", "last"), "device": ("cpu",), "run": ()}
    shared = {**loading, "env_kwargs": (None, {"window": 1})}
    calls["run load_trained"] = Call(lambda k: load_trained(**{"run": trained(), **k}), loading)
    scoring = {"split": SPLITS, "data": (), "data_dir": (None,), "perturb": (None, "upper")}
    scoring |= {"bootstrap": (0, 5), "searches": (None, 3)}

    def score(kwargs: Mapping[str, Any]) -> None:
        evaluate(**{"run": trained(), "split": "dev", "bootstrap": 0, **kwargs})

    calls["run evaluate"] = Call(score, {**shared, **scoring})

    def predict(kwargs: Mapping[str, Any]) -> None:
        given = kwargs.get("given", ["Ana left."])
        rest = {name: value for name, value in kwargs.items() if name != "given"}
        Agent(**{"run": trained(), **rest}).predict(given)

    texts = (["Ana left.", ["Li", "ran"]],)
    calls["run Agent"] = Call(predict, {**shared, "alternatives": (0,), "given": texts})

    def baselines(kwargs: Mapping[str, Any]) -> None:
        task = make_task("POS-v0", "dev", **SMALL)
        run_baselines(task, task, **{"report": False, "bootstrap": 0, **kwargs})

    names = (["random", "majority"], ["oracle"])
    some = {"names": names, "seed": (0,), "rows": (None, [0]), "bootstrap": (0,)}
    calls["run baselines"] = Call(baselines, some)
    exported = {field.name: () for field in dataclasses.fields(Export)}
    calls["run export"] = Call(
        lambda k: export(Export(**{"env": "POS-v0", "episodes": 2, "env_kwargs": SMALL, **k})),
        exported,
    )
    calls["run generation_score"] = Call(
        lambda k: generation_score(
            **{"references": [["a b"]], "outputs": ["a c"], "sources": ["b"], **k}
        ),
        {
            "value": ("bleu",),
            "tokenize": ("13a",),
            "bootstrap": (0,),
            "rouge_tokenizer": ("rouge",),
        },
    )


def _commands(calls: dict[str, Call], folder: Path) -> None:
    """The command line, on which everything is a string."""
    file = str(_tagged(folder))
    commands: dict[str, tuple[list[str], Sequence[str]]] = {
        "data check": (["FILE"], ("format", "family", "scheme", "column", "pair", "env")),
        "data list": ([], ("data-dir",)),
        "evaluate": (["FILE"], ("split", "data", "data-dir", "env-kwargs", "device", "searches")),
        "predict": (["FILE", "text"], ("format", "input", "env-kwargs", "checkpoint")),
        "feedback": (["FILE", "text"], ("correct", "reward", "input", "export")),
        "learn": (["FILE"], ("replay", "objective", "seed")),
        "select": (["FILE", "--input", "FILE"], ("budget", "strategy", "over", "ensemble")),
    }
    for name, (given, options) in commands.items():

        def run(kwargs: Mapping[str, Any], name: str = name, given: Sequence[str] = given) -> None:
            typed = {key: str(value) for key, value in kwargs.items() if _printable(value)}
            place = typed.pop("FILE", file)
            arguments = [place if part == "FILE" else part for part in given]
            arguments += [part for key, value in typed.items() for part in (f"--{key}", value)]
            result = CliRunner().invoke(app, [*name.split(), *arguments])
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception

        taken = dict.fromkeys(options, ())
        if "FILE" in given:
            taken["FILE"] = ()
        calls[f"command {name}"] = Call(run, taken)


def _scores(calls: dict[str, Call]) -> None:
    for env_id in IDS:

        def score(kwargs: Mapping[str, Any], env_id: str = env_id) -> None:
            task = make_task(env_id, **SMALL)
            rows = [0, 1]
            outputs = rollout(task, "oracle", rows, obs_type=kwargs.get("obs_type", "index"))
            rest = {k: v for k, v in kwargs.items() if k != "obs_type"}
            task.score(**{"outputs": outputs, "rows": rows, "bootstrap": 0, **rest})

        calls[f"score {env_id}"] = Call(
            score,
            {
                "rows": ([0, 1],),
                "bootstrap": (0, 3),
                "report": (True, None),
                "obs_type": ("index",),
            },
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
    _scores(calls)
    _training(calls)
    _runs(calls, folder)
    _commands(calls, folder)
    return calls
