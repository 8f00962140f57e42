r"""What trains a preconditioner z = M(r) from matrices alone, without solutions.

    line_search_loss      mean over b of ||b - alpha A q||^2,  q = M(b),  alpha = <q, b> / <q, A q>
    krylov_loss           mean over e of log (||e - x_k||_A / ||e||_A) / k

The first is that of DCDM, of one step and in the residual norm; its b are unit vectors that
resemble residuals (`sciops.training.ritz`).  In the second, e is white noise and x_k what k steps
of conjugate directions give for A x = A e:

    z = M r,   p = z - sum_j p_j <A p_j, z> / <p_j, A p_j>   over the last w directions
    x <- x + p <p, r> / <p, A p>,   r <- r - A p <p, r> / <p, A p>

With w = 1 these are flexible conjugate gradients, and preconditioned conjugate gradients where M is
symmetric positive definite.  exp(loss) is the mean factor by which a step reduces the error.  Both
losses pass derivatives of every order to whatever M depends on; A is a constant and symmetric, so
that the derivative of A p is one more product with A.

Sources: A. Kaneda, O. Akar, J. Chen, V. Kala, D. Hyde, J. Teran, A deep conjugate direction method
for iteratively solving linear systems, ICML 2023, arXiv 2205.10763 (first loss, Adam, learning rate
1e-4, batches of 10); Y. Notay, Flexible conjugate gradients, SIAM J. Sci. Comput. 22 (2000).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sciops.core.errors import SciopsError, ShapeError
from sciops.core.linear import LinearMap
from sciops.core.system import field_norm
from sciops.layers.linear_node import linear

Map = Callable[[Tensor], Tensor]  # (*batch, *shape) -> (*batch, *shape)
Objective = Callable[[nn.Module, torch.Generator], Tensor]


class _Symmetric:
    """A, which is its own transpose, as a pair for `sciops.layers.linear_node`."""

    def __init__(self, A: LinearMap) -> None:
        if not A.symmetric:
            raise SciopsError(f"training needs a symmetric map, got {A}; tag it if it is symmetric")
        self.apply = A.matvec
        self.batch = (0, 0)

    def transpose(self) -> _Symmetric:
        return self


def line_search_loss(A: LinearMap, b: Tensor, q: Tensor) -> Tensor:
    """Mean over the batch of ||b - alpha A q||^2, alpha = <q, b> / <q, A q>.

    Parameters
    ----------
    A
        Symmetric.
    b, q
        (*batch, *shape) right-hand sides, and predicted directions of any scale and sign.

    Returns
    -------
    Scalar; where <q, A q> = 0 the direction is of no use and alpha = 0.

    Raises
    ------
    SciopsError, ShapeError
        If A is not tagged symmetric, or b and q are not fields of A of one shape.
    """
    A.check(b, "b")
    A.check(q, "q")
    if b.shape != q.shape:
        raise ShapeError(f"b and q must have one shape, got {tuple(b.shape)} and {tuple(q.shape)}")
    d = len(A.shape)
    image = linear(_Symmetric(A), q)
    alpha = _ratio(_dot(q, b, d), _dot(q, image, d))
    return field_norm(b - _wide(alpha, d) * image, d).square().mean()


def krylov_loss(A: LinearMap, M: Map, e: Tensor, steps: int = 6, window: int = 1) -> Tensor:
    """Mean over the batch of log(||e - x_k||_A / ||e||_A) / k (formulas: top of this file).

    Parameters
    ----------
    A
        Symmetric positive definite, or semi-definite with its kernel; a stack counts as a batch.
    M
        The preconditioner, linear or not: a differentiable function of fields.
    e
        (*batch, *shape) errors at the start, white noise for a loss that sees all modes.
    steps
        k; the graph keeps all of them.
    window
        w.

    Returns
    -------
    Scalar, never positive up to rounding.
    """
    A.check(e, "e")
    pair, d, kernel = _Symmetric(A), len(A.shape), A.kernel
    r = linear(pair, e)
    start = _dot(e, r, d)  # ||e||_A^2
    kept: list[tuple[Tensor, Tensor, Tensor]] = []  # p, A p, <p, A p>
    for _ in range(steps):
        z = M(r)
        p = z if kernel is None else kernel.project(z)
        for old, image, curvature in kept:
            p = p - _wide(_ratio(_dot(image, p, d), curvature), d) * old
        image = linear(pair, p)
        curvature = _dot(p, image, d)
        alpha = _wide(_ratio(_dot(p, r, d), curvature), d)
        e, r = e - alpha * p, r - alpha * image
        kept = [*kept, (p, image, curvature)][-window:] if window else []
    floor = torch.finfo(e.dtype).eps ** 2  # a squared norm below which rounding is all there is
    return (_dot(e, r, d) / start).clamp_min(floor).log().mean() / (2 * steps)


def line_search(A: LinearMap, data: Tensor, batch_size: int = 10) -> Objective:
    """The published objective: `line_search_loss` on random right-hand sides out of `data`.

    Parameters
    ----------
    A
        The matrix.
    data
        (n, *shape), of any type and place, a file too: `sciops.training.ritz.right_hand_sides`.
    batch_size
        Of a step, drawn without repetition.
    """

    def objective(model: nn.Module, generator: torch.Generator) -> Tensor:
        chosen = torch.randperm(len(data), generator=generator)[:batch_size]
        b = data[chosen.to(data.device)].to(A.device, A.dtype)
        return line_search_loss(A, b, model.setup(A).matvec(b))

    return objective


def krylov(
    draw: Callable[[torch.Generator], LinearMap],
    batch_size: int = 1,
    steps: int = 6,
    window: int = 1,
) -> Objective:
    """`krylov_loss` on white-noise errors.

    Parameters
    ----------
    draw
        Gives the matrix of a step, or a stack of them, in the type to train in.
    batch_size
        Errors for each matrix.
    steps, window
        Of `krylov_loss`.
    """

    def objective(model: nn.Module, generator: torch.Generator) -> Tensor:
        A = draw(generator)
        e = torch.randn(batch_size, *A.batch, *A.shape, generator=generator)
        return krylov_loss(A, model.setup(A).matvec, e.to(A.device, A.dtype), steps, window)

    return objective


def _dot(u: Tensor, v: Tensor, d: int) -> Tensor:
    """(*batch) inner products of fields with d axes."""
    return torch.linalg.vecdot(u.flatten(u.ndim - d), v.flatten(v.ndim - d))


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where b = 0."""
    return torch.where(b == 0, 0.0, a / torch.where(b == 0, 1.0, b))


def _wide(values: Tensor, d: int) -> Tensor:
    """(*batch) -> (*batch, 1, ..), ready to multiply fields."""
    return values.reshape(*values.shape, *[1] * d)
