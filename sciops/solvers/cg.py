r"""Preconditioned conjugate gradients for symmetric positive definite A and M.

    z = M r,   rho = <r, z>,   p <- z + (rho / rho_old) p
    alpha = rho / <p, A p>,    x <- x + alpha p,   r <- r - alpha A p

until ||r|| <= max(rtol ||b||, atol), the rule of scipy; `_krylov.py` says how that is verified
against the true residual and how a batch is worked on.

Source: M. R. Hestenes, E. Stiefel, Methods of conjugate gradients for solving linear systems, J.
Res. Nat. Bur. Standards 49 (1952).
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from sciops.core.system import System
from sciops.solvers._krylov import Iterative, Recurrence, State, demand_positive


@final
class CG(Iterative):
    """Preconditioned conjugate gradients (formulas: top of this file).

    Raises
    ------
    NotPositiveDefinite
        By `solve`, if A or M does not carry the tags `symmetric` and `positive`.
    """

    def recurrence(self, system: System) -> Recurrence:
        demand_positive("A", system.A)
        if system.M is not None:
            demand_positive("the preconditioner M", system.M)
        return _Conjugate(system)


@final
class _Conjugate(Recurrence):
    """p of the last step, and <r, z>: infinite before the first, so that p starts as z."""

    def __init__(self, system: System) -> None:
        self.A, self.M = system.A, system.M
        self.p = torch.zeros_like(system.b)
        self.rho = torch.full_like(system.norm(system.b), torch.inf)

    def restart(self, which: Tensor) -> None:
        self.rho = torch.where(which, torch.inf, self.rho)

    def step(self, state: State) -> None:
        z = state.r if self.M is None else self.M.matvec(state.r)
        rho = state.square if self.M is None else state.dot(state.r, z)
        state.demand_positive(rho)
        beta = state.system.broadcast(state.ratio(rho, self.rho))
        self.p = state.of_running(torch.addcmul(z, beta, self.p))
        q = self.A.matvec(self.p)
        curvature = state.dot(self.p, q)
        state.demand_positive(curvature)
        state.advance(state.ratio(rho, curvature), self.p, q)
        self.rho = rho
