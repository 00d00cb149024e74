"""Every example runs as it stands, and says what it should."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

SAYS = {
    "action_masks.py": "action at a closed door: 1",
    "callbacks.py": "stopped after",
    "control_loop.py": "a command took",
    "own_loop.py": "14: length",
    "resume.py": "the same bits: True",
    "robot_learning.py": r"1\.\d+ at first, 0\.[01]\d+ at last",
    "train_and_load.py": "last update: committed",
}
EXAMPLES = ROOT / "examples"


def test_every_example_is_here():
    assert {path.name for path in EXAMPLES.glob("*.py")} == SAYS.keys()


@pytest.mark.parametrize("name", SAYS)
def test_example(name, tmp_path):
    command = [sys.executable, "-W", "error", str(EXAMPLES / name)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.search(SAYS[name], done.stdout)
