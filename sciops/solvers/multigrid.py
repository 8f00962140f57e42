r"""Geometric multigrid for -div(a grad u) and its like: a V-cycle B on grids of halved resolution.

    solver             x <- x + B (b - A x),      ||I - B A||_A < 1
    preconditioner     z = B r,                   0 < <r, B r>

B is linear, symmetric and positive definite by form, whatever the coefficients (`_v_cycle.py`), so
it fits into conjugate gradients.  Prolongation and coarse operators are made from the entries of A
(`_black_box.py`): coefficients may jump, obstacles may stand anywhere, walls may be Dirichlet or
Neumann, and the numbers of points need not be even; in one, two or three dimensions.

`CG().solve(A, b, M=Multigrid())` is what to use; by itself it takes half as many iterations again
or more.  The cycle runs in float32 inside the iteration in A's type, at no cost in iterations.
Iterations and times stand in benchmarks/results/README.md: 6 iterations of conjugate gradients to
1e-6 on smooth coefficients of contrast 1e4, 8 to 10 on jumps of 1e4 and among obstacles.

What it is not made for, in the same table: couplings that are stronger along one axis than along
the others all through the grid, where smoothing by points is slow, and media without a scale above
that of the cells, which no coarse grid sees.

Source: J. E. Dendy, Black box multigrid, J. Comput. Phys. 48 (1982) 366-386; U. Trottenberg, C. W.
Oosterlee, A. Schueller, Multigrid, Academic Press (2001).
"""

from __future__ import annotations

from typing import Literal, final

import torch
from pydantic import PositiveInt

from sciops.core.linear import LinearMap
from sciops.core.system import System
from sciops.solvers._hierarchy import Hierarchy
from sciops.solvers._krylov import Iterative, Recurrence
from sciops.solvers._stationary import Stationary
from sciops.solvers._v_cycle import MultigridCycle

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@final
class Multigrid(Iterative):
    """Multigrid for a DiffusionMap, or a symmetric matrix on a grid that couples neighbours.

    Raises
    ------
    NotPositiveDefinite
        By `solve` and `setup`, if A does not carry the tags `symmetric` and `positive`.
    SciopsError
        By `solve` and `setup`, if the entries of A are not known or couple points that are not
        neighbours; by `solve`, if a preconditioner M is given.
    """

    smoothing_steps: PositiveInt = 1  # sweeps before and after the coarse grid each
    coarsest: PositiveInt = 400  # unknowns up to which the inverse is a dense matrix
    dtype: Literal["float32", "float64"] = "float32"  # in which the cycle runs

    def setup(self, A: LinearMap) -> LinearMap:
        """B, of A's type; it carries the tags `symmetric` and `positive`."""
        grids = Hierarchy.of(A, self.coarsest)
        return MultigridCycle(A, grids, self.smoothing_steps, DTYPES[self.dtype])

    def recurrence(self, system: System) -> Recurrence:
        return Stationary("multigrid", system, self.setup(system.A))
