"""Fixtures shared by all tests: one encoding cache for the session, no network, the real corpora.

Importable helpers of the tests live in this file and nowhere else.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import ipaddress
import json
import os
import signal
import socket
import string
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
"""The repository root."""
POSITIONS = 40
"""Most tokens that the model of `save_bert` reads at once."""
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def find_real_data() -> tuple[Path, str | None]:
    """Where the real corpora should be, and why they cannot be used (None when they can).

    Returns:
        The folder named by `NLP_GYM_TEST_DATA`, else `../shared/data` beside the checkout, and
        the reason to skip.
    """
    named = os.environ.get("NLP_GYM_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if folder.is_dir():
        return folder, None
    origin = "NLP_GYM_TEST_DATA" if named else "the folder ../shared/data beside the checkout"
    return folder, f"no real corpora: {origin} does not exist; set NLP_GYM_TEST_DATA=FOLDER"


def is_loopback(address: Any) -> bool:
    """Whether a socket address stays on this machine (Unix sockets do).

    Args:
        address: What `socket.connect` takes: a path, or a tuple that starts with the host.
    """
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if host in {"localhost", ""}:
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


def word_piece() -> Any:
    """A lower-casing WordPiece tokenizer: "the" is one token, other words are spelled."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    pieces = [*SPECIAL, "the", *string.ascii_lowercase]
    pieces += [f"##{letter}" for letter in string.ascii_lowercase]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    # As the files of sentence encoders ship.
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    return tokenizer


def save_bert(folder: Path, tokenizer: Any, **settings: Any) -> Path:
    """A random BERT of three layers as a folder that `load_encoder` takes."""
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        **{
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": 16,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": POSITIONS,
            # Far from the usual 0.02, so that context matters.
            "initializer_range": 0.5,
            **settings,
        }
    )
    torch.manual_seed(0)
    model = BertModel(config)
    with torch.no_grad():
        # A constant dimension in the last layer, as all-MiniLM-L6-v2 has.
        model.encoder.layer[-1].output.LayerNorm.weight[5] = 0
        model.encoder.layer[-1].output.LayerNorm.bias[5] = 3
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random BERT that encodes the bundled samples in milliseconds."""
    return save_bert(tmp_path_factory.mktemp("tiny_bert"), word_piece())


def pytest_collection_finish() -> None:
    """What is there before the first test stays: the collector need not look through it again.

    That is a million objects of the libraries and of thousands of tests; each look takes 0.2 s.
    """
    # It asks the collector who refers to generators that other libraries register at its import.
    importlib.import_module("hypothesis")
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Point the cache at one folder for the whole session, so that tests share encodings.

    `NLP_GYM_TEST_CACHE` names a folder to keep between sessions (encoding the real corpora takes
    minutes). `NLP_GYM_DATA` is cleared: which corpus a test sees must not depend on the machine.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # the workers' own folders lie in it
    cache = os.environ.get("NLP_GYM_TEST_CACHE") or str(base / "nlp_gym_cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NLP_GYM_CACHE", cache)
        patch.delenv("NLP_GYM_DATA", raising=False)
        # Subprocesses started by tests are outside the socket guard: keep the Hub client offline.
        patch.setenv("HF_HUB_OFFLINE", "1")
        # What a command writes on stderr must not depend on how busy the machine is.
        patch.setenv("NLP_GYM_PROGRESS", "0")
        yield


@pytest.fixture(scope="session", autouse=True)
def _signals() -> Iterator[None]:
    """Signals that whoever started pytest has ignored, as `nohup` and `command &` do.

    A run leaves such a signal ignored, and so does a process that a test starts: both get the usual
    here. This process itself still does not end when the terminal is closed.
    """
    usual = {"SIGINT": signal.default_int_handler, "SIGHUP": lambda number, frame: None}
    before = {
        getattr(signal, name): handler
        for name, handler in usual.items()
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN
    }
    for number, handler in before.items():
        signal.signal(number, handler)
    yield
    for number in before:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def _offline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections that leave this machine, except in tests marked `network`."""
    if request.node.get_closest_marker("network"):
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        return
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    resolve = socket.getaddrinfo

    def refuse(address: Any) -> None:
        if not is_loopback(address):
            raise OSError(f"tests are offline: connection to {address!r} refused (tests/conftest)")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        refuse(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        refuse(address)
        return connect_ex(self, address)

    def guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        refuse((host.decode() if isinstance(host, bytes) else host or "", 0))
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_resolve)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real corpora; the test is skipped where there is none."""
    folder, reason = find_real_data()
    if reason:
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small networks are faster on one thread, and the same on every machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def without_gold() -> Iterator[None]:
    """Tasks made from here on have samples without gold."""
    from nlp_gym.testing import without_gold

    with without_gold():
        yield


def tiny_task(env_id: str, folder: Path, split: str = "train", **kwargs: Any) -> Any:
    """A task on the bundled sample, encoded by the model in `folder` (see `save_bert`)."""
    from nlp_gym import make_task

    options = {"layers": "1+3", "dtype": "float32", **kwargs.pop("encoder_kwargs", {})}
    given = {"corpus": "sample", "encoder": str(folder), "encoder_kwargs": options, **kwargs}
    return make_task(env_id, split=split, **given)


@pytest.fixture(scope="module")
def pos(tiny_bert: Path) -> Any:
    """A task that must not be encoded: its book then knows no vectors."""
    return tiny_task("POS-v0", tiny_bert)


def live_of(task: Any, **tuning: Any) -> Any:
    """A learning encoder of a task's, the same at every call."""
    import torch

    from nlp_gym_agents.networks.encoder.options import Tuning
    from nlp_gym_agents.networks.encoder.trainable import TrainableEncoder

    torch.manual_seed(0)
    return TrainableEncoder(task.encoder, Tuning(**tuning))


