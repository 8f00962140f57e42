"""The contract of problems, over every problem of the library."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sciops.core import config, resolve
from sciops.core.errors import SchemaError
from sciops.core.problem import Problem
from sciops.core.schema import Grid, Schema
from sciops.solvers.direct import Direct

NAMES = resolve.names("problems")
VARIANTS = NAMES + [
    f"{name} on nodes"
    for name in NAMES
    if "centring" in resolve.find("problems", name).model_fields
]

pytestmark = pytest.mark.parametrize("name", VARIANTS)


def small(variant: str) -> Problem:
    """The problem on a coarse grid."""
    name, _, nodes = variant.partition(" on ")
    cls = resolve.find("problems", name)
    coarse = {"resolution": 17} if "resolution" in cls.model_fields else {}
    return cls(**coarse, **({"centring": "node"} if nodes else {}))


def inner(x: torch.Tensor) -> torch.Tensor:
    """The unknowns that touch no wall, where the residual has the order of the solution."""
    return x[tuple(slice(1, -1) for _ in x.shape)]


def order(coarse: float, fine: float) -> float:
    return math.log2(coarse / fine)


def test_operator_is_its_own_transpose_where_it_says_so(name):
    A = small(name).operator()
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, *A.shape, generator=generator, dtype=torch.float64)
    if A.symmetric:
        assert float(((A @ x) * y).sum()) == pytest.approx(float((x * (A @ y)).sum()), rel=1e-12)
    if A.positive:
        assert float((x * (A @ x)).sum()) > 0
    torch.testing.assert_close(A @ (2 * x - y), 2 * (A @ x) - A @ y)


def test_residual_of_the_exact_solution_falls_at_the_stated_order(name):
    errors = []
    for problem in (small(name).refined(2), small(name).refined(4)):
        A, f, u = problem.operator(), problem.rhs(), problem.exact()
        assert f.shape == u.shape == A.shape and f.dtype == u.dtype == torch.float64
        errors.append(float(inner(A @ u - f).abs().max()))
    assert order(*errors) == pytest.approx(small(name).order, abs=0.1)


def test_solution_converges_at_the_stated_order(name):
    errors = []
    for problem in (small(name), small(name).refined(2)):
        solution = Direct().solve(problem.operator(), problem.rhs()).check()
        errors.append(float((solution.x - problem.exact()).abs().max()))
    assert order(*errors) == pytest.approx(small(name).order, abs=0.1)


def test_samples_obey_the_schema(name):
    problem = small(name)
    schema, generator = problem.schema(), np.random.default_rng(0)
    assert Schema.from_json(schema.to_json()) == schema and schema.targets
    first, second = problem.sample(generator), problem.sample(generator)
    for sample in (first, second):
        problem.check_sample(sample)
        assert all(values.dtype == np.float64 for values in sample.values())
    assert any(not np.array_equal(first[k], second[k]) for k in first)
    for boundary in schema.boundary:
        for variable in boundary.variables:
            _holds(boundary, schema[variable], first[variable])


def _holds(boundary, variable, values) -> None:
    """A Dirichlet value is met on wall nodes exactly; next to a wall between cells nearly."""
    if boundary.kind != "dirichlet" or not isinstance(variable.domain, Grid):
        return
    axis = variable.domain.names.index(boundary.axis)
    wall = np.take(values, 0 if boundary.side == "lower" else -1, axis=axis)
    if variable.location == "node":
        assert (wall == boundary.value).all()
    else:
        assert np.abs(wall - boundary.value).max() < np.abs(values - boundary.value).max()


def test_same_generator_gives_the_same_bytes(name):
    problem = small(name)
    one, two, other = (problem.sample(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert all(one[k].tobytes() == two[k].tobytes() for k in one)
    assert any(one[k].tobytes() != other[k].tobytes() for k in one)


def test_a_wrong_sample_is_told(name):
    problem = small(name)
    sample = problem.sample(np.random.default_rng(0))
    target = problem.schema().targets[0].name
    with pytest.raises(SchemaError, match="must hold"):
        problem.check_sample({k: v for k, v in sample.items() if k != target})
    with pytest.raises(SchemaError, match=f"infinity in .*{target}"):
        problem.check_sample(sample | {target: sample[target] * np.nan})


def test_settings_survive_yaml(name):
    for problem in (small(name), small(name).refined(2)):
        text = config.to_yaml(problem)
        assert f"kind: {name.split()[0]}\n" in text
        again = config.validate(type(problem), config.parse_yaml(text, ""))
        assert again == problem and hash(again) == hash(problem)


def test_describes_itself(name):
    text = small(name).describe()
    assert "=" in text and len(text) > 40
