"""``sciops demo``: generate Darcy flow, train three operators, write a report."""

from __future__ import annotations

import typer

SAMPLES, RESOLUTION, SEED = 600, 32, 0


def demo(
    output: str = typer.Option("outputs/demo", "-o", "--output", help="folder"),
) -> None:
    """Solve Darcy flow for data, train FNO, U-Net and DeepONet on it, report (about 3 minutes)."""
    from pathlib import Path

    from sciops.bench.suite import definitions
    from sciops.cli import bench, data
    from sciops.cli._console import console

    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "darcy.hdf5"
    if not file.is_file():
        console.print("1. data: -div(a grad u) = 1 is solved for random coefficients a")
        data.generate("darcy", [], SAMPLES, RESOLUTION, SEED, str(file), None, False)
    console.print("2. training: FNO, U-Net, DeepONet, and two baselines")
    bench.run(str(definitions()["demo"]), [f"data={file}"], str(folder / "suite"), False, False)
