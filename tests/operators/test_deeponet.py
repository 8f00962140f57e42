"""DeepONet: a separated form, evaluated anywhere, between domains of different dimension."""

from __future__ import annotations

import pytest
import torch

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Grid, Points, Schema, Variable
from sciops.operators.deeponet import Config, ConvBranch, MLPBranch

LINE = Grid((Axis.uniform("x", 8, spacing="periodic"),))
SPACE_TIME = Grid((Axis.uniform("t", 5, spacing="node"), Axis.uniform("x", 8, spacing="periodic")))


def burgers(components=()):
    return Schema(
        (
            Variable("a", LINE, "input"),
            Variable("u", SPACE_TIME, "target", components=components),
            Variable("nu", role="param"),
        )
    )


@pytest.mark.parametrize("branch", [MLPBranch(), ConvBranch(width=4)])
@pytest.mark.parametrize("components", [(), (3,)])
def test_from_a_line_to_space_and_time(branch, components):
    task = burgers(components)
    operator = Config(branch=branch, basis=8).build(task).double()
    a, p = torch.randn(2, 1, 8, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    at = operator.at_targets(task)
    y = operator(a, p, at)
    channels = 3 if components else 1
    assert y.shape == (2, channels, 5, 8)
    mesh = torch.tensor(SPACE_TIME.coordinates)
    torch.testing.assert_close(operator(a, p, mesh), y.flatten(2))


def test_periodic_in_the_periodic_coordinate():
    operator = Config(basis=8).build(burgers()).double()
    a, p = torch.randn(1, 1, 8, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    ends = torch.tensor([[0.3, 0.0], [0.3, 1.0], [0.0, 0.5], [1.0, 0.5]], dtype=torch.float64)
    y = operator(a, p, ends)[0, 0]
    torch.testing.assert_close(y[0], y[1])
    assert not torch.isclose(y[2], y[3])


def test_rank_is_at_most_the_basis():
    """Outputs for many inputs span at most K fields, and the mean."""
    operator = Config(basis=3).build(burgers()).double()
    a, p = torch.randn(30, 1, 8, dtype=torch.float64), torch.randn(30, 1, dtype=torch.float64)
    y = operator(a, p, operator.at_targets(burgers())).flatten(1)
    values = torch.linalg.svdvals(y - y.mean(0))
    assert values[3] < 1e-10 * values[0]
    assert values[2] > 1e-6 * values[0]


def test_a_finer_input_is_brought_to_the_sensors():
    operator = Config(basis=8).build(burgers()).double()
    p = torch.ones(1, 1, dtype=torch.float64)
    fine = torch.randn(1, 1, 16, dtype=torch.float64)
    at = operator.at_targets(burgers())
    torch.testing.assert_close(operator(fine, p, at), operator(fine[..., ::2], p, at))


def test_scattered_inputs():
    points = Points(torch.rand(7, 2).numpy())
    task = Schema((Variable("a", points, "input"), Variable("u", points, "target")))
    assert Config(basis=4).build(task)(torch.randn(2, 1, 7)).shape == (2, 1, 7)
    with pytest.raises(SchemaError, match="needs inputs on a grid"):
        Config(branch=ConvBranch()).build(task)
