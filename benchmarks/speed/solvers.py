"""Linear solvers on diffusion problems: ours against scipy, pyamg, CHOLMOD and a fast transform.

    python benchmarks/speed/solvers.py [--quick] [--threads 1] [--json PATH] [--learned FOLDER ..]
                                       [--cases grains-256 ..]

Every solver gets the same matrix and right-hand side and is timed from the matrix on, its setup
included.  The relative residual that is asked for, 1e-6, is recomputed in float64 from the matrix
for every one of them; a line says so of one that misses it, and it is not in the table.  They take
turns in one process; on one thread the clock is the CPU time of the process.  Problems, on cells,
the permeability a of fixed correlation length in two dimensions:

    lognormal    a = 10^(0.8 g), |g| <= 2.5: contrast 1e4        Dirichlet walls
    jump         a = 1e4 where g > 0.3, else 1                   Dirichlet walls
    darcy        a = 12 where g > 0, else 3                      Dirichlet walls
    obstacles    a = 1, a sphere and two boxes solid, in 3-D     closed but for the upper side
    stretched    a = 1, cells ten times as long as wide          Dirichlet walls
    grains       log10 a uniform in 0 .. 4, cell by cell         Dirichlet walls
    gaps         a = 1, 30 % of the cells solid at random        Dirichlet walls

The last three are what point smoothing on halved grids is not made for.  In one more case,
`many`, lognormal is solved for 32 right-hand sides; times, the setup too, are those of one of them.

The memory is what the resident size of a process of its own grows by at its highest, from the
matrix on (Linux).  Preconditioners that were trained (`sciops train`) join in by `--learned`, each
on the cases of its dimension; the seconds of their training and the solves after which these are
won back against our multigrid are printed at the end.  AMGCL (pyamgcl) and CHOLMOD (cvxopt) take
part where they are installed.  Left out for their time: the Jacobi preconditioner above 512^2 and
in `many`, CHOLMOD above 512^2 and in three dimensions, the sine transform in `many` and on larger
grains.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse.linalg as spla
import torch
from interleaved import Row, clock, options, parse, rounded, row, write
from scipy.fft import dstn, idstn
from scipy.ndimage import gaussian_filter, zoom

from sciops.core.diffusion import DiffusionMap
from sciops.solvers import load
from sciops.solvers.cg import CG
from sciops.solvers.multigrid import Multigrid
from sciops.training.run import read_run

RTOL = 1e-6
OURS = "cg, M=multigrid"
BATCH = 32
CASES = [
    *(("lognormal", n) for n in (256, 512, 1024)),
    *(("jump", n) for n in (256, 512)),
    ("darcy", 512),
    ("obstacles", 64),
    ("obstacles", 96),
    *((kind, 256) for kind in ("stretched", "grains", "gaps")),
    ("grains", 512),
    ("many", 256),
]
Result = tuple[np.ndarray, int, float]  # x, iterations, seconds of the setup
Solve = Callable[[], Result]


def main() -> None:
    """Build, check, time, print, write."""
    parser = options(__doc__)
    parser.add_argument("--cases", nargs="*", metavar="NAME-SIZE", help="these alone: jump-256 ..")
    parser.add_argument("--learned", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--memory", nargs=3, help=argparse.SUPPRESS)  # case, n, solver
    given = parse(parser)
    if given.memory:
        kind, n, name = given.memory
        print(growth(kind, int(n), name, given.learned))
        return
    rows: list[Row] = []
    for kind, n in chosen(given.cases, given.quick):
        rows += case(kind, n, 2 if given.quick else 3, given.learned)
        write(given.json, rows)
    for folder in given.learned:
        amortised(folder, rows)


def chosen(names: list[str] | None, quick: bool) -> list[tuple[str, int]]:
    """The cases that are asked for."""
    named = {f"{kind}-{n}": (kind, n) for kind, n in CASES}
    unknown = sorted(set(names or ()) - set(named))
    if unknown:
        raise SystemExit(f"no case {', '.join(unknown)}; there are {', '.join(named)}")
    return [named[name] for name in names] if names else CASES[:1] if quick else CASES


def candidates(kind: str, n: int, learned: list[Path]) -> tuple[dict[str, Solve], Any, np.ndarray]:
    """The solvers of a case; the matrix of the points that are solved for, and b there."""
    A, b = problem(kind, n)
    used = A.diagonal() > 0
    if A.kernel is not None:
        used &= A.kernel.labels < 0  # what floats is singular for a peer
    keep = np.flatnonzero(used.numpy().ravel())
    matrix = A.sparse().tocsr()[keep][:, keep]
    f = np.ascontiguousarray(b.numpy().reshape(*b.shape[: b.ndim - len(A.shape)], -1)[..., keep])
    solvers: dict[str, Solve] = {OURS: lambda: ours(A, b, keep, Multigrid())}
    for folder in learned:
        network = load(folder)
        if getattr(network.settings, "dimension", None) == len(A.shape):
            solvers[label(folder)] = lambda network=network: ours(A, b, keep, network)  # type: ignore[misc]
    if n <= 512 and kind != "many":
        solvers["scipy cg, Jacobi"] = lambda: jacobi(matrix, f)
    for method in ("smoothed_aggregation", "ruge_stuben"):
        solvers[f"pyamg {method}, cg"] = lambda method=method: pyamg(matrix, f, method)  # type: ignore[misc]
    if importlib.util.find_spec("pyamgcl"):
        solvers["AMGCL smoothed_aggregation, cg"] = lambda: amgcl(matrix, f)
    if importlib.util.find_spec("cvxopt") and n <= 512 and len(A.shape) == 2:
        S = lower(matrix)
        solvers["CHOLMOD (cvxopt)"] = lambda: cholmod(S, f)
    if len(keep) == np.prod(A.shape) and len(A.shape) == 2 and kind != "many" and fast(kind, n):
        scaled = kind != "darcy"  # by the diagonal: better on strong contrast, worse on weak
        name = "cg, Laplacian by DST" + (", scaled" if scaled else "")
        solvers[name] = lambda: sine(matrix, f, A.shape, scaled)
    return solvers, matrix, f


def fast(kind: str, n: int) -> bool:
    """Whether the sine transform comes to an end in less than a minute."""
    return n <= 256 or kind != "grains"


def case(kind: str, n: int, repeats: int, learned: list[Path]) -> list[Row]:
    """All solvers on one problem, in turn."""
    solvers, matrix, f = candidates(kind, n, learned)
    times: dict[str, list[tuple[float, float, int]]] = {name: [] for name in solvers}
    missed = set()
    longest: dict[str, float] = dict.fromkeys(solvers, 0.0)  # seconds
    for turn in range(3 * repeats + 1):
        for name, solve in solvers.items():
            if name in missed or longest[name] > (20 if turn <= repeats else 0.3) and turn > 1:
                continue  # once is enough for slow ones, and three times as often for fast ones
            started = clock()
            x, iterations, setup = solve()
            seconds = clock() - started
            if turn or seconds > 20:
                longest[name] = max(longest[name], seconds)
            r = np.linalg.norm(f - (matrix @ x.T).T, axis=-1) / np.linalg.norm(f, axis=-1)
            if not np.max(r) <= 1.001 * RTOL:
                print(f"{kind} {n}: {name} is left out, residual {np.max(r):.1e}", flush=True)
                missed.add(name)
            elif turn or seconds > 20:
                count = len(np.atleast_2d(f))
                times[name].append((seconds / count, setup / count, iterations))
    times = {name: found for name, found in times.items() if name not in missed}
    memory = {name: resident(kind, n, name, learned) for name in times}
    return rows_of(
        f"{kind} {'x'.join([str(n)] * (3 if kind == 'obstacles' else 2))}", times, memory
    )


def resident(kind: str, n: int, name: str, learned: list[Path]) -> float | None:
    """MB by which a process of its own grows during one solve."""
    command = [sys.executable, __file__, "--memory", kind, str(n), name]
    done = subprocess.run(
        [*command, "--learned", *map(str, learned)], capture_output=True, text=True, check=False
    )
    return float(done.stdout) if done.returncode == 0 and done.stdout.strip() != "None" else None


def growth(kind: str, n: int, name: str, learned: list[Path]) -> float | None:
    """The same of this process; what the first call of all loads is loaded before."""
    candidates(kind, 32, learned)[0][name]()
    solve = candidates(kind, n, learned)[0][name]
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        return None
    reset.write_text("5")
    before = field(status, "VmRSS")
    solve()
    return (field(status, "VmHWM") - before) / 1024


def field(status: Path, name: str) -> int:
    """kB of an entry of /proc/self/status."""
    return int(re.search(rf"{name}:\s+(\d+)", status.read_text()).group(1))  # type: ignore[union-attr]


def amortised(folder: Path, rows: list[Row]) -> None:
    """After how many solves the training has paid for itself, case by case."""
    seconds = read_run(folder)["train_seconds"]
    for found in rows:
        if found["peer"] == label(folder):
            gain = (found["ours_ms"] - found["peer_ms"]) / 1e3
            back = f"back after {seconds / gain:.0f} solves" if gain > 0 else "never won back"
            print(f"{found['case']:22s} {found['peer']}: {seconds:.0f} s of training, {back}")


def label(folder: Path) -> str:
    """Name of a trained preconditioner in the table."""
    return f"cg, M=learned {folder.name}"


def rows_of(
    label: str, times: dict[str, list[tuple[float, float, int]]], memory: dict[str, float | None]
) -> list[Row]:
    """Ours against each peer, printed."""
    mine = times[OURS]
    rows = []
    for name, found in times.items():
        size = "-" if memory[name] is None else f"{memory[name]:.0f}"
        turns = min(len(mine), len(found))
        ours, theirs = ([1e3 * t for t, _, _ in side[:turns]] for side in (mine, found))
        rows.append(
            {
                **row(label, ours, name, theirs),
                "peer_setup_ms": rounded(1e3 * statistics.median(s for _, s, _ in found)),
                "peer_iterations": found[0][2],
                "peer_memory_mb": memory[name],
            }
        )
        r = rows[-1]
        print(
            f"{label:22s} {name:34s} {r['peer_iterations']:6d} iterations  setup "
            f"{r['peer_setup_ms']:9.1f}  total {r['peer_ms']:9.1f} ms  x{r['ratio']:6.2f}"
            f"  ({r['ratio_min']:.2f} - {r['ratio_max']:.2f})  {size} MB",
            flush=True,
        )
    return rows


def problem(kind: str, n: int) -> tuple[DiffusionMap, torch.Tensor]:
    """A and b; b is white noise, in 3-D the divergence of a random velocity in the fluid."""
    rng = np.random.default_rng(1)
    if kind == "obstacles":
        solid = torch.from_numpy(obstacles(n))
        walls = [("neumann", "neumann"), ("neumann", "neumann"), ("neumann", "dirichlet")]
        ones = torch.ones(n, n, n, dtype=torch.float64)
        A = DiffusionMap.from_coefficient(ones, (1.0,) * 3, "cell", walls=walls, obstacle=solid)
        b = np.zeros((n, n, n))
        for axis, faces in enumerate(A.conductances):
            inner = faces.narrow(axis, 1, n - 1).numpy()
            speed = gaussian_filter(rng.standard_normal(inner.shape), 2.0) * (inner > 0)
            zero = [(0, 0)] * 3
            zero[axis] = (1, 1)
            b += np.diff(np.pad(speed, zero), axis=axis)
        return A, torch.from_numpy(b)
    solid = None
    if kind == "gaps":
        solid = torch.from_numpy(np.random.default_rng(0).random((n, n)) < 0.3)
    a = torch.from_numpy(coefficient(kind, n))
    spacing = (1.0, 10.0) if kind == "stretched" else (1.0, 1.0)
    A = DiffusionMap.from_coefficient(a, spacing, "cell", obstacle=solid)
    b = torch.from_numpy(rng.standard_normal((BATCH, n, n) if kind == "many" else (n, n)))
    if A.kernel is not None:  # cells that nothing reaches: no peer could solve there
        b = A.kernel.project(b)
    return A, b


def coefficient(kind: str, n: int) -> np.ndarray:
    """a on n x n cells."""
    if kind in ("stretched", "gaps"):
        return np.ones((n, n))
    if kind == "grains":
        return 10.0 ** np.random.default_rng(0).uniform(0, 4, (n, n))
    g = gaussian_filter(np.random.default_rng(0).standard_normal((64, 64)), 2.0, mode="wrap")
    g = zoom(g, n / 64, order=1, mode="grid-wrap", grid_mode=True)
    g = (g - g.mean()) / g.std()
    if kind in ("lognormal", "many"):
        return 10.0 ** (0.8 * np.clip(g, -2.5, 2.5))
    return np.where(g > 0.3, 1e4, 1.0) if kind == "jump" else np.where(g > 0, 12.0, 3.0)


def obstacles(n: int) -> np.ndarray:
    """Solid cells of the unit cube."""
    x, y, z = np.meshgrid(*[(np.arange(n) + 0.5) / n] * 3, indexing="ij")
    sphere = (x - 0.5) ** 2 + (y - 0.5) ** 2 + (z - 0.35) ** 2 < 0.18**2
    pillar = (abs(x - 0.25) < 0.08) & (abs(y - 0.7) < 0.08) & (z < 0.6)
    beam = (abs(x - 0.78) < 0.1) & (abs(y - 0.3) < 0.05) & (abs(z - 0.7) < 0.1)
    return sphere | pillar | beam


def ours(A: DiffusionMap, b: torch.Tensor, keep: np.ndarray, method: Any) -> Result:
    """Conjugate gradients with a preconditioner; the map made anew, as for a peer."""
    started = clock()
    A = DiffusionMap(A.conductances)
    M = method.setup(A)
    setup = clock() - started
    solution = CG(rtol=RTOL).solve(A, b, M=M).check()
    x = solution.x.numpy().reshape(*b.shape[: b.ndim - len(A.shape)], -1)[..., keep]
    return x, int(solution.iterations.max()), setup


def jacobi(matrix: Any, f: np.ndarray) -> Result:
    """scipy's conjugate gradients with the diagonal."""
    d = 1 / matrix.diagonal()
    return krylov(matrix, f, lambda r: d * r, 0.0)


