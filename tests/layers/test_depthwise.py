"""Depthwise convolution against torch's own, in values and in every kind of derivative."""

import numpy as np
import pytest
import torch
from layers.mixer_checks import CHECKS, close, made
from torch.nn import functional as F

from sciops.core.errors import ConfigError
from sciops.layers import depthwise
from sciops.layers.convolution import padded
from sciops.layers.depthwise import DepthwiseConvolution, depthwise_convolution, extended


def make(sides, channels):
    return DepthwiseConvolution(channels, sides, 5, dilation=2)


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_it_is_a_mixer(check):
    check(make)


def test_it_is_a_mixer_where_kernels_are_large(monkeypatch):
    monkeypatch.setattr(depthwise, "DIRECT", 0)
    for check in CHECKS:
        if check.__name__ not in ("check_export", "check_compile", "check_start"):
            check(make)


def reference(x, w, sides, dilation):
    """numpy's padding and torch's convolution."""
    for axis, (side, k) in enumerate(zip(sides, w.shape[1:], strict=True), start=2):
        width = [(0, 0)] * x.ndim
        width[axis] = (dilation * (k // 2),) * 2
        index = np.arange(x.shape[axis])
        order = np.pad(index, width[axis], mode="wrap" if side == "periodic" else "edge")
        x = x.index_select(axis, torch.from_numpy(order))
        if side == "zeros":
            inside = torch.from_numpy(np.pad(np.ones(len(index)), width[axis])).to(x)
            x = x * inside.reshape(-1, *[1] * (x.ndim - 1 - axis))
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(sides)]
    return convolve(x, w[:, None], dilation=dilation, groups=w.shape[0])


CASES = [
    ((33,), 3, 1), ((40,), 7, 3), ((17,), 31, 2), ((9,), 303, 1), ((1,), 5, 3),
    ((13, 16), 3, 1), ((17, 12), 5, 2), ((11, 14), 7, 3), ((16, 9), 13, 2), ((15, 20), 17, 1),
    ((21, 18), 19, 1), ((24, 37), 31, 1), ((32, 7), 31, 3),
    ((5, 7, 6), 3, 1), ((6, 5, 4), 5, 2), ((7, 4, 8), 7, 1), ((3, 6, 5), 7, 3),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "k", "dilation"), CASES)
@pytest.mark.parametrize("turn", range(3))
def test_values_and_gradients_are_those_of_torch(shape, k, dilation, turn):
    sides = [("periodic", "zeros", "replicate")[(turn + a) % 3] for a in range(len(shape))]
    torch.manual_seed(turn)
    x = torch.randn(2, 3, *shape, requires_grad=True)
    w = torch.randn(3, *[k] * len(shape), requires_grad=True)
    y, expected = depthwise_convolution(x, w, sides, dilation), reference(x, w, sides, dilation)
    close(y, expected, 1e-5)
    g = torch.randn_like(y)
    found = torch.autograd.grad(y, (x, w), g)
    for got, e in zip(found, torch.autograd.grad(expected, (x, w), g), strict=True):
        close(got, e, 1e-5)


