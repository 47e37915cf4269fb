"""`serve.demo` without a script: pages and forms as any browser sends them."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
import requests
from conftest import LocalServer, tiny_run

from nlp_gym_agents.serve.body import inputs_of
from nlp_gym_agents.serve.demo.forms import FORMS
from nlp_gym_agents.serve.demo.play import MOST_SHOWN, Episode, Episodes
from nlp_gym_agents.serve.demo.record import outcome_of
from nlp_gym_agents.serve.limits import Limits, RequestError
from nlp_gym_agents.serve.served import ServedRun, load_runs

HOSTILE = "<script>alert(1)</script> \x1b[31mred\x1b[0m \u202eabc \x00 <b onclick=x>Ann"


class Page(HTMLParser):
    """What a test looks for in a page: its elements, and the text of each id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag and attributes.items() <= a.items()]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[ServedRun]:
    """Two taggers, and a reader of passages, which has many actions."""
    folder = tmp_path_factory.mktemp("demo")
    tagger = tiny_run(folder / "tagger")
    reader = tiny_run(folder / "reader", "SpanQA-SQuAD-v0")
    return load_runs([tagger, tagger, reader])


@pytest.fixture(scope="module")
def demo(runs: list[ServedRun]) -> Iterator[LocalServer]:
    server = LocalServer(runs, demo=True)
    yield server
    server.stop()


def post(demo: LocalServer, path: str, fields: Any) -> requests.Response:
    return requests.post(demo.url + path, fields, timeout=30)


def decided(demo: LocalServer, **fields: Any) -> requests.Response:
    return post(demo, "/", {"form": "text", "run": ["tagger", "tagger-2"], **fields})


def begun(demo: LocalServer, run: str = "tagger", sample: int = 1) -> Page:
    answer = post(demo, "/play", {"run": run, "split": "dev", "sample": sample})
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def number(text: str, name: str) -> float:
    found = re.search(rf'id="{name}">([^<]*)<', text)
    assert found, text
    return float(found[1])


@pytest.mark.slow
def test_demo_runs_decide_side_by_side(demo: LocalServer) -> None:
    answer = decided(demo, text="Ann Lee lives in Rome.", relevance="auto")
    assert answer.status_code == 200, answer.text
    page = Page(answer.text)
    assert len(page.all("article", **{"class": "run"})) == 2
    assert [a["value"] for a in page.all("input", name="run") if "checked" in a] == [
        "tagger",
        "tagger-2",
    ]
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))  # though both decided the same
    assert re.search(r"<dt>confidence</dt><dd[^>]*>\d+\.\d%", answer.text)
    alone = decided(demo, text="Ann", run="tagger-2")
    assert len(Page(alone.text).all("article", **{"class": "run"})) == 1
    assert alone.text.count("nlp-traces") >= 1


@pytest.mark.parametrize("text", ["", " \r\n ", "\u200b", "a" * 3000])
def test_demo_any_text_is_decided_on(demo: LocalServer, text: str) -> None:
    assert decided(demo, text=text, run="tagger").status_code == 200


def test_demo_hostile_text_is_inert(demo: LocalServer) -> None:
    for answer in (
        decided(demo, text=HOSTILE),
        decided(demo, text=HOSTILE, relevance="auto"),
        decided(demo, text="a", run=HOSTILE),
        decided(demo, text="a", form=HOSTILE),
        post(demo, "/play", {"run": HOSTILE}),
        post(demo, "/play", {"run": "tagger", "split": HOSTILE}),
        post(demo, "/episode", {"id": HOSTILE}),
        requests.get(demo.url + "/", {"form": HOSTILE}, timeout=10),
        requests.get(demo.url + "/play", {"run": HOSTILE}, timeout=10),
        requests.get(demo.url + "/episode", {"id": HOSTILE, "q": HOSTILE}, timeout=10),
    ):
        page = Page(answer.text)
        assert [a.get("src") for a in page.all("script")] == ["demo.js"]
        assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
        # The field has the text as it was typed; everything else spells what acts.
        rest = re.sub(r"<textarea.*?</textarea>", "", answer.text, flags=re.DOTALL)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", rest)


