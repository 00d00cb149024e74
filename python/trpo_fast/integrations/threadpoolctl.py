"""Controls trpo_fast's threads with threadpoolctl: ``register`` adds them to its limits and its info.

>>> from trpo_fast.integrations import threadpoolctl
>>> threadpoolctl.register()
"""

import threadpoolctl

from trpo_fast._core.threads import get_num_threads, set_num_threads
from trpo_fast._version import __version__


class TrpoFastController(threadpoolctl.LibController):  # type: ignore[misc]  # threadpoolctl has no type hints
    """The compiled core as a library that threadpoolctl controls."""

    user_api = "trpo_fast"
    internal_api = "trpo_fast"
    filename_prefixes = ("_trpo_fast_core",)

    def get_num_threads(self) -> int:
        """Maximum number of threads of a call."""
        return get_num_threads()

    def set_num_threads(self, num_threads: int) -> None:
        """Set the maximum number of threads of a call."""
        set_num_threads(num_threads)

    def get_version(self) -> str:
        """Version of the package."""
        return __version__


def register() -> None:
    """Register the compiled core with threadpoolctl."""
    threadpoolctl.register(TrpoFastController)
