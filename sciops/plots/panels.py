"""Frames of the fields of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sciops.core.errors import ConfigError, SchemaError
from sciops.plots._blocks import Block, sheet_of
from sciops.plots._field import Field, field
from sciops.plots._frames import Cut, cuts, frames
from sciops.plots._quantity import Quantity, fields_of, positions, quantities
from sciops.plots._scale import scale_of, spread
from sciops.plots.style import drawing, labelled, text_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

MANY = 6  # variables that are drawn where none are named
SLAB = 0.05  # of the thickness, on both sides of the middle: the points in space that are shown


def fields(
    dataset: xr.Dataset,
    variables: Sequence[str] | None = None,
    sample: int = 0,
    times: Sequence[float] | None = None,
    *,
    n_frames: int = 4,
    at: Mapping[str, float] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """A few frames of each variable on one colour scale a variable.

    Fields on one axis are lines, one a frame; on two axes images in physical coordinates; on three
    axes slices; on points triangles between them (of points in space those near the middle plane).
    A scale is symmetric about zero where the field has both signs.

    Parameters
    ----------
    dataset
        As `sciops.open_dataset` gives it: (sample, [time,] axes or node, [component]).
    variables
        Names; ``"velocity"`` is the magnitude of a vector, ``"velocity[0]"`` one component,
        ``"velocity[:]"`` all of them.  By default the first `MANY` fields.
    sample
        Number of the trajectory.
    times
        Physical times, the nearest frames are shown; numbers of frames where the data set does not
        say its times.  By default `n_frames` that are evenly spread from first to last.
    at
        Axis -> coordinate: where fields on three axes are cut, one slice each.  By default in the
        middle of every axis.
    limits
        Variable -> ends of its scale, where the smallest and largest value shown will not do.

    Returns
    -------
    Figure
        Only the frames (and slices) that are shown are read.

    Raises
    ------
    NotFound
        If there is no such variable, component or sample.
    SchemaError
        If a variable is not a field on one to three axes or on points.
    ConfigError
        If a time or a place is outside of the data, or `at` or `limits` name nothing that is shown.
    """
    known = fields_of(dataset)
    if not (variables or known):
        raise SchemaError(f"the data set has no fields, only {list(dataset.variables)}")
    shown = quantities(dataset, variables or known[:MANY], sample)
    rest = 0 if variables else len(known) - len(shown)
    if at and not any(len(q.axes) == 3 for q in shown):
        raise ConfigError(f"at={dict(at)} cuts fields on three axes, and none is shown")
    unused = set(limits or {}) - {str(q.label) for q in shown}
    if unused:
        raise ConfigError(f"limits of {sorted(unused)}, but shown are {[q.label for q in shown]}")
    with drawing() as new_figure:
        blocks = [
            b for q in shown for b in _blocks(q, times, n_frames, at, (limits or {}).get(q.label))
        ]
        line = header(dataset, sample) + (f"  ·  {rest} more fields" if rest else "")
        return sheet_of(new_figure, blocks, line)


def _blocks(
    quantity: Quantity,
    times: Sequence[float] | None,
    n_frames: int,
    at: Mapping[str, float] | None,
    limits: tuple[float, float] | None,
) -> list[Block]:
    """One block a cut, all on one scale."""
    chosen = frames(quantity, times, n_frames)
    seen = [(cut, [read(quantity, f.number, cut) for f in chosen]) for cut in cuts(quantity, at)]
    scale = scale_of([spread(f.values) for _, read_ in seen for f in read_], limits)
    return [
        Block(
            label_of(quantity, cut, read_[0]), tuple(f.title for f in chosen), tuple(read_), scale
        )
        for cut, read_ in seen
    ]


def read(quantity: Quantity, number: int, cut: Cut) -> Field:
    """One frame as it is drawn."""
    found = quantity.frame(number, cut.at)
    names = positions(found)
    if quantity.on_points and len(names) == 3:
        z = np.asarray(found[names[2]].values, dtype=np.float64)
        middle, half = (z.min() + z.max()) / 2, SLAB * np.ptp(z)
        found = found.isel({quantity.axes[0]: np.abs(z - middle) <= half})
        found = found.drop_vars(names[2])
        text = f"{names[2].split('_')[0]} = {middle:.3g} ± {half:.2g}"
        return field(found)._replace(at=text)
    return field(found)


def label_of(quantity: Quantity, cut: Cut, shown: Field) -> str:
    """Label, unit and place of the cut."""
    where = cut.title or shown.at
    text = labelled(quantity.label, quantity.unit)
    return f"{text}\n{text_of(where)}" if where else text


def header(dataset: xr.Dataset, sample: int) -> str:
    """Name of the data set, number of the sample and its parameters in one line."""
    parts = [text_of(dataset.attrs["name"], 56)] if dataset.attrs.get("name") else []
    if dataset.sizes.get("sample", 1) > 1:
        parts.append(f"sample {sample}")
    params = [
        f"{name} = {float(array[sample] if array.ndim else array):.4g}"
        for name, array in dataset.data_vars.items()
        if array.attrs.get("role") == "param" and array.dims in ((), ("sample",))
    ]
    if params:
        parts.append(", ".join(text_of(p) for p in params[:4]))
    return "  ·  ".join(parts)
