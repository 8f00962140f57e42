r"""Global convolution: a kernel over the whole domain, in physical units, for each channel.

    K v = D v + k * v,    k(r) = sum_i g_i k_i(r / r_i),    r_i = R 2^(i - scales + 1)

in the block of `sciops.layers.operator_block`.  Scale i has `points` numbers along each axis, so
the parameters grow with the logarithm of the reach R, and a finer grid only samples the kernel
finer.

Source: Li et al., What makes convolutional models great on long sequence modeling?, 2022, arXiv
2210.09298 (one dimension, in numbers of points).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt
from torch import nn

from sciops.layers.global_convolution import GlobalConvolution
from sciops.operators._blocks import Along, BlockConfig


class Config(BlockConfig):
    """Global convolution in one, two or three dimensions."""

    breaks: ClassVar[Mapping[str, str]] = {
        "onnx": "with dynamic sizes the exporter writes wrong shapes of the FFTs, at which "
        "onnxruntime stops; fixed sizes work",
    }
    scales: PositiveInt = 4  # each twice as wide as the one before
    points: Annotated[int, Field(ge=3)] = 7  # numbers of a scale along each axis

    def mixer(self, axes: tuple[Along, ...]) -> nn.Module:
        """The convolution; beyond a wall there is nothing."""
        return GlobalConvolution(
            self.hidden_channels,
            ["periodic" if axis.periodic else "zeros" for axis in axes],
            [axis.length for axis in axes],
            [axis.spacing for axis in axes],
            scales=self.scales,
            points=self.points,
        )
