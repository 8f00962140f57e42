"""MgNO: sciops against the published equations written plainly in stock torch operations.

    python benchmarks/speed/mgno.py [--quick] [--threads 1] [--device cuda]
                                    [--json benchmarks/results/mgno_speed.json]

The plain network is the published one (github.com/xlliu2017/MgNO, `MgNO_DC`), a convolution for
each symbol of the equations.  Against it stand our preset `darcy_rough`, the same network with the
same weights (that outputs and gradients agree is checked first), and our own default.  A step is
forward, backward and AdamW on a batch of 4; the sides take turns in one process, and on one thread
of a CPU the clock is the CPU time of the process.  Rows in microseconds are our default alone, a
step divided by its points, of which a multigrid method needs as many on every grid.  Memory is what
tensors hold at the peak of a step beyond what they held before, by torch's own account.
"""

from __future__ import annotations

from functools import partial

import torch
from interleaved import (
    Row,
    apart,
    count,
    forward,
    options,
    parse,
    race,
    row,
    seconds,
    show,
    tensor_memory,
    training_step,
    write,
)
from torch import Tensor, nn
from torch.nn import functional as F

from sciops.core.memory import keep_large_blocks
from sciops.core.schema import Axis, Boundary, Grid, Schema, Variable
from sciops.operators.mgno import Config

PLAIN = "plain torch"
BATCH = 4
SIDES = {"published preset": Config(preset="darcy_rough"), "default": Config()}


def main() -> None:
    """Check, time, print, write."""
    given = parse(options(__doc__, device=True))
    keep_large_blocks()  # as the training commands do; it helps the plain network too
    rows = []
    for n in (64,) if given.quick else (64, 128, 256):
        repeats = 3 if given.quick else {64: 15, 128: 9, 256: 5}[n]
        rows += steps(n, repeats, given.device)
    for n in () if given.quick else (128, 256, 512):
        rows.append(a_point(n, given.device))
    if not given.quick and given.device == "cpu":
        rows += [memory(n, name) for n in (64, 128) for name in SIDES]
    write(given.json, rows)


def schema(n: int) -> Schema:
    """Darcy flow on n x n cells."""
    grid = Grid((Axis.uniform("x", n, spacing="cell"), Axis.uniform("y", n, spacing="cell")))
    walls = (Boundary(axis, side, "dirichlet") for axis in "xy" for side in ("lower", "upper"))
    return Schema((Variable("a", grid, "input"), Variable("u", grid, "target")), tuple(walls))


def steps(n: int, repeats: int, device: str) -> list[Row]:
    """Training step and inference of each of our sides against the plain network."""
    torch.manual_seed(0)
    x, y = torch.randn(2, BATCH, 1, n, n, device=device)
    rows = []
    for name, config in SIDES.items():
        ours = config.build(schema(n)).to(device)
        preset = Config(preset="darcy_rough").build(schema(n)).to(device)
        plain = Plain(preset).to(device)
        if name == "published preset":
            ours = preset
            agree(ours, plain, x)
        counts = f"{count(ours):,} / {count(plain):,} parameters"
        case = f"{name}, {BATCH}x{n}x{n}, {counts}"
        steps = [training_step(module, x, y) for module in (ours, plain)]
        calls = [partial(forward, module, x) for module in (ours, plain)]
        rows.append(race(f"{case}, training step", *steps, PLAIN, repeats, device))
        rows.append(race(f"{case}, forward", *calls, PLAIN, repeats, device))
    return rows


