r"""Two-dimensional incompressible flow in a periodic square, in terms of the vorticity w.

    w_t + u . grad w = nu Laplace w + f    in [0, L]^2, periodic
    u = (psi_y, -psi_x),    -Laplace psi = w,    w = v_x - u_y

    forcing "diagonal"     f = A (sin theta + cos theta),  theta = 2 pi m (x + y) / L
    forcing "kolmogorov"   f = A cos(2 pi m y / L)

The initial vorticity is `initial_scale` times a Gaussian random field of (x, y) / L with mean zero
and covariance tau^(2 alpha - 2) (-Laplace + tau^2)^(-alpha) (`_periodic.py`).  It is left to the
flow for the time `burn_in`, so that the first frame is a state of the flow and not noise; then a
trajectory of `frames` frames is stored, `interval` apart.  All quantities have no unit.

The solver is a Galerkin method in the Fourier modes |k_x|, |k_y| < N/3, free of aliasing, with the
fourth-order steps of `_exponential.py`.  Of the nonlinear term

    u . grad w = (d_xx - d_yy)(u v) + d_xy (v^2 - u^2)

two products are transformed.  Without viscosity and forcing the method keeps energy E and enstrophy
Z but for the error of the steps; in general, with the palinstrophy P and means < >,

    dE/dt = -2 nu Z + <psi f>,    dZ/dt = -2 nu P + <w f>
    E = <|u|^2> / 2,    Z = <w^2> / 2,    P = <|grad w|^2> / 2

The published data have A = 0.1, L = 1, alpha = 2.5, tau = 7, initial_scale = 1, burn_in = 0 and
nu = 1e-3, 1e-4 or 1e-5, computed on 256 x 256 points.  The force soon outweighs so weak a field and
makes the samples alike: at t = 10 and nu = 5e-4 their mean has 96 % of their norm.  With the scale
5 it has 60 %.  At nu = 5e-4 the flow is lively and its spectrum ends within 64 x 64 points.  For
less viscosity take more; ``sciops data subsample --resolution 64`` makes the file smaller.

The known case is psi = (a + b) / kappa^2, kappa = 2 pi / L, of two eigenfunctions of the Laplacian
with different eigenvalues, so that the nonlinear term does not vanish, under the source that it
needs:  a = sin(kappa x - t) cos(kappa y),  b = cos(t) cos(kappa (2 x + y)) / 2.

Source: Z. Li et al., Fourier neural operator for parametric PDEs, 2021, arXiv 2010.08895, appendix
A.3.3; generator neuraloperator/neuraloperator, data_generation/navier_stokes/ns_2d.py (there with
Crank-Nicolson and Euler steps of 1e-4).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from sciops.core.errors import ShapeError
from sciops.core.problem import Evolution, Sample, Source
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.problems._exponential import ORDER, Complex, Nonlinear, evolve
from sciops.problems._periodic import Modes, modes, random_field

Real = NDArray[np.float64]


@final
class NavierStokes(Evolution):
    """Vorticity of a flow in a periodic square (formulas: top of this file)."""

    order: ClassVar[float] = ORDER

    resolution: Annotated[int, Field(ge=8)] = 64  # points N along each axis
    viscosity: NonNegativeFloat = 5e-4
    length: PositiveFloat = 1.0  # L
    forcing: Literal["diagonal", "kolmogorov", "none"] = "diagonal"
    strength: float = 0.1  # A
    forcing_wavenumber: PositiveInt = 1  # m < N / 3
    alpha: Annotated[float, Field(gt=1.0)] = 2.5  # smoothness of the initial field
    tau: PositiveFloat = 7.0  # its inverse length scale, in units of 1 / L
    initial_scale: PositiveFloat = 5.0
    burn_in: NonNegativeFloat = 2.0  # time before the first frame
    frames: Annotated[int, Field(ge=2)] = 21
    interval: PositiveFloat = 1.0  # time between two frames
    step: PositiveFloat | None = None  # of time; None: 1.6 / N, stable for |u| + |v| < 0.84 L

    def model_post_init(self, context: object) -> None:
        super().model_post_init(context)
        if self.forcing != "none" and 3 * self.forcing_wavenumber >= self.resolution:
            raise ValueError(
                f"forcing_wavenumber must be below a third of the resolution {self.resolution}, "
                f"got {self.forcing_wavenumber}; the solver has no such mode"
            )

    def describe(self) -> str:
        f = {
            "diagonal": f"{self.strength:g} (sin theta + cos theta), "
            f"theta = 2 pi {self.forcing_wavenumber} (x + y) / L",
            "kolmogorov": f"{self.strength:g} cos(2 pi {self.forcing_wavenumber} y / L)",
            "none": "0",
        }[self.forcing]
        return (
            f"w_t + u . grad w = nu Laplace w + f for the vorticity w of a two-dimensional "
            f"incompressible flow on [0, L]^2, periodic, L = {self.length:g}, nu = "
            f"{self.viscosity:g}, f = {f}; from a Gaussian random field after the time "
            f"{self.burn_in:g}, {self.frames} frames {self.interval:g} apart "
            f"({self.resolution} x {self.resolution} points, pseudo-spectral)"
        )

    def refined(self, factor: int = 2) -> Self:
        step = None if self.step is None else self.step / factor
        return self.model_copy(update={"resolution": factor * self.resolution, "step": step})

    def schema(self) -> Schema:  # type: ignore[override]
        axes = (
            Axis.uniform(name, self.resolution, upper=self.length, spacing="periodic")
            for name in ("x", "y")
        )
        vorticity = Variable("vorticity", Grid(tuple(axes)), location="node", time_varying=True)
        return Schema((vorticity,), dt=self.interval, name="navier_stokes")

    def times(self) -> Real:
        return self.interval * np.arange(self.frames)

    def sample(self, generator: np.random.Generator) -> Sample:
        g = random_field(generator, self.resolution, 2, self.alpha, self.tau)
        frames = [self.advance(self.initial_scale * g, 0.0, self.burn_in)]
        while len(frames) < self.frames:
            frames.append(self.advance(frames[-1], 0.0, self.interval))
        return {"vorticity": np.stack(frames)}

    def advance(self, state: Real, start: float, stop: float, source: Source | None = None) -> Real:
        """The vorticity (N, N) at `stop`, for any N."""
        if state.ndim != 2 or state.shape[0] != state.shape[1]:
            raise ShapeError(f"the vorticity must be of the shape (N, N), got {state.shape}")
        box = modes(len(state), 2, self.length)
        advection, f = _advection(box), box.of(self.force(len(state)))
        step = self.step or 1.6 / len(state)

        def nonlinear(w: Complex, t: float) -> Complex:
            return advection(w, t) + f

        return evolve(state, nonlinear, self.viscosity, self.length, (start, stop), step, source)

    def force(self, points: int) -> Real:
        """f (N, N) on N x N points."""
        x, y = _points(points, 2.0 * np.pi * self.forcing_wavenumber)
        if self.forcing == "diagonal":
            return self.strength * (np.sin(x + y) + np.cos(x + y))
        amplitude = self.strength if self.forcing == "kolmogorov" else 0.0
        return amplitude * np.cos(0.0 * x + y)

    def exact(self, t: float) -> Real:
        """w = -Laplace psi = 2 a + 5 b."""
        x, y = _points(self.resolution, 2.0 * np.pi)
        a, b = np.sin(x - t) * np.cos(y), 0.5 * np.cos(t) * np.cos(2.0 * x + y)
        return 2.0 * a + 5.0 * b

    def source(self, t: float) -> Real:
        """w_t + u . grad w - nu Laplace w - f of the known case.

        u . grad w = 3 (a_y b_x - a_x b_y) / kappa^2, as w = 2 a + 5 b.
        """
        x, y = _points(self.resolution, 2.0 * np.pi)  # kappa x, kappa y
        a, b = np.sin(x - t) * np.cos(y), 0.5 * np.cos(t) * np.cos(2.0 * x + y)
        a_x, a_y = np.cos(x - t) * np.cos(y), -np.sin(x - t) * np.sin(y)  # over kappa
        b_y = -0.5 * np.cos(t) * np.sin(2.0 * x + y)
        b_t = -0.5 * np.sin(t) * np.cos(2.0 * x + y)
        diffusion = self.viscosity * (2.0 * np.pi / self.length) ** 2 * (4.0 * a + 25.0 * b)
        advection = 3.0 * (a_y * 2.0 * b_y - a_x * b_y)
        return -2.0 * a_x + 5.0 * b_t + advection + diffusion - self.force(self.resolution)


def _points(n: int, wavenumber: float) -> tuple[Real, Real]:
    """wavenumber x / L and wavenumber y / L at n x n points, (n, 1) and (1, n)."""
    s = wavenumber * np.arange(n) / n
    return s[:, None], s[None, :]


@lru_cache(maxsize=8)
def _advection(box: Modes) -> Nonlinear:
    """-u . grad w, from modes to modes."""
    kx, ky = box.kappa
    inverse = np.divide(1.0, box.square, out=np.zeros_like(box.square), where=box.square > 0)
    velocity = 1j * np.stack([ky * inverse, -kx * inverse])  # of modes of w: those of (u, v)
    mixed, normal = kx**2 - ky**2 + 0.0 * box.square, kx * ky

    def advection(w: Complex, t: float) -> Complex:
        u, v = box.at_points(velocity * w)
        uv, difference = box.of(np.stack([u * v, v * v - u * u]))
        return mixed * uv + normal * difference

    return advection


def velocity(vorticity: Real, length: float = 1.0) -> Real:
    """(psi_y, -psi_x), the velocity without mean: (*batch, N, N) -> (2, *batch, N, N)."""
    from scipy import fft

    kx, ky = _wavenumbers(vorticity.shape[-1], length)
    square = kx**2 + ky**2
    square[0, 0] = np.inf
    psi = fft.fft2(vorticity) / square
    return np.stack([fft.ifft2(1j * ky * psi).real, fft.ifft2(-1j * kx * psi).real])


def energy(vorticity: Real, length: float = 1.0) -> Real:
    """E = <|u|^2> / 2, the mean velocity left out: (*batch, N, N) -> (*batch)."""
    return 0.5 * (velocity(vorticity, length) ** 2).sum(axis=0).mean(axis=(-2, -1))


def enstrophy(vorticity: Real) -> Real:
    """Z = <w^2> / 2: (*batch, N, N) -> (*batch)."""
    return 0.5 * (vorticity**2).mean(axis=(-2, -1))


def palinstrophy(vorticity: Real, length: float = 1.0) -> Real:
    """P = <|grad w|^2> / 2: (*batch, N, N) -> (*batch)."""
    from scipy import fft

    kx, ky = _wavenumbers(vorticity.shape[-1], length)
    power = np.abs(fft.fft2(vorticity, norm="forward")) ** 2  # Parseval
    return 0.5 * ((kx**2 + ky**2) * power).sum(axis=(-2, -1))


def _wavenumbers(n: int, length: float) -> tuple[Real, Real]:
    """kappa_x (n, 1) and kappa_y (1, n) in the order of the FFT."""
    kappa = 2.0 * np.pi * np.fft.fftfreq(n, length / n)
    return kappa[:, None], kappa[None, :]
