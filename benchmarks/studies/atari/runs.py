"""One run: a training in a folder of its own, which continues from its latest checkpoint."""

import csv
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness.records import Run
from benchmarks.studies.atari.methods import settings_of
from benchmarks.studies.atari.tasks import GAMES, PROTOCOLS
from trpo_fast import TRPO, Checkpoints, set_num_threads
from trpo_fast.monitoring.csv_files import CSVFile
from trpo_fast.storage.checkpoints import latest_checkpoint

CHECKPOINT_EVERY = 100_000
POINTS = 500  # of a curve in the study's file
PROGRESS = "progress.csv"


class Job(NamedTuple):
    """What a run is of."""

    game: str
    protocol: str
    method: str
    variant: str
    seed: int

    def folder(self, runs: Path) -> Path:
        """Its folder; a run with more steps continues the one with fewer."""
        return runs / ", ".join([self.game, self.protocol, self.method, self.variant, f"seed {self.seed}"])


def run(job: Job, steps: int, runs: str, n_workers: int) -> Run:
    """Train up to ``steps`` environment steps, those of branches included, from the latest checkpoint if any."""
    set_num_threads(max(1, n_workers))
    folder = job.folder(Path(runs))
    folder.mkdir(parents=True, exist_ok=True)
    model = make_model(job, folder, n_workers)
    with closing(CSVFile(folder / PROGRESS, after=model.num_timesteps)) as progress:
        model.sinks += [progress, Checkpoints(model, folder, CHECKPOINT_EVERY)]
        if model.num_timesteps < steps:
            model.learn(steps - model.num_timesteps, reset_num_timesteps=False)
            model.sinks[-1].interrupted()  # the end, from which more steps continue
    model.env.close()
    return {**job._asdict(), "steps": steps, "num_params": model.policy.num_params, **summary(folder, steps)}


def make_model(job: Job, folder: Path, n_workers: int) -> TRPO:
    """A new model, or that of the folder's latest checkpoint."""
    environments = {"n_workers": n_workers, "env_kwargs": PROTOCOLS[job.protocol]}
    env_id, checkpoint = GAMES[job.game].env_id, latest_checkpoint(folder)
    if checkpoint is not None:
        return TRPO.load(checkpoint, env_id, **environments)
    settings = settings_of(job.protocol, job.method, job.variant)
    return TRPO("CnnPolicy", env_id, seed=job.seed, **environments, **settings)


def summary(folder: Path, steps: float = np.inf) -> dict[str, Any]:
    """The curve of a run, finished or not, up to ``steps``: (timesteps, mean raw score of the last 100 games).

    With the score at its end, the number of games, and the length of the policy's path: the sum of sqrt(2 KL) over the
    updates, for a million steps.
    """
    with (folder / PROGRESS).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["time/total_timesteps"]]
    points = [(int(row["time/total_timesteps"]), float(row["rollout/ep_rew_mean"])) for row in rows]
    n = sum(timesteps <= steps for timesteps, _ in points) or len(points)
    last = points[n - 1] if points else (0, np.nan)
    kl = np.maximum([float(row["train/kl_divergence_loss"]) for row in rows[:n]], 0.0)
    return {
        "timesteps": last[0],
        "score": last[1],
        "games": int(rows[n - 1]["rollout/episodes"]) if rows else 0,
        "path": float(np.sqrt(2.0 * kl).sum() / max(last[0], 1) * 1e6),
        "curve": points[:n][:: max(1, n // POINTS)],
    }
