"""PDEArena's shallow water: netCDF runs and zarr stores after SpeedyWeather's output."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
import xarray as xr

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.open import open_layout
from sciops.data.windows import Window, Windows

T, LAT, LON = 5, 4, 6
RNG = np.random.default_rng(0)


def run(frames=T):
    """One run, as the netCDF library of Julia lays it out."""
    attrs = {"u": "m/s", "v": "m/s", "vor": "1/s", "pres": "m"}
    shapes = {k: (frames, 1, LAT, LON) for k in ("u", "v", "vor")} | {"pres": (frames, LAT, LON)}
    coordinates = {
        "time": (np.arange(frames) * 21600.0, "seconds since 2000-01-01 00:00:0.0"),
        "lev": (np.array([1.0]), "1"),
        "lat": (np.array([67.5, 22.5, -22.5, -67.5]), "degrees_north"),
        "lon": (np.arange(LON) * 60.0, "degrees_east"),
    }
    return {k: RNG.normal(size=s).astype(np.float32) for k, s in shapes.items()}, coordinates, attrs


def write_run(folder, frames=T, change=None):
    fields, coordinates, units = run(frames)
    fields = {**fields, **(change or {})}
    folder.mkdir(parents=True)
    with h5py.File(folder / "output.nc", "w") as file:
        for name, (values, unit) in coordinates.items():
            file[name] = values
            file[name].attrs["units"] = np.bytes_(unit)
            file[name].make_scale(name)
        for name, values in fields.items():
            file.create_dataset(name, data=values, compression="gzip", shuffle=True)
            file[name].attrs["units"] = np.bytes_(units[name])
            file[name].attrs["_FillValue"] = np.float32(np.nan)
            dims = ("time", "lat", "lon") if values.ndim == 3 else ("time", "lev", "lat", "lon")
            for k, dim in enumerate(dims):
                if values.shape[k] == len(file[dim]):
                    file[name].dims[k].attach_scale(file[dim])
    return fields


def test_runs(tmp_path):
    runs = [
        write_run(tmp_path / f"seed={seed}" / f"run_{k:04d}", frames)
        for seed, k, frames in ((1, 1, T), (1, 2, 3), (2, 1, T))
    ]
    layout = open_layout(tmp_path)
    assert layout.format == "pdearena_swe"
    assert layout.lengths.tolist() == [T, 3, T]
    for sample, fields in enumerate(runs):
        velocity = reader.read(layout, "velocity", sample)
        np.testing.assert_array_equal(velocity[..., 0], fields["u"][:, 0, ::-1])
        np.testing.assert_array_equal(velocity[..., 1], fields["v"][:, 0, ::-1])
        np.testing.assert_array_equal(
            reader.read(layout, "pres", sample, slice(1, 3)), fields["pres"][1:3, ::-1]
        )
    schema = layout.schema
    assert [(v.name, v.unit) for v in schema.variables] == [
        ("velocity", "m/s"), ("vor", "1/s"), ("pres", "m"),
    ]  # fmt: skip
    assert schema["vor"].domain.names == ("lat", "lon")
    assert schema.axis("lat").coordinates.tolist() == [-67.5, -22.5, 22.5, 67.5]
    assert schema.axis("lon").periodic is True
    assert (schema.dt, schema.time_unit) == (21600.0, "seconds since 2000-01-01 00:00:0.0")
    windows = pickle.loads(pickle.dumps(Windows(layout, window=Window())))
    np.testing.assert_array_equal(windows[4]["inputs"][2], runs[1]["vor"][0, 0, ::-1])


def test_subsets_are_folders(tmp_path):
    for subset in ("train", "valid", "test"):
        write_run(tmp_path / subset / "seed=3" / "run0")
    layout = open_layout(tmp_path)
    assert layout.subsets() == {"train": [0], "valid": [1], "test": [2]}


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_stores(tmp_path, version):
    pytest.importorskip("zarr")
    runs = [run() for _ in range(3)]
    fields = {k: np.stack([r[0][k] for r in runs]) for k in runs[0][0]}
    for subset in ("train", "valid"):
        sign = 1 if subset == "train" else -1
        dims = {k: ("b", "time", "lev", "lat", "lon") for k in ("u", "v", "vor")}
        variables = {
            k: (dims.get(k, ("b", "time", "lat", "lon")), sign * a) for k, a in fields.items()
        }
        coordinates = {k: (k, v, {"units": u}) for k, (v, u) in runs[0][1].items() if k != "lev"}
        xr.Dataset(variables, coordinates).to_zarr(
            tmp_path / f"{subset}.zarr", zarr_format=version, consolidated=False
        )
    layout = open_layout(tmp_path / "train.zarr")
    assert (layout.format, layout.n_samples) == ("pdearena_swe", 3)
    velocity = reader.read(layout, "velocity", 2, slice(1, 4))
    np.testing.assert_array_equal(velocity[..., 1], fields["v"][2, 1:4, 0, ::-1])
    np.testing.assert_array_equal(reader.read(layout, "pres", 1), fields["pres"][1, :, ::-1])
    assert layout.times(0).tolist() == (np.arange(T) * 21600.0).tolist()
    both = open_layout(tmp_path)
    assert both.subsets() == {"train": [0, 1, 2], "valid": [3, 4, 5]}
    np.testing.assert_array_equal(reader.read(both, "vor", 5), -fields["vor"][2, :, 0, ::-1])


def test_zarr_without_names_is_refused(tmp_path):
    zarr = pytest.importorskip("zarr")
    root = zarr.create_group(tmp_path / "a.zarr")
    for name, values in run()[0].items():
        root[name] = values
    with pytest.raises(DataError, match="name no dimensions"):
        open_layout(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": np.zeros((T, LAT, LON), np.float32)}, "expected u on"),
        ({"vor": np.zeros((T, 1, LAT, LON + 1), np.float32)}, "expected a netCDF"),
    ],
)
def test_damaged_runs(tmp_path, change, message):
    write_run(tmp_path / "seed=1" / "run1")
    write_run(tmp_path / "seed=1" / "run2", change=change)
    with pytest.raises(DataError, match=message):
        open_layout(tmp_path)


def test_missing_fields_and_foreign_files(tmp_path):
    write_run(tmp_path / "seed=1" / "run1")
    with h5py.File(tmp_path / "seed=1" / "run1" / "output.nc", "a") as file:
        del file["pres"]
    with pytest.raises(DataError, match="expected pres"):
        open_layout(tmp_path)
    (tmp_path / "seed=1" / "run1" / "output.nc").write_text("nothing")
    with pytest.raises(DataError, match="expected a netCDF"):
        open_layout(tmp_path)


def test_runs_on_different_grids(tmp_path):
    write_run(tmp_path / "seed=1" / "run1")
    write_run(tmp_path / "seed=1" / "run2")
    with h5py.File(tmp_path / "seed=1" / "run2" / "output.nc", "a") as file:
        file["lon"][...] = np.arange(LON) * 30.0
    with pytest.raises(DataError, match="grid or units differ"):
        open_layout(tmp_path)
