r"""A family of exact solutions of  -div(a grad u) = f  on [0, 1]^D with u = 0 on the walls.

    a(x) = 1 + s prod_d cos(pi x_d),                 |s| < 1
    u(x) = sum_k c_k prod_d sin(k_d pi x_d),         k_d = 1 .. K
    f    = -a Laplace(u) - grad(a) . grad(u)

All sums are products of one-dimensional ones, so f is exact to rounding on any grid.

`operator`, `rhs` and `exact` are the known case of the diffusion problems: the discretised equation
for u = prod_d sin(pi x_d) at the unknowns of a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciops.problems import _finite_volume as fv

if TYPE_CHECKING:
    from torch import Tensor

    from sciops.core.linear import LinearMap

Field = NDArray[np.float64]


def operator(
    shape: Sequence[int], centring: fv.Centring, s: float, mean: fv.Mean = "harmonic"
) -> LinearMap:
    """The finite-volume operator of a on the grid (*shape) of [0, 1]^D."""
    import torch

    from sciops.core.diffusion import DiffusionMap

    a = torch.from_numpy(coefficient(fv.points(shape, centring), s))
    return DiffusionMap.from_coefficient(a, fv.spacings(shape, centring), centring, mean)


def rhs(shape: Sequence[int], centring: fv.Centring, s: float) -> Tensor:
    """f of u = prod sin(pi x_d) at the unknowns."""
    return _at_unknowns(source(fv.points(shape, centring), s, np.ones((1,) * len(shape))), centring)


def exact(shape: Sequence[int], centring: fv.Centring) -> Tensor:
    """u = prod sin(pi x_d) at the unknowns."""
    return _at_unknowns(solution(fv.points(shape, centring), np.ones((1,) * len(shape))), centring)


def _at_unknowns(field: Field, centring: fv.Centring) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(fv.unknowns(field, field.ndim, centring)))


def coefficient(points: list[Field], s: float) -> Field:
    """a on the tensor grid of the D one-dimensional arrays `points`, (*shape)."""
    return 1.0 + s * _product([np.cos(np.pi * x) for x in points])


def solution(points: list[Field], c: ArrayLike) -> Field:
    """u (*shape) for mode coefficients c (K, .., K)."""
    return _series(c, [_sines(x, c) for x in points])


def source(points: list[Field], s: float, c: ArrayLike) -> Field:
    """f (*shape) of the equation."""
    c = np.asarray(c, dtype=np.float64)
    k = np.arange(1, c.shape[0] + 1)
    wave = [k.reshape([-1 if e == d else 1 for e in range(c.ndim)]) for d in range(c.ndim)]
    laplacian = solution(points, -(np.pi**2) * sum(w**2 for w in wave) * c)
    f = -coefficient(points, s) * laplacian
    for d, x in enumerate(points):
        slope = [np.cos(np.pi * y) for y in points]
        slope[d] = -np.pi * np.sin(np.pi * x)
        bases = [_sines(y, c) for y in points]
        bases[d] = np.cos(np.pi * np.outer(x, k))
        f -= s * _product(slope) * _series(np.pi * wave[d] * c, bases)
    return f


def _sines(x: Field, c: ArrayLike) -> Field:
    """(n, K) values sin(k pi x)."""
    return np.sin(np.pi * np.outer(x, np.arange(1, np.shape(c)[0] + 1)))


def _product(factors: list[Field]) -> Field:
    """The tensor product of one-dimensional arrays, (*shape)."""
    total = np.ones(())
    for factor in factors:
        total = np.multiply.outer(total, factor)
    return total


def _series(c: ArrayLike, bases: list[Field]) -> Field:
    """sum_k c_k prod_d bases[d][:, k_d], (*shape)."""
    values = np.asarray(c, dtype=np.float64)
    for basis in bases:  # the first axis goes out, the new one comes last
        values = np.tensordot(values, basis, axes=(0, 1))
    return values
