"""Both ways of transforming against sums over modes, FFTs of the whole grid, and each other."""

import itertools

import pytest
import torch
from layers.spectral.cases import (
    BASES,
    Field,
    by_full_fft,
    complex_weight,
    mixer,
    off,
    summed,
    waves,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sciops.core.errors import ConfigError
from sciops.layers import linear_node
from sciops.layers.spectral import Basis, Transform, fft

MODES = ((5,), (4,), (5, 5), (4, 6), (3, 1), (3, 4, 5), (2, 3, 4))
SIZES = {1: ((17,), (16,)), 2: ((33, 32), (17, 31), (12, 7)), 3: ((9, 8, 7), (8, 11, 10))}
BACKENDS = ("products", "fft")


def periodic(n_modes):
    return [Basis("fourier", m) for m in n_modes]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n_modes", MODES)
def test_a_filter_is_the_sum_over_modes(n_modes, backend):
    """On the input's grid and on another one, odd and even, with every sign of k."""
    made = mixer("dense", periodic(n_modes), 3, backend).double()
    weight = complex_weight(made.filter.weight)
    torch.manual_seed(1)
    for sizes in SIZES[len(n_modes)]:
        x = torch.randn(2, 3, *sizes, dtype=torch.float64)
        with torch.no_grad():
            y = made(x)
        assert off(y, by_full_fft(x, weight, n_modes)) < 1e-13
    other = tuple(n + 3 for n in sizes)
    assert off(y, summed(x, weight, n_modes, sizes)) < 1e-13
    assert off(made(x, other), summed(x, weight, n_modes, other)) < 1e-13


def test_modes_beyond_the_grid_are_those_of_the_sum_too():
    """Fewer points than modes: the sum over the modes that the grid carries."""
    n_modes, sizes = (9, 12), (5, 7)
    made = mixer("dense", periodic(n_modes), 3).double()
    x = torch.randn(2, 3, *sizes, dtype=torch.float64)
    weight = complex_weight(made.filter.weight).clone()
    for i, k in enumerate(waves(n_modes)):
        if any(2 * abs(kd) > n for kd, n in zip(k, sizes, strict=True)):
            weight[i] = 0.0
    assert off(made(x), summed(x, weight, n_modes, sizes)) < 1e-13


@pytest.mark.parametrize("n_modes", MODES)
def test_both_ways_are_equal_with_their_derivatives(n_modes):
    """Coefficients, fields, and the transposes of both."""
    ways = [Transform(periodic(n_modes), backend) for backend in BACKENDS]
    for sizes in SIZES[len(n_modes)]:
        assert fft.has_room(ways[1].modes, sizes)
        x = torch.randn(2, 3, *sizes, dtype=torch.float64, requires_grad=True)
        z = [way.analyse(x) for way in ways]
        assert off(z[1], z[0]) < 1e-13
        g = torch.randn_like(z[0])
        gradients = [torch.autograd.grad(zi, x, g)[0] for zi in z]
        assert off(gradients[1], gradients[0]) < 1e-13
        c = torch.randn_like(z[0]).requires_grad_()
        y = [way.synthesise(c, sizes) for way in ways]
        assert off(y[1], y[0]) < 1e-13
        g = torch.randn_like(y[0])
        gradients = [torch.autograd.grad(yi, c, g)[0] for yi in y]
        assert off(gradients[1], gradients[0]) < 1e-13


def test_auto_is_one_of_the_two():
    for sizes in ((32, 32), (33, 17), (64, 60)):
        x = torch.randn(1, 2, *sizes)
        with torch.no_grad():
            y = [mixer("block", periodic((5, 6)), 2, b)(x) for b in ("auto", *BACKENDS)]
        assert min(off(y[0], y[1]), off(y[0], y[2])) == 0.0
        assert off(y[0], y[1]) < 1e-5


@pytest.mark.parametrize(
    ("basis", "sizes", "room"),
    [
        (Basis("fourier", 5), (6,), True),
        (Basis("fourier", 5), (5,), False),
        (Basis("fourier", 5, "left"), (6,), True),
    ],
)
def test_where_the_fft_has_no_room_there_are_products(basis, sizes, room):
    """The answer is the same."""
    ways = [Transform([basis], backend) for backend in BACKENDS]
    assert fft.has_room(ways[1].modes, sizes) == room
    x = torch.randn(1, 1, *sizes, dtype=torch.float64)
    z = [way.analyse(x) for way in ways]
    assert off(z[1], z[0]) < 1e-13
    assert off(ways[1].synthesise(z[0], sizes), ways[0].synthesise(z[0], sizes)) < 1e-13


def test_smooth_lengths():
    assert [n for n in range(1, 33) if not fft.is_smooth(n)] == [
        7, 11, 13, 14, 17, 19, 21, 22, 23, 26, 28, 29, 31,
    ]  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes", [(16, 16), (12, 13), (13, 12), (11, 15)])
def test_a_mode_of_either_sign_is_mapped_exactly_to_any_grid(sizes, backend):
    """exp(i k s), its real part and its imaginary one, up and down."""
    transform = Transform(periodic((7, 7)), backend)
    for k, other in itertools.product(
        ((2, 3), (-2, 3), (2, -3), (-3, -1), (0, 3), (-3, 0), (0, 0)), ((32, 32), (33, 20), (8, 9))
    ):

        def wave(sizes, k=k):
            s, t = (torch.arange(n, dtype=torch.float64) * (2 * torch.pi / n) for n in sizes)
            angle = k[0] * s[:, None] + k[1] * t
            return torch.stack([angle.cos(), (angle + 0.3).sin()])[None]

        y = transform.synthesise(transform.analyse(wave(sizes)), other)
        assert off(y, wave(other)) < 1e-13, (k, other)


@pytest.mark.parametrize("kind", list(BASES))
def test_analysis_and_synthesis_are_their_matrices(kind):
    """Linear, their transposes the backward passes, of every order, and dual numbers, vmap."""
    basis = BASES[kind]
    n = 12
    transform = Transform([BASES["even"], None, basis])
    x = torch.randn(2, 2, 7, 2, n, dtype=torch.float64, requires_grad=True)
    z = transform.analyse(x).detach().requires_grad_()

    def there(x):
        return transform.analyse(x)

    def back(z):
        return transform.synthesise(z, (6, 2, n))

    for way, point in ((there, x), (back, z)):
        assert torch.autograd.gradcheck(way, point, check_forward_ad=True, fast_mode=True)
        assert torch.autograd.gradgradcheck(lambda p, way=way: way(p).sin(), point, fast_mode=True)
        v, w = torch.randn_like(way(point)), torch.randn_like(point)
        with torch.no_grad():
            left = (way(w) * v).sum()
        (transposed,) = torch.autograd.grad(way(point), point, v)
        assert left.item() == pytest.approx((w * transposed).sum().item(), rel=1e-12)
        several = torch.randn(3, *point.shape, dtype=torch.float64)
        with torch.no_grad():
            assert (
                off(torch.func.vmap(way)(several), torch.stack([way(p) for p in several])) < 1e-13
            )
            last = torch.func.vmap(way, -1, -1)(several.movedim(0, -1))
        assert off(last.movedim(-1, 0), torch.stack([way(p).detach() for p in several])) < 1e-13
        grad = torch.func.vmap(torch.func.grad(lambda p, way=way: way(p).sin().sum()))(several)
        for p, g in zip(several, grad, strict=True):
            p.requires_grad_()
            assert off(g, torch.autograd.grad(way(p).sin().sum(), p)[0]) < 1e-13


@pytest.mark.parametrize("backend", BACKENDS)
def test_dual_numbers_carry_the_derivative_through_both_ways(backend):
    transform = Transform(periodic((3, 4)), backend)
    x, dx = torch.randn(2, 1, 2, 8, 9, dtype=torch.float64)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, dx)
        y = transform.synthesise(transform.analyse(dual), (10, 11))
        y, dy = torch.autograd.forward_ad.unpack_dual(y)
    assert off(y, transform.synthesise(transform.analyse(x), (10, 11))) < 1e-14
    assert off(dy, transform.synthesise(transform.analyse(dx), (10, 11))) < 1e-13


