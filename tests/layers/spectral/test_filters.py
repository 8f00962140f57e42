"""Linear filters: what they are equal to, and equations that they solve exactly."""

import math

import pytest
import torch
from layers.spectral.cases import (
    FILTERS,
    LINEAR,
    Field,
    by_full_fft,
    complex_weight,
    mixer,
    off,
    signed,
    waves,
)

from sciops.core.errors import ConfigError
from sciops.layers.spectral import CP, Basis, Block, Dense, Modes, SpectralMixer, Transform, Tucker

PERIODIC = [Basis("fourier", 7), Basis("fourier", 6)]
REAL = [Basis("cosine", 5, "cell"), Basis("sine", 4, "cell")]
MODES = {"complex": Modes(tuple(PERIODIC)), "real": Modes(tuple(REAL))}


def coefficients(modes, channels=4, rows=3):
    """(M, parts, R, C)."""
    return torch.randn(modes.count, modes.parts, rows, channels, dtype=torch.float64)


def reference(z, dense):
    """Z(k) R(k) in complex arithmetic, dense (*modes, C, parts, C')."""
    w = dense.flatten(0, -4)
    if z.shape[1] == 1:
        return torch.einsum("mprc,mcd->mprd", z, w[:, :, 0])
    complex_z = torch.complex(z[:, 0], z[:, 1])
    y = torch.einsum("mrc,mcd->mrd", complex_z, torch.complex(w[:, :, 0], w[:, :, 1]))
    return torch.stack([y.real, y.imag], 1)


@pytest.mark.parametrize("number", list(MODES))
def test_dense_is_a_complex_matrix_for_each_mode(number):
    modes = MODES[number]
    layer = Dense(modes, 4, 3).double()
    z = coefficients(modes)
    with torch.no_grad():
        y = layer(z)
    assert off(y, reference(z, layer.weight.detach())) < 1e-14
    assert off(layer(z), y) == 0.0  # while gradients are recorded, too
    assert not layer.weight.is_complex()
    assert layer.weight.shape == (*modes.shape, 4, modes.parts, 3)


@pytest.mark.parametrize("number", list(MODES))
def test_block_is_dense_with_zeros_beside_the_blocks(number):
    modes = MODES[number]
    z = coefficients(modes)
    for blocks in (1, 2, 4):
        layer = Block(modes, 4, blocks).double()
        b = 4 // blocks
        whole = torch.zeros(*modes.shape, 4, modes.parts, 4, dtype=torch.float64)
        for i in range(blocks):
            part = slice(i * b, (i + 1) * b)
            whole[..., part, :, part] = layer.weight[..., i, :, :, :].detach()
        assert off(layer(z).detach(), reference(z, whole)) < 1e-14
        assert layer.weight.numel() == modes.count * modes.parts * 4 * b


@pytest.mark.parametrize("number", list(MODES))
def test_tucker_at_full_rank_with_unit_factors_is_dense(number):
    modes = MODES[number]
    dense, tucker = Dense(modes, 4, 3).double(), Tucker(modes, 4, 3, 1.0).double()
    assert tucker.core.shape == dense.weight.shape
    with torch.no_grad():
        tucker.core.copy_(dense.weight)
        for factor in (*tucker.modes, tucker.enter, tucker.leave):
            factor.copy_(torch.eye(*factor.shape))
    z = coefficients(modes)
    assert off(tucker(z), dense(z)) < 1e-14


@pytest.mark.parametrize("number", list(MODES))
def test_the_factorised_filters_are_the_tensors_of_their_names(number):
    modes = MODES[number]
    z = coefficients(modes)
    tucker, cp = Tucker(modes, 4, 3, 0.3).double(), CP(modes, 4, 3, 5).double()
    factors = (*tucker.modes, tucker.enter, tucker.leave)
    whole = torch.einsum("xypcq,kx,ly,ip,qj->klicj", tucker.core, *factors)
    assert off(tucker(z).detach(), reference(z, whole.detach())) < 1e-13
    whole = torch.einsum("kcr,lr,ir,rj->klicj", cp.first, *cp.others, cp.enter, cp.leave)
    assert off(cp(z).detach(), reference(z, whole.detach())) < 1e-13


def test_ranks_are_shares_of_the_dense_weight():
    modes = Modes((Basis("fourier", 16), Basis("fourier", 15)))
    for rank in (0.1, 0.5, 1.0):
        tucker = Tucker(modes, 32, 32, rank)
        assert rank <= tucker.core.numel() / Dense(modes, 32, 32).weight.numel() < 1.5 * rank
    one = CP(modes, 32, 32, 1)
    assert sum(p.numel() for p in one.parameters()) == 16 * 2 + 8 + 32 + 32


