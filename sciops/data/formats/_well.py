"""The HDF5 layout of The Well, which our own files have too.

    /  @dataset_name @grid_type @n_spatial_dims @n_trajectories @simulation_parameters
    dimensions/           @spatial_dims; time, x, y, ..   (@sample_varying, @time_varying)
    boundary_conditions/  one group a condition: @associated_dims @associated_fields @bc_type; mask
    scalars/              @field_names; parameters        (@sample_varying, @time_varying)
    t0_fields, t1_fields, t2_fields/  @field_names; (n, T, *space[, d][, d]), an axis along which
                          the field is constant is left out (@dim_varying, .. say which)

Source: Ohana et al., The Well, NeurIPS 2024 (arXiv 2412.00568); docs/data_format.md of
PolymathicAI/the_well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Boundary, Grid, Schema, Side, Variable
from sciops.data.formats._structure import LONGEST, as_number
from sciops.data.hdf5 import opened, stored, text, texts, values
from sciops.data.layout import COMPONENTS, Layout, Part, Stored

FIELD_GROUPS = ("t0_fields", "t1_fields", "t2_fields")
STRUCTURAL = ("n_trajectories", "n_spatial_dims", "simulation_parameters")
UNIFORM = 1e-3  # relative spread of time steps that still count as one dt


def params_named(file: h5py.File) -> list[str]:
    """Names of the parameters that stand as attributes."""
    return texts(file.attrs.get("simulation_parameters"))


def has_structure(path: Path) -> bool:
    """Whether an HDF5 file has the groups that make it a file of this layout."""
    with opened(path) as file:
        return "dimensions" in file and any(g in file for g in FIELD_GROUPS)


def read(files: list[tuple[Path, str | None]], format: str, reason: str) -> Layout:
    """The layout of one or more files, each with its subset."""
    found = [read_file(path, subset) for path, subset in files]
    schema, _, attributes, notes, provenance = found[0]
    for (path, _), (other, *_) in zip(files[1:], found[1:], strict=True):
        if other.variables != schema.variables:
            raise DataError(path, f"its variables or grid differ from those of {files[0][0]}")
    notes = list(dict.fromkeys(note for f in found for note in f[3]))
    return Layout(
        schema, tuple(f[1] for f in found), format, reason, tuple(notes), attributes, provenance
    )


def read_file(
    path: Path, subset: str | None
) -> tuple[Schema, Part, dict[str, str], list[str], dict[str, str]]:
    """Schema, part, attributes, notes and provenance of parameters of one file."""
    notes: list[str] = []
    with opened(path) as file:
        n = _samples(path, file)
        axes = _axes(path, file)
        boundary = _boundary(path, file, axes, notes)
        grid = Grid(tuple(_with_periodic(a, boundary) for a in axes.values()))
        variables, arrays = [], {}
        for variable, array in (*_fields(path, file, grid, n), *_forcing(path, file, grid)):
            variables.append(variable)
            arrays[variable.name] = (array,)
        params, numbers, provenance = _params(path, file, n)
        times, length = _times(path, file, any(v.time_varying for v in variables))
        schema = Schema(
            tuple(variables) + params,
            tuple(boundary),
            _dt(times),
            _optional(file["dimensions"].get("time"), "unit"),
            name=text(file.attrs.get("dataset_name", path.stem)),
        )
        told = {*STRUCTURAL, *params_named(file)}  # stands in the schema, and differs by file
        attributes = {k: text(v) for k, v in file.attrs.items() if k not in told}
    part = Part(str(path), n, np.full(n, length), arrays, times, numbers, subset)
    return schema, part, attributes, notes, provenance


def _samples(path: Path, file: h5py.File) -> int:
    found = file.attrs.get("n_trajectories", 1)
    n = as_number(found)
    if n is None or n != int(n) or not 1 <= n <= LONGEST:
        raise DataError(path, f"@n_trajectories must be a number of samples, got {found!r:.60}")
    return int(n)


def _axes(path: Path, file: h5py.File) -> dict[str, Axis]:
    group = file["dimensions"]
    names = texts(group.attrs.get("spatial_dims"))
    if not names or any(name not in group for name in names):
        raise DataError(path, f"dimensions/@spatial_dims names {names!r:.200}, found {list(group)}")
    axes = {}
    for name in names:
        data = group[name]
        if bool(data.attrs.get("sample_varying", False)) or data.ndim != 1:
            raise DataError(
                path,
                f"dimensions/{name} must be one list of positions of all samples, got {data.shape}",
            )
        axes[name] = Axis.through(name, values(path, data), unit=_optional(data, "unit"))
    return axes


def _with_periodic(axis: Axis, boundary: list[Boundary]) -> Axis:
    """The axis, periodic or not as its conditions say; left open where there are none."""
    kinds = {b.kind for b in boundary if b.axis == axis.name}
    if not kinds:
        return axis
    return Axis.through(axis.name, axis.coordinates, periodic="periodic" in kinds, unit=axis.unit)


def _boundary(
    path: Path, file: h5py.File, axes: dict[str, Axis], notes: list[str]
) -> list[Boundary]:
    found: list[Boundary] = []
    for name, group in file.get("boundary_conditions", {}).items():
        kind = text(group.attrs.get("bc_type", "unknown")).lower()
        dims = texts(group.attrs.get("associated_dims"))
        fields = tuple(texts(group.attrs.get("associated_fields")))
        if len(dims) != 1 or dims[0] not in axes:
            notes.append(
                f"boundary condition {name!r} ({kind}) on {dims} is not on one side of the box"
            )
            continue
        for side in _sides(path, group, kind):
            found.append(Boundary(dims[0], side, kind, fields))
    return found


def _sides(path: Path, group: h5py.Group, kind: str) -> Iterator[Side]:
    """The sides that the mask of a condition touches; both for a periodic axis."""
    there = "mask" in group and group["mask"].ndim == 1
    mask = values(path, group["mask"]) if there else None
    if kind == "periodic" or mask is None or not mask.any() or mask[0]:
        yield "lower"
    if kind == "periodic" or mask is None or not mask.any() or mask[-1]:
        yield "upper"


def _fields(path: Path, file: h5py.File, grid: Grid, n: int) -> Iterator[tuple[Variable, Stored]]:
    for rank, group_name in enumerate(FIELD_GROUPS):
        group = file.get(group_name, {})
        names = texts(group.attrs.get("field_names")) if len(group) else []
        for name in names or list(group):
            if name not in group:
                raise DataError(
                    path, f"{group_name}/@field_names lists {name!r}, which is not there"
                )
            yield _field(path, group[name], name, rank, grid, n)


def _field(
    path: Path, data: h5py.Dataset, name: str, rank: int, grid: Grid, n: int
) -> tuple[Variable, Stored]:
    varying = np.asarray(data.attrs.get("dim_varying", np.ones(grid.dimension)), dtype=bool)
    moving = bool(data.attrs.get("time_varying", True))
    axes = ["sample"] if bool(data.attrs.get("sample_varying", True)) else []
    axes += ["time"] if moving else []
    axes += [a for a, v in zip(grid.names, varying, strict=True) if v]
    axes += COMPONENTS[:rank]
    if len(axes) != data.ndim:
        raise DataError(
            path, f"{data.name} has the shape {data.shape} but its attributes describe {axes}"
        )
    symmetry = None
    for kind in ("symmetric", "antisymmetric"):
        if rank == 2 and bool(data.attrs.get(kind, False)):
            symmetry = kind
    variable = Variable(
        name,
        grid,
        role="state" if moving else "geometry",
        components=tuple(int(k) for k in data.shape[data.ndim - rank :]) if rank else (),
        symmetry=symmetry,  # type: ignore[arg-type]
        unit=_optional(data, "unit"),
        time_varying=moving,
        constant_along=tuple(a for a, v in zip(grid.names, varying, strict=True) if not v),
    )
    return variable, stored(path, data, tuple(axes))


def _forcing(path: Path, file: h5py.File, grid: Grid) -> Iterator[tuple[Variable, Stored]]:
    """Scalars that vary in time: a forcing that is the same at every point of the grid."""
    for name, data in file.get("scalars", {}).items():
        if not bool(data.attrs.get("time_varying", False)):
            continue
        axes = ("sample", "time") if bool(data.attrs.get("sample_varying", True)) else ("time",)
        if data.ndim != len(axes):
            raise DataError(path, f"{data.name} has the shape {data.shape}, expected {axes}")
        variable = Variable(
            name,
            grid,
            "forcing",
            unit=_optional(data, "unit"),
            time_varying=True,
            constant_along=grid.names,
        )
        yield variable, stored(path, data, axes)


def _params(
    path: Path, file: h5py.File, n: int
) -> tuple[tuple[Variable, ...], dict[str, NDArray[np.float64]], dict[str, str]]:
    found: dict[str, NDArray[np.float64]] = {}
    provenance, units = {}, {}
    group = file.get("scalars", {})
    for name, data in group.items():
        if bool(data.attrs.get("time_varying", False)):
            continue
        numbers = np.asarray(values(path, data), dtype=np.float64)
        if numbers.shape not in ((), (1,), (n,)):
            raise DataError(path, f"{data.name} must be one number or {n}, got {numbers.shape}")
        found[name] = np.broadcast_to(numbers, (n,)).copy()
        provenance[name], units[name] = f"data set scalars/{name}", _optional(data, "unit")
    for name in params_named(file):
        if name not in found and name in file.attrs and np.ndim(file.attrs[name]) == 0:
            try:
                found[name] = np.full(n, float(file.attrs[name]))
            except (TypeError, ValueError):
                continue  # a word, not a number
            provenance[name] = "attribute of the file"
    variables = tuple(Variable(k, role="param", unit=units.get(k)) for k in found)
    return variables, found, provenance


def _times(path: Path, file: h5py.File, moving: bool) -> tuple[NDArray[np.float64] | None, int]:
    if not moving:
        return None, 1
    if "time" not in file["dimensions"]:
        raise DataError(path, "fields vary in time but dimensions/time is missing")
    times = np.asarray(values(path, file["dimensions/time"]), dtype=np.float64)
    if times.ndim not in (1, 2) or not times.size:
        raise DataError(path, f"dimensions/time must be (T,) or (n, T), got {times.shape}")
    return times, int(times.shape[-1])


def _dt(times: NDArray[np.float64] | None) -> float | None:
    """The one time step, where the frames are equidistant in every trajectory."""
    return None if times is None else uniform_step(times)


def uniform_step(times: NDArray[np.float64]) -> float | None:
    """The step of equidistant times (.., T), None where it varies by more than 1e-3."""
    steps = np.diff(times, axis=-1)
    if steps.size == 0 or not np.isfinite(steps).all():
        return None
    mean = float(steps.mean())
    return mean if mean > 0 and np.abs(steps - mean).max() <= UNIFORM * mean else None


def _optional(data: Any, name: str) -> str | None:
    value = None if data is None else data.attrs.get(name)
    return None if value is None else text(value)


def bc_type(kind: str) -> str:
    """The nearest of The Well's three types; the exact kind stands beside it."""
    return {"periodic": "PERIODIC", "open": "OPEN", "outflow": "OPEN", "inflow": "OPEN"}.get(
        kind, "WALL"
    )
