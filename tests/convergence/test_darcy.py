"""The finite volumes of Darcy and Poisson, and the Gaussian field behind the permeability."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sciops.core.config import validate
from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import ConfigError, SchemaError, ShapeError
from sciops.problems import _finite_volume as fv
from sciops.problems import _gaussian_field as grf
from sciops.problems import _manufactured as manufactured
from sciops.problems.darcy import Darcy
from sciops.problems.poisson import Poisson
from sciops.solvers.cg import CG
from sciops.solvers.direct import Direct

CENTRINGS = ("cell", "node")


def solution_error(problem) -> float:
    solution = CG(rtol=1e-10).solve(problem.operator(), problem.rhs()).check()
    return float((solution.x - problem.exact()).abs().max())


@pytest.mark.parametrize("centring", CENTRINGS)
@pytest.mark.parametrize(
    "problem",
    [
        Poisson(dimension=1, resolution=24),
        Poisson(dimension=2, resolution=24),
        Poisson(dimension=3, resolution=14),
        Darcy(resolution=(24, 18)),
        Darcy(resolution=(18, 24), face_mean="arithmetic"),
    ],
    ids=lambda p: f"{p.kind}{getattr(p, 'dimension', '')}{getattr(p, 'face_mean', '')}",
)
def test_order_two(problem, centring):
    coarse = problem.model_copy(update={"centring": centring})
    order = math.log2(solution_error(coarse) / solution_error(coarse.refined(2)))
    assert order == pytest.approx(2.0, abs=0.1)


def difference_quotients(points, s, c, h=1e-4):
    """f by central differences of the closed forms of a and u, fluxes at half steps."""
    f = 0.0
    for d, x in enumerate(points):

        def at(shift, d=d, x=x):
            return [x + shift if e == d else y for e, y in enumerate(points)]

        def flux(shift, at=at):
            u = [manufactured.solution(at(shift + step), c) for step in (-h, h)]
            return manufactured.coefficient(at(shift), s) * (u[1] - u[0]) / (2 * h)

        f = f - (flux(h) - flux(-h)) / (2 * h)
    return f


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_manufactured_source_is_that_of_the_equation(dimension):
    rng = np.random.default_rng(0)
    points = [np.sort(rng.random(n)) for n in (5, 4, 3)[:dimension]]
    c = rng.standard_normal((3,) * dimension)
    exact = manufactured.source(points, 0.7, c)
    np.testing.assert_allclose(
        difference_quotients(points, 0.7, c), exact, atol=1e-4 * np.abs(exact).max()
    )


@pytest.mark.parametrize("mean", ["harmonic", "arithmetic"])
@pytest.mark.parametrize("centring", CENTRINGS)
@pytest.mark.parametrize("shape", [(9,), (6, 8), (3, 7), (5, 4, 6)], ids=str)
def test_map_matrix_and_solvers_agree(shape, centring, mean):
    rng = np.random.default_rng(0)
    a = torch.from_numpy(10.0 ** rng.uniform(-2, 2, shape))
    A = DiffusionMap.from_coefficient(a, fv.spacings(shape, centring), centring, mean)
    assert A.shape == (shape if centring == "cell" else tuple(n - 2 for n in shape))
    matrix = A.sparse()
    dense = (A @ torch.eye(A.size, dtype=torch.float64).reshape(-1, *A.shape)).reshape(A.size, -1)
    np.testing.assert_allclose(matrix.toarray(), dense.numpy(), rtol=1e-13, atol=0)
    np.testing.assert_array_equal(matrix.toarray(), matrix.toarray().T)
    np.testing.assert_allclose(matrix.diagonal(), A.diagonal().numpy().ravel(), rtol=1e-15)
    assert np.linalg.eigvalsh(matrix.toarray()).min() > 0
    b = rng.standard_normal(A.shape)
    t = fv.conductances(a.numpy(), fv.spacings(shape, centring), centring, mean)
    lu = Direct().solve(A, torch.from_numpy(b)).check().x.numpy()
    np.testing.assert_allclose(fv.solve(t, b), lu, rtol=1e-9, atol=1e-12 * np.abs(lu).max())


def test_stack_of_coefficients_acts_as_each():
    a = torch.rand(3, 5, 6, dtype=torch.float64) + 0.1
    stack = DiffusionMap.from_coefficient(a, (0.2, 0.1), "cell")
    x = torch.randn(5, 6, dtype=torch.float64)
    for i in range(3):
        one = DiffusionMap.from_coefficient(a[i], (0.2, 0.1), "cell")
        torch.testing.assert_close((stack @ x.expand(3, 5, 6))[i], one @ x)


def test_wide_bands_go_through_superlu_with_the_same_answer(monkeypatch):
    problem = Darcy(resolution=(20, 14))
    a = problem.coefficient(np.random.default_rng(0))
    banded = problem.solution(a)
    monkeypatch.setattr(fv, "WIDEST_BAND", 3)
    monkeypatch.setattr(fv, "_solve_banded", None)
    np.testing.assert_allclose(problem.solution(a), banded, rtol=1e-11)


def test_layers_across_the_flow_are_solved_exactly():
    """1-D: with harmonic means cell values of a that jump at faces give the exact fluxes.

    -(a u')' = 0 with u(0) = 1, u(1) = 0: u falls by q h / a over each cell, q = 1 / sum(h / a).
    The value at the wall goes into f as 2 a_0 / h^2.
    """
    a = np.array([1.0, 10.0, 0.1, 5.0, 5.0, 100.0])
    h = 1 / len(a)
    t = fv.conductances(a, (h,), "cell")
    f = np.zeros(len(a))
    f[0] = t[0][0]
    q = 1 / (h / a).sum()
    exact = 1 - q * (np.cumsum(h / a) - h / a / 2)
    np.testing.assert_allclose(fv.solve(t, f), exact, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("law", ["threshold", "lognormal"])
@pytest.mark.parametrize("centring", CENTRINGS)
def test_a_sample_solves_its_equation(centring, law):
    problem = Darcy(resolution=(20, 23), centring=centring, law=law)
    sample = problem.sample(np.random.default_rng(0))
    a, u = torch.from_numpy(sample["coefficient"]), torch.from_numpy(sample["solution"])
    A = DiffusionMap.from_coefficient(a, fv.spacings(a.shape, centring), centring)
    residual = A @ fv.unknowns(u, 2, centring).contiguous() - 1
    assert float(residual.abs().max()) < 1e-10
    assert (u >= 0).all() and 0 < float(u.max()) < 0.0737 / float(a.min())  # a constant: 0.07367/a
    if law == "threshold":
        assert set(np.unique(sample["coefficient"])) == {3.0, 12.0}
    cg = problem.model_copy(update={"solver": "cg"}).solution(sample["coefficient"])
    np.testing.assert_allclose(cg, sample["solution"], rtol=0, atol=1e-8 * float(u.max()))


@pytest.mark.parametrize("centring", CENTRINGS)
def test_a_sample_of_poisson_solves_its_equation(centring):
    """The samples are exact, so the discrete solution for their source comes close at order 2."""
    errors = []
    for n in (33, 65) if centring == "node" else (32, 64):
        problem = Poisson(resolution=n, centring=centring)
        sample = problem.sample(np.random.default_rng(0))
        points = fv.points((n, n), centring)
        a = manufactured.coefficient(points, float(sample["amplitude"]))
        t = fv.conductances(a, fv.spacings((n, n), centring), centring)
        u = fv.solve(t, fv.unknowns(sample["source"], 2, centring))
        exact = fv.unknowns(sample["solution"], 2, centring)
        errors.append(np.abs(u - exact).max() / np.abs(exact).max())
    assert errors[0] < 0.02
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.15)


def test_unit_coefficient_gives_the_known_height_of_the_membrane():
    """-Laplace u = 1 on the unit square: u(1/2, 1/2) = 0.0736713.. (the Fourier series)."""
    series = sum(
        16 * (-1) ** ((i + j) // 2 - 1) / (math.pi**4 * i * j * (i**2 + j**2))
        for i in range(1, 400, 2)
        for j in range(1, 400, 2)
    )
    u = Darcy(resolution=65, centring="node").solution(np.ones((65, 65)))
    assert u[32, 32] == pytest.approx(series, rel=1e-3)


# --- the Gaussian field --------------------------------------------------------------------------


def grid_of(shape, centring):
    return fv.box(shape, centring).coordinates


@pytest.mark.parametrize("centring", CENTRINGS)
@pytest.mark.parametrize("shape", [(5, 5), (4, 6)], ids=str)
def test_covariance_of_the_field_is_the_closed_form_exactly(shape, centring):
    """The field is a linear map L of the normals; L L^T must be the closed-form series."""
    n = shape[0] * shape[1]
    spread = np.sqrt(grf.eigenvalues(shape, 2.0, 3.0))
    columns = [grf.series(spread * unit.reshape(shape), centring).ravel() for unit in np.eye(n)]
    covariance = np.stack(columns, axis=1) @ np.stack(columns)
    x = grid_of(shape, centring)
    closed = np.zeros((n, n))
    for k1 in range(shape[0]):
        for k2 in range(shape[1]):
            if (k1, k2) != (0, 0):
                c = (2 if k1 else 1) * (2 if k2 else 1)
                phi = np.cos(k1 * np.pi * x[:, 0]) * np.cos(k2 * np.pi * x[:, 1])
                lam = 3.0**2 * (np.pi**2 * (k1**2 + k2**2) + 3.0**2) ** -2.0
                closed += c * lam * np.outer(phi, phi)
    np.testing.assert_allclose(covariance, closed, atol=1e-14)
    np.testing.assert_allclose(grf.covariance(x, x, shape, 2.0, 3.0), closed, atol=1e-14)


@pytest.mark.parametrize("centring", CENTRINGS)
def test_covariance_by_monte_carlo(centring):
    """n = 4000 fields; an entry s_ij has the standard error sqrt((s_ij^2 + s_ii s_jj) / n)."""
    shape, n = (6, 5), 4000
    rng = np.random.default_rng(0)
    fields = np.stack([grf.sample(rng, shape, centring, 2.0, 3.0).ravel() for _ in range(n)])
    x = grid_of(shape, centring)
    exact = grf.covariance(x, x, shape, 2.0, 3.0)
    error = np.sqrt((exact**2 + np.outer(exact.diagonal(), exact.diagonal())) / n)
    z = (fields.T @ fields / n - exact) / error
    assert np.abs(z).max() < 5 and 0.5 < z.std() < 1.5
    assert np.abs(fields.mean(0) / np.sqrt(exact.diagonal() / n)).max() < 4.5


def test_field_has_no_mean_over_cells():
    g = grf.sample(np.random.default_rng(0), (16, 12), "cell", 2.0, 3.0)
    assert abs(g.mean()) < 1e-14 < g.std()


def test_refinement_keeps_the_coarse_modes():
    """A finer grid under the same seed: the same field, seen more sharply."""
    coarse, fine = (grf.normals(np.random.default_rng(0), (n, n)) for n in (8, 16))
    np.testing.assert_array_equal(coarse, fine[:8, :8])
    g = [grf.sample(np.random.default_rng(0), (n, n), "node", 3.0, 3.0) for n in (17, 33, 65)]
    change = [np.abs(g[i + 1][::2, ::2] - g[i]).max() / g[2].std() for i in (0, 1)]
    assert change[1] < change[0] / 2 < 0.05


def test_every_normal_is_used_once():
    for shape in ((5, 5), (3, 7), (7, 3)):
        places = grf._shells(shape)
        assert len(np.unique(places)) == places.size and places.max() < max(shape) ** 2


def test_smoother_and_rougher_presets_differ_in_length():
    """tau = 5 gives more interfaces between the two values than tau = 3."""

    def interfaces(problem):
        rng = np.random.default_rng(0)
        return sum((np.diff(problem.coefficient(rng), axis=0) != 0).mean() for _ in range(20))

    smooth, rough = Darcy(resolution=40), Darcy(resolution=40, tau=5.0, values=(12.0, 2.0))
    assert 1.1 * interfaces(smooth) < interfaces(rough)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"resolution": 2}, "resolution"),
        ({"alpha": 1.0}, "alpha"),
        ({"values": [3.0, -1.0]}, "values"),
        ({"law": "uniform"}, "law"),
        ({"resolutoin": 8}, "Did you mean 'resolution'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        validate(Darcy, settings)


def test_coefficients_that_are_not_positive_are_refused():
    with pytest.raises(ShapeError, match="positive"):
        DiffusionMap.from_coefficient(torch.zeros(4, 4).double(), (0.25, 0.25), "cell")
    with pytest.raises(ShapeError, match="conductances along axis 1"):
        DiffusionMap([torch.ones(4, 3), torch.ones(3, 3)])
    with pytest.raises(SchemaError, match="at least 3 for nodes"):
        fv.box((2, 5), "node")
