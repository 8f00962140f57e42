"""Multigrid: Galerkin levels, a cycle that is symmetric positive definite, iterations flat in n."""

from __future__ import annotations

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.sparse.linalg import cg as scipy_cg

from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import NotPositiveDefinite, SciopsError
from sciops.core.linear import CallableMap, DenseMap, SparseMap
from sciops.core.solver import Status
from sciops.solvers._black_box import Entries, Parities
from sciops.solvers._v_cycle import Level, _Products, _Work
from sciops.solvers.cg import CG
from sciops.solvers.multigrid import Multigrid

EXACT = {"dtype": "float64", "coarsest": 4}  # as many levels as there can be
SHAPES = [(16, 16), (15, 17), (33, 6), (17,), (5, 6, 7)]


def waves(shape, seed=0):
    """A smooth random field, the same on every resolution, of about unit size."""
    rng = np.random.default_rng(seed)
    g = np.zeros(shape)
    for k in itertools.product(range(4), repeat=len(shape)):
        term = rng.standard_normal()
        for i, n in zip(k, shape, strict=True):
            axis = np.cos(np.pi * i * (np.arange(n) + 0.5) / n)
            term = np.multiply.outer(term, axis)
        g += term
    return torch.from_numpy(g - g.mean()) / max(g.std(), 1e-9)


def coefficient(kind, shape, seed=0):
    g = waves(shape, seed)
    if kind == "jump":
        return torch.where(g > 0.3, 1e4, 1.0).double()
    if kind == "lognormal":
        return 10.0 ** (0.8 * g.clamp(-2.5, 2.5))
    if kind == "rough":
        return torch.from_numpy(100 ** np.random.default_rng(seed).uniform(-1, 1, shape))
    return torch.ones(shape, dtype=torch.float64)


def diffusion(kind="lognormal", shape=(16, 16), seed=0, **settings) -> DiffusionMap:
    spacing = [1 / max(shape)] * len(shape)
    return DiffusionMap.from_coefficient(
        coefficient(kind, shape, seed), spacing, "cell", **settings
    )


def ball(shape):
    """A solid ball in the middle."""
    axes = [
        torch.linspace(-1, 1, n).reshape(-1, *[1] * (len(shape) - i - 1))
        for i, n in enumerate(shape)
    ]
    return sum(x**2 for x in axes) < 0.2


def noise(A, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(A.shape)).to(A.dtype)


def matrix(A) -> torch.Tensor:
    unit = torch.eye(A.size, dtype=A.dtype).reshape(-1, *A.shape)
    return A.matvec(unit).reshape(A.size, -1).T


def iterations(A, **settings) -> int:
    return int(
        CG(rtol=1e-6, maxiter=100).solve(A, noise(A), M=Multigrid(**settings)).check().iterations
    )


def prolongation(parts: Parities) -> torch.Tensor:
    """P (N, N_c)."""
    fine = torch.arange(math.prod(parts.shape)).reshape(parts.shape)
    coarse = torch.arange(math.prod(parts.packed_shape)).reshape(parts.packed_shape)
    P = torch.zeros(fine.numel(), coarse.numel(), dtype=torch.float64)
    for a, points in parts.views(fine):
        for corner, w in parts.weights[a].items():
            w = w.reshape(parts.packed_shape)
            for j in itertools.product(*(range(n) for n in points.shape)):
                even = tuple(i + k for i, k in zip(j, corner, strict=True))
                if all(i < n for i, n in zip(even, parts.packed_shape, strict=True)):
                    P[points[j], coarse[even]] += w[j]
                else:
                    assert w[j] == 0
    return P


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_coarse_operators_are_galerkin(shape):
    A = diffusion(
        "rough", shape, walls=[("neumann", "dirichlet")] * len(shape), obstacle=ball(shape)
    )
    stencil, labels = Entries.of(A), A.kernel.labels
    torch.testing.assert_close(stencil.dense(), torch.from_numpy(A.sparse().toarray()))
    for _ in range(2):
        parts = Parities(stencil, labels)
        P = prolongation(parts)
        assert float(P.min()) >= 0 and float(P.sum(1).max()) < 1 + 1e-14
        coarse = parts.galerkin()
        torch.testing.assert_close(coarse.dense(), P.T @ stencil.dense() @ P, rtol=1e-12, atol=1e-9)
        stencil, labels = coarse, labels[(..., *(slice(None, None, 2) for _ in shape))]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_prolongation_reproduces_constants_where_no_wall_acts(shape):
    stencil = Entries.of(diffusion("jump", shape, walls="neumann"))
    for _ in range(2):
        parts = Parities(stencil)
        ones = prolongation(parts).sum(1)
        torch.testing.assert_close(ones, torch.ones_like(ones), rtol=0, atol=1e-10)
        stencil = parts.galerkin()


