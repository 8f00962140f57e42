r"""Algebraic multigrid by pyamg: coarse levels from the entries of A alone, on any mesh.

    smoothed_aggregation   P = (I - omega D^-1 A) T,  T constant on aggregates of unknowns
    ruge_stuben            P interpolates from a subset of the unknowns along strong couplings

The cycle is a V-cycle with symmetric Gauss-Seidel sweeps, so it is symmetric positive definite
where A is.  It runs in numpy on the CPU in float64, one right-hand side after the other.  Unknowns
with an empty row (solid cells) take no part.

Source: N. Bell, L. N. Olson, J. Schroder, B. Southworth, PyAMG: Algebraic Multigrid Solvers in
Python, J. Open Source Software 8 (2023); P. Vanek, J. Mandel, M. Brezina, Computing 56 (1996);
J. W. Ruge, K. Stueben, Algebraic multigrid, SIAM (1987).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor

from sciops.core.errors import MissingPackage, SciopsError, ShapeError
from sciops.core.kernel import Kernel
from sciops.core.linear import LinearMap
from sciops.core.system import System
from sciops.solvers._krylov import Iterative, Recurrence
from sciops.solvers._stationary import Stationary

Method = Literal["smoothed_aggregation", "ruge_stuben"]


@final
class AMG(Iterative):
    """pyamg as a solver, or as `M=AMG()` of another.

    Raises
    ------
    MissingPackage
        If pyamg is not installed.
    SciopsError
        By `solve` and `setup`, if the entries of A are not known; by `solve`, if a preconditioner M
        is given.
    ShapeError
        By `solve` and `setup`, if A is a stack of maps.
    """

    method: Method = "smoothed_aggregation"

    def setup(self, A: LinearMap) -> LinearMap:
        """The V-cycle, of A's type; its tags are those of A."""
        return AMGCycle(A, self.method)

    def recurrence(self, system: System) -> Recurrence:
        return Stationary("amg", system, self.setup(system.A))


@final
class AMGCycle(LinearMap):
    """z = B r, one V-cycle from zero; gradients do not pass through it."""

    def __init__(self, A: LinearMap, method: Method) -> None:
        super().__init__(A.shape, A.dtype, A.device, A.symmetric, A.positive)
        if A.batch:
            raise ShapeError(f"amg takes one matrix, got {A} with a stack of {A.batch}")
        try:
            matrix = A.sparse()
        except SciopsError as error:
            raise SciopsError(
                f"amg makes its coarse levels from the entries of the matrix, and those of {A} are "
                f"not known; build it from a sparse matrix"
            ) from error
        self._kernel = A.kernel
        self._used = np.flatnonzero(np.diff(matrix.tocsr().indptr))
        self._finite = bool(np.isfinite(matrix.data).all())
        if self._finite and len(self._used):
            used = matrix.tocsr()[self._used][:, self._used]
            self._levels = _hierarchy(used, method, A.symmetric)

    @property
    def kernel(self) -> Kernel | None:
        return self._kernel

    def matvec(self, x: Tensor) -> Tensor:
        r = self._projected(x.detach().double())  # in float32 rounding would lie in the kernel
        rows = r.reshape(-1, self.size).cpu().numpy()  # (B, N)
        z = np.full_like(rows, 0.0 if self._finite else np.nan)
        if self._finite and len(self._used):
            for row, out in zip(rows, z, strict=True):
                out[self._used] = self._cycle(np.ascontiguousarray(row[self._used]))
        return self._projected(torch.from_numpy(z).to(x.device).reshape(x.shape)).to(x.dtype)

    def _projected(self, v: Tensor) -> Tensor:
        """v without its part in A's kernel, which the cycle of a singular matrix would magnify."""
        return v if self._kernel is None else self._kernel.project(v)

    def _cycle(self, r: np.ndarray) -> np.ndarray:
        return self._levels.solve(r, x0=np.zeros_like(r), maxiter=1, tol=0.0, cycle="V")


def _hierarchy(matrix: Any, method: Method, symmetric: bool) -> Any:
    """pyamg's levels of a scipy matrix of float64."""
    try:
        import pyamg
    except ImportError as error:
        raise MissingPackage("pyamg", "amg", "solver=amg") from error
    from scipy.sparse import csr_matrix

    csr = csr_matrix(matrix, dtype=np.float64)
    with _repeatable():
        if method == "ruge_stuben":
            return pyamg.ruge_stuben_solver(csr)
        kind = "symmetric" if symmetric else "nonsymmetric"
        return pyamg.smoothed_aggregation_solver(csr, symmetry=kind)


@contextmanager
def _repeatable() -> Iterator[None]:
    """pyamg starts its estimates of eigenvalues from numpy's global generator: seeded, put back."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
