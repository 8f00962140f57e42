r"""The stationary iteration  x <- x + M (b - A x):  a preconditioner as a solver by itself.

It converges where the spectral radius of I - M A is less than one.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from sciops.core.errors import SciopsError
from sciops.core.linear import LinearMap
from sciops.core.solver import Status
from sciops.core.system import System
from sciops.solvers._krylov import Recurrence, State


@final
class Stationary(Recurrence):
    """p = M r, alpha = 1.

    Raises
    ------
    SciopsError
        If the system comes with another preconditioner.
    """

    def __init__(self, name: str, system: System, M: LinearMap) -> None:
        if system.M is not None:
            raise SciopsError(
                f"{name} is its own preconditioner, got another M; give M to cg or fcg instead"
            )
        self.M = M
        start = torch.maximum(system.norm(system.b), system.norm(system.residual(system.x)))
        self.largest = (start / torch.finfo(system.b.dtype).eps) ** 2

    def restart(self, which: Tensor) -> None:
        """There is nothing to forget."""

    def step(self, state: State) -> None:
        p = state.of_running(state.system.project(self.M.matvec(state.r)))
        q = state.system.A.matvec(p)
        size = state.dot(q, q)
        state.end(~size.isfinite(), Status.NON_FINITE)
        lost = (size == 0) | (size > self.largest)  # no direction, or no digit of b is left
        state.end(lost, Status.BREAKDOWN)
        state.advance(state.running.to(q.dtype), p, q)