def pyamg(matrix: Any, f: np.ndarray, method: str) -> Result:
    """pyamg's defaults as a preconditioner."""
    import pyamg as peer
    from scipy.sparse import csr_matrix

    started = clock()
    levels = getattr(peer, f"{method}_solver")(csr_matrix(matrix))
    M = levels.aspreconditioner()
    setup = clock() - started
    found = [krylov(matrix, one, M.matvec, setup) for one in np.atleast_2d(f)]
    x = np.stack([one for one, _, _ in found]).reshape(f.shape)
    return x, max(count for _, count, _ in found), setup


def amgcl(matrix: Any, f: np.ndarray) -> Result:
    """AMGCL's smoothed aggregation with sparse approximate inverses, compiled as a whole."""
    import pyamgcl as peer

    started = clock()
    coarse = {"coarsening.type": "smoothed_aggregation", "relax.type": "spai0"}
    levels = peer.amg(matrix.tocsr(), prm=coarse)
    solve = peer.solver(levels, prm={"type": "cg", "tol": RTOL, "maxiter": 5000})
    setup = clock() - started
    found, most = [], 0
    for right_hand_side in np.atleast_2d(f):
        found.append(np.array(solve(right_hand_side)))
        most = max(most, int(solve.iters))
    return np.stack(found).reshape(f.shape), most, setup


