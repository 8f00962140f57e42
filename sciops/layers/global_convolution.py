r"""A convolution over the whole domain, with a kernel that is a function of physical distance.

    y_c(x) = D_c x_c + int K_c(r) x_c(. - r) dr
    K_c(r) = sum_{i<s} g_i sum_m W_{c,i,m} prod_a phi(r_a / delta_i - m_a) / delta_i

phi(t) = max(0, 1 - |t|), so that scale i is the multilinear interpolation of d^D numbers that lie
delta_i = 2 r_i / (d + 1) apart, and vanishes beyond the radius r_i = R / 2^(s-1-i).  Halving the
radius doubles the density along each axis: near the centre the kernel is fine and large, far out
coarse and small, with s d^D numbers for a kernel of any number of points.

On a grid of spacing h the integral becomes a sum over grid points whose weights are the integrals
of K over their cells, h^D K(j h) + O(h^(D+2)).  A scale that is finer than the grid thereby keeps
its mass, and the integral of the kernel is the same on every grid.  The sum is applied by FFT.

Sources: Li, Cai, Zhang, Chen, Dey, What makes convolutional models great on long sequence
modeling?, 2022 (arXiv:2210.09298), where a kernel counts steps of a sequence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional as F

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.convolution import Side
from sciops.layers.depthwise import check_field, check_sides

# Of n points on an axis of length L, by the names of sciops.core.schema.Axis: h = L / (n + this).
Spacing = Literal["cell", "periodic", "left", "node", "interior"]
_MORE_INTERVALS: dict[str, int] = {"cell": 0, "periodic": 0, "left": 0, "node": -1, "interior": 1}


class GlobalConvolution(nn.Module):
    r"""y_c = D_c x_c + K_c * x_c with a kernel in physical units, channel by channel.

    Parameters
    ----------
    channels
        Channels C of input and output.
    sides
        What lies beyond the ends of each axis; their number is the dimension D, 1 to 3.  A
        periodic axis is a circle, around which the kernel is wrapped as often as it reaches.
        Elsewhere the integral ends at the wall: ``replicate`` is taken as ``zeros``.
    lengths
        Length of the domain along each axis.
    spacings
        Where the points of each axis lie, as `sciops.core.schema.Axis.spacing` says it:
        ``"cell"``, ``"periodic"`` and ``"left"`` mean h = L / n, ``"node"`` means h = L / (n - 1),
        with half a cell for the points on the walls, ``"interior"`` means h = L / (n + 1).
        Left out, it is ``"cell"`` for every axis.
    radius
        R, how far the kernel reaches along each axis; left out, half of the longest axis.
    scales
        s, how many radii R, R / 2, R / 4 ..
    points
        d, numbers of each scale along each axis.
    decay
        Mass of a scale over that of the next finer one.  With 1 the values of the kernel fall as
        1 / r^D, which for D = 1 is the factor 1/2 a scale of the source.

    Raises
    ------
    ConfigError
        For sides or spacings that do not exist or do not go together, or numbers out of range.
    ShapeError
        In `forward`, for a field of other channels or axes.

    Notes
    -----
    Shapes: x (B, C, *N) -> (B, C, *N).  Parameters: C (s d^D + 1).  Linear; equivariant to
    circular shifts along periodic axes; the same operator on every grid to second order in h, so
    `resolution` is ``"physical"``.  On walled ``"left"`` axes, and on ``"interior"`` ones unless
    the field vanishes on the walls, the strips at the ends are missed, which is of first order.

    W starts as N(0, 1), D as 1, and g_i = decay^i / sqrt(d^D sum_k decay^(2 k)), so that the
    integral of K is N(0, 1) too and y has one to sqrt(2) times the size of x.

    Lengths of the FFT are n on a periodic axis, slow where n has large prime factors, and the
    next product of 2, 3 and 5 after n + R / h beyond walls (2 n in graphs that are traced).  The
    layer works in float32 or float64, under autocast too.
    """

    linear: ClassVar[bool] = True
    equivariant: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = False
    resolution: ClassVar[Literal["modes", "physical", "fixed"]] = "physical"

    def __init__(
        self,
        channels: int,
        sides: Sequence[Side],
        lengths: Sequence[float],
        spacings: Sequence[Spacing] | None = None,
        radius: float | None = None,
        scales: int = 4,
        points: int = 7,
        decay: float = 1.0,
    ) -> None:
        super().__init__()
        check_sides(sides)
        spacings = check_spacings(sides, spacings)
        if len(lengths) != len(sides) or min(lengths) <= 0 or (radius is not None and radius <= 0):
            raise ConfigError(
                f"a positive length for each of {len(sides)} axes and a positive radius are "
                f"needed, got {tuple(lengths)} and {radius}"
            )
        if min(channels, scales, points) < 1 or decay <= 0:
            raise ConfigError(
                f"channels, scales and points of at least 1 and a positive decay are needed, got "
                f"{channels}, {scales}, {points} and {decay}"
            )
        self.channels, self.sides, self.spacings = channels, tuple(sides), spacings
        self.lengths = tuple(float(length) for length in lengths)
        largest = max(self.lengths) / 2 if radius is None else float(radius)
        self.radii = tuple(largest / 2 ** (scales - 1 - i) for i in range(scales))
        mass = [decay**i for i in range(scales)]
        norm = math.sqrt(points ** len(sides) * sum(m * m for m in mass))
        self.gains = tuple(m / norm for m in mass)
        shape = (channels, scales, *[points] * len(sides))
        self.weight = nn.Parameter(torch.randn(shape))  # W (C, s, d, ..)
        self.skip = nn.Parameter(torch.ones(channels))  # D

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, *N) -> (B, C, *N)."""
        check_field(x, self.channels, self.sides)
        dtype = torch.promote_types(x.dtype, torch.float32)  # there is no FFT of shorter numbers
        with torch.autocast(x.device.type, enabled=False):
            v = x.to(dtype)
            skip = self.skip.to(dtype).reshape(-1, *[1] * len(self.sides))
            if not torch.compiler.is_compiling() and len(x) == 0:  # no FFT of nothing
                return (skip * v).to(x.dtype)
            return (skip * v + self._convolved(v)).to(x.dtype)

    def _convolved(self, x: Tensor) -> Tensor:
        """K * x."""
        axes = range(len(self.sides))
        sizes, dims = x.shape[2:], list(range(2, x.ndim))
        lengths = [self._transform_length(a, sizes[a]) for a in axes]
        bases = [self._basis(a, sizes[a], lengths[a], x) for a in axes]
        for a in axes:
            if self.spacings[a] == "node":
                shape = [1] * x.ndim
                shape[a + 2] = sizes[a]
                x = x * node_weights(sizes[a], x).reshape(shape)
        kernel = self._kernel(bases)  # (C, *P)
        zeros = [w for a in reversed(axes) for w in (0, lengths[a] - sizes[a])]
        spectrum = torch.fft.rfftn(F.pad(x, zeros), dim=dims)
        spectrum = spectrum * torch.fft.rfftn(kernel, dim=[d - 1 for d in dims])
        y = torch.fft.irfftn(spectrum, s=lengths, dim=dims)
        for dim, n in zip(dims, sizes, strict=True):
            y = y.narrow(dim, 0, n)
        return y

    def _transform_length(self, axis: int, n: int) -> int:
        """Points P of the FFT: no less than n + the reach of the kernel, unless it wraps."""
        if self.sides[axis] == "periodic":
            return n
        if torch.compiler.is_compiling():
            return 2 * n  # a formula that holds for every n
        h = self.lengths[axis] / intervals(n, self.spacings[axis])
        reach = min(n - 1, math.ceil(self.radii[-1] / h + 0.5))
        return next_fast_len(n + reach, real=True)

    def _basis(self, axis: int, n: int, length: int, like: Tensor) -> Tensor:
        """(s, P, d): the integral of each hat over the cell of each offset, over delta_i."""
        j = torch.arange(length, device=like.device, dtype=like.dtype)
        h = self.lengths[axis] / intervals(n, self.spacings[axis])
        offsets = j[:, None]  # (P, images)
        if self.sides[axis] == "periodic":
            images = math.ceil(self.radii[-1] / self.lengths[axis])
            around = torch.arange(-images, images + 1, device=like.device, dtype=like.dtype)
            offsets = offsets + n * around
        else:
            offsets = torch.where(offsets < n, offsets, offsets - length)
        points = self.weight.shape[-1]
        m = torch.arange(points, device=like.device, dtype=like.dtype) - (points - 1) / 2
        hats = []
        for r in self.radii:
            fine = h * (points + 1) / (2 * r)  # h / delta_i
            hats.append(_hat_integral(offsets[..., None] * fine - m, fine).sum(1))
        return torch.stack(hats)

    def _kernel(self, bases: Sequence[Tensor]) -> Tensor:
        """(C, *P): the sum over scales of the tensor products, one axis after the other."""
        gains = torch.tensor(self.gains, dtype=bases[0].dtype, device=bases[0].device)
        w = self.weight.to(gains.dtype) * gains.reshape(-1, *[1] * len(bases))
        for a in reversed(range(len(bases))):  # the last of w's axes becomes the first
            flat = w.flatten(2, -2) if w.ndim > 3 else w[:, :, None]  # (C, s, X, d)
            rest = w.shape[2:-1]
            if a > 0:
                w = torch.einsum("csxm,spm->cspx", flat, bases[a])
                w = w.unflatten(3, rest)
            else:
                w = torch.einsum("csxm,spm->cpx", flat, bases[a])
                w = w.unflatten(2, rest) if rest else w[..., 0]
        return w


