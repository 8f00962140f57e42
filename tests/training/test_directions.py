"""Losses of preconditioners by hand and by their derivatives; training shortens the iteration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import SciopsError, ShapeError
from sciops.core.linear import CallableMap, DenseMap, DiagonalMap, ScipyMap, SparseMap
from sciops.solvers.cg import CG
from sciops.solvers.conjugate_directions import ConjugateDirections
from sciops.solvers.dcdm import DCDM, Geometry, Predictor, Published
from sciops.solvers.fcg import FCG
from sciops.training.descent import Descent, minimise
from sciops.training.directions import krylov, krylov_loss, line_search, line_search_loss
from sciops.training.ritz import lanczos, right_hand_sides


def noise(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def medium(*shape, contrast=100.0, seed=0, **settings):
    a = torch.from_numpy(contrast ** np.random.default_rng(seed).random(shape))
    return DiffusionMap.from_coefficient(a, [1 / n for n in shape[-2:]], "cell", **settings)


def poisson(n):
    return medium(n, n, contrast=1.0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_line_search_loss_by_hand():
    A, b, q = medium(5, 6), noise(3, 5, 6), noise(3, 5, 6, seed=1)
    matrix, total = A.sparse().toarray(), 0.0
    for i in range(3):
        y, x = b[i].numpy().ravel(), q[i].numpy().ravel()
        alpha = (x @ y) / (x @ matrix @ x)
        total += np.sum((y - alpha * matrix @ x) ** 2) / 3
    assert line_search_loss(A, b, q).item() == pytest.approx(total, rel=1e-12)


def test_line_search_loss_knows_no_scale_and_the_inverse_is_perfect():
    A, b, q = medium(5, 6), noise(3, 5, 6), noise(3, 5, 6, seed=1)
    loss = line_search_loss(A, b, q)
    for factor in (-1.0, 1e-6, 1e6):
        torch.testing.assert_close(line_search_loss(A, b, factor * q), loss)
    x = torch.linalg.solve(torch.from_numpy(A.sparse().toarray()), b.flatten(1).T).T
    assert line_search_loss(A, b, 3 * x.reshape(b.shape)) < 1e-20
    zero = torch.zeros_like(q).requires_grad_()
    loss = line_search_loss(A, b, zero)
    loss.backward()
    torch.testing.assert_close(loss.detach(), b.flatten(1).square().sum(1).mean())
    assert zero.grad.isfinite().all()


def sources():
    A = medium(5, 6)
    matrix = A.sparse()
    yield A
    yield DenseMap(torch.from_numpy(matrix.toarray()), A.shape, True, True)
    yield SparseMap.from_scipy(matrix, A.shape, True, True)
    yield ScipyMap(A.as_linear_operator(), A.shape, True, True)
    yield CallableMap(A.matvec, A.shape, A.dtype, symmetric=True, positive=True)


@pytest.mark.parametrize("A", list(sources()), ids=lambda A: type(A).__name__)
def test_gradients_through_every_kind_of_map(A):
    b, q = noise(2, 5, 6), noise(2, 5, 6, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda q: line_search_loss(A, b, q), q)
    assert torch.autograd.gradgradcheck(lambda q: line_search_loss(A, b, q), q, fast_mode=True)


@pytest.mark.parametrize("window", [0, 1, 3])
@pytest.mark.parametrize("walls", ["dirichlet", "neumann"])
def test_krylov_loss_gradcheck(window, walls):
    """8^2, by the parameters of a nonlinear preconditioner and by the error itself."""
    a = torch.from_numpy(1 + 9 * np.random.default_rng(0).random((8, 8)))
    A = DiffusionMap.from_coefficient(a, (1, 1), "cell", walls=walls)
    e = noise(2, 8, 8)

    def loss(weight, slope, e):
        return krylov_loss(A, lambda r: torch.tanh(slope * r) * weight, e, 4, window)

    weight = (1 / A.diagonal()).requires_grad_()
    inputs = (weight, torch.tensor(0.05, dtype=torch.float64).requires_grad_(), e.requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs, fast_mode=True)
    only = lambda w: loss(w, inputs[1].detach(), e.detach())  # noqa: E731
    assert torch.autograd.gradgradcheck(only, weight, fast_mode=True)


@pytest.mark.parametrize("walls", ["dirichlet", "neumann"])
@pytest.mark.parametrize("k", [1, 4, 9])
def test_krylov_loss_is_the_error_of_the_solvers(k, walls):
    A, e = medium(8, 9, walls=walls), noise(3, 8, 9)
    M = DiagonalMap(1 / A.diagonal())

    def of(x):
        return ((e - x) * (A @ (e - x))).sum((1, 2)).sqrt()

    start = of(torch.zeros_like(e))
    for window, solver in ((1, CG), (1, FCG), (2, ConjugateDirections)):
        x = solver(rtol=0.0, maxiter=k).solve(A, A @ e, M=M).x
        expected = (of(x) / start).log().mean() / k
        torch.testing.assert_close(krylov_loss(A, M.matvec, e, k, window), expected)


def test_constants_in_a_singular_system_do_not_drown_the_rest():
    A, e = medium(8, 9, walls="neumann"), noise(3, 8, 9)
    plain = krylov_loss(A, lambda r: r / A.diagonal(), e, 4)
    drowned = krylov_loss(A, lambda r: r / A.diagonal() + 1e7, e + 1e3, 4)
    torch.testing.assert_close(drowned, plain, rtol=1e-6, atol=0)


def test_krylov_loss_of_a_nonlinear_map_is_that_of_conjugate_directions():
    A, e = medium(8, 9), noise(8, 9)
    M = CallableMap(lambda r: torch.tanh(3 * r / r.norm()), A.shape, A.dtype)
    for window in (0, 1, 2, 5):
        x = ConjugateDirections(rtol=0.0, maxiter=7, window=window).solve(A, A @ e, M=M).x
        ratio = ((e - x) * (A @ (e - x))).sum() / (e * (A @ e)).sum()
        loss = krylov_loss(A, M.matvec, e, 7, window)
        torch.testing.assert_close(loss, ratio.log() / 14)


def test_krylov_loss_never_gains_from_a_useless_map():
    A, e = medium(8, 8), noise(4, 8, 8)
    assert krylov_loss(A, torch.zeros_like, e, 3) == 0
    random = lambda r: noise(4, 8, 8, seed=9)  # noqa: E731
    assert -1e-2 < krylov_loss(A, random, e, 1) <= 0


def test_exact_inverse_has_a_finite_loss():
    A, e = medium(6, 6), noise(2, 6, 6)
    inverse = torch.linalg.inv(torch.from_numpy(A.sparse().toarray())).requires_grad_()
    loss = krylov_loss(A, lambda r: (r.flatten(1) @ inverse).reshape(r.shape), e, 3)
    loss.backward()
    assert loss < -5 and inverse.grad.isfinite().all()


def test_misuse_is_told():
    A, b = medium(5, 6), noise(2, 5, 6)
    with pytest.raises(SciopsError, match="symmetric map"):
        line_search_loss(DenseMap(torch.eye(3)), torch.ones(3), torch.ones(3))
    with pytest.raises(ShapeError, match="one shape"):
        line_search_loss(A, b, b[0])
    with pytest.raises(ShapeError, match="q must end in"):
        line_search_loss(A, b, b[..., 1:])


class Weights(nn.Module):
    """A diagonal preconditioner."""

    def __init__(self, *shape):
        super().__init__()
        self.log = nn.Parameter(torch.zeros(shape, dtype=torch.float64))

    def setup(self, A):
        return CallableMap(lambda r: self.log.exp() * r, A.shape, A.dtype)


def test_training_on_a_stack_of_random_matrices():
    """Each step draws other media; a diagonal that fits none of them does no worse at the end."""

    def draw(generator):
        a = 10 ** torch.rand(3, 6, 6, generator=generator, dtype=torch.float64)
        a[:, :3] *= 100
        return DiffusionMap.from_coefficient(a, (1 / 6, 1 / 6), "cell")

    model = Weights(6, 6)
    losses, _ = minimise(model, krylov(draw, 2, 4), Descent(steps=40, lr=0.1), seeded())
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.05
    assert model.log[:3].mean() < model.log[3:].mean() - 1


def iterations(A, model):
    b = noise(4, *A.shape, seed=7)
    solution = DCDM(rtol=1e-6, maxiter=120).solve(A, b, M=model)
    return float(solution.iterations.double().mean())


@pytest.mark.parametrize(
    ("settings", "steps", "lr"),
    [(Published(dimension=2), 100, 2e-3), (Geometry(channels=6, levels=3), 40, 5e-3)],
    ids=["published", "geometry"],
)
def test_the_published_training_shortens_the_iteration(settings, steps, lr):
    """Ritz data and the published loss on 16^2 cells, against the untrained and against CG."""
    A = poisson(16)
    data = right_hand_sides(lanczos(A, 100, seeded()), 200, seeded(1))
    held_out = right_hand_sides(lanczos(A, 100, seeded(2)), 50, seeded(3))
    torch.manual_seed(0)
    model = Predictor(settings)
    before, single = iterations(A, model), A.to(dtype=torch.float32)

    def loss():
        with torch.no_grad():
            return float(line_search_loss(single, held_out, model.setup(single).matvec(held_out)))

    start = loss()
    minimise(model, line_search(single, data), Descent(steps=steps, lr=lr), seeded(4))
    after, cg = iterations(A, model), float(CG(rtol=1e-6).solve(A, noise(16, 16)).iterations)
    assert loss() < 0.5 * start
    assert after < 0.6 * before and after < 0.7 * cg, (before, after, cg)


def test_the_krylov_loss_shortens_the_iteration_on_unseen_media():
    def draw(generator):
        a = 100 ** torch.rand(2, 16, 16, generator=generator)
        return DiffusionMap.from_coefficient(a, (1 / 16, 1 / 16), "cell")

    torch.manual_seed(0)
    model = Predictor(Geometry(channels=6, levels=3))
    unseen = [medium(16, 16, seed=100 + s) for s in range(2)]
    before = [iterations(A, model) for A in unseen]
    losses, _ = minimise(model, krylov(draw, 4, 4), Descent(steps=25, lr=5e-3), seeded())
    after = [iterations(A, model) for A in unseen]
    assert losses[-1] < losses[0] - 0.2
    assert all(b < 0.8 * a for a, b in zip(before, after, strict=True)), (before, after)
