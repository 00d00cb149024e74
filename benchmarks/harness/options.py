"""Command-line options that several commands share; those of one question are the ``OPTIONS`` of its module."""

import argparse
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parents[1] / "results"  # the committed ones


class Option(NamedTuple):
    """Default and help of ``--name VALUE``; the value has the type of the default."""

    default: Any
    help: str


Options = Mapping[str, Option]

SECONDS: Options = {"seconds": Option(2.0, "seconds spent on each contender")}


def make_parser(prog: str, text: str, epilog: str = "") -> argparse.ArgumentParser:
    """A parser that prints ``text`` and ``epilog`` as they are."""
    return argparse.ArgumentParser(
        prog=prog, description=text, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_options(parser: argparse.ArgumentParser, options: Options) -> None:
    """Add ``--name VALUE`` for each option."""
    for name, (default, text) in options.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=type(default), default=default, help=f"{text} (%(default)s)"
        )


def add_destination(parser: argparse.ArgumentParser) -> None:
    """Add ``--out``, ``--record`` and ``--show``: where results are written, or read."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--out", type=Path, metavar="FOLDER", help="write to FOLDER (a fresh folder in runs)")
    group.add_argument("--record", action="store_true", help="write to benchmarks/results, which is committed")
    parser.add_argument("--show", action="store_true", help="only print saved results: of --out, or the committed ones")


def destination(arguments: argparse.Namespace) -> Path:
    """The folder to write to, created if it does not exist; with ``--show`` the one to read from."""
    if arguments.show:
        return arguments.out or RESULTS
    fresh = Path("runs") / f"benchmarks-{datetime.now():%Y%m%d-%H%M%S}"
    folder: Path = RESULTS if arguments.record else arguments.out or fresh
    folder.mkdir(parents=True, exist_ok=True)
    print(f"results: {folder}", flush=True)
    return folder
