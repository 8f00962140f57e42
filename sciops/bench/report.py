"""``report.html``: what a suite found, on one page that needs nothing but itself.

    write_report(folder)             -> folder/report.html
    summary_table(folder)            -> rows of the main table
    print_summary(folder, console)   the same table on the console

The page takes every number from results.csv and errors.nc and every picture from what the runs
left in their folders (`sciops.bench._suite_folder`).  What is missing is said on the page.
Smaller is better for all metrics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sciops import plots
from sciops.bench import _pictures as pictures
from sciops.bench._page import Cell, definitions, details, esc, page, picture, table
from sciops.bench._pictures import Looks, Picture
from sciops.bench._suite_folder import SuiteFolder, first_line, read, short
from sciops.bench._summary import (
    Row,
    column_format,
    groups_of,
    print_summary,
    quantity,
    rows_of,
    summary_table,
)
from sciops.core.errors import MissingPackage
from sciops.data.files import write_text

__all__ = ["Row", "print_summary", "summary_table", "write_report"]

COSTS = {
    "params": "parameters",
    "ms_per_sample": "ms / sample",
    "train_seconds": "training s",
    "peak_mb": "peak MB",
}
GROUPS_OPEN = 3  # tables and pictures of further groups are folded away
NOT_KNOWN = '<p class="note">Nothing stored for this part.</p>'


def write_report(folder: str | Path) -> Path:
    """Write ``report.html`` into a suite folder, in one piece.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    DataError
        If there is no such folder.
    MissingPackage
        If matplotlib is not installed.
    """
    suite = read(folder)
    rows = rows_of(suite)
    looks = plots.palette(suite.operators, suite.baselines)
    sections = [
        ("results", "Results", _results(suite, rows, looks)),
        ("samples", "Error of each sample", _per_group(suite, rows, looks, pictures.distribution)),
        ("rollouts", "Error against lead time", _per_group(suite, rows, looks, pictures.rollouts)),
        ("fields", "Fields", _per_split(suite, rows, looks, pictures.fields, FIELDS)),
        (
            "spectra",
            "Error by wavenumber",
            _per_split(suite, rows, looks, pictures.spectra, SPECTRA),
        ),
        ("training", "Training", _training(suite, rows, looks)),
        ("reproduce", "How to reproduce", _reproduce(suite)),
    ]
    if not any(r.lead > 1 for r in suite.results):
        sections = [s for s in sections if s[0] != "rollouts"]
    path = Path(folder) / "report.html"
    head = _head(suite, rows)  # last: by now all notes are there
    write_text(path, page(suite.title, sections, head))
    return path


SAMPLES = (
    "Each dot is a sample; the box reaches from quartile to quartile, the line in it is the "
    "median, the whiskers end at 5 and 95 %."
)
ROLLOUTS = "Each prediction is the input of the next. Line: median over the samples; band: 5–95 %."
FIELDS = (
    "Truth and predictions share one colour scale and all errors another one; arrows on a scale "
    "mean that it is exceeded. The percentage is the relative L2 error of the field that is shown. "
    "Of each operator the first seed is drawn."
)
SPECTRA = (
    "Power of the error in shells of wavenumbers. Where a curve meets that of the truth (black), "
    "the prediction knows nothing about that scale. Along axes that are not periodic it is the "
    "spectrum of the even extension. First seed of each operator; last lead time."
)
TRAINING = (
    "Loss on the training data, which each operator may define in its own way, and error on the "
    "validation data, by which the weights were chosen."
)


def _head(suite: SuiteFolder, rows: Sequence[Row]) -> str:
    """What was run: numbers of runs, data, splits, machine, versions."""
    runs = [job.info for job in suite.jobs if job.info]
    seeds = {job.seed for job in suite.jobs}
    numbers = {
        "operator": len(suite.operators),
        "seed": len(seeds),
        "run": len(suite.jobs),
    }
    counts = [f"{n} {what}{'s' * (n != 1)}" for what, n in numbers.items()]
    not_done = [job for job in suite.jobs if job.status != "finished"]
    counts += [f"{len(not_done)} of them not finished"] if not_done else []
    entries = [
        ("data", _distinct(r.data for r in rows)),
        ("test sets", _distinct(f"{r.split} ({r.resolution}, {r.n:g} samples)" for r in rows)),
        ("checksum", _distinct(_flat(_first(run, "checksums", "data_checksum")) for run in runs)),
        ("split", _distinct(_flat(_first(run, "split", "split_hash")) for run in runs)),
        ("device", _distinct(_device(run) for run in runs)),
        ("versions", _distinct(_flat(run.get("versions", "")) for run in runs)),
        ("commit", _distinct(_commit(run.get("git")) for run in runs)),
    ]
    note = f"<p>{esc(suite.note)}</p>" if suite.note else ""
    trouble = "".join(f'<p class="note">{esc(n)}</p>' for n in dict.fromkeys(suite.notes))
    lead = f'<p class="lead">Benchmark report: {esc(", ".join(counts))}.</p>'
    return lead + note + definitions(entries) + _not_finished(suite) + trouble


def _not_finished(suite: SuiteFolder) -> str:
    lines = [
        f"<li><b>{esc(job.operator)}</b>, seed {esc(job.seed)}: "
        f"{esc(job.reason if job.status == 'failed' else job.status)}</li>"
        for job in suite.jobs
        if job.status != "finished"
    ]
    if not lines:
        return ""
    return f'<div class="failed">Runs without a result:<ul>{"".join(lines)}</ul></div>'


def _device(run: Mapping[str, Any]) -> str:
    parts = [_flat(run.get(k, "")) for k in ("device", "device_name", "machine")]
    threads = f"threads: {run['threads']}" if "threads" in run else ""
    return ", ".join(dict.fromkeys(filter(None, [*parts, threads])))


def _commit(git: object) -> str:
    if not isinstance(git, Mapping) or not git.get("commit"):
        return ""
    return _flat(git["commit"]) + (" with local changes" if git.get("changed") else "")


def _first(run: Mapping[str, Any], *keys: str) -> object:
    return next((run[k] for k in keys if run.get(k)), "")


def _flat(value: object) -> str:
    """A value of run.json on one line; long hexadecimal numbers keep their beginning."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_flat(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(_flat, value))
    text = str(value)
    is_hash = len(text) >= 32 and all(c in "0123456789abcdef" for c in text)
    return f"{text[:16]}…" if is_hash else text


