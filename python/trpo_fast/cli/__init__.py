"""The ``trpo-fast`` command. Without the ``cli`` extra it prints one line that says so."""

import importlib
import os
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from trpo_fast._version import __version__
from trpo_fast.errors import InvalidArgumentError, MissingExtraError, TRPOFastError
from trpo_fast.validation import suggestion

COMMANDS = ("train", "resume", "evaluate", "plot", "info", "export")  # each a class in a module of its name

DESCRIPTION = """Trust region policy optimisation: trpo-fast COMMAND --help explains a command.

trpo-fast --version prints the version, and python -m trpo_fast --includedir the folder of the C++ headers."""


def main(arguments: list[str] | None = None) -> None:
    """Run ``trpo-fast`` with ``arguments`` (the process's own by default).

    Exit status: 2 for misuse and 1 if an environment or a file fails, each with one line on standard error; 130 after
    Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, and 141 if the reader of the output has gone, with the training saved.
    """
    words = sys.argv[1:] if arguments is None else arguments
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the process
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    try:
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())  # MODULE:ID finds modules of the present folder
        with _warnings_in_one_line():
            try:
                _parse(words).run()
            except SystemExit:  # --help
                sys.stdout.flush()
                raise
            sys.stdout.flush()
    except KeyboardInterrupt as stop:
        _discard_unwritable_output()
        sys.exit(getattr(stop, "exit_code", 130))
    except BrokenPipeError:
        _discard_unwritable_output()
        sys.exit(141)
    except (TRPOFastError, OSError) as error:
        _discard_unwritable_output()
        with suppress(OSError):
            print(f"trpo-fast: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ValueError | ImportError) else 1)


def _discard_unwritable_output() -> None:
    """Let the flushes at exit be silent if the reader of the output has gone, or its disk is full."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _parse(words: list[str]) -> Any:
    """The command, an instance of the class of its name."""
    if words in (["--version"], ["-V"]):
        print(f"trpo-fast {__version__}")
        sys.exit(0)
    try:
        import tyro

        from trpo_fast.cli.numbers import readable_numbers
    except ImportError as error:
        raise MissingExtraError("trpo-fast", "cli") from error
    if not words or words[0].startswith("-"):
        commands = {name: _class(name) for name in COMMANDS}
        return tyro.extras.subcommand_cli_from_dict(commands, prog="trpo-fast", description=DESCRIPTION, args=words)
    if words[0] not in COMMANDS:
        expected = f"{', '.join(COMMANDS)} or --help{suggestion(words[0], COMMANDS)}"
        raise InvalidArgumentError("command", expected, repr(words[0]))
    command_class, prog = _class(words[0]), f"trpo-fast {words[0]}"
    with readable_numbers():
        command = tyro.cli(command_class, args=words[1:], prog=prog)
        if words[0] != "train":
            return command
        default = replace(command.configured(), command_line=shlex.join(["trpo-fast", *words]))
        with warnings.catch_warnings():  # a default may be a schedule, which is not annotated
            warnings.filterwarnings("ignore", message="The field .* is annotated with type")
            return tyro.cli(command_class, args=words[1:], default=default, prog=prog)


def _class(name: str) -> Any:
    return getattr(importlib.import_module(f"trpo_fast.cli.{name}"), name.capitalize())


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Print warnings as ``trpo-fast: warning: TEXT``, without the line of code that they come from."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"trpo-fast: warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before
