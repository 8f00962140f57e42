r"""A plume of smoke that rises in a closed box, past a disc that swings through it.

    w_t + (w . grad) w = -grad p + b rho e_y,    div w = 0        w = (u, v), y upwards
    rho_t + w . grad rho = e (1 - rho)                            in [0, 1] x [0, 2]

Incompressible flow without viscosity under the buoyancy of the smoke (Boussinesq).  rho is 1 in
pure smoke and 0 in air; e, largest at the inlet in the lower part of the box, fills the air there
with smoke.  Nothing crosses the walls, and the disc pushes the flow with its own velocity.  The
disc is round `centre` on an ellipse with the half-axes `amplitude`: (a, 0) lets it swing from side
to side.  All quantities have no unit.

A sample is a trajectory from rest, `frames` frames, `interval` apart, the first after the time
`burn_in`: density, velocity in the cells (means of opposite faces), and the cells of the disc, on
N x 2 N cells.  Samples differ by where the disc begins and by the inlet:

    phase ~ U(0, 2 pi),    inlet_x ~ U(0.3, 0.7)

The method (staggered grid, semi-Lagrangian, projection in each step) is that of `_plume_flow.py`;
`flow` gives it to be stepped with any solver of the pressure.  Its pressure systems are pure
Neumann problems on the cells around the disc, another matrix in each step.

The known case is the flow around the disc of `_plume_exact.py`, with phase 0 and the inlet in the
middle, under the forces that it needs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat

from sciops.core.errors import SciopsError, ShapeError
from sciops.core.problem import Evolution, Sample, Source
from sciops.core.schema import Axis, Boundary, Grid, Schema, Side, Variable

if TYPE_CHECKING:
    from torch import Tensor

    from sciops.problems._plume_exact import Known
    from sciops.problems._plume_flow import PlumeFlow, Pressure, State

Real = NDArray[np.float64]

BOX = (1.0, 2.0)
INLET_Y, INLET_RADIUS = 0.2, 0.12  # e = rate (1 - (r / INLET_RADIUS)^2)^2 around the inlet
SLACK = 1e-9  # of a step: by so much a span may be longer than a number of steps


@final
class SmokePlume(Evolution):
    """Smoke rising past a moving disc (formulas: top of this file)."""

    order: ClassVar[float] = 1.0

    resolution: Annotated[int, Field(ge=16)] = 64  # cells N across; 2 N upwards
    buoyancy: NonNegativeFloat = 2.0  # b
    rate: NonNegativeFloat = 10.0  # of the inlet: 1 / rate is the time in which it fills
    radius: PositiveFloat = 0.12  # of the disc
    centre: tuple[float, float] = (0.5, 0.9)
    amplitude: tuple[float, float] = (0.15, 0.0)
    period: PositiveFloat = 3.0  # of the disc
    burn_in: NonNegativeFloat = 0.5  # time before the first frame
    frames: Annotated[int, Field(ge=2)] = 21
    interval: PositiveFloat = 0.1  # time between two frames
    step: PositiveFloat | None = None  # of time, at most; None: 1.1 / N

    def model_post_init(self, context: object) -> None:
        super().model_post_init(context)
        if self._room < 2 / self.resolution:
            raise ValueError(
                f"the disc must stay two cells, {2 / self.resolution:g}, away from the walls of "
                f"[0, 1] x [0, 2], and its path leaves {self._room:g}; make radius "
                f"or amplitude smaller, or move centre"
            )

    def describe(self) -> str:
        return (
            f"w_t + (w . grad) w = -grad p + b rho e_y, div w = 0, rho_t + w . grad rho = "
            f"e (1 - rho) in the closed box [0, 1] x [0, 2], b = {self.buoyancy:g}: smoke rises "
            f"from an inlet past a disc of the radius {self.radius:g} that moves with the period "
            f"{self.period:g} and the half-axes {self.amplitude} around {self.centre}; from rest "
            f"after the time {self.burn_in:g}, {self.frames} frames {self.interval:g} apart "
            f"({self.resolution} x {2 * self.resolution} cells, staggered grid, projection)"
        )

    def refined(self, factor: int = 2) -> Self:
        step = None if self.step is None else self.step / factor
        return self.model_copy(update={"resolution": factor * self.resolution, "step": step})

    def schema(self) -> Schema:  # type: ignore[override]
        cells = (self.resolution, 2 * self.resolution)
        grid = Grid(
            tuple(
                Axis.uniform(name, n, upper=length, periodic=False)
                for name, n, length in zip("xy", cells, BOX, strict=True)
            )
        )
        sides: tuple[Side, ...] = ("lower", "upper")
        return Schema(
            (
                Variable("density", grid, location="cell", time_varying=True),
                Variable("velocity", grid, "state", (2,), location="cell", time_varying=True),
                Variable("obstacle", grid, "geometry", location="cell", time_varying=True),
                Variable("phase", role="param"),
                Variable("inlet_x", role="param"),
            ),
            tuple(Boundary(axis, side, "wall") for axis in "xy" for side in sides),
            dt=self.interval,
            name="smoke_plume",
        )

    def times(self) -> Real:
        return self.interval * np.arange(self.frames)

    def sample(self, generator: np.random.Generator) -> Sample:
        phase, inlet_x = generator.uniform(0.0, 2 * math.pi), generator.uniform(0.3, 0.7)
        flow = self.flow(phase, inlet_x)
        states = [self._evolve(flow, flow.rest(), self.burn_in)]
        for t in self.times()[1:]:
            states.append(self._evolve(flow, states[-1], self.burn_in + t))
        return {
            "density": np.stack([s.density.numpy() for s in states]),
            "velocity": np.stack([flow.grid.at_cells(s.u, s.v).numpy() for s in states]),
            "obstacle": np.stack([flow.solid(s.time).double().numpy() for s in states]),
            "phase": np.array(phase),
            "inlet_x": np.array(inlet_x),
        }

    def flow(
        self, phase: float = 0.0, inlet_x: float = 0.5, pressure: Pressure | None = None
    ) -> PlumeFlow:
        """The method at work: `rest()` to begin, `step(state, dt)` to go on.

        Parameters
        ----------
        phase
            Angle of the disc on its path at the time 0.
        inlet_x
            Middle of the inlet.
        pressure
            (A, b) -> Solution of A q = b; conjugate gradients with multigrid if not given.
        """
        import torch

        from sciops.problems._mac_grid import MacGrid
        from sciops.problems._plume_flow import Disc, PlumeFlow, multigrid_cg

        grid = MacGrid((self.resolution, 2 * self.resolution), BOX)
        x, y = grid.points("cell")
        square = ((x - inlet_x).square() + (y - INLET_Y).square()) / INLET_RADIUS**2
        emission = self.rate * torch.clamp(1 - square, min=0.0).square()
        disc = Disc(self.radius, self.centre, self.amplitude, self.period, phase)
        return PlumeFlow(grid, disc, self.buoyancy, emission, pressure or multigrid_cg)

    def advance(self, state: Real, start: float, stop: float, source: Source | None = None) -> Real:
        """The state (3, N + 1, 2 N + 1) at `stop`: u, v and density, each with zeros at its end."""
        if stop < start:
            raise SciopsError(f"time goes forward only, got start = {start:g} and stop = {stop:g}")
        from sciops.problems._plume_flow import State

        flow = self.flow()
        end = self._evolve(flow, State(start, *_unpacked(state, flow)), stop, source)
        return _packed(end.u.numpy(), end.v.numpy(), end.density.numpy())

    def exact(self, t: float) -> Real:
        u, v, cells = self._known(t)
        return _packed(u.velocity[0], v.velocity[1], cells.density)

    def source(self, t: float) -> Real:
        u, v, cells = self._known(t)
        flow = self.flow()
        lift = flow.buoyancy * v.density
        emitted = flow.emission.numpy() * (1 - cells.density)
        return _packed(u.acceleration[0], v.acceleration[1] - lift, cells.density_rate - emitted)

    def _known(self, t: float) -> tuple[Known, Known, Known]:
        """The known flow on the faces of u, on those of v, and in the cells."""
        from sciops.problems._plume_exact import CLOSE, Known, Motion

        flow = self.flow()
        grid, disc = flow.grid, flow.disc
        assert disc is not None
        motion = Motion(t, disc.position(t), disc.velocity(t), disc.acceleration(t))
        near = self.radius + CLOSE * self._room
        radii = (near, self.radius + self._room)
        u, v, cells = (
            Known(x.numpy(), y.numpy(), motion, radii, BOX)
            for x, y in (grid.points("u"), grid.points("v"), grid.points("cell"))
        )
        return u, v, cells

    @property
    def _room(self) -> float:
        """How near the disc comes to a wall."""
        reach = zip(self.centre, self.amplitude, BOX, strict=True)
        return min(min(c, length - c) - abs(a) for c, a, length in reach) - self.radius

    def _evolve(
        self, flow: PlumeFlow, state: State, stop: float, source: Source | None = None
    ) -> State:
        """The flow at `stop`, by the fewest equal steps that are not longer than `_step`."""
        n = math.ceil((stop - state.time) / self._step - SLACK)
        for i in range(n):
            dt = (stop - state.time) / (n - i)
            forces = None if source is None else _unpacked(source(state.time + dt), flow)
            state = flow.step(state, dt, forces)[0]
        return state

    @property
    def _step(self) -> float:
        """The longest step up to `step` that divides the interval of the frames."""
        longest = self.step or 1.1 / self.resolution
        return self.interval / math.ceil(self.interval / longest - SLACK)


def _packed(*fields: Real) -> Real:
    """(3, N + 1, 2 N + 1): u, v and density, each with zeros at the end of its axes."""
    m, n = fields[0].shape[0], fields[1].shape[1]
    packed = np.zeros((len(fields), m, n))
    for part, field in zip(packed, fields, strict=True):
        part[: field.shape[0], : field.shape[1]] = field
    return packed


def _unpacked(packed: Real, flow: PlumeFlow) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of `_packed` on the grid of a flow."""
    import torch

    nx, ny = flow.grid.shape
    if packed.shape != (3, nx + 1, ny + 1):
        raise ShapeError(
            f"a state of the plume on {nx} x {ny} cells has the shape {(3, nx + 1, ny + 1)}, got "
            f"{packed.shape}"
        )
    u, v, density = torch.from_numpy(packed.astype(np.float64))  # a copy
    return u[:, :-1], v[:-1], density[:-1, :-1]
