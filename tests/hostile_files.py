"""Load policy files of hostile metadata that are signed; says how many, what was not a typed error, and peak memory.

A program of its own, run by test_policy_file.py: peak memory is that of a process.
"""

import copy
import hashlib
import itertools
import json
import pickle
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from trpo_fast import TRPO, TRPOFastError

HOSTILE: list[Any] = [
    None, True, False, -1, 0, 1, 3, 4096, 2**20, 10**6, 2**31, 2**63, 10**30, 10**1000, -(10**30), 0.5, 1e308,
    float("inf"), float("-inf"), float("nan"), "", "x", "x" * 1000, "Box", "float16", "inf", "1e999", "nan", "\ud800",
    [], [[]], {}, [1] * 1000, [2**20] * 100, ["2"], {"type": "Box"}, {"a": {"a": {}}},
    {"type": "Discrete", "n": 10**6, "start": 0, "dtype": "int64"},
    {"type": "MultiBinary", "n": 10**6},
    {"type": "MultiBinary", "n": [1000, 1000]},
    {"type": "MultiDiscrete", "nvec": [2**19] * 8, "start": [0] * 8, "dtype": "int64"},
    {"type": "Box", "shape": [2**20, 2**20], "dtype": "float32", "low": ["0"], "high": ["1"]},
    {"type": "Box", "shape": [0], "dtype": "float32", "low": [], "high": []},
    {"type": "Box", "shape": [-1], "dtype": "uint8", "low": ["-1"], "high": ["1e9"]},
    {"type": "Dict", "spaces": [["a", {"type": "Discrete", "n": 2, "start": 0, "dtype": "int64"}]] * 3},
]  # fmt: skip


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places in a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        found += nodes(part, (*path, key))
    return found


def changed(metadata: Any, path: tuple[Any, ...], new: Any) -> Any:
    metadata = copy.deepcopy(metadata)
    place = metadata
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return metadata


def signed(header: dict[str, Any], data: bytes, metadata: Any) -> bytes:
    text = json.dumps({**metadata, "sha256": "0" * 64}, sort_keys=True, separators=(",", ":"))
    inner = json.dumps({**header, "__metadata__": {"trpo_fast": text}}, separators=(",", ":")).encode()
    return with_header(inner, data)


def hostile_files(content: bytes) -> Iterator[tuple[tuple[Any, ...], Any, bytes]]:
    """(place, value, file) for hostile values at every place of the metadata of a file; all are signed."""
    sys.set_int_max_str_digits(0)
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    metadata = json.loads(header["__metadata__"]["trpo_fast"])
    sys.set_int_max_str_digits(4300)
    values = [*HOSTILE, nested(900), nested(200)]
    rng = np.random.default_rng(0)
    for place in nodes(metadata):
        for value in values if len(place) < 3 else [values[i] for i in rng.integers(len(values), size=3)]:
            yield place, value, signed(header, data, changed(metadata, place, value))


NO_HEADERS = [b"", b"null", b"[]", b"{}", b"{", b"\xff", b"x", b'{"a":' * 10_000, b"[" * 10_000]
HEADER_EDITS = [
    (rb"\{", b"{,"),
    (rb"}\s*$", b",}"),
    (rb"}\s*$", b"}\n"),
    (rb":", b"="),
    (rb":", b" : "),
    (rb'"value_function', b'"value\xc3\x28function'),
    (rb'"value_function', b'"v\xc3\xa4lue_function'),
    (rb'"value_function', b'"\\ud800value_function'),
    (rb'"value_function', b'"\\"\\\\value_function'),
    (rb'"value_function', b'"\x7fvalue_function'),
    (rb'"value_function', b'"\x1fvalue_function'),
    (rb'"policy\.', b'"\\u0070olicy.'),
    (rb"trpo_fast", b"other"),
    (rb"__metadata__", b"metadata"),
    (rb'\\"sha256\\":\\"[0-9a-f]{64}\\",', b""),
    (rb"[0-9a-f]{64}", b"0" * 63),
    (rb"[0-9a-f]{64}", b"A" * 64),
    (rb'"__metadata__":{', b'"__metadata__":{"n":1,'),
    (rb'"__metadata__":{', b'"__metadata__":{"n":"1",'),
    (rb'"__metadata__":{', b'"__metadata__":{},"__metadata__":{'),
    (rb'"policy.layers.0.bias":', b'"policy.layers.0.bias":{},"policy.layers.0.bias":'),
    *(
        (rb'\\"version\\":', before + b'\\"version\\":')
        for before in (b'\\"version\\":9,', b'\\"n\\":', b"{", b"]", b",")
    ),
]  # fmt: skip
MEMBERS = [  # of the metadata, which only Python reads; the first two are JSON
    b'\\"n\\":-1.5E+3 ', b'\\"n\\": [ ] ', b'\\"v\\\\u0065rsion\\":9', b'\\"n\\":NaN', b'\\"n\\":01', b'\\"n\\":.5',
    b'\\"n\\":1.', b'\\"n\\":[1,]',
]  # fmt: skip


