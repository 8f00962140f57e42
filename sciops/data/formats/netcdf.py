"""netCDF-3 and netCDF-4 with CF conventions: named dimensions, units, packed numbers.

    time         a dimension of that name, or whose coordinate counts "... since ..."
    sample       a dimension called sample, realization, member, ensemble or number; else one sample
    other dims   axes in their stored order, for example (level, longitude, latitude); coordinates
                 that fall are turned round, and the fields with them

Variables on those axes are fields: states where they vary in time.  A variable on (sample) alone is
a parameter.  Text, scalars, bounds, auxiliary coordinates and series without space are left out,
with a note.  Times stay numbers in the unit of the file.  Coordinates that do not rise or fall
strictly are replaced by counting.
Source: netCDF User's Guide; CF Conventions 1.11.  How files are read: `_netcdf`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Role, Schema, Variable
from sciops.data import contents
from sciops.data.containers import netcdf3
from sciops.data.formats import _netcdf
from sciops.data.formats._netcdf import File, Raw
from sciops.data.formats._structure import structure
from sciops.data.formats._well import uniform_step
from sciops.data.formats.poseidon import Poseidon
from sciops.data.layout import Format, Layout, Part, Stored

SAMPLE = ("sample", "realization", "realisation", "member", "ensemble", "number")
TIME = ("time", "t")


class NetCDF(Format):
    """One file with named dimensions."""

    title = "netCDF-3 and netCDF-4 (CF)"
    source = "CF Conventions 1.11; netCDF User's Guide"
    verified = "ERA5 of neuralgcm (netCDF-3), earthkit-data test_single (netCDF-4)"

    def recognises(self, path: Path) -> str | None:
        """A netCDF file that holds more than coordinates."""
        file = _netcdf.read(path) if path.is_file() else None
        if file is None or contents.carried(path) or Poseidon().recognises(path):
            return None
        fields = [k for k, raw in file.variables.items() if raw.stored is not None and raw.dims]
        if not set(fields) - set(file.sizes):
            return None
        kind = "netCDF-3" if netcdf3.is_container(path) else "netCDF-4"
        return f"{kind} with the dimensions {', '.join(file.sizes)}"

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        file = _netcdf.read(path)
        if file is None:
            raise DataError(path, "expected netCDF: a classic file, or HDF5 with dimension scales")
        reason = self.recognises(path) or "asked for"
        with structure(path):
            return _Reading(file).layout(reason)

    def write_tiny(self, path: Path) -> Path:
        """Two frames of a packed field on three falling latitudes and four longitudes."""
        from scipy.io import netcdf_file

        target = path / "tiny.nc"
        with netcdf_file(str(target), "w") as file:
            axes = {"time": [0, 6], "lat": [60, 0, -60], "lon": [0, 90, 180, 270]}
            units = {
                "time": "hours since 1959-01-01",
                "lat": "degrees_north",
                "lon": "degrees_east",
            }
            for name, values in axes.items():
                file.createDimension(name, len(values))
                file.createVariable(name, "f8", (name,))[:] = values
                file.variables[name].units = units[name]
            packed = file.createVariable("t2m", "i2", ("time", "lat", "lon"))
            packed[:] = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
            packed.scale_factor, packed.add_offset, packed.units = np.float32(0.5), 273.0, "K"
        return target


class _Reading:
    """One file on its way to a layout; notes gather as it is read."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.notes: list[str] = []
        self.left_out: list[str] = []
        self.axes: dict[str, tuple[Axis, bool]] = {}
        self.auxiliary = {
            name
            for raw in file.variables.values()
            for key in ("bounds", "climatology", "coordinates", "grid_mapping")
            for name in raw.word(key).split()
        }
        used = [raw.dims for name, raw in file.variables.items() if self._is_data(name, raw)]
        self.time = self._first(used, (d for d in file.sizes if self._is_time(d)))
        self.sample = self._first(used, (d for d in SAMPLE if d in file.sizes))

    def _is_data(self, name: str, raw: Raw) -> bool:
        return (
            raw.stored is not None
            and 0 not in raw.stored.shape
            and len(set(raw.dims)) == len(raw.dims) > 0
            and name not in self.file.sizes
            and name not in self.auxiliary
        )

    def _is_time(self, dim: str) -> bool:
        raw = self.file.variables.get(dim)
        if raw is None or raw.dims != (dim,):
            return dim in TIME
        says = (raw.word("standard_name"), raw.word("axis"))
        return dim in TIME or " since " in raw.word("units") or says[0] == "time" or says[1] == "T"

    @staticmethod
    def _first(used: list[tuple[str, ...]], candidates: Iterable[str]) -> str | None:
        """The candidate that most variables have."""
        counts = {c: sum(c in dims for dims in used) for c in candidates}
        return max(counts, key=lambda c: counts[c]) if any(counts.values()) else None

    def layout(self, reason: str) -> Layout:
        """The layout of all fields."""
        file, special = self.file, {self.time, self.sample}
        variables, arrays, params = [], {}, {}
        moving = any(self.time in r.dims for k, r in file.variables.items() if self._is_data(k, r))
        for name, raw in file.variables.items():
            if name in file.sizes and raw.dims == (name,):
                continue
            if not self._is_data(name, raw):
                self.left_out.append(name)
            elif raw.dims == (self.sample,):
                params[name] = file.numbers(name)
            elif set(raw.dims) <= special:
                self.left_out.append(name)
            else:
                variable, stored = self._field(name, raw, moving)
                variables.append(variable)
                arrays[name] = (stored,)
        if not variables:
            raise DataError(
                file.path,
                f"no variable lies on a grid; the file holds "
                f"{ {k: r.dims for k, r in list(file.variables.items())[:8]} }",
            )
        params = {k: v for k, v in params.items() if np.isfinite(v).all()}
        n = _netcdf.length(file, self.sample) if self.sample else 1
        times = self._times() if moving else None
        frames = _netcdf.length(file, self.time) if moving and self.time else 1
        units = {k: file.variables[k].word("units") or None for k in params}
        schema = Schema(
            (*variables, *(Variable(k, role="param", unit=units[k]) for k in params)),
            dt=None if times is None else uniform_step(times),
            time_unit=self._time_unit() if moving else None,
            name=file.path.stem,
        )
        if self.left_out:
            self.notes.append(f"no fields, so left out: {', '.join(self.left_out)}")
        if file.groups:
            self.notes.append(f"groups are not read: {', '.join(file.groups)}")
        part = Part(str(file.path), n, np.full(n, frames), arrays, times, params)
        attributes = {
            k: found
            for k in file.attrs
            if not k.startswith("_NC") and (found := _netcdf.word(file.attrs, k))
        }
        provenance = dict.fromkeys(params, "variable of the file")
        return Layout(schema, (part,), "netcdf", reason, tuple(self.notes), attributes, provenance)

    def _field(self, name: str, raw: Raw, moving: bool) -> tuple[Variable, Stored]:
        evolves = self.time is not None and self.time in raw.dims
        space = [d for d in raw.dims if d not in (self.time, self.sample)]
        axes = [self._axis(d) for d in space]
        role: Role = "geometry" if moving and not evolves else "state"
        grid = Grid(tuple(axis for axis, _ in axes))
        unit = raw.word("units") or None
        variable = Variable(name, grid, role, unit=unit, time_varying=evolves)
        special = {self.time: "time", self.sample: "sample"}
        stored = replace(
            _netcdf.decoded(self.file.path, name, raw),
            axes=tuple(special.get(d, d) for d in raw.dims),
            flipped=tuple(d for d, (_, falls) in zip(space, axes, strict=True) if falls),
        )
        return variable, stored

    def _axis(self, dim: str) -> tuple[Axis, bool]:
        """The axis of a dimension, and whether its coordinates fall; read once."""
        if dim not in self.axes:
            self.axes[dim] = _netcdf.axis(self.file, dim, self.notes)
        return self.axes[dim]

    def _times(self) -> NDArray[np.float64] | None:
        assert self.time is not None
        raw = self.file.variables.get(self.time)
        if raw is None or raw.dims != (self.time,) or raw.stored is None:
            self.notes.append("times are not stored")
            return None
        if calendar := raw.word("calendar"):
            self.notes.append(f"times are counted in the calendar {calendar!r}")
        times = self.file.numbers(self.time)
        return times if np.isfinite(times).all() else None

    def _time_unit(self) -> str | None:
        assert self.time is not None
        raw = self.file.variables.get(self.time)
        return None if raw is None else raw.word("units") or None
