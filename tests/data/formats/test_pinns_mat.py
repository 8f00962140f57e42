"""Solutions of the PINNs and pysindy repositories: space first, complex kept."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.open import open_layout
from sciops.data.windows import Window, Windows

DATA = Path(__file__).parents[4] / "shared" / "data" / "mat"
genuine = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with genuine files is not beside the checkout"
)
X, T = 6, 4
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("field", "time"), [("usol", "t"), ("uu", "tt")])
@pytest.mark.parametrize("column", [True, False])
def test_space_is_stored_before_time(tmp_path, field, time, column):
    u, x, t = RNG.normal(size=(X, T)), np.linspace(-1, 1, X), np.arange(T) * 0.5
    turned = (lambda v: v[:, None]) if column else (lambda v: v[None])
    savemat(tmp_path / "a.mat", {field: u, "x": turned(x), time: turned(t)})
    layout = open_layout(tmp_path / "a.mat")
    assert layout.format == "pinns_mat"
    np.testing.assert_array_equal(reader.read(layout, "u", 0), u.T)
    np.testing.assert_array_equal(reader.read(layout, "u", 0, slice(1, 3)), u.T[1:3])
    np.testing.assert_array_equal(layout.schema.axis("x").coordinates, x)
    assert layout.times(0).tolist() == t.tolist()
    windows = pickle.loads(pickle.dumps(Windows(layout, window=Window())))
    np.testing.assert_allclose(windows[1]["targets"][0, 0], u[:, 2], rtol=1e-6)


def test_complex_stays_complex(tmp_path):
    u = RNG.normal(size=(X, T)) + 1j * RNG.normal(size=(X, T))
    savemat(tmp_path / "a.mat", {"uu": u, "x": np.arange(X), "tt": np.arange(T)})
    values = reader.read(open_layout(tmp_path / "a.mat"), "u", 0)
    np.testing.assert_array_equal(values, u.T)
    assert values.dtype == np.complex128


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"usol": np.zeros((T, X))}, r"\(X, T\) = \(6, 4\)"),
        ({"usol": np.zeros((X, T, 2))}, r"\(X, T\)"),
        ({"x": np.zeros((X, 2))}, "row or a column"),
        ({"x": np.zeros(X)}, "increase strictly"),
        ({"x": np.arange(X) * 1j}, "real numbers"),
        ({"t": np.full(T, np.nan)}, "NaN"),
    ],
)
def test_damaged_files(tmp_path, change, message):
    good = {"usol": np.zeros((X, T)), "x": np.arange(X), "t": np.arange(T)}
    savemat(tmp_path / "a.mat", {**good, **change})
    with pytest.raises(DataError, match=message):
        open_layout(tmp_path / "a.mat")


def test_other_mat_files_are_not_recognised(tmp_path):
    savemat(tmp_path / "a.mat", {"usol": np.zeros((X, T))})
    with pytest.raises(DataError, match="no format recognises"):
        open_layout(tmp_path / "a.mat")


@genuine
@pytest.mark.parametrize(
    ("file", "field", "time"),
    [
        ("burgers_shock", "usol", "t"),
        ("KdV", "uu", "tt"),
        ("pysindy_burgers", "usol", "t"),
    ],
)
def test_genuine_files(file, field, time):
    raw = loadmat(DATA / f"{file}.mat")
    layout = open_layout(DATA / f"{file}.mat")
    np.testing.assert_array_equal(reader.read(layout, "u", 0), raw[field].T)
    np.testing.assert_array_equal(layout.times(0), raw[time].ravel())
    np.testing.assert_array_equal(layout.schema.axis("x").coordinates, raw["x"].ravel())
    assert np.iscomplexobj(reader.read(layout, "u", 0)) == np.iscomplexobj(raw[field])
