r"""Sparse LU factorisation: P_r R A C P_c = L U, one factorisation for all right-hand sides.

R and C are diagonal matrices of powers of two: rows, and then columns, get a largest entry near 1
(a positive definite matrix its diagonal, by R = C), so that neither a penalty of 1e30 nor a mixture
of units looks singular.  A is, where a pivot of what remains is below 16 eps of the largest.

The work is done in float64 by SuperLU (through scipy), whatever the type of A.  A matrix that is
tagged symmetric positive definite is factorised in symmetric mode: the fill of A + A^T is what the
ordering reduces, and pivots stay on the diagonal.

A matrix with a kernel (`sciops.core.kernel`) has one value of each floating component held at zero;
b has no part in the kernel then, and x gets its mean zero afterwards.

A right-hand side is solved when the backward error is of the order of rounding,

    ||R (b - A x)|| <= 100 eps (|| R |A| |x| || + ||R b||),    R: rows of R A have a largest entry 1

eps being that of the type of x (J. L. Rigal, J. Gaches, J. ACM 14 (1967), row by row).

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
    rows, columns = _scales(matrix, positive)
    try:
        lu = splu(_scaled(matrix, rows, columns), **(mode if positive else {}))
    except RuntimeError as error:
        if "singular" not in str(error):
            raise
        return None, Status.SINGULAR
    pivots = np.abs(lu.U.diagonal())
    if pivots.min() <= SINGULAR_PIVOT * pivots.max():
        return None, Status.SINGULAR

    def solve(b: Any) -> Any:
        wide = b.ndim > 1
        r, c = (rows[:, None], columns[:, None]) if wide else (rows, columns)
        return c * lu.solve(r * b)

    return solve, Status.CONVERGED


def _scales(matrix: Any, positive: bool) -> tuple[Any, Any]:
    """The diagonals of R and C; 1 where there is nothing to scale by."""
    if positive:
        root = _power(1 / np.sqrt(_or_one(matrix.diagonal())))
        return root, root
    size = abs(matrix)
    rows = _power(1 / _or_one(size.max(axis=1).toarray().ravel()))
    columns = _scaled(size, rows, np.ones_like(rows)).max(axis=0).toarray().ravel()
    return rows, _power(1 / _or_one(columns))


def _or_one(values: Any) -> Any:
    return np.where(values > 0, values, 1.0)


def _power(values: Any) -> Any:
    """The power of two next to each value, so that scaling changes no digit."""
    return np.exp2(np.round(np.log2(values)))


def _scaled(matrix: Any, rows: Any, columns: Any) -> Any:
    from scipy.sparse import csc_array, diags_array

    return csc_array(diags_array(rows) @ matrix @ diags_array(columns))


def _judged(matrix: Any, b: Any, x: torch.Tensor) -> tuple[Status, ...]:
    """The status of each right-hand side by its backward error; b (N, B), x (B, N)."""
    size = abs(matrix)
    rows = 1 / _or_one(size.max(axis=1).toarray().ravel())[:, None]
    y = x.double().cpu().numpy().T  # (N, B)
    reach = rows * (size @ abs(y))
    unit = _or_one(
        np.maximum(reach, abs(rows * b)).max(axis=0)
    )  # squares neither overflow nor vanish
    error = np.linalg.norm(rows * (b - matrix @ y) / unit, axis=0)
    bound = np.linalg.norm(reach / unit, axis=0) + np.linalg.norm(rows * b / unit, axis=0)
    good = error <= 100 * torch.finfo(x.dtype).eps * bound
    return tuple(Status.CONVERGED if g else Status.BREAKDOWN for g in good)
