"""``python -m trpo_fast``: the ``trpo-fast`` command; with an option of ``FOLDERS``, the folders of the C++ headers."""

import argparse
import sys
from pathlib import Path

from trpo_fast import _cpu
from trpo_fast.cli import main as command

ROOT = Path(_cpu.__file__).parent  # of the compiled modules; in an editable install not that of __file__
FOLDERS = {
    "includedir": ("include", "for a compiler: c++ -I$(python -m trpo_fast --includedir)"),
    "cmakedir": ("share/cmake/trpo_fast", "for CMake: cmake -Dtrpo_fast_DIR=$(python -m trpo_fast --cmakedir)"),
    "pkgconfigdir": ("share/pkgconfig", "for pkg-config: PKG_CONFIG_PATH=$(python -m trpo_fast --pkgconfigdir)"),
}


def main(arguments: list[str] | None = None) -> None:
    """Print the requested folders, or run the command."""
    words = sys.argv[1:] if arguments is None else arguments
    if not any(word.removeprefix("--") in FOLDERS for word in words[:1]):
        command(words)
        return
    parser = argparse.ArgumentParser(prog="python -m trpo_fast", description="Print folders of the C++ headers.")
    for name, (_, meaning) in FOLDERS.items():
        parser.add_argument(f"--{name}", action="append_const", const=name, dest="folders", help=meaning)
    for name in parser.parse_args(words).folders:
        print(ROOT / FOLDERS[name][0])


if __name__ == "__main__":
    main()
