r"""The V-cycle of `_v_cycle.py` made of operations that derivatives pass through.

It gives the same z = B r to rounding, as a function of r and of the entries of all grids; new
tensors stand where the other one works in place, which costs it several times the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import numpy as np
import torch
from torch import Tensor

from sciops.core.kernel import Kernel
from sciops.core.linear import LinearMap
from sciops.solvers._black_box import Index
from sciops.solvers._hierarchy import Hierarchy
from sciops.solvers._v_cycle import Level

Fields = dict[Index, Tensor]  # parity -> (*batch, M)
Link = tuple[slice, Tensor, Index, slice]  # y[i] <- y[i] + t x_b[j]


@final
class DifferentiableCycle(LinearMap):
    """z = B r with one sweep before and after the coarse grid.

    Parameters
    ----------
    A
        The matrix.
    grids
        Its grids.
    """

    def __init__(self, A: LinearMap, grids: Hierarchy) -> None:
        super().__init__(A.shape, A.dtype, A.device, True, True, A.batch)
        self._kernel = A.kernel
        self._scale = grids.scale
        self._grids = grids
        self._levels = [_Links(Level(fine, A.dtype)) for fine in grids.levels]
        self._inverse = grids.inverse().to(A.dtype)

    @property
    def kernel(self) -> Kernel | None:
        return self._kernel

    def matvec(self, x: Tensor) -> Tensor:
        d = len(self.shape)
        batch = np.broadcast_shapes(x.shape[:-d], self.batch)
        return self._cycle(x.expand(*batch, *self.shape), 0) / self._scale

    def _cycle(self, field: Tensor, number: int) -> Tensor:
        """The cycle from grid `number` on; field and answer (*batch, *shape of that grid)."""
        d = len(self.shape)
        if number == len(self._levels):
            flat = field.flatten(-d)
            return (self._inverse @ flat[..., None]).reshape(field.shape)
        links, fine = self._levels[number], self._grids.levels[number]
        level = links.level
        r = fine.pack(field)
        x: Fields = {}
        for a in level.order:
            x[a] = _sum(r[a], links.earlier[a], x) * level.inverse[a]
        zero = torch.zeros_like(r[level.even])
        q = {a: _sum(zero, links.later[a], x) for a in level.order if a not in level.last}
        coarse = _sum(q[level.even], links.restrict, q)
        coarse = self._cycle(coarse.reshape(*field.shape[:-d], *level.packed_shape), number + 1)
        c = coarse.flatten(-d)
        for a in level.order:
            if a not in level.last:
                x[a] = (
                    x[a] + c if a == level.even else _sum(x[a], links.prolong[a], {level.even: c})
                )
        for a in reversed(level.order):
            x[a] = _sum(r[a], links.all[a], x) * level.inverse[a]
        return fine.unpack(x)


class _Links:
    """The products of a level by the parity that they are added to."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.all: dict[Index, list[Link]] = {a: [] for a in level.order}
        rank = {a: k for k, a in enumerate(level.order)}
        for t, *sides in level.links:
            for a, i, b, j in (sides, (*sides[2:], *sides[:2])):
                self.all[a].append((i, t, b, j))
        self.earlier = {
            a: [k for k in links if rank[k[2]] < rank[a]] for a, links in self.all.items()
        }
        self.later = {
            a: [k for k in links if rank[k[2]] > rank[a]] for a, links in self.all.items()
        }
        self.restrict: list[Link] = [(j, w, a, i) for w, a, i, j in level.transfers]
        self.prolong: dict[Index, list[Link]] = {a: [] for a in level.order}
        for w, a, i, j in level.transfers:
            self.prolong[a].append((i, w, level.even, j))


def _sum(base: Tensor, links: Iterable[Link], x: Fields) -> Tensor:
    """base + sum over the links of t x, a new tensor."""
    y = base.clone()
    for i, t, b, j in links:
        y[..., i] += t * x[b][..., j]
    return y
