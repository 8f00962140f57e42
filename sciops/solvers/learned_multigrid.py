r"""Multigrid whose prolongation and coarse coefficients a network makes from the matrix.

The cycle is that of `multigrid`, and so are its formulas, with positive factors in two places:

    u_p = sum_o w_o u_{p+o},     w_o = e^{x_o} T_o / (sum_o e^{x_o} T_o + s)
    A_c v = g s_c v + sum_o f_o t_c(p, o) (v_p - v_{p+o}),     t_c, s_c: those of P^T A P, or 0

x, log f and log g, all within +-1 (+-3 for x), are a convolutional network's answer to the entries
of A around each coarse point: once a matrix and grid, the same weights on all of them.  Negative
couplings of P^T A P are left out.

Whatever the weights, trained or not: coarse points keep their value under P, so that its columns
are independent; A_c has positive couplings, so that it is an M-matrix; and a Gauss-Seidel sweep
reduces the error in the norm of any such matrix.  B is therefore symmetric positive definite and
fits into conjugate gradients.  An untrained network gives x = 0, f = g = 1: `multigrid` but for the
negative couplings, which that one keeps.

    network = Trained(dimension=2).build()     # trained by `sciops.training.directions`
    CG().solve(A, b, M=network.eval())                   # or, from a folder:
    network.save(folder); LearnedMultigrid(trained=folder).solve(A, b)

What training is worth stands in benchmarks/results/README.md.

Source: D. Greenfeld, M. Galun, R. Basri, I. Yavneh, R. Kimmel, Learning to optimize multigrid PDE
solvers, ICML 2019, arXiv 1902.10248 (a network for P); J. E. Dendy, Black box multigrid, J. Comput.
Phys. 48 (1982) 366-386.
"""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, final

import torch
from pydantic import Field
from torch import Tensor

from sciops.core.errors import ShapeError
from sciops.core.linear import LinearMap
from sciops.core.system import System
from sciops.layers.coarsening_network import CoarseningNetwork
from sciops.solvers import _trained
from sciops.solvers._black_box import ROUNDING, Entries, Index, Parities
from sciops.solvers._differentiable_cycle import DifferentiableCycle
from sciops.solvers._hierarchy import Hierarchy
from sciops.solvers._krylov import Iterative, Recurrence, demand_positive
from sciops.solvers._v_cycle import MultigridCycle
from sciops.solvers.cg import CG

FLOOR = 1e-4  # couplings below this share of the diagonal are all the same to the network
LOGARITHM = 4.0  # by which logarithms are divided, so that a contrast of 1e4 gives numbers near 2
REACH = 3.0  # largest |x|


class Trained(_trained.TrainedSettings):
    """Which network."""

    dimension: Literal[1, 2, 3] = 2
    channels: Annotated[int, Field(ge=1, le=1024)] = 16
    depth: Annotated[int, Field(ge=0, le=64)] = 2  # convolutions

    def build(self) -> MultigridNetwork:
        """The network at its start, where all factors are 1."""
        return MultigridNetwork(self)


