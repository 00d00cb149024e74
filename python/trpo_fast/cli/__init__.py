"""The ``trpo-fast`` command. Without the ``cli`` extra it prints one line that says so."""

import shlex
import sys
import warnings
from dataclasses import replace
from typing import Any

from trpo_fast.errors import MissingExtraError, TRPOFastError


def main(arguments: list[str] | None = None) -> None:
    """Run ``trpo-fast`` with ``arguments`` (the process's own by default).

    Exit status: 2 for misuse and 1 if an environment or a file fails, each with one line on standard error; 130 after
    Ctrl-C, with the training saved.
    """
    try:
        try:
            import tyro
        except ImportError as error:
            raise MissingExtraError("trpo-fast", "cli") from error
        from trpo_fast.cli.evaluate import Evaluate
        from trpo_fast.cli.export import Export
        from trpo_fast.cli.info import Info
        from trpo_fast.cli.plot import Plot
        from trpo_fast.cli.resume import Resume
        from trpo_fast.cli.train import Train

        commands: dict[str, Any] = {
            "train": Train,
            "resume": Resume,
            "evaluate": Evaluate,
            "plot": Plot,
            "info": Info,
            "export": Export,
        }
        command = tyro.extras.subcommand_cli_from_dict(commands, prog="trpo-fast", args=arguments)
        if isinstance(command, Train):  # parse again, with the settings of the --conf file as defaults
            words = sys.argv[1:] if arguments is None else arguments
            default = replace(command.configured(), command_line=shlex.join(["trpo-fast", *words]))
            with warnings.catch_warnings():  # a default may be a schedule, which is not a number
                warnings.filterwarnings("ignore", message="The field .* is annotated with type")
                command = tyro.cli(Train, args=words[1:], default=default, prog="trpo-fast train")
        command.run()
    except KeyboardInterrupt:
        sys.exit(130)
    except (TRPOFastError, OSError) as error:
        print(f"trpo-fast: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ValueError | ImportError) else 1)
