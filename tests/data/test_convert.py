"""Everything that sciops writes comes back as it was, whatever the container."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import xarray as xr

from sciops.core.errors import DataError, SchemaError
from sciops.core.schema import Axis, Boundary, Grid, Points, Schema, Variable
from sciops.data.convert import convert, partial_paths
from sciops.data.layout import COMPONENTS, Layout, Part, Stored
from sciops.data.open import open_layout
from sciops.data.source import FileSource, open_source
from sciops.data.writers._writer import Storage

TARGETS = ("sciops", "netcdf", "zarr", "npz", "pt")
PRESETS = ("windows", "frames", "trajectories", "archive")


def grid():
    return Grid((Axis.uniform("x", 5, 0.0, 2.0, unit="m"), Axis("y", [0.0, 0.1, 0.4], 0.0, 0.5)))


def memory(schema, fields, lengths, times, params=None, shared=()):
    """A layout of arrays in memory; those in `shared` have no sample axis."""
    n = len(lengths)
    arrays = {}
    for v in schema.variables:
        if v.role == "param":
            continue
        lead = () if v.name in shared else ("sample",)
        time = ("time",) if v.time_varying else ()
        space = tuple(a for a in v.domain.names if a not in v.constant_along)
        axes = (*lead, *time, *space, *COMPONENTS[: v.rank])
        a = fields[v.name]
        arrays[v.name] = (Stored("", "memory", v.name, axes, a.shape, a.dtype.str, array=a),)
    part = Part("memory", n, np.asarray(lengths), arrays, times, params or {})
    words = {"licence": "CC0", "source": "made up"}
    return Layout(schema, (part,), "arrays", "test", ("a note",), words, {"nu": "argument"})


def everything(ragged=False):
    """Types, ranks, grids, points, shared and constant fields, in one data set."""
    rng = np.random.default_rng(0)
    g, one = grid(), Grid((Axis.uniform("x", 7, spacing="periodic"),))
    nodes = Points(rng.random((6, 2)), cells=[[0, 1, 2], [3, 4, 5]], weights=np.ones(6))
    schema = Schema(
        (
            Variable("count", g, time_varying=True, location="cell"),
            Variable("velocity", g, components=(2,), unit="m/s", time_varying=True),
            Variable("strain", g, components=(2, 2), symmetry="symmetric", time_varying=True),
            Variable("psi", one, time_varying=True),
            Variable("solid", g, "geometry"),
            Variable("level", g, "input", constant_along=("y",)),
            Variable("load", nodes, "target"),
            Variable("beat", g, "forcing", time_varying=True, constant_along=("x", "y")),
            Variable("nu", role="param", unit="m^2/s"),
        ),
        (Boundary("x", "lower", "inflow", ("velocity",), 1.5), Boundary("y", "upper", "wall")),
        time_unit="s",
        name="everything",
    )
    n, t = 3, 4
    big = 2**62 + rng.integers(0, 9, (n, t, 5, 3))
    fields = {
        "count": big.astype(np.int64),
        "velocity": rng.normal(size=(n, t, 5, 3, 2)),
        "strain": rng.normal(size=(n, t, 5, 3, 2, 2)).astype(np.float32),
        "psi": rng.normal(size=(n, t, 7)) + 1j * rng.normal(size=(n, t, 7)),
        "solid": rng.random((5, 3)) > 0.5,
        "level": rng.integers(0, 255, (n, 5)).astype(np.uint8),
        "load": rng.normal(size=(n, 6)).astype(np.float16),
        "beat": rng.normal(size=(n, t)),
    }
    lengths = [2, 4, 3] if ragged else [4, 4, 4]
    times = np.sort(rng.random((n, t)), axis=1)
    return memory(schema, fields, lengths, times, {"nu": np.array([0.1, 0.2, 0.3])}, ("solid",))


def assert_same(source, other):
    assert other.schema == source.schema
    np.testing.assert_array_equal(other.lengths, source.lengths)
    for s in range(source.n_samples):
        np.testing.assert_array_equal(other.times(s), source.times(s))
        np.testing.assert_array_equal(other.params(s), source.params(s))
        for v in source.schema.variables:
            if v.role != "param":
                a, b = source.read(v.name, s), other.read(v.name, s)
                assert b.dtype == a.dtype and b.shape == a.shape, v.name
                np.testing.assert_array_equal(b, a)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("target", TARGETS)
def test_there_and_back(tmp_path, target, ragged):
    if target == "zarr":
        pytest.importorskip("zarr")
    source = FileSource(everything(ragged))
    first = convert(source, tmp_path / "first.hdf5").path
    there = convert(open_source(first), tmp_path / "there", target).path
    assert open_layout(there).format == "sciops"
    back = convert(open_source(there), tmp_path / "back.hdf5").path
    assert_same(source, open_source(there))
    assert_same(source, open_source(back))
    assert dict(open_source(back).attributes) == dict(source.attributes)
    assert open_source(back).notes == source.notes and open_source(back).provenance["nu"]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("target", ["sciops", "netcdf", "zarr"])
def test_every_storage(tmp_path, target, preset):
    if target == "zarr":
        pytest.importorskip("zarr")
    source = FileSource(everything())
    path = convert(source, tmp_path / "a", target, Storage(preset=preset)).path
    assert_same(source, open_source(path))


def states(kinds, shape, names, n=3, t=5, dimension=1, lengths=None):
    rng = np.random.default_rng(1)
    axes = tuple(Axis.uniform(a, k, 0.0, 1.0 + k) for a, k in zip("xyz", shape, strict=False))
    variables = tuple(
        Variable(k, Grid(axes), components=c, time_varying=True) for k, c in names.items()
    )
    schema = Schema((*variables, Variable("nu", role="param", unit="1/s")), dt=0.5, name="s")
    fields = {
        k: (100 * rng.normal(size=(n, t, *shape, *c))).astype(kinds) for k, c in names.items()
    }
    lengths = [t] * n if lengths is None else lengths
    return memory(schema, fields, lengths, 0.5 * np.arange(t), {"nu": np.arange(3.0)})


@pytest.mark.parametrize("kind", ["i8", "u1", "?", "c16", "f4", "f8"])
@pytest.mark.parametrize(
    ("shape", "names", "native"),
    [
        ((6,), {"q": ()}, {"u": "q"}),
        ((6, 4), {"density": (), "pressure": (), "velocity": (2,)}, None),
        ((6, 4), {"a": (), "b": ()}, {"activator": "a", "inhibitor": "b"}),
        ((6, 4), {"h": ()}, {"u": "h"}),
        ((6,), {"a": (), "b": (), "c": ()}, {"u0": "a", "u1": "b", "u2": "c"}),
    ],
    ids=["scalar", "fluid", "two species", "one field", "three fields"],
)
def test_to_pdebench_and_back(tmp_path, shape, names, native, kind):
    source = FileSource(states(kind, shape, names))
    there = convert(source, tmp_path / "there.hdf5", "pdebench").path
    assert_same(source, open_source(there))
    assert_same(source, open_source(convert(open_source(there), tmp_path / "b.hdf5").path))
    if kind in ("?", "c16"):  # PDEBench's own reader takes real numbers only
        with pytest.raises(DataError, match="real numbers"):
            open_source(there, "pdebench")
        return
    plain = open_source(there, "pdebench")  # as one reads it who knows nothing of sciops
    for theirs, ours in (native or {k: k for k in names}).items():
        got, expected = plain.read(theirs, 2), source.read(ours, 2)
        if plain.schema[theirs].domain.names == ("y", "x"):
            got = got.swapaxes(1, 2)
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(plain.times(0), source.times(0))


def test_a_map_to_pdebench(tmp_path):
    g = Grid((Axis.uniform("x", 4), Axis.uniform("y", 3)))
    schema = Schema((Variable("k", g, "input"), Variable("u", g, "target")), name="darcy")
    rng = np.random.default_rng(2)
    fields = {k: rng.normal(size=(2, 4, 3)) for k in ("k", "u")}
    source = FileSource(memory(schema, fields, [1, 1], None))
    path = convert(source, tmp_path / "d.hdf5", "pdebench").path
    assert_same(source, open_source(path))
    plain = open_source(path, "pdebench")
    np.testing.assert_array_equal(plain.read("solution", 1), fields["u"][1])
    with h5py.File(path) as file:
        assert file["tensor"].shape == (2, 1, 4, 3)


def test_what_pdebench_has_no_place_for_is_refused(tmp_path):
    with pytest.raises(SchemaError, match="no place|one grid"):
        convert(FileSource(everything()), tmp_path / "a.hdf5", "pdebench")
    assert not list(tmp_path.iterdir())


def test_the_well_by_its_rules(tmp_path):
    """The rules of The Well's docs/data_format.md, by plain h5py."""
    rng = np.random.default_rng(3)
    g = Grid((Axis.uniform("x", 6, spacing="periodic"), Axis.uniform("y", 4, spacing="node")))
    schema = Schema(
        (
            Variable("density", g, time_varying=True),
            Variable("velocity", g, components=(2,), time_varying=True),
            Variable("strain", g, components=(2, 2), time_varying=True, symmetry="symmetric"),
            Variable("wave", g, time_varying=True),
            Variable("depth", g, "geometry", constant_along=("x",)),
            Variable("Re", role="param"),
        ),
        (
            *(Boundary("x", side, "periodic") for side in ("lower", "upper")),
            Boundary("y", "lower", "wall"),
            Boundary("y", "upper", "outflow"),
        ),
        name="demo",
    )
    fields = {
        "density": rng.normal(size=(2, 3, 6, 4)),
        "velocity": rng.normal(size=(2, 3, 6, 4, 2)),
        "strain": rng.normal(size=(2, 3, 6, 4, 2, 2)),
        "wave": rng.normal(size=(2, 3, 6, 4)) * (1 + 2j),
        "depth": rng.normal(size=(4,)),
    }
    layout = memory(
        schema, fields, [3, 3], np.arange(3.0), {"Re": np.array([5.0, 5.0])}, ("depth",)
    )
    done = convert(FileSource(layout), tmp_path / "w.hdf5", "the_well")
    assert len(done.notes) == 2
    with h5py.File(done.path) as f:
        for name in ("dataset_name", "grid_type", "n_spatial_dims", "n_trajectories"):
            assert name in f.attrs
        assert f.attrs["grid_type"] in ("cartesian", "spherical")
        for name in f.attrs["simulation_parameters"]:
            assert name in f.attrs
        dims = list(f["dimensions"].attrs["spatial_dims"])
        assert dims == ["x", "y"] and f["dimensions/time"].shape == (3,)
        sizes = [len(f["dimensions"][d]) for d in dims]
        for one in [f["dimensions/time"], *(f["dimensions"][d] for d in dims)]:
            assert {"sample_varying", "time_varying"} <= set(one.attrs)
        assert set(f) == {
            "dimensions", "boundary_conditions", "scalars", "t0_fields", "t1_fields", "t2_fields",
        }  # fmt: skip
        for group in f["boundary_conditions"].values():
            assert group.attrs["bc_type"] in ("PERIODIC", "WALL", "OPEN")
            assert {
                "associated_dims",
                "associated_fields",
                "sample_varying",
                "time_varying",
            } <= set(group.attrs)
            (d,) = group.attrs["associated_dims"]
            assert group["mask"].shape == (len(f["dimensions"][d]),)
        for rank in range(3):
            group = f[f"t{rank}_fields"]
            assert set(group.attrs["field_names"]) == set(group)
            for field in group.values():
                varying = field.attrs["dim_varying"]
                shape = (2,) if field.attrs["sample_varying"] else ()
                shape += (3,) if field.attrs["time_varying"] else ()
                shape += tuple(n for n, v in zip(sizes, varying, strict=True) if v)
                assert field.shape == shape + (2,) * rank
                assert field.dtype == np.float32
                if rank == 2:
                    assert {"symmetric", "antisymmetric"} <= set(field.attrs)
        assert set(f["t0_fields"]) == {"density", "wave_re", "wave_im", "depth"}
    again = open_layout(done.path)
    assert again.format == "the_well" and again.schema.boundary_kind("y", "upper") == "open"


