"""Gradients by the adjoint solve: against finite differences, dense algebra, and in every mode."""

from __future__ import annotations

import pytest
import torch
from solvers.systems import function, noise
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from sciops.core.adjoint import differentiable_solve
from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import SciopsError
from sciops.core.linear import CallableMap, DenseMap, DiagonalMap, SparseMap, as_linear_map
from sciops.core.solver import Status
from sciops.solvers.cg import CG
from sciops.solvers.conjugate_directions import ConjugateDirections
from sciops.solvers.direct import Direct
from sciops.solvers.fcg import FCG
from sciops.solvers.jacobi import Jacobi
from sciops.solvers.multigrid import Multigrid

TIGHT = CG(rtol=1e-13)
SOLVERS = [
    TIGHT,
    FCG(rtol=1e-13),
    ConjugateDirections(rtol=1e-13),
    Jacobi(rtol=1e-13, maxiter=1000),
    Direct(),
]


def faces(seed=0, *batch):
    """Conductances of a 2 x 3 box, all positive."""
    generator = torch.Generator().manual_seed(seed)
    return [
        0.5 + torch.rand(*batch, *shape, generator=generator, dtype=torch.float64)
        for shape in ((3, 3), (2, 4))
    ]


def leaf(v):
    return v.clone().requires_grad_()


def solve(b, *t, solver=TIGHT, **given):
    return differentiable_solve(solver, DiffusionMap(t), b, **given).check().x


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: s.kind)
def test_gradients_with_respect_to_b_and_the_conductances(solver):
    inputs = [leaf(v) for v in (noise(2, 2, 3), *faces())]
    fast = solver is not TIGHT  # one random direction instead of each entry
    assert gradcheck(lambda b, *t: solve(b, *t, solver=solver), inputs, fast_mode=fast)


def test_gradients_of_a_stack_of_matrices_for_one_b():
    inputs = [leaf(v) for v in (noise(2, 3), *faces(0, 2))]
    assert gradcheck(solve, inputs)


def test_gradients_of_a_dense_matrix_are_those_of_dense_algebra():
    factor, b = leaf(noise(6, 6)), leaf(noise(3, 6, seed=1))
    matrix = factor @ factor.T + torch.eye(6)
    x = differentiable_solve(TIGHT, DenseMap(matrix, None, True, True), b).check().x
    exact = torch.linalg.solve(matrix, b.T).T
    torch.testing.assert_close(x, exact)
    weights = noise(3, 6, seed=2)
    ours = torch.autograd.grad((weights * x).sum(), (factor, b), retain_graph=True)
    theirs = torch.autograd.grad((weights * exact).sum(), (factor, b))
    for a, c in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, c)


def test_gradients_of_the_entries_of_a_sparse_matrix():
    pattern = DiffusionMap(faces()).sparse().tocsr()
    pointers, columns = torch.from_numpy(pattern.indptr), torch.from_numpy(pattern.indices)
    place = torch.from_numpy(pattern.toarray()).nonzero()
    lower = place[:, 0] * 6 + place[:, 1]
    mirror = place[:, 1] * 6 + place[:, 0]
    twin = torch.searchsorted(lower, mirror)

    def x(values, b):
        symmetric = (values + values[twin]) / 2
        with torch.sparse.check_sparse_tensor_invariants():
            csr = torch.sparse_csr_tensor(pointers, columns, symmetric, (6, 6))
        return differentiable_solve(TIGHT, SparseMap(csr, None, True, True), b).check().x

    assert gradcheck(x, [leaf(torch.from_numpy(pattern.data)), leaf(noise(6))])


def test_gradients_of_a_pure_neumann_problem():
    inner = [faces()[0][1:-1].clone(), faces()[1][:, 1:-1].clone()]

    def x(b, first, second):
        closed = torch.zeros(1, 3).double(), torch.zeros(2, 1).double()
        t = torch.cat([closed[0], first, closed[0]]), torch.cat([closed[1], second, closed[1]], 1)
        return solve(b, *t)

    assert gradcheck(x, [leaf(v) for v in (noise(2, 2, 3), *inner)])
    b = leaf(noise(2, 3))
    (g,) = torch.autograd.grad((noise(2, 3, seed=1) * x(b, *inner)).sum(), b)
    assert abs(float(g.mean())) <= 1e-12 * float(g.abs().max())


def test_x_and_the_report_are_those_of_solve():
    A, b = DiffusionMap(faces()), leaf(noise(2, 2, 3))
    plain, solution = CG().solve(A, b), differentiable_solve(CG(), A, b)
    assert torch.equal(solution.x, plain.x) and solution.x.requires_grad
    assert torch.equal(solution.residual, plain.residual)
    assert solution.statuses == plain.statuses


def test_nothing_to_differentiate_builds_no_graph():
    assert not differentiable_solve(CG(), DiffusionMap(faces()), noise(2, 3)).x.requires_grad


def test_graph_holds_one_product_and_no_iteration():
    A, inside = DiffusionMap([leaf(t) for t in faces()]), []

    def product(x):
        inside.append(torch.is_grad_enabled())
        return A.matvec(x)

    counted = CallableMap(product, A.shape, A.dtype, symmetric=True, positive=True)
    solution = differentiable_solve(CG(rtol=1e-10), counted, noise(2, 3))
    solution.x.sum().backward()
    assert sum(inside) == 1 and len(inside) > 2 * int(solution.iterations)
    assert all(t.grad.abs().sum() > 0 for t in A.conductances)


