"""Sphinx: the pages of this folder, and the Python interface from its docstrings."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import made_pages
import settings_page

project = "jaxgan"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
napoleon_use_ivar = True  # Attributes stand in the class docstring alone.
html_theme = "sphinx_book_theme"
html_title = "jaxgan"
html_theme_options = {"navbar_persistent": []}  # The sidebar has the search.
html_static_path = ["_static"]
html_js_files = ["access.js"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # Shapes in annotations are jaxtyping's; docstrings say the types.
exclude_patterns = ["_build"]
nitpicky = False

settings_page.write(Path(__file__).parent / "settings.md")
made_pages.write(Path(__file__).parent)
