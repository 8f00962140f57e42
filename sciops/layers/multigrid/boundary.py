r"""One more point at both ends of every axis, by the rule of its wall.

    u_{-1} = u_{n-1}    periodic
             s u_0      wall half a spacing from the first point
             s u_1      wall on the first point; then u_0 = 0 if s < 0
             0 or u_0   wall one spacing away, Dirichlet or Neumann

A point of the wider grid is a point of the field times a sign: one gather, whose transpose is one
copy and a few sums on the boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciops.layers.linear_node import linear
from sciops.layers.multigrid.line import Line
from sciops.layers.tables import unobserved


def extended(v: Tensor, lines: Sequence[Line]) -> Tensor:
    """v (B, C, *N) with one more point at both ends of every axis: (B, C, *(N + 2))."""
    if torch.compiler.is_compiling():  # a graph holds no tables of numpy
        for dim, line in enumerate(lines, start=2):
            v = _by_slices(v, dim, line)
        return v
    return linear(_Extension(tuple(lines), tuple(v.shape[2:]), False), v)


def is_zero(lines: Sequence[Line]) -> bool:
    """Whether the field is continued by zeros along every axis."""
    return all(
        line.signs == (-1, -1) and line.offsets == (1.0, 1.0) and not line.periodic
        for line in lines
    )


def continued(line: Line, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each of the n + 2 points of the wider axis the point it copies, and the factor."""
    source = np.arange(-1, n + 1)
    sign = np.ones(n + 2)
    if line.periodic:
        return source % n, sign
    for end, step, offset, s in zip((0, n + 1), (1, -1), line.offsets, line.signs, strict=True):
        edge = end + step
        source[end] = source[edge] + (step if offset == 0 else 0)
        sign[end] = s if offset < 1 or s > 0 else 0
        if offset == 0 and s < 0:
            sign[edge] = 0
    return source.clip(0, n - 1), sign


def _by_slices(v: Tensor, dim: int, line: Line) -> Tensor:
    """One axis continued by plain operations."""
    n = v.shape[dim]
    if line.periodic:
        return torch.cat([v.narrow(dim, n - 1, 1), v, v.narrow(dim, 0, 1)], dim)
    parts = [v]
    for end, step, offset, s in zip((0, n - 1), (1, -1), line.offsets, line.signs, strict=True):
        beyond = v.narrow(dim, end + step if offset == 0 else end, 1)
        if s < 0:
            beyond = torch.zeros_like(beyond) if offset == 1 else -beyond
        parts = [beyond, *parts] if step > 0 else [*parts, beyond]
    wide = torch.cat(parts, dim)
    for place, offset, s in zip((1, n), line.offsets, line.signs, strict=True):
        if offset == 0 and s < 0:
            before, after = wide.narrow(dim, 0, place), wide.narrow(dim, place + 1, n + 1 - place)
            wide = torch.cat([before, torch.zeros_like(before.narrow(dim, 0, 1)), after], dim)
    return wide


@dataclass(frozen=True, eq=False)
class _Extension:
    """E, from the grid of `sizes` to one with two more points an axis, or its transpose."""

    lines: tuple[Line, ...]
    sizes: tuple[int, ...]
    transposed: bool

    batch = 0, 0

    def transpose(self) -> _Extension:
        return _Extension(self.lines, self.sizes, not self.transposed)

    def apply(self, v: Tensor) -> Tensor:
        table = _gather(self.lines, self.sizes, v.device)
        batch, channels, *sizes = v.shape
        v = v.movedim(1, -1)  # (B, *N, C)
        if not self.transposed:
            rows = v.reshape(batch, prod(sizes), channels)
            wide = rows.index_select(1, table.source)
            if len(table.other):
                values = rows.index_select(1, table.other_source)
                wide[:, table.other] = values.mul_(table.factor.to(v.dtype))
            return wide.reshape(batch, *(n + 2 for n in sizes), channels).movedim(-1, 1)
        inner = v
        for d, n in enumerate(self.sizes, start=1):
            inner = inner.narrow(d, 1, n)
        rows = v.reshape(batch, prod(sizes), channels)
        field = inner.clone(memory_format=torch.contiguous_format)
        field = field.reshape(batch, prod(self.sizes), channels)
        values = rows.index_select(1, table.ghosts).mul_(table.ghost_factor.to(v.dtype))
        field.index_add_(1, table.ghost_source, values)
        return field.reshape(batch, *self.sizes, channels).movedim(-1, 1)


def neighbours(v: Tensor, lines: Sequence[Line]) -> Tensor:
    """The 3^D values around each point: v (B, C, *N) -> (B, prod N, 3^D, C), of small grids."""
    source, factor = _neighbours(tuple(lines), tuple(v.shape[2:]), v.device)
    rows = v.movedim(1, -1).flatten(1, -2)  # (B, prod N, C)
    around = rows.index_select(1, source)
    if factor is not None:
        around = around * factor.to(v.dtype)
    return around.unflatten(1, (rows.shape[1], -1))


@lru_cache(maxsize=256)
def _neighbours(
    lines: tuple[Line, ...], sizes: tuple[int, ...], device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Numbers of the neighbours of all points, (prod N * 3^D,), and factors (., 1) or None."""
    source, factor = _wide(lines, sizes)
    windows = [
        np.lib.stride_tricks.sliding_window_view(a, (3,) * len(sizes)).ravel()
        for a in (source, factor)
    ]
    with unobserved():
        index = torch.from_numpy(windows[0].copy()).to(device)
        if (windows[1] == 1).all():
            return index, None
        return index, torch.from_numpy(windows[1][:, None].copy()).float().to(device)


@dataclass(frozen=True)
class _Gather:
    """Numbers of points in the flattened grids, and factors (., 1)."""

    source: Tensor  # for every wide point
    other: Tensor  # wide points whose factor is not 1,
    other_source: Tensor
    factor: Tensor
    ghosts: Tensor  # wide points that differ from the point at their own place,
    ghost_source: Tensor
    ghost_factor: Tensor


@lru_cache(maxsize=256)
def _gather(lines: tuple[Line, ...], sizes: tuple[int, ...], device: torch.device) -> _Gather:
    source, factor = _wide(lines, sizes)
    own = np.zeros((), np.int64)
    for n in sizes:
        place = np.arange(-1, n + 1)
        inside = (place >= 0) & (place < n)
        own = np.where((own[..., None] >= 0) & inside, own[..., None] * n + place, -1)
    source, factor, own = source.ravel(), factor.ravel(), own.ravel()
    other = np.flatnonzero(factor != 1)
    # the transpose copies the points at their own place with factor 1, and adds what is missing
    missing = np.where(own == source, factor - 1, factor)
    ghosts = np.flatnonzero(missing)
    with unobserved():
        indices = [torch.from_numpy(a) for a in (source, other, source[other], ghosts)]
        indices.append(torch.from_numpy(source[ghosts]))
        numbers = [torch.from_numpy(a[:, None]) for a in (factor[other], missing[ghosts])]
        source_, other_, other_source, ghosts_, ghost_source = (i.to(device) for i in indices)
        factor_, ghost_factor = (a.float().to(device) for a in numbers)
    return _Gather(source_, other_, other_source, factor_, ghosts_, ghost_source, ghost_factor)


def _wide(
    lines: Sequence[Line], sizes: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each point of the wider grid the number of the point it copies, and the factor."""
    source, factor = np.zeros((), np.int64), np.ones(())
    for line, n in zip(lines, sizes, strict=True):
        here, sign = continued(line, n)
        source = source[..., None] * n + here
        factor = factor[..., None] * sign
    return source, factor
