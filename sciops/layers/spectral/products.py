r"""The transform by matrix products: onto the kept modes, axis by axis, and back.

    project    z = M (T_1 x .. x T_D) v          evaluate    v = (T_1 x .. x T_D)^T M^T z

T_d (rows, n_d) is real.  With the analysis matrices A_d of `basis.py` for T_d, `project` is the
analysis of a field; with their synthesis matrices S_d, `evaluate` is the synthesis of one; and each
is the transpose of the other, so these two functions are all that forward and backward need.

M makes complex modes of the real rows c = cos and s = -sin of each Fourier axis.  On one of them,
the last, k >= 0 is kept and Z = c + i s.  On every other one both signs are kept, in the order
0, 1, .., p-1, -1, .., -q (p = (m + 1) // 2, q = m // 2), and for complex c and s

    Z(+k) = c_k + i s_k,      Z(-k) = c_k - i s_k.

Sharing the rows of +k and -k halves the work of an axis.  Leading axes come first: a product then
has the length of the last axis as its width, which is where a CPU's matrix product is at its best;
the skinny product over the last axis sees only the rows that are left.

Layouts: fields (B, C, *N); coefficients (*modes, parts, B, *carried, C), parts 2 (real, imaginary)
or 1 where no axis is Fourier; axes without a matrix are carried along.  The mode comes first
because every filter is a product over channels for each mode.

Source of the idea: Lingsch et al., Beyond regular grids: Fourier-based neural operators on
arbitrary domains, 2023, arXiv 2305.19663 (truncated transforms as matrix products).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import pad

from sciops.core.errors import ConfigError
from sciops.layers.spectral.basis import Basis


@dataclass(frozen=True)
class Modes:
    """The modes that are kept: a basis for each axis, or None for an axis carried along."""

    bases: tuple[Basis | None, ...]

    def __post_init__(self) -> None:
        if not any(self.bases):
            raise ConfigError(f"at least one axis needs a basis, got {self.bases}")
        for name in ("parts", "half", "signed", "transformed", "carried", "shape", "count"):
            getattr(self, name)  # now, for Dynamo cannot trace the lock of a cached property

    @cached_property
    def parts(self) -> int:
        """2 for complex coefficients, 1 for real ones."""
        return 1 + any(b is not None and b.is_complex for b in self.bases)

    @cached_property
    def half(self) -> int | None:
        """The axis on which only k >= 0 is stored: the last Fourier axis."""
        fourier = [d for d, b in enumerate(self.bases) if b is not None and b.is_complex]
        return fourier[-1] if fourier else None

    @cached_property
    def signed(self) -> list[int]:
        """The axes on which both signs are stored."""
        return [
            d for d, b in enumerate(self.bases) if b is not None and b.is_complex and d != self.half
        ]

    @cached_property
    def transformed(self) -> list[int]:
        """The axes that have a basis."""
        return [d for d, b in enumerate(self.bases) if b is not None]

    @cached_property
    def carried(self) -> list[int]:
        """The axes that have none."""
        return [d for d, b in enumerate(self.bases) if b is None]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Modes stored along each transformed axis."""
        return tuple(
            b.rows // 2 if d == self.half else b.n_modes
            for d, b in enumerate(self.bases)
            if b is not None
        )

    @cached_property
    def count(self) -> int:
        """Modes in all."""
        return prod(self.shape)


