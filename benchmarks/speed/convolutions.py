"""Convolutions in three dimensions on a CPU: ours against the same layers as torch runs them.

    python benchmarks/speed/convolutions.py [--quick] [--threads 1] [--json PATH]

One convolution of one sample (`sciops.layers.convolution.convolve` against the layer itself), and
the published network of DCDM on 32^3 cells, a prediction and the forward and backward pass of a
training step of ten samples, against the same network and weights with every convolution applied
by torch in the order (B, C, *N).  Results are compared first; both take turns.
"""

from __future__ import annotations

from contextlib import ExitStack
from unittest import mock

import torch
from interleaved import forward, options, parse, race, write
from torch import Tensor, nn

from sciops.layers import convolution, direction_network
from sciops.layers.convolution import Convolution
from sciops.layers.direction_network import DirectionNetwork


def main() -> None:
    """Compare, time, print, write."""
    given = parse(options(__doc__))
    repeats = 3 if given.quick else 15
    torch.manual_seed(0)
    rows = []
    for n in (16, 32):
        layer, v = Convolution(16, 16, ("zeros",) * 3), torch.randn(1, 16, n, n, n)
        rows.append(compare(f"convolution, 1 x 16 x {n}^3, forward", layer, v, False, repeats))
    network = DirectionNetwork()
    for batch, backward in ((1, False), (10, False), (10, True)):
        v = torch.randn(batch, 1, 32, 32, 32)
        what = "forward + backward" if backward else "forward"
        rows.append(compare(f"DCDM, {batch} x 32^3, {what}", network, v, backward, repeats // 2))
    write(given.json, rows)


def compare(case: str, module: nn.Module, v: Tensor, backward: bool, repeats: int) -> dict:
    """One row."""

    def ours() -> Tensor:
        if not backward:
            return forward(module, v)
        module.zero_grad()
        y = module(v)
        y.square().mean().backward()
        return y

    def theirs() -> Tensor:
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(convolution, "convolve", lambda f, x: f(x)))
            stack.enter_context(mock.patch.object(direction_network, "_arranged", lambda x: x))
            return ours()

    torch.testing.assert_close(ours(), theirs(), rtol=1e-4, atol=1e-4)
    return race(case, ours, theirs, "the layers of torch", repeats)


if __name__ == "__main__":
    main()
