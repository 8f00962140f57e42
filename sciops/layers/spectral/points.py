r"""The modes of a field that is known at scattered points.

    x_j = sum_k c_k Re(z_k phi_k(s_j)),    j = 1 .. M,    phi_k(s) = prod_d phi_{k_d}(s_d)

c_k = 2 for modes that stand for their opposite too, else 1.  Synthesis is the product with that
matrix (a Vandermonde matrix for Fourier bases), analysis with its pseudo-inverse: the coefficients
of least norm among those that come closest to the values.  On the points of a grid both are what
`Transform` computes, and a field of kept modes comes back exactly wherever the points lie, if they
are enough.

Source: Lingsch et al., Beyond regular grids: Fourier-based neural operators on arbitrary domains,
2023, arXiv 2305.19663 (who take the conjugate transpose, a quadrature of equal weights, instead of
the pseudo-inverse).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciops.core.errors import ConfigError, ShapeError
from sciops.layers.linear_node import linear
from sciops.layers.spectral.basis import Basis, functions
from sciops.layers.spectral.products import Modes
from sciops.layers.tables import unobserved


class PointsTransform:
    """Analysis and synthesis at M points in D dimensions.

    Parameters
    ----------
    points
        (M, D) places, each coordinate as a fraction of the length of its axis, in [0, 1].
    bases
        One for each dimension; their spacing is not used.
    """

    def __init__(self, points: Tensor, bases: Sequence[Basis]) -> None:
        if points.ndim != 2 or points.shape[1] != len(bases):
            raise ShapeError(f"expected points (M, {len(bases)}), got {tuple(points.shape)}")
        if None in bases:
            raise ConfigError("scattered points need a basis for each dimension, got None")
        self.modes = Modes(tuple(bases))
        self.points = points.shape[0]
        with unobserved():
            matrix = _synthesis(self.modes, points.detach().double().cpu().clone())
            self._exact = (torch.linalg.pinv(matrix.T, rtol=1e-10), matrix)  # (parts K, M) both
        self._tables: dict[tuple[torch.dtype, torch.device], tuple[Tensor, Tensor]] = {}

    def analyse(self, x: Tensor) -> Tensor:
        """x (B, C, M) -> (*modes, parts, B, C)."""
        if x.ndim != 3 or x.shape[2] != self.points:
            raise ShapeError(f"expected values (B, C, {self.points}), got {tuple(x.shape)}")
        return linear(_AtPoints(self.modes, self._matrices(x)[0], True), x)

    def synthesise(self, z: Tensor, sizes: Sequence[int]) -> Tensor:
        """z (*modes, parts, B, C) -> (B, C, M)."""
        if tuple(sizes) != (self.points,):
            raise ShapeError(f"expected the {self.points} points, got sizes {tuple(sizes)}")
        return linear(_AtPoints(self.modes, self._matrices(z)[1], False), z)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tables": {}}

    def _matrices(self, like: Tensor) -> tuple[Tensor, Tensor]:
        dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
        key = (dtype, like.device)
        if key not in self._tables:
            with unobserved():
                first, second = (m.to(dtype).to(like.device) for m in self._exact)
            self._tables[key] = (first, second)
        return self._tables[key]


def _synthesis(modes: Modes, points: Tensor) -> Tensor:
    """(parts K, M): what each coefficient adds at each point, real parts first."""
    waves = points.new_ones((1, points.shape[0])).to(torch.complex128)  # (K, M)
    for d, (basis, s) in enumerate(zip(modes.bases, points.T, strict=True)):
        rows = functions(basis, s)  # type: ignore[arg-type]
        if basis.is_complex:  # type: ignore[union-attr]
            cosine, sine = rows.chunk(2)
            positive = torch.complex(cosine, -sine)  # e^{+iks}, k = 0 .. m // 2
            if d == modes.half:
                twice = torch.ones(len(positive), 1, dtype=s.dtype)
                twice[1:] = 2.0
                rows = positive * twice
            else:
                p, q = (basis.n_modes + 1) // 2, basis.n_modes // 2  # type: ignore[union-attr]
                rows = torch.cat([positive[:p], positive[1 : q + 1].conj()])
        waves = (waves[:, None] * rows).flatten(0, 1)
    return torch.cat([waves.real, -waves.imag]) if modes.parts == 2 else waves.real


@dataclass(frozen=True, eq=False)
class _AtPoints:
    """x (B, C, M) -> (*modes, parts, B, C) by one matrix, or its transpose."""

    modes: Modes
    matrix: Tensor
    forward: bool

    def apply(self, x: Tensor) -> Tensor:
        n = len(self.modes.shape)
        if self.forward:
            z = (x.flatten(0, 1) @ self.matrix.t()).unflatten(0, x.shape[:2])  # (B, C, parts K)
            z = z.unflatten(2, (self.modes.parts, *self.modes.shape))
            return z.permute(*range(3, 3 + n), 2, 0, 1).contiguous()
        z = x.permute(n + 1, n + 2, n, *range(n)).flatten(2)  # (B, C, parts K)
        return (z.flatten(0, 1) @ self.matrix).unflatten(0, z.shape[:2])

    def transpose(self) -> _AtPoints:
        return _AtPoints(self.modes, self.matrix, not self.forward)

    @property
    def batch(self) -> tuple[int, int]:
        inside = len(self.modes.shape) + 1
        return (0, inside) if self.forward else (inside, 0)
