"""What every metric must keep, as plain functions, so that one from outside can be held to them:

    from contracts.metric_checks import CHECKS
    for check in CHECKS: check(sciops.metrics.find("my_package.my_module:my_metric"))

Each check takes the metric and raises AssertionError where it is broken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from sciops.core.errors import SchemaError, ShapeError
from sciops.core.schema import Axis, Grid, Schema, Variable

SCALING = {"1": 0, "of the variable": 1, "of the variable, squared": 2}


def task(n: int = 8, m: int = 6, components: tuple[int, ...] = (2,)) -> Schema:
    """A vector and a scalar on an n x m grid, periodic along y and walled along x."""
    grid = Grid((Axis.uniform("y", n, 0.0, 2.0, "periodic"), Axis.uniform("x", m)))
    velocity = Variable("velocity", grid, "target", components)
    return Schema((velocity, Variable("pressure", grid, "target")))


def pair(schema: Schema, batch: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random prediction and truth of some size, so that no epsilon matters."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, schema.target_channels, *schema.target_domain.shape)
    truth = 1e3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    error = 1e2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return truth + error, truth


def has_its_attributes(metric: Callable[..., Any]) -> None:
    assert isinstance(metric.perfect, float)
    assert metric.units in SCALING
    assert metric.__doc__


def gives_a_float64_per_sample_and_variable(metric: Callable[..., Any]) -> None:
    schema = task()
    p, y = pair(schema)
    result = metric(p.float(), y.float(), schema)
    assert result.shape[:2] == (3, 2)
    assert result.dtype == torch.float64
    assert result.isfinite().all()


def is_perfect_at_equality(metric: Callable[..., Any]) -> None:
    schema = task()
    _, y = pair(schema)
    for truth in (y, y.float(), torch.zeros_like(y), torch.ones_like(y)):
        result = metric(truth, truth.clone(), schema)
        torch.testing.assert_close(result, torch.full_like(result, metric.perfect))
    assert (metric(*pair(schema), schema) != metric.perfect).all()


def permutes_with_the_batch(metric: Callable[..., Any]) -> None:
    schema = task()
    p, y = pair(schema)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(metric(p[order], y[order], schema), metric(p, y, schema)[order])


def keeps_samples_apart(metric: Callable[..., Any]) -> None:
    schema = task()
    p, y = pair(schema)
    whole = metric(p, y, schema)
    torch.testing.assert_close(metric(p[1:2], y[1:2], schema), whole[1:2])
    q = p.clone()
    q[0] = torch.nan
    torch.testing.assert_close(metric(q, y, schema)[1:], whole[1:])


def keeps_variables_apart(metric: Callable[..., Any]) -> None:
    schema = task()
    p, y = pair(schema)
    q = p.clone()
    q[:, :2] += 7.0
    torch.testing.assert_close(metric(q, y, schema)[:, 1], metric(p, y, schema)[:, 1])


def shows_a_nan(metric: Callable[..., Any]) -> None:
    schema = task()
    p, y = pair(schema)
    p[1, 0, 2, 3] = torch.nan
    result = metric(p, y, schema)
    assert result[1, 0].isnan().any()
    assert result[[0, 2]].isfinite().all() and result[1, 1].isfinite().all()


def refuses_holes(metric: Callable[..., Any]) -> bool:
    """Whether a mask with one False is a SchemaError that says so, as for norms of derivatives."""
    schema = task()
    mask = torch.ones(3, 1, 8, 6, dtype=torch.bool)
    mask[1, 0, 2, 3] = False
    try:
        metric(*pair(schema), schema, mask)
    except SchemaError as error:
        assert "mask" in str(error)
        return True
    return False


def ignores_masked_points(metric: Callable[..., Any]) -> None:
    """Or refuses them; a mask without any is as none."""
    schema = task()
    p, y = pair(schema)
    everything = torch.ones(3, 1, 8, 6, dtype=torch.bool)
    torch.testing.assert_close(metric(p, y, schema, everything), metric(p, y, schema))
    if refuses_holes(metric):
        return
    mask = torch.rand(3, 1, 8, 6, generator=torch.Generator().manual_seed(1)) > 0.3
    expected = metric(p, y, schema, mask)
    junk, hole = torch.where(mask, p, torch.nan), torch.where(mask, y, -1e9)
    torch.testing.assert_close(metric(junk, hole, schema, mask), expected)
    torch.testing.assert_close(metric(p, y, schema, mask.expand_as(p)), expected)


def without_data_is_nan(metric: Callable[..., Any]) -> None:
    """Or refuses them."""
    if refuses_holes(metric):
        return
    schema = task()
    p, y = pair(schema)
    mask = torch.ones(3, 1, 8, 6, dtype=torch.bool)
    mask[1] = False
    result = metric(p, y, schema, mask)
    assert result[1].isnan().all() and result[[0, 2]].isfinite().all()


def refuses_wrong_shapes(metric: Callable[..., Any]) -> None:
    schema = task()
    p, y = pair(schema)
    bad_mask = torch.ones(3, 5, 8, 6, dtype=torch.bool)
    for arguments in (
        (p[:, :2], y[:, :2], schema),
        (p[..., :5], y[..., :5], schema),
        (p[:2], y, schema),
        (p, y[..., :1], schema),
        (p.to(torch.int64), y, schema),
        (p, y, schema, bad_mask),
        (p, y, schema, torch.ones_like(p)),
    ):
        with pytest.raises(ShapeError):
            metric(*arguments)


def scales_as_its_unit(metric: Callable[..., Any]) -> None:
    """metric(s p, s y) = s^k metric(p, y) with k = 0, 1, 2 by the attribute `units`."""
    schema = task()
    p, y = pair(schema)
    factor = 10.0 ** SCALING[metric.units]
    torch.testing.assert_close(
        metric(10 * p, 10 * y, schema), factor * metric(p, y, schema), rtol=1e-6, atol=0.0
    )


def smooth_pair(n: int) -> tuple[Tensor, Tensor, Schema]:
    """y = (2 + cos(pi y) sin(x), exp(x)), p = y + (exp(-x) cos(2 pi y), sin(3 x)) on (2n, n)."""
    schema = task(2 * n, n, components=())
    s, t = (torch.from_numpy(axis.coordinates.copy()) for axis in schema.target_domain.axes)
    s, t = torch.meshgrid(s, t, indexing="ij")
    y = torch.stack([2 + torch.cos(math.pi * s) * torch.sin(t), torch.exp(t)])
    e = torch.stack([torch.exp(-t) * torch.cos(2 * math.pi * s), torch.sin(3 * t)])
    return (y + e)[None], y[None], schema


def converges_with_the_grid(metric: Callable[..., Any]) -> None:
    """Changes from grid to grid shrink about as h, or faster; extra axes are cropped."""
    results = [metric(*smooth_pair(n)) for n in (8, 16, 32, 64)]
    common = [min(r.shape[d] for r in results) for d in range(results[0].ndim)]
    results = [r[tuple(slice(0, c) for c in common)] for r in results]
    first, last = (float((results[i + 1] - results[i]).abs().max()) for i in (0, 2))
    assert last <= first / 3 + 1e-12
    assert last <= 1e-2 * float(results[-1].abs().max())


CHECKS = (
    has_its_attributes,
    gives_a_float64_per_sample_and_variable,
    is_perfect_at_equality,
    permutes_with_the_batch,
    keeps_samples_apart,
    keeps_variables_apart,
    shows_a_nan,
    ignores_masked_points,
    without_data_is_nan,
    refuses_wrong_shapes,
    scales_as_its_unit,
    converges_with_the_grid,
)
