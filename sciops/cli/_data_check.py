"""``sciops data validate | stats | diff | verify | describe | split``: look, compare, divide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from sciops.data.layout import Layout
    from sciops.data.split import Split

PATH = typer.Argument(help="file or folder")
FORMAT = typer.Option(None, help="name of the format; recognised by structure if left out")
JSON = typer.Option(False, "--json", help="for machines")
COLOURS = {"error": "red", "warning": "yellow", "info": "dim"}
RULES = "random | parameter | range | pdebench-first | pdebench-last | cfdbench-auto | \
cfdbench-static | format"


def validate(
    path: str = PATH,
    format: str = FORMAT,
    statistics: bool = typer.Option(False, "--statistics", help="recompute stats.json as well"),
    incompressible: bool = typer.Option(
        None, help="whether the velocity should have no divergence; else what the file says"
    ),
    as_json: bool = JSON,
    here: bool = typer.Option(False, hidden=True),
) -> None:
    """Look for everything that is wrong with a data set; exit code 1 if there is an error."""
    if not here:
        from sciops.cli.data import _guarded

        flag = {None: [], True: ["--incompressible"], False: ["--no-incompressible"]}
        _guarded(
            [
                "data",
                "validate",
                path,
                "--here",
                *(["--json"] if as_json else []),
                *(["--statistics"] if statistics else []),
                *flag[incompressible],
                *(["--format", format] if format else []),
            ]
        )
        return
    import json

    from sciops.cli._console import bar, console
    from sciops.data.validate import validate as run

    with bar("reading", quiet=as_json) as progress:
        report = run(path, format, statistics, incompressible, progress)
    if as_json:
        print(json.dumps(report.to_json(), indent=1))
    else:
        if report.findings:
            rows = [(f.severity, f.code, f.where, f.message) for f in report.findings]
            styles = [COLOURS[f.severity] for f in report.findings]
            console.print(_table(("", "code", "where", "what"), rows, styles))
        counts = [f"{report.count(s)} {s}(s)" for s in ("error", "warning")]
        console.print(f"{path} (format {report.format}): {', '.join(counts)}")
    if not report.ok:
        raise typer.Exit(1)


def stats(
    path: str = PATH,
    format: str = FORMAT,
    write: bool = typer.Option(False, "--write", help="write stats.json beside the data"),
    against: str = typer.Option(None, help="data set or stats.json to compare with"),
    stride: int = typer.Option(1, min=1, help="frames between the two whose change is taken"),
    as_json: bool = JSON,
) -> None:
    """Mean, std, range and change of every variable, for each part of the split."""
    import json
    from pathlib import Path

    from sciops.cli._console import bar, console
    from sciops.data.files import sidecar
    from sciops.data.normalise import write_statistics
    from sciops.data.source import open_source
    from sciops.data.stats import by_part, compare, statistics

    source = open_source(path, format)
    split = _own_split(path, source.layout)
    with bar("reading", quiet=as_json) as progress:
        if split is None:
            parts = {"all samples": statistics(source, stride=stride, progress=progress)}
        else:
            parts = by_part(source, split, stride, progress)
    main = "train" if "train" in parts else next(iter(parts))
    shifts = None
    if against is not None:
        shifts = compare(_statistics_of(against, format, main, stride), parts[main])
    if write:
        target = sidecar(Path(path), "stats")
        others = {k: v for k, v in parts.items() if k != main}
        fitted_on = "all samples" if split is None else split.hash
        write_statistics(target, parts[main], fitted_on, others)
    if as_json:
        tree: dict[str, Any] = {
            "parts": {p: {k: s.to_json() for k, s in found.items()} for p, found in parts.items()}
        }
        if shifts is not None:
            tree["shifts"] = [vars(s) for s in shifts]
        print(json.dumps(tree, indent=1))
        return
    rows = [
        (p, k, str(j), *(f"{getattr(s, n)[j]:.5g}" for n in ("mean", "std", "rms", "min", "max")))
        for p, found in parts.items()
        for k, s in found.items()
        for j in range(len(s.mean))
    ]
    console.print(_table(("part", "variable", "", "mean", "std", "rms", "min", "max"), rows))
    if shifts is not None:
        console.print(f"{main} against {against}, in standard deviations of the latter:")
        named = ("shift", "ratio", "below", "above")
        rows = [
            (s.name, str(s.component), *(f"{getattr(s, n):.4g}" for n in named)) for s in shifts
        ]
        console.print(_table(("variable", "", "mean", "std ratio", "below", "above"), rows))
    if write:
        console.print(f"{target}: statistics of {main}")


def diff(
    first: str = PATH,
    second: str = PATH,
    atol: float = typer.Option(0.0, min=0.0, help="absolute tolerance"),
    rtol: float = typer.Option(0.0, min=0.0, help="relative tolerance"),
    format: str = typer.Option(None, help="format of the first; recognised if left out"),
    second_format: str = typer.Option(None, help="format of the second; recognised if left out"),
    as_json: bool = JSON,
) -> None:
    """Compare two data sets of any formats; exit code 1 if they differ."""
    import json

    from sciops.cli._console import bar, console
    from sciops.data.diff import diff as run
    from sciops.data.source import open_source

    a, b = open_source(first, format), open_source(second, second_format)
    splits = (_own_split(first, a.layout), _own_split(second, b.layout))
    with bar("reading", quiet=as_json) as progress:
        found = run(a, b, atol, rtol, splits, progress)
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        for note in found.notes:
            console.print(f"note: {note}")
        if found.differences:
            rows = [(d.kind, d.where, d.message) for d in found.differences]
            console.print(_table(("", "where", "difference"), rows))
        else:
            console.print("no difference")
    if not found.same:
        raise typer.Exit(1)


def verify(path: str = PATH, format: str = FORMAT, as_json: bool = JSON) -> None:
    """Compare a file or folder with the checksums of its manifest.json; exit code 1 if changed."""
    import json

    from sciops.cli._console import bar, console
    from sciops.data.verify import verify as run

    with bar("reading", quiet=as_json) as progress:
        found = run(path, format, progress)
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        rows = [("ok" if c.ok else "changed", c.what, c.message) for c in found.checked]
        styles = [None if c.ok else "red" for c in found.checked]
        console.print(_table(("", "what", ""), rows, styles))
    if not found.ok:
        raise typer.Exit(1)


def describe(
    path: str = PATH,
    format: str = FORMAT,
    output: str | None = typer.Option(
        None, "-o", "--output", help="Markdown file to write; else print"
    ),
    overwrite: bool = typer.Option(False, help="replace an existing file"),
) -> None:
    """Write a data sheet in Markdown: variables, units, parameters, split, licence, citation."""
    from pathlib import Path

    from sciops.data.describe import sheet
    from sciops.data.files import require_new, write_text
    from sciops.data.open import open_layout

    text = sheet(open_layout(path, format), path)
    if output is None:
        print(text, end="")
        return
    require_new(Path(output), overwrite)
    write_text(Path(output), text)


def split(
    path: str = PATH,
    rule: str = typer.Option("random", help=RULES),
    shares: str = typer.Option(
        "train=0.8,valid=0.1,test=0.1",
        help="of the parts; of a range: \
those of the other parts",
    ),
    seed: int = typer.Option(0, help="of the shuffle"),
    parameter: list[str] = typer.Option(None, help="whose values are kept together, or ranged"),
    low: float = typer.Option(None, help="lower end of the range that becomes the test"),
    high: float = typer.Option(None, help="upper end of the range that becomes the test"),
    valid: float = typer.Option(0.0, min=0.0, max=0.9, help="pdebench-*: share taken from train"),
    format: str = FORMAT,
    overwrite: bool = typer.Option(False, help="replace an existing splits.json"),
) -> None:
    """Divide the trajectories into parts and write splits.json beside the data."""
    from pathlib import Path

    from sciops.cli._console import console
    from sciops.data.files import require_new, sidecar
    from sciops.data.open import open_layout

    layout = open_layout(path, format)
    target = sidecar(Path(path), "splits")
    require_new(target, overwrite)
    made = _split(layout, rule, _shares(shares), seed, parameter or [], low, high, valid)
    made.write(target)
    sizes = ", ".join(f"{k} {len(ids)}" for k, ids in made.parts.items())
    console.print(f"{target}: {sizes} ({made.rule}), hash {made.hash[:12]}")
    if sidecar(Path(path), "stats").is_file():
        console.print("stats.json is of another split now; run: sciops data stats --write")


def _split(
    layout: Layout,
    rule: str,
    shares: dict[str, float],
    seed: int,
    parameters: list[str],
    low: float | None,
    high: float | None,
    valid: float,
) -> Split:
    """The split of that rule."""
    from sciops.core.errors import ConfigError
    from sciops.data import split as rules

    if rule == "random":
        return rules.split_samples(layout.n_samples, shares, seed)
    if rule == "parameter":
        if not parameters:
            raise ConfigError("--rule parameter needs --parameter NAME, once or more")
        return rules.split_by_parameter(layout, parameters, shares, seed)
    if rule == "range":
        if len(parameters) != 1 or (low is None and high is None):
            raise ConfigError("--rule range needs one --parameter NAME, and --low or --high")
        rest = {k: f for k, f in shares.items() if k != "test"}
        total = sum(rest.values())
        rest = {k: f / total for k, f in rest.items()}
        return rules.split_out_of_distribution(layout, parameters[0], low, high, rest, seed)
    if rule == "pdebench-first":
        return rules.split_pdebench(layout.n_samples, "first", valid, seed)
    if rule == "pdebench-last":
        return rules.split_pdebench(layout.n_samples, "last", valid, seed)
    if rule in ("cfdbench-auto", "cfdbench-static"):
        from sciops.data.formats.cfdbench_legacy import legacy_split

        return legacy_split(layout, "auto" if rule == "cfdbench-auto" else "static")
    if rule == "format":
        own = rules.split_of_format(layout)
        if own is None:
            raise ConfigError(f"the format {layout.format} declares no parts")
        return own
    raise ConfigError(f"--rule must be {RULES}, got {rule!r}")


def _shares(text: str) -> dict[str, float]:
    """``train=0.8,test=0.2`` as a dict."""
    from sciops.core.errors import ConfigError

    try:
        pairs = [item.split("=") for item in text.split(",")]
        return {name.strip(): float(share) for name, share in pairs}
    except ValueError:
        raise ConfigError(f"--shares: expected train=0.8,test=0.2, got {text!r}") from None


def _own_split(path: str, layout: Layout) -> Split | None:
    """``splits.json`` beside the data, else the parts that the format declares."""
    from pathlib import Path

    from sciops.data.files import sidecar
    from sciops.data.split import Split, split_of_format

    beside = sidecar(Path(path), "splits")
    return Split.read(beside) if beside.is_file() else split_of_format(layout)


def _statistics_of(path: str, format: str | None, part: str, stride: int) -> dict[str, Any]:
    """Statistics of a ``stats.json``, or of the same part of another data set."""
    from pathlib import Path

    from sciops.data.normalise import read_statistics
    from sciops.data.source import open_source
    from sciops.data.stats import statistics

    if path.endswith(".json"):
        return read_statistics(Path(path))[0]
    source = open_source(path, format)
    own = _own_split(path, source.layout)
    samples = None if own is None else own.parts.get(part)
    return statistics(source, samples, stride=stride)


def _table(head: tuple[str, ...], rows: list[Any], styles: list[Any] | None = None) -> Any:
    """A table that wraps its last column."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for k, title in enumerate(head):
        table.add_column(title, overflow="fold", no_wrap=k == 0)
    for row, style in zip(rows, styles or [None] * len(rows), strict=True):
        table.add_row(*(str(cell) for cell in row), style=style)
    return table
