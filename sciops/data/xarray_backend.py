"""The labelled view of a layout: ``sciops.open_dataset``, ``xr.open_dataset(engine="sciops")``.

Dimensions: sample, [time,] the axes of the grid (or node), [component[, component2]].  Values are
read when they are asked for.  Trajectories of different lengths are filled up with NaN and their
lengths stand in the coordinate ``length``.  Positions of points are x_node, y_node, .., their cells
``cells(cell, vertex)``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from sciops.core import resolve
from sciops.core.schema import SCHEMA_VERSION, SIDES, Boundary, Grid, Schema, Variable
from sciops.data import budget, reader
from sciops.data.layout import COMPONENTS, Layout
from sciops.data.mapping import Mapping
from sciops.data.open import open_layout


def open_dataset(
    path: str | Path,
    format: str | None = None,
    mapping: Mapping | dict[str, Any] | str | Path | None = None,
) -> xr.Dataset:
    """A data set of any known format, labelled and lazy.

    Parameters
    ----------
    path
        File or folder.
    format
        Name of the format; None to recognise it by structure.
    mapping
        What the arrays of any file mean; it goes before every recognition.  See `open_layout`.

    Returns
    -------
    xarray.Dataset
        Its attributes name the format and why it was chosen (``sciops_format``, ``sciops_reason``).

    Raises
    ------
    DataError
        If nothing is there, or it cannot be read.
    """
    return as_dataset(open_layout(path, format, mapping))


class SciopsBackend(BackendEntrypoint):
    """xarray's door to every format of sciops."""

    description = "PDE and CFD benchmark files through sciops"
    url = "https://docs.xarray.dev/en/stable/internals/how-to-add-new-backend.html"

    def open_dataset(  # type: ignore[override]
        self,
        filename_or_obj: str | Path,
        *,
        drop_variables: str | Iterable[str] | None = None,
        format: str | None = None,
        mapping: Mapping | dict[str, Any] | str | Path | None = None,
    ) -> xr.Dataset:
        """See `sciops.open_dataset`."""
        dropped = (
            [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or [])
        )
        return open_dataset(filename_or_obj, format, mapping).drop_vars(dropped)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """False: other engines read HDF5 too, so this one is used when it is asked for."""
        return False


