"""Number of threads that a call may use. Results do not depend on it, bit for bit."""

import os

from trpo_fast._core.cpu_quota import cpu_quota
from trpo_fast._core.modules import core
from trpo_fast.validation import check_integer

MAX_THREADS = 256


def set_num_threads(n: int) -> None:
    """Set the maximum number of threads of a call, including the calling thread.

    The default is ``TRPO_FAST_NUM_THREADS``, or the number of processors that this process may run on: those of its
    affinity, but not more than the CPU quota of its control groups (a container's ``--cpus``).

    Raises
    ------
    InvalidArgumentError
        If ``n`` is not an integer in 1..256.
    """
    core.set_num_threads(check_integer("n", n, at_least=1, at_most=MAX_THREADS))


def get_num_threads() -> int:
    """Maximum number of threads of a call."""
    return int(core.get_num_threads())


def resolve_threads(n_threads: int | None) -> int:
    """``n_threads``, or ``get_num_threads()`` if it is None; InvalidArgumentError outside 1..256."""
    if n_threads is None:
        return get_num_threads()
    return check_integer("n_threads", n_threads, at_least=1, at_most=MAX_THREADS)


def use_default() -> None:
    """Set the number of threads to ``TRPO_FAST_NUM_THREADS``, or else limit it to the CPU quota, if there is one.

    Raises
    ------
    ImportError
        If ``TRPO_FAST_NUM_THREADS`` is not an integer in 1..256.
    """
    value = os.environ.get("TRPO_FAST_NUM_THREADS", "").strip()
    if not value:
        quota = cpu_quota()
        if quota is not None:
            set_num_threads(min(quota, get_num_threads()))
        return
    if not (value.isdecimal() and 1 <= int(value) <= MAX_THREADS):
        raise ImportError(f"TRPO_FAST_NUM_THREADS: expected an integer in 1..{MAX_THREADS}, got {value!r}")
    set_num_threads(int(value))
