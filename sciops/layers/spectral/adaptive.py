r"""Adaptive filters: the multiplier of each mode depends on the coefficients themselves.

    AFF     y = x + F^-1( M(s Z) * Z )     M(H) = S_lambda(W2 relu(W1 H + b1) + b2)
    AFNO    y = x + F^-1( M(s Z) ) / s     M(H) = S_lambda(W2 gelu(W1 H))
    Gated   y = F^-1( R_k (1 + g(|Z|^2)) Z )

W are complex matrices, block diagonal over channels and the same for every mode; relu, gelu and the
soft shrinkage S_lambda act on real and imaginary part.  The published AFF and AFNO feed the network
with coefficients of ``norm="ortho"``, which grow like sqrt(N) with the number of points N, so that
the same weights are another operator on another grid.  Here the coefficients are those of the field
itself, Z = F x (``norm="forward"``), times a constant s = sqrt(N_ref): on N_ref points that is the
published layer, elsewhere the same operator.  Relu of a real part is not shift equivariant, so
neither are AFF and AFNO (measured in the tests).

Gated sees the power spectrum alone, p = log(1 + |Z|^2 / mean |Z|^2), g = tanh(G2 gelu(G1 p)) with
G2 = 0 at the start: it begins as the dense filter, bit for bit, and stays shift equivariant.

Sources: Huang et al., Adaptive frequency filters as efficient global token mixers, 2023, arXiv
2307.14008; Guibas et al., Adaptive Fourier neural operators, 2022, arXiv 2111.13587, without biases
and with gelu as in Ohana et al., The Well, 2024, arXiv 2412.00568.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sciops.layers.linear_node import full_precision
from sciops.layers.spectral.filters import Dense, Filter, block_size, exact_product, product
from sciops.layers.spectral.products import Modes

SCALE = 0.02  # standard deviation of the initial weights of the published AFF


class _BlockNetwork(Filter):
    """What AFF and AFNO share: block-diagonal maps of (M, parts, R, C), the same for every mode."""

    linear = False
    equivariant = False
    mixes_channels = False
    residual = True

    def __init__(
        self, modes: Modes, channels: int, blocks: int, reference: int, scale: float | None
    ) -> None:
        super().__init__()
        b = block_size(channels, blocks)
        self.blocks = blocks
        self.amplitude = reference**0.5
        shape = (blocks, b, modes.parts, b)
        scale = (modes.parts * b) ** -0.5 if scale is None else scale
        self.first = nn.Parameter(scale * torch.randn(shape))
        self.second = nn.Parameter(scale * torch.randn(shape))

    def _split(self, z: Tensor) -> Tensor:
        """(M, parts, R, C) -> (blocks, parts, M R, b)."""
        return z.unflatten(3, (self.blocks, -1)).permute(3, 1, 0, 2, 4).flatten(2, 3)

    def _joined(self, z: Tensor, like: Tensor) -> Tensor:
        """The inverse of `_split`."""
        m, _, rows, _ = like.shape
        return z.unflatten(2, (m, rows)).permute(2, 1, 3, 0, 4).flatten(3)


class AFF(_BlockNetwork):
    """Adaptive frequency filter.

    Parameters
    ----------
    modes, channels
        Kept modes, channels.
    blocks
        Blocks of channels; the published layer has 8.
    reference
        Points N_ref of the grid on which it equals the published layer.
    shrink
        Threshold lambda of the soft shrinkage.

    Notes
    -----
    Shapes: Z (M, parts, R, C) -> (M, parts, R, C).
    """

    def __init__(
        self, modes: Modes, channels: int, blocks: int, reference: int, shrink: float = 0.01
    ) -> None:
        super().__init__(modes, channels, blocks, reference, SCALE)
        self.shrink = shrink
        shape = (blocks, modes.parts, 1, channels // blocks)
        self.first_bias = nn.Parameter(SCALE * torch.randn(shape))
        self.second_bias = nn.Parameter(SCALE * torch.randn(shape))

    def forward(self, z: Tensor) -> Tensor:
        """(M, parts, R, C) -> (M, parts, R, C)."""
        with full_precision(z):
            h = self._split(z) * self.amplitude
            mask = F.relu(product(h, self.first) + self.first_bias)
            mask = F.softshrink(product(mask, self.second) + self.second_bias, self.shrink)
            mask = self._joined(mask, z)
            if z.shape[1] == 1:
                return mask * z
            (a, b), (c, d) = z.unbind(1), mask.unbind(1)
            return torch.stack([a * c - b * d, a * d + b * c], 1)


class AFNO(_BlockNetwork):
    """Adaptive Fourier neural operator, in the form of The Well (parameters as in `AFF`).

    Its weights start larger than the published 0.02, under which the shrinkage takes everything,
    and all gradients with it, on small grids and in narrow networks.
    """

    def __init__(
        self, modes: Modes, channels: int, blocks: int, reference: int, shrink: float = 0.01
    ) -> None:
        super().__init__(modes, channels, blocks, reference, None)
        self.shrink = shrink

    def forward(self, z: Tensor) -> Tensor:
        """(M, parts, R, C) -> (M, parts, R, C)."""
        with full_precision(z):
            h = F.gelu(product(self._split(z) * self.amplitude, self.first))
            h = F.softshrink(product(h, self.second), self.shrink)
            return self._joined(h, z) / self.amplitude


class Gated(Filter):
    """A dense filter behind a gate that the power spectrum opens and closes.

    Parameters
    ----------
    modes, c_in, c_out
        Kept modes, channels.
    blocks
        Blocks of channels of the two maps of the gate.

    Notes
    -----
    Shapes: Z (M, parts, R, c_in) -> (M, parts, R, c_out).
    """

    linear = False

    def __init__(self, modes: Modes, c_in: int, c_out: int, blocks: int) -> None:
        super().__init__()
        b = block_size(c_in, blocks)
        place = 0 if modes.half is None else modes.transformed.index(modes.half)
        self.behind = prod(modes.shape[place + 1 :])  # modes behind the axis of k >= 0 alone
        self.stored = 1 if modes.half is None else modes.shape[place]  # modes of that axis
        self.dense = Dense(modes, c_in, c_out)
        self.blocks = blocks
        self.first = nn.Parameter(torch.randn(blocks, b, b) / b**0.5)
        self.first_bias = nn.Parameter(torch.zeros(blocks, 1, b))
        self.second = nn.Parameter(torch.zeros(blocks, b, b))
        self.second_bias = nn.Parameter(torch.zeros(blocks, 1, b))

    def forward(self, z: Tensor) -> Tensor:
        """(M, parts, R, c_in) -> (M, parts, R, c_out)."""
        return self.dense(z * (1 + self.gate(z))[:, None])

    def gate(self, z: Tensor) -> Tensor:
        """g (M, R, C) in (-1, 1) of Z (M, parts, R, C)."""
        with full_precision(z):
            power = z.square().sum(1)  # (M, R, C)
            k = torch.arange(len(z), device=z.device) // self.behind % self.stored
            count = (1 + (k > 0))[:, None, None].to(z.dtype)  # 2 for modes that stand for -k too
            mean = (power * count).mean((0, 2), keepdim=True) / count.mean()
            p = torch.log1p(power / (mean + torch.finfo(z.dtype).tiny))
            p = p.flatten(0, 1).unflatten(1, (self.blocks, -1)).transpose(0, 1)  # (blocks, M R, b)
            h = F.gelu(exact_product(p, self.first.to(z.dtype)) + self.first_bias.to(z.dtype))
            h = exact_product(h, self.second.to(z.dtype)) + self.second_bias.to(z.dtype)
            return torch.tanh(h).transpose(0, 1).flatten(1).unflatten(0, power.shape[:2])
