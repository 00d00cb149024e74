"""The compiled core: its modules, its threads, and versions; and files that survive whatever happens to them."""

import importlib


def _is_subinterpreter() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):  # since Python 3.13, and before
        try:
            interpreters = importlib.import_module(name)
        except ImportError:
            continue
        return bool(interpreters.get_current() != interpreters.get_main())
    return False


if _is_subinterpreter():  # where the compiled core would wait forever for the lock of the main interpreter
    raise ImportError("trpo_fast: expected the main interpreter, got a subinterpreter (use processes: n_workers)")