def _distinct(values: Iterable[str], most: int = 6) -> str:
    """The different values, escaped, one a line."""
    found = [v for v in dict.fromkeys(values) if v]
    more = [f"and {len(found) - most} more"] if len(found) > most else []
    return "<br>".join(esc(first_line(v, 600)) for v in [*found[:most], *more])


def _results(suite: SuiteFolder, rows: Sequence[Row], looks: Looks) -> str:
    """The main tables, one for each data set, split, resolution and variable."""
    primary = suite.primary_metric()
    if primary is None:
        return NOT_KNOWN
    over_seeds = "averaged over the seeds (± their standard deviation). "
    explained = (
        f'<p class="soft">Error: {esc(short(primary))}, the mean over the test samples, '
        + (over_seeds if any(r.seeds > 1 for r in rows) else "one seed. ")
        + "5–95 %: quantiles over the samples of all seeds. Bold: smallest error. "
        "A click on a column sorts by it.</p>"
    )
    groups = groups_of(rows)
    tables = [_main_table(g, r, primary, looks) for g, r in groups.items()]
    rest = "".join(tables[GROUPS_OPEN:])
    metrics = "".join(_metrics_table(g, r, looks) for g, r in groups.items())
    several = len({r.metric for r in rows}) > 1
    return (
        explained
        + "".join(tables[:GROUPS_OPEN])
        + (details("More tables", rest) if rest else "")
        + (details("All metrics", metrics) if several else "")
    )


def _main_table(group: Sequence[str], rows: Sequence[Row], primary: str, looks: Looks) -> str:
    """Error with its spread, and what it costs."""
    column = [r for r in rows if r.metric == primary]
    text = column_format(r.mean for r in column)
    lines = [
        [
            _name(row, looks),
            _error(row, column, text),
            Cell("" if math.isnan(row.q05) else f"{text(row.q05)} – {text(row.q95)}", row.q95),
            Cell(str(row.seeds), row.seeds),
            *(_number(getattr(row, k)) for k in COSTS),
        ]
        for row in column
    ]
    titles = ["operator", short(primary), "5–95 %", "seeds", *COSTS.values()]
    n = max((r.n for r in rows if math.isfinite(r.n)), default=0)
    caption = f"{pictures.name_of(group)} ({n:g} samples)"
    return table(caption, [(t, t == "operator") for t in titles], lines)


def _metrics_table(group: Sequence[str], rows: Sequence[Row], looks: Looks) -> str:
    """One column a metric."""
    metrics = list(dict.fromkeys(r.metric for r in rows))
    columns = {m: [r for r in rows if r.metric == m] for m in metrics}
    formats = {m: column_format(r.mean for r in columns[m]) for m in metrics}
    lines = []
    for operator, row in {r.operator: r for r in reversed(rows)}.items():
        cells = [_name(row, looks)]
        for m in metrics:
            here = [r for r in columns[m] if r.operator == operator]
            cells.append(_error(here[0], columns[m], formats[m]) if here else Cell("", math.nan))
        lines.append(cells)
    lines.sort(key=lambda cells: (math.isnan(cells[1].value), cells[1].value))
    titles = [("operator", True), *((short(m), False) for m in metrics)]
    return table(pictures.name_of(group), titles, lines)


