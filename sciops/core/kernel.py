r"""The null space of a map that fixes its solution up to a constant on each floating component.

    N = span{1_k},   1_k = 1 on component k, 0 elsewhere
    part(v) = sum_k 1_k <1_k, v> / <1_k, 1_k>,        project(v) = v - part(v)

Where no wall holds a value (pure Neumann conditions), A 1_k = 0: A x = b has solutions only for
part(b) = 0, and x is free up to part(x).  Components have no unknown in common, so the 1_k are
orthogonal and `project` is the orthogonal projection onto the range of a symmetric A.  An unknown
that nothing is coupled to (a solid cell) is a component of its own: there b is removed and x is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from sciops.core.errors import ShapeError


@dataclass(frozen=True, eq=False)
class Kernel:
    """The piecewise constants on labelled components.

    Parameters
    ----------
    labels
        (*shape) int64: k >= 0 where the unknown belongs to floating component k, -1 where it
        belongs to none.  For a stack of maps (*stack, *shape), each entry numbered from 0.
    dimensions
        How many trailing dimensions of `labels` are the field; all where not given.

    Raises
    ------
    ShapeError
        If the labels are not int64 numbers >= -1, or `dimensions` is not among their dimensions.
    """

    labels: Tensor
    dimensions: int | None = None

    def __post_init__(self) -> None:
        d = self._d
        if self.labels.dtype != torch.int64 or not 1 <= d <= self.labels.ndim:
            raise ShapeError(
                f"a kernel needs int64 labels with at least {max(d, 1)} dimensions, got "
                f"{self.labels.dtype} of the shape {tuple(self.labels.shape)}"
            )
        if self.labels.numel() and int(self.labels.min()) < -1:
            raise ShapeError(f"labels must be -1 (none) or >= 0, got {int(self.labels.min())}")

    @property
    def _d(self) -> int:
        return self.labels.ndim if self.dimensions is None else self.dimensions

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (*shape) of the fields it acts on."""
        return tuple(self.labels.shape[-self._d :])

    @cached_property
    def count(self) -> int:
        """Number of components (of a stack: the largest)."""
        return int(self.labels.max()) + 1 if self.labels.numel() else 0

    @cached_property
    def sizes(self) -> Tensor:
        """(*stack, count) int64: the number of unknowns of each component."""
        index = torch.where(self.labels < 0, self.count, self.labels).flatten(-self._d)
        empty = index.new_zeros(*index.shape[:-1], self.count + 1)
        return empty.scatter_add(-1, index, torch.ones_like(index))[..., :-1]

    @cached_property
    def lone(self) -> Tensor:
        """(*stack, *shape) bool: unknowns that are a component by themselves (solid cells)."""
        known = self.labels.clamp(min=0).flatten(-self._d)
        alone = (self.sizes == 1).gather(-1, known) if self.count else torch.zeros_like(known)
        return alone.bool().reshape(self.labels.shape) & (self.labels >= 0)

    @cached_property
    def _index(self) -> Tensor:
        """(*stack, N): components of several unknowns, numbered anew from 1, and 0 for the rest."""
        if self.count == 0:
            return torch.zeros_like(self.labels).flatten(-self._d)
        several = self.sizes > 1  # (*stack, count)
        number = torch.where(several, several.cumsum(-1), 0)
        known = self.labels.flatten(-self._d)
        return torch.where(known < 0, 0, number.gather(-1, known.clamp(min=0)))

    @cached_property
    def _weights(self) -> Tensor:
        """(*stack, k + 1) float64: 1 / size of the components of `_index`, 0 for the rest."""
        count = int(self._index.max()) + 1 if self._index.numel() else 1
        sizes = self._index.new_zeros(*self._index.shape[:-1], count)
        sizes = sizes.scatter_add(-1, self._index, torch.ones_like(self._index)).double()
        weights = torch.where(sizes > 0, 1.0 / sizes.clamp(min=1.0), 0.0)
        weights[..., 0] = 0.0
        return weights

    @cached_property
    def _few(self) -> Tensor | None:
        """(*stack, k, N) float64: the components of several unknowns one by one, where k <= 4."""
        k = self._weights.shape[-1] - 1
        if k > 4:
            return None
        which = torch.arange(1, k + 1, device=self.labels.device)[:, None]
        return (self._index[..., None, :] == which).double()

    @cached_property
    def _whole(self) -> bool:
        """Whether one component holds every unknown, so that a mean is all there is to do."""
        return not bool(self.labels.any())

    def part(self, v: Tensor) -> Tensor:
        """The part of v in the null space: on each component the mean of v, elsewhere 0.

        Means are summed in float64.  Shapes: (*batch, *shape) -> (*batch, *shape); a stack must
        broadcast with the batch.

        Raises
        ------
        ShapeError
            If v does not end in the shape of the labels.
        """
        d = self._d
        if v.ndim < d or tuple(v.shape[-d:]) != self.shape:
            raise ShapeError(
                f"the kernel acts on fields of the shape {self.shape}, got {tuple(v.shape)}"
            )
        if self._whole:
            mean = v.mean(tuple(range(-d, 0)), keepdim=True, dtype=torch.float64)
            return mean.to(v.dtype).expand_as(v).clone()
        own = torch.where(self.lone, v, 0.0)
        if self._weights.shape[-1] == 1:
            return own
        return own + self._means(v.flatten(-d).double()).to(v.dtype).reshape(own.shape)

    def _means(self, v: Tensor) -> Tensor:
        """Means (*batch, N) over the components of several unknowns, 0 elsewhere; v (*batch, N)."""
        if self._few is not None:
            sums = (self._few @ v[..., None])[..., 0]  # (*batch, k)
            means = (sums * self._weights[..., 1:])[..., None, :]  # (*batch, 1, k)
            return (means @ self._few)[..., 0, :]
        batch = np.broadcast_shapes(v.shape[:-1], self._index.shape[:-1])
        index = self._index.expand(*batch, -1)
        sums = v.new_zeros(*batch, self._weights.shape[-1])
        sums = sums.scatter_add(-1, index, v.expand_as(index))
        return (sums * self._weights).gather(-1, index)

    def project(self, v: Tensor) -> Tensor:
        """v less its mean on each component: the orthogonal projection off the null space.

        Shapes: as `part`.
        """
        return v - self.part(v)

    def to(self, device: torch.device | str) -> Kernel:
        """The same kernel on another device."""
        if self.labels.device == torch.device(device):
            return self
        return Kernel(self.labels.to(device), self.dimensions)
