"""Adaptive filters: the published formulas, on every grid; what is equivariant and what is not."""

import pytest
import torch
from layers.spectral.cases import BASES, Field, mixer, off
from torch.nn import functional as F

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.spectral import AFF, AFNO, Basis, Gated, Modes, SpectralMixer, Transform

SEVEN = [Basis("fourier", 7), Basis("fourier", 7)]


def louder(made: SpectralMixer, factor: float) -> SpectralMixer:
    """With larger weights, so that the masks differ from mode to mode and few are zero."""
    with torch.no_grad():
        for p in made.parameters():
            p.mul_(factor)
    return made.double()


def complex_of(w: torch.Tensor, dim: int) -> torch.Tensor:
    re, im = w.detach().unbind(dim)
    return torch.complex(re, im)


def published(filter, x: torch.Tensor, norm: str = "ortho", scale: float = 1.0) -> torch.Tensor:
    """x + irfft2(M X), or x + irfft2(M) for AFNO, of all modes of the grid; two axes."""
    spectrum = torch.fft.rfft2(x, norm=norm) * scale  # (B, C, H, W // 2 + 1)
    blocks = spectrum.unflatten(1, (filter.blocks, -1))

    def layer(v, weight):
        return torch.einsum("bkihw,kio->bkohw", v, complex_of(weight, 2))

    def apart(function, v):
        return torch.complex(function(v.real), function(v.imag))

    if isinstance(filter, AFF):
        bias = [
            complex_of(b, 1)[:, 0, :, None, None] for b in (filter.first_bias, filter.second_bias)
        ]
        mask = apart(F.relu, layer(blocks, filter.first) + bias[0])
        mask = layer(mask, filter.second) + bias[1]
        out = apart(lambda v: F.softshrink(v, filter.shrink), mask) * blocks
    else:
        out = layer(apart(F.gelu, layer(blocks, filter.first)), filter.second)
        out = apart(lambda v: F.softshrink(v, filter.shrink), out)
    return x + torch.fft.irfft2(out.flatten(1, 2) / scale, s=x.shape[2:], norm=norm)


@pytest.mark.parametrize("sizes", [(9, 7), (8, 10), (12, 12)])
@pytest.mark.parametrize("kind", [AFF, AFNO])
def test_on_the_reference_grid_it_is_the_published_layer(kind, sizes):
    """All modes kept, no Nyquist content, N_ref = N; coefficients of norm="ortho"."""
    torch.manual_seed(0)
    bases = [Basis("fourier", n - 1 + n % 2) for n in sizes]
    transform = Transform(bases)
    filter = kind(transform.modes, 8, 2, sizes[0] * sizes[1])
    made = louder(SpectralMixer(transform, filter), 10 if kind is AFF else 1)
    x = Field(bases, channels=8).on(*sizes)
    x = x / x.std()
    expected = published(filter, x)
    change = (expected - x).norm() / x.norm()
    assert 0.05 < change < 5
    assert off(made(x), expected) < 1e-13


