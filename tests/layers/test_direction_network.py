"""Direction networks: the published layers, linearity, solid cells, and what every layer keeps."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch.nn import functional as F

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.direction_network import DirectionNetwork, GeometryNetwork, doubled, halved

FEATURES = 4


def count(module):
    return sum(p.numel() for p in module.parameters())


def at_random(module, seed=0):
    """The module at a seeded random point of parameter space."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=generator))
    return module


class Told(torch.nn.Module):
    """A geometry network on fields (B, 2 + FEATURES, *N): residual, inverse diagonal, features."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, v):
        r, inverse, m = v.split([1, 1, FEATURES], 1)
        return self.network(r, m, inverse)


def published(d=2):
    return at_random(DirectionNetwork(d, 3, (1, 2, 1)))


def geometry(d=2, linear=True, levels=3):
    return at_random(GeometryNetwork(d, FEATURES, 3, levels, linear))


def fields(*shape, batch=2, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    r = torch.randn(batch, 1, *shape, generator=generator, dtype=dtype)
    m = torch.randn(batch, FEATURES, *shape, generator=generator, dtype=dtype)
    return r, m, torch.rand(batch, 1, *shape, generator=generator, dtype=dtype) + 0.5


def cases():
    """(name, module, input) of all networks as functions of one tensor."""
    r, m, inverse = fields(9, 7, batch=3)
    told = torch.cat([r, inverse, m], 1)
    yield "published", published(), r
    yield "linear", Told(geometry()), told
    yield "nonlinear", Told(geometry(linear=False)), told


def on(x, batch, *shape):
    """The input on another grid, by repetition."""
    return x.repeat(2, 1, 3, 4)[
        (slice(batch), slice(None), *(slice(n) for n in shape))
    ].contiguous()


def close(got, expected, tolerance=1e-5):
    assert got.shape == expected.shape
    assert ((got - expected).abs().max() / expected.abs().max()).item() <= tolerance


def relative(error, of):
    return (error.norm() / of.norm()).item()


CASES = pytest.mark.parametrize(
    ("network", "x"), [case[1:] for case in cases()], ids=[case[0] for case in cases()]
)


@pytest.mark.parametrize(("pairs", "parameters"), [((1, 3, 2), 97_457), ((2, 5, 3), 152_881)])
def test_published_sizes(pairs, parameters):
    assert count(DirectionNetwork(3, 16, pairs)) == parameters


def test_published_layers():
    """The layers of the smaller network, written down one after the other from their table."""
    network = at_random(DirectionNetwork(3, 4))
    layers = [(c.weight, c.bias) for c in network.modules() if isinstance(c, torch.nn.Conv3d)]
    by_name = dict(network.named_parameters())

    def conv(name, v):
        key = f"{name}.convolution"
        return F.conv3d(v, by_name[f"{key}.weight"], by_name[f"{key}.bias"], padding=1)

    def relu(name, v):
        return conv(name, v).relu()

    x = torch.randn(2, 1, 6, 4, 8)
    a = relu("second", conv("first", x))
    a = relu("before.0.b", relu("before.0.a", a)) + a
    skip = relu("third", a)
    h = F.avg_pool3d(skip, 2)
    for i in range(3):
        h = relu(f"coarse.{i}.b", relu(f"coarse.{i}.a", h)) + h
    u = h.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4) + skip
    for i in range(2):
        u = relu(f"after.{i}.b", relu(f"after.{i}.a", u)) + u
    last = network.last.convolution
    y = (
        torch.einsum("oc,bcxyz->boxyz", last.weight[:, :, 0, 0, 0], u)
        + last.bias[:, None, None, None]
    )
    torch.testing.assert_close(network(x), y)
    assert len(layers) == 5 + 6 + 4 + 1


def test_published_network_begins_as_keras_does():
    network = DirectionNetwork(2, 32)
    weight = network.coarse[0].a.convolution.weight
    bound = (6 / (2 * 32 * 9)) ** 0.5
    assert weight.abs().max() <= bound and weight.std().item() == pytest.approx(
        bound / 3**0.5, rel=0.05
    )
    assert not network.third.convolution.bias.any()


def test_pooling_and_repeating_of_odd_sizes():
    v = torch.tensor([[[1.0, 3.0, 5.0, 7.0, 9.0]]])
    assert halved(v).flatten().tolist() == [2, 6, 9]
    assert doubled(halved(v), (5,)).flatten().tolist() == [2, 2, 6, 6, 9]


@pytest.mark.parametrize("shape", [(1,), (13,), (5, 8), (1, 4), (3, 4, 5), (1, 5, 5), (2, 1, 3)])
def test_any_size(shape):
    r, m, inverse = fields(*shape)
    for y in (
        published(len(shape))(r),
        geometry(len(shape))(r, m, inverse),
        geometry(len(shape), linear=False, levels=1)(r, m, inverse),
    ):
        assert y.shape == r.shape and y.isfinite().all()


def test_transforms_in_space():
    network, r = published(3), fields(4, 3, 5, batch=3)[0]
    close(torch.func.vmap(network)(r[:, None])[:, 0], network(r))
    tangent = fields(4, 3, 5, batch=3, seed=1)[0]
    network, r, tangent = network.double(), r.double(), tangent.double()
    slope = (network(r + 1e-6 * tangent) - network(r - 1e-6 * tangent)) / 2e-6
    close(torch.func.jvp(network, (r,), (tangent,))[1], slope)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_linear_in_the_residual(d):
    network = geometry(d).double()
    u, m, inverse = fields(*(7, 6, 5)[:d], dtype=torch.float64)
    v = fields(*u.shape[2:], seed=1, dtype=torch.float64)[0]
    combined = network(2 * u - 3 * v, m, inverse)
    expected = 2 * network(u, m, inverse) - 3 * network(v, m, inverse)
    close(combined, expected, 1e-12)
    assert not network(torch.zeros_like(u), m, inverse).any()


def test_the_others_are_not_linear():
    r, m, inverse = fields(7, 6)
    for f in (published(), lambda v: geometry(linear=False)(v, m, inverse)):
        assert relative(f(2 * r) - 2 * f(r), f(2 * r)) > 1e-2


def test_geometry_decides():
    network, (r, m, inverse) = geometry(), fields(9, 9)
    other = fields(9, 9, seed=1)[1]
    y = network(r, m, inverse)
    assert relative(network(r, other, inverse) - y, y) > 1e-2
    torch.testing.assert_close(network.direction(r, inverse, network.gates(m)), y)


@pytest.mark.parametrize("linear", [True, False])
def test_untrained_geometry_network_is_jacobi(linear):
    r, m, inverse = fields(9, 7)
    assert torch.equal(GeometryNetwork(2, FEATURES, 4, 3, linear)(r, m, inverse), inverse * r)


@pytest.mark.parametrize("linear", [True, False])
def test_solid_cells_neither_speak_nor_hear(linear):
    network, (r, m, inverse) = geometry(linear=linear), fields(9, 7)
    inverse[:, :, 2:5, 3:6] = 0
    y = network(r, m, inverse)
    assert not y[:, :, 2:5, 3:6].any() and y[:, :, 5:].abs().min() > 0
    r[:, :, 2:5, 3:6] = float("nan")
    assert torch.equal(network(r, m, inverse), y)


@CASES
def test_gradients(network, x):
    network = copy.deepcopy(network).double()
    y = network(x.double().requires_grad_())
    grads = torch.autograd.grad(y.sin().sum(), list(network.parameters()))
    for (name, _), g in zip(network.named_parameters(), grads, strict=True):
        assert g.isfinite().all() and g.abs().max() > 0, name
    small = x[:1, :, :4, :3].double().requires_grad_()
    assert torch.autograd.gradcheck(network, (small,), check_forward_ad=True, fast_mode=True)


@CASES
def test_samples_do_not_touch(network, x):
    y, other = network(x), x.clone()
    other[1:] = 7
    close(network(other)[0], y[0])
    close(network(x[:1]), y[:1])


@CASES
def test_types_and_copies(network, x):
    y = network(x)
    close(copy.deepcopy(network).double()(x.double()).float(), y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = network(x).float()
    assert relative(low - y, y) < 0.05
    assert torch.equal(pickle.loads(pickle.dumps(network))(x), y)


@CASES
def test_transforms(network, x):
    network, x = copy.deepcopy(network).double(), x.double()
    dx = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    y, dy = torch.func.jvp(network, (x,), (dx,))
    h = 1e-6
    slope = (network(x + h * dx) - network(x - h * dx)) / (2 * h)
    torch.testing.assert_close(dy, slope, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.func.vmap(lambda v: network(v[None])[0])(x), y)


@pytest.mark.parametrize("name", ["published", "linear"])
def test_export_with_dynamic_sizes(name):
    network, x = next(case[1:] for case in cases() if case[0] == name)
    sizes = {d: torch.export.Dim(f"d{d}", min=1 if d == 0 else 8) for d in (0, 2, 3)}
    program = torch.export.export(network, (on(x, 2, 12, 10),), dynamic_shapes=(sizes,))
    for shape in ((3, 15, 9), (1, 8, 21)):
        close(program.module()(on(x, *shape)), network(on(x, *shape)))


@pytest.mark.parametrize("name", ["published", "linear"])
def test_compile(name):
    """One axis and few layers, since tracing is slow; the export has two axes."""
    torch._dynamo.reset()
    network = at_random(DirectionNetwork(1, 4, (0, 1, 0)))
    if name == "linear":
        network = Told(at_random(GeometryNetwork(1, FEATURES, 2, 2)))
    x = torch.rand(3, 1 if name == "published" else 2 + FEATURES, 13) + 0.1
    compiled = torch.compile(network, fullgraph=True, dynamic=True, backend="aot_eager")
    for v in (x, x[:2, :, :8].contiguous()):
        close(compiled(v), network(v))


def test_misuse_is_told():
    with pytest.raises(ConfigError, match="one to three dimensions, got 4"):
        DirectionNetwork(4)
    r, m, inverse = fields(5, 5)
    with pytest.raises(ShapeError, match=r"r as a field \(B, 1, \*N\) with 2 axes"):
        published()(r[:, 0])
    with pytest.raises(ShapeError, match=r"m as a field \(B, 4, \*N\)"):
        geometry()(r, m[:, :2], inverse)
