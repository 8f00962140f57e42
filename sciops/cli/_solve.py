"""What ``sciops solve`` does between its arguments and its table; it imports torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sciops.cli._solve_table import Result
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
from sciops.core.solver import Solver
from sciops.core.system import Preconditioner, demand_preconditioner
from sciops.data.definite import Verdict, judge, sparse_map
from sciops.data.matrices import LinearSystem, read_system
from sciops.solvers import load
from sciops.solvers._krylov import Iterative

ON_GRIDS = ("multigrid", "learned_multigrid", "dcdm")  # what needs --shape


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
    if method is not None:
        demand_preconditioner(method)
    if (method or trained) is not None and not isinstance(plugins.solver, Iterative):
        raise ConfigError(f"solver={plugins.solver.kind} takes no preconditioner; leave it out")
    if (method or trained) is None and getattr(plugins.solver, "trained", "") is None:
        raise ConfigError(
            f"solver={plugins.solver.kind} needs what was trained: --preconditioner FOLDER"
        )
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
    return Result(matrix, system, verdict, A, choice.name, solver, solution, x, seconds, residuals)


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
