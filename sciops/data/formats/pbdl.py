"""PBDL's HDF5 files (Physics-based Deep Learning): one array a simulation, described by attributes.

    sims/  @PDE @Fields @"Fields Scheme" @Constants @Dt
           @"Domain Extent" @"Boundary Conditions" @"Boundary Conditions Order" (where given)
    sims/sim0, sims/sim1, ..   (frames, fields, *space); the constants are attributes of each

"Fields Scheme" has one letter a field; equal letters that follow one another make a vector, for
example VVp with the fields Velocity X, Velocity Y, Pressure.  Spatial axes are x, y, z in stored
order, as PBDL hands them to PhiFlow.  Dt is the time between frames; 0 means that it varies and is
left unknown.  Points lie at cell centres of the domain extent, where it is given; that is assumed.
PBDL writes norm_* beside sims; these are not read.  Files that store each frame as an array of its
own (sims/sim0/0, ..) are refused.  Units are not given.
Source: tum-pbs/pbdl-dataset (MIT), pbdl/dataset.py, utilities.py, torch/phi/loader.py;
tum-pbs/pde-transformer, documentation of the data sets.
"""

from __future__ import annotations

import os
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Boundary, Grid, Side, Variable
from sciops.data.formats._structure import (
    COUNTED,
    array,
    as_number,
    attribute,
    counted,
    number,
    recognised,
    structure,
)
from sciops.data.formats._trajectories import Content, joined
from sciops.data.hdf5 import opened, stored, text, texts
from sciops.data.layout import Format, Layout, Part, Stored

SPACE = ("x", "y", "z")
SIDES: dict[str, Side] = {"negative": "lower", "positive": "upper"}
KINDS = {"periodic", "wall", "open", "inflow", "outflow", "dirichlet", "neumann", "symmetry"}
CENTRES = "points are not stored; cell centres of the domain extent are assumed"
DESCRIBING = ("PDE", "Fields Scheme", "Constants", "Dt")


class PBDL(Format):
    """A group ``sims`` that describes itself."""

    title = "PBDL HDF5 (sims/simN)"
    source = "tum-pbs/pbdl-dataset, pbdl/dataset.py and utilities.py"

    def recognises(self, path: Path) -> str | None:
        """The group ``sims`` with its attributes and simulations."""
        return recognised(path, _reason) if path.is_file() else None

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        with structure(path), opened(path) as file:
            reason = _reason(file)
            if reason is None:
                raise DataError(
                    path,
                    f"expected the group sims with the attributes {DESCRIBING} and simulations "
                    f"sim0, sim1, .., got {sorted(file)[:8]}",
                )
            content = _content(path, file["sims"])
        return joined(path, [content], "pbdl", reason)

    def write_tiny(self, path: Path) -> Path:
        """Two simulations of three frames of a velocity and a pressure on 4 x 6 cells."""
        target = path / "tiny.hdf5"
        with h5py.File(target, "w") as file:
            for i in range(2):
                file[f"sims/sim{i}"] = np.arange(216.0).reshape(3, 3, 4, 6) + 1000 * i
                file[f"sims/sim{i}"].attrs["Reynolds Number"] = 100.0 * (i + 1)
            described = file["sims"].attrs
            described["PDE"], described["Fields Scheme"] = "Navier-Stokes", "VVp"
            described["Fields"] = ["Velocity X", "Velocity Y", "Pressure"]
            described["Constants"], described["Dt"] = ["Reynolds Number"], 0.05
        return target


def _names(group: h5py.Group) -> list[str]:
    names = [name for name in group if re.fullmatch(r"sim[0-9]{1,9}", name)]
    return sorted(names, key=lambda name: int(name.removeprefix("sim")))


def _reason(file: h5py.File) -> str | None:
    group = file.get("sims")
    if not isinstance(group, h5py.Group) or not _names(group):
        return None
    fit = all(name in group.attrs for name in DESCRIBING)
    return "HDF5 with sims/simN and the attributes PDE, Fields Scheme, Dt" if fit else None


