r"""Depthwise convolution: every channel with a kernel of its own, large and dilated ones too.

    v_{c,i} = b_c + sum_{|s| <= r} w_{c,s} x_{c, i + d s},    kernel size k = 2 r + 1, dilation d,

where x beyond the ends of an axis is x taken around (``periodic``, as often as needed), zero
(``zeros``) or the outermost value (``replicate``).

On the CPU torch's own depthwise convolution is up to 20 times slower than it need be: in its
weight gradient, with ``padding=`` for kernels of 15 points or more, and with dilation.  Here the
field is extended first; a dilation d is split into the d x d interleaved grids on which it is a
plain kernel; and what is left is one form that is linear in each of three tensors,

    T(x, w, y) = sum_{b,c,i,s} x_{b,c,i+s} w_{c,s} y_{b,c,i}.

Its derivative by y is the convolution, that by x its adjoint, and that by w the weight gradient,
which is a depthwise convolution of x with y as kernels.  Each is the derivative of the others, so
one autograd node with a name for the missing factor has derivatives of every order and kind.
Kernels of more than `DIRECT` points go by FFT.  Results are those of torch to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional as F

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.convolution import SIDES, Side

DIRECT = 300  # points of a kernel: 17 x 17 is faster direct, 19 x 19 and 7 x 7 x 7 by FFT
_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_FACTORS = ("x", "w", "y")


class DepthwiseConvolution(nn.Module):
    r"""v_{c,i} = b_c + sum_s w_{c,s} x_{c, i + d s} on any number of points, one to three axes.

    Parameters
    ----------
    channels
        Channels C of input and output.
    sides
        What lies beyond the ends of each axis; their number is the dimension D, 1 to 3.
    kernel_size
        Points k of the kernel along each axis, odd.
    dilation
        Points d from one point of the kernel to the next.
    bias
        Whether to add b; the map is linear (trait `linear`) without it.

    Raises
    ------
    ConfigError
        For sides that do not exist, an even kernel, or a dilation below one.

    Notes
    -----
    Shapes: x (B, C, *N) -> (B, C, *N).  Parameters: C (k^D + 1).  The stencil counts points, so
    on a finer grid the same weights are another operator (trait `resolution` is ``"fixed"``).
    Weights start as N(0, 1 / k^D), which keeps the size of the field.

    Source: Chollet, Xception: deep learning with depthwise separable convolutions, 2017
    (arXiv:1610.02357); large kernels: Ding, Zhang, Han, Ding, Scaling up your kernels to 31x31,
    2022 (arXiv:2203.06717).
    """

    linear: ClassVar[bool] = True
    equivariant: ClassVar[bool] = True
    resolution: ClassVar[Literal["modes", "physical", "fixed"]] = "fixed"

    def __init__(
        self,
        channels: int,
        sides: Sequence[Side],
        kernel_size: int = 7,
        dilation: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        check_sides(sides)
        if channels < 1 or kernel_size < 1 or kernel_size % 2 == 0 or dilation < 1:
            raise ConfigError(
                f"channels and dilation of at least 1 and an odd kernel_size are needed, got "
                f"{channels}, {dilation} and {kernel_size}"
            )
        self.channels, self.sides, self.dilation = channels, tuple(sides), dilation
        shape = (channels, *[kernel_size] * len(sides))
        scale = kernel_size ** (-len(sides) / 2)
        self.weight = nn.Parameter(torch.randn(shape) * scale)  # (C, *k)
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, *N) -> (B, C, *N)."""
        check_field(x, self.channels, self.sides)
        v = depthwise_convolution(x, self.weight, self.sides, self.dilation)
        if self.bias is not None:
            v = v + self.bias.to(v.dtype).reshape(-1, *[1] * len(self.sides))
        return v


