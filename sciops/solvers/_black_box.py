r"""Coarse levels of an elliptic operator made from its entries: prolongation and Galerkin product.

    A = diag(d) - T,    T_{p, p+o} = t(p, o) = t(p+o, -o),    o in {-1, 0, 1}^D
    A_c = P^T A P

The coarse unknowns are the points with even indices, so that any number of points will do.  The
other points are told apart by their parity S, the set of axes along which the index is odd.  A
point of parity S takes its value from neighbours that are odd along fewer axes,

    u_p = sum_o w_o u_{p+o},     w_o = T_o / (sum_o T_o + s),     o in {-1, 0, 1}^S, o != 0,

where T_o sums t over the offsets that agree with o along S: u is taken as constant along the even
axes.  s = d - sum_o t(p, o) is what holds the point to a wall.  Worked through from points odd
along one axis to points odd along all, this gives P with rows over the corners of the even cell
around p.  P follows jumps of the coefficient, reproduces constants where no wall acts, keeps the
floating components apart, and leaves stencils of 3^D points.

Fields are held parity by parity, each a flat vector of M = prod(m) values, m = ceil(n / 2) along
each axis.  A neighbour is then a fixed shift of the flat index; at the end of a row the shift leads
into the next one, and there the coefficient is zero.

Source: J. E. Dendy, Black box multigrid, J. Comput. Phys. 48 (1982) 366-386; R. E. Alcouffe, A.
Brandt, J. E. Dendy, J. W. Painter, The multi-grid method for the diffusion equation with strongly
discontinuous coefficients, SIAM J. Sci. Stat. Comput. 2 (1981) 430-454.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
import torch
from torch import Tensor

from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import NotPositiveDefinite, SciopsError
from sciops.core.linear import LinearMap

Index = tuple[int, ...]  # a parity, an offset or a corner: one number an axis
ROUNDING = 1e-12  # of d: below this, s is what rounding left of zero


@dataclass(frozen=True)
class Entries:
    """A symmetric operator on a grid as fields of its entries, in float64.

    Parameters
    ----------
    diagonal
        (*stack, *shape): d; zero marks a point that is not solved for.
    couplings
        t(p, o) (*stack, *shape) for one offset o of each pair o, -o: the one that is larger in
        the order of tuples.  Zero where p+o is outside the grid.
    dimensions
        D.
    """

    diagonal: Tensor
    couplings: Mapping[Index, Tensor]
    dimensions: int

    @classmethod
    def of(cls, A: LinearMap) -> Entries:
        """The entries of A.

        Raises
        ------
        NotPositiveDefinite
            If A does not carry the tags `symmetric` and `positive`.
        SciopsError
            If the entries of A are not known, or couple points that are not neighbours.
        """
        if not (A.symmetric and A.positive):
            raise NotPositiveDefinite(
                f"multigrid needs a symmetric positive definite matrix, got {A}; if you know that "
                f"it is, build it with symmetric=True, positive=True"
            )
        return cls._of_diffusion(A) if isinstance(A, DiffusionMap) else cls._of_entries(A)

    @classmethod
    def _of_diffusion(cls, A: DiffusionMap) -> Entries:
        d = len(A.shape)
        couplings = {}
        for axis, faces in enumerate(A.conductances):
            t = faces.detach().narrow(axis - d, 1, A.shape[axis]).double().clone()
            t.select(axis - d, -1).zero_()  # the wall is in the diagonal only
            couplings[tuple(int(k == axis) for k in range(d))] = t
        return cls(A.diagonal().detach().double(), couplings, d)

    @classmethod
    def _of_entries(cls, A: LinearMap) -> Entries:
        try:
            matrix = A.sparse().tocoo()
        except SciopsError as error:
            raise SciopsError(
                f"multigrid makes its coarse grids from the entries of the matrix, and those of "
                f"{A} are not known; build it as a DiffusionMap or from a sparse matrix"
            ) from error
        stored = matrix.data != 0
        row, column, entries = matrix.row[stored], matrix.col[stored], matrix.data[stored]
        points = np.stack(np.unravel_index(row, A.shape))  # (D, nonzeros)
        offsets = np.stack(np.unravel_index(column, A.shape)) - points
        if offsets.size and np.abs(offsets).max() > 1:
            raise SciopsError(
                f"multigrid needs a matrix that couples each point with its 3^D - 1 neighbours at "
                f"most, got {A} with couplings over {np.abs(offsets).max()} points; is its shape "
                f"that of the grid? solver=amg takes any matrix"
            )
        fields = {o: np.zeros(A.shape) for o in product((-1, 0, 1), repeat=len(A.shape))}
        for o, field in fields.items():
            here = (offsets == np.array(o)[:, None]).all(0)
            field[tuple(points[:, here])] = entries[here]
        even = (0,) * len(A.shape)
        values = {o: torch.from_numpy(f).to(A.device) for o, f in fields.items() if o >= even}
        diagonal = values.pop(even)
        used = {o: -v for o, v in values.items() if bool((v != 0).any())}
        return cls(diagonal, used, len(even))

    @property
    def shape(self) -> Index:
        """Points along each axis."""
        return tuple(self.diagonal.shape[-self.dimensions :])

    def divided(self, scale: float) -> Entries:
        """A / scale."""
        couplings = {o: t / scale for o, t in self.couplings.items()}
        return Entries(self.diagonal / scale, couplings, self.dimensions)

    def without(self, points: Tensor) -> Entries:
        """The same with points (*stack, *shape) that are not solved for; nothing couples them."""
        diagonal = torch.where(points, 0.0, self.diagonal)
        return Entries(diagonal, self.couplings, self.dimensions)

    def rows(self) -> Tensor:
        """sum_o t(p, o) (*stack, *shape), over both signs of o."""
        total = torch.zeros_like(self.diagonal).flatten(-self.dimensions)
        size, strides = total.shape[-1], _strides(self.shape)
        for o, t in self.couplings.items():
            i, j = ends(size, _flat(o, strides))
            values = part(t.flatten(-self.dimensions), i)
            part(total, i).add_(values)
            part(total, j).add_(values)
        return total.reshape(self.diagonal.shape)

    def dense(self) -> Tensor:
        """A (*stack, N, N), the last axis fastest."""
        matrix = torch.diag_embed(self.diagonal.flatten(-self.dimensions))
        size, strides = matrix.shape[-1], _strides(self.shape)
        points = torch.arange(size, device=matrix.device)
        for o, t in self.couplings.items():
            i, j = ends(size, _flat(o, strides))
            values = part(t.flatten(-self.dimensions), i)
            matrix[..., points[i], points[j]] -= values
            matrix[..., points[j], points[i]] -= values
        return matrix


class Parities:
    """A stencil taken apart by parity, with the prolongation from its even points.

    Parameters
    ----------
    stencil
        The operator on the grid.
    labels
        (*stack, *shape) int64 labels of its kernel, where it has one: P keeps components apart.

    `tilt`, empty at first, may be given factors (*stack, M) > 0 by parity S and offset o, with
    which T_o is multiplied in P.
    """

    def __init__(self, stencil: Entries, labels: Tensor | None = None) -> None:
        self.tilt: Mapping[tuple[Index, Index], Tensor] = {}
        self.dimensions = d = stencil.dimensions
        self.shape = stencil.shape
        self.packed_shape = tuple((n + 1) // 2 for n in self.shape)
        self.strides = _strides(self.packed_shape)
        self.parities: list[Index] = list(product((0, 1), repeat=d))
        self.diagonal = self.pack(stencil.diagonal)
        self.labels = None if labels is None else self.pack(labels)
        self.couplings: dict[tuple[Index, Index], Tensor] = {}  # (S, o) -> t (*stack, M)
        for o, t in stencil.couplings.items():
            back = tuple(-k for k in o)
            for a, values in self.pack(t).items():
                self.couplings[a, o] = values
                b, shift = self.neighbour(a, o)
                self.couplings[b, back] = shifted(values, -shift)

    def neighbour(self, a: Index, o: Index) -> tuple[Index, int]:
        """(b, shift): the neighbour at offset o of point j of parity a is j + shift of parity b."""
        b, steps = _stepped(a, o)
        return b, _flat(steps, self.strides)

    def flat(self, corner: Index) -> int:
        """The shift from point j to the even point j + corner."""
        return _flat(corner, self.strides)

    def views(self, field: Tensor) -> Iterator[tuple[Index, Tensor]]:
        """The points of each parity of a field (*batch, *shape), as views."""
        for a in self.parities:
            yield a, field[(..., *(slice(i, None, 2) for i in a))]

    def pack(self, field: Tensor) -> dict[Index, Tensor]:
        """Field (*batch, *shape) -> (*batch, M) for each parity, with zeros past the end."""
        packed = {}
        for a, view in self.views(field):
            missing = [m - n for m, n in zip(self.packed_shape, view.shape[-len(a) :], strict=True)]
            pads = [k for n in reversed(missing) for k in (0, n)]
            whole = torch.nn.functional.pad(view, pads) if any(missing) else view
            packed[a] = whole.reshape(*field.shape[: -len(a)], -1)
        return packed

    def unpack(self, packed: Mapping[Index, Tensor]) -> Tensor:
        """(*batch, M) for each parity -> field (*batch, *shape)."""
        batch = packed[self.parities[0]].shape[:-1]
        field = packed[self.parities[0]].new_empty(*batch, *self.shape)
        for a, view in self.views(field):
            there = tuple(slice(n) for n in view.shape[len(batch) :])
            view.copy_(packed[a].reshape(*batch, *self.packed_shape)[(..., *there)])
        return field

    @cached_property
    def weights(self) -> dict[Index, dict[Index, Tensor]]:
        """P: parity S -> corner c (0 or 1 along the axes of S) -> weight (*stack, M).

        Point j of parity S takes weight * u_{j+c} from the even point j + c.
        """
        d = self.dimensions
        even = (0,) * d
        weights = {even: {even: torch.ones_like(self.diagonal[even])}}
        for a in sorted(self.parities, key=sum)[1:]:
            rows: dict[Index, Tensor] = {}
            for o, share in self._shares(a).items():
                b, shift = self.neighbour(a, o)
                ahead = tuple(max(k, 0) for k in o)
                if b == even:  # 0 where there is no such neighbour
                    rows[ahead] = rows[ahead] + share if ahead in rows else share
                    continue
                to, from_ = ends(share.shape[-1], shift)
                factor = part(share, to)
                for c, w in weights[b].items():
                    _add_product(rows, _plus(c, ahead), share, to, factor, part(w, from_))
            for c in set(_below(a)) - set(rows):
                rows[c] = torch.zeros_like(self.diagonal[a])
            weights[a] = rows
        return weights

    def _shares(self, a: Index) -> dict[Index, Tensor]:
        """w_o of the formula above for the points of parity a, (*stack, M) each."""
        collapsed: dict[Index, Tensor] = {}  # the sums of the formula, and that of o = 0 along S
        for (b, o), t in self.couplings.items():
            if b == a:
                along = tuple(k if odd else 0 for k, odd in zip(o, a, strict=True))
                collapsed[along] = collapsed[along] + t if along in collapsed else t
        total = self.diagonal[a]
        for t in collapsed.values():
            total = total - t
        collapsed.pop((0,) * self.dimensions, None)
        held = total.masked_fill(~(total > ROUNDING * self.diagonal[a]), 0.0)  # s; less: rounding
        positive = {o: self._within(a, o, t.clamp(min=0.0)) for o, t in collapsed.items()}
        if self.tilt:
            positive = {o: t * self.tilt[a, o] for o, t in positive.items()}
        for t in positive.values():
            held = held + t
        inverse = inverted(held)
        return {o: t * inverse for o, t in positive.items()}

    def _within(self, a: Index, o: Index, t: Tensor) -> Tensor:
        """t where the neighbour at offset o is of the same component, else 0."""
        if self.labels is None:
            return t
        b, shift = self.neighbour(a, o)
        return torch.where(self.labels[a] == shifted(self.labels[b], shift), t, 0.0)

    def galerkin(self) -> Entries:
        """P^T A P on the grid of the even points."""
        d = self.dimensions
        even = (0,) * d
        coarse = self._operator_times_prolongation(even)  # P is 1 there; all with the other sign
        for a in self.parities[1:]:
            for q, column in self._operator_times_prolongation(a).items():
                for c, w in self.weights[a].items():
                    o = _plus(q, c, -1)
                    if o >= even:
                        from_, to = ends(column.shape[-1], _flat(c, self.strides))
                        _add_product(coarse, o, column, to, part(w, from_), part(column, from_))
        fields = {o: v.reshape(*v.shape[:-1], *self.packed_shape) for o, v in coarse.items()}
        return Entries(-fields.pop(even), fields, d)

    def _operator_times_prolongation(self, a: Index) -> dict[Index, Tensor]:
        """-A P: point j of parity a and even point j + q -> entry (*stack, M), q >= 0 as tuples."""
        even = (0,) * self.dimensions
        rows: dict[Index, Tensor] = {}
        for (e, o), t in self.couplings.items():
            if e != a:
                continue
            b, steps = _stepped(a, o)
            to, from_ = ends(t.shape[-1], _flat(steps, self.strides))
            factor = part(t, to)
            for c, w in self.weights[b].items():
                q = _plus(steps, c)
                if q >= even:  # the others are of use for couplings q - c < 0 only: symmetry
                    _add_product(rows, q, t, to, factor, part(w, from_))
        for c, w in self.weights[a].items():
            if c in rows:
                rows[c].addcmul_(self.diagonal[a], w, value=-1.0)
            else:
                rows[c] = -self.diagonal[a] * w
        return rows


def _add_product(
    rows: dict[Index, Tensor], key: Index, like: Tensor, to: slice, u: Tensor, v: Tensor
) -> None:
    """rows[key] at the points `to` += u v; what is not there yet is 0, of the shape of `like`."""
    if key in rows:
        part(rows[key], to).addcmul_(u, v)
    elif u.shape[-1] == like.shape[-1]:
        rows[key] = u * v
    else:
        rows[key] = torch.zeros_like(like)
        part(rows[key], to).addcmul_(u, v)


def shifted(v: Tensor, shift: int) -> Tensor:
    """u with u_j = v_{j + shift}, zero where there is none.  (*stack, M)"""
    u = torch.zeros_like(v)
    to, from_ = ends(v.shape[-1], shift)
    part(u, to).copy_(part(v, from_))
    return u


def inverted(v: Tensor) -> Tensor:
    """1 / v where v > 0, else 0; gradients are finite too.  (Faster than two `torch.where`.)"""
    off = ~(v > 0)
    return v.masked_fill(off, 1.0).reciprocal().masked_fill(off, 0.0)


@lru_cache(maxsize=4096)
def ends(size: int, shift: int) -> tuple[slice, slice]:
    """The slices of j and of j + shift for which both are among 0 .. size - 1."""
    count = max(size - abs(shift), 0)
    low, high = slice(0, count), slice(size - count, size)
    return (low, high) if shift >= 0 else (high, low)


def part(v: Tensor, points: slice) -> Tensor:
    """v[..., points] for v (*stack, M) and one of the slices of `ends`, in the fastest way."""
    if points.stop - points.start == v.shape[-1]:
        return v
    return v[points] if v.ndim == 1 else v[..., points]


def _below(a: Index) -> list[Index]:
    """All corners with 0 or 1 along the odd axes of a."""
    return list(product(*((0, 1) if odd else (0,) for odd in a)))


def _strides(shape: Sequence[int]) -> Index:
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


@lru_cache(maxsize=4096)
def _flat(steps: Index, strides: Index) -> int:
    return sum(i * s for i, s in zip(steps, strides, strict=True))


@lru_cache(maxsize=4096)
def _plus(a: Index, b: Index, sign: int = 1) -> Index:
    return tuple(i + sign * k for i, k in zip(a, b, strict=True))


@lru_cache(maxsize=4096)
def _stepped(a: Index, o: Index) -> tuple[Index, Index]:
    """Parity, and steps between points of the same parity, of the neighbour of a at offset o."""
    moved = _plus(a, o)
    return tuple(i % 2 for i in moved), tuple(i // 2 for i in moved)
