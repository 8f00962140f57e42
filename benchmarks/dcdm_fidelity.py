"""The published DCDM network beside conjugate gradients, incomplete Cholesky and multigrid.

    sciops train benchmarks/preconditioners/dcdm_32.yaml -o runs/dcdm_32
    python benchmarks/dcdm_fidelity.py runs/dcdm_32 [--json PATH]

The network was trained on one matrix, the Laplacian of the empty box of 32^3 cells with Dirichlet
walls.  Right-hand sides that it has not seen:

    ritz      made of Ritz vectors as its data, of another Lanczos run
    noise     white noise
    obstacle  white noise on a box with a solid ball and two solid bars, which it is not told about

All stop at the same relative residual ||b - A x|| / ||b||, 1e-4 as published and 1e-6, recomputed
in float64.  Iterations are means over the right-hand sides; seconds are CPU time of one right-hand
side with the setup, on one thread.  `untrained` is the network at its random start.  IC(0) is that
of ilupp, where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sciops.core.diffusion import DiffusionMap
from sciops.core.linear import CallableMap, LinearMap
from sciops.solvers.cg import CG
from sciops.solvers.dcdm import DCDM, Predictor, load
from sciops.solvers.multigrid import Multigrid
from sciops.training.ritz import lanczos, right_hand_sides

COUNT = 4  # right-hand sides of a kind
LIMIT = 400


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
        "dcdm": lambda b, rtol: DCDM(rtol=rtol, maxiter=LIMIT).solve(A, b, M=trained),
        "dcdm, untrained": lambda b, rtol: DCDM(rtol=rtol, maxiter=LIMIT).solve(A, b, M=untrained),
    }
    if importlib.util.find_spec("ilupp"):
        found["cg, IC(0)"] = lambda b, rtol: CG(rtol=rtol).solve(A, b, M=incomplete(A))
    return found


def incomplete(A: LinearMap) -> LinearMap:
    """IC(0) of the points that are solved for; the others are left alone."""
    import ilupp
    from scipy.sparse import csr_matrix

    keep = (A.diagonal().flatten() > 0).numpy().nonzero()[0]
    factors = ilupp.IChol0Preconditioner(csr_matrix(A.sparse().tocsr()[keep][:, keep]))

    def apply(r: Tensor) -> Tensor:
        z = r.clone().reshape(-1, A.size)
        for row in z:
            inner = row[keep].numpy().copy()
            factors.apply(inner)
            row[keep] = torch.from_numpy(inner)
        return z.reshape(r.shape)

    return CallableMap(apply, A.shape, A.dtype, symmetric=True, positive=True)


def measured(
    A: LinearMap, b: Tensor, rtol: float, solve: Callable[[Tensor, float], Any]
) -> dict[str, Any]:
    """Iterations and seconds of one right-hand side, and the worst residual."""
    iterations, seconds, worst = 0, 0.0, 0.0
    for row in b:
        started = time.process_time()
        solution = solve(row, rtol)
        seconds += time.process_time() - started
        iterations += int(solution.iterations)
        worst = max(worst, float(solution.residual))
    return {
        "iterations": iterations / len(b),
        "seconds": round(seconds / len(b), 3),
        "residual": float(f"{worst:.2g}"),
    }


if __name__ == "__main__":
    main()
