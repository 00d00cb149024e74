"""Sphinx builds the site: ``sphinx-build -W docs build/docs``."""

import inspect
import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

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
napoleon_use_ivar = True
suppress_warnings = ["myst.xref_missing"]  # tests/tools/test_docs.py checks links, those into the repository too


def skip_field(app, what, name, member, skip, options):
    """Leave out the fields of a NamedTuple: its class's docstring describes them."""
    return skip or type(member).__name__ == "_tuplegetter"


def show_return(app, what, name, member, options, signature, annotation):
    """Add the type of what a function returns; types of arguments are in its docstring."""
    if what not in ("function", "method") or not inspect.isroutine(member):
        return signature, annotation
    try:
        returned = inspect.signature(member).return_annotation
    except ValueError:  # a compiled function
        return signature, annotation
    text = stringify_annotation(returned, "smart", short_literals=True)
    text = re.sub(r"~?numpy\.ndarray\[tuple\[.*?\], ~?numpy\.dtype\[.*?\]\]", "ndarray", text)
    return signature, text.replace("Actor | Actor", "Actor")  # those of float32 and float64


def plain_text(app, what, name, member, options, lines):
    """Docstrings are written for ``help()``: outside of literals, * and | mean themselves."""
    if what in ("attribute", "property"):
        lines.insert(0, r"\ ")  # napoleon would take the words before a colon for a type
    for number, line in enumerate(lines):
        parts = line.split("``")
        parts[::2] = [re.sub(r"(?<!\\)([*|])", r"\\\1", part) for part in parts[::2]]
        lines[number] = "``".join(parts)


def render_math(display):
    """A visitor that writes an equation as MathML, which browsers render without a script or a network."""

    def visit(translator, node):
        translator.body.append(convert(node.astext(), display=display))
        raise nodes.SkipNode

    return visit


def setup(app: Sphinx) -> None:
    """Register them."""
    app.connect("autodoc-skip-member", skip_field)
    app.connect("autodoc-process-signature", show_return)
    app.connect("autodoc-process-docstring", plain_text, priority=400)  # before napoleon adds markup
    app.add_html_math_renderer("mathml", (render_math("inline"), None), (render_math("block"), None))