def test_preconditioner_is_set_up_once_and_serves_both_solves():
    calls = {"setup": 0, "matvec": 0}

    class Counting:
        def setup(self, A):
            calls["setup"] += 1
            weights = 1 / A.diagonal()

            def call(r):
                calls["matvec"] += 1
                return weights * r

            return function(A, call, symmetric=True, positive=True)

    b = leaf(noise(2, 3))
    t = [leaf(v) for v in faces()]
    x = solve(b, *t, M=Counting(), solver=CG(rtol=1e-10))
    forward = calls["matvec"]
    (x**2).sum().backward()
    assert calls["setup"] == 1 and calls["matvec"] > forward


def test_start_gets_no_gradient():
    b, x0 = leaf(noise(2, 3)), leaf(noise(2, 3, seed=1))
    solve(b, *faces(), x0=x0).sum().backward()
    assert x0.grad is None and b.grad.abs().sum() > 0


def test_derivatives_with_respect_to_b_of_any_order_and_mode():
    t, b = faces(), leaf(noise(2, 2, 3))
    assert gradgradcheck(lambda b: solve(b, *t) ** 3, [b], fast_mode=True)
    A = DiffusionMap(t)
    exact = torch.linalg.inv(torch.from_numpy(A.sparse().toarray()))
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        J = jacobian(lambda v: solve(v, *t))(noise(2, 3)).reshape(6, 6)
        torch.testing.assert_close(J, exact)
    hessian = torch.func.hessian(lambda v: (solve(v, *t) ** 2).sum())(noise(2, 3)).reshape(6, 6)
    torch.testing.assert_close(hessian, 2 * exact @ exact)


def test_forward_derivatives_of_the_conductances():
    inputs = [leaf(v) for v in (noise(2, 2, 3), *faces())]
    assert gradcheck(solve, inputs, check_forward_ad=True, fast_mode=True)
    b, t, dt = noise(2, 3), faces(), faces(5)
    _, dx = torch.func.jvp(lambda *t: solve(b, *t), tuple(t), tuple(dt))
    h = 1e-6
    ahead, behind = ([v + s * d for v, d in zip(t, dt, strict=True)] for s in (h, -h))
    difference = (solve(b, *ahead) - solve(b, *behind)) / (2 * h)
    torch.testing.assert_close(dx, difference, rtol=1e-6, atol=1e-8)


def test_forward_derivatives_beside_a_preconditioner_that_works_in_place():
    b, db = noise(2, 24, 24)
    A = DiffusionMap.from_coefficient(noise(24, 24).abs() + 0.5, (1 / 24,) * 2, "cell")
    _, dx = torch.func.jvp(
        lambda v: differentiable_solve(CG(rtol=1e-10), A, v, M=Multigrid()).x, (b,), (db,)
    )
    torch.testing.assert_close(A.matvec(dx), db, rtol=1e-7, atol=1e-7)


def test_second_derivatives_of_the_matrix_are_refused_and_never_wrong():
    b, t = noise(2, 3), [leaf(v) for v in faces()]
    (g,) = torch.autograd.grad((solve(b, *t) ** 2).sum(), t[0], create_graph=True)
    with pytest.raises(SciopsError, match="respect to b only"):
        g.sum().backward()

    def slope(t0):
        return torch.func.jvp(lambda v: solve(b, v, t[1].detach()), (t0,), (t0,))[1]

    t0 = t[0].detach()
    with pytest.raises(SciopsError, match="respect to b only"):
        torch.func.jvp(slope, (t0,), (t0,))


def test_gradient_of_float32_is_float32():
    b = leaf(noise(2, 3).float())
    t = [leaf(v.float()) for v in faces()]
    solve(b, *t, solver=CG(rtol=1e-5)).sum().backward()
    assert b.grad.dtype == t[0].grad.dtype == torch.float32
    exact = leaf(noise(2, 3))
    solve(exact, *faces()).sum().backward()
    torch.testing.assert_close(b.grad.double(), exact.grad, rtol=1e-3, atol=1e-4)


def test_a_matrix_that_is_not_symmetric_is_refused():
    with pytest.raises(SciopsError, match="need a symmetric A"):
        differentiable_solve(Direct(), as_linear_map(torch.eye(3)), torch.ones(3))


def test_gradient_solve_that_ends_worse_is_an_error():
    A, x = DiagonalMap(torch.tensor([1.0, 2.0, 5.0]).double()), torch.ones(3).double()
    b = leaf(A @ x)
    solution = differentiable_solve(CG(maxiter=1), A, b, x0=x).check()
    with pytest.raises(SciopsError, match="MAX_ITERATIONS"):
        solution.x.sum().backward()


def test_truncated_solve_has_a_truncated_gradient():
    A, b = DiffusionMap(faces()), leaf(noise(2, 3))
    solution = differentiable_solve(CG(maxiter=2), A, b)
    assert solution.status is Status.MAX_ITERATIONS
    weights = noise(2, 3, seed=1)
    (weights * solution.x).sum().backward()
    torch.testing.assert_close(b.grad, CG(maxiter=2).solve(A, weights).x)


def test_dual_numbers_are_told_from_constants():
    with forward_ad.dual_level():
        b = forward_ad.make_dual(noise(2, 3), noise(2, 3, seed=1))
        x = solve(b, *faces())
        tangent = forward_ad.unpack_dual(x).tangent
    torch.testing.assert_close(tangent, solve(noise(2, 3, seed=1), *faces()))
