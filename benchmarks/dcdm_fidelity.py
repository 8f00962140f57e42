"""The published DCDM network beside conjugate gradients, incomplete Cholesky and multigrid.

    sciops train benchmarks/preconditioners/dcdm_32.yaml -o runs/dcdm_32
    python benchmarks/dcdm_fidelity.py runs/dcdm_32 [--json PATH]

The network was trained on one matrix, the Laplacian of the empty box of 32^3 cells with Dirichlet
walls, by a recipe that its YAML compares with the published one.  Right-hand sides that it has not
seen:

    ritz      made of Ritz vectors as its data, of another Lanczos run
    noise     white noise
    obstacle  white noise on a box with a solid ball and two solid bars, which it is not told about

All are asked for the same relative residual ||b - A x|| / ||b||, 1e-4 as published and 1e-6,
recomputed in float64.  Iterations are means over the right-hand sides; seconds are medians of the
CPU time of one right-hand side with the setup, on one thread.  The loop of `dcdm` is the published
one, which asks the network to the end (patience off): `unsolved` counts what it did not solve in
200 iterations, `fallbacks` what the safeguards replaced.  `untrained` is the network at its random
start.  IC(0) is that of ilupp, where it is installed, from a matrix that is assembled beforehand.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sciops.core.diffusion import DiffusionMap
from sciops.core.linear import CallableMap, LinearMap
from sciops.core.solver import Status
from sciops.solvers import load
from sciops.solvers.cg import CG
from sciops.solvers.dcdm import DCDM, Predictor
from sciops.solvers.multigrid import Multigrid
from sciops.training.ritz import lanczos, right_hand_sides

COUNT = 4  # right-hand sides of a kind
LIMIT = 200


def main() -> None:
    """Solve, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--json", type=Path)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    trained = load(given.folder)
    torch.manual_seed(0)
    untrained = Predictor(trained.settings).eval()
    rows = []
    for kind in ("ritz", "noise", "obstacle"):
        A, b = problem(kind, 32)
        for rtol in (1e-4, 1e-6):
            for name, solve in methods(A, trained, untrained).items():
                rows.append({"right-hand side": kind, "rtol": rtol, "solver": name})
                rows[-1] |= measured(A, b, rtol, solve)
                print("  ".join(f"{k} {v}" for k, v in rows[-1].items()), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


def problem(kind: str, n: int) -> tuple[DiffusionMap, Tensor]:
    """A and b (COUNT, n, n, n)."""
    solid = None
    generator = torch.Generator().manual_seed(12345)
    if kind == "obstacle":
        x, y, z = torch.meshgrid(*[(torch.arange(n) + 0.5) / n] * 3, indexing="ij")
        ball = (x - 0.5) ** 2 + (y - 0.5) ** 2 + (z - 0.35) ** 2 < 0.18**2
        pillar = ((x - 0.25).abs() < 0.08) & ((y - 0.7).abs() < 0.08) & (z < 0.6)
        beam = ((x - 0.78).abs() < 0.1) & ((y - 0.3).abs() < 0.05) & ((z - 0.7).abs() < 0.1)
        solid = ball | pillar | beam
    ones = torch.ones(n, n, n, dtype=torch.float64)
    A = DiffusionMap.from_coefficient(ones, (1.0,) * 3, "cell", obstacle=solid)
    if kind == "ritz":
        return A, right_hand_sides(lanczos(A, 1000, generator), COUNT, generator).double()
    b = torch.randn(COUNT, n, n, n, dtype=torch.float64, generator=generator)
    return A, b if solid is None else torch.where(solid, 0.0, b)


def methods(
    A: LinearMap, trained: Predictor, untrained: Predictor
) -> dict[str, Callable[[Tensor, float], Any]]:
    """Name -> (b, rtol) -> Solution, each with its setup."""
    found: dict[str, Callable[[Tensor, float], Any]] = {
        "cg": lambda b, rtol: CG(rtol=rtol).solve(A, b),
        "cg, multigrid": lambda b, rtol: CG(rtol=rtol).solve(A, b, M=Multigrid()),
        "dcdm": lambda b, rtol: published(rtol).solve(A, b, M=trained),
        "dcdm, untrained": lambda b, rtol: published(rtol).solve(A, b, M=untrained),
    }
    if importlib.util.find_spec("ilupp"):
        from scipy.sparse import csr_matrix

        keep = (A.diagonal().flatten() > 0).numpy().nonzero()[0]
        matrix = csr_matrix(A.sparse().tocsr()[keep][:, keep])
        found["cg, IC(0)"] = lambda b, rtol: CG(rtol=rtol).solve(
            A, b, M=incomplete(A, matrix, keep)
        )
    return found


def published(rtol: float) -> DCDM:
    """The published loop."""
    return DCDM(rtol=rtol, maxiter=LIMIT, patience=None)


def incomplete(A: LinearMap, matrix: Any, keep: Any) -> LinearMap:
    """IC(0) of the matrix of the points `keep` that are solved for; the others are left alone."""
    import ilupp

    factors = ilupp.IChol0Preconditioner(matrix)

    def apply(r: Tensor) -> Tensor:
        z = r.clone().reshape(-1, A.size)
        for row in z.numpy():
            inner = row if len(keep) == A.size else row[keep]
            factors.apply(inner)
            row[keep] = inner
        return z.reshape(r.shape)

    return CallableMap(apply, A.shape, A.dtype, symmetric=True, positive=True)


def measured(
    A: LinearMap, b: Tensor, rtol: float, solve: Callable[[Tensor, float], Any]
) -> dict[str, Any]:
    """Iterations and seconds of one right-hand side, and the worst residual."""
    solve(b[0], 0.5)  # what the first call of all loads
    times, found = [], []
    for row in b:
        started = time.process_time()
        found.append(solve(row, rtol))
        times.append(time.process_time() - started)
    return {
        "iterations": sum(int(f.iterations) for f in found) / len(found),
        "unsolved": sum(f.status is not Status.CONVERGED for f in found),
        "fallbacks": sum(int(f.fallbacks) for f in found) / len(found),
        "seconds": round(statistics.median(times), 3),
        "residual": float(f"{max(float(f.residual) for f in found):.2g}"),
    }


if __name__ == "__main__":
    main()
