"""``sciops bench``: run suites, and report on them."""

from __future__ import annotations

import typer

app = typer.Typer(help="Run benchmark suites, and report on them.", no_args_is_help=True)


@app.command("run")
def run(
    suite: str = typer.Argument(help="YAML file, or the name of a suite (sciops bench list)"),
    settings: list[str] = typer.Argument(
        None, help="overrides, a.b=value; data=PATH sets data.path"
    ),
    output: str = typer.Option(None, "-o", "--output", help="folder; runs/<suite> if left out"),
    dry_run: bool = typer.Option(False, help="say what would be done, and stop"),
    quiet: bool = typer.Option(False, help="no progress bars"),
) -> None:
    """Run a suite; finished jobs are skipped, failed ones do not stop the others."""
    from pathlib import Path

    from sciops.bench import suite as suites
    from sciops.bench.report import print_summary, write_report
    from sciops.bench.runner import run_suite
    from sciops.cli._console import console
    from sciops.core.config import read_yaml

    source = suites.find(suite)
    tree = read_yaml(source)
    if not {"systems", "solvers"}.isdisjoint(tree):
        _solvers(tree, source, settings or [], output, dry_run)
        return
    found, jobs = suites.read(source, settings or [])
    folder = Path(output or f"runs/{found.name}")
    data = _load(jobs)
    if dry_run:
        _plan(found, jobs, data, folder)
        return
    started = {"new": "training", "started": "continues", "finished": "finished already"}

    def notify(job: suites.Job, state: str) -> None:
        if state in started:
            console.print(
                f"{job.folder}: {started[state]}" if state != "finished" else f"{job.folder}: done"
            )
        elif state == "failed":
            console.print(f"{job.folder}: failed, see {folder / job.folder / 'error.txt'}")

    statuses = run_suite(found, jobs, data, folder, notify, quiet)
    report = write_report(folder)
    print_summary(folder, console)
    console.print(f"report: {report}")
    if "failed" in statuses.values():
        raise typer.Exit(1)


def _solvers(tree, source, settings, output, dry_run) -> None:  # type: ignore[no-untyped-def]
    """Run a suite of linear solvers."""
    from pathlib import Path

    from sciops.bench.solver_report import print_summary, write_report
    from sciops.bench.solver_suite import read, run_suite
    from sciops.cli._console import console

    suite = read(tree, str(source), settings)
    folder = Path(output or f"runs/{suite.name}")
    if dry_run:
        for name in suite.systems:
            console.print(f"{name}: seeds {list(suite.seeds)}, solvers {', '.join(suite.solvers)}")
        return
    states = {"running": "solving", "finished": "done already", "done": "done"}
    solved = run_suite(suite, folder, lambda job, state: console.print(f"{job}: {states[state]}"))
    print_summary(folder, console)
    console.print(f"report: {write_report(folder)}")
    if not solved:
        raise typer.Exit(1)


def _load(jobs):  # type: ignore[no-untyped-def]
    """The data of every job, each distinct one opened once; operators are tried on the schema."""
    from sciops.bench.evaluate import require_leads
    from sciops.data.task import load

    loaded = {}
    data = {}
    for job in jobs:
        key = job.config.data.model_dump_json()
        if key not in loaded:
            loaded[key] = load(job.config.data)
        require_leads(job.config, loaded[key])
        data[job.folder] = loaded[key]
    return data


def _plan(suite, jobs, data, folder) -> None:  # type: ignore[no-untyped-def]
    """What a run would do: jobs, their state, parameters, steps."""
    from rich.table import Table

    from sciops.bench.runner import state
    from sciops.cli._console import console

    table = Table(box=None, title=f"{suite.name} -> {folder}")
    for column in ("job", "state", "parameters", "train samples", "steps", "seconds for one step"):
        table.add_column(column)
    for job in jobs:
        task = data[job.folder]
        operator = job.config.operator.build(task.schema)
        count = sum(p.numel() for p in operator.parameters())
        settings = job.config.training
        steps = settings.epochs * -(-len(task.train) // settings.batch_size) if count else 0
        seconds = f"{_one_step(operator, task.train, settings.batch_size):.3f}" if count else "-"
        table.add_row(
            job.folder,
            state(folder, job, task),
            f"{count:,}",
            str(len(task.train)),
            str(steps),
            seconds,
        )
    console.print(table)


def _one_step(operator, windows, batch_size: int) -> float:  # type: ignore[no-untyped-def]
    """Seconds of one forward and backward pass, the second of two."""
    import time

    from sciops.core.operator import rollout

    batch = next(windows.batches(min(batch_size, len(windows))))
    for _ in range(2):
        started = time.perf_counter()
        rollout(operator, batch, 1, windows.schema).square().mean().backward()
    return time.perf_counter() - started


@app.command("report")
def write(folder: str = typer.Argument(help="folder of a suite")) -> None:
    """Write report.html of a suite's folder anew, and print its table."""
    from pathlib import Path

    from sciops.bench import report, solver_report
    from sciops.cli._console import console
    from sciops.core.errors import DataError

    if not (Path(folder) / "results.csv").is_file():
        raise DataError(folder, "not the folder of a suite: results.csv is missing; run it first")
    kind = solver_report if (Path(folder) / "jobs").is_dir() else report
    path = kind.write_report(Path(folder))
    kind.print_summary(Path(folder), console)
    console.print(f"report: {path}")


@app.command("list")
def listing() -> None:
    """List the suites that come with sciops."""
    from sciops.cli.info import listing as show

    show("suites")
