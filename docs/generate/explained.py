"""Pictures of `docs/explain.md`: pages of ``nlp-gym explain`` as a browser shows them.

``python -m docs.generate.explained tagging=RUN span=RUN ...`` writes the named ones anew, from runs
that `docs/explain.md` names. Whatever a run was trained on, it is shown at work on the bundled
samples, which were written for this project: the texts of other corpora belong to others. It needs
Chromium.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from nlp_gym_agents import load_agent
from nlp_gym_agents.explain.page import trace_html
from nlp_gym_agents.prediction.own_samples import own_samples

STATIC = Path(__file__).resolve().parents[1] / "_static"
WIDTH, TALLEST, MARGIN = 1000, 3000, 24
COLOURS, MOST_BYTES = 160, 150_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Shot(NamedTuple):
    """What a picture shows.

    Attributes:
        row: Sample of the bundled dev split.
        height: Pixels of the page that are shown, from the top.
        relevance: As `Agent.explain` takes it.
    """

    row: int
    height: int = TALLEST
    relevance: str | None = None


SHOTS = {
    "tagging": Shot(51, 900),
    "reading": Shot(5, 900),
    "span": Shot(1, 880, "occlusion"),
    "ranking": Shot(2, 640),
    "labels": Shot(2, 870),
    "walk": Shot(2, 880),
    "writing": Shot(2, 1010),
}


def screenshot(html: str, height: int) -> Image.Image:
    """The top of a page, without the empty space below what is on it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"none of {', '.join(BROWSERS)} is installed")
    with tempfile.TemporaryDirectory() as folder:
        page, file = Path(folder, "page.html"), Path(folder, "page.png")
        page.write_text(html, encoding="utf-8")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--screenshot={file}", f"--window-size={WIDTH},{TALLEST}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        shown = Image.open(file).convert("RGB")
    pixels = np.asarray(shown)
    drawn = np.flatnonzero((pixels != pixels[-1, 0]).any(axis=(1, 2)))
    return shown.crop((0, 0, WIDTH, min(int(drawn[-1]) + MARGIN, height)))


def picture(name: str, run: str) -> bytes:
    """The PNG of one of `SHOTS`, drawn from a run."""
    shot, agent = SHOTS[name], load_agent(run)
    given = own_samples(agent, "dev", [shot.row], env_kwargs={"corpus": "sample"})
    html = trace_html(agent.explain(given, gold=True, relevance=shot.relevance))
    file = io.BytesIO()
    image = screenshot(html, shot.height).quantize(COLOURS, dither=Image.Dither.NONE)
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> None:
    """Write the pictures that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+", metavar="NAME=RUN", help=", ".join(SHOTS))
    warnings.simplefilter("ignore")  # of bundled samples, which are what is wanted here
    for argument in parser.parse_args().pictures:
        name, _, run = argument.partition("=")
        made = picture(name, run)
        if len(made) > MOST_BYTES:
            raise SystemExit(f"{name}: {len(made):,} bytes; at most {MOST_BYTES:,} are wanted")
        (STATIC / f"explain-{name}.png").write_bytes(made)


if __name__ == "__main__":
    main()
