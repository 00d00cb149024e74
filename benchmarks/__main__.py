"""trpo_fast compared with NumPy and every installed peer.

Every question compares results first, then times the contenders in turn (A B A B) in a process that is pinned to one
core or two, and writes QUESTION.json and, with matplotlib, QUESTION.png. Opponents that are not installed are left out:
pip install ".[bench]" brings them. docs/benchmarks.md says what the columns mean.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module, util
from pathlib import Path
from textwrap import indent
from typing import Any

from benchmarks.harness import report
from benchmarks.harness.bars import judge
from benchmarks.harness.machine import Setting
from benchmarks.harness.options import add_destination, add_options, destination, make_parser
from benchmarks.harness.provenance import provenance
from benchmarks.harness.records import load_record, origin, save_record
from benchmarks.harness.rows import Row
from benchmarks.peers import missing
from benchmarks.questions import QUESTIONS

PROGRAM = "python -m benchmarks"


def in_worker(question: str, setting: Setting, options: dict[str, Any]) -> dict[str, Any]:
    """The question's rows and the BLAS used, from a process that is held to the setting."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        arguments = [question, json.dumps(setting), json.dumps(options), str(out)]
        command = [sys.executable, "-m", "benchmarks.harness.worker", *arguments]
        code = subprocess.run(command, env=setting.environment(), preexec_fn=setting.pin).returncode
        if code != 0:
            raise SystemExit(f"benchmarks: {question} failed with {setting}")
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


def ask(question: str, options: dict[str, Any], folder: Path, command: str) -> None:
    """Measure, save, draw and judge one question."""
    measured = []
    for setting in import_module(f"benchmarks.questions.{question}").SETTINGS:
        print(f"== {question}, {setting}", flush=True)
        measured.append(in_worker(question, setting, options))
    rows = [row for m in measured for row in m["rows"]]
    record = {"command": command, **provenance(), "blas": [m["blas"] for m in measured], "rows": rows}
    save_record(folder, question, record)
    if util.find_spec("matplotlib"):
        report.chart(rows, folder / f"{question}.png")
    else:
        print("no chart: matplotlib is not installed")
    show(question, record)


def show(question: str, record: dict[str, Any]) -> None:
    module = import_module(f"benchmarks.questions.{question}")
    rows: list[Row] = record["rows"]
    columns, cells = getattr(module, "COLUMNS", report.COLUMNS), getattr(module, "cells", report.cells)
    print(f"{question}: {origin(record)}", report.table(rows, columns, cells), *judge(question, rows), "", sep="\n")


def parser_of(questions: Sequence[str]) -> argparse.ArgumentParser:
    """A parser with the options of these questions; its help describes the question if there is one."""
    modules = {name: import_module(f"benchmarks.questions.{name}") for name in questions}
    if len(modules) == 1:
        parser = make_parser(f"{PROGRAM} {questions[0]}", modules[questions[0]].__doc__)
    else:
        listing = "\n\n".join(f"{name}\n{indent(module.__doc__.strip(), '  ')}" for name, module in modules.items())
        parser = make_parser(PROGRAM, __doc__, f"questions:\n\n{listing}")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="all by default")
    add_options(parser, {name: option for module in modules.values() for name, option in module.OPTIONS.items()})
    add_destination(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    questions = [word for word in arguments if word in QUESTIONS] or QUESTIONS
    parser = parser_of(questions)
    chosen = parser.parse_args(arguments)
    for word in chosen.questions:
        if word not in QUESTIONS:
            parser.error(f"question: expected one of {', '.join(QUESTIONS)}, got {word}")
    folder = destination(chosen)
    if chosen.show:
        for question in questions:
            if record := load_record(folder, question):
                show(question, record)
        return
    if missing():
        print(f"not installed, left out: {', '.join(missing())}")
    for question in questions:
        names = import_module(f"benchmarks.questions.{question}").OPTIONS
        options = {name: getattr(chosen, name) for name in names} | {"folder": str(folder)}
        ask(question, options, folder, shlex.join([*PROGRAM.split(), *arguments]))


if __name__ == "__main__":
    main()
