"""Drawings of traces: pages, terminals, pictures; what they hold and what they keep out."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from nlp_gym.errors import DataError, InvalidArgumentError
from nlp_gym.render import Frame, Piece, tagging_frame
from nlp_gym_agents.explain import drawing
from nlp_gym_agents.explain.drawing.colours import contrast, heat_rules
from nlp_gym_agents.explain.output import traces_json, write_traces
from nlp_gym_agents.explain.page import MOST_CARDS, trace_html
from nlp_gym_agents.explain.picture import WIDTH, trace_picture, trace_png
from nlp_gym_agents.explain.terminal import print_trace, trace_text
from nlp_gym_agents.explain.trace import VIEWS, Decision, Option, Trace

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e\x00{{ 7*7 }}\"'><img src=x onerror=alert(2)>"
VOID = {"meta", "br", "img", "link", "input", "hr"}


def decision(
    names: Sequence[str], scores: Sequence[float | None], chosen: int, **fields: Any
) -> Decision:
    """A decision on `names`; an action without a score is masked."""
    right, places = fields.pop("right", None), fields.pop("places", None)
    targets = fields.pop("targets", [""] * len(names))
    options = [
        Option(
            number,
            name,
            score is not None,
            score,
            None if right is None else number == right,
            None if places is None else places[number],
            targets[number],
        )
        for number, (name, score) in enumerate(zip(names, scores, strict=True))
    ]
    ranked = sorted(options, key=lambda o: (not o.legal, -(o.score or 0.0)))
    others = [o for o in ranked if o.legal and o.action != chosen]
    fields.setdefault("seen", Frame("mine", "1/1", [Piece("some text", "here")]))
    fields.setdefault("place", None)
    best = others[0].score if others else None
    own = scores[chosen]
    return Decision(
        options=tuple(ranked),
        n_legal=sum(option.legal for option in options),
        n_actions=len(options),
        chosen=chosen,
        runner_up=others[0].action if others else None,
        margin=None if best is None or own is None else own - best,
        **fields,
    )


def trace(view: str, words: Sequence[str], decisions: Sequence[Decision], **fields: Any) -> Trace:
    """A trace of probabilities."""
    fields = {"output": {"text": " ".join(words)}, "scores": "probability", **fields}
    return Trace(
        "My-v0", "maskable_ppo", view, words=tuple(words), decisions=(*decisions,), **fields
    )


def tagging(words: Sequence[str] = ("Ada", "Byron", "met", "London")) -> Trace:
    played, gold = [1, 2, 0, 3], [1, 2, 0, 1]
    decisions = [
        decision(
            LABELS,
            [0.1 if k != played[i % 4] else 0.7 for k in range(4)] + [None],
            played[i % 4],
            right=gold[i % 4],
            place=i,
            value=0.5,
            reward=1.0,
            relevance=tuple(np.linspace(-1, 1, min(len(words), 300)).tolist()),
            seen=tagging_frame("mine", words[:i][-9:] + words[i : i + 9], ["O"] * min(i, 9), None),
        )
        for i in range(len(words))
    ]
    return trace("tagging", words, decisions, score=0.5, metric="entity_f1", relevance="occlusion")


def reading() -> Trace:
    seen = [
        Frame("t", f"chunk {k + 1}/3", [Piece(f"piece {j}", mark) for j, mark in enumerate(marks)])
        for k, marks in enumerate((("here", "dim", "dim"), ("plain", "here", "dim")))
    ]
    names = ("bad", "good", "READ")
    return trace(
        "reading",
        ["piece", "0", "piece", "1", "piece", "2"],
        [
            decision(names, [0.2, 0.1, 0.7], 2, right=1, seen=seen[0]),
            decision(names, [0.1, 0.8, 0.1], 1, right=1, seen=seen[1]),
        ],
        output={"label": "good", "read": 4},
    )


def span() -> Trace:
    words = ["She", "went", "to", "Rome", "in", "May"]
    first = [0.0, 0.0, 0.1, 0.8, 0.05, 0.05]
    last = [None, None, None, 0.3, 0.1, 0.6]
    places = list(range(6))
    return trace(
        "span",
        words,
        [
            decision(words, first, 3, right=3, places=places),
            decision(words, last, 5, right=3, places=places),
        ],
        output={"answer": "Rome in May"},
        context={"question": "Where did she go?"},
    )


def walk() -> Trace:
    edges = ("born in", "wrote", "lived in")
    return trace(
        "walk",
        ["Ada", "Byron"],
        [
            decision(edges, [0.7, 0.2, 0.1], 0, targets=["London", "Notes", "Kent"], at="Ada"),
            decision(edges, [0.6, 0.3, 0.1], 0, targets=["England", "UK", "EU"], at="London"),
        ],
        output={"answers": ["England", "UK"]},
    )


def writing() -> Trace:
    vocabulary = ("Ein", "Mann", "geht", "STOP")
    return trace(
        "writing",
        ["A", "man", "walks"],
        [
            decision(
                vocabulary,
                [0.7 if k == i else 0.1 for k in range(4)],
                i,
                sources=tuple(0.8 if k == i else 0.1 for k in range(3)),
            )
            for i in range(4)
        ],
        output={"output": "Ein Mann geht"},
    )


def ranking() -> Trace:
    choices = ("the sun", "a cloud", "the moon")
    return trace(
        "ranking",
        ["What", "rains", "?"],
        [decision(choices, [0.1, 1.4, -2.0], 1, right=1)],
        scores="value",
        output={"answer": "a cloud"},
        context={"question": "What rains?"},
    )


def tree() -> Trace:
    names = ("SHIFT", "LEFT-ARC nsubj", "RIGHT-ARC obj")
    return trace(
        "tree",
        ["Ada", "wrote", "notes"],
        [
            decision(names, [0.7, 0.2, 0.1], 0, right=0),
            decision(names, [0.1, 0.8, 0.1], 1, right=1),
            decision(names, [0.1, 0.2, 0.7], 2, right=0),
        ],
        output={
            "text": "Ada wrote notes",
            "heads": [2, 0, 2],
            "relations": ["nsubj", "root", "obj"],
        },
    )


def labels() -> Trace:
    names = ("joy", "fear", "STOP")
    return trace(
        "labels",
        ["Well", "done"],
        [decision(names, [0.8, 0.1, 0.1], 0), decision(names, [None, 0.1, 0.9], 2)],
        output={"labels": ["joy"]},
    )


MADE: dict[str, Callable[[], Trace]] = {
    made.__name__: made for made in (tagging, reading, span, ranking, labels, walk, writing, tree)
}


def with_text(made: Trace, text: str) -> Trace:
    """The trace with `text` wherever a text of others stands."""

    def changed(one: Decision) -> Decision:
        options = tuple(
            replace(option, name=text, target=text if option.target else "")
            for option in one.options
        )
        pieces = [Piece(text, "here", text, text), Piece(text, "wrong", text, text, True)]
        at = text if one.at else ""
        return replace(one, options=options, seen=Frame(text, text, pieces), at=at)

    return replace(
        made,
        env_id=text,
        algo=text,
        metric=text,
        relevance=text,
        words=tuple(text for _ in made.words),
        decisions=tuple(map(changed, made.decisions)),
        output={text: text, "labels": [text, {text: text}]},
        context={text: text},
        notes=(text,),
    )


class Page(HTMLParser):
    """Reads a page and fails where a tag is not closed by its own end tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID and not (self.open and self.open[-1] == "svg" and tag in VOID):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def values(self, name: str) -> list[str]:
        return [value for found, value in self.attributes if found == name]


