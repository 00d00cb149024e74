"""Arrays that functions refuse, other layouts of the same values, and what is the same."""

import numpy as np


def placed(array, offset):
    """A copy that begins ``offset`` bytes after a multiple of 64."""
    buffer = np.empty(array.nbytes + 128, dtype=np.uint8)
    begin = -buffer.ctypes.data % 64 + offset
    view = buffer[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def copied(arguments):
    """The arguments, with copies of the arrays among them."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}


def same(a, b):
    """Whether plain values have equal types and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return repr(a) == repr(b)


CORRUPT = {
    "one dimension more": lambda a: a[None],
    "one column more": lambda a: np.concatenate([a, a[..., -1:]], axis=-1),
    "the other float": lambda a: a.astype(np.float32 if a.dtype == np.float64 else np.float64),
    "float16": lambda a: a.astype(np.float16),
    "int32": lambda a: a.astype(np.int32),
    "complex": lambda a: a.astype(np.complex128),
    "objects": lambda a: a.astype(object),
    "text": lambda a: a.astype(str),
    "the other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "empty": lambda a: a[:0],
    "a list": lambda a: a.tolist(),
    "None": lambda a: None,
    "a number": lambda a: 1.0,
    "str": lambda a: "1.0",
}
RELAID = {  # the same values, laid out otherwise: refused by the core, taken by the public functions
    "in Fortran order": lambda a: np.asfortranarray(a) if a.ndim > 1 else np.repeat(a, 2)[::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "misaligned": lambda a: placed(a, 1),
}
