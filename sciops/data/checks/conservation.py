r"""Integrals that should not change in a closed box.

    M(t) = sum_i q_i(t) w_i,    drift = max_t |M(t) - M(0)| / max_t sum_i |q_i(t)| w_i

with the cell widths w of the grid, for scalars q; for a velocity q = |u|^2 / 2, which need not be
conserved.  Dividing by the integral of |q| leaves a field of mean zero comparable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciops.core.schema import Grid, Points, Variable
from sciops.data.checks.fields import Block, Check
from sciops.data.findings import Findings

DRIFT = 1e-3  # far above what float32 and a conservative scheme leave, below what a lost flux does
MASSES = ("density", "rho", "height", "h", "tracer")
ENERGIES = ("energy", "total_energy")
PIECE = 1 << 20  # numbers that are in float64 at one time


def weights(v: Variable) -> NDArray[np.float64] | None:
    """(P,) volume that each point stands for; None where that is not known."""
    if isinstance(v.domain, Points):
        return v.domain.weights
    assert isinstance(v.domain, Grid)
    product = np.ones(())
    for axis in v.domain.axes:
        product = np.multiply.outer(product, axis.widths)
    return np.asarray(product).reshape(-1)


class Drift(Check):
    """The drift of the integral of a scalar, or of the kinetic energy of a velocity.

    `closed`: whether nothing leaves the box; None where a side is unknown.
    """

    def __init__(self, v: Variable, w: NDArray[np.float64], closed: bool | None) -> None:
        self.v, self.w, self.closed = v, w, closed
        self.worst, self.sample = 0.0, -1
        self._begin()

    def _begin(self) -> None:
        self._first: float | None = None
        self._change = self._scale = 0.0

    def block(self, b: Block) -> None:
        """See `Check`."""
        step = max(PIECE // (len(self.w) * b.flat.shape[2]), 1)
        for t in range(0, len(b.flat), step):
            rows = slice(t, t + step)
            q = b.flat[rows].astype(np.float64)  # (T, P, c)
            if b.valid is not None:
                q = np.where(b.valid[rows][..., None], q, 0.0)
            if not np.isfinite(q).all():
                self._change = np.inf  # this sample tells nothing; `values.Finite` reports it
                return
            q = ((q**2).sum(axis=2) / 2 if self.v.rank else q[..., 0]) * self.w
            mass, size = q.sum(axis=1), np.abs(q).sum(axis=1)
            if self._first is None:
                self._first = float(mass[0])
            self._change = max(self._change, float(np.abs(mass - self._first).max()))
            self._scale = max(self._scale, float(size.max()))

    def end(self, sample: int) -> None:
        """See `Check`."""
        if self._scale > 0 and np.isfinite(self._change):
            drift = self._change / self._scale
            if drift > self.worst:
                self.worst, self.sample = drift, sample
        self._begin()

    def report(self, findings: Findings) -> None:
        """See `Check`."""
        if self.worst <= DRIFT:
            return
        name = self.v.name.lower()
        where = f"{self.v.name}, sample {self.sample}"
        number = {"drift": self.worst}
        box = "in a closed box" if self.closed else "(the boundary is not known)"
        percent = f"{100 * self.worst:.3g} %"
        if self.v.rank:
            findings.info(
                "energy-drift", where, f"the kinetic energy changes by {percent} {box}", **number
            )
        elif name in MASSES or name in ENERGIES:
            code = "mass-drift" if name in MASSES else "energy-drift"
            message = f"the integral over the domain changes by {percent} {box}"
            if self.closed:
                findings.warning(code, where, f"{message}; a source, or a fault", **number)
            else:
                findings.info(code, where, message, **number)
        elif self.closed:
            findings.info(
                "integral-drift",
                where,
                f"the integral changes by {percent} {box}: not a conserved quantity?",
                **number,
            )
