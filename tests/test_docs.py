"""The site: a page per id, tables that follow the code, a strict build without a network."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from docs.generate import api, environments, formats, packages
from docs.generate.docstrings import restructured
from docs.generate.markdown import slug, tables
from nlp_gym import ENVS
from nlp_gym.data import READERS, check
from nlp_gym.registration import EnvRow, register_envs

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
IDS = [row.id for row in ENVS]
MEASURED = ("docs/results.md", "docs/robustness.md", "README.md")

pytestmark = pytest.mark.filterwarnings("ignore:.*bundled:UserWarning")


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_docs_page_shows_shapes_scores_and_hyperparameters() -> None:
    row = next(row for row in ENVS if row.id == "NER-CoNLL-v0")
    page = environments.environment_page(row, DOCS)
    assert page.startswith("# NER-CoNLL-v0\n")
    assert "| features | `context` | (3456,) | float32 | -8 to 8 |" in page  # 3 words of 3 * 384
    assert "## Action Mask" in page  # of the class docstring
    assert re.search(r"\| 0\.\d{3} \| 0\.000 \| 1\.000 \|", page)  # random, majority, oracle
    assert "[Token F1 beside published figures]" not in page  # a table without the id
    assert "(../results.md#all-ids-with-a-frozen-encoder)" in page
    assert "| `NER-CoNLL-v0` | entity F1 | dev | 0.028 |" in page
    assert "|  |  | test | 0.030 |" in page  # the row below, which has no id of its own
    assert "| `n_timesteps` | 1000000 |" in page


def test_docs_new_id_gets_its_page_and_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    import gymnasium as gym

    task = "nlp_gym.tasks.tagging.task:SequenceTagging"
    rows = (EnvRow("NER-Another-v0", task, "wnut17", {"scheme": "BIO"}),)
    monkeypatch.setattr("nlp_gym.registration.ENVS", rows)
    register_envs()
    try:
        made = environments.files(DOCS)
    finally:
        gym.registry.pop("NER-Another-v0")
        environments.drawn.cache_clear()
    assert made["environments/NER-Another-v0.md"].startswith("# NER-Another-v0\n")
    assert "[NER-Another-v0](NER-Another-v0.md)" in made["environments/index.md"]
    for picture in re.findall(r"\]\((pictures/[^)]+)\)", "".join(map(str, made.values()))):
        assert f"environments/{picture}" in made
    movie = Image.open(io.BytesIO(made["environments/pictures/NER-Another-v0.webp"]))
    assert movie.n_frames > 5


@pytest.mark.parametrize("page", MEASURED)
def test_docs_measured_ids_exist(page: str) -> None:
    named = {
        name
        for table in tables(read(page))
        for row in table.rows
        for name in re.findall(r"[\w-]+-v\d+", row.strip("|").split("|")[0])
    }
    assert named
    assert named <= set(IDS)


def test_docs_readme_shows_the_test_rows_of_the_results() -> None:
    """One measurement, two places: the README's table is part of the first of the results."""
    short = next(t for t in tables(read("README.md")) if t.heading == "Results")
    full = next(tables(read("docs/results.md")))
    for line in short.rows:
        env_id, metric, *scores = [cell.strip() for cell in line.strip("|").split("|")]
        about, test = full.rows_about(env_id.strip("`"))
        assert f"| {metric} |" in about
        cells = [cell.strip() for cell in test.strip("|").split("|")]
        assert cells[3 : 3 + len(scores)] == scores


@pytest.mark.parametrize(("family", "name"), formats.EXAMPLES)
def test_docs_example_of_a_format_is_read(family: str, name: str, tmp_path: Path) -> None:
    reader = READERS[family][name]
    file = tmp_path / f"example{reader.extensions[0]}"
    file.write_text(formats.EXAMPLES[family, name] + "\n", encoding="utf-8")
    report = check(file, family=family)
    assert report.format == name
    assert report.ok, report.problems
    assert report.n_samples > 0


def test_docs_modules_of_the_api_reference_exist() -> None:
    names = [f"{package}.{name}" for package, own in api.PUBLIC.items() for name in own]
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    assert not missing


