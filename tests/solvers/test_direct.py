"""Sparse LU: equals a dense solve, tells a singular matrix, needs entries."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from sciops.core.errors import SciopsError, ShapeError
from sciops.core.linear import CallableMap, DiagonalMap, SparseMap, as_linear_map
from sciops.core.solver import Status
from sciops.solvers.cg import CG
from sciops.solvers.direct import Direct


def noise(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@pytest.mark.parametrize("batch", [(), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("tagged", [False, True])
def test_equals_a_dense_solve(batch, tagged):
    m = noise(12, 12)
    m = m @ m.T + torch.eye(12) if tagged else m
    b = noise(*batch, 3, 4, seed=1)
    solution = Direct().solve(as_linear_map(m, (3, 4), tagged, tagged), b).check()
    dense = torch.linalg.solve(m, b.reshape(-1, 12).T).T.reshape(b.shape)
    torch.testing.assert_close(solution.x, dense, rtol=1e-9, atol=1e-9)
    assert solution.residual.shape == batch and not solution.iterations.any()


def test_symmetric_indefinite_matrix_is_pivoted():
    A = as_linear_map(np.array([[0.0, 1.0], [1.0, 0.0]]), symmetric=True)
    solution = Direct().solve(A, torch.tensor([2.0, 3.0]).double())
    assert solution.status is Status.CONVERGED and solution.x.tolist() == [3.0, 2.0]


def neumann(n):
    """1-D Laplacian that leaves constants free."""
    d = np.full(n, 2.0)
    d[0] = d[-1] = 1.0
    return sp.diags_array([d, -np.ones(n - 1), -np.ones(n - 1)], offsets=[0, 1, -1], format="csc")


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((3, 3)), np.diag([1.0, 0.0, 2.0]), neumann(50), 1e-9 * neumann(50)],
    ids=["zero", "empty row", "neumann", "small neumann"],
)
@pytest.mark.parametrize("tagged", [False, True])
def test_singular_matrix_is_told(matrix, tagged):
    A = as_linear_map(matrix, None, tagged, tagged)
    solution = Direct().solve(A, noise(2, *A.shape))
    assert solution.statuses == (Status.SINGULAR,) * 2 and not solution.x.any()


def test_badly_scaled_matrix_is_not_called_singular():
    d = torch.logspace(-6, 6, 20, dtype=torch.float64)
    solution = Direct().solve(as_linear_map(torch.diag(d)), torch.ones(20, dtype=torch.float64))
    torch.testing.assert_close(solution.check().x, 1 / d)


def test_nan_in_the_matrix_is_told():
    A = as_linear_map(np.diag([1.0, np.nan]))
    solution = Direct().solve(A, torch.ones(2, dtype=torch.float64))
    assert solution.status is Status.NON_FINITE and solution.x.isfinite().all()


def test_lost_digits_are_a_breakdown():
    """A false tag keeps the pivot 1e-6 on the diagonal, and six digits go."""
    matrix, b = np.array([[1e-6, 1.0], [1.0, 1e-6]]), torch.tensor([1.0, 2.0]).double()
    false = Direct().solve(as_linear_map(matrix, symmetric=True, positive=True), b)
    assert false.status is Status.BREAKDOWN and false.x.isfinite().all()
    Direct().solve(as_linear_map(matrix, symmetric=True), b).check()


def test_what_it_cannot_take_is_told():
    b = torch.ones(2, dtype=torch.float64)
    with pytest.raises(SciopsError, match="entries"):
        Direct().solve(CallableMap(lambda x: x, (2,), torch.float64), b)
    with pytest.raises(ShapeError, match="stack"):
        Direct().solve(DiagonalMap(torch.ones(3, 2, dtype=torch.float64), (2,)), b)


def test_float32_is_factorised_in_float64():
    m = neumann(200) + sp.eye_array(200) * 1e-4
    A = SparseMap.from_scipy(m, dtype=torch.float32)
    b = noise(200).float()
    solution = Direct().solve(A, b).check()
    exact = sp.linalg.spsolve(A.sparse().astype(np.float64), b.double().numpy())
    np.testing.assert_allclose(solution.x.numpy(), exact, rtol=1e-6, atol=1e-6 * abs(exact).max())


def test_penalties_and_mixed_units_are_not_singular():
    """Dirichlet values by penalty, and rows and columns in other units: scipy solves them too."""
    from scipy.sparse import csr_array, diags_array, kronsum
    from scipy.sparse.linalg import spsolve

    line = diags_array([-np.ones(11), 2 * np.ones(12), -np.ones(11)], offsets=(-1, 0, 1))
    plain = csr_array(kronsum(line, line))
    rng = np.random.default_rng(0)
    b = rng.standard_normal(144)
    for penalty in (1e15, 1e30):
        d = np.zeros(144)
        d[:12] = penalty
        matrix = csr_array(plain + diags_array(d))
        for positive in (True, False):
            A = as_linear_map(matrix, symmetric=True, positive=positive)
            solution = Direct().solve(A, torch.from_numpy(matrix @ b)).check()
            np.testing.assert_allclose(solution.x.numpy(), b, rtol=0, atol=1e-10)
    units = diags_array(10.0 ** rng.integers(-8, 9, 144))
    scaled = csr_array(units @ plain @ units)
    rhs = units @ b
    exact = spsolve(scaled.tocsc(), rhs)
    for positive in (True, False):
        A = as_linear_map(scaled, symmetric=True, positive=positive)
        x = Direct().solve(A, torch.from_numpy(rhs)).check().x.numpy()
        np.testing.assert_allclose(units @ x, units @ exact, rtol=1e-8)


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_residuals_of_huge_and_tiny_systems(factor):
    from scipy.sparse import csr_array, diags_array

    line = diags_array([-np.ones(11), 2 * np.ones(12), -np.ones(11)], offsets=(-1, 0, 1))
    A = as_linear_map(csr_array(factor * line), symmetric=True, positive=True)
    b = A.matvec(torch.ones(12, dtype=torch.float64))
    for solver in (Direct(), CG(rtol=1e-3)):
        solution = solver.solve(A, b).check()
        r = (b - A.matvec(solution.x)) / factor
        expected = float(r.norm() / (b / factor).norm())
        assert float(solution.residual) == pytest.approx(expected, rel=1e-6, abs=1e-15)
