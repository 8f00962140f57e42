r"""Isotropic power spectra of the frames of a data set.

    E_s = sum of a_k |u_k|^2 over the modes with |kappa| in shell s,    sum_s E_s = <|u|^2>

in physical wavenumbers; see `sciops.metrics.spectral` for modes, counts and shells.  Along axes
that are periodic the modes are Fourier's, along the others, and where nothing is known, cosines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import ConfigError, SchemaError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.plots._blocks import BELOW, HEADER, LEFT, TALLEST, TITLE, shades, write_header
from sciops.plots._frames import Frame, frames
from sciops.plots._image import Sheet
from sciops.plots._lines import finish
from sciops.plots._quantity import Quantity, fields_of, positions, quantities, space
from sciops.plots.panels import header
from sciops.plots.style import WIDTH, drawing, text_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MANY = 3  # variables that are drawn where none are named, side by side
WIDEST = 5.5  # inches of a panel
DEEP = 1e-12  # of the largest power: what lies lower is rounding and is not shown
HOLE = 2
FEW = 64  # shells that are marked by dots


def spectra(
    dataset: xr.Dataset,
    variables: Sequence[str] | None = None,
    sample: int = 0,
    times: Sequence[float] | None = None,
    *,
    n_frames: int = 4,
    periodic: Sequence[str] = (),
) -> Figure:
    """Power against the wavenumber, a panel a variable and a line a frame.

    Parameters
    ----------
    dataset, variables, sample, times, n_frames
        As in `fields`; the powers of the components of a vector are added.  By default the first
        `MANY` fields on a uniform grid.
    periodic
        Axes to be taken as periodic, where the data set does not say so.

    Raises
    ------
    NotFound, ConfigError
        If there is no such variable, sample or time.
    SchemaError
        If a variable lies on points or on a graded axis, or has values that are not finite.
    """
    names = variables or [n for n in fields_of(dataset) if _is_uniform(dataset[n])][:MANY]
    if not names:
        raise SchemaError("no field of the data set lies on a uniform grid, as a spectrum needs")
    shown = quantities(dataset, names, sample)
    with drawing() as new_figure:
        columns = min(len(shown), 3)
        rows = -(-len(shown) // columns)
        width = min(WIDTH / columns - LEFT, WIDEST)
        step = TITLE + TALLEST + BELOW
        figure = new_figure(figsize=(columns * (width + LEFT) + 0.15, HEADER + rows * step))
        write_header(figure, header(dataset, sample))
        sheet, before = Sheet(figure), list[Frame]()
        for k, q in enumerate(shown):
            row, column = divmod(k, columns)
            bottom = (rows - row) * step - TITLE - TALLEST
            ax = sheet.axes(LEFT + column * (width + LEFT), bottom, width, TALLEST)
            chosen = frames(q, times, n_frames)
            _panel(ax, q, chosen, _grid(q, periodic))
            if chosen[0].title and chosen != before:
                ax.legend(loc="best", fontsize=8.5, handlelength=1.3)
            before = chosen
        return figure


def _panel(ax: Axes, quantity: Quantity, chosen: Sequence[Frame], grid: Grid) -> None:
    found = [spectrum(quantity, grid, frame.number) for frame in chosen]
    floor = DEEP * max(float(power[1:].max(initial=0.0)) for _, power in found)
    for colour, frame, (kappa, power) in zip(shades(len(chosen)), chosen, found, strict=True):
        ax.plot(
            *_shown(kappa[1:], power[1:], floor),
            marker="o" if len(kappa) <= FEW else "",
            color=colour,
            markersize=2.8,
            label=text_of(frame.title),
        )
    cosines = [a.name for a in grid.axes if not a.periodic]
    unit, lengths = quantity.unit, {a.unit for a in grid.axes}
    length = lengths.pop() if len(lengths) == 1 else None
    finish(
        ax,
        f"wavenumber κ [rad/{text_of(length)}]" if length else "wavenumber κ",
        "power per shell" + (f" [({text_of(unit)})²]" if unit else ""),
        log_x=True,
        log_y=True,
        title=text_of(quantity.label)
        + (f", cosines along {', '.join(cosines)}" if cosines else ""),
    )


def _shown(
    kappa: NDArray[np.float64], power: NDArray[np.float64], floor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What lies above the floor; the line goes on over `HOLE` shells without power (symmetry)."""
    there = np.flatnonzero(power > floor)
    breaks = np.flatnonzero(np.diff(there) > HOLE + 1) + 1
    return np.insert(kappa[there], breaks, np.nan), np.insert(power[there], breaks, np.nan)


def spectrum(
    quantity: Quantity, grid: Grid, number: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wavenumbers (K,) and power (K,) of one frame; of a vector the sum over its components."""
    import torch

    from sciops.metrics.spectral import error_spectrum, wavenumbers

    values = quantity.parts(number).reshape(1, *grid.shape, -1)
    if not np.isfinite(values).all():
        raise SchemaError(
            f"{quantity.label} has values that are not finite in frame {number}; a spectrum needs "
            f"all of them"
        )
    u = torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 1), dtype=np.float64))
    schema = Schema((Variable(quantity.label, grid, "target", (u.shape[1],)),))
    power = error_spectrum(u, torch.zeros_like(u), schema)[0, 0] * u.shape[1]
    return wavenumbers(grid), power.numpy()


def _is_uniform(array: xr.DataArray) -> bool:
    try:
        return not positions(array) and all(
            _axis(array, d).spacing != "graded" and array.sizes[d] > 1 for d in space(array)
        )
    except SchemaError:
        return False


def _grid(quantity: Quantity, periodic: Sequence[str]) -> Grid:
    """The grid, periodic where the data set says so and along the axes that are named."""
    if quantity.on_points:
        raise SchemaError(f"{quantity.label} lies on points; a spectrum needs a uniform grid")
    wrong = [a for a in periodic if a not in quantity.axes]
    if wrong:
        raise ConfigError(f"{quantity.label} has no axis {wrong[0]!r}, only {quantity.axes}")
    axes = [_axis(quantity.array, d) for d in quantity.axes]
    grid = Grid(tuple(replace(a, periodic=True) if a.name in periodic else a for a in axes))
    graded = [a.name for a in grid.axes if a.spacing == "graded" or a.size < 2]
    if graded:
        raise SchemaError(
            f"{quantity.label}: a spectrum needs uniform axes of several points, and "
            f"{', '.join(graded)} is not; interpolate to a uniform grid first"
        )
    return grid


def _axis(array: xr.DataArray, name: str) -> Axis:
    """The axis that a coordinate describes (see `sciops.data.xarray_backend`)."""
    if name not in array.coords:
        raise SchemaError(f"the axis {name!r} has no coordinates, which wavenumbers need")
    x, attrs = np.asarray(array[name].values, dtype=np.float64), array[name].attrs
    periodic = {"true": True, "false": False}.get(str(attrs.get("periodic")).lower())
    unit = str(attrs["units"]) if "units" in attrs else None
    if {"lower", "upper"} <= set(attrs):
        return Axis(name, x, float(attrs["lower"]), float(attrs["upper"]), periodic, unit)
    return Axis.through(name, x, None if periodic else "cell", periodic, unit)
