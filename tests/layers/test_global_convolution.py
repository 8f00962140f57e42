"""The global convolution against integrals and sums written out; order under refinement."""

import math

import pytest
import torch
from layers.mixer_checks import CHECKS, close, made

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.global_convolution import GlobalConvolution

LENGTHS = (1.0, 0.7, 2.0)


def make(sides, channels):
    return GlobalConvolution(channels, sides, LENGTHS[: len(sides)], scales=2, points=3)


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_it_is_a_mixer(check):
    check(make)


def value(layer, r):
    """K_c at distances r (.., D), from its definition: (C, ..)."""
    points = layer.weight.shape[-1]
    m = torch.arange(points, dtype=torch.float64) - (points - 1) / 2
    total = torch.zeros(layer.channels, *r.shape[:-1], dtype=torch.float64)
    for i, (radius, gain) in enumerate(zip(layer.radii, layer.gains, strict=True)):
        delta = 2 * radius / (points + 1)
        w = layer.weight[:, i].double()  # (C, d, ..)
        hats = (1 - (r[..., None] / delta - m).abs()).clamp(min=0) / delta  # (.., D, d)
        k = torch.tensordot(hats[..., -1, :], w, ([-1], [-1])).movedim(
            -1 if w.ndim == 2 else r.ndim - 1, 0
        )
        for a in reversed(range(r.shape[-1] - 1)):  # k (C, .., d_1, .., d_a)
            hat = hats[..., a, :].reshape(*r.shape[:-1], *[1] * a, points)
            k = (k * hat).sum(-1)
        total += gain * k
    return total


def cell_integrals(layer, offsets, h):
    """The integrals of K over the cells of size h around offsets (M, D): (C, M)."""
    fine = 64  # midpoints a cell along each axis
    inside = (torch.arange(fine, dtype=torch.float64) + 0.5) / fine - 0.5
    local = torch.cartesian_prod(*[inside * s for s in h]).reshape(-1, len(h))
    r = offsets[:, None] + local
    return value(layer, r).mean(-1) * math.prod(h)


def direct(layer, x, sides, h):
    """y = D x + sum_j K_j x_{i-j} with the sum over all points, around circles twice."""
    shape = x.shape[2:]
    index = torch.cartesian_prod(*[torch.arange(n) for n in shape]).reshape(-1, len(shape))
    between = (index[:, None] - index).double()  # (M, M, D) points from j to i
    images = [
        torch.arange(-2, 3, dtype=torch.float64) * n
        if side == "periodic"
        else torch.zeros(1).double()
        for n, side in zip(shape, sides, strict=True)
    ]
    matrix = torch.zeros(layer.channels, len(index), len(index), dtype=torch.float64)
    for image in torch.cartesian_prod(*images).reshape(-1, len(shape)):
        different, back = torch.unique((between + image).flatten(0, 1), dim=0, return_inverse=True)
        k = cell_integrals(layer, different * torch.tensor(h, dtype=torch.float64), h)
        matrix += k[:, back].reshape(matrix.shape)
    y = torch.einsum("cij,bcj->bci", matrix, x.double().flatten(2)).reshape(x.shape)
    return y + layer.skip.double().reshape(-1, *[1] * len(shape)) * x


CASES = [
    (("periodic",), (7,), ("cell",), 1.3),
    (("zeros",), (9,), ("interior",), 0.4),
    (("replicate",), (5,), ("left",), 3.0),
    (("periodic", "zeros"), (3, 5), ("periodic", "cell"), 0.5),
]


@pytest.mark.parametrize(("sides", "shape", "spacings", "radius"), CASES)
def test_the_fft_applies_the_sum_over_cells(sides, shape, spacings, radius):
    lengths = LENGTHS[: len(sides)]
    layer = made(
        lambda s, c: GlobalConvolution(c, s, lengths, spacings, radius, scales=3, points=4),
        sides,
        2,
    )
    x = torch.randn(2, 2, *shape)
    more = {"interior": 1}
    h = [l / (n + more.get(s, 0)) for l, n, s in zip(lengths, shape, spacings, strict=True)]
    # The reference integrates hats by midpoints, exact but for the cells with a kink.
    close(layer(x).double(), direct(layer, x, sides, h), 5e-4)


@pytest.mark.parametrize("side", ["periodic", "zeros"])
def test_the_adjoint_is_the_kernel_turned_round(side):
    layer = made(make, (side,) * 2).double()
    other = made(make, (side,) * 2).double()
    other.weight.data = layer.weight.data.flip(2, 3)
    other.skip.data = layer.skip.data
    x, y = torch.randn(2, 1, 4, 11, 8, dtype=torch.float64)
    torch.testing.assert_close((layer(x) * y).sum(), (x * other(y)).sum())


