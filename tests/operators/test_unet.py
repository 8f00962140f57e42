"""U-Net: any size, any dimension, equivariant on periodic axes."""

from __future__ import annotations

import pytest
import torch

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Grid, Points, Schema, Variable
from sciops.operators.unet import Config


def schema(*axes):
    grid = Grid(tuple(axes))
    return Schema((Variable("a", grid, "input"), Variable("u", grid, "target")))


@pytest.mark.parametrize("sizes", [(1,), (3,), (17,), (5, 8), (9, 7), (3, 4, 5)])
def test_any_size_and_dimension(sizes):
    axes = [Axis.uniform(n, k) for n, k in zip("xyz", sizes, strict=False)]
    operator = Config(width=4, levels=2).build(schema(*axes))
    y = operator(torch.randn(2, 1, *sizes))
    assert y.shape == (2, 1, *sizes)
    assert torch.isfinite(y).all()


def test_shifts_along_a_periodic_axis_commute():
    """By whole cells of the coarsest grid; a walled axis knows where its walls are."""
    task = schema(Axis.uniform("x", 16, spacing="periodic"), Axis.uniform("y", 8))
    torch.manual_seed(0)
    operator = Config(width=4, levels=2).build(task).double()
    a = torch.randn(1, 1, 16, 8, dtype=torch.float64)
    moved = operator(a.roll(4, 2))
    torch.testing.assert_close(moved, operator(a).roll(4, 2))
    assert not torch.allclose(operator(a.roll(4, 3)), operator(a).roll(4, 3))


def test_another_resolution_is_worked_on_at_the_training_one():
    task = schema(Axis.uniform("x", 16), Axis.uniform("y", 16))
    operator = Config(width=4, levels=1).build(task).double()
    x = torch.linspace(0, 1, 33, dtype=torch.float64)[:32] + 1 / 64
    fine = (x[:, None] * 2 - x[None])[None, None]
    coarse = torch.nn.functional.avg_pool2d(fine, 2)  # linear: exact at the coarse points
    found = operator(fine, at=operator.on(task.target_domain))
    torch.testing.assert_close(found, operator(coarse))


def test_points_are_refused():
    points = Points(torch.rand(5, 2).numpy())
    task = Schema((Variable("a", points, "input"), Variable("u", points, "target")))
    with pytest.raises(SchemaError, match="unet"):
        Config().build(task)
