r"""Errors point by point, for prediction p and truth y of one sample and one variable:

    max_error     max |p - y|
    rmse          sqrt <(p - y)^2>
    nrmse         sqrt <(p - y)^2> / sqrt <y^2>
    relative_l2   ||p - y|| / ||y||
    vrmse         sqrt( <(p - y)^2> / (var(y) + 1e-7) )

<.> is the mean over the points and components of the variable, ||q||^2 the integral of q^2; the
quadrature of both is described in `sciops.metrics._pooling` (plain means on uniform axes, cell
widths on graded axes, the weights of points).  Vectors and tensors pool their components.
Masked points count in no mean, norm or maximum; a sample without data gives NaN, and so does a
NaN in the prediction where there is data.

All functions take ``(pred, truth, schema, mask=None)`` with pred, truth (B, C', *N') and a mask
that broadcasts to that shape, give (B, V) in float64, and raise ShapeError where the shapes are
not those of the schema's targets.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sciops.core.schema import Schema
from sciops.metrics import metric
from sciops.metrics._pooling import fields

EPSILON = 1e-7  # of VRMSE, as in The Well


@metric(perfect=0.0, units="1")
def relative_l2(pred: Tensor, truth: Tensor, schema: Schema, mask: Tensor | None = None) -> Tensor:
    r"""Relative L2 error ||p - y|| / ||y||, with ||q||^2 = sum_x w_x |q(x)|^2.

    Where y = 0 it is 0 for an exact prediction and infinite for any other.

    Returns
    -------
    Tensor
        (B, V), dimensionless.

    Notes
    -----
    Source: Li et al., Fourier Neural Operator for Parametric Partial Differential Equations,
    2020, arXiv:2010.08895 (section 5).
    """
    f = fields(pred, truth, schema, mask)
    return _ratio(f.mean(f.error.square()), f.mean(f.truth.square())).sqrt()


@metric(perfect=0.0, units="of the variable")
def rmse(pred: Tensor, truth: Tensor, schema: Schema, mask: Tensor | None = None) -> Tensor:
    r"""Root mean square error sqrt <(p - y)^2>.

    Returns
    -------
    Tensor
        (B, V), in the unit of the variable.

    Notes
    -----
    Source: Takamoto et al., PDEBench, 2022, arXiv:2210.07182.  The mean is over the points of one
    sample; PDEBench then averages the roots over the batch.
    """
    f = fields(pred, truth, schema, mask)
    return f.mean(f.error.square()).sqrt()


@metric(perfect=0.0, units="1")
def nrmse(pred: Tensor, truth: Tensor, schema: Schema, mask: Tensor | None = None) -> Tensor:
    r"""Normalised root mean square error sqrt <(p - y)^2> / sqrt <y^2>, without an epsilon.

    For each sample this is the relative L2 error: the number of points cancels.  It stands here
    under the name by which PDEBench reports it.

    Returns
    -------
    Tensor
        (B, V), dimensionless; 0 or infinite where y = 0, as in `relative_l2`.

    Notes
    -----
    Source: Takamoto et al., PDEBench, 2022, arXiv:2210.07182.
    """
    return relative_l2(pred, truth, schema, mask)


@metric(perfect=0.0, units="1")
def vrmse(pred: Tensor, truth: Tensor, schema: Schema, mask: Tensor | None = None) -> Tensor:
    r"""Variance-scaled root mean square error sqrt( <(p - y)^2> / (var(y) + 1e-7) ).

    var is unbiased, over the points of one sample, about the mean of each component; a
    prediction by the sample's own mean has a VRMSE of about 1.

    Returns
    -------
    Tensor
        (B, V), dimensionless; NaN for a field on a single point.

    Notes
    -----
    The 1e-7 has the unit of y^2: fields whose variance is not large against it should be scaled.
    Source: Ohana et al., The Well, 2024, arXiv:2412.00568.
    """
    f = fields(pred, truth, schema, mask)
    return (f.mean(f.error.square()) / (f.variance() + EPSILON)).sqrt()


@metric(perfect=0.0, units="of the variable")
def max_error(pred: Tensor, truth: Tensor, schema: Schema, mask: Tensor | None = None) -> Tensor:
    r"""Largest error max |p - y| over the points and components of the variable.

    Returns
    -------
    Tensor
        (B, V), in the unit of the variable.

    Notes
    -----
    Source: Takamoto et al., PDEBench, 2022, arXiv:2210.07182, but per sample.
    """
    f = fields(pred, truth, schema, mask)
    largest = f.error.abs().amax(-1)  # (B, C'); NaN wins
    by_variable = torch.stack([largest[:, s].amax(1) for s in f.slices], dim=1)
    has_data = f.pool(f.channel_weight()) > 0
    return torch.where(has_data, by_variable, torch.nan)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b with 0 / 0 = 0."""
    return torch.where((a == 0) & (b == 0), 0.0, a / b)
