"""-div(a grad u) with u = 0 on the walls of a box, as a linear map on torch tensors.

The formula, the two centrings and the source stand in `_finite_volume.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from sciops.core.errors import SciopsError, ShapeError
from sciops.core.linear import LinearMap
from sciops.problems import _finite_volume as fv


@final
class DiffusionMap(LinearMap):
    """The finite-volume operator, applied without a matrix.

    Parameters
    ----------
    conductances
        One tensor a dimension, (*batch, m_1, .., m_d + 1, .., m_D), all positive: a stack of
        operators where batch is not ().
    """

    def __init__(self, conductances: Sequence[Tensor]) -> None:
        t = tuple(conductances)
        d = len(t)
        stem = list(t[0].shape)
        stem[-d] -= 1
        for axis, faces in enumerate(t):
            expected = [n + (i == len(stem) - d + axis) for i, n in enumerate(stem)]
            if list(faces.shape) != expected:
                raise ShapeError(
                    f"conductances along axis {axis} must have the shape {tuple(expected)}, "
                    f"got {tuple(faces.shape)}"
                )
        super().__init__(stem[-d:], t[0].dtype, t[0].device, True, True, stem[:-d])
        self.conductances = t
        self._diagonal = fv.diagonal(t)
        # (inner conductances, index of the lower neighbours, index of the upper ones) of each axis
        self._couplings: list[tuple[Tensor, Any, Any]] = []
        for axis, faces in enumerate(t):
            lower, upper = (fv.along(axis - d, part) for part in (slice(-1), slice(1, None)))
            self._couplings.append((faces[fv.along(axis - d, slice(1, -1))], lower, upper))

    @classmethod
    def from_coefficient(
        cls,
        a: Tensor,
        spacing: Sequence[float],
        centring: fv.Centring,
        mean: fv.Mean = "harmonic",
    ) -> DiffusionMap:
        """The operator of a coefficient field a (*batch, *shape), which must be positive.

        Raises
        ------
        ShapeError
            If a has fewer dimensions than there are spacings, or a value that is not positive.
        """
        if a.ndim < len(spacing) or not bool((a > 0).all()):
            raise ShapeError(
                f"the coefficient must be positive with at least {len(spacing)} dimensions, got "
                f"the shape {tuple(a.shape)} and the least value {float(a.min()):g}"
            )
        return cls(fv.conductances(a, spacing, centring, mean))

    def matvec(self, x: Tensor) -> Tensor:
        y = self._diagonal * x
        for inner, lower, upper in self._couplings:
            y[lower].addcmul_(inner, x[upper], value=-1.0)
            y[upper].addcmul_(inner, x[lower], value=-1.0)
        return y

    def diagonal(self) -> Tensor:
        return self._diagonal

    def sparse(self) -> Any:
        if self.batch:
            raise SciopsError(f"{self} is a stack of {self.batch} maps; assemble them one by one")
        return fv.assembled(
            [t.detach().cpu().numpy().astype(np.float64) for t in self.conductances]
        )

    def _moved(self, dtype: torch.dtype, device: torch.device) -> LinearMap:
        return DiffusionMap([t.to(device=device, dtype=dtype) for t in self.conductances])
