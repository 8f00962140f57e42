"""Matrices, fields and predictors that the tests of the solvers share."""

from __future__ import annotations

import numpy as np
import torch

from sciops.core.diffusion import DiffusionMap
from sciops.core.linear import CallableMap, DenseMap, LinearMap


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


def diffusion(n=20, contrast=100.0, seed=0, **settings):
    """A rough medium on n x (n + 3) cells."""
    a = torch.from_numpy(contrast ** np.random.default_rng(seed).random((n, n + 3)))
    return DiffusionMap.from_coefficient(a, (1 / n, 1 / (n + 3)), "cell", **settings)


def inverse(A: LinearMap) -> DenseMap:
    """A^-1, symmetric positive definite."""
    return DenseMap(torch.linalg.inv(dense(A)), A.shape, True, True)


def dense(A: LinearMap) -> torch.Tensor:
    """The matrix (N, N)."""
    return torch.from_numpy(A.sparse().toarray())


def function(A: LinearMap, call, **tags) -> CallableMap:
    """`call` as an M for A, linear or not."""
    return CallableMap(call, A.shape, A.dtype, **tags)


def noisy(M: LinearMap, level: float, seed=0) -> CallableMap:
    """z (1 + level * fresh noise): a predictor that is never twice the same."""
    generator = torch.Generator().manual_seed(seed)

    def call(r):
        z = M.matvec(r)
        return z * (1 + level * torch.randn(z.shape, generator=generator, dtype=z.dtype))

    return function(M, call)


def random_predictor(A: LinearMap, seed=0) -> CallableMap:
    """Directions that have nothing to do with r."""
    generator = torch.Generator().manual_seed(seed)
    return function(A, lambda r: torch.randn(r.shape, generator=generator, dtype=r.dtype))


def smoother(A: LinearMap, steps=4) -> CallableMap:
    """A few damped Jacobi steps from 0: linear, symmetric positive definite, not a diagonal."""
    weights = 2 / 3 / A.diagonal()

    def call(r):
        z = weights * r
        for _ in range(steps - 1):
            z = z + weights * (r - A.matvec(z))
        return z

    return function(A, call, symmetric=True, positive=True)


def iterates(solver, A, b, **given):
    """The solution, and the iterates x_1, x_2, .. with the residuals of the recurrence."""
    seen = []
    solution = solver.solve(A, b, callback=lambda k, x, r: seen.append((x, r)), **given)
    return solution, [x for x, _ in seen], [r for _, r in seen]


def energy(A: LinearMap, e: torch.Tensor) -> float:
    """||e||_A"""
    return float((e * (A @ e)).sum().clamp(min=0).sqrt())
