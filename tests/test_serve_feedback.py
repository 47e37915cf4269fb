"""What clients say of predictions: `POST /feedback`, and the buttons of the demo, scriptless."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import LocalServer, tiny_run
from test_demo import HOSTILE, Page

from nlp_gym_agents.prediction.feedback import store
from nlp_gym_agents.serve.demo.said import answer_form
from nlp_gym_agents.serve.served import ServedRun, load_runs

TEXT = "Ann Lee lives in Rome."
FEW = 20_000


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("said")
    ids = {
        "tagger": "NER-CoNLL-v0",
        "reader": "SpanQA-SQuAD-v0",
        "mood": "Sentiment-SST2-v0",
        "several": "MultiLabel-GoEmotions-v0",
    }
    return {name: tiny_run(folder / name, env_id) for name, env_id in ids.items()}


@pytest.fixture(scope="module")
def runs(folders: dict[str, Path]) -> list[ServedRun]:
    return load_runs([*folders.values()])


@pytest.fixture(scope="module")
def server(runs: list[ServedRun]) -> Iterator[LocalServer]:
    found = LocalServer(runs, demo=True, feedback=True, learns=True, feedback_bytes=FEW)
    yield found
    found.stop()


@pytest.fixture(autouse=True)
def nothing_kept(runs: list[ServedRun]) -> None:
    for run in runs:
        run.agent.feedback_file.unlink(missing_ok=True)


def kept(run: ServedRun) -> list[store.Record]:
    return store.read(run.agent.feedback_file, run.agent.family)


def post(server: LocalServer, path: str, fields: Any) -> requests.Response:
    return requests.post(server.url + path, fields, timeout=30)


def test_feedback_request_is_kept(server: LocalServer, runs: list[ServedRun]) -> None:
    seen = server.post("/predict", {"text": TEXT}).json()["predictions"][0]
    tags = ["B-PER", "I-PER", "O", "O", "B-LOC", "O"]
    for body, counts in [
        ({"text": TEXT, "correct": tags}, (1, 0)),
        ({"text": TEXT, "reward": 0.5}, (1, 1)),
        ({"text": TEXT, "reward": False, "prediction": seen}, (1, 2)),
        ({"samples": [{"words": ["Ann"]}], "correct": ["B-PER"]}, (2, 2)),
    ]:
        answer = server.post("/feedback", body)
        assert answer.status_code == 200, answer.text
        expected = dict(zip(("corrections", "ratings"), counts, strict=True))
        assert answer.json() == {"run": "tagger", "kept": expected}
    first, second, third, _ = kept(runs[0])
    assert first == store.Correction(({"words": [*TEXT[:-1].split(), "."], "labels": tags},))
    assert [getattr(one, "reward", None) for one in (second, third)] == [0.5, 0.0]
    sample = {"question": "Who sings?", "context": "Ann sings."}
    answer = server.post("/feedback", {"run": "reader", "samples": [sample], "correct": "Ann"})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"text": TEXT}, 400, "correct and reward"),
        ({"text": TEXT, "correct": ["O"], "reward": 1}, 400, "correct and reward"),
        ({"text": TEXT, "reward": 2}, 400, "from 0 to 1"),
        ({"text": TEXT, "reward": "good"}, 400, "from 0 to 1"),
        ({"text": TEXT, "reward": 1, "prediction": 3}, 400, "what /predict answered"),
        ({"text": TEXT, "correct": [], "prediction": {}}, 400, "leave it out"),
        ({"text": TEXT, "reward": 1, "prediction": {"text": TEXT}}, 422, "not what the agent"),
        ({"text": TEXT, "correct": ["O"]}, 422, "1 labels for 6 words"),
        ({"text": TEXT, "correct": None}, 422, "must be a label for each word"),
        ({"texts": [TEXT], "reward": 1}, 400, "'texts' is not known"),
        ({"samples": [{"words": ["a"]}] * 2, "reward": 1}, 400, "one sample"),
        ({"text": "a" * 100_001, "reward": 1}, 413, "characters"),
        ({"text": TEXT, "reward": 1, "run": "no"}, 404, "not served"),
    ],
)
def test_feedback_request_refusals(
    body: Any, status: int, message: str, server: LocalServer, runs: list[ServedRun]
) -> None:
    answer = server.post("/feedback", body)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]
    assert not runs[0].agent.feedback_file.exists()


def test_feedback_request_is_guarded(server: LocalServer, runs: list[ServedRun]) -> None:
    body = {"text": TEXT, "reward": 1}
    for headers, status in [
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.test"}, 400),
        ({"Content-Type": "text/plain"}, 415),
    ]:
        assert server.post("/feedback", body, headers=headers).status_code == status
    form = {"form": "text", "run": "tagger", "text": TEXT, "say": "right"}
    for path in ("/said", "/learn", "/revert"):
        answer = requests.post(
            server.url + path, form, headers={"Origin": "http://evil.test"}, timeout=10
        )
        assert answer.status_code == 403
    assert not runs[0].agent.feedback_file.exists()


def test_feedback_has_a_limit_on_what_is_kept(server: LocalServer, runs: list[ServedRun]) -> None:
    runs[0].agent.feedback_file.write_text("\n" * (FEW + 1))
    answer = server.post("/feedback", {"text": TEXT, "reward": 1})
    assert (answer.status_code, answer.json()["limit"]) == (507, "feedback_bytes")


def test_feedback_is_not_taken_unless_it_was_asked_for(runs: list[ServedRun]) -> None:
    server = LocalServer(runs[:1], demo=True)
    try:
        assert server.post("/feedback", {"text": TEXT, "reward": 1}).status_code == 404
        for path in ("/said", "/learn", "/revert"):
            assert post(server, path, {"run": "tagger"}).status_code == 404
        page = post(server, "/", {"form": "text", "run": "tagger", "text": TEXT})
        assert "said" not in [a.get("action") for a in Page(page.text).all("form")]
        assert "/feedback" not in requests.get(server.url + "/openapi.json", timeout=10).text
    finally:
        server.stop()
    server = LocalServer(runs[:1], demo=True, feedback=True)
    try:
        page = post(server, "/", {"form": "text", "run": "tagger", "text": TEXT})
        assert {a.get("action") for a in Page(page.text).all("form")} == {"./", "said"}
        assert post(server, "/learn", {"run": "tagger"}).status_code == 404
        described = requests.get(server.url + "/openapi.json", timeout=10).json()
        assert "/feedback" in described["paths"]
    finally:
        server.stop()


def hidden(text: str, n: int = 0) -> dict[str, str]:
    """The hidden fields of the n-th form that says something."""
    form = re.findall(r'<form method="post" action="said".*?</form>', text, re.DOTALL)[n]
    fields = Page(form).all("input", type="hidden")
    return {str(a["name"]): str(a["value"]) for a in fields}


def test_demo_right_and_wrong(server: LocalServer, runs: list[ServedRun]) -> None:
    page = post(server, "/", {"form": "text", "run": "mood", "text": "A film.\nFine."})
    fields = hidden(page.text)
    for word, n in (("right", 1), ("wrong", 2)):
        answer = post(server, "/said", {**fields, "say": word})
        assert answer.status_code == 200, answer.text
        assert f"0 correction(s) and {n} rating(s)" in answer.text
    right, wrong = kept(runs[2])
    assert isinstance(right, store.Rating)
    assert isinstance(wrong, store.Rating)
    assert (right.reward, wrong.reward) == (1.0, 0.0)
    assert right.rows == ({"text": "A film.\nFine."},)
    stale = post(server, "/said", {**fields, "policy": "0" * 16, "say": "right"})
    assert (stale.status_code, len(kept(runs[2]))) == (409, 2)


def test_demo_corrections_by_family(server: LocalServer, runs: list[ServedRun]) -> None:
    said: list[tuple[int, dict[str, Any], str, list[str], Any]] = [
        (0, {"text": "Ann sings."}, "words", ["B-PER", "O", "O"], ["B-PER", "O", "O"]),
        (2, {"text": "A film."}, "label", ["positive"], "positive"),
        (3, {"text": "I love it."}, "labels", ["joy", "love"], ["joy", "love"]),
        (3, {"text": "Nothing."}, "labels", [], []),
        (
            1,
            {"form": "spanqa", "question": "Who?", "context": "Ann sings."},
            "json",
            ['{"answer": "Ann"}'],
            [{"text": "Ann", "answer_start": 0}],
        ),
    ]
    for number, fields, kind, answer, wanted in said:
        run = runs[number]
        sent = {"form": "text", "run": run.name, "say": "correct", **fields}
        page = post(server, "/", {key: sent[key] for key in sent if key != "say"})
        assert hidden(page.text, 1)["kind"] == kind
        done = post(server, "/said", {**hidden(page.text, 1), "say": "correct", "answer": answer})
        assert done.status_code == 200, done.text
        assert 'id="notice"' in done.text
        row = kept(run)[-1].rows[0]
        assert row[{"json": "answers", "label": "label"}.get(kind, "labels")] == wanted


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"kind": "label", "answer": "none"}, 422, "none of the agent"),
        ({"kind": "json", "answer": "{"}, 422, "not JSON"),
        ({"kind": "json", "answer": "[" * 100_000}, 422, "not JSON"),
        ({"kind": "other", "answer": "a"}, 422, "no answer"),
        ({"kind": "label", "answer": ["positive", "negative"]}, 422, "no answer"),
        ({"say": HOSTILE}, 422, "must be right, wrong or correct"),
        ({"run": HOSTILE}, 404, "not served"),
        ({"text": "a" * 20_000, "say": "right"}, 413, "20,000 characters"),
        ({f"f{i}": "" for i in range(400)}, 400, "cannot be read"),
    ],
)
def test_demo_feedback_refusals(
    fields: Any, status: int, message: str, server: LocalServer, runs: list[ServedRun]
) -> None:
    sent = {"form": "text", "run": "mood", "text": "A film.", "say": "correct", **fields}
    answer = post(server, "/said", sent)
    assert answer.status_code == status, answer.text
    assert message in unescape(answer.text)
    assert not runs[2].agent.feedback_file.exists()


def test_demo_feedback_on_hostile_text_is_inert(server: LocalServer) -> None:
    page = post(server, "/", {"form": "text", "run": ["tagger", "mood"], "text": HOSTILE})
    fields = {**hidden(page.text), "say": "right"}
    done = post(server, "/said", fields)
    assert done.status_code == 200, done.text
    for answer in (page, done):
        parsed = Page(answer.text)
        assert [a.get("src") for a in parsed.all("script")] == ["demo.js"]
        assert not [a for _, a in parsed.tags if any(name.startswith("on") for name in a)]
        rest = re.sub(r"<textarea.*?</textarea>", "", answer.text, flags=re.DOTALL)
        rest = re.sub(r'<input type="hidden"[^>]*>', "", rest)  # as it was typed
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", rest)
        ids = [a["id"] for _, a in parsed.tags if "id" in a]
        assert len(ids) == len(set(ids))
        labels = {a["for"] for a in parsed.all("label") if "for" in a}
        shown = [a for tag in ("textarea", "select") for a in parsed.all(tag)]
        assert {a["id"] for a in shown} <= labels


def test_demo_learns_and_goes_back(server: LocalServer, runs: list[ServedRun]) -> None:
    run, folder = runs[2], runs[2].agent.trained.run
    fields = {"form": "text", "run": "mood", "text": "A film."}
    before = run.agent.predict(["A film."])[0].to_dict()
    wanted = "positive" if before["label"] == "negative" else "negative"
    nothing = post(server, "/learn", fields)
    assert nothing.status_code == 422
    assert "no feedback" in nothing.text
    for _ in range(2):
        sent = {**fields, "kind": "label", "answer": wanted, "say": "correct"}
        assert post(server, "/said", sent).status_code == 200
    learned = post(server, "/learn", fields)
    assert learned.status_code == 200, learned.text
    assert "learned from 1 correction(s)" in learned.text
    assert run.agent.trained.run.name == f"{folder.name}-learned_1"
    assert {"learn", "revert"} <= {str(a.get("action")) for a in Page(learned.text).all("form")}
    assert post(server, "/revert", fields).status_code == 200
    assert run.agent.predict(["A film."])[0].to_dict() == before
    assert post(server, "/revert", fields).status_code == 422  # there is nothing before it


def test_demo_answer_form_is_free_where_fields_would_be_too_many(runs: list[ServedRun]) -> None:
    (record,) = runs[0].predict(["Ann sings. " * 60])
    form = answer_form(runs[0], record)
    assert form.kind == "json"
    runs[0].agent.observe("Ann sings. " * 60, json.loads(form.text))  # as it stands
