"""``sciops doctor`` and ``sciops list``: what is here."""

from __future__ import annotations

import typer

GROUPS = ("operators", "formats", "problems", "solvers", "metrics", "suites")


def doctor() -> None:
    """Say what this machine and installation have: torch build, devices, HDF5 and its filters."""
    import os
    import platform

    import torch
    from rich.table import Table

    from sciops.cli._console import console
    from sciops.data.hdf5 import library
    from sciops.training.run import device_name, versions

    table = Table(show_header=False, box=None)
    for name, number in versions().items():
        table.add_row(name, number)
    table.add_row("system", platform.platform())
    table.add_row("processor", f"{device_name(torch.device('cpu'))}, {os.cpu_count()} cores")
    table.add_row("torch threads", str(torch.get_num_threads()))
    table.add_row("CUDA build", torch.version.cuda or "none (CPU build of torch)")
    for k in range(torch.cuda.device_count()):
        table.add_row(f"GPU {k}", torch.cuda.get_device_name(k))
    if not torch.cuda.is_available():
        table.add_row("GPU", "none that torch can use")
    version, filters = library()
    table.add_row("HDF5", version)
    table.add_row("HDF5 filters", ", ".join(filters))
    for package, extra in _optional():
        table.add_row(package, extra)
    console.print(table)


def _optional() -> list[tuple[str, str]]:
    from importlib.util import find_spec

    extras = {
        "matplotlib": "viz",
        "hdf5plugin": "compress",
        "pyamg": "amg",
        "onnx": "onnx",
        "dask": "dask",
        "zarr": "zarr",
        "submitit": "slurm",
    }
    return [
        (name, "installed" if find_spec(name) else f"not installed: pip install 'sciops[{extra}]'")
        for name, extra in extras.items()
    ]


def listing(group: str = typer.Argument(help=" | ".join(GROUPS))) -> None:
    """List plug-ins by the names that YAML and the command line use."""
    from rich.table import Table

    from sciops.cli._console import console
    from sciops.core.errors import ConfigError, did_you_mean

    if group not in GROUPS:
        raise ConfigError(
            f"list: expected one of {', '.join(GROUPS)}, got {group!r}."
            f"{did_you_mean(group, GROUPS)}"
        )
    table = Table(box=None)
    for column in ("name", "what it is"):
        table.add_column(column)
    for name, text in _entries(group):
        table.add_row(name, text)
    console.print(table)


def _entries(group: str) -> list[tuple[str, str]]:
    if group == "metrics":
        from sciops import metrics

        return [(name, _first_line(metrics.find(name))) for name in metrics.names()]
    if group == "suites":
        from sciops.bench.suite import definitions
        from sciops.core.config import read_yaml

        return [
            (name, str(read_yaml(path).get("title", ""))) for name, path in definitions().items()
        ]
    from sciops.core import resolve

    if group == "formats":
        found = {name: resolve.find(group, name) for name in resolve.names(group)}
        tried = {
            k: f"tried on: {f.verified}" if f.verified else "unverified" for k, f in found.items()
        }
        return [(name, f"{f.title}; {tried[name]}") for name, f in found.items()]
    return [(name, _first_line(resolve.find(group, name))) for name in resolve.names(group)]


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().split("\n")[0]
