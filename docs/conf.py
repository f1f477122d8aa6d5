"""How Sphinx builds these pages: `sphinx-build -W docs build/docs`."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

project = "worldmodels"
author = "The worldmodels authors"
copyright = author
release = version = re.findall(r'__version__ = "(.+)"', (ROOT / "worldmodels" / "version.py").read_text())[0]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["examples", "_build"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence", "deflist", "html_image"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
default_role = "code"

html_theme = "furo"
html_title = f"worldmodels {release}"
html_show_copyright = False
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["wide.css"]

suppress_warnings = ["ref.python"]  # several configurations have a field of the same name


COLON = "\ue000"
"""Stands for a colon while napoleon reads, which would take what is before it in the words of a field for a type."""


def escape(app, what, name, obj, options, lines):
    """Escape what would be read as markup: shapes such as (*B Z), and colons in the words of a field."""
    for number, line in enumerate(lines):
        parts = re.split(r"(`+[^`]*`+)", line)
        line = "".join(part if part.startswith("`") else re.sub(r"([*|])", r"\\\1", part) for part in parts)
        lines[number] = line.replace(":", COLON) if what in ("attribute", "data", "property") else line


def restore(app, what, name, obj, options, lines):
    """Put the colons back."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def setup(app):
    """Have docstrings escaped before napoleon reads them, and restored after."""
    app.connect("autodoc-process-docstring", escape, priority=400)
    app.connect("autodoc-process-docstring", restore, priority=600)
