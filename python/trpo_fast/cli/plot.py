"""``trpo-fast plot RUN...``: learning curves over seeds, and a run's diagnostics."""

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from trpo_fast.cli.run_folders import find_run
from trpo_fast.cli.settings import SETTINGS
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.monitoring.plots import Run, plot_curves, plot_diagnostics, read_run
from trpo_fast.validation import check_path


@dataclass
class Plot:
    """Draw learning curves: a panel per environment, a colour per LABEL, the mean over its runs as a thick line.

    From five runs on, a band contains the mean with 95 % confidence; with fewer, thin lines are the single runs. With
    --diagnostics, draw one page per run instead: returns, KL divergence, predicted and actual improvement, solver,
    critic, time.
    """

    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[LABEL=]RUN ...")]
    """Runs, as folders, names or patterns: tuned=runs/a_* default='runs/b_*' compares two settings."""

    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("curves.png")
    """Output file; its suffix chooses the format (png, svg, pdf). Several diagnostics add the run's name."""

    metric: Annotated[str, tyro.conf.arg(metavar="COLUMN")] = "rollout/ep_rew_mean"
    """Column of progress.csv to draw."""

    diagnostics: bool = False
    """Draw a page of diagnostics per run."""

    def run(self) -> None:
        """Draw."""
        runs = [run for word in self.runs for run in find_runs(word)]
        if not self.diagnostics:
            notes = plot_curves(runs, self.metric, self.out)
            print("\n".join([*notes, f"wrote {self.out}"]))
            return
        written: set[Path] = set()
        for number, run in enumerate(runs, start=1):
            out = self.out if len(runs) == 1 else self.out.with_stem(f"{self.out.stem}-{run.folder.name}")
            if out in written:  # a run of the same name in another folder
                out = out.with_stem(f"{out.stem}-{number}")
            plot_diagnostics(run, out)
            written.add(out)
            print(f"wrote {out}")


def find_runs(word: str) -> list[Run]:
    """The runs that a word of the command line means: [LABEL=] and a folder, a file, a name or a pattern.

    Raises
    ------
    InvalidArgumentError
        If a pattern matches no run, or a run cannot be read.
    FileNotFoundError
        If there is no such folder or file.
    """
    label, separator, place = word.partition("=")
    if not separator or Path(word).exists():
        label, place = "", word
    path = check_path("runs", place)
    if path.exists() or not glob.has_magic(place):
        return [read_run(find_run(path).resolve(), label)]
    folders = [Path(match) for match in sorted(glob.glob(str(path))) if (Path(match) / SETTINGS).is_file()]
    if not folders:
        raise InvalidArgumentError("runs", "a pattern that runs match", repr(place))
    return [read_run(folder, label) for folder in folders]
