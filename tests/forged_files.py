"""Signed files at the edge of what is a policy: two readers that are not alike differ here first."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from hostile_files import changed, with_header

from trpo_fast import Policy, save_policy

BOX = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
# what takes the place of a tensor of no numbers behind the others; N is where the data end
ENTRIES = [
    '{"dtype":"F32","shape":[0],"data_offsets":[N,N]}',
    *(
        f'{{"dtype":"F32","shape":{shape},"data_offsets":[N,N]}}'
        for shape in (
            [0, 2**62, 2**62], [0, 2**63], [2**61, 0], [0, 2**40], [0, 2**40, 1], [2**20, 2**20, 0], [2**20, 2**21, 0],
            [1] * 31 + [0], [1] * 32 + [0], [1] * 64 + [0], "[-0]", "[0.0]", "[0e0]", "[]", "0", "null", "[[0]]",
        )
    ),
    *(
        f'{{"dtype":"{dtype}","shape":[0],"data_offsets":[N,N]}}'
        for dtype in ("BF16", "F8_E4M3", "C64", "F4", "F16", "I4", "F8_E8M0", "BOOL", "f32")
    ),
    *(
        f'{{"dtype":"F32","shape":[0],"data_offsets":[N,N],"x":{more}}}'
        for more in ("1e999", "1e-999", "9" * 400, '"\\ud800"', "null", "[" * 120 + "]" * 120, "[" * 126 + "]" * 126)
    ),
    '{"dtype":{"F32":null},"shape":[0],"data_offsets":[N,N]}', '["F32",[0],[N,N]]', "null", "1", '"x"', "{}",
    '{"dtype":"F32","shape":[0],"data_offsets":[N,N,N]}', '{"dtype":"F32","shape":[0],"data_offsets":[N,-0]}',
]  # fmt: skip
METADATA = [
    *((("version",), value) for value in ("3.0", "3e0", "03", "true", "4", "-3")),
    *(
        (("arguments", "policy_kwargs", "log_std_init"), value)
        for value in ("9" * 400, "1e999", "2.00000000000000000001", "-20", "2", "2.5", "-0", "-0.0", "true")
    ),
]
BOUNDS = [  # dtype, the first bounds of an action or observation; the second are -1 and 1 (0 and 1)
    *(("float32", low, high) for low, high in (
        ("inf", "inf"), ("-inf", "-inf"), ("-inf", "inf"), ("-01", "1"), ("-00.5", "1"), ("-1", "1" + "5" * 5000),
        ("-1", "1" + "5" * 37), ("1.00000001", "1.0"), ("-1", "1E5"), ("-1", "1e5"), ("-1.", "1"), ("nan", "1"),
        ("0", "-0.0"), ("-1\n", "1"), ("-1", "+1"), ("-1", "3.4028235e+38"), ("-1", "3.4028234663852886e+38"),
        ("-1", "1e39"), ("-1", "1e999"), ("-0.1", "1"), ("-0.10000000149011612", "1"), ("1", "0"), ("-1", "1_0"),
        ("-1", " 1"),
    )),
    *(("float64", low, high) for low, high in (("-0.1", "1e308"), ("-1", "1e309"), ("-5e-324", "5e-324"), ("-0", "0"))),
    *(("float16", low, high) for low, high in (
        ("1.0001", "1.0"), ("-70000", "1"), ("-65504.0", "65504.0"), ("-65505", "1"), ("-5.960464477539063e-08", "1"),
        ("-2.9802322387695312e-08", "1"), ("-6.103515625e-05", "1"), ("-0.0999755859375", "1"), ("-0.1", "1"),
    )),
]  # fmt: skip
INTEGER_BOUNDS = [
    ("uint64", str(2**63 + 1), str(2**63)), ("uint64", str(2**63), str(2**63 + 1)), ("uint64", "0", str(2**64)),
    ("int64", str(2**53 + 1), str(2**53)), ("int64", str(-(2**63)), str(2**63 - 1)), ("int64", str(-(2**63) - 1), "0"),
    ("int64", str(-(2**53)), str(-(2**53) - 1)), ("int64", "-inf", "inf"), ("int64", "007", "9"), ("int64", "0.0", "9"),
    ("uint8", "-0", "9"), ("uint8", "0", "256"), ("uint8", "-1", "9"), ("bool", "0", "1"), ("bool", "0", "2"),
    ("int8", "-128", "127"), ("int8", "-129", "0"), ("int16", "0", "9" * 41),
]  # fmt: skip


def box(shape: list[int], size: int = 0) -> dict[str, Any]:
    return {"type": "Box", "shape": shape, "dtype": "float32", "low": ["-1"] * size, "high": ["1"] * size}


def both(*parts: Any) -> dict[str, Any]:
    return {"type": "Tuple", "spaces": list(parts)}


def named(*parts: Any) -> dict[str, Any]:
    return {"type": "Dict", "spaces": list(parts)}


TWO = box([2], 2)
THREE = {"type": "Discrete", "n": 3, "start": 0, "dtype": "int64"}
PAIRS = {"type": "MultiDiscrete", "nvec": [2, 3], "start": [0, 0], "dtype": "int64"}
BITS = {"type": "MultiBinary", "n": 4}
OBSERVATIONS = [  # (space that the tensors fit, description)
    *((BOX, both({**TWO, "shape": shape})) for shape in ([1] * 31 + [2], [1] * 32 + [2], [-1], [1])),
    *((BOX, both(box(shape), TWO)) for shape in ([0], [0, 5], [5, 0], [0, 2**40], [0, 2**63], [0, 2**62, 2**62])),
    *((BOX, both(first, TWO)) for first in (both(), named(), {**box([1, 0, 2]), "dtype": "uint8"})),
    *((BOX, space) for space in (
        both(TWO), both(TWO, both()), both(), named(), named(["a", TWO]), named(["", TWO]), named(["\ud800", TWO]),
        named([1, TWO]), named(["a"]),
        named({"a": 1, "b": 2}), named(["a", box([1], 1)], ["a", box([1], 1)]),
        named(["\ud800\udc00", both()], ["\U00010000", TWO]),
        {**TWO, "shape": [1, 1, 2], "dtype": "uint8", "low": ["0", "0"]},
    )),
    (gym.spaces.Box(-1.0, 1.0, (1,)), box([], 1)), (gym.spaces.Box(-1.0, 1.0, (1,)), named(["a", box([], 1)])),
    (gym.spaces.Box(-1.0, 1.0, (1,)), {**named(["a", box([], 1)]), "shape": 1}),
    *((gym.spaces.Discrete(3), {**THREE, **more}) for more in (
        {}, {"shape": []}, {"start": 2**63, "dtype": "uint64"}, {"start": 127, "dtype": "int8"}, {"start": 2**63 - 1},
        {"start": [0]}, {"n": [3]}, {"start": 128, "dtype": "int8"}, {"dtype": "bool"}, {"dtype": "float32"},
    )),
    *((gym.spaces.MultiDiscrete([2, 3]), {**PAIRS, **more}) for more in (
        {}, {"start": [2**63 - 1, 0]}, {"nvec": [[2, 3]], "start": [[0, 0]]}, {"nvec": [[2], [3]], "start": [[0], [0]]},
        {"nvec": [[2], 3]}, {"nvec": [2, [3]]}, {"nvec": [[2, 3], []]}, {"start": 0},
        {"dtype": "uint64", "start": [2**63, 0]},
    )),
    *((gym.spaces.MultiBinary(4), {**BITS, **more}) for more in (
        {}, {"n": [4]}, {"n": [2, 2]}, {"shape": 0}, {"n": [1] * 31 + [4]}, {"n": [1] * 32 + [4]}, {"n": [[4]]},
        {"n": []},
    )),
]  # fmt: skip
ACTIONS = [
    *((BOX, space) for space in (TWO, {**TWO, "spaces": []}, {**TWO, "shape": [2, 1]}, both(TWO), named(["a", TWO]))),
    (gym.spaces.Box(-1.0, 1.0, (1,)), box([], 1)),
    *((gym.spaces.Discrete(3), {**THREE, **more}) for more in (
        {}, {"spaces": []}, {"start": 2**63 - 1}, {"start": 2**40}, {"start": 2**63, "dtype": "uint64"},
        {"start": True},
    )),
    *((gym.spaces.MultiDiscrete([2, 3]), {**PAIRS, **more}) for more in (
        {}, {"start": [2**63 - 1, 0]}, {"start": [127, 0], "dtype": "int8"}, {"nvec": [[2, 3]], "start": [[0, 0]]},
    )),
    *((gym.spaces.MultiBinary(4), {**BITS, **more}) for more in ({}, {"n": [4]}, {"n": [2, 2]}, {"n": [1, 4]})),
]  # fmt: skip


def forged_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(what is forged, file); ``folder`` is for files that they are made of."""

    def parts_of(observation_space: Any, action_space: Any) -> tuple[dict[str, Any], Any, bytes]:
        policy = Policy(observation_space, action_space, net_arch=[2])
        save_policy(folder / "whole", policy, policy.initial_parameters(0))
        content = (folder / "whole.safetensors").read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        return header, json.loads(header.pop("__metadata__")["trpo_fast"]), content[8 + size :]

    def forged(header: Any, metadata: Any, data: bytes, old: str = "", new: str = "", *, inner: bool = False) -> bytes:
        text = json.dumps({**metadata, "sha256": "0" * 64}, sort_keys=True, separators=(",", ":"))
        text = text.replace(old, new) if inner else text
        outer = json.dumps({"__metadata__": {"trpo_fast": text}, **header}, separators=(",", ":"))
        return with_header((outer if inner else outer.replace(old, new)).encode(), data)

    header, metadata, data = parts_of(BOX, BOX)
    yield "nothing", forged(header, metadata, data)
    for entry in ENTRIES:
        place = {**header, "more": "HERE"}
        yield f"tensor {entry}"[:80], forged(place, metadata, data, '"HERE"', entry.replace("N", str(len(data))))
    for path, value in METADATA:
        yield f"{path} {value}"[:80], forged(header, changed(metadata, path, "HERE"), data, '"HERE"', value, inner=True)
    for part in ("observation_space", "action_space"):
        for dtype, low, high in BOUNDS:
            for squash in (False, True):
                bounds = {"dtype": dtype, "low": [low, "-1"], "high": [high, "1"]}
                edited = changed(metadata, (part,), {**metadata[part], **bounds})
                edited = changed(edited, ("arguments", "policy_kwargs", "squash"), squash)
                yield f"{part} {dtype} {low} {high} {squash}"[:80], forged(header, edited, data)
    for dtype, low, high in INTEGER_BOUNDS:
        bounds = {"dtype": dtype, "low": [low, "0"], "high": [high, "1"]}
        edited = changed(metadata, ("observation_space",), {**metadata["observation_space"], **bounds})
        yield f"observations {dtype} {low} {high}"[:80], forged(header, edited, data)
    digest = [7] * 64
    decoy = json.dumps(f'"sha256":"{digest}"')[1:-1].encode()
    more = {"dtype": "U8", "shape": [len(decoy)], "data_offsets": [len(data), len(data) + len(decoy)]}
    whole = forged({**header, "more": more}, metadata, data + decoy)
    digits = whole.split(b'sha256\\":\\"')[1][:64]
    yield "a digest that is a list", whole.replace(b'\\"' + digits + b'\\"', str(digest).encode())
    for part, descriptions in (("observation_space", OBSERVATIONS), ("action_space", ACTIONS)):
        for fitting, space in descriptions:
            pair = (fitting, BOX) if part == "observation_space" else (BOX, fitting)
            header, metadata, data = parts_of(*pair)
            yield f"{part} {json.dumps(space)}"[:200], forged(header, {**metadata, part: space}, data)
