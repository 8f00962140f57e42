"""The Well and our own format, on files written by plain h5py calls after the published schema."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.core.schema import Axis, Boundary, Grid, Schema, Variable
from sciops.data import reader
from sciops.data.open import open_layout
from sciops.data.split import split_of_format
from sciops.data.write import write_dataset
from sciops.data.xarray_backend import open_dataset

N, T, X, Y = 2, 5, 6, 4


def text(names):
    return np.array(names, dtype=h5py.string_dtype())


def flags(item, sample, time):
    item.attrs["sample_varying"], item.attrs["time_varying"] = sample, time


def write_well(path, rng, times=None):
    """A file with a scalar, a field constant along y, a vector, a static field, a tensor."""
    arrays = {
        "density": rng.normal(size=(N, T, X, Y)),
        "profile": rng.normal(size=(N, T, X)),
        "velocity": rng.normal(size=(N, T, X, Y, 2)),
        "sound_speed": rng.normal(size=(X, Y)),
        "strain": rng.normal(size=(N, T, X, Y, 2, 2)),
    }
    arrays = {k: a.astype(np.float32) for k, a in arrays.items()}
    with h5py.File(path, "w") as f:
        f.attrs.update(
            dataset_name="two_dims",
            grid_type="cartesian",
            n_spatial_dims=2,
            n_trajectories=N,
            simulation_parameters=text(["Re", "Pr"]),
            Pr=0.7,
        )
        d = f.create_group("dimensions")
        d.attrs["spatial_dims"] = text(["x", "y"])
        d["time"] = np.arange(T) * 0.5 if times is None else times
        d["x"], d["y"] = np.arange(X) / X, np.linspace(0, 2, Y)
        b = f.create_group("boundary_conditions")
        for name, kind, dims, mask in (
            ("x_periodic", "PERIODIC", ["x"], np.zeros(X, bool)),
            ("floor", "WALL", b"y", np.arange(Y) == 0),
            ("lid", "OPEN", ["y"], np.arange(Y) == Y - 1),
        ):
            g = b.create_group(name)
            g.attrs["bc_type"] = kind
            g.attrs["associated_dims"] = dims if isinstance(dims, bytes) else text(dims)
            g.attrs["associated_fields"] = text(["velocity"] if name == "lid" else [])
            g["mask"] = mask
        s = f.create_group("scalars")
        s.attrs["field_names"] = text(["Re"])
        s["Re"] = np.array([10.0, 20.0])
        flags(s["Re"], True, False)
        groups = {
            "t0_fields": ("density", "profile", "sound_speed"),
            "t1_fields": ("velocity",),
            "t2_fields": ("strain",),
        }
        for group, names in groups.items():
            g = f.create_group(group)
            g.attrs["field_names"] = text(list(names))
            for name in names:
                g[name] = arrays[name]
                static = name == "sound_speed"
                flags(g[name], not static, not static)
                g[name].attrs["dim_varying"] = [True, name != "profile"]
        f["t2_fields/strain"].attrs["symmetric"] = True
        f["t2_fields/strain"].attrs["antisymmetric"] = False
    return arrays


@pytest.fixture
def well(tmp_path):
    path = tmp_path / "two_dims.hdf5"
    return path, write_well(path, np.random.default_rng(0))


def test_every_field_is_read_as_written(well):
    path, arrays = well
    layout = open_layout(path)
    assert layout.format == "the_well"
    for sample in range(N):
        for name in ("density", "velocity", "strain"):
            np.testing.assert_array_equal(reader.read(layout, name, sample), arrays[name][sample])
        static = reader.read(layout, "sound_speed", sample)
        np.testing.assert_array_equal(static, arrays["sound_speed"])
        profile = reader.read(layout, "profile", sample, slice(1, 4, 2))
        assert profile.shape == (2, X, Y)
        assert profile.strides[-1] == 0, "a constant axis is a view, not a copy"
        np.testing.assert_array_equal(profile[..., 0], arrays["profile"][sample, 1:4:2])


def test_schema_says_what_the_file_says(well):
    schema = open_layout(well[0]).schema
    assert schema.boundary_kind("x", "lower") == schema.boundary_kind("x", "upper") == "periodic"
    assert schema.boundary_kind("y", "lower") == "wall"
    assert schema.boundary_kind("y", "upper", "velocity") == "open"
    assert schema.boundary_kind("y", "upper", "density") == "unknown"
    assert schema.axis("x").spacing == "periodic"
    assert schema.axis("x").upper == pytest.approx(1.0)
    assert schema.axis("y").periodic is False
    assert schema.dt == pytest.approx(0.5)
    assert schema["strain"].symmetry == "symmetric"
    assert schema["sound_speed"].role == "geometry"
    assert schema["profile"].constant_along == ("y",)
    assert [v.name for v in schema.params] == ["Re", "Pr"]


def test_parameters_and_where_they_came_from(well):
    layout = open_layout(well[0])
    np.testing.assert_allclose(layout.params(1), [20.0, 0.7])
    assert layout.provenance == {"Re": "data set scalars/Re", "Pr": "attribute of the file"}


def test_steps_that_vary_have_no_dt(tmp_path):
    path = tmp_path / "uneven.hdf5"
    write_well(path, np.random.default_rng(0), times=np.array([0.0, 1.0, 3.0, 4.0, 5.0]))
    layout = open_layout(path)
    assert layout.schema.dt is None
    np.testing.assert_array_equal(layout.times(0), [0, 1, 3, 4, 5])


def test_times_of_each_sample(tmp_path):
    path = tmp_path / "per_sample.hdf5"
    times = np.stack([np.arange(T) * 0.5, np.arange(T) * 2.0])
    write_well(path, np.random.default_rng(0), times=times)
    np.testing.assert_array_equal(open_layout(path).times(1), times[1])
    np.testing.assert_array_equal(open_dataset(path)["physical_time"].values, times)


def test_a_folder_is_one_data_set_with_its_subsets(tmp_path):
    rng = np.random.default_rng(0)
    for subset in ("train", "valid", "test"):
        (tmp_path / "data" / subset).mkdir(parents=True)
        write_well(tmp_path / "data" / subset / "a.hdf5", rng)
    layout = open_layout(tmp_path)
    assert layout.n_samples == 3 * N
    split = split_of_format(layout)
    assert split is not None
    assert split.parts == {"train": (0, 1), "valid": (2, 3), "test": (4, 5)}


def test_files_of_other_grids_do_not_join(tmp_path):
    (tmp_path / "train").mkdir()
    write_well(tmp_path / "train" / "a.hdf5", np.random.default_rng(0))
    write_well(tmp_path / "train" / "b.hdf5", np.random.default_rng(0))
    with h5py.File(tmp_path / "train" / "b.hdf5", "r+") as f:
        f["dimensions/x"][...] = np.arange(X) / X * 2
    with pytest.raises(DataError, match=r"b\.hdf5.*differ"):
        open_layout(tmp_path)


def test_attributes_that_contradict_the_array_are_named(well):
    path, _ = well
    with h5py.File(path, "r+") as f:
        f["t0_fields/density"].attrs["dim_varying"] = [True, False]
    with pytest.raises(DataError, match="density has the shape"):
        open_layout(path)


def test_own_files_keep_what_the_well_has_no_place_for(tmp_path):
    grid = Grid((Axis.uniform("x", 5, 0.0, 2.0, unit="m"), Axis.uniform("y", 3, spacing="node")))
    schema = Schema(
        (
            Variable("a", grid, "input", unit="m^2", location="cell"),
            Variable("u", grid, "target", components=(2,), unit="Pa"),
            Variable("beta", role="param", unit="1/s"),
        ),
        (Boundary("x", "lower", "dirichlet", ("u",), 0.5), Boundary("y", "upper", "neumann")),
        name="own",
    )
    rng = np.random.default_rng(1)
    fields = {"a": rng.normal(size=(4, 5, 3)), "u": rng.normal(size=(4, 5, 3, 2))}
    path = write_dataset(
        tmp_path / "own.hdf5", schema, fields, {"beta": np.arange(4.0)}, {"licence": "CC0"}
    )
    layout = open_layout(path)
    assert layout.format == "sciops"
    assert layout.schema == schema
    assert layout.attributes["licence"] == "CC0"
    for name, values in fields.items():
        np.testing.assert_array_equal(reader.read(layout, name, 2), values[2])
    assert (tmp_path / "own.manifest.json").is_file()
    with pytest.raises(DataError, match="exists already"):
        write_dataset(path, schema, fields, {"beta": np.arange(4.0)})


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.hdf5"
    path.write_bytes(b"old")
    grid = Grid((Axis.uniform("x", 3),))
    schema = Schema((Variable("a", grid, "input"),))
    from sciops.data.writers.sciops import SciopsWriter

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(SciopsWriter, "put", fail)
    with pytest.raises(OSError, match="disk full"):
        write_dataset(path, schema, {"a": np.zeros((2, 3))}, overwrite=True)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.hdf5"]
