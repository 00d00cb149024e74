"""Load policy files of hostile metadata that are signed; says how many, what was not a typed error, and peak memory.

A program of its own, run by test_policy_file.py: peak memory is that of a process.
"""

import copy
import hashlib
import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

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
    content = len(inner).to_bytes(8, "little") + inner + data
    return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode())


def peak() -> int:
    """The most memory that this process ever had, in bytes."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])  # type: ignore[index]


def main(path: Path, env_id: str) -> None:
    """Try every hostile value at every place of the file ``path``, without an environment and with one."""
    sys.set_int_max_str_digits(0)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    metadata = json.loads(header["__metadata__"]["trpo_fast"])
    sys.set_int_max_str_digits(4300)
    values = [*HOSTILE, nested(900), nested(200)]
    rng = np.random.default_rng(0)
    trials, loaded, untyped, largest = 0, 0, [], len(content)
    TRPO.load(path, env_id)
    before = peak()
    warnings.simplefilter("ignore")
    for place in nodes(metadata):
        for value in values if len(place) < 3 else [values[i] for i in rng.integers(len(values), size=3)]:
            path.write_bytes(signed(header, data, changed(metadata, place, value)))
            largest = max(largest, path.stat().st_size)
            for env in (None, env_id):
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
    main(Path(sys.argv[1]), sys.argv[2])
