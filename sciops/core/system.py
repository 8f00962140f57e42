r"""A x = b made ready for any solver: checked, broadcast, consistent, scaled so that max|b| ~ 1.

    P b = b - (mean of b over each component)      where A has a kernel (`sciops.core.kernel`)
    A x = P b,   P x = x                           the system that is solved
    residual = ||P (b - A x)||_2 / ||P b||_2       what is reported
    incompatible = ||b - P b||_2 / ||b||_2         the part of b that no x can reach

P is the identity where A has no kernel; where P b = 0 the residual is not divided.  Residuals never
come from inside an iteration: they are recomputed from the caller's A, in float64 where A can be
cast and else in A's own type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from sciops.core.errors import ConfigError, SciopsError, ShapeError
from sciops.core.kernel import Kernel
from sciops.core.linear import LinearMap


@runtime_checkable
class Preconditioner(Protocol):
    """Whatever makes an approximate inverse M of A; called once a matrix."""

    def setup(self, A: LinearMap) -> LinearMap:
        """M: r -> z with z close to A^-1 r, with its tags `symmetric` and `positive`."""
        ...


@dataclass(frozen=True)
class System:
    """A x = b as `Solver.iterate` gets it.

    Parameters
    ----------
    A
        The caller's map.
    b, x
        (*batch, *shape) right-hand side and starting values, both without a part in A's kernel.
    todo
        (*batch) bool: the right-hand sides that need work; the others have b = 0 or are not finite.
    scale
        (*batch, 1, ..) power of two by which b was divided; the caller's x is `x * scale`.
    M
        The preconditioner, if there is one; what it gives has no part in A's kernel.
    incompatible
        (*batch) float64: the part of the caller's b in A's kernel (top of this file).
    """

    A: LinearMap
    b: Tensor
    x: Tensor
    todo: Tensor
    scale: Tensor
    M: LinearMap | None
    incompatible: Tensor
    _precise: LinearMap

    def residual(self, x: Tensor) -> Tensor:
        """P (b - A x) in the type of the report, rounded to the type of A.  (*batch, *shape)"""
        kind = self._precise.dtype
        return self.project(self.b.to(kind) - self._precise.matvec(x.to(kind))).to(self.A.dtype)

    def project(self, v: Tensor) -> Tensor:
        """v without its part in A's kernel; solvers that make directions of their own need it."""
        return v if self.A.kernel is None else self.A.kernel.project(v)

    def norm(self, v: Tensor) -> Tensor:
        """(*batch) Euclidean norms of fields (*batch, *shape)."""
        return field_norm(v, len(self.A.shape))

    def broadcast(self, values: Tensor) -> Tensor:
        """(*batch) -> (*batch, 1, ..), ready to multiply fields."""
        return values.reshape(*values.shape, *(1 for _ in self.A.shape))


def demand_preconditioner(M: object) -> None:
    """Raise ShapeError or ConfigError unless M can be asked for an approximate inverse."""
    if isinstance(M, type):
        raise ShapeError(f"M must be an object, got the class {M.__name__}; write {M.__name__}()")
    if not isinstance(M, Preconditioner):
        raise ShapeError(
            f"M must be a LinearMap or have setup(A), got {type(M).__name__}; as_linear_map("
            f"M, shape, symmetric=True, positive=True) makes one of an operator of scipy"
        )
    given = {"rtol", "atol", "maxiter"}.intersection(getattr(M, "model_fields_set", ()))
    if given:
        raise ConfigError(
            f"a preconditioner is applied once an iteration, to no tolerance; leave out "
            f"{', '.join(sorted(given))} of {type(M).__name__}"
        )


@final
class Projected(LinearMap):
    """z = P M r: a preconditioner whose answers stay out of the kernel of the matrix.

    P M P is symmetric and positive off the kernel where M is, and r has no part in the kernel.
    """

    def __init__(self, M: LinearMap, kernel: Kernel) -> None:
        super().__init__(M.shape, M.dtype, M.device, M.symmetric, M.positive, M.batch)
        self._M, self._kernel = M, kernel

    def matvec(self, x: Tensor) -> Tensor:
        return projected(self._M.matvec(x), self._kernel, len(self.shape))


def field_norm(v: Tensor, dimensions: int) -> Tensor:
    """(*batch) Euclidean norms over the last `dimensions` axes."""
    return torch.linalg.vector_norm(v.flatten(v.ndim - dimensions), dim=-1)


def largest(v: Tensor, dimensions: int) -> Tensor:
    """(*batch) max|v| over the last `dimensions` axes."""
    return v.flatten(v.ndim - dimensions).abs().amax(-1)


def finite(v: Tensor, dimensions: int) -> Tensor:
    """(*batch) whether no value over the last `dimensions` axes is NaN or infinite."""
    least, most = torch.aminmax(v.flatten(v.ndim - dimensions), dim=-1)  # NaN where one is
    return least.isfinite() & most.isfinite()