@pytest.mark.parametrize("shape", [(40, 33), (12, 11, 10)], ids=str)
def test_prolongation_keeps_components_apart(shape):
    solid = torch.from_numpy(np.random.default_rng(0).random(shape) < 0.4)
    A = diffusion("rough", shape, walls="neumann", obstacle=solid)
    stencil, labels = Entries.of(A), A.kernel.labels
    for _ in range(3):
        parts = Parities(stencil, labels)
        even = labels[(..., *(slice(None, None, 2) for _ in shape))]
        rows, columns = prolongation(parts).nonzero(as_tuple=True)
        assert torch.equal(labels.flatten()[rows], even.flatten()[columns])
        stencil, labels = parts.galerkin(), even


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_restriction_is_the_transpose_of_prolongation(shape):
    parts = Parities(Entries.of(diffusion("rough", shape)))
    level = Level(parts, torch.float64)
    work = _Work(level, (), 1)
    for a in level.order:
        work.q[a].normal_()
    q = {a: work.q[a].clone() for a in level.order if a not in level.last}
    work.restrict.add()
    restricted, c = work.coarse.clone(), torch.randn(level.packed_shape, dtype=torch.float64)
    work.coarse.copy_(c)
    work.correct()
    forward = sum(float((q[a] * work.x[a]).sum()) for a in q)
    assert forward == pytest.approx(float((restricted * c).sum()), rel=1e-12)


