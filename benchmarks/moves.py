"""How far a reader has to walk: moves between files per decision, and hops of `encoder_kwargs`.

    python benchmarks/moves.py
    python benchmarks/moves.py --encoder hashed      # needs no weights

A *move* is a call that enters another file of the project: the file of the called function differs
from that of the project's function that was running. Returns are not counted, and neither are the
files of other packages, which a call may pass through. One decision of `masked_dqn` is counted on
the bundled sample of NER-CoNLL-v0

- in training: one step of eight environments inside `nlp-gym train`, from the callback before it to
  the callback after it. No episode ends in it, and of the first 20 such steps what happens most
  often is shown;
- and one update that follows it;
- in evaluation: what one more word in each sentence adds to playing a batch greedily.

A *hop* is a function of the project that receives `encoder_kwargs` among its arguments, by itself
or somewhere inside them, between the parser of the command line and the encoder's constructor,
which is the last hop. A function counts once. An object's own `self` is not an argument here:
nothing is handed over. The options are followed by a mark: a value that nothing else has. Names are
those of the arguments: of what holds the options themselves, and of what they travel in.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from importlib.util import find_spec
from inspect import CO_VARARGS, CO_VARKEYWORDS
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from stable_baselines3.common.type_aliases import RolloutReturn

from nlp_gym import make_task
from nlp_gym.encode.hashed import HashedEncoder
from nlp_gym.encode.transformer.encoder import TransformerEncoder
from nlp_gym.messages import one_line_errors
from nlp_gym_agents.algorithms.q_learning.masked_dqn import MaskedDQN
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.cli.main import main as nlp_gym
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.models.play import outputs_of
from nlp_gym_agents.training.train import train

ENV_ID = "NER-CoNLL-v0"
STEPS = 20
ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = tuple(f"{ROOT / name}{os.sep}" for name in ("nlp_gym", "agents"))
_MARKS: dict[str, dict[str, Any]] = {"minilm": {"layers": "0+1+3"}, "hashed": {"dim": 40_503}}

Entry = tuple[str, str]
"""File, from the project's folder, and function."""


@cache
def _project_file(name: str) -> str | None:
    """A file of the project, from the project's folder; None for any other file."""
    return Path(name).relative_to(ROOT).as_posix() if name.startswith(_PACKAGES) else None


def _function(frame: FrameType) -> str:
    """The name of a running function, with the class of a method."""
    code = frame.f_code
    return str(getattr(code, "co_qualname", code.co_name))  # Python 3.10 has the plain name


class Moves:
    """A profile function that writes down each entry into another file of the project.

    Attributes:
        entries: The entries so far.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._files: list[str | None] = []  # of the running functions, innermost last

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Note a call or return."""
        if event == "call":
            around = self._files[-1] if self._files else None
            file = _project_file(frame.f_code.co_filename)
            if file is not None and file != around:
                self.entries.append((file, _function(frame)))
            self._files.append(file or around)
        elif event == "return" and self._files:
            self._files.pop()


def moves_of(action: Callable[[], object]) -> list[Entry]:
    """The moves that a call makes."""
    moves = Moves()
    sys.setprofile(moves)
    try:
        action()
    finally:
        sys.setprofile(None)
    return moves.entries


