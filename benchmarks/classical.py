"""What the solver that made the data needs for the error of a trained operator.

    python benchmarks/classical.py RUN.. [--json PATH]

RUN is the folder of a finished run of mixers_vorticity or mixers_darcy, started where its data lie;
the data tell the problem.  Operators and solvers answer the same test windows one by one, in turn,
on one thread: CPU milliseconds, medians over the windows, and mean relative L2 against the data.

    vorticity   the pseudo-spectral solver on N x N points, which keeps |k| < N / 3, and the steps
                that it takes there; from the first frame cut to these modes, back by Fourier
                interpolation.  After one frame and after the last of the rollout.
    darcy       conjugate gradients with multigrid on the grid of the data to a relative residual,
                and the direct solver of the data.

The data come from the same solver on the same equation, which no measured flow would grant it.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import h5py
import numpy as np
import torch
from scipy.signal import resample

from sciops.core.config import read_yaml
from sciops.core.diffusion import DiffusionMap
from sciops.core.operator import Sample, rollout
from sciops.data.task import load as load_data
from sciops.data.windows import Windows, collate
from sciops.operators._trained import load
from sciops.problems import _finite_volume as fv
from sciops.problems.darcy import Darcy
from sciops.problems.navier_stokes import NavierStokes
from sciops.solvers.cg import CG
from sciops.solvers.multigrid import Multigrid
from sciops.training.run import RunConfig

Answer = Callable[[Sample], np.ndarray]  # a batch of one -> (leads, *N)


def main() -> None:
    """Load, answer, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--json", type=Path, help="where the rows are written")
    given = parser.parse_args()
    torch.set_num_threads(1)
    config = RunConfig.model_validate(read_yaml(given.runs[0] / "config.yaml"))
    data = load_data(config.data)
    windows = next(iter(data.tests.values()))
    answers = {run.name: network(run, windows) for run in given.runs}
    with h5py.File(config.data.path) as file:
        problem = json.loads(file.attrs["recipe"])["problem"]
    solvers = {"navier_stokes": spectral, "darcy": multigrid}[problem.pop("kind")]
    answers |= solvers(problem, windows.window.horizon)
    rows = measured(answers, windows)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


def network(run: Path, windows: Windows) -> Answer:
    """A trained operator."""
    operator = load(run, "cpu").operator.eval()

    @torch.inference_mode()
    def answer(batch: Sample) -> np.ndarray:
        return rollout(operator, batch, windows.window.horizon, windows.schema)[0, :, 0].numpy()

    return answer


def spectral(settings: dict[str, Any], leads: int) -> dict[str, Answer]:
    """The solver of the data on fewer points."""
    problem = NavierStokes(**settings)

    def on(points: int) -> Answer:
        def answer(batch: Sample) -> np.ndarray:
            w = resampled(batch["inputs"][0, 0].double().numpy(), points)
            frames = []
            for _ in range(leads):
                w = problem.advance(w, 0.0, problem.interval)
                frames.append(resampled(w, problem.resolution))
            return np.stack(frames)

        return answer

    return {f"pseudo-spectral, {n} x {n}": on(n) for n in (16, 20, 24, 32, 48, 64)}


def resampled(w: np.ndarray, points: int) -> np.ndarray:
    """A periodic field (N, N) on points x points, by its Fourier modes."""
    return resample(resample(w, points, axis=0), points, axis=1)


def multigrid(settings: dict[str, Any], _: int) -> dict[str, Answer]:
    """The matrix of the data on cells, solved to a tolerance and directly."""
    problem = Darcy(**settings)

    def to(rtol: float) -> Answer:
        def answer(batch: Sample) -> np.ndarray:
            a = batch["inputs"][0, 0].double()
            h = fv.spacings(tuple(a.shape), problem.centring)
            A = DiffusionMap.from_coefficient(a, h, problem.centring, problem.face_mean)
            u = CG(rtol=rtol).solve(A, torch.ones_like(a), M=Multigrid()).x
            return u.numpy()[None]

        return answer

    def direct(batch: Sample) -> np.ndarray:
        return problem.solution(batch["inputs"][0, 0].double().numpy())[None]

    return {f"cg, M=multigrid, rtol {r:g}": to(r) for r in (1e-1, 1e-2, 1e-4)} | {
        "direct (SuperLU)": direct
    }


def measured(answers: dict[str, Answer], windows: Windows) -> list[dict[str, Any]]:
    """Error at the first and the last lead, and time, of each; printed."""
    times: dict[str, list[float]] = {name: [] for name in answers}
    errors: dict[str, list[np.ndarray]] = {name: [] for name in answers}
    for i in range(len(windows)):
        batch = collate([windows[i]])
        truth = batch["targets"][0, :, 0].double().numpy()
        for name, answer in answers.items():
            if i == 0:
                answer(batch)  # what the first call of all builds
            started = process_time()
            found = answer(batch)
            times[name].append(1e3 * (process_time() - started))
            axes = tuple(range(1, truth.ndim))
            off, size = (np.sqrt((v**2).sum(axes)) for v in (found - truth, truth))
            errors[name].append(off / size)
    rows = []
    for name in answers:
        mean = np.mean(errors[name], axis=0)
        row = {"method": name, "ms": round(statistics.median(times[name]), 2)}
        row |= {f"relative_l2_{k + 1}": float(f"{mean[k]:.3g}") for k in {0, len(mean) - 1}}
        rows.append(row)
        print("  ".join(f"{k} {v}" for k, v in row.items()), flush=True)
    return rows


if __name__ == "__main__":
    main()
