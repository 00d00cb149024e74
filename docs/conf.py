"""Sphinx builds the site: ``sphinx-build -W docs build/docs``."""

from trpo_fast import __version__

project = "trpo_fast"
copyright = "the trpo_fast authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"trpo_fast {__version__}"
html_show_sphinx = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more
napoleon_google_docstring = False
napoleon_use_rtype = False
