"""neuraloperator's pairs in HDF5 and zarr, bool inputs, views of a larger storage."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.formats.neuralop import BOOL
from sciops.data.open import open_layout
from sciops.data.windows import Windows
from sciops.data.xarray_backend import open_dataset

DATA = Path(__file__).parents[4] / "shared" / "data" / "neuralop_pt"
genuine = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with genuine files is not beside the checkout"
)
N, CX, CY, H, W = 3, 2, 1, 5, 7
RNG = np.random.default_rng(0)


def pair(dtype=np.float32):
    return (
        RNG.normal(size=(N, CX, H, W)).astype(dtype),
        RNG.normal(size=(N, CY, H, W)).astype(dtype),
    )


def test_hdf5(tmp_path):
    x, y = pair()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=x, chunks=(1, 1, H, W), compression="lzf")
        file["y"] = y
    layout = open_layout(tmp_path / "a.h5")
    assert layout.format == "neuralop"
    np.testing.assert_array_equal(reader.read(layout, "a", 2), np.moveaxis(x[2], 0, -1))
    np.testing.assert_array_equal(reader.read(layout, "u", 1)[..., 0], y[1, 0])
    windows = pickle.loads(pickle.dumps(Windows(layout)))
    np.testing.assert_array_equal(windows[1]["inputs"], x[1])
    np.testing.assert_array_equal(windows[1]["targets"][0], y[1])
    assert open_dataset(tmp_path / "a.h5")["a"].dims[:3] == ("sample", "x", "y")


@pytest.mark.parametrize("version", [2, 3])
def test_zarr(tmp_path, version):
    zarr = pytest.importorskip("zarr")
    x, y = pair()
    root = zarr.create_group(tmp_path / "a.zarr", zarr_format=version)
    for name, values in (("x", x), ("y", y)):
        root.create_array(name, shape=values.shape, dtype=values.dtype, chunks=(1, 1, H, W))
        root[name][...] = values
    layout = open_layout(tmp_path / "a.zarr")
    assert layout.format == "neuralop"
    np.testing.assert_array_equal(reader.read(layout, "a", 2), np.moveaxis(x[2], 0, -1))
    windows = pickle.loads(pickle.dumps(Windows(layout)))
    np.testing.assert_array_equal(windows[2]["targets"][0], y[2])


@pytest.mark.parametrize("kind", ["pt", "h5"])
def test_bool_inputs_become_zero_and_one(tmp_path, kind):
    x = RNG.integers(0, 2, (N, 1, H, W)).astype(bool)
    y = RNG.normal(size=(N, 1, H, W)).astype(np.float32)
    path = tmp_path / f"a.{kind}"
    if kind == "pt":
        torch.save({"x": torch.from_numpy(x[:, 0]), "y": torch.from_numpy(y[:, 0])}, path)
    else:
        with h5py.File(path, "w") as file:
            file["x"], file["y"] = x, y
    layout = open_layout(path)
    a = reader.read(layout, "a", 1).reshape(H, W)
    assert a.dtype == np.float32
    np.testing.assert_array_equal(a, x[1, 0].astype(np.float32))
    assert BOOL in layout.notes
    assert open_dataset(path)["a"].dtype == np.float32


def test_sliced_views_of_one_storage(tmp_path):
    """The published Burgers files: 400 samples as a view of 1200, strides (1, 1200)."""
    x_whole = torch.from_numpy(RNG.normal(size=(W, 12))).T  # (12, W), Fortran order
    y_whole = torch.from_numpy(RNG.normal(size=(W, H, 12))).permute(2, 1, 0)  # (12, H, W)
    x, y = x_whole[8:], y_whole[8:]
    assert x.stride() == (1, 12)
    torch.save({"x": x, "y": y, "visc": torch.tensor([[0.01]])}, tmp_path / "test.pt")
    torch.save({"x": x_whole[:8], "y": y_whole[:8]}, tmp_path / "train.pt")
    kept = torch.load(tmp_path / "test.pt", weights_only=True)["x"]
    assert kept.untyped_storage().nbytes() > kept.numel() * 8  # the trap: all samples are there
    layout = open_layout(tmp_path / "test.pt")
    assert layout.n_samples == 4
    for sample in range(4):
        np.testing.assert_array_equal(reader.read(layout, "a", sample), x[sample])
        np.testing.assert_array_equal(reader.read(layout, "u", sample), y[sample])
    train = open_layout(tmp_path / "train.pt")
    np.testing.assert_array_equal(reader.read(train, "u", 7), y_whole[7])


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.zeros((N, H, W)), "y": np.zeros((N, H, W))},  # positions of another format
        {"x": np.zeros((N, 1, H, W)), "y": np.zeros((N + 1, 1, H, W))},
        {"x": np.zeros((N, 1, H, W)), "y": np.zeros((N, 1, H, W)), "temperature": np.zeros(3)},
        {"x": np.zeros(W), "y": np.zeros(H)},
    ],
)
def test_other_hdf5_files_with_x_and_y_are_not_taken(tmp_path, arrays):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in arrays.items():
            file[name] = values
    with pytest.raises(DataError, match="no format recognises"):
        open_layout(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((N, H, W), (N, H, W + 1)),
        ((N, H, W), (N, H)),
        ((N, 1, 1, H, W), (N, 1, 1, H, W)),
        ((N, 0, W), (N, 0, W)),
    ],
)
def test_shapes_that_do_not_fit(tmp_path, x, y):
    torch.save({"x": torch.zeros(x), "y": torch.zeros(y)}, tmp_path / "a.pt")
    with pytest.raises(DataError):
        open_layout(tmp_path / "a.pt")


@genuine
def test_genuine_bool_and_storage():
    raw = torch.load(DATA / "darcy_test_16.pt", weights_only=True)
    layout = open_layout(DATA / "darcy_test_16.pt")
    np.testing.assert_array_equal(reader.read(layout, "a", 7), raw["x"][7].float())
    raw = torch.load(DATA / "burgers_test_16.pt", weights_only=True)
    layout = open_layout(DATA / "burgers_test_16.pt")
    assert raw["x"].stride()[0] == 1  # Fortran order
    for sample in (0, 399):
        np.testing.assert_array_equal(reader.read(layout, "a", sample), raw["x"][sample])
        np.testing.assert_array_equal(reader.read(layout, "u", sample), raw["y"][sample])