def test_demo_pages_need_nothing_from_elsewhere(demo: LocalServer) -> None:
    for path in ("/", "/?form=spanqa", "/play", "/demo.css", "/site.css", "/demo.js", "/icon.svg"):
        answer = requests.get(demo.url + path, timeout=10)
        assert answer.status_code == 200
        found = set(re.findall(r"https?://[^\s\"')]+", answer.text))
        assert found <= {"http://www.w3.org/2000/svg"}
        for name in re.findall(r'(?:href|src)="([^"#?]+)"', answer.text):
            assert requests.get(f"{demo.url}/{name}", timeout=10).status_code == 200


@pytest.mark.parametrize("path", ["/", "/?form=spanqa", "/play"])
def test_demo_every_field_has_a_label(demo: LocalServer, path: str) -> None:
    page = Page(requests.get(demo.url + path, timeout=10).text)
    labels = {a["for"] for a in page.all("label") if "for" in a}
    fields = [a for tag in ("input", "textarea", "select") for a in page.all(tag)]
    typed = [a for a in fields if a.get("type") not in ("hidden", "checkbox")]
    assert typed
    assert {a["id"] for a in typed} <= labels
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert page.all("html", lang="en")


def test_demo_refusals_are_pages_that_say_why(demo: LocalServer) -> None:
    for answer, status, message in [
        (decided(demo, text="a" * 10_001), 413, "10,001 characters"),
        (decided(demo, text="a", run=[]), 422, "tick one"),
        (decided(demo, text="a\ud83d".encode("utf-8", "surrogatepass")), 200, ""),
        (decided(demo, text="a", form="spanq"), 404, "spanq"),
        (post(demo, "/", b"a" * 2_000_000), 415, "Content-Type"),
        (post(demo, "/", {f"f{i}": "" for i in range(60)}), 400, "cannot be read"),
        (post(demo, "/play", {"run": "tagger", "sample": "0"}), 422, "samples 1 to"),
        (post(demo, "/play", {"run": "tagger", "sample": "9" * 9}), 422, "samples 1 to"),
        (post(demo, "/play", {"run": "tagger", "sample": "x"}), 422, "number from 1"),
        (post(demo, "/play", {"run": "tagger", "split": "all"}), 422, "train, dev, test"),
        (post(demo, "/play", {"run": "no"}), 404, "not served"),
        (post(demo, "/episode", {"id": "no"}), 404, "not known any more"),
    ]:
        assert answer.status_code == status, (message, answer.text)
        assert message in html.unescape(answer.text)
        assert "Traceback" not in answer.text


def test_demo_asks_a_question_of_a_passage(demo: LocalServer) -> None:
    page = requests.get(demo.url + "/?form=spanqa", timeout=10).text
    assert "Passage" in page
    fields = {"form": "spanqa", "run": "reader", "question": "Who sings?"}
    answer = post(demo, "/", {**fields, "context": "Ann sings.\r\nBob does not."})
    assert answer.status_code == 200, answer.text
    assert len(Page(answer.text).all("article", **{"class": "run"})) == 1


def test_demo_an_episode_is_played_by_hand(demo: LocalServer) -> None:
    page = begun(demo)
    (name,) = {a["value"] for a in page.all("input", name="id")}
    rewards = []
    for step in range(100):
        choices = [a["value"] for a in page.all("button", name="choice")]
        assert choices[-2:] == ["agent", "rest"]
        answer = post(demo, "/episode", {"id": name, "step": step, "choice": choices[0]})
        assert number(answer.text, "step") == step + 1
        rewards.append(number(answer.text, "latest"))
        assert number(answer.text, "total") == pytest.approx(sum(rewards), abs=0.01)
        page = Page(answer.text)
        if not page.all("button", name="choice"):
            break
    assert page.all("p", id="over")
    assert 0.0 <= number(answer.text, "score") <= 1.0
    again = post(demo, "/episode", {"id": name, "step": step + 1, "choice": "0"})
    assert number(again.text, "step") == step + 1  # it is over