def a_point(n: int, device: str) -> Row:
    """Time of a step of our default for each point of the grid, against that on 128 x 128."""
    times = []
    for size in (n, 128):
        model = Config().build(schema(size)).to(device)
        batch = max(1, BATCH * 128**2 // size**2)
        x, y = torch.randn(2, batch, 1, size, size, device=device)
        times.append((training_step(model, x, y), batch * size**2))
    turns = [[1e6 * seconds(run, device) / points for run, points in times] for _ in range(6)][1:]
    mine, theirs = zip(*turns, strict=True)
    case = f"default, {n}x{n}, training step, for a point"
    return show(row(case, mine, "the same on 128x128", theirs, "us"))


class Plain(nn.Module):
    """The published network, one torch module for each symbol, with the weights of our preset."""

    def __init__(self, preset: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(PlainLayer(layer) for layer in preset.layers)
        width = preset.head.weight.shape[1]
        self.head = nn.Conv2d(width, preset.head.weight.shape[0], 1, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(preset.head.weight[:, :, None, None])

    def forward(self, v: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, H, W)."""
        for layer in self.layers:
            v = layer(v)
        return self.head(v)


class PlainLayer(nn.Module):
    """gelu(W v + L v + b)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        weight = layer.local.weight
        self.local = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
        with torch.no_grad():
            self.local.weight.copy_(weight[:, :, None, None])
            self.local.bias.copy_(layer.bias.weight[:, 0])
        self.levels = nn.ModuleList(PlainLevel(level) for level in layer.cycle.levels)

    def forward(self, v: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        us, u, f = [], None, v
        for level in self.levels:
            for A, S in zip(level.A, level.S, strict=True):
                u = S(f) if u is None else u + S(f - A(u))
            us.append(u)
            if level.P is not None:
                u, f = level.Pi(u), level.R(f)
        for level in reversed(self.levels[:-1]):
            coarse = us.pop()
            us[-1] = us[-1] + level.P(coarse)
        return F.gelu(us[0] + self.local(v))


class PlainLevel(nn.Module):
    """Its steps, and its transfers to the next grid."""

    def __init__(self, level: nn.Module) -> None:
        super().__init__()
        self.A = nn.ModuleList(
            nn.Identity() if s.A is None else convolution(s.A) for s in level.pre
        )
        self.S = nn.ModuleList(convolution(s.S) for s in level.pre)
        way = level.coarsening
        self.Pi = self.R = self.P = None
        if way is not None:
            self.Pi, self.R = convolution(way.Pi, 2), convolution(way.R, 2)
            a, b = way.P.weight.shape[:2]
            self.P = nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=False)
            with torch.no_grad():
                self.P.weight.copy_(way.P.weight)


def convolution(stencil: nn.Module, stride: int = 1) -> nn.Conv2d:
    """3 x 3 with zero padding."""
    weight = stencil.convolution.weight
    made = nn.Conv2d(weight.shape[1], weight.shape[0], 3, stride=stride, padding=1, bias=False)
    with torch.no_grad():
        made.weight.copy_(weight)
    return made


def agree(ours: nn.Module, plain: nn.Module, x: Tensor) -> None:
    """Outputs and input gradients of both are the same."""
    found = []
    for model in (ours, plain):
        z = x.clone().requires_grad_(True)
        y = model(z)
        y.square().sum().backward()
        model.zero_grad()
        found.append((y.detach(), z.grad))
    for a, b in zip(*found, strict=True):
        off = (a - b).abs().max() / b.abs().max()
        assert off < 1e-4, f"the networks differ by {off:.1e}"


def memory(n: int, name: str) -> Row:
    """Tensor memory at the peak of a training step of either side, in processes of their own."""
    ours, plain = (apart(_peak, which, n) for which in (name, PLAIN))
    case = f"{name}, {BATCH}x{n}x{n}, peak of tensor memory in a training step"
    return show(row(case, [ours], PLAIN, [plain], "mb"))


def _peak(name: str, n: int) -> float:
    torch.set_num_threads(1)
    model: nn.Module
    if name == PLAIN:
        model = Plain(Config(preset="darcy_rough").build(schema(n)))
    else:
        model = SIDES[name].build(schema(n))
    return tensor_memory(training_step(model, *torch.randn(2, BATCH, 1, n, n)))


if __name__ == "__main__":
    main()
