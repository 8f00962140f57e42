r"""A network that reads the entries of a matrix and says how to coarsen it: once a matrix and grid.

    h = G(W m),   h <- h + G(a_k * h),  k = 1 .. K,   logits = V h

m holds features of each cell of the coarse grid, W and V mix channels at a point, a_k are
convolutions of size 3 with zeros outside, G is GELU.  V starts as zero, and so do the logits.  The
same weights serve all grids of a hierarchy, of whatever size.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from sciops.layers.convolution import Convolution
from sciops.layers.direction_network import check_field


class CoarseningNetwork(nn.Module):
    """Features of cells to logits (formula: top of this file).

    Parameters
    ----------
    dimension
        D, 1 to 3.
    features, logits
        Channels that come in and go out.
    channels
        Channels of h.
    depth
        K.

    Notes
    -----
    Shapes: m (B, features, *N) -> (B, logits, *N), D axes of any size.
    """

    def __init__(
        self, dimension: int, features: int, logits: int, channels: int = 16, depth: int = 2
    ) -> None:
        super().__init__()
        ends = ("zeros",) * dimension
        self.dimension, self.features = dimension, features
        self.first = Convolution(features, channels, ends, 1)
        self.middle = nn.ModuleList(Convolution(channels, channels, ends, 3) for _ in range(depth))
        self.last = Convolution(channels, logits, ends, 1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, m: Tensor) -> Tensor:
        """m (B, features, *N) -> (B, logits, *N)."""
        check_field(m, self.features, self.dimension, "m")
        h = F.gelu(self.first(m))
        for convolution in self.middle:
            h = h + F.gelu(convolution(h))
        out: Tensor = self.last(h)
        return out
