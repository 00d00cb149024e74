"""Small files that ask for much memory: seeded, of many kinds, each signed where a signature is asked for."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from hostile_files import changed, signed

SLACK = 16 << 20  # bytes that a file may take beside twice its size


DISCRETE = {"type": "Discrete", "n": 1 << 20, "start": 0, "dtype": "int64"}


def box_of(dtype: str, n: int) -> dict[str, Any]:
    """The description of a Box whose bounds take two characters each."""
    return {"type": "Box", "shape": [n], "dtype": dtype, "low": " ".join("0" * n), "high": " ".join("1" * n)}


def peak_of(call: Callable[[], Any]) -> tuple[int, BaseException | None]:
    """Bytes that ``call`` took at once, beyond those before it, and what it raised."""
    tracemalloc.start()
    raised: BaseException | None = None
    try:
        call()
    except Exception as error:
        raised = error
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, raised


def policy_files(content: bytes, seed: int, n: int = 110_000) -> Iterator[tuple[str, bytes]]:
    """(kind, file), made from the file of a model, with ``n`` or more of everything."""
    rng = np.random.default_rng(seed)
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    metadata = json.loads(header.pop("__metadata__")["trpo_fast"])
    empty = {"dtype": "U8", "shape": [0], "data_offsets": [len(data)] * 2}
    yield "empty tensors", signed({**header, **{f"{i:x}": empty for i in range(n)}}, data, metadata)
    shaped = {**empty, "shape": [0] * 30}
    yield "many dimensions", signed({**header, **{f"{i}": shaped for i in range(n // 4)}}, data, metadata)
    for name, value in {
        "lists": [[]] * (20 * n), "dicts": [{}] * (20 * n), "texts": ["ab"] * (10 * n), "numbers": [1e5] * (10 * n),
        "dicts of one": [{"a": 0}] * (5 * n), "keys": {f"{i:x}": 0 for i in range(4 * n)}, "text": "a" * (36 * n),
        "escapes": '"\\' * (8 * n), "wide text": "a" * 1_000_000 + "\U0001f600", "digits": [12345] * (8 * n),
        "one wide character": "\u0100" * 500_000, "deep": [[[[[[]]]]]] * (3 * n),
    }.items():  # fmt: skip
        place = [("more",), ("arguments", "more"), ("training", "dict", "more"), ("arguments", "seed")][rng.integers(4)]
        yield f"{name} at {place}", signed(header, data, changed(metadata, place, value))
    for name, space in {
        "bounds": box_of("float32", 4 * n),
        "bounds of doubles": box_of("float64", 2 * n),
        "bounds that are not there": {"type": "Box", "shape": [2**18], "dtype": "float32", "low": "0", "high": "1"},
        "blanks": {"type": "Box", "shape": [600_001], "dtype": "uint8", "low": " " * 600_000, "high": "1"},
        "choices": {"type": "Tuple", "spaces": [DISCRETE] * 900},
        "parts": {"type": "MultiDiscrete", "nvec": [1 << 20] * 20_000, "start": [0] * 20_000, "dtype": "int64"},
        "bits": {"type": "MultiBinary", "n": [1 << 20, 1]},
    }.items():  # fmt: skip
        for which in ("observation_space", "action_space"):
            yield f"{which}: {name}", signed(header, data, {**metadata, which: space})
    kwargs = ("arguments", "policy_kwargs")
    for widths in ([1 << 30], [1] * n, [1 << 20] * 5, {"pi": [4], "vf": [1 << 28]}):
        yield f"widths {str(widths)[:20]}", signed(header, data, changed(metadata, (*kwargs, "net_arch"), widths))
    yield "environments", signed(header, data, {**metadata, "n_envs": 1 << 40})
    few = {f"{i:x}": empty for i in range(4090)}
    yield "as many environments as tensors", signed({**header, **few}, data, {**metadata, "n_envs": 4096})
    for dtype, size, kind in (("I64", 8, "int"), ("F64", 8, "float"), ("U8", 1, "scalar"), ("BOOL", 1, "scalar")):
        packed = bytes(size * 12 * n)
        entry = {"dtype": dtype, "shape": [12 * n], "data_offsets": [len(data), len(data) + len(packed)]}
        training = changed(metadata, ("training", "dict", "more"), {"list": {kind: "packed"}})
        yield f"a list of {dtype}", signed({**header, "packed": entry}, data + packed, training)


def sparse_files() -> Iterator[tuple[str, bytes, int]]:
    """(kind, its first bytes, its length): most of each is a hole, which takes no room on a disk."""
    for length in (1 << 31, 3 << 30):
        yield "a zip", b"PK\x03\x04\x14\x00\x00\x00", length
        yield "zeros", bytes(8), length
        yield "all of it a header", (length - 8).to_bytes(8, "little"), length
        yield "a header of blanks", (1 << 23).to_bytes(8, "little") + b"{" + b" " * 1000, length
        yield "a small header", (2).to_bytes(8, "little") + b"{}", length
