"""Two-dimensional flow: known solutions, orders, invariants, budgets, symmetries."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from sciops.core.config import validate
from sciops.core.errors import ConfigError, SciopsError, ShapeError
from sciops.problems._periodic import random_field
from sciops.problems.navier_stokes import (
    NavierStokes,
    energy,
    enstrophy,
    palinstrophy,
    velocity,
)

FREE = NavierStokes(resolution=32, viscosity=0.0, forcing="none")
FORCED = NavierStokes(resolution=32, viscosity=1e-3)


def state(n=32, seed=0, rms=1.0):
    """A random vorticity of the given size, already in the solver's modes, (n, n)."""
    w = random_field(np.random.default_rng(seed), n, 2, 2.5, 7.0)
    return rms * w / w.std()


def upsampled(w, n):
    """The trigonometric polynomial through w (N, N), N odd or without Nyquist mode, at n x n."""
    half = len(w) // 2
    k = np.r_[0:half, -half:0]
    modes = np.zeros((n, n), complex)
    modes[np.ix_(k, k)] = np.fft.fft2(w, norm="forward")
    return np.fft.ifft2(modes, norm="forward").real


@pytest.mark.parametrize("length", [1.0, 2.0 * np.pi])
def test_taylor_green_vortices_decay(length):
    """u . grad w = 0, so that w falls by exp(-2 nu kappa^2 t)."""
    problem = FREE.model_copy(update={"viscosity": 3e-3, "length": length})
    s = 2 * np.pi * np.arange(32) / 32
    w = np.outer(np.cos(s), np.cos(s))
    decay = np.exp(-2 * 3e-3 * (2 * np.pi / length) ** 2 * 1.5)
    np.testing.assert_allclose(problem.advance(w, 0.0, 1.5), decay * w, rtol=0, atol=1e-13)


@pytest.mark.parametrize("forcing", ["diagonal", "kolmogorov"])
def test_a_steady_force_alone_drives_its_own_shear_flow(forcing):
    """A force along one wavevector: w = f (1 - exp(-nu k^2 t)) / (nu k^2), again u . grad w = 0."""
    problem = FORCED.model_copy(update={"forcing": forcing, "forcing_wavenumber": 2})
    f, s = problem.force(32), 2 * 2 * np.pi * np.arange(32) / 32
    theta = s[:, None] + s if forcing == "diagonal" else 0 * s[:, None] + s  # x comes first
    law = np.sin(theta) + np.cos(theta) if forcing == "diagonal" else np.cos(theta)
    np.testing.assert_allclose(f, 0.1 * law, atol=1e-15)
    rate = 1e-3 * (2 * np.pi * 2) ** 2 * (2 if forcing == "diagonal" else 1)
    expected = f * (1 - math.exp(-rate)) / rate
    np.testing.assert_allclose(problem.advance(0 * f, 0.0, 1.0), expected, atol=1e-13)


def test_the_nonlinear_term_is_that_of_the_equation():
    """(w(h) - w(-h)) / 2h at h -> 0 against -(u w_x + v w_y) on a grid twice as fine."""
    w, h = state(), 1e-3
    slope = (FREE.advance(w, 0.0, h) - w) / h
    half = (FREE.advance(w, 0.0, h / 2) - w) / (h / 2)
    slope = 2 * half - slope  # without the error of O(h)
    fine = upsampled(w, 64)
    kappa = 2 * np.pi * np.fft.fftfreq(64, 1 / 64)
    hat = np.fft.fft2(fine)
    w_x = np.fft.ifft2(1j * kappa[:, None] * hat).real
    w_y = np.fft.ifft2(1j * kappa[None, :] * hat).real
    u, v = velocity(fine)
    product = np.fft.fft2(-(u * w_x + v * w_y))
    product[(np.abs(kappa) > 2 * np.pi * 10.5)] = 0  # 3 * 10 < 32
    product[:, np.abs(kappa) > 2 * np.pi * 10.5] = 0
    expected = np.fft.ifft2(product).real[::2, ::2]
    np.testing.assert_allclose(slope, expected, atol=1e-5 * np.abs(expected).max())


def test_order_four_in_time_for_a_random_flow():
    def at(step):
        return FORCED.model_copy(update={"step": step}).advance(state(), 0.0, 1.0)

    steps = [1 / 16, 1 / 32, 1 / 64]
    reference = at(1 / 512)
    errors = [np.abs(at(h) - reference).max() for h in steps]
    assert errors[-1] < 1e-6
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(4.0, abs=0.3)