@pytest.mark.parametrize("direct", [300, 0])
@pytest.mark.parametrize(("shape", "dilation"), [((6,), 2), ((4, 5), 1), ((3, 2, 4), 1)])
def test_derivatives_of_every_order_and_kind(monkeypatch, direct, shape, dilation):
    monkeypatch.setattr(depthwise, "DIRECT", direct)
    sides = ("periodic", "zeros", "replicate")[: len(shape)]
    torch.manual_seed(0)
    x = torch.randn(2, 2, *shape, dtype=torch.float64, requires_grad=True)
    w = torch.randn(2, *[3] * len(shape), dtype=torch.float64, requires_grad=True)

    def f(x, w):
        return depthwise_convolution(x, w, sides, dilation)

    assert torch.autograd.gradcheck(f, (x, w), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(f, (x, w), check_fwd_over_rev=True, fast_mode=True)


@pytest.mark.parametrize("direct", [300, 0])
@pytest.mark.parametrize("dims", [(0, None), (None, 0), (0, 0), (2, 1), (1, None), (4, 3)])
def test_vmap_over_fields_and_kernels(monkeypatch, direct, dims):
    monkeypatch.setattr(depthwise, "DIRECT", direct)
    torch.manual_seed(0)
    xs, ws = torch.randn(3, 2, 4, 7, 5).double(), torch.randn(3, 4, 3, 3).double()
    xs, ws = (
        t if d is not None else t[:1].expand(t.shape) for t, d in zip((xs, ws), dims, strict=True)
    )
    inputs = [t[0] if d is None else t.movedim(0, d) for t, d in zip((xs, ws), dims, strict=True)]

    def f(x, w):
        return depthwise_convolution(x, w, ("zeros", "periodic"), 2)

    def gradients(x, w):
        return torch.func.grad(lambda x, w: f(x, w).sin().sum(), argnums=(0, 1))(x, w)

    close(torch.func.vmap(f, dims)(*inputs), torch.stack(list(map(f, xs, ws))), 1e-12)
    one_by_one = [gradients(x, w) for x, w in zip(xs, ws, strict=True)]
    for i, got in enumerate(torch.func.vmap(gradients, dims)(*inputs)):
        close(got, torch.stack([g[i] for g in one_by_one]), 1e-12)


@pytest.mark.parametrize("k", [5, 19])
@pytest.mark.parametrize("side", ["periodic", "zeros"])
def test_the_adjoint_is_the_kernel_turned_round(k, side):
    x, y = torch.randn(2, 1, 3, 11, 8, dtype=torch.float64)
    w = torch.randn(3, k, k, dtype=torch.float64)
    forth = depthwise_convolution(x, w, (side,) * 2, 2)
    back = depthwise_convolution(y, w.flip(1, 2), (side,) * 2, 2)
    torch.testing.assert_close((forth * y).sum(), (x * back).sum())


def test_exchanging_the_axes_of_field_and_kernel_exchanges_those_of_the_result():
    layer = made(make, ("periodic", "zeros"))
    turned = made(make, ("zeros", "periodic"))
    turned.weight.data = layer.weight.data.transpose(1, 2)
    x = torch.randn(2, 4, 9, 12)
    close(turned(x.transpose(2, 3)).transpose(2, 3), layer(x))


def test_a_derivative_of_polynomials_by_a_dilated_stencil():
    """w = (1, -8, 0, 8, -1) / 12 d h differentiates polynomials of degree four exactly."""
    h, d = 0.1, 3
    x = h * torch.arange(40, dtype=torch.float64)
    w = torch.tensor([[1.0, -8.0, 0.0, 8.0, -1.0]], dtype=torch.float64) / (12 * d * h)
    y = depthwise_convolution((x**4 - x)[None, None], w, ("zeros",), d)[0, 0]
    torch.testing.assert_close(y[6:-6], (4 * x**3 - 1)[6:-6])


@pytest.mark.parametrize("side", ["periodic", "zeros", "replicate"])
def test_extended_is_padded_where_the_two_overlap(side):
    x = torch.randn(1, 2, 5, 4)
    got = extended(x, [(3, 3), (3, 3)], (side, side))
    torch.testing.assert_close(got, padded(x, 3, (side, side)), rtol=0, atol=0)


def test_a_circle_can_be_gone_around_more_than_once():
    x = torch.tensor([[[0.0, 1.0, 2.0]]])
    expected = [2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1]
    assert extended(x, [(4, 5)], ("periodic",)).flatten().tolist() == expected


def test_wrong_settings():
    for settings in ({"kernel_size": 4}, {"dilation": 0}, {"kernel_size": -1}):
        with pytest.raises(ConfigError, match="odd kernel_size"):
            DepthwiseConvolution(4, ("zeros",), **settings)