def test_the_well_has_one_length(tmp_path):
    layout = states("f4", (6,), {"u": ()}, lengths=[5, 2, 5])
    with pytest.raises(SchemaError, match="2 to 5 frames"):
        convert(FileSource(layout), tmp_path / "w.hdf5", "the_well")


class Broken(FileSource):
    """A source whose disk fails after some samples."""

    def __init__(self, layout, good):
        super().__init__(layout)
        self.good = good

    def read(self, name, sample, frames=slice(None)):
        if sample >= self.good:
            raise OSError("the disk is gone")
        return super().read(name, sample, frames)


@pytest.mark.parametrize("preset", ["windows", "archive"])
@pytest.mark.parametrize("target", ["sciops", "netcdf", "zarr", "pdebench"])
def test_a_stopped_conversion_goes_on(tmp_path, monkeypatch, target, preset):
    if target == "zarr":
        pytest.importorskip("zarr")
    monkeypatch.setattr("sciops.data.convert.COMMIT", 0.0)  # a commit after every sample
    layout = states("f4", (6,), {"u": ()})
    path, storage = tmp_path / "a", Storage(preset=preset)
    with pytest.raises(OSError, match="disk is gone"):
        convert(Broken(layout, 2), path, target, storage)
    assert not path.exists() and partial_paths(path)[1].is_file()
    seen = []
    done = convert(FileSource(layout), path, target, storage, progress=lambda k, n: seen.append(k))
    assert done.resumed == 2 and seen == [2, 3]
    assert_same(FileSource(layout), open_source(path))
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_another_source_does_not_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr("sciops.data.convert.COMMIT", 0.0)
    with pytest.raises(OSError):
        convert(Broken(states("f4", (6,), {"u": ()}), 2), tmp_path / "a")
    done = convert(FileSource(states("f8", (6,), {"u": ()})), tmp_path / "a")
    assert done.resumed == 0


