r"""From results.csv and errors.nc to one row for each operator, data set, split and variable.

mean        mean over the seeds of (mean over the samples): the number that papers report
seed_std    standard deviation over the seeds of the same, 1 / (S - 1)
median      mean over the seeds of (median over the samples)
q05, q95    5 and 95 % quantile over the samples of all seeds (mean over the lead times)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sciops.bench._suite_folder import Result, RunFolder, SuiteFolder, first_line, read, short

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Row:
    """Summary of one operator on one variable of one split, by one metric.

    `mean`, `seed_std`, `median`, `q05` and `q95` are in the unit of the metric; `lead` is 0 for
    all lead times together; what is not known is NaN.
    """

    operator: str
    data: str
    split: str
    resolution: str
    variable: str
    metric: str
    lead: int
    mean: float
    seed_std: float
    median: float
    q05: float
    q95: float
    n: float
    seeds: int
    params: float
    ms_per_sample: float
    train_seconds: float
    peak_mb: float
    baseline: bool

    @property
    def group(self) -> tuple[str, str, str, str]:
        """What is compared with each other: (data, split, resolution, variable)."""
        return (self.data, self.split, self.resolution, self.variable)


def summary_table(folder: str | Path) -> list[Row]:
    """Rows of the main table of a suite folder, best operator of each group first.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    return rows_of(read(folder))


def rows_of(suite: SuiteFolder) -> list[Row]:
    """Summaries over the seeds, by group, then metric (the ranking one first), then error."""
    found: dict[tuple[str, ...], list[Result]] = {}
    for r in suite.results:
        key = (r.operator, r.data, r.split, r.resolution, r.variable, r.metric)
        found.setdefault(key, []).append(r)
    rows = [_row(suite, _one_lead(results)) for results in found.values()]
    groups = list(dict.fromkeys(r.group for r in rows))
    metrics = list(dict.fromkeys(r.metric for r in rows))
    primary = suite.primary_metric()

    def order(row: Row) -> tuple[object, ...]:
        return (
            groups.index(row.group),
            row.metric != primary,
            metrics.index(row.metric),
            math.isnan(row.mean),
            row.mean,
        )

    return sorted(rows, key=order)


def groups_of(rows: Iterable[Row]) -> dict[tuple[str, str, str, str], list[Row]]:
    """The rows of each group, in their order."""
    groups: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return groups


def sample_errors(
    suite: SuiteFolder, operator: str, group: Sequence[str], metric: str
) -> dict[str, np.ndarray]:
    """Seed -> (n, T) errors of the samples.

    Empty where errors.nc cannot tell: it knows splits but not resolutions.
    """
    data, split, resolution, variable = group
    here = [r for r in suite.results if (r.operator, r.data, r.split) == (operator, data, split)]
    if {r.resolution for r in here} != {resolution}:
        return {}
    found = {}
    for seed in dict.fromkeys(r.seed for r in here):
        job = suite.job(operator, seed, data)
        errors = None if job is None else _errors(suite, job, metric, variable, split)
        if errors is not None:
            found[seed] = errors
    return found


def _errors(
    suite: SuiteFolder, job: RunFolder, metric: str, variable: str, split: str
) -> np.ndarray | None:
    try:
        return job.errors(metric, variable, split)
    except (OSError, ValueError, KeyError) as error:
        note = f"{job.folder.name}/errors.nc cannot be read: {first_line(str(error))}"
        if note not in suite.notes:
            suite.notes.append(note)
        return None


def _one_lead(results: list[Result]) -> list[Result]:
    """Rows of all lead times together (0); where there are none, those of the first."""
    lead = min(r.lead for r in results)
    return [r for r in results if r.lead == lead]


def _row(suite: SuiteFolder, results: list[Result]) -> Row:
    r = results[0]
    group = (r.data, r.split, r.resolution, r.variable)
    errors = sample_errors(suite, r.operator, group, r.metric)
    with np.errstate(invalid="ignore", over="ignore"):
        pooled = np.concatenate([e.mean(axis=1) for e in errors.values()] or [[math.nan]])
        q05, q95 = np.quantile(pooled, [0.05, 0.95])
        over_samples = np.array([x.mean for x in results])
        means = {
            k: float(np.mean([getattr(x, k) for x in results]))
            for k in ("median", "n", "params", "ms_per_sample", "train_seconds", "peak_mb")
        }
        return Row(
            r.operator, *group, r.metric, r.lead,
            mean=float(over_samples.mean()),
            seed_std=float(over_samples.std(ddof=1)) if len(results) > 1 else math.nan,
            q05=float(q05), q95=float(q95),
            seeds=len({x.seed for x in results}),
            baseline=suite.is_baseline(r.operator),
            **means,
        )  # fmt: skip


def column_format(values: Iterable[float]) -> Callable[[float], str]:
    """One number format for a column, so that the decimal points stand below each other.

    The smallest number keeps three digits, unless the column spans more than four decades.
    """
    sizes = [abs(v) for v in values if math.isfinite(v) and v != 0]
    if sizes and (max(sizes) / min(sizes) > 1e4 or min(sizes) < 1e-4 or max(sizes) >= 1e7):
        text = "{:.2e}"
    else:
        decimals = 2 - math.floor(math.log10(min(sizes))) if sizes else 2
        text = f"{{:,.{min(max(decimals, 0), 6)}f}}"
    return lambda v: "NaN" if math.isnan(v) else "∞" if math.isinf(v) else text.format(v)


def quantity(value: float) -> str:
    """A cost: whole from 100 on, else three digits; nothing where it is not known."""
    if not math.isfinite(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def print_summary(folder: str | Path, console: Console) -> None:
    """Print the main table of a suite folder, a table for each group, and the failed jobs."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    suite = read(folder)
    primary = suite.primary_metric()
    for group, rows in groups_of(rows_of(suite)).items():
        rows = [r for r in rows if r.metric == primary]
        table = Table(
            title=Text(" · ".join(filter(None, group))),
            title_justify="left",
            caption="* smallest error   (..) baseline   ms: of one sample",
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            collapse_padding=True,
            pad_edge=False,
        )
        table.add_column("operator", overflow="fold")
        for column in (short(primary or ""), "± seeds", "5-95 %", "params", "ms", "train s"):
            table.add_column(Text(column), justify="right", no_wrap=True)
        for cells in _cells(rows):
            table.add_row(*map(Text, cells))
        console.print(table)
    for job in suite.jobs:
        if job.status != "finished":
            why = f": {job.reason}" if job.status == "failed" else ""
            text = f"{job.status}: {job.operator} seed {job.seed}{why}"
            console.print(Text(text, style="red"), soft_wrap=True)
    for note in suite.notes:
        console.print(Text(note, style="yellow"))


def _cells(rows: list[Row]) -> list[list[str]]:
    error = column_format([r.mean for r in rows])
    best = min((r.mean for r in rows if math.isfinite(r.mean)), default=None)
    return [
        [
            f"({r.operator})" if r.baseline else r.operator,
            error(r.mean) + (" *" if r.mean == best else "  "),
            "" if math.isnan(r.seed_std) else error(r.seed_std),
            "" if math.isnan(r.q05) else f"{error(r.q05)}-{error(r.q95)}",
            *map(quantity, (r.params, r.ms_per_sample, r.train_seconds)),
        ]
        for r in rows
    ]
