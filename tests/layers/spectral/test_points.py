"""Scattered points: a grid is one case of them, and kept modes come back wherever they lie."""

import copy
import pickle

import pytest
import torch
from layers.spectral.cases import BASES, FILTERS, Field, off, places

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.spectral import Basis, Dense, PointsTransform, SpectralMixer, Transform

PAIRS = [("fourier", "even"), ("cell", "cosine"), ("sine", "chebyshev"), ("cosine_node", "fourier")]


def grid(bases, sizes):
    """(M, D) places of a grid, last axis fastest."""
    axes = [places(b.spacing, n) for b, n in zip(bases, sizes, strict=True)]
    return torch.stack([a.flatten() for a in torch.meshgrid(*axes, indexing="ij")], 1)


def scattered(m, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(m, d, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("names", PAIRS)
def test_on_the_points_of_a_grid_it_is_the_transform_of_the_grid(names):
    """Of fields of kept functions and, where the functions are orthogonal there, of any field."""
    bases = [BASES[name] for name in names]
    sizes = (11, 13)
    on_grid, on_points = Transform(bases), PointsTransform(grid(bases, sizes), bases)
    torch.manual_seed(0)
    filter = Dense(on_grid.modes, 4, 4)
    mixers = [SpectralMixer(t, filter).double() for t in (on_grid, on_points)]
    x = Field(bases).on(*sizes)
    assert off(mixers[1](x.flatten(2)), mixers[0](x).flatten(2)) < 1e-12
    z = on_grid.analyse(x)
    assert off(on_points.synthesise(z, (143,)), on_grid.synthesise(z, sizes).flatten(2)) < 1e-13
    if "node" not in names[0] and names[1] != "chebyshev":
        x = torch.randn(2, 4, *sizes, dtype=torch.float64)
        assert off(on_points.analyse(x.flatten(2)), on_grid.analyse(x)) < 1e-12


@pytest.mark.parametrize("names", [("fourier",), *PAIRS, ("fourier", "even", "cosine")])
def test_kept_modes_come_back_from_scattered_points(names):
    bases = [BASES[name] for name in names]
    points = scattered(60 * 4 ** (len(bases) - 1), len(bases))
    transform, field = PointsTransform(points, bases), Field(bases)
    x = field.at(points)
    z = transform.analyse(x)
    assert off(transform.synthesise(z, (len(points),)), x) < 1e-11
    z_grid = Transform(bases).analyse(field.on(*[16] * len(bases)))
    assert off(z, z_grid) < 1e-10
    elsewhere = scattered(7, len(bases), 1)
    assert off(PointsTransform(elsewhere, bases).synthesise(z, (7,)), field.at(elsewhere)) < 1e-10


def test_too_few_points_are_met_and_nothing_beyond_them():
    """The coefficients of least norm reproduce the values."""
    points = scattered(9, 2)
    transform = PointsTransform(points, [BASES["fourier"], BASES["cosine"]])
    x = torch.randn(2, 3, 9, dtype=torch.float64)
    z = transform.analyse(x)
    assert off(transform.synthesise(z, (9,)), x) < 1e-10


def test_both_directions_have_adjoints_and_derivatives():
    bases = [BASES["even"], BASES["sine"]]
    points = scattered(70, 2)
    transform = PointsTransform(points, bases)
    layer = SpectralMixer(transform, Dense(transform.modes, 2, 2)).double()
    x, v = torch.randn(2, 1, 2, 70, dtype=torch.float64)
    x.requires_grad_()
    for way, there in (
        (layer, lambda: torch.randn(1, 2, 70, dtype=torch.float64)),
        (transform.analyse, lambda: torch.randn_like(transform.analyse(x.detach()))),
    ):
        z = there()
        (transposed,) = torch.autograd.grad(way(x), x, z)
        with torch.no_grad():
            left, right = (way(v) * z).sum().item(), (v * transposed).sum().item()
        assert left == pytest.approx(right, rel=1e-11)
    few = PointsTransform(scattered(6, 1), [Basis("fourier", 3)])
    small = SpectralMixer(few, Dense(few.modes, 1, 1)).double()
    x = torch.randn(1, 1, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(small, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda x: small(x).sin(), x)
    batch = torch.randn(3, 2, 1, 6, dtype=torch.float64)
    assert off(torch.func.vmap(small)(batch), torch.stack([small(b) for b in batch])) < 1e-13


def test_float32_follows_float64_and_low_precision_is_raised():
    transform = PointsTransform(scattered(120, 2), [BASES["fourier"]] * 2)
    layer = SpectralMixer(transform, FILTERS["gated"](transform.modes, 4))
    x = torch.randn(2, 4, 120)
    y = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert off(layer(x), y) < 1e-6
    assert layer(x.bfloat16()).dtype == torch.float32
    assert off(y.double(), copy.deepcopy(layer).double()(x.double())) < 1e-5


def test_matrices_made_inside_inference_and_transforms_serve_training():
    points, x = scattered(40, 1), torch.randn(2, 3, 40)
    with torch.inference_mode():
        transform = PointsTransform(points.clone(), [BASES["fourier"]])
        transform.analyse(x)
    layer = SpectralMixer(transform, Dense(transform.modes, 3, 3))
    with torch.inference_mode():
        y = layer(x)
    v = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(layer(v).square().sum(), v, create_graph=True)
    g.square().sum().backward()
    cold = PointsTransform(points, [BASES["fourier"]])
    layer = SpectralMixer(cold, Dense(cold.modes, 3, 3))
    gradient = torch.func.grad(lambda v: layer(v).sin().sum())
    first = torch.func.jvp(gradient, (x,), (x,))[1]
    assert off(torch.func.jvp(gradient, (x,), (x,))[1], first) == 0.0
    assert torch.isfinite(v.grad).all() and layer(x).shape == y.shape


def test_shapes_that_do_not_fit_are_refused():
    bases = [BASES["fourier"]] * 2
    with pytest.raises(ShapeError, match=r"expected points \(M, 2\), got \(9, 3\)"):
        PointsTransform(torch.zeros(9, 3), bases)
    with pytest.raises(ShapeError, match=r"expected points \(M, 2\), got \(9,\)"):
        PointsTransform(torch.zeros(9), bases)
    transform = PointsTransform(scattered(9, 2), bases)
    for shape in ((1, 2, 8), (1, 2, 3, 3), (2, 9)):
        with pytest.raises(ShapeError, match=r"expected values \(B, C, 9\)"):
            transform.analyse(torch.zeros(shape))
    z = transform.analyse(torch.zeros(1, 2, 9))
    for sizes in ((8,), (3, 3)):
        with pytest.raises(ShapeError, match="expected the 9 points, got sizes"):
            transform.synthesise(z, sizes)
    with pytest.raises(ConfigError, match="at least one axis needs a basis"):
        PointsTransform(torch.zeros(3, 0), [])


def test_a_copy_does_not_carry_what_is_computed_again():
    transform = PointsTransform(torch.rand(30, 2, dtype=torch.float64), [Basis("fourier", 3)] * 2)
    before = len(pickle.dumps(transform))
    transform.analyse(torch.randn(1, 1, 30))
    assert len(pickle.dumps(transform)) == before


def test_every_dimension_has_a_basis():
    with pytest.raises(ConfigError, match="a basis for each dimension"):
        PointsTransform(torch.rand(30, 2), [Basis("fourier", 3), None])
