"""Run folders as a stranger might write them: each a whole run, changed in one way.

The checksums of a changed snapshot are written anew, as whoever changes a file can do: what is
tried here are the checks behind them.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file

PREDICT, EVALUATE, RESUME, TRAIN = "predict", "evaluate", "resume", "train"
"""What is tried: with ``best/``, with the last checkpoint, to go on, and ``--conf-file``."""
LOAD = (PREDICT, EVALUATE)
ALL = (*LOAD, RESUME)
EVIL = "evilmod"
"""A module in the current folder that leaves a file where it is imported."""


class RunFolder:
    """A run folder to be changed.

    Args:
        path: The folder.
        outside: A folder that has nothing to do with it.
    """

    def __init__(self, path: Path, outside: Path) -> None:
        self.path, self.outside = path, outside

    def snapshots(self) -> Iterator[Path]:
        """The folders with a manifest."""
        yield self.path / "best"
        yield from (self.path / "checkpoints").iterdir()

    def seal(self) -> None:
        """Write the checksums of all snapshots anew."""
        for folder in self.snapshots():
            files = [file for file in folder.iterdir() if file.name != "manifest.json"]
            manifest = json.loads((folder / "manifest.json").read_text())
            manifest["files"] = {
                file.name: hashlib.sha256(file.read_bytes()).hexdigest()
                for file in sorted(files)
                if file.is_file() and file.stat().st_size < 10**8
            }
            (folder / "manifest.json").write_text(json.dumps(manifest))

    def json(self, name: str, change: Callable[[Any], Any]) -> None:
        """Change the JSON of that name in all snapshots: in place, or by what a change returns."""
        for folder in self.snapshots():
            file = folder / name
            if file.exists():
                tree = json.loads(file.read_text())
                changed = change(tree)
                file.write_text(json.dumps(tree if changed is None else changed))
        self.seal()

    def text(self, name: str, text: str) -> None:
        """Replace the file of that name in all snapshots."""
        for folder in self.snapshots():
            if (folder / name).exists():
                (folder / name).write_text(text)
        self.seal()

    def config(self, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change ``config.yml``."""
        file = self.path / "config.yml"
        settings = yaml.safe_load(file.read_text())
        change(settings)
        file.write_text(yaml.safe_dump(settings))

    def settings(self, **changes: Any) -> None:
        """Change settings wherever they are: in all snapshots and in ``config.yml``."""
        self.json("settings.json", lambda tree: tree.update(changes))
        self.config(lambda tree: tree.update({k: v for k, v in changes.items() if k in tree}))

    def nested(self, part: str, **changes: Any) -> None:
        """Change a mapping of the settings, as `settings` does."""
        self.json("settings.json", lambda tree: tree[part].update(changes))
        self.config(lambda tree: tree.setdefault(part, {}).update(changes))

    def tensors(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the tensors in the files of that name."""
        for folder in self.snapshots():
            file = folder / f"{name}.safetensors"
            if file.exists():
                tensors = load_file(file)
                change(tensors)
                save_file(tensors, file)
        self.seal()

    def link(self, name: str) -> None:
        """Move something out of the run folder and leave a symbolic link."""
        target = self.outside / Path(name).name
        if (self.path / name).exists():
            shutil.move(self.path / name, target)
        else:
            target.touch()
        (self.path / name).symlink_to(target)


Change = Callable[[RunFolder], None]
_pipe = getattr(os, "mkfifo", os.mkdir)  # Windows has no pipes among files


@dataclass(frozen=True)
class Hostile:
    """One way to change a run.

    Attributes:
        change: What is done to it.
        refused: Operations that have to end in a typed error; others may, or work as before.
        message: Is part of that error's message.
    """

    change: Change
    refused: tuple[str, ...] = ()
    message: str = ""


def put(path: str, value: Any) -> Callable[[Any], None]:
    """A change of a tree at a dotted path."""

    def change(tree: Any) -> None:
        *parents, last = [int(key) if key.isdecimal() else key for key in path.split(".")]
        for key in parents:
            tree = tree[key]
        tree[last] = value

    return change


def state(path: str, value: Any) -> Change:
    """A change of ``state.json``."""
    return lambda run: run.json("state.json", put(path, value))


def without(key: str) -> Callable[[Any], None]:
    """A change that removes a key."""
    return lambda tree: void(tree.pop(key))


def fill(name: str, key: str, value: float) -> Change:
    """A change of the first number of a tensor whose name holds `key`."""

    def change(tensors: dict[str, Any]) -> None:
        for tensor in [tensors[name] for name in sorted(tensors) if key in name][:1]:
            tensor.view(-1)[:1] = value

    return lambda run: run.tensors(name, change)


def reshape(name: str, key: str, make: Callable[[Any], Any]) -> Change:
    """A change of a whole tensor whose name holds `key`."""

    def change(tensors: dict[str, Any]) -> None:
        for place in [place for place in sorted(tensors) if key in place][:1]:
            tensors[place] = make(tensors[place]).contiguous().clone()

    return lambda run: run.tensors(name, change)


def special(name: str, make: Callable[[Path], None], *, everywhere: bool = False) -> Change:
    """Replace a file by something that is no regular one."""

    def change(run: RunFolder) -> None:
        for file in run.path.rglob(name) if everywhere else [run.path / name]:
            file.unlink()
            make(file)

    return change


def sparse(path: Path) -> None:
    """A file of 100 GB that takes no place."""
    with path.open("wb") as file:
        file.truncate(10**11)


class _Boom:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def _pickled(run: RunFolder) -> None:
    for folder in run.snapshots():
        (folder / "policy.safetensors").write_bytes(pickle.dumps(_Boom()))
    run.seal()


def _encoder_folder(run: RunFolder) -> None:
    """An encoder that brings its own code, in the run folder."""
    folder = run.path / "encoder"
    folder.mkdir()
    kinds = {"AutoConfig": f"{EVIL}.Config", "AutoModel": f"{EVIL}.Model"}
    config = {"model_type": "evil", "auto_map": kinds, "hidden_size": 4, "num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / f"{EVIL}.py").write_text((run.outside / f"{EVIL}.py").read_text())
    save_file({"w": torch.zeros(2)}, folder / "model.safetensors")
    run.nested("env_kwargs", encoder=str(folder), encoder_kwargs={})


def _warm(run: RunFolder) -> None:
    """A harmless file of settings that starts from a hostile run."""
    teacher = run.outside / "teacher"
    shutil.copytree(run.path, teacher)
    RunFolder(teacher, run.outside).settings(algo=f"{EVIL}:Boom")
    run.config(lambda tree: tree.update(warm_start=str(teacher), algo="bc", hyperparams={}))


def _append(name: str, text: str) -> Change:
    def change(run: RunFolder) -> None:
        with (run.path / name).open("a") as file:
            file.write(text)

    return change


def _write(name: str, text: str) -> Change:
    return lambda run: void((run.path / name).write_text(text))


def void(*results: object) -> None:
    """Calls as one change, which gives nothing."""


def _unlisted(run: RunFolder) -> None:
    for folder in run.snapshots():
        manifest = json.loads((folder / "manifest.json").read_text())
        del manifest["files"]["settings.json"]
        (folder / "manifest.json").write_text(json.dumps(manifest))


def _manifest(change: Callable[[Any], None]) -> Change:
    def apply(run: RunFolder) -> None:
        for folder in run.snapshots():
            tree = json.loads((folder / "manifest.json").read_text())
            change(tree)
            (folder / "manifest.json").write_text(json.dumps(tree))

    return apply


def _many(text: str, times: int) -> str:
    return text * times


_BOMB = "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [*b{i - 1}, *b{i - 1}]\n" for i in range(1, 40))
_BOMB = _BOMB.replace("*b0", "*a")
_CODE = f"{EVIL}:Boom"
_ASKS = f"module '{EVIL}'"

HOSTILE: dict[str, Hostile] = {
    # Code.
    "algo": Hostile(lambda r: r.settings(algo=_CODE), (*ALL, TRAIN), _ASKS),
    "algo in a package": Hostile(
        lambda r: r.settings(algo=f"{EVIL}.sub:Boom"), (*ALL, TRAIN), f"--trust {EVIL}.sub"
    ),
    "algo of the library": Hostile(lambda r: r.settings(algo="antigravity:A"), ALL, "antigravity"),
    "algo is a function": Hostile(lambda r: r.settings(algo="os:system"), ALL, "module 'os'"),
    "algo is relative": Hostile(lambda r: r.settings(algo=f".{EVIL}:A"), ALL, "module"),
    "algo of a registered module": Hostile(
        lambda r: r.settings(algo="stable_baselines3:HerReplayBuffer"), ALL, "no algorithm class"
    ),
    "env": Hostile(lambda r: r.settings(env=f"{EVIL}:NER-v0"), (*ALL, TRAIN), _ASKS),
    "env of the library": Hostile(lambda r: r.settings(env="this:NER-v0"), ALL, "module 'this'"),
    "task": Hostile(lambda r: r.nested("env_kwargs", task=_CODE), (*ALL, TRAIN), _ASKS),
    "task is a number": Hostile(lambda r: r.nested("env_kwargs", task=5), ALL),
    "tasks of a mixture": Hostile(
        lambda r: void(
            r.settings(env="MultiTask-v0"), r.nested("env_kwargs", tasks=[f"{EVIL}:A-v0"])
        ),
        (*ALL, TRAIN),
        _ASKS,
    ),
    "task of a mixture's task": Hostile(
        lambda r: void(
            r.settings(env="MultiTask-v0"),
            r.nested("env_kwargs", tasks=["POS-v0"], task_kwargs={"POS-v0": {"task": _CODE}}),
        ),
        (*ALL, TRAIN),
        _ASKS,
    ),
    "id in task_kwargs": Hostile(
        lambda r: r.nested("env_kwargs", task_kwargs={f"{EVIL}:A-v0": {}}), ALL, _ASKS
    ),
    "learnt": Hostile(lambda r: r.settings(learnt={"task": _CODE}), ALL, _ASKS),
    "env_kwargs of hyperparams": Hostile(
        lambda r: r.nested("hyperparams", env_kwargs={"task": _CODE}), (*ALL, TRAIN), _ASKS
    ),
    "policy": Hostile(lambda r: r.nested("hyperparams", policy=_CODE), (*ALL, TRAIN), "policy="),
    "activation": Hostile(
        lambda r: r.nested("hyperparams", policy_kwargs={"activation_fn": _CODE}), ALL, EVIL
    ),
    "optimizer": Hostile(
        lambda r: r.nested("hyperparams", policy_kwargs={"optimizer_class": _CODE}), ALL, EVIL
    ),
    "extractor": Hostile(
        lambda r: r.nested("hyperparams", policy_kwargs={"features_extractor_class": _CODE})
    ),
    "buffer class": Hostile(
        lambda r: r.nested("hyperparams", replay_buffer_class=_CODE), ALL, "replay_buffer_class"
    ),
    "encoder": Hostile(
        lambda r: r.nested("env_kwargs", encoder=_CODE, encoder_kwargs={}), ALL, "no such folder"
    ),
    "encoder with code": Hostile(_encoder_folder, ALL),
    "warm start": Hostile(_warm, (TRAIN,), _ASKS),
    "pickle for weights": Hostile(_pickled, ALL, "damaged"),
    "pickle in config": Hostile(
        _write("config.yml", "!!python/object/apply:os.system ['true']"), (RESUME, TRAIN), "tag"
    ),
    # Places.
    "log outside": Hostile(
        lambda r: r.config(put("tensorboard_log", "../../x")),
        (RESUME, TRAIN),
        "--tensorboard-log",
    ),
    "log in a folder of another": Hostile(
        lambda r: r.config(put("tensorboard_log", str(r.outside / "logs"))),
        (RESUME, TRAIN),
        "--tensorboard-log",
    ),
    **{
        f"link {name}": Hostile(lambda r, name=name: r.link(name), (RESUME,), "symbolic link")
        for name in (
            ".run.lock",
            "best",
            "best/settings.json",
            "checkpoints",
            "command.txt",
            "config.yml",
            "metrics.jsonl",
            "report.json",
            "tensorboard",
            "x.txt",
        )
    },
    # Settings of the run.
    "bomb of aliases": Hostile(_write("config.yml", _BOMB), (RESUME, TRAIN), "alias"),
    "deep config": Hostile(_write("config.yml", "{a: " * 50_000), (RESUME, TRAIN), "deeper"),
    "deep lists": Hostile(_write("config.yml", _many("[", 10**6)), (RESUME, TRAIN), "deeper"),
    "many values": Hostile(_append("config.yml", "x: [" + "a," * 10**6), (RESUME, TRAIN), "values"),
    "key twice": Hostile(_append("config.yml", "seed: 1\n"), (RESUME, TRAIN), "twice"),
    "list for mapping": Hostile(_write("config.yml", "- a"), (RESUME, TRAIN), "mapping"),
    "empty config": Hostile(_write("config.yml", ""), (RESUME, TRAIN), "mapping"),
    "config is a bomb of digits": Hostile(
        _append("config.yml", "x: " + "1:1" * 10**6), (RESUME, TRAIN), "digits"
    ),
    "config of control characters": Hostile(
        _append("config.yml", "x: \x1b[2J\n"), (RESUME, TRAIN), "damaged"
    ),
    "config with NUL": Hostile(
        _append("config.yml", 'data: "a\\0b"\n'), (RESUME, TRAIN), "damaged"
    ),
    "unknown setting": Hostile(
        lambda r: r.config(put("n_timestep", 5)), (RESUME, TRAIN), "n_timesteps"
    ),
    **{
        f"{name}={value!r:.30}": Hostile(
            lambda r, name=name, value=value: r.config(put(name, value)), (RESUME, TRAIN), name
        )
        for name, value in {
            "n_timesteps": -5,
            "n_envs": 10**15,
            "eval_freq": 1.5,
            "save_freq": "often",
            "seed": 10**30,
            "early_stopping": -1,
            "env": ["NER-v0"],
            "algo": None,
            "hyperparams": [1],
            "env_kwargs": "x",
            "device": "tape",
            "encoder_mode": "melt",
            "freeze_layers": True,
            "data": 5,
        }.items()
    },
    "not finite": Hostile(
        lambda r: r.config(put("encoder_lr", float("nan"))), (RESUME, TRAIN), "finite"
    ),
    "a date": Hostile(_append("config.yml", "x: 2001-01-01\n"), (RESUME, TRAIN), "date"),
    "config is a pipe": Hostile(special("config.yml", _pipe), (RESUME, TRAIN), "pipe"),
    "config is a device": Hostile(
        special("config.yml", lambda path: path.symlink_to("/dev/zero")), (RESUME, TRAIN)
    ),
    "config is a folder": Hostile(special("config.yml", Path.mkdir), (RESUME, TRAIN), "folder"),
    "config is huge": Hostile(special("config.yml", sparse), (RESUME, TRAIN), "at most"),
    # Settings of a snapshot.
    "settings of another version": Hostile(lambda r: r.settings(format_version=99), ALL, "99"),
    "version is text": Hostile(lambda r: r.settings(format_version="1"), ALL, "'1'"),
    **{
        f"settings without {key}": Hostile(
            lambda r, key=key: r.json("settings.json", without(key)), ALL, key
        )
        for key in ("algo", "env", "env_kwargs", "labels", "hyperparams", "encoder", "aliases")
    },
    "unknown key in settings": Hostile(lambda r: r.settings(colour=1), ALL, "colour"),
    "settings are a list": Hostile(lambda r: r.json("settings.json", lambda t: [t]), ALL, "list"),
    "deep settings": Hostile(lambda r: r.text("settings.json", _many("[", 10**6)), ALL, "deeper"),
    "deep but whole settings": Hostile(
        lambda r: r.text("settings.json", '{"algo":' + "[" * 200 + "]" * 200 + "}"), ALL, "deeper"
    ),
    "settings key twice": Hostile(
        lambda r: r.text("settings.json", '{"algo": "bc", "algo": "dqn"}'), ALL, "twice"
    ),
    "labels are text": Hostile(lambda r: r.settings(labels="abc"), ALL, "labels"),
    "labels are numbers": Hostile(lambda r: r.settings(labels=[1, 2]), ALL, "labels"),
    "labels are few": Hostile(lambda r: r.settings(labels=["O"]), LOAD),
    "label of half a character": Hostile(lambda r: r.settings(labels=["O", "\ud800"]), ALL),
    "infinite value": Hostile(lambda r: r.settings(value=float("inf")), ALL, "Infinity"),
    "number of many digits": Hostile(
        lambda r: r.text("settings.json", '{"timesteps": ' + "9" * 10**6 + "}"), ALL, "digits"
    ),
    "negative timesteps": Hostile(lambda r: r.settings(timesteps=-1), ALL, "timesteps"),
    "huge timesteps": Hostile(lambda r: r.settings(timesteps=10**20), ALL, "timesteps"),
    "env that is none": Hostile(lambda r: r.settings(env="NERR-v0"), ALL, "NER"),
    "algo that is none": Hostile(lambda r: r.settings(algo="dqqn"), ALL, "dqn"),
    "env_kwargs name the split": Hostile(
        lambda r: r.nested("env_kwargs", split="test"), ALL, "split"
    ),
    "env_kwargs unknown": Hostile(lambda r: r.nested("env_kwargs", windw=1), ALL, "window"),
    "options of the encoder are text": Hostile(
        lambda r: r.nested("env_kwargs", encoder_kwargs="x"), ALL, "encoder_kwargs"
    ),
    "options of the encoder in config": Hostile(
        lambda r: r.config(put("env_kwargs.encoder_kwargs", [1])), (RESUME,), "encoder_kwargs"
    ),
    "another encoder": Hostile(
        lambda r: r.config(put("env_kwargs.encoder_kwargs", {"dim": 16})), (RESUME,), "encoder="
    ),
    "huge window": Hostile(lambda r: r.nested("env_kwargs", window=10**9), ALL, "window"),
    "alias of nothing": Hostile(
        lambda r: r.json("settings.json", put("aliases", {"a": "b"})), LOAD, "damaged"
    ),
    "obs_type that is none": Hostile(lambda r: r.settings(obs_type="smell"), ALL, "obs_type"),
    "wide layer": Hostile(
        lambda r: r.nested(
            "hyperparams", policy_kwargs={"features_extractor_kwargs": {"hidden": [2**16, 2**16]}}
        ),
        ALL,
        "more weights",
    ),
    "many layers": Hostile(
        lambda r: r.nested(
            "hyperparams", policy_kwargs={"features_extractor_kwargs": {"hidden": [1] * 40_000}}
        ),
        ALL,
        "at most",
    ),
    "wide vectors": Hostile(
        lambda r: r.nested("env_kwargs", encoder_kwargs={"dim": 60_000}), ALL, "vectors"
    ),
    "settings are a pipe": Hostile(
        special("settings.json", _pipe, everywhere=True), ALL, "missing"
    ),
    "settings are huge": Hostile(
        lambda r: special("settings.json", sparse, everywhere=True)(r), ALL, "at most"
    ),
    # Weights.
    "weight is NaN": Hostile(fill("policy", "", float("nan")), ALL, "NaN"),
    "weight is infinite": Hostile(fill("policy", "", float("inf")), ALL, "infinite"),
    "other shape": Hostile(reshape("policy", "", lambda t: t[:1]), ALL, "does not fit"),
    "other dtype": Hostile(reshape("policy", "", lambda t: t.double()), ALL, "float64"),
    "integers": Hostile(reshape("policy", "", lambda t: t.long()), ALL, "int64"),
    "tensor lacking": Hostile(
        lambda r: r.tensors("policy", lambda t: void(t.popitem())), ALL, "does not fit"
    ),
    "tensor too many": Hostile(
        lambda r: r.tensors("policy", put("extra", torch.zeros(1))), ALL, "does not fit"
    ),
    "weights are huge": Hostile(
        special("policy.safetensors", sparse, everywhere=True), ALL, "damaged"
    ),
    "weights are text": Hostile(lambda r: r.text("policy.safetensors", "x" * 100), ALL, "damaged"),
    # Manifests.
    "file not listed": Hostile(_unlisted, ALL, "not listed"),
    "manifest lists what is not there": Hostile(
        _manifest(lambda t: t["files"].update(x="0" * 64)), ALL, "missing"
    ),
    "manifest leads outside": Hostile(
        _manifest(lambda t: t["files"].update({"../../config.yml": "0" * 64})), ALL, "missing"
    ),
    "manifest with a long name": Hostile(
        _manifest(lambda t: t["files"].update({"x" * 5000: "0" * 64})), ALL, "missing"
    ),
    "manifest is a list": Hostile(
        lambda r: void(*[(f / "manifest.json").write_text("[]") for f in r.snapshots()]), ALL
    ),
    "checksum is a number": Hostile(
        _manifest(lambda t: t["files"].update({"settings.json": 1})), ALL, "files"
    ),
    "unknown key in manifest": Hostile(_manifest(put("x", 1)), ALL, "'x'"),
    # State of a checkpoint.
    **{
        f"state {path}={str(value)[:20]}": Hostile(state(path, value), (RESUME,))
        for path, value in [
            ("counters", []),
            ("counters.num_timesteps", -4),
            ("counters.num_timesteps", 10**18),
            ("counters.num_timesteps", 12),
            ("counters._n_updates", -(10**9)),
            ("counters.batch_size", 10**9),
            ("counters.gamma", 5.0),
            ("counters._n_calls", "x"),
            ("random.numpy.2", 10**6),
            ("random.numpy.0", "PCG64"),
            ("random.numpy.1", [1, 2]),
            ("random.python.1", [1] * 5),
            ("random.python.0", 9),
            ("random.action_space.state.state", 2**200),
            ("random.action_space.bit_generator", "MT19937"),
            ("random.action_space.uinteger", -1),
            ("episodes.generators", []),
            ("episodes", {}),
            ("buffer.pos", 10**6),
            ("buffer.pos", 1),
            ("buffer.full", True),
            ("buffer.buffer_size", 7),
            ("extra.next_eval", -1),
            ("extra.next_eval", 10**20),
            ("extra.best", "high"),
            ("extra.colour", 1),
            ("extra", []),
            ("colour", 1),
            ("optimizers", {}),
            ("optimizers", {"policy.optimizer": 1}),
        ]
    },
    **{
        f"optimizer {key}={value!r}": Hostile(
            state(
                "optimizers", {"policy.optimizer": {"state": {}, "param_groups": [{key: value}]}}
            ),
            (RESUME,),
            key,
        )
        for key, value in {"lr": -1.0, "betas": [2, 2], "fused": True, "colour": 1}.items()
    },
    "optimizer of another shape": Hostile(
        reshape("optimizer", "exp_avg", lambda t: t.view(-1)[:1].repeat(3)), (RESUME,), "shape"
    ),
    "optimizer with NaN": Hostile(fill("optimizer", "exp_avg", float("nan")), (RESUME,), "NaN"),
    "optimizer of no parameter": Hostile(
        lambda r: r.tensors(
            "optimizer", lambda t: t.update({"policy.optimizer/99/x": torch.zeros(1)})
        ),
        (RESUME,),
        "parameter",
    ),
    "buffer of other rows": Hostile(fill("buffer", "observations/row", 10**6), (RESUME,), "row"),
    "buffer of other actions": Hostile(fill("buffer", "actions", -3), (RESUME,), "actions"),
    "buffer of another shape": Hostile(
        reshape("buffer", "rewards", lambda t: t[:1]), (RESUME,), "rewards"
    ),
    "buffer with NaN": Hostile(fill("buffer", "rewards", float("nan")), (RESUME,), "NaN"),
    "episodes of other rows": Hostile(fill("episodes", "state/row", 10**6), (RESUME,), "row"),
    "episodes of negative rows": Hostile(fill("episodes", "block", -1), (RESUME,), "block"),
    "episodes of another dtype": Hostile(
        reshape("episodes", "state/slot", lambda t: t.int()), (RESUME,), "slot"
    ),
    "generator of another size": Hostile(
        reshape("rng", "torch", lambda t: t[:10]), (RESUME,), "does not fit"
    ),
    "generator is worn": Hostile(reshape("rng", "torch", lambda t: t * 0), (RESUME,)),
    # The log.
    **{
        f"log {line[:20]}": Hostile(_append("metrics.jsonl", line + "\n"), (RESUME,), "metrics")
        for line in (
            "[]",
            '{"value": 1.0}',
            '{"timesteps": -1}',
            '{"timesteps": "8"}',
            '{"timesteps": 8, "x": []}',
            '{"timesteps": 8, "value": 1e999}\n{"timesteps": 8}',
            "[" * 10**5 + "\n{}",
        )
    },
    "log cut short": Hostile(_append("metrics.jsonl", '{"timesteps": 1')),
    "log is a pipe": Hostile(special("metrics.jsonl", _pipe), (RESUME,), "pipe"),
    "log is huge": Hostile(special("metrics.jsonl", sparse), (RESUME,), "at most"),
    "command is a pipe": Hostile(special("command.txt", _pipe)),
    # What is not read.
    "report of nonsense": Hostile(_write("report.json", "[" * 10**5)),
    "versions of nonsense": Hostile(_write("versions.json", "!!python/none")),
    "files of a desktop": Hostile(_write("best/.DS_Store", "x")),
    "left by a killed writer": Hostile(lambda r: (r.path / "checkpoints/.partial-9").mkdir()),
    "checkpoint of no number": Hostile(lambda r: (r.path / "checkpoints/²").mkdir()),
    "checkpoint of a huge number": Hostile(lambda r: (r.path / f"checkpoints/{'9' * 200}").mkdir()),
    "no checkpoints": Hostile(lambda r: shutil.rmtree(r.path / "checkpoints"), (EVALUATE, RESUME)),
    "checkpoints are a file": Hostile(
        lambda r: void(shutil.rmtree(r.path / "checkpoints"), _write("checkpoints", "x")(r)),
        (EVALUATE, RESUME),
    ),
    "best is a file": Hostile(
        lambda r: void(shutil.rmtree(r.path / "best"), _write("best", "x")(r)), (PREDICT,)
    ),
}
"""Ways to change a run, by what they are."""