def test_demo_a_button_that_is_pressed_twice_plays_once(demo: LocalServer) -> None:
    (name,) = {a["value"] for a in begun(demo).all("input", name="id")}
    for _ in range(2):
        answer = post(demo, "/episode", {"id": name, "step": 0, "choice": "agent"})
        assert number(answer.text, "step") == 1
    for choice in ("9999", "-1", "x", "", "१"):
        answer = post(demo, "/episode", {"id": name, "step": 1, "choice": choice})
        assert answer.status_code == 422
    answer = post(demo, "/episode", {"id": name, "step": 1, "choice": "rest"})
    assert Page(answer.text).all("p", id="over")


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "http://localhost:1"])
def test_demo_other_sites_play_nothing(demo: LocalServer, origin: str) -> None:
    (name,) = {a["value"] for a in begun(demo).all("input", name="id")}
    for path, fields in [
        ("/", {"form": "text", "run": "tagger", "text": "Ann"}),
        ("/play", {"run": "tagger"}),
        ("/episode", {"id": name, "step": 0, "choice": "rest"}),
    ]:
        answer = requests.post(demo.url + path, fields, headers={"Origin": origin}, timeout=10)
        assert answer.status_code == 403
    answer = requests.get(demo.url + "/episode", {"id": name}, timeout=10)
    assert number(answer.text, "step") == 0


def test_demo_many_actions_are_searched(demo: LocalServer, runs: list[ServedRun]) -> None:
    task = runs[2].corpus_task("dev")
    row = max(range(len(task.corpus)), key=lambda i: len(task.corpus.samples[i].words))
    words = task.corpus.samples[row].words
    page = begun(demo, "reader", row + 1)
    assert len(words) > MOST_SHOWN
    assert len(page.all("button", name="choice")) == MOST_SHOWN + 2
    (name,) = {a["value"] for a in page.all("input", name="id")}
    wanted = max(words, key=len)
    answer = requests.get(demo.url + "/episode", {"id": name, "q": wanted.upper()}, timeout=10)
    names = re.findall(r'name="choice" value="\d+"><bdi>(.*?)</bdi>', answer.text)
    assert names
    assert all(wanted.lower() in html.unescape(one).lower() for one in names)


def test_demo_episodes_are_bounded_in_number_and_age(runs: list[ServedRun]) -> None:
    episodes = Episodes(Limits(episodes=2, episode_s=0.2))
    made = [Episode(runs[0], "dev", row) for row in range(3)]
    for episode in made:
        episodes.add(episode)
    with pytest.raises(RequestError, match="2 are kept"):
        episodes.get(made[0].id)
    assert episodes.get(made[2].id) is made[2]
    time.sleep(0.25)
    with pytest.raises(RequestError, match="Start a new one"):
        episodes.get(made[2].id)


def test_demo_the_agent_plays_as_it_predicts(runs: list[ServedRun]) -> None:
    episode = Episode(runs[0], "dev", 0)
    episode.play("rest")
    words = runs[0].corpus_task("dev").corpus.samples[0].words
    (record,) = runs[0].predict([list(words)])
    assert [move.name for move in reversed(episode.view().moves)] == [
        token["label"] for token in record["tokens"]
    ]


def test_demo_forms_make_samples_that_are_read(runs: list[ServedRun]) -> None:
    for form in FORMS.values():
        values = {field.name: field.example or "x" for field in form.fields}
        body = form.body(values)
        if form.key in ("text", "spanqa"):
            run = runs[0] if form.key == "text" else runs[2]
            given, _ = inputs_of(body, run, Limits(), explains=True)
            assert len(given) == 1
        else:
            assert list(body) == ["samples"]
    with pytest.raises(RequestError, match="'Zoe' is not in the text"):
        FORMS["relation"].body({"text": "Ann", "entities": "Zoe"})


def test_demo_outcomes_are_cut_where_labels_begin_and_end(runs: list[ServedRun]) -> None:
    (trace,) = runs[0].explain(["  Ann sings"])
    entities = [{"text": "Ann", "start": 2, "end": 5, "label": "PER"}]
    output = {"text": "  Ann sings", "tokens": [], "entities": entities, "confidence": 0.5}
    found = outcome_of(replace(trace, output={**output, "calibrated": False}))
    cut = [(stretch.text, stretch.label) for stretch in found.stretches]
    assert cut == [("  ", ""), ("Ann", "PER"), (" sings", "")]
    assert found.fields == (("confidence", "50.0% (not calibrated)"),)
    labelled = outcome_of(replace(trace, output={"label": "a", "text": "b", "index": 0}))
    assert (labelled.stretches, labelled.fields) == ((), (("label", "a"),))