def test_spectral_accuracy_in_space():
    """The error falls faster than any power of the mesh width: the measured order grows."""
    viscous = FORCED.model_copy(update={"viscosity": 2e-3, "step": 1 / 64})
    start = state(16)
    reference = viscous.advance(upsampled(start, 96), 0.0, 1.0)
    sizes, errors = (16, 24, 32, 48), []
    for n in sizes:
        w = viscous.advance(upsampled(start, n), 0.0, 1.0)
        errors.append(np.abs(w - reference[:: 96 // n, :: 96 // n]).max())
    orders = [
        math.log(a / b) / math.log(n / m)
        for (a, b), (m, n) in zip(pairwise(errors), pairwise(sizes), strict=True)
    ]
    assert orders == sorted(orders) and orders[-1] > 12 and errors[-1] < 1e-6


@pytest.mark.parametrize("invariant", [energy, enstrophy])
def test_without_viscosity_and_force_the_invariants_stay(invariant):
    w = state()
    drift = []
    for step in (1 / 32, 1 / 64):
        end = FREE.model_copy(update={"step": step}).advance(w, 0.0, 1.0)
        drift.append(abs(float(invariant(end) / invariant(w)) - 1))
        assert np.abs(end - w).max() > 0.5  # something happened
    assert drift[1] < 1e-7 and math.log2(drift[0] / drift[1]) > 3.9
    assert abs(palinstrophy(end) / palinstrophy(w) - 1) > 0.01  # which is no invariant


@pytest.mark.parametrize("length", [1.0, 3.0])
@pytest.mark.parametrize("forcing", ["diagonal", "kolmogorov", "none"])
def test_budgets_of_energy_and_enstrophy(forcing, length):
    """E and Z change by the integral of their rates, by Gauss's rule with 10 nodes."""
    settings = {"forcing": forcing, "length": length, "step": 1 / 128, "viscosity": 2e-3}
    problem = FORCED.model_copy(update=settings)
    f = problem.force(32)
    kappa = 2 * np.pi * np.fft.fftfreq(32, length / 32)
    square = kappa[:, None] ** 2 + kappa**2
    square[0, 0] = np.inf
    nodes, weights = np.polynomial.legendre.leggauss(10)
    w, now, rates = state(), 0.0, []
    ends = [(energy(w, length), enstrophy(w))]
    for t in (*((nodes + 1) / 2), 1.0):
        w, now = problem.advance(w, now, t), t
        psi = np.fft.ifft2(np.fft.fft2(w) / square).real
        nu = problem.viscosity
        rates.append(
            (
                -2 * nu * enstrophy(w) + (psi * f).mean(),
                -2 * nu * palinstrophy(w, length) + (w * f).mean(),
            )
        )
    ends.append((energy(w, length), enstrophy(w)))
    change, work = np.subtract(*ends[::-1]), weights @ np.array(rates[:-1]) / 2
    assert (np.abs(change) > 1e-4 * np.array(ends[0])).all()
    np.testing.assert_allclose(work, change, atol=1e-8 * np.array(ends[0]).min())


def test_energy_enstrophy_palinstrophy_of_a_wave():
    """w = sin(kappa (3 x + 4 y)) with kappa = 2 pi / L: Z = 1/4, E = Z / (5 kappa)^2."""
    length = 3.0
    s = 2 * np.pi * np.arange(30) / 30
    w = np.stack([np.sin(3 * s[:, None] + 4 * s), 0 * s[:, None] + np.ones(30)])
    k2 = (5 * 2 * np.pi / length) ** 2
    np.testing.assert_allclose(enstrophy(w), [0.25, 0.5])
    np.testing.assert_allclose(energy(w, length), [0.25 / k2, 0.0], atol=1e-15)
    np.testing.assert_allclose(palinstrophy(w, length), [0.25 * k2, 0.0], atol=1e-15)


def test_velocity_has_no_divergence_and_the_given_curl():
    w = state()
    u, v = velocity(w, 2.0)
    kappa = np.pi * np.fft.fftfreq(32, 1 / 32)
    dx, dy = 1j * kappa[:, None], 1j * kappa[None, :]
    u, v = np.fft.fft2(u), np.fft.fft2(v)
    assert np.abs(np.fft.ifft2(dx * u + dy * v)).max() < 1e-13
    np.testing.assert_allclose(np.fft.ifft2(dx * v - dy * u).real, w, atol=1e-12)


def test_mean_vorticity_is_constant():
    w = state() + 0.3
    assert FORCED.advance(w, 0.0, 1.0).mean() == pytest.approx(0.3, abs=1e-14)


@pytest.mark.parametrize("name", ["shifted", "turned", "mirrored"])
def test_solver_has_the_symmetries_of_the_plane(name):
    """A reflection turns the sense of rotation, so that w changes its sign."""
    act = {
        "shifted": lambda w: np.roll(w, (5, -11), axis=(0, 1)),
        "turned": np.rot90,
        "mirrored": lambda w: -w[::-1],
    }[name]
    problem, w = FREE.model_copy(update={"viscosity": 1e-3}), state()
    one, other = problem.advance(act(w), 0.0, 1.0), act(problem.advance(w, 0.0, 1.0))
    np.testing.assert_allclose(one, other, atol=1e-11)


def test_the_diagonal_force_lets_the_flow_slide_along_it():
    w = state()
    one = FORCED.advance(np.roll(w, (7, -7), axis=(0, 1)), 0.0, 1.0)
    other = np.roll(FORCED.advance(w, 0.0, 1.0), (7, -7), axis=(0, 1))
    np.testing.assert_allclose(one, other, atol=1e-11)
    across = np.roll(FORCED.advance(np.roll(w, 7, axis=0), 0.0, 1.0), -7, axis=0)
    assert np.abs(across - FORCED.advance(w, 0.0, 1.0)).max() > 1e-3


@pytest.fixture(scope="module")
def trajectory():
    """A sample under the settings of the library, but for its length."""
    return NavierStokes(frames=4).sample(np.random.default_rng(0))["vorticity"]


def test_frames_follow_from_each_other_and_half_the_step_changes_little(trajectory):
    problem = NavierStokes(frames=4)
    np.testing.assert_array_equal(problem.advance(trajectory[1], 0.0, 1.0), trajectory[2])
    halved = problem.model_copy(update={"step": 1.6 / 64 / 2})
    other = halved.sample(np.random.default_rng(0))["vorticity"]
    assert np.abs(other - trajectory).max() < 1e-5 * trajectory.std()


def test_the_flow_is_resolved_and_not_trivial(trajectory):
    modes = np.abs(np.fft.fft2(trajectory)).max(axis=0)
    k = np.abs(np.fft.fftfreq(64, 1 / 64))
    shell = np.maximum(k[:, None], k)
    assert modes[shell == 21].max() < 1e-3 * modes.max()
    assert modes[shell > 21].max() < 1e-12 * modes.max()
    change = np.linalg.norm(np.diff(trajectory, axis=0), axis=(1, 2))
    assert (change > 0.1 * np.linalg.norm(trajectory[1:], axis=(1, 2))).all()


def test_finer_grid_keeps_the_trajectory():
    """Under one seed, as the coarse modes of the initial field are the same."""
    coarse = NavierStokes(resolution=32, viscosity=2e-3, frames=3)
    one, other = (
        p.sample(np.random.default_rng(1))["vorticity"] for p in (coarse, coarse.refined(2))
    )
    np.testing.assert_allclose(one, other[:, ::2, ::2], atol=2e-2 * one.std())


def test_a_step_too_long_is_told():
    with pytest.raises(SciopsError, match="time step of 0.5; choose a smaller"):
        FREE.model_copy(update={"step": 0.5}).advance(state(rms=20.0), 0.0, 50.0)


@pytest.mark.parametrize("shape", [(32,), (32, 16), (2, 32, 32)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match=r"\(N, N\)"):
        FREE.advance(np.zeros(shape), 0.0, 1.0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"viscosity": -1e-3}, "viscosity"),
        ({"resolution": 4}, "resolution"),
        ({"forcing": "waves"}, "forcing"),
        ({"forcing_wavenumber": 22}, "below a third of the resolution 64, got 22"),
        ({"step": 0.0}, "step"),
        ({"frames": 1}, "frames"),
        ({"burnin": 1.0}, "Did you mean 'burn_in'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        validate(NavierStokes, settings)
