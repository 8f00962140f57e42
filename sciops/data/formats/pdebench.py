"""PDEBench's HDF5 files, families A, B and C.

    A  scalar 1-D   tensor (n, T, X), x-coordinate, t-coordinate of T + 1 entries
       CFD          density, pressure, Vx[, Vy, Vz], each (n, T, X[, Y, Z])
       Darcy        nu (n, X, Y) -> tensor (n, 1, X, Y)
    B  per seed     groups /0000, /0001, ..: diff-sorp, diff-react, shallow water; `_pdebench_seeds`
    C  velocity, particles, force, t: incompressible flow; `_pdebench_incompressible`

Cell centres.  The last of the T + 1 times is the end of the run, of which no frame is stored; it
is trimmed.  Boundaries are stored in family C only: the word ``periodic`` or ``trans`` in a CFD
file's name is taken, everything else stays unknown.  Units are not given.
Source: Takamoto et al., PDEBench, NeurIPS 2022 (arXiv 2210.07182), doi 10.18419/darus-2986.
"""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import SIDES, Axis, Boundary, Grid, Variable
from sciops.data.formats import _pdebench_incompressible, _pdebench_seeds
from sciops.data.formats._pdebench_seeds import trim
from sciops.data.formats._structure import (
    array,
    number,
    numbers,
    recognised,
    same_shape,
    structure,
)
from sciops.data.formats._trajectories import Content, joined
from sciops.data.hdf5 import opened, stored
from sciops.data.layout import Format, Layout, Part, Stored

SPACE = ("x", "y", "z")
PARAMETERS = ("beta", "Nu", "nu", "rho", "eta", "zeta", "M")


class PDEBench(Format):
    """Files of PDEBench, recognised by the names of their data sets."""

    title = "PDEBench HDF5 (scalar 1-D, CFD, Darcy, per seed, incompressible)"
    source = "pdebench/PDEBench; arXiv 2210.07182; doi 10.18419/darus-2986"
    verified = "diff-react and diff-sorp from the official generator"

    def recognises(self, path: Path) -> str | None:
        """The data sets that only this benchmark names so."""
        return recognised(path, _reason) if path.is_file() else None

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        with structure(path), opened(path) as file:
            family, reason = _family(file), _reason(file)
            if family is None or reason is None:
                raise DataError(path, f"not a PDEBench file; it holds {sorted(file)[:8]}")
            content = FAMILIES[family](path, file)
        return joined(path, [content], "pdebench", reason)

    def write_tiny(self, path: Path) -> Path:
        """Two trajectories of three frames of a scalar on six cells."""
        target = path / "tiny.hdf5"
        with h5py.File(target, "w") as file:
            file["tensor"] = np.arange(36, dtype=np.float32).reshape(2, 3, 6)
            file["x-coordinate"] = (np.arange(6, dtype=np.float32) + 0.5) / 6
            file["t-coordinate"] = np.arange(4, dtype=np.float32) / 10
            file.attrs["Nu"] = 0.01
        return target


def _family(file: h5py.File) -> str | None:
    names = set(file)
    if {"nu", "tensor"} <= names:
        return "Darcy"
    if {"density", "pressure", "Vx", "x-coordinate"} <= names:
        return "CFD"
    if {"tensor", "x-coordinate", "t-coordinate"} <= names:
        return "scalar 1-D"
    if names >= _pdebench_incompressible.NAMES:
        return "incompressible"
    return "per-seed" if _pdebench_seeds.seeds(file) else None


def _reason(file: h5py.File) -> str | None:
    family = _family(file)
    return None if family is None else f"HDF5 with the data sets of PDEBench's {family} files"


def _axis(path: Path, file: h5py.File, name: str, n: int, periodic: bool | None = None) -> Axis:
    return Axis.through(name, numbers(path, file, f"{name}-coordinate", (n,)), "cell", periodic)


