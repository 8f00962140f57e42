"""The Helmholtz equation: order on both kinds of wall, the media, resonance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from contracts import problem_checks
from scipy.integrate import trapezoid

from sciops.core.config import validate
from sciops.core.errors import ConfigError, SciopsError, ShapeError
from sciops.problems import _gaussian_field as grf
from sciops.problems import _helmholtz_matrix as nodes
from sciops.problems import helmholtz
from sciops.problems.helmholtz import Helmholtz
from sciops.solvers.direct import Direct

WALLS = ("neumann", "impedance")


def wave(sample):
    """u of a sample, complex with the impedance."""
    if "solution" in sample:
        return sample["solution"]
    return sample["solution_real"] + 1j * sample["solution_imag"]


@pytest.mark.parametrize("boundary", WALLS)
@pytest.mark.parametrize("resolution", [21, (21, 17)], ids=str)
def test_order_two(boundary, resolution):
    errors, inside, walls = [], [], []
    for factor in (1, 2, 4):
        problem = Helmholtz(resolution=resolution, boundary=boundary).refined(factor)
        A, f, u = problem.operator(), problem.rhs(), problem.exact()
        errors.append(float((Direct().solve(A, f).check().x - u).abs().max()))
        residual = A @ u - f
        inside.append(float(residual[..., 1:-1, 1:-1].abs().max()))
        walls.append(float(residual.abs().max()))
    assert errors[0] < 0.02
    for fine in (1, 2):
        assert math.log2(errors[fine - 1] / errors[fine]) == pytest.approx(2.0, abs=0.06)
        assert math.log2(inside[fine - 1] / inside[fine]) == pytest.approx(2.0, abs=0.02)
        assert math.log2(walls[fine - 1] / walls[fine]) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(
    "check",
    [*problem_checks.CHECKS, *problem_checks.STATIONARY[::2]],
    ids=lambda check: check.__name__,
)
def test_the_impedance_keeps_the_contract(check):
    """But for the residual, whose check takes the first of the shape (2, nx, ny) for an axis."""
    check(lambda: Helmholtz(resolution=17, boundary="impedance"))


def test_cosines_are_the_waves_of_the_closed_box():
    """S v = s (l - k^2) v, l = sum 4 sin^2(m_d pi h_d / 2) / h_d^2, in every row with its share."""
    shape, k = (9, 12), 3.7
    S = nodes.matrix(np.full(shape, k), "neumann")
    np.testing.assert_array_equal(S.toarray(), S.toarray().T)
    share = np.ones(shape)
    share[[0, -1], :] /= 2
    share[:, [0, -1]] /= 2
    for m in ((0, 0), (1, 0), (3, 2), (8, 11)):
        axes = [np.cos(np.pi * m_d * np.linspace(0, 1, n)) for m_d, n in zip(m, shape, strict=True)]
        v = np.multiply.outer(*axes)
        eigenvalue = sum(
            (2 * (n - 1) * math.sin(m_d * math.pi / (2 * (n - 1)))) ** 2
            for m_d, n in zip(m, shape, strict=True)
        )
        expected = share * (eigenvalue - k**2) * v
        np.testing.assert_allclose((S @ v.ravel()).reshape(shape), expected, atol=1e-10)


@pytest.mark.parametrize("boundary", WALLS)
@pytest.mark.parametrize("resolution", [(31, 26), (24, 33)], ids=str)
def test_a_sample_solves_its_equation_with_ghost_points(boundary, resolution):
    """The five-point star at every node, u beyond a wall being u inside + 2 h du/dn."""
    problem = Helmholtz(resolution=resolution, boundary=boundary, deviation=15.0, omega=300.0)
    sample = problem.sample(np.random.default_rng(0))
    u, k = wave(sample), 300.0 / sample["speed"]
    hx, hy = (1 / (n - 1) for n in resolution)
    g = {(1, -1): helmholtz.bump(resolution[0])}
    ghosts = np.zeros((resolution[0] + 2, resolution[1] + 2), dtype=u.dtype)
    ghosts[1:-1, 1:-1] = u
    for axis, h in ((0, hx), (1, hy)):
        for end, within in ((0, 1), (-1, -2)):
            slope = g.get((axis, end), 0.0)
            if boundary == "impedance":
                slope = slope + 1j * np.take(k * u, end, axis)
            beyond = np.moveaxis(ghosts, axis, 0)[end]
            beyond[1:-1] = np.take(u, within, axis) + 2 * h * slope
    laplacian = (ghosts[2:, 1:-1] - 2 * u + ghosts[:-2, 1:-1]) / hx**2
    laplacian += (ghosts[1:-1, 2:] - 2 * u + ghosts[1:-1, :-2]) / hy**2
    assert np.abs(laplacian + k**2 * u).max() < 1e-10 * np.abs(k**2 * u).max()


@pytest.mark.parametrize("boundary", WALLS)
def test_samples_converge(boundary):
    """At k ~ 5, and with the ends of the bump at nodes, three grids show the order."""
    coarse = Helmholtz(resolution=41, boundary=boundary, omega=100.0, deviation=15.0)
    u = []
    for factor in (1, 2, 4):
        sample = coarse.refined(factor).sample(np.random.default_rng(0))
        u.append(wave(sample)[::factor, ::factor])
    steps = [np.linalg.norm(u[i + 1] - u[i]) for i in (0, 1)]
    assert steps[0] < 0.1 * np.linalg.norm(u[0])
    assert math.log2(steps[0] / steps[1]) == pytest.approx(2.0, abs=0.15)


def test_what_the_bump_puts_in_leaves_through_the_walls():
    """f = 0:  int k |u|^2 = -Im int conj(u) g  over the wall, and that is not negative."""
    problem = Helmholtz(resolution=(41, 31), boundary="impedance", omega=200.0)
    sample = problem.sample(np.random.default_rng(0))
    u = wave(sample)
    flux = 200.0 / sample["speed"] * np.abs(u) ** 2
    leaves = sum(
        trapezoid(np.take(flux, end, axis), dx=1 / (flux.shape[1 - axis] - 1))
        for axis in (0, 1)
        for end in (0, -1)
    )
    enters = -trapezoid((u[:, -1].conj() * helmholtz.bump(41)).imag, dx=1 / 40)
    assert leaves == pytest.approx(enters, rel=1e-10) and leaves > 0


def test_the_real_map_is_the_complex_matrix():
    problem = Helmholtz(resolution=(6, 5), boundary="impedance")
    A, M = problem.operator(), nodes.matrix(problem._known_wavenumber(), "impedance")
    assert A.shape == (2, 6, 5) and A.symmetric and not A.positive
    x = np.random.default_rng(0).standard_normal((2, 6, 5))
    product = (M @ (x[0] + 1j * x[1]).ravel()).reshape(6, 5)
    real = (A @ torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(real, [product.real, -product.imag], atol=1e-12)


@pytest.mark.parametrize("n", [6, 8, 21, 101])
def test_the_bump_has_its_width_on_every_grid(n):
    g = helmholtz.bump(n)
    assert g.min() == 0.0 and g.max() <= 1.0 + 1e-12
    assert trapezoid(g, dx=1 / (n - 1)) == pytest.approx(0.3, rel=1e-12)
    np.testing.assert_allclose(g, g[::-1], atol=1e-12)


def test_the_speed_is_the_published_series():
    """100 waves by |m|^2, ties by m1 then m2; the weights without a factor tau^(2 alpha - 2)."""
    problem = Helmholtz(resolution=(15, 19))
    c = problem.speed(np.random.default_rng(3))
    xi = grf.normals(np.random.default_rng(3), (15, 19))
    waves = sorted(
        ((i, j) for i in range(15) for j in range(15)), key=lambda m: m[0] ** 2 + m[1] ** 2
    )
    x, y = np.linspace(0, 1, 15)[:, None], np.linspace(0, 1, 19)
    z = 0.0
    for i, j in waves[1:101]:
        phi = np.cos(i * np.pi * x) * np.cos(j * np.pi * y) * np.sqrt(2.0) ** ((i > 0) + (j > 0))
        z = z + xi[i, j] * phi / (np.pi**2 * (i**2 + j**2) + 9.0)
    np.testing.assert_allclose(c, 20 + np.tanh(z), rtol=1e-13)
    assert np.abs(z).max() > 0.03


def test_a_medium_is_one_function_on_all_grids():
    fine, coarse = (
        Helmholtz(resolution=n, deviation=19.0).speed(np.random.default_rng(0)) for n in (41, 21)
    )
    np.testing.assert_allclose(fine[::2, ::2], coarse, rtol=1e-12)
    assert 1.0 < fine.min() < 20.0 < fine.max() < 39.0 and fine.std() > 0.5
    few = Helmholtz(resolution=9).speed(np.random.default_rng(0))  # fewer waves than 100 fit
    assert np.isfinite(few).all()
    for modes in (1, 2, 5, 100, 300):
        assert helmholtz.longest((60, 60), modes).sum() == modes


def test_walls_are_told_by_the_schema():
    for boundary, kind in zip(WALLS, ("neumann", "open"), strict=True):
        schema = Helmholtz(resolution=9, boundary=boundary).schema()
        for v in schema.targets:
            kinds = [schema.boundary_kind(a, s, v.name) for a in "xy" for s in ("lower", "upper")]
            assert kinds == [kind] * 4
        assert [b.value for b in schema.boundary] == [0.0, 0.0, 0.0, None]
        assert {n for b in schema.boundary for n in b.variables} == {v.name for v in schema.targets}


def resonant(n, mean_speed=20.0):
    """omega at the wave (2, 1) of the closed box on n x n nodes, which the bump excites."""
    h = 1 / (n - 1)
    return mean_speed * math.hypot(*(2 / h * math.sin(m * math.pi * h / 2) for m in (2, 1)))


@pytest.mark.parametrize("omega", [resonant(11), 1e-3, 1e-200])
def test_a_resonance_is_told(omega):
    problem = Helmholtz(resolution=11, omega=omega, deviation=1e-9)
    with pytest.raises(SciopsError, match="resonance of this medium"):
        problem.solution(np.full((11, 11), 20.0))
    with pytest.raises(SciopsError, match="100 media in a row"):
        problem.sample(np.random.default_rng(0))
    away = problem.model_copy(update={"omega": 1.1 * resonant(11)})
    assert np.abs(away.solution(np.full((11, 11), 20.0))).max() < 1.0
    with pytest.raises(ShapeError, match="shape"):
        away.solution(np.full((11, 12), 20.0))


def test_a_singular_matrix_is_a_resonance():
    with pytest.raises(SciopsError, match="resonance of this medium"):
        Helmholtz(resolution=(3, 5), omega=1e-200).solution(np.full((3, 5), 20.0))


def test_a_resonant_medium_is_drawn_anew(monkeypatch):
    problem = Helmholtz(resolution=11, omega=resonant(11))
    rng = np.random.default_rng(0)
    media = [problem.speed(rng) for _ in range(6)]
    slopes = [problem._solved(c)[1] for c in media]
    monkeypatch.setattr(helmholtz, "LARGEST_SLOPE", sorted(slopes)[0])
    calm = slopes.index(min(slopes))
    assert calm > 0
    sample = problem.sample(np.random.default_rng(0))
    np.testing.assert_array_equal(sample["speed"], media[calm])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"deviation": 20.0}, "deviation must be below mean_speed = 20"),
        ({"omega": 0.0}, "omega"),
        ({"boundary": "dirichlet"}, "boundary"),
        ({"resolution": 2}, "resolution"),
        ({"alpha": 1.0}, "alpha"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        validate(Helmholtz, settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("boundary", "table"),
    [("neumann", (2.5, 0.87, 0.13, 0.032)), ("impedance", (0.30, 0.073, 0.018, 0.0045))],
)
def test_the_pollution_of_the_defaults_is_that_of_the_docstring(boundary, table):
    """Relative L2 distance at the 101 x 101 nodes from the limit, extrapolated from 401, 801."""
    fields = []
    for n in (101, 201, 401, 801):
        found = Helmholtz(resolution=n, boundary=boundary).sample(np.random.default_rng(0))
        u = np.stack([v for name, v in sorted(found.items()) if name.startswith("solution")])
        step = (n - 1) // 100
        fields.append(u[:, ::step, ::step])
    limit = fields[3] + (fields[3] - fields[2]) / 3
    distances = [np.linalg.norm(u - limit) / np.linalg.norm(limit) for u in fields]
    np.testing.assert_allclose(distances, table, rtol=0.1)
