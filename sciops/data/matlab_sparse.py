"""Sparse matrices in MATLAB's ``.mat`` of level 5 (`containers/matlab.py`).

    miMATRIX of class sparse:  flags, dimensions, name, ir (int32), jc (int32), real[, imaginary]

ir are the rows of the entries column by column, jc where each column begins; there may be more
places than entries.  As there, the bytes are parsed here and not by scipy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.data import budget
from sciops.data.containers import matlab
from sciops.data.damage import structure
from sciops.data.sparse_arrays import compressed


def names(path: Path) -> list[str]:
    """The sparse matrices of the file."""
    with structure(path):
        return [k for k, (_, kind) in matlab.listing(path).items() if kind == "sparse"]


def read(path: Path, name: str) -> Any:
    """One of them as a scipy CSC array.

    Raises
    ------
    DataError
        If the file is damaged, or does not fit the memory budget.
    """
    with structure(path):
        found = next(m for m in matlab.matrices(path) if m.name == name and m.kind == "sparse")
        content, at, arrays = _content(path, found), found.numbers, []
        for _ in range(4 if found.complex else 3):
            kind, start, length, at = matlab.subelement(path, content, at, found.order)
            if kind not in matlab.TYPES or start + length > len(content):
                raise DataError(path, f"a damaged MATLAB file: {name} has {length} bytes of {kind}")
            dtype = np.dtype(found.order + matlab.TYPES[kind])
            arrays.append(np.frombuffer(content, dtype, length // dtype.itemsize, start))
        rows, pointers, data = arrays[:3]
        count = int(pointers[-1])
        values: NDArray[Any] = data[:count]
        if found.complex:
            values = values + 1j * arrays[3][:count]
        shape = (found.shape[0], found.shape[1])
        return compressed(path, "csc", values, rows[:count], pointers, shape)


def _content(path: Path, m: Any) -> bytes:
    """The bytes of an element, decompressed."""
    with path.open("rb") as file:
        file.seek(m.position)
        content = file.read(m.length)
    if not m.compressed:
        return content
    _, inside = matlab.tag(path, matlab.decompressed(path, content, 8), m.order)
    budget.require((inside,), 1, path, f"the matrix {m.name}")
    return matlab.decompressed(path, content, 8 + inside)[8:]
