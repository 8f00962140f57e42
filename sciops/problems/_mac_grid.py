r"""Staggered (MAC) grid on a box [0, L_x] x [0, L_y]: u and v on faces, scalars in cells.

    u  (n_x + 1, n_y)    at (i h_x, (j + 1/2) h_y)           location "u"
    v  (n_x, n_y + 1)    at ((i + 1/2) h_x, j h_y)           location "v"
    s  (n_x, n_y)        at ((i + 1/2) h_x, (j + 1/2) h_y)   location "cell"

    (div)_ij  = (u_{i+1,j} - u_ij) / h_x + (v_{i,j+1} - v_ij) / h_y
    (grad)_ij = (s_ij - s_{i-1,j}) / h_x on inner faces, 0 on walls

grad = -div^T on velocities that vanish on the walls.  Between points a field is interpolated from
the 2 x 2 nearest ones (`linear`) or by the cubics through 4 x 4 (`cubic`); beyond the outermost
points it goes on as a constant.

A quantity is carried along by the velocity w in semi-Lagrangian form, by the point from which a
particle comes:

    q(x, t + dt) = q(x_d, t),    x_d = x - dt w(x - dt w(x) / 2)

Source: F. H. Harlow, J. E. Welch, Phys. Fluids 8 (1965); A. Staniforth, J. Cote, Mon. Weather Rev.
119 (1991) 2206; R. Bridson, Fluid Simulation for Computer Graphics, 2nd ed., CRC Press (2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sciops.core.errors import ShapeError

Location = Literal["u", "v", "cell"]
OFFSET: dict[str, tuple[float, float]] = {"u": (0.0, 0.5), "v": (0.5, 0.0), "cell": (0.5, 0.5)}
Positions = tuple[Tensor, Tensor]  # x and y, of one shape


@dataclass(frozen=True)
class MacGrid:
    """The grid (formulas: top of this file).

    Parameters
    ----------
    shape
        (n_x, n_y) cells.
    lengths
        (L_x, L_y) of the box.
    dtype, device
        Of all fields.

    Raises
    ------
    ShapeError
        If there are fewer than two cells along an axis, or a length is not positive.
    """

    shape: tuple[int, int]
    lengths: tuple[float, float]
    dtype: torch.dtype = torch.float64
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        if min(self.shape) < 2 or not min(self.lengths) > 0:
            raise ShapeError(
                f"a MAC grid needs at least 2 x 2 cells and a box with an area, got {self.shape} "
                f"cells on {self.lengths}"
            )

    @property
    def spacing(self) -> tuple[float, float]:
        """(h_x, h_y)."""
        return self.lengths[0] / self.shape[0], self.lengths[1] / self.shape[1]

    def points(self, location: Location) -> Positions:
        """x and y of all points of a location, both of its shape."""
        m, n = self.shape_of(location)
        (hx, hy), (ox, oy) = self.spacing, OFFSET[location]
        i = torch.arange(m, dtype=self.dtype, device=self.device)
        j = torch.arange(n, dtype=self.dtype, device=self.device)
        x, y = torch.meshgrid((i + ox) * hx, (j + oy) * hy, indexing="ij")
        return x.contiguous(), y.contiguous()

    def shape_of(self, location: Location) -> tuple[int, int]:
        """Shape of a field at a location."""
        nx, ny = self.shape
        return nx + (location == "u"), ny + (location == "v")

    def zeros(self, location: Location) -> Tensor:
        """The field 0 at a location."""
        return torch.zeros(self.shape_of(location), dtype=self.dtype, device=self.device)

    def divergence(self, u: Tensor, v: Tensor) -> Tensor:
        """div (n_x, n_y) of a velocity."""
        hx, hy = self.spacing
        return u.diff(dim=0) / hx + v.diff(dim=1) / hy

    def gradient(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """grad of s (n_x, n_y): on the faces of u and on those of v."""
        (hx, hy), pad = self.spacing, torch.nn.functional.pad
        return pad(s.diff(dim=0) / hx, (0, 0, 1, 1)), pad(s.diff(dim=1) / hy, (1, 1))

    def energy(self, u: Tensor, v: Tensor) -> Tensor:
        """The kinetic energy int |w|^2 / 2, each face counted with the area h_x h_y."""
        hx, hy = self.spacing
        return hx * hy / 2 * (u.square().sum() + v.square().sum())

    def at_cells(self, u: Tensor, v: Tensor) -> Tensor:
        """The velocity (n_x, n_y, 2) in the cells: means of opposite faces."""
        return torch.stack([u[:-1] + u[1:], v[:, :-1] + v[:, 1:]], dim=-1) / 2

    def linear(self, field: Tensor, location: Location, at: Positions) -> Tensor:
        """A field of a location at any positions, from the 2 x 2 nearest points."""
        (i, s), (j, r) = self._places(field, location, at)
        f, n = field.flatten(), field.shape[1]
        k = i * n + j
        near, far = f[k], f[k + n]
        near = near + r * (f[k + 1] - near)
        far = far + r * (f[k + n + 1] - far)
        return near + s * (far - near)

    def cubic(
        self, field: Tensor, location: Location, at: Positions, limited: bool = False
    ) -> Tensor:
        """A field of a location at any positions, from 4 x 4 points.

        `limited` keeps values between those of the 2 x 2 nearest points, so that no new maximum or
        minimum comes up.
        """
        (i, s), (j, r) = self._places(field, location, at)
        m, n = field.shape
        around = torch.arange(-1, 3, device=field.device)
        rows = (i + around.reshape(4, *[1] * i.ndim)).clamp(0, m - 1)  # (4, *P)
        columns = (j + around.reshape(4, *[1] * j.ndim)).clamp(0, n - 1)
        values = field.flatten()[rows[:, None] * n + columns]  # (4, 4, *P)
        found = ((values * _weights(r)).sum(1) * _weights(s)).sum(0)
        if not limited:
            return found
        nearest = values[1:3, 1:3].flatten(0, 1)
        return torch.minimum(torch.maximum(found, nearest.amin(0)), nearest.amax(0))

    def _places(
        self, field: Tensor, location: Location, at: Positions
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """For each axis the point below and the fraction of a cell beyond it, in [0, 1]."""
        found = []
        for x, h, o, n in zip(at, self.spacing, OFFSET[location], field.shape, strict=True):
            place = (x / h - o).clamp(0, n - 1)
            below = place.floor().clamp(max=n - 2)
            found.append((below.long(), place - below))
        return found[0], found[1]

    def departures(self, u: Tensor, v: Tensor, location: Location, dt: float) -> Positions:
        """Where particles come from that are at the points of a location after the time dt."""
        x, y = self.points(location)

        def back(time: float, at: Positions) -> Positions:
            return x - time * self.linear(u, "u", at), y - time * self.linear(v, "v", at)

        return back(dt, back(dt / 2, (x, y)))


def _weights(s: Tensor) -> Tensor:
    """(4, *P): the cubic through four points at the fraction s of the way from point 1 to 2."""
    t = 1 - s
    a, b = s * (1 + s), t * (1 + t)
    return torch.stack([-s * b / 6, (1 + s) * b / 2, a * (1 + t) / 2, -a * t / 6])


def continued(field: Tensor, known: Tensor, layers: int) -> Tensor:
    """A field (n_x, n_y) that is known on some points only, with `layers` of points more.

    A point of the next layer gets the mean of its known neighbours among the eight around it; what
    lies deeper is 0.
    """
    kernel = field.new_ones(1, 1, 3, 3)

    def around(values: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(values[None, None], kernel, padding=1)[0, 0]

    field = torch.where(known, field, 0.0)
    for _ in range(layers):
        count = around(known.to(field.dtype))
        mean = around(field) / count.clamp(min=1)
        field = torch.where(known, field, mean)
        known = known | (count > 0)
    return field
