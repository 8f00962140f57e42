r"""Multilinear interpolation of a field from a tensor-product grid to other axes or points.

Along one axis with points x_0 < .. < x_{n-1}, for x in [x_j, x_{j+1}],

    v(x) = (1 - w) v_j + w v_{j+1},    w = (x - x_j) / (x_{j+1} - x_j).

Outside the outermost points (the half interval beside a wall) the nearest two points are
continued linearly; on a periodic axis x is taken modulo the length L.  Second order, exact for
linear functions, exact at the grid points, and made of indexing and products alone, so it
exports with dynamic sizes and has every derivative.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sciops.core.errors import ShapeError


def bracket(
    x: Tensor, at: Tensor, period: float | None = None, uniform: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Neighbours j, j' (m,) and weight w (m,) of positions `at` (m,) among the points x (n,)."""
    n = x.shape[0]
    if period is not None:
        at = x[0] + torch.remainder(at - x[0], period)
    if uniform:
        step = (x[-1] - x[0]) / (n - 1) if n > 1 else torch.ones_like(x[0])
        j = torch.floor((at - x[0]) / step).to(torch.int64)
    elif torch.compiler.is_compiling():  # the same in comparisons, which ONNX knows
        j = (at[:, None] >= x).sum(1) - 1
    else:
        j = torch.searchsorted(x, at.detach().contiguous(), right=True) - 1
    if period is None:
        j = j.clamp(0, max(n - 2, 0)) if n > 1 else torch.zeros_like(j)
        upper = (j + 1).clamp(max=n - 1)
        right = x[upper]
    else:
        j = j.clamp(0, n - 1)
        upper = torch.where(j + 1 < n, j + 1, 0)
        right = torch.where(j + 1 < n, x[upper], x[0] + period)
    width = right - x[j]
    w = torch.where(width > 0, (at - x[j]) / torch.where(width > 0, width, 1.0), 0.0)
    return j, upper, w


def to_axes(
    v: Tensor,
    axes: Sequence[Tensor],
    at: Sequence[Tensor],
    periods: Sequence[float | None],
    uniform: Sequence[bool] | None = None,
) -> Tensor:
    """v (B, C, *N) on `axes` -> (B, C, *M) on the axes `at`, one axis after the other."""
    if not len(axes) == len(at) == len(periods) == v.ndim - 2:
        raise ShapeError(f"{v.ndim - 2} axes expected, got {len(axes)} and {len(at)} to go to")
    for d, (x, y, period) in enumerate(zip(axes, at, periods, strict=True)):
        j, upper, w = bracket(x, y, period, uniform is not None and uniform[d])
        w = w.to(v.dtype).reshape(-1, *([1] * (v.ndim - d - 3)))
        v = torch.lerp(v.index_select(d + 2, j), v.index_select(d + 2, upper), w)
    return v


def to_points(
    v: Tensor, axes: Sequence[Tensor], at: Tensor, periods: Sequence[float | None]
) -> Tensor:
    """v (B, C, *N) on `axes` -> (B, C, M) at the points `at` (M, D)."""
    if at.ndim != 2 or at.shape[1] != len(axes) or v.ndim - 2 != len(axes):
        raise ShapeError(f"expected points (M, {len(axes)}), got {tuple(at.shape)}")
    corners: list[tuple[Tensor | int, Tensor | float]] = [(0, 1.0)]  # flat index, weight
    for d, (x, period) in enumerate(zip(axes, periods, strict=True)):
        j, upper, w = bracket(x, at[:, d], period)
        n = v.shape[d + 2]
        corners = [
            (index * n + neighbour, weight * share)
            for index, weight in corners
            for neighbour, share in ((j, 1.0 - w), (upper, w))
        ]
    flat = v.flatten(2)  # (B, C, prod N)
    parts = [
        flat.index_select(2, torch.as_tensor(index)) * torch.as_tensor(weight).to(v.dtype)
        for index, weight in corners
    ]
    return torch.stack(parts).sum(0)
