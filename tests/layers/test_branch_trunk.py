"""The inner product of branch and trunk against sums written out."""

import math

import pytest
import torch

from sciops.core.errors import ShapeError
from sciops.layers.branch_trunk import BranchTrunk


def test_it_is_the_sum_over_the_basis():
    layer, branch, trunk = BranchTrunk(3), torch.randn(4, 3, 5), torch.randn(7, 3, 5)
    layer.bias.data = torch.randn(3, 1)
    expected = torch.einsum("bck,mck->bcm", branch, trunk) / math.sqrt(5) + layer.bias
    torch.testing.assert_close(layer(branch, trunk), expected)


def test_it_is_linear_in_the_branch():
    layer, trunk = BranchTrunk(2), torch.randn(6, 2, 4)
    b, c = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    torch.testing.assert_close(layer(2 * b - c, trunk), 2 * layer(b, trunk) - layer(c, trunk))


def test_outputs_and_basis_must_agree():
    with pytest.raises(ShapeError, match=r"\(2, 3, 4\) and \(5, 3, 6\)"):
        BranchTrunk(3)(torch.zeros(2, 3, 4), torch.zeros(5, 3, 6))
