r"""A stencil with constant coefficients on a grid, as a linear map.

    (A x)_i = sum_o k_o x_{i+o},      o in {-w_1 .. w_1} x .. x {-w_D .. w_D}

Beyond the ends of an axis x is

dirichlet   zero: the wall runs through the first point outside.
neumann     the mirror image about the face between the last point and the first one outside.
periodic    that of the other end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import product
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor

from sciops.core.errors import ShapeError
from sciops.core.linear import LinearMap

Ends = Literal["dirichlet", "neumann", "periodic"]
ENDS = ("dirichlet", "neumann", "periodic")


@final
class StencilMap(LinearMap):
    """A constant stencil (formula: top of this file).

    Parameters
    ----------
    stencil
        (2 w_1 + 1, .., 2 w_D + 1): k_o, the middle entry being k_0.
    shape
        (n_1, .., n_D) of the fields, n_d >= w_d.
    ends
        Kind of both ends of all axes, or one kind an axis.
    symmetric, positive
        Promises about A; nothing checks them.

    Raises
    ------
    ShapeError
        If the stencil has an even side, is wider than the grid, or there are unknown ends.
    """

    def __init__(
        self,
        stencil: Tensor,
        shape: Sequence[int],
        ends: Ends | Sequence[Ends] = "dirichlet",
        symmetric: bool = False,
        positive: bool = False,
    ) -> None:
        super().__init__(shape, stencil.dtype, stencil.device, symmetric, positive)
        self.stencil = stencil
        self.ends = (ends,) * len(self.shape) if isinstance(ends, str) else tuple(ends)
        self.widths = tuple(n // 2 for n in stencil.shape)
        if len(self.ends) != len(self.shape) or not set(self.ends) <= set(ENDS):
            raise ShapeError(
                f"ends must be one of {', '.join(ENDS)}, or one for each of the {len(self.shape)} "
                f"axes, got {ends!r}"
            )
        if stencil.ndim != len(self.shape) or not all(n % 2 for n in stencil.shape):
            raise ShapeError(
                f"a stencil on fields of the shape {self.shape} needs {len(self.shape)} odd sides, "
                f"got {tuple(stencil.shape)}"
            )
        if any(w > n for w, n in zip(self.widths, self.shape, strict=True)):
            raise ShapeError(
                f"the stencil {tuple(stencil.shape)} reaches over more points than the grid "
                f"{self.shape} has; take a finer grid"
            )

    def matvec(self, x: Tensor) -> Tensor:
        d, padded = len(self.shape), x
        for axis, (w, kind) in enumerate(zip(self.widths, self.ends, strict=True)):
            padded = _extended(padded, axis - d, w, kind)
        y = torch.zeros_like(x)
        for o, k in self._entries:
            part: tuple[Any, ...] = tuple(
                slice(i, i + n) for i, n in zip(o, self.shape, strict=True)
            )
            y.add_(padded[(..., *part)], alpha=k)
        return y

    @cached_property
    def _entries(self) -> list[tuple[tuple[int, ...], float]]:
        """(o + w, k_o) for the entries that are not zero."""
        indices = product(*(range(n) for n in self.stencil.shape))
        values = self.stencil.detach().cpu().flatten().tolist()
        return [(o, k) for o, k in zip(indices, values, strict=True) if k != 0]

    def diagonal(self) -> Tensor:
        values = torch.from_numpy(np.ascontiguousarray(self.sparse().diagonal()))
        return values.to(self.stencil).reshape(self.shape)

    def sparse(self) -> Any:
        from scipy.sparse import csc_array, kron

        shifts = [
            [_shift(n, o, kind) for o in range(-w, w + 1)]
            for n, w, kind in zip(self.shape, self.widths, self.ends, strict=True)
        ]
        kind = torch.empty(0, dtype=self.dtype).numpy().dtype
        matrix = csc_array((math.prod(self.shape),) * 2, dtype=kind)
        for o, k in self._entries:
            term = shifts[0][o[0]]
            for axis in range(1, len(o)):
                term = kron(term, shifts[axis][o[axis]], format="csc")
            matrix = matrix + k * term
        return csc_array(matrix, dtype=kind)

    def _moved(self, dtype: torch.dtype, device: torch.device) -> LinearMap:
        stencil = self.stencil.to(device=device, dtype=dtype)
        return StencilMap(stencil, self.shape, self.ends, self.symmetric, self.positive)


def _extended(x: Tensor, axis: int, w: int, kind: Ends) -> Tensor:
    """x with w points more at both ends of the (negative) axis."""
    if w == 0:
        return x
    first, last = x.narrow(axis, 0, w), x.narrow(axis, x.shape[axis] - w, w)
    if kind == "periodic":
        return torch.cat([last, x, first], axis)
    if kind == "neumann":
        return torch.cat([first.flip(axis), x, last.flip(axis)], axis)
    return torch.cat([torch.zeros_like(first), x, torch.zeros_like(last)], axis)


def _shift(n: int, o: int, kind: Ends) -> Any:
    """(n, n) scipy matrix of x -> (x_{i+o})_i along one axis."""
    from scipy.sparse import csc_array

    i = np.arange(n)
    j = i + o
    if kind == "periodic":
        j = j % n
    elif kind == "neumann":
        j = np.where(j < 0, -1 - j, np.where(j >= n, 2 * n - 1 - j, j))
    inside = (j >= 0) & (j < n)
    return csc_array((np.ones(int(inside.sum())), (i[inside], j[inside])), shape=(n, n))
