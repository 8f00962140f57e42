"""MgNO against the published equations, on other grids, and by its settings."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sciops.core.schema import Axis, Boundary, Grid, Schema, Variable
from sciops.operators.mgno import PRESETS, Config


def schema(*sizes, spacing="cell", inputs=1, kind="dirichlet", targets=1, feedback=False):
    grid = Grid(tuple(Axis.uniform("xyz"[d], n, spacing=spacing) for d, n in enumerate(sizes)))
    boundary = ()
    if spacing != "periodic":
        sides = [(name, side) for name in grid.names for side in ("lower", "upper")]
        boundary = tuple(Boundary(name, side, kind) for name, side in sides)
    return Schema(
        (
            *(Variable(f"a{k}", grid, "input") for k in range(inputs)),
            *(Variable(f"u{k}", grid, "target") for k in range(targets)),
        ),
        boundary,
        feedback=(("u0", "a0"),) if feedback else (),
    )


def parameters(model):
    return sum(p.numel() for p in model.parameters())


# ---------------------------------------------------------------------------- as published


@pytest.mark.parametrize(
    ("settings", "data", "count"),
    [
        ({"preset": "darcy_rough"}, schema(256, 256), 572_661),
        ({"preset": "darcy_smooth"}, schema(211, 211, spacing="node"), 678_093),
        ({"preset": "pipe"}, schema(128, 128, inputs=2), 783_876),
        (
            {"preset": "darcy_rough", "levels": 5, "steps": ((1, 0),) * 4 + ((2, 0),)},
            schema(64, 64),
            467_964,
        ),
    ],
)
def test_published_parameter_counts(settings, data, count):
    assert parameters(Config(**settings).build(data)) == count


def test_published_navier_stokes_count_with_its_grid_shaped_norms():
    """What the preset leaves out: a LayerNorm over (32, n, n) on each grid but the coarsest, in
    every cycle, and a bias in every stencil instead of one a layer."""
    model = Config(preset="navier_stokes").build(schema(64, 64, spacing="periodic", feedback=True))
    norms = sum(
        p.numel()
        for _ in model.layers
        for level in range(4)
        for p in nn.LayerNorm([32, 64 >> level, 64 >> level]).parameters()
    )
    biases = sum(
        stencil.convolution.out_channels
        for layer in model.layers
        for level in layer.cycle.levels
        for step in level.pre
        for stencil in (step.A, step.S)
        if stencil is not None
    )
    ours = sum(layer.bias.weight.numel() for layer in model.layers)
    assert norms == 1_740_800
    assert parameters(model) - ours + norms + biases == 2_885_194


def published(model, a):
    """The equations of the paper, step by step, with the weights of `model`."""
    v = a
    for layer in model.layers:
        levels = layer.cycle.levels
        us, fs = [], []
        u, f = None, v
        for k, level in enumerate(levels):
            for step in level.pre:
                S = step.S.convolution.weight
                if u is None:
                    u = F.conv2d(f, S, padding=1)
                else:
                    A = step.A.convolution.weight
                    u = u + F.conv2d(f - F.conv2d(u, A, padding=1), S, padding=1)
            us.append(u)
            fs.append(f)
            if k + 1 < len(levels):
                way = level.coarsening
                u = F.conv2d(u, way.Pi.convolution.weight, stride=2, padding=1)
                f = F.conv2d(f, way.R.convolution.weight, stride=2, padding=1)
        u = us[-1]
        for k in range(len(levels) - 2, -1, -1):
            P = levels[k].coarsening.P.weight
            u = us[k] + F.conv_transpose2d(u, P, stride=2, padding=1)
            for step in levels[k].post:
                A, S = step.A.convolution.weight, step.S.convolution.weight
                u = u + F.conv2d(fs[k] - F.conv2d(u, A, padding=1), S, padding=1)
        local = layer.local.weight[:, :, None, None]
        v = F.gelu(u + F.conv2d(v, local, layer.bias.weight[:, 0]))
    return F.conv2d(v, model.head.weight[:, :, None, None])


@pytest.mark.parametrize(
    ("preset", "n", "inputs"), [("darcy_rough", 64, 1), ("darcy_smooth", 211, 1), ("pipe", 128, 2)]
)
def test_published_presets_are_the_published_equations(preset, n, inputs):
    torch.manual_seed(0)
    model = Config(preset=preset, width=6).build(schema(n, n, inputs=inputs))
    with torch.no_grad():
        for layer in model.layers:
            layer.bias.weight.normal_()
        a = torch.randn(1, inputs, n, n)
        torch.testing.assert_close(model(a), published(model, a), rtol=1e-6, atol=1e-6)


def test_the_published_transfers_are_not_periodic_and_ours_are():
    torch.manual_seed(0)
    data = schema(32, 32, spacing="periodic", feedback=True)
    a = torch.randn(1, 1, 32, 32, dtype=torch.float64)
    change = {}
    for preset in ("navier_stokes", "default"):
        model = Config(preset=preset, width=4, n_layers=1).build(data).double()
        with torch.no_grad():
            y = model(a)
            change[preset] = float((model(a.roll(16, 2)).roll(-16, 2) - y).norm() / y.norm())
    assert change["default"] < 1e-12
    assert change["navier_stokes"] > 1e-3


def test_settings_replace_those_of_the_preset():
    config = Config(preset="darcy_rough", width=10)
    assert (config.width, config.transfers, config.restrict) == (10, "strided", "data")
    again = Config.model_validate(config.model_dump())
    assert again == config
    assert set(PRESETS) == set(Config.model_fields["preset"].annotation.__args__)


# ---------------------------------------------------------------------------- on any grid


@pytest.mark.parametrize("settings", [{}, {"preset": "darcy_rough"}, {"resolution": "input"}])
@pytest.mark.parametrize("size", [(5, 7), (31, 64), (97, 20)])
def test_any_grid_size(settings, size):
    model = Config(**settings, width=4, n_layers=2).build(schema(32, 32, targets=2))
    a = torch.randn(2, 1, *size, requires_grad=True)
    y = model(a)
    assert y.shape == (2, 2, *size)
    y.square().sum().backward()
    assert a.grad.isfinite().all()


@pytest.mark.parametrize("spacing", ["cell", "node", "periodic"])
def test_smooth_fields_are_mapped_alike_on_every_grid(spacing):
    """Untrained: the same smooth field on finer and coarser grids, away from the walls."""
    torch.manual_seed(0)
    more = spacing == "node"
    model = Config(width=8, n_layers=2).build(schema(64 + more, 64 + more, spacing=spacing))
    model = model.double()

    def field(n):
        i = torch.arange(n, dtype=torch.float64)
        x = {"cell": (i + 0.5) / n, "node": i / (n - 1), "periodic": i / n}[spacing]
        x = 2 * math.pi * x
        return (torch.sin(x)[:, None] * torch.cos(x) + torch.cos(2 * x))[None, None]

    def at_common_points(n):
        with torch.no_grad():
            y = model(field(n))
        step = n // 32
        y = F.avg_pool2d(y, step) if spacing == "cell" else y[:, :, ::step, ::step]
        return y[:, :, 3:-3, 3:-3]

    coarse, own, fine = (at_common_points(n + more) for n in (32, 64, 128))
    assert (fine - own).norm() / own.norm() < 0.03
    assert (coarse - own).norm() / own.norm() < 0.12


def test_boundary_conditions_of_the_data_are_those_of_the_cycles():
    grid = Grid((Axis.uniform("x", 16, spacing="periodic"), Axis.uniform("y", 17, spacing="node")))
    data = Schema(
        (Variable("a", grid, "input"), Variable("u", grid, "target")),
        (Boundary("y", "lower", "dirichlet"), Boundary("y", "upper", "neumann")),
    )
    x, y = Config().build(data).lines
    assert (x.lower, x.upper, x.aligned) == ("periodic", "periodic", "vertex")
    assert (y.lower, y.upper, y.centring) == ("dirichlet", "neumann", "node")
    unknown = Config().build(schema(16, 16, kind="open")).lines
    assert all(line.signs == (1, 1) for line in unknown)


def test_the_bias_is_a_function_of_the_place():
    torch.manual_seed(0)
    model = Config(width=3, n_layers=1, bias_degree=2).build(schema(16, 16))
    bias = model.layers[0].bias
    assert bias.orders == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0)]
    with torch.no_grad():
        bias.weight.zero_()
        bias.weight[1, 5] = 1.0  # P_2(x) = (3 x^2 - 1) / 2
    x = torch.linspace(-1, 1, 9)
    b = bias([x, x], torch.empty(1, 3, 9, 9))
    torch.testing.assert_close(b[..., 1], ((3 * x**2 - 1) / 2)[:, None].expand(9, 9))
    assert not b[..., 0].any()
    around = Config(width=3, n_layers=1).build(schema(16, 16, spacing="periodic"))
    assert around.layers[0].bias.orders == [(0, 0)]