def test_views_all_have_a_trace_here() -> None:
    assert set(MADE) == set(VIEWS)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("whole", [True, False])
def test_page_is_valid_and_stands_alone(view: str, whole: bool) -> None:
    html = trace_html(MADE[view](), whole_page=whole)
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>") == whole
    assert not {"script", "link", "img", "iframe", "object"} & {*page.tags}
    assert "@import" not in html
    assert "url(" not in html
    assert "://" not in html
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for target in page.values("href"):
        assert target.startswith("#")
        assert target[1:] in ids
    for targets in page.values("aria-labelledby"):
        assert set(targets.split()) <= set(ids)
    assert not [name for name, _ in page.attributes if name.startswith("on")]


@pytest.mark.parametrize("view", VIEWS)
def test_page_says_what_was_decided(view: str) -> None:
    made = MADE[view]()
    text = Page(trace_html(made)).text
    for one in made.decisions:
        assert one.choice.name in text
        assert f"{one.n_legal} of {one.n_actions}" in text
        assert drawing.Scale(made).text(one.choice.score) in text
    assert "–" in text or all(option.legal for one in made.decisions for option in one.options)


def test_page_marks_gold_masks_and_mistakes() -> None:
    html = trace_html(tagging())
    text = Page(html).text
    assert "1 not as the gold has it" in text
    assert "✗ wrong" in text
    assert "★ B-PER" in text
    assert "what the mask forbids" in text
    assert '<td class="masked">' in html
    assert "occlusion" in text
    plain = Page(trace_html(replace(labels(), decisions=labels().decisions[:1]))).text
    assert "gold" not in plain
    assert "forbids" not in plain


