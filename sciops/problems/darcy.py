r"""Darcy flow through a random medium: from the permeability a to the pressure u.

    -div(a grad u) = 1  in [0, 1]^2,    u = 0 on the wall

    law "threshold"      a = high where g >= 0, low where g < 0
    law "lognormal"      a = exp(g)
    law "trigonometric"  a = prod_{k=1}^6 (1 + cos(a_k pi (x + y)) / 2)
                                          (1 + sin(a_k pi (y - 3 x)) / 2)

g is a Gaussian random field with covariance tau^(2 alpha - 2) (-Laplace + tau^2)^(-alpha) under
Neumann conditions, without its mean, sampled at the points of the grid itself
(`_gaussian_field.py`).  The equation is solved on the same grid by finite volumes
(`_finite_volume.py`), so a and u belong together exactly.  All quantities have no unit.

The trigonometric law draws a_k ~ U(2^(k-1), 1.5 2^(k-1)), independent: six scales, a between 2e-4
and 130.  The finest wave goes up to 72 times across the box along x, so that 500 points give it 7
each and fewer than 144 alias it.  alpha, tau and values have no part in this law.

The usual data sets are

    smooth       Darcy()                               alpha = 2, tau = 3, values 12 / 3
    rough        Darcy(tau=5.0, values=(12.0, 2.0))    alpha = 2, tau = 5, values 12 / 2
    multiscale   Darcy(law="trigonometric")            in the literature on 1023 x 1023 points

The published generator solves on nodes with arithmetic means, after interpolating a by splines from
cell centres to nodes, and interpolates u back; here nothing is interpolated.

The known case is a = 1 + cos(pi x) cos(pi y) / 2 and u = sin(pi x) sin(pi y).

Source: Z. Li et al., Fourier neural operator for parametric PDEs, 2021, arXiv 2010.08895 (smooth);
the values 12 / 2 with tau = 5 after arXiv 2408.00775.  The trigonometric law is written down from
memory of the multiscale examples of H. Owhadi and L. Zhang: neither a published statement nor a
public generator was found to confirm its constants, or the 1023 points.
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
SCALES = 6  # of the trigonometric law


@final
class Darcy(Stationary):
    """Darcy flow, a -> u (formulas: top of this file)."""

    order: ClassVar[float] = 2.0

    resolution: Points | tuple[Points, Points] = 85  # points along x and y, wall nodes included
    alpha: Annotated[float, Field(gt=1.0)] = 2.0  # smoothness of g; g is a function for alpha > 1
    tau: PositiveFloat = 3.0  # inverse length scale of g
    law: Literal["threshold", "lognormal", "trigonometric"] = "threshold"
    values: tuple[PositiveFloat, PositiveFloat] = (12.0, 3.0)  # high, low; of the threshold law
    centring: fv.Centring = "cell"
    face_mean: fv.Mean = "harmonic"
    solver: Literal["direct", "cg"] = "direct"

    def describe(self) -> str:
        nx, ny = self._shape
        high, low = self.values
        field = (
            f"g a Gaussian random field with covariance {self.tau:g}^{2 * self.alpha - 2:g} "
            f"(-Laplace + {self.tau:g}^2)^-{self.alpha:g} under Neumann conditions and without mean"
        )
        a = {
            "threshold": f"{high:g} where g >= 0 and {low:g} elsewhere, {field}",
            "lognormal": f"exp(g), {field}",
            "trigonometric": "prod_{k=1..6} (1 + cos(a_k pi (x + y)) / 2) (1 + sin(a_k pi (y - 3 x"
            ")) / 2), a_k ~ U(2^(k-1), 1.5 2^(k-1))",
        }[self.law]
        return (
            f"-div(a grad u) = 1 on [0, 1]^2 with u = 0 on the wall; a = {a} "
            f"({self.centring}-centred, {nx} x {ny} points)"
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
        if self.law == "trigonometric":
            lowest = 2.0 ** np.arange(SCALES)
            frequencies = generator.uniform(lowest, 1.5 * lowest)
            return trigonometric(fv.points(self._shape, self.centring), frequencies)
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


def trigonometric(
    points: list[NDArray[np.float64]], frequencies: NDArray[np.float64]
) -> NDArray[np.float64]:
    """a of the trigonometric law on the tensor grid of `points`, (nx, ny), for a_k (6,)."""
    x, y = points[0][:, None], points[1][None, :]
    a = np.ones((len(points[0]), len(points[1])))
    for frequency in np.pi * frequencies:
        a *= (1.0 + np.cos(frequency * (x + y)) / 2) * (1.0 + np.sin(frequency * (y - 3 * x)) / 2)
    return a


def _solve_by_cg(t: tuple[NDArray[np.float64], ...], f: NDArray[np.float64]) -> NDArray[np.float64]:
    """u with A u = f by conjugate gradients with the diagonal as preconditioner."""
    import torch

    from sciops.core.diffusion import DiffusionMap
    from sciops.core.linear import DiagonalMap
    from sciops.solvers.cg import CG

    A = DiffusionMap([torch.from_numpy(faces) for faces in t])
    M = DiagonalMap(1.0 / A.diagonal())
    return CG(rtol=CG_RTOL).solve(A, torch.from_numpy(f), M=M).check().x.numpy()
