"""Sphinx builds the site: ``sphinx-build -W docs build/docs``."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

from trpo_fast import __version__

project = "trpo_fast"
copyright = "the trpo_fast authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"trpo_fast {__version__}"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more
napoleon_google_docstring = False
napoleon_use_rtype = False


def skip_field(app, what, name, member, skip, options):
    """Leave out the fields of a NamedTuple: its class's docstring describes them."""
    return skip or type(member).__name__ == "_tuplegetter"


def render_math(display):
    """A visitor that writes an equation as MathML, which browsers render without a script or a network."""

    def visit(translator, node):
        translator.body.append(convert(node.astext(), display=display))
        raise nodes.SkipNode

    return visit


def setup(app: Sphinx) -> None:
    """Register both."""
    app.connect("autodoc-skip-member", skip_field)
    app.add_html_math_renderer("mathml", (render_math("inline"), None), (render_math("block"), None))
