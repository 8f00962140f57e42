r"""Sparse LU factorisation: P_r A P_c = L U, one factorisation for all right-hand sides.

The work is done in float64 by SuperLU (through scipy), whatever the type of A.  A matrix that is
tagged symmetric positive definite is factorised in symmetric mode: the fill of A + A^T is what the
ordering reduces, and pivots stay on the diagonal.

A matrix with a kernel (`sciops.core.kernel`) has one value of each floating component held at zero;
b has no part in the kernel then, and x gets its mean zero afterwards.

A right-hand side is solved when the backward error is of the order of rounding,

    ||b - A x|| <= 100 eps (||A|| ||x|| + ||b||),    ||A||^2 -> ||A||_1 ||A||_inf,

eps being that of the type of x (J. L. Rigal, J. Gaches, J. ACM 14 (1967)).

Source: X. S. Li, An overview of SuperLU, ACM Trans. Math. Software 31 (2005).
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch

from sciops.core.errors import ShapeError
from sciops.core.kernel import Kernel
from sciops.core.solver import Callback, Outcome, Solver, Status, System

SINGULAR_PIVOT = 16 * float(np.finfo(np.float64).eps)  # of the largest pivot


@final
class Direct(Solver):
    """Sparse LU on the CPU in float64; x0, M and the callback are not used.

    Raises
    ------
    SciopsError
        By `solve`, if the entries of A are not known.
    ShapeError
        By `solve`, if A is a stack of maps.
    """

    def iterate(self, system: System, callback: Callback | None) -> Outcome:
        A = system.A
        if A.batch:
            raise ShapeError(f"solver=direct takes one matrix, got {A} with a stack of {A.batch}")
        matrix = A.sparse().astype(np.float64)
        if A.kernel is not None:
            matrix = _pinned(matrix, A.kernel)
        count = system.todo.numel()
        nothing = torch.zeros_like(system.todo, dtype=torch.int64)
        solve, status = factorised(matrix, A.symmetric and A.positive)
        if solve is None:
            todo = system.todo.flatten().tolist()
            statuses = tuple(status if t else Status.CONVERGED for t in todo)
            return Outcome(system.x, statuses, nothing)
        columns = system.b.reshape(count, A.size).double().cpu().numpy().T  # (N, B)
        y = np.ascontiguousarray(solve(columns).T)  # (B, N)
        x = torch.from_numpy(y).to(dtype=A.dtype, device=A.device).reshape(system.b.shape)
        return Outcome(x, _judged(matrix, columns, x.reshape(count, -1)), nothing)


def _pinned(matrix: Any, kernel: Kernel) -> Any:
    """The matrix with a number added to one diagonal entry of each floating component.

    Summed over a component A x = b leaves that number times that value of x, so for a b without a
    part in the kernel, x is a solution that is zero there.
    """
    from scipy.sparse import csc_array, diags_array

    labels, first = np.unique(kernel.labels.cpu().numpy().ravel(), return_index=True)
    size = np.abs(matrix.diagonal()).max(initial=0.0)
    pins = np.zeros(matrix.shape[0])
    pins[first[labels >= 0]] = size if size > 0 else 1.0
    return csc_array(matrix + diags_array(pins))


def factorised(matrix: Any, positive: bool) -> tuple[Any, Status]:
    """(solve, CONVERGED), solve taking (N,) or (N, B) arrays, or (None, why there is none).

    `matrix` is a scipy CSC array (N, N) of float64.
    """
    from scipy.sparse.linalg import splu

    if not np.isfinite(matrix.data).all():
        return None, Status.NON_FINITE
    mode = dict(permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    try:
        lu = splu(matrix, **(mode if positive else {}))
    except RuntimeError as error:
        if "singular" not in str(error):
            raise
        return None, Status.SINGULAR
    pivots = np.abs(lu.U.diagonal())
    if pivots.min() <= SINGULAR_PIVOT * pivots.max():
        return None, Status.SINGULAR
    return lu.solve, Status.CONVERGED


def _judged(matrix: Any, b: Any, x: torch.Tensor) -> tuple[Status, ...]:
    """The status of each right-hand side by its backward error; b (N, B), x (B, N)."""
    size = abs(matrix)
    norm = float(np.sqrt(size.sum(axis=0).max() * size.sum(axis=1).max()))
    y = x.double().cpu().numpy().T  # (N, B)
    error = np.linalg.norm(b - matrix @ y, axis=0)
    bound = norm * np.linalg.norm(y, axis=0) + np.linalg.norm(b, axis=0)
    good = error <= 100 * torch.finfo(x.dtype).eps * bound
    return tuple(Status.CONVERGED if g else Status.BREAKDOWN for g in good)
