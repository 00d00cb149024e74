"""Every example, and the README's script, runs as it stands and prints what it should."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

SAYS = {
    "action_masks.py": "action at a closed door: 1",
    "callbacks.py": "stopped after",
    "control_loop.py": "a command took",
    "images.py": r"return 1\.00 ",
    "own_loop.py": "14: length",
    "resume.py": "bit-identical: True",
    "robot_learning.py": r"1\.\d+ at first, 0\.[01]\d+ at last",
    "train_and_load.py": "last update: committed",
}
EXAMPLES = ROOT / "examples"


def test_every_example_is_here():
    assert {path.name for path in EXAMPLES.glob("*.py")} == SAYS.keys()


@pytest.mark.parametrize("name", SAYS)
def test_example(name, tmp_path):
    assert re.search(SAYS[name], run(EXAMPLES / name, tmp_path))


def test_the_script_in_the_readme(tmp_path):
    (code,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "script.py").write_text(code)
    assert re.search(r"action [01], return \d{2,}\.\d\d \+/- ", run(tmp_path / "script.py", tmp_path))


def run(script, folder):
    """What a script prints."""
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout
