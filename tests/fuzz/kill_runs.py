"""Stop training runs at random points, resume them, and compare with runs that were left alone.

    python tests/fuzz/kill_runs.py --tries 20

Every try of a kind of run sends SIGKILL, SIGTERM or SIGHUP after a random time or before a random
file is touched, once or twice, or lets the disk be full from a random point on. Then it resumes
until the run ends. Weights, optimizer, best policy and metrics must be those of the run that was
left alone, to the last bit. A table says for how many they are.

Runs are forked from a process that has imported everything, so that a try takes a second. Linux
only. A full disk is a real one (a small tmpfs) where this process may mount one, else opening a
file for writing fails.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import http.server
import itertools
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).resolve().parents[2]
for _folder in (ROOT, ROOT / "agents", ROOT / "tests"):
    sys.path.insert(0, str(_folder))

SHARED = ["train", "--no-report", "--no-progress", "--n-envs", "4", "-n", "256"]
SHARED += ["--eval-freq", "64", "--save-freq", "64"]
NER = ["--env", "NER-CoNLL-v0", "--encoder", "hashed", "--env-kwargs", "corpus:sample", "window:0"]
SMALL = "policy_kwargs.features_extractor_kwargs.hidden:[8]"
ROLLOUT = ["n_steps:8", "batch_size:31", "n_epochs:1"]  # a minibatch of one is left over
REPLAY = ["buffer_size:128", "learning_starts:32", "batch_size:16", "gamma:0.9"]
REPLAY += ["target_update_interval:24"]
TUNED = ["tuning.lr:3e-3", "tuning.rank:2", "gamma:0.9"]
TIMES = ("seconds", "processor_seconds", "steps_per_second")
HANGS = 120.0
"""Seconds after which a process that was asked to stop, or to end, counts as hanging."""


def kind(
    algo: str, *hyperparams: str, more: tuple[str, ...] = (), env: list[str] = NER
) -> list[str]:
    """The arguments of a run."""
    return [*SHARED, *env, "--algo", algo, *more, "--hyperparams", *hyperparams, SMALL]


def kinds(bert: Path) -> dict[str, list[str]]:
    """Arguments by name.

    Args:
        bert: The folder of a small transformer.
    """
    live = ["--env", "POS-v0", "--encoder", str(bert), "--env-kwargs", "corpus:sample", "window:0"]
    live += ["encoder_kwargs.layers:1+3", "encoder_kwargs.dtype:float32"]
    memory = "policy_kwargs.lstm_hidden_size:8"
    return {
        "a2c": kind("a2c", "n_steps:8"),
        "bc": kind("bc", "batch_size:48"),
        "dqn": kind("dqn", *REPLAY),
        "maskable_ppo": kind("maskable_ppo", *ROLLOUT),
        "masked_dqn": kind("masked_dqn", *REPLAY),
        "ppo": kind("ppo", *ROLLOUT),
        "qrdqn": kind("qrdqn", *REPLAY),
        "recurrent_ppo": kind("recurrent_ppo", *ROLLOUT, memory),
        "ppo, warm": kind("ppo", *ROLLOUT, "kl.coef:0.1", more=("--warm-start", "bc:4")),
        "masked_dqn, warm": kind("masked_dqn", *REPLAY, more=("--warm-start", "bc:4")),
        "maskable_ppo, finetune": kind(
            "maskable_ppo", *ROLLOUT, *TUNED, "kl.coef:0.1", env=live,
            more=("--encoder-mode", "finetune", "--warm-start", "bc:1"),
        ),
        "masked_dqn, lora": kind(
            "masked_dqn", *REPLAY, *TUNED, env=live, more=("--encoder-mode", "lora")
        ),
    }  # fmt: skip


@dataclass
class Fault:
    """What happens to a process.

    Attributes:
        signal: The signal; None: none, but the disk may be full.
        after: Seconds after which it is sent; None: it is not sent by time.
        touched: It is sent before so many files below `folder` were touched; None: it is not.
        folder: Where files count.
        grace: Seconds for which a stop waits for the end of a rollout.
        full: Opening a file for writing fails from there on, in place of a signal.
    """

    signal: int | None = None
    after: float | None = None
    touched: int | None = None
    folder: Path = Path("/nowhere")
    grace: float = 3.0
    full: bool = False

    def install(self, report: Callable[[int], None]) -> None:
        """Watch every file that this process touches; `report` is told how many so far."""
        from nlp_gym_agents.training.callbacks import loop
        from nlp_gym_agents.training.start import saved_start

        loop.GRACE, loop.SHORT, saved_start.SAVE_EVERY = self.grace, 0.0, 0.02
        count, prefix = 0, str(self.folder)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count
            if event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate"):
                return
            if not str(arguments[0]).startswith(prefix):
                return
            count += 1
            report(count)
            if self.touched is None or count < self.touched:
                return
            if self.full:
                writes = event == "os.mkdir" or (
                    event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
                )
                if writes:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))
            elif count == self.touched and self.signal is not None:
                os.kill(os.getpid(), self.signal)

        sys.addaudithook(hook)


@dataclass
class Ended:
    """How a process ended: its exit status, seconds, files touched, and what it printed."""

    code: int
    seconds: float
    touched: int
    text: str


def run(arguments: list[str], fault: Fault) -> Ended:
    """Run the command line in a fork of this process, with a fault."""
    from nlp_gym_agents.cli.main import main

    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as counted:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            status = 70
            try:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                fault.install(
                    lambda n: os.pwrite(counted.fileno(), struct.pack("q", n), 0) and None
                )
                main(arguments)
                status = 0
            except SystemExit as stop:
                status = stop.code if isinstance(stop.code, int) else 1
            except BaseException:
                traceback.print_exc()
            finally:
                with contextlib.suppress(Exception):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(status)
        code = _wait(child, began, fault)
        output.seek(0)
        counted.seek(0)
        number = counted.read(8)
        text = output.read().decode(errors="replace")
        touched = struct.unpack("q", number)[0] if number else 0
        return Ended(code, time.monotonic() - began, touched, text)


def _wait(child: int, began: float, fault: Fault) -> int:
    """The exit status of a child, which is sent the fault's signal in time."""
    sent = fault.after is None or fault.signal is None
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        elapsed = time.monotonic() - began
        if not sent and elapsed >= (fault.after or 0.0):
            os.kill(child, fault.signal or 0)
            sent = True
        if elapsed > HANGS:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise AssertionError(f"a process hangs: {fault}")
        time.sleep(0.002)


