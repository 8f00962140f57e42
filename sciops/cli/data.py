"""``sciops data``: look into data sets, and make them."""

from __future__ import annotations

import typer

app = typer.Typer(help="Look into data sets, and make them.", no_args_is_help=True)

SECONDS = 60  # a file that takes longer to describe is broken
MEMORY = 16 << 30  # address space of the process that opens a foreign file


@app.command()
def inspect(
    path: str = typer.Argument(help="file or folder"),
    format: str = typer.Option(
        None, help="name of the format; recognised by structure if left out"
    ),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
    here: bool = typer.Option(False, hidden=True),
) -> None:
    """Print what a data set holds: format, variables, grids, storage, parameters, boundary."""
    if not here:
        _guarded(
            [
                "data",
                "inspect",
                path,
                "--here",
                *(["--json"] if as_json else []),
                *(["--format", format] if format else []),
            ]
        )
        return
    import json

    from sciops.data.describe import describe, tree
    from sciops.data.open import open_layout

    layout = open_layout(path, format)
    if as_json:
        print(json.dumps(tree(layout), indent=1))
    else:
        print(describe(layout))


def _guarded(arguments: list[str]) -> None:
    """Run a command of sciops in a child with limits of time and memory: HDF5 can hang or crash."""
    import resource
    import subprocess
    import sys

    from sciops.core.errors import DataError

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    command = [sys.executable, "-m", "sciops.cli", *arguments]
    try:
        done = subprocess.run(command, timeout=SECONDS, preexec_fn=limit, check=False)
    except subprocess.TimeoutExpired:
        raise DataError(
            arguments[2], f"could not be described in {SECONDS} s; the file is broken"
        ) from None
    if done.returncode < 0:
        raise DataError(
            arguments[2], f"reading it crashed (signal {-done.returncode}); the file is broken"
        )
    if done.returncode:
        raise typer.Exit(done.returncode)


@app.command()
def generate(
    problem: str = typer.Argument(help="name of a problem; see: sciops list problems"),
    settings: list[str] = typer.Argument(None, help="settings of the problem, name=value"),
    samples: int = typer.Option(..., min=1),
    resolution: int = typer.Option(None, min=3, help="points along each axis"),
    seed: int = typer.Option(0),
    output: str = typer.Option(..., "-o", "--output", help="the HDF5 file to write"),
    workers: int = typer.Option(None, min=1, help="processes; all cores if left out"),
    overwrite: bool = typer.Option(False, help="replace an existing file"),
) -> None:
    """Generate a data set by solving the equation; stopped runs continue."""
    import time
    from pathlib import Path

    from sciops.cli._console import bar, console
    from sciops.core import resolve
    from sciops.core.config import override, validate
    from sciops.data.task import write_sidecars
    from sciops.problems._generate import generate as run

    cls = resolve.find("problems", problem)
    tree = override(
        {"kind": problem} | ({} if resolution is None else {"resolution": resolution}),
        settings or [],
    )
    chosen = validate(cls, tree, problem)
    started = time.perf_counter()
    with bar(f"{problem}, {samples} samples") as progress:
        path = run(
            chosen,
            samples,
            seed,
            Path(output),
            workers=workers,
            progress=progress,
            overwrite=overwrite,
        )
    seconds = time.perf_counter() - started
    if samples >= 10:
        write_sidecars(path, {"train": 0.8, "valid": 0.1, "test": 0.1}, seed=0)
    size = Path(path).stat().st_size / 1e6
    console.print(
        f"{path}: {samples} samples in {seconds:.1f} s "
        f"({1e3 * seconds / samples:.1f} ms each), {size:.1f} MB"
    )
