"""The policy file: safetensors with a SHA-256 over header and data. Loading one executes nothing.

The header's ``__metadata__`` holds one key, "trpo_fast": canonical JSON (sorted keys, no spaces) with a "sha256" of 64
hex digits. The digest is that of the whole file with those digits set to "0", so equal models are equal bytes and a
flipped bit anywhere is found. Other safetensors readers can open the file. docs/robotics.md lists the tensors.
"""

import hashlib
import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from trpo_fast._core.files import replace_file
from trpo_fast.errors import InvalidArgumentError, PolicyFileError
from trpo_fast.validation import check_path, describe, is_shape

SUFFIX = ".safetensors"
FORMAT = "trpo_fast.policy"
VERSION = 4
READABLE = (3, 4)  # versions of the file
MAX_HEADER = 1 << 23  # bytes
MAX_DEPTH = 128  # of arrays and objects in the header, and in the metadata
_DTYPES = ("BOOL", "U8", "I8", "U16", "I16", "F16", "U32", "I32", "F32", "U64", "I64", "F64", "C64")
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
    """The content of the file that ``save_policy_file`` writes."""
    text = json.dumps(
        {**metadata, "sha256": _UNSIGNED},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
        default=np.generic.item,  # NumPy scalars among the settings
    )
    content = safetensors.numpy.save({k: np.require(v, requirements="C") for k, v in tensors.items()}, {_KEY: text})
    begin, _ = _signed_metadata(content)
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[:begin] + digest + content[begin + len(digest) :]


def load_policy_file(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and metadata of a file that ``save_policy_file`` wrote.

    Raises
    ------
    PolicyFileError
        If the file is not one of ours, is damaged, or has a version that cannot be read.
    FileNotFoundError
    """
    content = path.read_bytes()
    begin, metadata = _signed_metadata(content, path)
    _check_version(content, metadata)
    hasher = hashlib.sha256()
    for part in (memoryview(content)[:begin], _UNSIGNED.encode(), memoryview(content)[begin + 64 :]):
        hasher.update(part)
    if hasher.hexdigest().encode() != content[begin : begin + 64]:
        raise PolicyFileError(f"{path}: expected contents that match their SHA-256, got a damaged or edited file")
    try:
        tensors = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise PolicyFileError(f"{path}: expected tensors as safetensors has them, got {error!r}") from error
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


def _header(content: bytes, path: Path | None) -> dict[str, Any]:
    """The safetensors header, with the size that it claims checked before anything is read."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > min(MAX_HEADER, len(content) - 8):
        raise PolicyFileError(f"{path}: expected a policy file, got one without a readable header")
    try:
        header = _parse(content[8 : 8 + size].decode())
    except (ValueError, RecursionError) as error:
        raise PolicyFileError(f"{path}: expected a policy file, got a header that is not JSON") from error
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__"), dict):
        raise PolicyFileError(f"{path}: expected a policy file, got a header without metadata")
    if header["__metadata__"].keys() != {_KEY}:
        raise PolicyFileError(f"{path}: expected a policy file, got metadata of another program")
    if not all(_is_tensor(entry) for name, entry in header.items() if name != "__metadata__"):
        raise PolicyFileError(f"{path}: expected tensors as safetensors has them, got others")
    return header


def _check_version(content: bytes, metadata: dict[str, Any]) -> None:
    """Refuse formats and versions that cannot be read, and since version 4 a header that is more than plain text."""
    version = metadata.get("version")
    if metadata.get("format") != FORMAT or type(version) is not int or version not in READABLE:
        expected = " or ".join(map(str, READABLE))
        got = f"{describe(metadata.get('format'))} version {describe(version)}"
        raise PolicyFileError(f"policy file: expected {FORMAT} version {expected}, got {got}")
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    is_plain = not re.search(rb"[^ -\[\]-~]", re.sub(rb'\\["\\]', b"", header))
    if version > 3 and not is_plain:  # so that C++ needs neither UTF-8 nor other escapes
        raise PolicyFileError("policy file: expected a header of printable ASCII, got other characters or escapes")


def _is_tensor(entry: Any) -> bool:
    """Whether an entry of the header describes one; where it lies is for safetensors to check."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return False
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not all(isinstance(sizes, list) and all(type(n) is int and n >= 0 for n in sizes) for sizes in (shape, offsets)):
        return False
    return is_shape(shape) and len(offsets) == 2 and entry["dtype"] in _DTYPES


def _parse(text: str) -> Any:
    """JSON, strictly: a key stands once in an object, no NaN, Infinity or -0, nothing nested deeper than MAX_DEPTH."""
    brackets = re.findall(r"[\[{\]}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text))
    if max(itertools.accumulate(1 if bracket in "[{" else -1 for bracket in brackets), default=0) > MAX_DEPTH:
        raise ValueError("nested too deep")
    return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse, parse_int=_integer)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _integer(text: str) -> int:
    if text == "-0":
        raise ValueError("a zero that is negative")
    return int(text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("duplicate key")
    return keys


def _signed_metadata(content: bytes, path: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Where the 64 digits of the digest stand in the file; and the metadata they are in."""
    header = _header(content, path)
    text: Any = header["__metadata__"].get(_KEY)
    try:
        metadata: dict[str, Any] = _parse(text)
        digest = metadata["sha256"]
        needle = json.dumps(f'"sha256":"{digest}"')[1:-1].encode()
        if not isinstance(digest, str) or len(digest) != 64 or content.count(needle) != 1:
            raise ValueError("no digest")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PolicyFileError(f"{path}: expected a policy file with a SHA-256, got one without") from error
    return content.index(needle) + needle.index(digest.encode()), metadata
