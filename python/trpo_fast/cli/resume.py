"""``trpo-fast resume RUN_DIR``: resume an interrupted training."""

import warnings
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from trpo_fast._core.files import locked, set_aside
from trpo_fast.cli.run_folders import POLICY, find_run
from trpo_fast.cli.settings import SETTINGS, read_or_restore_settings, read_settings
from trpo_fast.cli.train import Settings, Train
from trpo_fast.errors import InvalidArgumentError, ResumeWarning
from trpo_fast.storage.checkpoints import NAME, PREVIOUS, newest_model


@dataclass
class Resume:
    """Resume an interrupted training from its newest checkpoint or policy.

    If the state of the environments can be restored, the result is bit-identical to an uninterrupted run; otherwise a
    warning says why not.
    """

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The output folder of trpo-fast train, a file in it, or its name in runs."""

    total_timesteps: Annotated[int | None, tyro.conf.arg(aliases=["-n"], metavar="INT")] = None
    """Total transitions, including those before the interruption; the run's own total by default."""

    verbose: Annotated[bool, tyro.conf.arg(aliases=["-v"])] = False
    """Report all metrics instead of eight lines."""

    progress_bar: bool = True
    """Show a progress bar; in a file or pipe, print a line a minute."""

    def run(self) -> None:
        """Continue training, and write the folder."""
        run_dir = find_run(self.run_dir)
        if not (run_dir / SETTINGS).exists():
            read_settings(run_dir)  # raises
        with locked("run_dir", run_dir):
            train = _train_of(read_or_restore_settings(run_dir))
            train = replace(train, progress_bar=self.progress_bar, verbose=self.verbose)
            total = train.total_timesteps if self.total_timesteps is None else self.total_timesteps
            newest = _newest_model(run_dir)
            model = train.make_model() if newest is None else train.load_model(newest)
            beginning = f"from {newest or 'the beginning'}, {model.num_timesteps} of {total} steps"
            train.learn(model, run_dir, total, beginning)


def _newest_model(run_dir: Path) -> Path | None:
    """The newest undamaged checkpoint or policy of a run; damaged ones are renamed, with a warning.

    Raises
    ------
    PolicyFileError
        If all are damaged.
    """
    newest = newest_model([run_dir / name for name in (NAME, PREVIOUS, POLICY)])
    for path, error in newest.damaged.items():
        if newest.path is None:
            raise error
        warnings.warn(f"{error}; it is {set_aside(path).name} now", ResumeWarning, stacklevel=2)
    return newest.path


def _train_of(settings: dict[str, Any]) -> Train:
    """The command that started the run."""
    names = {field.name for field in fields(Train)} - {"config", "out", "conf", "progress_bar"}
    try:
        arguments: dict[str, Any] = {
            n: tuple(v) if isinstance(v, list) else v for n, v in settings.items() if n in names
        }
        if arguments.get("tensorboard") is not None:
            arguments["tensorboard"] = Path(arguments["tensorboard"])
        return Train(**arguments, config=Settings(**settings["config"]))
    except (KeyError, TypeError) as error:
        raise InvalidArgumentError("run_dir", f"settings of a training in {SETTINGS}", repr(error)) from error
