"""trpo_fast against NumPy and every installed peer.

Every question compares results first, then times the contenders in turn, A B A B, in a process pinned to one core or
two, and writes benchmarks/results/QUESTION.json and, with matplotlib, QUESTION.png. Opponents that are not installed
are left out: pip install ".[bench]" brings them. docs/benchmarks.md says what the columns mean.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib import import_module, util
from pathlib import Path
from textwrap import indent

from benchmarks.harness.bars import judge
from benchmarks.harness.machine import MAX_OTHERS, Others, Setting
from benchmarks.harness.measuring import Options, Row
from benchmarks.harness.problems import RESULTS, save
from benchmarks.harness.report import chart, table
from benchmarks.peers import missing

QUESTIONS = ("fvp", "cg", "critic", "update", "act", "rollout", "workers", "training", "package")


def in_worker(question: str, setting: Setting, options: Options) -> list[Row]:
    """The question's rows from a process that is held to the setting."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        arguments = [question, json.dumps(setting), json.dumps(options), str(out)]
        command = [sys.executable, "-m", "benchmarks.harness.worker", *arguments]
        others = Others()
        code = subprocess.run(command, env=setting.environment(), preexec_fn=setting.pin).returncode
        if code != 0:
            raise SystemExit(f"benchmarks: {question} failed with {setting}")
        busy = others.cores()
        if busy > MAX_OTHERS:
            print(f"the machine was not quiet, others used {busy:.2f} cores: figures are rough")
        return [{**row, "others": busy} for row in json.loads(out.read_text())]


def ask(question: str, options: Options, command: str) -> None:
    """Measure, save, draw and judge one question."""
    rows = []
    for setting in import_module(f"benchmarks.questions.{question}").SETTINGS:
        print(f"== {question}, {setting}", flush=True)
        rows += in_worker(question, setting, options)
    save(question, rows, command)
    if util.find_spec("matplotlib"):
        chart(rows, RESULTS / f"{question}.png")
    else:
        print("no chart: matplotlib is not installed")
    show(question, rows)


def show(question: str, rows: list[Row]) -> None:
    print(table(rows), *judge(question, rows), "", sep="\n")


def main() -> None:
    summaries = {q: import_module(f"benchmarks.questions.{q}").__doc__.strip() for q in QUESTIONS}
    listing = "\n\n".join(f"{name}\n{indent(text, '  ')}" for name, text in summaries.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=f"questions:\n\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = Options()
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="one or more of those below; all by default")
    parser.add_argument("--seconds", type=float, default=default.seconds, help="spent on each contender (%(default)s)")
    parser.add_argument("--steps", type=int, default=default.steps, help="of a training (%(default)s)")
    parser.add_argument("--seeds", type=int, default=default.seeds, help="trainings of each contender (%(default)s)")
    parser.add_argument("--show", action="store_true", help="print the tables and bars of the saved results only")
    chosen = parser.parse_args()
    questions = chosen.questions or QUESTIONS
    for question in questions:
        if question not in QUESTIONS:
            parser.error(f"question: expected one of {', '.join(QUESTIONS)}, got {question}")
    if chosen.show:
        for path in (RESULTS / f"{q}.json" for q in questions):
            if path.exists():
                show(path.stem, json.loads(path.read_text())["rows"])
        return
    if missing():
        print(f"not installed, left out: {', '.join(missing())}")
    options = Options(chosen.seconds, chosen.steps, chosen.seeds)
    for question in questions:
        ask(question, options, f"python -m benchmarks {' '.join(sys.argv[1:])}")


if __name__ == "__main__":
    main()
