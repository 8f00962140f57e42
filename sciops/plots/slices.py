"""Slices through a field on three axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sciops.core.errors import SchemaError
from sciops.plots._blocks import Block, sheet_of
from sciops.plots._field import Field, field
from sciops.plots._frames import Frame, cut, frames, title
from sciops.plots._quantity import Quantity, one_quantity
from sciops.plots._scale import scale_of, spread
from sciops.plots.panels import header
from sciops.plots.style import drawing, labelled

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def slices(
    dataset: xr.Dataset,
    variable: str | None = None,
    sample: int = 0,
    time: float | None = None,
    *,
    n_slices: int = 4,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Evenly spread slices across each axis of one frame, all on one colour scale.

    Parameters
    ----------
    dataset, variable, sample
        As in `fields`; by default the first field.
    time
        The nearest frame is shown; by default the last one.
    n_slices
        Across each axis.
    limits
        Ends of the colour scale; by default those of `fields`.

    Raises
    ------
    NotFound, ConfigError
        If there is no such variable, sample or time.
    SchemaError
        If the field has not three axes.
    """
    q = one_quantity(dataset, variable, sample)
    if len(q.axes) != 3:
        raise SchemaError(f"{q.label} lies on {', '.join(q.axes)}; slices need three axes")
    last = q.n_frames - 1
    frame = Frame(last, title(q, last)) if time is None else frames(q, [time], 1)[0]
    with drawing() as new_figure:
        seen = [_across(q, frame, axis, n_slices) for axis in q.axes]
        scale = scale_of([spread(f.values) for b in seen for f in b[1]], limits)
        label = labelled(q.label, q.unit)
        blocks = [Block(label, titles, shown, scale) for titles, shown in seen]
        line = "  ·  ".join(filter(None, [header(dataset, sample), frame.title]))
        return sheet_of(new_figure, blocks, line)


def _across(
    quantity: Quantity, frame: Frame, axis: str, n_slices: int
) -> tuple[tuple[str, ...], tuple[Field, ...]]:
    """Titles and fields of the slices across an axis, in the middle of equal parts."""
    n = quantity.array.sizes[axis]
    indices = np.unique(((np.arange(n_slices) + 0.5) * n / n_slices).astype(int))
    chosen = [cut(quantity, axis, int(i)) for i in indices]
    shown = tuple(field(quantity.frame(frame.number, c.at)) for c in chosen)
    return tuple(c.title for c in chosen), shown
