r"""Gradients through x = A(theta)^-1 b, by one more solve instead of a graph of all iterations.

    A lambda = dL/dx,    dL/db = lambda,    dL/dtheta = -<lambda, (dA/dtheta) x>

for symmetric A, which is its own adjoint.  theta is whatever tensors the map was built from: the
last formula is what autograd makes of a single product A(theta) x, so every LinearMap whose
`matvec` is made of differentiable operations has it (diffusion conductances, the entries of dense
and sparse matrices).  Forward derivatives are (dx) = A^-1 (db - (dA) x).

Source: M. B. Giles, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation, Advances in Automatic Differentiation, Springer LNCSE 64 (2008).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from sciops.core.errors import SciopsError
from sciops.core.linear import LinearMap
from sciops.core.solver import Solution, Solver
from sciops.core.system import Preconditioner


def differentiable_solve(
    solver: Solver,
    A: LinearMap,
    b: Tensor,
    x0: Tensor | None = None,
    M: LinearMap | Preconditioner | None = None,
) -> Solution:
    """`solver.solve(A, b, x0, M)` with an x through which gradients flow to b and to A's tensors.

    The gradient solve has the same settings (`atol` then has the unit of dL/dx) and the same M,
    which is set up once.  Gradients do not flow to x0 and M, on which x does not depend.  With
    respect to b derivatives of any order exist, with respect to A's tensors the first; both in
    reverse and in forward mode.  Through the transforms of torch.func only solvers can go that are
    made of tensors: `direct` and `amg` hand their numbers to other libraries.

    Shapes: as `Solver.solve`; a batch does what `torch.func.vmap` of a single solve would.

    Raises
    ------
    SciopsError
        If A does not carry the tag `symmetric`; in the backward pass, if the gradient solve ends
        worse than this one did, or a second derivative is asked for where A's tensors need one.
    """
    if not A.symmetric:
        raise SciopsError(
            f"gradients by the adjoint solve need a symmetric A, got {A}; if you know that it is "
            f"symmetric, build it with symmetric=True"
        )
    if M is not None and not isinstance(M, LinearMap):
        with torch.no_grad():
            M = M.setup(A)
    solution = solver.solve(A, b, x0, M)
    x = solution.x.detach()
    image = A.matvec(x)
    y = b + (image.detach() - image)  # b in value; its derivative is db - (dA) x
    moving = image.requires_grad or unpack_dual(image).tangent is not None
    inverse = _Inverse(solver, A, M, solution.status.severity, moving)
    return replace(solution, x=_Solve.apply(y, x, inverse))


@dataclass(frozen=True)
class _Inverse:
    """y -> A^-1 y as a fixed linear map.

    `worst` is the severity that a solve may end with; `moving` says that A's tensors need
    derivatives, so that A^-1 is fixed for one derivative only, and `last` that this was the one.
    """

    solver: Solver
    A: LinearMap
    M: LinearMap | None
    worst: int
    moving: bool
    last: bool = False

    def __call__(self, y: Tensor) -> Tensor:
        solution = self.solver.solve(self.A, y, M=self.M)
        if solution.status.severity > self.worst:
            solution.check()
        return solution.x

    def derivative(self) -> _Inverse:
        """The map that the derivative of this one applies."""
        if self.last:
            raise SciopsError(
                "second derivatives through a solve exist with respect to b only, and tensors of "
                "A need derivatives here; detach them"
            )
        return replace(self, last=self.moving)


class _Solve(torch.autograd.Function):
    """x = A^-1 y, where x may be known; symmetric, so that backward and jvp are the same map."""

    @staticmethod
    def forward(y: Tensor, known: Tensor | None, inverse: _Inverse) -> Tensor:
        return inverse(y) if known is None else known.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.inverse = inputs[2]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Solve.apply(gradient, None, ctx.inverse.derivative()), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
        return _Solve.apply(tangent, None, ctx.inverse.derivative())

    @staticmethod
    def vmap(
        info: Any, dims: tuple[Any, ...], y: Tensor, known: Tensor | None, inverse: _Inverse
    ) -> tuple[Tensor, int]:
        """The mapped dimension is one more leading dimension of right-hand sides."""
        fields = [
            v if v is None or d is None else v.movedim(d, 0)
            for v, d in zip((y, known), dims[:2], strict=True)
        ]
        return _Solve.apply(*fields, inverse), 0