@pytest.mark.parametrize(("kind", "factor", "measured"), [(AFF, 10, 1.0), (AFNO, 1, 0.07)])
def test_it_is_the_same_operator_on_every_grid_and_the_published_one_is_not(kind, factor, measured):
    """Measured: what the published layer adds on 32 x 32 against 16 x 16, at the same points."""
    torch.manual_seed(0)
    transform = Transform(SEVEN)
    filter = kind(transform.modes, 8, 2, 16 * 16)
    made = louder(SpectralMixer(transform, filter), factor)
    field = Field(SEVEN, channels=8)
    field.weights /= field.on(16, 16).std()
    coarse = made(field.on(16, 16))
    for n, m in ((32, 32), (48, 16)):
        assert off(made(field.on(n, m))[..., :: n // 16, :: m // 16], coarse) < 1e-12
    x = field.on(16, 16)
    added = [published(filter, field.on(n, n))[..., :: n // 16, :: n // 16] - x for n in (16, 32)]
    change = ((added[1] - added[0]).norm() / added[0].norm()).item()
    assert change == pytest.approx(measured, rel=0.3)


def moved(made, x, shift):
    """Relative change of what the filter adds, when the field is moved."""
    with torch.no_grad():
        y, z = made(x).roll(shift, (2, 3)), made(x.roll(shift, (2, 3)))
        added = y - x.roll(shift, (2, 3)) if made.filter.residual else y
    return ((z - y).norm() / added.norm()).item()


@pytest.mark.parametrize(("name", "factor"), [("aff", 10.0), ("afno", 1.0)])
def test_relu_of_a_real_part_does_not_commute_with_shifts(name, factor):
    """Measured: AFF 0.86, AFNO 0.80 of what they add (16 channels, 16 x 16); the trait says so."""
    made = louder(mixer(name, SEVEN, 16), factor)
    assert not made.equivariant and not made.linear
    x = Field(SEVEN, channels=16, seed=1).on(16, 16)
    assert moved(made, x / x.std(), (5, 3)) > 0.3
    assert moved(made, x / x.std(), (16, 0)) == 0.0


def opened(channels=4, bases=SEVEN):
    """A gated filter whose gate does something."""
    made = mixer("gated", bases, channels)
    with torch.no_grad():
        made.filter.second.normal_()
        made.filter.second_bias.normal_()
        made.filter.first_bias.normal_()
    return made.double()


def test_a_gate_of_power_commutes_with_shifts():
    made = opened()
    x = Field(SEVEN).on(16, 15)
    assert made.equivariant and not made.linear
    assert moved(made, x, (5, 3)) < 1e-13
    assert off(made(2 * x), 2 * made(x)) < 1e-12  # of degree one: power over its own mean
    assert off(made(x + x.flip(0)), made(x) + made(x.flip(0))) > 1e-2


def test_a_closed_gate_is_the_dense_filter_bit_for_bit():
    made, dense = mixer("gated", SEVEN), mixer("dense", SEVEN)
    dense.filter.load_state_dict(made.filter.dense.state_dict())
    x = torch.randn(2, 4, 17, 16)
    assert torch.equal(made(x), dense(x))
    made.filter.second.data.normal_()
    assert off(made(x), dense(x)) > 1e-2


@pytest.mark.parametrize("bases", [SEVEN, [BASES["cosine"], BASES["chebyshev"]]])
def test_the_gate_is_its_formula(bases):
    """g = tanh(G2 gelu(G1 log(1 + P / mean P))), the mean over all modes, k and -k."""
    made = opened(4, bases)
    filter = made.filter
    z = made.transform.analyse(torch.randn(3, 4, 12, 12, dtype=torch.float64))
    flat = z.flatten(0, 1)  # (M, parts, B, C)
    power = flat.square().sum(1)
    weight = torch.ones(len(flat), 1, 1, dtype=torch.float64)
    if bases is SEVEN:
        weight = torch.tensor([1.0, 2.0, 2.0, 2.0]).repeat(7)[:, None, None].double()
    mean = (power * weight).sum((0, 2)) / (4 * weight.sum())  # one for each sample
    p = torch.log(1 + power / mean[:, None]).unflatten(2, (2, 2))
    h = F.gelu(torch.einsum("mrki,kij->mrkj", p, filter.first) + filter.first_bias[:, 0])
    g = torch.einsum("mrki,kij->mrkj", h, filter.second) + filter.second_bias[:, 0]
    assert off(filter.gate(flat), g.tanh().flatten(2)) < 1e-13


def test_the_gate_knows_no_first_axis():
    """Of k and -k one is stored, which one depends on the order of the axes; the gate does not."""
    made = opened(4)
    with torch.no_grad():
        made.filter.dense.weight.zero_()
        made.filter.dense.weight[..., 0, :] = torch.eye(4)
    x = Field(SEVEN).on(13, 16)
    assert off(made(x.transpose(2, 3)).transpose(2, 3), made(x)) < 1e-13


def test_adaptive_filters_are_refused_what_they_cannot_do():
    modes = Modes(tuple(SEVEN))
    for make in (
        lambda: AFF(modes, 6, 4, 64),
        lambda: AFNO(modes, 6, 4, 64),
        lambda: Gated(modes, 6, 6, 4),
    ):
        with pytest.raises(ConfigError, match="6 channels do not fall into 4 equal blocks"):
            make()
    for name in ("aff", "afno"):
        made = mixer(name, SEVEN)
        x = torch.zeros(1, 4, 12, 12)
        with pytest.raises(ShapeError, match=r"adds its input \(12, 12\).*sizes=\(16, 16\)"):
            made(x, (16, 16))
        with pytest.raises(ShapeError, match="cannot be asked for"):
            made(torch.zeros(1, 4, 1, 1), (16, 16))  # would broadcast
        assert torch.equal(made(x, (12, 12)), made(x))


def test_where_there_is_nothing_aff_adds_nothing():
    """A mode that is absent stays absent: the multiplier has nothing to multiply."""
    made = louder(mixer("aff", SEVEN, 8), 10)
    x = torch.zeros(1, 8, 16, 16, dtype=torch.float64)
    assert torch.equal(made(x), x)
    x = Field(SEVEN, 1, channels=8).on(16, 16)
    spectrum = torch.fft.rfft2(made(x), norm="forward")
    assert spectrum[..., 2:15, :].abs().max() < 1e-15 and spectrum[..., 2:].abs().max() < 1e-15
