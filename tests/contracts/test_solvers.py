"""The contract of solvers, over every solver of the library."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sciops.core import config, resolve
from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import ShapeError
from sciops.core.linear import CallableMap, DenseMap, as_linear_map
from sciops.core.solver import Solution, Solver, Status

NAMES = resolve.names("solvers")
SHAPE = (6, 7)
TIGHT = {"rtol": 1e-10, "maxiter": 20_000}

pytestmark = pytest.mark.parametrize("name", NAMES)


def make(name: str, **settings) -> Solver:
    """The solver with those of the settings that it knows."""
    cls = resolve.find("solvers", name)
    return cls(**{k: v for k, v in settings.items() if k in cls.model_fields})


def spd(dtype=torch.float64) -> DiffusionMap:
    a = torch.from_numpy(1 + 4 * np.random.default_rng(0).random(SHAPE))
    return DiffusionMap.from_coefficient(a, (1 / 6, 1 / 7), "cell").to(dtype=dtype)


def field(*batch, seed=0, dtype=torch.float64):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((*batch, *SHAPE))).to(dtype)


@pytest.mark.parametrize(
    ("dtype", "rtol", "error"), [(torch.float64, 1e-10, 1e-8), (torch.float32, 1e-5, 1e-3)]
)
@pytest.mark.parametrize("batch", [(), (3,), (2, 1)], ids=str)
def test_gives_x_back(name, batch, dtype, rtol, error):
    A, x = spd(dtype), field(*batch, dtype=dtype)
    solution = make(name, **TIGHT | {"rtol": rtol}).solve(A, A @ x).check()
    assert solution.x.shape == x.shape and solution.x.dtype == dtype
    assert solution.iterations.shape == solution.residual.shape == batch
    assert len(solution.statuses) == int(np.prod(batch))
    assert float((solution.x - x).norm() / x.norm()) < error


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_residual_is_that_of_the_callers_matrix(name, dtype):
    A, b = spd(dtype), field(2, dtype=dtype)
    solution = make(name, rtol=1e-3).solve(A, b)
    x, exact = solution.x.double(), A.to(dtype=torch.float64)
    r = (b.double() - exact @ x).flatten(1).norm(dim=1) / b.double().flatten(1).norm(dim=1)
    assert solution.residual_dtype == solution.residual.dtype == torch.float64
    torch.testing.assert_close(solution.residual, r, rtol=1e-9, atol=0)


def test_converged_means_that_the_reported_residual_meets_the_tolerance(name):
    solver = make(name, rtol=1e-4)
    if not hasattr(solver, "rtol"):
        pytest.skip("has no tolerance")
    solution = solver.solve(spd(), field(5)).check()
    assert float(solution.residual.max()) <= solver.rtol * (1 + 1e-9)


def test_zero_gives_zero(name):
    A, b = spd(), field(3)
    b[1] = 0
    solution = make(name, **TIGHT).solve(A, b, x0=field(3, seed=1)).check()
    assert not solution.x[1].any() and solution.residual[1] == 0 and solution.iterations[1] == 0
    alone = make(name, **TIGHT).solve(A, torch.zeros(SHAPE, dtype=torch.float64)).check()
    assert not alone.x.any() and alone.status is Status.CONVERGED


def test_batch_equals_alone(name):
    A, b = spd(), field(4)
    solver = make(name, **TIGHT | {"rtol": 1e-6})
    together = solver.solve(A, b)
    for i in range(4):
        alone = solver.solve(A, b[i])
        assert alone.statuses == together.statuses[i : i + 1]
        assert int(alone.iterations) == int(together.iterations[i])
        torch.testing.assert_close(together.x[i], alone.x, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_right_hand_side_stays_where_it_is(name, value):
    A, b = spd(), field(3)
    clean = make(name).solve(A, b)
    b[1, 2, 3] = value
    solution = make(name).solve(A, b)
    assert solution.statuses[1] is Status.NON_FINITE and not solution.x[1].any()
    assert solution.statuses[0] is solution.statuses[2] is Status.CONVERGED
    torch.testing.assert_close(solution.x[::2], clean.x[::2], rtol=1e-10, atol=1e-12)
    assert solution.status is Status.NON_FINITE


def test_non_finite_matrix_is_a_status(name):
    matrix = torch.from_numpy(spd().sparse().toarray())
    matrix[3, 4] = matrix[4, 3] = float("nan")
    solution = make(name, maxiter=50).solve(DenseMap(matrix, SHAPE, True, True), field(2))
    assert set(solution.statuses) == {Status.NON_FINITE} and solution.x.isfinite().all()


def test_indefinite_matrix_ends_with_a_status_and_finite_x(name):
    d = torch.ones(SHAPE, dtype=torch.float64)
    d[0, 0] = -1.0
    d[1, 1] = 1e-3
    A = DenseMap(torch.diag(d.flatten()), SHAPE, True, True)
    solution = make(name, maxiter=50).solve(A, field(2))
    assert isinstance(solution, Solution) and solution.x.isfinite().all()
    for status, residual in zip(solution.statuses, solution.residual.tolist(), strict=True):
        assert (status is Status.CONVERGED) == (residual < 1e-5)


def test_scale_of_the_problem_does_not_matter(name):
    A, b = spd(), field()
    plain = make(name).solve(A, b).check()
    for scale in (1e-150, 1e150):
        scaled = make(name).solve(A, scale * b).check()
        torch.testing.assert_close(scaled.x / scale, plain.x, rtol=1e-9, atol=1e-14)


def test_leaves_its_arguments_alone_and_builds_no_graph(name):
    A, b, x0 = spd(), field(2), field(2, seed=1)
    kept = b.clone(), x0.clone()
    solution = make(name).solve(A, b.requires_grad_(), x0=x0)
    assert torch.equal(b, kept[0]) and torch.equal(x0, kept[1]) and not solution.x.requires_grad


def test_settings_survive_yaml(name):
    solver = make(name, rtol=3e-5)
    assert solver.kind == name
    assert config.validate(type(solver), config.parse_yaml(config.to_yaml(solver), "")) == solver


def test_misuse_is_told(name):
    with pytest.raises(ShapeError, match="as_linear_map"):
        make(name).solve(np.eye(3), torch.ones(3))
    with pytest.raises(ShapeError, match="must end in"):
        make(name).solve(spd(), torch.ones(3, dtype=torch.float64))


def test_reported_type_is_that_of_a_map_that_cannot_be_cast(name):
    A = spd(torch.float32)
    if name in ("direct", "multigrid", "amg"):
        pytest.skip("needs the entries of A, and with them A can be cast")
    function = CallableMap(A.matvec, SHAPE, torch.float32, "cpu", True, True, A.diagonal())
    solution = make(name, rtol=1e-3).solve(as_linear_map(function), field(dtype=torch.float32))
    assert solution.residual_dtype == torch.float32 and solution.residual.dtype == torch.float64