def projected(v: Tensor, kernel: Kernel | None, dimensions: int) -> Tensor:
    """P v, and exactly 0 where nothing but rounding is left of v.  (*batch, *shape)"""
    if kernel is None:
        return v
    p = kernel.project(v)
    rounding = 64 * torch.finfo(v.dtype).eps * largest(v, dimensions)  # (*batch)
    noise = largest(p, dimensions) <= rounding
    return torch.where(noise.reshape(*noise.shape, *(1 for _ in range(dimensions))), 0.0, p)


def relative_residual(A: LinearMap, b: Tensor, x: Tensor) -> tuple[Tensor, torch.dtype]:
    """||P (b - A x)|| / ||P b|| (absolute where P b = 0) and the type in which it was computed.

    Shapes: b, x (*batch, *shape) -> (*batch) float64.  A is cast to float64 where it can be.
    """
    precise = in_float64(A)
    d, kind = len(A.shape), precise.dtype
    b = projected(b, A.kernel, d).to(kind)
    r = b - precise.matvec(x.to(kind))
    r = r if A.kernel is None else A.kernel.project(r)
    most = largest(b, d)  # squares of numbers near it neither overflow nor vanish
    unit = torch.where(most > 0, most, 1.0).reshape(*most.shape, *(1 for _ in range(d)))
    off, size = field_norm(r / unit, d).double(), field_norm(b / unit, d).double()
    return torch.where(size > 0, off / torch.where(size > 0, size, 1.0), off), kind


def in_float64(A: LinearMap) -> LinearMap:
    """A cast to float64, or A itself where it cannot be cast."""
    try:
        return A.to(dtype=torch.float64)
    except SciopsError:
        return A


def prepared(
    A: LinearMap, b: Tensor, x0: Tensor | None, M: LinearMap | Preconditioner | None
) -> System:
    """Checks, broadcasting, projection, exact scaling, and the trivial right-hand sides.

    Raises
    ------
    ShapeError
        If A is not a LinearMap, or b, x0 or M do not fit it.
    """
    if not isinstance(A, LinearMap):
        raise ShapeError(
            f"A must be a LinearMap, got {type(A).__name__}; use as_linear_map(A, ...)"
        )
    A.check(b, "b")
    if M is not None and not isinstance(M, LinearMap):
        demand_preconditioner(M)
        M = M.setup(A)
    if M is not None and (M.shape, M.dtype, M.device) != (A.shape, A.dtype, A.device):
        raise ShapeError(f"M must act on the fields of {A} in its type, got {M} on {M.device}")
    d = len(A.shape)
    stacks = [b.shape[:-d], A.batch, M.batch if M is not None else ()]
    if x0 is not None:
        A.check(x0, "x0")
        stacks.append(x0.shape[:-d])
    try:
        batch = np.broadcast_shapes(*stacks)
    except ValueError as error:
        raise ShapeError(
            f"the leading dimensions of b, A, M and x0, {', '.join(map(str, stacks))}, do not "
            f"broadcast"
        ) from error
    b = b.expand(*batch, *A.shape)
    sound = finite(b, d) if x0 is None else finite(b, d) & finite(x0, d)
    b, todo, scale = _scaled(b, sound, d)
    incompatible = torch.zeros_like(todo, dtype=torch.float64)
    if A.kernel is not None:
        part, size = field_norm(A.kernel.part(b.double()), d), field_norm(b.double(), d)
        incompatible = torch.where(todo, part / torch.where(todo, size, 1.0), 0.0)
        b, todo, more = _scaled(projected(b, A.kernel, d), todo, d)
        scale = scale * more
        M = M if M is None else Projected(M, A.kernel)
    b = b.contiguous()
    x = torch.zeros_like(b)
    if x0 is not None:
        x = torch.where(todo.reshape(scale.shape), x0, 0.0) / scale
        x = (x if A.kernel is None else A.kernel.project(x)).contiguous()
    return System(A, b, x, todo, scale, M, incompatible, in_float64(A))


def _scaled(b: Tensor, sound: Tensor, d: int) -> tuple[Tensor, Tensor, Tensor]:
    """(b / scale with max|b| in [1, 2), b != 0, scale); rows that are not `sound` become 0."""
    size = torch.where(sound, largest(b, d), 0.0)  # (*batch)
    todo = sound & (size > 0)
    size = torch.where(todo, size, 1.0)
    scale = size / (2 * torch.frexp(size).mantissa)  # a power of two, exactly
    scale = scale.reshape(*scale.shape, *(1 for _ in range(d)))
    return torch.where(todo.reshape(scale.shape), b, 0.0) / scale, todo, scale