def test_gains_of_one_on_all_modes_are_the_identity():
    """With as many modes as points: any field, not only a smooth one."""
    for sizes in ((7, 9), (9, 5)):
        transform = Transform([Basis("fourier", n) for n in sizes])
        gains = Block(transform.modes, 3, 3)
        with torch.no_grad():
            gains.weight.zero_()
            gains.weight[..., 0, :] = 1.0
        x = torch.randn(2, 3, *sizes, dtype=torch.float64)
        assert off(SpectralMixer(transform, gains.double())(x), x) < 1e-14


def scalar(values: list[complex], transform: Transform) -> SpectralMixer:
    """The filter that multiplies mode i by values[i]."""
    dense = Dense(transform.modes, 1, 1).double()
    with torch.no_grad():
        weight = torch.view_as_real(torch.tensor(values, dtype=torch.complex128))
        dense.weight.copy_(weight[:, None, :, None].reshape(dense.weight.shape))
    return SpectralMixer(transform, dense)


def test_ik_is_the_derivative():
    transform = Transform([Basis("fourier", 9), Basis("fourier", 9)])
    for axis in (0, 1):
        derivative = scalar([1j * k[axis] for k in waves((9, 9))], transform)
        for sizes in ((16, 17), (11, 12)):
            s, t = torch.meshgrid(
                *(torch.arange(n, dtype=torch.float64) * (2 * math.pi / n) for n in sizes),
                indexing="ij",
            )
            x, slope = (3 * s - 2 * t).sin(), (3 * s - 2 * t).cos() * (3, -2)[axis]
            assert off(derivative(x[None, None]), slope[None, None]) < 1e-13


def test_a_gain_solves_the_heat_equation():
    """exp(-nu k^2 t), between walls of all kinds, and one step on another grid than the next."""
    nu, t = 0.1, 0.03
    for basis, unit, first in (
        (Basis("cosine", 9, "cell"), math.pi, 0),
        (Basis("sine", 9, "node"), math.pi, 1),
    ):
        transform = Transform([basis])
        rates = [nu * (unit * k) ** 2 * t for k in range(first, first + 9)]
        heat = Dense(transform.modes, 1, 1).double()
        with torch.no_grad():
            heat.weight.copy_(-torch.tensor(rates, dtype=torch.float64).reshape(-1, 1, 1, 1))
            heat.weight.exp_()
        field = Field([basis], channels=1)
        cooled = Field([basis], channels=1)
        cooled.weights *= torch.exp(-torch.tensor(rates, dtype=torch.float64))
        assert off(SpectralMixer(transform, heat)(field.on(16), (25,)), cooled.on(25)) < 1e-13
    rates = [nu * (2 * math.pi * k) ** 2 * t for k in range(5)]
    heat = scalar([complex(math.exp(-r)) for r in rates], Transform([Basis("fourier", 9)]))
    x = torch.arange(16, dtype=torch.float64) / 16
    expected = math.exp(-rates[3]) * (6 * math.pi * x).sin()
    assert off(heat((6 * math.pi * x).sin()[None, None]), expected[None, None]) < 1e-13


def test_two_stored_weights_of_one_real_mode_act_by_their_hermitian_sum():
    """Where k and -k are both stored, R(k) and conj R(-k) act only together; R(0) by its real part.

    Perturbing what cannot act changes nothing.
    """
    made = mixer("dense", [Basis("fourier", 5), Basis("fourier", 5)]).double()
    x = torch.randn(2, 4, 9, 10, dtype=torch.float64)
    y = made(x)
    first = signed(5)
    with torch.no_grad():
        made.filter.weight[0, 0, :, 1] += 1.0  # the imaginary part of R(0, 0)
        change = torch.randn(4, 2, 4, dtype=torch.float64)
        made.filter.weight[first.index(2), 0] += change  # R(2, 0) + conj R(-2, 0) stays
        change[:, 0] *= -1
        made.filter.weight[first.index(-2), 0] += change
    assert off(made(x), y) < 1e-14


