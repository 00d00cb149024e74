"""The documentation: copied code is that of its source, and links lead somewhere."""

import re
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))

from copy_code import COPY, PAGES, updated

CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)")


def anchors(page):
    """The anchors that code hosts and the site give the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_copied_code_is_that_of_its_source(page):
    assert updated(page) == page.read_text(), "run tools/copy_code.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_comment_that_names_a_source_has_a_block(page):
    text = page.read_text()
    assert text.count("<!-- code from") == len(COPY.findall(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_more_than_directives(page):
    assert re.search(r"^\w.* .* .* ", CODE.sub("", page.read_text()), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(CODE.sub("", page.read_text())):
        path = page.parent / target if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_a_stale_copy_is_found(tmp_path):
    (tmp_path / "a.py").write_text('"""A."""\n\ndef f(x):\n    """F."""\n    return x\n\n\ny = 1\nz = 2\n')
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- code from a.py, function f -->\n```python\ndef f(x):\n    return 0\n```\n"
        '<!-- code from a.py, "y =" to "z =" -->\n```python\n```\n'
        '<!-- code from a.py, "y =" until "z =" -->\n```python\n```\n'
    )
    whole, lines, line = (
        "```python\ndef f(x):\n    return x\n```",
        "```python\ny = 1\nz = 2\n```",
        "```python\ny = 1\n```",
    )
    text = updated(page)
    assert whole in text
    assert lines in text
    assert line in text
    page.write_text('<!-- code from a.py, "w =" to "z =" -->\n```python\n```\n')
    with pytest.raises(ValueError, match="w ="):
        updated(page)
