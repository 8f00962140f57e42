"""``report.html`` of a suite of solvers: a table and the residual curves of every system."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciops import plots
from sciops.bench._page import Cell, definitions, esc, page, picture, table
from sciops.bench.solver_suite import SolverSuite
from sciops.core.config import read_yaml, validate
from sciops.data.files import write_text

if TYPE_CHECKING:
    from rich.console import Console

Row = dict[str, Any]
PICTURE = 760  # CSS pixels
HEADERS = ("solver", "iterations", "setup ms", "solve ms", "total ms", "ratio", "residual")
NOTE = (
    "Medians over the seeds, the range behind them; times in ms, CPU time on one thread. Ratio: "
    "total time over that of the first solver, on the same system."
)


def write_report(folder: str | Path) -> Path:
    """Write ``report.html`` into the folder of a suite of solvers."""
    folder = Path(folder)
    suite, jobs = _read(folder)
    sections = [("results", "Results", "".join(_tables(suite, jobs)))]
    found = list(_pictures(suite, jobs))
    if found:
        sections.append(("convergence", "Convergence", "".join(found)))
    first = jobs[0]
    head = (
        (f"<p>{esc(suite.note)}</p>" if suite.note else "")
        + f'<p class="note">{esc(NOTE)}</p>'
        + definitions(
            [
                ("tolerance", f"{suite.rtol:g}, of ||b - A x|| / ||b|| in float64"),
                ("seeds", esc(", ".join(map(str, suite.seeds)))),
                ("threads", esc(first["threads"])),
                ("versions", esc(", ".join(f"{k} {v}" for k, v in first["versions"].items()))),
            ]
        )
    )
    path = folder / "report.html"
    write_text(path, page(suite.title or suite.name, sections, head))
    return path


def print_summary(folder: str | Path, console: Console) -> None:
    """Print the table of every system."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    suite, jobs = _read(Path(folder))
    for name, rows in _by_system(suite, jobs):
        printed = Table(
            title=Text(_title(name, rows)),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        for header in HEADERS:
            printed.add_column(header, justify="left" if header == "solver" else "right")
        for label in suite.solvers:
            own = [r for r in rows if r["solver"] == label]
            printed.add_row(*(Text(cell.html.partition(" (")[0]) for cell in _cells(label, own)))
        console.print(printed)
        for row in rows:
            if row["status"] != "CONVERGED":
                text = f"{name}, seed {row['seed']}, {row['solver']}: {row['status']}"
                console.print(Text(text, style="yellow"), soft_wrap=True)


def _read(folder: Path) -> tuple[SolverSuite, list[dict[str, Any]]]:
    source = folder / "suite.yaml"
    suite = validate(SolverSuite, read_yaml(source), str(source))
    jobs = [
        json.loads((folder / "jobs" / f"{name}-seed{seed}.json").read_text(encoding="utf-8"))
        for name in suite.systems
        for seed in suite.seeds
    ]
    return suite, jobs


def _by_system(
    suite: SolverSuite, jobs: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, list[Row]]]:
    """Each system with the rows of all its seeds."""
    rows = [row for job in jobs for row in job["rows"]]
    for name in suite.systems:
        yield name, [r for r in rows if r["system"] == name]


def _title(name: str, rows: Sequence[Row]) -> str:
    return f"{name}: {rows[0]['unknowns']:,} unknowns"


def _tables(suite: SolverSuite, jobs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for name, rows in _by_system(suite, jobs):
        lines = [
            _cells(label, [r for r in rows if r["solver"] == label]) for label in suite.solvers
        ]
        yield table(_title(name, rows), [(h, h == "solver") for h in HEADERS], lines)


def _cells(label: str, rows: Sequence[Row]) -> list[Cell]:
    """One line of a table, over the seeds."""
    failed = [r["status"] for r in rows if r["status"] != "CONVERGED"]
    known = [r for r in rows if "iterations" in r]
    cells = [Cell(esc(f"{label} ({failed[0]})" if failed else label), None, "text")]
    for key, form in (
        ("iterations", "{:.0f}"),
        ("setup_ms", "{:.1f}"),
        ("solve_ms", "{:.1f}"),
        ("total_ms", "{:.1f}"),
        ("ratio", "{:.2f}"),
    ):
        values = [r[key] for r in known if r[key] is not None]
        cells.append(_range(values, form))
    worst = max((r["residual"] for r in known), default=math.nan)
    cells.append(Cell(f"{worst:.1e}" if known else "-", worst))
    return cells


def _range(values: Sequence[float], form: str) -> Cell:
    """Median, and least and most where they differ."""
    if not values:
        return Cell("-", math.nan)
    middle, low, high = (form.format(f(values)) for f in (statistics.median, min, max))
    text = middle if low == high else f"{middle} ({low} - {high})"
    return Cell(text, statistics.median(values))


def _pictures(suite: SolverSuite, jobs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Residual curves of the first seed of every system."""
    looks = plots.palette(list(suite.solvers))
    for k, name in enumerate(suite.systems):
        job = jobs[k * len(suite.seeds)]
        curves = {label: curve for label, curve in job["curves"].items() if curve}
        if curves:
            figure = plots.convergence(curves, suite.rtol, looks, name)
            uri = plots.to_png_data_uri(figure)
            yield picture(uri, f"{name}, seed {suite.seeds[0]}", PICTURE)