def test_docs_every_format_has_a_row() -> None:
    text = formats.format_tables()
    sections = dict(zip(READERS, re.split(r"^### .*$", text, flags=re.MULTILINE)[1:], strict=True))
    for family, readers in READERS.items():
        for name in readers:
            assert f"\n| `{name}` |" in sections[family]


@pytest.mark.slow
@pytest.mark.parametrize("root", packages.ROOTS)
def test_docs_picture_has_every_package_above_what_it_imports(root: str) -> None:
    found = packages.imports(root)
    floors = packages.floors(found)
    height = {name: -i for i, floor in enumerate(floors) for name in floor}
    assert set(height) == set(found)
    assert all(height[a] > height[b] for a, targets in found.items() for b in targets)
    svg = ElementTree.fromstring(packages.picture(root))
    drawn = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert set(found) <= set(drawn)


def test_docs_picture_refuses_a_circle() -> None:
    circle = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("a")}
    with pytest.raises(ValueError, match="a -> b -> c -> a"):
        packages.floors(circle)


def test_docs_docstrings_become_restructured_text() -> None:
    text = ["See `Task.score` and ``x``.", "(B, 2*D) `a b`.", "", "## Description", "More."]
    assert restructured(text) == [
        "See :py:obj:`Task.score` and ``x``.",
        "(B, 2\\*D) ``a b``.",
        "",
        "Its reference is the page of each of its ids, under Environments.",
        "",
    ]


def test_docs_tables_know_headings_and_rows_below() -> None:
    page = "# One\n```\n| no | table |\n```\n## Two\n| id | x |\n|---|---|\n| `A-v0` | 1 |\n"
    page += "| | 2 |\n| `AA-v0` | 3 |\n"
    (table,) = tables(page)
    assert table.heading == "Two"
    assert table.rows_about("A-v0") == ["| `A-v0` | 1 |", "| | 2 |"]
    assert table.rows_about("B-v0") == []
    assert slug("Tagging with Stable-Baselines3's own") == "tagging-with-stable-baselines3s-own"


def test_docs_readme_is_short() -> None:
    lines = read("README.md").splitlines()
    assert len(lines) <= 200
    prose = [line for line in lines if not line.startswith("|")]
    assert max(map(len, prose)) <= 110


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_docs_links_of_the_repository_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", read(page))
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in link or not path:
            continue
        assert (ROOT / path).exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", read(path), re.MULTILINE)
            assert anchor in map(slug, headings), link


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")) + sorted(DOCS.glob("recipes/*.md")))
def test_docs_source_files_named_in_prose_exist(page: Path) -> None:
    """`tasks/core/task.py` and the like, from the repository or from one of the packages."""
    named = re.findall(r"`((?:[\w-]+/)+[\w-]+\.(?:py|yml|md))`", page.read_text(encoding="utf-8"))
    folders = (ROOT, ROOT / "nlp_gym", ROOT / "agents" / "nlp_gym_agents")
    for name in named:
        assert any((folder / name).is_file() for folder in folders), name


class Loaded(HTMLParser):
    """Addresses that a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "audio", "video", "embed", "object"):
            self.found += [values[key] or "" for key in ("src", "data", "srcset") if key in values]
        if tag == "link":
            self.found.append(values.get("href") or "")
        self.found += re.findall(r"url\(([^)]*)\)", values.get("style") or "")


@pytest.mark.slow
def test_docs_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    for module in ("sphinx", "furo", "myst_parser", "sphinx_copybutton"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs the extra docs: no {module}")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    command += ["-d", str(tmp_path / "doctrees"), "docs", str(site)]
    dead = "http://127.0.0.1:9"  # nobody listens: what is fetched all the same fails
    offline = {"http_proxy": dead, "https_proxy": dead, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **offline},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = sorted(site.rglob("*.html"))
    assert {page.stem for page in pages} >= {*IDS, "results", "glossary", "nlp_gym.tasks"}
    gallery = (site / "environments" / "index.html").read_text(encoding="utf-8")
    for env_id in IDS:
        assert f'href="{env_id}.html"' in gallery
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        assert [link for link in loaded.found if re.match(r"(\w+:)?//", link)] == [], page
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", text), style
