"""Store nested plain values as JSON and arrays, bit-identically, without anything that could execute.

Plain values are None, bool, int, float, str, numeric NumPy arrays and scalars, random streams (PCG64), and lists,
tuples and dicts (with text keys) of plain values.
"""

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import PolicyFileError
from trpo_fast.validation import describe

MAX_LEVELS = 50  # nesting of lists and dicts; each takes two levels in a file, which has its own limit (strict_json)
MAX_VALUES = 1 << 17  # outside of arrays; no header holds more (strict_json)
MAX_ARRAYS = 6000  # likewise
MAX_PACKED = 1 << 18  # numbers in lists of Python that a file keeps as arrays, which are an eighth as large
_PACKED_FROM = 8  # a shorter list is kept item by item

Arrays = dict[str, npt.NDArray[Any]]
_NOT_PLAIN = re.compile(r"[^ -~]")  # what the header of a file must not hold; ``_keep`` numbers names, so none is lost
_DTYPES = {"bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))}
_DTYPES |= {"float16", "float32", "float64"}


def to_json(value: Any, arrays: Arrays, name: str) -> Any:
    """Convert a plain value to JSON, with its arrays added to ``arrays``.

    Parameters
    ----------
    value : plain value
    arrays : dict
        Receives the arrays, each under ``name`` + its path in ``value`` + a number.
    name : str
        Name of ``value`` in messages and array names.

    Returns
    -------
    JSON value
        What ``json.dumps`` accepts.

    Raises
    ------
    TypeError, ValueError
        If a part of ``value`` is not plain, is nested too deeply, or too large; the message says where.
    """
    return _Writer(arrays).convert(value, name, MAX_LEVELS)


class _Writer:
    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._n_values = self._n_packed = 0

    def convert(self, value: Any, name: str, levels: int) -> Any:
        """JSON of ``value``, with ``levels`` of nesting left."""
        self._n_values += 1
        if self._n_values > MAX_VALUES or len(self._arrays) > MAX_ARRAYS:
            raise ValueError(f"{name[:60]}: expected at most {MAX_VALUES} values and {MAX_ARRAYS} arrays, got more")
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return {"float": value.hex()}
        if isinstance(value, np.random.Generator):
            return {"stream": self._keep(stream_to_array(value), name)}
        if isinstance(value, np.ndarray | np.generic) and value.dtype.name in _DTYPES:
            return {"array" if isinstance(value, np.ndarray) else "scalar": self._keep(np.array(value), name)}
        if type(value) in (list, tuple, dict) and levels == 0:
            raise ValueError(f"{name[:60]}: expected at most {MAX_LEVELS} nested lists and dicts, got more")
        if type(value) in (list, tuple):
            kind = "list" if isinstance(value, list) else "tuple"
            if (packed := _pack(value)) is not None:
                return {kind: {packed[0]: self._keep_packed(packed[1], name)}}
            return {kind: [self.convert(item, f"{name}.{i}", levels - 1) for i, item in enumerate(value)]}
        if type(value) is dict and all(isinstance(key, str) for key in value):
            items = sorted(value.items())
            return {"dict": {key: self.convert(item, f"{name}.{key}", levels - 1) for key, item in items}}
        raise TypeError(f"{name}: expected plain values, got {describe(value)}")

    def _keep(self, array: npt.NDArray[Any], name: str) -> str:
        unique = f"{_NOT_PLAIN.sub('?', name)}.{len(self._arrays)}"
        self._arrays[unique] = array.astype(array.dtype.newbyteorder("="), copy=False)
        return unique

    def _keep_packed(self, array: npt.NDArray[Any], name: str) -> str:
        self._n_packed += len(array)
        if self._n_packed > MAX_PACKED:
            raise ValueError(f"{name}: expected at most {MAX_PACKED} numbers in lists (arrays may be larger), got more")
        return self._keep(array, name)


def _pack(values: Any) -> tuple[str, npt.NDArray[Any]] | None:
    """The kind and the array of numbers of one type; None for other lists and tuples, and for short ones."""
    types = set(map(type, values)) if len(values) >= _PACKED_FROM else set()
    if types == {float}:
        return "float", np.array(values)
    if types == {int} and all(-(1 << 63) <= value < 1 << 63 for value in values):
        return "int", np.array(values, np.int64)
    if len(types) == 1 and isinstance(values[0], np.generic) and values[0].dtype.name in _DTYPES:
        return "scalar", np.array(values)
    return None


def from_json(data: Any, arrays: Arrays) -> Any:
    """Restore the value that ``to_json`` converted to ``data`` and ``arrays``; used arrays are removed from ``arrays``.

    Raises
    ------
    PolicyFileError
        If ``data`` and ``arrays`` do not describe a plain value.
    """
    try:
        return _Reader(arrays).convert(data)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PolicyFileError(f"policy file: expected plain values, got {error!r}") from error


class _Reader:
    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._n_packed = 0

    def convert(self, data: Any) -> Any:
        """The value of ``data``."""
        if isinstance(data, list):  # to_json writes a list as a dict
            raise ValueError("a bare list")
        if not isinstance(data, dict):
            return data
        ((kind, content),) = data.items()
        if kind == "float":
            return float.fromhex(content)
        if kind == "stream":
            return stream_from_array(self._arrays.pop(content))
        if kind in ("array", "scalar"):
            array = self._arrays.pop(content)
            return array if kind == "array" else array[()]
        if kind in ("list", "tuple"):
            items = self._unpack(content) if isinstance(content, dict) else [self.convert(item) for item in content]
            return items if kind == "list" else tuple(items)
        if kind == "dict":
            return {key: self.convert(item) for key, item in content.items()}
        raise ValueError(f"a {kind!r}")

    def _unpack(self, content: dict[str, str]) -> list[Any]:
        ((kind, name),) = content.items()
        array = self._arrays.pop(name)
        self._n_packed += array.size
        if array.ndim != 1 or self._n_packed > MAX_PACKED:
            raise ValueError(f"numbers of shape {array.shape}")
        if kind == "scalar":
            return list(array)
        if array.dtype != {"float": np.float64, "int": np.int64}[kind]:
            raise ValueError(f"{kind} of dtype {array.dtype}")
        numbers: list[Any] = array.tolist()
        return numbers


_WORD = (1 << 64) - 1


def stream_to_array(stream: np.random.Generator) -> npt.NDArray[np.uint64]:
    """State of a PCG64 stream as six words: state (two), increment (two), whether a half word is buffered, and it.

    Raises
    ------
    ValueError
        If the stream is of another kind.
    """
    state: Any = stream.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise ValueError(f"expected a stream of PCG64, got {state['bit_generator']}")
    wide = [word for value in (state["state"]["state"], state["state"]["inc"]) for word in (value & _WORD, value >> 64)]
    return np.array([*wide, state["has_uint32"], state["uinteger"]], dtype=np.uint64)


def stream_from_array(words: npt.NDArray[Any]) -> np.random.Generator:
    """Restore a stream from the words, shape (6,), of ``stream_to_array``.

    Raises
    ------
    PolicyFileError
        If ``words`` are not the state of a PCG64 stream.
    """
    if words.shape != (6,) or words.dtype != np.uint64 or words[4] > 1 or int(words[5]) >> 32 or not int(words[2]) & 1:
        raise PolicyFileError(f"random stream: expected six words of a PCG64, got {describe(words)}")
    low, high, inc_low, inc_high, has_half, half = (int(word) for word in words)
    stream = np.random.Generator(np.random.PCG64())
    stream.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": inc_high << 64 | inc_low},
        "has_uint32": has_half,
        "uinteger": half,
    }
    return stream
