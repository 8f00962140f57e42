r"""Attention along each axis in turn, with positions as angles.

    y = sum_a P_a A_a(x)
    A_a(x)_i = sum_j w_j exp(l_ij) v_j / sum_j w_j exp(l_ij),    l_ij = <T_i q_i, T_j k_j> / sqrt(e)

i and j run over the points of axis a, every line of the grid by itself and every head of e
channels by itself; q, k, v are affine in x.  T_j turns the pairs of channels by the angles
omega_p x_j, so that l depends on x_i - x_j only.  On a periodic axis omega_p = 2 pi p / L, and
turning once around the domain changes nothing; between walls omega_p = pi p / L, and all distances
in the domain differ; p = 1 .. e/2.  Since omega_p x_j is a multiple of x_j / L the length L itself
does not matter.

Both sums are quadratures of integrals along the axis, with w_j = 1, or 1/2 for points on walls: on
a finer grid the mixer is the same, to the error of the quadrature.

Sources: Ho, Kalchbrenner, Weissenborn, Salimans, Axial attention in multidimensional transformers,
2019 (arXiv:1912.12180); Su, Lu, Pan, Murtadha, Wen, Liu, RoFormer: enhanced transformer with
rotary position embedding, 2021 (arXiv:2104.09864).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from sciops.core.errors import ConfigError
from sciops.layers.convolution import Side
from sciops.layers.depthwise import check_field, check_sides
from sciops.layers.global_convolution import Spacing, check_spacings, intervals, node_weights

LOCALITY = 1.5  # how strongly the first, untrained attention prefers what is near


class AxialAttention(nn.Module):
    r"""y = sum over axes of multi-head self-attention along that axis.

    Parameters
    ----------
    channels
        Channels C of input and output.
    sides
        What lies beyond the ends of each axis; their number is the dimension D, 1 to 3.  Only
        whether an axis is periodic matters: attention looks at the points that there are.
    heads
        Groups of e = C / heads channels that attend on their own; e must be even.
    spacings
        Where the points of each axis lie, as in `GlobalConvolution`; left out, ``"cell"``.

    Raises
    ------
    ConfigError
        Where C is no multiple of 2 heads, or sides and spacings do not exist or go together.
    ShapeError
        In `forward`, for a field of other channels or axes.

    Notes
    -----
    Shapes: x (B, C, *N) -> (B, C, *N).  Parameters: D (4 C^2 + 3 C).  Cost per point: 8 D C^2 for
    the linear maps and 4 C sum_a N_a for the attention, whose matrices of
    heads prod(N) sum_a N_a numbers are the memory.  Not linear; equivariant to circular shifts
    along periodic axes; the same operator on every grid to second order in h (first order on
    ``"left"`` and ``"interior"`` axes), so `resolution` is ``"physical"``.

    The constant parts of q and k start equal, which makes the first attention a smooth average of
    the neighbourhood: l_ij ~ sum_p cos(omega_p (x_i - x_j)).
    """

    linear: ClassVar[bool] = False
    equivariant: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True
    resolution: ClassVar[Literal["modes", "physical", "fixed"]] = "physical"

    def __init__(
        self,
        channels: int,
        sides: Sequence[Side],
        heads: int = 4,
        spacings: Sequence[Spacing] | None = None,
    ) -> None:
        super().__init__()
        check_sides(sides)
        if channels < 1 or heads < 1 or channels % (2 * heads):
            raise ConfigError(
                f"channels must be a multiple of twice the heads, since each head turns pairs of "
                f"channels, got {channels} channels and {heads} heads"
            )
        self.channels, self.sides, self.heads = channels, tuple(sides), heads
        self.spacings = check_spacings(sides, spacings)
        self.qkv = nn.ModuleList(nn.Linear(channels, 3 * channels) for _ in sides)
        self.out = nn.ModuleList(nn.Linear(channels, channels, bias=False) for _ in sides)
        for qkv, out in zip(self.qkv, self.out, strict=True):
            nn.init.normal_(qkv.weight, std=1 / math.sqrt(channels))
            nn.init.normal_(out.weight, std=1 / math.sqrt(channels))
            nn.init.constant_(qkv.bias, LOCALITY)
            nn.init.zeros_(qkv.bias[2 * channels :])

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, *N) -> (B, C, *N)."""
        check_field(x, self.channels, self.sides)
        u = x.movedim(1, -1)  # (B, *N, C)
        terms = []
        for a, (qkv, out) in enumerate(zip(self.qkv, self.out, strict=True)):
            line = u.movedim(a + 1, -2)  # (B, .., n, C)
            y = out(self._attended(qkv(line.flatten(0, -3)), a))
            terms.append(y.reshape(line.shape).movedim(-2, a + 1))
        return sum(terms[1:], terms[0]).movedim(-1, 1)

    def _attended(self, qkv: Tensor, axis: int) -> Tensor:
        """(X, n, 3 C) -> (X, n, C), along n."""
        # The softmax is written out: torch's fused attention has no forward-mode derivative.
        n, e = qkv.shape[1], self.channels // self.heads
        qkv = qkv.reshape(-1, n, 3, self.heads, e).permute(2, 0, 3, 1, 4)
        qkv = qkv.flatten(1, 2)  # (3, X heads, n, e)
        q, k = self._turned(qkv[:2], axis).unbind(0)
        logits = q @ k.transpose(1, 2)  # (X heads, n, n)
        if self.spacings[axis] == "node":
            logits = logits + node_weights(n, logits).log()
        y = logits.softmax(-1).to(qkv.dtype) @ qkv[2]  # (X heads, n, e)
        return y.reshape(-1, self.heads, n, e).transpose(1, 2).flatten(2)

    def _turned(self, qk: Tensor, axis: int) -> Tensor:
        """T_j q_j / e^(1/4) along the last dimension but one; a pair is p and p + e/2."""
        n, e = qk.shape[-2:]
        dtype = torch.promote_types(qk.dtype, torch.float32)
        j = torch.arange(n, device=qk.device, dtype=dtype)
        p = torch.arange(1, e // 2 + 1, device=qk.device, dtype=dtype)
        whole = 2 * math.pi if self.sides[axis] == "periodic" else math.pi
        angles = j[:, None] * p * (whole / intervals(n, self.spacings[axis]))
        cos, sin = (angles.cos() / e**0.25).to(qk.dtype), (angles.sin() / e**0.25).to(qk.dtype)
        first, second = qk.chunk(2, -1)
        return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)
