r"""Poisson's equation with a smooth coefficient and solutions that are known exactly.

    -div(a grad u) = f  in [0, 1]^D,    u = 0 on the wall,    a(x) = 1 + s prod_d cos(pi x_d)

The known case is u = prod_d sin(pi x_d) with s = 1/2.  A sample draws s from U(0, 0.9) and

    u = sum_k c_k prod_d sin(k_d pi x_d),   c_k ~ N(0, |k|^-4),   k_d = 1 .. 4,

and gives the source f (input), s (`amplitude`, param) and u (target).  f is computed from u by the
formula, so that samples carry no discretisation error at all.  All quantities have no unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, final

import numpy as np
from pydantic import Field

from sciops.core.problem import Sample, Stationary
from sciops.core.schema import Schema, Variable
from sciops.problems import _finite_volume as fv
from sciops.problems import _manufactured as manufactured

if TYPE_CHECKING:
    from torch import Tensor

    from sciops.core.linear import LinearMap

MODES = 4
KNOWN_AMPLITUDE = 0.5


@final
class Poisson(Stationary):
    """-div(a grad u) = f with a smooth coefficient (formulas: top of this file)."""

    order: ClassVar[float] = 2.0

    dimension: Literal[1, 2, 3] = 2
    resolution: Annotated[int, Field(ge=3)] = 64  # points along each axis, wall nodes included
    centring: fv.Centring = "cell"

    def describe(self) -> str:
        return (
            f"-div(a grad u) = f on [0, 1]^{self.dimension} with u = 0 on the wall and the smooth "
            f"coefficient a = 1 + s prod cos(pi x_d); the solution u is a random sum of sines, so "
            f"that f is known exactly ({self.centring}-centred, {self.resolution} points an axis)"
        )

    def refined(self, factor: int = 2) -> Self:
        (n,) = fv.refined((self.resolution,), self.centring, factor)
        return self.model_copy(update={"resolution": n})

    def operator(self) -> LinearMap:
        return manufactured.operator(self._shape, self.centring, KNOWN_AMPLITUDE)

    def rhs(self) -> Tensor:
        return manufactured.rhs(self._shape, self.centring, KNOWN_AMPLITUDE)

    def exact(self) -> Tensor:
        return manufactured.exact(self._shape, self.centring)

    def schema(self) -> Schema:  # type: ignore[override]
        grid = fv.box(self._shape, self.centring)
        return Schema(
            (
                Variable("source", grid, "input", location=self.centring),
                Variable("amplitude", role="param"),
                Variable("solution", grid, "target", location=self.centring),
            ),
            fv.zero_walls(grid.names, "solution"),
            name="poisson",
        )

    def sample(self, generator: np.random.Generator) -> Sample:
        amplitude = generator.uniform(0.0, 0.9)
        k = np.indices((MODES,) * self.dimension) + 1
        c = generator.standard_normal(k.shape[1:]) / (k**2).sum(axis=0)  # (K, .., K)
        points = fv.points(self._shape, self.centring)
        solution = manufactured.solution(points, c)
        return {
            "source": manufactured.source(points, amplitude, c),
            "amplitude": np.array(amplitude),
            "solution": fv.with_zero_walls(solution, self.centring),
        }

    @property
    def _shape(self) -> tuple[int, ...]:
        return (self.resolution,) * self.dimension