def _name(row: Row, looks: Looks) -> Cell:
    badge = '<span class="badge">baseline</span>' if row.baseline else ""
    key = f'<span class="key" style="background:{looks[row.operator].colour}"></span>'
    return Cell(key + esc(row.operator) + badge)


def _error(row: Row, column: Sequence[Row], text: Callable[[float], str]) -> Cell:
    """The mean with its deviation over the seeds; bold where it is the smallest."""
    best = min((r.mean for r in column if math.isfinite(r.mean)), default=None)
    kind = "best" if row.mean == best else "" if math.isfinite(row.mean) else "bad"
    pm = "" if math.isnan(row.seed_std) else f' <span class="pm">± {text(row.seed_std)}</span>'
    return Cell(text(row.mean) + pm, row.mean, kind)


def _number(value: float) -> Cell:
    return Cell(quantity(value), value)


Draw = Callable[..., Iterator[Picture | str]]


def _per_group(suite: SuiteFolder, rows: Sequence[Row], looks: Looks, draw: Draw) -> str:
    """Pictures of the ranking metric, for each data set, split, resolution and variable."""
    metric, found = suite.primary_metric(), []
    for group, here in groups_of(rows).items():
        operators = [r.operator for r in here if r.metric == metric]
        found += _drawn(draw, suite, operators, group, metric, looks)
    explained = SAMPLES if draw is pictures.distribution else ROLLOUTS
    return _shown(explained, found)


def _per_split(
    suite: SuiteFolder, rows: Sequence[Row], looks: Looks, draw: Draw, explained: str
) -> str:
    """Pictures of the stored samples, for each data set and split."""
    found: list[str | Picture] = []
    places = dict.fromkeys((r.data, r.split) for r in rows)
    for data, split in places:
        metric = suite.primary_metric()
        ranked = [r.operator for r in rows if (r.data, r.split, r.metric) == (data, split, metric)]
        found += _drawn(draw, suite, list(dict.fromkeys(ranked)), data, split, looks)
    return _shown(explained, found)


def _training(suite: SuiteFolder, rows: Sequence[Row], looks: Looks) -> str:
    found: list[str | Picture] = []
    for data in dict.fromkeys(r.data for r in rows):
        found += _drawn(pictures.losses, suite, data, looks)
    return _shown(TRAINING, found)


def _drawn(draw: Draw, *arguments: Any) -> list[str | Picture]:
    """Pictures, or a note where a file is broken: one bad run must not cost the whole report."""
    found: list[str | Picture] = []
    try:
        found.extend(draw(*arguments))
    except MissingPackage:
        raise
    except Exception as error:  # whatever HDF5, xarray or numpy make of a bad file
        found.append(f"Could not be drawn: {type(error).__name__}: {first_line(str(error))}")
    return found


def _shown(explained: str, found: Sequence[str | Picture]) -> str:
    """Pictures of all operators, then those of single operators, folded away."""
    if not found:
        return NOT_KNOWN
    notes = "".join(f'<p class="note">{esc(f)}</p>' for f in found if isinstance(f, str))
    images = [f for f in found if isinstance(f, Picture)]
    common = [picture(*p[:3]) for p in images if not p.operator]
    single: dict[str, list[str]] = {}
    for p in images:
        if p.operator:
            single.setdefault(p.operator, []).append(picture(*p[:3]))
    out = f'<p class="soft">{esc(explained)}</p>' + notes + "".join(common[: 2 * GROUPS_OPEN])
    if common[2 * GROUPS_OPEN :]:
        out += details("More pictures", "".join(common[2 * GROUPS_OPEN :]))
    pairs = "".join(f'<div class="pair">{"".join(p)}</div>' for p in single.values())
    return out + (details("Each operator's own median and worst sample", pairs) if pairs else "")


def _reproduce(suite: SuiteFolder) -> str:
    """The command, the suite's definition, and every run with its own command."""
    lines = [
        [
            Cell(esc(job.operator)), Cell(esc(job.seed)), Cell(esc(job.status), None, "text"),
            Cell(esc(job.folder.name), None, "text"),
            Cell(f"<code>{esc(_flat(job.info.get('command', '')))}</code>", None, "text wrap"),
        ]
        for job in suite.jobs
    ]  # fmt: skip
    columns = [("operator", True), ("seed", False), ("status", True), ("folder", True),
               ("command", True)]  # fmt: skip
    command = "sciops bench run suite.yaml -o FOLDER"
    return (
        f"<p>With the file below as <code>suite.yaml</code>:</p><pre>{esc(command)}</pre>"
        + (details("suite.yaml", f"<pre>{esc(suite.definition)}</pre>") if suite.definition else "")
        + (details("All runs", table("", columns, lines)) if lines else NOT_KNOWN)
    )