def depthwise_convolution(x: Tensor, w: Tensor, sides: Sequence[Side], dilation: int = 1) -> Tensor:
    """x (B, C, *N) convolved with w (C, *k), k odd along each axis: (B, C, *N).

    The CPU takes the path that this module describes, in float32 or float64 under autocast too.
    Other devices, and graphs that are being traced, take torch's own convolution.
    """
    reach = [dilation * (k // 2) for k in w.shape[1:]]
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        x = extended(x, [(r, r) for r in reach], sides)
        convolve = _CONVOLUTIONS[len(sides)]
        return convolve(x, w[:, None], dilation=dilation, groups=w.shape[0])
    spare = [-(n + 2 * r) % dilation for n, r in zip(x.shape[2:], reach, strict=True)]
    widths = [(r, r + e) for r, e in zip(reach, spare, strict=True)]
    v = extended(x, widths, sides).to(torch.promote_types(x.dtype, w.dtype))
    if dilation == 1:
        return _contraction(x=v, w=w.to(v.dtype)).to(x.dtype)
    phases = _contraction(x=_split(v, dilation), w=w.to(v.dtype))
    v = _joined(phases, dilation, x.shape[0])
    for dim, n in enumerate(x.shape[2:], start=2):
        v = v.narrow(dim, 0, n)
    return v.to(x.dtype)


def extended(x: Tensor, widths: Sequence[tuple[int, int]], sides: Sequence[Side]) -> Tensor:
    """x (B, C, *N) with (before, after) more points along each axis, for any N of at least one."""
    tracing = torch.compiler.is_compiling()
    zeros = [0, 0] * len(sides)  # for F.pad, the last axis first
    for dim, (side, (before, after)) in enumerate(zip(sides, widths, strict=True), start=2):
        n = x.shape[dim]
        if before == 0 and after == 0:
            continue
        if side == "zeros":
            zeros[2 * (x.ndim - 1 - dim)], zeros[2 * (x.ndim - 1 - dim) + 1] = before, after
        elif side == "replicate":
            shape = list(x.shape)
            shape[dim] = before
            first = x.narrow(dim, 0, 1).expand(shape)
            shape[dim] = after
            x = torch.cat([first, x, x.narrow(dim, n - 1, 1).expand(shape)], dim)
        elif tracing or max(before, after) > n:  # around more than once, or whatever n will be
            around = torch.arange(-before, n + after, device=x.device)
            x = x.index_select(dim, around % torch.full_like(around, n))  # ONNX divides tensors
        else:
            x = torch.cat([x.narrow(dim, n - before, before), x, x.narrow(dim, 0, after)], dim)
    return F.pad(x, zeros) if any(zeros) else x


def check_sides(sides: Sequence[Side]) -> None:
    """ConfigError unless they are one to three that exist."""
    if not 1 <= len(sides) <= 3 or any(side not in SIDES for side in sides):
        raise ConfigError(f"expected one to three of {SIDES}, got {tuple(sides)}")


def check_field(x: Tensor, channels: int, sides: Sequence[Side]) -> None:
    """ShapeError unless x is a field (B, C, *N) with one axis for each of `sides`."""
    if x.ndim != len(sides) + 2 or x.shape[1] != channels:
        raise ShapeError(
            f"expected a field (B, {channels}, *N) with {len(sides)} axes, got {tuple(x.shape)}; "
            f"the layer was made for {channels} channels and the sides {tuple(sides)}"
        )


def _split(x: Tensor, d: int) -> Tensor:
    """(B, C, *(d n)) -> (d^D B, C, *n): the interleaved grids, one after the other."""
    axes = x.ndim - 2
    for a in range(axes):
        x = x.unflatten(2 + 2 * a, (-1, d))  # (B, C, n_1, d, n_2, d, ..)
    phase, point = range(3, 3 + 2 * axes, 2), range(2, 2 + 2 * axes, 2)
    return x.permute(*phase, 0, 1, *point).flatten(0, axes)


def _joined(x: Tensor, d: int, batch: int) -> Tensor:
    """(d^D B, C, *n) -> (B, C, *(d n)), undoing `_split`."""
    axes = x.ndim - 2
    x = x.unflatten(0, (*[d] * axes, batch))  # (d, .., B, C, *n)
    order = [axes, axes + 1]
    for a in range(axes):
        order += [axes + 2 + a, a]
    x = x.permute(order)
    for a in range(axes):
        x = x.flatten(2 + a, 3 + a)
    return x


def _contraction(**factors: Tensor) -> Tensor:
    """The derivative of T(x, w, y) by the factor that is not given."""
    (missing,) = set(_FACTORS) - set(factors)
    return _Contraction.apply(missing, *(factors[f] for f in _FACTORS if f in factors))


class _Contraction(torch.autograd.Function):
    """dT/d(missing) of the two other factors, in the order x, w, y.

    Shapes: x (B, C, *(N + k - 1)), w (C, *k), y (B, C, *N).
    """

    @staticmethod
    def forward(missing: str, a: Tensor, b: Tensor) -> Tensor:
        # A backward pass may run under autocast, which would round what the forward did not.
        with torch.autocast(a.device.type, enabled=False):
            if _kernel_points(missing, a, b) > DIRECT:
                return _by_fft(missing, a, b)
            return _direct(missing, a, b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.missing, a, b = inputs
        ctx.save_for_backward(a, b)
        ctx.save_for_forward(a, b)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        p, q = _others(ctx.missing)
        a, b = ctx.saved_tensors
        _, first, second = ctx.needs_input_grad
        return (
            None,
            _contraction(**{q: b, ctx.missing: g}) if first else None,
            _contraction(**{p: a, ctx.missing: g}) if second else None,
        )

    @staticmethod
    def jvp(ctx: Any, _: None, da: Tensor | None, db: Tensor | None) -> Tensor:
        a, b = ctx.saved_tensors
        terms = [(da, b), (a, db)]
        parts = [_Contraction.apply(ctx.missing, *t) for t in terms if None not in t]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], missing: str, a: Tensor, b: Tensor
    ) -> tuple[Tensor, int]:
        """Into the batch where the kernel is shared, into the channels where it is not."""
        n, roles = info.batch_size, _others(missing)
        dims = dict(zip(roles, in_dims[1:], strict=True))
        into_batch = "w" in dims and dims["w"] is None
        factors = {}
        for role, t in zip(roles, (a, b), strict=True):
            if into_batch and role == "w":
                factors[role] = t
                continue
            t = t.expand(n, *t.shape) if dims[role] is None else t.movedim(dims[role], 0)
            if role == "w" or into_batch:
                factors[role] = t.flatten(0, 1)  # (V C, *k) or (V B, C, *N)
            else:
                factors[role] = t.transpose(0, 1).flatten(1, 2)  # (B, V C, *N)
        result = _contraction(**factors)
        if into_batch or missing == "w":
            return result.unflatten(0, (n, -1)), 0
        return result.unflatten(1, (n, -1)), 1


def _others(missing: str) -> tuple[str, str]:
    """The two factors beside the missing one."""
    p, q = (f for f in _FACTORS if f != missing)
    return p, q


def _kernel_points(missing: str, a: Tensor, b: Tensor) -> int:
    """Points of the kernel w, from whichever two factors are there."""
    if missing == "y":
        return math.prod(b.shape[1:])
    if missing == "x":
        return math.prod(a.shape[1:])
    return math.prod(m - n + 1 for m, n in zip(a.shape[2:], b.shape[2:], strict=True))


def _direct(missing: str, a: Tensor, b: Tensor) -> Tensor:
    """The contraction as depthwise convolutions without padding, where torch is fast."""
    if missing == "y":
        return _valid(a, b)
    if missing == "x":  # y, with k - 1 zeros at every end, and the kernel turned round
        zeros = [k - 1 for k in reversed(a.shape[1:]) for _ in range(2)]
        return _valid(F.pad(b, zeros), a.flip(*range(1, a.ndim)))
    groups = a.shape[0] * a.shape[1]
    if groups == 0:
        return a.new_zeros(
            a.shape[1], *(m - n + 1 for m, n in zip(a.shape[2:], b.shape[2:], strict=True))
        )
    products = _valid(a.reshape(1, groups, *a.shape[2:]), b.reshape(groups, *b.shape[2:]))
    return products.reshape(*a.shape[:2], *products.shape[2:]).sum(0)  # (B, C, *k) -> (C, *k)


def _valid(x: Tensor, w: Tensor) -> Tensor:
    """(B, C, *M), (C, *k) -> (B, C, *(M - k + 1))."""
    return _CONVOLUTIONS[x.ndim - 2](x, w[:, None], groups=w.shape[0])


def _by_fft(missing: str, a: Tensor, b: Tensor) -> Tensor:
    """The same from products of spectra, of a length at which nothing wraps into the result."""
    axes = max(a.ndim, b.ndim) - 2
    dims = list(range(-axes, 0))
    single = torch.promote_types(a.dtype, torch.float32)  # there is no FFT of shorter numbers
    p, q = a.shape[-axes:], b.shape[-axes:]
    if missing == "x":
        sizes = whole = [k + n - 1 for k, n in zip(p, q, strict=True)]
    else:
        sizes, whole = [m - k + 1 for m, k in zip(p, q, strict=True)], list(p)
    lengths = [next_fast_len(m, real=True) for m in whole]
    first, second = (torch.fft.rfftn(t.to(single), s=lengths, dim=dims) for t in (a, b))
    product = first * (second if missing == "x" else second.conj())
    if missing == "w":
        product = product.sum(0)
    result = torch.fft.irfftn(product, s=lengths, dim=dims)
    for dim, n in zip(dims, sizes, strict=True):
        result = result.narrow(dim, 0, n)
    # The output of a node with a forward-mode rule must not be a view.
    return result.to(a.dtype).clone(memory_format=torch.contiguous_format)
