"""Our preconditioners inside scipy's conjugate gradients, and what is wrong with a system."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sl
import torch
from solvers.systems import diffusion, noise

from sciops.core.errors import NotPositiveDefinite, SciopsError, ShapeError
from sciops.core.linear import as_linear_map
from sciops.core.resolve import find
from sciops.core.solver import Status
from sciops.solvers.cg import CG
from sciops.solvers.direct import Direct
from sciops.solvers.multigrid import Multigrid


def make(name):
    if name == "amg":
        pytest.importorskip("pyamg")
    return find("solvers", name)()


def scipy_iterations(A, b, M, rtol):
    count = []
    y, info = sl.cg(A, b, rtol=rtol, M=M, callback=count.append)
    assert info == 0
    return y, len(count)


@pytest.mark.parametrize("rtol", [1e-6, 1e-10])
@pytest.mark.parametrize("name", ["jacobi", "multigrid", "amg"])
def test_scipy_takes_the_same_iterations(name, rtol):
    """A goes in as scipy's own sparse matrix: nothing of ours but M."""
    A = diffusion(30, contrast=1e4)
    b = noise(*A.shape)
    M = make(name).setup(A)
    solution = CG(rtol=rtol).solve(A, b, M=M).check()
    matrix, rhs = A.sparse(), b.numpy().ravel()
    y, count = scipy_iterations(matrix, rhs, M.as_linear_operator(), rtol)
    _, plain = scipy_iterations(matrix, rhs, None, rtol)
    assert abs(count - int(solution.iterations)) <= 1
    assert count < plain / (2 if name == "jacobi" else 8)
    x = solution.x.numpy().ravel()
    np.testing.assert_allclose(x, y, rtol=0, atol=200 * rtol * np.abs(y).max())


@pytest.mark.parametrize("name", ["jacobi", "amg"])
def test_without_a_grid(name):
    """A graph Laplacian: any sparse matrix of scipy, no field shape."""
    graph = sp.random_array((300, 300), density=0.02, rng=np.random.default_rng(0))
    graph = graph + graph.T
    matrix = sp.csr_array(sp.diags_array(np.asarray(graph.sum(0)) + 0.05) - graph)
    A = as_linear_map(matrix, symmetric=True, positive=True)
    b = np.random.default_rng(1).standard_normal(300)
    M = make(name).setup(A)
    ours = CG().solve(A, torch.from_numpy(b), M=M).check()
    _, count = scipy_iterations(matrix, b, M.as_linear_operator(), 1e-6)
    assert abs(count - int(ours.iterations)) <= 1


def test_scipys_preconditioner_in_our_solver():
    A = diffusion(30)
    b = noise(*A.shape)
    factors = sl.spilu(A.sparse(), drop_tol=1e-12)  # exact but for rounding, so symmetric
    operator = sl.LinearOperator((A.size,) * 2, matvec=factors.solve, dtype=np.float64)
    M = as_linear_map(operator, A.shape, symmetric=True, positive=True)
    assert int(CG(rtol=1e-8).solve(A, b, M=M).check().iterations) <= 2


# What point by point can be wrong with a system, in Python; tests/cli/test_solve.py has the same
# for files.


def tridiagonal(n=9, diagonal=2.0):
    return sp.csr_array(sp.diags_array([-np.ones(n - 1), np.full(n, diagonal), -np.ones(n - 1)],
                                       offsets=(-1, 0, 1)))  # fmt: skip


def mapped(matrix, **tags):
    return as_linear_map(sp.csr_array(matrix), **tags)


SPD = {"symmetric": True, "positive": True}
ONES = torch.ones(9, dtype=torch.float64)
KRYLOV = ["cg", "fcg", "conjugate_directions", "dcdm"]


@pytest.mark.parametrize("name", [*KRYLOV, "multigrid"])
@pytest.mark.parametrize("tags", [{}, {"symmetric": True}, {"positive": True}])
def test_not_symmetric_or_not_definite_is_an_error(name, tags):
    with pytest.raises(NotPositiveDefinite, match="symmetric positive definite"):
        make(name).solve(mapped(tridiagonal(), **tags), ONES)


