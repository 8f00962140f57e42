"""Perceptrons: what they compute, and that the pointwise one sees one point at a time."""

import pytest
import torch

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.mlp import MLP, ChannelMap, ChannelMLP


def test_two_sizes_are_a_linear_map():
    net, x, y = MLP((3, 2)), torch.randn(5, 3), torch.randn(5, 3)
    torch.testing.assert_close(net(2 * x - y), 2 * net(x) - net(y))


def test_hidden_layers_have_an_activation_and_the_last_has_none():
    net = MLP((1, 64, 1))
    x = torch.tensor([[-1e4], [0.0], [1e4]])
    assert not torch.allclose(net(x[1]) - net(x[0]), net(x[2]) - net(x[1]), rtol=0.1)
    first, last = net.linears
    torch.testing.assert_close(net(x), last(torch.nn.functional.gelu(first(x))))


@pytest.mark.parametrize("shape", [(7,), (4, 5), (2, 3, 4)])
def test_the_channel_mlp_is_the_mlp_at_every_point(shape):
    field, vector = ChannelMLP((3, 8, 2)), MLP((3, 8, 2))
    for channel_map, linear in zip(field.maps, vector.linears, strict=True):
        channel_map.weight.data = linear.weight.data.clone()
        channel_map.bias.data = linear.bias.data[:, None].clone()
    v = torch.randn(2, 3, *shape)
    torch.testing.assert_close(field(v), vector(v.movedim(1, -1)).movedim(-1, 1))


@pytest.mark.parametrize("bias", [True, False])
def test_a_channel_map_adds_to_what_is_there(bias):
    channel_map, v, onto = ChannelMap(3, 2, bias), torch.randn(4, 3, 5), torch.randn(4, 2, 5)
    alone = torch.einsum("oc,bcp->bop", channel_map.weight, v)
    alone = alone + channel_map.bias if bias else alone
    torch.testing.assert_close(channel_map(v), alone)
    before = onto.clone()
    torch.testing.assert_close(channel_map(v, onto), alone + onto)
    torch.testing.assert_close(onto, before)


@pytest.mark.parametrize("sizes", [(3,), (3, 0), ()])
@pytest.mark.parametrize("network", [MLP, ChannelMLP])
def test_too_few_sizes(network, sizes):
    with pytest.raises(ConfigError, match="at least two positive sizes"):
        network(sizes)


def test_the_channel_mlp_wants_a_field():
    with pytest.raises(ShapeError, match=r"\(B, C, \*N\), got \(2, 3\)"):
        ChannelMLP((3, 2))(torch.zeros(2, 3))
