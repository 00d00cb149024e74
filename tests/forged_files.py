"""Signed files at the edge of what is a policy: two readers that are not alike differ here first."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from hostile_files import changed, with_header

from trpo_fast import Policy, save_policy
from trpo_fast.nets import Conv2d, Dense, Parallel
from trpo_fast.storage.policy_file import load_policy_file, to_bytes

BOX = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
# what takes the place of a tensor of no numbers behind the others; N is where the data end
ENTRIES = [
    '{"dtype":"F32","shape":[0],"data_offsets":[N,N]}',
    *(
        f'{{"dtype":"F32","shape":{shape},"data_offsets":[N,N]}}'
        for shape in (
            [0, 2**62, 2**62], [0, 2**63], [2**61, 0], [0, 2**40], [0, 2**40, 1], [2**20, 2**20, 0], [2**20, 2**21, 0],
            [1] * 31 + [0], [1] * 32 + [0], [1] * 64 + [0], "[-0]", "[0.0]", "[0e0]", "[]", "0", "null", "[[0]]",
            "[00]", "[0,01]",
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
    '{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[N,N]}', '{"dtype":"F32","shape":[0]}',
    '{"dtype":"F32","shape":[0],"shape":[0],"data_offsets":[N,N]}', '{"shape":[0],"data_offsets":[N,N]}',
    '{"dtype":"F32","shape":[0],"data_offsets":[N],"data_offsets":[N]}', '{"dtype":"F32","data_offsets":[N,N]}',
    '{"dtype":"F32","shape":[0],"data_offsets":[]}', '{"dtype":"F32","shape":[0],"data_offsets":[0]}',
    '{"dtype":{"F32":null},"shape":[0],"data_offsets":[N,N]}', '["F32",[0],[N,N]]', "null", "1", '"x"', "{}",
    '{"dtype":"F32","shape":[0],"data_offsets":[N,N,N]}', '{"dtype":"F32","shape":[0],"data_offsets":[N,-0]}',
]  # fmt: skip
VERSIONS = ("4.0", "4e0", "04", "true", "3", "5", "-4", '"4"')
METADATA = [
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


class Whole(NamedTuple):
    """A small policy file, in parts."""

    header: dict[str, Any]
    metadata: dict[str, Any]
    data: bytes


def whole(folder: Path, observation_space: Any = BOX, action_space: Any = BOX, **options: Any) -> Whole:
    """The file of a policy; ``folder`` is where it is written."""
    policy = Policy(observation_space, action_space, net_arch=[2], **options)
    save_policy(folder / "whole", policy, policy.initial_parameters(0))
    content = (folder / "whole.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    return Whole(header, json.loads(header.pop("__metadata__")["trpo_fast"]), content[8 + size :])


def forged(header: Any, metadata: Any, data: bytes, old: str = "", new: str = "", *, inner: bool = False) -> bytes:
    """A signed file of these parts, ``old`` replaced by ``new`` in the text of the header, or of the metadata."""
    text = json.dumps({**metadata, "sha256": "0" * 64}, sort_keys=True, separators=(",", ":"))
    text = text.replace(old, new) if inner else text
    outer = json.dumps({"__metadata__": {"trpo_fast": text}, **header}, separators=(",", ":"))
    return with_header((outer if inner else outer.replace(old, new)).encode(), data)


def forged_headers(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(what is forged, file): what all readers read."""
    header, metadata, data = whole(folder)
    yield "nothing", forged(header, metadata, data)
    for entry in ENTRIES:
        place = {**header, "more": "HERE"}
        yield f"tensor {entry}"[:80], forged(place, metadata, data, '"HERE"', entry.replace("N", str(len(data))))
    for value in VERSIONS:
        edited = changed(metadata, ("version",), "HERE")
        yield f"version {value}", forged(header, edited, data, '"HERE"', value, inner=True)
    digest = [7] * 64
    decoy = json.dumps(f'"sha256":"{digest}"')[1:-1].encode()
    more = {"dtype": "U8", "shape": [len(decoy)], "data_offsets": [len(data), len(data) + len(decoy)]}
    content = forged({**header, "more": more}, metadata, data + decoy)
    digits = content.split(b'sha256\\":\\"')[1][:64]
    yield "a digest that is a list", content.replace(b'\\"' + digits + b'\\"', str(digest).encode())


