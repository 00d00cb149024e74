"""Zip archives of files that anybody may have written: what is read from one takes little more memory than it."""

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_MEMBERS = 1000
MAX_GROWTH = 4 << 20  # bytes by which all that is read of an archive may exceed its size


class Archive:
    """The members of a zip archive, stored or deflated.

    Parameters
    ----------
    content : bytes

    Raises
    ------
    ValueError, zipfile.BadZipFile
        If it is no archive, or one of too many members. Reading damaged ones may raise anything else.
    """

    def __init__(self, content: bytes) -> None:
        if content.count(b"PK\x01\x02") > MAX_MEMBERS:  # each makes an object of hundreds of bytes when it is opened
            raise ValueError(f"more than {MAX_MEMBERS} members")
        self._archive = zipfile.ZipFile(io.BytesIO(content))
        self._left = len(content) + MAX_GROWTH

    @property
    def names(self) -> list[str]:
        """Names of the members."""
        return self._archive.namelist()

    def read(self, name: str) -> bytes:
        """Content of a member.

        Raises
        ------
        KeyError
            If there is none of this name.
        ValueError
            If all that was read would be larger than an archive of this size may be.
        """
        member = self._archive.getinfo(name)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.file_size > self._left:
            raise ValueError(f"{name!r} of {member.file_size} bytes, in an archive that is too small for them")
        self._left -= member.file_size
        with self._archive.open(member) as file:
            content = file.read(member.file_size)  # not more, whatever comes out of the compressed bytes
        if len(content) != member.file_size:
            raise ValueError(f"{name!r} of fewer bytes than it says")
        return content


def read_npz(path: Path, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """Those of the named arrays of numbers that an .npz file has, read-only; errors as ``Archive``'s, and OSError."""
    archive = Archive(path.read_bytes())
    return {name: _array(archive.read(f"{name}.npy")) for name in names if f"{name}.npy" in archive.names}


def _array(content: bytes) -> npt.NDArray[Any]:
    file = io.BytesIO(content)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, is_fortran, dtype = readers[np.lib.format.read_magic(file)](file)
    if dtype.kind not in "biuf" or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"an array of shape {shape} and {dtype}, of other bytes")
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape, order="F" if is_fortran else "C")