def test_products_in_one_call_are_those_of_a_loop():
    """They read what earlier ones of the list have written."""
    start = torch.randn(30, dtype=torch.float64)
    results = []
    for in_one_call in (True, False):
        v, t = start.clone(), torch.arange(1.0, 6.0, dtype=torch.float64)
        steps = [k for k in range(5) for _ in range(2)]
        products = _Products([(v[5 * k + 5 : 5 * k + 10], t, v[5 * k : 5 * k + 5]) for k in steps])
        assert products.in_one_call
        products.in_one_call = in_one_call
        products.add()
        results.append(v)
    assert torch.equal(*results) and not torch.equal(results[0], start)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("kind", ["lognormal", "jump", "rough"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_symmetric_positive_definite_and_contracting(shape, kind, steps):
    A = diffusion(kind, shape, walls=[("dirichlet", "neumann")] * len(shape))
    M = Multigrid(smoothing_steps=steps, **EXACT).setup(A)
    assert M.symmetric and M.positive and M.kernel is None
    B = matrix(M)
    assert float((B - B.T).abs().max() / B.abs().max()) < 1e-13
    assert float(torch.linalg.eigvalsh((B + B.T) / 2)[0]) > 0
    half = torch.linalg.cholesky(matrix(A))
    values = torch.linalg.eigvalsh(half.T @ B @ half)
    assert float(values[0]) > (0.2 if kind == "lognormal" else 0) and float(values[-1]) < 1 + 1e-9


@pytest.mark.parametrize("shape", [(16, 16), (15, 18), (7, 6, 8)], ids=str)
def test_semi_definite_with_obstacles_in_a_closed_box(shape):
    solid = ball(shape)
    solid[shape[0] - 3] = True  # a wall that parts the box
    A = diffusion("rough", shape, walls="neumann", obstacle=solid)
    assert A.kernel.count == int(solid.sum()) + 2
    M = Multigrid(**EXACT).setup(A)
    off = matrix(CallableMap(A.kernel.project, A.shape, A.dtype))
    B = off @ matrix(M) @ off
    assert float((B - B.T).abs().max() / B.abs().max()) < 1e-12
    values = torch.linalg.eigvalsh(B)
    assert float(values[0]) > -1e-12 * float(values[-1])
    assert int((values > 1e-9 * values[-1]).sum()) == A.size - A.kernel.count
    x = A.kernel.project(noise(A))
    b = (A @ x) + 3.0 * A.kernel.part(noise(A, 1))  # with a part that A cannot reach
    solution = CG(rtol=1e-10).solve(A, b, M=Multigrid(coarsest=20)).check()
    torch.testing.assert_close(solution.x, x, rtol=0, atol=1e-7)
    assert not solution.x[solid].any()


def test_many_small_components_and_pores():
    solid = torch.from_numpy(np.random.default_rng(0).random((40, 40)) < 0.45)
    A = diffusion("rough", (40, 40), walls="neumann", obstacle=solid)
    assert int((A.kernel.sizes > 1).sum()) > 10
    x = A.kernel.project(noise(A))
    solution = CG(rtol=1e-10, maxiter=500).solve(A, A @ x, M=Multigrid(coarsest=20)).check()
    torch.testing.assert_close(solution.x, x, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "most"), [("flat", 7), ("lognormal", 8), ("jump", 12), ("rough", 20)]
)
def test_iterations_do_not_grow_with_the_grid(kind, most):
    counts = [iterations(diffusion(kind, (n, n))) for n in (33, 64, 130)]
    assert max(counts) <= most and (kind == "rough" or max(counts) - min(counts) <= 2)


def test_iterations_in_three_dimensions_with_obstacle_and_neumann_walls():
    walls = [("neumann", "dirichlet"), ("neumann", "neumann"), ("neumann", "neumann")]
    counts = []
    for n in (12, 24, 33):
        shape = (n, n, n)
        counts.append(iterations(diffusion("flat", shape, walls=walls, obstacle=ball(shape))))
    assert max(counts) <= 9


@pytest.mark.parametrize("kind", ["lognormal", "jump"])
def test_single_precision_inside_changes_no_count(kind):
    A = diffusion(kind, (64, 50))
    assert abs(iterations(A) - iterations(A, dtype="float64")) <= 1
    M = Multigrid().setup(A)
    assert M.matvec(noise(A)).dtype == torch.float64
    deep = CG(rtol=1e-11).solve(A, noise(A), M=M).check()
    assert float(deep.residual) <= 1e-11


def test_more_smoothing_takes_fewer_iterations():
    A = diffusion("jump", (64, 64))
    assert iterations(A, smoothing_steps=3) < iterations(A, smoothing_steps=1)


def test_linear_and_free_of_scale():
    A = diffusion("jump", (30, 21))
    M = Multigrid(dtype="float64").setup(A)
    u, v = noise(A), noise(A, 1)
    torch.testing.assert_close(M @ (2 * u - 3 * v), 2 * (M @ u) - 3 * (M @ v))
    M = Multigrid().setup(A)
    for s in (2.0**-400, 2.0**400):
        torch.testing.assert_close(M @ (s * u), s * (M @ u), rtol=0, atol=0)
        scaled = Multigrid().setup(DiffusionMap([s * t for t in A.conductances]))
        torch.testing.assert_close((scaled @ u) * s, M @ u, rtol=0, atol=0)
    assert not (M @ torch.zeros_like(u)).any()


def test_batches_and_stacks_are_as_each_alone():
    A = diffusion("lognormal", (25, 30))
    M, r = Multigrid().setup(A), torch.randn(2, 3, *A.shape, dtype=torch.float64)
    for i, j in itertools.product(range(2), range(3)):
        torch.testing.assert_close((M @ r)[i, j], M @ r[i, j], rtol=0, atol=0)
    kinds = ("lognormal", "jump", "flat")
    maps = [diffusion(kind, (25, 30), walls="neumann") for kind in kinds]
    t = zip(*(one.conductances for one in maps), strict=True)
    stack = Multigrid(**EXACT).setup(DiffusionMap([torch.stack(faces) for faces in t]))
    r = maps[0].kernel.project(r)
    for j, one in enumerate(maps):
        alone = one.kernel.project(Multigrid(**EXACT).setup(one) @ r[:, j])
        torch.testing.assert_close(one.kernel.project((stack @ r)[:, j]), alone)


def test_takes_matrices_on_a_grid():
    A = diffusion("jump", (20, 13))
    same = SparseMap.from_scipy(A.sparse(), A.shape, True, True)
    B, C = (Multigrid(**EXACT).setup(one) for one in (A, same))
    torch.testing.assert_close(B @ noise(A), C @ noise(A))
    nine = Parities(Entries.of(A)).galerkin().dense()  # couples diagonal neighbours too
    coarse = DenseMap(nine, (10, 7), True, True)
    B = matrix(Multigrid(**EXACT).setup(coarse))
    torch.testing.assert_close(B, B.T, rtol=0, atol=1e-12 * float(B.abs().max()))
    assert float(torch.linalg.eigvalsh(B)[0]) > 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_solves_by_itself(dtype):
    A = diffusion("jump", (40, 37)).to(dtype=dtype)
    solution = Multigrid(rtol=1e-5).solve(A, noise(A)).check()
    assert 0 < int(solution.iterations) < 25
    solid = ball((20, 18, 19))
    closed = diffusion("flat", (20, 18, 19), walls="neumann", obstacle=solid)
    solution = Multigrid(rtol=1e-9).solve(closed, noise(closed)).check()
    assert int(solution.iterations) < 40 and not solution.x[solid].any()


def test_scipy_takes_it():
    A = diffusion("lognormal", (45, 31))
    M = Multigrid().setup(A)
    count = []
    b = noise(A).numpy().ravel()
    x, info = scipy_cg(
        A.sparse(), b, rtol=1e-8, M=M.as_linear_operator(), callback=lambda _: count.append(1)
    )
    ours = CG(rtol=1e-8).solve(A, noise(A), M=M).check()
    assert info == 0 and abs(len(count) - int(ours.iterations)) <= 1
    np.testing.assert_allclose(x, ours.x.numpy().ravel(), rtol=0, atol=1e-6 * np.abs(x).max())


def test_small_and_thin_grids():
    for shape in ((1,), (2, 1), (1, 300), (500, 3), (1, 1, 40)):
        A = diffusion("rough", shape)
        solution = CG(rtol=1e-9).solve(A, noise(A), M=Multigrid(coarsest=10)).check()
        assert int(solution.iterations) <= 40


def test_survives_copies_and_inference_mode():
    A = diffusion("jump", (25, 30))
    M, r = Multigrid().setup(A), noise(A)
    z = M @ r
    for other in (copy.deepcopy(M), pickle.loads(pickle.dumps(M))):
        assert torch.equal(other @ r, z)
    with torch.inference_mode():
        assert torch.equal(M @ r, z)
    assert torch.equal(M @ r, z)


def test_misuse_is_told():
    A = diffusion("flat", (6, 7))
    with pytest.raises(SciopsError, match="DiffusionMap"):
        Multigrid().setup(CallableMap(A.matvec, A.shape, A.dtype, "cpu", True, True))
    with pytest.raises(NotPositiveDefinite, match="symmetric=True"):
        Multigrid().setup(DenseMap(torch.eye(6), (2, 3)))
    with pytest.raises(SciopsError, match="shape that of the grid"):
        Multigrid().setup(SparseMap.from_scipy(A.sparse(), None, True, True))
    with pytest.raises(SciopsError, match="its own preconditioner"):
        Multigrid().solve(A, noise(A), M=Multigrid())


def test_not_definite_and_not_finite_are_statuses():
    A = diffusion("flat", (30, 30))
    t = [faces.clone() for faces in A.conductances]
    t[0][3, 4] = torch.nan
    solution = CG().solve(DiffusionMap(t), noise(A), M=Multigrid())
    assert solution.status is Status.NON_FINITE and solution.x.isfinite().all()
    shifted = torch.from_numpy(A.sparse().toarray()) - 100.0 * torch.eye(A.size)
    wrong = DenseMap(shifted, A.shape, True, True)
    for solver in (CG(maxiter=100), Multigrid(maxiter=100)):
        solution = solver.solve(wrong, noise(A), M=Multigrid() if solver.kind == "cg" else None)
        assert solution.status is not Status.CONVERGED and solution.x.isfinite().all()


def test_few_unknowns_are_solved_in_the_type_of_the_matrix():
    a = torch.ones(8, 8, dtype=torch.float32)
    A = DiffusionMap.from_coefficient(a, (1.0, 1.0), "cell")
    for kind in ("float32", "float64"):
        z = Multigrid(dtype=kind).setup(A).matvec(noise(A).float())
        assert z.dtype == torch.float32
        torch.testing.assert_close(A.matvec(z), noise(A).float(), rtol=0, atol=1e-4)


def test_zeros_that_are_stored_couple_nothing():
    A = DiffusionMap.from_coefficient(torch.ones(24, 24, dtype=torch.float64), (1.0, 1.0), "cell")
    matrix = A.sparse().tocoo()
    row, column = np.append(matrix.row, [23, 24]), np.append(matrix.col, [24, 23])  # row ends
    stored = coo_array((np.append(matrix.data, [0.0, 0.0]), (row, column)), matrix.shape).tocsr()
    assert stored.nnz == matrix.nnz + 2
    maps = [SparseMap.from_scipy(m, A.shape, True, True) for m in (stored, matrix.tocsr())]
    one, other = (Multigrid().setup(B).matvec(noise(A)) for B in maps)
    assert torch.equal(one, other)
