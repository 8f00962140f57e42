"""FNO's .mat files of both versions: time last, axes in reverse in version 7.3."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import eye_array

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.open import open_layout
from sciops.data.windows import Window, Windows

DATA = Path(__file__).parents[4] / "shared" / "data" / "pyamg_mat"
N, X, Y, T = 3, 4, 6, 5
RNG = np.random.default_rng(0)


def write5(path, arrays):
    savemat(path, arrays)


def write73(path, arrays):
    """HDF5 as MATLAB writes it: the first axis of MATLAB is the last here."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            data = file.create_dataset(name, data=np.asarray(values).T, chunks=True)
            data.attrs["MATLAB_class"] = np.bytes_("double")


both = pytest.mark.parametrize("write", [write5, write73])


@both
def test_navier_stokes_has_time_last(tmp_path, write):
    u, a = RNG.normal(size=(N, X, Y, T)), RNG.normal(size=(N, X, Y))
    write(tmp_path / "ns.mat", {"a": a, "u": u, "t": np.arange(1.0, T + 1)[None]})
    layout = open_layout(tmp_path / "ns.mat")
    assert layout.format == "fno_mat"
    assert layout.schema["u"].domain.shape == (X, Y)
    for sample in range(N):
        np.testing.assert_array_equal(
            reader.read(layout, "u", sample), np.moveaxis(u[sample], -1, 0)
        )
        np.testing.assert_array_equal(reader.read(layout, "a", sample), a[sample])
    np.testing.assert_array_equal(reader.read(layout, "u", 1, slice(2, 3))[0], u[1, :, :, 2])
    assert layout.times(0).tolist() == [1, 2, 3, 4, 5]
    assert layout.schema.dt == 1
    windows = pickle.loads(pickle.dumps(Windows(layout, window=Window(inputs=("u",)))))
    np.testing.assert_allclose(windows[5]["targets"][0, 0], u[1, :, :, 2], rtol=1e-6)
    assert any("from memory" in note for note in layout.notes)


@both
def test_darcy_includes_the_ends(tmp_path, write):
    coeff, sol = RNG.normal(size=(N, X, Y)), RNG.normal(size=(N, X, Y))
    write(tmp_path / "d.mat", {"coeff": coeff, "sol": sol, "Kcoeff": coeff})
    layout = open_layout(tmp_path / "d.mat")
    np.testing.assert_array_equal(reader.read(layout, "coeff", 2), coeff[2])
    np.testing.assert_array_equal(reader.read(layout, "sol", 1), sol[1])
    assert layout.schema.axis("y").spacing == "node"
    assert [v.role for v in layout.schema.variables] == ["input", "target"]
    assert layout.notes[-1] == "left out: Kcoeff"
    assert layout.schema.boundary_kind("x", "lower") == "unknown"


@both
def test_burgers(tmp_path, write):
    a, u = RNG.normal(size=(N, X)).astype(np.float32), RNG.normal(size=(N, X)).astype(np.float32)
    write(tmp_path / "b.mat", {"a": a, "u": u})
    layout = open_layout(tmp_path / "b.mat")
    np.testing.assert_array_equal(reader.read(layout, "u", 2), u[2])
    assert layout.schema.axis("x").spacing == "left"


def test_version_7_3_reads_chunks_only(tmp_path):
    write73(tmp_path / "b.mat", {"a": np.zeros((N, X)), "u": np.zeros((N, X))})
    stored = open_layout(tmp_path / "b.mat").parts[0].arrays["u"][0]
    assert stored.container == "hdf5"
    assert stored.axes == ("x", "sample")


@both
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros((N, X)), "u": np.zeros((N, X + 1))}, "expected a"),
        ({"a": np.zeros((N, X)), "u": np.zeros((N, X, T))}, "expected a"),
        ({"a": np.zeros((N, X, Y)), "u": np.zeros((N, X, Y))}, r"u must be \(N, X, Y, T\)"),
        ({"coeff": np.zeros((N, X)), "sol": np.zeros((N, X))}, "expected a"),
        ({"a": np.zeros((N, 1)), "u": np.zeros((N, 1))}, "two points"),
        (
            {"a": np.zeros((N, X, Y)), "u": np.zeros((N, X, Y, T)), "t": np.zeros((1, T + 1))},
            "t has",
        ),
        (
            {"a": np.zeros((N, X, Y)), "u": np.zeros((N, X, Y, T)), "t": np.zeros((2, T))},
            "row or a column",
        ),
    ],
)
def test_shapes_that_do_not_fit(tmp_path, write, arrays, message):
    write(tmp_path / "x.mat", arrays)
    with pytest.raises(DataError, match=message):
        open_layout(tmp_path / "x.mat")


def test_truncated_file(tmp_path):
    write5(tmp_path / "a.mat", {"a": RNG.normal(size=(N, X)), "u": RNG.normal(size=(N, X))})
    data = (tmp_path / "a.mat").read_bytes()
    for keep in (140, 200, len(data) - 9):
        (tmp_path / "a.mat").write_bytes(data[:keep])
        with pytest.raises(DataError):
            layout = open_layout(tmp_path / "a.mat")
            reader.read(layout, "u", 0)


def test_a_sparse_matrix_is_no_field(tmp_path):
    savemat(tmp_path / "m.mat", {"A": eye_array(4, format="csc"), "B": np.ones((4, 1))})
    with pytest.raises(DataError, match=r"sparse matrix \(A \(4, 4\)\), not fields"):
        open_layout(tmp_path / "m.mat")


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder shared/data is not beside the checkout")
@pytest.mark.parametrize("name", ["unit_square", "local_disc_galerkin_diffusion"])
def test_genuine_matrices_are_refused_with_one_error(name):
    with pytest.raises(DataError, match="sparse matrix .*not fields on a grid"):
        open_layout(DATA / f"{name}.mat")
