r"""Gaussian random fields on [0, 1]^2 under Neumann conditions, sampled at the points of a grid.

    g(x) = sum_{k != 0} sqrt(lambda_k) xi_k phi_k(x),      xi_k ~ N(0, 1) independent,
    lambda_k = tau^(2 alpha - 2) (pi^2 |k|^2 + tau^2)^(-alpha),
    phi_k(x) = c_{k1} c_{k2} cos(k1 pi x) cos(k2 pi y),    c_0 = 1, c_k = sqrt(2) otherwise

phi_k are the eigenfunctions of -Laplace, orthonormal in L2, so the covariance operator is
tau^(2 alpha - 2) (-Laplace + tau^2)^(-alpha) on fields of mean zero, and in closed form

    E[g(x) g(y)] = sum_{k != 0} lambda_k phi_k(x) phi_k(y).

A grid of n points along an axis takes k = 0 .. n-1 along it.  The factor tau^(2 alpha - 2) and the
absent constant mode are those of the published generator of the Darcy data; they matter for
exp(g) only, up to the mean a threshold at 0 sees neither scale nor sign.

The sum is a cosine transform: DCT-III at cell centres (i + 1/2)/n, DCT-I at nodes i/(n - 1).  The
numbers xi_k are drawn in the order of max(k1, k2), so that a finer grid under the same seed has the
same coarse modes and only adds finer ones.

Source: Z. Li et al., Fourier neural operator for parametric PDEs, 2021, arXiv 2010.08895, appendix
A.3.2; generator neuraloperator/neuraloperator, data_generation/darcy/GRF.m.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sciops.problems._finite_volume import Centring

Field = NDArray[np.float64]


@lru_cache(maxsize=8)
def eigenvalues(shape: tuple[int, int], alpha: float, tau: float) -> Field:
    """lambda_k (n_1, n_2) of the formula above, zero at k = 0; read-only."""
    square = sum(k.astype(np.float64) ** 2 for k in np.indices(shape))
    values = tau ** (2 * alpha - 2) * (np.pi**2 * square + tau**2) ** -alpha
    values[0, 0] = 0.0
    values.flags.writeable = False
    return values


def sample(
    generator: np.random.Generator,
    shape: tuple[int, int],
    centring: Centring,
    alpha: float,
    tau: float,
) -> Field:
    """g at the points of the grid, (n_1, n_2)."""
    return series(np.sqrt(eigenvalues(shape, alpha, tau)) * normals(generator, shape), centring)


def normals(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """xi_k (n_1, n_2), drawn shell by shell of max(k1, k2)."""
    return generator.standard_normal(max(shape) ** 2)[_shells(shape)]


@lru_cache(maxsize=8)
def _shells(shape: tuple[int, int]) -> NDArray[np.intp]:
    """Place of (k1, k2) in the order (0,0) (1,0) (1,1) (0,1) (2,0) (2,1) (2,2) (1,2) (0,2) .."""
    k1, k2 = np.indices(shape)
    shell = np.maximum(k1, k2)
    return shell**2 + np.where(k1 == shell, k2, 2 * shell - k1)


def series(coefficients: Field, centring: Centring) -> Field:
    """sum_k C_k phi_k at the points of the grid: (n_1, n_2) coefficients -> (n_1, n_2) values."""
    from scipy.fft import dctn, idctn

    if centring == "cell":
        return idctn(coefficients, norm="ortho") * np.sqrt(coefficients.size)
    weighted = coefficients * np.multiply.outer(*(_node_weights(n) for n in coefficients.shape))
    return dctn(weighted, type=1)


def _node_weights(n: int) -> Field:
    """c_k over the weight that DCT-I gives to mode k: 1 for the first and last, 2 between."""
    weights = np.full(n, np.sqrt(2.0) / 2)
    weights[0], weights[-1] = 1.0, np.sqrt(2.0)
    return weights


def covariance(x: Field, y: Field, modes: Sequence[int], alpha: float, tau: float) -> Field:
    """E[g(x) g(y)] by the closed form, term by term: x (M, 2), y (L, 2) -> (M, L)."""
    shape = (int(modes[0]), int(modes[1]))
    lam = eigenvalues(shape, alpha, tau).ravel()  # (K,)
    return (_eigenfunctions(x, shape) * lam) @ _eigenfunctions(y, shape).T


def _eigenfunctions(points: Field, shape: tuple[int, int]) -> Field:
    """phi_k at points (M, 2): (M, n_1 n_2)."""
    waves = []
    for d, n in enumerate(shape):
        wave = np.sqrt(2.0) * np.cos(np.pi * np.outer(points[:, d], np.arange(n)))  # (M, n)
        wave[:, 0] = 1.0
        waves.append(wave)
    return np.einsum("mi,mj->mij", *waves).reshape(len(points), -1)
