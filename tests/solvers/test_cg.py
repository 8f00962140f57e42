"""Conjugate gradients beyond the contract: scipy's iterations, tags, tolerances, freezing."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse.linalg as sl
import torch

from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import ConfigError, NotPositiveDefinite, SciopsError, ShapeError
from sciops.core.linear import CallableMap, DenseMap, DiagonalMap, SparseMap, as_linear_map
from sciops.core.solver import Status
from sciops.solvers.cg import CG
from sciops.solvers.jacobi import Jacobi


def diffusion(n=20, contrast=100.0, seed=0):
    """A rough medium on n x (n + 3) cells."""
    a = torch.from_numpy(contrast ** np.random.default_rng(seed).random((n, n + 3)))
    return DiffusionMap.from_coefficient(a, (1 / n, 1 / (n + 3)), "cell")


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-10])
@pytest.mark.parametrize("jacobi", [False, True])
def test_takes_the_iterations_of_scipy(rtol, jacobi):
    A = diffusion()
    b = noise(*A.shape)
    M = DiagonalMap(1 / A.diagonal()) if jacobi else None
    count = []
    y, info = sl.cg(
        A.as_linear_operator(),
        b.numpy().ravel(),
        rtol=rtol,
        M=None if M is None else M.as_linear_operator(),
        callback=count.append,
    )
    solution = CG(rtol=rtol).solve(A, b, M=M).check()
    assert info == 0 and abs(int(solution.iterations) - len(count)) <= 1
    np.testing.assert_allclose(
        solution.x.numpy().ravel(), y, rtol=0, atol=20 * rtol * np.abs(y).max()
    )


def test_preconditioner_that_inverts_takes_one_iteration():
    A = diffusion(6)
    inverse = DenseMap(
        torch.linalg.inv(torch.from_numpy(A.sparse().toarray())), A.shape, True, True
    )
    solution = CG(rtol=1e-8).solve(A, noise(*A.shape), M=inverse)
    assert solution.status is Status.CONVERGED and int(solution.iterations) == 1


def test_preconditioner_may_be_set_up_from_the_matrix():
    class Jacobi:
        def setup(self, A):
            return DiagonalMap(1 / A.diagonal())

    A, b = diffusion(), noise(20, 23)
    given = CG().solve(A, b, M=DiagonalMap(1 / A.diagonal()))
    assert torch.equal(CG().solve(A, b, M=Jacobi()).x, given.x)


def test_exact_start_takes_no_iteration():
    A, x = diffusion(), noise(20, 23)
    solution = CG().solve(A, A @ x, x0=x)
    assert int(solution.iterations) == 0 and torch.equal(solution.x, x)


def test_each_right_hand_side_stops_by_itself():
    A = diffusion(contrast=2.0)
    x = noise(3, *A.shape)
    b = A @ x
    start = torch.stack([x[0], x[1] + 1e-4 * noise(*A.shape, seed=1), torch.zeros(A.shape)])
    solution = CG(rtol=1e-6).solve(A, b, x0=start)
    alone = [CG(rtol=1e-6).solve(A, b[i], x0=start[i]) for i in range(3)]
    assert solution.iterations.tolist() == [int(s.iterations) for s in alone]
    assert 0 == solution.iterations[0] < solution.iterations[1] < solution.iterations[2]
    for i, s in enumerate(alone):
        torch.testing.assert_close(solution.x[i], s.x, rtol=1e-9, atol=1e-10)


def test_stack_of_matrices():
    t = [diffusion(contrast=2.0, seed=s) for s in (0, 1)]
    A = DiffusionMap([torch.stack(pair) for pair in zip(*(m.conductances for m in t), strict=True)])
    assert A.batch == (2,)
    b = noise(20, 23)
    solution = CG().solve(A, b).check()
    for i in (0, 1):
        torch.testing.assert_close(solution.x[i], CG().solve(t[i], b).x, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("power", [-660, -27, 27, 660])
def test_a_power_of_two_in_b_changes_no_bit(power):
    A, b = diffusion(), noise(20, 23)
    plain, scaled = CG().solve(A, b), CG().solve(A, 2.0**power * b)
    assert int(scaled.iterations) == int(plain.iterations)
    assert torch.equal(scaled.x / 2.0**power, plain.x)


def test_small_fields_do_not_underflow_in_float32():
    A = diffusion().to(dtype=torch.float32)
    b = 1e-30 * noise(20, 23, dtype=torch.float32)
    solution = CG(rtol=1e-4).solve(A, b)
    assert solution.status is Status.CONVERGED and solution.residual <= 1.001e-4
    assert solution.residual_dtype == torch.float64


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_absolute_tolerance_has_the_unit_of_b(scale):
    A, b = diffusion(), noise(20, 23)
    atol = 1e-3 * scale * float(b.norm())
    solution = CG(rtol=0.0, atol=atol).solve(A, scale * b)
    assert int(solution.iterations) == int(CG(rtol=1e-3).solve(A, b).iterations)
    assert float((scale * b - A @ solution.x).norm()) <= 1.000001 * atol


def test_tolerance_below_rounding_is_stagnation():
    A = diffusion(contrast=1e4).to(dtype=torch.float32)
    b = noise(20, 23, dtype=torch.float32)
    solution = CG(rtol=1e-9).solve(A, b)
    assert solution.status is Status.STAGNATION
    assert 1e-9 < solution.residual < 1e-3 and int(solution.iterations) < 4600


def test_drift_of_the_recurrence_is_corrected():
    """From a start of 1e8 the recurrence alone claims 1e-10 where b - A x is larger."""
    A = diffusion()
    b, start, drift = noise(*A.shape), 1e8 * noise(*A.shape, seed=1), []
    solver = CG(rtol=1e-10)
    solution = solver.solve(
        A, b, x0=start, callback=lambda k, x, r: drift.append(float((b - A @ x - r).norm()))
    )
    assert max(drift) > 1e-10 * float(b.norm())
    assert solution.status is Status.CONVERGED and solution.residual <= 1e-10


def test_few_iterations_are_a_status_and_check_raises():
    A, b = diffusion(), noise(2, 20, 23)
    solution = CG(maxiter=3).solve(A, b)
    assert solution.statuses == (Status.MAX_ITERATIONS,) * 2
    assert solution.iterations.tolist() == [3, 3]
    with pytest.raises(SciopsError, match="2 of 2 .* maxiter"):
        solution.check()


@pytest.mark.parametrize("tags", [(False, False), (True, False), (False, True)])
def test_untagged_maps_are_refused(tags):
    good = as_linear_map(np.eye(4), symmetric=True, positive=True)
    bad = as_linear_map(np.eye(4), symmetric=tags[0], positive=tags[1])
    b = torch.ones(4, dtype=torch.float64)
    with pytest.raises(NotPositiveDefinite, match="need A"):
        CG().solve(bad, b)
    with pytest.raises(NotPositiveDefinite, match="preconditioner M"):
        CG().solve(good, b, M=bad)


def test_indefinite_preconditioner_is_a_breakdown():
    A = diffusion(6)
    M = CallableMap(lambda r: -r, A.shape, torch.float64, symmetric=True, positive=True)
    solution = CG().solve(A, noise(*A.shape), M=M)
    assert solution.status is Status.BREAKDOWN and solution.x.isfinite().all()


def test_indefinite_matrix_is_a_breakdown():
    """b is an eigenvector of the eigenvalue -1: one step would give the exact but false answer."""
    d = torch.tensor([-1.0, 2.0, 3.0], dtype=torch.float64)
    A = as_linear_map(torch.diag(d), None, symmetric=True, positive=True)
    solution = CG().solve(A, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    assert solution.status is Status.BREAKDOWN and not solution.x.any()
    assert "not symmetric positive definite" in solution.status.value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_from_the_matrix_keeps_the_last_finite_iterate(value):
    A, b, calls = diffusion(6), noise(6, 9), []

    def fails_at_the_third(x):
        calls.append(1)
        return A.matvec(x) + (value if len(calls) == 3 else 0.0)

    bad = CallableMap(fails_at_the_third, A.shape, torch.float64, symmetric=True, positive=True)
    solution = CG().solve(bad, b)  # one product a step, none for x0 = 0
    assert solution.status is Status.NON_FINITE and int(solution.iterations) == 2
    torch.testing.assert_close(solution.x, CG(maxiter=2).solve(A, b).x, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_matrix_of_nan_is_told_even_where_no_step_is_needed(value):
    A = DenseMap(torch.diag(torch.tensor([value, 1.0])), (2,), symmetric=True, positive=True)
    assert CG(atol=10.0).solve(A, torch.ones(2)).status is Status.NON_FINITE


def test_nan_from_the_preconditioner_keeps_the_last_finite_iterate():
    A, calls = diffusion(6), []

    def fails_at_the_third(r):
        calls.append(1)
        return r * float("nan") if len(calls) == 3 else r

    M = CallableMap(fails_at_the_third, A.shape, torch.float64, symmetric=True, positive=True)
    b = noise(*A.shape)
    solution = CG().solve(A, b, M=M)
    assert solution.status is Status.NON_FINITE and int(solution.iterations) == 2
    torch.testing.assert_close(solution.x, CG(maxiter=2).solve(A, b).x, rtol=1e-12, atol=1e-14)


def test_callback_sees_each_iterate_in_the_unit_of_x():
    A, b = diffusion(), 1e3 * noise(20, 23)
    seen = []
    solution = CG().solve(A, b, callback=lambda k, x, r: seen.append((k, (b - A @ x - r).norm())))
    assert [k for k, _ in seen] == list(range(1, int(solution.iterations) + 1))
    assert max(error for _, error in seen) <= 1e-9 * b.norm()


def test_type_of_the_reported_residual_is_said():
    b = noise(20, 23, dtype=torch.float32)
    A = diffusion().to(dtype=torch.float32)
    wrapped = CallableMap(A.matvec, A.shape, torch.float32, symmetric=True, positive=True)
    assert CG(rtol=1e-3).solve(A, b).residual_dtype == torch.float64
    assert CG(rtol=1e-3).solve(wrapped, b).residual_dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda A, b: CG().solve(A.sparse(), b), "as_linear_map"),
        (lambda A, b: CG().solve(A, b, M=sl.aslinearoperator(A.sparse())), "M must be a LinearMap"),
        (lambda A, b: CG().solve(A, b, M=Jacobi), r"write Jacobi\(\)"),
        (lambda A, b: CG().solve(A, b.numpy()), "b must be a torch tensor"),
        (lambda A, b: CG().solve(A, b.repeat(2, 1, 1), x0=b.repeat(3, 1, 1)), "do not broadcast"),
        (lambda A, b: CG().solve(A, b[:3]), "b must end in"),
        (lambda A, b: CG().solve(A, b.float()), "float32"),
        (lambda A, b: CG().solve(A, b, x0=b.T), "x0 must end in"),
        (lambda A, b: CG().solve(A, b, M=DiagonalMap(torch.ones(3).double())), "M must act"),
    ],
)
def test_misuse_is_told(call, words):
    with pytest.raises(ShapeError, match=words):
        call(diffusion(), noise(20, 23))


def test_a_preconditioner_has_no_tolerance():
    with pytest.raises(ConfigError, match="leave out rtol of Jacobi"):
        CG().solve(diffusion(), noise(20, 23), M=Jacobi(rtol=1e-3))


def test_an_operator_of_scipy_preconditions_in_float32():
    A, b = diffusion().to(dtype=torch.float32), noise(20, 23, dtype=torch.float32)
    d = A.diagonal()
    operator = sl.LinearOperator((460, 460), lambda r: r.ravel() / d.numpy().ravel(), dtype=float)
    M = as_linear_map(operator, A.shape, True, True, dtype=torch.float32, diagonal=1 / d)
    ours, same = CG(rtol=1e-4).solve(A, b, M=M).check(), CG(rtol=1e-4).solve(A, b, M=Jacobi())
    assert torch.equal(M.diagonal(), 1 / d) and abs(int(ours.iterations - same.iterations)) <= 1


def test_sparse_matrix_gives_the_same_iterates():
    A, b = diffusion(contrast=2.0), noise(2, 20, 23)
    matrix = SparseMap.from_scipy(A.sparse(), A.shape, symmetric=True, positive=True)
    one, two = CG(rtol=1e-9).solve(A, b), CG(rtol=1e-9).solve(matrix, b)
    assert one.iterations.tolist() == two.iterations.tolist()
    torch.testing.assert_close(one.x, two.x, rtol=1e-7, atol=1e-9)
