"""MATLAB files of both kinds with their arrays in MATLAB's order of axes.

Version 5 to 7.2 is read through scipy.  Version 7.3 is HDF5 in which the axes stand in reverse,
since MATLAB counts the first axis fastest: a (N, X, Y, T) there is (T, Y, X, N) in HDF5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.data import hdf5
from sciops.data.containers import matlab
from sciops.data.contents import small
from sciops.data.formats._structure import structure
from sciops.data.layout import Stored

FIELDS = ("a", "u", "coeff", "sol", "usol", "uu")  # what the formats of MATLAB files look for
CLASS, SPARSE = "MATLAB_class", "MATLAB_sparse"


@dataclass(frozen=True)
class Mat:
    """Name -> shape, in MATLAB's order, of the dense arrays and of the sparse matrices."""

    path: Path
    arrays: Mapping[str, tuple[int, ...]]
    sparse: Mapping[str, tuple[int, ...]]
    version: str

    def stored(self, name: str, axes: tuple[str, ...]) -> Stored:
        """The array of that name, whose axes mean `axes` in MATLAB's order."""
        shape = self.arrays[name]
        if len(shape) != len(axes) or 0 in shape:
            raise DataError(self.path, f"{name} must be ({', '.join(axes)}), got {shape}")
        if self.version == "5":
            return replace(matlab.arrays(self.path, [name])[name], axes=axes)
        with hdf5.opened(self.path) as file, structure(self.path):
            return hdf5.stored(self.path, file[name], axes[::-1])

    def line(self, name: str) -> NDArray[np.float64]:
        """A row or a column of real numbers: coordinates or times."""
        shape = self.arrays[name]
        if max(shape, default=0) != int(np.prod(shape, dtype=object)):
            raise DataError(self.path, f"{name} must be a row or a column, got {shape}")
        values = small(self.path, self.stored(name, ("?",) * len(shape))).reshape(-1)
        if values.dtype.kind not in "fiu":
            raise DataError(self.path, f"{name} must hold real numbers, got {values.dtype}")
        return values.astype(np.float64)


def look(path: Path) -> Mat | None:
    """What a MATLAB file holds; None where it is none.

    Raises
    ------
    DataError
        If it is damaged, or holds sparse matrices and no fields.
    """
    if matlab.is_container(path):
        listed = matlab.listing(path)
        dense = {k: shape for k, (shape, kind) in listed.items() if kind in matlab.NUMERIC}
        sparse = {k: shape for k, (shape, kind) in listed.items() if kind == "sparse"}
        found = Mat(path, dense, sparse, "5")
    elif hdf5.is_hdf5(path):
        with hdf5.opened(path) as file, structure(path):
            marked = {k: m for k, m in file.items() if m is not None and CLASS in m.attrs}
            dense = {
                k: tuple(int(n) for n in m.shape[::-1])
                for k, m in marked.items()
                if isinstance(m, h5py.Dataset) and m.shape is not None and m.dtype.kind in "fiub"
            }
            sparse = {
                k: (int(np.ravel(m.attrs[SPARSE])[0]),)
                for k, m in marked.items()
                if isinstance(m, h5py.Group)
                and np.ravel(m.attrs.get(SPARSE, [])).dtype.kind in "iu"
            }
            if not marked:
                return None
        found = Mat(path, dense, sparse, "7.3")
    else:
        return None
    if found.sparse and not set(FIELDS) & set(found.arrays):
        listed_ = ", ".join(f"{k} {shape}" for k, shape in list(found.sparse.items())[:4])
        raise DataError(
            path,
            f"holds a sparse matrix ({listed_}), not fields on a grid; read it with "
            f"scipy.io.loadmat and give it to a solver",
        )
    return found
