"""Conjugate directions: CG by another way, conjugacy, monotone error, and every bad prediction."""

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

from sciops.core.config import validate
from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import ConfigError, NotPositiveDefinite
from sciops.core.linear import CallableMap, DiagonalMap, as_linear_map
from sciops.core.solver import Status
from sciops.core.system import prepared
from sciops.solvers._krylov import State
from sciops.solvers.cg import CG
from sciops.solvers.conjugate_directions import ConjugateDirections
from sciops.solvers.fcg import FCG

WINDOWS = [0, 1, 2, 5, None]


def identity(A):
    return function(A, lambda r: r)


@pytest.mark.parametrize("given", [False, True], ids=["without M", "M = identity"])
@pytest.mark.parametrize("window", [1, 2, 5, None])
def test_identity_gives_the_iterates_of_cg(window, given):
    A, b = diffusion(8, contrast=4.0), noise(3, 8, 11)
    plain, xs, _ = iterates(CG(rtol=1e-8), A, b)
    solver = ConjugateDirections(rtol=1e-8, window=window)
    solution, ys, _ = iterates(solver, A, b, M=identity(A) if given else None)
    assert int((solution.check().iterations - plain.iterations).abs().max()) <= 1
    assert not solution.fallbacks.any()
    for x, y in zip(xs[:20], ys[:20], strict=True):
        torch.testing.assert_close(y, x, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("window", [1, 2, None])
@pytest.mark.parametrize("rtol", [1e-6, 1e-10])
def test_positive_definite_predictor_takes_the_iterations_of_scipy(rtol, window):
    A, count = diffusion(), []
    b, M = noise(*A.shape), DiagonalMap(1 / A.diagonal())
    operators = A.as_linear_operator(), M.as_linear_operator()
    sl.cg(operators[0], b.numpy().ravel(), rtol=rtol, M=operators[1], callback=count.append)
    solution = ConjugateDirections(rtol=rtol, window=window).solve(A, b, M=M).check()
    assert int(solution.iterations) <= len(count) + 1
    if window is not None:  # conjugacy to all directions takes fewer, against rounding
        assert int(solution.iterations) >= len(count) - 1


def test_answer_is_that_of_a_direct_solve():
    A, b = diffusion(), noise(2, 20, 23)
    solution = ConjugateDirections(rtol=1e-13).solve(A, b, M=smoother(A)).check()
    exact = torch.linalg.solve(dense(A), b.flatten(1).T).T.reshape(b.shape)
    assert float((solution.x - exact).norm() / exact.norm()) <= 1e-10


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e8])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_scale_of_b_does_not_matter_for_a_nonlinear_predictor(scale, dtype):
    A, b = diffusion(10).to(dtype=dtype), noise(10, 13, dtype=dtype)
    S = smoother(A)
    M = function(A, lambda r: S.matvec(r) * (1 + 0.5 * torch.tanh(3 * r)))  # not homogeneous
    solver = ConjugateDirections(rtol=1e-4)
    plain, scaled = solver.solve(A, b, M=M).check(), solver.solve(A, scale * b, M=M).check()
    assert abs(int(scaled.iterations) - int(plain.iterations)) <= 2
    torch.testing.assert_close(scaled.x / scale, plain.x, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("factor", [2.0**-600, -(2.0**-20), -1.0, 2.0**20, -(2.0**600)])
def test_a_power_of_two_in_b_or_in_the_predictor_changes_no_bit(factor):
    A, b = diffusion(10), noise(10, 13)
    M = smoother(A)
    plain = ConjugateDirections().solve(A, b, M=M)
    louder = function(A, lambda r: factor * M.matvec(r))
    for other in (
        ConjugateDirections().solve(A, b, M=louder).x,
        ConjugateDirections().solve(A, factor * b, M=M).x / factor,
    ):
        assert torch.equal(other, plain.x)


@pytest.mark.parametrize("factor", [-3e-8, 0.3, 7e8])
def test_scale_of_the_predictor_does_not_matter(factor):
    A, b = diffusion(10), noise(10, 13)
    M = smoother(A)
    plain = ConjugateDirections(rtol=1e-9).solve(A, b, M=M).check()
    louder = function(A, lambda r: factor * M.matvec(r))
    other = ConjugateDirections(rtol=1e-9).solve(A, b, M=louder).check()
    assert other.iterations == plain.iterations and not other.fallbacks.any()
    torch.testing.assert_close(other.x, plain.x, rtol=1e-7, atol=1e-9)


def test_predictor_sees_residuals_of_unit_norm():
    A, norms = diffusion(6), []
    M = function(A, lambda r: (norms.append(r.flatten(1).norm(dim=1)), r)[1])
    b = noise(2, 6, 9) * torch.tensor([1e-5, 1e5], dtype=torch.float64).reshape(2, 1, 1)
    ConjugateDirections(maxiter=10).solve(A, b, M=M)
    torch.testing.assert_close(torch.stack(norms), torch.ones(10, 2, dtype=torch.float64))


def defect_of_conjugacy(monkeypatch, solver, A, b, M):
    """The solution, and the largest |<p_i, A p_j>| / (||p_i||_A ||p_j||_A) over its windows."""
    seen, start, worst = [], ConjugateDirections.recurrence, []

    def recurrence(self, system):
        seen.append(start(self, system))
        return seen[-1]

    def look(k, x, r):
        *earlier, p = (d.p for d in seen[0].kept)
        image = A @ p
        worst.extend(
            abs(float((old * image).sum())) / (energy(A, old) * energy(A, p)) for old in earlier
        )

    monkeypatch.setattr(ConjugateDirections, "recurrence", recurrence)
    return solver.solve(A, b, M=M, callback=look), max(worst)


@pytest.mark.parametrize("window", [2, 5, None])
def test_directions_are_conjugate_over_the_window(window, monkeypatch):
    A = diffusion(8, contrast=1e4)
    solver = ConjugateDirections(rtol=1e-10, window=window, maxiter=60)
    b, M = noise(*A.shape), noisy(smoother(A), 0.5)
    solution, defect = defect_of_conjugacy(monkeypatch, solver, A, b, M)
    assert defect <= 1e-8 and not solution.fallbacks.any()


def test_second_pass_keeps_conjugacy_where_the_first_cancels(monkeypatch):
    """A predictor that repeats itself up to one part in 10^6."""
    A, last = diffusion(8), []

    def nearly_repeats(r):
        last.append(r if not last else last[0] + 1e-6 * r)
        return last[-1]

    solver = ConjugateDirections(rtol=1e-8, window=None, maxiter=40)
    b, M = noise(*A.shape), function(A, nearly_repeats)
    solution, defect = defect_of_conjugacy(monkeypatch, solver, A, b, M)
    assert defect <= 1e-12 and not solution.fallbacks.any()


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", ["random", "noisy", "relu"])
def test_energy_of_the_error_never_grows(kind, window):
    A = diffusion(8)
    exact = noise(*A.shape)
    M = {
        "random": random_predictor(A),
        "noisy": noisy(smoother(A), 1.0),
        "relu": function(A, torch.relu),
    }[kind]
    solver = ConjugateDirections(rtol=1e-6, maxiter=60, window=window)
    _, xs, _ = iterates(solver, A, A @ exact, M=M)
    errors = [energy(A, exact)] + [energy(A, x - exact) for x in xs]
    assert all(b <= a * (1 + 1e-10) for a, b in pairwise(errors)) and errors[-1] < errors[0]


@pytest.mark.parametrize("window", WINDOWS)
def test_every_window_solves(window):
    A, b = diffusion(10, contrast=4.0), noise(2, 10, 13)
    solver = ConjugateDirections(rtol=1e-8, window=window)
    solution = solver.solve(A, b, M=noisy(inverse(A), 0.2))
    assert solution.status is Status.CONVERGED
    assert int(solution.iterations.max()) <= (60 if window == 0 else 30)


@pytest.mark.parametrize("kind", ["random", "identity", "relu", "noisy"])
def test_full_window_ends_after_as_many_steps_as_unknowns(kind):
    matrix = noise(30, 30)
    A = as_linear_map(matrix @ matrix.T + torch.eye(30), symmetric=True, positive=True)
    M = {
        "random": random_predictor(A),
        "identity": identity(A),
        "relu": function(A, torch.relu),
        "noisy": noisy(inverse(A), 0.5),
    }[kind]
    b = noise(3, 30, seed=1)
    solution = ConjugateDirections(rtol=1e-9, window=None).solve(A, b, M=M).check()
    assert int(solution.iterations.max()) <= 30


def test_window_helps_a_noisy_predictor():
    """The measured order of the reference: the more directions, the fewer iterations."""
    A, b = diffusion(16), noise(16, 19)
    count = [
        int(
            ConjugateDirections(rtol=1e-8, window=window, maxiter=2000)
            .solve(A, b, M=noisy(smoother(A, 3), 0.3))
            .check()
            .iterations
        )
        for window in (0, 1, 5, None)
    ]
    assert count[0] > 1.5 * count[1] and count[1] > count[2] > count[3]


def test_equals_flexible_conjugate_gradients_with_a_window_of_one():
    A, b = diffusion(10), noise(10, 13)
    one, xs, _ = iterates(FCG(), A, b, M=noisy(smoother(A), 0.2))
    two, ys, _ = iterates(ConjugateDirections(window=1), A, b, M=noisy(smoother(A), 0.2))
    assert abs(int(one.check().iterations) - int(two.check().iterations)) <= 1
    for x, y in zip(xs[:15], ys[:15], strict=True):
        torch.testing.assert_close(y, x, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["smoother", "zero", "nan"])
def test_one_product_an_iteration(kind):
    A, calls = diffusion(10), []
    M = {
        "smoother": smoother(A),
        "zero": function(A, torch.zeros_like),
        "nan": function(A, lambda r: r * float("nan")),
    }[kind]

    def product(x):
        calls.append(1)
        return A.matvec(x)

    counted = CallableMap(product, A.shape, A.dtype, "cpu", True, True, A.diagonal())
    solution = ConjugateDirections().solve(counted, noise(10, 13), M=M).check()
    assert len(calls) <= int(solution.iterations) + 3  # at the start, the claim and the report


BAD = {
    "zero": torch.zeros_like,
    "nan": lambda r: torch.full_like(r, float("nan")),
    "inf": lambda r: torch.full_like(r, float("inf")),
    "one nan": lambda r: torch.cat([r[..., :-1], r[..., -1:] * float("nan")], -1),
}


@pytest.mark.parametrize("window", [0, 2, None])
@pytest.mark.parametrize("name", BAD)
def test_useless_prediction_is_replaced_by_the_scaled_residual(name, window):
    """Fallbacks alone are conjugate gradients with the diagonal as preconditioner."""
    A, b = diffusion(10), noise(2, 10, 13)
    solver = ConjugateDirections(window=window, maxiter=4000)
    solution = solver.solve(A, b, M=function(A, BAD[name])).check()
    assert torch.equal(solution.fallbacks, solution.iterations) and solution.x.isfinite().all()
    if window == 2:
        plain = CG().solve(A, b, M=DiagonalMap(1 / A.diagonal()))
        assert int((solution.iterations - plain.iterations).abs().max()) <= 1


def test_fallback_without_a_known_diagonal_is_the_residual():
    A, b = diffusion(10), noise(10, 13)
    hidden = CallableMap(A.matvec, A.shape, A.dtype, symmetric=True, positive=True)
    M = function(A, torch.zeros_like)
    solution = ConjugateDirections().solve(hidden, b, M=M).check()
    assert abs(int(solution.iterations) - int(CG().solve(A, b).iterations)) <= 1


@pytest.mark.parametrize("window", [0, 1, 2, None])
def test_repeated_direction_is_replaced(window):
    A, b = diffusion(10), noise(10, 13)
    direction = noise(10, 13, seed=5)
    solver = ConjugateDirections(window=window, maxiter=4000)
    solution = solver.solve(A, b, M=function(A, lambda r: direction.expand_as(r))).check()
    assert int(solution.fallbacks) > 0.3 * int(solution.iterations)
    if window is None:  # of use once, in the first step
        assert int(solution.fallbacks) == int(solution.iterations) - 1


def test_directions_in_the_span_of_the_window_are_replaced():
    """Fresh combinations of three directions: what is left of the fourth is rounding."""
    A, b = diffusion(10), noise(10, 13)
    basis, generator = noise(3, 10, 13, seed=5), torch.Generator().manual_seed(0)
    weights = (torch.randn(3, 1, 1, generator=generator, dtype=b.dtype) for _ in range(1000))
    M = function(A, lambda r: (next(weights) * basis).sum(0))
    solution = ConjugateDirections(window=None).solve(A, b, M=M).check()
    assert int(solution.fallbacks) == int(solution.iterations) - 3


def test_restart_empties_the_window_of_what_was_replaced():
    A, b = diffusion(10), noise(2, 10, 13)
    system = prepared(A, b, None, None)
    method, state = ConjugateDirections().recurrence(system), State.start(system, torch.zeros(2))
    method.step(state)
    kept = method.kept[0].p[0].clone()
    method.restart(torch.tensor([False, True]))
    direction = method.kept[0]
    assert torch.equal(direction.p[0], kept) and direction.image[0].any()
    assert not direction.p[1].any() and not direction.image[1].any()
    assert direction.curvature[1] == 1


def test_one_direction_without_window_is_of_use_once():
    """After the line search r is orthogonal to it: the loop of the paper divides 0 by 0 here."""
    A = as_linear_map(np.diag([1.0, 2.0, 4.0]), symmetric=True, positive=True)
    M = function(A, lambda r: torch.tensor([1.0, 0.0, 0.0]).double().expand_as(r))
    b = torch.tensor([1.0, 1.0, 1.0], dtype=torch.float64)
    solution = ConjugateDirections(window=2).solve(A, b, M=M).check()
    assert int(solution.fallbacks) == int(solution.iterations) - 1
    torch.testing.assert_close(solution.x, 1 / torch.tensor([1.0, 2.0, 4.0]).double())


def test_ascent_direction_is_turned_by_the_line_search():
    A, b = diffusion(10), noise(10, 13)
    solution = ConjugateDirections().solve(A, b, M=function(A, lambda r: -r)).check()
    assert not solution.fallbacks.any()
    assert int(solution.iterations) == int(ConjugateDirections().solve(A, b).iterations)


def test_direction_that_leads_nowhere_is_replaced():
    """q is orthogonal to r, in two unknowns."""
    A = as_linear_map(np.diag([1.0, 3.0]), symmetric=True, positive=True)
    turn = function(A, lambda r: torch.stack([-r[..., 1], r[..., 0]], -1))
    solution = ConjugateDirections().solve(A, torch.tensor([1.0, 0.5]).double(), M=turn).check()
    assert int(solution.fallbacks) >= 1 and int(solution.iterations) <= 3


def test_null_space_direction_of_a_singular_matrix_is_replaced():
    """No kernel is declared; b is consistent."""
    n = 40
    d = 2 * torch.eye(n) - torch.diag(torch.ones(n - 1), 1) - torch.diag(torch.ones(n - 1), -1)
    d[0, 0] = d[-1, -1] = 1.0
    A = as_linear_map(d.double(), symmetric=True, positive=True)
    b = A @ noise(n)
    solution = ConjugateDirections().solve(A, b, M=function(A, torch.ones_like)).check()
    assert torch.equal(solution.fallbacks, solution.iterations)


def test_each_right_hand_side_falls_back_by_itself():
    A, b = diffusion(10), noise(3, 10, 13)
    M = smoother(A)

    def spoils_the_second(r):
        z = M.matvec(r)
        if r.ndim == 3:
            z[1] = float("nan")
        return z

    together = ConjugateDirections().solve(A, b, M=function(A, spoils_the_second)).check()
    assert together.fallbacks.tolist() == [0, int(together.iterations[1]), 0]
    for i in (0, 2):
        alone = ConjugateDirections().solve(A, b[i], M=M)
        assert int(alone.iterations) == int(together.iterations[i])
        torch.testing.assert_close(together.x[i], alone.x, rtol=1e-9, atol=1e-11)


def test_bad_predictions_in_between_do_little_harm():
    A, b, calls = diffusion(16), noise(16, 19), []
    M = inverse(A)

    def sometimes(r):
        calls.append(1)
        return M.matvec(r) * float("nan") if len(calls) % 2 else noisy(M, 0.3).matvec(r)

    solution = ConjugateDirections(window=5).solve(A, b, M=function(A, sometimes)).check()
    assert int(solution.fallbacks) == (int(solution.iterations) + 1) // 2
    assert int(solution.iterations) < 0.5 * int(CG().solve(A, b).iterations)


def test_indefinite_matrix_is_a_breakdown():
    d = torch.tensor([-1.0, 2.0, 3.0], dtype=torch.float64)
    A = as_linear_map(torch.diag(d), None, symmetric=True, positive=True)
    b = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    for M in (None, function(A, torch.zeros_like), identity(A)):
        solution = ConjugateDirections().solve(A, b, M=M)
        assert solution.status is Status.BREAKDOWN and not solution.x.any()


def test_negative_curvature_of_a_prediction_alone_is_no_breakdown():
    """Only the fallback decides: here the residual never touches the negative eigenvalue."""
    d = torch.tensor([-1.0, 2.0, 3.0], dtype=torch.float64)
    A = as_linear_map(torch.diag(d), None, symmetric=True, positive=True)
    first = function(A, lambda r: torch.tensor([1.0, 0.1, 0.0]).double().expand_as(r))
    b = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
    solution = ConjugateDirections().solve(A, b, M=first).check()
    torch.testing.assert_close(solution.x, b / d)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_from_the_matrix_keeps_the_last_finite_iterate(value):
    A, b, calls = diffusion(6), noise(6, 9), []

    def fails_from_the_third(x):
        calls.append(1)
        return A.matvec(x) + (value if len(calls) >= 3 else 0.0)

    bad = CallableMap(fails_from_the_third, A.shape, A.dtype, symmetric=True, positive=True)
    solution = ConjugateDirections().solve(bad, b)  # one product a step, none for x0 = 0
    assert solution.status is Status.NON_FINITE and int(solution.iterations) == 2
    torch.testing.assert_close(solution.x, CG(maxiter=2).solve(A, b).x, rtol=1e-12, atol=1e-14)


def test_tolerance_below_rounding_restarts_and_is_stagnation():
    A = diffusion(contrast=1e4).to(dtype=torch.float32)
    solution = ConjugateDirections(rtol=1e-9).solve(A, noise(20, 23, dtype=torch.float32))
    assert solution.status is Status.STAGNATION and solution.residual < 1e-3


def test_drift_of_the_recurrence_is_corrected():
    A, b = diffusion(), noise(20, 23)
    start = 1e8 * noise(20, 23, seed=1)
    solution = ConjugateDirections(rtol=1e-10).solve(A, b, x0=start, M=smoother(A))
    assert solution.check().residual <= 1e-10


def test_a_and_the_window_are_checked():
    b = torch.ones(4, dtype=torch.float64)
    with pytest.raises(NotPositiveDefinite, match="need A"):
        ConjugateDirections().solve(as_linear_map(np.eye(4)), b)
    with pytest.raises(ConfigError, match="window"):
        validate(ConjugateDirections, {"window": -1})


def test_a_predictor_that_leads_nowhere_is_dropped_after_two_warnings():
    """M gives the Laplacian's worst directions; with patience the scaled residual takes over."""
    A = diffusion(24)
    b = noise(*A.shape)
    plain = int(CG(rtol=1e-8).solve(A, b).check().iterations)
    calls = []

    def cubed(r):
        calls.append(r)
        return A.matvec(A.matvec(A.matvec(r)))

    worst = function(A, cubed)
    settings = {"rtol": 1e-8, "maxiter": 40 * plain, "window": 2}
    lost = ConjugateDirections(**settings).solve(A, b, M=worst)
    calls.clear()
    saved = ConjugateDirections(**settings, patience=20).solve(A, b, M=worst).check()
    assert len(calls) == int(saved.iterations) - int(saved.fallbacks)
    assert int(lost.iterations) > 4 * int(saved.iterations) or lost.status is not Status.CONVERGED
    assert 0 < int(saved.fallbacks) < int(saved.iterations) <= 40 + 2 * plain
    good = ConjugateDirections(rtol=1e-8, patience=20).solve(A, b, M=smoother(A)).check()
    assert int(good.fallbacks) == 0


def test_when_the_predictor_is_dropped_conjugate_gradients_are_left_alone():
    """On a line the residual halves after N steps only: two warnings, and no more restarts."""
    A = DiffusionMap([torch.ones(701, dtype=torch.float64)])
    useless = function(A, lambda r: A.matvec(A.matvec(A.matvec(r))))
    solution = ConjugateDirections(patience=100).solve(A, noise(700), M=useless).check()
    assert int(solution.iterations) <= 950


def test_patience_is_for_each_right_hand_side():
    A = diffusion(24)
    b, exact = noise(2, *A.shape), inverse(A)

    def mixed(r):
        z = r.clone()
        z[0] = A.matvec(A.matvec(A.matvec(r[0])))
        z[1] = exact.matvec(r[1])
        return z

    solution = ConjugateDirections(rtol=1e-8, patience=15).solve(A, b, M=function(A, mixed)).check()
    assert int(solution.fallbacks[0]) > 0 and int(solution.fallbacks[1]) == 0
    assert int(solution.iterations[1]) <= 2