def _content(path: Path, group: h5py.Group) -> Content:
    names = _names(group)
    first = group[names[0]]
    if isinstance(first, h5py.Group):
        raise DataError(
            path,
            "each frame is stored as an array of its own; expected one array a simulation "
            "(frames, fields, *space); stack the frames of each simulation",
        )
    dimension = len(first.shape or ()) - 2
    if not 1 <= dimension <= 3:
        raise DataError(path, f"{first.name} must be (frames, fields, *space), got {first.shape}")
    space = SPACE[:dimension]
    meaning = f"(frames, fields, {', '.join(a.upper() for a in space)})"
    data = [array(path, group, name, meaning) for name in names]
    boundary, notes = _boundary(path, group, space)
    axes, more = _axes(path, group, data[0].shape[2:], boundary)
    grid = Grid(axes)
    layout = _fields(path, group, data[0].shape[1])
    variables = tuple(
        Variable(name, grid, components=(len(k),) if len(k) > 1 else (), time_varying=True)
        for name, k in layout.items()
    )
    dt = number(path, group, "Dt")
    constants = texts(attribute(path, group, "Constants"))
    parts = []
    for one in data:
        if one.shape[1:] != data[0].shape[1:]:
            raise DataError(path, f"{one.name} is {one.shape}, but {data[0].name} {data[0].shape}")
        params = {}
        for name in constants:
            value = number(path, one, name)
            if value is None:
                raise DataError(path, f"{one.name} must have the constant {name!r}, one number")
            params[name] = np.array([value])
        described = ("time", "component", *space)
        arrays: dict[str, tuple[Stored, ...]] = {
            name: tuple(stored(path, one, described, ((1, i),)) for i in k)
            for name, k in layout.items()
        }
        frames = one.shape[0]
        times: NDArray[np.float64] | None = dt * np.arange(frames) if dt else None
        parts.append(Part(f"{path}:{one.name}", 1, np.array([frames]), arrays, times, params))
    if not dt:
        notes.append("Dt is not one number above 0: the times are unknown")
    return Content(
        path,
        variables,
        tuple(parts),
        boundary,
        (*notes, *more),
        dict.fromkeys(constants, "attribute of the simulation"),
        attributes={"PDE": text(attribute(path, group, "PDE"))},
    )


def _fields(path: Path, group: h5py.Group, n: int) -> dict[str, list[int]]:
    """Name of each quantity -> its channels."""
    scheme = text(attribute(path, group, "Fields Scheme"))
    names = texts(attribute(path, group, "Fields"))
    if len(scheme) != n or (names and len(names) != n):
        raise DataError(
            path, f"{n} fields are stored, but @Fields Scheme is {scheme!r} and @Fields {names}"
        )
    found: dict[str, list[int]] = {}
    for letter, run in groupby(range(n), key=lambda i: scheme[i]):
        channels = list(run)
        name = os.path.commonprefix([names[i] for i in channels]).strip(" _-") if names else ""
        name = name or letter
        if name in found:
            raise DataError(path, f"two quantities would be called {name!r}; @Fields is {names}")
        found[name] = channels
    return found


def _axes(
    path: Path, group: h5py.Group, shape: tuple[int, ...], boundary: tuple[Boundary, ...]
) -> tuple[tuple[Axis, ...], list[str]]:
    extent: Any = attribute(path, group, "Domain Extent")
    sides = np.atleast_1d(np.asarray([] if extent is None else extent))
    lengths = [as_number(v) for v in sides.reshape(-1)[:4]]
    if len(lengths) == 1:
        lengths *= len(shape)
    if len(lengths) != len(shape) or any(v is None or v <= 0 for v in lengths):
        return tuple(counted(a, n) for a, n in zip(SPACE, shape, strict=False)), [COUNTED]
    kinds = {a: {b.kind for b in boundary if b.axis == a} for a in SPACE}
    return tuple(
        Axis.uniform(a, n, 0.0, float(v or 1), "cell", "periodic" in kinds[a] if kinds[a] else None)
        for a, n, v in zip(SPACE, shape, lengths, strict=False)
    ), [CENTRES]


def _boundary(
    path: Path, group: h5py.Group, space: tuple[str, ...]
) -> tuple[tuple[Boundary, ...], list[str]]:
    """The conditions whose side and kind are known; a note for every other one."""
    order = texts(attribute(path, group, "Boundary Conditions Order"))
    kinds = texts(attribute(path, group, "Boundary Conditions"))
    found, notes = [], []
    for where, kind in zip(order, kinds, strict=False):
        axis, _, side = where.partition(" ")
        if axis in space and side in SIDES and kind in KINDS:
            found.append(Boundary(axis, SIDES[side], kind))
        else:
            notes.append(f"the boundary condition {kind!r} on {where!r} is not known")
    if len(order) != len(kinds):
        notes.append(f"{len(order)} sides are named for {len(kinds)} boundary conditions")
        return (), notes
    return tuple(found), notes
