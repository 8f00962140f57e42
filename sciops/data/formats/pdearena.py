"""PDEArena's HDF5 files: Navier-Stokes in two dimensions and Maxwell in three.

    group train, valid or test (the subset)
      NavierStokes2D  u, vx, vy (n, T, X, Y) float64; t (n, T), x (n, X), y (n, Y);
                      dt, dx, dy (n,) and, where it varies, buo_y (n,): the buoyancy
      Maxwell3D       d_field, h_field (n, T, X, Y, Z, 3) float64, nothing else

u is the smoke density, (vx, vy) its velocity.  The generator's u lies at the centres of cells of
width L / n and its velocity at their lower faces, while the stored x and y run from 0 to L with
both ends; they are given as stored, and the location stays unknown.  The stored dt contradicts the
spacing of t (6 against 6.46 in the file that was tried): times are taken from t.  The generator
closes the box (velocity zero outside), which is not stored: boundaries are unknown.  Maxwell:
fdtd's E is written as d_field and its H as h_field, cut out of a larger periodic box; grid, times
and boundary are not stored.  Units are not given.
Source: pdearena/pdearena (MIT), pdedatagen/{navier_stokes,maxwell}.py, pdearena/data.
"""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Variable
from sciops.data.formats._structure import (
    COUNTED,
    array,
    counted,
    files,
    is_array,
    numbers,
    recognised,
    same_shape,
    structure,
)
from sciops.data.formats._trajectories import Content, joined
from sciops.data.formats._well import UNIFORM
from sciops.data.hdf5 import opened, stored
from sciops.data.layout import Format, Layout, Part

SUBSETS = ("train", "valid", "test")
NAVIER_STOKES = ("u", "vx", "vy")
MAXWELL = ("d_field", "h_field")
PLACES = "x and y are given as stored, from 0 to L with both ends; the generator's cells are L / n"
NAME = re.compile(r"NavierStokes2D_(?:train|valid|test)_\d+_(\d+\.\d{5})(?:_\d+)?")


