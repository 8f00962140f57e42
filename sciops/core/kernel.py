r"""The null space of a map that fixes its solution up to a constant on each floating component.

    N = span{1_k},   1_k = 1 on component k, 0 elsewhere
    part(v) = sum_k 1_k <1_k, v> / <1_k, 1_k>,        project(v) = v - part(v)

Where no wall holds a value (pure Neumann conditions), A 1_k = 0: A x = b has solutions only for
part(b) = 0, and x is free up to part(x).  Components have no unknown in common, so the 1_k are
orthogonal and `project` is the orthogonal projection onto the range of a symmetric A.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
    def _index(self) -> Tensor:
        """(*stack, N): the component, with `count` for none."""
        flat = self.labels.flatten(-self._d)
        return torch.where(flat < 0, self.count, flat)

    @cached_property
    def _sizes(self) -> Tensor:
        """(*stack, count + 1) float64: unknowns of each component, at least 1."""
        ones = torch.ones_like(self._index, dtype=torch.float64)
        empty = ones.new_zeros(*self._index.shape[:-1], self.count + 1)
        return empty.scatter_add(-1, self._index, ones).clamp(min=1.0)

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
            dims = tuple(range(-d, 0))
            means = v.mean(dims, keepdim=True, dtype=torch.float64).to(v.dtype)
            return means.expand_as(v).clone()
        flat = v.flatten(-d).double()  # (*batch, N)
        batch = torch.broadcast_shapes(flat.shape[:-1], self._index.shape[:-1])
        index = self._index.expand(*batch, -1)
        sums = flat.new_zeros(*batch, self.count + 1).scatter_add(-1, index, flat.expand_as(index))
        means = sums / self._sizes
        means = torch.cat([means[..., :-1], torch.zeros_like(means[..., -1:])], -1)
        return means.gather(-1, index).to(v.dtype).reshape(*batch, *self.shape)

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
