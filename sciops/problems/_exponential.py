r"""Exponential time stepping of order four for  u_t = c u + N(u, t),  c a number for each mode.

With z = h c, the step from t to t + h of Cox and Matthews, ETDRK4, is

    a  = e^(z/2) u + (h/2) phi_1(z/2) N(u, t)
    b  = e^(z/2) u + (h/2) phi_1(z/2) N(a, t + h/2)
    d  = e^(z/2) a + (h/2) phi_1(z/2) (2 N(b, t + h/2) - N(u, t))
    u' = e^z u + h [ (phi_1 - 3 phi_2 + 4 phi_3) N(u, t)
                     + (2 phi_2 - 4 phi_3) (N(a, t + h/2) + N(b, t + h/2))
                     + (4 phi_3 - phi_2) N(d, t + h) ],

    phi_1 = (e^z - 1) / z,    phi_(k+1) = (phi_k - 1/k!) / z.

The linear part is exact, so its stiffness does not bound the step; N does, as in any explicit
method.  The error is O(h^4); where N drives modes with |z| >> 1 strongly the order may fall to two,
which smooth solutions, having next to nothing in such modes, do not show.  The formulas of phi_k
lose all digits near z = 0; they are taken as means over a circle of radius 1 around z (Cauchy),
which is exact to rounding.

`evolve` applies the steps to a field on a periodic box, where diffusion is the linear part,
c = -nu |kappa|^2.

Source: S. M. Cox, P. C. Matthews, Exponential time differencing for stiff systems, J. Comput. Phys.
176, 2002; A.-K. Kassam, L. N. Trefethen, Fourth-order time-stepping for stiff PDEs, SIAM J. Sci.
Comput. 26, 2005; M. Hochbruck, A. Ostermann, Explicit exponential Runge-Kutta methods for
semilinear parabolic problems, SIAM J. Numer. Anal. 43, 2005 (order).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import final

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SciopsError
from sciops.core.problem import Source
from sciops.problems._periodic import Modes, modes

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Nonlinear = Callable[[Complex, float], Complex]

ORDER = 4.0
POINTS = 16  # on the upper half of the circle
SLACK = 1e-9  # of a step: a span of whole steps, but for rounding, takes no step more


def phi(z: Real) -> Real:
    """phi_1, phi_2, phi_3 at real z (*s): (3, *s)."""
    total = np.zeros((3, *z.shape))
    for angle in np.pi * (np.arange(POINTS) + 0.5) / POINTS:
        r = z + np.exp(1j * angle)
        one = np.expm1(r) / r
        two = (one - 1.0) / r
        three = (two - 0.5) / r
        total += np.stack([one.real, two.real, three.real])
    return total / POINTS


@final
class ETDRK4:
    """One step of length h.

    Parameters
    ----------
    linear
        c, real, of the shape of u.
    step
        h.
    """

    def __init__(self, linear: Real, step: float) -> None:
        self.step = step
        z = step * linear
        one, two, three = step * phi(z)
        self._whole, self._half = np.exp(z), np.exp(0.5 * z)
        self._stage = 0.5 * step * phi(0.5 * z)[0]
        self._first = one - 3.0 * two + 4.0 * three
        self._middle = 2.0 * two - 4.0 * three
        self._last = 4.0 * three - two

    def __call__(self, nonlinear: Nonlinear, u: Complex, t: float) -> Complex:
        """u at t + h."""
        middle = t + 0.5 * self.step
        decayed = self._half * u
        n_u = nonlinear(u, t)
        a = decayed + self._stage * n_u
        n_a = nonlinear(a, middle)
        n_b = nonlinear(decayed + self._stage * n_a, middle)
        n_d = nonlinear(self._half * a + self._stage * (2.0 * n_b - n_u), t + self.step)
        return self._whole * u + self._first * n_u + self._middle * (n_a + n_b) + self._last * n_d


def march(step: ETDRK4, nonlinear: Nonlinear, u: Complex, start: float, n: int) -> Complex:
    """u after n steps from time `start`.

    Raises
    ------
    SciopsError
        If u is no longer finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(n):
            u = step(nonlinear, u, start + i * step.step)
    if not np.isfinite(u).all():
        raise SciopsError(
            f"the solution grew without bound between t = {start:g} and "
            f"{start + n * step.step:g} with a time step of {step.step:g}; choose a smaller step"
        )
    return u


def evolve(
    state: Real,
    nonlinear: Nonlinear,
    viscosity: float,
    length: float,
    span: tuple[float, float],
    longest: float,
    source: Source | None = None,
) -> Real:
    r"""Solve  u_t = viscosity Laplace u + N(u) + s(t)  on the periodic box [0, length]^D.

    Parameters
    ----------
    state
        u at the first time, at the points (i L / N): (N, .., N).  Its modes beyond the cutoff of
        `Modes` are dropped.
    nonlinear
        N, from modes to modes.
    span
        First and last time.
    longest
        The span is divided into the fewest equal steps that are not longer.
    source
        Time -> s (N, .., N).

    Returns
    -------
    Real
        u at the last time, (N, .., N).
    """
    start, stop = span
    if stop < start:
        raise SciopsError(f"time goes forward only, got start = {start:g} and stop = {stop:g}")
    box = modes(len(state), state.ndim, length)
    n = math.ceil((stop - start) / longest - SLACK)

    def tendency(u: Complex, t: float) -> Complex:
        return nonlinear(u, t) if source is None else nonlinear(u, t) + box.of(source(t))

    step = _diffusive_step(box, viscosity, (stop - start) / max(n, 1))
    return box.at_points(march(step, tendency, box.of(state), start, n))


@lru_cache(maxsize=16)
def _diffusive_step(box: Modes, viscosity: float, step: float) -> ETDRK4:
    return ETDRK4(-viscosity * box.square, step)
