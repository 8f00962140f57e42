"""Convolutions with a boundary per axis: equivariance, sizes, exactness of the up-sampling."""

import math

import pytest
import torch

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.convolution import Convolution, padded, upsampled


@pytest.mark.parametrize("sides", [("periodic",), ("zeros", "periodic"), ("replicate",) * 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_sizes(sides, stride):
    shape = (7, 6, 5)[: len(sides)]
    y = Convolution(2, 3, sides, stride=stride)(torch.randn(4, 2, *shape))
    assert y.shape == (4, 3, *(math.ceil(n / stride) for n in shape))


def test_a_periodic_axis_is_shift_equivariant_and_a_walled_one_is_not():
    layer, v = Convolution(1, 2, ("periodic", "zeros")), torch.randn(2, 1, 8, 8)
    for shift in (1, 3):
        moved = layer(v.roll(shift, 2))
        torch.testing.assert_close(moved, layer(v).roll(shift, 2))
        assert not torch.allclose(layer(v.roll(shift, 3)), layer(v).roll(shift, 3), atol=1e-2)


def test_two_steps_on_the_fine_grid_are_one_on_the_coarse():
    layer, v = Convolution(1, 2, ("periodic",), stride=2), torch.randn(2, 1, 10)
    torch.testing.assert_close(layer(v.roll(4, 2)), layer(v).roll(2, 2))


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_zeros_are_the_padding_of_torch(kernel_size):
    r = kernel_size // 2
    layer = Convolution(1, 2, ("zeros", "zeros"), kernel_size)
    mixed = Convolution(1, 2, ("zeros", "replicate"), kernel_size)
    mixed.load_state_dict(layer.state_dict())
    v = torch.randn(1, 1, 6, 9)
    w = torch.nn.functional.pad(v, (r, r, 0, 0), mode="replicate")
    expected = torch.nn.functional.conv2d(
        w, mixed.convolution.weight, mixed.convolution.bias, padding=(r, 0)
    )
    torch.testing.assert_close(mixed(v), expected)


@pytest.mark.parametrize(("side", "expected"), [
    ("periodic", [2, 3, 1, 2, 3, 1, 2]),
    ("zeros", [0, 0, 1, 2, 3, 0, 0]),
    ("replicate", [1, 1, 1, 2, 3, 3, 3]),
])  # fmt: skip
def test_padding(side, expected):
    v = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert padded(v, 2, (side,)).flatten().tolist() == expected


def test_one_point_can_be_padded():
    for side in ("periodic", "zeros", "replicate"):
        assert padded(torch.ones(1, 1, 1), 1, (side,)).shape == (1, 1, 3)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_upsampling_is_exact_for_linear_functions(n):
    """Coarse point i lies at fine point 2 i; only the last one of an even axis is continued."""
    x = torch.arange(n, dtype=torch.float64)
    fine = upsampled(x[::2][None, None], (n,), ("zeros",))[0, 0]
    inside = n if n % 2 else n - 1
    torch.testing.assert_close(fine[:inside], x[:inside])


def test_upsampling_around_a_periodic_axis():
    v = torch.tensor([[[0.0, 4.0, 8.0]]])
    assert upsampled(v, (6,), ("periodic",)).flatten().tolist() == [0, 2, 4, 6, 8, 4]
    assert upsampled(v, (5,), ("periodic",)).flatten().tolist() == [0, 2, 4, 6, 8]


def test_upsampling_undoes_the_size_of_a_strided_convolution():
    down = Convolution(1, 1, ("zeros", "periodic", "zeros"), stride=2)
    v = torch.randn(1, 1, 5, 6, 1)
    assert upsampled(down(v), v.shape[2:], down.sides).shape == v.shape


def test_wrong_settings():
    with pytest.raises(ConfigError, match="one to three"):
        Convolution(1, 1, ("zeros",) * 4)
    with pytest.raises(ConfigError, match="one to three"):
        Convolution(1, 1, ("reflect",))
    with pytest.raises(ConfigError, match="odd kernel_size"):
        Convolution(1, 1, ("zeros",), kernel_size=2)
    with pytest.raises(ShapeError, match="1 kinds of padding"):
        padded(torch.zeros(1, 1, 2, 2), 1, ("zeros",))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("sides", [("zeros",) * 3, ("periodic", "zeros", "replicate")])
def test_one_sample_in_space_is_what_a_batch_gives(stride, sides):
    layer = Convolution(3, 4, sides, stride=stride)
    v = torch.randn(1, 3, 7, 6, 5, requires_grad=True)
    alone, among = layer(v), layer(torch.cat([v, v.detach() + 1]))[:1]
    torch.testing.assert_close(alone, among)
    g = torch.randn_like(alone)
    ours, theirs = (torch.autograd.grad(y, [v, *layer.parameters()], g) for y in (alone, among))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_one_sample_in_space_avoids_the_loop_of_torch():
    layer, v = Convolution(16, 16, ("zeros",) * 3), torch.randn(1, 16, 8, 8, 8)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        layer(v)
    names = {event.key for event in seen.key_averages()}
    assert not any("slow_conv3d" in name for name in names), names


def test_one_sample_in_space_under_every_transform():
    layer, v = Convolution(2, 2, ("zeros",) * 3), torch.randn(1, 2, 4, 5, 3)
    tangent = torch.randn_like(v)
    exact = layer(v + tangent) - layer(v)  # affine in v
    torch.testing.assert_close(torch.func.jvp(layer, (v,), (tangent,))[1], exact)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(v, tangent)
        found = torch.autograd.forward_ad.unpack_dual(layer(dual)).tangent
    torch.testing.assert_close(found, exact)
    torch.testing.assert_close(torch.func.vmap(layer)(v[None])[0], layer(v))
    weights = dict(layer.named_parameters())
    changes = {k: torch.randn_like(p) for k, p in weights.items()}

    def of(w):
        return torch.func.functional_call(layer, w, v)

    linear = of({k: weights[k] + changes[k] for k in weights}) - of(weights)
    torch.testing.assert_close(torch.func.jvp(of, (weights,), (changes,))[1], linear)
    two = {k: torch.stack([p, p + changes[k]]) for k, p in weights.items()}
    torch.testing.assert_close(torch.func.vmap(of)(two)[1] - of(weights), linear)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(v).dtype == torch.bfloat16
    assert layer.double()(v.double()).dtype == torch.float64
