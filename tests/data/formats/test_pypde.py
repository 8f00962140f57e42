"""py-pde, on files written after its storage and on one of its own."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.formats.pypde import PyPDE

DATA = Path(__file__).parents[4] / "shared" / "data" / "pypde_h5" / "storage_1.hdf5"
T, A, B = 3, 4, 6
BOX = {"bounds": [[0, 2], [-1, 1]], "shape": [A, B], "periodic": [True, False]}
BOX["class"] = "CartesianGrid"


def described(kind="ScalarField", grid=BOX, label=None):
    grid = grid if isinstance(grid, str) else json.dumps(grid)
    return {"class": json.dumps(kind), "grid": grid, "label": json.dumps(label), "dtype": '"<f8"'}


def write(path, data, attributes, times=None, length=None):
    with h5py.File(path, "w") as f:
        f.create_dataset("data", data=data, chunks=(1, *data.shape[1:]), compression="gzip")
        f["times"] = np.arange(len(data)) * 0.5 if times is None else times
        text = attributes if isinstance(attributes, str) else json.dumps(attributes)
        f.attrs["field_attributes"] = text
        if length is not None:
            f.attrs["data_length"] = json.dumps(length)
    return path


def field(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


def test_scalar(tmp_path, recognised_by):
    made = field(T, A, B)
    layout = PyPDE().layout(write(tmp_path / "a.h5", made, described(label="c")))
    assert [layout.format] == recognised_by(tmp_path / "a.h5") == ["pypde"]
    np.testing.assert_array_equal(reader.read(layout, "c", 0), made)
    assert layout.times(0).tolist() == [0, 0.5, 1]
    x, y = layout.schema.axis("x"), layout.schema.axis("y")
    assert (x.lower, x.upper, x.periodic, y.lower, y.upper, y.periodic) == (
        0,
        2,
        True,
        -1,
        1,
        False,
    )
    np.testing.assert_allclose(x.coordinates, [0.25, 0.75, 1.25, 1.75])
    assert layout.schema.boundary_kind("x", "upper") == "periodic"
    assert layout.schema.boundary_kind("y", "upper") == "unknown"


@pytest.mark.parametrize(("kind", "lead"), [("VectorField", (2,)), ("Tensor2Field", (2, 2))])
def test_components_come_before_space(tmp_path, kind, lead):
    made = field(T, *lead, A, B)
    layout = PyPDE().layout(write(tmp_path / "a.h5", made, described(kind)))
    order = (0, *range(1 + len(lead), 3 + len(lead)), *range(1, 1 + len(lead)))
    np.testing.assert_array_equal(reader.read(layout, "u", 0), made.transpose(order))


def test_a_collection_is_taken_apart(tmp_path):
    made = field(T, 1 + 2 + 1, A, B)
    members = [described(), described("VectorField", label="v"), described()]
    attributes = {"class": '"FieldCollection"', "label": "null", "fields": json.dumps(members)}
    layout = PyPDE().layout(write(tmp_path / "a.h5", made, attributes))
    assert [v.name for v in layout.schema.states] == ["u0", "v", "u2"]
    np.testing.assert_array_equal(reader.read(layout, "u0", 0), made[:, 0])
    np.testing.assert_array_equal(reader.read(layout, "v", 0), np.moveaxis(made[:, 1:3], 1, -1))
    np.testing.assert_array_equal(reader.read(layout, "u2", 0), made[:, 3])


GRIDS = {
    "UnitGrid": ({"shape": [A, B], "periodic": [False, True]}, (A, B), ("x", "y"), 2),
    "PolarSymGrid": ({"shape": [A], "radius": 3.0}, (A,), ("r",), 2),
    "SphericalSymGrid": ({"shape": [A], "radius": [1, 3]}, (A,), ("r",), 3),
    "CylindricalSymGrid": (
        {"shape": [A, B], "radius": 3, "bounds_z": [1, 2], "periodic_z": True},
        (A, B), ("r", "z"), 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", GRIDS)
def test_grids(tmp_path, kind):
    state, shape, names, width = GRIDS[kind]
    made = field(T, width, *shape)
    grid = state | {"class": kind}
    layout = PyPDE().layout(write(tmp_path / "a.h5", made, described("VectorField", grid)))
    u = layout.schema["u"]
    assert (u.domain.names, u.domain.shape, u.components) == (names, shape, (width,))
    np.testing.assert_array_equal(reader.read(layout, "u", 0), np.moveaxis(made, 1, -1))
    assert u.domain.axes[-1].periodic == (kind in ("UnitGrid", "CylindricalSymGrid"))
    first = u.domain.axes[0]
    assert first.lower == (1 if kind == "SphericalSymGrid" else 0)
    assert first.upper == (A if kind == "UnitGrid" else 3)


def test_only_frames_that_were_written(tmp_path):
    made = field(5, A, B)
    path = write(tmp_path / "a.h5", made, described(), times=np.arange(5.0), length=3)
    layout = PyPDE().layout(path)
    assert layout.times(0).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(reader.read(layout, "u", 0), made[:3])
    path = write(tmp_path / "b.h5", made, described(), times=np.arange(4.0))
    assert PyPDE().layout(path).lengths.tolist() == [4]


DAMAGED = {
    "not JSON": ("{", None, "JSON in a string"),
    "a list": ("[1]", None, "described with 'grid'"),
    "no grid": ({"class": '"ScalarField"'}, None, "described with 'grid'"),
    "unknown class": (described("WaveField"), None, "class 'WaveField'"),
    "unknown grid": (described(grid=BOX | {"class": "BipolarGrid"}), None, "class 'BipolarGrid'"),
    "shape of the other axis": (described(grid=BOX | {"shape": [B, A]}), None, "for this grid"),
    "shape that no memory holds": (described(grid=BOX | {"shape": [A, 10**12]}), None, "counts"),
    "bounds": (described(grid=BOX | {"bounds": [[0, 2]]}), None, "does not fit"),
    "bounds of text": (described(grid=BOX | {"bounds": [[0, "a"], [0, 1]]}), None, "pairs"),
    "bounds that fall": (described(grid=BOX | {"bounds": [[2, 0], [0, 1]]}), None, "increase"),
    "times": (described(), np.array([b"a"] * T), "times"),
    "times that are not finite": (described(), np.full(T, np.inf), "NaN or infinity"),
    "collection of nothing": ({"class": '"FieldCollection"', "fields": "[]"}, None, "no fields"),
    "deep": ("[" * 100000, None, "JSON in a string"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named(case, tmp_path):
    attributes, times, match = DAMAGED[case]
    if case == "deep":
        attributes = "[" * 30000  # attributes hold 64 kB
    with pytest.raises(DataError, match=match):
        PyPDE().layout(write(tmp_path / "a.h5", field(T, A, B), attributes, times))


def test_complex_fields_are_refused(tmp_path):
    path = write(tmp_path / "a.h5", field(T, A, B) + 1j, described())
    with pytest.raises(DataError, match="real numbers"):
        PyPDE().layout(path)


@pytest.mark.skipif(not DATA.is_file(), reason="shared/data is not beside the checkout")
def test_a_genuine_file():
    layout = PyPDE().layout(DATA)
    grid = layout.schema["u"].domain
    assert grid.names == ("r", "z")
    assert [(a.lower, a.upper, a.periodic) for a in grid.axes] == [(0, 3, False), (1, 2, False)]
    with h5py.File(DATA) as f:
        np.testing.assert_array_equal(reader.read(layout, "u", 0), f["data"][()])
        np.testing.assert_array_equal(layout.times(0), f["times"][()])
