"""Reads pickles of Stable-Baselines3 without executing them: unpicklers that import nothing, in little memory."""

import io
import math
import pickle
import pickletools
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.archives import Archive

MAX_OPCODES = 20_000  # each makes an object of up to some hundreds of bytes
MAX_TEXT = 1 << 20  # bytes of text, which may take four times as much

_OPCODES = {opcode.code.encode("latin1"): opcode for opcode in pickletools.opcodes}
_REFUSED = ("EXT1", "EXT2", "EXT4", "BYTEARRAY8", "NEXT_BUFFER", "READONLY_BUFFER")
_LENGTHS = {  # bytes of the length before an argument
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}


def read_state(content: bytes) -> dict[str, Any]:
    """The state of the pickled object: arrays as ``Array``, other objects as ``Passive``, other values as they are.

    May raise anything if ``content`` is not a pickle of an object with a state.
    """
    check_opcodes(content)
    state = _Unpickler(content).load().state
    if not isinstance(state, dict):
        raise pickle.UnpicklingError(f"expected the state of an object, got {type(state).__name__}")
    return state


def read_tensors(archive: Archive) -> dict[str, npt.NDArray[Any]]:
    """The tensors that ``torch.save`` wrote: a pickle that refers to files of numbers beside it.

    May raise anything if the archive is not one of tensors by name.
    """
    (root,) = (name.removesuffix("data.pkl") for name in archive.names if name.endswith("/data.pkl"))
    if f"{root}byteorder" in archive.names and archive.read(f"{root}byteorder") != b"little":
        raise ValueError("numbers that are not little-endian")
    content = archive.read(f"{root}data.pkl")
    check_opcodes(content)
    weights = _TensorUnpickler(content, archive, root).load()
    if not all(isinstance(name, str) and isinstance(array, np.ndarray) for name, array in weights.items()):
        raise ValueError("something other than tensors")
    return dict(weights)


def check_opcodes(content: bytes) -> None:
    """Refuse a pickle that asks for more memory than its bytes: Python allocates what it says before it reads.

    Raises
    ------
    pickle.UnpicklingError
    """
    position = n_opcodes = n_text = 0
    while position < len(content):
        opcode = _OPCODES.get(content[position : position + 1])
        if opcode is None or opcode.name in _REFUSED:
            raise pickle.UnpicklingError(f"expected opcodes of plain values, got {content[position : position + 1]!r}")
        position += 1
        size = _argument_size(opcode, content, position)
        n_opcodes += 1
        n_text += size if "UNICODE" in opcode.name or "STRING" in opcode.name else 0
        is_far = opcode.name in ("PUT", "LONG_BINPUT") and _index(content[position : position + size]) > MAX_OPCODES
        if size > len(content) - position or n_opcodes > MAX_OPCODES or n_text > MAX_TEXT or is_far:
            got = f"{opcode.name} of {size} bytes"
            raise pickle.UnpicklingError(f"expected at most {MAX_OPCODES} small values, got {got}")
        position += size
        if opcode.name == "STOP":
            return


def _index(argument: bytes) -> int:
    """Where an opcode puts a value: pickle makes an array of as many places."""
    return int(argument) if argument.endswith(b"\n") else int.from_bytes(argument, "little")


def _argument_size(opcode: pickletools.OpcodeInfo, content: bytes, position: int) -> int:
    """Bytes of the argument of an opcode, with its length."""
    n = opcode.arg.n if opcode.arg is not None else 0
    if n >= 0:
        return n
    if n in _LENGTHS:
        return _LENGTHS[n] + int.from_bytes(content[position : position + _LENGTHS[n]], "little")
    end = position
    for _ in range(2 if opcode.name in ("GLOBAL", "INST") else 1):  # lines
        end = content.find(b"\n", end) + 1 or len(content) + 1
    return end - position


class Passive:
    """Replaces every class in a pickle: it holds the state and does nothing."""

    state: Any = None

    def __new__(cls, *_: Any, **__: Any) -> "Passive":
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state  # not copied: it may be that of many objects


class _DType(Passive):
    """Replaces a NumPy dtype: its code, for little-endian numbers only."""

    def __init__(self, code: Any, *_: Any) -> None:
        if code not in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
            raise pickle.UnpicklingError(f"expected numbers, got dtype {code!r}")
        self.code = code

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", "|", "="):
            raise pickle.UnpicklingError(f"expected little-endian numbers, got {state[1]!r}")


class Array(Passive):
    """Replaces a NumPy array: ``value`` is made from bytes, whose number NumPy checks."""

    value: npt.NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, raw = state
        if not isinstance(dtype, _DType) or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("expected an array of numbers")
        self.value = np.frombuffer(raw, dtype.code).reshape(shape, order="F" if is_fortran else "C")


class _Dict(dict[Any, Any]):
    """Replaces OrderedDict, made empty; attributes are not kept."""

    def __setstate__(self, state: Any) -> None:
        pass


def _empty_dict() -> _Dict:
    return _Dict()


def _scalar(dtype: Any, raw: Any) -> float:
    if not isinstance(dtype, _DType) or not isinstance(raw, bytes):
        raise pickle.UnpicklingError("expected a number")
    return float(np.frombuffer(raw, dtype.code)[0])


_STAND_INS: dict[str, Any] = {"_reconstruct": Array, "scalar": _scalar, "ndarray": Passive, "dtype": _DType}


class _Unpickler(pickle.Unpickler):
    """Replaces every class by a passive one, and imports nothing that the file names."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self._left = len(content)  # bytes that texts may become

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy":
            return _STAND_INS.get(name, Passive)
        known = {("collections", "OrderedDict"): _empty_dict, ("_codecs", "encode"): self._encode}
        return known.get((module, name), Passive)

    def _encode(self, text: str, _: str) -> bytes:
        """Bytes, which old protocols of pickle hold as text."""
        self._left -= len(text)
        if self._left < 0:
            raise pickle.UnpicklingError("expected each text to be used once")
        return text.encode("latin1")


_DTYPES = ("<f4", "<f8")


def _tensor(storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> npt.NDArray[Any]:
    """The tensor that ``torch._utils._rebuild_tensor_v2`` makes of these arguments, if its numbers are in order."""
    array: npt.NDArray[Any] = storage[offset : offset + math.prod(shape)].reshape(shape)
    if (array.shape, strides) != (shape, tuple(stride // array.itemsize for stride in array.strides)):
        raise pickle.UnpicklingError(f"expected a contiguous tensor, got shape {shape} and strides {strides}")
    return array


_TENSORS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _empty_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): _DTYPES[0],
    ("torch", "DoubleStorage"): _DTYPES[1],
}


class _TensorUnpickler(pickle.Unpickler):
    """Makes NumPy arrays of tensors, and refuses everything else."""

    def __init__(self, content: bytes, archive: Archive, root: str) -> None:
        super().__init__(io.BytesIO(content))
        self._archive, self._root = archive, root
        self._storages: dict[tuple[str, str], npt.NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _TENSORS:
            raise pickle.UnpicklingError(f"expected tensors, got {module}.{name}")
        return _TENSORS[module, name]

    def persistent_load(self, pid: Any) -> npt.NDArray[Any]:
        _, dtype, key, *_ = pid
        if dtype not in _DTYPES or not isinstance(key, str):
            raise pickle.UnpicklingError(f"expected numbers of float32 or float64, got {dtype!r}")
        if (key, dtype) not in self._storages:
            self._storages[key, dtype] = np.frombuffer(self._archive.read(f"{self._root}data/{key}"), dtype)
        return self._storages[key, dtype]
