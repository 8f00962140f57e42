"""The operators of one block: parameters in closed form, threads, and that they learn a linear map.

C channels, L blocks, K wavenumbers of the last axis halved, E numbers of a kernel of one channel.
"""

import importlib

import numpy as np
import pytest
import torch

from sciops.core.errors import ConfigError
from sciops.core.schema import Axis, Boundary, Grid, Schema, Variable

OPERATORS = {
    "fno": {},
    "ffno": {},
    "gated_fno": {"blocks": 2},
    "aff": {"blocks": 1},
    "afno": {"blocks": 1},
    "lka": {},
    "globalconv": {},
    "axial": {},
}
CONTROLS = {"identity": {"mixer_kind": "identity"}, "random": {"mixer_kind": "random"}}
N = 16


def built(name, channels, layers=2, **settings):
    module = importlib.import_module(f"sciops.operators.{'control' if name in CONTROLS else name}")
    settings |= {**OPERATORS, **CONTROLS}[name]
    grid = Grid(tuple(Axis.uniform(a, N, spacing="periodic") for a in "xy"))
    schema = Schema((Variable("a", grid, "input"), Variable("u", grid, "target")))
    torch.manual_seed(0)
    return module.Config(hidden_channels=channels, n_layers=layers, **settings).build(schema)


MIXERS = {  # real parameters of one mixer, and whether a map of the channels stands behind it
    "fno": (lambda c: 15 * 8 * 2 * c * c, False),
    "ffno": (lambda c: (8 + 8) * 2 * c * c, False),
    "gated_fno": (lambda c: 15 * 8 * 2 * c * c + 2 * (c * c // 2 + c), False),
    "aff": (lambda c: 2 * (2 * c * c + 2 * c), True),
    "afno": (lambda c: 2 * 2 * c * c, True),
    "lka": (lambda c: 25 * c + c + 49 * c + c + c * c + c, True),
    "globalconv": (lambda c: 4 * 49 * c + c, True),
    "axial": (lambda c: 2 * (3 * c * c + 3 * c + c * c), False),
    "identity": (lambda c: 0, True),
    "random": (lambda c: 0, False),
}


def with_axis(name, axis, boundary=(), n=16, dtype=torch.float64):
    """A 1-D operator with random weights on that axis."""
    module = importlib.import_module(f"sciops.operators.{name}")
    grid = Grid((axis,))
    schema = Schema((Variable("a", grid, "input"), Variable("u", grid, "target")), boundary)
    torch.manual_seed(0)
    settings = {"hidden_channels": 8, "n_layers": 2} | OPERATORS.get(name, {})
    settings = {"unet": {"width": 4, "levels": 2}, "mgno": {"width": 4}}.get(name, settings)
    return module.Config(**settings).build(schema).to(dtype)


@pytest.mark.parametrize("name", sorted({*OPERATORS} - {"aff", "afno"}))
def test_a_periodic_grid_that_no_rule_names_is_periodic_by_its_index(name):
    """Its first point lies a quarter of a cell inside."""
    axis = Axis("x", (np.arange(16) + 0.25) / 16, 0.0, 1.0, periodic=True)
    assert axis.spacing == "graded"
    operator = with_axis(name, axis)
    a = torch.randn(2, 1, 16, dtype=torch.float64)
    y = operator(a)
    found = operator(a.roll(3, 2)).roll(-3, 2)
    assert (found - y).abs().max() < 1e-12 * y.abs().max()


@pytest.mark.parametrize("name", ["lka", "globalconv", "axial"])
def test_a_point_that_repeats_the_first_is_refused_where_it_would_count_twice(name):
    boundary = tuple(Boundary("x", side, "periodic") for side in ("lower", "upper"))
    with pytest.raises(ConfigError, match="leave out the point that repeats the first"):
        with_axis(name, Axis.uniform("x", 17, spacing="node"), boundary)


@pytest.mark.parametrize("name", ["fno", "lka", "unet", "mgno"])
def test_positions_do_not_depend_on_where_the_origin_lies(name):
    near = with_axis(name, Axis.uniform("x", 16), dtype=torch.float32)
    far = with_axis(name, Axis.uniform("x", 16, 1e7, 1e7 + 1), dtype=torch.float32)
    a = torch.randn(2, 1, 16)
    torch.testing.assert_close(far(a), near(a), rtol=0, atol=0)


@pytest.mark.parametrize("name", [*OPERATORS, "fft"])
def test_no_samples(name):
    operator = built("fno", 8, backend="fft") if name == "fft" else built(name, 8)
    y = operator(torch.empty(0, 1, N, N))
    assert y.shape == (0, 1, N, N)
    y.sum().backward()


@pytest.mark.parametrize("name", list(MIXERS))
def test_parameters_in_closed_form(name):
    for c, layers in ((16, 2), (32, 4)):
        mixer, after = MIXERS[name]
        block = mixer(c) + (3 if after else 2) * c * c
        expected = (c + c) + layers * block + (64 * c + 64) + (64 + 1)
        found = sum(p.numel() for p in built(name, c, layers).parameters())
        assert found == expected


@pytest.mark.parametrize("name", list(MIXERS))
def test_two_threads_give_the_same(name):
    operator, a = built(name, 8), torch.randn(2, 1, N, N)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            y = operator(a)
            (slope,) = torch.autograd.grad(y.square().sum(), operator.lift.maps[0].weight)
            found.append((y.detach(), slope))
    finally:
        torch.set_num_threads(threads)
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(two, one, rtol=0, atol=1e-6 * one.abs().max().item())


def heat(samples):
    """a of wavenumbers up to 2, and exp(-0.2 |k|^2) applied to it."""
    k = torch.fft.fftfreq(N, 1 / N)
    low = (k.abs() <= 2)[:, None] & (k.abs() <= 2)
    a = torch.fft.fft2(torch.randn(samples, 1, N, N)) * low
    u = a * torch.exp(-0.2 * (k[:, None] ** 2 + k**2))
    a, u = torch.fft.ifft2(a).real, torch.fft.ifft2(u).real
    return a / a.std(), u / a.std()


def error_after_training(name, steps=500, lr=2e-2):
    operator = built(name, 24)
    a, u = heat(8)
    optimizer = torch.optim.Adam(operator.parameters(), lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    for _ in range(steps):
        optimizer.zero_grad()
        error = (operator(a) - u).norm() / u.norm()
        error.backward()
        optimizer.step()
        schedule.step()
    return error.item()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(OPERATORS))
def test_eight_samples_of_the_heat_equation_are_learned(name):
    assert error_after_training(name) < 1e-2


def test_fno_learns_and_a_perceptron_at_every_point_does_not():
    assert error_after_training("fno", 120) < 1e-2
    assert error_after_training("identity", 120) > 0.2
