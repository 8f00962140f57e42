"""Large kernel attention against its formula written out with torch's own convolutions."""

import pytest
import torch
from layers.mixer_checks import CHECKS, close, made
from torch.nn import functional as F

from sciops.core.errors import ConfigError
from sciops.layers.large_kernel import LargeKernelAttention


def make(sides, channels):
    return LargeKernelAttention(channels, sides)


def small(sides, channels):
    return LargeKernelAttention(channels, sides, short=3, long=3, dilation=2)


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_it_is_a_mixer(check):
    check(small if check.__name__ in ("check_gradients", "check_shapes") else make)


@pytest.mark.parametrize("shape", [(21,), (9, 30), (4, 7, 5)])
def test_it_is_its_formula(shape):
    layer = made(make, ("zeros",) * len(shape))
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(shape)]
    x = torch.randn(2, 4, *shape)
    a = convolve(x, layer.short.weight[:, None], layer.short.bias, padding=2, groups=4)
    a = convolve(a, layer.long.weight[:, None], layer.long.bias, padding=9, dilation=3, groups=4)
    p = layer.pointwise.weight.reshape(4, 4, *[1] * len(shape))
    close(layer(x), x * convolve(a, p, layer.pointwise.bias))


def test_it_sees_eleven_points_to_either_side():
    layer = made(make, ("zeros", "periodic"))
    x = torch.randn(1, 4, 41, 40, requires_grad=True)
    (g,) = torch.autograd.grad(layer(x)[0, 0, 20, 5], x)
    rows, columns = (g[0].abs().amax((0, d)).nonzero().flatten().tolist() for d in (2, 1))
    assert rows == list(range(9, 32))
    assert columns == sorted(c % 40 for c in range(5 - 11, 5 + 12))


def test_exchanging_the_axes():
    layer, turned = made(make, ("periodic", "zeros")), made(make, ("zeros", "periodic"))
    for part, other in ((layer.short, turned.short), (layer.long, turned.long)):
        other.weight.data = part.weight.data.transpose(1, 2)
    x = torch.randn(2, 4, 9, 12)
    close(turned(x.transpose(2, 3)).transpose(2, 3), layer(x))


def test_wrong_settings():
    with pytest.raises(ConfigError, match="odd kernel_size"):
        LargeKernelAttention(4, ("zeros",), long=6)
