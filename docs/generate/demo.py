"""Picture of `docs/serve.md`: runs that decide on a text on the page of ``nlp-gym demo``.

``python -m docs.generate.demo RUN RUN ...`` asks the page of these runs for a text, and draws what
it answers anew. Nothing is said of the decisions, so that the run folders stay as they are. It
needs Chromium.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode
from urllib.request import urlopen

from PIL import Image

from docs.generate.explained import COLOURS, MOST_BYTES, STATIC, screenshot

TEXT = "Ann Lee moved from Rome to work for Acme Corp. in Oslo."
HEIGHT = 1010


@contextmanager
def demo(runs: list[str]) -> Iterator[str]:
    """The address of a server with a page for runs."""
    command = [sys.executable, "-m", "nlp_gym", "demo", *runs, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            assert process.stdout is not None
            said = list[str]()
            for line in iter(process.stdout.readline, b""):
                said.append(line.decode())
                if found := re.search(r"http://\S+", said[-1]):
                    yield found[0].rstrip("/.,")
                    break
            else:
                raise SystemExit("".join(said))
        finally:
            process.terminate()


def page(url: str) -> str:
    """What two runs decide on `TEXT`, with its rules of style in it, and one correction begun."""
    with urlopen(url + "/") as answer:
        names = re.findall(r'name="run" value="([^"]+)"', answer.read().decode())
    fields = [("form", "text"), ("text", TEXT), *(("run", name) for name in names[:2])]
    with urlopen(url + "/", urlencode(fields).encode()) as answer:
        html = str(answer.read().decode())
    for link in re.findall(r'<link rel="stylesheet" href="([^"]+)">', html):
        with urlopen(f"{url}/{link}") as answer:
            style = f"<style>{answer.read().decode()}</style>"
        html = html.replace(f'<link rel="stylesheet" href="{link}">', style)
    return html.replace('<details id="correct-2">', '<details id="correct-2" open>')


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="taggers of words, two or more")
    runs = parser.parse_args().runs
    with demo(runs) as url:
        image = screenshot(page(url), HEIGHT)
    file = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    if len(file.getvalue()) > MOST_BYTES:
        raise SystemExit(f"{len(file.getvalue()):,} bytes; at most {MOST_BYTES:,} are wanted")
    (STATIC / "demo.png").write_bytes(file.getvalue())


if __name__ == "__main__":
    main()
