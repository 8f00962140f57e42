"""Weights of neuraloperator's SpectralConv, both ways, and what they then do to a field."""

import warnings

import pytest
import torch
from layers.spectral.cases import off

from sciops.core.errors import ShapeError
from sciops.layers.spectral import (
    Basis,
    Dense,
    SpectralMixer,
    Transform,
    from_neuralop,
    to_neuralop,
)


def spectral_conv(n_modes, c_in=3, c_out=5, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from neuralop.layers.spectral_convolution import SpectralConv

        torch.manual_seed(0)
        return SpectralConv(c_in, c_out, n_modes, bias=False, **settings)


def ours(weight, n_modes):
    transform = Transform([Basis("fourier", m) for m in n_modes])
    dense = Dense(transform.modes, weight.shape[0], weight.shape[1])
    dense.weight.data.copy_(from_neuralop(weight))
    return SpectralMixer(transform, dense)


@pytest.mark.parametrize(
    ("n_modes", "sizes"),
    [
        ((12,), (32,)),
        ((9,), (33,)),  # one axis is right on odd sizes too
        ((12, 12), (32, 32)),
        ((13, 13), (32, 24)),
        ((12, 7), (16, 33)),  # and so is the last one
        ((4, 6, 5), (10, 12, 11)),
        ((5, 4, 6), (12, 8, 10)),
    ],
)
def test_the_same_weights_give_the_same_field(n_modes, sizes):
    conv = spectral_conv(n_modes)
    layer = ours(conv.weight.to_tensor(), n_modes)
    x = torch.randn(2, 3, *sizes)
    with torch.no_grad():
        assert off(layer(x), conv(x)) < 5e-6


def test_a_factorised_weight_comes_as_the_dense_one():
    for factorization in ("tucker", "cp"):
        conv = spectral_conv((8, 8), factorization=factorization, rank=0.5)
        layer = ours(conv.weight.to_tensor().detach(), (8, 8))
        x = torch.randn(2, 3, 16, 16)
        with torch.no_grad():
            assert off(layer(x), conv(x)) < 1e-5


def test_our_weights_go_there():
    n_modes = (7, 6)
    conv = spectral_conv(n_modes, 4, 4)
    transform = Transform([Basis("fourier", m) for m in n_modes])
    layer = SpectralMixer(transform, Dense(transform.modes, 4, 4))
    x = torch.randn(2, 4, 16, 18)
    with torch.no_grad():
        assert off(layer(x), conv(x)) > 0.1
        conv.weight.tensor.copy_(to_neuralop(layer.filter.weight))
        assert off(layer(x), conv(x)) < 5e-6


@pytest.mark.parametrize("shape", [(6,), (5,), (6, 4), (7, 5), (4, 5, 3), (5, 4, 4), (1, 1)])
def test_there_and_back_is_exact(shape):
    theirs = torch.randn(3, 2, *shape, dtype=torch.complex64)
    weight = from_neuralop(theirs)
    assert weight.shape == (*shape, 3, 2, 2) and weight.dtype == torch.float32
    assert torch.equal(to_neuralop(weight), theirs)
    weight = torch.randn(*shape, 3, 2, 2, dtype=torch.float64)
    assert torch.equal(from_neuralop(to_neuralop(weight)), weight)


def test_weights_of_other_kinds_are_refused():
    for wrong in (torch.zeros(3, 2, 4), torch.zeros(3, 2, dtype=torch.complex64)):
        with pytest.raises(ShapeError, match=r"expected a complex weight \(C_in, C_out, \*modes\)"):
            from_neuralop(wrong)
    for wrong in (
        torch.zeros(3, 2, 3),
        torch.zeros(4, 3, 1, 3),
        torch.zeros(4, 3, 2, 3, dtype=torch.complex64),
    ):
        with pytest.raises(ShapeError, match=r"expected a real weight \(\*modes, C_in, 2, C_out\)"):
            to_neuralop(wrong)
