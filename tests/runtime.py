"""The C++ runtime as a program that tests ask, and the compilers that build it."""

import functools
import io
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import ROOT

from trpo_fast import TRPOFastError
from trpo_fast.export.deployment import Deployment

VERSION_3 = ROOT / "tests" / "deploy" / "files"
INCLUDE = ROOT / "cpp" / "runtime" / "include"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
LOAD_STATUS = ("ok", "unreadable", "malformed", "damaged", "unsupported", "unfit")
OK, BAD_OBSERVATION, BAD_MASK, NON_FINITE_OUTPUT = range(4)


def compile_program(source: Path, program: Path, *flags: str) -> Path:
    """``program``, built from C99 or C++17 ``source``, the runtime's headers at hand, warnings as errors."""
    name, standard, *libraries = ("cc", "c99", "-lm") if source.suffix == ".c" else ("c++", "c++17")
    compiler = shutil.which(name)
    if compiler is None:
        pytest.skip(f"needs the compiler {name}")
    command = [compiler, f"-std={standard}", *WARNINGS, "-I", str(INCLUDE), str(source), *flags, "-o", str(program)]
    built = subprocess.run([*command, *libraries], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return program


SOURCES = ROOT / "tests" / "cpp"
PROBE = SOURCES / "runtime" / "probe.cpp"
BUILDS = {
    "careful": [PROBE, "-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "fast": [PROBE, "-O3", "-march=native"],
    "plain": [PROBE, "-O2"],
    "scalar": [PROBE, "-O2", "-DTRPO_FAST_RUNTIME_SCALAR"],
    "counter": [SOURCES / "runtime" / "allocations.cpp", "-O0", str(SOURCES / "counted_new.cpp")],
}
_folder = tempfile.TemporaryDirectory()
_compilers = ThreadPoolExecutor(2)


@functools.cache
def building(build: str) -> "Future[Path]":
    """The program ``build`` of ``BUILDS``, compiled once in a session; two compilers run at a time."""
    source, *flags = BUILDS[build]
    return _compilers.submit(compile_program, source, Path(_folder.name) / build, *flags)


class Acted(NamedTuple):
    """What a policy did with n observations: the status (n,) and the actions (n, A)."""

    status: np.ndarray
    actions: np.ndarray


class Loaded(NamedTuple):
    """What loading a file came to."""

    status: str
    peak: int  # bytes, the most that the process had; 0 where the system does not say
    message: str


def load(probe: Path, path: Path) -> Loaded:
    """What the runtime makes of the file ``path``."""
    status, peak, message = run([probe, "load", path]).decode().split(" ", 2)
    return Loaded(LOAD_STATUS[int(status)], 1024 * int(peak), message)


def python_verdict(path: Path, content: bytes) -> bool:
    """Whether ``content``, in the file ``path``, is a policy that can leave Python."""
    path.unlink(missing_ok=True)  # ext4 waits for the disk when a file is truncated and written again
    path.write_bytes(content)
    try:
        Deployment.load(path)
    except TRPOFastError:
        return False
    return True


def verdicts(probe: Path, contents: Iterable[bytes]) -> list[str]:
    """The status of loading each of the files."""
    question = b"".join(part for c in contents for part in (struct.pack("<Q", len(c)), c, struct.pack("<Q", 0)))
    answer, found = io.BytesIO(run(probe, question)), []
    while status := answer.read(4):
        found.append(LOAD_STATUS[struct.unpack("<i", status)[0]])
        answer.read(8 if found[-1] == "ok" else 0)  # the policy's sizes
    return found


def act(
    probe: Path,
    content: bytes,
    observations: np.ndarray,
    noise: np.ndarray,
    *options: str,
    images: Sequence[np.ndarray] = (),
) -> tuple[Acted, Acted]:
    """act() and sample() of the policy in a file, for observations (n, D), noise (n, A) and images (n, S, H, W)."""
    rows = [np.hstack([observations, noise]).astype(np.float32), *images]
    asked = np.hstack([part.reshape(len(part), -1).view(np.uint8) for part in rows])
    question = struct.pack("<Q", len(content)) + content + struct.pack("<Q", len(asked)) + asked.tobytes()
    answer = run([probe, *options], question)
    status, *sizes = struct.unpack_from("<iii", answer)
    assert (LOAD_STATUS[status], *sizes) == ("ok", observations.shape[1], noise.shape[1])
    acted, sampled = acts(answer[12:], len(asked), 2, sizes[1])
    return acted, sampled


def acts(answer: bytes, n: int, n_ways: int, size: int) -> list[Acted]:
    """What ``n_ways`` of acting wrote for each of n observations, status and action (size,) in turn."""
    call = np.dtype([("status", "<i4"), ("action", "<f4", size)])
    calls = np.frombuffer(answer, call).reshape(n, n_ways)
    return [Acted(calls[:, k]["status"], calls[:, k]["action"]) for k in range(n_ways)]


def run(command: Path | list[Path | str], question: bytes = b"") -> bytes:
    """Standard output of a program that must succeed: a sanitizer's complaint is a failure."""
    done = subprocess.run(command, input=question, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
