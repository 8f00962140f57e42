r"""Between the grids of a cycle: restriction R, a mean over cells, and prolongation P, linear.

    (R v)_j = sum_i |c_j & c_i| / |c_j| v_i,        (P v)_i = v at x_i, piecewise linear

with the walls of `line.py`, which both keep: P continues a field by its reflection, and R and P
map constants to constants between Neumann walls and on periodic axes.  On a nested grid R has the
weights (1/2, 1/2) or (1/4, 1/2, 1/4) along an axis, and P (1/4, 3/4) or (1/2, 1/2): full weighting
and bilinear interpolation.  Other sizes have matrices along each axis, so that a grid of any size
has a coarser one.

Fields are kept channels-last in memory, where a gather along an axis moves whole rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sciops.layers.linear_node import linear
from sciops.layers.multigrid.line import Line
from sciops.layers.tables import table, unobserved

What = Literal["averages", "interpolation"]

SMALL = 64  # points up to which a full matrix along an axis is faster than bands
BLOCK = 256  # rows made at a time
_POOLS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def coarse_sizes(lines: Sequence[Line], sizes: Sequence[int], coarsest: int) -> tuple[int, ...]:
    """The sizes of the next grid; an axis that would have less than `coarsest` unknowns stays."""
    return tuple(
        m if line.unknowns(m := line.coarse(n)) >= coarsest else n
        for line, n in zip(lines, sizes, strict=True)
    )


def restrict(v: Tensor, lines: Sequence[Line], sizes: Sequence[int]) -> Tensor:
    """R v: (B, C, *N) -> (B, C, *sizes), sizes as `coarse_sizes` gives them, or any smaller."""
    axes = list(zip(lines, v.shape[2:], sizes, strict=True))
    pairs = [2 if line.aligned == "cell" and n == 2 * m else 1 for line, n, m in axes]
    if max(pairs) > 1:
        v = _POOLS[len(lines)](v, pairs, pairs)
    for d, (line, m) in enumerate(zip(lines, sizes, strict=True), start=2):
        v = _along(v, d, line, m, "averages")
    return v


def prolong(v: Tensor, lines: Sequence[Line], sizes: Sequence[int]) -> Tensor:
    """P v: (B, C, *N) -> (B, C, *sizes), the way back to a grid of any more points."""
    for d in reversed(range(len(lines))):  # the last axis, of short rows, while there are few
        v = _along(v, d + 2, lines[d], sizes[d], "interpolation")
    return v


def resample(v: Tensor, lines: Sequence[Line], sizes: Sequence[int]) -> Tensor:
    """v (B, C, *N) on a grid of any `sizes`: by R along axes with fewer points, by P with more.

    While a graph is traced, where a size may be a symbol, both are made and one is taken.
    """
    if torch.compiler.is_compiling():
        for d, (line, m) in enumerate(zip(lines, sizes, strict=True), start=2):
            v = _times(v, d, table(_resampling, line, v.shape[d], m, like=v))
        return v
    for d, m in enumerate(sizes, start=2):
        n, step = v.shape[d], [*v.shape[2:]]
        step[d - 2] = m
        if n != m:
            v = (restrict if n > m else prolong)(v, lines, step)
    return v


def _resampling(line: Line, n: int, m: int, device: torch.device) -> Tensor:
    """R or P from n to m points, (m, n)."""
    fewer = torch.full((), n, device=device) > torch.full((), m, device=device)
    return torch.where(fewer, line.averages(n, m, device), line.interpolation(n, m, device))


def _along(v: Tensor, dim: int, line: Line, m: int, what: What) -> Tensor:
    """R or P along one axis."""
    n = v.shape[dim]
    if n == m:
        return v
    cells = what == "interpolation" and line.aligned == "cell" and m == 2 * n
    if cells and m >= SMALL and not torch.compiler.is_compiling():
        return linear(_Doubled(line, dim, n, False), v)
    if torch.compiler.is_compiling() or max(n, m) <= SMALL:
        return _times(v, dim, table(getattr(Line, what), line, n, m, like=v))
    forth, back = _bands(line, n, m, what, v.device)
    return linear(_Banded(dim, forth, back), v)


def _times(v: Tensor, dim: int, matrix: Tensor) -> Tensor:
    """A matrix (m, n) along an axis of v (B, C, *N)."""
    v = v.movedim(1, -1)  # (B, *N, C)
    before, n, after = v.shape[: dim - 1], v.shape[dim - 1], v.shape[dim:]
    rows = v.reshape(prod(before), n, prod(after))
    rows = torch.bmm(matrix.to(v.dtype).expand(rows.shape[0], -1, -1), rows)
    return rows.reshape(*before, matrix.shape[0], *after).movedim(-1, 1)


@dataclass(frozen=True)
class _Bands:
    """A matrix with K non-zeros a row: columns (K, m) and values (K, m)."""

    columns: Tensor
    values: Tensor


@dataclass(frozen=True, eq=False)
class _Banded:
    """A matrix with few non-zeros along an axis: its rows, and those of the transpose."""

    dim: int
    forth: _Bands
    back: _Bands

    batch = 0, 0

    def transpose(self) -> _Banded:
        return _Banded(self.dim, self.back, self.forth)

    def apply(self, v: Tensor) -> Tensor:
        v = v.movedim(1, -1).contiguous()  # (B, *N, C)
        axis = self.dim - 1
        shape = [-1] + [1] * (v.ndim - axis - 1)
        weights = [w.to(v.dtype).reshape(shape) for w in self.forth.values]
        out = v.index_select(axis, self.forth.columns[0]).mul_(weights[0])
        for column, weight in zip(self.forth.columns[1:], weights[1:], strict=True):
            out.addcmul_(v.index_select(axis, column), weight)
        return out.movedim(-1, 1)


@dataclass(frozen=True, eq=False)
class _Doubled:
    """P from m to 2 m cells along an axis, or its transpose, by slices.

    u_{2j} = 3/4 v_j + 1/4 v_{j-1},   u_{2j+1} = 3/4 v_j + 1/4 v_{j+1},   v beyond a wall s v_0.
    """

    line: Line
    dim: int
    m: int
    transposed: bool

    batch = 0, 0

    def transpose(self) -> _Doubled:
        return _Doubled(self.line, self.dim, self.m, not self.transposed)

    def apply(self, v: Tensor) -> Tensor:
        v = v.movedim(1, -1).contiguous()  # (B, *N, C)
        axis, m = self.dim - 1, self.m
        ends = [(0, m - 1), (m - 1, 0)]  # of v, and what follows it around a periodic axis
        if self.transposed:
            pairs = v.unflatten(axis, (m, 2))
            even, odd = pairs.select(axis + 1, 0), pairs.select(axis + 1, 1)
            out = (even + odd).mul_(0.75)
            inner, outer = out.narrow(axis, 0, m - 1), out.narrow(axis, 1, m - 1)
            inner.add_(even.narrow(axis, 1, m - 1), alpha=0.25)
            outer.add_(odd.narrow(axis, 0, m - 1), alpha=0.25)
            for (here, around), half, sign in zip(ends, (even, odd), self.line.signs, strict=True):
                target = out.select(axis, around if self.line.periodic else here)
                target.add_(half.select(axis, here), alpha=0.25 * sign)
            return out.movedim(-1, 1)
        out = v.new_empty((*v.shape[:axis], m, 2, *v.shape[axis + 1 :]))
        even, odd = out.select(axis + 1, 0), out.select(axis + 1, 1)
        first, last = v.narrow(axis, 0, m - 1), v.narrow(axis, 1, m - 1)
        torch.lerp(last, first, 0.25, out=even.narrow(axis, 1, m - 1))
        torch.lerp(first, last, 0.25, out=odd.narrow(axis, 0, m - 1))
        for (here, around), half, sign in zip(ends, (even, odd), self.line.signs, strict=True):
            edge, end = v.select(axis, here), half.select(axis, here)
            if self.line.periodic:
                torch.lerp(edge, v.select(axis, around), 0.25, out=end)
            else:
                torch.mul(edge, 0.75 + 0.25 * sign, out=end)
        return out.flatten(axis, axis + 1).movedim(-1, 1)


@lru_cache(maxsize=256)
def _bands(line: Line, n: int, m: int, what: What, device: torch.device) -> tuple[_Bands, _Bands]:
    """The rows of R or P from n to m points, and those of its transpose."""
    from scipy.sparse import csr_array, vstack

    with unobserved():
        blocks = [
            csr_array(getattr(line, what)(n, m, torch.device("cpu"), slice(k, k + BLOCK)).numpy())
            for k in range(0, m, BLOCK)
        ]
    matrix = csr_array(vstack(blocks))
    return _rows(matrix, device), _rows(csr_array(matrix.T), device)


def _rows(matrix: Any, device: torch.device) -> _Bands:
    """The non-zeros of each row, filled up with zeros."""
    counts = np.diff(matrix.indptr)
    k = np.arange(counts.max())[:, None]
    places = np.minimum(matrix.indptr[:-1] + k, matrix.nnz - 1)
    inside = k < counts
    columns = np.where(inside, matrix.indices[places], 0).astype(np.int64)
    values = np.where(inside, matrix.data[places], 0.0)
    with unobserved():
        return _Bands(torch.from_numpy(columns).to(device), torch.from_numpy(values).to(device))