def result(folder: Path) -> dict[str, Any]:
    """What a run came to, without times."""
    from safetensors.torch import load_file

    from nlp_gym_agents.runs.metrics_log import read_metrics
    from nlp_gym_agents.runs.snapshots import newest, verify

    last, _ = newest(folder / "checkpoints")
    verify(folder / "best")
    rows = [
        {key: value for key, value in row.items() if key not in TIMES}
        for row in read_metrics(folder)
    ]
    found: dict[str, Any] = {"steps": last.name, "metrics": rows}
    for path in sorted([*last.glob("*.safetensors"), *(folder / "best").glob("*.safetensors")]):
        tensors = load_file(path)
        name = f"{path.parent.name}/{path.name}"
        found |= {f"{name}: {key}": value.numpy().tobytes() for key, value in tensors.items()}
    return found


@dataclass
class Tally:
    """Of one kind of run and one kind of fault.

    Attributes:
        tried: Tries.
        same: Those that ended as the run that was left alone.
        stopped: Those that a fault stopped, at least once, before their end.
        problems: What was wrong with the others.
    """

    tried: int = 0
    same: int = 0
    stopped: int = 0
    problems: list[str] = field(default_factory=list)


FAULTS = ("KILL", "TERM", "HUP", "full disk")


class Fuzzer:
    """Tries faults on runs in a folder of its own.

    Args:
        base: The folder.
        volume: A small file system of its own, to be filled; None: there is none.
        seed: Of the faults.
    """

    def __init__(self, base: Path, volume: Path | None, seed: int) -> None:
        self.base, self.volume, self.random = base, volume, random.Random(seed)
        self.whole: dict[str, tuple[dict[str, Any], Ended]] = {}
        self.tallies: dict[tuple[str, str], Tally] = {}

    def leave_alone(self, name: str, arguments: list[str]) -> None:
        """The run to compare with."""
        folder = self.base / "whole"
        shutil.rmtree(folder, ignore_errors=True)
        ended = run([*arguments, "--run-dir", str(folder)], Fault(folder=folder))
        if ended.code != 0:
            raise SystemExit(f"{name} fails without a fault:\n{ended.text}")
        self.whole[name] = result(folder), ended

    def attempt(self, name: str, arguments: list[str], what: str) -> None:
        """One try."""
        tally = self.tallies.setdefault((name, what), Tally())
        tally.tried += 1
        place = self.volume if what == "full disk" and self.volume is not None else self.base
        folder = place / "run"
        shutil.rmtree(folder, ignore_errors=True)
        story: list[str] = []
        try:
            self._strike(name, arguments, what, folder, tally, story)
            found, wanted = result(folder), self.whole[name][0]
            differing = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
            if differing:
                story.append(f"differs: {', '.join(differing[:4])}")
                for key in ("metrics",):
                    if key in differing:
                        story.append(f"{found.get(key)}\n against {wanted.get(key)}")
            else:
                tally.same += 1
                return
        except Exception as error:
            story.append(f"{type(error).__name__}: {error}")
        tally.problems.append(" | ".join(story))

    def _strike(
        self,
        name: str,
        arguments: list[str],
        what: str,
        folder: Path,
        tally: Tally,
        story: list[str],
    ) -> None:
        """Start, stop and resume a run until it has ended."""
        ended = None
        for strike in range(self.random.choice((1, 2))):
            started = (folder / "config.yml").exists()
            if started:
                now = ["train", "--no-report", "--no-progress", "--resume", str(folder)]
            else:
                now = [*arguments, "--run-dir", str(folder)]
            with self._fault(name, what, folder) as fault:
                ended = run(now, fault)
            story.append(f"{'resume' if started else 'start'} {fault} -> {ended.code}")
            self._check(ended, what, folder)
            if ended.code == 0:
                break
            tally.stopped += strike == 0
        for _ in range(2):
            if ended is not None and ended.code == 0:
                return
            started = (folder / "config.yml").exists()
            if started:
                now = ["train", "--no-report", "--no-progress", "--resume", str(folder)]
            else:
                now = [*arguments, "--run-dir", str(folder)]
            ended = run(now, Fault())
            story.append(f"{'resume' if started else 'start again'} -> {ended.code}")
            if ended.code != 0:
                raise AssertionError(ended.text.strip()[-600:])

    def _check(self, ended: Ended, what: str, folder: Path) -> None:
        """Whether a process that was struck ended as it should.

        Raises:
            AssertionError: It did not.
        """
        if "Traceback" in ended.text:
            raise AssertionError(ended.text.strip()[-1500:])
        if what == "full disk":
            allowed = {0, 1}
            if ended.code == 1:
                told = ended.text.replace("\n", " ")
                assert "No space left" in told or "File too large" in told, told
                if (folder / "config.yml").exists():
                    assert f"nlp-gym train --resume {folder}" in told, told
        elif what == "KILL":
            allowed = {0, -signal.SIGKILL}
        else:
            number = getattr(signal, f"SIG{what}")
            allowed = {0, 128 + number, -number}  # the latter before it trains
            if ended.code == 128 + number:
                assert f"nlp-gym train --resume {folder}" in ended.text, ended.text
                assert (folder / "config.yml").exists(), "nothing to resume"
        assert ended.code in allowed, f"exit {ended.code}: {ended.text.strip()[-600:]}"

    @contextlib.contextmanager
    def _fault(self, name: str, what: str, folder: Path) -> Iterator[Fault]:
        whole = self.whole[name][1]
        by_time = self.random.random() < 0.5
        if what == "full disk":
            if self.volume is None or not by_time:
                point = self.random.randint(1, whole.touched)
                yield Fault(touched=point, folder=folder, full=True)
                return
            with filled(self.volume, self.random.randint(0, 400) * 1024):
                yield Fault(folder=folder)
            return
        number, grace = getattr(signal, f"SIG{what}"), self.random.choice((0.0, 3.0))
        if by_time:
            after = self.random.uniform(0.0, 1.1 * whole.seconds)
            yield Fault(number, after=after, grace=grace)
        else:
            point = self.random.randint(1, whole.touched)
            yield Fault(number, touched=point, folder=folder, grace=grace)


