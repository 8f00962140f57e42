r"""Axial attention: every point attends to all points of its row, column and pillar.

    K v = sum_d softmax(q_i . k_j) v_j    over the points j that differ from i along axis d only

in the block of `sciops.layers.operator_block`, with rotary positions in units of the domain, so
that it is the same operator on every grid.

Source: Ho, Kalchbrenner, Weissenborn, Salimans, Axial attention in multidimensional transformers,
2019, arXiv 1912.12180.
"""

from __future__ import annotations

from pydantic import PositiveInt
from torch import nn

from sciops.layers.axial_attention import AxialAttention
from sciops.operators._blocks import Along, BlockConfig


class Config(BlockConfig):
    """Axial attention in one, two or three dimensions."""

    heads: PositiveInt = 4  # hidden_channels is a multiple of 2 heads

    def mixer(self, axes: tuple[Along, ...]) -> nn.Module:
        """Attention along each axis, summed."""
        sides = ["periodic" if axis.periodic else "zeros" for axis in axes]
        return AxialAttention(
            self.hidden_channels, sides, self.heads, [axis.spacing for axis in axes]
        )
