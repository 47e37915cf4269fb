"""Sphinx settings: `make docs`, or ``python -m sphinx -W docs build/docs``.

Nothing is fetched, neither to build nor by the pages: no fonts, styles or scripts of other servers.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "agents")]
os.environ.setdefault("NLP_GYM_CACHE", str(HERE.parent / ".cache" / "docs"))
os.environ.pop("NLP_GYM_DATA", None)  # the pages show the bundled samples

import nlp_gym  # noqa: E402 - the paths come first

project = "nlp_gym"
author = "nlp_gym contributors"
project_copyright = author
release = version = nlp_gym.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["generate", "parts"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
smartquotes = False  # quotes in prose are often code

html_theme = "furo"
html_title = "nlp_gym"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
templates_path: list[str] = []

default_role = "py:obj"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"ignore-module-all": True, "no-value": True}
ALIASES = ("Int64Array", "Float64Array", "BoolArray", "IntArray", "Observation", "Texts", "Played")
autodoc_type_aliases = {name: name for name in ALIASES}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]  # a short name that several classes have links to one of them
python_use_unqualified_type_names = True
toc_object_entries = False
copybutton_exclude = ".linenos, .gp"


def setup(app: Any) -> None:
    """Write the generated pages before Sphinx looks for pages."""
    app.connect("builder-inited", generate)
    app.connect("autodoc-process-docstring", as_restructured_text, priority=100)


def generate(app: Any) -> None:
    """Write the generated pages."""
    from docs.generate import write_all

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bundled samples, which are what is wanted here
        write_all(Path(app.srcdir))


def as_restructured_text(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Turn the little Markdown of a docstring into what autodoc reads."""
    from docs.generate.docstrings import restructured

    lines[:] = restructured(lines)
