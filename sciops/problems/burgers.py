r"""Burgers' equation with viscosity on a periodic interval: waves that steepen into shocks.

    u_t + u u_x = nu u_xx    in [0, L], periodic

The initial state is a Gaussian random field of x / L with mean zero and covariance
tau^(2 alpha - 1) (-d^2/dx^2 + tau^2)^(-alpha) (`_periodic.py`).  A sample is the trajectory from
it, `frames` frames, `interval` apart.  Windows with stride=10 ask for u(1) from u(0), the usual
task; with stride=1 for one step after the other.  All quantities have no unit.

The solver is a Galerkin method in the Fourier modes |k| < N/3, free of aliasing, with the
fourth-order steps of `_exponential.py`.  It keeps the mean of u, and but for the error of the steps
the energy <u^2> / 2 falls by nu <u_x^2>.  A shock from U to -U is 4 nu / U wide; from mode to mode
its spectrum falls by the factor exp(-2 pi^2 nu / (U L)).

The law (alpha = 2.5, tau = 7) is that of the published generator, where nu = 1e-3 on 1024 points.
nu = 5e-3 is what 256 points resolve.  The paper states nu = 0.1, with which no more than
exp(-0.4 pi^2) = 2 % of the longest wave on [0, 1] is left at t = 1.

The known case starts from u = c + a sin(kappa x), kappa = 2 pi / L, a = L / 4, c = L / 10, and is
given by the substitution of Cole and Hopf, u = -2 nu theta_x / theta with theta_t = nu theta_xx:

    u(x, t) = <(x - y) / t>,    < > the mean over all y with the weights
    exp(-[(x - y)^2 / (2 t) + c y - (a / kappa) cos(kappa y)] / (2 nu)).

Source: Z. Li et al., Fourier neural operator for parametric PDEs, 2021, arXiv 2010.08895, section
5.1; generator neuraloperator/neuraloperator, data_generation/burgers; J. D. Cole, On a quasi-linear
parabolic equation occurring in aerodynamics, Quart. Appl. Math. 9, 1951.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from sciops.core.errors import ShapeError
from sciops.core.problem import Evolution, Sample, Source
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.problems._exponential import ORDER, Complex, Nonlinear, evolve
from sciops.problems._periodic import Modes, modes, random_field

Real = NDArray[np.float64]

TAIL = 12.0  # standard deviations at which the weights of the known case end
FINE = 3.0  # points of its quadrature in the least standard deviation


@final
class Burgers(Evolution):
    """Viscous Burgers' equation on a periodic interval (formulas: top of this file)."""

    order: ClassVar[float] = ORDER

    resolution: Annotated[int, Field(ge=8)] = 256  # points N
    viscosity: PositiveFloat = 5e-3
    length: PositiveFloat = 1.0  # L
    alpha: Annotated[float, Field(gt=0.5)] = 2.5  # smoothness of the initial field
    tau: PositiveFloat = 7.0  # its inverse length scale, in units of 1 / L
    frames: Annotated[int, Field(ge=2)] = 11
    interval: PositiveFloat = 0.1  # time between two frames
    step: PositiveFloat | None = None  # of time; None: L / (2 N), stable for |u| < 2.7

    def describe(self) -> str:
        return (
            f"u_t + u u_x = nu u_xx on [0, L], periodic, L = {self.length:g}, nu = "
            f"{self.viscosity:g}; from a Gaussian random field with covariance "
            f"{self.tau:g}^{2 * self.alpha - 1:g} (-d^2/dx^2 + {self.tau:g}^2)^-{self.alpha:g} "
            f"without mean, {self.frames} frames {self.interval:g} apart ({self.resolution} "
            f"points, pseudo-spectral)"
        )

    def refined(self, factor: int = 2) -> Self:
        step = None if self.step is None else self.step / factor
        return self.model_copy(update={"resolution": factor * self.resolution, "step": step})

    def schema(self) -> Schema:  # type: ignore[override]
        axis = Axis.uniform("x", self.resolution, upper=self.length, spacing="periodic")
        u = Variable("u", Grid((axis,)), location="node", time_varying=True)
        return Schema((u,), dt=self.interval, name="burgers")

    def times(self) -> Real:
        return self.interval * np.arange(self.frames)

    def sample(self, generator: np.random.Generator) -> Sample:
        frames = [random_field(generator, self.resolution, 1, self.alpha, self.tau)]
        while len(frames) < self.frames:
            frames.append(self.advance(frames[-1], 0.0, self.interval))
        return {"u": np.stack(frames)}

    def advance(self, state: Real, start: float, stop: float, source: Source | None = None) -> Real:
        """u (N,) at `stop`, for any N."""
        if state.ndim != 1:
            raise ShapeError(f"u must be of the shape (N,), got {state.shape}")
        steepening = _steepening(modes(len(state), 1, self.length))
        step = self.step or 0.5 * self.length / len(state)
        return evolve(state, steepening, self.viscosity, self.length, (start, stop), step, source)

    def exact(self, t: float) -> Real:
        """The known case at the points, by a quadrature that is exact to rounding."""
        kappa, a, c = 2.0 * np.pi / self.length, self.length / 4.0, self.length / 10.0
        x = np.arange(self.resolution) * (self.length / self.resolution)
        if t == 0.0:
            return c + a * np.sin(kappa * x)
        reach = TAIL * math.sqrt(2.0 * self.viscosity * t) + t * (a + abs(c))
        spread = math.sqrt(2.0 * self.viscosity / (1.0 / t + a * kappa))
        n = math.ceil(FINE * reach / spread)
        r = np.linspace(-reach, reach, 2 * n + 1)  # x - y
        y = x[:, None] - r  # (N, 2 n + 1)
        exponent = -(r**2 / (2.0 * t) + c * y - a / kappa * np.cos(kappa * y))
        exponent -= exponent.max(axis=1, keepdims=True)
        weights = np.exp(exponent / (2.0 * self.viscosity))
        return weights @ r / (t * weights.sum(axis=1))


@lru_cache(maxsize=8)
def _steepening(box: Modes) -> Nonlinear:
    """-u u_x = -(u^2 / 2)_x, from modes to modes."""
    slope = -0.5j * box.kappa[0]

    def steepening(u: Complex, t: float) -> Complex:
        return slope * box.of(box.at_points(u) ** 2)

    return steepening
