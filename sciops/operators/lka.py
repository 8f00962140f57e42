r"""Large kernel attention: the field times a wide stencil of itself.

    K v = v * (b + P (D_long * (D_short * v)))       23 points along each axis

in the block of `sciops.layers.operator_block`.  Its stencils count points, so it works at the
resolution of the training grid; inputs of another one are interpolated to it.

Source: Guo, Lu, Liu, Cheng, Hu, Visual attention network, 2022, arXiv 2202.09741.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import nn

from sciops.layers.global_convolution import check_spacings
from sciops.layers.large_kernel import LargeKernelAttention
from sciops.operators._blocks import Along, BlockConfig


class Config(BlockConfig):
    """Large kernel attention in one, two or three dimensions."""

    padding: Literal["zeros", "replicate"] = "zeros"  # beyond the sides that are not periodic
    short: PositiveInt = 5  # points of the first kernel along each axis, odd
    long: PositiveInt = 7  # of the second, odd
    dilation: PositiveInt = 3  # from one point of the second to the next

    def mixer(self, axes: tuple[Along, ...]) -> nn.Module:
        """The attention, with the boundary of each axis."""
        sides = ["periodic" if axis.periodic else self.padding for axis in axes]
        check_spacings(sides, [axis.spacing for axis in axes])
        return LargeKernelAttention(
            self.hidden_channels, sides, self.short, self.long, self.dilation
        )
