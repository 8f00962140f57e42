r"""What a linear solver takes and gives: A x = b, and why it stopped.

    residual = ||b - A x||_2 / ||b||_2        (||b - A x||_2 where b = 0)

The reported residual never comes from inside an iteration.  It is recomputed from the caller's A,
in float64 where A can be cast and else in A's own type, and `Solution.residual_dtype` says which.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Protocol, final, runtime_checkable

import torch
from torch import Tensor

from sciops.core.config import PlugInSettings
from sciops.core.errors import SciopsError, ShapeError
from sciops.core.linear import LinearMap

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
        "conjugate gradients (A or M is not symmetric positive definite in spite of its tags), or "
        "a factorisation without correct digits. Check the tags, the boundary conditions (a pure "
        "Neumann problem is singular) and the signs of A."
    )
    SINGULAR = (
        "The matrix is singular to working precision, so there is no unique solution. Fix a value "
        "or the mean where the boundary conditions leave a constant free."
    )
    NON_FINITE = (
        "NaN or infinity came up in b, x0, A or M; x is the last finite iterate (zero if there was "
        "none). Look for missing values in the data, and for overflow in float32 or float16."
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
    """

    x: Tensor
    statuses: tuple[Status, ...]
    iterations: Tensor
    residual: Tensor
    residual_dtype: torch.dtype

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


@runtime_checkable
class Preconditioner(Protocol):
    """Whatever makes an approximate inverse M of A; called once a matrix."""

    def setup(self, A: LinearMap) -> LinearMap:
        """M: r -> z with z close to A^-1 r, with its tags `symmetric` and `positive`."""
        ...


@dataclass(frozen=True)
class System:
    """A x = b as `Solver.iterate` gets it: checked, broadcast, finite, scaled so that max|b| ~ 1.

    Parameters
    ----------
    A
        The caller's map.
    b, x
        (*batch, *shape) right-hand side and starting values.
    todo
        (*batch) bool: the right-hand sides that need work; the others have b = 0 or are not finite.
    scale
        (*batch, 1, ..) power of two by which b was divided; the caller's x is `x * scale`.
    M
        The preconditioner, if there is one.
    """

    A: LinearMap
    b: Tensor
    x: Tensor
    todo: Tensor
    scale: Tensor
    M: LinearMap | None
    _precise: LinearMap

    def residual(self, x: Tensor) -> Tensor:
        """b - A x in the type of the report, rounded to the type of A.  (*batch, *shape)"""
        kind = self._precise.dtype
        return (self.b.to(kind) - self._precise.matvec(x.to(kind))).to(self.A.dtype)

    def norm(self, v: Tensor) -> Tensor:
        """(*batch) Euclidean norms of fields (*batch, *shape)."""
        return field_norm(v, len(self.A.shape))

    def broadcast(self, values: Tensor) -> Tensor:
        """(*batch) -> (*batch, 1, ..), ready to multiply fields."""
        return values.reshape(*values.shape, *(1 for _ in self.A.shape))


@dataclass(frozen=True)
class Outcome:
    """What `Solver.iterate` gives back; the fields are those of Solution."""

    x: Tensor
    statuses: tuple[Status, ...]
    iterations: Tensor


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
        system = _prepare(A, b, x0, M)
        if bool(system.todo.any()):
            outcome = self.iterate(system, callback)
        else:
            nothing = torch.zeros_like(system.todo, dtype=torch.int64)
            outcome = Outcome(system.x, (Status.CONVERGED,) * nothing.numel(), nothing)
        return _report(system, b, x0, outcome)


def field_norm(v: Tensor, dimensions: int) -> Tensor:
    """(*batch) Euclidean norms over the last `dimensions` axes."""
    return torch.linalg.vector_norm(v.flatten(v.ndim - dimensions), dim=-1)


def relative_residual(A: LinearMap, b: Tensor, x: Tensor) -> tuple[Tensor, torch.dtype]:
    """||b - A x|| / ||b|| (absolute where b = 0) and the type in which it was computed.

    Shapes: b, x (*batch, *shape) -> (*batch) float64.  A is cast to float64 where it can be.
    """
    precise = in_float64(A)
    d, kind = len(A.shape), precise.dtype
    r = field_norm(b.to(kind) - precise.matvec(x.to(kind)), d).double()
    size = field_norm(b.to(kind), d).double()
    return torch.where(size > 0, r / torch.where(size > 0, size, 1.0), r), kind


def in_float64(A: LinearMap) -> LinearMap:
    """A cast to float64, or A itself where it cannot be cast."""
    try:
        return A.to(dtype=torch.float64)
    except SciopsError:
        return A


def _prepare(
    A: LinearMap, b: Tensor, x0: Tensor | None, M: LinearMap | Preconditioner | None
) -> System:
    """Checks, broadcasting, scaling by powers of two (exact), and the trivial right-hand sides."""
    if not isinstance(A, LinearMap):
        raise ShapeError(
            f"A must be a LinearMap, got {type(A).__name__}; use as_linear_map(A, ...)"
        )
    A.check(b, "b")
    M = M.setup(A) if M is not None and not isinstance(M, LinearMap) else M
    if M is not None and (M.shape, M.dtype, M.device) != (A.shape, A.dtype, A.device):
        raise ShapeError(f"M must act on the fields of {A} in its type, got {M} on {M.device}")
    d = len(A.shape)
    stacks = [b.shape[:-d], A.batch, M.batch if M is not None else ()]
    if x0 is not None:
        A.check(x0, "x0")
        stacks.append(x0.shape[:-d])
    batch = torch.broadcast_shapes(*stacks)
    b = b.expand(*batch, *A.shape)
    x = torch.zeros_like(b) if x0 is None else x0.expand_as(b)
    flat = b.flatten(len(batch))  # (*batch, N)
    finite = flat.isfinite().all(-1) & x.flatten(len(batch)).isfinite().all(-1)
    largest = torch.where(finite, flat.abs().amax(-1), 0.0)
    todo = finite & (largest > 0)
    largest = torch.where(todo, largest, 1.0)
    scale = largest / (2 * torch.frexp(largest).mantissa)  # a power of two, exactly
    scale = scale.reshape(*batch, *(1 for _ in A.shape))
    mask = todo.reshape(scale.shape)
    b = torch.where(mask, b, 0.0) / scale
    x = torch.where(mask, x, 0.0) / scale
    return System(A, b.contiguous(), x.contiguous(), todo, scale, M, in_float64(A))


def _report(system: System, b: Tensor, x0: Tensor | None, outcome: Outcome) -> Solution:
    """The solution in the caller's scale, its residual recomputed from the caller's A and b."""
    d = len(system.A.shape)
    x = outcome.x * system.scale
    finite = x.flatten(x.ndim - d).isfinite().all(-1)  # (*batch)
    x = torch.where(finite.reshape(system.scale.shape), x, 0.0)
    given = b.expand_as(x)
    sound = given.flatten(x.ndim - d).isfinite().all(-1)
    if x0 is not None:
        sound = sound & x0.expand_as(x).flatten(x.ndim - d).isfinite().all(-1)
    bad = (~(finite & sound)).flatten().tolist()
    statuses = tuple(
        Status.NON_FINITE if wrong else status
        for wrong, status in zip(bad, outcome.statuses, strict=True)
    )
    residual, kind = relative_residual(system.A, given, x)
    return Solution(x, statuses, outcome.iterations, residual, kind)
