"""Each mutation of tools/mutate.py, which only .ci/nightly runs, fits the code."""

import ast

import pytest
from conftest import ROOT

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
LISTS = sorted((ROOT / "tools" / "mutations").glob("*.toml"))


def faults(mutation):
    """What prevents a mutation from being tried."""
    text = (ROOT / mutation["file"]).read_text(encoding="utf-8")
    if (count := text.count(mutation["original"])) != 1:
        yield f"{mutation['original']!r} is {count} times in {mutation['file']}"
    if mutation["file"].endswith(".py"):
        ast.parse(text.replace(mutation["original"], mutation["mutant"]))
    for test in mutation["tests"]:
        path, _, name = test.partition("::")
        definition = f"def {name.partition('[')[0]}(" if name else ""
        if definition not in (ROOT / path).read_text(encoding="utf-8"):
            yield f"{path} has no {name}"


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_mutations_can_be_tried(path):
    mutations = tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]
    assert len(mutations) > 30
    assert [fault for mutation in mutations for fault in faults(mutation)] == []
