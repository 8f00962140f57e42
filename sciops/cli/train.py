"""``sciops train`` and ``sciops predict``: one run, and what a trained model says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer


def train(
    config: str = typer.Argument(
        help="YAML with data, operator, training, seed; or preconditioner, matrices, objective"
    ),
    settings: list[str] = typer.Argument(None, help="overrides, a.b=value"),
    output: str = typer.Option(
        ..., "-o", "--output", help="the run folder; an unfinished run continues"
    ),
    quiet: bool = typer.Option(False, help="no progress bar, no table"),
    brief: bool = typer.Option(False, hidden=True),
) -> None:
    """Train an operator and measure it on the test sets, or train a preconditioner."""
    from sciops.bench.evaluate import evaluate, require_leads
    from sciops.cli._console import bar, console
    from sciops.core.config import override, read_yaml, validate
    from sciops.core.memory import keep_large_blocks_unless_told
    from sciops.data.task import load as load_data
    from sciops.operators._trained import load
    from sciops.training.distributed import join, leave
    from sciops.training.run import RunConfig, read_run, same_run
    from sciops.training.run import train as run

    keep_large_blocks_unless_told()
    tree = override(read_yaml(config), settings or [])
    folder = Path(output)
    if not {"preconditioner", "matrices", "objective"}.isdisjoint(tree):
        _preconditioner(tree, config, folder, quiet)
        return
    chosen = validate(RunConfig, tree, config)
    data = load_data(chosen.data)
    require_leads(chosen, data)
    if same_run(folder, chosen, data) and read_run(folder).get("status") == "finished":
        console.print(f"{folder}: finished already")
        return
    world = join(chosen.device)
    try:
        with bar(f"{folder.name}", quiet or not world.main) as progress:
            run(chosen, data, folder, world, progress)
        if world.main:
            operator = load(folder, str(world.device), allow_code=True).operator
            evaluate(operator, chosen, data, folder)
    finally:
        leave()
    if world.main and not (quiet or brief):
        _table(folder)


def _preconditioner(tree: dict[str, Any], source: str, folder: Path, quiet: bool) -> None:
    """Train a preconditioner; print the iterations that it takes on unseen matrices."""
    from rich.table import Table

    from sciops.cli._console import bar, console
    from sciops.core.config import validate
    from sciops.training.preconditioner import PreconditionerRun, described, train, unseen

    config = validate(PreconditionerRun, tree, source)
    with bar(f"{folder.name}", quiet) as progress:
        run = train(config, folder, progress)
    if quiet:
        return
    console.print(f"iterations to a relative residual of 1e-6 on {unseen(config)}")
    table = Table(box=None)
    for column in ("preconditioner", "least", "mean", "most", "not solved"):
        table.add_column(column, justify="left" if column == "preconditioner" else "right")
    for name, counts in run["iterations"].items():
        if counts:
            table.add_row(name, *described(counts))
    console.print(table)


def _table(folder: Path) -> None:
    """Errors of a finished run."""
    from rich.table import Table

    from sciops.bench.evaluate import mean_errors
    from sciops.cli._console import console

    metrics, rows = mean_errors(folder)
    table = Table(box=None)
    for column in ("test", "variable", *metrics):
        table.add_column(column)
    for test, variable, values in rows:
        table.add_row(test, variable, *(f"{x:.4g}" for x in values))
    console.print(table)


def predict(
    model: str = typer.Argument(help="folder of a trained model, or a run folder"),
    data: str = typer.Argument(help="data set with the model's inputs"),
    output: str = typer.Option(..., "-o", "--output", help="the netCDF file to write"),
    steps: int = typer.Option(1, min=1, help="frames, each predicted from the ones before"),
    device: str = typer.Option("cpu"),
    allow_code: bool = typer.Option(False, help="import an operator from outside sciops"),
) -> None:
    """Write a trained model's fields for a data set as netCDF."""
    from sciops.cli._console import console
    from sciops.core.memory import keep_large_blocks_unless_told
    from sciops.data.files import replacing, require_new
    from sciops.operators._trained import load

    require_new(Path(output))
    keep_large_blocks_unless_told()
    fields = load(model, device, allow_code).predict(data, steps)
    with replacing(Path(output)) as temporary:
        fields.to_netcdf(temporary, engine="h5netcdf")
    console.print(f"{output}: {dict(fields.sizes)}")
