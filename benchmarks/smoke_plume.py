"""A smoke plume with a moving disc, its pressure found by several solvers in turn.

    python benchmarks/smoke_plume.py [--size 128] [--learned FOLDER ..] [--json PATH]
                                     [--pictures FOLDER] [--quick] [--threads 1]

The problem is `sciops.problems.smoke_plume` on N x 2 N cells.  In each step the pressure is the
solution of a pure Neumann problem on the cells around the disc; the disc moves, so the matrix is
another one in each step, and what a preconditioner needs to know of it (`setup`) is computed anew
and counted, with the search for the parts of the fluid that all solvers need.  The relative
residual that is asked for, 1e-6, is the true one, recomputed in float64 from the matrix.

Every solver runs a simulation of its own; they take turns step by step in one process.  On one
thread the clock is the CPU time of the process.  `difference` compares the density at the end with
that of the direct solver: the root mean square of the difference over that of the density.  The
flow behind the disc is unstable, so it grows with the time.

`--learned` names folders of preconditioners trained by `sciops train`.  A preconditioner that is
not symmetric positive definite goes into the flexible method (`fcg`).  amg takes part where pyamg
is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sciops.core.diffusion import DiffusionMap
from sciops.core.linear import LinearMap
from sciops.core.solver import Solution, Solver
from sciops.core.system import Preconditioner
from sciops.plots import palette, save
from sciops.plots.style import INK, drawing
from sciops.problems._plume_flow import PlumeFlow, State
from sciops.problems.smoke_plume import SmokePlume
from sciops.solvers import load
from sciops.solvers.amg import AMG
from sciops.solvers.cg import CG
from sciops.solvers.direct import Direct
from sciops.solvers.fcg import FCG
from sciops.solvers.jacobi import Jacobi
from sciops.solvers.multigrid import Multigrid

RTOL = 1e-6
END = 3.6  # time of the last step
FRAMES = (0.8, 1.6, 2.2, 2.6, 3.1, 3.6)  # times that are drawn
REFERENCE = "direct"


@dataclass
class Pressure:
    """A solver with its preconditioner, and what it needed in each step."""

    solver: Solver
    preconditioner: Preconditioner | None = None
    setup: list[float] = field(default_factory=list)  # seconds
    solve: list[float] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)
    residual: list[float] = field(default_factory=list)

    def __call__(self, A: LinearMap, b: torch.Tensor) -> Solution:
        """A q = b, timed."""
        started = clock()
        _ = A.kernel
        M = None if self.preconditioner is None else self.preconditioner.setup(A)
        ready = clock()
        solution = self.solver.solve(A, b, M=M)
        self.setup.append(ready - started)
        self.solve.append(clock() - ready)
        self.iterations.append(int(solution.iterations))
        self.residual.append(float(solution.residual))
        return solution


@dataclass
class Run:
    """A simulation with one solver."""

    flow: PlumeFlow
    state: State
    pressure: Pressure
    seconds: list[float] = field(default_factory=list)  # of each step, pressure included
    divergence: float = 0.0  # the largest of all steps, in any cell

    def step(self, dt: float) -> None:
        """One step, timed."""
        started = clock()
        self.state, _ = self.flow.step(self.state, dt)
        self.seconds.append(clock() - started)
        off = self.flow.grid.divergence(self.state.u, self.state.v).abs().max()
        self.divergence = max(self.divergence, float(off))


@dataclass
class Row:
    """What is told of a solver; times in milliseconds a step."""

    solver: str
    iterations_mean: float
    iterations_max: int
    setup_ms: float
    solve_ms: float
    step_ms: float
    share: float  # of the pressure in the time of a step
    residual: float  # the largest
    divergence: float
    difference: float


def main() -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=128, help="cells N across; 2 N upwards")
    parser.add_argument("--steps", type=int, default=90)
    parser.add_argument("--learned", type=Path, nargs="*", default=[], help="trained folders")
    parser.add_argument("--json", type=Path, help="numbers; the curves beside it as .png")
    parser.add_argument("--pictures", type=Path, help="folder for frames and curves")
    parser.add_argument(
        "--quick", action="store_true", help="less than a minute: 64 cells, 45 steps"
    )
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    size, steps = (64, 45) if given.quick else (given.size, given.steps)
    load = [os.getloadavg()[0]]
    runs, frames = simulated(size, steps, given.learned)
    load.append(os.getloadavg()[0])
    rows = [row(name, run, runs[REFERENCE]) for name, run in runs.items()]
    show(rows, f"{size} x {2 * size} cells, {steps} steps, relative residual {RTOL:g}")
    if given.json:
        facts = {"cells": [size, 2 * size], "steps": steps, "dt": END / steps, "rtol": RTOL}
        facts |= {"threads": given.threads, "machine": machine(), "load_before_and_after": load}
        write(given.json, facts, rows, runs)
        picture(curves(runs), given.json.with_suffix(".png"))
    if given.pictures:
        picture(shown(frames), given.pictures / "smoke_plume.png")
        picture(curves(runs), given.pictures / "smoke_plume_solvers.png")


def pressures(learned: list[Path]) -> dict[str, Pressure]:
    """All solvers by the names of the table."""
    cg = CG(rtol=RTOL)
    found = {
        REFERENCE: Pressure(Direct()),
        "cg": Pressure(cg),
        "cg, jacobi": Pressure(cg, Jacobi()),
        "cg, amg": Pressure(cg, AMG()),
        "cg, multigrid": Pressure(cg, Multigrid()),
    }
    if not importlib.util.find_spec("pyamg"):
        del found["cg, amg"]
    A = DiffusionMap.from_coefficient(torch.ones(16, 32).double(), (1.0, 1.0), "cell")
    for folder in learned:
        network: Any = load(folder)
        M = network.setup(A)
        solver = cg if M.symmetric and M.positive else FCG(rtol=RTOL)
        found[f"{solver.kind}, {folder.resolve().name}"] = Pressure(solver, network)
    return found


def started(problem: SmokePlume, learned: list[Path]) -> dict[str, Run]:
    """A run at rest for each solver."""
    runs = {}
    for name, pressure in pressures(learned).items():
        flow = problem.flow(pressure=pressure)
        runs[name] = Run(flow, flow.rest(), pressure)
    return runs


@torch.no_grad()
def simulated(
    size: int, steps: int, learned: list[Path]
) -> tuple[dict[str, Run], list[tuple[PlumeFlow, State]]]:
    """All runs, and the frames of the reference."""
    problem, dt = SmokePlume(resolution=size), END / steps
    for run in started(problem, learned).values():
        run.step(dt)  # what is done once in a process is not counted
    runs, frames = started(problem, learned), []
    wanted = [round(t / dt) for t in FRAMES]
    for k in track(range(1, steps + 1), "steps", console=console):
        for run in runs.values():
            run.step(dt)
        if k in wanted:
            frames.append((runs[REFERENCE].flow, runs[REFERENCE].state))
    return runs, frames


def row(name: str, run: Run, reference: Run) -> Row:
    """The numbers of a run; medians of times, which other work on the machine disturbs least."""
    p = run.pressure
    setup, solve, step = (1e3 * float(np.median(t)) for t in (p.setup, p.solve, run.seconds))
    smoke = reference.state.density
    off = (run.state.density - smoke).norm() / smoke.norm()
    return Row(
        name, float(np.mean(p.iterations)), max(p.iterations), setup, solve, step,
        (sum(p.setup) + sum(p.solve)) / sum(run.seconds), max(p.residual), run.divergence,
        float(off),
    )  # fmt: skip


def show(rows: list[Row], title: str) -> None:
    """The table."""
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for name in (
        "pressure by", "iterations", "most", "setup ms", "solve ms", "step ms", "share",
        "residual", "divergence", "difference",
    ):  # fmt: skip
        side: Any = "left" if name == "pressure by" else "right"
        table.add_column(name, justify=side, no_wrap=True)
    for r in rows:
        table.add_row(
            r.solver, f"{r.iterations_mean:.1f}", f"{r.iterations_max}", f"{r.setup_ms:.1f}",
            f"{r.solve_ms:.1f}", f"{r.step_ms:.1f}", f"{100 * r.share:.0f} %",
            f"{r.residual:.1e}", f"{r.divergence:.1e}", f"{r.difference:.1e}",
        )  # fmt: skip
    console.print(table)


def write(path: Path, facts: dict[str, Any], rows: list[Row], runs: dict[str, Run]) -> None:
    """Numbers of the table and of each step, one entry a line."""
    each = {
        name: {
            "iterations": run.pressure.iterations,
            "pressure_ms": [round(1e3 * t, 1) for t in pressure_seconds(run)],
        }
        for name, run in runs.items()
    }
    lines = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in facts.items()]
    table = ",\n".join(f"  {json.dumps(rounded(asdict(r)))}" for r in rows)
    steps = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in each.items())
    lines += [f' "rows": [\n{table}\n ]', f' "each_step": {{\n{steps}\n }}']
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def rounded(numbers: dict[str, Any]) -> dict[str, Any]:
    """Four digits of each."""
    return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in numbers.items()}


def pressure_seconds(run: Run) -> list[float]:
    """Setup and solution, step by step."""
    return [a + b for a, b in zip(run.pressure.setup, run.pressure.solve, strict=True)]


def shown(frames: list[tuple[PlumeFlow, State]]) -> Any:
    """Density, velocity and the disc at some times, side by side."""
    from matplotlib.patches import Circle

    with drawing() as new_figure:
        figure = new_figure(figsize=(10.0, 3.62))
        width = 1 / len(frames)
        for k, (flow, state) in enumerate(frames):
            lx, ly = flow.grid.lengths
            ax = figure.add_axes((k * width + 0.004, 0.015, width - 0.008, 0.91))
            solid = flow.solid(state.time)
            density = torch.where(solid, 0.0, state.density)
            ax.imshow(density.T, origin="lower", extent=(0, lx, 0, ly), cmap="magma", vmin=0,
                      vmax=1, interpolation="bilinear", aspect="auto")  # fmt: skip
            arrows(ax, flow, state)
            assert flow.disc is not None
            c, radius = flow.disc.position(state.time), flow.disc.radius
            ax.add_patch(Circle(c, radius, facecolor="#b9c3cf", edgecolor="#eef2f6", linewidth=0.8))
            u, v = flow.disc.velocity(state.time)
            if np.hypot(u, v) > 0.05:
                ax.annotate("", (c[0] + 0.25 * u, c[1] + 0.25 * v), c,
                            arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.2,
                                        "shrinkA": 0, "shrinkB": 0})  # fmt: skip
            ax.set(xlim=(0, lx), ylim=(0, ly), xticks=[], yticks=[])
            for spine in ax.spines.values():
                spine.set_visible(False)
            ax.set_title(f"t = {state.time:.1f}", fontsize=10, pad=4)
        return figure


def arrows(ax: Any, flow: PlumeFlow, state: State) -> None:
    """The velocity on a few points."""
    w = flow.grid.at_cells(state.u, state.v)
    x, y = flow.grid.points("cell")
    every = max(flow.grid.shape[0] // 11, 1)
    part = slice(every // 2, None, every)
    keep = ~flow.solid(state.time)[part, part]
    u, v = (w[part, part, i][keep] for i in range(2))
    ax.quiver(x[part, part][keep], y[part, part][keep], u, v, color="white", alpha=0.6,
              angles="xy", scale_units="xy", scale=9.0, width=0.006, headwidth=3.2,
              minlength=1.0)  # fmt: skip


def curves(runs: dict[str, Run]) -> Any:
    """Iterations and time of the pressure against the step."""
    names = list(runs)
    looks = palette(names, baselines=[REFERENCE])
    with drawing() as new_figure:
        figure = new_figure(figsize=(10.0, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for name, run in runs.items():
            k = 1 + np.arange(len(run.seconds))
            style = {"color": looks[name].colour, "linestyle": looks[name].dash, "label": name}
            if max(run.pressure.iterations):
                left.plot(k, run.pressure.iterations, **style)
            right.plot(k, [1e3 * t for t in pressure_seconds(run)], **style)
        for ax, label in ((left, "iterations"), (right, "setup + solve, ms")):
            ax.set_yscale("log")
            ticks = [m * 10**n for n in range(5) for m in (1, 2, 5)]
            low, high = ax.get_ylim()
            ax.set_yticks([t for t in ticks if low < t < high], minor=False)
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter("")
            ax.set(xlabel="step", ylabel=label)
            ax.grid(visible=True)
        handles, labels = right.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper")
        return figure


def picture(figure: Any, path: Path) -> None:
    """The figure as a PNG of 256 colours, a third of the size of one of all colours."""
    from PIL import Image

    save(figure, path, dpi=130)
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def machine() -> str:
    """What the times were taken on."""
    model = ""
    if (info := Path("/proc/cpuinfo")).exists():
        lines = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else ""
    cpu = model or platform.processor() or platform.machine()
    return f"{cpu}, Python {platform.python_version()}, torch {torch.__version__}"


def clock() -> float:
    """CPU time on one thread, wall time otherwise."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)

if __name__ == "__main__":
    main()
