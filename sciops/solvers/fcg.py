r"""Flexible conjugate gradients: symmetric positive definite A, and any M, linear or not.

    z = M r,   beta = <z, r - r_old> / <z_old, r_old>   (Polak, Ribiere),   p <- z + beta p
    alpha = <p, r> / <p, A p>,    x <- x + alpha p,   r <- r - alpha A p

The beta of plain conjugate gradients, <z, r> / <z_old, r_old>, keeps p conjugate to the direction
before only where <z, r_old> = 0, that is for a fixed symmetric M.  This one does for any M: since
r - r_old = -alpha q with q = A p_old, it is computed without r_old, as

    beta = -<z, q> / <p_old, q>,    so that   <p, A p_old> = 0.

alpha is the exact line search along p, so ||x - x*||_A never grows, and neither the scale nor the
sign of M matters.  For a fixed symmetric positive definite M the iterates are those of `cg`.

Stopping, the true residual and batches: `_krylov.py`.

Sources: Y. Notay, Flexible conjugate gradients, SIAM J. Sci. Comput. 22 (2000); G. H. Golub, Q. Ye,
Inexact preconditioned conjugate gradient method with inner-outer iteration, SIAM J. Sci. Comput. 21
(1999).
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from sciops.core.solver import Status
from sciops.core.system import System
from sciops.solvers._krylov import Iterative, Recurrence, State, demand_positive


@final
class FCG(Iterative):
    """Flexible conjugate gradients (formulas: top of this file); M needs no tags.

    An M that gives NaN ends with NON_FINITE, one that gives no direction (<p, r> = 0) with
    BREAKDOWN; `conjugate_directions` goes on in both cases.

    Raises
    ------
    NotPositiveDefinite
        By `solve`, if A does not carry the tags `symmetric` and `positive`.
    """

    def recurrence(self, system: System) -> Recurrence:
        demand_positive("A", system.A)
        return _Flexible(system)


@final
class _Flexible(Recurrence):
    """p and q = A p of the last step, and <p, q>: infinite before the first (beta = 0)."""

    def __init__(self, system: System) -> None:
        self.A, self.M = system.A, system.M
        self.p = self.q = torch.zeros_like(system.b)
        self.curvature = torch.full_like(system.norm(system.b), torch.inf)

    def restart(self, which: Tensor) -> None:
        self.curvature = torch.where(which, torch.inf, self.curvature)

    def step(self, state: State) -> None:
        z = state.r if self.M is None else self.M.matvec(state.r)
        beta = state.system.broadcast(state.ratio(-state.dot(z, self.q), self.curvature))
        p = torch.addcmul(z, beta, self.p)
        slope = state.dot(p, state.r)
        state.end(~slope.isfinite(), Status.NON_FINITE)
        state.end(slope == 0, Status.BREAKDOWN)
        self.p = state.of_running(p)
        q = self.A.matvec(self.p)
        self.curvature = state.dot(self.p, q)
        state.demand_positive(self.curvature)
        self.q = state.of_running(q)
        state.advance(state.ratio(slope, self.curvature), self.p, self.q)
