"""NumPy's ``.npz``: a zip archive of ``.npy`` members.

A member that is stored without compression is read through a memory map of the archive, a
compressed one as a whole, within the memory budget.  Members that hold objects are left out.
"""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from sciops.core.errors import DataError
from sciops.data import budget
from sciops.data.containers import npy
from sciops.data.damage import DAMAGE, said
from sciops.data.layout import Stored

LOCAL_HEADER = 30  # bytes before name and extra field of a zip member


def is_container(path: Path) -> bool:
    """A zip archive with members that end in ``.npy``."""
    try:
        if not path.is_file() or not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except DAMAGE:
        return False


def arrays(path: Path) -> dict[str, Stored]:
    """The numeric members, by name without ``.npy``."""
    found: dict[str, Stored] = {}
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
            for info in archive.infolist():
                if not info.filename.endswith(".npy"):
                    continue
                with archive.open(info) as member:
                    try:
                        shape, fortran, dtype = npy.header(path, member)
                    except DataError:
                        continue
                    begin = member.tell()
                if math.prod(shape) * dtype.itemsize > info.file_size - begin:
                    raise DataError(path, f"{info.filename} declares {shape}, but is shorter")
                offset = None
                if info.compress_type == zipfile.ZIP_STORED:
                    raw.seek(info.header_offset)
                    lengths = struct.unpack("<HH", raw.read(LOCAL_HEADER)[26:])
                    offset = info.header_offset + LOCAL_HEADER + sum(lengths) + begin
                    if offset + math.prod(shape) * dtype.itemsize > path.stat().st_size:
                        raise DataError(path, f"{info.filename} goes beyond the end of the file")
                key = info.filename.removesuffix(".npy")
                found[key] = npy.stored(path, "npz", key, shape, fortran, dtype, offset)
    except DAMAGE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(path, f"a damaged zip archive ({said(error)})") from None
    return found


def load(stored: Stored) -> Any:
    """A compressed member, as a whole."""
    budget.require(
        stored.shape, np.dtype(stored.dtype).itemsize, stored.path, f"the member {stored.key}"
    )
    try:
        with np.load(stored.path, allow_pickle=False) as archive:
            return archive[stored.key]
    except DAMAGE as error:
        raise DataError(stored.path, f"cannot read {stored.key} ({said(error)})") from None