@pytest.mark.parametrize("name", KRYLOV)
@pytest.mark.parametrize("diagonal", [-2.0, 0.5])
def test_an_indefinite_matrix_with_wrong_tags_is_a_status(name, diagonal):
    solution = make(name).solve(mapped(tridiagonal(9, diagonal), **SPD), noise(9))
    assert solution.status is Status.BREAKDOWN
    assert solution.x.isfinite().all()
    with pytest.raises(SciopsError, match="BREAKDOWN"):
        solution.check()


@pytest.mark.parametrize("name", KRYLOV)
def test_a_matrix_that_is_not_symmetric_with_wrong_tags_does_not_pass_for_solved(name):
    matrix = tridiagonal().toarray()
    matrix[np.triu_indices(9, 1)] *= -30
    solution = make(name).solve(mapped(matrix, **SPD), noise(9))
    x = solution.x.numpy()
    true = np.linalg.norm(noise(9).numpy() - matrix @ x) / np.linalg.norm(noise(9).numpy())
    assert float(solution.residual) == pytest.approx(true)
    assert (solution.status is Status.CONVERGED) == (true <= 1e-6)


@pytest.mark.parametrize("name", [*KRYLOV, "jacobi", "direct"])
def test_singular_is_a_status(name):
    """b has a part that no x reaches."""
    matrix = tridiagonal()
    matrix = sp.csr_array(matrix - sp.diags_array(np.array([1.0, *np.zeros(7), 1.0])))
    solution = make(name).solve(mapped(matrix, **SPD), noise(9))
    assert solution.status is not Status.CONVERGED
    assert solution.x.isfinite().all()
    if name == "direct":
        assert solution.status is Status.SINGULAR


@pytest.mark.parametrize("name", [*KRYLOV, "jacobi", "multigrid", "amg", "direct"])
def test_wrong_shapes_are_errors(name):
    A, solver = mapped(tridiagonal(), **SPD), make(name)
    for b in (torch.ones(8, dtype=torch.float64), torch.ones(9, 2, dtype=torch.float64)):
        with pytest.raises(ShapeError, match=r"must end in the shape \(9,\)"):
            solver.solve(A, b)
    with pytest.raises(ShapeError, match="square"):
        mapped(tridiagonal()[:5])


@pytest.mark.parametrize("name", [*KRYLOV, "jacobi", "multigrid", "amg", "direct"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_in_the_matrix_or_the_right_hand_side_is_a_status(name, value):
    solver = make(name)
    b = ONES.clone()
    b[3] = value
    solution = solver.solve(mapped(tridiagonal(), **SPD), b)
    assert solution.status is Status.NON_FINITE and solution.x.isfinite().all()
    matrix = tridiagonal()
    matrix.data[0] = value
    solution = solver.solve(mapped(matrix, **SPD), ONES)
    assert solution.status is not Status.CONVERGED
    assert solution.x.isfinite().all()


def test_nan_in_a_matrix_under_a_preconditioner():
    matrix = tridiagonal()
    matrix.data[0] = np.nan
    with pytest.raises(NotPositiveDefinite, match="DiagonalMap"):  # 1 / diag(A) is not positive
        CG().solve(mapped(matrix, **SPD), ONES, M=make("jacobi"))


@pytest.mark.parametrize("name", ["multigrid", "amg"])
def test_nan_in_a_matrix_under_a_preconditioner_is_a_status(name):
    matrix = tridiagonal()
    matrix.data[0] = np.nan
    solution = CG().solve(mapped(matrix, **SPD), ONES, M=make(name))
    assert solution.status is Status.NON_FINITE and solution.x.isfinite().all()


def test_an_empty_system_is_an_error():
    with pytest.raises(ShapeError, match="non-empty"):
        mapped(sp.csr_array((0, 0)))


def test_multigrid_without_the_grid_says_so():
    plane = sp.kronsum(tridiagonal(), tridiagonal())
    with pytest.raises(SciopsError, match="is its shape that of the grid"):
        Multigrid().setup(mapped(plane, **SPD))
    assert Direct().solve(mapped(plane), torch.ones(81, dtype=torch.float64)).check()
