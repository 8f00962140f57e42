"""Own arrays under a mapping: any container, any order of axes, and it goes before detection."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sciops
from sciops.cli._mapping import arguments, opened
from sciops.core.errors import ConfigError, DataError, SchemaError, SciopsError
from sciops.core.schema import Axis, Boundary, Points
from sciops.data import reader
from sciops.data.mapping import Mapping, mapping_of
from sciops.data.open import detect, open_layout
from sciops.data.task import DataConfig, load
from sciops.data.windows import Window, Windows
from sciops.data.xarray_backend import as_dataset

DATA = Path(__file__).parents[3] / "shared" / "data"
genuine = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with genuine files is not beside the checkout"
)

N, T, NY, NX, C = 3, 4, 5, 6, 2
U = ("sample", "time", "y", "x", "component")
A = ("sample", "y", "x")
ORDERS = [tuple(range(5)), (4, 3, 2, 1, 0), (0, 2, 3, 1, 4), (2, 0, 4, 1, 3)]


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "u": rng.normal(size=(N, T, NY, NX, C)).astype(np.float32),
        "a": rng.normal(size=(N, NY, NX)),
        "nu": np.array([0.1, 0.2, 0.3]),
        "ys": np.array([0.0, 0.1, 0.3, 0.6, 1.0]),
        "t": np.array([0.0, 0.5, 1.0, 1.5]),
    }


def said(u=U, a=A) -> dict:
    return {
        "dims": {"u": list(u), "a": " ".join(a)},
        "forcing": ["a"],
        "params": "nu",
        "coords": {"y": "ys", "x": [0, 3]},
        "time": "t",
        "boundary": {"x": "periodic", "y.lower": "wall"},
        "units": {"u": "m/s", "x": "m", "time": "s", "nu": "m2/s"},
        "name": "flow",
        "attributes": {"source": "test"},
    }


def hdf5(path, members):
    with h5py.File(path / "data.h5", "w") as f:
        for k, v in members.items():
            f[k] = v
    return path / "data.h5"


def chunked(path, members):
    with h5py.File(path / "data.h5", "w") as f:
        for k, v in members.items():
            f.create_dataset(k, data=v, chunks=tuple(max(n // 2, 1) for n in v.shape), shuffle=True)
    return path / "data.h5"


def npz(path, members):
    np.savez(path / "data.npz", **members)
    return path / "data.npz"


def compressed(path, members):
    np.savez_compressed(path / "data.npz", **members)
    return path / "data.npz"


def fortran(path, members):
    np.savez(path / "data.npz", **{k: np.asfortranarray(v) for k, v in members.items()})
    return path / "data.npz"


def matlab(path, members):
    from scipy.io import savemat

    savemat(path / "data.mat", members, do_compression=True)
    return path / "data.mat"


def saved_torch(path, members):
    torch.save(
        {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in members.items()}, path / "d.pt"
    )
    return path / "d.pt"


def zarr(path, members):
    store = pytest.importorskip("zarr").open_group(str(path / "data.zarr"), mode="w")
    for k, v in members.items():
        store.create_array(k, data=v)
    return path / "data.zarr"


def netcdf3(path, members):
    from scipy.io import netcdf_file

    with netcdf_file(path / "data.nc", "w") as f:
        for k, v in members.items():
            names = [f"{k}{i}" for i in range(v.ndim)]
            for name, n in zip(names, v.shape, strict=True):
                f.createDimension(name, n)
            f.createVariable(k, v.dtype, names)[:] = v
    return path / "data.nc"


def netcdf4(path, members):
    named = {k: ([f"{k}{i}" for i in range(v.ndim)], v) for k, v in members.items()}
    xr.Dataset(named).to_netcdf(path / "data.nc", engine="h5netcdf")
    return path / "data.nc"


CONTAINERS = (
    hdf5, chunked, npz, compressed, fortran, matlab, saved_torch, zarr, netcdf3, netcdf4,
)  # fmt: skip


@pytest.mark.parametrize("order", ORDERS, ids=lambda o: "".join(map(str, o)))
@pytest.mark.parametrize("write", CONTAINERS, ids=lambda f: f.__name__)
def test_every_container_and_order_of_axes_is_the_same_data_set(write, order, tmp_path):
    members = arrays()
    short = tuple(A[k] for k in (1, 0, 2)) if order[0] else A
    stored = members | {
        "u": members["u"].transpose(order),
        "a": members["a"].transpose([A.index(k) for k in short]),
    }
    path = write(tmp_path, stored)
    data = sciops.open_dataset(path, mapping=said([U[k] for k in order], short))
    assert data["u"].dims == U
    assert data["a"].dims == A
    for name in ("u", "a", "nu"):
        np.testing.assert_array_equal(data[name].values, members[name])
    np.testing.assert_array_equal(data["y"].values, members["ys"])
    np.testing.assert_allclose(data["x"].values, 0.25 + 0.5 * np.arange(NX))
    np.testing.assert_array_equal(data["time"].values, members["t"])
    assert (data["u"].attrs["units"], data["time"].attrs["units"]) == ("m/s", "s")
    assert (data["a"].attrs["role"], data["nu"].attrs["units"]) == ("forcing", "m2/s")
    assert (data.attrs["name"], data.attrs["source"]) == ("flow", "test")


def test_what_is_said_stands_in_the_schema(tmp_path):
    layout = open_layout(hdf5(tmp_path, arrays()), mapping=said())
    schema = layout.schema
    assert schema.boundary == (
        Boundary("x", "lower", "periodic"),
        Boundary("x", "upper", "periodic"),
        Boundary("y", "lower", "wall"),
    )
    assert (schema.axis("x").periodic, schema.axis("y").periodic) == (True, False)
    assert (schema.dt, schema.time_unit) == (0.5, "s")
    assert layout.reason == "described by the mapping that was given"
    assert mapping_of(mapping_of(said()).model_dump()) == mapping_of(said())
    assert len(Windows(layout, window=Window(history=2))) == N * (T - 2)


def test_what_is_not_said_stays_unknown(tmp_path):
    layout = open_layout(hdf5(tmp_path, arrays()), mapping={"dims": {"u": U}})
    x = layout.schema.axis("x")
    assert (x.periodic, x.unit, x.lower, x.upper) == (None, None, 0, NX)
    assert any("not stored" in note for note in layout.notes)
    assert (layout.schema.dt, layout.schema.time_unit, layout.schema.boundary) == (None, None, ())
    assert np.isnan(layout.times(0)).all()


def test_falling_coordinates_are_turned_round(tmp_path):
    members = arrays()
    members["ys"] = members["ys"][::-1].copy()
    members["u"] = members["u"][:, :, ::-1]
    members["a"] = members["a"][:, ::-1]
    data = sciops.open_dataset(hdf5(tmp_path, members), mapping=said())
    np.testing.assert_array_equal(data["u"].values, arrays()["u"])
    np.testing.assert_array_equal(data["a"].values, arrays()["a"])
    np.testing.assert_array_equal(data["y"].values, arrays()["ys"])


def test_components_rename_and_roles_by_key(tmp_path):
    u = arrays()["u"]
    path = hdf5(tmp_path, {"flow/vx": u[..., 0], "flow/vy": u[..., 1], "k": u[:, 0, :, :, 0]})
    dims = {"flow/vx": U[:4], "flow/vy": U[:4], "k": A}
    told = {"dims": dims, "components": {"velocity": ["flow/vx", "flow/vy"]}, "geometry": ["k"]}
    data = sciops.open_dataset(path, mapping=told)
    np.testing.assert_array_equal(data["velocity"].values, u)
    told = {"dims": dims, "states": {"v": ["flow/vx", "flow/vy"]}, "inputs": {"start": "k"}}
    data = sciops.open_dataset(path, mapping=told)
    np.testing.assert_array_equal(data["v"].values, u)
    assert data["start"].attrs["role"] == "input"
    told = {"dims": {"flow/vx": U[:4]}, "rename": {"flow/vx": "speed"}}
    assert list(sciops.open_dataset(path, mapping=told).data_vars) == ["speed"]
    assert list(sciops.open_dataset(path, mapping={"dims": {"flow/vx": U[:4]}}).data_vars) == ["vx"]


def test_parameters_with_and_without_dims(tmp_path):
    rng = np.random.default_rng(1)
    mu = rng.normal(size=(N, 2))
    path = hdf5(tmp_path, {"u": rng.normal(size=(N, NX)), "mu": mu.T, "g": 9.81, "q": np.ones(N)})
    told = {"dims": {"u": "sample x", "mu": "component sample", "q": "sample"}}
    told |= {"targets": ["u"], "params": ["mu", "g"]}
    data = sciops.open_dataset(path, mapping=told)
    np.testing.assert_array_equal(data["mu1"].values, mu[:, 1])
    np.testing.assert_array_equal(data["g"].values, [9.81] * N)
    assert data["q"].attrs["role"] == "param"


def test_times_of_each_sample_and_one_too_many(tmp_path):
    u = np.zeros((N, T, NX))
    path = hdf5(tmp_path, {"u": u, "ts": np.arange(12.0).reshape(N, T), "long": np.arange(5.0)})
    told = {"dims": {"u": "sample time x"}, "time": "ts"}
    assert open_layout(path, mapping=told).times(2).tolist() == [8, 9, 10, 11]
    layout = open_layout(path, mapping={**told, "time": "long"})
    assert layout.times(0).tolist() == [0, 1, 2, 3]
    assert "one time more" in " ".join(layout.notes)
    layout = open_layout(path, mapping={**told, "time": {"start": 1, "dt": 0.5}})
    assert (layout.times(0).tolist(), layout.schema.dt) == ([1, 1.5, 2, 2.5], 0.5)


@pytest.mark.parametrize("form", ["(M, D)", "(D, M)", "one an axis"])
def test_nodes(form, tmp_path):
    rng = np.random.default_rng(2)
    xy, p = rng.normal(size=(7, 2)), rng.normal(size=(N, 7))
    stored = {"p": p, "xy": xy.T if form == "(D, M)" else xy, "x": xy[:, :1], "y": xy[:, 1]}
    stored["cells"] = np.array([[0, 1, 2], [4, 5, 6]])
    dims = {"p": "sample node"} | ({"xy": "component node"} if form == "(D, M)" else {})
    points = {"arrays": ["x", "y"] if form == "one an axis" else "xy", "cells": "cells"}
    layout = open_layout(
        npz(tmp_path, stored), mapping={"dims": dims, "targets": ["p"], "points": points}
    )
    assert layout.schema["p"].domain == Points(xy, stored["cells"])
    np.testing.assert_array_equal(as_dataset(layout)["p"].values, p)


def test_a_nameless_array_takes_the_name_that_is_given(tmp_path):
    np.save(tmp_path / "field.npy", arrays()["a"])
    torch.save(torch.from_numpy(arrays()["a"]), tmp_path / "field.pt")
    for file in ("field.npy", "field.pt"):
        data = sciops.open_dataset(
            tmp_path / file, mapping={"dims": {"k": "sample y x"}, "inputs": ["k"]}
        )
        np.testing.assert_array_equal(data["k"].values, arrays()["a"])


# -- where a mapping comes from


def as_pdebench(path: Path) -> Path:
    with h5py.File(path, "w") as f:
        f["tensor"] = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        f["x-coordinate"] = np.arange(4) + 0.5
        f["t-coordinate"] = np.arange(4.0)
        f.attrs["beta"] = 1.0
    return path


SWAPPED = "dims:\n  tensor: time sample z\nrename: {tensor: w}\n"


def test_it_goes_before_detection(tmp_path):
    path = as_pdebench(tmp_path / "1D_Advection_Sols_beta1.0.hdf5")
    assert open_layout(path).format == "pdebench"
    layout = open_layout(path, mapping={"dims": {"tensor": "time sample z"}})
    assert (layout.format, layout.n_samples, layout.lengths.tolist()) == ("mapped", 3, [2, 2, 2])
    with pytest.raises(ConfigError, match="leave out the format"):
        open_layout(path, "pdebench", {"dims": {}})
    (tmp_path / "1D_Advection_Sols_beta1.0.hdf5.mapping.yaml").write_text(SWAPPED)
    layout = open_layout(path)
    assert (layout.format, layout.schema.variables[0].name) == ("mapped", "w")
    assert "1D_Advection_Sols_beta1.0.hdf5.mapping.yaml beside it" in layout.reason
    assert detect(path)[0] == "mapped"
    assert open_layout(path, "pdebench").format == "pdebench"
    yaml = path.with_name(path.name + ".mapping.yaml")
    assert open_layout(yaml).schema == layout.schema
    as_pdebench(path.with_suffix(".h5"))  # another file, of which nothing is said
    assert open_layout(path.with_suffix(".h5")).format == "pdebench"
    data = xr.open_dataset(path, engine="sciops")
    assert data.attrs["sciops_reason"] == layout.reason
    np.testing.assert_array_equal(
        data["w"].values, np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2)
    )
    data = xr.open_dataset(path, engine="sciops", mapping={"dims": {"tensor": "sample time x"}})
    assert data["tensor"].shape == (2, 3, 4)


def test_a_yaml_file_opens_as_data(tmp_path):
    as_pdebench(tmp_path / "data.bin")
    (tmp_path / "any.yaml").write_text(f"file: data.bin\n{SWAPPED}")
    layout = open_layout(tmp_path / "any.yaml")
    assert (layout.format, layout.schema.name) == ("mapped", "any")
    np.testing.assert_array_equal(reader.read(layout, "w", 1), np.arange(24).reshape(2, 3, 4)[:, 1])
    again = open_layout(tmp_path / "data.bin", mapping=tmp_path / "any.yaml")
    assert again.schema.variables == layout.schema.variables


def test_files_are_joined_as_samples_in_the_order_of_their_numbers(tmp_path):
    for k in (10, 2, 1):
        np.savez(tmp_path / f"run_{k}.npz", u=np.full((T + k, NX), k), nu=k)
    told = "file: run_*.npz\ndims: {u: time x}\nparams: [nu]\n"
    (tmp_path / "runs.yaml").write_text(told)
    layout = open_layout(tmp_path / "runs.yaml")
    assert layout.lengths.tolist() == [T + 1, T + 2, T + 10]
    assert [layout.params(k)[0] for k in range(3)] == [1, 2, 10]
    assert reader.read(layout, "u", 2).shape == (T + 10, NX)
    np.savez(tmp_path / "run_3.npz", u=np.zeros((T, NX + 1)), nu=3)
    with pytest.raises(DataError, match=r"run_3.*grid or boundary differ"):
        open_layout(tmp_path / "runs.yaml")
    (tmp_path / "runs.yaml").write_text(told.replace("run_*", "walk_*"))
    with pytest.raises(DataError, match="nothing in .* fits 'walk_"):
        open_layout(tmp_path / "runs.yaml")


def test_files_side_by_side(tmp_path):
    members = arrays()
    np.save(tmp_path / "a.npy", members["a"])
    hdf5(tmp_path, {"sim/u": members["u"]})
    told = "dims: {a.npy: sample y x, data.h5/sim/u: sample time y x component}\ninputs: [a]\n"
    (tmp_path / "mapping.yaml").write_text(told)
    for path in (tmp_path, tmp_path / "mapping.yaml"):
        data = sciops.open_dataset(path)
        np.testing.assert_array_equal(data["a"].values, members["a"])
        np.testing.assert_array_equal(data["u"].values, members["u"])
    with pytest.raises(DataError, match=r"b\.npy.*it holds a\.npy \(3, 5, 6\)"):
        open_layout(tmp_path, mapping={"dims": {"b.npy": "sample x"}})


def test_training_data_and_their_checksum(tmp_path):
    rng = np.random.default_rng(3)
    np.savez(tmp_path / "pairs.npz", a=rng.normal(size=(20, 6, 6)), u=rng.normal(size=(20, 6, 6)))
    told = {"dims": {"a": "sample x y", "u": "sample x y"}, "inputs": ["a"], "targets": ["u"]}
    turned = {**told, "dims": {"a": "sample x y", "u": "sample y x"}}
    path = str(tmp_path / "pairs.npz")
    one, other = (load(DataConfig(path=path, mapping=m)) for m in (told, turned))
    assert one.train[0]["inputs"].shape == (1, 6, 6)
    torch.testing.assert_close(
        one.tests["test"][0]["targets"], other.tests["test"][0]["targets"].mT
    )
    assert one.checksums["pairs.npz"] == other.checksums["pairs.npz"]
    assert one.checksums["mapping"] != other.checksums["mapping"]
    (tmp_path / "m.yaml").write_text(
        "dims: {a: sample x y, u: sample x y}\ninputs: a\ntargets: u\n"
    )
    config = DataConfig(path=path, mapping=str(tmp_path / "m.yaml"))
    assert config.mapping == mapping_of(told)
    assert DataConfig(**config.model_dump(mode="json")) == config


def test_options_of_the_command_line(tmp_path):
    path = str(hdf5(tmp_path, arrays()))
    options = {
        "dims": ["u=sample,time,y,x,component", "a=sample,y,x"],
        "inputs": "a",
        "params": "nu",
    }
    layout = opened(path, **options)
    assert [(v.name, v.role) for v in layout.schema.variables] == [
        ("a", "input"), ("u", "state"), ("nu", "param"),
    ]  # fmt: skip
    assert arguments(**options)[:4] == ["--dims", options["dims"][0], "--dims", options["dims"][1]]
    (tmp_path / "m.yaml").write_text("dims: {a: sample y x}\ntargets: a\n")
    assert opened(path, map=str(tmp_path / "m.yaml")).schema.targets[0].name == "a"
    for wrong, words in (
        ({"map": "m.yaml", "states": "u"}, "--map says all"),
        ({"states": "u"}, "goes with --dims"),
        ({"dims": ["u"]}, "expected array=axes"),
        ({"map": str(tmp_path / "none.yaml")}, "no such file"),
    ):
        with pytest.raises(ConfigError, match=words):
            opened(path, **wrong)


# -- errors


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dims": {}}, [r"no dims", r"a \(3, 5, 6\)", "dims: {u: sample"]),
        ({"dims": {"w": "sample x"}}, ["no array 'w'", r"u \(3, 4, 5, 6, 2\)"]),
        ({"dims": {"u": "sample y x"}}, [r"\(3, 4, 5, 6, 2\), 5 axes", "name 3"]),
        ({"dims": {"u": "sample time _ x component"}}, ["_ is an axis of length 1, not 5"]),
        (
            {"dims": {"u": U, "a": "sample x y"}},
            ["'x' has 6 entries in u", "but 5 in a", "call one of the axes otherwise"],
        ),
        ({"dims": {"u": U}, "forcing": ["a"]}, [r"'a' has the shape \(3, 5, 6\)", "a: sample y x"]),
        ({"dims": {"u": U}, "forcing": ["b"]}, ["no variable 'b'", "it holds"]),
        ({"forcing": []}, [r"a \(3, 5, 6\) = \(sample, y, x\) has no role", r"inputs: \[a\]"]),
        ({"inputs": ["a"]}, ["'a' is named as one of the inputs and of the forcing"]),
        ({"states": ["a", "u"], "forcing": []}, ["a state needs the dim time"]),
        ({"coords": {"z": [0, 1]}}, ["coords: 'z' is none of y, x"]),
        ({"coords": {"x": "ys"}}, ["'x' and must have 6 entries", r"got the shape \(5,\)"]),
        ({"coords": {"y": "nope"}}, ["no array 'nope'"]),
        ({"time": "nu"}, [r"must be \(4,\) or \(3, 4\)"]),
        ({"boundary": {"z": "wall"}}, ["boundary: 'z'"]),
        ({"boundary": {"x": "periodic", "x.lower": "wall"}}, ["not periodic"]),
        ({"units": {"v": "m"}}, ["units: 'v' is none of a, u"]),
        ({"rename": {"v": "w"}}, ["rename: 'v'"]),
        ({"params": ["u"]}, ["a parameter has the dims sample"]),
        ({"params": ["ys"]}, ["must have 3 entries"]),
        ({"components": {"w": ["a", "b"]}, "forcing": []}, ["no variable 'b'"]),
        ({"components": {"w": ["a", "u"]}, "forcing": ["w"]}, ["must have the same dims"]),
        ({"dims": {"u": U, "a": "sample y node"}}, ["axes of a grid .* or on the dim node"]),
        ({"dims": {"a": "sample _ node"}, "coords": {}}, ["_ is an axis of length 1"]),
    ],
)  # fmt: skip
def test_what_does_not_fit(change, words, tmp_path):
    path = hdf5(tmp_path, arrays())
    with pytest.raises(DataError) as caught:
        open_layout(path, mapping=said() | change)
    for word in words:
        assert re.search(word, str(caught.value)), str(caught.value)
    assert str(path) in str(caught.value)


def test_nodes_need_points(tmp_path):
    path = npz(tmp_path, {"p": np.zeros((3, 7)), "xy": np.zeros((6, 2))})
    told = {"dims": {"p": "sample node"}, "targets": ["p"]}
    with pytest.raises(DataError, match=r"points: KEY of an array \(7, D\)"):
        open_layout(path, mapping=told)
    with pytest.raises(DataError, match=r"must be \(7, D\), got \(6, 2\)"):
        open_layout(path, mapping=told | {"points": "xy"})


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"inputz": ["a"]}, "unknown setting 'inputz'. Did you mean 'inputs'"),
        ({"dims": {"u": "samples x"}}, "unknown dim 'samples'; did you mean 'sample'"),
        ({"dims": {"u": "x x"}}, "'x' stands twice"),
        ({"dims": {"u": "x y-z"}}, "'y-z' is not a name"),
        ({"boundary": {"x": "walls"}}, "Did you mean 'wall'"),
        ({"boundary": {"x.upper": "periodic"}}, "the whole axis x"),
        ({"boundary": {"x.left": "wall"}}, "x.lower or x.upper"),
        ({"coords": {"x": [0, 1, 2]}}, "expected [lower, upper]"),
        ({"coords": {"x": {"lower": 0}}}, "lower and upper go together"),
        ({"coords": {"x": {"low": 0}}}, "unknown setting 'low'. Did you mean 'lower'"),
        ({"time": {"start": 1}}, "{start: .., dt: ..}"),
        ({"time": {"dt": 0}}, "dt must be above 0"),
        ({"time": {"dt": float("nan")}}, "finite"),
    ],
)
def test_what_cannot_be_understood(tree, words):
    with pytest.raises(ConfigError) as caught:
        mapping_of(tree)
    assert words in str(caught.value)


def test_hostile_yaml(tmp_path):
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{n}: &{n} [{', '.join(['*' + m] * 10)}]\n"
        for m, n in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for text in (
        bomb + "dims: {u: *i}\n",
        "dims: " + "[" * 20_000,
        "dims: !!python/name:os.system",
    ):
        path = tmp_path / "m.yaml"
        path.write_text(text)
        with pytest.raises(SciopsError):
            open_layout(path)
        with pytest.raises(ConfigError):
            mapping_of(path)


WORDS = st.sampled_from(
    ["u", "a", "nu", "x", "y", "sample", "time x", "sample y x", "node", "_", ""]
)
VALUES = st.recursive(
    st.none() | WORDS | st.integers(-2, 9) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(sorted(Mapping.model_fields)), VALUES, max_size=3))
def test_whatever_is_said_ends_well_or_in_an_error_that_says_so(tmp_path_factory, change):
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    if not folder.exists():
        folder.mkdir()
        hdf5(folder, arrays())
    try:
        layout = open_layout(folder / "data.h5", mapping=said() | change)
        for v in layout.schema.variables:
            if v.role != "param":
                reader.read(layout, v.name, 0)
    except SciopsError:
        pass


# -- genuine files


@genuine
def test_genuine_pdebench():
    path = DATA / "pdebench_h5" / "2D_diff-react_NA_NA_mini.h5"
    detected = sciops.open_dataset(path)
    data = sciops.open_dataset(
        path,
        mapping={
            "dims": {"0003/data": "time y x component"},
            "rename": {"0003/data": "w"},
            "coords": {"y": "0003/grid/y", "x": "0003/grid/x"},
            "time": "0003/grid/t",
        },
    )
    assert (detected.attrs["sciops_format"], data.attrs["sciops_format"]) == ("pdebench", "mapped")
    np.testing.assert_array_equal(data["w"].values[0, ..., 0], detected["activator"].values[3])
    np.testing.assert_array_equal(data["x"].values, detected["x"].values)


@genuine
def test_genuine_matlab():
    from scipy.io import loadmat

    path = DATA / "mat" / "KdV.mat"
    raw = loadmat(path)
    data = sciops.open_dataset(path, mapping=yaml_of("uu: x time", "x: x", "tt"))
    np.testing.assert_array_equal(data["uu"].values[0], raw["uu"].T)
    np.testing.assert_array_equal(data["time"].values, raw["tt"].ravel())


def yaml_of(dims, coords, time):
    import yaml

    return yaml.safe_load(f"dims: {{{dims}}}\ncoords: {{{coords}}}\ntime: {time}")


@genuine
def test_genuine_npy_on_nodes():
    folder = next(p.parent for p in DATA.rglob("snapshots_vx.npy"))
    detected = sciops.open_dataset(folder)
    told = {
        "dims": {"snapshots_vx.npy": "time node", "snapshots_vy.npy": "time node"},
        "components": {"velocity": ["snapshots_vx.npy", "snapshots_vy.npy"]},
        "points": {"arrays": "pts.npy"},
        "time": "time.npy",
    }
    data = sciops.open_dataset(folder, mapping=told)
    np.testing.assert_array_equal(
        data["velocity"].isel(time=5).values, detected["velocity"].isel(time=5).values
    )


# -- arrays in memory


def test_arrays_on_nodes():
    rng = np.random.default_rng(4)
    xy, a, u = rng.normal(size=(7, 2)), rng.normal(size=(4, 7)), rng.normal(size=(4, 7, 2))
    layout = sciops.from_arrays(Points(xy), inputs={"a": a}, targets={"u": u})
    data = as_dataset(layout)
    assert data["u"].dims == ("sample", "node", "component")
    np.testing.assert_array_equal(data["u"].values, u)
    np.testing.assert_array_equal(data["x_node"].values, xy[:, 0])
    window = Windows(layout)[1]
    assert (tuple(window["inputs"].shape), tuple(window["targets"].shape)) == ((1, 7), (1, 2, 7))
    with pytest.raises(SchemaError, match=r"expected \(n, T, 7"):
        sciops.from_arrays(Points(xy), states={"a": a})
    with pytest.raises(SchemaError, match=r"expected \(n, 7"):
        sciops.from_arrays(Points(xy), inputs={"a": np.float64(1)})


def test_every_order_of_two_axes_in_memory_is_a_grid():
    for names in permutations(("x", "y")):
        axes = [Axis.uniform(n, 4) for n in names]
        layout = sciops.from_arrays(
            axes, inputs={"a": np.zeros((2, 4, 4))}, targets={"u": np.zeros((2, 4, 4))}
        )
        assert layout.schema["a"].domain.names == names
