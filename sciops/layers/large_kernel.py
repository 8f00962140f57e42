r"""Large kernel attention: a field multiplied by a wide stencil of itself.

    y = x * a,    a = b + P (D_long * (D_short * x))

D_short is a depthwise kernel of 5 points, D_long one of 7 points with dilation 3, P a linear map
of the channels; together a sees 23 points along each axis at the price of 5^D + 7^D + C numbers a
channel.  The product makes the mixer one of degree two, like the advection term u . grad u.

Source: Guo, Lu, Liu, Cheng, Hu, Visual attention network, 2022 (arXiv:2202.09741).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor, nn

from sciops.layers.convolution import Side
from sciops.layers.depthwise import DepthwiseConvolution, check_field


class LargeKernelAttention(nn.Module):
    r"""y = x * (b + P (D_long * (D_short * x))), each axis with its own boundary.

    Parameters
    ----------
    channels
        Channels C of input and output.
    sides
        What lies beyond the ends of each axis; their number is the dimension D, 1 to 3.
    short, long, dilation
        Points of the first kernel along each axis, of the second, and from one point of the
        second to the next.  The reach is (short - 1) / 2 + dilation (long - 1) / 2 points.

    Raises
    ------
    ConfigError
        For sides that do not exist, an even kernel, or a dilation below one.

    Notes
    -----
    Shapes: x (B, C, *N) -> (B, C, *N).  Parameters: C (short^D + long^D + C + 3).  Not linear;
    equivariant to circular shifts along periodic axes; the stencil counts points, so it belongs
    to one spacing (`resolution` is ``"fixed"``).  At the start b = 1 and the convolutions keep the
    size of the field: y has sqrt(1 + s^2) times the standard deviation s of a random field x.
    """

    linear: ClassVar[bool] = False
    equivariant: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = False
    resolution: ClassVar[Literal["modes", "physical", "fixed"]] = "fixed"

    def __init__(
        self,
        channels: int,
        sides: Sequence[Side],
        short: int = 5,
        long: int = 7,
        dilation: int = 3,
    ) -> None:
        super().__init__()
        self.channels, self.sides = channels, tuple(sides)
        self.short = DepthwiseConvolution(channels, sides, short, bias=True)
        self.long = DepthwiseConvolution(channels, sides, long, dilation, bias=True)
        self.pointwise = nn.Conv1d(channels, channels, kernel_size=1)
        nn.init.normal_(self.pointwise.weight, std=1 / math.sqrt(channels))
        nn.init.ones_(self.pointwise.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, *N) -> (B, C, *N)."""
        check_field(x, self.channels, self.sides)
        a = self.long(self.short(x)).flatten(2)  # (B, C, prod N)
        return x * self.pointwise(a).reshape(x.shape)