@pytest.mark.parametrize("n", [4, 5, 16, 37, 128])
def test_the_integral_of_the_kernel_is_the_same_on_every_grid(n):
    """A constant field on a circle is multiplied by D + the integral of K, here 0.3 in radius."""
    layer = GlobalConvolution(3, ("periodic",) * 2, (1.0, 2.0), radius=0.3, points=5).double()
    mass = layer.weight.flatten(2).sum(2) @ torch.tensor(layer.gains).double()
    y = layer(torch.ones(1, 3, n, n + 3, dtype=torch.float64))
    expected = (mass + layer.skip)[None, :, None, None].expand(y.shape)
    torch.testing.assert_close(y, expected)


@torch.no_grad()
def error(n, side, spacing):
    """Largest error of K * cos(3 x) against fine quadrature, at 4 places that all grids have."""
    torch.manual_seed(1)
    length = 2 * math.pi
    layer = GlobalConvolution(2, (side,), (length,), (spacing,), radius=2.0, scales=3, points=4)
    layer.double()
    layer.skip.data.zero_()
    points, first = (n + 1, 0.0) if spacing == "node" else (n, 0.5 if spacing == "cell" else 0.0)
    h = length / n
    x = (torch.arange(points, dtype=torch.float64) + first) * h
    got = layer(torch.cos(3 * x).expand(1, 2, -1))[0]
    fine = 20000
    z = (torch.arange(fine, dtype=torch.float64) + 0.5) / fine * length
    worst = 0.0
    for i in range(0, points, max(points // 7, 1)):
        r = x[i] - z
        if side == "periodic":
            r = (r + length / 2) % length - length / 2
        k = value(layer, r[:, None])
        expected = (k * torch.cos(3 * z)).sum(1) * length / fine
        worst = max(worst, float((got[:, i] - expected).abs().max()))
    return worst


@pytest.mark.parametrize(
    ("side", "spacing"), [("periodic", "periodic"), ("zeros", "cell"), ("zeros", "node")]
)
def test_it_is_the_same_on_every_grid_to_second_order(side, spacing):
    order = math.log2(error(64, side, spacing) / error(256, side, spacing)) / 2
    assert order == pytest.approx(2.0, abs=0.25)


def test_exchanging_the_axes():
    layer, turned = (
        made(lambda s, c, l=l: GlobalConvolution(c, s, l), s)
        for s, l in ((("periodic", "zeros"), (1.0, 2.0)), (("zeros", "periodic"), (2.0, 1.0)))
    )
    turned.weight.data = layer.weight.data.transpose(2, 3)
    turned.skip.data = layer.skip.data
    x = torch.randn(2, 4, 9, 12)
    close(turned(x.transpose(2, 3)).transpose(2, 3), layer(x))


def test_scaling_the_domain_with_the_radius_changes_nothing():
    layer, scaled = (
        made(lambda s, c, l=l: GlobalConvolution(c, s, (l,), radius=l / 3), ("zeros",))
        for l in (1.0, 1e-3)
    )
    x = torch.randn(2, 4, 31)
    close(scaled(x), layer(x), 1e-4)


def test_a_wall_cuts_the_kernel_and_beyond_the_radius_nothing_is_felt():
    layer = made(lambda s, c: GlobalConvolution(c, s, (1.0,), radius=0.2), ("zeros",))
    x = torch.zeros(1, 4, 50)
    x[:, :, 10] = 1.0  # at 0.21, felt up to 0.41, which is point 20.5
    y = layer(x)[0]
    assert y[:, 20].abs().min() > 1e-6 and y[:, 22:].abs().max() < 1e-6 and y[:, 0].abs().min() > 0


def test_wrong_settings():
    for settings in ({"lengths": (1.0, 1.0)}, {"lengths": (0.0,)}, {"radius": -1.0}):
        with pytest.raises(ConfigError, match="a positive length for each of 1 axes"):
            GlobalConvolution(4, ("zeros",), **{"lengths": (1.0,), **settings})
    for settings in ({"scales": 0}, {"points": 0}, {"decay": 0.0}):
        with pytest.raises(ConfigError, match="scales and points of at least 1"):
            GlobalConvolution(4, ("zeros",), (1.0,), **settings)
    with pytest.raises(ConfigError, match="interpolate fields on graded axes"):
        GlobalConvolution(4, ("zeros",), (1.0,), ("graded",))
    with pytest.raises(ConfigError, match="on a periodic axis h = L / n"):
        GlobalConvolution(4, ("periodic",), (1.0,), ("node",))
    with pytest.raises(ShapeError, match="at least 2 points"):
        GlobalConvolution(4, ("zeros",), (1.0,), ("node",))(torch.zeros(1, 4, 1))
