r"""Damped Jacobi: a solver, and the preconditioner M = D^-1 for others.

    x <- x + omega D^-1 (b - A x),    D = diag(A)

For symmetric positive definite A it converges for 0 < omega < 2 / lambda_max(D^-1 A).  The default,
2/3, is safe up to lambda_max = 3; a diagonally dominant matrix, as diffusion gives, has at most 2.
The number of iterations grows with the condition number of D^-1 A, where that of conjugate
gradients grows with its root: `Jacobi()` is a measure for others, `CG().solve(A, b, M=Jacobi())` is
what to use.

The iteration is that of `_stationary.py`; stopping, the true residual and batches: `_krylov.py`.

Source: Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM (2003), chapter 4.
"""

from __future__ import annotations

from typing import final

import torch
from pydantic import PositiveFloat

from sciops.core.errors import SciopsError
from sciops.core.linear import DiagonalMap, LinearMap
from sciops.core.system import System
from sciops.solvers._krylov import Iterative, Recurrence
from sciops.solvers._stationary import Stationary


@final
class Jacobi(Iterative):
    """Damped Jacobi (formula: top of this file), for any A with a known diagonal without zeros.

    As `M=Jacobi()` of another solver it is D^-1; the damping, a factor that Krylov methods do not
    see, plays no part there.

    Raises
    ------
    SciopsError
        By `solve` and `setup`, if the diagonal of A is not known or holds a zero; by `solve`, if a
        preconditioner M is given.
    """

    damping: PositiveFloat = 2 / 3  # omega

    def setup(self, A: LinearMap) -> DiagonalMap:
        """D^-1 (*shape); it carries the tag `positive` where all of D is positive.

        A cell without neighbours, whose row is zero, belongs to A's kernel, and what M does there
        is projected away; it gets 1.
        """
        d = A.diagonal()
        if bool((d == 0).any()) and A.kernel is None:
            raise SciopsError(
                f"jacobi divides by the diagonal of {A}, which holds a zero; remove the empty "
                f"rows, or use a solver that does not need the diagonal (cg, direct)"
            )
        return DiagonalMap(torch.where(d == 0, 1.0, 1 / d), A.shape)

    def recurrence(self, system: System) -> Recurrence:
        damped = DiagonalMap(self.damping * self.setup(system.A).diagonal(), system.A.shape)
        return Stationary("jacobi", system, damped)
