r"""Preconditioned conjugate gradients for symmetric positive definite A and M.

    z = M r,   rho = <r, z>,   p <- z + (rho / rho_old) p
    alpha = rho / <p, A p>,    x <- x + alpha p,   r <- r - alpha A p

until ||r|| <= max(rtol ||b||, atol), the rule of scipy.  ||.|| is the Euclidean norm of one field.

Two things are added.  When the recurrence claims to have converged, r is replaced by the true
b - A x (computed in float64 where A can be cast); if that is too large, the iteration starts again
from there, and if it does not even halve from one claim to the next, it has stagnated.  And each
right-hand side of a batch is frozen when it ends, so that it gets what it would get alone.

Source: M. R. Hestenes, E. Stiefel, Methods of conjugate gradients for solving linear systems, J.
Res. Nat. Bur. Standards 49 (1952); residual replacement after H. A. van der Vorst, Q. Ye, Residual
replacement strategies for Krylov subspace iterative methods, SIAM J. Sci. Comput. 22 (2000).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from sciops.core.errors import NotPositiveDefinite
from sciops.core.linear import LinearMap
from sciops.core.solver import Callback, Outcome, Solver, Status, System

STATUSES = list(Status)
RUNNING = -1  # code of a right-hand side that is still worked on


@final
class CG(Solver):
    """Preconditioned conjugate gradients (formulas: top of this file).

    Raises
    ------
    NotPositiveDefinite
        By `solve`, if A or M does not carry the tags `symmetric` and `positive`.
    """

    rtol: NonNegativeFloat = 1e-6  # relative to ||b||
    atol: NonNegativeFloat = 0.0  # in the unit of b
    maxiter: PositiveInt | None = None  # 10 N where not given, as in scipy

    def iterate(self, system: System, callback: Callback | None) -> Outcome:
        _demand_positive("A", system.A)
        if system.M is not None:
            _demand_positive("the preconditioner M", system.M)
        atol = self.atol / system.scale.reshape(system.todo.shape)  # b is scaled, and so is x
        tolerance = torch.maximum(self.rtol * system.norm(system.b), atol)  # (*batch)
        state = _State.start(system, tolerance)
        maxiter = self.maxiter if self.maxiter is not None else 10 * system.A.size
        for k in range(maxiter + 1):
            state.verify(system)
            if k == maxiter:
                state.end(state.running, Status.MAX_ITERATIONS)
            if not bool(state.running.any()):
                break
            state.step(system)
            if callback is not None:
                callback(k + 1, state.x * system.scale, state.r * system.scale)
        return state.outcome()


def _demand_positive(name: str, A: LinearMap) -> None:
    if not (A.symmetric and A.positive):
        raise NotPositiveDefinite(
            f"conjugate gradients need {name} to be symmetric positive definite, got {A}; if you "
            f"know that it is, build it with symmetric=True, positive=True, else use solver=direct"
        )


@dataclass
class _State:
    """The vectors of the recurrence, (*batch, *shape), and per right-hand side numbers (*batch)."""

    x: Tensor
    r: Tensor
    p: Tensor
    square: Tensor  # <r, r>
    rho: Tensor  # <r, z> of the last step; infinite before the first, so that p starts as z
    tolerance: Tensor
    floor: Tensor  # below this the recurrence has lost all connection to b - A x
    claimed: Tensor  # true residual at the last claim of convergence
    code: Tensor  # RUNNING or the number of a Status
    iterations: Tensor
    running: Tensor  # code == RUNNING
    everyone: bool = False  # all are running, so that nothing needs a mask

    @classmethod
    def start(cls, system: System, tolerance: Tensor) -> _State:
        r = system.residual(system.x)
        infinite = torch.full_like(tolerance, torch.inf)
        state = cls(
            x=system.x.clone(),
            r=r,
            p=torch.zeros_like(r),
            square=_dot(system, r, r),
            rho=infinite,
            tolerance=tolerance,
            floor=0.1 * torch.finfo(r.dtype).eps * system.norm(system.b),
            claimed=infinite.clone(),
            code=torch.where(system.todo, RUNNING, Status.CONVERGED.severity),
            iterations=torch.zeros_like(tolerance, dtype=torch.int64),
            running=system.todo,
        )
        state.end(~state.square.isfinite(), Status.NON_FINITE)
        return state

    def end(self, which: Tensor, status: Status) -> None:
        """Freeze the right-hand sides `which` that still run."""
        self.code = torch.where(which & self.running, status.severity, self.code)
        self.running = self.code == RUNNING
        self.everyone = bool(self.running.all())

    def verify(self, system: System) -> None:
        """Where r meets the tolerance, look at the true residual and accept, go on or give up."""
        claims = self.running & (self.square.sqrt() <= torch.maximum(self.tolerance, self.floor))
        if not bool(claims.any()):
            return
        true = system.residual(self.x)
        norm = system.norm(true)
        self.end(claims & (norm <= self.tolerance), Status.CONVERGED)
        self.end(claims & ~(norm <= 0.5 * self.claimed), Status.STAGNATION)
        self.claimed = torch.where(claims, norm, self.claimed)
        self.r = torch.where(system.broadcast(claims), true, self.r)
        self.square = _dot(system, self.r, self.r)
        self.rho = torch.where(claims, torch.inf, self.rho)

    def step(self, system: System) -> None:
        """One iteration for all that run; the vectors of the others stay as they are."""
        z = self.r if system.M is None else system.M.matvec(self.r)
        rho = self.square if system.M is None else _dot(system, self.r, z)
        self._demand_positive(rho)
        beta = system.broadcast(self._ratio(rho, self.rho))
        self.p = torch.addcmul(z, beta, self.p)
        self._clear(system)
        q = system.A.matvec(self.p)
        curvature = _dot(system, self.p, q)
        self._demand_positive(curvature)
        self._clear(system)
        alpha = system.broadcast(self._ratio(rho, curvature))
        self.x.addcmul_(alpha, self.p)
        self.r.addcmul_(alpha, q, value=-1.0)
        self.rho, self.square = rho, _dot(system, self.r, self.r)
        self.iterations += self.running

    def _demand_positive(self, value: Tensor) -> None:
        """End the right-hand sides where a number that must be positive and finite is not."""
        if not bool(((value > 0) & (value < torch.inf)).all()):
            self.end(~value.isfinite(), Status.NON_FINITE)
            self.end(value <= 0, Status.BREAKDOWN)

    def _ratio(self, a: Tensor, b: Tensor) -> Tensor:
        """a / b where the iteration runs, else 0."""
        return a / b if self.everyone else torch.where(self.running, a / b, 0.0)

    def _clear(self, system: System) -> None:
        """No direction for right-hand sides that have ended: 0 * NaN would reach x otherwise."""
        if not self.everyone:
            self.p = torch.where(system.broadcast(self.running), self.p, 0.0)

    def outcome(self) -> Outcome:
        """What has been reached."""
        statuses = tuple(STATUSES[i] for i in self.code.flatten().tolist())
        return Outcome(self.x, statuses, self.iterations)


def _dot(system: System, u: Tensor, v: Tensor) -> Tensor:
    """(*batch) inner products of fields (*batch, *shape)."""
    start = u.ndim - len(system.A.shape)
    return torch.linalg.vecdot(u.flatten(start), v.flatten(start))
