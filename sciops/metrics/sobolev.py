r"""Errors of a field and of its gradient, for prediction p and truth y of a sample and variable:

    relative_h1            ||p - y|| / ||y||,   ||q||^2 = int q^2 + |grad q|^2
    relative_h1_spectral   the same ratio,      ||q||^2 = sum_k (1 + sum_d m(k_d)^2) |q_k|^2,
                                                m(k) = |k| for |k| < 20, else 0

The first is the H1 norm of the field in the unit of the coordinates.  The second is what the MgNO
family of papers reports under that name: integer wavenumbers k_d of the discrete Fourier transform
whatever the length and the walls, cut off at 20.  The two are different numbers, and a published
one is to be compared with the second only.  How the norms are computed is described in
`sciops.metrics._sobolev`; `sciops.training.objectives` minimises the same ones.

Both take ``(pred, truth, schema, mask=None)`` with pred, truth (B, C', *N') and give (B, V) in
float64.  Vectors and tensors pool their components.  A derivative across a hole in the data means
nothing, so a mask with any False is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sciops.core.errors import SchemaError
from sciops.core.schema import Schema
from sciops.metrics import metric
from sciops.metrics._pooling import check, checked_mask
from sciops.metrics._sobolev import AxisNorm, continuous, squared_norm, truncated


@metric(perfect=0.0, units="1")
def relative_h1(pred: Tensor, truth: Tensor, schema: Schema, mask: Tensor | None = None) -> Tensor:
    r"""Relative H1 error ||p - y|| / ||y||, ||q||^2 = int q^2 + |grad q|^2 over the domain.

    Periodic axes with equidistant points are differentiated by Fourier modes, exactly for fields
    that the grid resolves.  Other axes are differentiated by differences and integrated with the
    widths of the cells, walls included, at second order on every spacing (cell, node, left,
    interior, graded).  Where y = 0 it is 0 for an exact prediction and infinite for any other.

    Returns
    -------
    Tensor
        (B, V), dimensionless.

    Raises
    ------
    ShapeError
        If the shapes are not those of the schema's targets.
    SchemaError
        If the targets lie on points, or the mask has a point that is not data.

    Notes
    -----
    q^2 and |grad q|^2 differ by a length squared: the result depends on the unit of the
    coordinates, here the one in which the schema states them, the same for all axes.  On a domain
    of length 1 the gradient counts (2 pi)^2 times as much as on one of length 2 pi.
    """
    return _relative(pred, truth, schema, mask, continuous(schema.target_domain))


@metric(perfect=0.0, units="1")
def relative_h1_spectral(
    pred: Tensor, truth: Tensor, schema: Schema, mask: Tensor | None = None
) -> Tensor:
    r"""Relative truncated H1 error of the MgNO papers, in any number of dimensions (there: two).

        ||p - y|| / ||y||,   ||q||^2 = sum_k (1 + sum_d m(k_d)^2) |q_k|^2,
        m(k) = |k| for |k| < 20, 0 for |k| >= 20,

    q_k the discrete Fourier transform of the field over all axes, periodic or not, and k_d the
    integer wavenumber along axis d, in -n/2 .. n/2.  The cut is by axis: the mode (3, 25) has the
    weight 1 + 3^2.  Where y = 0 it is 0 for an exact prediction and infinite for any other.

    Returns
    -------
    Tensor
        (B, V), dimensionless.

    Raises
    ------
    ShapeError
        If the shapes are not those of the schema's targets.
    SchemaError
        If the targets lie on points or on a graded axis, or the mask has a point that is not data.

    Notes
    -----
    Source: He, Liu, Xu, MgNO: Efficient Parameterization of Linear Operators via Multigrid, ICLR
    2024, arXiv:2310.19809; the class HsLoss (k = 1, truncation) of utilities3.py in
    github.com/xlliu2017/MgNO at 3a68a90, which averages over the samples.  There a grid with an
    odd number n of points gives one mode, k = (n - 1) / 2, the number (n + 1) / 2; that changes
    the norm for n < 41 only, smaller than any grid of the papers, and is not followed here.
    The loss of HANO by the same authors (github.com/xlliu2017/HANO, T_lossfunc.py) has the same
    cut, but the weight 1 + 4 sum_d m(k_d)^2.
    """
    return _relative(pred, truth, schema, mask, truncated(schema.target_domain))


def _relative(
    pred: Tensor, truth: Tensor, schema: Schema, mask: Tensor | None, lines: Sequence[AxisNorm]
) -> Tensor:
    """(B, V) ||p - y|| / ||y||, with 0 / 0 = 0."""
    check(pred, truth, schema)
    if mask is not None and not checked_mask(mask, pred).all():
        raise SchemaError(
            "an H1 error needs data at every point, but the mask has points without; derivatives "
            "across a mask mean nothing: use relative_l2, or cut the fields to where data are"
        )
    p, y = pred.to(torch.float64), truth.to(torch.float64)
    slices = schema.channel_slices("targets").values()
    error, size = (
        torch.stack([squared_norm(q[:, s], lines).sum(1) for s in slices], dim=1)
        for q in (p - y, y)
    )
    return torch.where((error == 0) & (size == 0), 0.0, error / size).sqrt()
