r"""The inner product of branch and trunk, for several outputs.

    y_c(x) = b_c + s sum_{k=1}^{K} B_{ck} T_{ck}(x),    s = 1 / sqrt(K)

B depends on the input function only and T on the place x only, so M places and a batch of n
functions cost M + n evaluations of networks and one product of matrices per output.  The factor s
keeps y of order one at the start of training, whatever K is.

Source: Lu, Jin, Pang, Zhang, Karniadakis, Learning nonlinear operators via DeepONet,
Nature Machine Intelligence 3, 2021 (arXiv:1910.03193).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sciops.core.errors import ShapeError


class BranchTrunk(nn.Module):
    """y = bias + B T / sqrt(K), output by output.

    Parameters
    ----------
    outputs
        Number of outputs C'.

    Notes
    -----
    Shapes: branch (B, C', K), trunk (M, C', K) -> (B, C', M).
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs, 1))

    def forward(self, branch: Tensor, trunk: Tensor) -> Tensor:
        """branch (B, C', K), trunk (M, C', K) -> (B, C', M)."""
        if branch.ndim != 3 or trunk.ndim != 3 or branch.shape[1:] != trunk.shape[1:]:
            raise ShapeError(
                f"expected branch (B, C', K) and trunk (M, C', K), got {tuple(branch.shape)} "
                f"and {tuple(trunk.shape)}"
            )
        scale = 1.0 / math.sqrt(branch.shape[2])
        product = branch.transpose(0, 1) @ trunk.permute(1, 2, 0)  # (C', B, M)
        return product.transpose(0, 1) * scale + self.bias  # (B, C', M)
