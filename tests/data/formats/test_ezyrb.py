"""EZyRB's folders: nodes, triangles, snapshots in rows."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.open import open_layout
from sciops.data.windows import Window, Windows
from sciops.data.xarray_backend import as_dataset

DATA = Path(__file__).parents[4] / "shared" / "data" / "ezyrb_npy"
genuine = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with genuine files is not beside the checkout"
)
T, M = 4, 6


def write(folder, names=("vx", "vy", "pressure")):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(M, 3))
    points[:, 2] = 7.0
    np.save(folder / "pts.npy", points)
    np.save(folder / "cells.npy", np.array([[0, 1, 2], [3, 4, 5]], dtype=np.int32))
    np.save(folder / "time.npy", np.asfortranarray(np.arange(T).reshape(T, 1) * 2))
    arrays = {name: rng.normal(size=(T, M)) for name in names}
    for name, values in arrays.items():
        np.save(folder / f"snapshots_{name}.npy", values)
    return points, arrays


def test_fields_and_mesh(tmp_path):
    points, arrays = write(tmp_path)
    layout = open_layout(tmp_path)
    velocity = reader.read(layout, "velocity", 0, slice(1, 3))
    np.testing.assert_array_equal(velocity[..., 0], arrays["vx"][1:3])
    np.testing.assert_array_equal(velocity[..., 1], arrays["vy"][1:3])
    np.testing.assert_array_equal(reader.read(layout, "pressure", 0), arrays["pressure"])
    domain = layout.schema["pressure"].domain
    np.testing.assert_array_equal(domain.coordinates, points[:, :2])
    assert domain.cells.tolist() == [[0, 1, 2], [3, 4, 5]]
    labelled = as_dataset(layout)
    assert labelled["cells"].dims == ("cell", "vertex")
    np.testing.assert_array_equal(labelled["cells"], domain.cells)
    assert labelled["pressure"].isel(sample=0).dims == ("time", "node")
    assert "z = 7" in layout.notes[0]
    assert layout.times(0).tolist() == [0, 2, 4, 6]
    assert layout.schema.dt == 2
    windows = pickle.loads(pickle.dumps(Windows(layout, window=Window())))
    assert windows[0]["inputs"].shape == (3, M)
    stored = layout.parts[0].arrays["pressure"][0]
    assert isinstance(reader.source(stored).base, np.memmap)


def test_one_component_alone_stays_a_scalar(tmp_path):
    write(tmp_path, ("vy", "t"))
    assert [v.name for v in open_layout(tmp_path).schema.variables] == ["t", "vy"]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("snapshots_vx", np.zeros((M, T)), "transposed"),
        ("snapshots_vx", np.zeros((T, M + 1)), r"\(T, M\) = \(4, 6\)"),
        ("snapshots_vx", np.zeros(T), "must be real"),
        ("pts", np.zeros((M, 4)), "D <= 3"),
        ("pts", np.full((M, 2), np.nan), "finite"),
        ("pts", np.zeros((0, 2)), "must be real"),
        ("cells", np.array([[0, 1, M]]), "cells must be"),
        ("cells", np.array([[-1, 1, 2]]), "cells must be"),
        ("cells", np.array([[0.5, 1, 2]]), "node numbers"),
        ("time", np.zeros((T, 2)), r"\(T, 1\)"),
        ("time", np.zeros(T, complex), "real times"),
        ("time", np.zeros(T + 1), r"\(5, 6\)"),
    ],
)
def test_damaged_folders(tmp_path, name, values, message):
    write(tmp_path)
    np.save(tmp_path / f"{name}.npy", values)
    with pytest.raises(DataError, match=message):
        open_layout(tmp_path)


def test_pickled_arrays_are_refused(tmp_path):
    write(tmp_path)
    np.save(tmp_path / "snapshots_vx.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled objects are refused"):
        open_layout(tmp_path)


@genuine
def test_genuine_flow():
    layout = open_layout(DATA)
    assert layout.format == "ezyrb"
    for k, name in enumerate(("vx", "vy")):
        raw = np.load(DATA / f"snapshots_{name}.npy")
        np.testing.assert_array_equal(reader.read(layout, "velocity", 0)[..., k], raw)
    domain = layout.schema["pressure"].domain
    np.testing.assert_array_equal(domain.coordinates, np.load(DATA / "pts.npy")[:, :2])
    assert domain.cells.shape == (5768, 3)