def project(v: Tensor, tables: Sequence[Tensor | None], modes: Modes) -> Tensor:
    """v (B, C, *N) -> (*modes, parts, B, *carried, C)."""
    batch, channels, *sizes = v.shape
    lead = batch * channels
    for d, table in enumerate(tables):
        n, after = sizes[d], prod(sizes[d + 1 :])
        if table is not None:
            if after == 1:
                v = v.reshape(lead, n) @ table.t()
            else:
                v = torch.bmm(table.expand(lead, -1, -1), v.reshape(lead, n, after))
            sizes[d] = table.shape[0]
        lead = lead * sizes[d]
    v = v.reshape(batch, channels, *sizes)
    kept = [d + 2 for d in modes.transformed]
    carried = [d + 2 for d in modes.carried]
    if modes.half is None:
        return v.permute(*kept, 0, *carried, 1).unsqueeze(len(kept)).contiguous()
    # the half axis splits into (2, k); its 2 moves behind the modes
    h = modes.half + 2
    v = v.unflatten(h, (2, sizes[h - 2] // 2))
    kept = [d + (d >= h) for d in kept]  # the k of the half axis is at h + 1
    carried = [d + (d > h) for d in carried]
    v = v.permute(*kept, h, 0, *carried, 1).contiguous()  # (*rows, 2, B, *carried, C)
    for place, d in enumerate(modes.transformed):
        if d in modes.signed:
            v = _fold(v, place, modes.bases[d].n_modes, len(kept))  # type: ignore[union-attr]
    return v


def evaluate(z: Tensor, tables: Sequence[Tensor | None], modes: Modes) -> Tensor:
    """z (*modes, parts, B, *carried, C) -> (B, C, *N); the transpose of `project`."""
    kept, carried = modes.transformed, modes.carried
    n_kept = len(kept)
    if modes.half is None:
        z = z.squeeze(n_kept)
        at = {d: place for place, d in enumerate(kept)}
        at |= {d: n_kept + 1 + place for place, d in enumerate(carried)}
        v = z.permute(n_kept, z.ndim - 1, *(at[d] for d in range(len(tables))))
    else:
        for place, d in enumerate(kept):
            if d in modes.signed:
                z = _unfold(z, place, modes.bases[d].n_modes, n_kept)  # type: ignore[union-attr]
        at = {d: place for place, d in enumerate(kept)}
        at |= {d: n_kept + 2 + place for place, d in enumerate(carried)}
        order = [at[d] for d in range(len(tables))]
        order.insert(modes.half, n_kept)  # (2, k) of the half axis lie together again
        v = z.permute(n_kept + 1, z.ndim - 1, *order)
        v = v.flatten(modes.half + 2, modes.half + 3)
    sizes = list(v.shape[2:])
    batch, channels = v.shape[:2]
    lead = batch * channels * prod(sizes)
    for d in range(len(tables) - 1, -1, -1):
        table, after = tables[d], prod(sizes[d + 1 :])
        lead = lead // sizes[d]
        if table is not None:
            if after == 1:
                v = v.reshape(lead, sizes[d]) @ table
            else:
                v = torch.bmm(table.t().expand(lead, -1, -1), v.reshape(lead, sizes[d], after))
            sizes[d] = table.shape[1]
    return v.reshape(batch, channels, *sizes)


def _fold(v: Tensor, place: int, m: int, n_kept: int) -> Tensor:
    """Rows c, s of a signed axis to complex modes: (.., 2 K, .., 2, B, .., C) -> (.., m, ..)."""
    p, q = (m + 1) // 2, m // 2
    c, s = v.narrow(place, 0, q + 1), v.narrow(place, q + 1, q + 1)
    (cr, ci), (sr, si) = c.unbind(n_kept), s.unbind(n_kept)
    plus, minus = (0, p), (1, q)
    re = [_rows(cr, place, plus) - _rows(si, place, plus)]
    re += [_rows(cr, place, minus) + _rows(si, place, minus)]
    im = [_rows(ci, place, plus) + _rows(sr, place, plus)]
    im += [_rows(ci, place, minus) - _rows(sr, place, minus)]
    return torch.stack([torch.cat(re, place), torch.cat(im, place)], n_kept)


def _unfold(z: Tensor, place: int, m: int, n_kept: int) -> Tensor:
    """The transpose of `_fold`: (.., m, .., 2, B, .., C) -> (.., 2 K, .., 2, B, .., C)."""
    p, q = (m + 1) // 2, m // 2
    plus, minus = z.narrow(place, 0, p), z.narrow(place, p, q)
    behind = z.ndim - 1 - place  # dimensions behind that of the modes
    plus = pad(plus, [0, 0] * behind + [0, q + 1 - p])
    minus = pad(minus, [0, 0] * behind + [1, 0])
    (pr, pi), (mr, mi) = plus.unbind(n_kept), minus.unbind(n_kept)
    return torch.cat([plus + minus, torch.stack([pi - mi, mr - pr], n_kept)], place)


def _rows(v: Tensor, place: int, rows: tuple[int, int]) -> Tensor:
    return v.narrow(place, *rows)
