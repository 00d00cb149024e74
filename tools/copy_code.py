"""Copies code from its source into the documentation; ``--check`` fails if a copy is stale and writes nothing.

A comment in a page names the source of the code block below it:

    <!-- code from ../examples/own_loop.py -->                       a program without its docstring
    <!-- code from ../python/trpo_fast/trpo.py, function name -->    a function without its docstring
    <!-- code from ../cpp/include/x.hpp, "first" to "last" -->       lines, found by text that they contain
    <!-- code from ../cpp/include/x.hpp, "first" until "next" -->    the same without the last line
"""

import argparse
import ast
import re
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {".py": "python", ".hpp": "cpp", ".cpp": "cpp", ".c": "c"}
COPY = re.compile(r"<!-- code from (\S+?)(?:, ([^\n]+))? -->\n```\w+\n.*?^```$", re.DOTALL | re.MULTILINE)
LINES = re.compile(r'"(.+)" (to|until) "(.+)"')


def updated(page: Path) -> str:
    """The text of a page with every copied block as its source has it now."""

    def block(copy: re.Match[str]) -> str:
        name, part = copy[1], copy[2]
        source = page.parent / name
        comment = f"<!-- code from {name}{f', {part}' if part else ''} -->"
        return f"{comment}\n```{LANGUAGES[source.suffix]}\n{excerpt(source, part)}\n```"

    return COPY.sub(block, page.read_text(encoding="utf-8"))


def excerpt(source: Path, part: str | None) -> str:
    """The code that a comment asks for, without common indentation."""
    text = source.read_text(encoding="utf-8")
    if part is None:
        return _without_docstring(text, ast.parse(text))
    if part.startswith("function "):
        name = part.removeprefix("function ")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return _without_docstring(ast.get_source_segment(text, node) or "", node)
        raise ValueError(f"{source}: expected a function {name}")
    lines, wanted = text.splitlines(), LINES.fullmatch(part)
    if wanted is None:
        raise ValueError(f'expected function NAME, "TEXT" to "TEXT" or "TEXT" until "TEXT", got {part}')
    begin = _find(lines, wanted[1], 0, source)
    end = _find(lines, wanted[3], begin, source) + (wanted[2] == "to")
    return dedent("\n".join(lines[begin:end])).strip("\n")


def _find(lines: list[str], text: str, begin: int, source: Path) -> int:
    """The first line that contains ``text``."""
    for number in range(begin, len(lines)):
        if text in lines[number]:
            return number
    raise ValueError(f"{source}: expected a line with {text!r} after line {begin}")


def _without_docstring(text: str, node: ast.Module | ast.FunctionDef) -> str:
    first = node.body[0]
    lines = text.splitlines()
    if ast.get_docstring(node) is not None:
        offset = 0 if isinstance(node, ast.Module) else node.lineno - 1
        del lines[first.lineno - 1 - offset : (first.end_lineno or 0) - offset]
    return dedent("\n".join(lines)).strip("\n")


def main() -> None:
    """Update every page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = {page: text for page in PAGES if (text := updated(page)) != page.read_text(encoding="utf-8")}
    if check and stale:
        sys.exit(f"stale, run tools/copy_code.py: {', '.join(page.name for page in stale)}")
    for page, text in stale.items():
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
