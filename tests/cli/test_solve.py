"""``sciops solve``: files in, table, solution and picture out; every mistake in one error."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from sciops.cli import main

SHARED = Path(__file__).parents[3] / "shared" / "data" / "pyamg_mat"


@pytest.fixture
def sciops(tmp_path, monkeypatch, capfd):
    """Runs a command in an empty folder; gives stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["sciops", "solve", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        assert (end.value.code or 0) == code, out + err
        return " ".join((out + err).split())

    return run


def poisson(nx=12, ny=15, walls=True):
    """The 5-point Laplacian, Dirichlet or Neumann, the last axis fastest."""

    def line(n):
        d = np.full(n, 2.0)
        if not walls:
            d[[0, -1]] = 1.0
        return sp.diags_array([-np.ones(n - 1), d, -np.ones(n - 1)], offsets=(-1, 0, 1))

    one, two = sp.eye_array(nx), sp.eye_array(ny)
    return sp.csr_array(sp.kron(line(nx), two) + sp.kron(one, line(ny)))


def true_residual(A, b, x):
    return np.linalg.norm(b - A @ x, axis=0) / np.linalg.norm(b, axis=0)


def number(out, name):
    return float(re.search(rf"\b{name} ([-+.\de]+)", out)[1])


@pytest.mark.parametrize("ending", [".npz", ".npy", ".h5"])
def test_solves_and_writes(sciops, ending):
    A, b = poisson(), np.random.default_rng(0).standard_normal(180)
    sp.save_npz("A.npz", A)
    np.save("b.npy", b)
    out = sciops("A.npz", "b.npy", "solver.rtol=1e-9", "-o", f"x{ending}")
    for part in ("180 unknowns", "846 nonzeros", "symmetric yes", "diagonally dominant",
                 "cg rtol=1e-09", "preconditioner none", "CONVERGED", "memory"):  # fmt: skip
        assert part in out, part
    if ending == ".npy":
        x = np.load("x.npy")
    elif ending == ".npz":
        x = np.load("x.npz")["x"]
    else:
        with h5py.File("x.h5") as file:
            x = file["x"][...]
    assert true_residual(A, b, x) <= 1e-9
    assert number(out, "residual") == pytest.approx(true_residual(A, b, x), rel=0.01)


def test_without_a_right_hand_side_the_answer_is_known(sciops):
    scipy.io.mmwrite("A.mtx", poisson(), symmetry="symmetric")
    out = sciops("A.mtx", "solver.rtol=1e-10")
    assert "b = A 1, since none was given" in out
    assert number(out, "error") < 1e-8


def test_columns_are_a_batch_and_a_field_keeps_its_shape(sciops):
    A, rng = poisson(), np.random.default_rng(0)
    sp.save_npz("A.npz", A)
    np.savez("b.npz", b=rng.standard_normal((180, 3)), field=rng.standard_normal((12, 15)))
    multigrid = ("--preconditioner", "multigrid", "--shape", "12,15")
    out = sciops("A.npz", "b.npz", *multigrid, "-o", "x.npz")
    assert "b.npz:b: 3 of them" in out and "CONVERGED: 3" in out and "on 12 x 15" in out
    found = np.load("x.npz")
    assert (true_residual(A, np.load("b.npz")["b"], found["x"]) <= 1e-6).all()
    assert found["iterations"].shape == found["residual"].shape == (3,)
    sciops("A.npz", "b.npz:field", *multigrid, "-o", "y.npy")
    x = np.load("y.npy")
    assert x.shape == (12, 15)
    assert true_residual(A, np.load("b.npz")["field"].ravel(), x.ravel()) <= 1e-6


@pytest.mark.parametrize("name", ["cg", "fcg", "conjugate_directions", "jacobi", "multigrid",
                                  "amg", "direct"])  # fmt: skip
def test_every_solver_by_name(sciops, name):
    if name == "amg":
        pytest.importorskip("pyamg")
    sp.save_npz("A.npz", poisson())
    out = sciops("A.npz", "--solver", name, "--shape", "12,15")
    assert f"solver {name}" in out and "CONVERGED" in out


@pytest.mark.parametrize("name", ["jacobi", "multigrid", "amg"])
def test_every_preconditioner_by_name(sciops, name):
    if name == "amg":
        pytest.importorskip("pyamg")
    sp.save_npz("A.npz", poisson())
    out = sciops("A.npz", "--preconditioner", name, "--shape", "12x15")
    assert f"preconditioner {name}" in out and "setup" in out and "solver cg" in out


def test_settings_of_both(sciops):
    sp.save_npz("A.npz", poisson(40, 40))
    base = ("A.npz", "--preconditioner", "multigrid", "--shape", "40,40")
    few = sciops(*base, "preconditioner.smoothing_steps=4", "solver.kind=fcg")
    assert "solver fcg" in few
    assert number(few, "iterations") < number(sciops(*base), "iterations")


def test_a_trained_folder_brings_its_solver(sciops):
    from sciops.solvers.dcdm import Geometry, Predictor

    Predictor(Geometry(dimension=2, channels=4, levels=2)).save("trained")
    sp.save_npz("A.npz", poisson())
    out = sciops("A.npz", "--preconditioner", "trained", "--shape", "12,15")
    assert "solver fcg" in out and "preconditioner trained" in out and "CONVERGED" in out
    out = sciops("A.npz", "--preconditioner", "trained", code=2)
    assert "2 dimensions" in out and "--shape" in out
    args = ("A.npz", "--preconditioner", "trained", "--shape", "12,15")
    assert "--solver fcg takes any M" in sciops(*args, "--solver", "cg", code=2)
    assert "config.yaml" not in sciops(*args, "solver.rtol=1e-3")


@pytest.mark.parametrize("kind", ["cg", "os", "os:system", "_trained", "null"])
def test_a_folder_names_its_kind_and_no_other_module(sciops, kind):
    Path("bad").mkdir()
    Path("bad/config.yaml").write_text(f"preconditioner: {{kind: '{kind}'}}\n")
    Path("bad/model.safetensors").write_bytes(b"")
    sp.save_npz("A.npz", poisson())
    out = sciops("A.npz", "--preconditioner", "bad", code=2)
    assert f"no preconditioner '{kind}' can be trained" in out


def test_closed_box(sciops):
    A, b = poisson(walls=False), np.random.default_rng(0).standard_normal(180)
    sp.save_npz("A.npz", A)
    np.save("b.npy", b - b.mean())
    for arguments in ((), ("--preconditioner", "multigrid", "--shape", "12,15"),
                      ("--solver", "direct")):  # fmt: skip
        out = sciops("A.npz", "b.npy", *arguments, "-o", "x.npy", "--overwrite")
        assert "rows sum to zero on 1 component" in out and "least-squares" not in out
        x = np.load("x.npy")
        assert true_residual(A, b - b.mean(), x) <= 1e-6 and abs(x.mean()) < 1e-8
    np.save("b.npy", b + 1)
    out = sciops("A.npz", "b.npy", code=1)
    assert "which no x can reach" in out and "least-squares" in out
    assert "b = A 1 is zero" in sciops("A.npz", code=2)


def test_what_did_not_converge_says_what_to_do(sciops):
    A = poisson()
    sp.save_npz("A.npz", A)
    out = sciops("A.npz", "solver.maxiter=3", "-o", "x.npz", "--plot", "c.png", code=1)
    assert Path("c.png").read_bytes().startswith(b"\x89PNG")
    assert "MAX_ITERATIONS" in out and "Raise maxiter" in out and "iterations 3" in out
    assert np.isfinite(np.load("x.npz")["x"]).all()


def save(A):
    sp.save_npz("A.npz", sp.csr_array(A))


def skewed():
    A = poisson().tolil()
    A[3, 4] = -1.5
    return A


SINGULAR = sp.block_diag([poisson(), np.array([[1.0, 2.0], [2.0, 4.0]])])
UNDECIDED = np.array([[1.0, 0.9, 0.9], [0.9, 1.0, -0.9], [0.9, -0.9, 1.0]])  # indefinite


@pytest.mark.parametrize(
    ("matrix", "b", "arguments", "code", "words"),
    [
        (skewed(), None, (), 2, r"not symmetric \(a\[3, 4\] = -1.5, a\[4, 3\] = -1\).*direct"),
        (skewed(), None, ("--solver", "multigrid", "--shape", "12,15"), 2, "not symmetric"),
        (skewed(), None, ("--solver", "direct"), 0, "symmetric no: a.*CONVERGED"),
        (-poisson(), None, (), 2, r"not positive definite \(a\[0, 0\] = -4\).*Turn the sign"),
        (poisson() - 3.3 * sp.eye_array(180), None, (), 2, r"not positive definite \(a\[0, 1\]"),
        (
            poisson() - 3.3 * sp.eye_array(180),
            None,
            ("--solver", "direct"),
            0,
            "definite no, a.*CONV",
        ),
        (UNDECIDED, [1.0, 0, 0], (), 1, "entries do not tell.*BREAKDOWN.*not symmetric positive"),
        (UNDECIDED, [1.0, 0, 0], ("--spd",), 1, "by --spd, not looked at.*BREAKDOWN"),
        (SINGULAR, None, ("--solver", "direct"), 1, "SINGULAR. The matrix is singular"),
        (SINGULAR, [1.0] * 181 + [0.0], (), 1, "status (?!CONVERGED)[A-Z_]+[.]"),
        (np.zeros((3, 3)), [1.0, 2, 3], (), 1, "least-squares"),
        (np.zeros((3, 3)), [1.0, 2, 3], ("--spd", "--solver", "direct"), 1, "SINGULAR"),
        (sp.csr_array((0, 0)), None, (), 2, r"A\.npz: an empty matrix \(0 x 0\)"),
        (poisson()[:7], None, (), 2, r"A\.npz: a matrix of 7 x 180; .* square"),
        (poisson() * np.nan, None, (), 2, r"A\.npz: 846 entries of the matrix are NaN"),
        (poisson() * 1j, None, (), 2, r"A\.npz: a matrix of complex numbers"),
        (poisson(), [1.0] * 7, (), 2, r"b\.npy: a right-hand side of the shape \(7,\)"),
        (poisson(), [1.0] * 179 + [np.nan], (), 2, r"b\.npy: 1 values .* NaN .* at \[179\]"),
        (poisson(), [1j] * 180, (), 2, r"b\.npy: a right-hand side of complex"),
        (poisson(), [0.0] * 180, (), 0, "CONVERGED"),
        (poisson(), None, ("--preconditioner", "multigrid"), 2, "--shape 256,256"),
        (poisson(), None, ("--shape", "12,16"), 2, r"180 unknowns cannot act .* \(12, 16\)"),
        (poisson(), None, ("--shape", "12,-15"), 2, "--shape: expected numbers of points"),
        (poisson(), None, ("--solver", "cgs"), 2, "unknown solver 'cgs'.*Did you mean 'cg'"),
        (poisson(), None, ("--preconditioner", "amgg"), 2, "unknown preconditioner 'amgg'.*'amg'"),
        (poisson(), None, ("--preconditioner", "cg"), 2, "cg is a solver only; .*multigrid"),
        (poisson(), None, ("solver.rtoll=1",), 2, "unknown setting 'rtoll'.*Did you mean 'rtol'"),
        (poisson(), None, ("solve.rtol=1",), 2, "unknown setting 'solve'"),
        (poisson(), None, ("solver.rtol=abc",), 2, "solver.rtol"),
        (poisson(), None, ("solver=cg",), 2, "solver"),
        (poisson(), None, ("preconditioner.smoothing_steps=2",), 2, "preconditioner.kind"),
        (poisson(), None, ("b.npy", "c.npy"), 2, "one right-hand side"),
        (poisson(), None, ("--solver", "direct", "--plot", "a.png"), 2, "has no iterations"),
        (poisson(), None, ("--solver", "direct", "--preconditioner", "jacobi"), 2, "leave it out"),
        (poisson(), None, ("--plot", "a.txt"), 2, "a picture ends in"),
        (poisson(), None, ("-o", "x.csv"), 2, "a solution ends in"),
        (poisson(), None, ("-o", "no/x.npz"), 2, "does not exist"),
        (poisson(), None, ("-o", "A.npz"), 2, "exists already"),
    ],
)
def test_mistakes(sciops, matrix, b, arguments, code, words):
    save(matrix)
    if b is not None:
        np.save("b.npy", b)
        arguments = ("b.npy", *arguments)
    out = sciops("A.npz", *arguments, code=code)
    assert re.search(words, out), out
    assert {p.name for p in Path().iterdir()} <= {"A.npz", "b.npy"}


def test_missing_and_hostile_files(sciops):
    assert "none.mtx: no such file" in sciops("none.mtx", code=2)
    np.savez("A.npz", allow_pickle=True, A=np.array([poisson()], dtype=object))
    assert "pickled objects are not read" in sciops("A.npz", code=2)
    np.save("b.npy", np.array([{}], dtype=object), allow_pickle=True)
    save(poisson())
    assert "pickled objects are refused" in sciops("A.npz", "b.npy", code=2)


def gallery():
    pyamg = pytest.importorskip("pyamg")
    nine = pyamg.gallery.diffusion_stencil_2d(epsilon=0.01, theta=np.pi / 6, type="FE")
    return {
        "poisson 2-D": (pyamg.gallery.poisson((40, 40), format="csr"), ("--shape", "40,40")),
        "poisson 3-D": (pyamg.gallery.poisson((9, 10, 11), format="csr"), ("--shape", "9,10,11")),
        "stencil": (pyamg.gallery.stencil_grid(nine, (30, 30), format="csr"), ("--shape", "30,30")),
        "elasticity": (pyamg.gallery.linear_elasticity((12, 12), format="csr")[0], ()),
    }


@pytest.mark.parametrize("name", ["poisson 2-D", "poisson 3-D", "stencil", "elasticity"])
def test_matrices_of_the_gallery(sciops, name):
    A, shape = gallery()[name]
    sp.save_npz("A.npz", A)
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    np.save("b.npy", b)
    kinds = [None, "jacobi", "amg"] + (["multigrid"] if shape else [])
    for kind in kinds:
        extra = () if kind is None else ("--preconditioner", kind)
        sciops("A.npz", "b.npy", *extra, *shape, "-o", "x.npy", "--overwrite")
        assert true_residual(A, b, np.load("x.npy").ravel()) <= 1e-6, kind


@pytest.mark.parametrize("name", ["local_disc_galerkin_diffusion", "unit_square"])
def test_genuine_matrices(sciops, name):
    path = SHARED / f"{name}.mat"
    if not path.is_file():
        pytest.skip("the matrices of pyamg are not at hand")
    pytest.importorskip("pyamg")
    A = sp.csr_array(scipy.io.loadmat(path)["A"]).astype(float)
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    b -= b.mean()  # unit_square is a pure Neumann problem
    np.save("b.npy", b)
    for extra in ((), ("--preconditioner", "amg"), ("--solver", "direct")):
        out = sciops(str(path), "b.npy", *extra, "-o", "x.npy", "--overwrite")
        assert true_residual(A, b, np.load("x.npy")) <= 1e-6
        assert ("singular" in out) == (name == "unit_square")


def test_the_input_is_never_replaced(sciops):
    sp.save_npz("A.npz", poisson())
    np.save("b.npy", np.ones(180))
    before = Path("A.npz").read_bytes(), Path("b.npy").read_bytes()
    for output in ("A.npz", "./b.npy"):
        out = sciops("A.npz", "b.npy", "-o", output, "--overwrite", code=2)
        assert "is read from, and would be replaced" in out
    assert before == (Path("A.npz").read_bytes(), Path("b.npy").read_bytes())


@pytest.mark.parametrize("name", ["dcdm", "learned_multigrid"])
def test_a_learned_solver_needs_what_was_trained(sciops, name):
    sp.save_npz("A.npz", poisson())
    out = sciops("A.npz", "--solver", name, "--shape", "12,15", code=2)
    assert f"solver={name} needs what was trained: --preconditioner FOLDER" in out


def test_an_unfinished_training_is_called_so(sciops):
    Path("half").mkdir()
    run = {"status": "running", "settings": {"preconditioner": {"kind": "dcdm"}}}
    Path("half/run.json").write_text(json.dumps(run))
    sp.save_npz("A.npz", poisson())
    assert "has not ended" in sciops("A.npz", "--preconditioner", "half", code=2)
