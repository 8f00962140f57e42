"""Burgers' equation: the solution of Cole and Hopf, orders, budgets, symmetries."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from sciops.core.config import validate
from sciops.core.errors import ConfigError, SciopsError, ShapeError
from sciops.problems._periodic import random_field
from sciops.problems.burgers import Burgers


def state(n=128, seed=0, rms=0.3):
    u = random_field(np.random.default_rng(seed), n, 1, 2.5, 7.0)
    return rms * u / u.std()


@pytest.mark.parametrize("length", [1.0, 2.0])
@pytest.mark.parametrize("viscosity", [2e-3, 2e-2])
def test_known_case_solves_the_equation(viscosity, length):
    """u_t + u u_x - nu u_xx by differences of order four of the formula itself."""
    problem = Burgers(resolution=512, viscosity=viscosity, length=length)
    t, d, h = 0.4, 1e-3, length / 512
    slope = np.array([1, -8, 0, 8, -1]) / 12
    curve = np.array([-1, 16, -30, 16, -1]) / 12
    u_t = sum(c * problem.exact(t + k * d) for k, c in zip(range(-2, 3), slope, strict=True)) / d
    u = problem.exact(t)
    near = [np.roll(u, -k) for k in range(-2, 3)]
    u_x = sum(c * v for c, v in zip(slope, near, strict=True)) / h
    u_xx = sum(c * v for c, v in zip(curve, near, strict=True)) / h**2
    residual = u_t + u * u_x - viscosity * u_xx
    assert np.abs(residual).max() < 1e-4 * np.abs(u_t).max()
    assert np.abs(u * u_x).max() > 0.3 * np.abs(u_t).max()


def test_known_case_begins_as_stated_and_keeps_its_mean():
    problem = Burgers()
    np.testing.assert_allclose(problem.exact(1e-8), problem.exact(0.0), atol=1e-7)
    for t in (0.0, 0.3, 1.0, 4.0):
        assert problem.exact(t).mean() == pytest.approx(0.1, abs=1e-12)


def test_a_second_known_solution():
    """theta = 1.2 + exp(-nu kappa^2 t) cos(kappa x) solves the heat equation (Cole, Hopf)."""
    problem, kappa, nu = Burgers(resolution=128, viscosity=0.02), 2 * np.pi, 0.02
    s = kappa * np.arange(128) / 128

    def at(t):
        q = math.exp(-nu * kappa**2 * t)
        return 2 * nu * kappa * q * np.sin(s) / (1.2 + q * np.cos(s))

    np.testing.assert_allclose(problem.advance(at(0.0), 0.0, 0.7), at(0.7), atol=1e-10)


def test_spectral_accuracy_in_space():
    """Up to a shock: the error falls faster than any power."""
    sizes, errors = (32, 48, 72, 108), []
    for n in sizes:
        problem = Burgers(resolution=n, step=1e-3)
        errors.append(
            np.abs(problem.advance(problem.exact(0), 0.0, 0.8) - problem.exact(0.8)).max()
        )
    orders = [math.log(a / b) / math.log(1.5) for a, b in pairwise(errors)]
    assert orders == sorted(orders) and orders[-1] > 10 and errors[-1] < 1e-7


def test_energy_falls_by_what_viscosity_takes():
    """d<u^2>/dt / 2 = -nu <u_x^2>, by Gauss's rule with 14 nodes."""
    problem, nu = Burgers(resolution=128, viscosity=0.01, step=1 / 2000), 0.01
    kappa = 2j * np.pi * np.fft.fftfreq(128, 1 / 128)
    nodes, weights = np.polynomial.legendre.leggauss(14)
    first = problem.advance(state(), 0.0, 0.2)  # smooth
    u, now, rates, start = first, 0.0, [], (first**2).mean() / 2
    for t in (*((nodes + 1) / 4), 0.5):
        u, now = problem.advance(u, now, t), t
        rates.append(-nu * (np.fft.ifft(kappa * np.fft.fft(u)).real ** 2).mean())
    change = (u**2).mean() / 2 - start
    assert change < -0.1 * start
    assert weights @ rates[:-1] / 4 == pytest.approx(change, abs=1e-8 * start)
    assert np.abs(u).max() < np.abs(first).max()  # the maximum principle


def test_mean_is_constant():
    assert Burgers().advance(state() + 0.2, 0.0, 0.5).mean() == pytest.approx(0.2, abs=1e-14)


def test_a_moving_observer_sees_the_same():
    """u + c is carried by c t: here by 32 of 128 points."""
    problem, u = Burgers(resolution=128, viscosity=0.01, step=1 / 1000), state()
    boosted = problem.advance(u + 0.5, 0.0, 0.5)
    np.testing.assert_allclose(boosted, np.roll(problem.advance(u, 0.0, 0.5), 32) + 0.5, atol=1e-8)


@pytest.mark.parametrize("act", [lambda u: np.roll(u, 37), lambda u: -u[::-1]])
def test_shifts_and_reflections(act):
    problem, u = Burgers(resolution=128, viscosity=0.01), state()
    one, other = problem.advance(act(u), 0.0, 0.5), act(problem.advance(u, 0.0, 0.5))
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_samples_are_resolved_and_refinement_keeps_them():
    problem = Burgers()
    sample = problem.sample(np.random.default_rng(3))["u"]
    modes = np.abs(np.fft.rfft(sample[1:]))
    assert modes[:, 85].max() < 1e-5 * modes.max()
    finer = problem.refined(2).sample(np.random.default_rng(3))["u"]
    np.testing.assert_allclose(sample[1:], finer[1:, ::2], atol=1e-3 * sample.std())
    halved = problem.model_copy(update={"step": 0.25 / 256}).sample(np.random.default_rng(3))["u"]
    np.testing.assert_allclose(sample, halved, atol=1e-5 * sample.std())


def test_what_cannot_be_is_refused():
    with pytest.raises(ShapeError, match=r"\(N,\)"):
        Burgers().advance(np.zeros((8, 8)), 0.0, 1.0)
    with pytest.raises(SciopsError, match="choose a smaller step"):
        Burgers(step=0.1).advance(state(256, rms=20.0), 0.0, 2.0)
    with pytest.raises(ConfigError, match="viscosity"):
        validate(Burgers, {"viscosity": 0.0})
