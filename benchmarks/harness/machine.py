"""The machine: what a worker process may use of it, and how much other processes use during a measurement."""

import contextlib
import hashlib
import os
import platform
import threading
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness.rows import NotMeasuredError, Row

MIN_SCALING = 1.95  # least work of two spinning threads over one; otherwise figures of two threads do not count
MAX_OTHERS = 0.05  # cores that other processes, and other machines on this host, may use during a judged row
AVX2 = {
    "TRPO_FAST_ISA": "v3",
    "OPENBLAS_CORETYPE": "HASWELL",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}


class Setting(NamedTuple):
    """Limits of a worker process. Every setting has its own process, because libraries read limits when they load."""

    threads: int = 1  # also the number of cores that the process is pinned to
    avx2: bool = False  # every contender is held to this instruction set

    def environment(self) -> dict[str, str]:
        """Environment variables for the worker."""
        n = str(self.threads)
        limits = {"OPENBLAS_NUM_THREADS": n, "OMP_NUM_THREADS": n, "MKL_NUM_THREADS": n, "TRPO_FAST_NUM_THREADS": n}
        xla = [
            *(["--xla_cpu_multi_thread_eigen=false"] if self.threads == 1 else []),
            *(["--xla_cpu_max_isa=AVX2"] if self.avx2 else []),
        ]
        jax = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": " ".join(xla)}
        return {**os.environ, **limits, **jax, **(AVX2 if self.avx2 else {})}

    def pin(self) -> None:
        """Keep this process to the last cores, which serve fewer interrupts; XLA has no other limit on its threads."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-self.threads :])


def processor() -> str:
    """The processor's name, and what tells it from others of that name."""
    info = Path("/proc/cpuinfo")
    lines = (line.partition(":") for line in info.read_text(encoding="utf-8").splitlines()) if info.exists() else ()
    found = {key.strip(): value.strip() for key, _, value in lines}
    if "model name" not in found:
        return platform.processor()
    return f"{found['model name']} (family {found.get('cpu family', '?')}, model {found.get('model', '?')})"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Others:
    """CPU use, since construction, of all processes but this one and its descendants.

    The row of a measurement during which they used more than ``MAX_OTHERS`` cores is not judged.
    """

    def __init__(self) -> None:
        self._start = _cpu_times()

    def cores(self) -> float | None:
        """Mean number of cores in use; None where there is no /proc."""
        if self._start is None or (now := _cpu_times()) is None:
            return None
        busy, own, wall = (end - start for end, start in zip(now, self._start, strict=True))
        return max(0.0, (busy - own) / wall)

    def row(self) -> Row:
        """The fields of a row measured since construction."""
        return others_row(self.cores())


def others_row(cores: float | None) -> Row:
    """The fields ``others`` and ``judged`` of a row during whose measurement others used ``cores``."""
    return {"others": cores, "judged": cores is None or cores <= MAX_OTHERS}


def is_judged(row: Row) -> bool:
    """Whether the row counts: nobody is known to have used the machine during its measurement."""
    return bool(row.get("judged", others_row(row.get("others"))["judged"]))


def _cpu_times() -> tuple[float, float, float] | None:
    """Seconds of CPU time of all processes (and other machines on this host) and of our own; and the time."""
    path = Path("/proc/stat")
    if not path.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, path.read_text(encoding="utf-8").split()[1:9])
    busy = user + nice + system + irq + softirq + steal
    tick = os.sysconf("SC_CLK_TCK")
    return busy / tick, _own_ticks() / tick, time.perf_counter()


def _own_ticks() -> int:
    """CPU time of this process, its descendants, and those of them that have ended."""
    parents, ticks = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            text = path.read_text(encoding="utf-8", errors="replace")
            fields = text.rpartition(")")[2].split()  # after the name, which may contain blanks
            pid = int(path.parent.name)
            parents[pid], ticks[pid] = int(fields[1]), sum(map(int, fields[11:15]))
    family, found = set(), {os.getpid()}
    while found:
        family |= found
        found = {pid for pid, parent in parents.items() if parent in found}
    return sum(ticks.get(pid, 0) for pid in family)


def check_scaling(n_threads: int) -> None:
    """Raise NotMeasuredError unless two threads do nearly twice the work of one, or one is enough."""
    if n_threads == 1:
        return
    if cores() < n_threads:
        raise NotMeasuredError(f"{cores()} core, {n_threads} needed")
    achieved = scaling()
    if achieved < MIN_SCALING:
        raise NotMeasuredError(f"two spinning threads did {achieved:.2f} times the work of one, {MIN_SCALING} expected")


def scaling(trials: int = 5, seconds: float = 0.15) -> float:
    """Work of two spinning threads over that of one, the median of some trials; 2 on two idle cores."""
    results = [_spins(2, seconds) / _spins(1, seconds) for _ in range(trials)]
    return sorted(results)[trials // 2]


def _spins(n_threads: int, seconds: float) -> int:
    block = bytes(1 << 18)  # hashing releases the GIL, and a quarter of a megabyte stays in a core's own cache
    counts = [0] * n_threads

    def spin(i: int) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            hashlib.sha256(block)
            counts[i] += 1

    spinners = [threading.Thread(target=spin, args=(i,)) for i in range(n_threads)]
    for spinner in spinners:
        spinner.start()
    for spinner in spinners:
        spinner.join()
    return sum(counts)
