"""What every problem keeps, as functions of a maker of the problem on a coarse grid.

CHECKS holds for all of them, STATIONARY and EVOLUTION besides for one kind; `of` gives those that
hold for a class.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from sciops.core import config, resolve
from sciops.core.errors import SchemaError, SciopsError
from sciops.core.problem import Evolution, Problem, Stationary
from sciops.core.schema import Grid, Schema
from sciops.solvers.direct import Direct

Make = Callable[[], Problem]


def inner(x: torch.Tensor) -> torch.Tensor:
    """The unknowns that touch no wall, where the residual has the order of the solution."""
    return x[tuple(slice(1, -1) for _ in x.shape)]


def order(coarse: float, fine: float) -> float:
    return math.log2(coarse / fine)


def check_operator_is_its_own_transpose_where_it_says_so(make: Make) -> None:
    A = make().operator()
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, *A.shape, generator=generator, dtype=torch.float64)
    if A.symmetric:
        assert float(((A @ x) * y).sum()) == pytest.approx(float((x * (A @ y)).sum()), rel=1e-12)
    if A.positive:
        assert float((x * (A @ x)).sum()) > 0
    torch.testing.assert_close(A @ (2 * x - y), 2 * (A @ x) - A @ y)


def check_residual_of_the_exact_solution_falls_at_the_stated_order(make: Make) -> None:
    errors = []
    for problem in (make().refined(2), make().refined(4)):
        A, f, u = problem.operator(), problem.rhs(), problem.exact()
        assert f.shape == u.shape == A.shape and f.dtype == u.dtype == torch.float64
        errors.append(float(inner(A @ u - f).abs().max()))
    assert order(*errors) == pytest.approx(make().order, abs=0.1)


def check_solution_converges_at_the_stated_order(make: Make) -> None:
    errors = []
    for problem in (make(), make().refined(2)):
        solution = Direct().solve(problem.operator(), problem.rhs()).check()
        errors.append(float((solution.x - problem.exact()).abs().max()))
    assert order(*errors) == pytest.approx(make().order, abs=0.1)


def check_known_case_converges_at_the_stated_order(make: Make) -> None:
    errors = []
    for problem in (make(), make().refined(2)):
        stop = float(problem.times()[-1])
        start, exact = problem.exact(0.0), problem.exact(stop)
        assert start.shape == exact.shape and start.dtype == exact.dtype == np.float64
        u = problem.advance(start, 0.0, stop, problem.source)
        errors.append(np.abs(u - exact).max())
        assert errors[-1] < 0.1 * np.abs(exact - start).max()
    assert order(*errors) == pytest.approx(make().order, abs=0.15)


def check_a_way_in_two_parts_is_the_whole_way(make: Make) -> None:
    problem = make()
    t = problem.times()
    u = problem.exact(0.0)
    kept = u.copy()
    half = problem.advance(u, 0.0, t[1], problem.source)
    whole = problem.advance(u, 0.0, t[2], problem.source)
    np.testing.assert_array_equal(u, kept)
    two = problem.advance(half, t[1], t[2], problem.source)
    np.testing.assert_allclose(two, whole, atol=1e-6 * np.abs(whole).max())
    np.testing.assert_allclose(problem.advance(u, t[1], t[1]), u, atol=1e-12 * np.abs(u).max())
    with pytest.raises(SciopsError, match="forward"):
        problem.advance(u, t[1], t[0])


def check_frames_are_those_of_the_times(make: Make) -> None:
    problem = make()
    times, schema = problem.times(), problem.schema()
    assert times.ndim == 1 and times[0] == 0.0 and (np.diff(times) > 0).all()
    np.testing.assert_allclose(np.diff(times), schema.dt, rtol=1e-12)
    sample = problem.sample(np.random.default_rng(0))
    moving = [v.name for v in schema.variables if v.time_varying]
    assert moving and all(len(sample[name]) == len(times) for name in moving)
    assert any(not np.array_equal(sample[name][0], sample[name][-1]) for name in moving)


def check_samples_obey_the_schema(make: Make) -> None:
    problem = make()
    schema, generator = problem.schema(), np.random.default_rng(0)
    assert Schema.from_json(schema.to_json()) == schema and (schema.targets or schema.states)
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


def check_same_generator_gives_the_same_bytes(make: Make) -> None:
    problem = make()
    one, two, other = (problem.sample(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert all(one[k].tobytes() == two[k].tobytes() for k in one)
    assert any(one[k].tobytes() != other[k].tobytes() for k in one)


def check_a_wrong_sample_is_told(make: Make) -> None:
    problem = make()
    sample = problem.sample(np.random.default_rng(0))
    schema = problem.schema()
    target = (schema.targets or schema.states)[0].name
    with pytest.raises(SchemaError, match="must hold"):
        problem.check_sample({k: v for k, v in sample.items() if k != target})
    with pytest.raises(SchemaError, match=f"infinity in .*{target}"):
        problem.check_sample(sample | {target: sample[target] * np.nan})


def check_settings_survive_yaml(make: Make) -> None:
    for problem in (make(), make().refined(2)):
        text = config.to_yaml(problem)
        assert f"kind: {resolve.name_of('problems', type(problem))}\n" in text
        again = config.validate(type(problem), config.parse_yaml(text, ""))
        assert again == problem and hash(again) == hash(problem)


def check_describes_itself(make: Make) -> None:
    text = make().describe()
    assert "=" in text and len(text) > 40


CHECKS = (
    check_samples_obey_the_schema,
    check_same_generator_gives_the_same_bytes,
    check_a_wrong_sample_is_told,
    check_settings_survive_yaml,
    check_describes_itself,
)
STATIONARY = (
    check_operator_is_its_own_transpose_where_it_says_so,
    check_residual_of_the_exact_solution_falls_at_the_stated_order,
    check_solution_converges_at_the_stated_order,
)
EVOLUTION = (
    check_known_case_converges_at_the_stated_order,
    check_a_way_in_two_parts_is_the_whole_way,
    check_frames_are_those_of_the_times,
)


def of(problem: type[Problem]) -> tuple[Callable[[Make], None], ...]:
    """The checks that hold for a class of problems."""
    kinds = {Stationary: STATIONARY, Evolution: EVOLUTION}
    (own,) = (checks for kind, checks in kinds.items() if issubclass(problem, kind))
    return CHECKS + own
