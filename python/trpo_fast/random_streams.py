"""Random streams as arrays, so that a file can hold where they are."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import PolicyFileError
from trpo_fast.validation import describe

_WORD = (1 << 64) - 1


def stream_to_array(stream: np.random.Generator) -> npt.NDArray[np.uint64]:
    """Where a PCG64 stream is, as six words: state (two), increment (two), and the half word kept from the last draw.

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
    """The stream that ``stream_to_array`` wrote down, shape (6,).

    Raises
    ------
    PolicyFileError
        If ``words`` describe none.
    """
    if words.shape != (6,) or words.dtype != np.uint64 or words[4] > 1 or int(words[5]) >> 32 or not words[2] & 1:
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
