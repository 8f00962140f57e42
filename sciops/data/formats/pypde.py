"""py-pde's HDF5 storage: one trajectory of one field, or of a collection of fields.

    data   (T, [component[, component2],] *grid)   collections: all components one after another
    times  (T,)
    /      @field_attributes  JSON: class, label, dtype, grid (JSON in a string); in collections
                              fields (JSON in a string), a list of such descriptions
           @data_length       frames that were written, where the arrays are longer

    grid                  axes      from
    UnitGrid              x, y, z   shape, periodic: cells of width 1
    CartesianGrid         x, y, z   shape, bounds, periodic
    CylindricalSymGrid    r, z      shape, radius, bounds_z, periodic_z
    PolarSymGrid          r         shape, radius (outer, or inner and outer)
    SphericalSymGrid      r         the same

Points are cell centres.  Vectors and tensors have the components of the space, for cylinders in
the order (r, z, phi).  That an axis is periodic is the only thing said of the boundary.  Complex
fields are refused.  Units are not given.
Source: zwicker-group/py-pde (MIT), pde/storage/file.py, pde/fields/collection.py, pde/grids.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import SIDES, Axis, Boundary, Grid, Variable
from sciops.data.formats._structure import (
    LONGEST,
    array,
    as_number,
    attribute,
    numbers,
    recognised,
    structure,
)
from sciops.data.formats._trajectories import Content, joined
from sciops.data.hdf5 import opened, stored, text
from sciops.data.layout import COMPONENTS, Format, Layout, Part, Stored

RANKS = {"ScalarField": 0, "VectorField": 1, "Tensor2Field": 2}
DIMENSIONS = {"CylindricalSymGrid": 3, "PolarSymGrid": 2, "SphericalSymGrid": 3}
DESCRIPTION = "field_attributes"


class PyPDE(Format):
    """Storage files of py-pde."""

    title = "py-pde HDF5 storage (data, times)"
    source = "zwicker-group/py-pde, pde/storage/file.py"
    verified = "storage_1.hdf5 of py-pde's own tests"

    def recognises(self, path: Path) -> str | None:
        """The arrays data and times beside the description of the field."""
        return recognised(path, _reason) if path.is_file() else None

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        with structure(path), opened(path) as file:
            reason = _reason(file)
            if reason is None:
                raise DataError(
                    path,
                    f"expected the arrays data, times and @{DESCRIPTION}, got {sorted(file)[:8]}",
                )
            content = _content(path, file)
        return joined(path, [content], "pypde", reason)

    def write_tiny(self, path: Path) -> Path:
        """Three frames of a scalar on 4 x 6 cells, periodic in x."""
        target = path / "tiny.hdf5"
        grid = {"bounds": [[0, 2], [0, 1]], "shape": [4, 6], "periodic": [True, False]}
        described = {"class": '"ScalarField"', "label": '"c"', "dtype": '"<f8"'}
        with h5py.File(target, "w") as file:
            file["data"] = np.arange(72.0).reshape(3, 4, 6)
            file["times"] = np.array([0.0, 0.5, 1.0])
            described["grid"] = json.dumps(grid | {"class": "CartesianGrid"})
            file.attrs[DESCRIPTION] = json.dumps(described)
        return target


def _reason(file: h5py.File) -> str | None:
    fit = set(file) == {"data", "times"} and DESCRIPTION in file.attrs
    return f"HDF5 with data, times and @{DESCRIPTION}, as py-pde" if fit else None


def _content(path: Path, file: h5py.File) -> Content:
    described = _parsed(path, text(attribute(path, file, DESCRIPTION)), DESCRIPTION)
    single = "fields" not in described
    members = [described] if single else _parsed(path, described["fields"], "fields")
    if not isinstance(members, list) or not members:
        raise DataError(path, f"@{DESCRIPTION} lists no fields")
    kind, axes = _grid(path, _parsed(path, _entry(path, members[0], "grid"), "grid"))
    grid = Grid(axes)
    width = DIMENSIONS.get(kind, len(axes))
    ranks = [_rank(path, m) for m in members]
    lead = COMPONENTS[: ranks[0]] if single else ("component",)
    described_axes = ("time", *lead, *grid.names)
    data = array(path, file, "data", f"({', '.join(described_axes)})")
    channels = sum(width**r for r in ranks)
    expected = (width,) * ranks[0] if single else (channels,)
    if data.shape[1:] != expected + grid.shape:
        raise DataError(
            path, f"/data must be {('T', *expected, *grid.shape)} for this grid, got {data.shape}"
        )
    variables: list[Variable] = []
    arrays: dict[str, tuple[Stored, ...]] = {}
    first = 0
    for k, (member, rank) in enumerate(zip(members, ranks, strict=True)):
        label = _parsed(path, member.get("label", "null"), "label")
        name = str(label) if label else "u" if single else f"u{k}"
        if name in arrays:
            raise DataError(path, f"two fields are labelled {name!r}")
        components = (width,) * rank
        variables.append(Variable(name, grid, "state", components, None, None, "cell", True))
        if single:
            arrays[name] = (stored(path, data, described_axes),)
        else:
            arrays[name] = tuple(
                stored(path, data, described_axes, ((1, first + i),)) for i in range(width**rank)
            )
        first += width**rank
    frames = _frames(path, file, data.shape[0])
    times = numbers(path, file, "times", array(path, file, "times", "(T,)").shape)[:frames]
    boundary = tuple(
        Boundary(a.name, side, "periodic") for a in axes for side in SIDES if a.periodic
    )
    part = Part(str(path), 1, np.array([frames]), arrays, times)
    attributes = {f"pypde_{k}": text(attribute(path, file, k)) for k in file.attrs}
    return Content(path, tuple(variables), (part,), boundary, attributes=attributes)


def _frames(path: Path, file: h5py.File, stored_frames: int) -> int:
    """Frames that were written: arrays may be longer, or an interrupted run may miss a time."""
    length = as_number(_parsed(path, text(file.attrs.get("data_length", "null")), "data_length"))
    times = array(path, file, "times", "(T,)").shape[0]
    frames = min(stored_frames, times, stored_frames if length is None else int(length))
    if frames < 1:
        raise DataError(path, "no frame was written")
    return frames


def _parsed(path: Path, value: Any, what: str) -> Any:
    """JSON in a string."""
    try:
        found = json.loads(value)
    except (TypeError, ValueError, RecursionError):
        raise DataError(path, f"{what} must be JSON in a string, got {str(value)[:80]!r}") from None
    return found


def _entry(path: Path, member: Any, name: str) -> Any:
    if not isinstance(member, dict) or name not in member:
        raise DataError(path, f"a field must be described with {name!r}, got {str(member)[:80]!r}")
    return member[name]


def _rank(path: Path, member: Any) -> int:
    name = _parsed(path, _entry(path, member, "class"), "class")
    if name not in RANKS:
        raise DataError(path, f"a field of class {name!r}; known are {sorted(RANKS)}")
    return RANKS[name]


def _grid(path: Path, state: Any) -> tuple[str, tuple[Axis, ...]]:
    """Class of the grid, and its axes."""
    kind = _entry(path, state, "class")
    shape = state.get("shape")
    shape = shape if isinstance(shape, list) else [shape]
    if not all(isinstance(n, int) and 1 <= n <= LONGEST for n in shape):
        raise DataError(path, f"the grid's shape must be counts of cells, got {shape}")
    n = len(shape)
    if kind in ("UnitGrid", "CartesianGrid"):
        names: tuple[str, ...] = ("x", "y", "z")
        bounds = state.get("bounds") if kind == "CartesianGrid" else [[0, k] for k in shape]
        periodic = state.get("periodic")
        periodic = [periodic] * n if isinstance(periodic, bool) else periodic
    elif kind in DIMENSIONS:
        radius = state.get("radius")
        bounds = [radius if isinstance(radius, list) else [0, radius]]
        names, periodic = ("r",), [False]
        if kind == "CylindricalSymGrid":
            names, periodic = ("r", "z"), [False, state.get("periodic_z")]
            bounds.append(state.get("bounds_z"))
    else:
        raise DataError(path, f"a grid of class {kind!r}; known are UnitGrid, CartesianGrid, "
                              f"{', '.join(DIMENSIONS)}")  # fmt: skip
    fit = isinstance(bounds, list) and isinstance(periodic, list)
    if not fit or not len(bounds) == len(periodic) == n <= len(names):
        raise DataError(path, f"the grid's shape {shape} does not fit its bounds and periods")
    ends = [[as_number(v) for v in b] if isinstance(b, list) else [] for b in bounds]
    if any(len(e) != 2 or None in e for e in ends):
        raise DataError(path, f"the grid's bounds must be pairs of numbers, got {bounds}")
    return kind, tuple(
        Axis.uniform(a, k, float(e[0] or 0), float(e[1] or 0), "cell", bool(p))
        for a, k, e, p in zip(names, shape, ends, periodic, strict=False)
    )
