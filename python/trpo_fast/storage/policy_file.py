"""The policy file: safetensors with a SHA-256 over header and data. Loading one executes nothing.

The header's ``__metadata__`` holds one key, "trpo_fast": canonical JSON (sorted keys, no spaces) with a "sha256" of 64
hex digits. The digest is that of the whole file with those digits set to "0", so equal models are equal bytes and a
flipped bit anywhere is found. Other safetensors readers can open the file. docs/robotics.md lists the tensors.
"""

import hashlib
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from trpo_fast._core import strict_json
from trpo_fast._core.files import replace_file
from trpo_fast.errors import InvalidArgumentError, PolicyFileError
from trpo_fast.validation import check_path, describe, is_shape

SUFFIX = ".safetensors"
FORMAT = "trpo_fast.policy"
VERSION = 4
READABLE = (3, 4)  # versions of the file
MAX_HEADER = 1 << 23  # bytes
MAX_UNPLAIN = 1 << 20  # bytes of the header of a version 3 with other characters, which take four times as much
_DTYPES = {
    name: np.dtype(code)
    for name, code in {
        "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "U32": "<u4", "I32": "<i4",
        "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8", "C64": "<c8",
    }.items()
}  # fmt: skip
_KEY = "trpo_fast"
_UNSIGNED = "0" * 64
Tensors = dict[str, npt.NDArray[Any]]


def save_policy_file(path: Path, tensors: Tensors, metadata: dict[str, Any], *, previous: Path | None = None) -> None:
    """Write ``tensors`` and ``metadata`` (plain JSON values) so that ``path`` is at any moment the old or the new file.

    With ``previous`` the old file is kept there.

    Raises
    ------
    OSError
        If the file cannot be written; an old one is left as it was.
    """
    replace_file(path, to_bytes(tensors, metadata), previous=previous)


def to_bytes(tensors: Tensors, metadata: dict[str, Any]) -> bytes:
    """The content of the file that ``save_policy_file`` writes.

    Raises
    ------
    PolicyFileError
        If the header would be larger than ``load_policy_file`` reads.
    """
    text = json.dumps(
        {**metadata, "sha256": _UNSIGNED},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
        default=np.generic.item,  # NumPy scalars among the settings
    )
    content = safetensors.numpy.save({k: np.require(v, requirements="C") for k, v in tensors.items()}, {_KEY: text})
    size = int.from_bytes(content[:8], "little")
    if size > MAX_HEADER:
        raise PolicyFileError(f"policy file: expected a header of at most {MAX_HEADER} bytes, got {size}")
    begin = 8 + _read_header(content[8 : 8 + size], None)[1]
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[:begin] + digest + content[begin + len(digest) :]