def with_header(header: bytes, data: bytes) -> bytes:
    """A file with this header, with its checksum recomputed if it has one."""
    digests = re.findall(rb'\\"sha256\\":\\"([0-9a-f]{64})\\"', header)
    for digest in digests:
        header = header.replace(digest, b"0" * 64)
    content = len(header).to_bytes(8, "little") + header + data
    before = b'\\"sha256\\":\\"'
    digest = hashlib.sha256(content).hexdigest().encode()
    return content.replace(before + b"0" * 64, before + digest) if digests else content


def broken_files(content: bytes) -> Iterator[tuple[str, bytes]]:
    """(what is wrong, file): damage, and what somebody who knows the format could sign."""
    rng = np.random.default_rng(0)
    size = int.from_bytes(content[:8], "little")
    text, data = content[8 : 8 + size], content[8 + size :]
    for position in {*range(24), *rng.integers(24, len(content), 400).tolist()}:
        flipped = content[position] ^ 1 << int(rng.integers(8))
        yield f"bit of byte {position}", content[:position] + bytes([flipped]) + content[position + 1 :]
    for length in {*range(10), *rng.integers(10, len(content), 60).tolist()}:
        yield f"truncated to {length}", content[:length]
    yield "lengthened", content + b"\0"
    yield "twice", content + content
    for claimed in (0, 2, size - 1, size + 1, 2**20 + 1, 2**23 + 1, 2**40, 2**63, 2**64 - 1):
        yield f"header of {claimed}", claimed.to_bytes(8, "little") + content[8:]
    for header in (
        *NO_HEADERS,
        b" " + text,
        b"\xef\xbb\xbf" + text,
        text + b" ",
        text + b"x",
        text.decode().encode("utf-16"),
    ):
        yield f"header {header[:60]!r}", with_header(header, data)
    for old, new in HEADER_EDITS:
        yield f"{old!r} -> {new!r}", with_header(re.sub(old, lambda _, new=new: new, text, count=1), data)
    header_of = json.loads(text)
    tensor = header_of["policy.layers.0.bias"]
    for key, values in {
        "shape": [[2**40], [2**62, 4], [2**63], [-1], [], [0], "x", None, [1.0], [True], [8, 1], [[8]]],
        "data_offsets": [[0, 2**42], [2**42, 2**43], [-4, 0], [8, 0], [0], [], "x", None, [0, 0], [0.0, 32.0]],
        "dtype": ["F64", "F16", "BF16", "I32", "BOOL", "f32", "", None, 1],
    }.items():
        for value in values:
            changed_header = {**header_of, "policy.layers.0.bias": {**tensor, key: value}}
            yield f"{key} {value}", with_header(json.dumps(changed_header, separators=(",", ":")).encode(), data)
    end = header_of["policy.layers.1.weight"]["data_offsets"][1]
    for bad in (np.nan, np.inf, -np.inf):
        yield f"weight {bad}", with_header(text, data[: end - 4] + np.float32(bad).tobytes() + data[end:])
    for name in ("policy.layers.1.weight", "acting.sizes", "acting.start"):
        yield f"no {name}", with_header(text.replace(name.encode(), b"x"), data)
    yield "a pickle", pickle.dumps({"weights": [1.0, 2.0]})
    yield "plain safetensors", safetensors.numpy.save({"weight": np.zeros(3)})


def unread_edits(content: bytes) -> Iterator[tuple[str, bytes]]:
    """(what is wrong, file): signed edits of what Python reads, and the C++ runtime does not."""
    size = int.from_bytes(content[:8], "little")
    text, data = content[8 : 8 + size], content[8 + size :]
    for member in MEMBERS:
        yield member.decode(), with_header(text.replace(b'\\"version\\":', member + b',\\"version\\":'), data)
    header = json.loads(text)
    for name in ("normalizer.mean", "normalizer.var", "normalizer.count"):
        end = header[name]["data_offsets"][1]
        for bad in (np.nan, np.inf, -1.0):
            yield f"{name} {bad}", with_header(text, data[: end - 8] + np.float64(bad).tobytes() + data[end:])
        yield f"no {name}", with_header(text.replace(name.encode(), b"x"), data)


def peak() -> int:
    """The most memory that this process ever had, in bytes."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])  # type: ignore[index]


def main(path: Path, env_id: str, stride: int) -> None:
    """Try every ``stride``-th of the hostile files made from the file ``path``, every other one with an environment."""
    content = path.read_bytes()
    trials, loaded, untyped, largest = 0, 0, [], len(content)
    TRPO.load(path, env_id)
    before = peak()
    warnings.simplefilter("ignore")
    files = itertools.islice(hostile_files(content), 0, None, stride)
    for (place, value, file), env in zip(files, itertools.cycle([None, env_id]), strict=False):
        path.unlink()  # ext4 waits for the disk when a file is truncated and written again
        path.write_bytes(file)
        largest = max(largest, len(file))
        trials += 1
        try:
            model = TRPO.load(path, env)
            loaded += 1
            model.predict(model.observation_space.sample())
        except TRPOFastError:
            pass
        except BaseException as error:
            untyped.append(f"{place} = {str(value)[:60]!r}, {env}: {error!r}"[:300])
    print(
        json.dumps(
            {"trials": trials, "loaded": loaded, "untyped": untyped, "grew": peak() - before, "largest": largest}
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
