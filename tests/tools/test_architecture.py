"""The architecture as tests: directions of knowledge, and documentation of every public name."""

import ast
import inspect
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import trpo_fast
from trpo_fast import nets

PACKAGE = ROOT / "python" / "trpo_fast"
# A room or module may import those of the lines above its own, itself, and nothing else.
LAYERS = [
    ["_version", "_cpu", "_trpo_fast_core", "errors"],
    ["validation"],
    ["_core"],
    ["spaces", "schedules", "nets"],
    ["config"],
    ["policies", "environments"],
    ["atari"],
    ["protocols"],
    ["storage"],
    ["sampling", "update"],
    ["trpo"],
    ["callbacks", "monitoring"],
    ["training", "export"],
    ["learner"],
    ["__init__"],
    ["cli", "integrations"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEADERS = sorted((ROOT / "cpp" / "include").rglob("*.hpp"))
MODULES = sorted(PACKAGE.rglob("*.py"))


def top_level_name(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Rooms of the package that ``path`` imports, for type checkers too."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "trpo_fast" and len(parts) > 1 and parts[1] in LEVEL:
                yield parts[1]


@pytest.mark.parametrize("path", HEADERS, ids=lambda p: p.name)
def test_kernels_know_neither_python_nor_threads_nor_files_nor_randomness(path):
    text = path.read_text()
    assert text.startswith("// ")
    assert "#pragma once" in text
    threads = () if path.name == "thread_pool.hpp" else (r"<thread>", r"pthread")  # they live in one place
    for forbidden in (r"pybind11", r"Python\.h", *threads, r"<random>", r"stream>", r"\brand\(", r"\bassert\("):
        assert not re.search(forbidden, text), f"{path.name} must not contain {forbidden}"


@pytest.mark.parametrize("path", HEADERS, ids=lambda p: p.name)
def test_kernels_include_themselves_and_what_they_share_with_the_runtime(path):
    for include in re.findall(r'#include "([^"]+)"', path.read_text()):
        shared = include.startswith("trpo_fast/common/") and (ROOT / "cpp" / "runtime" / "include" / include).is_file()
        assert shared or (path.parent / include).is_file(), f"{path.name} must not include {include}"


@pytest.mark.parametrize("path", HEADERS, ids=lambda p: p.name)
def test_networks_and_distributions_do_not_know_each_other(path):
    meeting = {"objective.hpp", "fisher_operator.hpp", "empirical_fisher_operator.hpp", "kfac.hpp", "actor.hpp"}
    includes = re.findall(r'#include "([^"]+)"', path.read_text())
    folders = {Path(i).parts[-2] if len(Path(i).parts) > 1 else path.parent.name for i in includes} | {path.parent.name}
    if path.name not in meeting:
        assert not {"network", "distributions"} <= folders


def all_includes(path):
    """What ``path`` includes, and what those of our own files include."""
    for include in re.findall(r'#include ([<"][^>"]+)[>"]', path.read_text()):
        yield include
        for folder in (path.parent, ROOT / "cpp", ROOT / "cpp" / "include"):
            if include[0] == '"' and (folder / include[1:]).is_file():
                yield from all_includes(folder / include[1:])
                break


@pytest.mark.parametrize("path", sorted((ROOT / "cpp" / "bindings").glob("*.cpp")), ids=lambda p: p.name)
def test_the_bindings_of_all_instruction_set_levels_know_no_eigen(path):
    assert not [include for include in all_includes(path) if "Eigen" in include]


@pytest.mark.parametrize("path", sorted((ROOT / "cpp" / "runtime").rglob("*.hpp")), ids=lambda p: p.name)
def test_the_runtime_knows_nothing_but_the_standard_library(path):
    text = re.sub(r"//.*", "", path.read_text())
    for include in re.findall(r'#include ([<"][^>"]+)[>"]', text):
        assert path.parent.name != "common" or include[0] == "<", f"{path.name} must not include {include}"
        is_own = include[0] == '"' and (path.parent / include[1:]).is_file()
        assert is_own or re.fullmatch(r"<[a-z_]+", include), f"{path.name} must not include {include}"
    for forbidden in (r"\bthrow\b", r"\btry\b", r"\bassert\(", r"\bmutex\b", r"\brand\("):
        assert not re.search(forbidden, text), f"{path.name} must not contain {forbidden}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_import_downwards_only(path):
    own = top_level_name(path)
    assert own in LEVEL, f"{own} has no layer: add it to LAYERS"
    for name in imports(path):
        assert name == own or LEVEL[name] < LEVEL[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_assert_statement_guards_anything(path):
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(path.read_text())))


@pytest.mark.parametrize(("module", "name"), [(m, n) for m in (trpo_fast, nets) for n in m.__all__])
def test_every_public_name_is_documented(module, name):
    thing = getattr(module, name)
    if name.startswith("__"):
        return
    assert inspect.getdoc(thing)
    assert f"`{name}`" in (ROOT / "docs" / "api.md").read_text(), f"{name} is missing from docs/api.md"
    if inspect.isclass(thing) and thing.__module__.startswith("trpo_fast"):
        for member, value in vars(thing).items():
            if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, (property, classmethod))):
                assert inspect.getdoc(getattr(thing, member)), f"{name}.{member} has no docstring"


def test_every_setting_is_documented():
    source = (PACKAGE / "config.py").read_text()
    body = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)).body
    for node, after in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign):
            assert isinstance(after, ast.Expr), f"{ast.unparse(node.target)} has no docstring"


def test_import_needs_no_optional_dependency():
    optional = ("torch", "jax", "tyro", "rich", "tqdm", "matplotlib", "mujoco", "scipy", "onnx", "ale_py")
    code = f"import sys, trpo_fast; print([m for m in {optional} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def opens_text_without_encoding(call):
    """Whether a call opens a text file in the encoding of the machine."""
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    is_method, name = isinstance(call.func, ast.Attribute), getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in ("read_text", "write_text"):
        return True
    arguments = call.args if is_method else call.args[1:]  # a method's first one is the mode
    is_file = name == "open" and all(isinstance(a, ast.Constant) and isinstance(a.value, str) for a in arguments)
    return is_file and "b" not in "".join(a.value for a in arguments)


def test_text_files_are_utf_8_on_every_machine():
    paths = [path for folder in ("python", "tools", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")]
    trees = ((path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths)
    calls = ((path, node) for path, tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    assert [f"{path}: {ast.unparse(call)}" for path, call in calls if opens_text_without_encoding(call)] == []
