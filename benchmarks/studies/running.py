"""Running a study: the missing runs in parallel processes, each appended to the study's file as soon as it ends."""

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

from benchmarks.harness.options import add_destination
from benchmarks.harness.provenance import blas, provenance
from benchmarks.harness.records import Run, RunFile, commit_of


def add_study_options(
    parser: argparse.ArgumentParser, tasks: Sequence[str], seeds: Iterable[int], name: str = "tasks"
) -> None:
    """Add the options that studies share."""
    add_choice(parser, name, tasks, tasks)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(seeds), metavar="SEED", help="%(default)s")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="runs at a time (%(default)s)")
    add_destination(parser)


def add_choice(parser: argparse.ArgumentParser, name: str, choices: Sequence[str], default: Sequence[str]) -> None:
    """Add an option that takes some of ``choices``."""
    text = f"of {', '.join(choices)}"
    parser.add_argument(f"--{name}", nargs="+", choices=choices, default=default, metavar="NAME", help=text)


def run_all(
    jobs: Sequence[tuple[Any, ...]],
    run: Callable[..., Run],
    file: RunFile,
    processes: int,
    describe: Callable[[Run], str],
) -> None:
    """Call ``run(*job)`` for every job; SystemExit after the last one if some have failed."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one core for each process
    failed = 0
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_with_origin, run, job): job for job in jobs}
        for future in as_completed(futures):
            if (error := future.exception()) is not None:
                failed += 1
                print(f"{futures[future]} failed: {error!r}", flush=True)
                continue
            file.append(future.result())
            print(describe(file.runs[-1]), flush=True)
    if failed:
        raise SystemExit(f"{failed} of {len(jobs)} runs failed")


def _with_origin(run: Callable[..., Run], job: tuple[Any, ...]) -> Run:
    return {**run(*job), **provenance(), "blas": blas()}


def commits(runs: Iterable[Run]) -> str:
    """One line: how many runs are of which commit."""
    counts = Counter(map(commit_of, runs))
    return ", ".join(f"{n} runs of commit {commit}" for commit, n in counts.items())
