r"""Divergence of a velocity against all of its gradient.

    D = || sum_i d_i u_i || / || grad u ||,    || grad u ||^2 = sum_ij || d_j u_i ||^2

with differences of second order: central, one-sided at an end, across a periodic end; on graded
axes with their own intervals.  D is 0 for an incompressible flow that is resolved, and of order
one for a random field.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciops.core.schema import Axis, Grid, Variable
from sciops.data.checks.fields import Block, Check
from sciops.data.findings import Findings
from sciops.data.layout import Layout

DIVERGENCE = 0.1  # differences of second order leave a few percent where ten points make a wave
FRAMES = 8  # of each trajectory, evenly spread
FEWEST = 4  # points along an axis
SPACE = ("x", "y", "z")
WORD = "incompressible"


def claimed(layout: Layout) -> bool:
    """Whether the data set says that its flow is incompressible."""
    for name, text in layout.attributes.items():
        if name.lower() == WORD:
            return text.strip().lower() in ("1", "true", "yes")
    told = (layout.schema.name, *layout.attributes.values(), *layout.notes)
    return any(WORD in text.lower() for text in told)


def direction(grid: Grid) -> tuple[int, ...]:
    """For each component the number of its axis.

    Components are in the order of the alphabet on axes x, y, z, whatever the order in which these
    are stored, and in the order of the axes otherwise.
    """
    if set(grid.names) <= set(SPACE):
        return tuple(grid.names.index(a) for a in sorted(grid.names))
    return tuple(range(grid.dimension))


def derivative(values: NDArray[np.float64], axis: Axis, number: int) -> NDArray[np.float64]:
    """d/dx of second order along the array's axis `number`."""
    x = axis.coordinates
    if axis.periodic and axis.spacing != "node":
        n = axis.size
        values = np.concatenate(
            [values.take([n - 1], number), values, values.take([0], number)], axis=number
        )
        x = np.concatenate([[x[-1] - axis.length], x, [x[0] + axis.length]])
        inner = [slice(None)] * values.ndim
        inner[number] = slice(1, -1)
        return np.asarray(np.gradient(values, x, axis=number, edge_order=1))[tuple(inner)]
    return np.asarray(np.gradient(values, x, axis=number, edge_order=2))


class Divergence(Check):
    """The ratio D of some frames of each trajectory."""

    def __init__(self, v: Variable, lengths: NDArray[np.int64], incompressible: bool) -> None:
        assert isinstance(v.domain, Grid)
        self.v, self.grid, self.incompressible = v, v.domain, incompressible
        self.lengths, self.toward = lengths, direction(v.domain)
        self.worst, self.sample, self.sum, self.n = -1.0, -1, 0.0, 0

    def block(self, b: Block) -> None:
        """See `Check`."""
        n = int(self.lengths[b.sample])
        wanted = set(np.linspace(0, n - 1, min(n, FRAMES)).round().astype(int).tolist())
        for t in sorted(wanted & set(range(b.frames.start, b.frames.stop))):
            k = t - b.frames.start
            ratio = self._ratio(b.values[k], None if b.valid is None else b.valid[k])
            if ratio is None:
                continue
            self.sum, self.n = self.sum + ratio, self.n + 1
            if ratio > self.worst:
                self.worst, self.sample = ratio, b.sample

    def _ratio(self, u: NDArray[np.generic], valid: NDArray[np.bool_] | None) -> float | None:
        """D of one frame (*N, d); None where nothing moves, or not all is finite."""
        if not np.isfinite(u).all():
            return None
        inside = None if valid is None else _away_from_walls(valid.reshape(self.grid.shape))
        divergence = np.zeros(self.grid.shape)
        gradient = 0.0
        for i, toward in enumerate(self.toward):
            component = u[..., i].astype(np.float64)
            for j, axis in enumerate(self.grid.axes):
                d = derivative(component, axis, j)
                if inside is not None:
                    d = np.where(inside, d, 0.0)
                gradient += float((d**2).sum())
                if j == toward:
                    divergence += d
        if gradient == 0:
            return None
        return float(np.sqrt((divergence**2).sum() / gradient))

    def report(self, findings: Findings) -> None:
        """See `Check`."""
        if not self.n:
            return
        mean = self.sum / self.n
        text = (
            f"the divergence is {self.worst:.3g} of the gradient at most, {mean:.3g} on average "
            f"over {self.n} frames"
        )
        numbers = {"largest": self.worst, "mean": mean}
        where = f"{self.v.name}, sample {self.sample}"
        if self.incompressible and self.worst > DIVERGENCE:
            findings.warning(
                "divergence",
                where,
                f"{text}, but the flow is said to be incompressible; look at the order of the "
                "components and axes, and at the resolution",
                **numbers,
            )
        else:
            findings.info("divergence", where, text, **numbers)


def fits(v: Variable) -> bool:
    """Whether a variable is a velocity on a grid with a component for each axis."""
    return (
        isinstance(v.domain, Grid)
        and v.name.lower() == "velocity"
        and v.components == (v.domain.dimension,)
        and v.domain.dimension > 1
        and v.time_varying
        and min(v.domain.shape) >= FEWEST
        and not v.constant_along
    )


def _away_from_walls(fluid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Points of the fluid all of whose neighbours are of the fluid."""
    padded = np.pad(fluid, 1, mode="edge")
    centre = tuple(slice(1, -1) for _ in fluid.shape)
    inside = fluid.copy()
    for axis in range(fluid.ndim):
        for shift in (-1, 1):
            inside &= np.roll(padded, shift, axis)[centre]
    return inside