def assert_same_results(found: Any, expected: Any) -> None:
    """Predictions are equal but for the last place of confidences, which a batch may change."""

    def compare(a: Any, b: Any) -> None:
        if isinstance(a, float):
            assert a == pytest.approx(b, abs=1.01e-4)
        elif isinstance(a, dict):
            assert list(a) == list(b)
            compare(list(a.values()), list(b.values()))
        elif isinstance(a, list):
            assert len(a) == len(b)
            for pair in zip(a, b, strict=True):
                compare(*pair)
        else:
            assert a == b

    compare([x.to_dict() for x in found], [x.to_dict() for x in expected])


def as_tensors(obs: dict[str, Any]) -> dict[str, Any]:
    """An observation as tensors of the same types."""
    import torch

    return {key: torch.as_tensor(value) for key, value in obs.items()}


def oracle_states(task: Any, steps: int = 8) -> Iterator[Any]:
    """States of the oracle's way through the first episodes, before each of its decisions."""
    import numpy as np

    state = task.initial(np.arange(8))
    for _ in range(steps):
        yield state
        _, ended = task.transition(state, task.oracle(state))
        state = state.take(~ended)


def tiny_run(folder: Path, env_id: str = "NER-CoNLL-v0", **env_kwargs: Any) -> Path:
    """A run folder of an agent that has hardly learned anything, on the bundled sample."""
    import torch

    from nlp_gym_agents.config.train_config import TrainConfig
    from nlp_gym_agents.training.train import train

    torch.set_num_threads(1)
    config = TrainConfig(
        env=env_id,
        algo="maskable_ppo",
        n_timesteps=64,
        n_envs=8,
        hyperparams={"n_steps": 8, "batch_size": 64},
        env_kwargs={"corpus": "sample", "encoder": "hashed", **env_kwargs},
    )
    return train(config, run_dir=folder, progress=False)


class LocalServer:
    """A server of runs on 127.0.0.1, in a thread of this process.

    Args:
        runs: Loaded runs.
        further: Routes of further pages.
        demo: Whether it has the pages of `nlp-gym demo`.
        feedback: Whether what clients say of predictions is kept.
        learns: Whether a run can learn from it.
        **limits: Fields of `Limits`.
    """

    def __init__(
        self,
        runs: Any,
        *,
        further: Sequence[Any] = (),
        demo: bool = False,
        feedback: bool = False,
        learns: bool = False,
        **limits: Any,
    ) -> None:
        from nlp_gym_agents.serve.app import Service, create_app
        from nlp_gym_agents.serve.demo.routes import demo_routes
        from nlp_gym_agents.serve.limits import Limits
        from nlp_gym_agents.serve.server import bind, make_server, serve, url_of

        self.service = Service(runs, Limits(**limits), feedback=feedback, learns=learns)
        self.socket = bind("127.0.0.1", 0)
        self.url = url_of(self.socket)
        self.port = self.socket.getsockname()[1]
        self.cut = -1
        ready = threading.Event()
        pages = [*further, *(demo_routes(self.service) if demo else ())]
        app = create_app(self.service, names=["model.test"], further=pages)
        self.server = make_server(app, self.service, ready=ready.set)

        def work() -> None:
            self.cut = serve(self.server, self.service, self.socket)

        self.thread = threading.Thread(target=work)
        self.thread.start()
        assert ready.wait(20)

    def stop(self) -> None:
        """Stop as SIGTERM does."""
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()

    def post(self, path: str, body: Any, **options: Any) -> Any:
        """The answer to a request with JSON, or with the bytes of a body."""
        import requests

        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return requests.post(self.url + path, data, headers=headers, timeout=30, **options)

    @contextlib.contextmanager
    def busy(self) -> Iterator[threading.Event]:
        """The model is at something until the event is set, at the latest in the end."""
        begun, free = threading.Event(), threading.Event()

        def hold(items: Sequence[Any]) -> Sequence[Any]:
            begun.set()
            free.wait(30)
            return items

        self.service.models.submit(hold, [None])
        assert begun.wait(10)
        try:
            yield free
        finally:
            free.set()

    def wait_for(self, waiting: int) -> None:
        """Wait until so many requests wait for the model."""
        until = time.monotonic() + 20
        while self.service.models.waiting < waiting:
            assert time.monotonic() < until
            time.sleep(0.005)
