"""Singular systems with a known kernel: pure Neumann walls and several components."""

from __future__ import annotations

import pytest
import torch
from solvers.systems import dense, diffusion, energy, function, iterates, noise, smoother

from sciops.core.kernel import Kernel
from sciops.core.linear import CallableMap, LinearMap
from sciops.core.solver import Outcome, Solver, Status
from sciops.core.system import prepared, relative_residual
from sciops.solvers.cg import CG
from sciops.solvers.conjugate_directions import ConjugateDirections
from sciops.solvers.direct import Direct
from sciops.solvers.fcg import FCG
from sciops.solvers.jacobi import Jacobi


class Floating(LinearMap):
    """-u'' without walls on two intervals of 7 and 5 cells, a fixed cell and an isolated one."""

    labels = torch.tensor([0] * 7 + [-1] + [1] * 5 + [2])

    def __init__(self, dtype=torch.float64):
        super().__init__((14,), dtype, "cpu", True, True)
        m = torch.zeros(14, 14)
        for i in (*range(6), *range(8, 12)):
            m[i : i + 2, i : i + 2] += torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        m[7, 7] = 3.0
        self.matrix = m.to(dtype)

    def matvec(self, x):
        return x @ self.matrix.T

    def diagonal(self):
        return self.matrix.diagonal()

    @property
    def kernel(self):
        return Kernel(self.labels)

    def _moved(self, dtype, device):
        return Floating(dtype)


def neumann(n=9, **settings):
    return diffusion(n, contrast=10.0, walls="neumann", **settings)


SOLVERS = {
    "cg": CG(rtol=1e-9),
    "fcg": FCG(rtol=1e-9),
    "conjugate_directions": ConjugateDirections(rtol=1e-9),
    "jacobi": Jacobi(rtol=1e-9, maxiter=5000),
}
every = pytest.mark.parametrize("name", SOLVERS)


@every
@pytest.mark.parametrize("A", [neumann(6), Floating()], ids=["box", "components"])
def test_is_the_least_squares_solution_of_least_norm(name, A):
    b = noise(3, *A.shape)
    solution = SOLVERS[name].solve(A, b, x0=noise(*A.shape, seed=1)).check()
    matrix = A.matrix if isinstance(A, Floating) else dense(A)
    exact = b.flatten(1) @ torch.linalg.pinv(matrix).T
    torch.testing.assert_close(solution.x.flatten(1), exact, rtol=1e-6, atol=1e-7)


@every
def test_unreachable_part_of_b_is_reported_and_the_rest_solved(name):
    A = neumann(5)
    good = A.kernel.project(noise(3, *A.shape))
    good = good / good.flatten(1).norm(dim=1).reshape(3, 1, 1)
    share = torch.tensor([0.0, 0.75, 3.0]).double()
    b = good + share.reshape(3, 1, 1) / good[0].numel() ** 0.5
    solution = SOLVERS[name].solve(A, b).check()
    expected = share / (1 + share**2).sqrt()
    torch.testing.assert_close(solution.incompatible, expected, rtol=1e-9, atol=1e-12)
    clean = SOLVERS[name].solve(A, good).check()
    torch.testing.assert_close(solution.x, clean.x, rtol=1e-5, atol=1e-9)
    r = A.kernel.project(b - A @ solution.x).flatten(1).norm(dim=1)
    torch.testing.assert_close(solution.residual, r, rtol=1e-5, atol=1e-14)


@every
def test_b_in_the_kernel_gives_zero(name):
    A = neumann(6)
    constants = torch.linspace(0.1, 1.3, 8, dtype=torch.float64).reshape(8, 1, 1)
    constants = constants * (1 + 4e-16 * noise(8, *A.shape))  # up to rounding
    b = torch.cat([constants, torch.zeros(1, *A.shape), noise(1, *A.shape)])
    solution = SOLVERS[name].solve(A, b).check()
    assert not solution.x[:9].any() and not solution.iterations[:9].any()
    assert solution.incompatible[:9].tolist() == [pytest.approx(1.0)] * 8 + [0.0]
    assert not solution.residual[:9].any() and solution.x[9].any()


@every
def test_float32_has_zero_mean_too(name):
    A = neumann().to(dtype=torch.float32)
    b = 100 + noise(*A.shape, dtype=torch.float32)
    solution = SOLVERS[name].model_copy(update={"rtol": 1e-5}).solve(A, b).check()
    assert solution.residual <= 1e-5
    assert abs(float(solution.x.mean())) <= 1e-6 * float(solution.x.abs().max())


@every
def test_iterates_have_zero_mean_from_any_start(name):
    A = neumann(6)
    start = 10 + noise(*A.shape, seed=1)
    _, xs, _ = iterates(SOLVERS[name], A, noise(*A.shape), x0=start)
    assert max(float(x.mean().abs()) for x in xs) <= 1e-12


def test_solver_that_knows_nothing_of_kernels_gives_zero_mean_too():
    class Shifts(Solver):
        def iterate(self, system, callback):
            count = torch.zeros_like(system.todo, dtype=torch.int64)
            return Outcome(system.b + 7.0, (Status.CONVERGED,) * count.numel(), count)

    solution = Shifts(kind="here").solve(neumann(), noise(2, 9, 12))
    assert float(solution.x.mean((1, 2)).abs().max()) <= 1e-13


