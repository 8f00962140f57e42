"""Why a file that was recognised cannot be described: the raw arrays are looked at.

A layout is refused as a whole, with the first contradiction that was met.  Here the coordinates,
times and boundary conditions of an HDF5 file are read by themselves, and what a file says of itself
(`sciops.data.contents`), so that the finding names the damaged thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SciopsError
from sciops.core.schema import SPACING_TOLERANCE, Axis, Grid, Variable
from sciops.data import contents, hdf5
from sciops.data.findings import Findings
from sciops.data.layout import Layout

SPACE = {"x", "y", "z", "r", "log_r", "theta", "phi", "lat", "lon"}
ENDING = "-coordinate"  # PDEBench writes "x-coordinate"
DEPTH = 3  # groups that are looked into
MOST = 1000  # objects that are looked at


def explain(path: Path, error: SciopsError, findings: Findings) -> None:
    """Findings for a file of which no layout could be made."""
    before = len(findings.found)
    if hdf5.is_hdf5(path):
        try:
            with hdf5.opened(path) as file:
                for name, data in _lines(file):
                    _increasing(name, np.asarray(hdf5.values(path, data)), findings)
                _frames(path, file, findings)
                if contents.KEY in file:
                    _told(json.loads(bytes(hdf5.values(path, file[contents.KEY]))), findings)
        except (
            SciopsError,
            KeyError,
            OSError,
            RuntimeError,
            ValueError,
            TypeError,
            AttributeError,
        ):
            pass  # what is broken stands in `error`
    if len(findings.found) == before:
        findings.error("schema", str(path), _without(str(error), path))


def _without(message: str, path: Path) -> str:
    return message.removeprefix(f"{path}: ")


def _lines(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """(name without ending, array) of every stored coordinate."""
    todo: list[tuple[h5py.Group, int]] = [(file, 0)]
    seen = 0
    while todo and seen < MOST:
        group, depth = todo.pop()
        for key in group:
            seen += 1
            item = group.get(key)
            name = key.removesuffix(ENDING)
            if isinstance(item, h5py.Group) and depth < DEPTH:
                todo.append((item, depth + 1))
            elif isinstance(item, h5py.Dataset) and name in SPACE and item.ndim == 1:
                yield name, item


def _increasing(name: str, x: NDArray[Any], findings: Findings) -> None:
    """Positions along an axis, each once however many lists of them there are."""
    where = f"axis {name}"
    if x.dtype.kind not in "fiu" or len(x) < 2 or where in {f.where for f in findings.found}:
        return
    wrong = np.flatnonzero(~(np.diff(x.astype(np.float64)) > 0))
    if len(wrong):
        k = int(wrong[0])
        findings.error(
            "coordinates",
            where,
            f"coordinates must increase strictly, but point {k + 1} is at {x[k + 1]:g} after "
            f"{x[k]:g}; {len(wrong)} such place(s)",
            point=k + 1,
            places=len(wrong),
        )


def _frames(path: Path, file: h5py.File, findings: Findings) -> None:
    """The number of times against the frames of fields, in The Well's layout."""
    time = file.get("dimensions/time")
    if not isinstance(time, h5py.Dataset):
        return
    for group in ("t0_fields", "t1_fields", "t2_fields"):
        for name, data in dict(file.get(group, {})).items():
            if not bool(data.attrs.get("time_varying", True)):
                continue
            axis = 1 if bool(data.attrs.get("sample_varying", True)) else 0
            if data.ndim > axis and data.shape[axis] != time.shape[-1]:
                findings.error(
                    "frame-count",
                    name,
                    f"{data.shape[axis]} frames are stored, but {time.shape[-1]} times in "
                    f"dimensions/time; cut the longer one (sciops data repair)",
                    frames=int(data.shape[axis]),
                    times=int(time.shape[-1]),
                )


def _told(tree: Any, findings: Findings) -> None:
    """Coordinates and boundary conditions in the JSON text of a file that describes itself."""
    schema = tree["schema"]
    axes = {a["name"]: a for d in schema["domains"] for a in d.get("axes", [])}
    for name, axis in axes.items():
        _increasing(name, np.array(axis.get("coordinates", []), dtype=np.float64), findings)
    contradicted = {
        b["axis"]
        for b in schema["boundary"]
        if b["kind"] == "periodic" and axes[b["axis"]]["periodic"] is False
    }
    for name in sorted(contradicted):
        findings.error(
            "boundary-contradiction",
            f"axis {name}",
            "its boundary condition is periodic, but the axis says that it is not",
        )


def two_views(path: Path, layout: Layout, findings: Findings) -> None:
    """The positions in the description of our own file against the arrays that others read."""
    if not hdf5.is_hdf5(path):
        return
    with hdf5.opened(path) as file:
        group = file.get("dimensions")
        if contents.KEY not in file or not isinstance(group, h5py.Group):
            return
        for axis in {a for v in layout.schema.variables for a in _axes(v)}:
            data = group.get(axis.name)
            if not isinstance(data, h5py.Dataset) or data.shape != (axis.size,):
                continue
            x = np.asarray(hdf5.values(path, data), dtype=np.float64)
            off = float(np.abs(x - axis.coordinates).max()) / axis.length * axis.size
            if not off <= SPACING_TOLERANCE:
                findings.error(
                    "coordinates",
                    f"axis {axis.name}",
                    f"the array dimensions/{axis.name} and the description of the file differ by "
                    f"{off:.3g} intervals; other programs read the array",
                    intervals=off,
                )


def _axes(v: Variable) -> tuple[Axis, ...]:
    return v.domain.axes if isinstance(v.domain, Grid) else ()