def forged_metadata(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(what is forged, file): spaces and settings, which the C++ runtime does not read."""
    header, metadata, data = whole(folder)
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
    for part, descriptions in (("observation_space", OBSERVATIONS), ("action_space", ACTIONS)):
        for fitting, space in descriptions:
            pair = (fitting, BOX) if part == "observation_space" else (BOX, fitting)
            header, metadata, data = whole(folder, *pair)
            yield f"{part} {json.dumps(space)}"[:200], forged(header, {**metadata, part: space}, data)


PAIR = gym.spaces.MultiDiscrete([2, 3], start=[1, -1])
ONE = gym.spaces.Box(-1.0, 1.0, (1,))
IMAGES = gym.spaces.Dict(a=ONE, b=gym.spaces.Box(0, 255, (1, 3, 4), np.uint8), c=ONE)
BRANCHES = Parallel({"a": Dense(2), "b": Conv2d(3, (3, 2), padding=1)})
FORMS = {  # what the forms below are of: observations, actions, options
    "box": (BOX, BOX, {}),
    "squash": (BOX, BOX, {"squash": True}),
    "std output": (BOX, BOX, {"state_dependent_std": True}),
    "float64": (BOX, BOX, {"dtype": "float64"}),
    "choices": (BOX, PAIR, {}),
    "masked": (BOX, PAIR, {"use_masking": True}),
    "bits": (BOX, gym.spaces.MultiBinary(4), {}),
    "images": (IMAGES, BOX, {"features_extractor": BRANCHES}),
}
LEAST, MOST = -(2**63), 2**63 - 1
NAN, INF = float("nan"), float("inf")
IMPOSSIBLE = {  # tensor -> what it cannot be, in files of any form that has it
    "acting.sizes": [
        np.array(sizes, np.int64)
        for sizes in (
            [], [2], [2, 2, 2, 2], [0, 2, 2], [2, 0, 2], [2, -2, 2], [LEAST, 2, 2], [2, MOST, 2], [2, 2, 2**30],
            [2**62, 4, 2], [2, 2**32 + 2, 2], [1, 2, 2], [2, 2, 1], [[2, 2, 2]],
        )
    ],
    "acting.activation": [np.int64(value) for value in (-1, 5, 2**32 + 1, LEAST, MOST)],
    "acting.action_kind": [np.int64(value) for value in (-1, 3, 2**32, LEAST, MOST)],
    "acting.mean_high": [np.float32(value) for value in ([0.0, NAN], [INF, 0.0], [0.0, -INF], [0.0], [0.0] * 3, [])],
    "acting.mean_low": [np.float32(value) for value in ([0.0, NAN], [INF, 0.0], [0.0, -INF], [0.0], [0.0] * 3, [])],
    "acting.inv_std": [
        np.float32(value)
        for value in ([1.0, NAN], [INF, 1.0], [1.0, -INF], [-1.0, 1.0], [1.0, -1e-45], [1.0], [1.0] * 3, [])
    ],
    "acting.clip": [np.float32(value) for value in (0.0, -0.0, -1.0, NAN, -INF, [10.0], [])],
    "acting.low": [
        np.float32(value) for value in ([NAN, 0.0], [INF, 0.0], [2.0, 0.0], [0.0, 1.0000001], [0.0], [0.0] * 3, [])
    ],
    "acting.high": [
        np.float32(value) for value in ([NAN, 0.0], [-INF, 0.0], [-2.0, 0.0], [0.0, -1.0000001], [0.0], [0.0] * 3, [])
    ],
    "acting.squash": [np.int64(value) for value in (-1, 2, 2**32, MOST, [0])],
    "acting.num_choices": [
        np.array(value, np.int64)
        for value in (
            [2, 2], [5], [0, 5], [-1, 6], [6, -1], [LEAST, MOST], [MOST, MOST], [2**62, 2**62], [2**32 + 2, 3],
            [2**20 + 1, 2], [2, 3, 0], [1] * 5, [], [[2, 3]], 5,
        )
    ],
    "acting.start": [
        np.array(value, np.int64)
        for value in (
            [2**24 - 1, 0], [0, 2**24], [-(2**24) - 1, 0], [MOST, 0], [0, LEAST], [MOST - 1, 0], [0], [0, 0, 0], [], 0,
        )
    ],
    "acting.is_masked": [np.int64(value) for value in (-1, 2, 2**32, MOST, [0])],
    "policy.layers.0.weight": [np.zeros(shape, np.float32) for shape in ((2, 3), (4,), (1, 2, 2), (2, 0), (0, 2))],
    "policy.layers.1.bias": [np.float32(value) for value in ([NAN] * 2, [INF] * 2, [0.0], [[0.0, 0.0]])],
    "policy.log_std": [np.float32(value) for value in ([NAN] * 2, [-INF, 0.0], [0.0], [[0.0, 0.0]])],
}  # fmt: skip
POSSIBLE = [  # (form, tensor, value): it can act, but as another policy than the one that the metadata describe
    *((form, "acting.sizes", np.array([2, 2])) for form in ("box", "squash", "bits")),
    *((form, "acting.activation", np.int64(value)) for form in ("box", "masked") for value in (0, 2, 3, 4)),
    *(("box", name, np.float32([1.0, 3e38])) for name in ("acting.mean_high", "acting.mean_low", "acting.inv_std")),
    ("box", "acting.inv_std", np.float32([0.0, 0.0])),
    ("box", "acting.mean_high", np.float32([0.0, -0.0])),
    *(("box", "acting.clip", np.float32(value)) for value in (1e-45, 9.999999, INF)),
    *(("box", "acting.low", np.float32(value)) for value in ([-INF, -INF], [1.0, 1.0], [-1.0, -0.99999994])),
    ("squash", "acting.high", np.float32([3e38, 3e38])),
    ("box", "acting.squash", np.int64(1)),
    ("squash", "acting.squash", np.int64(0)),
    *((form, "acting.action_kind", np.int64(2)) for form in ("box", "squash", "std output", "choices", "masked")),
    *(("choices", "acting.num_choices", np.array(value)) for value in ([3, 2], [1, 4])),
    *(("masked", "acting.start", np.array(value)) for value in ([2**24 - 2, 0], [-(2**24), -1], [1, 0])),
    ("choices", "acting.is_masked", np.int64(1)),
    ("masked", "acting.is_masked", np.int64(0)),
    ("box", "acting.more", np.float32([1.0])),
    *(("images", "acting.scales", np.float32([value])) for value in (1e-45, 1.0, 3e38)),
]
CONTRADICTORY = [  # with the other tensors of the form
    ("squash", "acting.low", np.float32([-INF, -1.0])),
    ("squash", "acting.high", np.float32([1.0, INF])),
    ("bits", "acting.action_kind", np.int64(0)),
    ("bits", "acting.action_kind", np.int64(1)),
    ("box", "acting.action_kind", np.int64(1)),
    ("choices", "acting.action_kind", np.int64(0)),
]


def impossible_nodes(name: str, tensor: Any) -> Iterator[Any]:
    """What a tensor of a table of nodes, of the form "images", cannot be."""
    numbers: dict[tuple[int, ...], list[int]] = {}
    if name == "acting.nodes":
        for i, (kind, _, _, *sizes) in enumerate(tensor.tolist()):
            numbers[i, 0] = [-1, 4, MOST, *{0, 1, 2, 3} - {kind}]
            numbers[i, 1] = [-1, 5, 2**32, MOST, *([1, 2] if kind > 1 else [])]
            numbers[i, 2] = [-1, 0, 4, 2**32 + 1, MOST]
            for j, size in enumerate(sizes):
                may_be_another = kind == 3 and j == 0  # where columns begin
                numbers[i, 3 + j] = [-1, *([LEAST, MOST, 2**32 + size, 2**30] if kind == 1 else [])]
                numbers[i, 3 + j] += [2] if may_be_another else [size + 1, *([0] if size else [])]
        yield tensor[:-1]
        yield np.vstack([tensor, tensor[-1:]])
        yield tensor[:, :-1]
    elif name == "acting.buffers":
        numbers |= {(i,): [-1, len(tensor), MOST] for i in range(len(tensor))}
        yield tensor[:-1]
        yield np.append(tensor, 0)
    elif name == "acting.images":
        numbers |= {(0, j): [-1, 0, size + 1, 2**32 + size, MOST] for j, size in enumerate(tensor[0].tolist())}
        yield np.vstack([tensor, tensor])
        yield tensor[:0]
    elif name == "acting.scales":
        yield from (np.float32([value]) for value in (0.0, -0.0, -1.0, NAN, INF, -INF))
    elif name == "acting.names":
        text = tensor.tobytes()
        others = [text[:-1], text[1:], text + b"\nlayers.1", b"\n" + text, text.replace(b"\n", b"\n\n", 1)]
        yield from (np.frombuffer(other, np.uint8) for other in others)
    for index, values in numbers.items():
        for value in values:
            edited = tensor.copy()
            edited[index] = value
            yield edited


def forged_forms(folder: Path) -> Iterator[tuple[str, bytes, bool]]:
    """(what is forged, file, whether the C++ runtime can act by it): the tensors that it acts by.

    Python must refuse all of them, because they contradict the metadata.
    """
    path = folder / "form.safetensors"
    files = {}
    for form, (observation_space, action_space, options) in FORMS.items():
        policy = Policy(observation_space, action_space, net_arch=[2], **options)
        save_policy(path, policy, policy.initial_parameters(0))
        files[form] = load_policy_file(path)

    def edited(form: str, name: str, value: Any) -> bytes:
        tensors, metadata = files[form]
        return to_bytes({**tensors, name: np.asarray(value)}, metadata)

    for edits, is_possible in ((POSSIBLE, True), (CONTRADICTORY, False)):
        for form, name, value in edits:
            yield f"{form}: {name} {value}", edited(form, name, value), is_possible
    for form, (tensors, metadata) in files.items():
        for name in [name for name in tensors if not name.startswith(("normalizer", "interface"))]:
            tensor = tensors[name]
            kinds = {np.dtype(kind) for kind in (np.int32, np.int64, np.uint64, np.float16, np.float32, np.float64)}
            others = [tensor.astype(kind) for kind in kinds - {tensor.dtype}]
            wrong = [*IMPOSSIBLE.get(name, []), *impossible_nodes(name, tensor)]
            for value in [*wrong, *others, tensor[None], np.zeros(0, tensor.dtype)]:
                yield f"{form}: {name} {value.dtype} {value}", edited(form, name, value), False
            yield f"{form}: no {name}", to_bytes({k: v for k, v in tensors.items() if k != name}, metadata), False


def _bytes(text: str | bytes) -> Any:
    return np.frombuffer(text if isinstance(text, bytes) else text.encode(), np.uint8)


LONG = "n" * ((1 << 16) - 2)
INTERFACES = {  # tensor -> values of a policy of two numbers and two actions, and whether each may be
    **{
        f"interface.{name}": [
            *((_bytes(text), True) for text in (
                "a\nb", "é\n\U0001f916", "a b\n \"\\?*/", "a[t-1]\na[t]", f"{LONG}\nb",
            )),
            *((_bytes(text), False) for text in (
                "a", "a\nb\nc", "a\nb\n", "a\na", "\nb", "a\n", "\n", "", "a,b\nc", "a\tb\nc", "a\rb\nc", "a\0b\nc",
                "a\x7fb\nc", "a\x85b\nc", "a\xa0b\nc", "a\u200bb\nc", "a\u202eb\nc", "a\u2028b\nc", "a\ufeffb\nc",
                "a\ue000b\nc", "a\uffffb\nc", "a\U000e0001b\nc", f"{LONG}n\nb", b"a\xff\nb", b"a\n\xc3", b"\xc0\x80\nb",
                b"\xe0\x80\xaf\nb", b"\xed\xa0\x80\nb", b"\xf4\x90\x80\x80\nb", b"\xf0\x9f\xa4\nb", b"\xc3(\nb",
                b"\x80\nb", b"\xf8\x88\x80\x80\x80\nb",
            )),
            (_bytes("a\nb")[None], False), (_bytes("a\nb").astype(np.int8), False), (np.int64([97, 98]), False),
        ]
        for name in ("observation_names", "action_names")
    },
    **{
        f"interface.{name}": [
            *((_bytes(text), True) for text in ("m\nm", "\n", "rad/s\n", "°\n%")),
            *((_bytes(text), False) for text in ("m", "", "m\nm\nm", "m,m\nm", "m\t\nm", b"\xff\nm", f"{LONG}mm\nm")),
        ]
        for name in ("observation_units", "action_units")
    },
    "interface.environment": [
        *((_bytes(text), True) for text in ("Hopper-v5", "a/B-v0, é", "", "n" * (1 << 16))),
        *((_bytes(text), False) for text in ("a\nb", b"\xff", "n" * (1 << 16) + "n")),
    ],
    "interface.control_period": [
        *((np.float64(value), value in (0.01, 1e-300, 1e300)) for value in (0.01, 1e-300, 1e300, 0.0, -0.1, NAN, INF)),
        (np.float64([0.01]), False), (np.float32(0.01), False), (np.int64(1), False),
    ],
    "interface.frame_stack": [
        (np.int64(1), True), *((value, False) for value in (np.int64(0), np.int64(LEAST), np.int64([1]), np.int32(1))),
    ],
}  # fmt: skip
SCALES = [  # scale, offset, and whether they may be; None: it is not there
    (np.float64([1, 2]), np.float64([0, 0]), True), (np.float64([3.4e38, 0]), np.float64([-3.4e38, 1]), True),
    *(
        (np.float64(scale), np.float64([0, 0]), False)
        for scale in ([1], [1, 2, 3], [NAN, 1], [1, INF], [1, 3.5e38], [], 1)
    ),
    (np.float64([1, 2]), None, False), (None, np.float64([1, 2]), False), (np.float64([]), None, False),
    (np.float64([]), np.float64([]), False), (np.float32([1, 2]), np.float64([0, 0]), False),
]  # fmt: skip


def forged_interfaces(folder: Path) -> Iterator[tuple[str, bytes, bool]]:
    """(what is forged, file, whether it may be): what a file says of the numbers of its policy, for all readers."""
    save_policy(folder / "plain", policy := Policy(BOX, BOX, net_arch=[2]), policy.initial_parameters(0))
    tensors, metadata = load_policy_file(folder / "plain.safetensors")
    for name, values in INTERFACES.items():
        for value, is_possible in values:
            yield (
                f"{name} {value.dtype} {value.tobytes()[:40]}",
                to_bytes({**tensors, name: value}, metadata),
                is_possible,
            )
    for scale, offset, is_possible in SCALES:
        given = {"interface.action_scale": scale, "interface.action_offset": offset}
        given = {name: np.asarray(value) for name, value in given.items() if value is not None}
        yield f"{given}", to_bytes({**tensors, **given}, metadata), is_possible
    yield "unknown", to_bytes({**tensors, "interface.more": np.zeros(3)}, metadata), True
