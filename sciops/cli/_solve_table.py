"""What ``sciops solve`` prints and draws of a system that it solved."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.table import Table
from rich.text import Text

from sciops.bench.cost import peak_megabytes
from sciops.core.linear import LinearMap
from sciops.core.solver import Solution, Solver, Status
from sciops.data.definite import Verdict
from sciops.data.matrices import LinearSystem
from sciops.solvers._krylov import Iterative

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROUNDING = 1e-12  # a smaller part of b in the kernel is what rounding left


@dataclass(frozen=True)
class Result:
    """A solved system, ready to be shown."""

    name: str  # of the matrix
    system: LinearSystem
    verdict: Verdict
    A: LinearMap
    preconditioner: str  # its name, empty where there is none
    solver: Solver
    solution: Solution
    x: np.ndarray  # in the shape of b
    seconds: tuple[float | None, float]  # of the setup, where there is one, and of the solve
    residuals: list[np.ndarray]  # (k,) after each iteration, where they were asked for

    @property
    def solved(self) -> bool:
        """Whether b - A x is small, the part of b that no x can reach included."""
        tolerance = max(getattr(self.solver, "rtol", 1e-6), ROUNDING)
        return self.solution.status is Status.CONVERGED and not self._left_out > tolerance

    @property
    def _left_out(self) -> float:
        return float(self.solution.incompatible.max())

    def table(self) -> Table:
        """Everything in two columns."""
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, text in self._rows():
            table.add_row(name, Text(text))  # a file "x:b:" is no emoji
        return table

    def _rows(self) -> list[tuple[str, str]]:
        n, nonzeros = self.A.size, self.system.matrix.nnz
        grid = f" on {' x '.join(map(str, self.A.shape))}" if len(self.A.shape) > 1 else ""
        setup, solve = self.seconds
        rows = [
            ("matrix", f"{self.name}: {n:,} unknowns{grid}, {nonzeros:,} nonzeros"),
            *_known(self.verdict, self.A.positive),
            ("right-hand side", self._right_hand_side()),
            ("solver", _settings(self.solver)),
            ("preconditioner", self.preconditioner or "none"),
            *([("setup", f"{setup:.4g} s")] if setup is not None else []),
            ("solve", f"{solve:.4g} s" + (", setup included" if self._sets_up else "")),
            ("iterations", _range(self.solution.iterations)),
            ("residual", f"{_range(self.solution.residual)} = ||b - A x|| / ||b||, in float64"),
        ]
        if not self.system.source:
            rows.append(("error", f"{np.abs(self.x - 1).max():.3g} = max|x - 1|"))
        if self._left_out > ROUNDING:
            rows.append(("left out", f"{self._left_out:.3g} of ||b||, which no x can reach"))
        if int(self.solution.fallbacks.sum()):
            rows.append(("fallbacks", f"{int(self.solution.fallbacks.sum())}"))
        rows += [
            ("memory", f"{peak_megabytes(torch.device('cpu')):.0f} MB, the most of this process"),
            ("status", self._status()),
        ]
        return rows

    @property
    def _sets_up(self) -> bool:
        """Whether the solver itself factorises or makes coarse grids."""
        return hasattr(self.solver, "setup") or not isinstance(self.solver, Iterative)

    def _right_hand_side(self) -> str:
        if not self.system.source:
            return "b = A 1, since none was given"
        count = len(self.solution.statuses)
        return self.system.source + (f": {count} of them" if count > 1 else "")

    def _status(self) -> str:
        count = Counter(s for s in self.solution.statuses)
        worst = self.solution.status
        several = len(self.solution.statuses) > 1
        names = [f"{s.name}: {k}" if several else s.name for s, k in count.items()]
        text = ", ".join(names)
        if worst is not Status.CONVERGED:
            text += f". {worst.value}"
        elif not self.solved:
            text += (
                ", but the matrix is singular and b has a part that A x never has: x is the "
                "least-squares solution. Fix a value, or remove the mean of b"
            )
        return text

    def picture(self) -> Figure:
        """Residuals against the iteration; the last one is the recomputed one."""
        from sciops.plots.convergence import convergence

        label = self.solver.kind + (f" with {self.preconditioner}" if self.preconditioner else "")
        title = f"{Path(self.name).name}, {self.A.size:,} unknowns: {label}"
        return convergence({label: self._curves()}, getattr(self.solver, "rtol", None), title=title)

    def _curves(self) -> np.ndarray:
        """(R, K + 1) relative residuals; NaN behind the last iteration of each."""
        count = np.atleast_1d(self.solution.iterations.numpy())
        curves = np.stack([np.atleast_1d(r) for r in self.residuals], axis=1)
        start = np.where(curves[:, :1] > 0, curves[:, :1], 1.0)
        curves = curves / start
        curves[np.arange(curves.shape[1]) > count[:, None]] = np.nan
        curves[np.arange(len(count)), count] = np.atleast_1d(self.solution.residual.numpy())
        return curves


def _known(verdict: Verdict, taken: bool) -> list[tuple[str, str]]:
    """What the entries tell; `taken` whether the matrix was solved as a definite one."""
    if not verdict.symmetric:
        return [("symmetric", f"no: {verdict.reason}")]
    text = verdict.reason
    if verdict.positive:
        text = ("yes" if verdict.labels is None else "yes, off the constants") + f": {text}"
    elif taken:
        text += "; taken to be so, breakdown would show it"
    rows = [("symmetric", "yes"), ("definite", text)]
    if verdict.labels is not None:
        count = int(verdict.labels.max()) + 1
        rows.append(
            ("singular", f"rows sum to zero on {count} component(s); x has the mean 0 there")
        )
    return rows


def _settings(solver: Solver) -> str:
    """Its name and settings."""
    tree = solver.model_dump(mode="json")
    kind = tree.pop("kind")
    return "  ".join([kind, *(f"{k}={v}" for k, v in tree.items() if v is not None)])


def _range(values: torch.Tensor) -> str:
    low, high = values.min().item(), values.max().item()
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
