r"""What the metrics share: checked fields, masks, quadrature weights, means over a variable.

The mean of a quantity q over the n_v channels and the points x of a variable v is

    <q>_v = sum_{c in v} sum_x m_cx w_x q_cx / sum_{c in v} sum_x m_cx w_x ,

m the mask (1 = data) and w the quadrature weights: 1 on uniform axes (the convention of the
field, also where a grid has points on the boundary), the width of the cell on graded axes, and
`Points.weights` on points that have them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sciops.core.errors import ShapeError
from sciops.core.schema import Domain, Points, Schema


@dataclass(frozen=True)
class Fields:
    """Prediction and truth, checked, in float64, points flattened, and zero where masked.

    Shapes: error and truth (B, C', P); weight (B or 1, C' or 1, P), zero where masked.
    """

    error: Tensor
    truth: Tensor
    weight: Tensor
    slices: tuple[slice, ...]

    def channel_weight(self) -> Tensor:
        """(B, C') sum of the weights over the points."""
        return self.weight.sum(-1).expand(self.error.shape[:2])

    def pool(self, channels: Tensor) -> Tensor:
        """(B, C', ..) -> (B, V, ..): sum over the channels of each variable."""
        return torch.stack([channels[:, s].sum(1) for s in self.slices], dim=1)

    def mean(self, q: Tensor) -> Tensor:
        """(B, C', P) -> (B, V): the mean <q>_v; NaN where there is no data."""
        return self.pool((self.weight * q).sum(-1)) / self.pool(self.channel_weight())

    def variance(self) -> Tensor:
        r"""(B, V) variance of the truth, unbiased, about the mean of each channel.

        With weights that add up to one, var = sum w (y - y_mean)^2 / (1 - sum w^2), which is
        1 / (N - 1) for N equal weights; then the mean over the channels of the variable.
        """
        total = self.channel_weight()  # (B, C')
        w = self.weight / total.unsqueeze(-1)
        mean = (w * self.truth).sum(-1, keepdim=True)
        variance = (w * (self.truth - mean).square()).sum(-1) / (1.0 - w.square().sum(-1))
        weighted = torch.where(total > 0, total * variance, 0.0)
        return self.pool(weighted) / self.pool(total)


def fields(pred: Tensor, truth: Tensor, schema: Schema, mask: Tensor | None) -> Fields:
    """Check the arguments of a metric and bring them into one form."""
    check(pred, truth, schema)
    p, y = pred.to(torch.float64), truth.to(torch.float64)
    weight = quadrature(schema.target_domain, p)
    error = p - y
    if mask is not None:
        m = checked_mask(mask, p)
        error, y = (torch.where(m, q, 0.0) for q in (error, y))
        weight = torch.where(m, weight, 0.0)
    n_axes = len(schema.target_domain.shape)
    weight = weight.reshape((1,) * (p.ndim - weight.ndim) + weight.shape)
    flat = (q.flatten(q.ndim - n_axes) for q in (error, y, weight))
    return Fields(*flat, slices=tuple(schema.channel_slices("targets").values()))


def check(pred: Tensor, truth: Tensor, schema: Schema) -> None:
    """Raise ShapeError where prediction and truth are not what the schema describes."""
    expected = (schema.target_channels, *schema.target_domain.shape)
    for what, q in (("prediction", pred), ("truth", truth)):
        if not q.is_floating_point():
            raise ShapeError(f"the {what} must be real floating point, got {q.dtype}")
        if tuple(q.shape[1:]) != expected:
            raise ShapeError(
                f"expected a {what} (B, {', '.join(map(str, expected))}), got {tuple(q.shape)}; "
                f"schema.moved(..) gives the schema of another grid"
            )
    if pred.shape[0] != truth.shape[0]:
        raise ShapeError(f"{pred.shape[0]} predictions do not fit {truth.shape[0]} true samples")


def checked_mask(mask: Tensor, like: Tensor) -> Tensor:
    """The mask, (.., *N') and broadcastable to (B, C', *N')."""
    if mask.dtype != torch.bool:
        raise ShapeError(f"a mask must be bool (True = data), got {mask.dtype}")
    try:
        fits = torch.broadcast_shapes(mask.shape, like.shape) == like.shape
    except RuntimeError:
        fits = False
    if not fits:
        raise ShapeError(
            f"a mask must broadcast to {tuple(like.shape)}, got {tuple(mask.shape)}; "
            f"one mask for all channels has the shape (B, 1, *N)"
        )
    return mask.to(like.device)


def quadrature(domain: Domain, like: Tensor) -> Tensor:
    """(*N') weights of the points, up to a common factor."""
    if isinstance(domain, Points):
        w = np.ones(domain.shape) if domain.weights is None else domain.weights
    else:
        w = np.ones(())
        for axis in domain.axes:
            widths = axis.widths if axis.spacing == "graded" else np.ones(axis.size)
            w = w[..., None] * widths
    return torch.tensor(w, dtype=torch.float64, device=like.device)
