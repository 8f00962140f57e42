r"""Squared H1 norms of fields on a grid, as a sum over the axes d:

    ||q||^2 = <q^2> + sum_d <(d_d q)^2> ,

<.> a weighted mean over the grid, so integrals divided by the volume, which cancels in a ratio of
norms.  Each axis says what its mean and its slope are (a `AxisNorm`):

    modes        <(d q)^2> = sum_k a_k s_k^2 |c_k|^2,   c_k = 1/n sum_j q_j exp(-2 pi i j k / n),
                 k = 0 .. n/2; a_k = 2, but 1 for k = 0 and k = n/2
    differences  <(d q)^2> = sum_i v_i (q_{i+1} - q_i)^2 / g_i^2,   g_i = x_{i+1} - x_i
    ring         the same, with q_n = q_0

`continuous` is the norm of the field in the unit of the coordinates, `truncated` that of the
MgNO family of papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciops.core.errors import SchemaError
from sciops.core.schema import SPACING_TOLERANCE, Axis, Domain, Grid

CUTOFF = 20  # first wavenumber that the truncated norm leaves out


@dataclass(frozen=True)
class AxisNorm:
    """One axis of a norm.

    Attributes
    ----------
    weights
        (n,) shares of the points in the mean; they add up to one.
    slope
        Factors of the terms: a_k s_k^2 of the modes, or v_i / g_i^2 of the differences.
    terms
        Of what the mean square of the slope is the sum.
    """

    weights: NDArray[np.float64]
    slope: NDArray[np.float64]
    terms: Literal["modes", "differences", "ring"]

    def squares(self, q: Tensor, d: int) -> Tensor:
        """The squares that `slope` weights, along axis d of q."""
        if self.terms == "modes":
            c = torch.fft.rfft(q, dim=d, norm="forward")
            return c.real.square() + c.imag.square()
        if self.terms == "ring":
            q = torch.cat([q, q.narrow(d, 0, 1)], dim=d)
        return q.diff(dim=d).square()


def squared_norm(q: Tensor, lines: Sequence[AxisNorm]) -> Tensor:
    """||q||^2 of real fields (.., *N) -> (..), one `AxisNorm` for each axis, in the dtype of q.

    Every step is differentiable, and none is a matrix product, so autocast leaves it in full
    precision.
    """
    weights = [line.weights for line in lines]
    total = _weighted(q.square(), weights)
    for d, line in enumerate(lines):
        squares = line.squares(q, q.ndim - len(lines) + d)
        total = total + _weighted(squares, [*weights[:d], line.slope, *weights[d + 1 :]])
    return total


def _weighted(squares: Tensor, factors: Sequence[NDArray[np.float64]]) -> Tensor:
    """Sum of (.., *N) over the grid with a factor along each axis."""
    for factor in reversed(factors):
        squares = (squares * squares.new_tensor(factor)).sum(-1)
    return squares


def continuous(domain: Domain) -> list[AxisNorm]:
    r"""The H1 norm of the field, int q^2 + |grad q|^2 divided by the volume.

    Periodic axes with equidistant points: Fourier modes, s_k = 2 pi k / L; exact for what the grid
    resolves.  The others: means with `Axis.widths`, and the compact differences above with v_i the
    share of the gap g_i in the length.  The slope is taken as constant from the outermost point to
    the wall, so the first gap also stands for the piece before it and the last one for the piece
    behind it.  Both are of second order on every spacing, on graded axes in the largest gap.
    Where a periodic axis is not equidistant the differences go around; where it stores the point
    at the end of the period again, or where it is not known to be periodic, it has walls.
    Along an axis with one point the field is constant.

    Raises
    ------
    SchemaError
        If the domain is not a grid.
    """
    return [_line(axis) for axis in _grid(domain).axes]


def truncated(domain: Domain) -> list[AxisNorm]:
    """The norm of MgNO: modes along every axis, s_k = k where k < 20 and 0 from there on.

    Raises
    ------
    SchemaError
        If the domain is not a grid of uniform axes.
    """
    grid = _grid(domain)
    graded = [axis.name for axis in grid.axes if axis.spacing == "graded"]
    if graded:
        raise SchemaError(
            f"the truncated H1 norm counts modes on uniform axes, but {', '.join(graded)} is "
            f"graded; use relative_h1, or interpolate to a uniform grid first"
        )
    lines = []
    for n in grid.shape:
        k = np.arange(n // 2 + 1)
        lines.append(_modes(n, np.where(k < CUTOFF, k, 0)))
    return lines


def _line(axis: Axis) -> AxisNorm:
    x, n = axis.coordinates, axis.size
    if n == 1:
        return AxisNorm(np.ones(1), np.zeros(0), "differences")
    weights = axis.widths / axis.widths.sum()
    gaps, wrap = np.diff(x), x[0] + axis.length - x[-1]
    slack = SPACING_TOLERANCE * axis.length / n
    if axis.periodic and wrap > slack:
        gaps = np.append(gaps, wrap)
        if np.ptp(gaps) <= slack:
            return _modes(n, 2 * np.pi / axis.length * np.arange(n // 2 + 1))
        return AxisNorm(weights, 1.0 / (gaps * axis.length), "ring")
    reach = gaps.copy()
    if not axis.periodic:
        reach[0] += max(x[0] - axis.lower, 0.0)
        reach[-1] += max(axis.upper - x[-1], 0.0)
    return AxisNorm(weights, reach / reach.sum() / gaps**2, "differences")


def _modes(n: int, s: NDArray[np.generic]) -> AxisNorm:
    """Equal weights, and the factors a_k s_k^2 of modes k = 0 .. n/2."""
    count = np.full(len(s), 2.0)
    count[0] = 1.0
    if n % 2 == 0:
        count[-1] = 1.0
    return AxisNorm(np.full(n, 1.0 / n), count * s**2, "modes")


def _grid(domain: Domain) -> Grid:
    if not isinstance(domain, Grid):
        raise SchemaError("an H1 norm needs a grid, got points; interpolate to a grid first")
    return domain
