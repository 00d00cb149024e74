"""Where a result comes from: commit, date, machine, and the versions of all contenders."""

import contextlib
import io
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np

import trpo_fast
from benchmarks.harness.machine import processor

ROOT = Path(__file__).parents[2]
PACKAGES = (  # whatever may take part in a benchmark
    "numpy", "scipy", "torch", "jax", "jaxlib", "sb3-contrib", "stable-baselines3", "tianshou", "onnx", "onnxruntime",
    "gymnasium", "envpool", "mujoco", "cma",
)  # fmt: skip
TORCH_BLAS = re.compile(r"[^-\n]*(?:Math Kernel Library|MKL-DNN|CPU capability)[^\n]*|BLAS_INFO=\w+")


def provenance() -> dict[str, Any]:
    """Date, commit, machine and versions."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **commit(),
        "package": "checkout" if Path(trpo_fast.__file__).is_relative_to(ROOT) else "installed",
        "machine": {"processor": processor(), "cores": os.cpu_count(), "load": os.getloadavg()[0], **versions()},
        "contenders": contender_versions(),
    }


def commit() -> dict[str, Any]:
    """The checkout's commit, and whether tracked files other than results differ from it; empty without git."""
    try:
        found = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"commit": found, "dirty": bool(changed)}


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def versions() -> dict[str, str]:
    """What ``trpo_fast.show_config`` prints."""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        trpo_fast.show_config()
    pairs = (tuple(line.split(maxsplit=1)) for line in text.getvalue().splitlines())
    return dict(pairs)


def contender_versions() -> dict[str, str]:
    """The version of every installed package that may take part."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def blas() -> dict[str, Any]:
    """The BLAS of this process: what NumPy, SciPy and PyTorch were built with, if imported, and loaded libraries."""
    found: dict[str, Any] = {"numpy": _build_of(np)}
    if "scipy" in sys.modules:
        found["scipy"] = _build_of(sys.modules["scipy"])
    if "torch" in sys.modules:
        text = sys.modules["torch"].__config__.show()
        found["torch"] = [part.strip() for part in TORCH_BLAS.findall(text)]
    if util.find_spec("threadpoolctl"):
        from threadpoolctl import threadpool_info

        found["loaded"] = [{**info, "filepath": Path(info["filepath"]).name} for info in threadpool_info()]
    return found


def _build_of(package: Any) -> dict[str, str]:
    built = package.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {key: str(built[key]) for key in ("name", "version", "openblas configuration") if key in built}
