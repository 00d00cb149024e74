"""``python -m trpo_fast``: print the folders of the package's C++ headers."""

import argparse
from pathlib import Path

from trpo_fast import _cpu
from trpo_fast._version import __version__

ROOT = Path(_cpu.__file__).parent  # of the compiled modules; in an editable install not that of __file__
FOLDERS = {
    "includedir": ("include", "for a compiler: c++ -I$(python -m trpo_fast --includedir)"),
    "cmakedir": ("share/cmake/trpo_fast", "for CMake: cmake -Dtrpo_fast_DIR=$(python -m trpo_fast --cmakedir)"),
    "pkgconfigdir": ("share/pkgconfig", "for pkg-config: PKG_CONFIG_PATH=$(python -m trpo_fast --pkgconfigdir)"),
}


def main(arguments: list[str] | None = None) -> None:
    """Print the requested folders."""
    parser = argparse.ArgumentParser(prog="python -m trpo_fast", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    for name, (_, meaning) in FOLDERS.items():
        parser.add_argument(f"--{name}", action="append_const", const=name, dest="folders", help=meaning)
    for name in parser.parse_args(arguments).folders or parser.error("expected one of the options below, got none"):
        print(ROOT / FOLDERS[name][0])


if __name__ == "__main__":
    main()
