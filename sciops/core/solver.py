r"""What a linear solver takes and gives: A x = b, and why it stopped.

    residual = ||b - A x||_2 / ||b||_2        (||b - A x||_2 where b = 0)

The reported residual never comes from inside an iteration.  It is recomputed from the caller's A,
in float64 where A can be cast and else in A's own type, and `Solution.residual_dtype` says which.
Where A has a kernel (a pure Neumann problem), b stands for its part that A can reach and x has no
part in the kernel; `sciops.core.system` has the formulas.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, final

import torch
from torch import Tensor

from sciops.core.config import PlugInSettings
from sciops.core.errors import SciopsError
from sciops.core.linear import LinearMap
from sciops.core.system import Preconditioner, System, finite, prepared, relative_residual

Callback = Callable[[int, Tensor, Tensor], None]


class Status(Enum):
    """Why a solver stopped; the value is what to do about it.  Later members are worse."""

    CONVERGED = "The residual recomputed from the caller's matrix meets the tolerance."
    MAX_ITERATIONS = (
        "The allowed number of iterations was reached before the tolerance. Raise maxiter, loosen "
        "rtol, give a better preconditioner M, or use solver=direct for a small system."
    )
    STAGNATION = (
        "The residual stopped falling above the tolerance: rounding does not allow a smaller one "
        "in this type. Loosen rtol, or give A and b in float64."
    )
    BREAKDOWN = (
        "The method met a division that it cannot make: <p, A p> <= 0 or <r, M r> <= 0 in "
        "conjugate gradients (A or M is not symmetric positive definite in spite of its tags, or "
        "M gives no direction), a zero on the diagonal or a growing residual in jacobi, or a "
        "factorisation without correct digits. Check the tags, the boundary conditions (a pure "
        "Neumann problem is singular) and the signs of A, and the damping of jacobi."
    )
    SINGULAR = (
        "The matrix is singular to working precision, so there is no unique solution. Fix a value "
        "or the mean where the boundary conditions leave a constant free."
    )
    NON_FINITE = (
        "NaN or infinity came up in b, x0, A or M; x is the last finite iterate (zero if there was "
        "none). Look for missing values in the data, for overflow in float32 or float16, and for "
        "a singular A with a part of b that A x never has."
    )

    @property
    def severity(self) -> int:
        """0 for CONVERGED, larger for worse."""
        return list(Status).index(self)


@dataclass(frozen=True)
class Solution:
    """The answer of a solver.

    Parameters
    ----------
    x
        (*batch, *shape) solution, always finite.
    statuses
        Why each right-hand side ended, in C order over `batch` (one entry where batch is ()).
    iterations
        (*batch) int64: iterations spent on each right-hand side (0 for direct methods).
    residual
        (*batch) float64: ||b - A x|| / ||b|| recomputed from the caller's A (module docstring).
    residual_dtype
        The type in which `residual` was computed.
    fallbacks
        (*batch) int64: how often M gave a direction of no use and the method took its own instead
        (conjugate_directions; 0 for methods that have nothing to fall back on).
    incompatible
        (*batch) float64: ||part of b in the kernel of A|| / ||b||, 0 where A has no kernel.
    """

    x: Tensor
    statuses: tuple[Status, ...]
    iterations: Tensor
    residual: Tensor
    residual_dtype: torch.dtype
    fallbacks: Tensor
    incompatible: Tensor

    @property
    def status(self) -> Status:
        """The worst of `statuses`."""
        return max(self.statuses, key=lambda s: s.severity, default=Status.CONVERGED)

    def check(self) -> Solution:
        """The solution itself, if every right-hand side converged.

        Raises
        ------
        SciopsError
            With the number of right-hand sides that did not, the residual and the advice.
        """
        failed = sum(s is not Status.CONVERGED for s in self.statuses)
        if failed:
            raise SciopsError(
                f"{failed} of {len(self.statuses)} right-hand sides were not solved "
                f"({self.status.name}, largest residual {float(self.residual.max()):.3g} after "
                f"{int(self.iterations.max())} iterations). {self.status.value}"
            )
        return self


@dataclass(frozen=True)
class Outcome:
    """What `Solver.iterate` gives back; the fields are those of Solution."""

    x: Tensor
    statuses: tuple[Status, ...]
    iterations: Tensor
    fallbacks: Tensor | None = None  # none where the method has nothing to fall back on


class Solver(PlugInSettings, ABC):
    """Base of the solvers: a frozen settings class with `solve`.

    `solve` is the same for all (checks, b = 0, non-finite values, scaling, recomputed residual); a
    method fills in `iterate`.
    """

    group: ClassVar[str] = "solvers"

    @abstractmethod
    def iterate(self, system: System, callback: Callback | None) -> Outcome:
        """Run the method on a prepared system."""

    @final
    @torch.no_grad()
    def solve(
        self,
        A: LinearMap,
        b: Tensor,
        x0: Tensor | None = None,
        M: LinearMap | Preconditioner | None = None,
        callback: Callback | None = None,
    ) -> Solution:
        """Solve A x = b.

        Parameters
        ----------
        A
            The linear map; `sciops.core.linear.as_linear_map` makes one.
        b
            (*batch, *shape) right-hand sides; b = 0 gives x = 0.
        x0
            Starting values that broadcast to b; zero where not given.
        M
            Preconditioner: a LinearMap z = M r, or an object with `setup(A)`.  Direct methods have
            no use for x0 and M.
        callback
            Called as callback(k, x, r) after each iteration k = 1, 2, .. with the iterate and the
            residual vector of the recurrence, both (*batch, *shape).

        Returns
        -------
        Solution
            Slow convergence, breakdown and non-finite values are statuses, not exceptions.

        Raises
        ------
        ShapeError
            If A is not a LinearMap, or b, x0 or M do not fit it.
        """
        system = prepared(A, b, x0, M)
        if bool(system.todo.any()):
            outcome = self.iterate(system, callback)
        else:
            nothing = torch.zeros_like(system.todo, dtype=torch.int64)
            outcome = Outcome(system.x, (Status.CONVERGED,) * nothing.numel(), nothing)
        return _report(system, b, x0, outcome)


def _report(system: System, b: Tensor, x0: Tensor | None, outcome: Outcome) -> Solution:
    """The solution in the caller's scale, its residual recomputed from the caller's A and b."""
    d = len(system.A.shape)
    x = system.project(outcome.x) * system.scale
    sound = finite(x, d)  # (*batch)
    x = torch.where(sound.reshape(system.scale.shape), x, 0.0)
    given = b.expand_as(x)
    for start in (given, x0):
        sound = sound if start is None else sound & finite(start.expand_as(x), d)
    bad = (~sound).flatten().tolist()
    statuses = tuple(
        Status.NON_FINITE if wrong else status
        for wrong, status in zip(bad, outcome.statuses, strict=True)
    )
    residual, kind = relative_residual(system.A, given, x)
    lost = residual.isnan().flatten().tolist()
    statuses = tuple(
        Status.NON_FINITE if nan and status is Status.CONVERGED else status
        for nan, status in zip(lost, statuses, strict=True)
    )
    count = outcome.iterations
    fallbacks = torch.zeros_like(count) if outcome.fallbacks is None else outcome.fallbacks
    return Solution(x, statuses, count, residual, kind, fallbacks, system.incompatible)
