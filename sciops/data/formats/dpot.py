"""DPOT's HDF5 files: one bare array ``data``, time and channels last.

    file     data (n, X, Y, T, C)  or  (n, X, Y, T): one channel
    folder   data_0.hdf5, data_1.hdf5, ..: one trajectory each, (X, Y, T[, C]) or (X, Y, Z, T, C)
    CFDBench data (n, 64, 64, 20, 3) in a file: u, v, mask (1 in the fluid), and rows (y) come first

The file says nothing more, and its rank alone does not tell a trajectory from several: a single
file named data_<i> is read as one of a folder, every other as a file of n trajectories; a note
says so.  The shape (n, 64, 64, 20, 3) is that of DPOT's conversion of CFDBench and of nothing else
in its list; it holds segments of 20 frames, the last of a case padded by repeating its last frame,
the grids interpolated to 64 x 64.  Other channels are named u0, u1, ..  Coordinates, times,
parameters, boundaries and units are not stored.
Source: HaoZhongkai/DPOT, README (Dataset Protocol), utils/griddataset.py and make_master_file.py,
data_generation/preprocess.py and cfdbench/save_data.py; arXiv 2403.03542.
"""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import Grid, Variable
from sciops.data.formats._structure import (
    COUNTED,
    array,
    counted,
    files,
    is_array,
    recognised,
    structure,
)
from sciops.data.formats._trajectories import Content, joined
from sciops.data.hdf5 import opened, stored
from sciops.data.layout import Format, Layout, Part

ONE = re.compile(r"data_[0-9]+")  # the file of one trajectory
CFDBENCH = (64, 64, 20, 3)
SPACE = ("X", "Y", "Z")
NOTES = (COUNTED, "times are not stored")
SEVERAL = "the axes (n, X, Y, T[, C]) are those of DPOT's protocol; the file itself names none"
SINGLE = "the file's name (data_<i>) says that it is one trajectory (X, Y[, Z], T[, C])"
CONVERTED = (
    "the shape (n, 64, 64, 20, 3) is that of DPOT's conversion of CFDBench: u, v, mask, rows (y) "
    "first, segments of 20 frames, the last of a case padded with its last frame"
)


class DPOT(Format):
    """A bare array of trajectories, or a folder of one trajectory a file."""

    title = "DPOT HDF5 (data, time and channels last)"
    source = "HaoZhongkai/DPOT, README and utils/griddataset.py; arXiv 2403.03542"

    def recognises(self, path: Path) -> str | None:
        """Nothing but the float array ``data`` without attributes; a folder of data_<i>."""
        found = files(path)
        if path.is_dir() and not all(ONE.fullmatch(file.stem) for file in found):
            return None
        ranks = (3, 4, 5) if path.is_dir() else (4, 5)
        return recognised(path, lambda file: _reason(file, ranks))

    def layout(self, path: Path) -> Layout:
        """The layout of one file, or of the trajectories of a folder."""
        one = path.is_dir() or ONE.fullmatch(path.stem) is not None
        contents = [_trajectory(f) for f in files(path)] if one else [_several(path)]
        return joined(path, contents, "dpot", self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Two trajectories of 4 frames on 5 x 3 points with two channels."""
        target = path / "tiny.hdf5"
        with h5py.File(target, "w") as file:
            file["data"] = np.arange(240, dtype=np.float32).reshape(2, 5, 3, 4, 2)
        return target


def _reason(file: h5py.File, ranks: tuple[int, ...]) -> str | None:
    if set(file) != {"data"} or not is_array(file, "data", *ranks) or len(file.attrs):
        return None
    data = file["data"]
    if data.dtype.kind != "f" or len(data.attrs):
        return None
    return f"HDF5 with nothing but the array data of rank {data.ndim}, without attributes, as DPOT"


def _several(path: Path) -> Content:
    with structure(path), opened(path) as file:
        rank = _rank(file)
        if rank not in (4, 5):
            raise DataError(path, f"/data must be (n, X, Y, T[, C]), got {_shape(file)}")
        data = array(path, file, "data", "(n, X, Y, T, C)" if rank == 5 else "(n, X, Y, T)")
        if data.shape[1:] == CFDBENCH:
            return _cfdbench(path, data)
        axes = ("sample", "x", "y", "time", "component")[:rank]
        return _described(path, data, axes, data.shape[0], SEVERAL)


def _trajectory(path: Path) -> Content:
    with structure(path), opened(path) as file:
        rank = _rank(file)
        if rank not in (3, 4, 5):
            raise DataError(path, f"/data must be (X, Y[, Z], T[, C]), got {_shape(file)}")
        space = SPACE[: 3 if rank == 5 else 2]
        tail = ("T", "C")[: rank - len(space)]
        data = array(path, file, "data", f"({', '.join((*space, *tail))})")
        axes = (*(a.lower() for a in space), "time", "component")[:rank]
        return _described(path, data, axes, 1, SINGLE)


def _rank(file: h5py.File) -> int:
    return len(_shape(file) or ())


def _shape(file: h5py.File) -> tuple[int, ...] | None:
    data = file.get("data")
    return data.shape if isinstance(data, h5py.Dataset) else None


def _described(path: Path, data: h5py.Dataset, axes: tuple[str, ...], n: int, note: str) -> Content:
    sizes = dict(zip(axes, data.shape, strict=True))
    grid = Grid(tuple(counted(a, sizes[a]) for a in ("x", "y", "z") if a in sizes))
    if "component" in sizes:
        last = len(axes) - 1
        arrays = {
            f"u{k}": (stored(path, data, axes, ((last, k),)),) for k in range(sizes["component"])
        }
    else:
        arrays = {"u": (stored(path, data, axes),)}
    variables = tuple(Variable(k, grid, time_varying=True) for k in arrays)
    part = Part(str(path), n, np.full(n, sizes["time"]), arrays)
    return Content(path, variables, (part,), notes=(*NOTES, note))


def _cfdbench(path: Path, data: h5py.Dataset) -> Content:
    n = data.shape[0]
    grid = Grid((counted("y", data.shape[1]), counted("x", data.shape[2])))
    axes = ("sample", "y", "x", "time", "component")
    arrays = {
        "velocity": tuple(stored(path, data, axes, ((4, k),)) for k in (0, 1)),
        "mask": (stored(path, data, axes, ((3, 0), (4, 2))),),
    }
    variables = (
        Variable("velocity", grid, components=(2,), time_varying=True),
        Variable("mask", grid, "geometry"),
    )
    part = Part(str(path), n, np.full(n, data.shape[3]), arrays)
    return Content(path, variables, (part,), notes=(*NOTES, CONVERTED))
