"""PDEgym, on netCDF-4 files with the dimensions of its assemble_data.py; no genuine one was had."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.formats.poseidon import Poseidon

N, T, X, Y = 2, 4, 3, 6
SIZES = {"sample": N, "time": T, "x": X, "y": Y}
FULL = ("sample", "time", "channel", "x", "y")
BARE = "This is a netCDF dimension but not a netCDF variable. {:9d}"


def write(path, **variables):
    """netCDF-4 as the netCDF library lays it out: a dimension is an array with a scale's marks."""
    rng = np.random.default_rng(4)
    made = {}
    with h5py.File(path, "w") as f:
        for name, (order, channels) in variables.items():
            shape = tuple({**SIZES, "channel": channels}[d] for d in order)
            made[name] = rng.normal(size=shape).astype(np.float32)
            f[name] = made[name]
            for k, (d, n) in enumerate(zip(order, shape, strict=True)):
                if d not in f:
                    f.create_dataset(d, shape=(n,), dtype=">f4").make_scale(BARE.format(n))
                f[name].dims[k].attach_scale(f[d])
    return made


TABLE = {
    "NS-PwC": ("velocity", 3, ["velocity", "tracer"]),
    "NS-SL": ("velocity", 2, ["velocity"]),
    "FNS-KF": ("solution", 2, ["velocity"]),
    "CE-RM": ("solution", 5, ["velocity", "density", "pressure", "tracer"]),
    "GCE-RT": (
        "solution", 6, ["velocity", "density", "pressure", "tracer", "gravitational_potential"],
    ),
    "CE-RP": ("data", 5, ["velocity", "density", "pressure", "energy"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_channels(name, tmp_path, recognised_by):
    variable, channels, expected = TABLE[name]
    made = write(tmp_path / f"{name}.nc", **{variable: (FULL, channels)})[variable]
    layout = Poseidon().layout(tmp_path / f"{name}.nc")
    assert [layout.format] == recognised_by(tmp_path / f"{name}.nc") == ["poseidon"]
    assert [v.name for v in layout.schema.variables] == expected
    first = 1 if channels > 3 else 0  # density stands before u and v
    velocity = reader.read(layout, "velocity", 1)
    assert velocity.shape == (T, X, Y, 2)
    np.testing.assert_array_equal(velocity, np.moveaxis(made[1, :, first : first + 2], 1, -1))
    if channels > 3:
        np.testing.assert_array_equal(reader.read(layout, "density", 0), made[0, :, 0])
        np.testing.assert_array_equal(reader.read(layout, "pressure", 0), made[0, :, 3])
    last = expected[-1]
    if last != "velocity":
        np.testing.assert_array_equal(reader.read(layout, last, 1), made[1, :, -1])
    assert np.isnan(layout.times(0)).all() and not layout.schema.boundary
    assert any("cell centres" in note for note in layout.notes)


def test_wave_with_its_speed(tmp_path, recognised_by):
    orders = {"solution": (("sample", "time", "x", "y"), 0), "c": (("sample", "x", "y"), 0)}
    made = write(tmp_path / "Wave-Layer.nc", **orders)
    layout = Poseidon().layout(tmp_path / "Wave-Layer.nc")
    assert recognised_by(tmp_path / "Wave-Layer.nc") == ["poseidon"]
    np.testing.assert_array_equal(reader.read(layout, "u", 1), made["solution"][1])
    np.testing.assert_array_equal(reader.read(layout, "wave_speed", 1), made["c"][1])
    assert [v.role for v in layout.schema.variables] == ["state", "input"]


def test_static_maps(tmp_path):
    order = ("sample", "x", "y")
    made = write(tmp_path / "p.nc", source=(order, 0), solution=(order, 0))
    layout = Poseidon().layout(tmp_path / "p.nc")
    assert {v.name: v.role for v in layout.schema.variables} == {"u": "target", "source": "input"}
    np.testing.assert_array_equal(reader.read(layout, "source", 1), made["source"][1])
    made = write(tmp_path / "af.nc", solution=(("sample", "channel", "x", "y"), 2))["solution"]
    layout = Poseidon().layout(tmp_path / "af.nc")
    roles = {v.name: v.role for v in layout.schema.variables}
    assert roles == {"airfoil": "geometry", "density": "target"}
    np.testing.assert_array_equal(reader.read(layout, "density", 1), made[1, 1])


def test_other_netcdf_files_are_not_taken(tmp_path):
    poseidon = Poseidon()
    write(tmp_path / "a.nc", velocity=(FULL, 2))
    with h5py.File(tmp_path / "a.nc", "a") as f:  # x with coordinates
        del f["x"].attrs["NAME"]
        f["x"].attrs["NAME"] = "x"
    assert poseidon.recognises(tmp_path / "a.nc") is None
    write(tmp_path / "b.nc", data=(("time", "sample", "x", "y"), 0))
    assert poseidon.recognises(tmp_path / "b.nc") is None
    with h5py.File(tmp_path / "c.h5", "w") as f:
        f["data"] = np.zeros((N, T, 4, X, Y))
    assert poseidon.recognises(tmp_path / "c.h5") is None
    write(tmp_path / "d.nc", c=(("sample", "x", "y"), 0))
    assert poseidon.recognises(tmp_path / "d.nc") is None
    with pytest.raises(DataError, match="netCDF-4 variables"):
        poseidon.layout(tmp_path / "c.h5")


def test_damage_is_named(tmp_path):
    write(tmp_path / "a.nc", velocity=(FULL, 7))
    with pytest.raises(DataError, match=r"7 channels; known are \[2, 3\]"):
        Poseidon().layout(tmp_path / "a.nc")
    write(tmp_path / "b.nc", velocity=(("sample", "time", "x", "y"), 0))
    with pytest.raises(DataError, match="dimension channel"):
        Poseidon().layout(tmp_path / "b.nc")
    write(tmp_path / "c.nc", solution=(("sample", "time", "x", "y"), 0))
    with h5py.File(tmp_path / "c.nc", "a") as f:
        f["c"] = np.zeros((N, Y, X))
        for k, d in enumerate(("sample", "x", "y")):
            f["c"].dims[k].attach_scale(f[d])
    with pytest.raises(DataError, match="/c has 6 entries along x"):
        Poseidon().layout(tmp_path / "c.nc")
