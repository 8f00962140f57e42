r"""A suite of linear solvers is one YAML: systems x solvers x seeds.

    name: solvers_media
    rtol: 1.0e-6                     # ||b - A x|| / ||b||, recomputed in float64 from the matrix
    repeats: 3
    seeds: [0, 1, 2]
    systems:
      grains: {kind: media, shape: [256, 256], laws: [grains], least_contrast: 1.0e+4}
      mine:   {kind: file, path: A.mtx, shape: [128, 128]}
    solvers:
      cg:        {solver: {kind: cg}}
      multigrid: {solver: {kind: cg}, preconditioner: {kind: multigrid}}
      learned:   {solver: {kind: cg}, preconditioner: {folder: runs/grains}}

b is white noise (a file may bring its own); the matrices of seed k are none of those that a
training with seed k draws.  Every (system, seed) is a job: its solvers take turns on the same
matrix and right-hand side, from a map that nothing has been derived from, so that the setup is all
of it.  The times are medians over the repeats, CPU time where torch runs on one thread and wall
time otherwise; a solver that misses the tolerance has times but no ratio.

    suite/jobs/<system>-seed<k>.json   rows and residual curves of a job; it is not done again
    suite/results.csv                  system, seed, solver, status, iterations, residual, times
    suite/suite.yaml  report.html
"""

from __future__ import annotations

import copy
import csv
import hashlib
import io
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from sciops.core.config import (
    FileName,
    Settings,
    override,
    plug_in_field,
    read_yaml,
    to_yaml,
    validate,
)
from sciops.core.errors import ConfigError, ResumeError, SciopsError
from sciops.core.linear import LinearMap
from sciops.core.solver import Solution, Solver
from sciops.core.system import Preconditioner, demand_preconditioner
from sciops.data.files import file_sha256, write_text
from sciops.solvers import _trained
from sciops.solvers._krylov import Iterative
from sciops.training.matrices import File, Media
from sciops.training.run import versions

COLUMNS = (
    "system",
    "seed",
    "unknowns",
    "solver",
    "status",
    "iterations",
    "residual",
    "setup_ms",
    "solve_ms",
    "total_ms",
    "ratio",
)
OTHER = 2_000_003  # added to the seed
SLOW = 20.0  # seconds above which one turn is enough
Notify = Callable[[str, str], None]
Row = dict[str, Any]


class Folder(Settings):
    """A trained preconditioner."""

    folder: Path


class Entry(Settings):
    """One solver of a suite."""

    solver: plug_in_field("solvers")  # type: ignore[valid-type]
    preconditioner: dict[str, Any] | None = None  # {kind: .., settings} or {folder: ..}


class _Method(Settings):
    kind: plug_in_field("solvers")  # type: ignore[valid-type]


class SolverSuite(Settings):
    """The settings of a suite of solvers."""

    name: str
    title: str = ""
    note: str = ""  # shown in the report
    rtol: float = Field(1e-6, gt=0)
    repeats: PositiveInt = 3
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    systems: dict[FileName, Annotated[Media | File, Field(discriminator="kind")]] = Field(
        min_length=1
    )
    solvers: dict[str, Entry] = Field(min_length=1)  # ratios are to the first


@dataclass(frozen=True)
class Method:
    """A solver with its preconditioner, ready to be used."""

    solver: Solver
    preconditioner: Preconditioner | None

    def solve(self, A: LinearMap, b: Tensor, seen: Any = None) -> tuple[Solution, float, float]:
        """The solution, seconds of the setup and of the rest."""
        started = _clock()
        M = None if self.preconditioner is None else self.preconditioner.setup(A)
        ready = _clock()
        solution = self.solver.solve(A, b, M=M, callback=seen)
        return solution, ready - started, _clock() - ready


