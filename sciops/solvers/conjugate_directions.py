r"""Conjugate directions from any predictor M, learned or not: the loop of DCDM, made safe.

    q = M(r / ||r||)                                        the prediction, of any scale and sign
    p = q - sum_j p_j <A p_j, q> / <p_j, A p_j>             over the last m directions p_j
    alpha = <p, r> / <p, A p>,   x <- x + alpha p,   r <- r - alpha A p

By the exact line search ||x - x*||_A never grows, whatever M gives.  A fixed symmetric positive
definite M gives the iterates of `cg` with m = 1 already; the window helps where M is nonlinear.
The sum is taken by modified Gram-Schmidt, and a second time where <q, A q> has lost two digits by
it; A p of the second time is known from the stored A p_j, so an iteration costs one product with A.

A prediction is of no use where it is zero, NaN or infinite, where it lies in the span of the
window (<p, A p> <= eps <q, A q>) or leads nowhere (|<p, r>| <= eps^(3/4) ||p|| ||r||; directions
close to A^-1 r stay above that up to the condition number 4 eps^(-3/2)), or where <p, A p> <= 0.
There q is r, scaled by the diagonal of A where that is known and positive, and
`Solution.fallbacks` counts it.  If <p, A p> <= 0 even then, A is not positive definite: BREAKDOWN.

A predictor may also lead on without getting anywhere.  With `patience` n, a right-hand side whose
residual does not halve within n iterations starts again with an empty window, and if that happens
again M is not asked any more: from there on q is the scaled r, each time counted in `fallbacks`,
and nothing is started again, since conjugate gradients may halve r late and then all at once.

Stopping, the true residual and batches: `_krylov.py`.  Where r has to be replaced, the window is
emptied.

Sources: A. Kaneda, O. Akar, J. Chen, V. Kala, D. Hyde, J. Teran, A deep conjugate direction method
for iteratively solving linear systems, ICML 2023, arXiv 2205.10763 (m = 2, classical Gram-Schmidt,
two products an iteration, no fallback); L. Giraud, J. Langou, M. Rozloznik, The loss of
orthogonality in the Gram-Schmidt orthogonalization process, Comput. Math. Appl. 50 (2005).
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, final

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from sciops.core.errors import SciopsError
from sciops.core.system import System, largest
from sciops.solvers._krylov import Iterative, Recurrence, State, demand_positive


@final
class ConjugateDirections(Iterative):
    """Directions from any M, made conjugate to the last ones (formulas: top of this file).

    M sees residuals of unit norm and needs no tags; without M the iterates are those of plain
    conjugate gradients.  Memory: 2 fields for each direction in the window.

    Raises
    ------
    NotPositiveDefinite
        By `solve`, if A does not carry the tags `symmetric` and `positive`.
    """

    window: NonNegativeInt | None = 2  # m; 0 keeps none, null keeps all
    patience: PositiveInt | None = None  # n; null: M is asked to the end

    def recurrence(self, system: System) -> Recurrence:
        demand_positive("A", system.A)
        return _Directions(system, self.window, self.patience)


class _Direction(NamedTuple):
    """A direction p with A p (*batch, *shape); p = 0 and curvature 1 where there is none."""

    p: Tensor
    image: Tensor  # A p
    curvature: Tensor  # <p, A p>, (*batch)


@final
class _Directions(Recurrence):
    """The window of the last directions, oldest first."""

    def __init__(self, system: System, window: int | None, patience: int | None) -> None:
        self.system, self.patience = system, None if system.M is None else patience
        norm = system.norm(system.b)  # (*batch)
        self.mark = torch.full_like(norm, torch.inf)  # <r, r> / 4 is to be reached
        self.since = torch.zeros_like(norm)  # iterations since the mark was set
        self.strikes = torch.zeros_like(norm)
        self.kept: deque[_Direction] = deque(maxlen=window)
        eps = torch.finfo(system.b.dtype).eps
        self.repeated, self.idle = eps, eps**0.75
        self._weights: Tensor | None = None  # 1 / diag(A), at the first fallback

    def restart(self, which: Tensor) -> None:
        mask = self.system.broadcast(which)
        for i, (p, image, curvature) in enumerate(self.kept):
            p, image = torch.where(mask, 0.0, p), torch.where(mask, 0.0, image)
            self.kept[i] = _Direction(p, image, torch.where(which, 1.0, curvature))

    def step(self, state: State) -> None:
        if self.patience is not None:
            self._watch(state, self.patience)
        q, sound = self._prediction(state)
        fallback = state.running & (~sound | (self.strikes > 1))  # (*batch)
        for _ in range(2):  # at most one repetition, with fallbacks for what failed
            if bool(fallback.any()):
                q = torch.where(self.system.broadcast(fallback), self._residual(state), q)
            new, slope, useful = self._conjugate(state, q)
            failed = state.running & ~fallback & ~useful
            if not bool(failed.any()):
                break
            fallback = fallback | failed
        state.fallbacks += fallback
        state.demand_positive(new.curvature)
        p, image = state.of_running(new.p), state.of_running(new.image)
        state.advance(state.ratio(slope, new.curvature), p, image)
        self.kept.append(_Direction(p, image, torch.where(state.running, new.curvature, 1.0)))

    def _watch(self, state: State, patience: int) -> None:
        """Set the mark anew where r has halved; restart where it takes too long."""
        halved = state.square <= self.mark / 4
        late = state.running & ~halved & (self.since >= patience) & (self.strikes <= 1)
        if bool(late.any()):
            self.restart(late)
            self.strikes += late
        anew = halved | late | ~self.mark.isfinite()
        self.mark = torch.where(anew, state.square, self.mark)
        self.since = torch.where(anew, 1.0, self.since + 1)

    def _prediction(self, state: State) -> tuple[Tensor, Tensor]:
        """(M(r / ||r||) with max|q| = 1, where that is possible); 0 elsewhere."""
        if not bool((state.running & (self.strikes <= 1)).any()):
            return torch.zeros_like(state.r), torch.zeros_like(state.running)
        unit = state.of_running(state.r) / self._size(state.square.sqrt(), state)
        q = unit if self.system.M is None else self.system.M.matvec(unit)
        size = largest(q, len(self.system.A.shape))
        sound = state.running & size.isfinite() & (size > 0)  # max|.| of a NaN is NaN
        q = q if bool(sound.all()) else torch.where(self.system.broadcast(sound), q, 0.0)
        return q / self._size(torch.where(sound, size, 1.0), state), sound

    def _residual(self, state: State) -> Tensor:
        """The direction of r, scaled by the diagonal where that is known, max|q| = 1."""
        if self._weights is None:
            self._weights = _inverse_diagonal(self.system)
        q = state.of_running(self.system.project(self._weights * state.r))
        return q / self._size(largest(q, len(self.system.A.shape)), state)

    def _size(self, size: Tensor, state: State) -> Tensor:
        """(*batch, 1, ..) numbers to divide fields by: `size` where running, else 1."""
        return self.system.broadcast(torch.where(state.running, size, 1.0))

    def _conjugate(self, state: State, q: Tensor) -> tuple[_Direction, Tensor, Tensor]:
        """q made conjugate to the window, <p, r>, and whether p is of use (both (*batch))."""
        dot, broadcast = state.dot, self.system.broadcast
        p, removed = q, torch.zeros_like(state.square)
        for old in self.kept:
            c = dot(old.image, p) / old.curvature
            removed = removed + c * c * old.curvature
            p = torch.addcmul(p, broadcast(c), old.p, value=-1.0)
        image = self.system.A.matvec(p)
        curvature = dot(p, image)
        again = curvature < 0.01 * removed
        if bool(again.any()):
            for old in self.kept:
                c = broadcast(torch.where(again, dot(old.image, p) / old.curvature, 0.0))
                p = torch.addcmul(p, c, old.p, value=-1.0)
                image = torch.addcmul(image, c, old.image, value=-1.0)
            curvature = dot(p, image)
        slope = dot(p, state.r)
        useful = (curvature > self.repeated * removed) & (
            slope.abs() > self.idle * (dot(p, p) * state.square).sqrt()
        )
        return _Direction(p, image, curvature), slope, useful & (curvature > 0)


def _inverse_diagonal(system: System) -> Tensor:
    """1 / diag(A) where that is known and all positive, else 1."""
    try:
        d = system.A.diagonal()
    except SciopsError:
        return torch.ones((), dtype=system.b.dtype, device=system.b.device)
    return torch.where((d > 0).all(), 1 / d, torch.ones_like(d))
