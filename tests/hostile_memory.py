"""Small files that ask for much memory: seeded, of many kinds, each signed where a signature is asked for."""

import io
import json
import tracemalloc
import zipfile
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
        which = rng.choice(["observation_space", "action_space"])
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


def archive_of(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED, said: int | None = None) -> bytes:
    """A zip archive; with ``said``, each member claims to be so many bytes after decompression."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for info in archive.infolist() if said is not None else []:
            info.file_size = said
    return file.getvalue()


def pickles() -> Iterator[tuple[str, bytes]]:
    """(kind, pickle): most of a few bytes."""
    for n in (1 << 32, 1 << 40, (1 << 63) - 1):
        yield f"BINBYTES8 {n}", b"\x80\x04\x8e" + n.to_bytes(8, "little")
        yield f"BINUNICODE8 {n}", b"\x80\x04\x8d" + n.to_bytes(8, "little")
        yield f"BYTEARRAY8 {n}", b"\x80\x05\x96" + n.to_bytes(8, "little")
        yield f"FRAME {n}", b"\x80\x04\x95" + n.to_bytes(8, "little") + b"N."
    for n in (1 << 27, (1 << 32) - 1):
        yield f"BINBYTES {n}", b"\x80\x03B" + n.to_bytes(4, "little")
        yield f"BINUNICODE {n}", b"\x80\x03X" + n.to_bytes(4, "little")
        yield f"LONG4 {n}", b"\x80\x03\x8b" + n.to_bytes(4, "little")
        yield f"BINSTRING {n}", b"T" + n.to_bytes(4, "little")
        yield f"LONG_BINPUT {n}", b"Nr" + n.to_bytes(4, "little") + b"."
        yield f"PUT {n}", b"Np" + str(n).encode() + b"\n."
    yield "lists", b"\x80\x04(" + b"]" * 2_000_000 + b"l."
    yield "dicts", b"\x80\x04(" + b"}" * 2_000_000 + b"l."
    yield "objects", b"\x80\x04cnumpy\nx\n\x94(" + b"h\x00)\x81" * 300_000 + b"l."
    yield (
        "wide text",
        b"\x80\x04X" + (3_000_004).to_bytes(4, "little") + b"a" * 3_000_000 + "\U0001f600".encode() + b".",
    )
    yield "digits", b"I" + b"9" * 3_000_000 + b"\n."
    yield "marks", b"(" * 3_000_000
    text = b"\x80\x02X" + (500_000).to_bytes(4, "little") + b"a" * 500_000 + b"q\x000c_codecs\nencode\nq\x01("
    yield "one text as bytes, often", text + b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R" * 3000 + b"l."
    many = b"\x80\x04}q\x00("
    pairs = b"".join(b"M" + i.to_bytes(2, "little") + b"N" for i in range(4000))
    yield "one dict in many objects", many + pairs + b"u0cx\ny\nq\x01(" + b"h\x01)\x81h\x00b" * 2500 + b"l."
    yield (
        "one dict in many dicts",
        many + pairs + b"u0ccollections\nOrderedDict\nq\x01(" + b"h\x01h\x00\x85R" * 2500 + b"l.",
    )


def numpy_header(shape: str, dtype: str = "<f8") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def archives(data: bytes, weights: bytes) -> Iterator[tuple[str, bytes]]:
    """(kind, zip), from the members of a zip of Stable-Baselines3."""
    zeros = bytes(24 << 20)
    with zipfile.ZipFile(io.BytesIO(weights)) as archive:
        inner = {name: archive.read(name) for name in archive.namelist()}
    root = next(name for name in inner if name.endswith("data.pkl")).removesuffix("data.pkl")
    yield "data of zeros", archive_of({"data": zeros, "policy.pth": weights})
    yield "weights of zeros", archive_of({"data": data, "policy.pth": zeros})
    yield "a bomb that says it is small", archive_of({"data": zeros, "policy.pth": zeros}, said=10)
    for name in (f"{root}data.pkl", f"{root}byteorder", f"{root}data/0"):
        bomb = archive_of({**inner, name: zeros})
        yield f"{name} of zeros", archive_of({"data": data, "policy.pth": bomb})
    yield "many members", archive_of({f"{i}": b"" for i in range(60_000)})
    for kind, value in {"lists": b"[" + b"[]," * 500_000 + b"[]]", "dicts": b"[" + b"{}," * 500_000 + b"{}]"}.items():
        yield kind, archive_of({"data": value, "policy.pth": weights})
    for value in (b"[]", b"3", b'"x"', b"null", b'{"policy_kwargs": 3}', b'{"policy_kwargs": {"activation_fn": {}}}'):
        yield f"data {value!r}", archive_of({"data": value, "policy.pth": archive_of(inner)})
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield f"compression {compression}", archive_of({"data": data, "policy.pth": weights}, compression)
    for kind, content in pickles():
        forged = archive_of({**inner, f"{root}data.pkl": content}, zipfile.ZIP_STORED)
        yield f"weights {kind}", archive_of({"data": data, "policy.pth": forged}, zipfile.ZIP_STORED)


def npz_files() -> Iterator[tuple[str, bytes]]:
    """(kind, .npz file) of statistics."""
    three = numpy_header("(3,)") + bytes(24)
    rest = {"var.npy": three, "count.npy": numpy_header("()") + bytes(8)}
    for shape in ("(1099511627776,)", "(2147483648, 4)", "(-1,)", "'x'", "()", "(0, 1099511627776)", "[3]", "(3.0,)"):
        yield f"shape {shape}", archive_of({"mean.npy": numpy_header(shape) + bytes(24), **rest})
    for dtype in ("01f4", "O", "V8", "S8", "<U2", "c16", "M8[s]", "f99", "<f8, <f8", "", "g"):
        yield f"dtype {dtype}", archive_of({"mean.npy": numpy_header("(3,)", dtype) + bytes(24), **rest})
    zeros = numpy_header("(3145728,)") + bytes(24 << 20)
    yield "zeros", archive_of({**rest, "mean.npy": zeros, "var.npy": zeros})
    small = numpy_header("(3000000,)", "|i1") + bytes(3_000_000)
    yield "bytes", archive_of({**rest, "mean.npy": small, "var.npy": small}, zipfile.ZIP_STORED)
    yield "a header of brackets", archive_of({"mean.npy": numpy_header("(" * 9000), **rest})
    yield "no arrays", archive_of({})
    yield "nothing", b""


def alias_bomb(merge: bool) -> str:
    """Ten levels of ten aliases each."""
    if merge:
        levels = [f"a{i}: &a{i}\n  <<: [{','.join([f'*a{i - 1}'] * 10)}]\n  k{i}: 1\n" for i in range(1, 10)]
        return "a0: &a0 {x: 1}\n" + "".join(levels)
    return "- &a0 [x]\n" + "".join(f"- &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))


SETTINGS = {  # files of settings, in YAML
    "items": "[" + "a," * 60_000 + "a]",
    "lines": "a: b\n" * 30_000,
    "aliases": alias_bomb(merge=False),
    "merged aliases": alias_bomb(merge=True),
    "levels": "[" * 300 + "]" * 300,
    "sparse": "CartPole-v1:",
    "no characters": "CartPole-v1:\n  gamma: \x07",
}
