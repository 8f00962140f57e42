"""Weights of neuraloperator's SpectralConv, from and to a dense filter.

neuraloperator stores a complex tensor (C_in, C_out, m_1, .., m_D // 2 + 1) whose signed axes run
from -(m // 2) upwards; here it is real, (m_1, .., m_D // 2 + 1, C_in, 2, C_out), with the signed
axes in the order 0, 1, .., -1, -2, ..  Read from neuraloperator 2.0.0 (MIT),
neuralop/layers/spectral_convolution.py.  On axes of odd size (but the last) that version applies
the weights to shifted wavenumbers, so that outputs can be compared on even sizes only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sciops.core.errors import ShapeError


def from_neuralop(weight: Tensor) -> Tensor:
    """A dense tensor of neuraloperator as the weight of `Dense`.

    Parameters
    ----------
    weight
        Complex, (C_in, C_out, m_1, .., m_D // 2 + 1): ``conv.weight.tensor``, or
        ``conv.weight.to_tensor()`` where it is factorised.
    """
    if not weight.is_complex() or weight.ndim < 3:
        raise ShapeError(
            f"expected a complex weight (C_in, C_out, *modes), got {weight.dtype} "
            f"{tuple(weight.shape)}"
        )
    for dim in range(2, weight.ndim - 1):
        q = weight.shape[dim] // 2
        p = weight.shape[dim] - q
        weight = torch.cat([weight.narrow(dim, q, p), weight.narrow(dim, 0, q).flip(dim)], dim)
    modes = range(2, weight.ndim)
    return torch.view_as_real(weight).permute(*modes, 0, weight.ndim, 1).contiguous()


def to_neuralop(weight: Tensor) -> Tensor:
    """The weight of `Dense`, real (*modes, C_in, 2, C_out), as neuraloperator stores it."""
    n = weight.ndim - 3
    if n < 1 or weight.is_complex() or weight.shape[n + 1] != 2:
        raise ShapeError(
            f"expected a real weight (*modes, C_in, 2, C_out), got {tuple(weight.shape)}"
        )
    w = torch.view_as_complex(weight.permute(n, n + 2, *range(n), n + 1).contiguous())
    for dim in range(2, w.ndim - 1):
        q = w.shape[dim] // 2
        p = w.shape[dim] - q
        w = torch.cat([w.narrow(dim, p, q).flip(dim), w.narrow(dim, 0, p)], dim)
    return w
