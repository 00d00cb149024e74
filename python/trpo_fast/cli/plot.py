"""``trpo-fast plot RUN...``: learning curves over seeds, and a run's diagnostics."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from trpo_fast.monitoring.plots import plot_curves, plot_diagnostics, read_run


@dataclass
class Plot:
    """Draw learning curves: runs of one environment are seeds of one curve, with the band of its mean's confidence.

    With ``--diagnostics`` one page a run instead: returns, KL divergence, predicted and actual improvement, solver,
    critic, time.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Output folders of ``trpo-fast train``."""

    out: Path = Path("curves.png")
    """The picture; its suffix is its format (png, svg, pdf). Of several diagnostics the run's name is added."""

    metric: str = "rollout/ep_rew_mean"
    """A column of progress.csv."""

    diagnostics: bool = False
    """A page of diagnostics a run."""

    def run(self) -> None:
        """Draw."""
        runs = [read_run(folder) for folder in self.runs]
        if not self.diagnostics:
            plot_curves(runs, self.metric, self.out)
            print(f"wrote {self.out}")
            return
        for run in runs:
            out = self.out if len(runs) == 1 else self.out.with_stem(f"{self.out.stem}-{run.folder.name}")
            plot_diagnostics(run, out)
            print(f"wrote {out}")
