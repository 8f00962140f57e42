r"""Convolution in one to three dimensions, with the boundary of each axis for itself.

    (K v)_i = b + sum_{|k| <= r} W_k v_{s i + k},    kernel size 2 r + 1, stride s,

where v beyond the ends of an axis is v taken around (``periodic``), zero (``zeros``) or the
outermost value (``replicate``).  With stride s = 2 an axis of n points becomes one of
ceil(n / 2), whose point i lies at point 2 i of the fine axis; `upsampled` goes back by linear
interpolation between those places, to whatever size the fine axis had.

Padding is written with slices and concatenation, so that it exports with dynamic sizes, mixes
kinds between axes, and has every derivative.

`convolve` is what applies a convolution of torch: for one sample in three dimensions on a CPU torch
(2.13, `use_mkldnn` in ATen/native/Convolution.cpp) takes a loop of its own where channels times the
first two sizes are at most 20,480, 4 to 10 times slower than oneDNN
(benchmarks/results/README.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd.forward_ad import unpack_dual

from sciops.core.errors import ConfigError, ShapeError

Side = Literal["periodic", "zeros", "replicate"]
SIDES: tuple[Side, ...] = ("periodic", "zeros", "replicate")
_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def padded(v: Tensor, width: int, sides: Sequence[Side]) -> Tensor:
    """v (B, C, *N) with `width` more points at both ends of every axis: (B, C, *(N + 2 width)).

    A periodic axis must have at least `width` points.
    """
    if len(sides) != v.ndim - 2:
        raise ShapeError(f"{len(sides)} kinds of padding for a field {tuple(v.shape)}")
    for dim, side in enumerate(sides, start=2):
        if side == "periodic":
            first, last = v.narrow(dim, 0, width), v.narrow(dim, v.shape[dim] - width, width)
            v = torch.cat([last, v, first], dim)
        else:
            first, last = v.narrow(dim, 0, 1), v.narrow(dim, v.shape[dim] - 1, 1)
            if side == "zeros":
                first, last = torch.zeros_like(first), torch.zeros_like(last)
            v = torch.cat([first] * width + [v] + [last] * width, dim)
    return v


def channels_last(v: Tensor) -> Tensor:
    """v (B, C, *N), in memory as (B, *N, C)."""
    return v.movedim(1, -1).contiguous().movedim(-1, 1)


def convolve(layer: nn.Module, v: Tensor) -> Tensor:
    """layer(v) of an nn.Conv1d, 2d, 3d without padding mode; by oneDNN for one sample in 3-D."""
    if not (_is_alone(v) and all(_is_plain(t) for t in (v, *layer.parameters()))):
        return layer(v)  # type: ignore[no-any-return]
    sizes = layer.padding, layer.stride, layer.dilation
    return torch.mkldnn_convolution(v, layer.weight, layer.bias, *sizes, layer.groups)  # type: ignore[attr-defined,no-any-return]


def _is_alone(v: Tensor) -> bool:
    """Whether v is such a sample, and oneDNN is to be used."""
    return (
        v.ndim == 5
        and len(v) == 1
        and v.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled  # type: ignore[attr-defined]
        and not torch.is_autocast_enabled("cpu")
    )


def _is_plain(t: Tensor) -> bool:
    """Whether t is numbers in float32 that no transform looks at."""
    return (
        type(t) in (Tensor, nn.Parameter)
        and t.dtype == torch.float32
        and not is_functorch_wrapped_tensor(t)
        and unpack_dual(t).tangent is None
    )


def upsampled(v: Tensor, sizes: Sequence[int], sides: Sequence[Side]) -> Tensor:
    """v (B, C, *ceil(N / 2)) -> (B, C, *N) with N = `sizes`, by linear interpolation.

    Coarse point i becomes fine point 2 i; the fine points between are means of two neighbours,
    around the end on a periodic axis of even size, and the last value itself elsewhere.
    """
    for dim, (n, side) in enumerate(zip(sizes, sides, strict=True), start=2):
        end = v.narrow(dim, 0 if side == "periodic" else v.shape[dim] - 1, 1)
        following = torch.cat([v.narrow(dim, 1, v.shape[dim] - 1), end], dim)
        pairs = torch.stack([v, (v + following) / 2], dim + 1)  # (.., m, 2, ..)
        v = pairs.flatten(dim, dim + 1).narrow(dim, 0, n)
    return v


class Convolution(nn.Module):
    """A convolution that keeps the size of the grid, or halves it with stride 2.

    Parameters
    ----------
    c_in, c_out
        Channels of input and output.
    sides
        What lies beyond the ends of each axis; their number is the dimension, 1 to 3.
    kernel_size
        Odd; 1 is a linear map of the channels.
    stride
        1 or 2: an axis of n points becomes one of ceil(n / stride).
    bias
        Whether to add b.

    Notes
    -----
    Shapes: v (B, c_in, *N) -> (B, c_out, *ceil(N / stride)).
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        sides: Sequence[Side],
        kernel_size: int = 3,
        stride: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if len(sides) not in _CONVOLUTIONS or any(side not in SIDES for side in sides):
            raise ConfigError(f"expected one to three of {SIDES}, got {tuple(sides)}")
        if kernel_size % 2 == 0 or stride not in (1, 2):
            raise ConfigError(
                f"an odd kernel_size and stride 1 or 2 are needed, got {kernel_size} and {stride}"
            )
        self.width = kernel_size // 2
        self.sides = tuple(sides)
        self._explicit = self.width > 0 and set(sides) != {"zeros"}
        self.convolution = _CONVOLUTIONS[len(sides)](
            c_in,
            c_out,
            kernel_size,
            stride=stride,
            padding=0 if self._explicit else self.width,
            bias=bias,
        )

    def forward(self, v: Tensor) -> Tensor:
        """v (B, c_in, *N) -> (B, c_out, *ceil(N / stride))."""
        if self._explicit:
            v = padded(v, self.width, self.sides)
        return convolve(self.convolution, v)
