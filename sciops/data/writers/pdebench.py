"""PDEBench's HDF5 files, in the family that fits (see `sciops.data.formats.pdebench`).

    A  one scalar state in 1-D                 tensor (n, T, X)
       density, pressure and velocity          density, pressure, Vx[, Vy, Vz]
       one scalar input and target in 2-D      nu (n, X, Y), tensor (n, 1, X, Y)
    B  scalar states on a 1-D or 2-D grid      /0000/data (T, X, C) or (T, X, Y, C), grid, @config;
                                               two species are (T, Y, X, 2), as PDEBench's are

The times of A have T + 1 entries, as PDEBench's do.  Names, units, boundary and exact times, for
which these files have no place, stand in ``sciops_contents`` beside the arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.core.schema import Grid, Variable
from sciops.data import contents
from sciops.data.source import Source
from sciops.data.writers._well_layout import create
from sciops.data.writers._writer import Writer

FLUID = {"density", "pressure", "velocity"}
MOST_SEEDS = 10_000  # groups have names of four digits


class PDEBenchWriter(Writer):
    """HDF5 in the format ``pdebench``."""

    title = "PDEBench HDF5 (families A and B)"
    suffix = ".hdf5"

    @classmethod
    def adapted(cls, source: Source) -> tuple[Source, list[str]]:
        """See `Writer`."""
        family(source)
        return source, []

    def create(self, path: Path) -> None:
        """See `Writer`."""
        with h5py.File(path, "w") as file:
            {"scalar": self._scalar, "fluid": self._fluid, "map": self._map, "seeds": self._seeds}[
                family(self.source)
            ](file)

    @contextmanager
    def opened(self, path: Path) -> Iterator[None]:
        """See `Writer`."""
        self._places = self._where()
        with h5py.File(path, "r+") as file:
            self._file = file
            yield

    def put(self, v: Variable, sample: int, frames: slice, values: NDArray[Any]) -> None:
        """See `Writer`."""
        if family(self.source) == "seeds":
            data = self._file[f"{sample:04d}/data"]
            turned = np.swapaxes(values, 1, 2) if _swapped(self.source) else values
            data[frames, ..., _states(self.source).index(v)] = turned
            return
        for k, key in enumerate(self._places[v.name]):
            part = values[..., k] if v.rank else values
            index = (
                (sample, 0) if family(self.source) == "map" and v.role == "target" else (sample,)
            )
            self._file[key][(*index, frames) if v.time_varying else index] = part

    def _where(self) -> dict[str, list[str]]:
        """Variable -> the data sets that hold it, one a component."""
        kind, out = family(self.source), {}
        for v in _fields(self.source):
            if kind == "fluid":
                out[v.name] = [f"V{a}" for a in "xyz"[: v.width]] if v.rank else [v.name]
            else:
                out[v.name] = ["nu" if v.role == "input" else "tensor"]
        return out

    def _family_a(self, file: h5py.File, axes: tuple[str, ...], shape: tuple[int, ...]) -> None:
        """Fields under those axes, coordinates, times, parameters, description."""
        space = _grid(self.source).names
        keys: dict[str, list[dict[str, Any]]] = {}
        for v in _fields(self.source):
            extra = ("",) if family(self.source) == "map" and v.role == "target" else ()
            here = (axes[0], *extra, *axes[1:])
            sizes = (shape[0], *(1 for _ in extra), *shape[1:])
            keys[v.name] = []
            for key in self._where()[v.name]:
                create(file, key, here, sizes, self.source.dtype(v.name), self.storage)
                keys[v.name].append({"key": key, "axes": list(here)})
        for name, letter in zip(space, "xyz", strict=False):
            file[f"{letter}-coordinate"] = self.source.schema.axis(name).coordinates
        times = self.times()
        if times is not None:
            if times.ndim != 1:
                raise SchemaError("PDEBench's files hold one list of times for all trajectories")
            step = times[-1] - times[-2] if len(times) > 1 else 1.0
            file["t-coordinate"] = np.append(times, times[-1] + step)
        self._describe(file, keys, "t-coordinate" if times is not None else None)

    def _scalar(self, file: h5py.File) -> None:
        n, (x,) = self.source.n_samples, _grid(self.source).shape
        axes = ("sample", "time", *_grid(self.source).names)
        self._family_a(file, axes, (n, int(self.source.lengths.max()), x))

    def _fluid(self, file: h5py.File) -> None:
        grid = _grid(self.source)
        shape = (self.source.n_samples, int(self.source.lengths.max()), *grid.shape)
        self._family_a(file, ("sample", "time", *grid.names), shape)

    def _map(self, file: h5py.File) -> None:
        grid = _grid(self.source)
        self._family_a(file, ("sample", *grid.names), (self.source.n_samples, *grid.shape))

    def _seeds(self, file: h5py.File) -> None:
        source, grid, states = self.source, _grid(self.source), _states(self.source)
        space = grid.names[::-1] if _swapped(source) else grid.names
        sizes = grid.shape[::-1] if _swapped(source) else grid.shape
        axes = ("time", *space, "component")
        parts = []
        for s in range(source.n_samples):
            group = file.create_group(f"{s:04d}")
            frames = int(source.lengths[s])
            shape = (frames, *sizes, len(states))
            create(group, "data", axes, shape, source.dtype(states[0].name), self.storage)
            for name, letter in zip(grid.names, "xyz", strict=False):
                group[f"grid/{letter}"] = source.schema.axis(name).coordinates
            times = source.times(s)
            group["grid/t"] = (
                np.arange(frames, dtype=np.float64) if np.isnan(times).any() else times
            )
            values = dict(
                zip((v.name for v in source.schema.params), source.params(s), strict=True)
            )
            group.attrs["config"] = yaml.safe_dump(
                {"sim": {k: float(x) for k, x in values.items()}}
            )
            for name, value in values.items():
                group[f"param/{name}"] = value
            key = f"{s:04d}"
            parts.append({
                "name": key, "n_samples": 1, "frames": frames, "subset": None, "lengths": None,
                "times": None if np.isnan(times).any() else f"{key}/grid/t",
                "params": {k: f"{key}/param/{k}" for k in values},
                "arrays": {
                    v.name: [
                        {"key": f"{key}/data", "axes": list(axes), "fixed": [[len(axes) - 1, k]]}
                    ]
                    for k, v in enumerate(states)
                },
            })  # fmt: skip
        text, _ = contents.text(
            source.schema, parts, source.attributes, source.provenance, source.notes
        )
        file.create_dataset(contents.KEY, data=text)

    def _describe(
        self, file: h5py.File, keys: dict[str, list[dict[str, Any]]], times: str | None
    ) -> None:
        params = {}
        for name, values in self.params().items():
            params[name] = f"parameters/{name}"
            file[params[name]] = values
            if (values == values[0]).all():
                file.attrs[name] = float(values[0])
        text, _ = self.contents(keys, params, times, None)
        file.create_dataset(contents.KEY, data=text)


def family(source: Source) -> str:
    """Which of PDEBench's files fits: scalar, fluid, map or seeds; SchemaError where none does."""
    fields, grid = _fields(source), _grid(source)
    states = _states(source)
    if len(states) == len(fields):
        names = {v.name for v in states}
        if names == FLUID and source.schema["velocity"].components == (grid.dimension,):
            if not source.ragged:
                return "fluid"
        elif len(states) == 1 and grid.dimension == 1 and not states[0].rank and not source.ragged:
            return "scalar"
        kinds = {source.dtype(v.name) for v in states}
        if all(not v.rank for v in states) and grid.dimension <= 2 and len(kinds) == 1:
            if source.n_samples > MOST_SEEDS:
                raise SchemaError(
                    f"PDEBench's files of seeds have names of four digits, these are "
                    f"{source.n_samples} samples; write several files"
                )
            return "seeds"
    roles = sorted(v.role for v in fields)
    if roles == ["input", "target"] and grid.dimension == 2 and all(not v.rank for v in fields):
        return "map"
    described = [(v.name, v.role, v.components) for v in fields]
    raise SchemaError(
        f"none of PDEBench's files has a place for {described} on a {grid.dimension}-D grid; "
        f"choose another format (sciops, the_well, netcdf, zarr)"
    )


def _fields(source: Source) -> list[Variable]:
    return [v for v in source.schema.variables if v.role != "param"]


def _states(source: Source) -> list[Variable]:
    return [v for v in _fields(source) if v.time_varying]


def _swapped(source: Source) -> bool:
    """Two species on a 2-D grid are stored (t, y, x, v)."""
    return len(_states(source)) == 2 and _grid(source).dimension == 2


def _grid(source: Source) -> Grid:
    domains = {v.domain for v in _fields(source)}
    grid = next(iter(domains))
    if len(domains) != 1 or not isinstance(grid, Grid):
        raise SchemaError("PDEBench's files hold the fields of one grid; choose another format")
    return grid
