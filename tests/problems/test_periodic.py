"""Periodic fields and exponential steps: what the flows are solved with."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sciops.problems import _periodic
from sciops.problems._exponential import ETDRK4, march, phi
from sciops.problems._periodic import modes, random_field

RNG = np.random.default_rng


@pytest.mark.parametrize("points", [8, 9, 12, 13])
@pytest.mark.parametrize("dimension", [1, 2])
def test_modes_and_points_are_each_others_inverse(points, dimension):
    box = modes(points, dimension)
    assert 3 * box.cutoff < points <= 3 * (box.cutoff + 1)
    field = box.at_points(box.of(RNG(0).standard_normal((3, *(points,) * dimension))))
    np.testing.assert_allclose(box.at_points(box.of(field)), field, atol=1e-14)
    full = np.abs(np.fft.fftn(field[0]))
    k = np.abs(np.fft.fftfreq(points, 1 / points))
    outside = np.max(np.meshgrid(*[k] * dimension), axis=0) > box.cutoff
    assert full[outside].max() < 1e-13 < full[~outside].min()
    assert int(box.kept.sum()) == (2 * box.cutoff + 1) ** (dimension - 1) * (box.cutoff + 1)


@pytest.mark.parametrize("points", [12, 13])
@pytest.mark.parametrize("dimension", [1, 2])
def test_products_are_free_of_aliasing(points, dimension):
    """The kept modes of a square are those on a grid on which nothing can fold back."""
    coarse, fine = modes(points, dimension), modes(4 * points, dimension)
    field = random_field(RNG(0), points, dimension, 2.5, 7.0)
    k, wide = coarse.of(field), np.zeros(fine.square.shape, dtype=complex)
    near = [np.r_[0 : coarse.cutoff + 1, -coarse.cutoff : 0]] * (dimension - 1)
    at = np.ix_(*near, np.arange(coarse.cutoff + 1))
    wide[at] = k[at]
    one, other = coarse.of(field**2), fine.of(fine.at_points(wide) ** 2)
    np.testing.assert_allclose(one[at], other[at], atol=1e-15 * np.abs(other).max() * points)


@pytest.mark.parametrize("dimension", [1, 2])
def test_wavenumbers_differentiate(dimension):
    box, s = modes(16, dimension, 3.0), 2 * np.pi * np.arange(16) / 16
    wave = np.sin(sum(np.ix_(*[m * s for m in (2, 3)[:dimension]])))
    for d, m in enumerate((2, 3)[:dimension]):
        slope = np.cos(sum(np.ix_(*[n * s for n in (2, 3)[:dimension]]))) * m * 2 * np.pi / 3.0
        np.testing.assert_allclose(
            box.at_points(1j * box.kappa[d] * box.of(wave)), slope, atol=1e-13
        )
    square = sum(m**2 for m in (2, 3)[:dimension]) * (2 * np.pi / 3.0) ** 2
    np.testing.assert_allclose(box.at_points(box.square * box.of(wave)), square * wave, atol=1e-12)


@pytest.mark.parametrize(("points", "dimension"), [(13, 1), (12, 1), (8, 2), (9, 2)])
def test_covariance_of_the_field_is_that_of_the_law_exactly(points, dimension):
    """The field is a linear map A of the normals; A A^T must be the series of cosines."""
    _, spread = _periodic._spectrum(points, dimension, 2.5, 7.0)

    class Unit:  # a generator that gives one unit vector
        def __init__(self, i):
            self.i = i

        def standard_normal(self, n):
            return np.eye(n)[self.i]

    fields = [random_field(Unit(i), points, dimension, 2.5, 7.0) for i in range(spread.size)]
    A = np.stack([f.ravel() for f in fields], axis=1)
    cutoff = (points - 1) // 3
    x = np.stack(np.meshgrid(*[np.arange(points) / points] * dimension, indexing="ij"), -1)
    x = x.reshape(-1, dimension)
    law = np.zeros((len(x), len(x)))
    for k in np.ndindex(*(2 * cutoff + 1,) * dimension):
        k = np.array(k) - cutoff
        if k.any():
            value = 7.0 ** (5.0 - dimension) * (4 * np.pi**2 * (k @ k) + 49.0) ** -2.5
            law += value * np.cos(2 * np.pi * ((x[:, None] - x) @ k))
    np.testing.assert_allclose(A @ A.T, law, atol=1e-14)


@pytest.mark.parametrize("dimension", [1, 2])
def test_finer_grid_keeps_the_coarse_modes(dimension):
    coarse, fine = (random_field(RNG(0), n, dimension, 2.5, 7.0) for n in (16, 32))
    at = (slice(None, None, 2),) * dimension
    box = modes(32, dimension)
    u = box.of(fine)
    for kappa in box.kappa:
        u = np.where(np.abs(kappa) < 2 * np.pi * 5.5, u, 0.0)  # 3 * 5 < 16
    np.testing.assert_allclose(box.at_points(u)[at], coarse, atol=1e-14)
    assert np.abs(fine[at] - coarse).max() > 1e-3


def test_phi_functions_at_all_sizes():
    """Series near zero, formulas far from it."""
    z = np.array([0.0, -1e-9, -1e-3, -0.5, -1.0, -5.0, -50.0, -1e4])
    for k, values in enumerate(phi(z), start=1):
        for at, value in zip(z, values, strict=True):
            if abs(at) < 2:
                exact = sum(at**j / math.factorial(j + k) for j in range(30))
            else:
                exact = math.exp(at)
                for j in range(k):
                    exact = (exact - 1 / math.factorial(j)) / at
            assert value == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("c", [0.0, -1.0, -10.0])
def test_steps_have_order_four(c):
    """u' = c u + N(u, t) with N = u^2 + s(t) made for u = sin t + 2."""
    linear, start = np.array([c]), np.array([2.0 + 0j])

    def nonlinear(u, t):
        exact = math.sin(t) + 2.0
        return u**2 + math.cos(t) - c * exact - exact**2

    errors = []
    for n in (40, 80):
        u = march(ETDRK4(linear, 0.5 / n), nonlinear, start, 0.0, n)
        errors.append(abs(u[0] - math.sin(0.5) - 2.0))
    assert errors[1] < 1e-7 and math.log2(errors[0] / errors[1]) > 3.8


def test_linear_part_is_exact():
    linear = np.array([0.0, -1.0, -1e3])
    u = march(ETDRK4(linear, 0.5), lambda u, t: 0 * u, np.ones(3, complex), 0.0, 4)
    np.testing.assert_allclose(u, np.exp(2.0 * linear), rtol=1e-14)
