"""Sphinx configuration. The reference of the twin language and of the command line is
generated here, from the classes and the commands themselves, at every build.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

project = "firsttoken"
author = "The firsttoken authors"
copyright = "2026, The firsttoken authors"
version = release = installed_version("firsttoken")

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
highlight_language = "text"
nitpicky = True

html_theme = "furo"
html_title = "firsttoken"
html_show_sphinx = False


def setup(app: Any) -> None:
    """Write the generated pages before Sphinx reads the others."""
    from generate import write_reference

    app.connect("builder-inited", lambda _: write_reference(HERE / "reference" / "generated"))
