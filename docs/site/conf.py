"""Sphinx's configuration: how the pages of docs/ become a site."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "placement"
author = "The placement authors"
project_copyright = "The placement authors. Apache-2.0"

extensions = ["myst_parser", "pages"]
exclude_patterns = ["site", "examples"]
source_suffix = {".md": "markdown"}
root_doc = "index"
needs_sphinx = "9.0"

myst_heading_anchors = 4
"""Each heading can be linked to, by the name that a code host gives it."""

suppress_warnings = ["misc.highlighting_failure"]
"""Of Pygments, which takes a command of two lines for one of one line."""

html_theme = "furo"
html_title = "placement"
html_static_path = ["static"]
html_css_files = ["house.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "sidebar_hide_name": False,
    "top_of_page_buttons": [],
    "light_css_variables": {
        "color-brand-primary": "#0b5c6b",
        "color-brand-content": "#0b5c6b",
        "color-brand-visited": "#0b5c6b",
        "font-stack": "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', sans-serif",
        "font-stack--monospace": (
            "ui-monospace, 'SF Mono', 'DejaVu Sans Mono', Menlo, Consolas, monospace"
        ),
    },
    "dark_css_variables": {
        "color-brand-primary": "#6fc7d6",
        "color-brand-content": "#6fc7d6",
        "color-brand-visited": "#6fc7d6",
    },
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