@pytest.mark.parametrize("filter", ["dense", "block", "diag"])
def test_an_isotropic_filter_knows_no_first_axis(filter):
    """R(k_1, k_2) with R(-k) = conj R(k); axes, sizes and weights change places together."""
    made = mixer(filter, [Basis("fourier", 5), Basis("fourier", 7)]).double()
    turned = mixer(filter, [Basis("fourier", 7), Basis("fourier", 5)]).double()
    weight = made.filter.weight.detach()
    whole = dict(zip(waves((5, 7)), weight.flatten(0, 1), strict=True))  # (.., parts, C_out)
    mirror = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)  # the conjugate
    with torch.no_grad():  # the stored half, made Hermitian, then read along the other axis
        for k in list(whole):
            if k[1] == 0:
                whole[k] = (whole[k] + mirror * whole[(-k[0], 0)]) / 2
        for k in list(whole):
            whole[(-k[0], -k[1])] = mirror * whole[k]
        made.filter.weight.copy_(torch.stack([whole[k] for k in waves((5, 7))]).view_as(weight))
        transposed = torch.stack([whole[k[::-1]] for k in waves((7, 5))])
        turned.filter.weight.copy_(transposed.view_as(turned.filter.weight))
    x = torch.randn(2, 4, 12, 11, dtype=torch.float64)
    assert off(turned(x.transpose(2, 3)).transpose(2, 3), made(x)) < 1e-13


@pytest.mark.parametrize("filter", LINEAR)
@pytest.mark.parametrize("modes", list(MODES.values()), ids=list(MODES))
def test_a_new_filter_keeps_the_size_of_independent_channels(filter, modes):
    torch.manual_seed(0)
    z, powers = torch.randn(modes.count, modes.parts, 8, 32), []
    for _ in range(4):
        with torch.no_grad():
            powers.append(FILTERS[filter](modes, 32)(z).square().mean().item())
    assert 0.5 < sum(powers) / len(powers) < 2.0, powers


def test_frozen_is_a_dense_filter_without_parameters():
    made = mixer("frozen", PERIODIC).double()
    assert not list(made.parameters()) and "filter.weight" in made.state_dict()
    x = torch.randn(1, 4, 12, 13, dtype=torch.float64, requires_grad=True)
    expected = by_full_fft(x.detach(), complex_weight(made.filter.weight), (7, 6))
    assert off(made(x).detach(), expected) < 1e-13
    (g,) = torch.autograd.grad(made(x).sum(), x)
    assert g.abs().max() > 0


def test_low_precision_is_in_the_product_alone():
    """bf16: near the full result, further than rounding, the same shape, and trainable."""
    for modes in MODES.values():
        torch.manual_seed(0)
        full = Dense(modes, 16, 16)
        low = Dense(modes, 16, 16, "bf16")
        low.load_state_dict(full.state_dict())
        z = coefficients(modes, 16).float().requires_grad_()
        y, expected = low(z), full(z)
        assert y.dtype == torch.float32 and 1e-4 < off(y, expected) < 1e-2
        g = torch.randn_like(y)
        got = torch.autograd.grad(y, [z, low.weight], g)
        for a, b in zip(got, torch.autograd.grad(expected, [z, full.weight], g), strict=True):
            assert off(a, b) < 1e-2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: Tucker(m, 4, 4, 0.0), r"a share in \(0, 1\], got 0.0"),
        (lambda m: Tucker(m, 4, 4, 1.5), r"a share in \(0, 1\], got 1.5"),
        (lambda m: CP(m, 4, 4, 0), "must be at least 1, got 0"),
        (lambda m: Block(m, 4, 3), "4 channels do not fall into 3 equal blocks"),
        (lambda m: Block(m, 4, 0), "4 channels do not fall into 0 equal blocks"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make(MODES["complex"])


@pytest.mark.parametrize("number", list(MODES))
@pytest.mark.parametrize("filter", list(FILTERS))
def test_gradients_have_all_digits_whatever_is_set_for_the_backward_pass(filter, number):
    """A training loop may call backward() under autocast."""
    layer = FILTERS[filter](MODES[number], 8)
    z = coefficients(MODES[number], 8, 32).float().requires_grad_()
    wanted = [z, *layer.parameters()]
    g = torch.randn(layer(z).shape)
    exact = torch.autograd.grad(layer(z), wanted, g)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(z)
        found = torch.autograd.grad(y, wanted, g)
    assert y.dtype == torch.float32
    for a, b in zip(found, exact, strict=True):
        assert off(a.double(), b.double()) < 2e-6


@pytest.mark.parametrize("number", list(MODES))
@pytest.mark.parametrize("filter", list(FILTERS))
def test_no_samples(filter, number):
    layer = FILTERS[filter](MODES[number], 4)
    z = coefficients(MODES[number], 4, 0).float().requires_grad_()
    y = layer(z)
    assert y.shape == z.shape
    y.sum().backward()
    assert z.grad.shape == z.shape
