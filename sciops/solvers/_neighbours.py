r"""What a network may know of a matrix: its nearest-neighbour stencil, cell by cell.

    (A x)_i = d_i x_i + sum_k c_{i,k} x_{i + e_k},      k over the 2 D neighbours of a cell

The entries are read off 2 D + 1 products with A, whatever A is made of.  Cells get the colours
sum_j j i_j mod 2 D + 1 (j = 1 .. D), so that a cell and its neighbours all have different ones; the
product with the indicator of a colour then holds one entry of each row.  One more product with a
random field tells whether there is nothing else in A.

Source: A. R. Curtis, M. J. D. Powell, J. K. Reid, On the estimation of sparse Jacobian matrices,
J. Inst. Math. Appl. 13 (1974).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sciops.core.errors import SciopsError
from sciops.core.linear import LinearMap

FLOOR = 1e-4  # conductances below this share of the diagonal are all the same to a network
LOGARITHM = 4.0  # by which logarithms are divided, so that a contrast of 1e4 gives numbers near 2


@dataclass(frozen=True)
class Neighbours:
    """The entries of A: diagonal (*stack, *shape), couplings (2 D, *stack, *shape).

    Couplings are in the order -1, +1 along the first axis, then the second, ..
    """

    diagonal: Tensor
    couplings: Tensor
    dimension: int

    @classmethod
    def of(cls, A: LinearMap) -> Neighbours:
        """Read off A, in its type and on its device.

        Raises
        ------
        SciopsError
            If A is on fields of more than three dimensions or couples more than neighbours.
        """
        d = len(A.shape)
        if d > 3:
            raise SciopsError(f"neighbours need fields of one to three dimensions, got {A}")
        count = 2 * d + 1
        lines = [
            (j + 1) * torch.arange(n, device=A.device).reshape(-1, *[1] * (d - 1 - j))
            for j, n in enumerate(A.shape)
        ]
        colour = sum(lines[1:], lines[0]) % count  # (*shape)
        number = torch.arange(count, device=A.device).reshape(-1, *[1] * d)
        probes = (colour == number).to(A.dtype)  # (2 D + 1, *shape)
        probes = probes.reshape(count, *[1] * len(A.batch), *A.shape)
        products = A.matvec(probes.expand(count, *A.batch, *A.shape))

        def entry(offset: int) -> Tensor:
            index = ((colour + offset) % count).expand(1, *A.batch, *A.shape)
            return products.gather(0, index)[0]

        sides = [s * (j + 1) for j in range(d) for s in (-1, 1)]
        found = cls(entry(0), torch.stack([entry(s) for s in sides]), d)
        found._verify(A)
        return found

    def matvec(self, x: Tensor) -> Tensor:
        """A x, (*stack, *shape)."""
        y = self.diagonal * x
        for k, c in enumerate(self.couplings):
            dim, n = k // 2 - self.dimension, x.shape[k // 2 - self.dimension]
            here, there = (0, 1) if k % 2 else (1, 0)
            part = c.narrow(dim, here, n - 1) * x.narrow(dim, there, n - 1)
            y.narrow(dim, here, n - 1).add_(part)
        return y

    def _verify(self, A: LinearMap) -> None:
        """SciopsError if A x is not what the entries give; NaN in A is left to the solver."""
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(A.shape, dtype=torch.float64, generator=generator) + 0.5
        x = x.to(A.device, A.dtype).expand(*A.batch, *A.shape)
        y, ours = A.matvec(x), self.matvec(x)
        size = Neighbours(self.diagonal.abs(), self.couplings.abs(), self.dimension).matvec(x)
        if bool(((y - ours).abs() > 64 * torch.finfo(A.dtype).eps * size.amax()).any()):
            raise SciopsError(
                f"this network reads matrices that couple nearest neighbours on the grid "
                f"{A.shape}, and {A} couples more; give its fields the shape of their grid, or use "
                f"a network of the kind 'published'"
            )

    def features(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        r"""Features (S, 2 D + 3, *shape) and inverse diagonal (S, 1, *shape), S maps in the stack.

        Of each cell, none of them changed by a factor in A:

            log(d / mean d) / 4          mean d: the geometric mean over cells with d > 0
            log(2 D t_k + 1e-4) / 4      t_k = -c_k / d, the share of neighbour k
            1 + sum_k c_k / d            the share of the walls that hold a value
            1 in solid cells             d = 0, or not finite; there the others are 0

        The inverse is mean d / d, 0 in solid cells.
        """
        d, c = self.diagonal.double(), self.couplings.double()
        axes = tuple(range(-self.dimension, 0))
        open_ = d.isfinite() & (d > 0) & c.isfinite().all(0)
        log = torch.where(open_, torch.where(open_, d, 1.0).log(), 0.0)
        mean = log.sum(axes, keepdim=True) / open_.sum(axes, keepdim=True).clamp(min=1)
        log = torch.where(open_, log - mean, 0.0)
        share = torch.where(open_, -c / torch.where(open_, d, 1.0), 0.0)
        walls = 1 - share.sum(0)
        neighbours = (share.clamp(min=0) * len(c) + FLOOR).log() / LOGARITHM
        m = torch.stack([log / LOGARITHM, *neighbours, walls])
        m = torch.cat([torch.where(open_, m, 0.0), (~open_).to(m)[None]])  # (2 D + 3, *stack, ..)
        inverse = torch.where(open_, (-log).exp(), 0.0)
        shape, stack = d.shape[-self.dimension :], d.shape[: -self.dimension]
        m = m.reshape(len(m), math.prod(stack), *shape).movedim(0, 1)
        return m.to(dtype).contiguous(), inverse.reshape(-1, 1, *shape).to(dtype)
