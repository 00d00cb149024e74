"""Atari games: the paper's Table 1 (Schulman et al. 2015), and what decides how fast a game is learned.

    python -m benchmarks.studies.atari --out runs/atari                          # seven games, v4, single path
    python -m benchmarks.studies.atari --out runs/atari --protocols paper --methods "single path" vine --steps 50000000
    python -m benchmarks.studies.atari --out runs/atari --games Pong --variants default "batch 1k" "KL 0.001" \
--steps 2000000
    python -m benchmarks.studies.atari --out runs/atari --show                   # tables of what there is so far

Needs the extras atari and plot. A run is checkpointed in a folder below OUT/runs: the same command continues runs that
were interrupted, and one with more --steps those that have ended. Runs that have ended are appended to atari.jsonl; the
tables also have those that have not. Scores are raw: the mean of the last 100 games of the training. Steps of
branches count. Ten million steps take some hours of two cores.
"""

import itertools
from pathlib import Path

from benchmarks.harness.options import destination, make_parser
from benchmarks.harness.records import Run, RunFile
from benchmarks.studies.atari.methods import METHODS, VARIANTS
from benchmarks.studies.atari.report import paper_table, plot, variant_table
from benchmarks.studies.atari.runs import PROGRESS, Job, run, summary
from benchmarks.studies.atari.tasks import GAMES, PROTOCOLS
from benchmarks.studies.running import add_choice, add_study_options, commits, run_all


def describe(r: Run) -> str:
    name = ", ".join([r["game"], r["protocol"], r["method"], r["variant"], f"seed {r['seed']}"])
    return f"{name}: {r['score']:.1f} after {r['timesteps']:,} steps and {r['games']:,} games"


def all_runs(file: RunFile, runs: Path) -> list[Run]:
    """Runs that have ended, and how far the others are."""
    open_runs = []
    for job in itertools.starmap(Job, itertools.product(GAMES, PROTOCOLS, METHODS, VARIANTS, range(100))):
        if (job.folder(runs) / PROGRESS).exists():
            open_runs.append({**job._asdict(), **summary(job.folder(runs))})
    return [*file.runs, *open_runs]


def main() -> None:
    parser = make_parser("python -m benchmarks.studies.atari", __doc__)
    add_choice(parser, "protocols", list(PROTOCOLS), ["v4"])
    add_choice(parser, "methods", METHODS, ["single path"])
    add_choice(parser, "variants", list(VARIANTS), ["default"])
    parser.add_argument("--steps", type=int, default=10_000_000, help="environment steps of each run (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="workers and threads of each run (%(default)s: none)")
    add_study_options(parser, list(GAMES), range(3), name="games")
    arguments = parser.parse_args()

    folder = destination(arguments)
    file, runs = RunFile(folder / "atari.jsonl"), folder / "runs"
    if not arguments.show:
        wanted = itertools.product(
            arguments.seeds, arguments.games, arguments.protocols, arguments.methods, arguments.variants
        )
        jobs = [
            (job, arguments.steps, str(runs), arguments.workers)
            for job in (Job(game, protocol, method, variant, seed) for seed, game, protocol, method, variant in wanted)
            if file.find(**job._asdict(), steps=arguments.steps) is None
        ]
        run_all(jobs, run, file, arguments.processes, describe)
        plot(all_runs(file, runs), folder / "atari.png")
    known = all_runs(file, runs)
    print(paper_table(known), variant_table(known), commits(file.runs), sep="\n\n")


if __name__ == "__main__":
    main()
