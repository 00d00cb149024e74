"""Choose the extension module for this processor: x86-64-v4, -v3 or baseline.

``TRPO_FAST_ISA=base|v3|v4`` forces one. Results are bit-identical within one level.
"""

import importlib
import os
from types import ModuleType

from trpo_fast._cpu import x86_64_level

_MODULES = {"v4": "_trpo_fast_core_v4", "v3": "_trpo_fast_core_v3", "base": "_trpo_fast_core"}
_LEVELS = {"v4": 4, "v3": 3, "base": 0}


def available_isas() -> list[str]:
    """Instruction-set levels that this processor supports, the fastest first; not all of them need to be built."""
    return [isa for isa in _MODULES if x86_64_level >= _LEVELS[isa]]


def load_core() -> tuple[ModuleType, str]:
    """The compiled core, and the name of its instruction-set level.

    Raises
    ------
    ImportError
        If ``TRPO_FAST_ISA`` is not a level, or is one that this processor does not support or that was not built.
    """
    requested = os.environ.get("TRPO_FAST_ISA", "").strip().lower()
    if requested and requested not in _MODULES:
        raise ImportError(f"TRPO_FAST_ISA: expected one of {', '.join(sorted(_MODULES))}, got {requested!r}")
    if requested and requested not in available_isas():
        raise ImportError(f"TRPO_FAST_ISA={requested}: this processor only runs {', '.join(available_isas())}")
    for isa in [requested] if requested else available_isas():
        name = f"trpo_fast.{_MODULES[isa]}"
        try:
            return importlib.import_module(name), isa
        except ModuleNotFoundError as error:
            if error.name != name:  # the module exists, but something that it imports does not
                raise
    raise ImportError(f"trpo_fast: no compiled core module found for {requested or available_isas()}")
