"""One question in one setting, in a process of its own that ``__main__`` starts with the setting's limits."""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from benchmarks.harness.machine import Setting, check_scaling
from benchmarks.harness.measuring import NotMeasuredError, Options, Row
from benchmarks.harness.report import line
from trpo_fast import set_num_threads


def rows(question: str, setting: Setting, options: Options) -> Iterator[Row]:
    """The question's rows; if the machine could not give what the setting asks for, one row that says so."""
    try:
        check_scaling(setting.threads)
        set_num_threads(setting.threads)
        measured = []
        for row in import_module(f"benchmarks.questions.{question}").measure(setting, options):
            measured.append(row)
            print(line(row), flush=True)
        check_scaling(setting.threads)
    except NotMeasuredError as reason:
        measured = [{"not measured": str(reason)}]
    for row in measured:
        yield {"threads": setting.threads, "avx2": setting.avx2, **row}


def main() -> None:
    question, setting, options, out = sys.argv[1:]
    found = list(rows(question, Setting(*json.loads(setting)), Options(*json.loads(options))))
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
