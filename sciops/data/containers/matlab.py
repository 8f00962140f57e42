"""MATLAB's ``.mat`` up to version 7.2, through scipy; version 7.3 is HDF5.

A variable is read as a whole, within the memory budget.  Cells, structures and objects are left
out; sparse matrices are not arrays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sciops.core.errors import DataError
from sciops.data import budget
from sciops.data.layout import Stored

NUMERIC = {
    "double": "<f8", "single": "<f4", "int8": "|i1", "uint8": "|u1", "int16": "<i2",
    "uint16": "<u2", "int32": "<i4", "uint32": "<u4", "int64": "<i8", "uint64": "<u8",
    "logical": "|b1",
}  # fmt: skip
HEADER = 128  # bytes of text and version at the beginning of a level-5 file


def is_container(path: Path) -> bool:
    """Whether it begins with the text and the version of a level-5 file."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(HEADER)
    return len(head) == HEADER and head[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


def listing(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Name -> (shape, class) of everything in the file, sparse matrices and text included."""
    from scipy.io import whosmat

    try:
        return {name: (tuple(shape), kind) for name, shape, kind in whosmat(str(path))}
    except Exception as error:  # scipy raises many kinds on damaged bytes
        raise DataError(path, f"a damaged MATLAB file ({type(error).__name__}: {error})") from None


def arrays(path: Path) -> dict[str, Stored]:
    """The numeric arrays.  Complex ones are told from real ones by reading them."""
    found = {}
    for name, (shape, kind) in listing(path).items():
        if kind in NUMERIC:
            dtype = NUMERIC[kind]
            one = Stored(str(path), "matlab", name, ("?",) * len(shape), shape, dtype)
            found[name] = Stored(
                str(path), "matlab", name, one.axes, shape, np.asarray(load(one)).dtype.str
            )
    return found


def load(stored: Stored) -> Any:
    """One variable, as a whole."""
    from scipy.io import loadmat

    itemsize = np.dtype(stored.dtype).itemsize
    budget.require(stored.shape, itemsize, stored.path, f"the variable {stored.key}")
    try:
        tree = loadmat(stored.path, variable_names=[stored.key])
        values = np.asarray(tree[stored.key])
    except Exception as error:  # scipy raises many kinds on damaged bytes
        raise DataError(
            stored.path, f"cannot read {stored.key} ({type(error).__name__}: {error})"
        ) from None
    if values.dtype.kind not in "fiucb" or values.shape != stored.shape:
        raise DataError(
            stored.path,
            f"{stored.key} is {values.dtype} {values.shape}, but was listed as {stored.shape}",
        )
    return values
