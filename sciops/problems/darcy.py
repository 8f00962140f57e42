r"""Darcy flow through a random medium: from the permeability a to the pressure u.

    -div(a grad u) = 1  in [0, 1]^2,    u = 0 on the wall

    law "threshold"   a = high where g >= 0, low where g < 0
    law "lognormal"   a = exp(g)

g is a Gaussian random field with covariance tau^(2 alpha - 2) (-Laplace + tau^2)^(-alpha) under
Neumann conditions, without its mean, sampled at the points of the grid itself
(`_gaussian_field.py`).  The equation is solved on the same grid by finite volumes
(`_finite_volume.py`), so a and u belong together exactly.  All quantities have no unit.

The usual data sets are

    smooth   Darcy()                                   alpha = 2, tau = 3, values 12 / 3
    rough    Darcy(tau=5.0, values=(12.0, 2.0))        alpha = 2, tau = 5, values 12 / 2

The published generator solves on nodes with arithmetic means, after interpolating a by splines from
cell centres to nodes, and interpolates u back; here nothing is interpolated.

The known case is a = 1 + cos(pi x) cos(pi y) / 2 and u = sin(pi x) sin(pi y).

Source: Z. Li et al., Fourier neural operator for parametric PDEs, 2021, arXiv 2010.08895 (smooth);
the values 12 / 2 with tau = 5 after arXiv 2408.00775.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from sciops.core.problem import Sample, Stationary
from sciops.core.schema import Schema, Variable
from sciops.problems import _finite_volume as fv
from sciops.problems import _gaussian_field as grf
from sciops.problems import _manufactured as manufactured

if TYPE_CHECKING:
    from torch import Tensor

    from sciops.core.linear import LinearMap

Points = Annotated[int, Field(ge=3)]

KNOWN_AMPLITUDE = 0.5
CG_RTOL = 1e-10


@final
class Darcy(Stationary):
    """Darcy flow, a -> u (formulas: top of this file)."""

    order: ClassVar[float] = 2.0

    resolution: Points | tuple[Points, Points] = 85  # points along x and y, wall nodes included
    alpha: Annotated[float, Field(gt=1.0)] = 2.0  # smoothness of g; g is a function for alpha > 1
    tau: PositiveFloat = 3.0  # inverse length scale of g
    law: Literal["threshold", "lognormal"] = "threshold"
    values: tuple[PositiveFloat, PositiveFloat] = (12.0, 3.0)  # high, low; of the threshold law
    centring: fv.Centring = "cell"
    face_mean: fv.Mean = "harmonic"
    solver: Literal["direct", "cg"] = "direct"

    def describe(self) -> str:
        nx, ny = self._shape
        a = f"{self.values[0]:g} where g >= 0 and {self.values[1]:g} elsewhere"
        return (
            f"-div(a grad u) = 1 on [0, 1]^2 with u = 0 on the wall; a = "
            f"{a if self.law == 'threshold' else 'exp(g)'}, g a Gaussian random field with "
            f"covariance {self.tau:g}^{2 * self.alpha - 2:g} (-Laplace + {self.tau:g}^2)^"
            f"-{self.alpha:g} under Neumann conditions and without mean ({self.centring}-centred, "
            f"{nx} x {ny} points)"
        )

    def refined(self, factor: int = 2) -> Self:
        shape = fv.refined(self._shape, self.centring, factor)
        return self.model_copy(update={"resolution": shape})

    def operator(self) -> LinearMap:
        return manufactured.operator(self._shape, self.centring, KNOWN_AMPLITUDE, self.face_mean)

    def rhs(self) -> Tensor:
        return manufactured.rhs(self._shape, self.centring, KNOWN_AMPLITUDE)

    def exact(self) -> Tensor:
        return manufactured.exact(self._shape, self.centring)

    def schema(self) -> Schema:  # type: ignore[override]
        grid = fv.box(self._shape, self.centring)
        return Schema(
            (
                Variable("coefficient", grid, "input", location=self.centring),
                Variable("solution", grid, "target", location=self.centring),
            ),
            fv.zero_walls(grid.names, "solution"),
            name="darcy",
        )

    def sample(self, generator: np.random.Generator) -> Sample:
        a = self.coefficient(generator)
        return {"coefficient": a, "solution": self.solution(a)}

    def coefficient(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """One draw of a, (nx, ny)."""
        g = grf.sample(generator, self._shape, self.centring, self.alpha, self.tau)
        return np.where(g >= 0, *self.values) if self.law == "threshold" else np.exp(g)

    def solution(self, a: NDArray[np.float64]) -> NDArray[np.float64]:
        """u for a coefficient a, both (nx, ny); zero at wall nodes."""
        spacing = fv.spacings(self._shape, self.centring)
        t = fv.conductances(a, spacing, self.centring, self.face_mean)
        f = np.ones(fv.diagonal(t).shape)
        u = fv.solve(t, f) if self.solver == "direct" else _solve_by_cg(t, f)
        return u if self.centring == "cell" else np.pad(u, 1)

    @property
    def _shape(self) -> tuple[int, int]:
        n = self.resolution
        return n if isinstance(n, tuple) else (n, n)


def _solve_by_cg(t: tuple[NDArray[np.float64], ...], f: NDArray[np.float64]) -> NDArray[np.float64]:
    """u with A u = f by conjugate gradients with the diagonal as preconditioner."""
    import torch

    from sciops.core.linear import DiagonalMap
    from sciops.problems._diffusion import DiffusionMap
    from sciops.solvers.cg import CG

    A = DiffusionMap([torch.from_numpy(faces) for faces in t])
    M = DiagonalMap(1.0 / A.diagonal())
    return CG(rtol=CG_RTOL).solve(A, torch.from_numpy(f), M=M).check().x.numpy()