def training_decision(encoder: str) -> tuple[list[Entry], list[Entry]]:
    """Moves of one step of a training run, and of the update after it."""
    steps: list[list[Entry]] = []
    updates: list[list[Entry]] = []
    collect, learn = MaskedDQN.collect_rollouts, MaskedDQN.train

    def counted_step(model: MaskedDQN, *args: Any, **kwargs: Any) -> RolloutReturn:
        result: list[RolloutReturn] = []
        episodes = model._episode_num
        moves = moves_of(lambda: result.append(collect(model, *args, **kwargs)))
        if updates and model._episode_num == episodes:
            steps.append(moves)
        return result[0]

    def counted_update(model: MaskedDQN, *args: Any, **kwargs: Any) -> None:
        updates.append(moves_of(lambda: learn(model, *args, **kwargs)))

    MaskedDQN.collect_rollouts = counted_step  # type: ignore[method-assign, assignment]
    MaskedDQN.train = counted_update  # type: ignore[method-assign, assignment]
    hyperparams = {"buffer_size": 1000, "learning_starts": 8, "batch_size": 32}
    config = TrainConfig(
        ENV_ID,
        n_timesteps=8 * 16 * STEPS,
        n_envs=8,
        hyperparams=hyperparams,
        eval_freq=10**6,
        encoder=encoder,
        env_kwargs={"corpus": "sample"},
        device="cpu",
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            train(config, run_dir=Path(folder) / "run", progress=False)
    finally:
        MaskedDQN.collect_rollouts = collect  # type: ignore[method-assign]
        MaskedDQN.train = learn  # type: ignore[method-assign]
    usual, _ = Counter(map(tuple, steps[:STEPS])).most_common(1)[0]
    return list(usual), updates[-1]


def evaluation_decision(encoder: str) -> list[Entry]:
    """Moves that one more word makes where sentences are played greedily."""
    task = make_task(ENV_ID, corpus="sample", encoder=encoder)
    params = load_hyperparams("masked_dqn", ENV_ID, {"buffer_size": 1000})
    model = build_model(resolve("masked_dqn"), task, params, device="cpu")
    sizes, counts = np.unique(task.lengths, return_counts=True)
    short, long = sorted(sizes[np.argsort(-counts, kind="stable")[:2]].tolist())
    played = []
    for size in (short, short, long):  # the first also makes what is made once
        rows = np.flatnonzero(task.lengths == size)[:2].tolist()
        played.append(moves_of(partial(outputs_of, model, task, masked=True, rows=rows)))
    _, few, many = played
    each, rest = divmod(len(many) - len(few), long - short)
    assert rest == 0, "sentences of different lengths are played differently"
    pairs = enumerate(zip(few, many, strict=False))
    same = next((i for i, (one, other) in pairs if one != other), len(few))
    return many[same - each : same]


def _paths(value: object, mark: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Where in `value` the mark is: keys and attributes on the way to it, the mark's own last."""
    if type(value) is type(mark):
        if value == mark:
            yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _paths(item, mark, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item, mark, path)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _paths(getattr(value, field.name, None), mark, (*path, field.name))


def _aside(frame: FrameType | None) -> bool:
    """Whether a call is no part of the way: a check, or a copy of the settings for the disk."""
    while frame is not None:
        name = frame.f_code.co_name
        if name.startswith(("check_", "write_", "rewrite_")) or name == "as_dict":
            return _project_file(frame.f_code.co_filename) is not None
        frame = frame.f_back
    return False


class _Arrived(BaseException):
    """The encoder is being made."""


class Hops:
    """A profile function that follows an option from the parser to the encoder.

    Args:
        mark: The option and its value.

    Attributes:
        hops: Functions that received it, with the path to it in their arguments.
    """

    def __init__(self, mark: Mapping[str, object]) -> None:
        ((self._option, self._mark),) = mark.items()
        self.hops: dict[Entry, tuple[str, ...]] = {}
        self._parsed = False

    def __call__(self, frame: FrameType, event: str, value: object) -> None:
        """Look at the arguments of a call."""
        code = frame.f_code
        file = _project_file(code.co_filename)
        if file is None:
            return
        if event == "return" and code.co_name == "parse_overrides":
            self._parsed = self._parsed or any(_paths(value, self._mark, ()))
        if event != "call" or not self._parsed or code.co_name.startswith("parse_"):
            return
        if _aside(frame):
            return
        count = code.co_argcount + code.co_kwonlyargcount
        count += bool(code.co_flags & CO_VARARGS) + bool(code.co_flags & CO_VARKEYWORDS)
        for name in code.co_varnames[:count]:
            for path in _paths(frame.f_locals.get(name), self._mark, (name,)):
                if name != "self" and path[-1] == self._option:  # else a value by itself
                    self.hops.setdefault((file, _function(frame)), path)
        made = isinstance(frame.f_locals.get("self"), TransformerEncoder | HashedEncoder)
        if made and code.co_name == "__init__":
            sys.setprofile(None)
            raise _Arrived

    def names(self) -> tuple[list[str], list[str]]:
        """Names of what holds the options, and of what they travel in."""
        # The last of a path is the option itself: what holds it is before that.
        own = {path[-2] for path in self.hops.values()}
        around = {name for path in self.hops.values() for name in path[:-2]}
        return sorted(own), sorted(around - own)


def encoder_hops(encoder: str) -> Hops:
    """Follow ``--env-kwargs encoder_kwargs:{...}`` of the command to the encoder."""
    hops = Hops(_MARKS[encoder])
    given = ", ".join(f"{name}: {value}" for name, value in _MARKS[encoder].items())
    options = ["-n", "8", "--env-kwargs", "corpus:sample", f"encoder_kwargs:{{{given}}}"]
    with tempfile.TemporaryDirectory() as folder:
        run = ["--encoder", encoder, "--run-dir", f"{folder}/run", "--device", "cpu"]
        sys.setprofile(hops)
        try:
            nlp_gym(["train", "--env", ENV_ID, "--no-progress", "--no-report", *run, *options])
        except _Arrived:
            return hops
        finally:
            sys.setprofile(None)
    raise RuntimeError("no encoder was made")


def show(title: str, entries: list[Entry]) -> None:
    """Print a count and its sequence."""
    files = {file for file, _ in entries}
    print(f"\n{title}: {len(entries)} moves, {len(files)} files")
    for file, function in entries:
        print(f"    {file}  {function}")


def main(argv: list[str] | None = None) -> dict[str, int]:
    """Print all counts; returns them by name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    found = "minilm" if find_spec("all_minilm_l6_v2") else "hashed"
    parser.add_argument("--encoder", default=found, choices=tuple(_MARKS))
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    decision, update = training_decision(args.encoder)
    played, hops = evaluation_decision(args.encoder), encoder_hops(args.encoder)
    show("a decision in training", decision)
    show("an update", update)
    show("a decision in evaluation", played)
    own, around = hops.names()
    print(f"\nencoder_kwargs from the command line to the encoder: {len(hops.hops)} hops")
    for (file, function), path in hops.hops.items():
        print(f"    {file}  {function}  {'.'.join(path)}")
    print(f"names: {', '.join(own)}; inside {', '.join(around)}")
    counts = {"training": len(decision), "evaluation": len(played)}
    return {**counts, "hops": len(hops.hops), "names": len(own)}


if __name__ == "__main__":
    with one_line_errors():
        main()
