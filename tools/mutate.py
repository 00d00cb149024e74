"""Break guards one by one, and report those whose loss no test notices.

``python tools/mutate.py [LIST...] [--only TEXT]``: a list is a TOML file of ``[[mutation]]`` tables, as those in
tools/mutations are, which are the default:

    file      what to break, from the root of the repository
    original  its text, which stands there once
    mutant    the text that replaces it
    tests     ids of tests, one of which must fail

The tests run in a copy of the working tree, with the compiled modules that are installed: Python and what tests compile
themselves, the headers of the runtime, need no build.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import tomllib

ROOT = Path(__file__).parent.parent
LISTS = sorted((ROOT / "tools" / "mutations").glob("*.toml"))
LIMIT = 300  # seconds for the tests of one mutant; a mutant that hangs counts as killed
# An editable installation puts a finder before PYTHONPATH that leads to the original.
SITE = "import sys\nsys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in type(f).__module__]\n"


def copy_tree(tree: Path) -> None:
    """The working tree without what is built in it, and the installed modules."""
    built = shutil.ignore_patterns(".git", "build", "dist", "runs", ".venv", "__pycache__", ".*_cache", "*.egg-info")
    shutil.copytree(ROOT, tree, ignore=built)
    spec = importlib.util.find_spec("trpo_fast._cpu")
    assert spec is not None
    assert spec.origin is not None
    for module in Path(spec.origin).parent.glob("*.so"):
        shutil.copy2(module, tree / "python" / "trpo_fast")
    (tree / "python" / "sitecustomize.py").write_text(SITE, encoding="utf-8")


def verdict(tree: Path, tests: list[str], limit: float | None = None) -> str:
    """What the tests in ``tree`` say: "passed", "failed", "failed to compile", or why they say nothing."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "", *tests]
    environment = {**os.environ, "PYTHONPATH": str(tree / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return "failed"
    if done.returncode > 1:  # no such tests, or no import
        return f"broken: {done.stdout[-300:]}"
    return "passed" if done.returncode == 0 else "failed to compile" if ": error: " in done.stdout else "failed"


def try_mutation(tree: Path, mutation: dict[str, Any]) -> str:
    """The verdict of the mutation's tests on the mutant; the file is as before then."""
    path = tree / mutation["file"]
    text = path.read_text(encoding="utf-8")
    if text.count(mutation["original"]) != 1:
        return f"broken: the original stands {text.count(mutation['original'])} times in {mutation['file']}"
    path.write_text(text.replace(mutation["original"], mutation["mutant"]), encoding="utf-8")
    try:
        return verdict(tree, mutation["tests"], LIMIT)
    finally:
        path.write_text(text, encoding="utf-8")


def main() -> int:
    """Try all mutations; the number of those that no test noticed, or that could not be tried."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lists", nargs="*", type=Path, default=LISTS, metavar="LIST")
    parser.add_argument("--only", default="", metavar="TEXT", help="mutations whose file or original has this text")
    options = parser.parse_args()
    mutations = [m for path in options.lists for m in tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]]
    mutations = [m for m in mutations if options.only in m["file"] + m["original"]]
    num_alive = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        copy_tree(tree)
        unchanged = verdict(tree, sorted({test for mutation in mutations for test in mutation["tests"]}))
        if unchanged != "passed":
            print(f"without a mutation: {unchanged}")
            return 1
        for i, mutation in enumerate(mutations):
            begin = time.monotonic()
            result = try_mutation(tree, mutation)
            seconds = time.monotonic() - begin
            num_alive += not result.startswith("failed")
            what = {"failed": "killed", "passed": "SURVIVED"}.get(result, result)
            original = " ".join(mutation["original"].split())
            print(
                f"{i + 1}/{len(mutations)} {what} in {seconds:.0f} s: {mutation['file']}: {original[:100]}", flush=True
            )
    print(f"{len(mutations) - num_alive} of {len(mutations)} mutations are killed")
    return min(num_alive, 100)


if __name__ == "__main__":
    sys.exit(main())
