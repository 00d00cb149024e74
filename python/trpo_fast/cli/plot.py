"""``trpo-fast plot RUN...``: learning curves over seeds, and a run's diagnostics."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from trpo_fast.cli.run_folders import find_run
from trpo_fast.monitoring.plots import plot_curves, plot_diagnostics, read_run


@dataclass
class Plot:
    """Draw learning curves. Runs of one environment are seeds of one curve: their mean, with a confidence band.

    With ``--diagnostics``, draw one page per run instead: returns, KL divergence, predicted and actual improvement,
    solver, critic, time.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Output folders of ``trpo-fast train``."""

    out: Path = Path("curves.png")
    """Output file; its suffix chooses the format (png, svg, pdf). Several diagnostics add the run's name."""

    metric: str = "rollout/ep_rew_mean"
    """Column of progress.csv to draw."""

    diagnostics: bool = False
    """Draw a page of diagnostics per run."""

    def run(self) -> None:
        """Draw."""
        runs = [read_run(find_run(path)) for path in self.runs]
        if not self.diagnostics:
            plot_curves(runs, self.metric, self.out)
            print(f"wrote {self.out}")
            return
        for run in runs:
            out = self.out if len(runs) == 1 else self.out.with_stem(f"{self.out.stem}-{run.folder.name}")
            plot_diagnostics(run, out)
            print(f"wrote {out}")
