r"""A plume of smoke in a closed box, stirred by a disc: one step of time after the other.

    w_t + (w . grad) w = -grad p + b rho e_y + s,    div w = 0      velocity w = (u, v)
    rho_t + w . grad rho = e (1 - rho) + s_rho                      density of the smoke

y points upwards, b > 0 is the acceleration of pure smoke, rho = 1, against air, rho = 0; e(x) >= 0
is the rate at which the inlet fills the air with smoke.  On walls and on the disc the velocity
across the surface is that of the surface.  There is no viscosity but that of the method.

A step of length dt from t on the MAC grid of `_mac_grid.py`:

    1  w, rho    <- w(x_d), rho(x_d)                       semi-Lagrangian, the velocity of time t
    2  rho       <- (rho + dt (e + s_rho)) / (1 + dt e),   w <- w + dt (b rho e_y + s)
    3  solid cells: those whose centre is in the disc at t + dt;  their faces move with it
    4  A q = -div w,   w <- w - grad q on faces between two fluid cells,   p = q / dt

A = -div grad on the fluid cells, with no flux across walls and across faces of solid cells: a
`DiffusionMap` tagged symmetric and positive, whose kernel is the constants on the fluid.  The
system is compatible: every row and column of cells enters a convex solid as often as it leaves it,
so what a moving rigid solid pushes away on one side it leaves free on the other.  The projection in
step 4 is orthogonal: <w, grad q> = 0 afterwards for every q, sums over the faces of the fluid.

The disc carries no smoke.  What step 1 reads in its outermost cells is continued from the fluid.
First order in dt.

Source: A. J. Chorin, Math. Comp. 22 (1968) 745 (projection); J. Stam, Stable fluids, SIGGRAPH 1999;
R. Fedkiw, J. Stam, H. W. Jensen, Visual simulation of smoke, SIGGRAPH 2001; R. Bridson, Fluid
Simulation for Computer Graphics, 2nd ed., CRC Press (2015), chapters 3-5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sciops.core.diffusion import DiffusionMap
from sciops.core.errors import SciopsError, ShapeError
from sciops.core.finite_volume import beside
from sciops.core.linear import LinearMap
from sciops.core.solver import Solution
from sciops.problems._mac_grid import MacGrid, continued
from sciops.solvers.cg import CG
from sciops.solvers.multigrid import Multigrid

Pressure = Callable[[LinearMap, Tensor], Solution]  # A, b -> the solution of A q = b
Forces = tuple[Tensor, Tensor, Tensor]  # s on the faces of u and of v, and s_rho

LAYERS = 3  # of solid cells into which the density is continued


def multigrid_cg(A: LinearMap, b: Tensor) -> Solution:
    """Conjugate gradients with a multigrid cycle, to their default tolerance 1e-6."""
    return CG().solve(A, b, M=Multigrid())


@dataclass(frozen=True)
class Disc:
    """A disc whose centre goes round an ellipse.

    c(t) = centre + (a_x cos theta, a_y sin theta),  theta = 2 pi t / period + phase

    Amplitudes (a, 0) let it swing, (0, 0) rest.
    """

    radius: float
    centre: tuple[float, float]
    amplitude: tuple[float, float] = (0.0, 0.0)
    period: float = 1.0
    phase: float = 0.0

    def position(self, t: float) -> tuple[float, float]:
        """c(t)."""
        return self._at(t, 0)

    def velocity(self, t: float) -> tuple[float, float]:
        """dc/dt."""
        return self._at(t, 1)

    def acceleration(self, t: float) -> tuple[float, float]:
        """d^2c/dt^2."""
        return self._at(t, 2)

    def _at(self, t: float, derivative: int) -> tuple[float, float]:
        rate = 2 * math.pi / self.period
        theta = rate * t + self.phase + derivative * math.pi / 2
        (x, y), (a, b) = (0.0, 0.0) if derivative else self.centre, self.amplitude
        factor = rate**derivative
        return x + factor * a * math.cos(theta), y + factor * b * math.sin(theta)


@dataclass(frozen=True)
class State:
    """The flow at one time: u and v on faces, density in cells (shapes: `_mac_grid.py`)."""

    time: float
    u: Tensor
    v: Tensor
    density: Tensor


@final
class PlumeFlow:
    """The equations on a grid, stepped in time (formulas: top of this file).

    Parameters
    ----------
    grid
        The box and its cells.
    disc
        The obstacle; None for an empty box.
    buoyancy
        b.
    emission
        (n_x, n_y) e >= 0.
    pressure
        Solves A q = b: any solver of `sciops.solvers` with any preconditioner, for example
        ``lambda A, b: CG().solve(A, b, M=Jacobi())``.  A is another one in each step.

    Raises
    ------
    ShapeError
        If `emission` is no field of the grid.
    """

    def __init__(
        self,
        grid: MacGrid,
        disc: Disc | None,
        buoyancy: float,
        emission: Tensor,
        pressure: Pressure = multigrid_cg,
    ) -> None:
        if tuple(emission.shape) != grid.shape:
            raise ShapeError(f"emission must be (n_x, n_y) = {grid.shape}, got {emission.shape}")
        self.grid, self.disc, self.pressure = grid, disc, pressure
        self.buoyancy, self.emission = buoyancy, emission

    def rest(self, time: float = 0.0) -> State:
        """Clean air at rest; the faces of the disc move with it."""
        u, v = self.held(time, self.grid.zeros("u"), self.grid.zeros("v"))
        return State(time, u, v, self.grid.zeros("cell"))

    def solid(self, time: float) -> Tensor:
        """(n_x, n_y) bool: cells whose centre is in the disc.

        Raises
        ------
        ShapeError
            If a solid cell touches a wall: then nothing can flow around, and the system of the
            pressure has no solution.
        """
        x, y = self.grid.points("cell")
        if self.disc is None:
            return torch.zeros_like(x, dtype=torch.bool)
        cx, cy = self.disc.position(time)
        found = (x - cx).square() + (y - cy).square() <= self.disc.radius**2
        if bool(found[0].any() | found[-1].any() | found[:, 0].any() | found[:, -1].any()):
            raise ShapeError(
                f"the disc of the radius {self.disc.radius:g} around ({cx:.3g}, "
                f"{cy:.3g}) touches a wall of the box {self.grid.lengths} at t = {time:g}; "
                f"keep it a cell away"
            )
        return found

    def held(self, time: float, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The velocity with the values that walls and disc prescribe at `time`."""
        u, v, solid = u.clone(), v.clone(), self.solid(time)
        u[[0, -1]] = 0.0
        v[:, [0, -1]] = 0.0
        if self.disc is not None:
            disc_u, disc_v = self.disc.velocity(time)
            u = torch.where(beside(solid, 0, 2, "cell"), disc_u, u)
            v = torch.where(beside(solid, 1, 2, "cell"), disc_v, v)
        return u, v

    def project(self, time: float, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Solution]:
        """The velocity without divergence that is nearest to one with the values of `held`.

        Returns
        -------
        u, v, solution
            `solution.x` is q, the pressure times the length of the step.

        Raises
        ------
        SciopsError
            If the system was not solved.
        """
        solid = self.solid(time)
        ones = torch.ones_like(self.emission)
        A = DiffusionMap.from_coefficient(
            ones, self.grid.spacing, "cell", walls="neumann", obstacle=solid
        )
        solution = self.pressure(A, -self.grid.divergence(u, v)).check()
        along_x, along_y = self.grid.gradient(solution.x)
        along_x = torch.where(beside(solid, 0, 2, "cell"), 0.0, along_x)
        along_y = torch.where(beside(solid, 1, 2, "cell"), 0.0, along_y)
        return u - along_x, v - along_y, solution

    def step(self, state: State, dt: float, forces: Forces | None = None) -> tuple[State, Solution]:
        """The flow after the time dt, and what the solver of the pressure said.

        Raises
        ------
        SciopsError
            If the system of the pressure was not solved.
        """
        if not 0 < dt < math.inf:
            raise SciopsError(f"a step needs a positive time dt, got {dt}")
        time = state.time + dt
        u, v, density = self._carried(state, dt)
        s_u, s_v, s_density = (0.0, 0.0, 0.0) if forces is None else forces
        density = (density + dt * (self.emission + s_density)) / (1 + dt * self.emission)
        v[:, 1:-1] += dt * self.buoyancy * (density[:, :-1] + density[:, 1:]) / 2
        u, v = self.held(time, u + dt * s_u, v + dt * s_v)
        u, v, solution = self.project(time, u, v)
        density = torch.where(self.solid(time), 0.0, density)
        return State(time, u, v, density), solution

    def _carried(self, state: State, dt: float) -> tuple[Tensor, Tensor, Tensor]:
        """Step 1: velocity and density where the particles come from."""
        grid, u, v = self.grid, state.u, state.v
        back = {at: grid.departures(u, v, at, dt) for at in ("u", "v", "cell")}
        density = continued(state.density, ~self.solid(state.time), LAYERS)
        return (
            grid.cubic(u, "u", back["u"]),
            grid.cubic(v, "v", back["v"]),
            grid.cubic(density, "cell", back["cell"], limited=True),
        )
