r"""The grids of a multigrid cycle: from the entries of A down to a matrix that is inverted densely.

    A_0 = A / scale,   (P_l, A_{l+1}) = coarsening(A_l)   until A_l has few unknowns

`galerkin` is the coarsening of `_black_box.py`, A_{l+1} = P_l^T A_l P_l.  Where A has a kernel, so
have the coarse operators, on the same components; a component of which one coarse point is left is
not solved for any further.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sciops.core.kernel import Kernel
from sciops.core.linear import LinearMap
from sciops.solvers._black_box import Entries, Parities

Coarsening = Callable[[Entries, Tensor | None], tuple[Parities, Entries]]


def galerkin(entries: Entries, labels: Tensor | None) -> tuple[Parities, Entries]:
    """P and P^T A P of one grid, `labels` (*stack, *shape) telling its floating components."""
    fine = Parities(entries, labels)
    return fine, fine.galerkin()


@dataclass(frozen=True)
class Hierarchy:
    """Grids from fine to coarse.

    Parameters
    ----------
    scale
        Power of two by which A was divided.
    levels
        The grids on which the cycle smooths, with their prolongations.
    coarsest
        The entries on the last grid.
    labels
        (*stack, *shape) floating components there, where A has a kernel.
    """

    scale: float
    levels: list[Parities]
    coarsest: Entries
    labels: Tensor | None

    @classmethod
    def of(cls, A: LinearMap, coarsest: int, coarsening: Coarsening = galerkin) -> Hierarchy:
        """The grids of A, the last one with at most `coarsest` unknowns; errors of `Entries.of`."""
        entries = Entries.of(A)
        size = float(entries.diagonal.max())
        scale = 2.0 ** math.frexp(size)[1] if 0 < size < math.inf else 1.0
        entries = entries.divided(scale)
        labels = None if A.kernel is None else A.kernel.labels
        levels = []
        while math.prod(entries.shape) > coarsest:
            fine, entries = coarsening(entries, labels)
            levels.append(fine)
            if labels is not None:
                even = (slice(None, None, 2),) * len(A.shape)
                labels = labels[(..., *even)].contiguous()
                entries = entries.without(Kernel(labels, len(A.shape)).lone)
        return cls(scale, levels, entries, labels)

    def inverse(self) -> Tensor:
        """A_L^-1 (*stack, N, N) off the kernel; 0 where A_L is not definite, NaN where it holds it.

        With a kernel it is the inverse of A_L + h sum_k 1_k 1_k^T / <1_k, 1_k>, which is definite
        and acts like A_L on all fields without a part in the kernel.
        """
        d = self.coarsest.dimensions
        dead = (self.coarsest.diagonal == 0).flatten(-d)  # (*stack, N)
        matrix = self.coarsest.dense()
        if bool(dead.any()):
            matrix = matrix + torch.diag_embed(dead.to(matrix))
        if self.labels is not None:
            k = self.labels.flatten(-d)
            same = (k[..., :, None] == k[..., None, :]) & ((k >= 0) & ~dead)[..., None]
            h = matrix.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
            matrix = matrix + h * same / same.sum(-1, keepdim=True).clamp(min=1)
        factor, info = torch.linalg.cholesky_ex(matrix)
        failed = info != 0
        if bool(failed.any()):
            unit = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
            factor = torch.where(failed[..., None, None], unit, factor)
        inverse = torch.cholesky_inverse(factor)
        if bool(failed.any()):
            finite = matrix.isfinite().all(-1).all(-1)
            value = torch.where(finite, 0.0, torch.nan).to(matrix)[..., None, None]
            inverse = torch.where(failed[..., None, None], value, inverse)
        if bool(dead.any()):
            solid = (dead[..., None] | dead[..., None, :]) & inverse.isfinite()
            inverse = torch.where(solid, 0.0, inverse)
        return inverse