@contextlib.contextmanager
def filled(volume: Path, free: int) -> Iterator[None]:
    """Within it a file system has `free` bytes left, at most."""
    ballast = volume / "ballast"
    status = os.statvfs(volume)
    with contextlib.suppress(OSError):
        ballast.write_bytes(bytes(max(status.f_bavail * status.f_frsize - free, 0)))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def small_volume(megabytes: int) -> Iterator[Path | None]:
    """A file system in memory; None where this process may not mount one."""
    folder = Path(tempfile.mkdtemp())
    libc = ctypes.CDLL(None, use_errno=True)
    size = f"size={megabytes}m".encode()
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, size) != 0:
        folder.rmdir()
        yield None
        return
    try:
        yield folder
    finally:
        libc.umount2(str(folder).encode(), 2)  # also where a file is still open
        folder.rmdir()


Told = tuple[bool, str]
"""Whether all went well, and what to print."""


def full_cache(base: Path, volume: Path | None) -> Told:
    """Train with a cache on a full disk: it saves time, and nothing depends on it."""
    if volume is None:
        return True, "skipped: no file system could be mounted"
    from conftest import save_bert, word_piece

    bert = save_bert(base / "bert_cache", word_piece())
    arguments = kinds(bert)["masked_dqn"]
    arguments[arguments.index("hashed")] = str(bert)
    before = os.environ.get("NLP_GYM_CACHE")
    results = []
    for free in (None, 0, 20_000, 60_000, 200_000):
        os.environ["NLP_GYM_CACHE"] = str(volume / "cache")
        shutil.rmtree(volume / "cache", ignore_errors=True)
        folder = base / f"cache_{free}"
        with contextlib.nullcontext() if free is None else filled(volume, free):
            ended = run([*arguments, "--run-dir", str(folder)], Fault())
        if ended.code != 0 or "Traceback" in ended.text:
            return False, f"{free} bytes free: exit {ended.code}: {ended.text.strip()[-600:]}"
        results.append(result(folder))
    if before is None:
        os.environ.pop("NLP_GYM_CACHE")
    else:
        os.environ["NLP_GYM_CACHE"] = before
    same, tries = sum(one == results[0] for one in results[1:]), len(results) - 1
    return same == tries, f"{same} of {tries} runs as with an empty disk"