def lower(matrix: Any) -> Any:
    """The lower triangle in the form of cvxopt."""
    import cvxopt

    entries = matrix.tocoo()
    low = entries.row >= entries.col
    parts = (entries.data[low], entries.row[low], entries.col[low])
    return cvxopt.spmatrix(*(part.tolist() for part in parts))


def cholmod(S: Any, f: np.ndarray) -> Result:
    """Supernodal Cholesky of a matrix of `lower`."""
    import cvxopt
    import cvxopt.cholmod

    started = clock()
    F = cvxopt.cholmod.symbolic(S)
    cvxopt.cholmod.numeric(S, F)
    setup = clock() - started
    x = cvxopt.matrix(f.T)
    cvxopt.cholmod.solve(F, x)
    return np.array(x).T.reshape(f.shape), 0, setup


def sine(matrix: Any, f: np.ndarray, shape: tuple[int, ...], scaled: bool) -> Result:
    """Conjugate gradients with the Laplacian of constant coefficient 1, by sine transforms."""
    started = clock()
    k = [2 - 2 * np.cos(np.pi * np.arange(1, n + 1) / n) for n in shape]
    eigenvalues = k[0][:, None] + k[1]
    scale = np.sqrt(matrix.diagonal() / 4) if scaled else 1.0
    setup = clock() - started

    def apply(r: np.ndarray) -> np.ndarray:
        v = dstn((r / scale).reshape(shape), type=2, norm="ortho") / eigenvalues
        return idstn(v, type=2, norm="ortho").ravel() / scale

    return krylov(matrix, f, apply, setup)


def krylov(matrix: Any, f: np.ndarray, apply: Callable[..., Any], setup: float) -> Result:
    """scipy's conjugate gradients."""
    count = 0

    def one(_: np.ndarray) -> None:
        nonlocal count
        count += 1

    M = spla.LinearOperator(matrix.shape, matvec=apply, dtype=np.float64)
    x, _ = spla.cg(matrix, f, rtol=RTOL, atol=0.0, maxiter=30000, M=M, callback=one)
    return x, count, setup


if __name__ == "__main__":
    main()
