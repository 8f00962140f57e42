"""Metrics against numbers computed by hand and integrals in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sciops.core.schema import Axis, Grid, Points, Schema, Variable
from sciops.metrics.pointwise import max_error, nrmse, relative_l2, rmse, vrmse


def line(n: int, spacing: str = "cell") -> Schema:
    grid = Grid((Axis.uniform("x", n, spacing=spacing),))
    return Schema((Variable("u", grid, "target"),))


def tensor(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_by_hand():
    y, p = tensor([[3.0, 4.0, 0.0, 0.0]]), tensor([[3.0, 4.0, 2.0, -1.0]])
    s = line(4)
    assert relative_l2(p, y, s).item() == pytest.approx(math.sqrt(5) / 5)
    assert rmse(p, y, s).item() == pytest.approx(math.sqrt(5 / 4))
    assert nrmse(p, y, s).item() == pytest.approx(math.sqrt(5 / 4) / math.sqrt(25 / 4))
    variance = (1.25**2 + 2.25**2 + 2 * 1.75**2) / 3  # about the mean 7/4, unbiased
    assert vrmse(p, y, s).item() == pytest.approx(math.sqrt(5 / 4 / (variance + 1e-7)))
    assert max_error(p, y, s).item() == 2.0


def test_zero_truth():
    zero, s = torch.zeros(1, 1, 4), line(4)
    for metric in (relative_l2, nrmse):
        assert metric(zero, zero, s).item() == 0.0
        assert metric(zero + 1, zero, s).item() == math.inf
        assert metric(zero * torch.nan, zero, s).isnan().all()
    assert vrmse(zero + 1, zero, s).item() == pytest.approx(1e-7**-0.5)


def test_the_mean_of_the_truth_has_a_vrmse_of_one():
    y = torch.randn(1, 1, 1000, generator=torch.Generator().manual_seed(0)) + 5
    assert vrmse(y.mean().expand_as(y), y, line(1000)).item() == pytest.approx(1, abs=1e-3)


def test_vectors_pool_their_components():
    grid = Grid((Axis.uniform("x", 2),))
    s = Schema((Variable("p", grid, "target"), Variable("v", grid, "target", (2,))))
    y = tensor([[1.0, 1.0], [3.0, 0.0], [0.0, 4.0]])
    p = y + tensor([[0.0, 0.0], [1.0, 0.0], [0.0, -2.0]])
    assert relative_l2(p, y, s).tolist() == [[0.0, pytest.approx(math.sqrt(5) / 5)]]
    assert rmse(p, y, s).tolist() == [[0.0, pytest.approx(math.sqrt(5 / 4))]]
    assert max_error(p, y, s).tolist() == [[0.0, 2.0]]
    variance = (2 * 1.5**2 + 2 * 2.0**2) / 2  # the mean of the variances of the components
    assert vrmse(p, y, s)[0, 1].item() == pytest.approx(math.sqrt(5 / 4 / variance), rel=1e-6)


def test_masks_by_hand_also_per_channel():
    y, p, s = tensor([[1.0, 2.0, 2.0, 9.0]]), tensor([[1.0, 2.0, 5.0, 0.0]]), line(4)
    mask = torch.tensor([[[True, True, True, False]]])
    assert relative_l2(p, y, s, mask).item() == 1.0
    assert rmse(p, y, s, mask).item() == pytest.approx(math.sqrt(3))
    assert max_error(p, y, s, mask).item() == 3.0
    assert vrmse(p, y, s, mask).item() == pytest.approx(math.sqrt(3 / (1 / 3 + 1e-7)))
    grid = s.target_domain
    vector = Schema((Variable("v", grid, "target", (2,)),))
    both, truth = torch.cat([p, p], dim=1), torch.cat([y, y], dim=1)
    only_first = torch.tensor([True, False])[None, :, None] & mask
    assert rmse(both, truth, vector, only_first).item() == pytest.approx(math.sqrt(3))
    assert vrmse(both, truth, vector, only_first).item() == pytest.approx(
        vrmse(p, y, s, mask).item()
    )


def test_points_use_their_weights():
    points = Points(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), weights=np.array([1.0, 1, 2]))
    s = Schema((Variable("u", points, "target"),))
    y, p = tensor([[1.0, 1.0, 1.0]]), tensor([[1.0, 2.0, 3.0]])
    assert rmse(p, y, s).item() == pytest.approx(math.sqrt((0 + 1 + 2 * 4) / 4))
    bare = Schema((Variable("u", Points(points.coordinates), "target"),))
    assert rmse(p, y, bare).item() == pytest.approx(math.sqrt(5 / 3))


def test_float32_fields_are_summed_in_float64():
    generator = torch.Generator().manual_seed(0)
    y = 1e4 + torch.rand(1, 1, 4096, generator=generator)
    p, s = y + torch.rand(1, 1, 4096, generator=generator), line(4096)
    for metric in (relative_l2, rmse, vrmse, max_error):
        assert metric(p, y, s).item() == metric(p.double(), y.double(), s).item()


# y = exp(x), p = y + x (3/2 - x) on [0, 1]: everything can be integrated by hand.
#   ||p - y||^2 = 1/5,  ||y||^2 = (e^2 - 1) / 2,  mean y = e - 1,  max |p - y| = 9/16
SQUARE, NORM = 1 / 5, (math.e**2 - 1) / 2
CLOSED_FORM = [
    (relative_l2, math.sqrt(SQUARE / NORM)),
    (nrmse, math.sqrt(SQUARE / NORM)),
    (rmse, math.sqrt(SQUARE)),
    (vrmse, math.sqrt(SQUARE / (NORM - (math.e - 1) ** 2 + 1e-7))),
    (max_error, 9 / 16),
]


def difference(metric, exact: float, grid: Grid) -> float:
    x = torch.from_numpy(grid.axes[0].coordinates.copy())
    y, s = torch.exp(x), Schema((Variable("u", grid, "target"),))
    return abs(metric((y + x * (1.5 - x))[None, None], y[None, None], s).item() - exact)


@pytest.mark.parametrize("metric, exact", CLOSED_FORM)
def test_cells_converge_at_second_order(metric, exact):
    """The midpoint rule; the unbiased variance of VRMSE is first order, 1 / (N - 1)."""
    coarse, fine = (difference(metric, exact, Grid((Axis.uniform("x", n),))) for n in (64, 128))
    order = 1.0 if metric is vrmse else 2.0
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("metric, exact", CLOSED_FORM[:3])
def test_plain_means_on_nodes_converge_at_first_order(metric, exact):
    """The convention of the field: each node counts the same, also those on the boundary."""
    grids = (Grid((Axis.uniform("x", n, spacing="node"),)) for n in (65, 129))
    coarse, fine = (difference(metric, exact, grid) for grid in grids)
    assert math.log2(coarse / fine) == pytest.approx(1.0, abs=0.1)


def graded(n: int) -> Grid:
    return Grid((Axis("x", np.linspace(0, 1, n) ** 2, 0.0, 1.0),))


@pytest.mark.parametrize("metric, exact", [c for c in CLOSED_FORM if c[0] is not max_error])
def test_graded_axes_converge_to_the_integral(metric, exact):
    """At second order (VRMSE: first), where plain means would converge to something else."""
    assert graded(65).axes[0].spacing == "graded"
    coarse, fine = (difference(metric, exact, graded(n)) for n in (65, 129))
    assert math.log2(coarse / fine) == pytest.approx(1.0 if metric is vrmse else 2.0, abs=0.15)
    assert fine < 0.02 * exact
