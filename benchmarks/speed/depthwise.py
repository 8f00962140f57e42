"""Large depthwise convolutions and large kernel attention: sciops against torch's own, on the CPU.

    python benchmarks/speed/depthwise.py [--quick] [--threads 1] [--json benchmarks/results/..json]

Fields (4, 32, 64, 64) and (4, 32, 128, 128), zeros beyond the walls.  The peer is
``torch.nn.Conv2d(C, C, k, padding=k // 2, groups=C)`` with the same weights, and for large kernel
attention the three convolutions of the original.  Values and gradients are compared first; then
the two take turns, forward without gradients, and forward with backward.  One block of 30 MB is
made and freed at the start: glibc then keeps what is freed, as in any longer run, rather than
giving it back to the system after each call, which costs ours more, since it makes more copies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from interleaved import Row, clock, forward, options, parse, row, show, write
from torch import Tensor, nn

from sciops.layers.depthwise import DepthwiseConvolution
from sciops.layers.large_kernel import LargeKernelAttention

BATCH, CHANNELS, WALLS = 4, 32, ("zeros", "zeros")
LEAST = 0.03  # seconds that one measurement lasts at least


class Attention(nn.Module):
    """Large kernel attention of torch's convolutions."""

    def __init__(self, ours: LargeKernelAttention) -> None:
        super().__init__()
        c = ours.channels
        self.short = nn.Conv2d(c, c, 5, padding=2, groups=c)
        self.long = nn.Conv2d(c, c, 7, padding=9, groups=c, dilation=3)
        self.pointwise = nn.Conv2d(c, c, 1)
        share(ours, self)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H, W)."""
        return x * self.pointwise(self.long(self.short(x)))


def main() -> None:
    """Check, time, print, write."""
    given = parse(options(__doc__))
    torch.manual_seed(0)
    torch.zeros(30_000_000, dtype=torch.uint8)
    sizes, repeats = ((64,), 3) if given.quick else ((64, 128), 7)
    rows = [row for n in sizes for row in measure(n, repeats)]
    write(given.json, rows)


def measure(n: int, repeats: int) -> list[Row]:
    """All rows for n x n points."""
    rows = []
    x = torch.randn(BATCH, CHANNELS, n, n)
    for name, ours, peer in pairs():
        compare(name, ours, peer, x)
        for what, run in (("forward", forward), ("forward + backward", forward_and_backward)):
            case = f"{name}, {n} x {n}, {what}"
            rows.append(turns(case, repeats, partial(run, ours, x), partial(run, peer, x)))
    return rows


def pairs() -> list[tuple[str, nn.Module, nn.Module]]:
    """What is compared: a name, ours, and the peer with the same weights."""
    found = []
    for k in (7, 13, 31):
        ours = DepthwiseConvolution(CHANNELS, WALLS, k)
        peer = nn.Conv2d(CHANNELS, CHANNELS, k, padding=k // 2, groups=CHANNELS, bias=False)
        share(ours, peer)
        found.append((f"depthwise {k} x {k}", ours, peer))
    attention = LargeKernelAttention(CHANNELS, WALLS)
    return [*found, ("large kernel attention", attention, Attention(attention))]


def share(ours: nn.Module, peer: nn.Module) -> None:
    """Our weights to the peer, whose kernels have more axes of length one."""
    theirs = peer.state_dict()
    peer.load_state_dict({k: v.reshape(theirs[k].shape) for k, v in ours.state_dict().items()})


def forward_and_backward(module: nn.Module, x: Tensor) -> list[Tensor]:
    """The output, and its gradients by the field and all parameters."""
    x = x.detach().requires_grad_()
    y = module(x)
    return [y, *torch.autograd.grad(y, [x, *module.parameters()], torch.ones_like(y))]


def compare(name: str, ours: nn.Module, peer: nn.Module, x: Tensor) -> None:
    """That values and all gradients are the same to the precision of float32."""
    mine, theirs = (
        dict(zip(["y", "x", *dict(m.named_parameters())], forward_and_backward(m, x), strict=True))
        for m in (ours, peer)
    )
    for key, expected in theirs.items():
        off = (mine[key].reshape(expected.shape) - expected).norm() / expected.norm()
        assert off < 1e-5, f"{name}: {key} or its gradient is off by {off:.1e}"


def turns(case: str, repeats: int, ours: Callable[[], Any], peer: Callable[[], Any]) -> Row:
    """One row: the two in turn, `repeats` times."""
    calls = [max(1, round(LEAST / timed(f, 2))) for f in (ours, peer)]
    spent = [
        [1e3 * timed(f, n) for f, n in zip((ours, peer), calls, strict=True)]
        for _ in range(repeats)
    ]
    mine, theirs = zip(*spent, strict=True)
    return show(row(case, mine, "torch", theirs))


def timed(f: Callable[[], Any], calls: int) -> float:
    """Seconds per call."""
    begun = clock()
    for _ in range(calls):
        f()
    return (clock() - begun) / calls


if __name__ == "__main__":
    main()