def load_policy_file(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and metadata of a file that ``save_policy_file`` wrote.

    What the header says is checked before the rest is read. In memory is then the file, and at most
    ``strict_json.MAX_COST`` for each of the header and the metadata.

    Raises
    ------
    PolicyFileError
        If the file is not one of ours, is damaged, or has a version that cannot be read.
    FileNotFoundError
    """
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        head = file.read(8)
        size = int.from_bytes(head, "little")
        if len(head) < 8 or size > min(MAX_HEADER, length - 8):
            raise PolicyFileError(f"{path}: expected a policy file, got one without a readable header")
        header = file.read(size)
        entries, begin, metadata = _read_header(header, path)
        _check_version(header, metadata)
        _check_layout(entries, length - 8 - size, path)
        hasher = hashlib.sha256(head)
        for part in (memoryview(header)[:begin], _UNSIGNED.encode(), memoryview(header)[begin + 64 :]):
            hasher.update(part)
        tensors = {}
        for name, entry in sorted(entries.items(), key=lambda item: _offsets(item[1])):
            tensors[name] = tensor = np.empty(entry["shape"], _DTYPES[entry["dtype"]])
            if tensor.size:
                content = tensor.reshape(-1).view(np.uint8).data
                file.readinto(content)  # what a file that shrinks meanwhile leaves out does not match the digest
                hasher.update(content)
    if hasher.hexdigest() != metadata["sha256"]:
        raise PolicyFileError(f"{path}: expected contents that match their SHA-256, got a damaged or edited file")
    return tensors, metadata


def existing_path(path: str | os.PathLike[str]) -> Path:
    """``path``; if there is no such file, with the suffix added, or with SB3's, which its CheckpointCallback adds."""
    exact = check_path("path", path)
    ours, sb3s = (exact.with_name(exact.name + suffix) for suffix in (SUFFIX, ".zip"))
    return exact if exact.is_file() else sb3s if sb3s.is_file() and not ours.is_file() else ours


def target_path(path: str | os.PathLike[str]) -> Path:
    """``path`` itself if it has a suffix, else with ours. A suffix begins with a letter: "lr_0.001" has none."""
    exact = check_path("path", path)
    if not exact.name:
        raise InvalidArgumentError("path", "the name of a file", describe(path))
    return exact if exact.suffix[1:2].isalpha() else exact.with_name(exact.name + SUFFIX)


def _read_header(header: bytes, path: Path | None) -> tuple[dict[str, Any], int, dict[str, Any]]:
    """The tensors' entries by name, where the 64 digits of the digest stand in ``header``, and the metadata.

    Raises
    ------
    PolicyFileError
    """
    try:
        if len(header) > MAX_UNPLAIN and not header.isascii():
            raise ValueError("other characters than plain text")
        entries = strict_json.loads(header.decode())
    except (ValueError, RecursionError) as error:
        raise PolicyFileError(f"{path}: expected a policy file, got a header that is not JSON: {error}") from error
    text = entries.pop("__metadata__", None) if isinstance(entries, dict) else None
    if not isinstance(text, dict):
        raise PolicyFileError(f"{path}: expected a policy file, got a header without metadata")
    if text.keys() != {_KEY}:
        raise PolicyFileError(f"{path}: expected a policy file, got metadata of another program")
    if not all(map(_is_tensor, entries.values())):
        raise PolicyFileError(f"{path}: expected tensors as safetensors has them, got others")
    try:
        metadata: dict[str, Any] = strict_json.loads(text[_KEY])
        digest = metadata["sha256"]
        needle = json.dumps(f'"sha256":"{digest}"')[1:-1].encode()
        if not isinstance(digest, str) or len(digest) != 64 or header.count(needle) != 1:
            raise ValueError("no digest")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PolicyFileError(f"{path}: expected a policy file with a SHA-256, got one without: {error}") from error
    return entries, header.index(needle) + needle.index(digest.encode()), metadata


def _check_version(header: bytes, metadata: dict[str, Any]) -> None:
    """Refuse formats and versions that cannot be read, and since version 4 a header that is more than plain text."""
    version = metadata.get("version")
    if metadata.get("format") != FORMAT or type(version) is not int or version not in READABLE:
        expected = " or ".join(map(str, READABLE))
        got = f"{describe(metadata.get('format'))} version {describe(version)}"
        raise PolicyFileError(f"policy file: expected {FORMAT} version {expected}, got {got}")
    is_plain = not re.search(rb"[^ -\[\]-~]", header.replace(b"\\\\", b"").replace(b'\\"', b""))
    if version > 3 and not is_plain:  # so that C++ needs neither UTF-8 nor other escapes
        raise PolicyFileError("policy file: expected a header of printable ASCII, got other characters or escapes")


def _is_tensor(entry: Any) -> bool:
    """Whether an entry of the header describes one, wherever it lies."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return False
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not all(isinstance(sizes, list) and all(type(n) is int and n >= 0 for n in sizes) for sizes in (shape, offsets)):
        return False
    return is_shape(shape) and len(offsets) == 2 and entry["dtype"] in list(_DTYPES)


def _offsets(entry: dict[str, Any]) -> list[int]:
    offsets: list[int] = entry["data_offsets"]
    return offsets


def _check_layout(entries: dict[str, Any], size: int, path: Path) -> None:
    """Check that the tensors lie one after the other in ``size`` bytes.

    Raises
    ------
    PolicyFileError
    """
    end = 0
    for entry in sorted(entries.values(), key=_offsets):
        first, last = _offsets(entry)
        if first != end or last - first != math.prod(entry["shape"]) * _DTYPES[entry["dtype"]].itemsize:
            raise PolicyFileError(f"{path}: expected tensors one after the other, got {describe(entry)}")
        end = last
    if end != size:
        raise PolicyFileError(f"{path}: expected {end} bytes of tensors, got {size}")