class _Field(BackendArray):
    """All samples of one variable as (sample, [time,] *N, *components)."""

    def __init__(self, layout: Layout, variable: Variable) -> None:
        assert variable.domain is not None
        self.layout, self.variable = layout, variable
        self.frames = int(layout.lengths.max()) if variable.time_varying else None
        time = () if self.frames is None else (self.frames,)
        self.shape = (layout.n_samples, *time, *variable.domain.shape, *variable.components)
        kinds = {s.values_dtype for p in layout.parts for s in p.arrays[variable.name]}
        ragged = self.frames is not None and bool((layout.lengths != self.frames).any())
        self.dtype = np.result_type(*kinds, *([np.float32] if ragged else []))

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._get
        )

    def _get(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        asked = [
            len(range(n)[k]) for k, n in zip(key, self.shape, strict=True) if isinstance(k, slice)
        ]
        part = self.layout.parts[0]
        budget.require(asked, self.dtype.itemsize, part.name, f"a part of {self.variable.name}")
        first, rest = key[0], key[1:]
        if not isinstance(first, slice):
            return self._one(int(first), rest)
        samples = range(*first.indices(self.shape[0]))
        if not samples:
            empty = np.empty((0, *self.shape[1:]), dtype=self.dtype)
            return empty[(slice(None), *rest)]
        return np.stack([self._one(s, rest) for s in samples])

    def _one(self, sample: int, rest: tuple[int | slice, ...]) -> NDArray[Any]:
        if self.frames is None:
            return np.asarray(
                reader.read(self.layout, self.variable.name, sample)[rest], self.dtype
            )
        wanted = rest[0] if isinstance(rest[0], slice) else slice(int(rest[0]), int(rest[0]) + 1)
        frames = np.arange(self.frames)[wanted]
        there = frames[frames < self.layout.lengths[sample]]
        out = (
            np.full((len(frames), *self.shape[2:]), np.nan, dtype=self.dtype)
            if len(there) < len(frames)
            else None
        )
        if len(there):
            low, high = int(there.min()), int(there.max()) + 1
            block = reader.read(self.layout, self.variable.name, sample, slice(low, high))
            values = block[there - low]
            if out is None:
                out = np.asarray(values, self.dtype)
            else:
                out[np.isin(frames, there)] = values
        assert out is not None
        time_index = 0 if not isinstance(rest[0], slice) else slice(None)
        return out[(time_index, *rest[1:])]


def as_dataset(layout: Layout) -> xr.Dataset:
    """The labelled view of a layout."""
    variables: dict[str, xr.Variable] = {}
    for v in layout.schema.variables:
        if v.role == "param":
            values = np.concatenate([p.params[v.name] for p in layout.parts])
            attrs = _attributes(v) | {"provenance": layout.provenance.get(v.name, "unknown")}
            variables[v.name] = xr.Variable(("sample",), values, attrs)
        else:
            data = indexing.LazilyIndexedArray(_Field(layout, v))
            variables[v.name] = xr.Variable(dimensions(v, layout.schema), data, _attributes(v))
    coordinates = {k: c for k, c in _coordinates(layout).items() if k not in variables}
    attributes = {
        "schema_version": SCHEMA_VERSION,
        "sciops_format": layout.format,
        "sciops_reason": layout.reason,
        **_origin(layout),
        "name": layout.schema.name,
        "boundary": json.dumps([asdict(b) for b in sides(layout.schema)]),
        **({"notes": list(layout.notes)} if layout.notes else {}),
        **({"dt": layout.schema.dt} if layout.schema.dt is not None else {}),
        **{k: v for k, v in layout.attributes.items() if k != "sciops_format"},
    }
    return xr.Dataset(variables, coordinates, attributes)


def _origin(layout: Layout) -> dict[str, str]:
    """Where files of that format are described, unless the file names its own source."""
    if layout.format not in resolve.names("formats"):
        return {}
    return {"source": resolve.find("formats", layout.format).source}  # type: ignore[attr-defined]


def sides(schema: Schema) -> list[Boundary]:
    """The conditions that are known, and one for every other side: ``unknown``, or periodic."""
    found = list(schema.boundary)
    told = {(b.axis, b.side) for b in found if not b.variables}
    for v in schema.variables:
        for axis in v.domain.axes if isinstance(v.domain, Grid) else ():
            for side in SIDES:
                if (axis.name, side) not in told:
                    told.add((axis.name, side))
                    found.append(Boundary(axis.name, side, schema.boundary_kind(axis.name, side)))
    return found


def dimensions(
    variable: Variable, schema: Schema, lead: tuple[str, ...] = ("sample",)
) -> tuple[str, ...]:
    """Names of the dimensions of a variable in the labelled view."""
    assert variable.domain is not None
    time = ("time",) if variable.time_varying else ()
    return (*lead, *time, *axis_names(variable, schema), *component_names(variable, schema))


def axis_names(variable: Variable, schema: Schema) -> tuple[str, ...]:
    """Axis names; suffixed by the variable where two grids of the schema differ in that axis."""
    domain = variable.domain
    assert domain is not None
    if not isinstance(domain, Grid):
        clash = any(v.domain not in (None, domain) for v in schema.variables)
        return (f"node_{variable.name}",) if clash else ("node",)
    others = [
        v.domain for v in schema.variables if isinstance(v.domain, Grid) and v.domain != domain
    ]
    differing = {a.name for g in others for a in g.axes if a not in domain.axes}
    return tuple(
        f"{a.name}_{variable.name}" if a.name in differing else a.name for a in domain.axes
    )


def component_names(variable: Variable, schema: Schema) -> tuple[str, ...]:
    """component, component2; suffixed by the variable where vectors differ in size."""
    sizes = {n for v in schema.variables for n in v.components}
    suffix = f"_{variable.name}" if len(sizes) > 1 else ""
    return tuple(f"{c}{suffix}" for c in COMPONENTS[: variable.rank])


def _attributes(v: Variable) -> dict[str, Any]:
    known = {"unit": v.unit, "location": v.location, "symmetry": v.symmetry}
    return {
        "role": v.role,
        **({"units": v.unit} if v.unit else {}),
        **{k: x for k, x in known.items() if x is not None and k != "unit"},
    }


def grid_coordinates(schema: Schema) -> dict[str, xr.Variable]:
    """Coordinate variables of every grid and point set of a schema."""
    found: dict[str, xr.Variable] = {}
    for v in schema.variables:
        if isinstance(v.domain, Grid):
            for name, axis in zip(axis_names(v, schema), v.domain.axes, strict=True):
                attrs: dict[str, Any] = {"lower": axis.lower, "upper": axis.upper}
                attrs["periodic"] = "unknown" if axis.periodic is None else str(axis.periodic)
                if axis.unit:
                    attrs["units"] = axis.unit
                found[name] = xr.Variable((name,), axis.coordinates, attrs)
        elif v.domain is not None:
            (node,) = axis_names(v, schema)
            for d, letter in enumerate("xyz"[: v.domain.dimension]):
                found[f"{letter}_{node}"] = xr.Variable((node,), v.domain.coordinates[:, d])
            if v.domain.cells is not None:
                of = node.removeprefix("node")
                found[f"cells{of}"] = xr.Variable((f"cell{of}", f"vertex{of}"), v.domain.cells)
    return found


def _coordinates(layout: Layout) -> dict[str, xr.Variable]:
    found = grid_coordinates(layout.schema)
    found["sample"] = xr.Variable(("sample",), np.arange(layout.n_samples))
    if not any(v.time_varying for v in layout.schema.variables):
        return found
    attrs = {"units": layout.schema.time_unit} if layout.schema.time_unit else {}
    times = _times(layout)
    if times is not None:
        dims = ("time",) if times.ndim == 1 else ("sample", "time")
        found["time" if times.ndim == 1 else "physical_time"] = xr.Variable(dims, times, attrs)
    lengths = layout.lengths
    if (lengths != lengths.max()).any():
        found["length"] = xr.Variable(("sample",), lengths)
    return found


def _times(layout: Layout) -> NDArray[np.float64] | None:
    """(T,) where all samples have the same times, else (n, T); None where none are known."""
    lengths, longest = layout.lengths, int(layout.lengths.max())
    known = [p.times for p in layout.parts]
    if all(t is None for t in known):
        return None
    rows = [t[:longest] for t in known if t is not None and t.ndim == 1]
    whole = len(rows) == len(known) and bool((lengths == longest).all())
    if whole and all(np.array_equal(row, rows[0]) for row in rows):
        return rows[0]
    budget.require((layout.n_samples, longest), 8, layout.parts[0].name, "the times of all samples")
    table = np.full((layout.n_samples, longest), np.nan)
    end = 0
    for part in layout.parts:
        begin, end = end, end + part.n_samples
        if part.times is not None:
            inside = np.arange(longest) < part.lengths[:, None]
            times = part.times[..., :longest]
            times = np.pad(times, [*[(0, 0)] * (times.ndim - 1), (0, longest - times.shape[-1])])
            table[begin:end] = np.where(inside, times, np.nan)
    if np.isnan(table).all():
        return None
    return table[0] if not np.isnan(table).any() and (table == table[0]).all() else table