class PDEArena(Format):
    """Files of PDEArena, one or a folder of them."""

    title = "PDEArena HDF5 (NavierStokes2D, Maxwell3D)"
    source = "pdearena/pdearena, pdedatagen and pdearena/data; arXiv 2209.15616"
    verified = "NavierStokes2D from the official generator, 32 x 32"

    def recognises(self, path: Path) -> str | None:
        """Only groups train, valid, test, with the fields of one of the two equations."""
        return recognised(path, _reason)

    def layout(self, path: Path) -> Layout:
        """The layout of one file, or of all HDF5 files of a folder."""
        contents = [_content(file) for file in files(path)]
        return joined(path, contents, "pdearena", self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Two trajectories of three frames on 5 x 4 points."""
        target = path / "tiny.h5"
        fields = np.arange(120.0).reshape(2, 3, 5, 4)
        with h5py.File(target, "w") as file:
            group = file.create_group("valid")
            for k, name in enumerate(NAVIER_STOKES):
                group[name] = fields + 1000 * k
            group["t"] = np.broadcast_to([0.0, 1.5, 3.0], (2, 3))
            group["x"] = np.broadcast_to(np.linspace(0, 32, 5), (2, 5))
            group["y"] = np.broadcast_to(np.linspace(0, 32, 4), (2, 4))
            group["dt"], group["buo_y"] = np.full(2, 1.5), np.array([0.2, 0.5])
        return target


def _reason(file: h5py.File) -> str | None:
    groups = set(file)
    if not groups or not groups <= set(SUBSETS):
        return None
    for equation, names, rank in (("NavierStokes2D", NAVIER_STOKES, 4), ("Maxwell3D", MAXWELL, 6)):
        if all(is_array(file.get(g), name, rank) for g in groups for name in names):
            return f"HDF5 with {', '.join(names)} in {', '.join(sorted(groups))}, as {equation}"
    return None


def _content(path: Path) -> Content:
    with structure(path), opened(path) as file:
        if _reason(file) is None:
            raise DataError(
                path,
                f"expected a group of {SUBSETS} that holds {NAVIER_STOKES} or {MAXWELL}, got "
                f"{sorted(file)[:8]}",
            )
        read = _navier_stokes if all("u" in file[g] for g in file) else _maxwell
        found = [read(path, file[g], g) for g in SUBSETS if g in file]
    first = found[0]
    if any(c.variables != first.variables for c in found):
        raise DataError(path, "its groups lie on different grids")
    return Content(
        path,
        first.variables,
        tuple(p for c in found for p in c.parts),
        notes=tuple(note for c in found for note in c.notes),
        provenance=first.provenance,
    )


def _navier_stokes(path: Path, group: h5py.Group, subset: str) -> Content:
    data = {k: array(path, group, k, "(n, T, X, Y)") for k in NAVIER_STOKES}
    n, frames, nx, ny = same_shape(path, data)
    grid = Grid((_axis(path, group, "x", n, nx), _axis(path, group, "y", n, ny)))
    times = numbers(path, group, "t", (n, frames))
    axes = ("sample", "time", "x", "y")
    variables = (
        Variable("u", grid, time_varying=True),
        Variable("velocity", grid, components=(2,), time_varying=True),
    )
    arrays = {
        "u": (stored(path, data["u"], axes),),
        "velocity": tuple(stored(path, data[k], axes) for k in ("vx", "vy")),
    }
    params, provenance = _buoyancy(path, group, n)
    part = Part(f"{path}:/{subset}", n, np.full(n, frames), arrays, times, params, subset)
    notes = (PLACES, *_contradiction(path, group, times))
    return Content(path, variables, (part,), notes=notes, provenance=provenance)


def _axis(path: Path, group: h5py.Group, name: str, n: int, size: int) -> Axis:
    rows = numbers(path, group, name, (n, size))
    if not (rows == rows[0]).all():
        raise DataError(
            path, f"{group.name}/{name} differs between trajectories; expected one grid"
        )
    return Axis.through(name, rows[0])


def _buoyancy(
    path: Path, group: h5py.Group, n: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, str]]:
    if "buo_y" in group:
        return {"buo_y": numbers(path, group, "buo_y", (n,))}, {"buo_y": "data set buo_y"}
    named = NAME.fullmatch(path.stem)
    if named is None:
        return {}, {}
    return {"buo_y": np.full(n, float(named[1]))}, {"buo_y": "file name"}


def _contradiction(path: Path, group: h5py.Group, times: NDArray[np.float64]) -> list[str]:
    """A note where the stored dt is not the spacing of t."""
    if "dt" not in group or times.shape[1] < 2:
        return []
    dt = numbers(path, group, "dt", (len(times),))
    spacing = (times[:, -1] - times[:, 0]) / (times.shape[1] - 1)
    worst = int(np.argmax(np.abs(dt - spacing)))
    off = float(abs(dt[worst] - spacing[worst]) / max(abs(spacing[worst]), np.finfo(float).tiny))
    if off <= UNIFORM:
        return []
    return [
        f"the stored dt is {dt[worst]:.6g}, but the times t are {spacing[worst]:.6g} apart "
        f"({100 * off:.1f} % off); times are taken from t"
    ]


def _maxwell(path: Path, group: h5py.Group, subset: str) -> Content:
    data = {k: array(path, group, k, "(n, T, X, Y, Z, 3)") for k in MAXWELL}
    n, frames, nx, ny, nz, width = same_shape(path, data)
    if width != 3:
        raise DataError(path, f"{group.name}/d_field must end in 3 components, got {width}")
    grid = Grid((counted("x", nx), counted("y", ny), counted("z", nz)))
    axes = ("sample", "time", "x", "y", "z", "component")
    variables = tuple(Variable(k, grid, components=(3,), time_varying=True) for k in MAXWELL)
    arrays = {k: (stored(path, data[k], axes),) for k in MAXWELL}
    part = Part(f"{path}:/{subset}", n, np.full(n, frames), arrays, None, {}, subset)
    return Content(path, variables, (part,), notes=(COUNTED, "times are not stored"))
