"""The block of an operator: its formula, where the second map stands, conditioning, gradients."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sciops.layers.operator_block import Block
from sciops.layers.spectral import AFF, AFNO, Basis, Dense, Gated, SpectralMixer, Transform
from sciops.layers.spectral import Block as BlockFilter


class Identity(nn.Module):
    """A mixer that mixes nothing."""

    mixes_channels, resolution, equivariant, linear = False, "modes", True, True

    def forward(self, v):
        return v


def spectral(filter, *settings, channels=4, dims=2):
    transform = Transform([Basis("fourier", 5)] * dims)
    return SpectralMixer(transform, filter(transform.modes, channels, *settings))


MIXERS = {
    "identity": Identity,
    "dense": lambda: spectral(Dense, 4),
    "gated": lambda: spectral(Gated, 4, 2),
    "diag": lambda: spectral(BlockFilter, 4),
    "aff": lambda: spectral(AFF, 2, 64),
    "afno": lambda: spectral(AFNO, 2, 64),
}
SMALL = {"dense": (Dense, 2), "afno": (AFNO, 1, 64)}  # of two channels


def made(name, embedding=0):
    torch.manual_seed(0)
    return Block(MIXERS[name](), 4, embedding).double()


def mapped(layer, v):
    """W v over the channels, plainly."""
    return torch.einsum("oi,bi...->bo...", layer.weight, v)


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize("name", list(MIXERS))
def test_it_is_its_formula(name, embedding):
    block = made(name, embedding)
    torch.manual_seed(1)
    v = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    p = torch.randn(2, embedding, dtype=torch.float64) if embedding else None
    mixed = block.mixer(v)
    u = mixed if block.after is None else mapped(block.after, mixed)
    u = u + mapped(block.local, v)
    if embedding:
        gamma, beta = (p @ block.film.weight.T + block.film.bias).view(2, 2, 4, 1, 1).unbind(1)
        u = (1 + gamma) * u + beta
    expected = v + mapped(block.last, F.gelu(u))
    torch.testing.assert_close(block(v, p), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", list(MIXERS))
def test_a_second_map_of_the_channels_stands_behind_mixers_that_do_not_mix_them(name):
    block = made(name)
    assert (block.after is None) == (name in ("dense", "gated"))
    if name != "identity":  # the trait is true: does the mixer join what the map would join?
        x = torch.zeros(1, 4, 9, 8, dtype=torch.float64)
        x[:, 0] = torch.randn(9, 8)
        alone = block.mixer(x)[:, 3]  # aff and afno mix inside blocks of two
        assert (alone.abs().max() > 1e-6) == block.mixer.mixes_channels


def test_with_an_identity_for_a_mixer_a_point_sees_itself_alone():
    """The control: a perceptron at every point, on any number of axes, in any order of points."""
    block = made("identity")
    for shape in ((2, 4, 6), (2, 4, 3, 2), (2, 4, 1, 3, 2)):
        v = torch.randn(shape, dtype=torch.float64)
        y = block(v)
        assert y.shape == v.shape
        torch.testing.assert_close(y.flatten(2), block(v.flatten(2)), rtol=0, atol=1e-14)
        moved = block(v.flatten(2).flip(2)).flip(2)
        torch.testing.assert_close(moved, y.flatten(2), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["dense", "diag"])
def test_the_block_is_as_equivariant_as_its_mixer(name):
    block = made(name)
    v = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    moved = block(v.roll((4, 3), (2, 3)))
    torch.testing.assert_close(moved, block(v).roll((4, 3), (2, 3)), rtol=0, atol=1e-13)


def test_parameters_of_one_sample_do_not_reach_the_next():
    block = made("dense", 3)
    v, p = torch.randn(3, 4, 9, 8, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)
    y = block(v, p)
    other = p.clone()
    other[1] += 1.0
    changed = block(v, other)
    torch.testing.assert_close(changed[[0, 2]], y[[0, 2]], rtol=0, atol=1e-14)
    assert (changed[1] - y[1]).abs().max() > 1e-3
    torch.testing.assert_close(block(v[1:2], p[1:2]), y[1:2], rtol=0, atol=1e-13)


def test_a_film_of_zeros_changes_nothing():
    block, plain = made("dense", 3), made("dense")
    plain.load_state_dict({k: t for k, t in block.state_dict().items() if "film" not in k})
    with torch.no_grad():
        for t in block.film.parameters():
            t.zero_()
    v, p = torch.randn(2, 4, 9, 8, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    torch.testing.assert_close(block(v, p), plain(v), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["identity", "dense", "afno"])
def test_gradients(name):
    """gradcheck by field, scalar parameters and weights; none is zero."""
    torch.manual_seed(0)
    mixer = Identity() if name == "identity" else spectral(*SMALL[name], channels=2, dims=1)
    block = Block(mixer, 2, 2).double()
    names = [n for n, _ in block.named_parameters()]
    v = torch.randn(1, 2, 6, dtype=torch.float64, requires_grad=True)
    p = torch.randn(1, 2, dtype=torch.float64, requires_grad=True)
    weights = [w.detach().requires_grad_() for w in block.parameters()]

    def f(v, p, *weights):
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(block, given, (v, p))

    assert torch.autograd.gradcheck(f, (v, p, *weights), check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(f, (v, p, *weights), fast_mode=True)
    gradients = torch.autograd.grad(f(v, p, *weights).sin().sum(), (v, p, *weights))
    assert all(g.abs().max() > 0 for g in gradients)


@pytest.mark.parametrize("name", list(MIXERS))
def test_autocast_copies_and_float32(name):
    block = made(name, 3).float()
    v, p = torch.randn(2, 4, 9, 8), torch.randn(2, 3)
    y = block(v, p)
    exact = copy.deepcopy(block).double()(v.double(), p.double())
    assert ((y - exact).norm() / exact.norm()).item() < 1e-5
    torch.testing.assert_close(pickle.loads(pickle.dumps(block))(v, p), y, rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        low = block(v, p)
        low.float().square().mean().backward()
    assert ((low.float() - y).norm() / y.norm()).item() < 0.02
    assert all(torch.isfinite(w.grad).all() for w in block.parameters())
