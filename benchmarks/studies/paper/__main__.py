"""The paper's study: every method on every task, several seeds; then a table and a figure.

    python -m benchmarks.studies.paper --out runs/paper            # everything, five to six hours on two cores
    python -m benchmarks.studies.paper --tasks hopper --methods vine --seeds 0 1 2
    python -m benchmarks.studies.paper --tasks hopper --methods PPO A2C      # peers, on demand

Needs the extras mujoco and plot, and the package cma; peers need Stable-Baselines3. Runs are appended to paper.jsonl,
and those that it has already are not repeated: the same command resumes an interrupted study. Table and figure are of
all its runs. Final returns are those of 20 episodes of the last policy, deterministic, in a separate environment;
curves are of training episodes (for CEM and CMA-ES: of the population).
"""

import itertools

import numpy as np

from benchmarks.harness.options import destination, make_parser
from benchmarks.harness.records import Run, RunFile
from benchmarks.studies.paper.methods import METHODS, PEERS
from benchmarks.studies.paper.report import plot, table
from benchmarks.studies.paper.study import run
from benchmarks.studies.paper.tasks import TASKS
from benchmarks.studies.running import add_choice, add_study_options, commits, run_all

STEPS = 1_000_000
SEEDS = range(50, 55)  # settings were tuned on lower ones


def describe(r: Run) -> str:
    return f"{r['task']}, {r['method']}, seed {r['seed']}: {np.mean(r['final']):.1f} in {r['seconds']:.0f} s"


def main() -> None:
    parser = make_parser("python -m benchmarks.studies.paper", __doc__)
    add_choice(parser, "methods", (*METHODS, *PEERS), METHODS)
    parser.add_argument("--steps", type=int, default=STEPS, help="environment steps of each run (%(default)s)")
    add_study_options(parser, list(TASKS), SEEDS)
    arguments = parser.parse_args()

    folder = destination(arguments)
    file = RunFile(folder / "paper.jsonl")
    if not arguments.show:
        wanted = itertools.product(arguments.seeds, arguments.tasks, arguments.methods)
        jobs = [
            (task, method, seed, arguments.steps)
            for seed, task, method in wanted
            if file.find(task=task, method=method, seed=seed, steps=arguments.steps) is None
        ]
        run_all(jobs, run, file, arguments.processes, describe)
        plot(file.runs, folder / "paper.png")
    print(table(file.runs), commits(file.runs), sep="\n\n")


if __name__ == "__main__":
    main()