def test_low_precision_comes_in_and_the_transform_stays_in_float32():
    """bf16 fields are raised, and autocast has no say inside, forward and backward."""
    transform = Transform(periodic((5, 5)))
    x = torch.randn(2, 3, 16, 16)
    z = transform.analyse(x)
    assert off(transform.analyse(x.bfloat16()), transform.analyse(x.bfloat16().float())) == 0.0
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        low = transform.analyse(x)
        assert low.dtype == torch.float32 and torch.equal(low, z)
        (g,) = torch.autograd.grad(low, x, z)
    assert torch.equal(g, torch.autograd.grad(transform.analyse(x), x, z)[0])


class Allocations(TorchDispatchMode):
    """Bytes of every storage that an operation makes."""

    def __init__(self):
        super().__init__()
        self.bytes, self.alive = [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.alive += [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        result = function(*args, **(kwargs or {}))
        for t in tree_leaves(result):
            known = {a.untyped_storage().data_ptr() for a in self.alive}
            if isinstance(t, torch.Tensor) and t.untyped_storage().data_ptr() not in known:
                self.bytes.append(t.untyped_storage().nbytes())
                self.alive.append(t)  # so that no address is used twice
        return result


@pytest.mark.parametrize("filter", ["dense", "block", "gated"])
def test_products_never_hold_the_spectrum_of_the_whole_grid(filter):
    """Nothing as large as the half spectrum is made but the result, and its gradient."""
    made = mixer(filter, periodic((9, 9)), 4, "products")
    x = torch.randn(4, 4, 48, 50, requires_grad=True)
    made(x).sum().backward()  # tables and gradients are there now
    spectrum = 4 * 4 * 48 * (50 // 2 + 1) * 8
    with Allocations() as forward:
        y = made(x)
    assert sum(b >= spectrum // 2 for b in forward.bytes) == 1, forward.bytes
    g = torch.ones_like(y)
    with Allocations() as backward:
        torch.autograd.grad(y, [x, *made.parameters()], g)
    assert sum(b >= spectrum // 2 for b in backward.bytes) == 1, backward.bytes
    with Allocations() as whole:  # the measure itself: a full FFT is seen
        torch.fft.irfft2(torch.fft.rfft2(x.detach()))
    assert sum(b >= spectrum // 2 for b in whole.bytes) >= 2


def test_carried_axes_are_batch():
    """An axis without a basis goes through point by point, wherever it stands."""
    bases = [Basis("fourier", 5), Basis("cosine", 4, "cell")]
    x = torch.randn(2, 3, 9, 4, 8, dtype=torch.float64)
    plain, carrying = Transform(bases), Transform([bases[0], None, bases[1]])
    for j in range(4):
        z = plain.analyse(x[:, :, :, j])
        assert off(carrying.analyse(x)[:, :, :, :, j], z) < 1e-14
        y = carrying.synthesise(carrying.analyse(x), (12, 4, 7))[:, :, :, j]
        assert off(y, plain.synthesise(z, (12, 7))) < 1e-14
    field = Field([bases[0]], channels=3)
    lead = Transform([None, bases[0]])
    x = field.on(9)[:, :, None].expand(-1, -1, 2, -1)
    assert off(lead.synthesise(lead.analyse(x), (2, 11))[:, :, 1], field.on(11)) < 1e-13


@pytest.mark.parametrize(
    "bases",
    [
        [Basis("fourier", 5, "cell")],
        [Basis("fourier", 5, "node")],
        [Basis("fourier", 5, extension=1.25)],
        [Basis("cosine", 5)],
        [Basis("fourier", 5), None],
    ],
)
def test_an_fft_that_would_never_run_is_refused(bases):
    with pytest.raises(ConfigError, match="backend: fft serves periodic axes alone"):
        Transform(bases, "fft")
    Transform(bases, "auto")


def test_the_fft_is_given_a_real_column_at_zero(monkeypatch):
    """A library need not ignore what is imaginary there."""
    inverse, seen = torch.fft.irfft, []

    def strict(v, *arguments, **named):
        seen.append(v[..., 0].imag.abs().max().item())
        return inverse(v, *arguments, **named)

    monkeypatch.setattr(torch.fft, "irfft", strict)
    for n_modes, sizes in ((7,), (16,)), ((5, 6), (12, 16)):
        way = Transform(periodic(n_modes), "fft")
        z = way.analyse(torch.randn(2, 3, *sizes, dtype=torch.float64))
        z = torch.randn_like(z).requires_grad_()
        way.synthesise(z, sizes).square().sum().backward()
        x = torch.randn(2, 3, *sizes, dtype=torch.float64, requires_grad=True)
        (way.analyse(x) * z.detach()).sum().backward()
    assert len(seen) == 4 and max(seen) == 0.0


class Switch:
    """`torch.backends.cuda.matmul` of torch 2.9: the old name raises once the new one was used."""

    def __init__(self, value):
        self.fp32_precision = value

    @property
    def allow_tf32(self):
        raise RuntimeError("mix of the legacy and new APIs")


@pytest.mark.parametrize("general", ["none", "tf32"])
@pytest.mark.parametrize("value", ["tf32", "ieee", "none"])
def test_tf32_is_off_inside_and_as_before_outside(monkeypatch, value, general):
    switch = Switch(value)
    monkeypatch.setattr(linear_node, "_PRODUCTS", switch)
    monkeypatch.setattr(torch.backends, "fp32_precision", general)
    assert linear_node._tf32_allowed() == (value == "tf32")
    with pytest.raises(KeyError), linear_node._no_tf32(torch.ones(1)):
        assert switch.fp32_precision == "ieee"
        raise KeyError
    assert switch.fp32_precision == ("none" if value == general else value)


@pytest.mark.gpu
def test_a_gpu_gives_what_the_cpu_gives_whatever_is_set_for_its_products(monkeypatch):
    """TF32 would leave three digits."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    made = mixer("dense", [BASES["fourier"], BASES["chebyshev"]], 64, "products")
    x = torch.randn(16, 64, 33, 32)
    y = made(x)
    g = torch.cos(y)
    expected = [y, *torch.autograd.grad(y, list(made.parameters()), g)]
    made.cuda()
    for allowed in ("ieee", "tf32"):
        monkeypatch.setattr(torch.backends.cuda.matmul, "fp32_precision", allowed)
        y = made(x.cuda())
        got = [y, *torch.autograd.grad(y, list(made.parameters()), g.cuda())]
        for a, b in zip(got, expected, strict=True):
            assert off(a.cpu(), b) < 1e-5
        assert torch.backends.cuda.matmul.fp32_precision == allowed
