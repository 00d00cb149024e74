import os
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BASELINES = ROOT / "benchmarks" / "baselines"  # of the NumPy oracle, numpy_trpo
sys.path.insert(0, str(BASELINES))


@pytest.fixture
def ctrl_c():
    """A shell's background jobs ignore SIGINT, and so do their children; Python then installs no handler."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def script_environment(**variables):
    """Environment variables with which a script can import the modules beside this file, and the NumPy oracle."""
    paths = [str(Path(__file__).parent), str(BASELINES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **variables}
