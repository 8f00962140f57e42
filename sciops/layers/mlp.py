r"""Multilayer perceptrons, on vectors and on the channels of a field.

    x_0 = x,   x_{l+1} = gelu(W_l x_l + b_l),   l = 0 .. L-2,   y = W_{L-1} x_{L-1} + b_{L-1}

GELU is smooth, so that forward-mode derivatives and second derivatives exist everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sciops.core.errors import ConfigError, ShapeError


class MLP(nn.Module):
    """A multilayer perceptron on the last dimension.

    Parameters
    ----------
    sizes
        (c_0, .., c_L): width of the input, of each hidden layer, of the output; at least two.

    Notes
    -----
    Shapes: x (.., c_0) -> (.., c_L).
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ConfigError(f"an MLP needs at least two positive sizes, got {tuple(sizes)}")
        self.linears = nn.ModuleList(
            nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (.., c_0) -> (.., c_L)."""
        *hidden, last = self.linears
        for linear in hidden:
            x = F.gelu(linear(x))
        return last(x)


class ChannelMap(nn.Module):
    """W over the channels of a field, added to another field or to a bias.

    One batched matrix product that adds to what is there: on the CPU about twice as fast, forward
    and backward, as a convolution of kernel size 1.

    Parameters
    ----------
    c_in, c_out
        Channels.
    bias
        Whether to add b.

    Notes
    -----
    Shapes: v (B, c_in, P), the points in one dimension, and onto None or (B, c_out, P)
    -> (B, c_out, P).
    """

    def __init__(self, c_in: int, c_out: int, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(c_in)
        self.weight = nn.Parameter(torch.empty(c_out, c_in).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(c_out, 1).uniform_(-bound, bound)) if bias else None

    def forward(self, v: Tensor, onto: Tensor | None = None) -> Tensor:
        """W v + b, plus `onto`."""
        w, base = self._factors(v, onto)
        return torch.bmm(w, v) if base is None else torch.baddbmm(base, w, v)

    def of_gelu(self, u: Tensor, onto: Tensor | None = None) -> Tensor:
        """W gelu(u) + b, plus `onto`; for the backward pass u is kept, gelu(u) is not."""
        w, base = self._factors(u, onto)
        base = u.new_zeros(()) if base is None else base
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return _MapOfGelu.apply(u, w, base)
        return torch.baddbmm(base, w, F.gelu(u))

    def _factors(self, v: Tensor, onto: Tensor | None) -> tuple[Tensor, Tensor | None]:
        w = self.weight.expand(v.shape[0], -1, -1)  # (B, c_out, c_in)
        if onto is None or self.bias is None:
            return w, self.bias if onto is None else onto
        return w, onto + self.bias


class _MapOfGelu(torch.autograd.Function):
    """base + W gelu(u), u (B, C, P), W (B, C', C), base (B, C', P) or less; gelu is done again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor, w: Tensor, base: Tensor) -> Tensor:
        return torch.baddbmm(base, w, F.gelu(u))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        u, w, base = inputs
        ctx.base = base.shape
        ctx.save_for_backward(u, w)
        ctx.save_for_forward(u, w)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        u, w = (t.to(g.dtype) for t in ctx.saved_tensors)
        dw = torch.bmm(g, F.gelu(u).transpose(1, 2))
        du = torch.ops.aten.gelu_backward(torch.bmm(w.transpose(1, 2), g), u)
        return du, dw, g.sum_to_size(ctx.base)

    @staticmethod
    def jvp(ctx: Any, du: Tensor | None, dw: Tensor | None, dbase: Tensor | None) -> Tensor:  # type: ignore[override]
        u, w = ctx.saved_tensors
        dy = u.new_zeros(u.shape[0], w.shape[1], u.shape[2])
        if du is not None:
            dy = dy + torch.bmm(w, torch.ops.aten.gelu_backward(du, u))
        if dw is not None:
            dy = dy + torch.bmm(dw, F.gelu(u))
        return dy if dbase is None else dy + dbase


class ChannelMLP(nn.Module):
    """The same perceptron at every point of a field, on any number of axes.

    Parameters
    ----------
    sizes
        (c_0, .., c_L): channels of the input, of each hidden layer, of the output.

    Notes
    -----
    Shapes: x (B, c_0, *N) -> (B, c_L, *N).
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ConfigError(f"an MLP needs at least two positive sizes, got {tuple(sizes)}")
        self.maps = nn.ModuleList(
            ChannelMap(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, c_0, *N) -> (B, c_L, *N)."""
        if x.ndim < 3:
            raise ShapeError(f"expected a field (B, C, *N), got {tuple(x.shape)}")
        shape = x.shape[2:]
        x = x.flatten(2)  # (B, c_0, prod N)
        first, *others = self.maps
        x = first(x)
        for channel_map in others:
            x = channel_map.of_gelu(x)
        return x.unflatten(2, shape)  # (B, c_L, *N)
