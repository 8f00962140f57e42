r"""The V-cycle B: r -> z with z close to A^-1 r, symmetric positive definite by form.

    x <- G r                              one Gauss-Seidel sweep from x = 0
    x <- x + P B_c P^T (r - A x)          B_c: the cycle for A_c = P^T A P, A_c^-1 on the coarsest
    x <- x + G^T (r - A x)                the same sweep backwards

P and A_c are those of a `Hierarchy`.  The sweep goes parity by parity, even ones first: red and
black points where A couples neighbours along the axes only, 2^D colours on the other grids.  After
it, the residual on one colour is what the later colours have changed, sum_{later b} t x_b: it is
zero on the last, and costs half an A x on the others.  What P gives to the last colour has no
effect, because the backward sweep begins there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from sciops.core.kernel import Kernel
from sciops.core.linear import LinearMap
from sciops.solvers._black_box import Index, Parities, ends, inverted, part
from sciops.solvers._hierarchy import Hierarchy

Product = tuple[Tensor, Tensor, Tensor]  # views (y, t, x) of y <- y + t x


@final
class MultigridCycle(LinearMap):
    """z = B r; gradients do not pass through it.

    Parameters
    ----------
    A
        The matrix.
    grids
        Its grids.
    smoothing_steps
        Sweeps before and after the coarse grid each.
    dtype
        Type in which the cycle runs; it takes and gives tensors of A's type.
    """

    def __init__(
        self, A: LinearMap, grids: Hierarchy, smoothing_steps: int, dtype: torch.dtype
    ) -> None:
        super().__init__(A.shape, A.dtype, A.device, True, True, A.batch)
        self._kernel = A.kernel
        self._scale = grids.scale
        self._steps = smoothing_steps
        self._levels = [Level(fine, dtype) for fine in grids.levels]
        self._inverse = grids.inverse().to(dtype)
        self._free: dict[Any, list[list[_Work]]] = {}  # memory of earlier calls, by kind of call

    @property
    def kernel(self) -> Kernel | None:
        return self._kernel

    @torch.no_grad()
    def matvec(self, x: Tensor) -> Tensor:
        x = x.detach()  # forward derivatives, which no_grad lets pass
        d = len(self.shape)
        batch = np.broadcast_shapes(x.shape[:-d], self.batch)
        r = x.expand(*batch, *self.shape)
        flat = r.flatten(-d)
        size = torch.maximum(flat.amax(-1), -flat.amin(-1))  # 9 times as fast as torch's norm
        size = torch.where(size == 0, 1.0, size).reshape(*batch, *(1 for _ in range(d)))
        if not self._levels:
            z = self._solve_coarsest((r / size).to(self._inverse.dtype))
            return z.to(r.dtype) * (size / self._scale)
        works, free = self._memory(batch)
        works[0].load(r, 1.0 / size)
        self._cycle(works)
        z = torch.empty_like(r, memory_format=torch.contiguous_format)
        works[0].store(z)
        free.append(works)
        return z.mul_(size / self._scale)

    def _cycle(self, works: Sequence[_Work]) -> None:
        work, coarser = works[0], works[1:]
        work.smooth()
        coarse = work.restricted_residual()
        if coarser:
            coarser[0].take()
            self._cycle(coarser)
            coarser[0].give()
        else:
            coarse.copy_(self._solve_coarsest(coarse))
        work.correct()
        work.smooth_backwards()

    def _solve_coarsest(self, r: Tensor) -> Tensor:
        """The product with the dense inverse; one by one, so that a batch changes no digit."""
        flat = r.flatten(-len(self.shape))  # (*batch, N)
        if self.batch:
            return (self._inverse @ flat[..., None]).reshape(r.shape)
        rows = flat.reshape(-1, flat.shape[-1])
        if len(rows) == 0:
            return torch.zeros_like(r)
        return torch.stack([self._inverse @ row.clone() for row in rows]).reshape(r.shape)

    def _memory(self, batch: Sequence[int]) -> tuple[list[_Work], list[list[_Work]]]:
        """Fields to work in, and where to put them back: two threads never share them."""
        kind = (tuple(batch), torch.is_inference_mode_enabled())
        if kind not in self._free:
            self._free = {kind: []}
        free = self._free.setdefault(kind, [])
        try:
            return free.pop(), free
        except IndexError:
            works = [_Work(level, batch, self._steps) for level in self._levels]
            for finer, coarser in pairwise(works):
                coarser.join(finer.coarse)
            return works, free

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_free": {}}


class Level:
    """One grid of the cycle: its entries by parity in the type of the cycle, (*stack, M) each."""

    def __init__(self, fine: Parities, dtype: torch.dtype) -> None:
        self.even = (0,) * fine.dimensions
        self.packed_shape, self.size = fine.packed_shape, math.prod(fine.packed_shape)
        self.order = sorted(fine.parities, key=lambda a: sum(a) % 2)  # of the sweep
        self.inverse = {a: inverted(d).to(dtype) for a, d in fine.diagonal.items()}
        # t couples the points `i` of parity a with the points `j` of parity b.
        self.links: list[tuple[Tensor, Index, slice, Index, slice]] = []
        for (a, o), t in fine.couplings.items():
            if o > self.even:
                b, shift = fine.neighbour(a, o)
                i, j = ends(self.size, shift)
                self.links.append((part(t, i).to(dtype), a, i, b, j))
        pairs = {frozenset((a, b)) for _, a, _, b, _ in self.links}
        self.last: list[Index] = []  # the colours at the end of the sweep that are not coupled
        for a in reversed(self.order[1:]):
            if any(frozenset((a, b)) in pairs for b in self.last):
                break
            self.last.append(a)
        # Points `i` of parity a take weight times the even points `j`.
        self.transfers: list[tuple[Tensor, Index, slice, slice]] = []
        for a in self.order[1:]:
            for corner, w in fine.weights[a].items() if a not in self.last else ():
                i, j = ends(self.size, fine.flat(corner))
                self.transfers.append((part(w, i).to(dtype), a, i, j))


class _Work:
    """The fields of one level during a cycle, with the products of its sweeps as lists of views."""

    def __init__(self, level: Level, batch: Sequence[int], smoothing_steps: int) -> None:
        self.level, self.batch, self.steps = level, tuple(batch), smoothing_steps
        self.r, self.x, self.q = self._fields(), self._fields(), self._fields()
        self.change = self.x if smoothing_steps == 1 else self._fields()  # of the last sweep
        everyone: dict[Index, list[Product]] = {a: [] for a in level.order}
        earlier: dict[Index, list[Product]] = {a: [] for a in level.order}
        later: dict[Index, list[Product]] = {a: [] for a in level.order}
        rank = {a: k for k, a in enumerate(level.order)}
        # First those of all points of a parity, with which a sum begins.
        for t, *sides in sorted(level.links, key=lambda link: -link[0].shape[-1]):
            for a, i, b, j in (sides, (*sides[2:], *sides[:2])):
                everyone[a].append((part(self.x[a], i), t, part(self.x[b], j)))
                if rank[b] < rank[a]:
                    earlier[a].append(everyone[a][-1])
                else:
                    later[a].append((part(self.q[a], i), t, part(self.change[b], j)))
        self.all = {a: _Sum(self.x[a], found) for a, found in everyone.items()}
        self.earlier = {a: _Sum(self.x[a], found) for a, found in earlier.items() if found}
        self.later = {a: _Sum(self.q[a], later[a]) for a in level.order if a not in level.last}
        even = self.q[level.even]
        self.coarse = even.view(*self.batch, *level.packed_shape)
        transfers = level.transfers
        self.restrict = _Products(
            [(part(even, j), w, part(self.q[a], i)) for w, a, i, j in transfers]
        )
        self.prolong = _Products(
            [(part(self.x[a], i), w, part(even, j)) for w, a, i, j in transfers]
        )
        self.taken: list[tuple[Tensor, Tensor]] = []
        self.given: list[tuple[Tensor, Tensor]] = []

    def _fields(self) -> dict[Index, Tensor]:
        level = self.level
        like = level.inverse[level.even]
        zeros = like.new_zeros(len(level.order), *self.batch, level.size)
        return dict(zip(level.order, zeros, strict=True))

    def _views(self, field: Tensor, packed: dict[Index, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """The points of each parity in a field (*batch, *shape) and in the packed fields."""
        for a in self.level.order:
            points = field[(..., *(slice(k, None, 2) for k in a))]
            there = tuple(slice(n) for n in points.shape[len(self.batch) :])
            yield points, packed[a].view(*self.batch, *self.level.packed_shape)[(..., *there)]

    def join(self, field: Tensor) -> None:
        """Take right-hand sides from, and write x to, one tensor (*batch, *shape) from now on."""
        self.taken, self.given = list(self._views(field, self.r)), list(self._views(field, self.x))

    def take(self) -> None:
        """Read the right-hand side in the tensor of `join`."""
        for points, to in self.taken:
            to.copy_(points)

    def give(self) -> None:
        """Write x there."""
        for points, from_ in self.given:
            points.copy_(from_)

    def load(self, r: Tensor, factor: Tensor) -> None:
        """Take r (*batch, *shape), times a factor, as the right-hand side."""
        for points, to in self._views(r, self.r):
            torch.mul(points, factor, out=to)

    def store(self, z: Tensor) -> None:
        """Write x into z (*batch, *shape)."""
        for points, from_ in self._views(z, self.x):
            points.copy_(from_)

    def smooth(self) -> None:
        """x <- G r, and more sweeps where asked for."""
        for a in self.level.order:
            if a in self.earlier:
                self.earlier[a].onto(self.r[a]).mul_(self.level.inverse[a])
            else:
                torch.mul(self.r[a], self.level.inverse[a], out=self.x[a])
        for _ in range(self.steps - 1):
            for a in self.level.order:
                self.change[a].copy_(self.x[a])
            for a in self.level.order:
                self._relax(a)
            for a in self.level.order:
                torch.sub(self.x[a], self.change[a], out=self.change[a])

    def smooth_backwards(self) -> None:
        """x <- x + G^T (r - A x), as often."""
        for _ in range(self.steps):
            for a in reversed(self.level.order):
                self._relax(a)

    def _relax(self, a: Index) -> None:
        """Solve the equations of parity a."""
        self.all[a].onto(self.r[a]).mul_(self.level.inverse[a])

    def restricted_residual(self) -> Tensor:
        """P^T (r - A x) (*batch, *coarse shape); `correct` reads the correction from there."""
        for residual in self.later.values():
            residual.onto(None)
        self.restrict.add()
        return self.coarse

    def correct(self) -> None:
        """x <- x + P (what stands in the tensor that `restricted_residual` gave)."""
        self.x[self.level.even].add_(self.q[self.level.even])
        self.prolong.add()


class _Products:
    """y <- y + t x for each of a list of views, one after the other."""

    def __init__(self, products: Sequence[Product]) -> None:
        self.y, self.t, self.x = ([p[k] for p in products] for k in range(3))
        # On a GPU the elements of a list are worked on at the same time, and here they overlap.
        self.in_one_call = bool(products) and self.y[0].device.type == "cpu"

    def add(self) -> None:
        if self.in_one_call:  # half the time of a loop on small grids
            torch._foreach_addcmul_(self.y, self.t, self.x)
            return
        for y, t, x in zip(self.y, self.t, self.x, strict=True):
            y.addcmul_(t, x)


class _Sum:
    """y <- r + sum t x; the first product goes with the copy of r where it is of the whole of y."""

    def __init__(self, y: Tensor, products: Sequence[Product]) -> None:
        self.y = y
        self.first = products[:1] if products and products[0][0].shape == y.shape else []
        self.others = _Products(products[len(self.first) :])

    def onto(self, r: Tensor | None) -> Tensor:
        """y, with zero for r where it is None."""
        for _, t, x in self.first:
            torch.mul(t, x, out=self.y) if r is None else torch.addcmul(r, t, x, out=self.y)
        if not self.first:
            self.y.zero_() if r is None else self.y.copy_(r)
        self.others.add()
        return self.y
