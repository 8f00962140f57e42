"""netCDF of both kinds: order of axes, packed numbers, falling coordinates, times as they stand."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.io import netcdf_file

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.open import detect, get, open_layout
from sciops.data.windows import Window, Windows
from sciops.data.xarray_backend import open_dataset

DATA = Path(__file__).parents[4] / "shared" / "data" / "netcdf"
genuine = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with genuine files is not beside the checkout"
)
T, LEV, LON, LAT = 5, 3, 8, 4
RNG = np.random.default_rng(0)


def write3(path, variables, attrs=(), unlimited=()):
    """name -> (dims, values, attributes); dims are made from the values."""
    with netcdf_file(str(path), "w", version=2) as file:
        for dims, values, _ in variables.values():
            for dim, n in zip(dims, np.shape(values), strict=True):
                if dim not in file.dimensions:
                    file.createDimension(dim, None if dim in unlimited else n)
        for name, (dims, values, given) in variables.items():
            values = np.asarray(values)
            variable = file.createVariable(name, values.dtype, dims)
            if values.ndim:
                variable[:] = values
            else:
                variable.data[...] = values
            for key, value in given.items():
                setattr(variable, key, value)
        for key, value in dict(attrs).items():
            setattr(file, key, value)


def write4(path, variables, attrs=(), **options):
    """The same by plain h5py calls."""
    with h5py.File(path, "w") as file:
        for name, (dims, values, given) in variables.items():
            values = np.asarray(values)
            extra = options if dims and dims != (name,) else {}
            data = file.create_dataset(name, data=values, **extra)
            data.attrs.update(
                {k: np.bytes_(v) if isinstance(v, str) else v for k, v in given.items()}
            )
        for name, (dims, values, _) in variables.items():
            for k, dim in enumerate(dims):
                if dim not in file:
                    file.create_dataset(dim, shape=(np.shape(values)[k],), dtype=">f4")
                    file[dim].make_scale(
                        f"This is a netCDF dimension but not a netCDF variable. {9:9d}"
                    )
                if dim == name:
                    file[name].make_scale(name)
        for name, (dims, _, _) in variables.items():
            for k, dim in enumerate(dims):
                if dim != name:
                    file[name].dims[k].attach_scale(file[dim])
        file.attrs.update(dict(attrs))


both = pytest.mark.parametrize("write", [write3, write4])


def weather():
    """Variables on (time, level, longitude, latitude), latitudes and levels fall."""
    return {
        "time": (
            ("time",),
            np.arange(T) * 6.0,
            {"units": "hours since 1959-01-01", "calendar": "x"},
        ),
        "level": (("level",), [1000.0, 500, 10], {"units": "hPa"}),
        "longitude": (("longitude",), np.arange(LON) * 45.0, {"units": "degrees_east"}),
        "latitude": (("latitude",), [67.5, 22.5, -22.5, -67.5], {"units": "degrees_north"}),
        "z": (
            ("time", "level", "longitude", "latitude"),
            RNG.normal(size=(T, LEV, LON, LAT)),
            {"units": "m**2 s**-2"},
        ),
        "sst": (("time", "latitude", "longitude"), RNG.normal(size=(T, LAT, LON)), {}),
        "mask": (("longitude", "latitude"), RNG.integers(0, 2, (LON, LAT)).astype(np.int16), {}),
    }


@both
def test_axes_stay_in_their_order_and_falling_ones_are_turned(tmp_path, write):
    variables = weather()
    write(tmp_path / "a.nc", variables, {"title": "made up"})
    layout = open_layout(tmp_path / "a.nc")
    assert layout.format == "netcdf"
    assert layout.schema["z"].domain.names == ("level", "longitude", "latitude")
    z = variables["z"][1]
    np.testing.assert_array_equal(reader.read(layout, "z", 0), z[:, ::-1, :, ::-1])
    np.testing.assert_array_equal(
        reader.read(layout, "z", 0, slice(1, 4, 2)), z[1:4:2, ::-1, :, ::-1]
    )
    np.testing.assert_array_equal(reader.read(layout, "sst", 0), variables["sst"][1][:, ::-1])
    np.testing.assert_array_equal(reader.read(layout, "mask", 0), variables["mask"][1][:, ::-1])
    assert layout.schema.axis("level").coordinates.tolist() == [10, 500, 1000]
    assert layout.schema.axis("latitude").coordinates.tolist() == [-67.5, -22.5, 22.5, 67.5]
    assert layout.schema.axis("level").unit == "hPa"
    roles = {v.name: (v.role, v.time_varying) for v in layout.schema.variables}
    assert roles == {"z": ("state", True), "sst": ("state", True), "mask": ("geometry", False)}
    longitude = layout.schema.axis("longitude")
    assert (longitude.periodic, longitude.upper) == (True, 360)
    assert layout.schema["z"].unit == "m**2 s**-2"
    assert layout.attributes["title"] == "made up"


@both
def test_times_stay_numbers_in_their_unit(tmp_path, write):
    write(tmp_path / "a.nc", weather())
    layout = open_layout(tmp_path / "a.nc")
    assert layout.times(0).tolist() == [0, 6, 12, 18, 24]
    assert (layout.schema.dt, layout.schema.time_unit) == (6.0, "hours since 1959-01-01")
    assert any("calendar 'x'" in note for note in layout.notes)
    assert open_dataset(tmp_path / "a.nc")["time"].attrs["units"] == "hours since 1959-01-01"


@both
def test_packed_numbers(tmp_path, write):
    raw = RNG.integers(-300, 300, (T, LAT, LON)).astype(np.int16)
    raw[1, 2, 3] = -999
    given = {
        "scale_factor": np.float32(0.5),
        "add_offset": np.float32(10),
        "_FillValue": np.int16(-999),
    }
    wide = {"scale_factor": np.float64(0.25)}
    fill = np.float32(1e20)
    plain = RNG.normal(size=(LAT, LON)).astype(np.float32)
    plain[0, 1] = fill
    counts = RNG.integers(0, 9, (LAT, LON)).astype(np.int32)
    write(
        tmp_path / "a.nc",
        {
            "a": (("time", "y", "x"), raw, given),
            "b": (("y", "x"), raw[0], wide),
            "c": (("y", "x"), plain, {"missing_value": fill}),
            "d": (("y", "x"), counts, {"_FillValue": np.int32(counts[2, 2])}),
            "e": (("y", "x"), counts, {}),
        },
    )
    layout = open_layout(tmp_path / "a.nc")
    expected = raw.astype(np.float32) * np.float32(0.5) + 10
    expected[1, 2, 3] = np.nan
    a = reader.read(layout, "a", 0)
    np.testing.assert_array_equal(a, expected)
    assert a.dtype == np.float32
    b = reader.read(layout, "b", 0)
    np.testing.assert_array_equal(b, raw[0] * 0.25)
    assert b.dtype == np.float64
    c = reader.read(layout, "c", 0)
    np.testing.assert_array_equal(c, np.where(plain == fill, np.nan, plain))
    assert c.dtype == np.float32
    d = reader.read(layout, "d", 0)
    np.testing.assert_array_equal(d, np.where(counts == counts[2, 2], np.nan, counts))
    e = reader.read(layout, "e", 0)
    assert e.dtype.kind == "i"
    assert open_dataset(tmp_path / "a.nc")["a"].dtype == np.float32


def test_unsigned_bytes_of_classic_files(tmp_path):
    raw = np.array([[1, 200, 255]], dtype=np.uint8)
    write3(tmp_path / "a.nc", {"a": (("y", "x"), raw.view(np.int8), {"_Unsigned": "true"})})
    layout = open_layout(tmp_path / "a.nc")
    np.testing.assert_array_equal(reader.read(layout, "a", 0), raw)


def test_records_are_interleaved(tmp_path):
    variables = weather()
    write3(tmp_path / "a.nc", variables, unlimited=("time",))
    layout = open_layout(tmp_path / "a.nc")
    assert layout.parts[0].arrays["z"][0].strides is not None
    np.testing.assert_array_equal(
        reader.read(layout, "z", 0, slice(2, 4)), variables["z"][1][2:4, ::-1, :, ::-1]
    )
    np.testing.assert_array_equal(reader.read(layout, "sst", 0), variables["sst"][1][:, ::-1])
    assert layout.times(0)[-1] == 24


@both
@pytest.mark.parametrize("dim", ["sample", "realization", "member", "number"])
def test_samples_and_parameters(tmp_path, write, dim):
    u = RNG.normal(size=(LAT, 3, T, LON))
    write(
        tmp_path / "a.nc",
        {
            "u": (("y", dim, "time", "x"), u, {}),
            "nu": ((dim,), [0.1, 0.2, 0.3], {"units": "m2 s-1"}),
            "series": ((dim, "time"), np.zeros((3, T)), {}),
            "alone": ((), 3.0, {}),
        },
    )
    layout = open_layout(tmp_path / "a.nc")
    assert layout.n_samples == 3
    np.testing.assert_array_equal(reader.read(layout, "u", 1), u[:, 1].transpose(1, 0, 2))
    assert [layout.params(s)[0] for s in range(3)] == [0.1, 0.2, 0.3]
    assert layout.schema["nu"].unit == "m2 s-1"
    assert layout.provenance["nu"] == "variable of the file"
    assert any("series" in note and "alone" in note for note in layout.notes)
    assert any("counted from 0" in note for note in layout.notes)
    assert np.isnan(layout.times(0)).all()


@both
def test_time_is_told_by_its_unit(tmp_path, write):
    write(
        tmp_path / "a.nc",
        {
            "when": (("when",), [3.0, 4.0], {"units": "days since 2000-1-1"}),
            "a": (("x", "when"), np.arange(6.0).reshape(3, 2), {}),
        },
    )
    layout = open_layout(tmp_path / "a.nc")
    np.testing.assert_array_equal(reader.read(layout, "a", 0), [[0, 2, 4], [1, 3, 5]])
    assert layout.times(0).tolist() == [3, 4]


@both
def test_coordinates_that_turn_are_counted(tmp_path, write):
    variables = {
        "x": (("x",), [0.0, 90, 180, -90], {}),
        "a": (("x",), np.arange(4.0), {}),
    }
    write(tmp_path / "a.nc", variables)
    layout = open_layout(tmp_path / "a.nc")
    assert layout.schema.axis("x").coordinates.tolist() == [0, 1, 2, 3]
    assert any("neither rises nor falls" in note for note in layout.notes)


@both
def test_auxiliary_variables_are_left_out(tmp_path, write):
    write(
        tmp_path / "a.nc",
        {
            "y": (("y",), [0.0, 1, 2], {"bounds": "y_bnds"}),
            "y_bnds": (("y", "bnds"), np.zeros((3, 2)), {}),
            "area": (("y", "x"), np.zeros((3, 4)), {}),
            "a": (("y", "x"), np.zeros((3, 4)), {"coordinates": "area"}),
        },
    )
    layout = open_layout(tmp_path / "a.nc")
    assert [v.name for v in layout.schema.variables] == ["a"]


def test_windows_of_compressed_files_pickle(tmp_path):
    variables = {k: v for k, v in weather().items() if k in ("latitude", "longitude", "sst")}
    write4(tmp_path / "a.nc", variables, compression="gzip", chunks=True, shuffle=True)
    windows = pickle.loads(pickle.dumps(Windows(open_layout(tmp_path / "a.nc"), window=Window())))
    raw = variables["sst"][1][:, ::-1]
    np.testing.assert_allclose(windows[2]["targets"][0, 0], raw[3], rtol=1e-6)


def test_values_are_in_the_byte_order_of_the_machine(tmp_path):
    """Classic files are big-endian; a tensor cannot be made of such an array."""
    variables = weather()
    write3(tmp_path / "a.nc", variables)
    layout = open_layout(tmp_path / "a.nc")
    for name in ("z", "sst", "mask"):
        values = reader.read(layout, name, 0)
        assert values.dtype == layout.parts[0].arrays[name][0].values_dtype
        assert values.dtype.isnative
        torch.from_numpy(np.ascontiguousarray(values))


def test_classic_files_are_mapped(tmp_path):
    write3(tmp_path / "a.nc", weather())
    layout = open_layout(tmp_path / "a.nc")
    assert isinstance(reader.source(layout.parts[0].arrays["z"][0]).base, np.memmap)


@pytest.mark.parametrize("other", ["poseidon", "the_well", "sciops", "pdebench"])
def test_other_formats_are_not_swallowed(tmp_path, other):
    path = get(other).write_tiny(tmp_path)
    assert get("netcdf").recognises(path) is None
    assert detect(path)[0] == other


@both
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale_factor": np.float64(np.nan)}, "one finite number"),
        ({"add_offset": np.array([1.0, 2.0])}, "one finite number"),
        ({"scale_factor": "wide"}, "one finite number"),
    ],
)
def test_damaged_attributes(tmp_path, write, given, message):
    write(tmp_path / "a.nc", {"a": (("y", "x"), np.zeros((2, 3)), given)})
    with pytest.raises(DataError, match=message):
        open_layout(tmp_path / "a.nc")


@both
def test_a_file_without_fields(tmp_path, write):
    write(tmp_path / "a.nc", {"a": (("time",), np.zeros(3), {}), "b": ((), 1.0, {})})
    with pytest.raises(DataError, match="no variable lies on a grid"):
        open_layout(tmp_path / "a.nc")


@both
@pytest.mark.parametrize("keep", [0.05, 0.3, 0.6, 0.95])
def test_truncated_files(tmp_path, write, keep):
    write(tmp_path / "a.nc", weather())
    data = (tmp_path / "a.nc").read_bytes()
    (tmp_path / "a.nc").write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(DataError):
        open_layout(tmp_path / "a.nc")


@genuine
def test_genuine_era5_has_longitude_before_latitude():
    file = DATA / "neuralgcm_era5_tl31_19590102T00.nc"
    layout = open_layout(file)
    with netcdf_file(str(file), "r", mmap=False) as raw:
        for name in ("u_component_of_wind", "sea_surface_temperature"):
            values = np.array(raw.variables[name].data)
            np.testing.assert_array_equal(reader.read(layout, name, 0), values)
    assert layout.schema["temperature"].domain.names == ("level", "longitude", "latitude")
    assert layout.schema["temperature"].domain.shape == (37, 64, 32)
    assert layout.schema["temperature"].unit == "K"
    assert any("time" in note for note in layout.notes)


@genuine
def test_genuine_earthkit():
    file = DATA / "earthkit_test_single.nc"
    layout = open_layout(file)
    with h5py.File(file) as raw:
        np.testing.assert_array_equal(reader.read(layout, "t2m", 0), raw["t2m"][()][::-1])
        np.testing.assert_array_equal(
            layout.schema.axis("latitude").coordinates, raw["latitude"][()][::-1]
        )
    assert layout.schema.axis("longitude").periodic is True
