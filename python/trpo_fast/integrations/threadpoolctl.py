"""threadpoolctl's view of our threads: ``threadpool_limits`` and ``threadpool_info`` include them once registered.

>>> from trpo_fast.integrations import threadpoolctl
>>> threadpoolctl.register()
"""

import threadpoolctl

from trpo_fast._core.threads import get_num_threads, set_num_threads
from trpo_fast._version import __version__


class TrpoFastController(threadpoolctl.LibController):  # type: ignore[misc]  # it has no types
    """The compiled core, as a library with threads of its own."""

    user_api = "trpo_fast"
    internal_api = "trpo_fast"
    filename_prefixes = ("_trpo_fast_core",)

    def get_num_threads(self) -> int:
        """The most threads a call may use."""
        return get_num_threads()

    def set_num_threads(self, num_threads: int) -> None:
        """Let calls use at most ``num_threads``."""
        set_num_threads(num_threads)

    def get_version(self) -> str:
        """The package's version."""
        return __version__


def register() -> None:
    """Tell threadpoolctl of the core."""
    threadpoolctl.register(TrpoFastController)
