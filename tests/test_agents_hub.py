"""`nlp_gym_agents.hub` against a server that speaks the Hub's protocol, with the real client."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import torch
import yaml
from typer.testing import CliRunner

from nlp_gym.errors import HubError, InvalidArgumentError, RunError, UnknownNameError
from nlp_gym_agents import load_agent, load_from_hub
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.evaluation.test_report import final_report
from nlp_gym_agents.hub.card import fence, make_card, markdown
from nlp_gym_agents.hub.client import default_name, repo_name
from nlp_gym_agents.hub.files import FILES, without_places
from nlp_gym_agents.hub.push import prepare, push_to_hub
from nlp_gym_agents.training.train import train

# Of the client's own upload of large files, beside its Xet protocol.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN = "hf_secretsecretsecret"
REPO = "ann/ppo-NER-CoNLL-v0"


class Hub(ThreadingHTTPServer):
    """Repositories in memory: files by name of the repository and revision."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.large: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.answers: dict[str, int] = {}  # status by a part of the path
        self.cut = False  # a large file ends half-way
        self.private: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        return self.repos[repo][revision]


def sha_of(files: dict[str, bytes]) -> str:
    return hashlib.sha1(b"".join(sorted(n.encode() + b for n, b in files.items()))).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def answer(
        self, status: int, content: Any = None, headers: dict[str, str] | None = None
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            cut = self.server.cut and len(body) > 50_000
            self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self.close_connection = True

    def handle_any(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, path))
        for part, status in self.server.answers.items():
            if part in path:
                self.answer(status, {"error": "no\x1b[31m\nsecond line"})
                return
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if self.command in ("POST", "PUT") and not known and not path.startswith("/large/"):
            self.answer(401, {"error": "Invalid credentials"})
        elif self.command in ("POST", "PUT"):
            self.write(path, body)
        elif path == "/api/whoami-v2":
            self.answer(200, {"name": "ann"}) if known else self.answer(401)
        else:
            self.read(path)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def write(self, path: str, body: bytes) -> None:
        hub = self.server
        if path.startswith("/large/"):
            hub.large[path.rpartition("/")[2]] = body
            return self.answer(200)
        given = json.loads(body.splitlines()[0]) if body else {}
        if path == "/api/repos/create":
            repo = f"{given['organization']}/{given['name']}"
            status = 409 if repo in hub.repos else 200
            hub.repos.setdefault(repo, {"main": {".gitattributes": b""}})
            if given.get("visibility") == "private":
                hub.private.add(repo)
            return self.answer(status, {"url": f"{hub.url}/{repo}"})
        if path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if match := re.fullmatch(r"/(.+)\.git/info/lfs/objects/batch", path):
            found = [
                {**one, "actions": {"upload": {"href": f"{hub.url}/large/{one['oid']}"}}}
                for one in given["objects"]
            ]
            return self.answer(200, {"transfer": "basic", "objects": found})
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit|branch)/(.+)", path)
        assert match is not None, path
        repo, what, revision = match.groups()
        if repo not in hub.repos:
            return self.answer(404, headers={"X-Error-Code": "RepoNotFound"})
        if what == "branch":
            hub.repos[repo].setdefault(revision, dict(hub.files(repo)))
            return self.answer(200)
        if what == "preupload":
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in given["files"]
            ]
            return self.answer(200, {"files": modes})
        files = hub.files(repo, revision)
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = hub.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        oid = sha_of(files)
        return self.answer(200, {"commitUrl": f"{hub.url}/{repo}/commit/{oid}", "commitOid": oid})

    def read(self, path: str) -> None:
        hub = self.server
        pattern = r"/(?:api/models/)?([^/]+/[^/]+?)(?:/(revision|tree|resolve)/([^/]+)(?:/(.+))?)?"
        match = re.fullmatch(pattern, path)
        repo = match[1] if match else ""
        if match is None or repo not in hub.repos:
            return self.answer(404, headers={"X-Error-Code": "RepoNotFound"})
        by_sha = {sha_of(files): files for files in hub.repos[repo].values()}
        files = {**hub.repos[repo], **by_sha}.get(match[3] or "main")
        if files is None:
            return self.answer(404, headers={"X-Error-Code": "RevisionNotFound"})
        if match[2] == "tree":
            rows = [
                {
                    "type": "file",
                    "path": name,
                    "size": len(data),
                    "oid": hashlib.sha1(data).hexdigest(),
                }
                for name, data in files.items()
            ]
            return self.answer(200, rows)
        if match[2] != "resolve":
            siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
            return self.answer(200, {"id": repo, "sha": sha_of(files), "siblings": siblings})
        data = files[match[4]]
        etag = hashlib.sha256(data).hexdigest()
        return self.answer(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": sha_of(files)})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a report; what it learned does not matter."""
    torch.set_num_threads(1)
    config = TrainConfig(
        algo="ppo",
        n_timesteps=64,
        n_envs=8,
        hyperparams={"n_steps": 8, "batch_size": 64},
        env_kwargs={"corpus": "sample", "encoder": "hashed", "window": 0},
    )
    folder = tmp_path_factory.mktemp("hub") / "run"
    train(config, run_dir=folder, progress=False, command=["/home/ann/bin/nlp-gym", "train"])
    final_report(folder)
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    from huggingface_hub import close_session, constants

    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name, value in {
        "ENDPOINT": server.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,  # another protocol, which the server does not speak
        "HF_HUB_DISABLE_PROGRESS_BARS": True,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_TOKEN_PATH": str(tmp_path / "token"),
    }.items():
        monkeypatch.setattr(constants, name, value)
    yield server
    close_session()  # each of its connections keeps a thread of the server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def pushed(hub: Hub, run: Path) -> Hub:
    push_to_hub(run, REPO)
    return hub


def command(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_hub_push_and_load_gives_the_same_agent(hub: Hub, run: Path, tmp_path: Path) -> None:
    result = command("push-to-hub", run, "--private")
    assert result.exit_code == 0, result.output
    assert REPO in result.stdout  # the owner is that of the token
    assert TOKEN not in result.output
    assert set(hub.files(REPO)) == {*FILES, ".gitattributes"}
    assert hub.private == {REPO}
    assert not (run / "hub").exists()
    result = command("load-from-hub", f"hf://{REPO}", "-f", tmp_path / "runs")
    assert result.exit_code == 0, result.output
    loaded = Path(result.stdout.splitlines()[-1])
    assert loaded == tmp_path / "runs" / "ppo" / "NER-CoNLL-v0_1"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["ppo"]  # nothing is left
    first, second = evaluate(run, bootstrap=0), evaluate(loaded, bootstrap=0)
    assert first.value == second.value
    assert first.report == second.report
    text = ["Ann Lee lives in Rome."]
    assert list(load_agent(run).predict(text)) == list(load_agent(loaded).predict(text))
    assert load_from_hub(REPO, folder=tmp_path / "runs").name == "NER-CoNLL-v0_2"


def test_hub_uploads_no_places_and_no_checkpoints(pushed: Hub, run: Path) -> None:
    files = pushed.files(REPO)
    assert not any("checkpoint" in name or name.endswith(".txt") for name in files)
    for name, data in files.items():
        assert str(run.parent).encode() not in data, name
        assert b"/home/ann" not in data
        assert TOKEN.encode() not in data
        assert b"samples/conll2003" not in data
    assert json.loads(files["report.json"])["corpus"]["source"] == "test.conll"


def test_hub_cuts_places_and_keeps_words() -> None:
    tree = {
        "data": "/home/ann/secret/mine.jsonl",
        "env_kwargs": {"data": {"train": "C:\\Users\\ann\\t.csv"}, "data_dir": "/data"},
        "tensorboard_log": "/var/log/tb",
        "encoder": {"name": "~/models/bert"},
        "labels": ["/", "/usr/bin"],
        "learnt": {"words": ["/a/b"]},
        "hyperparams": {"learning_rate": "lin_1e-3", "text": "/"},
        "runs": ["../ann/run", "..\\ann\\run", "./run", "owner/encoder"],
        "splits": {"data": {"dev": "ann/notes/dev.jsonl", "test": "ann\\test.csv"}},
    }
    assert without_places(tree) == {
        "data": "mine.jsonl",
        "env_kwargs": {"data": {"train": "t.csv"}, "data_dir": None},
        "tensorboard_log": None,
        "encoder": {"name": "bert"},
        "labels": ["/", "/usr/bin"],
        "learnt": {"words": ["/a/b"]},
        "hyperparams": {"learning_rate": "lin_1e-3", "text": "/"},
        "runs": ["run", "run", "run", "owner/encoder"],
        "splits": {"data": {"dev": "dev.jsonl", "test": "test.csv"}},
    }


def test_hub_push_again_replaces_and_removes(pushed: Hub, run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "report.json").unlink()
    push_to_hub(copy, REPO, message="again", revision="old")
    assert "report.json" not in pushed.files(REPO, "old")
    assert "report.json" in pushed.files(REPO)
    assert "There is no test report" in pushed.files(REPO, "old")["README.md"].decode()
    loaded = load_from_hub(REPO, revision="old", folder=tmp_path / "runs")
    assert not (loaded / "report.json").exists()


def test_hub_card_is_for_the_hub(run: Path) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard(make_card(run, REPO))
    assert "| Learned from | bandit |" in card.content
    data = card.data.to_dict()
    report = json.loads((run / "report.json").read_text())
    assert data["library_name"] == "nlp-gym"
    assert data["pipeline_tag"] == "token-classification"
    assert data["datasets"] == ["conll2003"]
    (result,) = card.data.eval_results
    assert result.metric_value == round(report["value"], 6)
    assert result.metric_args == {"signature": report["signature"]}
    low, high = report["interval"]
    for wanted in (
        f"{report['value']:.4f}",
        f"{low:.4f} to {high:.4f}",
        "research use only",  # the licence of CoNLL-2003
        f'load_from_hub("{REPO}")',
        "majority",
        "Discrete(A)",
        "The corpus is the small sample",
        "learning_rate",
        "expected calibration error",
    ):
        assert wanted in card.text, wanted


HOSTILE = [
    "<script>alert(1)</script>",
    "x\n---\nlicense: mit",
    "`a` ```` [b](http://x.y) ![c](d)",
    "\x1b[31mred\x00",
    "\u202egnp.exe",
    "| a | b |",
    "{{ 7 * 7 }}{% raw %}",
    "'\": - !!python/object:os.system",
]


def test_hub_card_is_inert_whatever_names_hold(run: Path, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    copy = prepare(run, REPO, output=tmp_path / "copy").folder
    settings = json.loads((copy / "best" / "settings.json").read_text())
    hostile = [text.replace("\x00", "") for text in HOSTILE]  # files with NUL are refused
    settings["hyperparams"]["note"] = hostile
    settings["hyperparams"][hostile[1]] = hostile[2]
    settings["labels"] = hostile
    settings["encoder"]["name"] = hostile[0]
    (copy / "best" / "settings.json").write_text(json.dumps(settings))
    report = json.loads((copy / "report.json").read_text())
    report |= {"metric": hostile[1], "signature": hostile[2], "split": hostile[5]}
    report["information"] = hostile[1]
    report["text"] = "\n".join(hostile)
    report["corpus"]["name"] = hostile[0]
    report["baselines"] = {name: {"value": 0.5, "interval": None} for name in hostile}
    (copy / "report.json").write_text(json.dumps(report))
    manifest = json.loads((copy / "best" / "manifest.json").read_text())
    data = (copy / "best" / "settings.json").read_bytes()
    manifest["files"]["settings.json"] = hashlib.sha256(data).hexdigest()
    (copy / "best" / "manifest.json").write_text(json.dumps(manifest))
    text = make_card(copy, REPO)
    assert not any(sign in text for sign in "\x1b\x00\u202e")
    front, body = text.split("\n---\n", 1)
    assert yaml.safe_load(front.removeprefix("---"))["library_name"] == "nlp-gym"
    assert "license" not in ModelCard(text).data.to_dict()
    prose = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", body, flags=re.M | re.S)
    assert "<script" not in prose
    assert "[b](" not in prose.replace("\\[b\\](", "")
    assert "{{ 7 \\* 7 }}" in prose
    rows = [line for line in prose.splitlines() if "0.5000" in line]
    assert len(rows) == len(hostile)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)


@pytest.mark.parametrize("text", HOSTILE)
def test_hub_card_blocks_cannot_be_closed(text: str) -> None:
    first, *inside, last = fence(text, "text").splitlines()
    assert first == f"{last}text"
    assert not any(line.strip() and set(line.strip()) == {"`"} for line in inside if last in line)
    assert "<" not in markdown(text)
    assert "\n" not in markdown(text)


def test_hub_without_token_the_folder_is_ready(
    hub: Hub, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    result = command("push-to-hub", run, "--output", tmp_path / "ready")
    assert result.exit_code == 1
    assert "HF_TOKEN" in result.stderr.splitlines()[-1]
    assert "Ready in" in result.stderr
    assert "hf upload USER/ppo-NER-CoNLL-v0" in result.stderr
    assert set(FILES) >= {
        str(path.relative_to(tmp_path / "ready"))
        for path in (tmp_path / "ready").rglob("*")
        if path.is_file()
    }
    assert hub.asked == []


def test_hub_dry_run_asks_nobody(hub: Hub, run: Path, tmp_path: Path) -> None:
    result = command("push-to-hub", run, "ann/x", "--dry-run", "--output", tmp_path / "ready")
    assert result.exit_code == 0
    assert Path(result.stdout.strip()) == tmp_path / "ready"
    assert hub.asked == []
    assert command("evaluate", tmp_path / "ready", "--bootstrap", 0).exit_code == 0  # it is a run
    again = command("push-to-hub", run, "ann/x", "--dry-run", "--output", tmp_path / "ready")
    assert again.exit_code == 0


@pytest.mark.parametrize(
    ("part", "status", "wanted"),
    [
        ("/api/repos/create", 401, "(401)"),
        ("/api/repos/create", 403, "(403)"),
        ("/preupload/", 404, "(404)"),
        ("/large/", 500, "500"),
        ("/commit/", 500, "500"),
        ("/api/validate-yaml", 400, "400"),
    ],
)
def test_hub_push_refused_is_one_line(
    hub: Hub,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    status: int,
    wanted: str,
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between tries of the client
    hub.answers[part] = status
    result = command("push-to-hub", run, REPO, "--output", tmp_path / "ready")
    assert result.exit_code == 1
    *_, last = result.stderr.splitlines()
    assert last.startswith("error: ")
    assert wanted in last
    assert TOKEN not in result.output
    assert "\x1b" not in result.output
    assert (tmp_path / "ready" / "README.md").is_file()


def test_hub_unreachable_is_one_line(
    hub: Hub, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    for words in (("push-to-hub", run, REPO), ("load-from-hub", REPO, "-f", tmp_path / "runs")):
        result = command(*words)
        assert result.exit_code == 1
        assert "cannot be reached" in result.stderr.splitlines()[-1]
    assert (run / "hub" / "README.md").is_file()
    shutil.rmtree(run / "hub")
    assert not (tmp_path / "runs").exists()


def test_hub_does_not_mix_a_run_with_other_files(hub: Hub, run: Path) -> None:
    hub.repos[REPO] = {"main": {"model.safetensors": b"mine"}}
    with pytest.raises(HubError, match=r"model\.safetensors.*nothing was uploaded"):
        push_to_hub(run, REPO)
    assert hub.files(REPO) == {"model.safetensors": b"mine"}
    shutil.rmtree(run / "hub")


@pytest.mark.parametrize("name", ["a/b/c", "a b/c", "a/b--c", "../x", "a/x.git", "", "x" * 200])
def test_hub_wrong_names_are_refused_before_anything_is_asked(
    hub: Hub, run: Path, name: str
) -> None:
    with pytest.raises(InvalidArgumentError, match="repo="):
        load_from_hub(name)
    with pytest.raises(InvalidArgumentError, match="repo="):
        push_to_hub(run, name or "/y")
    assert hub.asked == []


def test_hub_names_are_those_of_rl_zoo() -> None:
    assert default_name("ppo", "NER-CoNLL-v0") == "ppo-NER-CoNLL-v0"
    odd = default_name("my.module:My--Class", "../päth/..:Id")
    assert repo_name(odd, owner=False) == odd


def test_hub_load_of_what_is_no_run(pushed: Hub, tmp_path: Path) -> None:
    place = tmp_path / "runs"
    with pytest.raises(HubError, match="404"):
        load_from_hub("ann/nothing", folder=place)
    with pytest.raises(HubError, match="404"):
        load_from_hub(REPO, revision="nowhere", folder=place)
    pushed.repos["ann/bert"] = {"main": {"config.json": b"{}", "model.safetensors": b""}}
    with pytest.raises(RunError, match=r"not a run.*config\.yml"):
        load_from_hub("ann/bert", folder=place)
    pushed.files(REPO)["best/policy.pkl"] = b"cos\nsystem\n."
    with pytest.raises(RunError, match=r"policy\.pkl.*Nothing was downloaded"):
        load_from_hub(REPO, folder=place)
    assert not place.exists()
    assert not any("/resolve/" in path for _, path in pushed.asked)


def test_hub_load_of_tampered_files(pushed: Hub, tmp_path: Path) -> None:
    files, place = pushed.files(REPO), tmp_path / "runs"
    good = dict(files)

    def refused(error: type[Exception], match: str, **changed: bytes) -> None:
        files.clear()
        files.update(good | {name.replace("__", "/"): data for name, data in changed.items()})
        with pytest.raises(error, match=match) as found:
            load_from_hub(REPO, folder=place)
        assert str(tmp_path) not in str(found.value)
        assert list(place.iterdir()) == []

    weights = good["best/policy.safetensors"]
    refused(RunError, "sha256", **{"best__policy.safetensors": weights[:-1] + b"?"})
    refused(RunError, "config.yml is missing or damaged", **{"config.yml": b"a: &x 1\nb: *x"})
    settings = json.loads(good["best/settings.json"])

    def sealed(**changed: Any) -> dict[str, bytes]:
        data = json.dumps({**settings, **changed}).encode()
        manifest = json.loads(good["best/manifest.json"])
        manifest["files"]["settings.json"] = hashlib.sha256(data).hexdigest()
        return {"best__settings.json": data, "best__manifest.json": json.dumps(manifest).encode()}

    refused(RunError, "evil_module", **sealed(algo="evil_module:Class"))
    refused(UnknownNameError, "algo", **sealed(algo=".."))
    refused(RunError, "different runs", **sealed(algo="bc"))


def test_hub_load_that_is_cut_short(
    pushed: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    pushed.cut = True
    with pytest.raises(HubError, match=REPO):
        load_from_hub(REPO, folder=tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_hub_disk_full(run: Path, tmp_path: Path, pushed: Hub) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    with pytest.raises(RunError, match="--output"):
        prepare(run, REPO, output=place / "x")
    with pytest.raises(RunError, match="--log-folder"):
        load_from_hub(REPO, folder=place / "runs")
    with pytest.raises(RunError, match="no part of a run"):
        prepare(run, REPO, output=tmp_path)
