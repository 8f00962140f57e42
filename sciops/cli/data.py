"""``sciops data``: look into data sets, and make them.

The commands stand in `_data_check`, `_data_change`, `_cards` and `_plot_data`; here is the list of
them all, and those that need a child process or an equation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from sciops.cli import _cards, _data_change, _data_check, _mapping, _plot_data

SECONDS = 60.0  # a file that takes longer to describe is broken
RATE = 50e6  # bytes a second at which a file is checked at least
MEMORY = 16 << 30  # address space of the process that opens a foreign file, beside the file itself


class Panels(TyperGroup):
    """A group whose help lists the commands under headings."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section a panel, in the order in which commands were added."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        shown = [(name, c) for name, c in found if c is not None and not c.hidden]
        width = formatter.width - 6 - max((len(name) for name, _ in shown), default=0)
        for panel in dict.fromkeys(getattr(c, "rich_help_panel", None) for _, c in shown):
            with formatter.section(panel or "Commands"):
                formatter.write_dl(
                    [
                        (name, c.get_short_help_str(width))
                        for name, c in shown
                        if getattr(c, "rich_help_panel", None) == panel
                    ]
                )


app = typer.Typer(cls=Panels, help="Look into data sets, and make them.", no_args_is_help=True)


def inspect(
    path: str = typer.Argument(help="file or folder"),
    format: str = typer.Option(
        None, help="name of the format; recognised by structure if left out"
    ),
    map: str = _mapping.MAP,
    dims: list[str] = _mapping.DIMS,
    inputs: str = _mapping.INPUTS,
    targets: str = _mapping.TARGETS,
    states: str = _mapping.STATES,
    params: str = _mapping.PARAMS,
    as_json: bool = typer.Option(False, "--json", help="for machines"),
    here: bool = typer.Option(False, hidden=True),
) -> None:
    """Print what a data set holds: variables, grids, storage, parameters, boundary."""
    if not here:
        _guarded(
            [
                "data",
                "inspect",
                path,
                "--here",
                *(["--json"] if as_json else []),
                *(["--format", format] if format else []),
                *_mapping.arguments(map, dims, inputs, targets, states, params),
            ]
        )
        return
    import json

    from sciops.data.describe import describe, tree

    layout = _mapping.opened(path, format, map, dims, inputs, targets, states, params)
    if as_json:
        print(json.dumps(tree(layout, path), indent=1))
    else:
        print(describe(layout, path))


def _guarded(arguments: list[str]) -> None:
    """Run ``data COMMAND PATH ..`` in a child with limits of time and memory.

    HDF5 can hang or crash on a broken file.  What reads all of a file may take longer for a large
    one, and the maps of a file count as address space.
    """
    import resource
    import subprocess
    import sys

    from sciops.core.errors import DataError

    command, path = arguments[1], arguments[2]
    size = _bytes(Path(path))
    memory = MEMORY + size
    seconds = SECONDS + (size / RATE if command == "validate" else 0.0)

    def limit() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        allowed = memory if most == resource.RLIM_INFINITY else min(memory, most)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))

    child = [sys.executable, "-m", "sciops.cli", *arguments]
    try:
        done = subprocess.run(child, timeout=seconds, preexec_fn=limit, check=False)
    except subprocess.TimeoutExpired:
        raise DataError(
            path, f"{command} did not end within {seconds:.0f} s; the file is broken"
        ) from None
    if done.returncode < 0:
        raise DataError(path, f"reading it crashed (signal {-done.returncode}); the file is broken")
    if done.returncode:
        raise typer.Exit(done.returncode)


def _bytes(path: Path) -> int:
    """Size of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file())


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


LOOK, CHECK, MAKE, CHANGE = "Look", "Check and compare", "Get and make", "Change (new files)"
COMMANDS = (
    (LOOK, inspect, "what a file holds: format, variables, grid, storage, boundary",
     "inspect burgers.hdf5"),
    (LOOK, _data_check.describe, "a data sheet in Markdown", "describe burgers.hdf5 -o burgers.md"),
    (LOOK, _plot_data.plot, "pictures: fields, x-t, spectra, slices, animation",
     "plot burgers.hdf5 --kind space-time -o burgers.png"),
    (LOOK, _data_check.stats, "mean, std, range and change of every variable",
     "stats burgers.hdf5 --write"),
    (CHECK, _data_check.validate, "everything that is wrong with a data set",
     "validate burgers.hdf5"),
    (CHECK, _data_check.diff, "what differs between two data sets of any formats",
     "diff burgers.hdf5 burgers.nc --rtol 1e-6"),
    (CHECK, _data_check.verify, "compare with the checksums in manifest.json",
     "verify burgers.hdf5"),
    (MAKE, _cards.cards, "known public data sets: size, licence, source",
     "cards pdebench_advection"),
    (MAKE, _cards.download, "fetch a public data set; continues, checks every file",
     "download pdebench_advection --file '*beta0.1*' --dry-run"),
    (MAKE, generate, "a new data set by solving the equation",
     "generate darcy alpha=2.5 --samples 100 --resolution 64 -o darcy.hdf5"),
    (MAKE, _data_check.split, "divide the samples into train, valid, test",
     "split darcy.hdf5 --shares train=0.8,valid=0.1,test=0.1"),
    (MAKE, _data_change.mask, "a geometry mask from circles, rectangles, polygons",
     "mask --like flow.hdf5 --circle 0.5,0.5,0.1 -o mask.hdf5"),
    (CHANGE, _data_change.convert, "to another format",
     "convert 1D_Burgers_Sols_Nu0.01.hdf5 -o burgers.nc"),
    (CHANGE, _data_change.rechunk, "store for another way of reading; measures the gain",
     "rechunk 2D_diff-react_NA_NA.h5 --for windows -o fast.hdf5"),
    (CHANGE, _data_change.subsample, "fewer frames, part of the domain, other resolution",
     "subsample flow.hdf5 --frames ::2 --resolution 64 --method average -o small.hdf5"),
    (CHANGE, _data_change.merge, "several files of one schema into one",
     "merge nu1.hdf5 nu2.hdf5 --param nu=0.1,0.2 -o all.hdf5"),
    (CHANGE, _data_change.mini, "a small file of the same format and schema",
     "mini flow.hdf5 --samples 3 --frames 5 -o mini.hdf5"),
    (CHANGE, _data_change.repair, "boundary, units, times, names, roles; NaN, duplicates",
     "repair flow.hdf5 --boundary x=periodic --unit velocity=m/s -o better.hdf5"),
)  # fmt: skip
for _panel, _command, _short, _example in COMMANDS:
    app.command(
        _command.__name__,
        short_help=_short,
        rich_help_panel=_panel,
        epilog=f"Example: sciops data {_example}",
    )(_command)