def test_notes_are_shown() -> None:
    made = replace(walk(), notes=("A search found it.",))
    assert "A search found it." in Page(trace_html(made)).text
    assert "A search found it." in trace_text(made)
    assert trace_picture(made).height > trace_picture(walk()).height


def test_page_of_several_has_anchors_of_their_own() -> None:
    page = Page(trace_html([made() for made in MADE.values()] + [tagging()]))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert f"{len(MADE) + 1} texts" in page.text


@pytest.mark.parametrize("view", VIEWS)
def test_page_keeps_hostile_text_inert(view: str) -> None:
    html = trace_html(with_text(MADE[view](), HOSTILE))
    page = Page(html)
    assert not {"script", "img"} & {*page.tags}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not set("\x1b\u202e\x00") & set(html)
    assert r"\x1b[31m\u202e\x00{{ 7*7 }}" in page.text


@pytest.mark.parametrize("view", VIEWS)
def test_terminal_keeps_hostile_text_inert(view: str) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="truecolor", width=300)
    print_trace(with_text(MADE[view](), HOSTILE), console)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert not set("\x1b\u202e\x00") & set(shown)
    assert r"\x1b[31m" in shown
    own = set(re.findall(r"\x1b\[[0-9;]*m", out.getvalue()))
    assert "\x1b[31m" not in own - {"\x1b[31m"}


@pytest.mark.parametrize("view", VIEWS)
def test_picture_draws_any_text(view: str) -> None:
    for text in (HOSTILE, "東京の天気は", "مرحبا بالعالم", "a\nb", " ", "x" * 3000):
        assert trace_picture(with_text(MADE[view](), text)).width == WIDTH


@pytest.mark.parametrize("view", VIEWS)
def test_blank_text_is_drawn(view: str) -> None:
    blank = replace(MADE[view](), words=(), decisions=(), output={"text": ""}, context={})
    assert "nothing to decide" in Page(trace_html(blank)).text
    assert "blank" in trace_text(blank)
    assert trace_picture(blank).width == WIDTH


def test_no_traces_are_a_page_too() -> None:
    assert "no text to explain" in Page(trace_html([])).text
    assert trace_picture([]).width == WIDTH


def test_page_keeps_chinese_and_arabic() -> None:
    page = Page(trace_html(tagging(["東京", "مرحبا", "का", "😀"])))
    for word in ("東京", "مرحبا", "का", "😀"):
        assert word in page.text


def test_page_of_a_long_text_is_small_and_folded() -> None:
    made = tagging([f"word{i}" for i in range(2000)])
    html = trace_html(made)
    assert len(html.encode()) < 4_000_000
    assert html.count("word1999") >= 2
    assert len(re.findall(r' id="t1-\w+-d\d+"', html)) == MOST_CARDS
    assert "Decisions 1981 to 2000" in html
    assert "200 of 2000 are drawn" in html


def test_page_of_thousands_of_actions_shows_the_top() -> None:
    names = [f"action{i}" for i in range(5000)]
    scores = np.random.default_rng(0).dirichlet(np.ones(5000)).tolist()
    best = int(np.argmax(scores))
    made = trace("labels", ["a"], [decision(names, scores, best, right=17)] * 2)
    html = trace_html(made)
    text = Page(html).text
    assert len(html) < 100_000
    assert names[best] in text
    assert "action17" in text
    assert "of 5000 actions" in text


def test_heat_map_has_readable_colours() -> None:
    for name, paper, ink, dark_paper, dark_ink in heat_rules(drawing.LEVELS):
        assert contrast(paper, ink) >= 4.5, name
        assert contrast(dark_paper, dark_ink) >= 4.5, name


