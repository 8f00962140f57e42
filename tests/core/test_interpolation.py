"""Multilinear interpolation: exact for linear functions, second order, periodic."""

from __future__ import annotations

import math

import pytest
import torch

from sciops.core.errors import ShapeError
from sciops.core.interpolation import to_axes, to_points
from sciops.core.schema import Axis

GRADED = torch.tensor([0.0, 0.1, 0.25, 0.5, 0.7, 1.0], dtype=torch.float64)


def points(n, spacing):
    return torch.tensor(Axis.uniform("x", n, spacing=spacing).coordinates)


def grid_values(function, *axes):
    return function(*torch.meshgrid(*axes, indexing="ij"))[None, None]


@pytest.mark.parametrize("x", [points(7, "cell"), points(7, "node"), points(7, "left"), GRADED])
def test_linear_functions_are_exact_up_to_the_walls(x):
    y = points(5, "interior")
    v = grid_values(lambda x, y: 2 * x - 3 * y + 1, x, y)
    at = (
        torch.linspace(0, 1, 11, dtype=torch.float64),
        torch.linspace(0, 1, 4, dtype=torch.float64),
    )
    expected = grid_values(lambda x, y: 2 * x - 3 * y + 1, *at)
    torch.testing.assert_close(to_axes(v, (x, y), at, (None, None)), expected)
    mesh = torch.stack(torch.meshgrid(*at, indexing="ij"), -1).reshape(-1, 2)
    found = to_points(v, (x, y), mesh, (None, None))
    torch.testing.assert_close(found, expected.flatten(2))


@pytest.mark.parametrize("spacing", ["cell", "node", "left", "interior"])
def test_the_uniform_rule_is_the_search(spacing):
    x = points(9, spacing)
    v = torch.randn(2, 3, 9, dtype=torch.float64)
    at = (torch.linspace(-0.05, 1.05, 40, dtype=torch.float64),)
    by_rule, by_search = (to_axes(v, (x,), at, (None,), (u,)) for u in (True, False))
    torch.testing.assert_close(by_rule, by_search)


def test_grid_points_give_their_own_values():
    v = torch.randn(2, 1, 6, dtype=torch.float64)
    torch.testing.assert_close(to_axes(v, (GRADED,), (GRADED,), (None,)), v, rtol=0, atol=1e-15)


@pytest.mark.parametrize("shift", [0.0, 3.0, -2.0])
def test_a_period_changes_nothing(shift):
    x = points(8, "periodic")
    v = torch.sin(2 * math.pi * x)[None, None]
    at = torch.linspace(0, 1, 33, dtype=torch.float64)
    there = to_axes(v, (x,), (at + shift,), (1.0,))
    torch.testing.assert_close(there, to_axes(v, (x,), (at,), (1.0,)))
    torch.testing.assert_close(there[..., 0], there[..., -1])


def test_second_order():
    def error(n, period, spacing):
        x = points(n, spacing)
        at = torch.linspace(0, 1, 501, dtype=torch.float64)
        found = to_axes(torch.sin(2 * math.pi * x)[None, None], (x,), (at,), (period,))
        return float((found - torch.sin(2 * math.pi * at)).abs().max())

    for period, spacing in ((None, "node"), (None, "cell"), (1.0, "periodic")):
        order = math.log2(error(64, period, spacing) / error(128, period, spacing))
        assert order == pytest.approx(2.0, abs=0.1)


def test_one_point_is_constant():
    x = torch.tensor([0.5], dtype=torch.float64)
    v = torch.tensor([[[4.0]]], dtype=torch.float64)
    found = to_axes(v, (x,), (torch.tensor([0.0, 0.9], dtype=torch.float64),), (None,))
    assert found.tolist() == [[[4.0, 4.0]]]


def test_linear_in_the_field_and_differentiable():
    x = points(5, "cell")
    v = torch.randn(1, 2, 5, dtype=torch.float64, requires_grad=True)
    at = torch.tensor([[0.2], [0.77]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: to_points(v, (x,), at, (None,)), v)
    assert torch.autograd.gradcheck(lambda v: to_axes(v, (x,), (at[:, 0],), (1.0,)), v)


def test_wrong_shapes():
    v = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ShapeError, match="2 axes expected"):
        to_axes(v, (torch.arange(4.0),), (torch.arange(4.0),), (None,))
    with pytest.raises(ShapeError, match=r"points \(M, 2\)"):
        to_points(v, (torch.arange(4.0),) * 2, torch.zeros(3, 1), (None, None))