def _hat_integral(t: Tensor, width: float) -> Tensor:
    """The integral of phi from t - width / 2 to t + width / 2.

    It is width phi(t) wherever phi is linear on the interval; each kink in it adds a square.  So
    there is no difference of nearly equal numbers for a small width.
    """

    def kink(at: int) -> Tensor:
        return (width / 2 - (t - at).abs()).clamp(min=0).square() / 2

    return width * (1 - t.abs()).clamp(min=0) + kink(-1) - 2 * kink(0) + kink(1)


def check_spacings(
    sides: Sequence[Side], spacings: Sequence[Spacing] | None
) -> tuple[Spacing, ...]:
    """One spacing for each axis; ConfigError where one does not exist or fit its side."""
    if spacings is None:
        return ("cell",) * len(sides)
    if len(spacings) != len(sides) or any(s not in _MORE_INTERVALS for s in spacings):
        raise ConfigError(
            f"expected for each of {len(sides)} axes one of {tuple(_MORE_INTERVALS)}, got "
            f"{tuple(spacings)}; interpolate fields on graded axes to uniform ones first"
        )
    for side, spacing in zip(sides, spacings, strict=True):
        if side == "periodic" and spacing in ("node", "interior"):
            raise ConfigError(
                f"on a periodic axis h = L / n, but the spacing is {spacing!r}; leave out the "
                f"point that repeats the first one and say 'periodic'"
            )
    return tuple(spacings)


def intervals(n: int, spacing: Spacing) -> int:
    """L / h of n points."""
    if spacing == "node" and not torch.compiler.is_compiling() and n < 2:
        raise ShapeError("an axis with a point on either wall has at least 2 points, got 1")
    return n + _MORE_INTERVALS[spacing]


def node_weights(n: int, like: Tensor) -> Tensor:
    """(n,) weights of the trapezoidal rule over h: 1, and 1/2 at both ends."""
    j = torch.arange(n, device=like.device)
    return ((j > 0).to(like.dtype) + (j < n - 1).to(like.dtype)) / 2
