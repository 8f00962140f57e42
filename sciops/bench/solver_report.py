"""``report.html`` of a suite of solvers: a table and the residual curves of every system."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sciops import plots
from sciops.bench._page import Cell, definitions, esc, page, picture, table
from sciops.bench.solver_suite import SolverSuite, done, with_ratios
from sciops.core.config import read_yaml, validate
from sciops.core.errors import DataError
from sciops.data.files import write_text

if TYPE_CHECKING:
    from rich.console import Console

Row = dict[str, Any]
PICTURE = 760  # CSS pixels
HEADERS = ("solver", "iterations", "setup ms", "solve ms", "total ms", "ratio", "residual")
NOTE = (
    "Medians over the seeds that were solved, the range behind them; times in ms, {clock}. Ratio: "
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
    settings = f"<pre>{esc((folder / 'suite.yaml').read_text(encoding='utf-8'))}</pre>"
    sections.append(("settings", "Settings", settings))
    threads = sorted({job["threads"] for job in jobs})
    clock = " or ".join(
        "CPU time on one thread" if n == 1 else f"wall time on {n} threads" for n in threads
    )
    versions = dict.fromkeys(f"{k} {v}" for job in jobs for k, v in job["versions"].items())
    wanted = len(suite.systems) * len(suite.seeds)
    missing = f"{wanted - len(jobs)} of {wanted} jobs have not run with these settings."
    head = (
        (f"<p>{esc(suite.note)}</p>" if suite.note else "")
        + f'<p class="note">{esc(NOTE.format(clock=clock))}</p>'
        + (f'<p class="note">{esc(missing)}</p>' if len(jobs) < wanted else "")
        + definitions(
            [
                ("tolerance", f"{suite.rtol:g}, of ||b - A x|| / ||b|| in float64"),
                ("seeds", esc(", ".join(map(str, suite.seeds)))),
                ("threads", esc(", ".join(map(str, threads)))),
                ("versions", esc(", ".join(versions))),
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
            printed.add_row(*(Text(entry.text) for entry in _line(label, rows)))
        console.print(printed)
        for row in rows:
            if row["status"] != "CONVERGED":
                text = f"{name}, seed {row['seed']}, {row['solver']}: {row['status']}"
                console.print(Text(text, style="yellow"), soft_wrap=True)


def _read(folder: Path) -> tuple[SolverSuite, list[dict[str, Any]]]:
    source = folder / "suite.yaml"
    suite = validate(SolverSuite, read_yaml(source), str(source))
    jobs = []
    for name, system in suite.systems.items():
        for seed in suite.seeds:
            found = done(folder / "jobs" / f"{name}-seed{seed}.json", suite, system, seed)
            if found is not None:
                jobs.append(found)
    if not jobs:
        raise DataError(folder, "no job has run with the settings of suite.yaml; run the suite")
    return suite, jobs


def _by_system(
    suite: SolverSuite, jobs: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, list[Row]]]:
    """Each system with the rows of all its seeds, where there are any."""
    first = next(iter(suite.solvers))
    rows = [row for job in jobs for row in with_ratios(job["rows"], first)]
    for name in suite.systems:
        own = [r for r in rows if r["system"] == name]
        if own:
            yield name, own


def _title(name: str, rows: Sequence[Row]) -> str:
    return f"{name}: {rows[0]['unknowns']:,} unknowns"


def _tables(suite: SolverSuite, jobs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for name, rows in _by_system(suite, jobs):
        lines = [_line(label, rows) for label in suite.solvers]
        head = [(h, h == "solver") for h in HEADERS]
        yield table(_title(name, rows), head, [[c.cell() for c in line] for line in lines])
        reasons = {f"{r['solver']}: {r['status']}" for r in rows if r["status"] != "CONVERGED"}
        yield "".join(f'<p class="note">{esc(reason)}</p>' for reason in sorted(reasons))


class _Entry(NamedTuple):
    """One entry of a table: text, the range behind it, and the number to sort by."""

    text: str
    behind: str = ""
    value: float | None = None

    def cell(self) -> Cell:
        """On the page."""
        return Cell(esc(self.text + self.behind), self.value, "" if self.value else "text")


def _line(label: str, rows: Sequence[Row]) -> list[_Entry]:
    """One solver on one system, over the seeds."""
    own = [r for r in rows if r["solver"] == label]
    failed = [r["status"] for r in own if r["status"] != "CONVERGED"]
    solved = [r for r in own if r["status"] == "CONVERGED"]
    mark = f" (not solved: {len(failed)} of {len(own)})" if failed else ""
    entries = [_Entry(label + mark)]
    for key, form in (
        ("iterations", "{:.0f}"),
        ("setup_ms", "{:.1f}"),
        ("solve_ms", "{:.1f}"),
        ("total_ms", "{:.1f}"),
        ("ratio", "{:.2f}"),
    ):
        entries.append(_range([r[key] for r in solved if r[key] is not None], form))
    worst = max((r["residual"] for r in own if "residual" in r), default=None)
    return [*entries, _Entry("-" if worst is None else f"{worst:.1e}", "", worst or math.nan)]


def _range(values: Sequence[float], form: str) -> _Entry:
    """Median, and least and most where they differ."""
    if not values:
        return _Entry("-", "", math.nan)
    middle, low, high = (form.format(f(values)) for f in (statistics.median, min, max))
    behind = f" ({low} - {high})" if low != high else ""
    return _Entry(middle, behind, statistics.median(values))


def _pictures(suite: SolverSuite, jobs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Residual curves of the first seed of every system."""
    looks = plots.palette(list(suite.solvers))
    shown: set[str] = set()
    for job in jobs:
        name, seed = job["rows"][0]["system"], job["rows"][0]["seed"]
        curves = {label: curve for label, curve in job["curves"].items() if curve}
        if curves and name not in shown:
            shown.add(name)
            figure = plots.convergence(curves, suite.rtol, looks, name)
            yield picture(plots.to_png_data_uri(figure), f"{name}, seed {seed}", PICTURE)
