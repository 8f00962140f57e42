"""NumPy's ``.npy``: one array, read through a memory map.  Object arrays are refused."""

from __future__ import annotations

import math
import tokenize
from pathlib import Path
from typing import IO, Any

import numpy as np

from sciops.core.errors import DataError
from sciops.data.damage import DAMAGE, said
from sciops.data.layout import Stored

MAGIC = b"\x93NUMPY"
KEY = "array"  # a file holds one, which has no name
HEADER = 1 << 16  # bytes of the text that describes an array


def is_container(path: Path) -> bool:
    """Whether it begins as ``.npy`` does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def arrays(path: Path) -> dict[str, Stored]:
    """The one array, under the key ``array``."""
    with path.open("rb") as file:
        shape, fortran, dtype = header(path, file)
        offset = file.tell()
    if math.prod(shape) * dtype.itemsize > path.stat().st_size - offset:
        raise DataError(
            path,
            f"declares {shape} of {dtype}, but the file is shorter; it is truncated or damaged",
        )
    return {KEY: stored(path, "npy", KEY, shape, fortran, dtype, offset)}


def stored(
    path: Path,
    container: Any,
    key: str,
    shape: tuple[int, ...],
    fortran: bool,
    dtype: np.dtype[Any],
    offset: int | None,
) -> Stored:
    """The description of an array after a header of NumPy."""
    strides = None
    if fortran and len(shape) > 1:
        strides = tuple(dtype.itemsize * math.prod(shape[:k]) for k in range(len(shape)))
    axes = ("?",) * len(shape)
    return Stored(str(path), container, key, axes, shape, dtype.str, offset, strides=strides)


def header(path: Path, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, whether in Fortran order, dtype) of the array that begins here."""
    try:
        version = np.lib.format.read_magic(file)
        begin, size = file.tell(), 2 if version == (1, 0) else 4
        length = int.from_bytes(file.read(size), "little")  # NumPy would read all of it first
        if length > HEADER:
            raise DataError(path, f"the header of a NumPy array has {length} bytes; refused")
        file.seek(begin)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read(file)
    except (*DAMAGE, SyntaxError, tokenize.TokenError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(path, f"the header of a NumPy array is damaged ({said(error)})") from None
    if dtype.kind not in "fiucb":
        raise DataError(path, f"holds {dtype}, not numbers; pickled objects are refused")
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise DataError(path, f"declares the shape {shape}")
    return shape, bool(fortran), dtype


def load(stored: Stored) -> Any:
    """Never needed: the reader maps these files."""
    raise AssertionError(stored)
