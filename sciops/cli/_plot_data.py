"""``sciops data plot``: pictures of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

KINDS = ("fields", "space-time", "spectra", "slices", "animation")


def plot(
    path: str = typer.Argument(help="file or folder"),
    kind: str = typer.Option("fields", help=" | ".join(KINDS)),
    variable: list[str] = typer.Option(
        None, help="density, velocity (magnitude), 'velocity[0]', 'velocity[:]'; may be repeated"
    ),
    sample: int = typer.Option(0, min=0, help="number of the trajectory, from 0"),
    times: str = typer.Option(
        None, help="physical times, as in 0,0.5,1; evenly spread if left out"
    ),
    output: str = typer.Option(
        None, "-o", "--output", help=".png .pdf .svg .jpg, of an animation .gif .mp4"
    ),
    format: str = typer.Option(
        None, help="name of the format; recognised by structure if left out"
    ),
    overwrite: bool = typer.Option(False, help="replace an existing file"),
) -> None:
    """Draw a data set: frames, x-t pictures, spectra, slices, an animation."""
    from pathlib import Path

    from sciops.cli._console import bar, console
    from sciops.core.errors import ConfigError, did_you_mean
    from sciops.data.files import require_new
    from sciops.data.xarray_backend import open_dataset
    from sciops.plots import data
    from sciops.plots.output import check, save

    if kind not in KINDS:
        raise ConfigError(
            f"--kind: expected one of {', '.join(KINDS)}, got {kind!r}.{did_you_mean(kind, KINDS)}"
        )
    ending = ".gif" if kind == "animation" else ".png"
    target = Path(output or f"{Path(path).resolve().stem}-{kind}{ending}")
    names, moments = list(variable or []), _numbers(times)
    _check(kind, names, moments)
    if kind != "animation":
        check(target)
    require_new(target, overwrite)
    dataset = open_dataset(path, format)
    if kind == "animation":
        with bar("reading and drawing frames") as progress:
            data.animate(dataset, names[0] if names else None, sample, target, progress=progress)
    else:
        save(_figure(dataset, kind, names, sample, moments), target)
    console.print(f"{target}: {target.stat().st_size / 1e6:.2f} MB")


def _check(kind: str, names: list[str], times: list[float] | None) -> None:
    """ConfigError where a kind of picture cannot show what is asked for."""
    from sciops.core.errors import ConfigError

    if len(names) > 1 and kind not in ("fields", "spectra"):
        raise ConfigError(f"--variable: --kind {kind} shows one variable, got {len(names)}")
    if times and kind in ("space-time", "animation"):
        raise ConfigError(f"--times: --kind {kind} shows all times; leave it out")
    if times and kind == "slices" and len(times) > 1:
        raise ConfigError(f"--times: --kind slices shows one time, got {len(times)}")


def _figure(
    dataset: xr.Dataset, kind: str, names: list[str], sample: int, times: list[float] | None
) -> Figure:
    from sciops.plots import data

    name = names[0] if names else None
    if kind == "fields":
        return data.fields(dataset, names or None, sample, times)
    if kind == "spectra":
        return data.spectra(dataset, names or None, sample, times)
    if kind == "slices":
        return data.slices(dataset, name, sample, times[0] if times else None)
    return data.space_time(dataset, name, sample)


def _numbers(text: str | None) -> list[float] | None:
    """0,0.5,1 as numbers."""
    from sciops.core.errors import ConfigError

    if text is None:
        return None
    try:
        return [float(t) for t in text.split(",")]
    except ValueError:
        raise ConfigError(f"--times: expected numbers as in 0,0.5,1, got {text!r}") from None