def test_samples_damaged_since_are_written_again(tmp_path, monkeypatch):
    monkeypatch.setattr("sciops.data.convert.COMMIT", 0.0)
    layout, path = states("f4", (6,), {"u": ()}), tmp_path / "a"
    with pytest.raises(OSError):
        convert(Broken(layout, 2), path)
    with h5py.File(partial_paths(path)[0], "r+") as file:
        file["t0_fields/u"][1, 0, 0] += 1.0
    assert convert(FileSource(layout), path).resumed == 1
    assert_same(FileSource(layout), open_source(path))


def test_what_does_not_read_back_is_not_put_in_place(tmp_path, monkeypatch):
    from sciops.data.writers.sciops import SciopsWriter

    path = tmp_path / "a.hdf5"
    path.write_text("the old one")
    put = SciopsWriter.put
    monkeypatch.setattr(
        SciopsWriter, "put", lambda self, v, s, f, a: put(self, v, s, f, a + (s == 1))
    )
    with pytest.raises(DataError, match="sample 1 does not read back"):
        convert(FileSource(states("f4", (6,), {"u": ()})), path, overwrite=True)
    assert path.read_text() == "the old one"


def test_other_software_reads_what_is_written(tmp_path):
    source = FileSource(everything())
    path = convert(source, tmp_path / "a.nc", "netcdf").path
    with xr.open_dataset(path, engine="h5netcdf") as found:
        assert found["velocity"].dims == ("sample", "time", "x_velocity", "y", "component")
        assert found["velocity"].attrs["units"] == "m/s"
        assert found["x_velocity"].attrs["units"] == "m"
        np.testing.assert_array_equal(found["velocity"][1], source.read("velocity", 1))
        assert found["solid"].dtype == bool
        np.testing.assert_array_equal(found["psi"][2], source.read("psi", 2))
    pytest.importorskip("zarr")
    path = convert(source, tmp_path / "a.zarr", "zarr").path
    with xr.open_zarr(path, consolidated=False) as found:
        np.testing.assert_array_equal(found["count"][1], source.read("count", 1))


def test_a_damaged_description_is_one_clear_error(tmp_path):
    path = convert(FileSource(everything()), tmp_path / "a.npz", "npz").path
    members = dict(np.load(path))
    tree = json.loads(members["sciops_contents"].tobytes())
    for damage in (
        {"version": 2},
        {"parts": [{}]},
        {"schema": {}},
        {"parts": [{**tree["parts"][0], "n_samples": 10**12}]},
        {"parts": [{**tree["parts"][0], "params": {"nu": "velocity"}}]},
        {"schema": {**tree["schema"], "domains": [{"axes": [{"name": "x", "n": 10**15}]}] * 3}},
    ):
        text = json.dumps({**tree, **damage}).encode()
        np.savez(tmp_path / "b.npz", **members | {"sciops_contents": np.frombuffer(text, np.uint8)})
        with pytest.raises(DataError, match="sciops_contents"):
            open_layout(tmp_path / "b.npz")
