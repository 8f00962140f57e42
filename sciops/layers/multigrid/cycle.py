r"""A linear map between fields as one multigrid cycle: f -> u, with stencils that are learned.

On each grid, from the finest (level 0) to the coarsest, with A: C_u -> C_f and S: C_f -> C_u
stencils of 3 points an axis, each step with its own,

    pre-smoothing    u <- u + S (f - A u)                          pre times, from u = 0: u <- S f
    restriction      f_c = R (f - A u),   u_c = 0                  restrict: residual
                     f_c = R f,           u_c = Pi u               restrict: data
    the coarser grid
    prolongation     u <- u + P (u_c - Pi u)                       correction: difference
                     u <- u + P u_c                                correction: sum
    post-smoothing   as pre-smoothing                              post times

With the residual restricted (where the two corrections are one, since u_c starts at zero) and A, S
those of an equation and its smoother, this is the V-cycle of multigrid, to the digit; the
network of the paper restricts the data f and adds P u_c, which is an additive method.  W is linear:
there is neither bias nor normalisation in it.

Every operator keeps the boundary: stencils see the field continued by the rule of each wall
(`boundary.py`), transfers are those of `transfers.py`, perhaps followed by a learned stencil on
the coarse grid.  Any number of points serves, down to `coarsest` points an axis.

Units: with A of weight h^-2 and S of weight h^2, weights mean the same on every grid.  On a grid
whose spacing is `ratio` times that of the weights, each level takes the weights of the level whose
spacing is the nearest, A times its own ratio^-2 and S times ratio^2; levels finer than all share
those of the finest.  So W of an equation's own A and S stays the multigrid of that equation.

Source: J. He, X. Liu, J. Xu, MgNO: Efficient parameterization of linear operators via multigrid,
2024, arXiv 2310.19809.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.convolution import channels_last, convolve
from sciops.layers.multigrid.boundary import extended, is_zero, neighbours
from sciops.layers.multigrid.line import Line
from sciops.layers.multigrid.transfers import coarse_sizes, prolong, restrict

Transfer = Literal["fixed", "depthwise", "full", "strided"]

FEW = 1024  # points, of all samples, up to which a stencil is a matrix product
_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class Stencil(nn.Module):
    """Three points along every axis, the field continued by the rules of its walls.

    Parameters
    ----------
    c_in, c_out
        Channels; equal ones may be kept apart (`depthwise`).
    lines
        The axes.
    stride
        1, or 2 as the published transfers have it.

    Notes
    -----
    Shapes: v (B, c_in, *N) -> (B, c_out, *N).  No bias.
    """

    def __init__(
        self, c_in: int, c_out: int, lines: Sequence[Line], depthwise: bool = False, stride: int = 1
    ) -> None:
        super().__init__()
        self.lines = tuple(lines)
        self.native = is_zero(lines)  # the convolution's own zeros
        self.convolution = _CONVOLUTIONS[len(lines)](
            c_in,
            c_out,
            3,
            stride=stride,
            padding=1 if self.native else 0,
            groups=c_in if depthwise else 1,
            bias=False,
        )

    def forward(self, v: Tensor) -> Tensor:
        """v (B, c_in, *N) -> (B, c_out, *N)."""
        if self._by_products(v):
            weight = self.convolution.weight.flatten(2).permute(2, 1, 0)  # (3^D, c_in, c_out)
            rows = neighbours(v, self.lines).flatten(2)  # (B, prod N, 3^D c_in)
            return (rows @ weight.flatten(0, 1)).movedim(-1, 1).unflatten(2, v.shape[2:])
        return convolve(self.convolution, v if self.native else extended(v, self.lines))

    def _by_products(self, v: Tensor) -> bool:
        """Whether the grid is so small that one matrix product is faster than a convolution."""
        plain = self.convolution.groups == 1 and self.convolution.stride[0] == 1
        if torch.compiler.is_compiling() or not plain:
            return False
        return v.shape[0] * math.prod(v.shape[2:]) <= FEW


class Step(nn.Module):
    """u <- u + S (f - A u); from u = 0, S f, and then there may be no A."""

    def __init__(self, c_u: int, c_f: int, lines: Sequence[Line], first: bool) -> None:
        super().__init__()
        self.A = None if first else Stencil(c_u, c_f, lines)
        self.S = Stencil(c_f, c_u, lines)

    def forward(self, u: Tensor | None, f: Tensor, ratio: float) -> Tensor:
        """u (B, C_u, *N) or None for 0, f (B, C_f, *N) -> (B, C_u, *N)."""
        if u is None or self.A is None:
            return _scaled(self.S(f), ratio**2)
        return u + _scaled(self.S(f - _scaled(self.A(u), ratio**-2)), ratio**2)


class Coarsening(nn.Module):
    """What lies between a grid and the next: restriction of f, of u, prolongation of u."""

    def __init__(
        self,
        c_u: tuple[int, int],
        c_f: tuple[int, int],
        lines: Sequence[Line],
        kind: Transfer,
        of_u: bool,
        kernel: int,
    ) -> None:
        super().__init__()
        self.lines, self.strided = tuple(lines), kind == "strided"
        if self.strided:
            self.R: nn.Module = Stencil(*c_f, lines, stride=2)
            self.Pi = Stencil(*c_u, lines, stride=2) if of_u else None
            self.P: nn.Module = _TRANSPOSED[len(lines)](
                c_u[1], c_u[0], kernel, stride=2, padding=1, bias=False
            )
        else:
            self.R = _learned(*c_f, lines, kind)
            self.Pi = _learned(*c_u, lines, kind) if of_u else None
            self.P = _learned(c_u[1], c_u[0], lines, kind)

    def restrict(self, v: Tensor, sizes: Sequence[int], of_u: bool) -> Tensor:
        """R f, or Pi u, on the grid of `sizes`."""
        learned = self.Pi if of_u else self.R
        assert learned is not None
        return learned(v) if self.strided else learned(restrict(v, self.lines, sizes))

    def prolong(self, v: Tensor, sizes: Sequence[int]) -> Tensor:
        """P u_c on the grid of `sizes`."""
        if not self.strided:
            return prolong(self.P(v), self.lines, sizes)
        u = self.P(v)
        lacking = [n - m for n, m in zip(sizes, u.shape[2:], strict=True)]
        if any(k > 0 for k in lacking):
            u = F.pad(u, [k for n in reversed(lacking) for k in (0, max(n, 0))])
        for d, n in enumerate(sizes, start=2):
            u = u.narrow(d, 0, n)
        return u


@dataclass(frozen=True)
class Scheme:
    """How the grids work together; see the head of this file.

    Attributes
    ----------
    steps
        (pre, post) of each level; the last entry stands for all further ones.
    restrict
        ``residual``, as multigrid does; or ``data``, as published.
    correction
        What is prolonged where u_c does not start at zero (restrict: data).
    transfers
        ``fixed`` (full weighting, linear), these with a learned stencil for every channel
        (``depthwise``) or for all together (``full``); or ``strided``, the published convolutions
        of stride 2, which put the coarse points elsewhere than the walls and levels expect.
    kernels
        Of strided prolongations, a level each (the last for all further ones): 4 doubles the
        points, 3 gives one less.
    """

    steps: tuple[tuple[int, int], ...] = ((1, 1),)  # the coarsest grid does both
    restrict: Literal["residual", "data"] = "residual"
    correction: Literal["difference", "sum"] = "difference"
    transfers: Transfer = "fixed"
    kernels: tuple[int, ...] = (4,)

    def at(self, level: int) -> tuple[int, int]:
        """(pre, post) of a level."""
        return self.steps[min(level, len(self.steps) - 1)]

    def coarse(self, lines: Sequence[Line], sizes: Sequence[int], least: int) -> tuple[int, ...]:
        """The sizes of the next grid, or `sizes` where it would be too coarse."""
        if self.transfers != "strided":
            return coarse_sizes(lines, sizes, least)
        halved = tuple((n + 1) // 2 for n in sizes)
        return halved if min(halved) >= least else tuple(sizes)

    def depth(self, lines: Sequence[Line], sizes: Sequence[int], least: int = 2) -> int:
        """The number of grids from that of `sizes` down to the coarsest."""
        count, sizes = 1, tuple(sizes)
        while (halved := self.coarse(lines, sizes, least)) != sizes:
            count, sizes = count + 1, halved
        return count

    def kernel(self, level: int) -> int:
        """Of the strided prolongation onto a level."""
        return self.kernels[min(level, len(self.kernels) - 1)]


class Level(nn.Module):
    """The learned stencils of one grid, and of the way to the next."""

    def __init__(
        self,
        lines: Sequence[Line],
        scheme: Scheme,
        level: int,
        here: tuple[int, int],
        below: tuple[int, int] | None,
    ) -> None:
        super().__init__()
        of_u = scheme.restrict == "data"
        pre, post = scheme.at(level)
        from_zero = level == 0 or not of_u
        self.pre = nn.ModuleList(Step(*here, lines, from_zero and k == 0) for k in range(pre))
        only = from_zero and pre == 0 and below is None  # of the coarsest grid, from zero
        self.post = nn.ModuleList(Step(*here, lines, only and k == 0) for k in range(post))
        self.A = Stencil(*here, lines) if below is not None and pre and not of_u else None
        self.coarsening = None
        if below is not None:
            c_u, c_f = zip(here, below, strict=True)
            self.coarsening = Coarsening(
                c_u, c_f, lines, scheme.transfers, of_u, scheme.kernel(level)
            )


class VCycle(nn.Module):
    """W of the equations above.

    Parameters
    ----------
    c_f, c_u
        Channels of f and u, on the finest grid.
    lines
        The axes: where their points lie, and their walls.
    levels
        Grids at most.
    scheme
        How they work together.
    growth
        Channels of level l are (1 + growth l) times those of level 0.
    coarsest
        Points that an axis keeps at least: one that would have fewer is not coarsened, and where
        none is there are no further levels.

    Notes
    -----
    Shapes: f (B, C_f, *N) -> (B, C_u, *N), for any N.
    """

    def __init__(
        self,
        c_f: int,
        c_u: int,
        lines: Sequence[Line],
        levels: int = 5,
        scheme: Scheme | None = None,
        growth: int = 0,
        coarsest: int = 2,
    ) -> None:
        super().__init__()
        scheme = Scheme() if scheme is None else scheme
        if len(lines) not in _CONVOLUTIONS or levels < 1 or coarsest < 1:
            raise ConfigError(
                f"expected one to three axes, at least one level and one coarsest point, got "
                f"{len(lines)}, {levels}, {coarsest}"
            )
        if scheme.transfers in ("fixed", "depthwise") and growth:
            raise ConfigError(f"{scheme.transfers} transfers keep the channels; growth must be 0")
        self.lines, self.scheme, self.coarsest = tuple(lines), scheme, coarsest
        self.channels = c_f, c_u
        widths = [(c_u * (1 + growth * k), c_f * (1 + growth * k)) for k in range(levels)]
        self.levels = nn.ModuleList(
            Level(lines, scheme, k, widths[k], widths[k + 1] if k + 1 < levels else None)
            for k in range(levels)
        )

    def forward(self, f: Tensor, ratio: float = 1.0) -> Tensor:
        """f (B, C_f, *N) -> u (B, C_u, *N); `ratio` is the spacing over that of the weights."""
        if f.ndim != len(self.lines) + 2 or f.shape[1] != self.channels[0]:
            raise ShapeError(
                f"expected a field (B, {self.channels[0]}, and {len(self.lines)} sizes), got "
                f"{tuple(f.shape)}"
            )
        level = 0 if ratio == 1.0 else round(math.log2(ratio))
        return self._solve(level, None, channels_last(f), ratio)

    def _solve(self, level: int, u: Tensor | None, f: Tensor, ratio: float) -> Tensor:
        """u on the grid of f, whose spacing is `ratio` times that of level 0."""
        own = min(max(level, 0), len(self.levels) - 1)
        at, sizes, scale = self.levels[own], f.shape[2:], ratio / 2**own
        for step in at.pre:
            u = step(u, f, scale)
        coarse = self.scheme.coarse(self.lines, sizes, self.coarsest)
        if at.coarsening is not None and coarse != tuple(sizes):
            r, start = f, None
            if self.scheme.restrict == "data":
                start = None if u is None else at.coarsening.restrict(u, coarse, of_u=True)
            elif u is not None:
                r = f - _scaled(at.A(u), scale**-2)
            f_c = at.coarsening.restrict(r, coarse, of_u=False)
            u_c = self._solve(level + 1, start, f_c, 2 * ratio)
            if start is not None and self.scheme.correction == "difference":
                u_c = u_c - start
            correction = at.coarsening.prolong(u_c, sizes)
            u = correction if u is None else u + correction
        for step in at.post:
            u = step(u, f, scale)
        assert u is not None
        return u


def _scaled(v: Tensor, factor: float) -> Tensor:
    return v if factor == 1.0 else v * factor


def _learned(c_in: int, c_out: int, lines: Sequence[Line], kind: Transfer) -> nn.Module:
    """A stencil on the coarse grid that starts as the identity, or none."""
    if kind == "fixed":
        return nn.Identity()
    stencil = Stencil(c_in, c_out, lines, depthwise=kind == "depthwise")
    centre = (slice(None), slice(None), *(1 for _ in lines))
    with torch.no_grad():
        if kind == "depthwise":
            stencil.convolution.weight.zero_()
            stencil.convolution.weight[centre] = 1
        else:
            stencil.convolution.weight[centre] += torch.eye(c_out, c_in)
    return stencil
