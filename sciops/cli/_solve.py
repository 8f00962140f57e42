"""What ``sciops solve`` does between its arguments and its table; it imports torch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.table import Table
from rich.text import Text

from sciops.bench.cost import peak_megabytes
from sciops.core import resolve
from sciops.core.config import Settings, override, plug_in_field, validate
from sciops.core.errors import (
    ConfigError,
    DataError,
    NotFound,
    NotPositiveDefinite,
    SciopsError,
    did_you_mean,
)
from sciops.core.linear import LinearMap
from sciops.core.solver import Solution, Solver, Status
from sciops.core.system import Preconditioner
from sciops.data.definite import Verdict, judge, sparse_map
from sciops.data.matrices import LinearSystem, read_system
from sciops.solvers._krylov import Iterative
from sciops.solvers._trained import load

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROUNDING = 1e-12  # a smaller part of b in the kernel is what rounding left
ON_GRIDS = (
    "multigrid",
    "learned_multigrid",
    "dcdm",
)  # preconditioners and solvers that need --shape


class _Plugins(Settings):
    solver: plug_in_field("solvers")  # type: ignore[valid-type]
    preconditioner: plug_in_field("solvers") | None = None  # type: ignore[valid-type]


@dataclass(frozen=True)
class Choice:
    """Solver and preconditioner; `flexible` takes the place of `solver` where M is not SPD."""

    solver: Solver
    flexible: Solver | None
    preconditioner: Preconditioner | None
    name: str  # of the preconditioner

    @property
    def needs_a_grid(self) -> bool:
        """Whether one of them works on fields, and not on any list of unknowns."""
        trained = self.preconditioner is not None and not isinstance(self.preconditioner, Solver)
        return trained or self.solver.kind in ON_GRIDS or self.name in ON_GRIDS


@dataclass(frozen=True)
class Result:
    """A solved system, ready to be shown."""

    name: str  # of the matrix
    system: LinearSystem
    verdict: Verdict
    A: LinearMap
    choice: Choice
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
            ("preconditioner", self.choice.name or "none"),
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

        label = self.solver.kind + (f" with {self.choice.name}" if self.choice.name else "")
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


def chosen(solver: str | None, preconditioner: str | None, settings: Sequence[str]) -> Choice:
    """What the options and settings stand for.

    Raises
    ------
    NotFound, ConfigError, DataError
        If a name or a setting is unknown, or a folder holds no trained preconditioner.
    """
    tree: dict[str, Any] = {"solver": {"kind": solver} if solver else {}}
    trained = None
    if preconditioner is not None and preconditioner not in resolve.names("solvers"):
        trained = _trained(preconditioner)
    elif preconditioner is not None:
        tree["preconditioner"] = {"kind": preconditioner}
    tree = override(tree, settings)
    automatic = isinstance(tree["solver"], dict) and "kind" not in tree["solver"]
    if automatic:
        tree["solver"]["kind"] = "cg"
    plugins = validate(_Plugins, tree)
    method = plugins.preconditioner
    if method is not None and trained is not None:
        raise ConfigError(f"{preconditioner}: its settings stand in its folder; leave out {method}")
    if method is not None and not isinstance(method, Preconditioner):
        raise ConfigError(
            f"preconditioner: {method.kind} is a solver only; expected one of {_with_setup()}, or "
            f"the folder of a trained one"
        )
    if (method or trained) is not None and not isinstance(plugins.solver, Iterative):
        raise ConfigError(f"solver={plugins.solver.kind} takes no preconditioner; leave it out")
    flexible = None
    if automatic:
        flexible = validate(_Plugins, {"solver": {**tree["solver"], "kind": "fcg"}}).solver
    name = preconditioner or (method.kind if method is not None else "")
    return Choice(plugins.solver, flexible, trained if method is None else method, name)


def _with_setup() -> str:
    """Names of the plug-ins that can precondition."""
    every = resolve.names("solvers")
    return ", ".join(n for n in every if hasattr(resolve.find("solvers", n), "setup"))


def _trained(folder: str) -> Preconditioner:
    """The preconditioner in a folder."""
    if not Path(folder).is_dir():
        raise NotFound(
            f"unknown preconditioner {folder!r}; known: {_with_setup()}, or the folder of a "
            f"trained one.{did_you_mean(folder, resolve.names('solvers'))}"
        )
    return load(folder)


def run(
    matrix: str,
    rhs: str | None,
    shape: tuple[int, ...] | None,
    choice: Choice,
    spd: bool,
    curves: bool,
) -> Result:
    """Read, judge, set up, solve.

    Raises
    ------
    SciopsError
        If the files, the matrix, the solver and the preconditioner do not fit together.
    """
    if curves and not isinstance(choice.solver, Iterative):
        raise ConfigError(f"--plot: solver={choice.solver.kind} has no iterations; leave it out")
    system = read_system(matrix, rhs, shape)
    if spd:
        verdict = Verdict(True, True, None, "by --spd, not looked at")
    else:
        verdict = judge(system.matrix, system.epsilon)
    tried = verdict.symmetric and verdict.positive is None and isinstance(choice.solver, Iterative)
    positive = tried or verdict.positive is True
    A = sparse_map(system.matrix, shape, verdict.symmetric, positive, verdict.labels)
    b = _right_hand_side(A, system, matrix)
    residuals: list[np.ndarray] = []

    def record(k: int, x: torch.Tensor, r: torch.Tensor) -> None:
        residuals.append(_norms(r, A))

    if curves:
        record(0, b, b if A.kernel is None else A.kernel.project(b))
    try:
        started = time.perf_counter()
        M = None if choice.preconditioner is None else choice.preconditioner.setup(A)
        ready = time.perf_counter()
        plain = M is None or (M.symmetric and M.positive)
        solver = choice.solver if plain or choice.flexible is None else choice.flexible
        solution = solver.solve(A, b, M=M, callback=record if curves else None)
        seconds = (None if M is None else ready - started, time.perf_counter() - ready)
    except SciopsError as error:
        raise _explained(
            error, matrix, A, verdict, shape is None and choice.needs_a_grid
        ) from error
    x = solution.x.numpy()
    like = np.ones(A.size) if system.b is None else system.b
    columns = like.ndim == 2 and like.shape != tuple(A.shape)
    x = x.reshape(-1, A.size).T if columns else x.reshape(like.shape)
    return Result(matrix, system, verdict, A, choice, solver, solution, x, seconds, residuals)


def _right_hand_side(A: LinearMap, system: LinearSystem, matrix: str) -> torch.Tensor:
    """B as fields: (*shape), or (k, *shape)."""
    if system.b is None:
        b = A.matvec(torch.ones(A.shape, dtype=A.dtype))
        if A.kernel is not None and not bool((A.kernel.labels < 0).any()):
            raise DataError(
                matrix,
                "all rows sum to zero, so that b = A 1 is zero; give a file with the right-hand "
                "side",
            )
        return b
    if system.b.ndim == 2 and system.b.shape != tuple(A.shape):
        return torch.from_numpy(np.ascontiguousarray(system.b.T)).reshape(-1, *A.shape)
    return torch.from_numpy(np.ascontiguousarray(system.b)).reshape(A.shape)


def _norms(r: torch.Tensor, A: LinearMap) -> np.ndarray:
    return torch.linalg.vector_norm(r.flatten(r.ndim - len(A.shape)), dim=-1).numpy()


def _explained(
    error: SciopsError, matrix: str, A: LinearMap, verdict: Verdict, gridless: bool
) -> SciopsError:
    """The error in the words of the command line."""
    if isinstance(error, NotPositiveDefinite):
        if not verdict.symmetric:
            return NotPositiveDefinite(
                f"{matrix}: not symmetric ({verdict.reason}), and this solver or preconditioner "
                f"needs a symmetric positive definite matrix. Use --solver direct, or --spd if the "
                f"difference is rounding"
            )
        if not A.positive:
            return NotPositiveDefinite(
                f"{matrix}: not positive definite ({verdict.reason.removeprefix('no, ')}). Turn "
                f"the sign of the system if it is negative definite, else use --solver direct"
            )
        return NotPositiveDefinite(f"{error}. On the command line: --solver fcg takes any M")
    if gridless:
        return SciopsError(f"{error}. Give the grid of the unknowns: --shape 256,256")
    return error


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
