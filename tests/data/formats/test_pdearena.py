"""PDEArena, on files written after its generators and on one that they wrote."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.formats.pdearena import PDEArena

DATA = Path(__file__).parents[4] / "shared" / "data" / "pdearena_h5"
N, T, X, Y, Z = 2, 4, 6, 5, 3


def navier_stokes(path, group="train", dt=0.5, **changed):
    rng = np.random.default_rng(1)
    made = {k: rng.normal(size=(N, T, X, Y)) for k in ("u", "vx", "vy")}
    made["t"] = np.broadcast_to(np.arange(T) * 0.5, (N, T))
    made["x"] = np.broadcast_to(np.linspace(0, 32, X), (N, X))
    made["y"] = np.broadcast_to(np.linspace(0, 16, Y), (N, Y))
    made |= {
        "dt": np.full(N, dt) if np.isscalar(dt) else dt,
        "dx": np.full(N, 6.4),
        "dy": np.full(N, 4.0),
    }
    made |= {"buo_y": np.array([0.2, 0.5])} | changed
    with h5py.File(path, "a") as f:
        for name, values in made.items():
            if values is not None:
                f[f"{group}/{name}"] = values
    return made


def test_navier_stokes(tmp_path, recognised_by):
    path = tmp_path / "NavierStokes2D_train_1_0.50000_2.h5"
    made = navier_stokes(path)
    layout = PDEArena().layout(path)
    assert [layout.format] == recognised_by(path) == ["pdearena"]
    np.testing.assert_array_equal(reader.read(layout, "u", 1), made["u"][1])
    velocity = reader.read(layout, "velocity", 1)
    np.testing.assert_array_equal(velocity[..., 0], made["vx"][1])
    np.testing.assert_array_equal(velocity[..., 1], made["vy"][1])
    np.testing.assert_array_equal(layout.times(1), [0, 0.5, 1, 1.5])
    assert [layout.params(i).tolist() for i in (0, 1)] == [[0.2], [0.5]]
    assert layout.provenance == {"buo_y": "data set buo_y"}
    assert layout.schema.dt == 0.5
    assert not any("dt is" in note for note in layout.notes)
    assert layout.subsets() == {"train": [0, 1]}
    assert (layout.schema.axis("x").upper, layout.schema.axis("y").upper) == (32, 16)


def test_a_dt_that_contradicts_the_times_is_noted(tmp_path):
    navier_stokes(tmp_path / "a.h5", dt=0.4)
    layout = PDEArena().layout(tmp_path / "a.h5")
    assert layout.schema.dt == 0.5
    assert any("0.4" in note and "20.0 %" in note for note in layout.notes)


def test_buoyancy_of_the_name_where_none_is_stored(tmp_path):
    path = tmp_path / "NavierStokes2D_valid_7_0.12500.h5"
    navier_stokes(path, "valid", buo_y=None)
    layout = PDEArena().layout(path)
    assert layout.params(1).tolist() == [0.125]
    assert layout.provenance == {"buo_y": "file name"}


def test_groups_and_files_are_joined_with_their_subsets(tmp_path):
    navier_stokes(tmp_path / "a.h5", "train")
    navier_stokes(tmp_path / "a.h5", "test")
    made = navier_stokes(tmp_path / "b.h5", "valid", u=np.ones((N, T, X, Y)))
    layout = PDEArena().layout(tmp_path)
    assert layout.subsets() == {"train": [0, 1], "test": [2, 3], "valid": [4, 5]}
    np.testing.assert_array_equal(reader.read(layout, "u", 5), made["u"][1])


def test_files_on_different_grids_are_not_joined(tmp_path):
    navier_stokes(tmp_path / "a.h5")
    navier_stokes(tmp_path / "b.h5", x=np.broadcast_to(np.linspace(0, 1, X), (N, X)))
    with pytest.raises(DataError, match=r"b\.h5.*differ from those of a\.h5"):
        PDEArena().layout(tmp_path)


def test_maxwell(tmp_path, recognised_by):
    rng = np.random.default_rng(2)
    d, h = (rng.normal(size=(N, T, X, Y, Z, 3)) for _ in range(2))
    with h5py.File(tmp_path / "m.h5", "w") as f:
        f["test/d_field"], f["test/h_field"] = d, h
    layout = PDEArena().layout(tmp_path / "m.h5")
    assert recognised_by(tmp_path / "m.h5") == ["pdearena"]
    assert layout.schema["d_field"].domain.shape == (X, Y, Z)
    np.testing.assert_array_equal(reader.read(layout, "d_field", 1), d[1])
    np.testing.assert_array_equal(reader.read(layout, "h_field", 0, slice(2, 3)), h[0, 2:3])
    assert np.isnan(layout.times(0)).all()
    assert layout.schema.dt is None and not layout.schema.boundary


DAMAGED = {
    "a component is missing": ({"vy": None}, "expected a group"),
    "shapes differ": ({"vy": np.zeros((N, T, Y, X))}, "one shape"),
    "x is that of y": ({"x": np.zeros((N, Y))}, "shape"),
    "x differs between trajectories": ({"x": np.arange(N * X).reshape(N, X)}, "one grid"),
    "x falls": ({"x": np.broadcast_to(np.arange(X)[::-1], (N, X))}, "increase"),
    "no times": ({"t": None}, "/train/t"),
    "times are text": ({"t": np.full((N, T), b"0")}, "/train/t"),
    "dt of one sample": ({"dt": np.ones(N + 1)}, "/train/dt"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named(case, tmp_path):
    changed, match = DAMAGED[case]
    navier_stokes(tmp_path / "a.h5", **changed)
    with pytest.raises(DataError, match=match):
        PDEArena().layout(tmp_path / "a.h5")


@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not beside the checkout")
def test_the_generators_own_file():
    (path,) = DATA.glob("*.h5")
    layout = PDEArena().layout(path)
    with h5py.File(path) as f:
        group = f["test"]
        np.testing.assert_array_equal(reader.read(layout, "u", 0), group["u"][0])
        np.testing.assert_array_equal(
            reader.read(layout, "velocity", 0, slice(3, 5)),
            np.stack([group["vx"][0, 3:5], group["vy"][0, 3:5]], -1),
        )
        np.testing.assert_array_equal(layout.times(0), group["t"][0])
        np.testing.assert_array_equal(layout.schema.axis("x").coordinates, group["x"][0])
        assert layout.params(0) == group["buo_y"][0]
    assert layout.subsets() == {"test": [0]}
    assert any("the stored dt is 6" in note for note in layout.notes)
    assert layout.schema.dt == pytest.approx(6.4615, abs=1e-4)
