"""Writes the stubs of the compiled core from the installed module; ``--check`` fails if the committed ones differ."""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

STUBS = Path(__file__).parents[1] / "python" / "trpo_fast" / "_trpo_fast_core"


def generate(folder: str) -> dict[str, str]:
    """The stubs' text by file name."""
    module = "trpo_fast._trpo_fast_core"
    subprocess.run([sys.executable, "-m", "pybind11_stubgen", module, "-o", folder, "--exit-code"], check=True)
    for path in Path(folder).rglob("*.pyi"):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"^([A-Z_]+: str) = .*", r"\1", text, flags=re.MULTILINE)  # the value depends on the machine
        path.write_text(re.sub(r": (\w+) = None", r": \1 | None = None", text), encoding="utf-8")
    for command in (["check", "--fix-only", "--select", "I,RUF022"], ["format"]):
        options = ["--quiet", "--config", str(STUBS.parents[2] / "pyproject.toml")]
        subprocess.run([sys.executable, "-m", "ruff", *command, *options, folder], check=True)
    return {path.name: path.read_text(encoding="utf-8") for path in Path(folder).rglob("*.pyi")}


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--check", action="store_true", help="write nothing")
check = parser.parse_args().check
with tempfile.TemporaryDirectory() as scratch:
    new = generate(scratch)
if check:
    stale = [name for name, text in new.items() if (STUBS / name).read_text(encoding="utf-8") != text]
    sys.exit(f"stale, run tools/make_stubs.py: {', '.join(stale)}" if stale else 0)
STUBS.mkdir(exist_ok=True)
for name, text in new.items():
    (STUBS / name).write_text(text, encoding="utf-8")