def test_style_has_readable_colours() -> None:
    html = trace_html([])
    schemes = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part))
        for part in re.findall(r"\.nlp-traces \{(.*?)\}", html, re.DOTALL)[:2]
    ]
    assert len(schemes) == 2
    for scheme in schemes:
        for ink in ("ink", "muted", "accent", "good", "bad", "gold"):
            for paper in ("paper", "page", "soft"):
                assert contrast(scheme[ink], scheme[paper]) >= 4.5, (ink, paper)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [40, 100])
def test_terminal_fits_its_window_without_colour(view: str, width: int) -> None:
    text = trace_text(MADE[view](), width)
    assert "\x1b" not in text
    lines = text.splitlines()[1:]  # the first is not broken
    assert max(map(len, lines)) <= width
    for one in MADE[view]().decisions:
        assert drawing.option_name(one.choice)[:8] in text


def test_terminal_without_unicode_uses_ascii_marks() -> None:
    raw = io.TextIOWrapper(io.BytesIO(), "ascii")
    print_trace(tagging(["Ada", "北京", "met", "London"]), Console(file=raw, width=100))
    raw.seek(0)
    shown = raw.read()
    assert "x B-PER" in shown
    assert r"\u5317\u4eac" in shown


def test_terminal_colours_only_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def printed() -> str:
        out = io.StringIO()
        print_trace(tagging(), Console(file=out, force_terminal=True, width=100))
        return out.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.search(r"\x1b\[[0-9;]*3[0-9]", printed())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", printed())


@pytest.mark.parametrize("view", VIEWS)
def test_picture_shows_the_choice(view: str) -> None:
    made = MADE[view]()
    image = trace_picture(made)
    assert image.mode == "RGB"
    other = [replace(one, chosen=one.runner_up) for one in made.decisions]
    assert image.tobytes() != trace_picture(replace(made, decisions=(*other,))).tobytes()
    found = Image.open(io.BytesIO(trace_png(made)))
    assert found.size == image.size


def test_grid_keeps_the_chosen_and_the_right() -> None:
    names = [f"a{i}" for i in range(40)]
    scores = [0.03] * 20 + [0.02] * 20
    made = trace("labels", ["a"], [decision(names, scores, 39, right=38)])
    grid = drawing.grid_of(made, drawing.Scale(made))
    assert {"a38", "a39"} <= set(grid.columns)
    assert len(grid.columns) == drawing.MOST_COLUMNS
    assert grid.left_out == 40 - drawing.MOST_COLUMNS


@settings(max_examples=30, deadline=None)
@given(
    scores=st.lists(
        st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), min_size=1, max_size=8
    ),
    kind=st.sampled_from(("probability", "value", "none")),
    view=st.sampled_from(VIEWS),
)
def test_any_scores_are_drawn(scores: list[float | None], kind: str, view: str) -> None:
    names = [f"n{i}" for i in range(len(scores))]
    chosen = len(scores) - 1
    one = decision(names, scores, chosen, place=0, places=[0] * len(scores), value=scores[chosen])
    made = trace(view, ["a", "b"], [one, one], scores=kind)
    scale = drawing.Scale(made)
    grid = drawing.grid_of(made, scale)
    assert all(sum(cell.chosen for cell in row) == 1 for row in grid.rows)
    assert all(0 <= scale.share(score) <= 1 for score in scores)
    Page(trace_html(made))
    trace_text(made)


def test_json_keeps_everything_and_is_strict() -> None:
    made = with_text(tagging(), HOSTILE)
    (found,) = json.loads(traces_json([made]), parse_constant=pytest.fail)
    assert found["words"][0] == HOSTILE
    assert found["decisions"][0]["options"][0]["name"] == HOSTILE


@pytest.mark.parametrize("ending", [".html", ".json", ".png", ".PNG"])
def test_traces_are_written_by_ending(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"trace{ending}"
    write_traces([tagging(), span()], path)
    start = {".html": b"<!DOCTYPE", ".json": b"[", ".png": b"\x89PNG"}[ending.lower()]
    assert path.read_bytes().startswith(start)
    assert [*tmp_path.iterdir()] == [path]


def test_unknown_ending_and_unwritable_place_are_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"\.html, \.json, \.png"):
        write_traces([tagging()], tmp_path / "trace.pdf")
    taken = tmp_path / "file"
    taken.touch()
    with pytest.raises(DataError, match="cannot be written"):
        write_traces([tagging()], taken / "trace.html")
    assert [*tmp_path.iterdir()] == [taken]