def full_download(base: Path, volume: Path | None) -> Told:
    """Download to a full disk, or be killed; another try makes the file whole."""
    if volume is None:
        return True, "skipped: no file system could be mounted"
    import dataclasses
    import hashlib

    from nlp_gym.data import DATASETS, RemoteFile, catalog
    from nlp_gym.data.corpora.download import download
    from nlp_gym.errors import DownloadError

    body = b"Ana B-PER\nleft O\n\n" * 20_000

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked was killed
                for at in range(0, len(body), 4096):
                    self.wfile.write(body[at : at + 4096])
                    time.sleep(0.0005)

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/a"
    file = RemoteFile("a", address, hashlib.sha256(body).hexdigest(), len(body))
    row = dataclasses.replace(DATASETS["conll2003"], files=dict.fromkeys(("train",), file))
    catalog.DATASETS = {**DATASETS, "conll2003": row}
    os.environ["NO_PROXY"] = "127.0.0.1"
    chooser, good, tries = random.Random(0), 0, 20
    for attempt in range(tries):
        shutil.rmtree(volume / "data", ignore_errors=True)
        if attempt % 2:
            with filled(volume, chooser.randint(0, len(body) - 1)):
                try:
                    download("conll2003", data_dir=volume / "data", progress=False)
                    return False, "it was not noticed"
                except DownloadError as error:
                    if "No space left" not in str(error):
                        return False, f"it is told as {error}"
        else:
            child = os.fork()
            if child == 0:
                download("conll2003", data_dir=volume / "data", progress=False)
                os._exit(0)
            time.sleep(chooser.uniform(0.0, 0.1))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        target = volume / "data" / "conll2003" / "a"
        assert not target.exists() or target.read_bytes() == body
        download("conll2003", data_dir=volume / "data", progress=False)
        left = [p for p in target.parent.iterdir() if p.suffix != ".lock"]
        good += target.read_bytes() == body and left == [target]
    server.shutdown()
    catalog.DATASETS = DATASETS
    return good == tries, f"{good} of {tries} files whole in the end, with nothing beside them"


