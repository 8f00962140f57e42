r"""A known flow around a moving disc, and the forces that it needs.

    psi = psi_0 + chi (U (y - c_y) - V (x - c_x) - psi_0),    u = psi_y,  v = -psi_x
    rho = (1 - chi) rho_0
    psi_0 = a cos(omega t) sin(pi x / L_x) sin(2 pi y / L_y)
    rho_0 = (1 + cos(omega t) cos(pi x / L_x) cos(pi y / L_y)) / 2

c(t) is the centre of the disc and (U, V) its velocity; chi(r) is 1 up to the radius r_1, a little
more than that of the disc, and falls to 0 at r_2, the distance from the nearest wall, as a
polynomial with three continuous derivatives.  So w has no divergence, is exactly the velocity of
the disc in and next to it, and runs along the walls.  With p = 0 the equations of
`_plume_flow.py` ask for

    s = dw/dt - b rho e_y,    s_rho = d rho/dt - e (1 - rho),    d/dt = d_t + u d_x + v d_y.

Derivatives are written out by the product rule, as fields named by what they are taken by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

CLOSE = 0.1  # of the way from the disc to the nearest wall: r_1
AMPLITUDE, OMEGA = 0.1, 3.0  # a, omega
PAIRS = ("xx", "xy", "yy", "xt", "yt")


@dataclass(frozen=True)
class Motion:
    """Centre, velocity and acceleration of the disc at one time."""

    time: float
    centre: tuple[float, float]
    velocity: tuple[float, float]
    acceleration: tuple[float, float]


@dataclass(frozen=True)
class Known:
    """The known flow and its derivatives at one time and at points x and y of one shape."""

    x: Real
    y: Real
    motion: Motion
    radii: tuple[float, float]  # r_1, r_2
    lengths: tuple[float, float]

    @property
    def velocity(self) -> tuple[Real, Real]:
        """u and v."""
        psi = self._psi()
        return psi["y"], -psi["x"]

    @property
    def acceleration(self) -> tuple[Real, Real]:
        """dw/dt along the flow."""
        psi = self._psi()
        u, v = psi["y"], -psi["x"]
        return (
            psi["yt"] + u * psi["xy"] + v * psi["yy"],
            -(psi["xt"] + u * psi["xx"] + v * psi["xy"]),
        )

    @property
    def density(self) -> Real:
        """rho."""
        return (1 - self._chi()[""]) * self._rho_0()[""]

    @property
    def density_rate(self) -> Real:
        """d rho/dt along the flow."""
        (u, v), chi, rho = self.velocity, self._chi(), self._rho_0()
        return (1 - chi[""]) * (rho["t"] + u * rho["x"] + v * rho["y"]) - rho[""] * (
            chi["t"] + u * chi["x"] + v * chi["y"]
        )

    def _psi(self) -> dict[str, Real]:
        """The derivatives of psi = psi_0 + chi D."""
        chi, psi_0, D = self._chi(), self._psi_0(), self._difference()
        psi = {a: psi_0[a] + chi[a] * D[""] + chi[""] * D[a] for a in "xy"}
        for a, b in PAIRS:
            product = chi[a + b] * D[""] + chi[a] * D[b] + chi[b] * D[a] + chi[""] * D[a + b]
            psi[a + b] = psi_0[a + b] + product
        return psi

    def _difference(self) -> dict[str, Real]:
        """D = U (y - c_y) - V (x - c_x) - psi_0."""
        (cx, cy), (u, v), (a, b) = (
            self.motion.centre, self.motion.velocity, self.motion.acceleration
        )  # fmt: skip
        rigid = {
            "": u * (self.y - cy) - v * (self.x - cx),
            "t": a * (self.y - cy) - b * (self.x - cx),
            "x": -v, "y": u, "xt": -b, "yt": a,
        }  # fmt: skip
        return {name: rigid.get(name, 0.0) - value for name, value in self._psi_0().items()}

    def _psi_0(self) -> dict[str, Real]:
        p, q = np.pi / self.lengths[0], 2 * np.pi / self.lengths[1]
        (s, c), (r, d) = (_sine_and_cosine(k * z) for k, z in ((p, self.x), (q, self.y)))
        shape = {
            "": s * r, "x": p * c * r, "y": q * s * d, "xx": -p * p * s * r,
            "xy": p * q * c * d, "yy": -q * q * s * r,
        }  # fmt: skip
        swing = AMPLITUDE * np.cos(OMEGA * self.motion.time)
        rate = -AMPLITUDE * OMEGA * np.sin(OMEGA * self.motion.time)
        found = {name: swing * value for name, value in shape.items()}
        return found | {name + "t": rate * shape[name] for name in ("", "x", "y")}

    def _rho_0(self) -> dict[str, Real]:
        p, q = np.pi / self.lengths[0], np.pi / self.lengths[1]
        (s, c), (r, d) = (_sine_and_cosine(k * z) for k, z in ((p, self.x), (q, self.y)))
        swing, rate = np.cos(OMEGA * self.motion.time), np.sin(OMEGA * self.motion.time)
        return {
            "": (1 + swing * c * d) / 2, "x": -swing * p * s * d / 2, "y": -swing * q * c * r / 2,
            "t": -OMEGA * rate * c * d / 2,
        }  # fmt: skip

    def _chi(self) -> dict[str, Real]:
        """chi = g(z), z = (x - c_x)^2 + (y - c_y)^2."""
        (cx, cy), (u, v), (near, far) = self.motion.centre, self.motion.velocity, self.radii
        x, y, width = self.x - cx, self.y - cy, far**2 - near**2
        s = np.clip((x * x + y * y - near**2) / width, 0.0, 1.0)
        first = -140 * (s * (1 - s)) ** 3 / width  # g'
        second = -420 * (s * (1 - s)) ** 2 * (1 - 2 * s) / width**2  # g''
        found = {
            "": 1 - s**4 * (35 - 84 * s + 70 * s**2 - 20 * s**3),
            "x": 2 * x * first, "y": 2 * y * first, "xx": 2 * first + 4 * x * x * second,
            "xy": 4 * x * y * second, "yy": 2 * first + 4 * y * y * second,
        }  # fmt: skip
        for name, a, b in (("t", "x", "y"), ("xt", "xx", "xy"), ("yt", "xy", "yy")):
            found[name] = -u * found[a] - v * found[b]  # chi moves with the disc
        return found


def _sine_and_cosine(z: Real) -> tuple[Real, Real]:
    return np.sin(z), np.cos(z)
