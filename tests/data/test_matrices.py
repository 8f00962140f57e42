"""Linear systems from files: every layout against arrays written by plain calls, and bad files."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from sciops.core.errors import ConfigError, DataError
from sciops.data.definite import judge, sparse_map
from sciops.data.matrices import read_system, write_solution
from sciops.data.matrix_market import read as read_market

N = 9
SHARED = Path(__file__).parents[3] / "shared" / "data" / "pyamg_mat"


def not_symmetric():
    rng = np.random.default_rng(0)
    return sp.csr_array(sp.random_array((N, N), density=0.3, rng=rng) + 3 * sp.eye_array(N))


def laplacian(n=N, walls=True):
    A = sp.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=(-1, 0, 1))
    if not walls:
        A = A - sp.diags_array(np.array([1.0, *np.zeros(n - 2), 1.0]))
    return sp.csr_array(A)


def same(found, wanted):
    np.testing.assert_array_equal(found.toarray(), wanted.toarray())


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "dia", "bsr"])
def test_what_scipy_saves(kind):
    A = not_symmetric().asformat(kind)
    sp.save_npz("a.npz", A)
    found = read_system("a.npz")
    same(found.matrix, A)
    assert found.b is None and found.matrix.dtype == np.float64


def test_blocks_that_are_not_square():
    A = sp.bsr_array(sp.kron(not_symmetric(), np.ones((2, 6))).tocsr()[:18, :18], blocksize=(3, 2))
    sp.save_npz("a.npz", A)
    same(read_system("a.npz").matrix, A)


@pytest.mark.parametrize("prefix", ["", "A_", "A/"])
def test_arrays_beside_a_right_hand_side(prefix):
    A, b = not_symmetric(), np.arange(N)
    arrays = {p: getattr(A, p) for p in ("data", "indices", "indptr", "shape")}
    np.savez_compressed("s.npz", b=b, **{prefix + p: v for p, v in arrays.items()})
    found = read_system("s.npz")
    same(found.matrix, A)
    np.testing.assert_array_equal(found.b, b)
    assert found.source == "s.npz:b" and found.b.dtype == np.float64


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("how", ["anndata", "scipy", "bytes", "root"])
def test_hdf5(kind, how):
    A = not_symmetric().asformat(kind)
    with h5py.File("s.h5", "w") as file:
        group = file if how == "root" else file.create_group("system/A")
        for p in ("data", "indices", "indptr"):
            group.create_dataset(p, data=getattr(A, p), compression="gzip")
        if how == "anndata":
            group.attrs.update({"encoding-type": f"{kind}_matrix", "shape": A.shape})
        elif how == "scipy":
            group["shape"], group["format"] = A.shape, kind
        else:
            group["shape"] = np.array(A.shape, "u1")
            group.attrs["format"] = kind.encode()
    same(read_system("s.h5").matrix, A)
    name = "A" if how == "root" else "system/A"
    same(read_system(f"s.h5:{name}").matrix, A)


def test_matlab_7_3():
    A = not_symmetric().tocsc()
    with h5py.File("s.mat", "w") as file:
        file["A/data"], file["A/ir"] = A.data, A.indices.astype("u8")
        file["A/jc"] = A.indptr.astype("u8")
        file["A"].attrs["MATLAB_sparse"] = np.uint64(N)
    same(read_system("s.mat").matrix, A)


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_5(compressed):
    A = not_symmetric().tocsc()
    tree = {"K": A, "b": np.ones((N, 2)), "other": "text"}
    scipy.io.savemat("s.mat", tree, do_compression=compressed)
    found = read_system("s.mat")
    same(found.matrix, A)
    assert found.b.shape == (N, 2)


@pytest.mark.parametrize("name", ["unit_square.mat", "local_disc_galerkin_diffusion.mat"])
def test_genuine_matlab(name):
    if not (SHARED / name).is_file():
        pytest.skip("the matrices of pyamg are not at hand")
    found = read_system(SHARED / name)
    same(found.matrix, scipy.io.loadmat(SHARED / name)["A"])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "matrix",
    [
        (not_symmetric(), "general"),
        (laplacian(), "symmetric"),
        (not_symmetric() - not_symmetric().T, "skew-symmetric"),
        (not_symmetric().toarray(), "general"),
        (laplacian().toarray(), "symmetric"),
        (sp.csr_array(laplacian(), dtype=int), "general"),
    ],
)
def test_matrix_market(matrix, packed):
    A, symmetry = matrix
    scipy.io.mmwrite("a.mtx", A, symmetry=symmetry, comment="one\ntwo")
    text = Path("a.mtx").read_bytes()
    path = Path("a.mtx.gz" if packed else "a.mtx")
    path.write_bytes(gzip.compress(text) if packed else text)
    same(read_system(path).matrix, sp.csr_array(A))


def test_matrix_market_of_a_pattern_with_comments_between():
    text = "%%MatrixMarket matrix coordinate pattern symmetric\n%\n\n2 2 2\n1 1\n% here\n2 1\n"
    Path("a.mtx").write_text(text)
    np.testing.assert_array_equal(read_market(Path("a.mtx")).toarray(), [[1, 1], [1, 0]])


def test_rounding_is_that_of_the_stored_type():
    for kind, eps in (("f4", 2.0**-23), ("f8", 2.0**-52), ("i4", 2.0**-52)):
        np.save("a.npy", np.eye(3, dtype=kind))
        found = read_system("a.npy")
        assert found.epsilon == eps and found.matrix.dtype == np.float64


def test_several_matrices_are_told_apart():
    tree = {"K": laplacian().tocsc(), "M": sp.eye_array(N, format="csc")}
    scipy.io.savemat("s.mat", tree)
    with pytest.raises(DataError, match=r"none is called A: K, M; say s\.mat:NAME"):
        read_system("s.mat")
    same(read_system("s.mat:M").matrix, tree["M"])
    with pytest.raises(DataError, match="no matrix 'X'"):
        read_system("s.mat:X")


@pytest.mark.parametrize("shape", [(N,), (N, 1), (N, 4), (3, 3)])
def test_right_hand_sides(shape):
    sp.save_npz("a.npz", laplacian())
    b = np.random.default_rng(0).standard_normal(shape)
    np.save("b.npy", b)
    np.savez("b.npz", b=b, other=np.ones(3))
    with h5py.File("b.h5", "w") as file:
        file["deep/b"] = b
    scipy.io.mmwrite("b.mtx", np.atleast_2d(b.T).T)
    for name in ("b.npy", "b.npz", "b.npz:b", "b.h5", "b.h5:deep/b", "b.mtx"):
        found = read_system("a.npz", name, (3, 3)).b
        np.testing.assert_allclose(found.reshape(shape), b, rtol=1e-15)


A = laplacian()
BAD = {
    "empty": (lambda: np.save("a.npy", np.zeros((0, 0))), "empty matrix"),
    "empty sparse": (lambda: sp.save_npz("a.npz", sp.csr_array((0, 0))), "empty matrix"),
    "not square": (lambda: sp.save_npz("a.npz", A[:5]), "matrix of 5 x 9"),
    "complex": (lambda: sp.save_npz("a.npz", A * 1j), "complex"),
    "nan": (lambda: sp.save_npz("a.npz", A * np.nan), "NaN or infinite, the first in row 0, col"),
    "object array": (lambda: np.save("a.npy", np.array([{}]), allow_pickle=True), "pickled"),
    "object in npz": (lambda: np.savez("a.npz", A=np.array([A], dtype=object)), "pickled"),
    "text": (lambda: Path("a.npz").write_text("nothing"), "not a file of matrices"),
    "folder": (lambda: Path("a.npz").mkdir(), "a folder"),
    "no matrix": (lambda: np.savez("a.npz", x=np.ones(3)), "no matrix in it"),
    "cut npz": (lambda: cut("a.npz", lambda p: sp.save_npz(p, A), 300), "a.npz: "),
    "cut h5": (lambda: cut("a.h5", hdf5, 900), "a.h5: "),
    "cut mat": (lambda: cut("a.mat", lambda p: scipy.io.savemat(p, {"A": A}), 400), "a.mat: "),
    "cut mtx": (lambda: cut("a.mtx", lambda p: scipy.io.mmwrite(p, A), 150), "truncated"),
    "cut gz": (lambda: cut("a.mtx.gz", market_gz, 60), "truncated"),
    "mtx complex": (lambda: scipy.io.mmwrite("a.mtx", A * 1j), "complex"),
    "mtx outside": (lambda: market("2 2 1\n3 1 1.0\n"), "outside"),
    "mtx zero": (lambda: market("2 2 1\n0 1 1.0\n"), "outside"),
    "mtx more": (lambda: market("2 2 1\n1 1 1.0\n2 2 1.0\n"), "more than 1"),
    "mtx claims": (lambda: market("9 9 99999999999999\n1 1 1.0\n"), "more than the"),
    "mtx rows": (lambda: market("99999999999999 99999999999999 1\n1 1 1.0\n"), "more than the"),
    "mtx words": (lambda: market("2 2 1\n1 one 1.0\n"), "a damaged or truncated Matrix Market"),
    "mtx kind": (lambda: Path("a.mtx").write_text("%%MatrixMarket matrix odd\n"), "of the kind"),
    "indices": (lambda: parts(indices=A.indices + 5), "indices holds"),
    "negative": (lambda: parts(indices=A.indices - 1), "indices holds"),
    "pointers": (lambda: parts(indptr=A.indptr[::-1].copy()), "contradict"),
    "short": (lambda: parts(data=A.data[:-1]), "expected 0"),
    "real indices": (lambda: parts(indices=A.indices * 1.0), "integers"),
    "large": (lambda: parts(shape=np.array([1 << 40, 1 << 40])), "contradict"),
    "odd shape": (lambda: parts(shape=np.array([9, 9, 9])), "shape of two"),
    "odd format": (lambda: parts(format=np.array("lil")), "'lil'"),
    "pickled format": (lambda: parts(format=np.array([{}], dtype=object)), "a.npz: "),
    "no shape": (lambda: np.savez("a.npz", data=[1.0], row=[0], col=[0]), "without its shape"),
}


def cut(path, write, size):
    write(path)
    Path(path).write_bytes(Path(path).read_bytes()[:size])


def hdf5(path):
    with h5py.File(path, "w") as file:
        for p in ("data", "indices", "indptr", "shape"):
            file[f"A/{p}"] = getattr(A, p)


def market(text):
    Path("a.mtx").write_text(f"%%MatrixMarket matrix coordinate real general\n{text}")


def market_gz(path):
    scipy.io.mmwrite("whole.mtx", A)
    Path(path).write_bytes(gzip.compress(Path("whole.mtx").read_bytes()))
    Path("whole.mtx").unlink()


def parts(**changed):
    arrays = {p: getattr(A, p) for p in ("data", "indices", "indptr", "shape")}
    np.savez("a.npz", allow_pickle=True, **(arrays | changed))


@pytest.mark.parametrize("case", BAD)
def test_bad_matrices_are_told(case):
    make, words = BAD[case]
    make()
    (path,) = Path().iterdir()
    with pytest.raises(DataError, match=words) as error:
        read_system(path)
    assert str(error.value).startswith(path.name)


@pytest.mark.parametrize(
    ("b", "words"),
    [
        (np.ones(N + 1), r"shape \(10,\) for a matrix of 9 unknowns; expected \(9,\) or \(9, k\)"),
        (np.ones((N, 0)), r"shape \(9, 0\)"),
        (np.ones(()), r"shape \(\)"),
        (np.ones(N) * 1j, "complex"),
        (np.array([1.0] * 3 + [np.nan] + [1.0] * 5), r"NaN or infinite, the first at \[3\]"),
        (np.full((N, 2), np.inf), r"18 values .* at \[0, 0\]"),
    ],
)
def test_bad_right_hand_sides_are_told(b, words):
    sp.save_npz("a.npz", A)
    np.save("b.npy", b)
    with pytest.raises(DataError, match=words) as error:
        read_system("a.npz", "b.npy")
    assert str(error.value).startswith("b.npy")


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_never_crash(seed):
    rng = np.random.default_rng(seed)
    sp.save_npz("a.npz", A)
    scipy.io.savemat("a.mat", {"A": A})
    scipy.io.mmwrite("a.mtx", A)
    for name in ("a.npz", "a.mat", "a.mtx"):
        whole = Path(name).read_bytes()
        for _ in range(40):
            bytes_ = bytearray(whole)
            for at in rng.integers(0, len(whole), 3):
                bytes_[at] = rng.integers(0, 256)
            Path(name).write_bytes(bytes_)
            try:
                read_system(name)
            except DataError as error:
                assert str(error).startswith(name)


@pytest.mark.parametrize("ending", [".npz", ".npy", ".h5", ".hdf5"])
def test_solutions_come_back(ending):
    x = np.random.default_rng(0).standard_normal((N, 2))
    path = Path(f"x{ending}")
    write_solution(path, x, np.array([1e-7, 1e-8]), np.array([3, 4]))
    if ending == ".npy":
        found = {"x": np.load(path)}
    elif ending == ".npz":
        found = dict(np.load(path))
    else:
        with h5py.File(path) as file:
            found = {k: v[...] for k, v in file.items()}
    np.testing.assert_array_equal(found["x"], x)
    assert ending == ".npy" or found["iterations"].tolist() == [3, 4]
    assert [p.name for p in Path().iterdir()] == [path.name]


def test_a_solution_of_an_unknown_ending_is_refused():
    with pytest.raises(ConfigError, match="ends in"):
        write_solution(Path("x.txt"), np.ones(2), np.ones(1), np.ones(1))


def beam(n=8):
    """Fourth difference between clamped ends: definite, and its rows are not dominant."""
    rows = [
        np.full(n - abs(k), value) for k, value in zip(range(-2, 3), (1, -4, 6, -4, 1), strict=True)
    ]
    matrix = sp.csr_array(sp.diags_array(rows, offsets=range(-2, 3), dtype=float))
    assert np.linalg.eigvalsh(matrix.toarray())[0] > 0
    return matrix


@pytest.mark.parametrize(
    ("matrix", "symmetric", "positive", "floating", "words"),
    [
        (laplacian(), True, True, None, "diagonally dominant"),
        (laplacian(walls=False), True, True, 1, "diagonally dominant"),
        (sp.block_diag([laplacian(walls=False), laplacian(walls=False)]), True, True, 2, ""),
        (sp.block_diag([laplacian(), laplacian(walls=False)]), True, True, 1, ""),
        (sp.block_diag([laplacian(), sp.csr_array((1, 1))]), True, True, 1, ""),
        (-laplacian(), True, False, None, r"a\[0, 0\] = -2"),
        (laplacian() - 2 * sp.eye_array(N), True, False, None, r"no, a\[0, 1\] = -1"),
        (laplacian() - 0.5 * sp.eye_array(N), True, None, None, "do not tell"),
        (not_symmetric(), False, None, None, r"a\["),
        (abs(laplacian()), True, True, None, "dominant"),
        (sp.csr_array([[1.0, 1.0], [1.0, 1.0]]), True, None, None, "do not tell"),
        (beam(), True, None, None, "do not tell"),
    ],
)
def test_what_the_entries_tell(matrix, symmetric, positive, floating, words):
    import re

    A = sp.csr_array(matrix)
    A.eliminate_zeros()
    verdict = judge(A)
    assert (verdict.symmetric, verdict.positive) == (symmetric, positive)
    assert (None if verdict.labels is None else verdict.labels.max() + 1) == floating
    assert re.search(words, verdict.reason), verdict.reason
    eigenvalues = np.linalg.eigvalsh(A.toarray()) if symmetric else None
    if positive:
        assert (eigenvalues > 1e-10).sum() == A.shape[0] - (floating or 0)
        assert eigenvalues[0] > -1e-12
    if positive is False:
        assert eigenvalues[0] < 0


def test_verdicts_do_not_depend_on_units():
    """D A D with D over twelve decades has the signs and the symmetry of A, rounding included."""
    rng = np.random.default_rng(0)
    scale = sp.diags_array(10.0 ** rng.integers(-6, 7, N))
    noisy = laplacian() + 0
    noisy.data = noisy.data * (1 + 1e-14 * rng.standard_normal(noisy.nnz))
    for A in (noisy, beam(N), laplacian() - 0.5 * sp.eye_array(N)):
        assert judge(sp.csr_array(scale @ A @ scale)).symmetric
    lopsided = laplacian().tolil()
    lopsided[3, 4] = -1.001
    assert not judge(sp.csr_array(scale @ lopsided @ scale)).symmetric
    assert not judge(sp.csr_array(lopsided)).symmetric
    assert judge(sp.csr_array(lopsided), 1e-3).symmetric


def test_a_map_with_a_kernel_is_cast_with_it():
    import torch

    A = laplacian(walls=False)
    m = sparse_map(A, (3, 3), True, True, judge(A).labels)
    single = m.to(torch.float32)
    assert single.kernel.count == 1 and single.dtype == torch.float32
    ones = torch.ones(3, 3, dtype=torch.float64)
    assert float((m @ ones).abs().max()) == 0
    same(m.sparse(), A)
    assert torch.equal(m.diagonal().flatten(), torch.from_numpy(A.diagonal()))


def test_a_small_shift_is_no_kernel():
    """A regular matrix near a singular one: as far as the rounding of its type can tell."""
    singular = laplacian(walls=False).tocsr()
    for dtype, shift in ((np.float32, 2e-5), (np.float64, 1e-13)):
        stored = (singular + shift * sp.eye_array(singular.shape[0])).astype(dtype)
        matrix = sp.csr_array(stored).astype(np.float64)
        assert judge(matrix, float(np.finfo(dtype).eps)).labels is None
        exact = sp.csr_array(singular.astype(dtype)).astype(np.float64)
        assert judge(exact, float(np.finfo(dtype).eps)).labels is not None


@pytest.mark.parametrize("dtype", [">f4", "<f2", ">f8", "i4"])
def test_dense_matrices_of_any_number(dtype):
    np.save("dense.npy", np.diag([1, 2, 3]).astype(dtype))
    assert read_system("dense.npy").matrix.diagonal().tolist() == [1, 2, 3]


def test_a_right_hand_side_in_the_group_of_the_matrix():
    import h5py

    with h5py.File("group.h5", "w") as file:
        for key in ("data", "indices", "indptr"):
            file[f"system/A/{key}"] = getattr(A, key)
        file["system/A/shape"] = A.shape
        file["system/b"] = np.arange(A.shape[0], dtype=float)
    system = read_system("group.h5")
    assert system.b.tolist() == list(range(A.shape[0])) and system.source.endswith("system/b")


def test_a_vector_that_matlab_keeps_as_a_row():
    scipy.io.savemat("row.mat", {"A": A, "b": np.arange(A.shape[0], dtype=float)})
    assert read_system("row.mat").b.tolist() == list(range(A.shape[0]))
