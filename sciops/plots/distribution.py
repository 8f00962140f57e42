"""Distribution of an error over the samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciops.plots._lines import finish
from sciops.plots.looks import Line, palette
from sciops.plots.rollouts import QUANTILES
from sciops.plots.style import WIDTH, drawing, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def error_bars(
    errors: Mapping[str, ArrayLike],
    looks: Mapping[str, Line] | None = None,
    label: str = "error",
) -> Figure:
    """Error of every sample: points, a box from quartile to quartile, whiskers to 5 and 95 %.

    Parameters
    ----------
    errors
        Name -> (n,) errors; the first stands on top.  Those that are not finite are counted
        beside the name and not drawn.
    """
    looks, names = looks or palette(list(errors)), list(errors)
    with drawing() as new_figure:
        figure = new_figure(figsize=(WIDTH, 0.9 + 0.52 * len(names)), layout="constrained")
        ax, labels, positive = figure.add_subplot(), [], True
        for row, name in enumerate(names):
            e = np.asarray(errors[name], dtype=float).ravel()
            finite = e[np.isfinite(e)]
            lost = len(e) - len(finite)
            labels.append(text_of(name) + (f"\n({lost} not finite)" if lost else ""))
            positive = positive and bool((finite > 0).all())
            if len(finite):
                _box(ax, row, finite, looks[name].colour)
        ax.set_yticks(range(len(names)), labels)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0, labelsize=10)
        finish(ax, text_of(label), "", log_x=positive, grid="x")
    return figure


def _box(ax: Axes, row: int, e: NDArray[np.float64], colour: str) -> None:
    low, q1, middle, q3, high = np.quantile(e, [QUANTILES[0], 0.25, 0.5, 0.75, QUANTILES[1]])
    jitter = (np.arange(len(e)) * 0.6180339887) % 1.0 - 0.5  # evenly spread, the same every time
    ax.plot(e, row + 0.5 * jitter, "o", color=colour, alpha=0.28, markersize=2.6, markeredgewidth=0)
    ax.hlines(row, low, high, color=colour, linewidth=1.3)
    ax.barh(row, q3 - q1, 0.34, left=q1, color="white", edgecolor=colour, linewidth=1.3, alpha=0.9)
    ax.vlines(middle, row - 0.17, row + 0.17, color=colour, linewidth=2.6)
