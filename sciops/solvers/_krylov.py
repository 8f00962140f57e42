r"""What the iterative methods share: x and r by recurrence, and the end of each right-hand side.

    x <- x + alpha p,   r <- r - alpha q,   q = A p

until ||r|| <= max(rtol ||b||, atol), the rule of scipy.  ||.|| is the Euclidean norm of one field.
How p and alpha are found is a `Recurrence`, one a method.

Two things are added.  When the recurrence claims to have converged, r is replaced by the true
b - A x (computed in float64 where A can be cast); if that is too large, the iteration starts again
from there, and if it does not even halve from one claim to the next, it has stagnated.  And each
right-hand side of a batch is frozen when it ends, so that it gets what it would get alone.

Source: residual replacement after H. A. van der Vorst, Q. Ye, Residual replacement strategies for
Krylov subspace iterative methods, SIAM J. Sci. Comput. 22 (2000).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from sciops.core.errors import NotPositiveDefinite
from sciops.core.linear import LinearMap
from sciops.core.solver import Callback, Outcome, Solver, Status
from sciops.core.system import System

STATUSES = list(Status)
RUNNING = -1  # code of a right-hand side that is still worked on


class Recurrence(ABC):
    """One method: the direction p and the step alpha, for all right-hand sides that run."""

    @abstractmethod
    def step(self, state: State) -> None:
        """Find p and alpha, end what breaks down, and call `state.advance`."""

    @abstractmethod
    def restart(self, which: Tensor) -> None:
        """Forget earlier directions where `which` (*batch): r has been replaced there."""


class Iterative(Solver):
    """Base of the solvers that step until the residual meets a tolerance."""

    rtol: NonNegativeFloat = 1e-6  # relative to ||b||
    atol: NonNegativeFloat = 0.0  # in the unit of b
    maxiter: PositiveInt | None = None  # 10 N where not given, as in scipy

    @abstractmethod
    def recurrence(self, system: System) -> Recurrence:
        """The method at its start; refuses what it cannot take."""

    @final
    def iterate(self, system: System, callback: Callback | None) -> Outcome:
        method = self.recurrence(system)
        atol = self.atol / system.scale.reshape(system.todo.shape)  # b is scaled, and so is x
        tolerance = torch.maximum(self.rtol * system.norm(system.b), atol)  # (*batch)
        state = State.start(system, tolerance)
        maxiter = self.maxiter if self.maxiter is not None else 10 * system.A.size
        for k in range(maxiter + 1):
            restarted = state.verify()
            if restarted is not None:
                method.restart(restarted)
            if k == maxiter:
                state.end(state.running, Status.MAX_ITERATIONS)
            if not bool(state.running.any()):
                break
            method.step(state)
            if callback is not None:
                callback(k + 1, state.x * system.scale, state.r * system.scale)
        return state.outcome()


def demand_positive(name: str, A: LinearMap) -> None:
    """Raise NotPositiveDefinite unless A carries both tags."""
    if not (A.symmetric and A.positive):
        raise NotPositiveDefinite(
            f"conjugate gradients need {name} to be symmetric positive definite, got {A}; if you "
            f"know that it is, build it with symmetric=True, positive=True, else use solver=direct"
        )


@dataclass
class State:
    """The vectors x and r, (*batch, *shape), and per right-hand side numbers (*batch)."""

    system: System
    x: Tensor
    r: Tensor
    square: Tensor  # <r, r>
    tolerance: Tensor
    floor: Tensor  # below this the recurrence has lost all connection to b - A x
    claimed: Tensor  # true residual at the last claim of convergence
    code: Tensor  # RUNNING or the number of a Status
    iterations: Tensor
    fallbacks: Tensor
    running: Tensor  # code == RUNNING
    everyone: bool = False  # all are running, so that nothing needs a mask

    @classmethod
    def start(cls, system: System, tolerance: Tensor) -> State:
        r = system.residual(system.x) if bool(system.x.any()) else system.b.clone()
        state = cls(
            system=system,
            x=system.x.clone(),
            r=r,
            square=dot(system, r, r),
            tolerance=tolerance,
            floor=0.1 * torch.finfo(r.dtype).eps * system.norm(system.b),
            claimed=torch.full_like(tolerance, torch.inf),
            code=torch.where(system.todo, RUNNING, Status.CONVERGED.severity),
            iterations=torch.zeros_like(tolerance, dtype=torch.int64),
            fallbacks=torch.zeros_like(tolerance, dtype=torch.int64),
            running=system.todo,
        )
        state.end(~state.square.isfinite(), Status.NON_FINITE)
        return state

    def end(self, which: Tensor, status: Status) -> None:
        """Freeze the right-hand sides `which` that still run."""
        self.code = torch.where(which & self.running, status.severity, self.code)
        self.running = self.code == RUNNING
        self.everyone = bool(self.running.all())

    def verify(self) -> Tensor | None:
        """Where r meets the tolerance, look at the true residual and accept, go on or give up.

        Gives where r was replaced, or None where no right-hand side claims to have converged.
        """
        system = self.system
        claims = self.running & (self.square.sqrt() <= torch.maximum(self.tolerance, self.floor))
        if not bool(claims.any()):
            return None
        true = system.residual(self.x)
        norm = system.norm(true)
        self.end(claims & (norm <= self.tolerance), Status.CONVERGED)
        self.end(claims & ~norm.isfinite(), Status.NON_FINITE)
        self.end(claims & ~(norm <= 0.5 * self.claimed), Status.STAGNATION)
        self.claimed = torch.where(claims, norm, self.claimed)
        self.r = torch.where(system.broadcast(claims), true, self.r)
        self.square = self.dot(self.r, self.r)
        return claims

    def advance(self, alpha: Tensor, p: Tensor, q: Tensor) -> None:
        """x <- x + alpha p, r <- r - alpha q for all that run; the others stay as they are.

        Shapes: alpha (*batch), finite where running; p, q = A p (*batch, *shape).
        """
        alpha = self.system.broadcast(alpha)
        p, q = self.of_running(p), self.of_running(q)
        self.x.addcmul_(alpha, p)
        self.r.addcmul_(alpha, q, value=-1.0)
        self.square = self.dot(self.r, self.r)
        self.iterations += self.running

    def demand_positive(self, value: Tensor) -> None:
        """End the right-hand sides where a number that must be positive and finite is not."""
        if not bool(((value > 0) & (value < torch.inf)).all()):
            self.end(~value.isfinite(), Status.NON_FINITE)
            self.end(value <= 0, Status.BREAKDOWN)

    def ratio(self, a: Tensor, b: Tensor) -> Tensor:
        """(*batch) a / b where the iteration runs, else 0."""
        return a / b if self.everyone else torch.where(self.running, a / b, 0.0)

    def of_running(self, v: Tensor) -> Tensor:
        """v, and 0 for right-hand sides that have ended: 0 * NaN would reach x otherwise."""
        return v if self.everyone else torch.where(self.system.broadcast(self.running), v, 0.0)

    def dot(self, u: Tensor, v: Tensor) -> Tensor:
        """(*batch) inner products of fields (*batch, *shape)."""
        return dot(self.system, u, v)

    def outcome(self) -> Outcome:
        """What has been reached."""
        statuses = tuple(STATUSES[i] for i in self.code.flatten().tolist())
        return Outcome(self.x, statuses, self.iterations, self.fallbacks)


def dot(system: System, u: Tensor, v: Tensor) -> Tensor:
    """(*batch) inner products of fields (*batch, *shape)."""
    start = u.ndim - len(system.A.shape)
    return torch.linalg.vecdot(u.flatten(start), v.flatten(start))
