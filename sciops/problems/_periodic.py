r"""Periodic fields on [0, L]^D by their Fourier modes, without aliasing, and at random.

    u(x) = sum_{|k_d| <= K} u_k exp(i kappa . x),    kappa = 2 pi k / L,    3 K < N

A product of two such fields on N^D points has modes up to 2 K, of which those beyond N - 2 K > K
come back wrongly.  The modes that are kept are thus exact (the 2/3 rule of Orszag), and a Galerkin
method keeps its quadratic invariants.

The modes of a real field are stored for 0 <= k_D <= K only along the last axis, and for all k along
the others, in the order of the FFT and with zeros beyond K: (*batch, N, .., N, K + 1).

The random field on [0, 1]^D, D = 1 or 2, is

    g(x) = sum_{0 < max|k_d| <= K} sqrt(lambda_k) xi_k cas(2 pi k . x),    xi_k ~ N(0, 1),
    lambda_k = tau^(2 alpha - D) (4 pi^2 |k|^2 + tau^2)^(-alpha).

cas = cos + sin over all integer k is an orthonormal basis of L2, so the covariance operator is
tau^(2 alpha - D) (-Laplace + tau^2)^(-alpha) on fields of mean zero.  The xi_k are drawn in the
order of max|k_d|: a finer grid under the same seed keeps the coarse modes and adds finer ones.

Source: S. A. Orszag, On the elimination of aliasing in finite-difference schemes by filtering
high-wavenumber components, J. Atmos. Sci. 28, 1971; the law of g after Z. Li et al., Fourier neural
operator for parametric PDEs, 2021, arXiv 2010.08895, and its generator
neuraloperator/neuraloperator, data_generation/navier_stokes/random_fields.py.
"""

from __future__ import annotations

from functools import lru_cache
from typing import final

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


@final
class Modes:
    """The modes of fields (*batch, N, .., N) on [0, L]^D.

    Attributes
    ----------
    kappa
        Wavenumbers along each axis, shaped to be multiplied with modes.
    square
        |kappa|^2, (N, .., N, K + 1).
    kept
        1.0 at the modes that are kept, 0.0 elsewhere; same shape.
    """

    def __init__(self, points: int, dimension: int, length: float) -> None:
        self.points, self.dimension = points, dimension
        self.cutoff = (points - 1) // 3
        signed = np.fft.fftfreq(points, 1.0 / points)
        k = [signed] * (dimension - 1) + [np.arange(self.cutoff + 1.0)]
        self.kappa = tuple(
            2.0 * np.pi / length * k[d].reshape([-1 if e == d else 1 for e in range(dimension)])
            for d in range(dimension)
        )
        self.square = np.asarray(sum(kappa**2 for kappa in self.kappa))
        bound = 2.0 * np.pi / length * (self.cutoff + 0.5)
        inside = [np.abs(kappa) < bound for kappa in self.kappa]
        self.kept = np.prod(np.broadcast_arrays(*inside), axis=0).astype(np.float64)

    def of(self, field: Real) -> Complex:
        """The modes of a field: (*batch, N, .., N) -> (*batch, N, .., N, K + 1)."""
        from scipy import fft

        u = fft.rfft(field, axis=-1, norm="forward")[..., : self.cutoff + 1]
        for axis in range(-self.dimension, -1):
            u = fft.fft(u, axis=axis, norm="forward")
        return self.kept * u

    def at_points(self, u: Complex) -> Real:
        """The inverse of `of`."""
        from scipy import fft

        for axis in range(-self.dimension, -1):
            u = fft.ifft(u, axis=axis, norm="forward")
        return fft.irfft(u, self.points, axis=-1, norm="forward")


@lru_cache(maxsize=16)
def modes(points: int, dimension: int, length: float = 1.0) -> Modes:
    """`Modes`, made once."""
    return Modes(points, dimension, length)


def random_field(
    generator: np.random.Generator, points: int, dimension: int, alpha: float, tau: float
) -> Real:
    """g at the points i / N, (N, .., N)."""
    from scipy import fft

    places, spread = _spectrum(points, dimension, alpha, tau)
    coefficients = np.zeros((points,) * dimension)
    coefficients[places] = spread * generator.standard_normal(spread.size)
    return ((1.0 - 1.0j) * fft.ifftn(coefficients, norm="forward")).real


@lru_cache(maxsize=8)
def _spectrum(
    points: int, dimension: int, alpha: float, tau: float
) -> tuple[tuple[NDArray[np.intp], ...], Real]:
    """The D indices k of the modes in the order in which they are drawn; sqrt(lambda_k)."""
    cutoff = (points - 1) // 3
    k = np.indices((2 * cutoff + 1,) * dimension).reshape(dimension, -1) - cutoff
    order = np.lexsort((*k, np.abs(k).max(axis=0)))[1:]  # without k = 0, which comes first
    k = k[:, order]
    eigenvalues = (4.0 * np.pi**2 * (k**2).sum(axis=0) + tau**2) ** -alpha
    return tuple(k), np.sqrt(tau ** (2.0 * alpha - dimension) * eigenvalues)