def main() -> int:
    """Try, and print the table. The exit status is 1 where a run ended in another way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tries", type=int, default=20, help="of each kind of run")
    parser.add_argument("--only", nargs="*", help="kinds of runs, by name")
    parser.add_argument("--faults", nargs="*", default=FAULTS, help="of KILL, TERM, HUP, full disk")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--disk", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as where nohup did not start this
    _import_everything()
    from conftest import save_bert, word_piece

    began, bad = time.monotonic(), 0
    with (
        tempfile.TemporaryDirectory() as folder,
        small_volume(8) as volume,
    ):
        base = Path(folder)
        os.environ["NLP_GYM_CACHE"] = str(base / "cache")
        bert = save_bert(base / "bert", word_piece())
        fuzzer = Fuzzer(base, volume, options.seed)
        chosen = {
            name: given
            for name, given in kinds(bert).items()
            if not options.only or name in options.only
        }
        print(f"{'run':24}{'fault':12}{'tries':>6}{'stopped':>9}{'identical':>11}", flush=True)
        faults = itertools.cycle(options.faults)  # few tries, too, get to all of them
        for name, arguments in chosen.items():
            fuzzer.leave_alone(name, arguments)
            for _ in range(options.tries):
                fuzzer.attempt(name, arguments, next(faults))
            for what in options.faults:
                tally = fuzzer.tallies.get((name, what), Tally())
                numbers = f"{tally.tried:>6}{tally.stopped:>9}{tally.same:>11}"
                print(f"{name:24}{what:12}{numbers}", flush=True)
                for problem in tally.problems:
                    print(f"    {problem}", flush=True)
                bad += tally.tried - tally.same
        tallies = fuzzer.tallies.values()
        total, same = sum(t.tried for t in tallies), sum(t.same for t in tallies)
        print(f"{same} of {total} identical, {time.monotonic() - began:.0f} s")
        if options.disk:
            for what, try_it in (("cache", full_cache), ("download", full_download)):
                good, told = try_it(base, volume)
                bad += not good
                print(f"{what} on a full disk: {told}")
    return int(bad > 0)


def _import_everything() -> None:
    import importlib

    import torch

    torch.set_num_threads(1)
    for name in (
        "nlp_gym.metrics.labels.entities",
        "nlp_gym.tasks.tagging.task",
        "nlp_gym_agents.algorithms.q_learning.masked_dqn",
        "nlp_gym_agents.cli.main",
        "nlp_gym_agents.training.train",
        "peft",
        "seqeval.metrics",
        "transformers",
    ):
        importlib.import_module(name)


if __name__ == "__main__":
    sys.exit(main())
