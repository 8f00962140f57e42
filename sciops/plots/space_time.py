"""A field along a line against time: the x-t picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sciops.core.errors import ConfigError, SchemaError
from sciops.plots._blocks import BELOW, HEADER, LEFT, RIGHT, write_header
from sciops.plots._field import Field, field, rank
from sciops.plots._frames import Cut, cut, frames, place
from sciops.plots._image import Sheet
from sciops.plots._quantity import Quantity, one_quantity
from sciops.plots._scale import scale_of, spread
from sciops.plots.panels import header
from sciops.plots.style import drawing, labelled, text_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

ROWS = 1000  # frames that are read and drawn at most
PANEL = (5.6, 4.0)  # inches


def space_time(
    dataset: xr.Dataset,
    variable: str | None = None,
    sample: int = 0,
    *,
    along: str | None = None,
    at: Mapping[str, float] | None = None,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """The field along a line, to the right, against time, upwards.

    Parameters
    ----------
    dataset, variable, sample
        As in `fields`; by default the first field.
    along
        Axis of the line; by default the one that runs to the right in an image.
    at
        Axis -> coordinate of the line on the other axes; by default their middle.
    limits
        Ends of the colour scale; by default those of `fields`.

    Returns
    -------
    Figure
        Frames are read one at a time, at most `ROWS` of them, evenly spread.

    Raises
    ------
    NotFound, ConfigError
        If there is no such variable, sample, axis or place.
    SchemaError
        If the field does not evolve, or lies on points.
    """
    q = one_quantity(dataset, variable, sample)
    if not q.evolves or q.n_frames < 2:
        raise SchemaError(f"{q.label} does not evolve ({q.n_frames} frame); use fields")
    if q.on_points:
        raise SchemaError(f"{q.label} lies on points, where there are no lines; use fields")
    line = along or min(reversed(q.axes), key=rank)
    rest = _elsewhere(q, line, at or {})
    chosen = frames(q, None, ROWS)
    indices = {k: v for c in rest for k, v in c.at.items()}
    rows = [field(q.frame(f.number, indices)) for f in chosen]
    times = np.arange(float(q.n_frames)) if q.times is None else q.times
    clock = ("frame" if q.times is None else "t", times[[f.number for f in chosen]], q.time_unit)
    values = np.stack([r.values for r in rows])
    scale = scale_of([spread(r.values) for r in rows], limits)
    where = ", ".join(text_of(c.title) for c in rest)
    label = "\n".join(filter(None, [labelled(q.label, q.unit), where]))
    with drawing() as new_figure:
        figure = new_figure(figsize=(LEFT + PANEL[0] + RIGHT, BELOW + PANEL[1] + HEADER + 0.1))
        write_header(figure, header(dataset, sample))
        box = (LEFT, BELOW, *PANEL)
        sheet = Sheet(figure)
        picture = Field(values, (clock, rows[0].axes[0]))
        _, shown = sheet.image(picture, box, scale.limits, scale.colours, left=True, bottom=True)
        sheet.scale_right(box, shown, label, scale.extend)
        return figure


def _elsewhere(quantity: Quantity, line: str, at: Mapping[str, float]) -> list[Cut]:
    """Where the line lies on the other axes."""
    others = [a for a in quantity.axes if a != line]
    wrong = [line, *at] if line not in quantity.axes else [a for a in at if a not in others]
    if wrong:
        raise ConfigError(
            f"{quantity.label} has the axes {', '.join(quantity.axes)}, and the line lies along "
            f"{line!r}: {wrong[0]!r} cannot be chosen"
        )
    sizes = quantity.array.sizes
    return [
        cut(quantity, a, place(quantity, a, at[a]) if a in at else sizes[a] // 2) for a in others
    ]
