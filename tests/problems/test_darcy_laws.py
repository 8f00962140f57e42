"""The laws of the permeability in Darcy flow, and what each leaves unused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sciops.core.diffusion import DiffusionMap
from sciops.problems import _finite_volume as fv
from sciops.problems.darcy import Darcy, trigonometric

CENTRINGS = ("cell", "node")


def drawn(seed):
    """a_k of a sample, one by one."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(2 ** (k - 1), 1.5 * 2 ** (k - 1)) for k in range(1, 7)]


@pytest.mark.parametrize("centring", CENTRINGS)
def test_the_trigonometric_law_is_its_formula(centring):
    problem = Darcy(law="trigonometric", resolution=(7, 5), centring=centring)
    a = problem.coefficient(np.random.default_rng(0))
    x, y = fv.points((7, 5), centring)
    for i in range(7):
        for j in range(5):
            value = 1.0
            for a_k in drawn(0):
                value *= 1 + 0.5 * math.cos(a_k * math.pi * (x[i] + y[j]))
                value *= 1 + 0.5 * math.sin(a_k * math.pi * (y[j] - 3 * x[i]))
            assert a[i, j] == pytest.approx(value, rel=1e-11)


def test_its_frequencies_fill_their_octaves():
    """At the corner (1, 1) and with one scale a = (1 + cos(2 a pi) / 2) (1 - sin(2 a pi) / 2)."""
    frequencies = np.array([drawn(seed) for seed in range(200)])
    lowest = 2.0 ** np.arange(6)
    assert (frequencies >= lowest).all() and (frequencies <= 1.5 * lowest).all()
    assert np.abs(frequencies.mean(0) / lowest - 1.25).max() < 0.05
    corner = trigonometric([np.array([1.0]), np.array([1.0])], np.array([1.25]))
    assert corner[0, 0] == pytest.approx(0.5)


def test_it_is_positive_and_spans_its_contrast():
    problem = Darcy(law="trigonometric", resolution=200)
    rng = np.random.default_rng(0)
    fields = [problem.coefficient(rng) for _ in range(4)]
    assert all(a.min() > 0.5**12 and a.max() < 1.5**12 for a in fields)
    assert all(a.max() / a.min() > 1e3 for a in fields)


def test_it_is_one_function_on_all_grids():
    coarse = Darcy(law="trigonometric", resolution=(21, 15), centring="node")
    a, finer = (p.coefficient(np.random.default_rng(1)) for p in (coarse, coarse.refined(3)))
    np.testing.assert_allclose(finer[::3, ::3], a, rtol=1e-10)


@pytest.mark.parametrize("centring", CENTRINGS)
def test_its_sample_solves_the_equation(centring):
    problem = Darcy(law="trigonometric", resolution=(30, 37), centring=centring)
    sample = problem.sample(np.random.default_rng(0))
    problem.check_sample(sample)
    a, u = torch.from_numpy(sample["coefficient"]), torch.from_numpy(sample["solution"])
    A = DiffusionMap.from_coefficient(a, fv.spacings(a.shape, centring), centring)
    residual = A @ fv.unknowns(u, 2, centring).contiguous() - 1
    assert float(residual.abs().max()) < 1e-9
    assert (u >= 0).all() and float(u.max()) > 0.0736 / float(a.max())
    cg = problem.model_copy(update={"solver": "cg"}).solution(sample["coefficient"])
    np.testing.assert_allclose(cg, sample["solution"], rtol=0, atol=1e-7 * float(u.max()))


@pytest.mark.parametrize("face_mean", ["harmonic", "arithmetic"])
def test_where_the_grid_resolves_the_scales_the_solution_has_order_two(face_mean):
    u = []
    for n in (33, 65, 129):
        problem = Darcy(law="trigonometric", resolution=n, centring="node", face_mean=face_mean)
        a = trigonometric(fv.points((n, n), "node"), np.array([1.2, 2.7]))
        step = (n - 1) // 32
        u.append(problem.solution(a)[::step, ::step])
    steps = [np.abs(u[i + 1] - u[i]).max() for i in (0, 1)]
    assert math.log2(steps[0] / steps[1]) == pytest.approx(2.0, abs=0.15)


def test_the_field_and_its_settings_have_no_part_in_it():
    law = {"law": "trigonometric", "resolution": 9}
    plain, other = Darcy(**law), Darcy(**law, alpha=3.0, tau=7.0, values=(5.0, 1.0))
    a, b = (p.coefficient(np.random.default_rng(0)) for p in (plain, other))
    np.testing.assert_array_equal(a, b)
    assert plain.describe() == other.describe() and "Gaussian" not in plain.describe()
    assert "exp(g)" in Darcy(law="lognormal").describe()


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Darcy(), "a = 12 where g >= 0 and 3 elsewhere, g a Gaussian random field with "
         "covariance 3^2 (-Laplace + 3^2)^-2"),
        (Darcy(tau=5.0, values=(12.0, 2.0)), "a = 12 where g >= 0 and 2 elsewhere, g a Gaussian "
         "random field with covariance 5^2 (-Laplace + 5^2)^-2"),
    ],
    ids=["smooth", "rough"],
)  # fmt: skip
def test_the_published_laws(problem, words):
    assert words in problem.describe()
    assert set(np.unique(problem.coefficient(np.random.default_rng(0)))) == set(problem.values)
