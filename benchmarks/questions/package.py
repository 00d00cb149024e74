"""What the package costs before it is used: seconds to import it, and its installed size."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import trpo_fast
from benchmarks.harness.machine import Others, Setting
from benchmarks.harness.options import Options
from benchmarks.harness.rows import OURS, Row, spread

SETTINGS = (Setting(1),)
OPTIONS: Options = {}
TRIALS = 15
IMPORT = """
import time, gymnasium, numpy
start = time.perf_counter()
import trpo_fast
print(time.perf_counter() - start)
"""


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    others = Others()
    times = [float(subprocess.check_output([sys.executable, "-c", IMPORT])) for _ in range(TRIALS)]
    yield {"case": "import", "contender": OURS, "turns": TRIALS, **spread("seconds", np.array(times)), **others.row()}
    yield {"case": "size", "contender": OURS, "megabytes": installed_bytes() / 1e6}


def installed_bytes() -> int:
    """Of every file of the package; an editable installation has them in two folders."""
    files = {path for folder in trpo_fast.__path__ for path in Path(folder).rglob("*") if path.is_file()}
    return sum(path.stat().st_size for path in files if path.suffix != ".pyc")