def _parameters(path: Path, file: h5py.File, n: int) -> dict[str, NDArray[np.float64]]:
    found = {k: number(path, file, k) for k in PARAMETERS}
    return {k: np.full(n, v) for k, v in found.items() if v is not None}


def _evolving(
    path: Path,
    file: h5py.File,
    variables: tuple[Variable, ...],
    arrays: dict[str, tuple[Stored, ...]],
    boundary: tuple[Boundary, ...] = (),
) -> Content:
    """A file of family A whose variables all have the axes (n, T, *N)."""
    n, frames = next(iter(arrays.values()))[0].shape[:2]
    times, notes = trim(path, file, "t-coordinate", frames)
    params = _parameters(path, file, n)
    if boundary:
        notes.append("the boundary is taken from the file's name")
    return Content(
        path,
        variables,
        (Part(str(path), n, np.full(n, frames), arrays, times, params),),
        boundary,
        tuple(notes),
        dict.fromkeys(params, "attribute of the file"),
    )


def _scalar(path: Path, file: h5py.File) -> Content:
    tensor = array(path, file, "tensor", "(n, T, X)")
    grid = Grid((_axis(path, file, "x", tensor.shape[2]),))
    u = Variable("u", grid, location="cell", time_varying=True)
    return _evolving(path, file, (u,), {"u": (stored(path, tensor, ("sample", "time", "x")),)})


def _cfd(path: Path, file: h5py.File) -> Content:
    dimension = sum(f"V{a}" in file for a in SPACE)
    names = SPACE[:dimension]
    meaning = f"(n, T, {', '.join(a.upper() for a in names)})"
    velocity = [f"V{a}" for a in names]
    data = {k: array(path, file, k, meaning) for k in ("density", "pressure", *velocity)}
    shape = same_shape(path, data)
    words = re.split(r"[_.]", path.name)
    kind = "periodic" if "periodic" in words else "open" if "trans" in words else None
    periodic = None if kind is None else kind == "periodic"
    grid = Grid(
        tuple(_axis(path, file, a, n, periodic) for a, n in zip(names, shape[2:], strict=True))
    )
    axes = ("sample", "time", *names)
    arrays = {
        "density": (stored(path, data["density"], axes),),
        "pressure": (stored(path, data["pressure"], axes),),
        "velocity": tuple(stored(path, data[k], axes) for k in velocity),
    }
    variables = (
        Variable("density", grid, location="cell", time_varying=True),
        Variable("pressure", grid, location="cell", time_varying=True),
        Variable("velocity", grid, components=(dimension,), location="cell", time_varying=True),
    )
    boundary = tuple(Boundary(a, side, kind) for a in names for side in SIDES if kind is not None)
    return _evolving(path, file, variables, arrays, boundary)


def _darcy(path: Path, file: h5py.File) -> Content:
    nu = array(path, file, "nu", "(n, X, Y)")
    u = array(path, file, "tensor", "(n, 1, X, Y)")
    n, nx, ny = nu.shape
    if u.shape != (n, 1, nx, ny):
        raise DataError(path, f"/tensor must be {(n, 1, nx, ny)} as /nu is, got {u.shape}")
    grid = Grid((_axis(path, file, "x", nx), _axis(path, file, "y", ny)))
    arrays = {
        "coefficient": (stored(path, nu, ("sample", "x", "y")),),
        "solution": (stored(path, u, ("sample", "", "x", "y")),),
    }
    variables = (
        Variable("coefficient", grid, "input", location="cell"),
        Variable("solution", grid, "target", location="cell"),
    )
    params = _parameters(path, file, n)
    part = Part(str(path), n, np.ones(n, dtype=np.int64), arrays, None, params)
    provenance = dict.fromkeys(params, "attribute of the file")
    return Content(path, variables, (part,), provenance=provenance)


FAMILIES = {
    "Darcy": _darcy,
    "CFD": _cfd,
    "scalar 1-D": _scalar,
    "per-seed": _pdebench_seeds.content,
    "incompressible": _pdebench_incompressible.content,
}
