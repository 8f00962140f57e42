"""Axial attention against the sums written out; symmetries; order under refinement."""

import math

import pytest
import torch
from layers.mixer_checks import CHECKS, close, made

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.axial_attention import AxialAttention


def make(sides, channels):
    return AxialAttention(channels, sides, heads=max(channels // 8, 1))


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_it_is_a_mixer(check):
    check(make)


@pytest.mark.parametrize(("side", "spacing"), [("periodic", "periodic"), ("zeros", "node")])
def test_it_is_its_formula(side, spacing):
    """One sum after the other, in complex numbers for the turning."""
    layer = made(lambda s, c: AxialAttention(c, s, 2, (spacing,) * 2), (side,) * 2, 8).double()
    x = torch.randn(1, 8, 3, 4, dtype=torch.float64)
    expected = torch.zeros_like(x)
    for axis, (qkv, out) in enumerate(zip(layer.qkv, layer.out, strict=True)):
        lines = x[0] if axis == 1 else x[0].transpose(1, 2)  # (C, lines, n)
        n = lines.shape[2]
        places = [j / n if spacing == "periodic" else j / (n - 1) for j in range(n)]
        whole = 2 * math.pi if side == "periodic" else math.pi
        for line in range(lines.shape[1]):
            q, k, v = (qkv(lines[:, line].T)).chunk(3, -1)  # (n, C)
            result = torch.zeros(n, 8, dtype=torch.float64)
            for head in (slice(0, 4), slice(4, 8)):
                turn = [torch.tensor([1j * whole * p * s for p in (1, 2)]).exp() for s in places]
                turned = [
                    [torch.complex(t[j, head][:2], t[j, head][2:]) * turn[j] for j in range(n)]
                    for t in (q, k)
                ]
                for i in range(n):
                    products = [(turned[0][i] * turned[1][j].conj()).sum().real for j in range(n)]
                    weight = torch.stack(products).div(2).exp()
                    if spacing == "node":
                        weight[0], weight[-1] = weight[0] / 2, weight[-1] / 2
                    result[i, head] = (weight @ v[:, head]) / weight.sum()
            part = out(result).T  # (C, n)
            if axis == 1:
                expected[0, :, line] += part
            else:
                expected[0, :, :, line] += part
    close(layer(x), expected, 1e-7)  # the angles of the reference are made in float32


def error(n: int, side: str, spacing: str) -> float:
    """Distance between n and many more intervals for one smooth field, on common points."""
    layer = made(lambda s, c: AxialAttention(c, s, 2, (spacing,)), (side,), 8).double()

    @torch.no_grad()
    def result(n: int) -> torch.Tensor:
        points, first = (n + 1, 0.0) if spacing == "node" else (n, 0.5 if spacing == "cell" else 0)
        x = (torch.arange(points, dtype=torch.float64) + first) / n
        k = torch.arange(1, 9, dtype=torch.float64)[:, None]
        wave = torch.sin(2 * math.pi * (k % 2 + 1) * x + k) if side == "periodic" else (k * x).sin()
        return layer(wave[None])[0]

    # The middle of a cell is the middle of the fifth of the nine cells into which it is cut.
    fine, start = result(9 * n), 4 if spacing == "cell" else 0
    return float((result(n) - fine[:, start::9]).abs().max())


@pytest.mark.parametrize("spacing", ["cell", "node"])
def test_it_is_the_same_on_every_grid_to_second_order(spacing):
    order = math.log2(error(96, "zeros", spacing) / error(192, "zeros", spacing))
    assert order == pytest.approx(2.0, abs=0.1)


def test_on_a_circle_the_quadrature_is_spectral():
    coarse, fine = error(24, "periodic", "periodic"), error(96, "periodic", "periodic")
    assert coarse > 1e-6 and fine < 1e-12, (coarse, fine)


def test_exchanging_the_axes():
    layer, turned = made(make, ("periodic", "zeros")), made(make, ("zeros", "periodic"))
    for part, other in ((layer.qkv, turned.qkv), (layer.out, turned.out)):
        for a in (0, 1):
            other[a].load_state_dict(part[1 - a].state_dict())
    x = torch.randn(2, 4, 9, 12)
    close(turned(x.transpose(2, 3)).transpose(2, 3), layer(x))


def test_the_two_ends_meet_on_a_circle_and_are_far_apart_between_walls():
    """What the last point takes from the first, over what from itself, by positions alone."""
    taken = {}
    for side in ("periodic", "zeros"):
        torch.manual_seed(0)
        layer = AxialAttention(8, (side,), heads=1)
        with torch.no_grad():
            layer.qkv[0].weight[:16] = 0
        x = torch.zeros(1, 8, 32, requires_grad=True)
        (g,) = torch.autograd.grad(layer(x)[0, 0, 31], x)
        taken[side] = (g[0, 0, 0] / g[0, 0, 31]).item()
    assert taken["periodic"] > 0.3 and taken["zeros"] < 0.05


def test_wrong_settings():
    with pytest.raises(ConfigError, match="multiple of twice the heads.*got 10 channels and 4"):
        AxialAttention(10, ("zeros",))
    with pytest.raises(ConfigError, match="for each of 1 axes one of"):
        AxialAttention(8, ("zeros",), spacings=("graded",))
    with pytest.raises(ConfigError, match="on a periodic axis h = L / n"):
        AxialAttention(8, ("periodic",), spacings=("node",))
    with pytest.raises(ShapeError, match="at least 2 points"):
        AxialAttention(8, ("zeros",), spacings=("node",))(torch.zeros(1, 8, 1))
