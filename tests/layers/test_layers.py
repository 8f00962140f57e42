"""Layers: the formulas that they state, padding axis by axis, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.branch_trunk import BranchTrunk
from sciops.layers.convolution import Convolution, padded, upsampled
from sciops.layers.mlp import MLP, ChannelMLP


@pytest.mark.parametrize(
    ("side", "mode"), [("periodic", "circular"), ("zeros", "constant"), ("replicate", "replicate")]
)
def test_padding_is_that_of_torch(side, mode):
    v = torch.randn(2, 3, 5, 4)
    torch.testing.assert_close(padded(v, 2, (side, side)), F.pad(v, (2, 2, 2, 2), mode))


def test_padding_axis_by_axis():
    v = torch.arange(6.0).reshape(1, 1, 2, 3)
    found = padded(v, 1, ("periodic", "zeros"))[0, 0]
    assert found[0].tolist() == [0, 3, 4, 5, 0]
    assert found[-1].tolist() == [0, 0, 1, 2, 0]


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_is_the_sum(dimension, stride):
    """Against the formula, point by point, on odd and even sizes with mixed sides."""
    sides = ("periodic", "zeros", "replicate")[:dimension]
    layer = Convolution(1, 1, sides, stride=stride).double()
    v = torch.randn(1, 1, *(5, 6, 4)[:dimension], dtype=torch.float64)
    weight, bias = (p.detach() for p in layer.parameters())
    around = padded(v, 1, sides)[0, 0]
    out = layer(v)[0, 0]
    assert out.shape == tuple(-(-n // stride) for n in v.shape[2:])
    for i in torch.cartesian_prod(*(torch.arange(n) for n in out.shape)).reshape(-1, dimension):
        window = around[tuple(slice(stride * int(k), stride * int(k) + 3) for k in i)]
        expected = (window * weight[0, 0]).sum() + bias[0]
        torch.testing.assert_close(out[tuple(i)], expected)


@pytest.mark.parametrize("n", [1, 2, 7, 8])
@pytest.mark.parametrize("side", ["periodic", "zeros"])
def test_upsampling_keeps_coarse_points_and_size(n, side):
    v = torch.randn(2, 3, -(-n // 2))
    fine = upsampled(v, (n,), (side,))
    assert fine.shape == (2, 3, n)
    torch.testing.assert_close(fine[..., ::2], v)
    if n == 8 and side == "periodic":
        torch.testing.assert_close(fine[..., 7], (v[..., 3] + v[..., 0]) / 2)
    if n == 7:
        torch.testing.assert_close(fine[..., 1::2], (v[..., :-1] + v[..., 1:]) / 2)


def test_branch_and_trunk():
    layer = BranchTrunk(2)
    torch.nn.init.normal_(layer.bias)
    branch, trunk = torch.randn(3, 2, 5), torch.randn(7, 2, 5)
    found = layer(branch, trunk)
    expected = torch.einsum("bck,mck->bcm", branch, trunk) / 5**0.5 + layer.bias
    torch.testing.assert_close(found, expected)
    with pytest.raises(ShapeError, match="branch"):
        layer(branch, trunk[..., :4])


def test_channel_mlp_is_the_mlp_at_every_point():
    field, vector = ChannelMLP((3, 8, 2)), MLP((3, 8, 2))
    with torch.no_grad():
        for a, b in zip(vector.linears, field.convolutions, strict=True):
            a.weight.copy_(b.weight[..., 0])
            a.bias.copy_(b.bias)
    v = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(field(v), vector(v.movedim(1, -1)).movedim(-1, 1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Convolution(1, 1, ()),
        lambda: Convolution(1, 1, ("wrap",)),
        lambda: Convolution(1, 1, ("zeros",), kernel_size=2),
        lambda: Convolution(1, 1, ("zeros",), stride=3),
        lambda: MLP((3,)),
        lambda: ChannelMLP((3, 0)),
    ],
)
def test_settings_that_cannot_be(make):
    with pytest.raises(ConfigError):
        make()
