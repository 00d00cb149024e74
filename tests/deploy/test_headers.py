"""The C++ headers that come with the package, and how they are found."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import trpo_fast
from trpo_fast.__main__ import FOLDERS, main

SOURCES = [ROOT / "cpp" / "include", ROOT / "cpp" / "runtime" / "include"]


def asked(*options):
    done = subprocess.run([sys.executable, "-m", "trpo_fast", *options], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_folders_hold_what_they_should():
    include, cmake, pkgconfig = asked("--includedir", "--cmakedir", "--pkgconfigdir")
    wanted = {path.relative_to(source) for source in SOURCES for path in source.rglob("*.hpp")}
    assert {path.relative_to(include) for path in Path(include).rglob("*.hpp")} == wanted
    assert (Path(cmake) / "trpo_fast-config.cmake").is_file()
    assert f"Version: {trpo_fast.__version__}" in (Path(pkgconfig) / "trpo_fast.pc").read_text()


def test_runtime_and_kernels_share_a_folder_without_a_clash():
    first, second = ({str(path.relative_to(source)) for path in source.rglob("*.hpp")} for source in SOURCES)
    assert not first & second


def test_headers_compile_after_the_macros_of_windows():
    """``min`` and ``max`` are macros there: calls are written (std::min)(a, b)."""
    calls = {
        f"{path.name}: {match[0]}"
        for source in SOURCES
        for path in source.rglob("*.hpp")
        for match in re.finditer(r"\b(min|max)\(.*", path.read_text())
    }
    assert not calls


@pytest.mark.parametrize("option", [f"--{name}" for name in FOLDERS])
def test_one_folder_a_line(option, capsys):
    main([option])
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_folder_and_something_else_says_what_there_is(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--includedir", "--nothing"])
    assert stopped.value.code == 2
    assert "--pkgconfigdir" in capsys.readouterr().err
