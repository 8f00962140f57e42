r"""Errors by length scale.

The error e = p - y on a uniform grid of N points is written in Fourier modes along periodic axes
and in cosines (the even extension, so without a jump at the ends) along the others:

    periodic   c_k = 1/n sum_j e_j exp(-2 pi i j k / n),         kappa = 2 pi k / (n h), k signed
    otherwise  c_k = 1/n sum_j e_j cos(pi (j + 1/2) k / n),      kappa =   pi k / (n h), k >= 0

h the distance between points.  Along a periodic axis of length L = n h the two signs of k are
kept apart (only half of one axis is computed, its modes counting twice); a cosine counts
a_k = 2 for k > 0, a_0 = 1.  With these counts a_k Parseval's identity is exact,

    sum_k a_k |c_k|^2 = <e^2> = RMSE^2 .

Shell s collects the modes with |kappa| in [s - 1/2, s + 1/2) dkappa, where dkappa is the largest of
the fundamental wavenumbers of the axes (2 pi / (n h) or pi / (n h)).  The shells cover the whole
plane or box, corners included, so nothing is lost.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Domain, Grid, Schema
from sciops.metrics import metric
from sciops.metrics._pooling import fields


@metric(perfect=0.0, units="of the variable, squared")
def error_spectrum(
    pred: Tensor, truth: Tensor, schema: Schema, mask: Tensor | None = None
) -> Tensor:
    r"""Power E_s of the error in shell s of physical wavenumbers, summed over directions.

        E_s = sum of a_k |c_k|^2 over the modes of shell s,    sum_s E_s = RMSE^2

    The components of a vector or tensor are averaged.  Masked points have error 0 and E is
    divided by the fraction of data, so that the sum stays the mean square error of the data; the
    edge of the mask then leaks into the shells.

    Returns
    -------
    Tensor
        (B, V, K) in the squared unit of the variable; `wavenumbers` gives the centres (K,).

    Raises
    ------
    ShapeError
        If the shapes are not those of the schema's targets.
    SchemaError
        If the targets lie on points or on a graded axis.

    Notes
    -----
    Sources: the power is that of the Fourier RMSE of Takamoto et al., PDEBench, 2022,
    arXiv:2210.07182, but over all modes instead of one quadrant and by physical wavenumber;
    cosine transform by Makhoul, A fast cosine transform in one and two dimensions, 1980.
    """
    grid = _uniform(schema.target_domain)
    f = fields(pred, truth, schema, mask)
    e = f.error.reshape(*f.error.shape[:2], *grid.shape)
    power = _power(e, grid).flatten(2)  # (B, C', M)
    shell, count = _shells(grid)
    spectrum = power.new_zeros(*power.shape[:2], count)
    spectrum.index_add_(2, torch.tensor(shell.ravel(), device=e.device), power)
    has_data = (f.weight > 0).to(e).mean(-1).expand(f.error.shape[:2])  # (B, C')
    return f.pool(spectrum) / f.pool(has_data).unsqueeze(-1)


def wavenumbers(domain: Domain) -> NDArray[np.float64]:
    """(K,) centres s dkappa of the shells, in radians per unit of the coordinates."""
    grid = _uniform(domain)
    return np.arange(_shells(grid)[1]) * _shell_width(grid)


def _power(e: Tensor, grid: Grid) -> Tensor:
    """a_k |c_k|^2 of real fields (B, C', *N); the last periodic axis is stored by half."""
    periodic = [d + 2 for d, axis in enumerate(grid.axes) if axis.periodic]
    cosine = [d + 2 for d, axis in enumerate(grid.axes) if not axis.periodic]
    for d in cosine:
        e = _cosine_transform(e.movedim(d, -1)).movedim(-1, d)
    if periodic:
        e = torch.fft.rfftn(e, dim=periodic, norm="forward")
    power = e.abs().square()
    for d in cosine:
        power = _counted(power, d, range(1, power.shape[d]))
    if periodic:
        n = grid.shape[periodic[-1] - 2]
        power = _counted(power, periodic[-1], range(1, (n + 1) // 2))
    return power


def _counted(power: Tensor, d: int, twice: range) -> Tensor:
    """`power` with the modes `twice` along axis d counted twice."""
    count = power.new_ones(power.shape[d])
    count[twice.start : twice.stop] = 2.0
    return power * count.reshape(-1, *([1] * (power.ndim - d - 1)))


def _cosine_transform(e: Tensor) -> Tensor:
    """c_k of the cosines along the last axis, by one FFT of the same length (Makhoul)."""
    n = e.shape[-1]
    even_odd = torch.cat([e[..., ::2], e[..., 1::2].flip(-1)], dim=-1)
    angle = torch.arange(n, device=e.device, dtype=e.dtype) * (-math.pi / (2 * n))
    turn = torch.polar(torch.ones_like(angle), angle)
    return (torch.fft.fft(even_odd, norm="forward") * turn).real


def _shells(grid: Grid) -> tuple[NDArray[np.int64], int]:
    """Shell of each mode, in the layout of `_power`, and the number of shells."""
    halved = max((d for d, axis in enumerate(grid.axes) if axis.periodic), default=-1)
    square = np.zeros(())
    for d, axis in enumerate(grid.axes):
        n, step = axis.size, _fundamental(axis)
        if d == halved:
            k = np.arange(n // 2 + 1)
        else:
            k = np.fft.fftfreq(n, 1 / n) if axis.periodic else np.arange(n)
        square = square[..., None] + (k * step) ** 2
    ratio = np.sqrt(square) / _shell_width(grid)
    shell = np.floor(ratio + 0.5 + 1e-9).astype(np.int64)  # ties go up whatever the rounding
    return shell, int(shell.max()) + 1


def _shell_width(grid: Grid) -> float:
    return max(_fundamental(axis) for axis in grid.axes)


def _fundamental(axis: Axis) -> float:
    """Smallest wavenumber along the axis; a half wave fits where the axis is not periodic."""
    x, n = axis.coordinates, axis.size
    extent = n * (x[-1] - x[0]) / (n - 1) if n > 1 else axis.length  # n h
    return (2 if axis.periodic else 1) * math.pi / float(extent)


def _uniform(domain: Domain) -> Grid:
    if not isinstance(domain, Grid):
        raise SchemaError("a spectrum needs a grid, got points; interpolate to a grid first")
    graded = [axis.name for axis in domain.axes if axis.spacing == "graded"]
    if graded:
        raise SchemaError(
            f"a spectrum needs uniform axes, but {', '.join(graded)} is graded; "
            f"interpolate to a uniform grid first"
        )
    return domain