def read(tree: Mapping[str, Any], source: str, assignments: Sequence[str] = ()) -> SolverSuite:
    """The suite in a YAML tree, with every setting checked."""
    suite = validate(SolverSuite, override(dict(tree), assignments), source)
    for label, entry in suite.solvers.items():
        _method(entry, suite.rtol, f"{source}: solvers.{label}")
        solver = entry.solver
        own = {k for k in ("rtol", "atol") if k in solver.model_fields_set}
        given = tuple(getattr(solver, k, 0.0) for k in ("rtol", "atol"))
        if own and given != (suite.rtol, 0.0):
            raise ConfigError(
                f"{source}: solvers.{label}: all solvers have the rtol of the suite and atol 0; "
                f"leave out {', '.join(sorted(own))}"
            )
        if entry.preconditioner and not isinstance(solver, Iterative):
            raise ConfigError(f"{source}: solvers.{label}: {solver.kind} takes no preconditioner")
        if hasattr(solver, "trained") and (solver.trained or not entry.preconditioner):
            raise ConfigError(
                f"{source}: solvers.{label}: {solver.kind} needs preconditioner: {{folder: ..}}"
                + (" instead of trained" if solver.trained else "")
            )
    for system in suite.systems.values():
        if isinstance(system, File):
            system.system()
    return suite


def run_suite(suite: SolverSuite, folder: Path, notify: Notify) -> bool:
    """Run what is not done yet and write results.csv; gives whether everything was solved.

    Parameters
    ----------
    folder
        The suite's folder.
    notify
        Called with each job's name before (`running`, `finished`) and after it (`done`).
    """
    methods = {
        label: _method(entry, suite.rtol, f"solvers.{label}")
        for label, entry in suite.solvers.items()
    }
    _require_own(folder, suite)
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    write_text(folder / "suite.yaml", to_yaml(suite))
    found: list[dict[str, Any]] = []
    for name, system in suite.systems.items():
        for seed in suite.seeds:
            job = f"{name}-seed{seed}"
            path = folder / "jobs" / f"{job}.json"
            inputs = _inputs(suite, system)
            before = done(path, suite, system, seed)
            if before is None or before.get("inputs") != inputs:
                notify(job, "running")
                before = {"key": _key(suite, system, seed), "inputs": inputs}
                before |= {"versions": versions("pyamg"), "threads": torch.get_num_threads()}
                before |= _job(name, system, seed, methods, suite.repeats)
                write_text(path, json.dumps(before))
                notify(job, "done")
            else:
                notify(job, "finished")
            found.append(before)
    rows = [row for job in found for row in with_ratios(job["rows"], next(iter(suite.solvers)))]
    _write_results(folder, rows)
    return all(row["status"] == "CONVERGED" for job in found for row in job["rows"])


def _require_own(folder: Path, suite: SolverSuite) -> None:
    """ResumeError if the folder holds anything but a run of a suite of this name."""
    held = folder / "suite.yaml"
    if held.is_file():
        name = read_yaml(held).get("name")
        if name != suite.name or not (folder / "jobs").is_dir():
            raise ResumeError(f"{folder}: holds the suite {name!r}; choose another folder")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ResumeError(f"{folder}: not empty and not the folder of a suite; choose another one")


def done(path: Path, suite: SolverSuite, system: Media | File, seed: int) -> dict[str, Any] | None:
    """What a job has found with the settings of a suite; None where it has not run with them."""
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # damaged, so not done
        return None
    return found if found.get("key") == _key(suite, system, seed) else None


def _job(
    name: str, system: Media | File, seed: int, methods: Mapping[str, Method], repeats: int
) -> dict[str, Any]:
    """All solvers on one system, in turn."""
    A, b = _system(system, seed)
    times: dict[str, list[tuple[float, float]]] = {label: [] for label in methods}
    answers: dict[str, Solution] = {}
    errors: dict[str, str] = {}
    for turn in range(repeats + 1):  # the first one warms up
        for label, method in methods.items():
            if label in errors or (times[label] and sum(times[label][0]) > SLOW):
                continue
            try:
                answers[label], setup, solve = method.solve(copy.copy(A), b)
            except SciopsError as error:
                errors[label] = str(error)
                continue
            if turn or setup + solve > SLOW:
                times[label].append((setup, solve))
    rows = [
        {"system": name, "seed": seed, "unknowns": A.size, "solver": label}
        | (_failed(errors[label]) if label in errors else _measured(answers[label], times[label]))
        for label in methods
    ]
    curves = {k: _curve(m, copy.copy(A), b) for k, m in methods.items() if k not in errors}
    return {"rows": rows, "curves": curves}


