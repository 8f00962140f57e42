"""Formats without groups: one named array a variable, and small arrays beside them.

fields          name(sample, [time,] *axes, *components), shared and constant axes left out
coordinates     one array an axis; time, or physical_time(sample, time); length(sample)
parameters      name(sample)
sciops_contents what the file holds (see `sciops.data.contents`)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.schema import Variable
from sciops.data import contents
from sciops.data.writers._writer import Writer
from sciops.data.xarray_backend import grid_coordinates


@dataclass(frozen=True)
class Small:
    """A small array with the names of its dimensions and its attributes."""

    dims: tuple[str, ...]
    values: NDArray[Any]
    attrs: dict[str, Any]


class Flat(Writer):
    """What the formats of named arrays have in common."""

    take_bool = False  # whether booleans are stored as integers

    @property
    def fields(self) -> list[Variable]:
        """The variables that are fields."""
        return [v for v in self.source.schema.variables if v.role != "param"]

    def small(self) -> dict[str, Small]:
        """Coordinates, times, lengths, parameters and the description, by key."""
        schema, taken = self.source.schema, {v.name for v in self.fields}
        found = {
            name: Small(tuple(str(d) for d in c.dims), np.asarray(c.values), dict(c.attrs))
            for name, c in grid_coordinates(schema).items()
            if name not in taken
        }
        times = self.times()
        key_times = key_lengths = None
        if times is not None:
            key_times = "time" if times.ndim == 1 else "physical_time"
            dims = ("time",) if times.ndim == 1 else ("sample", "time")
            units = {} if schema.time_unit is None else {"units": schema.time_unit}
            found[key_times] = Small(dims, times, units)
        if self.source.ragged:
            key_lengths = "length"
            found[key_lengths] = Small(("sample",), self.source.lengths, {})
        params = {}
        for name, values in self.params().items():
            clash = name in found or name in taken
            params[name] = f"{name}_param" if clash else name
            unit = schema[name].unit
            found[params[name]] = Small(
                ("sample",), values, {} if unit is None else {"units": unit}
            )
        keys = {v.name: [self._entry(v)] for v in self.fields}
        text, points = self.contents(keys, params, key_times, key_lengths)
        for key, array in points.items():
            found[key] = Small(tuple(f"{key}_{k}" for k in range(array.ndim)), array, {})
        found[contents.KEY] = Small((contents.KEY,), text, {})
        return found

    def _entry(self, v: Variable) -> dict[str, Any]:
        entry: dict[str, Any] = {"key": v.name, "axes": list(self.stored_axes(v))}
        if self.take_bool and self.source.dtype(v.name).kind == "b":
            entry["take"] = "bool"
        return entry

    def attributes(self, v: Variable) -> dict[str, Any]:
        """Attributes of a field, for people and other software."""
        known = {"units": v.unit, "location": v.location, "symmetry": v.symmetry}
        return {"role": v.role, **{k: x for k, x in known.items() if x is not None}}


class InMemory(Flat):
    """Formats that are written in one piece: everything is held, within the memory budget."""

    streams = False
    presets = False

    def allocate(self, path: Any) -> None:
        """Room for every field; DataError where it does not fit the budget."""
        from sciops.data import budget

        size = sum(
            int(np.prod(self.stored_shape(v))) * self.source.dtype(v.name).itemsize
            for v in self.fields
        )
        budget.require(
            (size,), 1, path, f"all of a data set, which a {self.suffix} file needs at once,"
        )
        self.arrays: dict[str, NDArray[Any]] = {
            v.name: np.zeros(self.stored_shape(v), self.source.dtype(v.name)) for v in self.fields
        }

    def put(self, v: Variable, sample: int, frames: slice, values: NDArray[Any]) -> None:
        """See `Writer`."""
        self.arrays[v.name][self.place(v, sample, frames)] = self.squeezed(v, values)
