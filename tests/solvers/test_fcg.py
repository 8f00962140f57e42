"""Flexible conjugate gradients: equals CG for a fixed M, converges where CG stalls, breakdowns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse.linalg as sl
import torch
from solvers.systems import (
    dense,
    diffusion,
    energy,
    function,
    inverse,
    iterates,
    noise,
    noisy,
    random_predictor,
    smoother,
)

from sciops.core.errors import NotPositiveDefinite
from sciops.core.linear import CallableMap, DenseMap, DiagonalMap, as_linear_map
from sciops.core.solver import Status
from sciops.solvers.cg import CG
from sciops.solvers.fcg import FCG


@pytest.mark.parametrize("start", [None, 1])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_gives_the_iterates_of_cg_for_a_fixed_symmetric_m(preconditioned, start):
    A, b = diffusion(8, contrast=4.0), noise(3, 8, 11)
    given = dict(M=smoother(A) if preconditioned else None)
    given |= dict(x0=None if start is None else noise(8, 11, seed=start))
    plain, xs, rs = iterates(CG(rtol=1e-8), A, b, **given)
    flexible, ys, ss = iterates(FCG(rtol=1e-8), A, b, **given)
    assert int((flexible.iterations - plain.iterations).abs().max()) <= 1
    for x, y, r, s in zip(xs[:20], ys[:20], rs[:20], ss[:20], strict=True):
        torch.testing.assert_close(y, x, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(s, r, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("rtol", [1e-6, 1e-10])
def test_takes_the_iterations_of_scipy(rtol):
    A = diffusion()
    b, M, count = noise(*A.shape), DiagonalMap(1 / A.diagonal()), []
    operators = A.as_linear_operator(), M.as_linear_operator()
    sl.cg(operators[0], b.numpy().ravel(), rtol=rtol, M=operators[1], callback=count.append)
    assert abs(int(FCG(rtol=rtol).solve(A, b, M=M).check().iterations) - len(count)) <= 1


@pytest.mark.parametrize("level", [0.1, 0.3])
def test_noisy_m_converges_where_fletcher_reeves_stalls(level):
    """CG believes the false tags; its beta is that of Fletcher and Reeves."""
    A, b = diffusion(16), noise(16, 19)
    tagged = noisy(inverse(A), level)
    tagged.symmetric = tagged.positive = True
    stalled = CG(rtol=1e-10, maxiter=60).solve(A, b, M=tagged)
    flexible = FCG(rtol=1e-10, maxiter=60).solve(A, b, M=noisy(inverse(A), level))
    assert stalled.status is Status.MAX_ITERATIONS and stalled.residual > 1e-9
    assert flexible.status is Status.CONVERGED and int(flexible.iterations) <= 25


def test_float32_m_costs_no_iteration():
    """An M in float32 inside a loop in float64, down to 1e-12."""
    A, b = diffusion(16, contrast=1e4), noise(16, 19)
    M = DenseMap(torch.linalg.inv(dense(A)) + 0.5 * torch.diag(1 / dense(A).diagonal()), A.shape)
    half = M.to(dtype=torch.float32)
    low = function(A, lambda r: half.matvec(r.float()).double())
    full = FCG(rtol=1e-12).solve(A, b, M=M).check()
    single = FCG(rtol=1e-12).solve(A, b, M=low).check()
    assert abs(int(single.iterations) - int(full.iterations)) <= 1


@pytest.mark.parametrize("kind", ["nonsymmetric", "nonlinear"])
def test_m_of_any_kind_helps(kind):
    A, b = diffusion(16), noise(16, 19)
    M = smoother(A, 6)
    calls = {
        "nonsymmetric": lambda r: M.matvec(r) * torch.linspace(0.5, 2.0, 19, dtype=r.dtype),
        "nonlinear": lambda r: M.matvec(r) * (1 + 0.3 * torch.tanh(r / r.norm())),
    }
    plain = CG(rtol=1e-8).solve(A, b).check()
    solution = FCG(rtol=1e-8).solve(A, b, M=function(A, calls[kind])).check()
    assert int(solution.iterations) < 0.7 * int(plain.iterations)


def test_scale_and_sign_of_m_do_not_matter():
    A, b = diffusion(12), noise(12, 15)
    M = smoother(A)
    plain = FCG(rtol=1e-8).solve(A, b, M=M).check()
    for factor in (1e-8, -1.0, 1e8):
        other = FCG(rtol=1e-8).solve(A, b, M=function(A, lambda r, c=factor: c * M.matvec(r)))
        assert other.check().iterations == plain.iterations
        torch.testing.assert_close(other.x, plain.x, rtol=1e-6, atol=1e-9)


def test_energy_of_the_error_never_grows():
    A = diffusion(8)
    exact = noise(*A.shape)
    _, xs, _ = iterates(FCG(rtol=1e-6, maxiter=80), A, A @ exact, M=random_predictor(A))
    errors = [energy(A, exact)] + [energy(A, x - exact) for x in xs]
    assert len(xs) == 80 and all(b <= a * (1 + 1e-10) for a, b in pairwise(errors))


def test_neighbouring_directions_are_conjugate_for_a_nonlinear_m():
    A = diffusion(10)
    _, xs, _ = iterates(FCG(rtol=1e-9), A, noise(*A.shape), M=noisy(smoother(A), 0.2))
    steps = [b - a for a, b in pairwise(xs)]
    for p, q in pairwise(steps[:30]):
        assert abs(float((p * (A @ q)).sum())) <= 1e-8 * energy(A, p) * energy(A, q)


def test_frozen_right_hand_sides_stay_what_they_are_alone():
    A = diffusion(12)
    b = A @ noise(3, *A.shape)
    x0 = torch.stack([torch.zeros(A.shape), noise(3, *A.shape)[1] + 1e-4, torch.zeros(A.shape)])
    b[2] = 0
    M = smoother(A)
    together = FCG().solve(A, b, x0=x0, M=M).check()
    for i in range(3):
        alone = FCG().solve(A, b[i], x0=x0[i], M=M)
        assert int(alone.iterations) == int(together.iterations[i])
        torch.testing.assert_close(together.x[i], alone.x, rtol=1e-9, atol=1e-10)


def test_only_a_needs_tags():
    A, bad = as_linear_map(np.eye(4), symmetric=True, positive=True), as_linear_map(np.eye(4))
    b = torch.ones(4, dtype=torch.float64)
    FCG().solve(A, b, M=bad).check()
    with pytest.raises(NotPositiveDefinite, match="need A"):
        FCG().solve(bad, b)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("zero", 0.0, Status.BREAKDOWN),
        ("nan", float("nan"), Status.NON_FINITE),
        ("inf", float("inf"), Status.NON_FINITE),
    ],
)
def test_m_without_a_direction_is_a_status(name, value, status):
    A, b, calls = diffusion(6), noise(6, 9), []

    def fails_at_the_third(r):
        calls.append(1)
        return torch.full_like(r, value) if len(calls) == 3 else r

    solution = FCG().solve(A, b, M=function(A, fails_at_the_third))
    assert solution.status is status and int(solution.iterations) == 2
    torch.testing.assert_close(solution.x, CG(maxiter=2).solve(A, b).x, rtol=1e-12, atol=1e-14)


def test_m_that_is_orthogonal_to_the_residual_is_a_breakdown():
    A = as_linear_map(np.diag([1.0, 2.0]), symmetric=True, positive=True)
    turn = CallableMap(lambda r: torch.stack([-r[..., 1], r[..., 0]], -1), (2,), torch.float64)
    solution = FCG().solve(A, torch.tensor([1.0, 0.5]).double(), M=turn)
    assert solution.status is Status.BREAKDOWN and not solution.x.any()


def test_one_bad_row_of_m_stays_where_it_is():
    A, b = diffusion(6), noise(3, 6, 9)

    def spoils_the_second(r):
        z = r.clone()
        z[1] = float("nan")
        return z

    solution = FCG().solve(A, b, M=function(A, spoils_the_second))
    assert [s.name for s in solution.statuses] == ["CONVERGED", "NON_FINITE", "CONVERGED"]
    torch.testing.assert_close(solution.x[::2], FCG().solve(A, b[::2]).x, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("solver", [CG(), FCG()], ids=lambda s: s.kind)
def test_residuals_that_the_callback_sees_stay_finite(solver):
    """The second right-hand side gets NaN from A in the third product, and is frozen."""
    A, b, calls = diffusion(6), noise(2, 6, 9), []

    def spoils_the_second(x):
        calls.append(1)
        y = A.matvec(x)
        if len(calls) >= 3:
            y[1] = float("nan")
        return y

    bad = CallableMap(spoils_the_second, A.shape, A.dtype, symmetric=True, positive=True)
    solution, xs, rs = iterates(solver, bad, b)
    assert [s.name for s in solution.statuses] != ["CONVERGED", "CONVERGED"]
    assert all(v.isfinite().all() for v in (*xs, *rs)) and solution.iterations[1] == 2


def test_indefinite_matrix_is_a_breakdown():
    d = torch.tensor([-1.0, 2.0, 3.0], dtype=torch.float64)
    A = as_linear_map(torch.diag(d), None, symmetric=True, positive=True)
    solution = FCG().solve(A, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    assert solution.status is Status.BREAKDOWN and not solution.x.any()


def test_tolerance_below_rounding_is_stagnation():
    A = diffusion(contrast=1e4).to(dtype=torch.float32)
    solution = FCG(rtol=1e-9).solve(A, noise(20, 23, dtype=torch.float32))
    assert solution.status is Status.STAGNATION and solution.residual < 1e-3
