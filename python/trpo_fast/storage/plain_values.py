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

MAX_LEVELS = 50  # nesting of lists and dicts; each takes two levels in a file, which has its own limit (policy_file.py)


Arrays = dict[str, npt.NDArray[Any]]
_NOT_PLAIN = re.compile(r"[^ -~]")  # what the header of a file must not hold; ``_keep`` numbers names, so none is lost


def to_json(value: Any, arrays: Arrays, name: str, levels: int = MAX_LEVELS) -> Any:
    """Convert a plain value to JSON, with its arrays added to ``arrays``.

    Parameters
    ----------
    value : plain value
    arrays : dict
        Receives the arrays, each under ``name`` + its path in ``value`` + a number.
    name : str
        Name of ``value`` in messages and array names.
    levels : int
        Remaining levels of nesting.

    Returns
    -------
    JSON value
        What ``json.dumps`` accepts.

    Raises
    ------
    TypeError, ValueError
        If a part of ``value`` is not plain, or nested too deeply; the message says where.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return {"float": value.hex()}
    if isinstance(value, np.random.Generator):
        return {"stream": _keep(stream_to_array(value), arrays, name)}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return {"array" if isinstance(value, np.ndarray) else "scalar": _keep(np.array(value), arrays, name)}
    if type(value) in (list, tuple, dict) and levels == 0:
        raise ValueError(f"{name[:60]}: expected at most {MAX_LEVELS} nested lists and dicts, got more")
    if type(value) in (list, tuple):
        items = [to_json(item, arrays, f"{name}.{i}", levels - 1) for i, item in enumerate(value)]
        return {"list" if isinstance(value, list) else "tuple": items}
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {
            "dict": {key: to_json(item, arrays, f"{name}.{key}", levels - 1) for key, item in sorted(value.items())}
        }
    raise TypeError(f"{name}: expected plain values, got {describe(value)}")


def _keep(array: npt.NDArray[Any], arrays: Arrays, name: str) -> str:
    unique = f"{_NOT_PLAIN.sub('?', name)}.{len(arrays)}"
    arrays[unique] = array
    return unique


def from_json(data: Any, arrays: Arrays) -> Any:
    """Restore the value that ``to_json`` converted to ``data`` and ``arrays``; used arrays are removed from ``arrays``.

    Raises
    ------
    PolicyFileError
        If ``data`` and ``arrays`` do not describe a plain value.
    """
    if isinstance(data, list):  # to_json writes a list as a dict
        raise PolicyFileError("policy file: expected plain values, got a bare list")
    if not isinstance(data, dict):
        return data
    try:
        ((kind, content),) = data.items()
        if kind == "float":
            return float.fromhex(content)
        if kind == "stream":
            return stream_from_array(arrays.pop(content))
        if kind in ("array", "scalar"):
            array = arrays.pop(content).copy()
            return array if kind == "array" else array[()]
        if kind in ("list", "tuple"):
            items = [from_json(item, arrays) for item in content]
            return items if kind == "list" else tuple(items)
        if kind == "dict":
            return {key: from_json(item, arrays) for key, item in content.items()}
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PolicyFileError(f"policy file: expected plain values, got {error!r}") from error
    raise PolicyFileError(f"policy file: expected plain values, got a {kind!r}")


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
