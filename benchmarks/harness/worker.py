"""One question in one setting, in a process with the setting's limits; ``python -m benchmarks`` starts it."""

import argparse
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from benchmarks.harness import report
from benchmarks.harness.machine import Setting, check_scaling
from benchmarks.harness.options import make_parser
from benchmarks.harness.provenance import blas
from benchmarks.harness.rows import NotMeasuredError, Row
from trpo_fast import set_num_threads


def rows(question: str, setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    """The question's rows; if the machine could not give what the setting asks for, one row that says so."""
    module = import_module(f"benchmarks.questions.{question}")
    cells = getattr(module, "cells", report.cells)
    where = {"threads": setting.threads, "avx2": setting.avx2}
    try:
        check_scaling(setting.threads)
        set_num_threads(setting.threads)
        measured = []
        for row in module.measure(setting, options):
            measured.append({**where, **row})
            print(report.line(measured[-1], cells), flush=True)
        check_scaling(setting.threads)
    except NotMeasuredError as reason:
        measured = [{**where, "not measured": str(reason)}]
    yield from measured


def main() -> None:
    parser = make_parser("python -m benchmarks.harness.worker", __doc__)
    parser.add_argument("question")
    parser.add_argument("setting", type=json.loads, help="threads and avx2, as JSON")
    parser.add_argument("options", type=json.loads, help="the question's options, as JSON")
    parser.add_argument("out", type=Path, help="file for the rows and the libraries that computed them")
    arguments = parser.parse_args()
    setting = Setting(*arguments.setting)
    found = list(rows(arguments.question, setting, argparse.Namespace(**arguments.options)))
    libraries = {"threads": setting.threads, "avx2": setting.avx2, **blas()}
    arguments.out.write_text(json.dumps({"rows": found, "blas": libraries}), encoding="utf-8")


if __name__ == "__main__":
    main()
