"""Damped Jacobi: its own error formula, as a preconditioner, divergence, what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from solvers.systems import dense, diffusion, iterates, noise

from sciops.core.config import validate
from sciops.core.errors import ConfigError, SciopsError
from sciops.core.kernel import Kernel
from sciops.core.linear import CallableMap, DiagonalMap, LinearMap, as_linear_map
from sciops.core.solver import Preconditioner, Status
from sciops.solvers.cg import CG
from sciops.solvers.jacobi import Jacobi


@pytest.mark.parametrize("damping", [0.5, 2 / 3, 0.9])
def test_error_is_multiplied_by_the_iteration_matrix(damping):
    """e_k = (I - omega D^-1 A)^k e_0"""
    A, exact = diffusion(6), noise(6, 9)
    _, xs, _ = iterates(Jacobi(damping=damping, maxiter=7), A, A @ exact)
    step = torch.eye(54) - damping * dense(A) / A.diagonal().reshape(-1, 1)
    error = exact.flatten()
    for x in xs:
        error = step @ error
        torch.testing.assert_close((exact - x).flatten(), error, rtol=1e-10, atol=1e-12)


def test_rate_on_the_laplacian_is_the_known_one():
    """lambda_min(D^-1 A) = 1 - cos(pi h) for the 1-D Laplacian with n nodes, h = 1 / (n + 1)."""
    n = 15
    matrix = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    A = as_linear_map(matrix, symmetric=True, positive=True)
    slowest = torch.sin(math.pi * torch.arange(1, n + 1) / (n + 1)).double()
    solution = Jacobi(rtol=1e-6, maxiter=2000).solve(A, A @ slowest).check()
    rate = 1 - 2 / 3 * (1 - math.cos(math.pi / (n + 1)))
    assert int(solution.iterations) == math.ceil(math.log(1e-6) / math.log(rate))


def test_is_a_preconditioner_of_others():
    A, b = diffusion(), noise(2, 20, 23)
    assert isinstance(Jacobi(), Preconditioner)
    M = Jacobi().setup(A)
    assert M.symmetric and M.positive and isinstance(M, LinearMap)
    torch.testing.assert_close(M @ (A.diagonal() * b), b)
    named, given = CG().solve(A, b, M=Jacobi()), CG().solve(A, b, M=DiagonalMap(1 / A.diagonal()))
    assert torch.equal(named.check().x, given.x)


def test_tag_is_that_of_the_values():
    A = as_linear_map(np.diag([1.0, -2.0]))
    assert not Jacobi().setup(A).positive and Jacobi().setup(A).symmetric


def test_matrix_that_is_not_symmetric_is_solved_too():
    """Strict diagonal dominance is all that is needed."""
    matrix = 0.1 * noise(12, 12) + 4 * torch.eye(12)
    b = noise(3, 12, seed=1)
    solution = Jacobi(rtol=1e-12, damping=1.0).solve(as_linear_map(matrix), b).check()
    torch.testing.assert_close(solution.x, torch.linalg.solve(matrix, b.T).T)


def test_stack_of_matrices():
    stack = torch.stack([diffusion(6, seed=s).diagonal() for s in (0, 1)])
    M = Jacobi().setup(DiagonalMap(stack, (6, 9)))
    torch.testing.assert_close(M @ stack, torch.ones_like(stack))


def test_divergence_is_a_breakdown_with_finite_x():
    """D^-1 A has the eigenvalue N = 6 here, and 2/3 * 6 > 2."""
    A = as_linear_map(torch.ones(6, 6).double() + 1e-3 * torch.eye(6), None, True, True)
    b = torch.ones(2, 6, dtype=torch.float64)
    b[1] = torch.tensor([1.0, -1.0, 0.0, 0.0, 0.0, 0.0])
    solution = Jacobi(maxiter=10_000).solve(A, b[0])
    assert solution.status is Status.BREAKDOWN and solution.x.isfinite().all()
    assert int(solution.iterations) < 60
    Jacobi(damping=0.3, maxiter=100_000).solve(A, b[0]).check()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_from_the_matrix_keeps_the_last_finite_iterate(value):
    A, b, calls = diffusion(6), noise(6, 9), []

    def fails_at_the_fourth(x):
        calls.append(1)
        return A.matvec(x) + (value if len(calls) == 5 else 0.0)

    bad = CallableMap(fails_at_the_fourth, A.shape, A.dtype, diagonal=A.diagonal())
    solution = Jacobi().solve(bad, b)
    assert solution.status is Status.NON_FINITE and solution.x.isfinite().all()
    done = int(solution.iterations)
    torch.testing.assert_close(solution.x, Jacobi(maxiter=done).solve(A, b).x)


def test_a_far_start_is_no_divergence():
    A, exact = diffusion(6, contrast=2.0), noise(6, 9)
    solution = Jacobi(rtol=1e-4, maxiter=5000).solve(A, A @ exact, x0=1e20 * noise(6, 9, seed=1))
    assert solution.status is not Status.BREAKDOWN


def test_what_it_cannot_take_is_told():
    b = torch.ones(2, dtype=torch.float64)
    with pytest.raises(SciopsError, match="holds a zero"):
        Jacobi().solve(as_linear_map(np.array([[0.0, 1.0], [1.0, 0.0]])), b)
    with pytest.raises(SciopsError, match="diagonal .* is not known"):
        Jacobi().solve(CallableMap(lambda x: x, (2,), torch.float64), b)
    with pytest.raises(SciopsError, match="own preconditioner"):
        Jacobi().solve(as_linear_map(np.eye(2)), b, M=as_linear_map(np.eye(2)))
    with pytest.raises(ConfigError, match="damping"):
        validate(Jacobi, {"damping": 0.0})


def test_empty_rows_are_allowed_where_they_are_in_the_kernel():
    class Isolated(LinearMap):
        """The second unknown has no neighbour."""

        def matvec(self, x):
            return x * self.diagonal()

        def diagonal(self):
            return torch.tensor([2.0, 0.0, 4.0], dtype=torch.float64)

        @property
        def kernel(self):
            return Kernel(torch.tensor([-1, 0, -1]))

    A = Isolated((3,), torch.float64, "cpu", True, True)
    b = torch.tensor([2.0, 5.0, 4.0], dtype=torch.float64)
    for solution in (Jacobi(damping=1.0).solve(A, b), CG().solve(A, b, M=Jacobi())):
        torch.testing.assert_close(solution.check().x, torch.tensor([1.0, 0.0, 1.0]).double())
