"""Lines against numbers: the line itself, labels and scales of its axes, the legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sciops.plots.looks import Line
from sciops.plots.style import text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def line(ax: Axes, x: ArrayLike, y: ArrayLike, look: Line, **style: Any) -> None:
    y = np.asarray(y, dtype=float)
    y = np.where(np.isfinite(y), y, np.nan)
    ax.plot(np.asarray(x, dtype=float), y, color=look.colour, linestyle=look.dash, **style)


def finish(
    ax: Axes,
    x: str,
    y: str,
    log_x: bool = False,
    log_y: bool = False,
    grid: Literal["both", "x", "y"] = "both",
    title: str = "",
) -> None:
    """Labels, grid and scales; an axis without a positive number stays linear."""
    ax.set_title(title)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.grid(visible=True, axis=grid)
    data = [line.get_data() for line in ax.lines]
    for log, d, name in ((log_x, 0, "x"), (log_y, 1, "y")):
        numbers = np.concatenate([np.ravel(xy[d]) for xy in data]) if data else np.zeros(0)
        if log and (numbers[np.isfinite(numbers)] > 0).any():
            getattr(ax, f"set_{name}scale")("log", nonpositive="mask")


def legend(figure: Figure, names: Sequence[str], looks: Mapping[str, Line]) -> None:
    """One legend for the whole figure, to the right of it."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], []) for _ in names]
    for handle, name in zip(handles, names, strict=True):
        handle.set(color=looks[name].colour, linestyle=looks[name].dash)
    if handles:
        figure.legend(handles, [text_of(n) for n in names], loc="outside right upper")