@final
class MultigridNetwork(_trained.TrainedModule):
    """A network as a preconditioner; before training, all of its factors are 1.

    Parameters
    ----------
    settings
        Which network.
    """

    def __init__(self, settings: Trained) -> None:
        super().__init__()
        self.settings = settings
        d = settings.dimension
        offsets = [o for o in product((-1, 0, 1), repeat=d) if any(o)]
        self.parities: list[Index] = list(product((0, 1), repeat=d))
        self.offsets = offsets
        self.upper = [o for o in offsets if o > (0,) * d]  # one of each pair of couplings
        self.tilted = [  # the x_o: offsets that move along odd axes only
            (a, o)
            for a in self.parities
            for o in offsets
            if all(odd or not k for odd, k in zip(a, o, strict=True))
        ]
        self.network = CoarseningNetwork(
            d,
            len(self.parities) * (len(offsets) + 2),
            len(self.tilted) + len(self.upper) + 1,
            settings.channels,
            settings.depth,
        )

    @property
    def origin(self) -> Trained:
        """What it was built from."""
        return self.settings

    def setup(self, A: LinearMap) -> LinearMap:
        """B, of A's type; it carries the tags `symmetric` and `positive`.

        In training mode (`train()`, as a module begins) gradients pass through B to the weights,
        and it runs in A's type; after `eval()` it is the cycle of `multigrid` in float32.

        Raises
        ------
        ShapeError
            If A has fields of another dimension, or is on another device.
        NotPositiveDefinite, SciopsError
            As `multigrid`.
        """
        weight = next(self.parameters())
        if len(A.shape) != self.settings.dimension:
            raise ShapeError(
                f"this network is for fields of {self.settings.dimension} dimensions, got {A}"
            )
        if weight.device != A.device:
            raise ShapeError(
                f"the network is on {weight.device}, {A} on {A.device}; move it by .to(A.device)"
            )
        if self.training:
            return DifferentiableCycle(A, Hierarchy.of(A, 64, self.coarsen))
        with torch.no_grad():
            return MultigridCycle(A, Hierarchy.of(A, 400, self.coarsen), 1, torch.float32)

    def coarsen(self, entries: Entries, labels: Tensor | None) -> tuple[Parities, Entries]:
        """P and A_c of one grid: formulas at the top of this file."""
        fine = Parities(entries, labels)
        d = self.settings.dimension
        logits = self._logits(fine)  # (*stack, logits, M)
        x, log_f, log_g = logits.split([len(self.tilted), len(self.upper), 1], -2)
        factors = (REACH * torch.tanh(x / REACH)).exp()
        fine.tilt = {key: factors[..., k, :] for k, key in enumerate(self.tilted)}
        product_ = fine.galerkin()
        total = product_.rows()
        s = product_.diagonal - total
        s = torch.where(s > ROUNDING * product_.diagonal, s, 0.0)
        on_grid = (*logits.shape[:-2], -1, *fine.packed_shape)
        f, g = torch.tanh(log_f).exp().reshape(on_grid), torch.tanh(log_g).exp().reshape(on_grid)
        couplings = {
            o: f.select(-d - 1, k) * product_.couplings[o].clamp(min=0.0)
            for k, o in enumerate(self.upper)
        }
        coarse = Entries(s, couplings, d)
        return fine, Entries(g.select(-d - 1, 0) * s + coarse.rows(), couplings, d)

    def _logits(self, fine: Parities) -> Tensor:
        """The answer of the network, (*stack, logits, M)."""
        weight = next(self.parameters())
        m = _features(fine, self.offsets)  # (*stack, features, M)
        stack = m.shape[:-2]
        m = m.reshape(math.prod(stack), -1, *fine.packed_shape).to(weight.dtype)
        return (
            self.network(m)
            .to(fine.diagonal[self.parities[0]].dtype)
            .reshape(*stack, -1, math.prod(fine.packed_shape))
        )


def _features(fine: Parities, offsets: list[Index]) -> Tensor:
    r"""(*stack, features, M) of a grid, none of them changed by a factor in A.

    For each of the 2^D points of a coarse cell, n = 3^D - 1 being the number of neighbours:

        log(d / mean d) / 4                 mean d: the geometric mean over the points of the cell
        1 - sum_o t_o / d                   the share of the walls
        log(n max(t_o, 0) / d + 1e-4) / 4   the share of neighbour o
    """
    diagonals = torch.stack(list(fine.diagonal.values()), -2)  # (*stack, 2^D, M)
    open_ = diagonals > 0
    log = torch.where(open_, torch.where(open_, diagonals, 1.0).log(), 0.0)
    mean = log.sum(-2, keepdim=True) / open_.sum(-2, keepdim=True).clamp(min=1)
    found = [torch.where(open_, log - mean, 0.0) / LOGARITHM]
    for k, a in enumerate(fine.parities):
        d = torch.where(open_[..., k, :], diagonals[..., k, :], 1.0)
        none = torch.zeros_like(d)
        share = torch.stack([fine.couplings.get((a, o), none) / d for o in offsets], -2)
        walls = open_[..., k, :].to(d) - share.sum(-2)
        found.append(walls[..., None, :])
        found.append((share.clamp(min=0.0) * len(offsets) + FLOOR).log() / LOGARITHM)
    return torch.cat(found, -2)


@final
class LearnedMultigrid(Iterative):
    """Conjugate gradients with a `MultigridNetwork` (formulas: top of this file).

    An M given to `solve` goes before `trained`; without either there is no preconditioner.

    Raises
    ------
    NotPositiveDefinite
        By `solve`, if A or M does not carry the tags `symmetric` and `positive`.
    DataError, ConfigError
        By `solve`, if there is no network in the folder.
    """

    trained: Path | None = None  # folder of a saved one

    def recurrence(self, system: System) -> Recurrence:
        demand_positive("A", system.A)
        return CG().recurrence(_trained.preconditioned(system, self.trained, "learned_multigrid"))