def test_nan_stays_in_its_row():
    A = neumann()
    b = noise(3, *A.shape)
    b[1, 2, 3] = float("nan")
    solution = CG().solve(A, b)
    assert [s.name for s in solution.statuses] == ["CONVERGED", "NON_FINITE", "CONVERGED"]
    assert solution.x.isfinite().all() and not solution.x[1].any()
    assert solution.incompatible.isfinite().all()


def test_regular_matrix_has_nothing_incompatible():
    solution = CG().solve(diffusion(), noise(2, 20, 23))
    assert solution.incompatible.tolist() == [0.0, 0.0]
    assert solution.incompatible.dtype == torch.float64


@pytest.mark.parametrize("name", ["cg", "fcg", "conjugate_directions"])
def test_preconditioner_may_know_nothing_of_the_kernel(name):
    """diag(A)^-1 turns a field without mean into one with a mean; x must not drift with it."""
    A, solver = neumann(20), SOLVERS[name]
    b, weights = noise(*A.shape), 1 / A.diagonal()
    exact = solver.solve(A, b).check().x
    M = function(A, lambda r: weights * r, symmetric=True, positive=True)
    solution, xs, rs = iterates(solver, A, b, M=M)
    assert int(solution.check().iterations) <= int(solver.solve(A, b).iterations)
    torch.testing.assert_close(solution.x, exact, rtol=1e-5, atol=1e-7)
    assert max(float(x.mean().abs()) for x in xs) <= 1e-12 * float(exact.abs().max())
    assert max(float(r.mean().abs()) for r in rs) <= 1e-12 * float(b.abs().max())


def test_prediction_in_the_kernel_is_replaced_and_counted():
    A = neumann()
    b = noise(2, *A.shape)
    M = function(A, lambda r: torch.ones_like(r) * r.flatten(1).norm(dim=1).reshape(2, 1, 1) / 3)
    solution, xs, _ = iterates(ConjugateDirections(), A, b, M=M)
    assert max(float(x.mean().abs()) for x in xs) <= 1e-12 * float(solution.check().x.abs().max())
    assert torch.equal(solution.fallbacks, solution.iterations)
    good = CG().solve(A, b, M=Jacobi())
    assert int((solution.iterations - good.iterations).abs().max()) <= 1


def test_predictor_with_a_large_mean_is_as_good_as_without():
    A, b = neumann(), noise(9, 12)
    M = smoother(A)
    shifted = function(A, lambda r: M.matvec(r) + 3.0)
    plain = ConjugateDirections().solve(A, b, M=M).check()
    other = ConjugateDirections().solve(A, b, M=shifted).check()
    assert not other.fallbacks.any()
    assert abs(int(other.iterations) - int(plain.iterations)) <= 1


def test_relative_residual_is_that_of_the_projected_system():
    """A is off the declared kernel in the last check."""
    A, x = neumann(), noise(9, 12)
    b = A @ x + 5.0
    assert float(relative_residual(A, b, x)[0]) <= 1e-13
    assert float(relative_residual(A, b, 2 * x)[0]) == pytest.approx(1.0)
    B, y, c = Floating(), noise(14, seed=1), noise(14, seed=2)
    B.matrix = B.matrix + 0.1 * torch.eye(14)
    r = B.kernel.project(c - B @ y)
    ours, inside = float(relative_residual(B, c, y)[0]), prepared(B, c, None, None)
    torch.testing.assert_close(inside.residual(y / inside.scale) * inside.scale, r)
    assert ours == pytest.approx(float(r.norm() / B.kernel.project(c).norm()), rel=1e-12)


def test_obstacles_and_the_fluid_that_they_enclose():
    """A ring of solid in a box with one open side: the inside floats, the outside does not."""
    obstacle = torch.zeros(12, 15, dtype=torch.bool)
    obstacle[3:9, 3:9] = True
    obstacle[5:7, 5:7] = False
    walls = [("dirichlet", "neumann"), ("neumann", "neumann")]
    A = diffusion(12, walls=walls, obstacle=obstacle)
    b = noise(2, *A.shape)
    solution = CG(rtol=1e-10).solve(A, b, M=Jacobi()).check()
    assert not solution.x[:, obstacle].any()
    inside = solution.x[:, 5:7, 5:7]
    assert float(inside.mean((1, 2)).abs().max()) <= 1e-14 * float(inside.abs().max())
    exact = b.flatten(1) @ torch.linalg.pinv(dense(A)).T
    torch.testing.assert_close(solution.x.flatten(1), exact, rtol=1e-6, atol=1e-8)
    assert energy(A, solution.x[0]) > 0


def test_without_a_declared_kernel_a_consistent_system_still_ends():
    A = neumann()
    hidden = CallableMap(A.matvec, A.shape, A.dtype, symmetric=True, positive=True)
    solution = CG(rtol=1e-8).solve(hidden, A.kernel.project(noise(*A.shape)))
    assert solution.status in (Status.CONVERGED, Status.STAGNATION) and solution.x.isfinite().all()


def test_direct_solves_what_floats():
    """A box in two parts that do not touch, and a solid cell in one of them."""
    solid = torch.zeros(9, 12, dtype=torch.bool)
    solid[:, 5] = solid[3, 8] = True
    A = neumann(obstacle=solid)
    b = noise(2, *A.shape)
    solution, other = Direct().solve(A, b).check(), CG(rtol=1e-12).solve(A, b).check()
    torch.testing.assert_close(solution.x, other.x, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(solution.incompatible, other.incompatible)
    assert not solution.x[:, solid].any()
    assert float(A.kernel.part(solution.x).abs().max()) < 1e-12