def with_ratios(rows: Sequence[Row], first: str) -> list[Row]:
    """The rows of a job with the ratio of each total to that of the solver `first`."""
    solved = {r["solver"]: r["total_ms"] for r in rows if r["status"] == "CONVERGED"}
    base = solved.get(first)
    return [
        r | {"ratio": solved[r["solver"]] / base if base and r["solver"] in solved else None}
        for r in rows
    ]


def _measured(solution: Solution, times: Sequence[tuple[float, float]]) -> Row:
    setup, solve = (1e3 * statistics.median(t[k] for t in times) for k in (0, 1))
    return {
        "status": solution.status.name,
        "iterations": int(solution.iterations.max()),
        "residual": float(solution.residual.max()),
        "setup_ms": setup,
        "solve_ms": solve,
        "total_ms": 1e3 * statistics.median(a + b for a, b in times),
    }


def _failed(why: str) -> Row:
    return {"status": f"refused: {why}"}


def _curve(method: Method, A: LinearMap, b: Tensor) -> list[float]:
    """||b - A x_k|| / ||b|| for k = 0, 1, ..; empty for direct methods."""
    norms: list[float] = []

    def record(_: int, x: Tensor, r: Tensor) -> None:
        norms.append(float(r.norm() / b.norm()))

    method.solve(A, b, record)
    return [1.0, *norms] if norms else []


def _system(system: Media | File, seed: int) -> tuple[LinearMap, Tensor]:
    """A, and b: white noise, or what the file says."""
    generator = torch.Generator().manual_seed(OTHER + seed)
    b: Tensor | None = None
    if isinstance(system, Media):
        A: LinearMap = system.model_copy(update={"stack": 1}).draw(generator)
    else:
        A, b = system.system()
    if b is None:
        b = torch.randn(A.shape, dtype=A.dtype, generator=generator)
    kernel = copy.copy(A).kernel  # A itself has not worked out anything when the clock starts
    return A, b if kernel is None else kernel.project(b)


def _method(entry: Entry, rtol: float, where: str) -> Method:
    """A solver with the suite's tolerance, and its preconditioner."""
    solver: Solver = entry.solver
    if "rtol" in type(solver).model_fields:
        solver = solver.model_copy(update={"rtol": rtol})
    tree = entry.preconditioner
    if tree is None:
        return Method(solver, None)
    if "folder" in tree:
        return Method(solver, _trained.load(validate(Folder, tree, where).folder))
    method = validate(_Method, {"kind": tree}, f"{where}: preconditioner").kind
    if not isinstance(method, Preconditioner):
        raise ConfigError(f"{where}: {tree.get('kind')} is a solver only, not a preconditioner")
    demand_preconditioner(method)
    return Method(solver, method)


def _key(suite: SolverSuite, system: Media | File, seed: int) -> str:
    """Hash of the settings of a job."""
    tree: dict[str, Any] = {
        "system": system.model_dump(mode="json"),
        "seed": seed,
        **suite.model_dump(mode="json", include={"solvers", "rtol", "repeats"}),
    }
    return _hash(tree)


def _inputs(suite: SolverSuite, system: Media | File) -> str:
    """Hash of what the settings of a job do not tell: threads, matrix files, weights."""
    tree: dict[str, Any] = {"threads": torch.get_num_threads()}
    if isinstance(system, File):
        tree["bytes"] = system.checksum()
    for label, entry in suite.solvers.items():
        if entry.preconditioner and "folder" in entry.preconditioner:
            path = Path(entry.preconditioner["folder"]) / _trained.WEIGHTS
            tree[f"weights of {label}"] = file_sha256(path)
    return _hash(tree)


def _hash(tree: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def _write_results(folder: Path, rows: Sequence[Row]) -> None:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "results.csv", buffer.getvalue())


def _clock() -> float:
    """CPU time on one thread, wall time otherwise."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()
