"""PDEArena's shallow-water runs on the sphere: SpeedyWeather's netCDF, or the zarr made of them.

    seed=S/run*/output.nc   u, v, vor (time, lev, lat, lon), pres (time, lat, lon), one run each
    NAME.zarr               the same with a leading dimension b over the runs

lev has one entry.  Open a folder of seeds, a zarr store, or the folder above train, valid and test
of either kind.  u, v become `velocity` (eastward, northward); `vor` is the relative vorticity; the
shallow-water model stores its interface displacement, in metres, under the name `pres`.  Latitudes
run from north to south and are turned round.
Source: Gupta, Brandstetter, PDEArena, TMLR 2023 (arXiv 2209.15616): pdedatagen/shallowwater and
pdearena/data/twod/datapipes/shallowwater2d.py (MIT); SpeedyWeather.jl, src/output/output.jl (MIT).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.containers import zarr as zarr_store
from sciops.data.formats import _netcdf
from sciops.data.formats._netcdf import File, Raw
from sciops.data.formats._structure import structure
from sciops.data.formats._well import uniform_step
from sciops.data.layout import Format, Layout, Part, Stored

SUBSETS = ("train", "valid", "test")
FIELDS = {"velocity": ("u", "v"), "vor": ("vor",), "pres": ("pres",)}
STORED = ("u", "v", "vor", "pres")
MEANING = {"b": "sample", "time": "time", "lev": "", "lat": "lat", "lon": "lon"}
RUNS = "seed=*/run*/output.nc"


class PDEArenaSWE(Format):
    """Runs of one or of several subsets."""

    title = "PDEArena shallow water (netCDF runs, zarr)"
    source = "pdearena/pdearena, pdedatagen/shallowwater; arXiv 2209.15616"

    def recognises(self, path: Path) -> str | None:
        """Folders seed=S/run*/output.nc, or zarr arrays u, v, vor and pres."""
        found = _sources(path)
        if not found:
            return None
        kind = "zarr with u, v, vor, pres" if _is_store(found[0][0]) else RUNS
        subsets = [subset for _, subset in found if subset]
        return f"{kind} in {', '.join(subsets)}" if subsets else kind

    def layout(self, path: Path) -> Layout:
        """The layout of all runs."""
        found = _sources(path)
        if not found:
            raise DataError(path, f"expected {RUNS}, or a zarr store with {', '.join(STORED)}")
        with structure(path):
            return _layout(path, found, self.recognises(path) or "asked for")

    def write_tiny(self, path: Path) -> Path:
        """Two runs of three frames on 4 latitudes x 6 longitudes."""
        folder = path / "tiny"
        for run in range(2):
            (folder / "seed=1" / f"run_{run:04d}").mkdir(parents=True)
            with h5py.File(folder / "seed=1" / f"run_{run:04d}" / "output.nc", "w") as file:
                axes = {"time": [0, 1, 2], "lev": [1], "lat": [60, 20, -20, -60],
                        "lon": range(0, 360, 60)}  # fmt: skip
                for name, values in axes.items():
                    file[name] = np.array(values, dtype=np.float64)
                    file[name].make_scale(name)
                for k, name in enumerate(STORED):
                    dims = ("time", "lat", "lon") if name == "pres" else tuple(axes)
                    shape = tuple(len(file[d]) for d in dims)
                    file[name] = np.arange(72, dtype=np.float32).reshape(shape) + 100 * k + run
                    for d, dim in enumerate(dims):
                        file[name].dims[d].attach_scale(file[dim])
        return folder


def _is_store(path: Path) -> bool:
    return zarr_store.is_container(path) and all((path / k).is_dir() for k in STORED)


def _sources(path: Path) -> list[tuple[Path, str | None]]:
    """(store or folder of seeds, subset)."""
    if not path.is_dir():
        return []
    if _is_store(path) or next(path.glob(RUNS), None) is not None:
        return [(path, None)]
    inside = [(path / f"{s}{ending}", s) for s in SUBSETS for ending in (".zarr", "")]
    return [
        (p, s)
        for p, s in inside
        if p.is_dir() and (_is_store(p) or next(p.glob(RUNS), None) is not None)
    ]


def _files(source: Path) -> list[File]:
    """The store, or every run, as dimensions and variables."""
    if _is_store(source):
        return [_store(source)]
    found = []
    for run in sorted(source.glob(RUNS)):
        file = _netcdf.read(run)
        if file is None:
            raise DataError(run, "expected a netCDF file; it is empty or of another kind")
        found.append(file)
    return found


def _store(path: Path) -> File:
    arrays, labels = zarr_store.arrays(path), zarr_store.labels(path)
    unnamed = [k for k in STORED if k in labels and labels[k][0] is None]
    if unnamed:
        raise DataError(path, f"the arrays {unnamed} name no dimensions; written by xarray?")
    variables = {
        k: Raw(dims, attrs, arrays.get(k))
        for k, (dims, attrs) in labels.items()
        if dims is not None
    }
    sizes = {
        dim: n
        for raw in variables.values()
        if raw.stored is not None
        for dim, n in zip(raw.dims, raw.stored.shape, strict=True)
    }
    return File(path, sizes, variables, {})


def _layout(path: Path, sources: list[tuple[Path, str | None]], reason: str) -> Layout:
    notes: list[str] = []
    parts: list[Part] = []
    first: tuple[Grid, Mapping[str, str | None], str | None] | None = None
    for source, subset in sources:
        for file in _files(source):
            axes = {d: _axis(file, d, notes) for d in ("lat", "lon")}
            grid = Grid(tuple(axis for axis, _ in axes.values()))
            found = {name: _unit(file, keys[0]) for name, keys in FIELDS.items()}
            described = (grid, found, _unit(file, "time"))
            if first is not None and described[:2] != first[:2]:
                raise DataError(file.path, "its grid or units differ from those of the first run")
            first = first or described
            falls = tuple(d for d, (_, falling) in axes.items() if falling)
            parts.append(_part(file, falls, subset))
    assert first is not None
    grid, units, time_unit = first
    variables = tuple(
        Variable(name, grid, components=(2,) if len(keys) > 1 else (), unit=units[name],
                 time_varying=True)
        for name, keys in FIELDS.items()
    )  # fmt: skip
    steps = {None if p.times is None else uniform_step(p.times) for p in parts}
    schema = Schema(
        variables,
        dt=steps.pop() if len(steps) == 1 else None,
        time_unit=time_unit,
        name=path.name,
    )
    return Layout(schema, tuple(parts), "pdearena_swe", reason, tuple(dict.fromkeys(notes)))


def _axis(file: File, dim: str, notes: list[str]) -> tuple[Axis, bool]:
    if dim not in file.sizes:
        raise DataError(file.path, f"no dimension {dim}; it has {sorted(file.sizes)}")
    return _netcdf.axis(file, dim, notes)


def _unit(file: File, name: str) -> str | None:
    raw = file.variables.get(name)
    return None if raw is None else raw.word("units") or None


def _part(file: File, falls: tuple[str, ...], subset: str | None) -> Part:
    arrays = {
        name: tuple(_stored(file, key, falls) for key in keys) for name, keys in FIELDS.items()
    }
    if "time" not in file.sizes:
        raise DataError(file.path, f"no dimension time; it has {sorted(file.sizes)}")
    n = _netcdf.length(file, "b") if "b" in file.sizes else 1
    frames = _netcdf.length(file, "time")
    times = None
    raw = file.variables.get("time")
    if raw is not None and raw.dims == ("time",) and raw.stored is not None:
        times = file.numbers("time")
    if times is not None and not (len(times) == frames and np.isfinite(times).all()):
        raise DataError(file.path, "time must hold one finite number a frame")
    return Part(str(file.path), n, np.full(n, frames), arrays, times, subset=subset)


def _stored(file: File, key: str, falls: tuple[str, ...]) -> Stored:
    """One array; its named dimensions must be those of the model."""
    raw = file.variables.get(key)
    wanted = set(MEANING) - {"b"} - ({"lev"} if key == "pres" else set())
    if raw is None or raw.stored is None or set(raw.dims) - {"b"} != wanted:
        raise DataError(
            file.path,
            f"expected {key} on {sorted(wanted)}, got {raw.dims if raw else 'no such variable'}",
        )
    if file.sizes.get("lev", 1) != 1:
        raise DataError(
            file.path, f"the shallow-water model has one level, got {file.sizes['lev']}"
        )
    stored = _netcdf.decoded(file.path, key, raw)
    return replace(stored, axes=tuple(MEANING[d] for d in raw.dims), flipped=falls)
