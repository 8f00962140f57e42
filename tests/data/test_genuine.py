"""Genuine and schema-faithful files, where the folder with them lies beside the checkout."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sciops.data import reader
from sciops.data.open import open_layout
from sciops.data.windows import Window, Windows
from sciops.data.xarray_backend import open_dataset

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with genuine files is not beside the checkout"
)

FILES = {
    "neuralop_pt/darcy_train_16.pt": ("neuralop", 1000, {"a": (16, 16), "u": (16, 16)}),
    "neuralop_pt/darcy_test_32.pt": ("neuralop", 50, {"a": (32, 32), "u": (32, 32)}),
    "neuralop_pt/burgers_test_16.pt": ("neuralop", 400, {"a": (16,), "u": (17, 16)}),
    "pdebench_h5/2D_diff-react_NA_NA.h5": ("pdebench", 1, {"activator": (101, 128, 128)}),
    "pdebench_h5/2D_diff-react_NA_NA_mini.h5": ("pdebench", 6, {"inhibitor": (21, 32, 48)}),
    "pdebench_h5/1D_diff-sorp_NA_NA.h5": ("pdebench", 4, {"u": (101, 256)}),
    "synthetic_pdebench/1D_Burgers_Sols_Nu0.04.hdf5": ("pdebench", 24, {"u": (101, 256)}),
    "synthetic_pdebench/2D_DarcyFlow_beta1.0_Train.hdf5": ("pdebench", 24, {"solution": (64, 64)}),
    "synthetic_pdebench/2D_CFD_Rand_M0.3_Eta1e-08_Zeta1e-08_periodic_48x32_Train.hdf5": (
        "pdebench",
        6,
        {"density": (21, 48, 32), "velocity": (21, 48, 32, 2)},
    ),
    "synthetic_well/gray_scott_reaction_diffusion": ("the_well", 8, {"A": (21, 64, 64)}),
    "mat/KdV.mat": ("pinns_mat", 1, {"u": (201, 512)}),
    "pypde_h5/storage_1.hdf5": ("pypde", 1, {"u": (2, 2, 2)}),
}


@pytest.mark.parametrize("file", FILES)
def test_opens_as_what_it_is(file):
    fmt, samples, shapes = FILES[file]
    layout = open_layout(DATA / file)
    assert (layout.format, layout.n_samples) == (fmt, samples)
    for name, shape in shapes.items():
        assert reader.read(layout, name, samples - 1).shape == shape
        assert open_dataset(DATA / file)[name].shape == (samples, *shape)
    assert len(Windows(layout, window=Window())[0]["inputs"]) > 0


def test_darcy_values_are_those_of_torch():
    path = DATA / "neuralop_pt" / "darcy_train_16.pt"
    members = torch.load(path, weights_only=True)
    windows = Windows(open_layout(path))
    for i in (0, 499, 999):
        torch.testing.assert_close(windows[i]["inputs"][0], members["x"][i].float())
        torch.testing.assert_close(windows[i]["targets"][0, 0], members["y"][i])


def test_diff_react_is_not_transposed():
    """x is the axis of 48 cells, stored after y."""
    path = DATA / "pdebench_h5" / "2D_diff-react_NA_NA_mini.h5"
    with h5py.File(path) as f:
        raw = f["0003/data"][()]
        assert len(f["0003/grid/x"]) == 48
    dataset = open_dataset(path)
    assert dataset["activator"].dims == ("sample", "time", "y", "x")
    np.testing.assert_array_equal(dataset["activator"].values[3], raw[..., 0])
    np.testing.assert_allclose(dataset["x"].values[[0, -1]], [-0.97916667, 0.97916667])


def test_burgers_parameter_and_grids():
    layout = open_layout(DATA / "neuralop_pt" / "burgers_test_16.pt")
    assert layout.params(0) == pytest.approx([0.01])
    assert layout.schema.target_domain.names == ("t", "x")


def test_one_frame_opens_but_makes_no_window():
    from sciops.core.errors import SchemaError

    layout = open_layout(DATA / "pyro_h5" / "swe__dam_x_0081.h5")
    assert (layout.format, layout.lengths.tolist()) == ("pyro2", [1])
    assert reader.read(layout, "momentum", 0).shape == (1, 128, 10, 2)
    with pytest.raises(SchemaError, match="no trajectory is long enough"):
        Windows(layout)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("README.md", "no format recognises it"),
        ("pyamg_mat/unit_square.mat", "a sparse matrix .*, not fields on a grid"),
    ],
)
def test_what_is_no_field_is_refused(file, words):
    from sciops.core.errors import DataError

    with pytest.raises(DataError, match=words):
        open_layout(DATA / file)
