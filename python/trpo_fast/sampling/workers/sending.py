"""Pickles for workers: as cloudpickle's, but functions and classes of the script keep the names of their files.

cloudpickle forgets them, and tracebacks in a worker would show neither file nor line of the user's code.
"""

import io
import types
from collections import ChainMap
from collections.abc import Callable
from typing import Any, ClassVar

import cloudpickle


def packed(value: Any) -> bytes:
    """Pickle a value, with all that workers cannot import; ``cloudpickle.loads`` restores it."""
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


def _reduced_code(code: types.CodeType) -> tuple[Any, ...]:
    make, arguments, *_ = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
    return _code_of_file, (make, arguments, code.co_filename)


def _code_of_file(make: Callable[..., types.CodeType], arguments: tuple[Any, ...], file: str) -> types.CodeType:
    return make(*arguments).replace(co_filename=file)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    dispatch_table: ClassVar[Any] = ChainMap({types.CodeType: _reduced_code}, cloudpickle.Pickler.dispatch_table)
